//! What a decoder says about one field.

/// A field of a block, as far as it is known. What is known is exact.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Field<'a> {
    /// Name and value.
    Known {
        /// The name; its bytes are not checked.
        name: &'a [u8],
        /// The value; its bytes are not checked.
        value: &'a [u8],
        /// The sender wants that nobody indexes it, since it is a secret (RFC 7541 section 7.1.3).
        is_never_indexed: bool,
    },
    /// The name is in a table entry that was not seen.
    UnknownName {
        /// The value; its bytes are not checked.
        value: &'a [u8],
        /// The sender wants that nobody indexes it, since it is a secret (RFC 7541 section 7.1.3).
        is_never_indexed: bool,
    },
    /// Name and value are in a table entry that was not seen.
    Unknown,
}

/// Names only: values may be secrets.
impl std::fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Known { name, value, is_never_indexed } => f
                .debug_struct("Known")
                .field("name", &String::from_utf8_lossy(name))
                .field("value_bytes", &value.len())
                .field("is_never_indexed", is_never_indexed)
                .finish(),
            Self::UnknownName { value, is_never_indexed } => f
                .debug_struct("UnknownName")
                .field("value_bytes", &value.len())
                .field("is_never_indexed", is_never_indexed)
                .finish(),
            Self::Unknown => f.write_str("Unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_has_no_values() {
        let field = Field::Known { name: b"cookie", value: b"secret", is_never_indexed: true };
        let unnamed = Field::UnknownName { value: b"secret", is_never_indexed: true };
        for text in [format!("{field:?}"), format!("{unnamed:?}")] {
            assert!(!text.contains("secret") && text.contains("value_bytes: 6"), "{text}");
        }
    }
}
