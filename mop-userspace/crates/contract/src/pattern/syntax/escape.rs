//! What comes after a backslash: ECMA-262, 22.2.1 and Annex B.1.2.

use super::{ClassAtom, Node, Parser, PatternError, Set};

impl Parser {
    /// After a backslash outside of a class.
    pub(super) fn escape(&mut self) -> Result<Node, PatternError> {
        match self.peek() {
            Some(boundary @ ('b' | 'B')) => {
                self.at += 1;
                Ok(Node::WordBoundary { negative: boundary == 'B' })
            }
            Some('1'..='9') => {
                let starts_here = self.at;
                let number = self.number().unwrap_or(0);
                if usize::try_from(number).is_ok_and(|number| number <= self.groups) {
                    return Err(PatternError::Unsupported("a back-reference"));
                }
                self.at = starts_here;
                Ok(self.octal())
            }
            Some('k') if self.has_names => Err(PatternError::Unsupported("a back-reference")),
            _ => Ok(match self.common_escape()? {
                ClassAtom::Character(code_point) => Node::Set(Set::one(code_point)),
                ClassAtom::Set(set) => Node::Set(set),
            }),
        }
    }

    fn octal(&mut self) -> Node {
        Node::Set(Set::one(self.octal_escape()))
    }

    /// `LegacyOctalEscapeSequence` (Annex B.1.2): as many digits as stay under 256. `\8` and `\9`
    /// are the digits themselves.
    fn octal_escape(&mut self) -> u32 {
        let Some(first) = self.peek().and_then(|next| next.to_digit(8)) else {
            return self.next().map_or(0, u32::from);
        };
        self.at += 1;
        let mut code_point = first;
        for _ in 0..2 {
            let Some(digit) = self.peek().and_then(|next| next.to_digit(8)) else { break };
            if code_point * 8 + digit > MAX_OCTAL {
                break;
            }
            code_point = code_point * 8 + digit;
            self.at += 1;
        }
        code_point
    }

    /// What is the same inside and outside of a class.
    pub(super) fn common_escape(&mut self) -> Result<ClassAtom, PatternError> {
        if matches!(self.peek(), Some('0'..='9')) {
            return Ok(ClassAtom::Character(self.octal_escape()));
        }
        let Some(escaped) = self.next() else { return Err(self.error("\\ at the end")) };
        Ok(match escaped {
            'd' => ClassAtom::Set(Set::digits()),
            'D' => ClassAtom::Set(Set::digits().complement()),
            's' => ClassAtom::Set(Set::white_space()),
            'S' => ClassAtom::Set(Set::white_space().complement()),
            'w' => ClassAtom::Set(Set::word()),
            'W' => ClassAtom::Set(Set::word().complement()),
            'f' => ClassAtom::Character(0x0c),
            'n' => ClassAtom::Character(0x0a),
            'r' => ClassAtom::Character(0x0d),
            't' => ClassAtom::Character(0x09),
            'v' => ClassAtom::Character(0x0b),
            'c' => ClassAtom::Character(self.control_escape(char::is_ascii_alphabetic)),
            'x' => ClassAtom::Character(self.hexadecimal(2).unwrap_or('x'.into())),
            'u' | 'p' | 'P' if self.peek() == Some('{') => {
                return Err(PatternError::Unsupported("an escape that the u flag changes"));
            }
            'u' => ClassAtom::Character(self.unicode_escape()),
            itself => ClassAtom::Character(itself.into()),
        })
    }

    /// `\cX`. Without a letter, Annex B takes the backslash for itself and the `c` as the next.
    pub(super) fn control_escape(&mut self, is_letter: fn(&char) -> bool) -> u32 {
        match self.peek().filter(is_letter) {
            Some(letter) => {
                self.at += 1;
                u32::from(letter) % 32
            }
            None => {
                self.at -= 1;
                '\\'.into()
            }
        }
    }

    /// `\uHHHH`, or two of them that are one character.
    fn unicode_escape(&mut self) -> u32 {
        let Some(unit) = self.hexadecimal(4) else { return 'u'.into() };
        let starts_here = self.at;
        if let 0xd800..0xdc00 = unit
            && self.take('\\')
            && self.take('u')
            && let Some(low @ 0xdc00..0xe000) = self.hexadecimal(4)
        {
            return 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        }
        self.at = starts_here;
        unit
    }

    fn hexadecimal(&mut self, digits: usize) -> Option<u32> {
        let text = self.characters.get(self.at..self.at + digits)?;
        let value = text.iter().try_fold(0, |value, digit| Some(value * 16 + digit.to_digit(16)?));
        if value.is_some() {
            self.at += digits;
        }
        value
    }
}

/// The largest octal escape is `\377`.
const MAX_OCTAL: u32 = 0xff;
