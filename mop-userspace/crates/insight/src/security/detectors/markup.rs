//! Cross-site scripting, read as a browser reads: tags and what their attributes do, addresses that
//! are scripts, and calls of scripts that break out of a string.

mod script;

use super::{
    Clues, Subject,
    letters::{
        after, begins, contains, head, is, is_one_of, least, marks, skip_space, skip_space_before,
        word, word_before,
    },
};

pub(super) fn suspicion(subject: &Subject<'_>) -> Option<u8> {
    let Subject { bytes, clues, .. } = *subject;
    if !clues.any(SIGNS) {
        return None;
    }
    let tags = if clues.any(const { Clues::these(b"<") }) { tags(bytes) } else { None };
    let attributes =
        if clues.any(const { Clues::these(b"=") }) { attributes(bytes, clues) } else { None };
    least([tags, attributes, script::suspicion(bytes, clues)])
}

/// Every `<`, as the start of a tag.
fn tags(text: &[u8]) -> Option<u8> {
    let first = marks(text, |byte| byte == b'<').next().and_then(|(before, _, after)| {
        // What closes an attribute and its tag, and opens the next.
        let before = skip_space_before(before);
        let next = after.first()?;
        let breaks_out = matches!(before, [.., b'"' | b'\'', b'>'])
            && (next.is_ascii_alphabetic() || matches!(next, b'/' | b'!'));
        breaks_out.then_some(1)
    });
    let each = least(marks(text, |byte| byte == b'<').map(|(_, _, after)| tag(after)));
    least([first, each])
}

/// What follows a `<`.
fn tag(text: &[u8]) -> Option<u8> {
    if let Some(comment) = after(text, "!--") {
        return (comment.len() > 1).then_some(3);
    }
    if let [b'/', closing @ ..] = text {
        let (name, _) = word(closing);
        return is_one_of(name, RAW_TEXT).then_some(1);
    }
    // Filters drop what browsers skip here: controls and null bytes.
    let (name, rest) = word(skip_space(text));
    let delimiter = rest.first().copied();
    let is_ended = delimiter.is_none_or(|byte| {
        byte <= b' ' || matches!(byte, b'/' | b'>' | b'"' | b'\'' | b'%' | b'+' | b'<' | b'\\')
    });
    if name.is_empty() || !is_ended {
        return None;
    }
    let is_spaced = text.first().is_some_and(|byte| *byte <= b' ');
    let is_placeholder = delimiter == Some(b'>') || delimiter.is_none();
    if is(name, "script") {
        return Some(1);
    }
    if is_spaced {
        return None;
    }
    if is_one_of(name, ACTIVE) {
        return Some(1);
    }
    let attributes = head(rest, MAX_TAG_BYTES);
    if is_one_of(name, RISKY) && !is_placeholder {
        return Some(if attributes.contains(&b'=') { 1 } else { 2 });
    }
    is_one_of(name, PLAIN).then_some(3)
}

/// Every `=`, as the middle of an attribute.
fn attributes(text: &[u8], clues: Clues) -> Option<u8> {
    let is_code = clues.any(const { Clues::these(b"<\"'`(") });
    least(marks(text, |byte| byte == b'=').map(|(before, _, after)| {
        let before = skip_space_before(before);
        let name = word_before(before);
        let lead = before.get(..before.len() - name.len()).unwrap_or_default().last();
        attribute(name, lead.copied(), skip_space(after), is_code)
    }))
}

fn attribute(name: &[u8], lead: Option<u8>, value: &[u8], is_code: bool) -> Option<u8> {
    let is_separate = lead.is_none_or(|byte| {
        byte <= b' ' || byte >= 0x80 || matches!(byte, b'/' | b'"' | b'\'' | b'`' | b'>' | b'+')
    });
    if is_separate && begins(name, &["on"]) && begins(name.get(2..)?, EVENTS) {
        // A parameter of a field may be called so, and has a plain value.
        return Some(if is_code { 1 } else { 2 });
    }
    if lead == Some(b'{') && begins(name, &["on"]) && is_one_of(value, EVALUATORS) {
        return Some(1);
    }
    if is_one_of(name, &["srcdoc", "formaction"]) && is_separate {
        return Some(1);
    }
    let is_quoted = matches!(value.first(), Some(b'"' | b'\''));
    match lead {
        // `xlink:href`, `v-on:click`, `x-on:click`, `xml:base`.
        Some(b':') if is_one_of(name, &["href", "click"]) && is_code => Some(2),
        // `ng-init`, `ng-click`, `data-ng-app`, `v-html`, `http-equiv`.
        Some(b'-') if is_quoted && is_one_of(name, FRAMEWORK) => Some(1),
        _ => None,
    }
}

