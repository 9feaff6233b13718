//! Writes a pattern in the syntax that the `regex` and `fancy-regex` crates share.
//!
//! Only what cannot be misread is written: ASCII letters and digits stand for themselves, every
//! other character is its number, every class is a list of ranges.

use super::{Engine, set::Set, syntax::Node};

impl Node {
    /// The pattern for this engine.
    pub(super) fn render(&self, engine: Engine) -> String {
        let mut out = String::new();
        self.write(engine, &mut out);
        out
    }

    /// Whether it looks around, which no linear engine does.
    pub(super) fn looks_around(&self) -> bool {
        match self {
            Self::Look { .. } => true,
            Self::Either(nodes) | Self::Sequence(nodes) => nodes.iter().any(Self::looks_around),
            Self::Repeat { node, .. } => node.looks_around(),
            Self::End | Self::Set(_) | Self::Start | Self::WordBoundary { .. } => false,
        }
    }

    fn write(&self, engine: Engine, out: &mut String) {
        match self {
            Self::Either(nodes) => {
                for (index, node) in nodes.iter().enumerate() {
                    out.push_str(if index == 0 { "(?:" } else { "|" });
                    node.write(engine, out);
                }
                out.push(')');
            }
            Self::End => out.push_str(r"\z"),
            Self::Look { behind, negative, node } => {
                out.push_str(if *behind { "(?<" } else { "(?" });
                out.push(if *negative { '!' } else { '=' });
                node.write(engine, out);
                out.push(')');
            }
            Self::Repeat { node, min, max } => {
                let is_set = matches!(**node, Self::Set(_));
                out.push_str(if is_set { "" } else { "(?:" });
                node.write(engine, out);
                out.push_str(if is_set { "" } else { ")" });
                match (min, max) {
                    (0, None) => out.push('*'),
                    (1, None) => out.push('+'),
                    (0, Some(1)) => out.push('?'),
                    (min, None) => out.push_str(&format!("{{{min},}}")),
                    (min, Some(max)) if min == max => out.push_str(&format!("{{{min}}}")),
                    (min, Some(max)) => out.push_str(&format!("{{{min},{max}}}")),
                }
            }
            Self::Sequence(nodes) => nodes.iter().for_each(|node| node.write(engine, out)),
            Self::Set(set) => set.write(out),
            Self::Start => out.push_str(r"\A"),
            Self::WordBoundary { negative } => out.push_str(word_boundary(engine, *negative)),
        }
    }
}

impl Set {
    fn write(&self, out: &mut String) {
        match self.ranges() {
            // An empty list would be read as the beginning of a class that holds `]`.
            [] => out.push_str(r"[^\x{0}-\x{10FFFF}]"),
            [(only, last)] if only == last => write_character(*only, out),
            ranges => {
                out.push('[');
                for &(first, last) in ranges {
                    write_character(first, out);
                    if first != last {
                        out.push('-');
                        write_character(last, out);
                    }
                }
                out.push(']');
            }
        }
    }
}

fn write_character(code_point: u32, out: &mut String) {
    match char::from_u32(code_point).filter(char::is_ascii_alphanumeric) {
        Some(plain) => out.push(plain),
        None => out.push_str(&format!("\\x{{{code_point:X}}}")),
    }
}

/// The backtracking engine has the boundary of Unicode's words only, so there it is spelled out.
fn word_boundary(engine: Engine, negative: bool) -> &'static str {
    match (engine, negative) {
        (Engine::Linear, false) => r"(?-u:\b)",
        (Engine::Linear, true) => r"(?-u:\B)",
        (Engine::Backtracking, false) => {
            "(?:(?<=[0-9A-Z_a-z])(?![0-9A-Z_a-z])|(?<![0-9A-Z_a-z])(?=[0-9A-Z_a-z]))"
        }
        (Engine::Backtracking, true) => {
            "(?:(?<=[0-9A-Z_a-z])(?=[0-9A-Z_a-z])|(?<![0-9A-Z_a-z])(?![0-9A-Z_a-z]))"
        }
    }
}
