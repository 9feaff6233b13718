//! Reads a value as a database does: into tokens, from inside a number, a text or a statement on.

use super::word;

/// What a token is to the tests of structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    All,
    Alter,
    Arithmetic,
    By,
    Case,
    Cast,
    Close,
    Comma,
    /// Up to the end of a line or of the value.
    Comment,
    Comparator,
    Create,
    Declare,
    Delete,
    Dot,
    Drop,
    /// There is no token.
    End,
    Exec,
    /// A function, with its parenthesis at once behind it.
    Function,
    From,
    Group,
    Having,
    Insert,
    Into,
    Limit,
    Logic,
    Name,
    Not,
    Null,
    Number,
    Object,
    Open,
    Order,
    Other,
    Outfile,
    /// Name of a table or column that attacks ask for, but others may too.
    Schema,
    Select,
    Semicolon,
    Set,
    Shutdown,
    Sleep,
    /// A name that only catalogues and system procedures have.
    System,
    /// A function that hardly anything but attacks calls.
    Strong,
    /// The same, but it is a word of texts as well, and its parenthesis is not at once behind it.
    StrongWord,
    Text,
    /// A text that does not end.
    TextOpen,
    Then,
    Truncate,
    Union,
    Update,
    Values,
    Variable,
    Waitfor,
    When,
    Where,
    /// A comparison that is a word.
    WordComparator,
}

/// One token. Has no `Debug`: what was received is never printed.
#[derive(Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a [u8],
}

/// Where the statement of the application is when the value begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    /// Outside of texts, such as where a number is expected.
    Bare,
    /// In a text that this quote ends.
    Within(u8),
}

/// Gives the tokens of a value, one after the other.
pub(super) struct Tokenizer<'a> {
    rest: &'a [u8],
    context: Context,
    /// A comment of MySQL was seen whose content is executed.
    pub(super) has_conditional: bool,
}

impl<'a> Tokenizer<'a> {
    pub(super) fn new(bytes: &'a [u8], context: Context) -> Self {
        Self { rest: bytes, context, has_conditional: false }
    }

    /// Splits what is left.
    fn take(&mut self, kind: Kind, length: usize) -> Token<'a> {
        let (text, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, &[]));
        self.rest = rest;
        Token { kind, text }
    }

    /// A text up to its quote; `''` stands for a quote, and so does `\'` but in the text that the
    /// value begins in, since what escapes it may be escaped in turn.
    fn text(&mut self, inside: &'a [u8], quote: u8, is_first: bool) -> Token<'a> {
        let mut rest = inside;
        loop {
            match rest {
                [] => {
                    self.rest = &[];
                    return Token { kind: Kind::TextOpen, text: inside };
                }
                [b'\\', _, after @ ..] if !is_first => rest = after,
                [first, second, after @ ..] if *first == quote && *second == quote => rest = after,
                [first, after @ ..] if *first == quote => {
                    let length = inside.len() - rest.len();
                    self.rest = after;
                    let text = inside.get(..length).unwrap_or_default();
                    return Token { kind: Kind::Text, text };
                }
                [_, after @ ..] => rest = after,
            }
        }
    }

    /// To the end of the line.
    fn line(&mut self) -> Token<'a> {
        let end = self.rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        self.take(Kind::Comment, end.unwrap_or(self.rest.len()))
    }

    fn number(&mut self) -> Token<'a> {
        if let [b'0', b'x' | b'X', digits @ ..] = self.rest {
            let length = run(digits, |byte| byte.is_ascii_hexdigit());
            if length > 0 {
                return self.take(Kind::Number, length + 2);
            }
        }
        let mut length = run(self.rest, |byte| byte.is_ascii_digit() || byte == b'.');
        if let Some([b'e' | b'E', after @ ..]) = self.rest.get(length..) {
            let sign = usize::from(matches!(after, [b'+' | b'-', ..]));
            let digits = run(after.get(sign..).unwrap_or_default(), |byte| byte.is_ascii_digit());
            if digits > 0 {
                length += 1 + sign + digits;
            }
        }
        self.take(Kind::Number, length)
    }

    fn word(&mut self) -> Token<'a> {
        let length = word_length(self.rest).max(1);
        let mut token = self.take(Kind::Name, length);
        token.kind = word::kind(token.text);
        let is_called = matches!(self.rest, [b'(', ..]);
        match token.kind {
            Kind::Function | Kind::Sleep if !is_called => token.kind = Kind::Name,
            Kind::StrongWord if is_called => token.kind = Kind::Strong,
            Kind::Object if is_called && token.text.eq_ignore_ascii_case(b"user") => {
                token.kind = Kind::Function;
            }
            _ => {}
        }
        token
    }
}

