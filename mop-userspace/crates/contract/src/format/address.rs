//! Names of hosts.

/// RFC 1123, 2.1, with the lengths of RFC 1035, 2.3.4: labels of letters, digits and inner hyphens.
pub(super) fn is_hostname(text: &str) -> bool {
    text.len() <= MAX_HOSTNAME_BYTES && text.split('.').all(|label| is_label(label.as_bytes()))
}

fn is_label(label: &[u8]) -> bool {
    label.len() <= MAX_LABEL_BYTES
        && label.first().is_some_and(u8::is_ascii_alphanumeric)
        && label.last().is_some_and(u8::is_ascii_alphanumeric)
        && label.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

/// 255 octets on the wire, less the length of the first label and the root.
const MAX_HOSTNAME_BYTES: usize = 253;

const MAX_LABEL_BYTES: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostnames() {
        let longest_label = "a".repeat(63);
        let longest = [longest_label.as_str(); 3].join(".") + "." + &"b".repeat(61);
        for text in [
            "a",
            "localhost",
            "api.example.com",
            "3com.example",
            "xn--maana-pta.example",
            "1",
            &longest,
        ] {
            assert!(is_hostname(text), "{text}");
        }
        for text in [
            "",
            ".",
            "a..b",
            ".a",
            "a.",
            "-a",
            "a-",
            "a.-b",
            "a_b",
            "mañana.example",
            "a b",
            "a.example:80",
            &format!("{longest}b"),
            &"a".repeat(64),
        ] {
            assert!(!is_hostname(text), "{text}");
        }
    }
}
