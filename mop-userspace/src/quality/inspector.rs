//! One worker's judge: looks at each exchange, reports it, and counts it into windows.

use std::{collections::HashMap, sync::Arc, time::Duration};

use clap::Args;
use jiff::Timestamp;
use mop_contract::{
    Call, Contract, Judge, JudgedBody, Judgement, Message, Visitor,
    json::Value,
    operation::{Operation, OperationId},
    route::path_of,
    rules::{CallFacts, MessageFacts, RuleViolation},
    violation::{Direction, Severity},
    window::{AttributeTrees, Counterpart},
};
use mop_wire::{Exchange, Role};

use super::{
    records::{
        OperationRecord, QualityReport, ReadingRecord, SCHEMA_VERSION, UnjudgedRecord,
        ViolationRecord,
    },
    window::OpenWindow,
};
use crate::{
    cli::parse_duration,
    official::{
        door::Judged,
        message::{OfficialMessages, Source},
        validations::Validations,
    },
    output::Outlet,
    record::role_name,
    rulebook::{RuleArguments, RuleBook, RuleBooks},
};

/// How calls are judged and reported.
#[derive(Args, Clone, Debug)]
pub(crate) struct QualityArguments {
    #[command(flatten)]
    pub(crate) rules: RuleArguments,
    /// Stretch of time over which calls and attributes are counted: whole seconds, at most a day.
    #[arg(long, value_name = "DURATION", default_value = DEFAULT_WINDOW_TEXT, value_parser = parse_window)]
    pub(crate) window: Duration,
    /// Of the calls with nothing wrong, report every so many of each operation; 0 for none.
    /// Without it: each in a replay, every hundredth of live traffic.
    #[arg(long, value_name = "COUNT")]
    pub(crate) report_clean: Option<u32>,
    /// Do not judge calls.
    #[arg(long)]
    pub(crate) no_quality: bool,
}

/// What was judged.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct InspectorCounts {
    pub(crate) conforming: u64,
    pub(crate) violating: u64,
    pub(crate) unjudged: u64,
    /// Calls below the regulated prefix that no contract has.
    pub(crate) unrouted: u64,
}

/// Judges the exchanges of one worker.
pub(crate) struct Inspector {
    books: Arc<RuleBooks>,
    book: Arc<RuleBook>,
    generation: u64,
    judge: Judge,
    trees: AttributeTrees,
    window: OpenWindow,
    report_clean: u32,
    clean: HashMap<Option<OperationId>, u32>,
    /// Makes messages for the official server, when it is configured.
    pub(crate) official: Option<OfficialMessages>,
    pub(crate) counts: InspectorCounts,
}

/// How a call was judged as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything was judged, and nothing is wrong.
    Conforming,
    /// Something is wrong in the corrected reading, or by a rule that is an error.
    Violating,
    /// Nothing wrong was found, but not everything could be judged.
    Unjudged,
}

impl Inspector {
    /// `report_clean` is the default for live traffic or a replay; `worker` begins the ids of its
    /// windows.
    pub(crate) fn new(
        books: Arc<RuleBooks>,
        arguments: &QualityArguments,
        report_clean: u32,
        worker: String,
    ) -> Self {
        Self {
            generation: books.generation(),
            book: books.current(),
            books,
            judge: Judge::default(),
            trees: AttributeTrees::default(),
            window: OpenWindow::new(arguments.window, worker),
            report_clean: arguments.report_clean.unwrap_or(report_clean),
            clean: HashMap::new(),
            official: None,
            counts: InspectorCounts::default(),
        }
    }

    /// Judges an exchange and reports it.
    pub(crate) fn inspect(
        &mut self,
        id: &str,
        ts: Timestamp,
        exchange: &Exchange,
        outlet: Option<&mut Outlet>,
    ) {
        let Some(call) = Call::of(exchange) else { return };
        self.inspect_call(Source { exchange, id, ts, told: None }, call, outlet);
    }

    /// Judges the one message of which an application handed a copy over, and reports it.
    pub(crate) fn inspect_copy(
        &mut self,
        source: Source<'_>,
        outlet: Option<&mut Outlet>,
    ) -> Option<Judged> {
        let exchange = source.exchange;
        let request = exchange.request.as_ref()?;
        let message = Message { headers: &request.headers, body: &request.body };
        let response = exchange.response.as_ref().map(|response| {
            (response.status, Message { headers: &response.headers, body: &response.body })
        });
        let call = Call {
            method: &request.method,
            target: &request.target,
            request: (exchange.role == Role::Client).then_some(message),
            response: response.filter(|_| exchange.role == Role::Server),
            incomplete: false,
        };
        self.inspect_call(source, call, outlet)
    }

