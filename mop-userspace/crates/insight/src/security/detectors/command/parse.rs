//! A command and its arguments, without what a shell takes off.

use super::{
    super::letters::{begins, head, is_one_of, is_word, skip_space, word},
    names::{SHELLS, SURE, WEAK, may_be_name},
};

/// What is known of a command.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// A command that is no word of a language.
    Sure,
    /// None.
    Unknown,
    /// A command that is also a word.
    Weak,
}

/// What stands after the name of a command.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Argument {
    /// What ends a command: another separator, a comment, a bracket.
    End,
    /// The name goes on, so it is another one.
    Joined,
    /// Nothing.
    None,
    /// A number.
    Number,
    /// What shells are told: an option, a path, a variable, a redirection, a quoted text.
    Shell,
    /// Other text.
    Text,
}

impl Argument {
    pub(super) fn of(rest: &[u8]) -> Self {
        let Some(first) = rest.first() else { return Self::None };
        if matches!(first, b';' | b'|' | b'&' | b')' | b'`' | b'}' | b'"' | b'\'' | b'\n' | b'\r') {
            return Self::End;
        }
        if let [b'%', next @ ..] = rest {
            return if is_escape(next) { Self::Joined } else { Self::Shell };
        }
        // What is read from or written to has a name.
        let is_redirection = |byte: &u8| matches!(byte, b'<' | b'>');
        let is_nameless = rest.iter().all(|byte| is_redirection(byte) || *byte == b' ');
        if is_nameless && rest.iter().any(is_redirection) {
            return Self::Joined;
        }
        if matches!(first, b'<' | b'>' | b'$' | b'{') {
            return Self::Shell;
        }
        // `cmd/c`, `cd..`; but not `curl/8.5` or `host.example`.
        if begins(rest, &["/c ", "/k ", "..", "/?"]) {
            return Self::Shell;
        }
        if *first > b' ' {
            return Self::Joined;
        }
        let argument = skip_space(rest);
        match argument {
            [] => Self::None,
            [b'#' | b';' | b'|' | b'&' | b')' | b'`', ..] => Self::End,
            [b'-' | b'+', next, ..] if next.is_ascii_alphanumeric() || *next == b'-' => Self::Shell,
            [b'/' | b'\\' | b'$' | b'~' | b'<' | b'>' | b'*' | b'\'' | b'"' | b'{' | b'%', ..] => {
                Self::Shell
            }
            [b'.', ..] => Self::Shell,
            [b'0'..=b'9', ..] => Self::Number,
            [letter, b':', b'\\' | b'/', ..] if letter.is_ascii_alphabetic() => Self::Shell,
            _ if Self::is_address(argument) => Self::Shell,
            _ => Self::Text,
        }
    }

    /// A name of a host or file: a dot within the first word.
    fn is_address(argument: &[u8]) -> bool {
        let word = head(argument, MAX_WORD_BYTES);
        let mut bytes = word.iter().take_while(|byte| **byte > b' ').peekable();
        while let Some(byte) = bytes.next() {
            let next = bytes.peek();
            if matches!(byte, b'.' | b'/' | b'@')
                && next.is_some_and(|next| next.is_ascii_alphanumeric() || **next == b'/')
            {
                return true;
            }
        }
        false
    }
}

/// A command as a shell would find it.
pub(super) struct Command<'a> {
    letters: [u8; MAX_WORD_BYTES],
    length: usize,
    /// Something within the name was quoted or expanded to nothing.
    pub(super) is_disguised: bool,
    /// It was called by its path.
    pub(super) has_folder: bool,
    /// What follows the name.
    pub(super) rest: &'a [u8],
}

impl<'a> Command<'a> {
    pub(super) fn read(text: &'a [u8]) -> Self {
        let mut command = Self {
            letters: [0; MAX_WORD_BYTES],
            length: 0,
            is_disguised: false,
            has_folder: false,
            rest: text,
        };
        let mut rest = command.start(text);
        let mut quoted = false;
        let mut marks = [0_u8; 2];
        for _ in 0..MAX_COMMAND_BYTES {
            let [byte, after @ ..] = rest else { break };
            let next_is_word = after
                .first()
                .is_some_and(|next| is_word(*next) || matches!(next, b'\'' | b'"' | b'\\' | b'^'));
            match byte {
                b'\'' | b'"' | b'\\' | b'^' if next_is_word || quoted => {
                    quoted = next_is_word;
                    match byte {
                        b'\'' => marks[0] ^= 1,
                        b'"' => marks[1] ^= 1,
                        _ => {}
                    }
                    command.is_disguised |= command.length > 0 && next_is_word;
                }
                b'$' if begins(after, &["@", "*", "1", "9", "u "]) && command.length > 0 => {
                    command.is_disguised = true;
                    rest = after.get(1..).unwrap_or_default();
                    continue;
                }
                b'/' if command.is_folder() => {
                    command.has_folder = true;
                    command.length = 0;
                    quoted = false;
                }
                _ if is_word(*byte)
                    || matches!(byte, b'.' | b'-') && command.length > 0 && next_is_word =>
                {
                    let Some(slot) = command.letters.get_mut(command.length) else { break };
                    *slot = byte.to_ascii_lowercase();
                    command.length += 1;
                }
                _ => break,
            }
            rest = after;
        }
        // A quote that is not closed waits for its end; in texts it is an apostrophe.
        command.is_disguised &= marks == [0, 0];
        command.rest = rest;
        command
    }

