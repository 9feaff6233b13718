//! Regular expressions of `pattern`: ECMA-262's, compiled for engines that are not ECMA-262's.
//!
//! JSON Schema means the regular expressions of ECMA-262, and the engines of Rust read another
//! dialect: their `\d`, `\w` and `\s` are Unicode's, their `.` takes a carriage return, their
//! classes know `&&`, and they refuse `\-`, `\/` and `\00`. So a pattern is read here and written
//! again in a form that leaves nothing to interpretation.
//!
//! The reading is that of a web browser (Annex B), with one difference: a text is a sequence of
//! code points and not of UTF-16 units, as with the `u` flag.
//!
//! Patterns run in linear time, except those that look around. For these, the backtracking is
//! limited, and a text that reaches the limit is neither matched nor refused but [`Exhausted`].

mod render;
#[cfg(feature = "fuzzing")]
pub(crate) mod sample;
mod set;
mod syntax;

use regex_automata::{
    Input,
    dfa::{Automaton as _, StartKind, dense},
    nfa::thompson,
};
use thiserror::Error;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    source: Box<str>,
    program: Program,
}

/// How a pattern is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// With look-around: the time is limited, not linear.
    Backtracking,
    /// In time that is linear in the text.
    Linear,
}

/// Why a pattern cannot be compiled.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PatternError {
    /// ECMA-262 refuses it too.
    #[error("at character {at}: {reason}")]
    Syntax {
        /// What is wrong there.
        reason: &'static str,
        /// Characters before that place.
        at: usize,
    },
    /// More groups inside each other than [`MAX_NESTING`].
    #[error("groups are nested deeper than {MAX_NESTING}")]
    TooDeep,
    /// Its program would take more than [`MAX_PROGRAM_BYTES`].
    #[error("it needs more memory than {MAX_PROGRAM_BYTES} bytes")]
    TooLarge,
    /// Longer than [`MAX_PATTERN_BYTES`].
    #[error("it is longer than {MAX_PATTERN_BYTES} bytes")]
    TooLong,
    /// Legal, but there is no engine for it, or two readings of it.
    #[error("it has {0}, which is not supported")]
    Unsupported(&'static str),
}

/// Whether a text matches was not found out within the limits of backtracking.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the limit of backtracking was reached")]
pub struct Exhausted;

#[derive(Clone, Debug)]
enum Program {
    /// Every text matches.
    Always,
    /// Every state is known: the quickest, for patterns whose automaton is small.
    Automaton(Box<dense::DFA<Vec<u32>>>),
    Backtracking(Box<fancy_regex::Regex>),
    /// States are found while texts are searched.
    Linear(regex::Regex),
}

impl Pattern {
    /// Compiles a pattern as it stands in a schema.
    pub fn compile(source: &str) -> Result<Self, PatternError> {
        if source.len() > MAX_PATTERN_BYTES {
            return Err(PatternError::TooLong);
        }
        let node = syntax::parse(source)?;
        let program = if node.looks_around() {
            Program::Backtracking(Box::new(backtracking(&node.render(Engine::Backtracking))?))
        } else if node.matches_nothing_at_the_start() {
            Program::Always
        } else {
            let rendered = node.render(Engine::Linear);
            match automaton(&rendered) {
                Some(automaton) => Program::Automaton(Box::new(automaton)),
                None => Program::Linear(linear(&rendered)?),
            }
        };
        Ok(Self { source: source.into(), program })
    }

    /// Whether any part of the text matches.
    pub fn is_match(&self, text: &str) -> Result<bool, Exhausted> {
        match &self.program {
            Program::Backtracking(_) if text.len() > MAX_BACKTRACKING_TEXT_BYTES => Err(Exhausted),
            #[expect(clippy::map_err_ignore, reason = "every error at run time is a limit")]
            Program::Backtracking(regex) => regex.is_match(text).map_err(|_| Exhausted),
            Program::Always => Ok(true),
            Program::Automaton(automaton) => {
                let input = Input::new(text).earliest(true);
                #[expect(clippy::map_err_ignore, reason = "a search gives up only at quit bytes")]
                automaton.try_search_fwd(&input).map(|found| found.is_some()).map_err(|_| Exhausted)
            }
            Program::Linear(regex) => Ok(regex.is_match(text)),
        }
    }

