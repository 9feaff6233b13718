//! Names of commands of Unix and Windows.

/// Commands that are no word of a language.
pub(super) const SURE: &[&str] = &[
    "whoami",
    "ifconfig",
    "ipconfig",
    "netstat",
    "uname",
    "nslookup",
    "wget",
    "curl",
    "systeminfo",
    "tasklist",
    "powershell",
    "pwsh",
    "certutil",
    "bitsadmin",
    "netcat",
    "ncat",
    "socat",
    "chmod",
    "chown",
    "chroot",
    "mkfifo",
    "telnet",
    "traceroute",
    "tracert",
    "python3",
    "python2",
    "busybox",
    "printenv",
    "lsof",
    "crontab",
    "useradd",
    "adduser",
    "userdel",
    "usermod",
    "xxd",
    "hexdump",
    "wmic",
    "rundll32",
    "regsvr32",
    "mshta",
    "cscript",
    "wscript",
    "schtasks",
    "vssadmin",
    "getent",
    "xargs",
    "nohup",
    "sudo",
    "scp",
    "rsync",
    "tcpdump",
    "nmap",
    "iptables",
    "systemctl",
    "dmesg",
    "lsblk",
    "egrep",
    "fgrep",
    "zcat",
    "mysqldump",
    "pg_dump",
    "taskkill",
    "nltest",
    "qwinsta",
    "dsquery",
    "arp",
    "fdisk",
    "mkdir",
    "rmdir",
    "cmd",
    "gcc",
    "msiexec",
    "findstr",
    "attrib",
    "icacls",
    "awk",
    "gawk",
    "grep",
    "sed",
    "tee",
    "unzip",
    "gunzip",
    "killall",
    "pkill",
    "setuid",
    "phpinfo",
    "invoke-expression",
    "invoke-webrequest",
    "get-process",
    "get-content",
    "iex",
    "start-process",
    "new-object",
    "get-childitem",
    "ss64",
    "pip3",
    "ls",
    "rm",
    "usleep",
    "base64",
    "printf",
];

/// Commands that are also words, abbreviations or names.
pub(super) const WEAK: &[&str] = &[
    "id", "cat", "ps", "pwd", "sleep", "ping", "echo", "dir", "type", "env", "set", "find", "sort",
    "who", "w", "head", "tail", "more", "less", "cut", "host", "file", "net", "del", "copy", "cp",
    "mv", "date", "time", "nc", "hostname", "history", "python", "perl", "php", "ruby", "node",
    "java", "go", "lua", "dig", "touch", "kill", "shutdown", "reboot", "halt", "test", "export",
    "source", "exec", "eval", "tar", "gzip", "ftp", "ssh", "tftp", "nl", "od", "rev", "tac",
    "strings", "stat", "df", "du", "top", "last", "ver", "vol", "timeout", "start", "call", "cd",
    "users", "groups", "passwd", "ip", "route", "man", "mount", "mail", "vi", "vim", "nano", "dd",
    "diff", "uptime", "wait", "yes", "seq", "read", "sc", "reg", "at", "move", "erase", "tree",
    "path", "pip", "npm", "git", "make", "apt", "yum", "docker", "sqlite3", "mysql", "psql",
    "sqlplus", "finger", "lynx", "fetch", "su",
];

/// Shells.
pub(super) const SHELLS: &[&str] =
    &["sh", "bash", "zsh", "ksh", "csh", "tcsh", "dash", "ash", "fish"];

/// Whether a command begins with this letter and is as long: most words are none, and read no list.
pub(super) fn may_be_name(word: &[u8]) -> bool {
    let Some(first) = word.first().and_then(|first| first.to_ascii_lowercase().checked_sub(b'a'))
    else {
        return false;
    };
    let lengths = LENGTHS.get(usize::from(first)).copied().unwrap_or_default();
    word.len() < 32 && lengths & 1 << word.len() != 0
}

/// By its first letter, the lengths of each command.
const LENGTHS: [u32; 26] = {
    let mut lengths = [0; 26];
    let mut lists: &[&[&str]] = &[SURE, WEAK, SHELLS];
    while let [names, other_lists @ ..] = lists {
        let mut names = *names;
        while let [name, rest @ ..] = names {
            if let [first, ..] = name.as_bytes() {
                #[expect(
                    clippy::indexing_slicing,
                    reason = "names begin with small letters, at compile time"
                )]
                {
                    lengths[(*first - b'a') as usize] |= 1 << name.len();
                }
            }
            names = rest;
        }
        lists = other_lists;
    }
    lengths
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_may_be_one() {
        assert!(SURE.iter().chain(WEAK).chain(SHELLS).all(|name| may_be_name(name.as_bytes())));
        assert!(!may_be_name(b"responsabilidade") && !may_be_name(b"") && !may_be_name(b"1"));
    }
}
