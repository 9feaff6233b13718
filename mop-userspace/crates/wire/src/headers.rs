//! Field lines of one message (RFC 9110 section 5).
//!
//! All names lie in one buffer and all values in another, so that a head costs three allocations
//! however many lines it has.
//!
//! Invariant: `lines[i].name_end <= lines[i + 1].name_end <= names.len()`, and likewise for values.

/// Field lines in the order of the wire; names keep their case.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers {
    names: String,
    values: Vec<u8>,
    lines: Vec<Line>,
}

/// Where one field line ends in the two buffers; it begins where the one before it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line {
    name_end: usize,
    value_end: usize,
}

impl Headers {
    /// No field line yet, with room for this many.
    #[must_use]
    pub fn with_capacity(lines: usize, name_bytes: usize, value_bytes: usize) -> Self {
        Self {
            names: String::with_capacity(name_bytes),
            values: Vec::with_capacity(value_bytes),
            lines: Vec::with_capacity(lines),
        }
    }

    /// Adds a field line at the end.
    pub fn push(&mut self, name: &str, value: &[u8]) {
        self.names.push_str(name);
        self.values.extend_from_slice(value);
        self.lines.push(Line { name_end: self.names.len(), value_end: self.values.len() });
    }

    /// All field lines, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut name_start = 0;
        let mut value_start = 0;
        self.lines.iter().map(move |line| {
            // The ranges are inside the buffers by the invariant above; an empty slice stands in
            // for the impossible case, so that no outside byte can lead to a panic.
            let name = self.names.get(name_start..line.name_end).unwrap_or_default();
            let value = self.values.get(value_start..line.value_end).unwrap_or_default();
            name_start = line.name_end;
            value_start = line.value_end;
            (name, value)
        })
    }

    /// The values of every field line with this name (case-insensitive, RFC 9110 section 5.1).
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The value of the first field line with this name.
    #[must_use]
    pub fn first<'a>(&'a self, name: &'a str) -> Option<&'a [u8]> {
        self.values(name).next()
    }

    /// How many field lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Memory that the field lines occupy.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.names.capacity() + self.values.capacity() + self.lines.capacity() * size_of::<Line>()
    }
}

/// Names only: values may be secrets.
impl std::fmt::Debug for Headers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.iter().map(|(name, value)| (name, value.len()));
        f.debug_map().entries(names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_order_case_and_repetition() {
        let mut headers = Headers::default();
        headers.push("Set-Cookie", b"a=1");
        headers.push("X", b"");
        headers.push("set-cookie", b"b=\xff");
        let lines: Vec<_> = headers.iter().collect();
        assert_eq!(lines, [("Set-Cookie", &b"a=1"[..]), ("X", b""), ("set-cookie", b"b=\xff")]);
        assert_eq!(headers.values("SET-COOKIE").collect::<Vec<_>>(), [&b"a=1"[..], b"b=\xff"]);
        assert_eq!(headers.first("y"), None);
        assert_eq!(headers.len(), 3);
    }

    #[test]
    fn debug_output_has_no_values() {
        let mut headers = Headers::default();
        headers.push("Authorization", b"secret");
        assert_eq!(format!("{headers:?}"), r#"{"Authorization": 6}"#);
    }
}
