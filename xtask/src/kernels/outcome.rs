//! What the script in the virtual machine reported, and whether it is what it should be.

use mop_tests::Exchange;
use serde_json::{Value, json};

use super::{calls::Call, initramfs::MARK, machine::Boot};

/// MOP on one kernel.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Of the image that was booted.
    pub(super) name: String,
    release: String,
    expected: Expected,
    /// How the kernel preempts, as it says itself.
    preemption: String,
    seconds: u64,
    /// From the start of `mop observe` until it said that it observes.
    start_seconds: Option<f64>,
    doctor: Value,
    is_observing: bool,
    libraries: u64,
    /// Of the calls at both their ends, those reported whole and right.
    right_exchanges: usize,
    expected_exchanges: usize,
    /// How often the kernel left a program of MOP out, because it ran already on that CPU.
    skipped_runs: u64,
    messages: String,
    problems: Vec<String>,
}

/// What was tried in the virtual machine.
#[derive(Debug)]
pub(super) struct Scenario<'a> {
    pub(super) calls: &'a [Call],
    /// How often each call was made.
    pub(super) rounds: usize,
    /// What was added to the kernel's command line.
    pub(super) kernel_options: &'a str,
}

/// What MOP should do on a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Work,
    /// Say in one sentence why it cannot observe.
    Refusal,
}

impl Outcome {
    /// Reads the report of a boot and compares it with what should have been.
    pub(super) fn judge(name: &str, boot: &Boot, scenario: &Scenario<'_>) -> Self {
        let report = Report::read(&boot.report);
        let release = report.part("release").to_owned();
        let version = version(if release.is_empty() { name } else { &release });
        let records: Vec<Value> = report
            .part("records")
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        let summary = records.iter().rfind(|record| record["kind"] == "observe.summary");
        let messages = report.part("messages").to_owned();
        let is_observing = messages.lines().any(|line| line.starts_with("Observing"));
        let misses = report.part("misses").lines().filter_map(|line| line.parse::<u64>().ok());
        let mut outcome = Self {
            name: name.to_owned(),
            release,
            expected: Expected::on(version, scenario.kernel_options),
            preemption: report.part("preemption").to_owned(),
            seconds: boot.seconds,
            start_seconds: difference(report.part("start")).filter(|_| is_observing),
            doctor: serde_json::from_str(report.part("doctor")).unwrap_or(Value::Null),
            is_observing,
            libraries: summary.and_then(|summary| summary["libraries"].as_u64()).unwrap_or(0),
            right_exchanges: 0,
            expected_exchanges: 0,
            skipped_runs: misses.sum(),
            messages,
            problems: Vec::new(),
        };
        if !report.has("end") {
            outcome.problems.push(unfinished(boot, &report));
        }
        // Without it, the rest would only say again that the report is not whole.
        if report.has("status") {
            match outcome.expected {
                Expected::Refusal => outcome.judge_refusal(report.part("status")),
                Expected::Work => {
                    outcome.judge_work(version, &report);
                    outcome.judge_calls(version, &records, scenario, &report);
                }
            }
        }
        if !report.part("complaints").is_empty() {
            outcome.problems.push(format!("the kernel said: {}", report.part("complaints")));
        }
        outcome
    }

    /// Whether MOP did what it should on this kernel.
    pub(super) fn is_right(&self) -> bool {
        self.problems.is_empty()
    }