    /// The pattern as it stands in the schema.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// How it is run.
    pub fn engine(&self) -> Engine {
        match self.program {
            Program::Backtracking(_) => Engine::Backtracking,
            Program::Always | Program::Automaton(_) | Program::Linear(_) => Engine::Linear,
        }
    }
}

/// The whole automaton of a pattern, when it is small.
fn automaton(rendered: &str) -> Option<dense::DFA<Vec<u32>>> {
    let config = dense::Config::new()
        .start_kind(StartKind::Unanchored)
        .dfa_size_limit(Some(MAX_WHOLE_AUTOMATON_BYTES))
        .determinize_size_limit(Some(MAX_WHOLE_AUTOMATON_BYTES));
    let program = thompson::Config::new().nfa_size_limit(Some(MAX_SMALL_PROGRAM_BYTES));
    dense::Builder::new().configure(config).thompson(program).build(rendered).ok()
}

fn linear(rendered: &str) -> Result<regex::Regex, PatternError> {
    regex::RegexBuilder::new(rendered)
        .size_limit(MAX_PROGRAM_BYTES)
        .dfa_size_limit(MAX_AUTOMATON_BYTES)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => PatternError::TooLarge,
            _ => PatternError::Unsupported("something that the linear engine refuses"),
        })
}

fn backtracking(rendered: &str) -> Result<fancy_regex::Regex, PatternError> {
    fancy_regex::RegexBuilder::new(rendered)
        .backtrack_limit(MAX_BACKTRACKS)
        .max_prog_size(MAX_PROGRAM_BYTES)
        .delegate_size_limit(MAX_PROGRAM_BYTES)
        .delegate_dfa_size_limit(MAX_AUTOMATON_BYTES)
        .build()
        .map_err(|error| match error {
            fancy_regex::Error::CompileError(error) => match *error {
                fancy_regex::CompileError::InnerError(_)
                | fancy_regex::CompileError::PatternTooComplex => PatternError::TooLarge,
                _ => PatternError::Unsupported("a look-behind of variable length"),
            },
            _ => PatternError::Unsupported("something that the backtracking engine refuses"),
        })
}

/// The longest published pattern has 172 bytes.
pub const MAX_PATTERN_BYTES: usize = 4 << 10;

/// Groups inside groups; published patterns have 3. Bounds the recursion of reading them.
pub const MAX_NESTING: usize = 64;

/// For each automaton of a pattern. The largest published pattern needs a tenth of it.
pub const MAX_PROGRAM_BYTES: usize = 1 << 20;

/// For an automaton with all its states. A pattern of dates needs a few thousand bytes; one with
/// counted repetitions of large classes would need a hundred times as much.
pub const MAX_WHOLE_AUTOMATON_BYTES: usize = 64 << 10;

/// For the program that such an automaton is made from; a larger one makes no small automaton.
const MAX_SMALL_PROGRAM_BYTES: usize = 128 << 10;

/// For the states that a linear engine builds while it runs, and keeps. More makes published
/// patterns no faster; without any, addresses of the web take six times as long.
pub const MAX_AUTOMATON_BYTES: usize = 16 << 10;

/// Steps back in one text. More than its length, so that a search through the longest text that
/// goes wrong at every position still ends with an answer.
pub const MAX_BACKTRACKS: usize = 4 * MAX_BACKTRACKING_TEXT_BYTES;

