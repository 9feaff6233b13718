//! Commands of shells, read as a shell reads: what stands where a command may begin, without the
//! quoting that a shell takes off, and whether its arguments are those of a command.

mod expansion;
mod names;
mod parse;

use self::{
    names::{SHELLS, SURE, WEAK},
    parse::{Argument, Command, Name},
};
use super::{
    Clues, Subject,
    letters::{
        begins, head, is, is_one_of, is_word, least, marks, skip_space, skip_space_before, word,
        word_before,
    },
};
use crate::security::normalise::part::Place;

pub(super) fn suspicion(subject: &Subject<'_>) -> Option<u8> {
    let Subject { bytes, clues, place, .. } = *subject;
    if !clues.any(SIGNS) {
        // A command alone needs none of the signs.
        let word = head(bytes, MAX_LONE_BYTES);
        return (word.len() == bytes.len() && is_one_of(word, LONE)).then_some(1);
    }
    // There, `&` only separates fields, and each field is looked at by itself.
    let is_form = matches!(place, Place::Query | Place::Text | Place::Body);
    least([
        begin(bytes),
        if clues.any(SEPARATORS) { separated(bytes, is_form) } else { None },
        if clues.any(const { Clues::these(b"-/") }) && clues.any(const { Clues::these(b" \t") }) {
            options(bytes)
        } else {
            None
        },
        expansion::suspicion(bytes, clues),
    ])
}

/// The command that the value itself may be.
fn begin(text: &[u8]) -> Option<u8> {
    let text = skip_space(text);
    if !may_be_command(text) {
        return None;
    }
    let command = Command::read(text);
    let argument = Argument::of(command.rest);
    let is_odd = command.is_disguised || command.has_folder && argument != Argument::Joined;
    match argument {
        Argument::Shell => {}
        Argument::None | Argument::End if is_one_of(command.word(), LONE) => return Some(1),
        // Most texts end here, before any list is read.
        Argument::End | Argument::Joined | Argument::None | Argument::Number | Argument::Text => {
            return (is_odd && command.name() != Name::Unknown).then_some(1);
        }
    }
    match command.name() {
        Name::Unknown => None,
        Name::Sure => Some(1),
        // Names of commands are in small letters, while sentences begin with a capital.
        Name::Weak if is_capitalised(text) => Some(2),
        Name::Weak => Some(if is_odd || command.is_strict(command.rest) { 1 } else { 2 }),
    }
}

/// Whether the text begins like a sentence.
fn is_capitalised(text: &[u8]) -> bool {
    matches!(text, [first, second, ..] if first.is_ascii_uppercase() && !second.is_ascii_uppercase())
}

/// One look at the first word: most values go on as no command does.
fn may_be_command(text: &[u8]) -> bool {
    let (first, rest) = word(text);
    match rest {
        [] => (6..=MAX_LONE_BYTES).contains(&first.len()),
        [b' ', next, ..] => !next.is_ascii_uppercase(),
        [b'.', ..] => begins(rest, &[".exe", ".."]),
        [b':' | b',' | b'=' | b'+' | b'@' | b'[' | b']' | b'!', ..] => first.is_empty(),
        // A cmdlet has a capital letter or a verb before its hyphen; digits are of dates and keys.
        [b'-', next, ..] => next.is_ascii_alphabetic() && !first.iter().any(u8::is_ascii_digit),
        _ => true,
    }
}

/// Every separator, with the command after it.
fn separated(text: &[u8], is_form: bool) -> Option<u8> {
    let is_mark = |byte| matches!(byte, b';' | b'|' | b'&' | b'\n' | b'\r' | b'`' | b'(');
    least(marks(text, is_mark).map(|(before, mark, rest)| {
        let last = before.last().copied();
        let separator = match mark {
            b'(' if last == Some(b'$') || last == Some(b'<') || last == Some(b'>') => {
                Separator::Sure
            }
            b'(' => return None,
            b'&' if is_form => return None,
            b'&' | b'|' if last == Some(mark) => Separator::Sure,
            b'&' | b'\n' | b'\r' => Separator::Weak,
            b'`' => Separator::Sure,
            _ => Separator::Plain,
        };
        after_separator(separator, before, mark, rest)
    }))
}

/// How seldom ordinary text has a separator.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Separator {
    /// `;` and `|`, which lists have.
    Plain,
    /// `$(`, `` ` ``, `&&`, `||`.
    Sure,
    /// `&` and line ends.
    Weak,
}

