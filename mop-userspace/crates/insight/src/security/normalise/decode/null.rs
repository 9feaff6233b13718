//! Null bytes: readers in C stop at them, others do not, so what is read is the text without them.

/// Leaves null bytes out.
pub fn decode(input: &[u8], output: &mut Vec<u8>) -> bool {
    let before = output.len();
    output.extend(input.iter().filter(|byte| **byte != 0));
    output.len() - before < input.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_bytes_are_left_out() {
        let mut output = Vec::new();
        assert!(decode(b"\0un\0ion\0", &mut output));
        assert_eq!(output, b"union");
        assert!(!decode(b"x", &mut output));
        assert_eq!(output, b"unionx");
    }
}
