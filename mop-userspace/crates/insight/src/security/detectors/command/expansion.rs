//! What only shells read: variables that stand for separators, wildcards in place of names, paths
//! of commands, redirections and functions in the environment.

use super::{
    Clues, Command, Name, SHELLS, SURE, WEAK, begins, head, is, is_one_of, is_word, least, marks,
    skip_space, skip_space_before, word, word_before,
};

pub(super) fn suspicion(text: &[u8], clues: Clues) -> Option<u8> {
    least([
        if clues.any(const { Clues::these(b"$") }) { variables(text) } else { None },
        if clues.any(const { Clues::these(b"%") }) { windows_variables(text) } else { None },
        if clues.any(const { Clues::these(b"/") }) { paths(text) } else { None },
        if clues.any(const { Clues::these(b"<>") }) { redirections(text) } else { None },
        if clues.any(const { Clues::these(b"{") }) { braces(text) } else { None },
        if clues.any(const { Clues::these(b"-(") }) { cmdlets(text) } else { None },
    ])
}

/// `${IFS}`, `$IFS`, `${PATH:0:1}`, `$'\x20'`, `$((`.
fn variables(text: &[u8]) -> Option<u8> {
    least(marks(text, |byte| byte == b'$').map(|(_, _, rest)| {
        let (name, then) = word(rest.strip_prefix(b"{").unwrap_or(rest));
        if begins(name, &["IFS"]) {
            return Some(1);
        }
        let is_braced = rest.first() == Some(&b'{');
        if is_one_of(name, ENVIRONMENT) {
            let is_cut = is_braced && matches!(then, [b':', b'0'..=b'9' | b'-' | b'~', ..]);
            return Some(if is_cut { 1 } else { 2 });
        }
        // `$(printf …)`, `$(<file)`; the commands themselves are told after separators.
        match rest {
            [b'(', b'<', ..] => Some(1),
            [b'(', b'(', b'0'..=b'9', ..] => Some(1),
            [b'\'', b'\\', ..] => Some(1),
            _ => None,
        }
    }))
}

/// `%COMSPEC%`, `%PATH:~0,1%`.
fn windows_variables(text: &[u8]) -> Option<u8> {
    least(marks(text, |byte| byte == b'%').map(|(_, _, rest)| {
        let (name, then) = word(rest);
        let is_cut = then.starts_with(b":~");
        if !(is_cut || then.starts_with(b"%")) || !is_one_of(name, WINDOWS_ENVIRONMENT) {
            return None;
        }
        // Folders are told by them in texts; a shell is called by one, a letter is cut from another.
        Some(if is_cut || is(name, "COMSPEC") { 1 } else { 2 })
    }))
}

/// `/bin/sh`, `/dev/tcp/…`, `/???/c?t`.
fn paths(text: &[u8]) -> Option<u8> {
    least(marks(text, |byte| byte == b'/').map(|(before, _, rest)| {
        if !matches!(
            rest.first(),
            Some(b'b' | b'B' | b'd' | b'D' | b's' | b'S' | b'?' | b'*' | b'[' | b'e' | b'u')
        ) {
            return None;
        }
        if begins(rest, &["dev/tcp/", "dev/udp/"]) {
            return Some(1);
        }
        if begins(rest, &["bin/", "sbin/"]) {
            let (_, named) =
                rest.split_at_checked(rest.iter().position(|byte| *byte == b'/')? + 1)?;
            let (name, then) = word(named);
            let is_name = is_one_of(name, SURE) || is_one_of(name, SHELLS) || is_one_of(name, WEAK);
            let is_whole =
                then.first().is_none_or(|byte| *byte != b'.' && *byte != b'/' && *byte != b'-');
            if is_name && is_whole {
                return Some(1);
            }
        }
        if begins(rest, &["system32/", "system32\\"]) {
            return Some(1);
        }
        wildcards(before, rest)
    }))
}

/// `/???/c?t`, `/b?n/ls`, `/bin/l*`: wildcards in a folder and in the name after it.
fn wildcards(before: &[u8], rest: &[u8]) -> Option<u8> {
    if before.last().is_some_and(|byte| is_word(*byte)) {
        return None;
    }
    let window = head(rest, MAX_WILD_BYTES);
    let end = window.iter().position(|byte| *byte == b'/')?;
    let (folder, named) = window.split_at_checked(end)?;
    let named = named.get(1..)?;
    let length = named.iter().take_while(|byte| is_wild(**byte) || is_word(**byte)).count();
    let name = named.get(..length)?;
    let has_mark = |part: &[u8]| part.contains(&b'?');
    let is_pattern = folder.iter().all(|byte| is_wild(*byte) || is_word(*byte));
    let is_folder_wild = has_mark(folder) && is_pattern;
    let is_known = is_one_of(folder, &["bin", "etc", "usr"])
        && name.iter().any(|byte| is_wild(*byte))
        && name.iter().any(|byte| is_word(*byte));
    ((is_folder_wild && !name.is_empty()) || is_known).then_some(1)
}