    fn inspect_call(
        &mut self,
        source: Source<'_>,
        call: Call<'_>,
        mut outlet: Option<&mut Outlet>,
    ) -> Option<Judged> {
        let Source { exchange, id, ts, told } = source;
        let is_copy = told.is_some();
        self.advance(ts, outlet.as_deref_mut());
        let book = Arc::clone(&self.book);
        let host = counterpart_of(exchange);
        let counterpart = self.window.counts().counterpart(host.as_deref());
        let mut looks = Looks {
            book: &book,
            call,
            counterpart: &counterpart,
            window: &mut self.window,
            trees: &mut self.trees,
            is_copy,
            findings: Vec::new(),
        };
        let judgement = if is_copy {
            self.judge.judge_copy(&book.contract, call, &mut looks)
        } else {
            self.judge.judge(&book.contract, call, &mut looks)
        };
        let findings = looks.findings;
        let is_regulated = path_of(call.target).starts_with(REGULATED_PREFIX);
        if judgement.operation.is_err() && !is_regulated && !is_copy {
            return None;
        }
        self.window.counts().call(
            &counterpart,
            &judgement,
            findings.iter().map(|found| {
                let rule = found.rule;
                (rule.direction, &*rule.id, &*rule.attribute, rule.severity == Severity::Error)
            }),
        );
        let outcome = Outcome::of(&judgement, &findings);
        self.count(&judgement, outcome);
        let mut message = Ok(false);
        if let (Some(official), Some(outlet)) = (&mut self.official, outlet.as_deref_mut()) {
            message = official.make(source, &judgement, &findings).map(|made| {
                if let Some(record) = &made {
                    outlet.push(record);
                }
                made.is_some()
            });
        }
        let judged = is_copy.then(|| Judged {
            validations: Validations::of(
                &judgement,
                &findings,
                match exchange.role {
                    Role::Client => Direction::Request,
                    Role::Server => Direction::Response,
                },
            ),
            message,
        });
        let Some(outlet) = outlet else { return judged };
        let nothing_wrong = outcome == Outcome::Conforming || judgement.operation.is_err();
        if nothing_wrong && !self.is_sampled(judgement.operation.ok()) {
            return judged;
        }
        let operation = operation_record(&book.contract, &judgement);
        outlet.push(&QualityReport {
            kind: "quality.report",
            schema_version: SCHEMA_VERSION,
            id: format!("{id}/quality"),
            exchange: id,
            ts,
            role: role_name(exchange.role),
            counterpart: host.as_deref(),
            operation,
            unrouted: judgement.operation.err().map(|unrouted| unrouted.name()),
            status: call.response.map(|(status, _)| status),
            verdict: outcome.name(),
            published: ReadingRecord::new(&judgement.published),
            corrected: ReadingRecord::new(&judgement.corrected),
            rules: findings.iter().map(ViolationRecord::from).collect(),
            unjudged: UnjudgedRecord::all(&judgement.unjudged),
        });
        judged
    }

    /// The time has come this far: a window that is over is reported, and a new generation of
    /// rules is taken.
    pub(crate) fn advance(&mut self, ts: Timestamp, mut outlet: Option<&mut Outlet>) {
        let generation = self.books.generation();
        if generation != self.generation {
            // Operations have other numbers in the new generation: the counts end here.
            self.window.close(&self.book.contract, &mut self.trees, outlet.as_deref_mut());
            self.generation = generation;
            self.book = self.books.current();
            self.trees = AttributeTrees::default();
            self.clean.clear();
        }
        self.window.advance(ts, &self.book.contract, &mut self.trees, outlet);
    }

    /// Gives up whatever a panic may have left half done.
    pub(crate) fn reset(&mut self) {
        self.judge = Judge::default();
        self.trees = AttributeTrees::default();
        if let Some(official) = &mut self.official {
            official.reset();
        }
    }

    /// Reports the window that is open.
    pub(crate) fn finish(&mut self, outlet: Option<&mut Outlet>) {
        self.window.close(&self.book.contract, &mut self.trees, outlet);
    }

    fn count(&mut self, judgement: &Judgement, outcome: Outcome) {
        let counts = &mut self.counts;
        *match (judgement.operation, outcome) {
            (Err(_), _) => &mut counts.unrouted,
            (Ok(_), Outcome::Conforming) => &mut counts.conforming,
            (Ok(_), Outcome::Violating) => &mut counts.violating,
            (Ok(_), Outcome::Unjudged) => &mut counts.unjudged,
        } += 1;
    }

    /// Whether a call with nothing wrong is one of those that are reported: the first of each
    /// operation, and then every so many.
    fn is_sampled(&mut self, operation: Option<OperationId>) -> bool {
        if self.report_clean == 0 {
            return false;
        }
        let seen = self.clean.entry(operation).or_default();
        let is_sampled = seen.is_multiple_of(self.report_clean);
        *seen = seen.wrapping_add(1);
        is_sampled
    }
}

impl Outcome {
    pub(crate) fn of(judgement: &Judgement, findings: &[RuleViolation<'_>]) -> Self {
        let breaks_rule = findings.iter().any(|found| found.rule.severity == Severity::Error);
        if !judgement.corrected.is_conforming() || breaks_rule {
            Self::Violating
        } else if judgement.operation.is_ok() && judgement.unjudged.is_empty() {
            Self::Conforming
        } else {
            Self::Unjudged
        }
    }

    /// Its name in records.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Conforming => "conforming",
            Self::Violating => "violating",
            Self::Unjudged => "unjudged",
        }
    }
}