/// Texts longer than this are not given to the backtracking engine, whose every step may read the
/// rest of the text. Values under published patterns with look-around have at most 40 characters.
pub const MAX_BACKTRACKING_TEXT_BYTES: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// A pattern, texts that match and texts that do not.
    type Rule = (&'static str, &'static [&'static str], &'static [&'static str]);

    const RULES: &[Rule] = &[
        // Not anchored, unless it says so; the end is the end and not the last line's.
        ("b", &["b", "abc"], &["", "a"]),
        ("^b$", &["b"], &["ab", "b\n", "a\nb"]),
        ("", &["", "anything"], &[]),
        ("a||b", &["", "c"], &[]),
        // Classes are ASCII's, white space is ECMA-262's.
        (r"^\d$", &["7"], &["٣", "a"]),
        (r"^\D$", &["٣", "a"], &["7"]),
        (r"^\w$", &["a", "_", "0"], &["é", "-"]),
        (r"^\W$", &["é", "-", "\u{1F600}"], &["a", "_"]),
        (r"^\s$", &[" ", "\t", "\u{b}", "\u{a0}", "\u{feff}", "\u{2028}"], &["\u{85}", "\u{180e}"]),
        (r"^\S$", &["\u{85}", "x"], &["\u{feff}", "\u{3000}"]),
        (r"^[\s]$", &["\u{feff}"], &["\u{85}"]),
        (r"^[^\s\d]$", &["\u{85}", "é"], &["\u{feff}", "5", "\n"]),
        (r"^[^\S]$", &["\u{feff}"], &["\u{85}"]),
        (r"\bb", &["b", "éb", "a b"], &["ab", "_b"]),
        (r"a\B", &["ab"], &["a", "aé", "a b"]),
        (r"^.$", &["a", "\u{85}", "\u{b}", "é"], &["\n", "\r", "\u{2028}", "\u{2029}", ""]),
        // Code points, not UTF-16 units.
        ("^.$", &["\u{1F600}"], &["\u{1F600}\u{1F600}"]),
        (r"^\uD83D\uDE00$", &["\u{1F600}"], &["\u{1F601}"]),
        (r"^[\uD83D\uDE00-\uD83D\uDE05]$", &["\u{1F601}"], &["\u{1F606}"]),
        (r"\uD83D|a", &["a"], &["\u{1F600}"]),
        // Escapes.
        (r"^\/\-\@\!$", &["/-@!"], &[]),
        (r"^\a\z\Q\A$", &["azQA"], &["a"]),
        (r"^\t\n\v\f\r$", &["\t\n\u{b}\u{c}\r"], &[]),
        (r"^\cA\cz$", &["\u{1}\u{1a}"], &["cAcz"]),
        (r"^\c1$", &[r"\c1"], &["\u{11}"]),
        (r"^[\c1\c_]$", &["\u{11}", "\u{1f}"], &["c", "\\"]),
        (r"^[\c*]$", &["\\", "c", "*"], &["\u{a}"]),
        (r"^\x41\x4g$", &["Ax4g"], &[]),
        (r"^\u00e9\u00e$", &["éu00e"], &[]),
        (r"^\0$", &["\0"], &["0"]),
        (r"^\00$", &["\0"], &["00"]),
        (r"^\07\101\400\8$", &["\u{7}A\u{20}08"], &[]),
        (r"^[\1\b\8\B]$", &["\u{1}", "\u{8}", "8", "B"], &["1", "b", "\\"]),
        (r"^\k<a>$", &["k<a>"], &[]),
        // Classes know nothing of set operations.
        ("^[a&&b]$", &["a", "&", "b"], &["c"]),
        ("^[+--~~]$", &["+", ",", "-", "~"], &["a", "&"]),
        ("^[[a]$", &["[", "a"], &["]"]),
        ("^[[:digit:]]$", &[":]", "d]"], &["1", "1]"]),
        (r"^[\w-a]$", &["-", "z"], &["+"]),
        (r"^[+-\d]$", &["+", "-", "4"], &[","]),
        ("^[-a]$", &["-", "a"], &["b"]),
        ("^[a-]$", &["-", "a"], &["b"]),
        ("[]", &[], &["", "a"]),
        ("^[^]$", &["a", "\n", "\u{1F600}"], &["", "ab"]),
        // Annex B: braces and brackets that close or count nothing stand for themselves.
        ("^a{,5}$", &["a{,5}"], &["aa"]),
        ("^a{1$", &["a{1"], &["a"]),
        ("^{a}$", &["{a}"], &["a"]),
        ("^]$", &["]"], &[]),
        ("^x{2}$", &["xx"], &["x", "xxx"]),
        ("^x{2,}?$", &["xx", "xxx"], &["x"]),
        ("^x{0,2}y{01}$", &["y", "xy", "xxy"], &["xxxy"]),
        ("^a {2}#b$", &["a  #b"], &["ab"]),
        // Groups.
        ("^(?<year>a)(b)(?:c)$", &["abc"], &[]),
        ("^(a|b)+$", &["abba"], &["abc"]),
        ("^(a*)*$", &["", "aa"], &["b"]),
        // Look-around.
        (r"^(?!\s)(.*)(\S)$", &["a", "a b"], &["", " a", "a ", "a\nb"]),
        (r"^P(?!$)(\d+Y)?(T(?=\d)(\d+H)?)?$", &["P1Y", "PT2H", "P1YT2H"], &["P", "PT", "P1YT"]),
        ("(?<=a)b", &["ab"], &["b", "cb"]),
        ("(?<!a)b", &["b", "cb"], &["ab"]),
        (r"(?=\u00e9)\W\B$", &["é"], &["a"]),
        (r"(?=.)\ba\b.(?!x)", &["a.", "éa-"], &["ab", "éab", "a-x"]),
        ("^(?=a)*b(?=c)+", &["bc"], &["b", "ab"]),
    ];

    #[test]
    fn every_rule_of_ecma_262_is_kept() {
        for (source, matching, others) in RULES {
            let pattern =
                Pattern::compile(source).unwrap_or_else(|error| panic!("{source}: {error}"));
            for text in *matching {
                assert_eq!(pattern.is_match(text), Ok(true), "{source} on {text:?}");
            }
            for text in *others {
                assert_eq!(pattern.is_match(text), Ok(false), "{source} on {text:?}");
            }
        }
    }

    #[test]
    fn what_ecma_262_refuses_is_refused() {
        let sources = [
            "*", "^*", "a**", "a{2}{3}", "{1}", "a{2,1}", r"\b+", "(?<=a)*", "a|+", "(", ")", "(a",
            "a)", "[", "[a", r"[a\]", "\\", "[b-a]", "(?", "(?i)a", "(?P<n>a)", "(?<>a)",
            "(?<1>a)", "(?<n", "(?a)",
        ];
        for source in sources {
            let error = Pattern::compile(source).expect_err(source);
            assert!(matches!(error, PatternError::Syntax { .. }), "{source}: {error}");
        }
    }

    #[test]
    fn what_has_no_engine_or_two_readings_is_unsupported() {
        for source in [r"(a)\1", r"\1(a)", r"(?<n>a)\k<n>", r"\u{41}", r"\p{L}", r"[\P{L}]"] {
            let error = Pattern::compile(source).expect_err(source);
            assert!(matches!(error, PatternError::Unsupported(_)), "{source}: {error}");
        }
        // One group, so the second is an octal escape.
        assert_eq!(Pattern::compile(r"^(a)\2$").unwrap().is_match("a\u{2}"), Ok(true));
        assert_eq!(Pattern::compile(r"^[(]\1$").unwrap().is_match("(\u{1}"), Ok(true));
    }

    #[test]
    fn limits_are_errors() {
        let compile = |source: String| Pattern::compile(&source).map(|_| ());
        assert_eq!(compile("a".repeat(MAX_PATTERN_BYTES)), Ok(()));
        assert_eq!(compile("a".repeat(MAX_PATTERN_BYTES + 1)), Err(PatternError::TooLong));
        let nested = |depth| "(".repeat(depth) + "a" + &")*".repeat(depth);
        assert_eq!(compile(nested(MAX_NESTING - 1)), Ok(()));
        assert_eq!(compile(nested(MAX_NESTING)), Err(PatternError::TooDeep));
        assert_eq!(compile(format!("(?=b){}", nested(MAX_NESTING - 1))), Ok(()));
        for source in
            ["(a{1000}){1000}", "a{99999999999}", "(?=(a{1000}){1000})", r"(?!a)\w{99999}"]
        {
            assert_eq!(compile(source.to_owned()), Err(PatternError::TooLarge), "{source}");
        }
    }

    #[test]
    fn backtracking_ends() {
        let pattern = Pattern::compile("(?=a)(((a*)*(?!b))*)*c").unwrap();
        assert_eq!(pattern.engine(), Engine::Backtracking);
        assert_eq!(pattern.is_match(&"a".repeat(100)), Err(Exhausted));
        let trimmed = Pattern::compile(r"^(?!\s)(.*)(\S)$").unwrap();
        let longest = "a".repeat(MAX_BACKTRACKING_TEXT_BYTES);
        assert_eq!(trimmed.is_match(&longest), Ok(true));
        assert_eq!(trimmed.is_match(&longest.replace('a', " ")), Ok(false));
        assert_eq!(trimmed.is_match(&(longest + "a")), Err(Exhausted));
    }
}