fn after_separator(separator: Separator, before: &[u8], mark: u8, rest: &[u8]) -> Option<u8> {
    let spaced = skip_space(rest);
    let command = Command::read(spaced);
    let name = command.name();
    if name == Name::Unknown {
        return None;
    }
    if command.is_disguised || command.has_folder {
        return Some(1);
    }
    let word = command.word();
    let argument = Argument::of(command.rest);
    // Lists have words before their separators, and a space after.
    let near = before.iter().rev().take(MAX_NEAR_BYTES);
    let is_list = near.clone().any(u8::is_ascii_alphabetic);
    let is_listed = is_list && spaced.len() < rest.len();
    let level = match (name, argument) {
        (_, Argument::Joined) | (Name::Unknown, _) => return None,
        (Name::Sure, Argument::Text) if is_listed && separator != Separator::Sure => 2,
        (Name::Sure, Argument::None | Argument::End)
            if is_listed && separator == Separator::Plain && word.len() < MIN_SURE_BYTES =>
        {
            2
        }
        (Name::Sure, _) => 1,
        (Name::Weak, Argument::Text) if is(word, "echo") && !is_listed => 1,
        (Name::Weak, Argument::Text) => {
            let (next, _) = super::letters::word(skip_space(command.rest));
            if !SUBCOMMANDS.iter().any(|(of, names)| is(word, of) && is_one_of(next, names)) {
                return None;
            }
            1
        }
        (Name::Weak, Argument::Shell | Argument::Number) => {
            // `rock & fish 'n' chips`
            let is_and = separator == Separator::Weak && is_listed;
            let is_quoted = matches!(skip_space(command.rest).first(), Some(b'\'' | b'"'));
            let is_sure = separator == Separator::Sure
                || command.is_strict(command.rest) && !(is_and && is_quoted);
            if is_sure { 1 } else { 2 }
        }
        (Name::Weak, Argument::None | Argument::End) => {
            let is_middle = matches!(command.rest, [b';' | b'|', next, ..] if is_word(*next));
            let is_plain = is_one_of(word, PLAIN_COMMANDS);
            let is_shell = mark == b'|' && is_one_of(word, SHELLS);
            let is_sure = separator == Separator::Sure || !(is_listed || is_middle && is_list);
            if is_shell || is_plain && is_sure { 1 } else { 2 }
        }
    };
    Some(level)
}

/// Interpreters with an option that gives them code, anywhere: `python -c`, `cmd /c`, `nc -e`.
fn options(text: &[u8]) -> Option<u8> {
    least(marks(text, |byte| matches!(byte, b'-' | b'/')).map(|(before, mark, rest)| {
        let named = skip_space_before(before);
        if named.len() == before.len() {
            return None;
        }
        let (option, _) = word(rest);
        if option.is_empty() {
            return None;
        }
        let name = word_before(named.strip_suffix(b".exe").unwrap_or(named));
        let options = INTERPRETERS.iter().find(|(known, _)| is(name, known));
        let (_, options) = options?;
        let is_slash = mark == b'/';
        let is_option = options.iter().any(|known| match known.strip_prefix('/') {
            Some(known) => is_slash && is(option, known),
            None => !is_slash && is(option, known),
        });
        is_option.then_some(1)
    }))
}

/// What each attack has one of, but for a command alone.
const SIGNS: Clues = Clues::these(b";|&`$(\n\r/\\-<>{%'\"^*?.: ");
const SEPARATORS: Clues = Clues::these(b";|&`\n\r(");

const MAX_LONE_BYTES: usize = 16;

/// Shorter commands may be abbreviations at the end of a list.
const MIN_SURE_BYTES: usize = 4;

/// What tells a list from a command stands close.
const MAX_NEAR_BYTES: usize = 24;

/// Commands whose first argument is a word.
const SUBCOMMANDS: &[(&str, &[&str])] = &[
    (
        "net",
        &[
            "user",
            "users",
            "localgroup",
            "group",
            "view",
            "share",
            "start",
            "stop",
            "use",
            "accounts",
            "session",
        ],
    ),
    ("ps", &["aux", "ax", "auxww", "ef"]),
    ("reg", &["query", "add", "delete", "save"]),
    ("sc", &["query", "create", "stop", "config"]),
    ("ip", &["addr", "a", "route", "link"]),
    ("shutdown", &["now"]),
    ("docker", &["run", "ps", "exec"]),
    ("git", &["clone"]),
    ("apt", &["install", "update"]),
    ("pip", &["install"]),
    ("npm", &["install"]),
];

/// Commands that are sent alone to see whether anything answers.
const LONE: &[&str] = &["whoami", "ifconfig", "ipconfig", "systeminfo", "tasklist", "netstat"];

/// Short commands that are sent without arguments.
const PLAIN_COMMANDS: &[&str] = &[
    "id", "ls", "su", "ps", "pwd", "dir", "cat", "env", "set", "ver", "vol", "df", "nc", "echo",
    "sleep", "ping", "reboot", "shutdown", "hostname", "history",
];

/// Interpreters and options that give them code.
const INTERPRETERS: &[(&str, &[&str])] = &[
    ("python", &["c"]),
    ("python2", &["c"]),
    ("python3", &["c"]),
    ("perl", &["e", "MIO", "ne"]),
    ("ruby", &["e", "rsocket"]),
    ("php", &["r"]),
    ("node", &["e", "p"]),
    ("lua", &["e"]),
    ("bash", &["c", "i", "lc"]),
    ("sh", &["c", "i"]),
    ("zsh", &["c", "i"]),
    ("nc", &["e", "lvp", "lvnp", "nv", "c"]),
    ("ncat", &["e", "lvp", "c"]),
    ("netcat", &["e", "lvp"]),
    ("cmd", &["/c", "/k"]),
    (
        "powershell",
        &[
            "c",
            "enc",
            "e",
            "ec",
            "nop",
            "noprofile",
            "w",
            "command",
            "encodedcommand",
            "ep",
            "exec",
            "executionpolicy",
            "noni",
            "File",
            "windowstyle",
        ],
    ),
    ("pwsh", &["c", "enc", "nop", "command"]),
    ("certutil", &["urlcache", "decode"]),
    ("wget", &["O", "q", "qO"]),
    ("curl", &["s", "o", "X", "d", "sSL", "fsSL", "k", "F"]),
    ("ping", &["c", "n"]),
    ("base64", &["d"]),
    ("uname", &["a"]),
    ("rm", &["rf", "fr", "r"]),
    ("chmod", &["R", "x"]),
];

#[cfg(test)]
mod tests;
