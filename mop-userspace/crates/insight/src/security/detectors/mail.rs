//! Mail injection: a line end, and behind it a field that adds recipients, or commands of SMTP, POP3
//! and IMAP.

use super::{
    Clues, Subject,
    reading::{is_one_of, lines, strip, unspaced, word},
};

pub(super) fn suspicion(subject: &Subject<'_>) -> Option<u8> {
    let Subject { bytes, place: _, name: _, steps: _, clues } = subject;
    if !clues.any(LINE_END) {
        return None;
    }
    lines(bytes).filter_map(|(before, line)| of_line(before, line)).min()
}

fn of_line(before: &[u8], line: &[u8]) -> Option<u8> {
    let line = unspaced(line);
    let (command, rest) = word(line, b"-");
    if let Some(value) = unspaced(rest).strip_prefix(b":") {
        let value = end_of(value);
        let has_address = value.contains(&b'@');
        let before = before.strip_suffix(b"\r").unwrap_or(before);
        // A text may quote a message; what is sent as one address or subject does not.
        let is_one_line = before.len() <= MAX_ADDRESS
            && !before.iter().any(|byte| byte.is_ascii_control() || *byte == b':');
        if is_one_of(command, &[b"bcc", b"mime-version"]) {
            return Some(1);
        }
        if is_one_of(command, &[b"cc", b"to", b"reply-to", b"from", b"subject"]) {
            let is_sure = (has_address || command.eq_ignore_ascii_case(b"subject"))
                && is_one_line
                && (before.contains(&b'@') || command.eq_ignore_ascii_case(b"cc"));
            return if is_sure { Some(1) } else { has_address.then_some(2) };
        }
        return (is_one_of(command, &[b"content-type", b"content-transfer-encoding"])
            && is_one_line
            && before.contains(&b'@'))
        .then_some(1);
    }
    let argument = unspaced(rest);
    if (command.eq_ignore_ascii_case(b"rcpt") && strip(argument, b"to").is_some_and(is_colon))
        || (command.eq_ignore_ascii_case(b"mail") && strip(argument, b"from").is_some_and(is_colon))
    {
        return Some(1);
    }
    let is_alone = end_of(rest).trim_ascii().is_empty();
    if is_one_of(command, &[b"data", b"quit", b"rset", b"noop"]) && is_alone {
        let is_command = command.iter().all(u8::is_ascii_uppercase);
        return Some(if is_command { 1 } else { 3 });
    }
    let argument = end_of(argument).trim_ascii();
    if is_one_of(command, &[b"ehlo", b"helo", b"vrfy", b"expn"]) && !argument.is_empty() {
        return (!argument.contains(&b' ')).then_some(1);
    }
    let is_number = !argument.is_empty() && argument.iter().all(u8::is_ascii_digit);
    if is_one_of(command, &[b"dele", b"retr"]) && is_number {
        return Some(1);
    }
    is_of_imap(command, rest).then_some(1)
}

/// A tag such as `A001`, and a command.
fn is_of_imap(tag: &[u8], rest: &[u8]) -> bool {
    let is_tag = tag.len() <= MAX_TAG
        && tag.first().is_some_and(u8::is_ascii_alphabetic)
        && tag.last().is_some_and(u8::is_ascii_digit);
    let [b' ', rest @ ..] = rest else { return false };
    let (command, _) = word(rest, b"");
    // The others are words of a text when they are small.
    let is_command = command.iter().all(u8::is_ascii_uppercase) || is_one_of(command, NO_WORDS);
    is_tag && is_command && is_one_of(command, IMAP)
}

fn is_colon(bytes: &[u8]) -> bool {
    unspaced(bytes).first() == Some(&b':')
}

/// Up to the next line end, in any form.
fn end_of(line: &[u8]) -> &[u8] {
    let line = line.get(..MAX_ADDRESS).unwrap_or(line);
    lines(line).next().map_or(line, |(before, _)| before)
}

const LINE_END: Clues = Clues::these(b"\r\n\\%\x80");

