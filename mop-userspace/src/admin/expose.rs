//! The two text forms of metrics.
//!
//! OpenMetrics is what the library writes. Scrapers that do not ask for it are given the older form
//! of Prometheus, in which the names of families carry the suffixes of their samples, and units and
//! the end are not told.

/// A form of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    OpenMetrics,
    Prometheus,
}

impl Form {
    /// The form that a client asks for.
    pub(super) fn of_accept(accept: &str) -> Self {
        let wants = accept.split(',').any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let is_open = parts.next() == Some("application/openmetrics-text");
            is_open && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
        });
        if wants { Self::OpenMetrics } else { Self::Prometheus }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Brings OpenMetrics into this form.
    pub(super) fn of_open_metrics(self, text: String) -> String {
        match self {
            Self::OpenMetrics => text,
            Self::Prometheus => prometheus(&text),
        }
    }
}

fn prometheus(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // The help of a family comes before its type, which its name depends on.
    let mut help: Option<(&str, &str)> = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some((name, kind)) =
            line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                other => ("", other),
            };
            if let Some((_, help)) = help.take().filter(|(helped, _)| *helped == name) {
                out.push_str(&format!("# HELP {name}{suffix} {help}\n"));
            }
            out.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
        } else if !line.starts_with("# ") {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_what_the_client_asks_for() {
        for (accept, form) in [
            ("", Form::Prometheus),
            ("*/*", Form::Prometheus),
            ("text/plain;version=0.0.4;q=0.5", Form::Prometheus),
            ("application/openmetrics-text;q=0", Form::Prometheus),
            ("application/openmetrics-text", Form::OpenMetrics),
            (
                "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5",
                Form::OpenMetrics,
            ),
        ] {
            assert_eq!(Form::of_accept(accept), form, "{accept}");
        }
    }

    #[test]
    fn names_of_families_carry_their_suffixes_in_the_older_form() {
        let open = "# HELP mop_a Some calls.\n# TYPE mop_a counter\nmop_a_total{x=\"# \"} 1\n\
                    # HELP mop_b_bytes Room.\n# TYPE mop_b_bytes gauge\n# UNIT mop_b_bytes bytes\n\
                    mop_b_bytes 2\n# HELP mop_c What.\n# TYPE mop_c info\nmop_c_info{v=\"1\"} 1\n\
                    # EOF\n";
        let old = "# HELP mop_a_total Some calls.\n# TYPE mop_a_total counter\n\
                   mop_a_total{x=\"# \"} 1\n# HELP mop_b_bytes Room.\n# TYPE mop_b_bytes gauge\n\
                   mop_b_bytes 2\n# HELP mop_c_info What.\n# TYPE mop_c_info gauge\n\
                   mop_c_info{v=\"1\"} 1\n";
        assert_eq!(prometheus(open), old);
    }
}
