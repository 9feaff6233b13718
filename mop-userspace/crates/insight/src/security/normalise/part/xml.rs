//! Text and attribute values of XML, well-formed or not.
//!
//! Nothing is resolved: what declares entities is given as markup, and references stay as they are.
//! Each byte is read once; when something does not end, the rest is given as it is.

use super::Place;

/// A piece of a document.
pub(super) struct Piece<'a> {
    pub(super) place: Place,
    /// Of the attribute, or of the element that began last.
    pub(super) name: Option<&'a [u8]>,
    pub(super) text: &'a [u8],
}

/// Gives each text that is not only white space, attribute value, declaration and instruction.
pub(super) fn pieces(document: &[u8], give: &mut dyn FnMut(Piece<'_>)) {
    let mut rest = document;
    let mut element = None;
    while !rest.is_empty() {
        let (text, markup) = rest.split_at(until(rest, b"<").unwrap_or(rest.len()));
        piece(Place::XmlText, element, text, give);
        rest = match markup {
            [] => return,
            [b'<', b'!', b'-', b'-', inside @ ..] => {
                cut(inside, b"-->", Place::XmlText, element, give)
            }
            [b'<', b'!', b'[', b'C', b'D', b'A', b'T', b'A', b'[', inside @ ..] => {
                cut(inside, b"]]>", Place::XmlText, element, give)
            }
            [b'<', b'!', inside @ ..] if has_subset(inside) => {
                cut(inside, b"]>", Place::XmlMarkup, None, give)
            }
            [b'<', b'!' | b'?', inside @ ..] => cut(inside, b">", Place::XmlMarkup, None, give),
            [b'<', b'/', inside @ ..] => {
                let end = until(inside, b">").map_or(inside.len(), |end| end + 1);
                inside.get(end..).unwrap_or_default()
            }
            [_, inside @ ..] => {
                let name =
                    inside.iter().position(|byte| is_name_end(*byte)).unwrap_or(inside.len());
                let (name, attributes) = inside.split_at(name);
                element = Some(name);
                self::attributes(attributes, give)
            }
        };
    }
}

/// Gives what stands before an end, or the rest; returns what follows.
fn cut<'a>(
    inside: &'a [u8],
    end: &[u8],
    place: Place,
    name: Option<&'a [u8]>,
    give: &mut dyn FnMut(Piece<'_>),
) -> &'a [u8] {
    let at = until(inside, end).unwrap_or(inside.len());
    piece(place, name, inside.get(..at).unwrap_or_default(), give);
    inside.get(at + end.len()..).unwrap_or_default()
}

/// Gives the attributes of a tag; returns what follows the tag.
fn attributes<'a>(mut rest: &'a [u8], give: &mut dyn FnMut(Piece<'_>)) -> &'a [u8] {
    loop {
        let skipped = rest.iter().take_while(|byte| byte.is_ascii_whitespace() || **byte == b'/');
        rest = rest.get(skipped.count()..).unwrap_or_default();
        match rest {
            [] => return rest,
            [b'>', after @ ..] => return after,
            _ => {}
        }
        // At least one byte, so that a stray `=` does not stop the reading.
        let end = rest.iter().skip(1).position(|byte| is_name_end(*byte) || *byte == b'=');
        let (name, after) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
        let after = after.trim_ascii_start();
        let Some(value) = after.strip_prefix(b"=") else {
            rest = after;
            continue;
        };
        let value = value.trim_ascii_start();
        let (value, after) = match value {
            [quote @ (b'"' | b'\''), quoted @ ..] => {
                let (value, after) =
                    quoted.split_at(until(quoted, &[*quote]).unwrap_or(quoted.len()));
                (value, after.get(1..).unwrap_or_default())
            }
            bare => {
                let end = bare.iter().position(|byte| byte.is_ascii_whitespace() || *byte == b'>');
                bare.split_at(end.unwrap_or(bare.len()))
            }
        };
        piece(Place::XmlAttribute, Some(name), value, give);
        rest = after;
    }
}

fn piece(place: Place, name: Option<&[u8]>, text: &[u8], give: &mut dyn FnMut(Piece<'_>)) {
    let text = text.trim_ascii();
    if !text.is_empty() {
        give(Piece { place, name, text });
    }
}

/// Whether a declaration holds others in brackets.
fn has_subset(declaration: &[u8]) -> bool {
    let first = declaration.iter().find(|byte| matches!(byte, b'[' | b'>'));
    first == Some(&b'[')
}

/// Where these bytes, three at most, are found first.
fn until(text: &[u8], end: &[u8]) -> Option<usize> {
    text.windows(end.len()).position(|window| window == end)
}

fn is_name_end(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/')
}
