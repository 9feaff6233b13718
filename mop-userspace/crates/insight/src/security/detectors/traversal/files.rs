//! Files that no one outside asks for by their path.

use super::{Place, begins, is_one_of, is_word, least, marks, word};

pub(super) fn suspicion(text: &[u8], place: Place) -> Option<u8> {
    least(marks(text, |byte| matches!(byte, b'/' | b'\\' | b'.' | b':')).map(
        |(before, mark, rest)| match mark {
            b'/' | b'\\' => rooted(rest).or_else(|| windows(rest)),
            b'.' => hidden(before, rest, place),
            _ => drive(before, rest),
        },
    ))
    .or_else(|| named(text))
}

/// What follows a slash: a folder of Unix and one of its files.
fn rooted(rest: &[u8]) -> Option<u8> {
    let (folder, then) = word(rest);
    let path = match then {
        [b'/' | b'\\', path @ ..] => path,
        // `WEB-INF/`, `wp-config.php`.
        [b'-', ..] => return private(rest),
        [b'.', ..] => return private(rest),
        // `/etc//passwd` is folded in another form of the value; `/passwd` alone is a name.
        _ => return None,
    };
    let path = path.strip_prefix(b"./").unwrap_or(path);
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let (file, _) = word(path);
    let level = match folder.to_ascii_lowercase_array() {
        [b'e', b't', b'c', 0, ..] => is_one_of(file, ETC).then_some(1),
        [b'p', b'r', b'o', b'c', 0, ..] => {
            let is_number = !file.is_empty() && file.iter().all(u8::is_ascii_digit);
            (is_number || is_one_of(file, PROC)).then_some(1)
        }
        [b'v', b'a', b'r', 0, ..] => {
            begins(path, &["log/", "www/", "lib/mysql", "run/secrets"]).then_some(1)
        }
        [b'r', b'o', b'o', b't', 0, ..] => path.starts_with(b".").then_some(1),
        [b'b', b'o', b'o', b't', 0, ..] => begins(path, &["grub"]).then_some(1),
        [b'u', b's', b'r', 0, ..] => {
            begins(path, &["local/etc", "local/apache", "local/nginx"]).then_some(1)
        }
        [b's', b'y', b's', 0, ..] => begins(path, &["class/"]).then_some(1),
        _ => None,
    };
    level.or_else(|| private(rest))
}

/// Files of servers and applications, by their whole name.
fn private(rest: &[u8]) -> Option<u8> {
    // Segments of paths are many, and few begin like one of these.
    let [first, second] = rest.first_chunk::<2>()?.map(|byte| byte.to_ascii_lowercase());
    let seconds = STARTS.get(usize::from(first.checked_sub(b'a')?))?;
    if !second.is_ascii_lowercase() || seconds & 1 << (second - b'a') == 0 {
        return None;
    }
    PRIVATE.iter().find_map(|name| {
        let then = super::after(rest, name)?;
        let is_folder = name.ends_with('/');
        // A colon or a comma after it is of a text about the file.
        let is_told = begins(then, &[":", ",", "%3a", "%2c"]);
        let is_end = then.first().is_none_or(|byte| !is_word(*byte) && *byte != b'.') && !is_told;
        (is_folder || is_end).then_some(1)
    })
}

/// `\windows\system32`, `/winnt/`.
fn windows(rest: &[u8]) -> Option<u8> {
    let (folder, then) = word(rest);
    if is_one_of(folder, &["windows", "winnt", "inetpub"]) {
        let path = then.strip_prefix(b"/").or(then.strip_prefix(b"\\"))?;
        if begins(path, &["win.ini", "system.ini", "php.ini"]) {
            return Some(1);
        }
        // A text about a folder goes on with a blank, a request with what is in it.
        let (below, then) = word(path);
        let is_below = then.first().is_none_or(|byte| matches!(byte, b'/' | b'\\' | 0));
        let is_system = is_one_of(below, &["system32", "wwwroot", "repair", "drivers"]);
        let is_folder = is_one_of(below, &["logs", "temp"]) || is_system;
        return is_folder.then_some(if is_system && is_below { 1 } else { 2 });
    }
    None
}

/// `C:\boot.ini`, `c:/windows/win.ini`.
fn drive(before: &[u8], rest: &[u8]) -> Option<u8> {
    let is_drive = matches!(before, [letter] | [.., b' ' | b'"' | b'\'' | b'=' | b'/' | b'\\', letter] if letter.is_ascii_alphabetic());
    let path = rest.strip_prefix(b"\\").or(rest.strip_prefix(b"/")).filter(|_| is_drive)?;
    let path = path.strip_prefix(b"\\").or(path.strip_prefix(b"/")).unwrap_or(path);
    if begins(path, &["boot.ini", "autoexec.bat", "pagefile.sys"]) {
        return Some(1);
    }
    // What is below them is looked at behind its slash.
    begins(path, &["windows", "winnt", "inetpub", "xampp", "wamp"]).then_some(2)
}