    /// In a word or two.
    pub(super) fn verdict(&self) -> &'static str {
        match (self.is_right(), self.expected) {
            (true, Expected::Work) => "works",
            (true, Expected::Refusal) => "refused, as it should be",
            (false, _) => "WRONG",
        }
    }

    /// A row of the table below [`HEADING`], with what is wrong under it.
    pub(super) fn line(&self) -> String {
        let yes = |is_so: bool| if is_so { "yes" } else { "no" };
        let start = self.start_seconds.map_or("-".to_owned(), |seconds| format!("{seconds:.0} s"));
        let mut line = format!(
            "{:<22} {:<13} {:<13} {:<7} {:<9} {:<10} {:>8} {:>6} {:>6}  {}",
            if self.release.is_empty() { &self.name } else { &self.release },
            if self.can_observe() { "possible" } else { "not possible" },
            self.attach_method().unwrap_or("-"),
            yes(self.is_observing),
            yes(self.libraries > 0),
            format!("{} of {}", self.right_exchanges, self.expected_exchanges),
            self.skipped_runs,
            start,
            format!("{} s", self.seconds),
            self.verdict(),
        );
        for problem in &self.problems {
            line.push_str("\n  ");
            line.push_str(&shortened(problem).replace('\n', "\n    "));
        }
        line
    }

    /// Everything that is known.
    pub(super) fn json(&self) -> Value {
        json!({
            "image": self.name,
            "release": self.release,
            "preemption": self.preemption,
            "expected": match self.expected {
                Expected::Work => "work",
                Expected::Refusal => "refusal",
            },
            "as_expected": self.is_right(),
            "problems": self.problems,
            "doctor": {
                "can_observe": self.can_observe(),
                "attach": self.doctor["attach"],
                "checks": self.doctor["checks"],
            },
            "loaded": self.is_observing,
            "attached_libraries": self.libraries,
            "right_exchanges": self.right_exchanges,
            "expected_exchanges": self.expected_exchanges,
            "messages": self.messages,
            "skipped_runs": self.skipped_runs,
            "start_seconds": self.start_seconds,
            "seconds": self.seconds,
        })
    }

    fn can_observe(&self) -> bool {
        self.doctor["can_observe"] == true
    }

    /// How functions are attached to.
    fn attach_method(&self) -> Option<&str> {
        self.doctor["attach"]["method"].as_str()
    }

    fn judge_work(&mut self, version: (u32, u32), report: &Report<'_>) {
        let method = self.attach_method();
        if version >= UPROBE_MULTI_SINCE && method.is_some_and(|method| method != UPROBE_MULTI) {
            let reason = &self.doctor["attach"]["reason"];
            self.problems.push(format!("no {UPROBE_MULTI}, although the kernel has it: {reason}"));
        }
        if !self.can_observe() {
            let refusals = self.refusals(report.part("doctor-messages"));
            self.problems.push(format!("mop doctor: {refusals}"));
        }
        if self.skipped_runs > 0 {
            self.problems.push(format!(
                "the kernel left {} runs of MOP's programs out, since another run was under way \
                 on the same CPU: calls may be missing without being counted",
                self.skipped_runs
            ));
        }
        if report.part("nginx") != "0" {
            self.problems.push(format!("nginx ended with {}", report.part("nginx")));
        }
        let status = report.part("status");
        if !self.is_observing || status != "0" {
            self.problems.push(format!("mop observe ended with {status}: {}", self.messages));
        }
    }

    fn judge_calls(
        &mut self,
        version: (u32, u32),
        records: &[Value],
        scenario: &Scenario<'_>,
        report: &Report<'_>,
    ) {
        let exchanges: Vec<Exchange> = records.iter().filter_map(Exchange::from_record).collect();
        for call in scenario.calls.iter().filter(|call| call.is_shown_by(version)) {
            self.judge_call(call, scenario.rounds, report, &exchanges);
        }
    }

    fn judge_call(
        &mut self,
        call: &Call,
        rounds: usize,
        report: &Report<'_>,
        exchanges: &[Exchange],
    ) {
        let name = call.name;
        self.expected_exchanges += rounds * VIEWS.len();
        if !self.is_observing {
            return;
        }
        for said in report.all(name).filter(|said| !call.was_answered(said)) {
            self.problems.push(format!("{name} itself failed: {said}"));
        }
        for role in VIEWS {
            let (right, wrong) = call.judge(exchanges, role);
            self.right_exchanges += right;
            if right + wrong.len() != rounds {
                let seen = right + wrong.len();
                self.problems.push(format!("{name} at the {role}: {seen} of {rounds} reported"));
            }
            self.problems.extend(
                wrong.into_iter().map(|problem| format!("{name} at the {role}: {problem}")),
            );
        }
    }

    fn judge_refusal(&mut self, status: &str) {
        if self.can_observe() {
            self.problems.push("mop doctor says that observing is possible".to_owned());
        }
        if self.is_observing {
            self.problems.push("mop observe observes, where it cannot".to_owned());
        } else if status != EXIT_CONFIGURATION || self.messages.is_empty() {
            self.problems.push(format!(
                "mop observe ended with {status} instead of {EXIT_CONFIGURATION} and said: {}",
                self.messages
            ));
        }
    }

    fn refusals(&self, messages: &str) -> String {
        let Some(checks) = self.doctor["checks"].as_array() else {
            return format!("no report; it said: {messages}");
        };
        let failed = checks.iter().filter(|check| check["status"] == "failed");
        let lines = failed.map(|check| {
            let text = |field: &str| check[field].as_str().unwrap_or("").to_owned();
            format!("{}: {}", text("name"), text("detail"))
        });
        lines.collect::<Vec<_>>().join("; ")
    }
}