impl<'a> Iterator for Tokenizer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        if let Context::Within(quote) = self.context {
            self.context = Context::Bare;
            return Some(self.text(self.rest, quote, true));
        }
        loop {
            match self.rest {
                [] => return None,
                [0..=b' ' | 0x7f | 0xa0, rest @ ..] | [0xc2, 0xa0, rest @ ..] => self.rest = rest,
                [b'/', b'*', b'!', inside @ ..] => {
                    self.has_conditional = true;
                    let digits = run(inside, |byte| byte.is_ascii_digit());
                    self.rest = inside.get(digits..).unwrap_or_default();
                }
                [b'/', b'*', inside @ ..] => {
                    let end = inside.windows(2).position(|pair| pair == b"*/");
                    match end.and_then(|end| inside.get(end + 2..)) {
                        Some(after) => self.rest = after,
                        None => return Some(self.take(Kind::Comment, usize::MAX)),
                    }
                }
                [b'*', b'/', rest @ ..] if self.has_conditional => self.rest = rest,
                _ => break,
            }
        }
        Some(match self.rest {
            [] => return None,
            [b'-', b'-', ..] | [b'#', ..] => self.line(),
            [quote @ (b'\'' | b'"'), inside @ ..] => self.text(inside, *quote, false),
            [b'`', inside @ ..] => {
                match inside.iter().take(MAX_NAME).position(|byte| *byte == b'`') {
                    Some(end) => self.take(Kind::Name, end + 2),
                    None => self.take(Kind::Other, 1),
                }
            }
            [b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..] => self.number(),
            [b'(', ..] => self.take(Kind::Open, 1),
            [b')', ..] => self.take(Kind::Close, 1),
            [b',', ..] => self.take(Kind::Comma, 1),
            [b';', ..] => self.take(Kind::Semicolon, 1),
            [b'.', ..] => self.take(Kind::Dot, 1),
            [b':', b':', ..] => self.take(Kind::Cast, 2),
            [b'|', b'|', ..] | [b'&', b'&', ..] => self.take(Kind::Logic, 2),
            [b'<', b'=', b'>', ..] => self.take(Kind::Comparator, 3),
            [b'<', b'=' | b'>' | b'@', ..]
            | [b'>' | b'!' | b'=' | b':', b'=', ..]
            | [b'@', b'>', ..] => self.take(Kind::Comparator, 2),
            [b'=' | b'<' | b'>', ..] => self.take(Kind::Comparator, 1),
            [b'!', ..] => self.take(Kind::Not, 1),
            [b'-', b'>', b'>', ..] => self.take(Kind::Arithmetic, 3),
            [b'-', b'>', ..] => self.take(Kind::Arithmetic, 2),
            [b'+' | b'-' | b'*' | b'/' | b'%' | b'^' | b'|' | b'&' | b'~', ..] => {
                self.take(Kind::Arithmetic, 1)
            }
            [b'@', b'@', after @ ..] => self.take(Kind::Variable, 2 + run(after, is_of_word)),
            [b'@', after @ ..] => self.take(Kind::Variable, 1 + run(after, is_of_word)),
            [byte, ..] if is_of_word(*byte) => self.word(),
            _ => self.take(Kind::Other, 1),
        })
    }
}

/// How many bytes at the start are of a kind.
fn run(bytes: &[u8], is_of: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| is_of(**byte)).count()
}

/// How long the word at the start is. The no-break space, in UTF-8 or Latin-1, is white space to
/// MySQL.
pub(super) fn word_length(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    let mut last = 0;
    loop {
        rest = match rest {
            [0xc2, 0xa0, ..] => break,
            [0xa0, ..] if last < 0x80 => break,
            [byte, after @ ..] if is_of_word(*byte) => {
                last = *byte;
                after
            }
            _ => break,
        }
    }
    bytes.len() - rest.len()
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | 0x80..)
}

/// No database has longer names, so that names which do not end are looked at in linear time.
const MAX_NAME: usize = 128;