/// `.git/config`, `.env`, `.htaccess`, at the start of a segment.
fn hidden(before: &[u8], rest: &[u8], place: Place) -> Option<u8> {
    let begins_segment =
        before.last().is_none_or(|byte| matches!(byte, b'/' | b'\\' | b'=' | b'"' | b'\'' | 0));
    if !begins_segment {
        return None;
    }
    let (name, then) = word(rest);
    let is_whole = then.first().is_none_or(|byte| {
        matches!(byte, b'/' | b'\\' | b'.' | b'?' | b'%' | b'"' | b'\'' | b'~' | 0 | b';' | b'&')
    });
    let is_hidden =
        is_one_of(name, HIDDEN) || begins(rest, &["docker/config", "ds_store", "git-credentials"]);
    let is_lone =
        before.is_empty() && !matches!(place, Place::Path | Place::PathSegment) && then.is_empty();
    // A list of extensions has them, too: `.env` alone is likely, below a folder it is sure.
    (is_hidden && is_whole).then_some(if is_lone && !is_one_of(name, CONFIGURATION) {
        2
    } else {
        1
    })
}

/// A value that is nothing but such a name.
fn named(text: &[u8]) -> Option<u8> {
    if text.len() > MAX_NAME_BYTES {
        return None;
    }
    private(text).or_else(|| {
        let path = text.strip_prefix(b"./").unwrap_or(text);
        let relative = path.strip_prefix(b"etc/").or(path.strip_prefix(b"etc\\"));
        relative.and_then(|path| is_one_of(word(path).0, ETC).then_some(1))
    })
}

/// The start of a word as an array, so that it can be matched.
trait LowercaseArray {
    fn to_ascii_lowercase_array(&self) -> [u8; 6];
}

impl LowercaseArray for [u8] {
    fn to_ascii_lowercase_array(&self) -> [u8; 6] {
        let mut array = [0; 6];
        for (slot, byte) in array.iter_mut().zip(self) {
            *slot = byte.to_ascii_lowercase();
        }
        array
    }
}

/// `application-production.properties`
const MAX_NAME_BYTES: usize = 48;

const ETC: &[&str] = &[
    "passwd",
    "shadow",
    "group",
    "gshadow",
    "hosts",
    "hostname",
    "issue",
    "resolv",
    "crontab",
    "cron",
    "ssh",
    "sudoers",
    "nginx",
    "apache2",
    "apache",
    "httpd",
    "mysql",
    "my",
    "motd",
    "fstab",
    "profile",
    "os",
    "php",
    "php5",
    "php7",
    "redis",
    "environment",
    "ld",
    "pki",
    "ssl",
    "kubernetes",
    "security",
    "samba",
    "mtab",
    "network",
    "bashrc",
    "init",
    "services",
    "protocols",
    "master",
    "redhat",
];

const PROC: &[&str] = &[
    "self",
    "version",
    "cpuinfo",
    "meminfo",
    "net",
    "mounts",
    "cmdline",
    "environ",
    "sched_debug",
    "stat",
    "config",
    "modules",
    "thread",
];

const HIDDEN: &[&str] = &[
    "env",
    "git",
    "svn",
    "hg",
    "bzr",
    "htaccess",
    "htpasswd",
    "ssh",
    "aws",
    "bash_history",
    "bashrc",
    "npmrc",
    "dockerenv",
    "docker",
    "dockercfg",
    "kube",
    "ds_store",
    "mysql_history",
    "pgpass",
    "netrc",
    "profile",
    "viminfo",
    "gitignore",
    "gitlab",
    "github",
    "idea",
    "vscode",
    "svnignore",
    "gnupg",
    "bash_profile",
    "zsh_history",
];

/// Of these, what is no extension.
const CONFIGURATION: &[&str] =
    &["htaccess", "htpasswd", "bash_history", "dockerenv", "npmrc", "ds_store", "pgpass", "netrc"];

const PRIVATE: &[&str] = &[
    "WEB-INF/",
    "META-INF/",
    "WEB-INF\\",
    "META-INF\\",
    "wp-config.php",
    "wp-admin/",
    "web.config",
    "win.ini",
    "boot.ini",
    "php.ini",
    "my.ini",
    "system.ini",
    "id_rsa",
    "application.properties",
    "application.yml",
    "bootstrap.yml",
    "appsettings.json",
    "web.xml",
    "server.xml",
    "tomcat-users.xml",
    "phpinfo.php",
    "config.inc.php",
    "configuration.php",
    "settings.py",
    "docker-compose.yml",
    "Dockerfile",
    "Gemfile.lock",
    "composer.lock",
    "authorized_keys",
    "known_hosts",
    "access_log",
    "error_log",
    "actuator/env",
    "actuator/heapdump",
    "server-status",
    "database.yml",
    "secrets.yml",
    "local_settings.py",
    "wp-login.php",
    "xmlrpc.php",
];

/// By the first letter of each of these: its second letters.
const STARTS: [u32; 26] = {
    let mut starts = [0; 26];
    let mut names = PRIVATE;
    while let [name, rest @ ..] = names {
        if let [first, second, ..] = name.as_bytes() {
            let first = (first.to_ascii_lowercase() - b'a') as usize;
            let second = second.to_ascii_lowercase() - b'a';
            #[expect(
                clippy::indexing_slicing,
                reason = "names begin with letters, at compile time"
            )]
            {
                starts[first] |= 1 << second;
            }
        }
        names = rest;
    }
    starts
};