fn is_wild(byte: u8) -> bool {
    matches!(byte, b'?' | b'*' | b'[' | b']')
}

/// `2>&1`, `>/tmp/x`, `<<<`, `< /etc/passwd`.
fn redirections(text: &[u8]) -> Option<u8> {
    least(marks(text, |byte| matches!(byte, b'<' | b'>')).map(|(_, _, rest)| {
        let target = skip_space(rest.strip_prefix(b"&").unwrap_or(rest));
        let is_joined = begins(rest, &["&1", "&2"]) || begins(rest, &["<<"]) && rest.len() > 2;
        let is_file = target
            .strip_prefix(b"/")
            .is_some_and(|path| begins(path, &["dev/", "tmp/", "etc/", "var/", "proc/"]));
        (is_file || is_joined && begins(rest, &["&"])).then_some(1)
    }))
}

/// `() { :;};` and `{cat,/etc/passwd}`.
fn braces(text: &[u8]) -> Option<u8> {
    least(marks(text, |byte| byte == b'{').map(|(before, _, rest)| {
        let before = skip_space_before(before);
        if let Some(start) = before.strip_suffix(b"()") {
            let body = skip_space(rest);
            let is_function =
                begins(body, &[":", "_;", "_ ", "}", "a;", "x;", "foo;", "ignored;", "test;"]);
            let is_named = word_before(skip_space_before(start));
            return (is_named.is_empty() && (skip_space_before(start).is_empty() || is_function))
                .then_some(1);
        }
        let command = Command::read(rest);
        let is_expanded = matches!(
            command.rest,
            [b',', b'/' | b'-' | b'$' | b'.' | b'\'' | b'"' | b'h', next, ..] if *next > b' '
        );
        (is_expanded && command.name() != Name::Unknown).then_some(1)
    }))
}

/// `IEX(`, `Invoke-Expression`, `New-Object Net.WebClient`, `DownloadString(`.
fn cmdlets(text: &[u8]) -> Option<u8> {
    least(marks(text, |byte| matches!(byte, b'-' | b'(')).map(|(before, mark, rest)| {
        let left = word_before(skip_space_before(before));
        if mark == b'(' {
            return is_one_of(left, &["IEX", "DownloadString", "DownloadFile", "FromBase64String"])
                .then_some(1);
        }
        // `Invoke`, `New`, `Start`, `Get`, `Set`, `Out`.
        if !matches!(left.last(), Some(b'e' | b'w' | b't' | b'E' | b'W' | b'T')) {
            return None;
        }
        let (right, _) = word(rest);
        let is_cmdlet =
            CMDLETS.iter().any(|(verb, nouns)| is(left, verb) && is_one_of(right, nouns));
        is_cmdlet.then_some(1)
    }))
}

/// `/usr/[bin]/`
const MAX_WILD_BYTES: usize = 32;

const ENVIRONMENT: &[&str] = &[
    "PATH",
    "HOME",
    "SHELL",
    "PWD",
    "OLDPWD",
    "HOSTNAME",
    "USER",
    "LS_COLORS",
    "BASH",
    "RANDOM",
    "SHELLOPTS",
];

const WINDOWS_ENVIRONMENT: &[&str] = &[
    "COMSPEC",
    "PATH",
    "PATHEXT",
    "PROGRAMFILES",
    "PROGRAMDATA",
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "WINDIR",
    "TEMP",
    "TMP",
    "USERNAME",
    "USERPROFILE",
    "APPDATA",
    "OS",
    "COMPUTERNAME",
    "PUBLIC",
    "HOMEPATH",
    "LOCALAPPDATA",
    "CommonProgramFiles",
];

const CMDLETS: &[(&str, &[&str])] = &[
    ("Invoke", &["Expression", "WebRequest", "RestMethod", "Command", "Mimikatz", "Shellcode"]),
    ("New", &["Object"]),
    ("Start", &["Process", "BitsTransfer", "Sleep"]),
    ("Get", &["Process", "ChildItem", "WmiObject", "Content", "Service", "ComputerInfo"]),
    ("Set", &["ExecutionPolicy"]),
    ("Out", &["File"]),
];
