//! One worker's judge: looks at each exchange, reports it, and counts it into windows.

use std::{sync::Arc, time::Duration};

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use mop_contract::{
    Call, Contract, Judge, JudgedBody, Judgement, Message, Visitor,
    fill::Fill,
    json::Value,
    operation::Operation,
    route::path_of,
    rules::{CallFacts, MessageFacts, RuleViolation},
    violation::{Direction, Severity},
    window::{AttributeTrees, CountedBody},
};
use mop_insight::data::{call::Observed, digest::Key, once::Sighting};
use mop_wire::{Exchange, Role};

use super::{
    counts::InspectorCounts,
    judged::{FoundRule, HeldMessage, JudgedCall},
    module::Module,
    records::OperationRecord,
    reports::Reports,
    thread::{Handover, Linking, Running},
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
    record::ExchangeRecord,
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

/// Judges the exchanges of one worker.
pub(crate) struct Inspector {
    books: Arc<RuleBooks>,
    book: Arc<RuleBook>,
    generation: u64,
    judge: Judge,
    trees: AttributeTrees,
    scratch: Fill,
    linking: Linking,
    /// To the thread that reports; `None`: calls are reported here, as those that are not handed over.
    handover: Option<Handover>,
    own: Module,
    /// Makes messages for the official server, when it is configured.
    official: Option<OfficialMessages>,
    judged: u64,
    /// Calls that the thread had no room for.
    hurried: u64,
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
        let window = OpenWindow::new(arguments.window, worker);
        let report_clean = arguments.report_clean.unwrap_or(report_clean);
        let reports = Reports::new(Arc::clone(&books), window, report_clean);
        Self {
            generation: books.generation(),
            book: books.current(),
            books,
            judge: Judge::default(),
            trees: AttributeTrees::default(),
            scratch: Fill::default(),
            linking: Linking { key: Key::new([0; 32]), addresses: Arc::default() },
            handover: None,
            own: Module::new(reports),
            official: None,
            judged: 0,
            hurried: 0,
        }
    }

    /// Makes messages for the official server as well.
    pub(crate) fn with_official(mut self, official: Option<OfficialMessages>) -> Self {
        self.own.reports.official = official.as_ref().map(OfficialMessages::source);
        Self { official, ..self }
    }

    /// Tells sightings of one call from others in this way.
    pub(crate) fn linking(self, linking: Linking) -> Self {
        Self { linking, ..self }
    }

    /// Has a thread report what it judges, since other workers may see the same calls.
    pub(crate) fn handing_over(self, running: &Running) -> Self {
        Self { handover: Some(running.handover()), ..self.linking(running.linking()) }
    }

    /// Judges an exchange and reports it. `observed` is what sightings of one call are known by; an
    /// exchange without it is taken for a call by itself.
    pub(crate) fn inspect(
        &mut self,
        record: &ExchangeRecord<'_>,
        exchange: &Exchange,
        observed: Option<&Observed<'_>>,
        mut outlet: Option<&mut Outlet>,
    ) {
        let Some(call) = Call::of(exchange) else { return };
        let (id, ts) = (record.exchange.as_ref(), record.ts);
        let source = Source { exchange, id, ts, told: None };
        self.advance(ts, outlet.as_deref_mut());
        let Some((judged, _)) = self.judge(source, call) else { return };
        let layer = record.transport.as_ref().map(|transport| transport.layer);
        let workload = record.workload.cloned();
        let judged = Box::new(JudgedCall { layer, workload, ..judged });
        self.judged += 1;
        let Linking { key, addresses } = &self.linking;
        let sighting =
            observed.and_then(|observed| Sighting::read(exchange, observed, addresses, key));
        let Some(sighting) = sighting else { return self.own.take_alone(&judged, outlet) };
        let end = end_of(ts, &sighting);
        let Some(handover) = &self.handover else {
            return self.own.take(sighting, judged, end, outlet);
        };
        if let Err(judged) = handover.hand(sighting, judged, end) {
            self.hurried += 1;
            self.own.take_alone(&judged, outlet);
        }
    }

    /// Judges the one message of which an application handed a copy over, and reports it.
    pub(crate) fn inspect_copy(
        &mut self,
        source: Source<'_>,
        mut outlet: Option<&mut Outlet>,
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
        self.advance(source.ts, outlet.as_deref_mut());
        let (judged, told) = self.judge(source, call)?;
        self.judged += 1;
        self.own.take_alone(&judged, outlet);
        told
    }

    /// Judges a call of the ecosystem; what is told to whoever handed a copy over comes with it.
    fn judge(
        &mut self,
        source: Source<'_>,
        call: Call<'_>,
    ) -> Option<(JudgedCall, Option<Judged>)> {
        let Source { exchange, id, ts, told } = source;
        let is_copy = told.is_some();
        let book = Arc::clone(&self.book);
        let mut looks = Looks {
            book: &book,
            call,
            trees: &mut self.trees,
            scratch: &mut self.scratch,
            is_copy,
            bodies: Vec::new(),
            findings: Vec::new(),
        };
        let judgement = if is_copy {
            self.judge.judge_copy(&book.contract, call, &mut looks)
        } else {
            self.judge.judge(&book.contract, call, &mut looks)
        };
        let Looks { bodies, findings, .. } = looks;
        let is_regulated = path_of(call.target).starts_with(REGULATED_PREFIX);
        if judgement.operation.is_err() && !is_regulated && !is_copy {
            return None;
        }
        let mut message = Ok(None);
        if let Some(official) = &mut self.official {
            let made = official.make(source, &judgement, &findings);
            message = made.map(|made| made.as_ref().and_then(HeldMessage::of));
        }
        let told = is_copy.then(|| Judged {
            validations: Validations::of(
                &judgement,
                &findings,
                match exchange.role {
                    Role::Client => Direction::Request,
                    Role::Server => Direction::Response,
                },
            ),
            message: message.as_ref().map(Option::is_some).map_err(|why| *why),
        });
        let judged = JudgedCall {
            id: id.to_owned(),
            ts,
            role: exchange.role,
            layer: None,
            workload: None,
            counterpart: counterpart_of(exchange),
            status: call.response.map(|(status, _)| status),
            outcome: Outcome::of(&judgement, &findings),
            rules: findings.iter().map(FoundRule::from).collect(),
            judgement,
            bodies,
            book,
            message: message.ok().flatten(),
        };
        Some((judged, told))
    }

    /// The time has come this far: a window that is over is reported, and a new generation of
    /// rules is taken.
    pub(crate) fn advance(&mut self, ts: Timestamp, outlet: Option<&mut Outlet>) {
        let generation = self.books.generation();
        if generation != self.generation {
            self.generation = generation;
            self.book = self.books.current();
            self.trees = AttributeTrees::default();
        }
        self.own.advance(ts, outlet);
    }

    /// Gives up whatever a panic may have left half done.
    pub(crate) fn reset(&mut self) {
        self.judge = Judge::default();
        self.trees = AttributeTrees::default();
        if let Some(official) = &mut self.official {
            official.reset();
        }
    }

    /// Reports what waits, and the window that is open.
    pub(crate) fn finish(&mut self, outlet: Option<&mut Outlet>) {
        self.own.finish(outlet);
    }

    /// What it judged, and what it reported itself.
    pub(crate) fn counts(&self) -> InspectorCounts {
        let mut counts = self.own.counts();
        counts.judged += self.judged;
        counts.hurried += self.hurried;
        counts
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

/// Counts attributes and applies rules while a call is judged.
struct Looks<'l, 'b> {
    book: &'b RuleBook,
    call: Call<'l>,
    trees: &'l mut AttributeTrees,
    scratch: &'l mut Fill,
    /// The message is a copy, without the header fields that it had.
    is_copy: bool,
    bodies: Vec<CountedBody>,
    findings: Vec<RuleViolation<'b>>,
}

impl Visitor for Looks<'_, '_> {
    fn body(&mut self, body: JudgedBody<'_>) {
        let contract = &self.book.contract;
        self.bodies.push(CountedBody::of(contract, self.trees, body, self.scratch));
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

/// When the last byte of a call was seen.
fn end_of(start: Timestamp, sighting: &Sighting) -> Timestamp {
    let took = sighting.span.end_ns.saturating_sub(sighting.span.start_ns);
    let took = SignedDuration::from_nanos(i64::try_from(took).unwrap_or(i64::MAX));
    start.checked_add(took).unwrap_or(start)
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
