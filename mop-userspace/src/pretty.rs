//! Records for people: a line a call, and more only when there is more to say.

use std::{borrow::Cow, fmt::Write as _};

use mop_outbox::Lane;

use crate::{
    drafts::Envelope,
    output::Record,
    record::{ExchangeRecord, MessageRecord, SeenRecord, library_name},
    workloads::WorkloadRecord,
};

/// Whether to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// With terminal colours.
    Coloured,
    /// Plain text.
    Plain,
}

impl Record for ExchangeRecord<'_> {
    fn envelope(&self) -> Envelope<'_> {
        Envelope { lane: Lane::Local, kind: self.kind, id: &self.exchange }
    }

    fn write_pretty(&self, out: &mut String, style: Style) {
        write(out, self, style);
    }
}

/// A word in the colour of a severity or verdict.
pub(crate) fn paint_severity(style: Style, word: &str) -> String {
    let colour = match word {
        "✓" => GREEN,
        "✗" | "error" => RED,
        "warning" => YELLOW,
        _ => CYAN,
    };
    paint(style, colour, word)
}

fn write(out: &mut String, record: &ExchangeRecord<'_>, style: Style) {
    let time = record.ts.strftime("%H:%M:%S%.3f");
    let _ = write!(out, "{time} {:<6} ", record.role);
    if let Some(process) = &record.process {
        let _ = write!(out, "{}[{}]", word(process.command), process.pid);
        if let Some(workload) = record.workload.and_then(WorkloadRecord::of) {
            let _ = write!(out, "@{}", word(&workload.line()));
        } else if let Some(container) = process.container {
            let _ = write!(out, "@{}", container.get(..12).unwrap_or(container));
        }
        out.push(' ');
    }
    if let Some(transport) = &record.transport {
        out.push_str(transport.library.map_or(transport.layer, library_name));
        out.push(' ');
    }
    for (end, arrow) in [(&record.client, "→ "), (&record.server, "")] {
        match end {
            Some(end) if end.ip.contains(':') => {
                let _ = write!(out, "[{}]:{} {arrow}", word(&end.ip), end.port);
            }
            Some(end) => {
                let _ = write!(out, "{}:{} {arrow}", word(&end.ip), end.port);
            }
            None => {
                let _ = write!(out, "? {arrow}");
            }
        }
    }
    out.push(' ');
    match &record.request {
        Some(request) => {
            let method = paint(style, BOLD, &word(request.method));
            let _ = write!(out, "{method} {} ", word(&request.target));
        }
        None => out.push_str("(request not seen) "),
    }
    match &record.response {
        Some(response) => {
            let status = response.status.unwrap_or_default();
            let colour = match status / 100 {
                2 => GREEN,
                4 => YELLOW,
                5 => RED,
                _ => CYAN,
            };
            out.push_str(&paint(style, colour, &status.to_string()));
        }
        None => out.push_str("(no response seen)"),
    }
    if let Some(duration) = record.duration_ms {
        let _ = write!(out, " {duration:.2} ms");
    }
    let sizes = (
        record.request.as_ref().map_or(0, |request| request.message.body.bytes),
        record.response.as_ref().map_or(0, |response| response.message.body.bytes),
    );
    let _ = write!(out, " {} → {}", size(sizes.0), size(sizes.1));
    if !record.completeness.complete {
        let text = format!("INCOMPLETE {}", record.completeness.ending);
        let _ = write!(out, " {}", paint(style, RED, &text));
        missing(out, "request", &record.completeness.request);
        missing(out, "response", &record.completeness.response);
    } else if record.completeness.resynchronised {
        out.push_str(" (calls before it on this connection may be missing)");
    }
    out.push('\n');
    if let Some(request) = &record.request {
        payload(out, ">", &request.message);
    }
    if let Some(response) = &record.response {
        payload(out, "<", &response.message);
    }
}

fn missing(out: &mut String, side: &str, seen: &SeenRecord<'_>) {
    if seen.missing_bytes == 0 {
        return;
    }
    let cause = seen.holes.first().map_or("none", |hole| hole.cause.name());
    let _ = write!(out, ", {} bytes of the {side} missing ({cause})", seen.missing_bytes);
}

/// Headers and body, when payload is shown.
fn payload(out: &mut String, mark: &str, message: &MessageRecord<'_>) {
    if !message.shows_payload() {
        return;
    }
    for (name, value) in message.headers.iter() {
        let _ = writeln!(out, "  {mark} {}: {}", word(name), printable(&value));
    }
    if let Some(text) = &message.body.text {
        let _ = writeln!(out, "  {mark}\n  {mark} {}", printable(text));
    }
}

/// Bytes from the network must not drive the terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c })
        .collect()
}

/// The same for what stands on one line: it must not begin another either.
fn word(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) {
        text.replace(char::is_control, "\u{fffd}").into()
    } else {
        Cow::Borrowed(text)
    }
}

fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    for (unit, factor) in UNITS {
        if bytes >= factor {
            let (whole, rest) = (bytes / factor, bytes % factor);
            return format!("{whole}.{} {unit}", rest * 10 / factor);
        }
    }
    format!("{bytes} B")
}

fn paint(style: Style, colour: &str, text: &str) -> String {
    match style {
        Style::Coloured => format!("\u{1b}[{colour}m{text}\u{1b}[0m"),
        Style::Plain => text.to_owned(),
    }
}

// ECMA-48 SGR.
const BOLD: &str = "1";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const CYAN: &str = "36";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(5 << 30), "5.0 GiB");
        assert_eq!(size(u64::MAX), "17179869183.9 GiB");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb"), "a\u{fffd}[2Jb");
        assert_eq!(word("/a\n\u{9b}2J"), "/a\u{fffd}\u{fffd}2J");
    }
}