impl Expected {
    fn on(version: (u32, u32), kernel_options: &str) -> Self {
        let is_closed = kernel_options.contains(CONFIDENTIALITY);
        if version < OLDEST_KERNEL || is_closed { Self::Refusal } else { Self::Work }
    }
}

/// What of a text fits into a table: the verifier of a kernel says much.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(PROBLEM_CHARACTERS) {
        Some((end, _)) => format!("{} … (all of it with --json)", &text[..end]),
        None => text.to_owned(),
    }
}

/// The first two numbers of a kernel's release.
fn version(release: &str) -> (u32, u32) {
    let mut numbers = release
        .split(|character: char| !character.is_ascii_digit())
        .filter_map(|number| number.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Where a boot came to that did not report everything.
fn unfinished(boot: &Boot, report: &Report<'_>) -> String {
    let how = if boot.timed_out { "was ended at its limit" } else { "ended too early" };
    let last = ["records", "status", "start", "doctor", "release"];
    let reached = last.into_iter().find(|part| report.has(part)).unwrap_or("nothing");
    format!(
        "the machine {how} after {} s; the last part of its report is `{reached}`; {} has what its \
         kernel said",
        boot.seconds,
        boot.console.display()
    )
}

/// The parts of a report, with their names, in their order.
struct Report<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Report<'a> {
    fn read(text: &'a str) -> Self {
        let mark = format!("{MARK} ");
        let between = format!("\n{mark}");
        let text = text.strip_prefix(&mark).unwrap_or("");
        let parts = text.split(&between).filter(|part| !part.is_empty());
        let parts = parts.map(|part| part.split_once('\n').unwrap_or((part, "")));
        Self(parts.map(|(name, content)| (name.trim(), content.trim())).collect())
    }

    fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// The content of the first part of this name; empty when there is none.
    fn part(&self, name: &str) -> &'a str {
        self.all(name).next().unwrap_or("")
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(one, _)| *one == name).map(|(_, content)| *content)
    }
}

/// The second of two numbers minus the first.
fn difference(text: &str) -> Option<f64> {
    let (begin, end) = text.trim().split_once(' ')?;
    Some(end.parse::<f64>().ok()? - begin.parse::<f64>().ok()?)
}