impl InspectorCounts {
    /// What is counted, in the order of [`Self::values`].
    pub(crate) const NAMES: [&'static str; 4] = ["conforming", "violating", "unjudged", "unrouted"];

    pub(crate) fn values(&self) -> [u64; Self::NAMES.len()] {
        let Self { conforming, violating, unjudged, unrouted } = *self;
        [conforming, violating, unjudged, unrouted]
    }

    pub(crate) fn absorb(&mut self, other: Self) {
        let Self { conforming, violating, unjudged, unrouted } = other;
        self.conforming += conforming;
        self.violating += violating;
        self.unjudged += unjudged;
        self.unrouted += unrouted;
    }
}

/// Counts attributes and applies rules while a call is judged.
struct Looks<'l, 'b> {
    book: &'b RuleBook,
    call: Call<'l>,
    counterpart: &'l Counterpart,
    window: &'l mut OpenWindow,
    trees: &'l mut AttributeTrees,
    /// The message is a copy, without the header fields that it had.
    is_copy: bool,
    findings: Vec<RuleViolation<'b>>,
}

impl Visitor for Looks<'_, '_> {
    fn body(&mut self, body: JudgedBody<'_>) {
        self.window.counts().body(self.counterpart, &self.book.contract, self.trees, body);
    }

    fn bodies(
        &mut self,
        operation: &Operation,
        request: Option<Value<'_>>,
        response: Option<Value<'_>>,
    ) {
        let facts = call_facts(self.book, self.call, operation, (request, response));
        if self.is_copy {
            self.book.rules.evaluate_copy(&facts, &mut self.findings);
        } else {
            self.book.rules.evaluate(&facts, &mut self.findings);
        }
    }
}

/// Applies the rules beyond the document to a call.
pub(crate) fn apply_rules<'b>(
    book: &'b RuleBook,
    call: Call<'_>,
    operation: &Operation,
    (request, response): (Option<Value<'_>>, Option<Value<'_>>),
    findings: &mut Vec<RuleViolation<'b>>,
) {
    book.rules.evaluate(&call_facts(book, call, operation, (request, response)), findings);
}

fn call_facts<'a>(
    book: &'a RuleBook,
    call: Call<'a>,
    operation: &'a Operation,
    (request, response): (Option<Value<'a>>, Option<Value<'a>>),
) -> CallFacts<'a> {
    let document = book.contract.document(operation.document);
    CallFacts {
        method: call.method,
        target: call.target,
        template: &operation.template,
        document: document.map_or("", |document| &document.name),
        request: call
            .request
            .map(|message| MessageFacts { headers: message.headers, body: request }),
        response: call.response.map(|(status, message)| {
            (status, MessageFacts { headers: message.headers, body: response })
        }),
    }
}

/// What a record says of the operation of a judgement.
pub(crate) fn operation_record<'c>(
    contract: &'c Contract,
    judgement: &Judgement,
) -> Option<OperationRecord<'c>> {
    let id = judgement.operation.ok()?;
    let operation = contract.operations().get(id.index())?;
    let document = contract.document(operation.document)?;
    Some(OperationRecord::new(&document.name, &document.version, operation))
}

/// Who is at the other side: for calls that this node makes, the host that is called. Callers are
/// known by their certificate only.
fn counterpart_of(exchange: &Exchange) -> Option<String> {
    if exchange.role != Role::Client {
        return None;
    }
    let host = exchange.request.as_ref()?.headers.first("host")?;
    let host = std::str::from_utf8(host).ok()?;
    let name = host.split(':').next().unwrap_or_default();
    let is_name = name.len() <= MAX_HOST_BYTES
        && name.contains('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
        && name.bytes().any(|byte| byte.is_ascii_alphabetic());
    is_name.then(|| name.to_ascii_lowercase())
}

fn parse_window(text: &str) -> Result<Duration, String> {
    let window = parse_duration(text)?;
    check_window(window).map(|()| window)
}

pub(crate) fn check_window(window: Duration) -> Result<(), String> {
    if window.subsec_nanos() != 0 || window > MAX_WINDOW {
        return Err("whole seconds are wanted, 24h at most".to_owned());
    }
    Ok(())
}

/// Long enough that counts mean something, short enough to be seen on the same day.
pub(crate) const DEFAULT_WINDOW: Duration = Duration::from_secs(30 * 60);
const DEFAULT_WINDOW_TEXT: &str = "30m";

/// Counts that nobody sees for longer are of no use.
const MAX_WINDOW: Duration = Duration::from_secs(24 * 3600);

/// Calls below it should have a contract; all others are none of ours.
const REGULATED_PREFIX: &str = "/open-insurance/";

/// RFC 1035, section 2.3.4.
const MAX_HOST_BYTES: usize = 253;