/// An address has at most 254 bytes (RFC 5321, section 4.5.3.1.3).
const MAX_ADDRESS: usize = 256;

/// Tags are short.
const MAX_TAG: usize = 8;

const IMAP: &[&[u8]] = &[
    b"append",
    b"authenticate",
    b"capability",
    b"check",
    b"close",
    b"copy",
    b"create",
    b"delete",
    b"examine",
    b"expunge",
    b"fetch",
    b"list",
    b"login",
    b"logout",
    b"lsub",
    b"noop",
    b"rename",
    b"search",
    b"select",
    b"starttls",
    b"status",
    b"store",
    b"subscribe",
    b"uid",
];

/// Those of them that are no words.
const NO_WORDS: &[&[u8]] =
    &[b"capability", b"expunge", b"examine", b"logout", b"lsub", b"noop", b"starttls"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::security::{
        detectors::{Detector, trial},
        normalise::part::Place,
    };

    fn level(value: &[u8]) -> Option<u8> {
        trial::level_as_it_is(Detector::MailInjection, Place::JsonString, value)
    }

    #[test]
    fn attacks_are_sure() {
        for value in [
            "a@b.example\nBcc: c@d.example",
            "a@b.example\r\nBcc:c@d.example",
            "a@b.example%0aBcc: c@d.example",
            "a@b.example%0D%0Abcc:c@d.example",
            "a@b.example\\nBcc: c@d.example",
            "a@b.example\r\nCc: c@d.example",
            "a@b.example\nTo: c@d.example",
            "a@b.example\nFrom: boss@d.example",
            "a@b.example\nReply-To: c@d.example",
            "a@b.example\nSubject: spam",
            "a@b.example\nContent-Type: text/html",
            "x\r\nMIME-Version: 1.0",
            "hello\r\nBcc: c@d.example",
            "x\r\nRCPT TO: <c@d.example>",
            "x\r\nRCPT TO:<c@d.example>",
            "x\nMAIL FROM:<c@d.example>",
            "x\r\nmail from: c@d.example",
            "x\r\n.\r\nMAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\nhi\r\n.\r\n",
            "x\r\nDATA\r\nSubject: a\r\n\r\nb",
            "x\r\n.\r\nQUIT\r\n",
            "x\r\nRSET",
            "x\r\nEHLO a.example",
            "x\r\nVRFY root",
            "1\r\nDELE 1",
            "1\r\nRETR 5\r\n",
            "\"\r\nV100 CAPABILITY\r\nV101 FETCH 4791",
            "1\r\nA001 LOGIN a b",
            "1 BODY[HEADER]%0d%0aV100 CAPABILITY%0d%0aV101 FETCH 1",
            "1\r\na02 logout",
            "INBOX\"\r\nA003 DELETE x",
        ] {
            assert_eq!(level(value.as_bytes()), Some(1), "{value:?}");
        }
    }

    #[test]
    fn ordinary_texts_are_nothing() {
        for value in [
            "maria@example.com",
            "Maria <maria@example.com>",
            "Bcc: a@example.com",
            "one\ntwo",
            "Dear all,\n\nplease answer.\nMaria",
            "Nome: Maria\nE-mail: maria@example.com",
            "To do:\nto: buy",
            "items\nfrom: here\nto: there",
            "Data:\ndata\nhora",
            "mail\nmail from home",
            "a\nquit smoking",
            "a\nData do sinistro: 10/10/2024",
            "a\nDATA DE NASCIMENTO",
            "one\nA1 select a car",
            "one\nB12 List",
            "section\nA4 paper",
            "C:\\data\\reports",
            "C:\\rcpt\\to",
            "100%0 b",
            "a\n.\nb",
            "Assunto\nSubject to change",
            "a\r\n",
            "Olá,\r\nenvio em anexo\r\nAtt.",
            "\\r\\n",
            "line\nhelo",
            "x\nretr",
            "subject: a\nbody: b",
        ] {
            let level = level(value.as_bytes());
            assert!(level.is_none_or(|level| level > 2), "{value:?} {level:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _level = level(&bytes);
        }
    }
}