/// Above the rows of the table.
pub(super) const HEADING: &str = "kernel                 doctor        probes        loaded  attached  exchanges   skipped  start   boot  outcome";
const PROBLEM_CHARACTERS: usize = 600;
/// The ends at which a call is reported.
const VIEWS: [&str; 2] = ["client", "server"];
/// The oldest on which MOP should work.
const OLDEST_KERNEL: (u32, u32) = (5, 15);
/// Many places in one link, and the oldest kernel that has it.
const UPROBE_MULTI: &str = "uprobe_multi";
const UPROBE_MULTI_SINCE: (u32, u32) = (6, 6);
/// Forbids programs that read kernel memory, as MOP's must.
const CONFIDENTIALITY: &str = "lockdown=confidentiality";
/// How MOP ends on a machine that does not allow observing.
const EXIT_CONFIGURATION: &str = "78";

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn judge_with(kernel_options: &str, report: &str) -> Outcome {
        let boot = Boot {
            report: report.to_owned(),
            console: PathBuf::new(),
            seconds: 9,
            timed_out: false,
        };
        Outcome::judge("x", &boot, &Scenario { calls: &[], rounds: 1, kernel_options })
    }

    fn judge(report: &str) -> Outcome {
        judge_with("", report)
    }

    const WORKING: &str = "== release\n6.1.0\n== nginx\n0\n== doctor\n{\"can_observe\": true}\n\
        == start\n1.5 4\n== again\n1\n== again\n2\n== misses\n0\n0\n== status\n0\n== messages\nPrivileges: all\nObserving\n\
        == records\n{\"kind\":\"observe.summary\",\"libraries\":2}\n== complaints\n== end\n";

    #[test]
    fn the_parts_of_a_report_are_read() {
        let outcome = judge(WORKING);
        assert_eq!(outcome.problems, [""; 0]);
        assert_eq!((outcome.libraries, outcome.start_seconds), (2, Some(2.5)));
        let report = Report::read(WORKING);
        assert_eq!(report.part("messages"), "Privileges: all\nObserving");
        assert_eq!(report.all("again").collect::<Vec<_>>(), ["1", "2"]);
        assert!(report.has("complaints") && !report.has("upload"));
    }

    #[test]
    fn runs_that_the_kernel_left_out_are_a_problem() {
        let outcome = judge(&WORKING.replace("misses\n0\n0", "misses\n3\n4"));
        assert_eq!(outcome.skipped_runs, 7);
        assert!(outcome.problems[0].contains("left 7 runs"), "{:?}", outcome.problems);
    }

    #[test]
    fn a_new_kernel_that_gets_the_old_way_is_a_problem() {
        let report = |release: &str, method: &str| {
            let attach =
                format!("{{\"can_observe\": true, \"attach\": {{\"method\": \"{method}\"}}}}");
            WORKING.replace("6.1.0", release).replace("{\"can_observe\": true}", &attach)
        };
        assert_eq!(judge(&report("6.1.0", "perf_event")).problems, [""; 0]);
        assert_eq!(judge(&report("6.6.0", "uprobe_multi")).problems, [""; 0]);
        assert_eq!(judge(&report("6.6.0", "perf_event")).problems.len(), 1);
    }

    #[test]
    fn what_the_kernel_complains_about_is_a_problem() {
        let report = WORKING.replace("complaints\n", "complaints\nBUG: scheduling\n");
        assert_eq!(judge(&report).problems, ["the kernel said: BUG: scheduling"]);
    }

    #[test]
    fn a_call_that_is_not_reported_is_a_problem() {
        let folder = tempfile::tempdir().expect("a folder");
        let calls = Call::all(folder.path()).expect("calls");
        let mut outcome = judge(WORKING);
        let report = Report::read("== tls-download\ncurl: refused\n");
        outcome.judge_call(&calls[0], 2, &report, &[]);
        assert_eq!(
            outcome.problems,
            [
                "tls-download itself failed: curl: refused",
                "tls-download at the client: 0 of 2 reported",
                "tls-download at the server: 0 of 2 reported"
            ]
        );
    }

    #[test]
    fn where_observing_cannot_be_it_must_be_refused() {
        let report = |status: &str, message: &str| {
            format!(
                "== release\n5.10.0-32-amd64\n== doctor\n{{\"can_observe\": false}}\n\
                 == status\n{status}\n== messages\n{message}\n== end\n"
            )
        };
        assert!(judge(&report("78", "too old")).is_right());
        assert!(!judge(&report("1", "too old")).is_right());
        assert!(!judge(&report("78", "")).is_right());
        assert!(!judge(&report("0", "Observing")).is_right());
        assert!(!judge_with("lockdown=confidentiality", WORKING).is_right());
        assert!(judge_with("lockdown=integrity", WORKING).is_right());
    }

    #[test]
    fn a_report_that_breaks_off_is_a_problem() {
        let report = WORKING.replace("== end\n", "");
        assert!(judge(&report).problems[0].contains("ended too early"));
        assert!(!judge("").is_right());
    }
}
