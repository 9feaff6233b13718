//! Reads the fields of a handshake message off its front.

use super::HelloError;

/// A position in a message. Every read past the end is [`HelloError::Malformed`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], HelloError> {
        let (bytes, rest) = self.rest.split_at_checked(count).ok_or(HelloError::Malformed)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8, HelloError> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, HelloError> {
        self.array().map(u16::from_be_bytes)
    }

    /// A vector behind a length of one byte.
    pub(super) fn short(&mut self) -> Result<Self, HelloError> {
        let length = usize::from(self.u8()?);
        self.bytes(length).map(Self::new)
    }

    /// A vector behind a length of two bytes.
    pub(super) fn long(&mut self) -> Result<Self, HelloError> {
        let length = usize::from(self.u16()?);
        self.bytes(length).map(Self::new)
    }

    /// All that is left, as numbers of two bytes.
    pub(super) fn numbers(mut self) -> Result<Vec<u16>, HelloError> {
        let mut numbers = Vec::with_capacity(self.rest.len() / 2);
        while !self.is_empty() {
            numbers.push(self.u16()?);
        }
        Ok(numbers)
    }

    /// All that is left.
    pub(super) fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// Nothing may be left.
    pub(super) fn finish(self) -> Result<(), HelloError> {
        if self.is_empty() { Ok(()) } else { Err(HelloError::Malformed) }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], HelloError> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(HelloError::Malformed)?;
        self.rest = rest;
        Ok(*array)
    }
}