/// Characters of which each attack has one.
const SIGNS: Clues = Clues::these(b"<(=`:.[@");

/// A tag that is longer is cut for looking for attributes, so that many of them stay cheap.
const MAX_TAG_BYTES: usize = 128;

/// Elements whose text is not markup: closing one that was not opened is a break-out.
const RAW_TEXT: &[&str] =
    &["script", "style", "title", "textarea", "noscript", "noembed", "iframe", "xmp", "plaintext"];

/// Elements that no text has, whatever stands in them.
const ACTIVE: &[&str] = &[
    "applet",
    "bgsound",
    "embed",
    "frameset",
    "iframe",
    "ilayer",
    "isindex",
    "layer",
    "marquee",
    "math",
    "noembed",
    "object",
    "plaintext",
    "portal",
    "svg",
    "xmp",
    "xss",
];

/// Elements that are harmless only without attributes.
const RISKY: &[&str] = &[
    "animate", "audio", "base", "button", "details", "dialog", "form", "frame", "image", "input",
    "isindex", "keygen", "link", "meta", "set", "source", "style", "textarea", "video",
];

/// Elements that texts may be written with.
const PLAIN: &[&str] = &[
    "a", "b", "body", "br", "center", "code", "dd", "div", "dl", "dt", "em", "font", "h1", "h2",
    "h3", "h4", "h5", "h6", "head", "hr", "html", "i", "img", "li", "ol", "p", "pre", "select",
    "small", "span", "strong", "style", "sub", "sup", "table", "tbody", "td", "th", "tr", "u",
    "ul", "form", "input", "button", "textarea", "base", "link", "meta", "video", "audio",
];

/// What names of event handlers go on with after `on` (HTML standard, section 8.1.8).
const EVENTS: &[&str] = &[
    "abort",
    "activate",
    "after",
    "animation",
    "auxclick",
    "before",
    "begin",
    "blur",
    "bounce",
    "cancel",
    "canplay",
    "change",
    "click",
    "close",
    "content",
    "contextmenu",
    "copy",
    "cuechange",
    "cut",
    "dblclick",
    "deactivate",
    "drag",
    "drop",
    "duration",
    "emptied",
    "ended",
    "end",
    "error",
    "filterchange",
    "finish",
    "focus",
    "formdata",
    "fullscreen",
    "gesture",
    "gotpointer",
    "hashchange",
    "help",
    "input",
    "invalid",
    "key",
    "languagechange",
    "load",
    "lostpointer",
    "message",
    "mouse",
    "moz",
    "offline",
    "online",
    "page",
    "paste",
    "pause",
    "play",
    "pointer",
    "popstate",
    "progress",
    "propertychange",
    "ratechange",
    "readystatechange",
    "rejection",
    "repeat",
    "reset",
    "resize",
    "scroll",
    "search",
    "security",
    "seek",
    "select",
    "show",
    "slotchange",
    "stalled",
    "start",
    "storage",
    "submit",
    "suspend",
    "timeupdate",
    "toggle",
    "touch",
    "transition",
    "unhandled",
    "unload",
    "visibility",
    "volume",
    "waiting",
    "webkit",
    "wheel",
];

/// What a handler of errors is set to.
const EVALUATORS: &[&str] = &["eval", "alert", "setTimeout"];

/// Ends of attributes that frameworks evaluate, after a hyphen.
const FRAMEWORK: &[&str] = &["app", "bind", "click", "equiv", "focus", "html", "init", "mouseover"];

#[cfg(test)]
mod tests;
