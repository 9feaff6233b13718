//! Paths as servers resolve them: dot segments removed (RFC 3986, section 5.2.4), `\` taken for
//! `/`, several slashes for one, and parameters of segments (`;jsessionid=…`) left out.

/// What becomes of `;…` at the end of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameters {
    /// It is part of the segment.
    Kept,
    /// It is left out, as servlet containers do.
    Removed,
}

/// Writes the path that is meant. A path without a slash at its start stays without; dot segments
/// above its start are dropped.
pub fn normalise(input: &[u8], parameters: Parameters, output: &mut Vec<u8>) -> bool {
    let before = output.len();
    let is_slash = |byte: &u8| matches!(byte, b'/' | b'\\');
    let is_absolute = input.first().is_some_and(is_slash);
    let root = before + usize::from(is_absolute);
    if is_absolute {
        output.push(b'/');
    }
    let mut ends_open = false;
    for segment in input.split(is_slash) {
        let segment = match parameters {
            Parameters::Kept => segment,
            Parameters::Removed => segment.split(|byte| *byte == b';').next().unwrap_or_default(),
        };
        ends_open = matches!(segment, b"" | b"." | b"..");
        match segment {
            b"" | b"." => {}
            b".." => remove_last(root, output),
            name => {
                if output.len() > root {
                    output.push(b'/');
                }
                output.extend_from_slice(name);
            }
        }
    }
    if ends_open && output.len() > root {
        output.push(b'/');
    }
    output.get(before..) != Some(input)
}

/// Each byte that is looked at here is removed, so all removals together cost one reading.
fn remove_last(root: usize, output: &mut Vec<u8>) {
    let segments = output.get(root..).unwrap_or_default();
    let kept = segments.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    output.truncate(root + kept);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normal(input: &[u8], parameters: Parameters) -> Vec<u8> {
        let mut output = Vec::new();
        let _changed = normalise(input, parameters, &mut output);
        output
    }

    #[test]
    fn known_answers() {
        for (input, expected) in [
            // RFC 3986, section 5.2.4.
            ("/a/b/c/./../../g", "/a/g"),
            ("mid/content=5/../6", "mid/6"),
            ("/a/b/..", "/a/"),
            ("/a/b/.", "/a/b/"),
            ("/../../etc/passwd", "/etc/passwd"),
            (r"\..\..\windows\win.ini", "/windows/win.ini"),
            ("//a///b//", "/a/b/"),
            ("/a;x=1/b;y/..;/c", "/a/c"),
            ("/a/.;x/b", "/a/b"),
            ("/", "/"),
            ("", ""),
            ("..", ""),
            ("a/..", ""),
            ("/a/...", "/a/..."),
        ] {
            let output = normal(input.as_bytes(), Parameters::Removed);
            assert_eq!(output, expected.as_bytes(), "{input}");
        }
        assert_eq!(normal(b"/a;x/../b;y", Parameters::Kept), b"/b;y");
    }

    proptest! {
        #[test]
        fn a_normal_path_is_normal(
            pieces in prop::collection::vec("[/\\\\.;a]{1,4}|é", 0..20),
            removed in any::<bool>(),
        ) {
            let parameters = if removed { Parameters::Removed } else { Parameters::Kept };
            let once = normal(pieces.concat().as_bytes(), parameters);
            prop_assert_eq!(&normal(&once, parameters), &once);
            let holds = |bad: &[u8]| once.windows(bad.len()).any(|window| window == bad);
            prop_assert!(!holds(b"//") && !holds(b"/./") && !holds(b"/../") && !holds(b"\\"));
        }
    }
}