    /// What a name may begin with: quotes, `$(`, `{`, `!`, `@`, the slash of its path.
    fn start(&mut self, text: &'a [u8]) -> &'a [u8] {
        let mut rest = text;
        while let [b'\'' | b'"' | b'(' | b'{' | b'$' | b'@' | b'!' | b'\\', after @ ..] = rest {
            if text.len() - rest.len() >= MAX_START_BYTES {
                break;
            }
            rest = after;
        }
        if let [b'/', after @ ..] = rest
            && begins(after, FOLDERS)
        {
            self.has_folder = true;
            return after;
        }
        rest
    }

    /// Whether what was read is a folder of commands.
    fn is_folder(&self) -> bool {
        self.has_folder && is_one_of(self.word(), &["bin", "sbin", "usr", "local", "opt", "etc"])
    }

    pub(super) fn word(&self) -> &[u8] {
        let word = self.letters.get(..self.length).unwrap_or_default();
        word.strip_suffix(b".exe").unwrap_or(word)
    }

    pub(super) fn name(&self) -> Name {
        let word = self.word();
        if !may_be_name(word) {
            Name::Unknown
        } else if is_one_of(word, SURE) {
            Name::Sure
        } else if is_one_of(word, WEAK) || is_one_of(word, SHELLS) {
            Name::Weak
        } else {
            Name::Unknown
        }
    }

    /// Whether the arguments are those of this command, not only of any.
    pub(super) fn is_strict(&self, rest: &[u8]) -> bool {
        let argument = skip_space(rest);
        match argument {
            [b'/', b' ', b'-', ..] | [b'/'] => true,
            [b'/' | b'\\', next, ..] => is_word(*next),
            [b'-', next, ..] => next.is_ascii_alphanumeric() && is_short_option(argument),
            [b'0'..=b'9', ..] => {
                let is_timed = is_one_of(self.word(), &["sleep", "timeout", "echo"]);
                let is_host = is_one_of(self.word(), &["ping", "nc", "host", "dig", "telnet"]);
                is_timed || is_host && Argument::is_address(argument)
            }
            [b'$' | b'<' | b'>' | b'~', ..] => true,
            [letter, b':', b'\\' | b'/', ..] => letter.is_ascii_alphabetic(),
            [b'.', b'.' | b'/', ..] => true,
            [b'\'' | b'"' | b'{', ..] => true,
            [b'*', ..] => is_one_of(self.word(), &["cat", "ls", "dir", "rm", "del", "type"]),
            _ => Argument::is_address(argument) && !is_one_of(self.word(), WITHOUT_NAMES),
        }
    }
}

/// Two hexadecimal digits of percent-encoding, not the start of a variable.
fn is_escape(after_percent: &[u8]) -> bool {
    let [first, second, ..] = after_percent else { return false };
    // Names of variables begin with letters, and `%CD%` is one.
    let is_variable = first.is_ascii_alphabetic() && after_percent.get(2) == Some(&b'%');
    first.is_ascii_hexdigit() && second.is_ascii_hexdigit() && !is_variable
}

/// `-c`, `-la`, `-encodedcommand`, `--version`; not a hyphen with a word after it.
fn is_short_option(argument: &[u8]) -> bool {
    let (option, rest) = word(argument.get(1..).unwrap_or_default());
    option.len() <= MAX_OPTION_BYTES
        && rest.first().is_none_or(|byte| !byte.is_ascii() || *byte != b'-')
}

/// Names of commands are shorter.
const MAX_WORD_BYTES: usize = 32;
/// A name with a quote at each letter, in its folder.
const MAX_COMMAND_BYTES: usize = 96;
/// `"$({'`
const MAX_START_BYTES: usize = 6;
/// `-ExecutionPolicy`
const MAX_OPTION_BYTES: usize = 16;

/// Commands that take no name of a host or file.
const WITHOUT_NAMES: &[&str] =
    &["at", "date", "go", "groups", "id", "last", "time", "users", "w", "wait", "who", "yes"];

const FOLDERS: &[&str] = &["bin/", "sbin/", "usr/bin/", "usr/sbin/", "usr/local/bin/", "opt/"];
