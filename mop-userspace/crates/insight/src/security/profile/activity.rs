//! How often: refusals, throttled calls, identifiers that are tried, calls of an address, and
//! calls before their time.

use jiff::Timestamp;

use super::{
    check::Check, facts::RetryAfter, memory::Memory, single::TOO_MANY_REQUESTS, state::Judge,
    when::Moment,
};
use crate::{
    data::{
        digest::{Digest, Key, Subject},
        funnel::Side,
    },
    security::finding::{Part, Place},
};

/// Calls that are counted.
#[derive(Debug)]
pub(super) struct Activity {
    windows: Memory<(Check, Digest), Window>,
    tried: Memory<Digest, Tried>,
    waits: Memory<Digest, Wait>,
}

/// Calls since a time.
#[derive(Clone, Copy, Debug)]
struct Window {
    first: Timestamp,
    count: u64,
}

/// Different identifiers since a time.
#[derive(Debug)]
struct Tried {
    first: Timestamp,
    paths: Vec<Digest>,
}

/// A client that was told to wait.
#[derive(Clone, Copy, Debug)]
struct Wait {
    since: Moment,
    seconds: i64,
    calls: Window,
}

impl Activity {
    pub(super) fn new(limit: usize) -> Self {
        Self { windows: Memory::new(limit), tried: Memory::new(limit), waits: Memory::new(limit) }
    }

    pub(super) fn evicted(&self) -> u64 {
        self.windows.evicted + self.tried.evicted + self.waits.evicted
    }

    /// Counts a call, and tells what is too often; once in each window.
    pub(super) fn judge(&mut self, judge: &mut Judge<'_>, party: Option<Digest>, key: &Key) {
        let facts = judge.facts;
        if let Some(address) = facts.address {
            let named = format!("address {address}");
            let address = key.digest(Subject::Party, named.as_bytes());
            self.count(judge, Check::RateExceeded, address);
        }
        let Some(status) = facts.status else { return };
        if let Some(party) = party {
            if let Some(burst) = burst_of(status) {
                self.count(judge, burst, party);
            }
            if matches!(status, 403 | 404) {
                self.try_identifier(judge, party);
            }
        }
        let waiting = match facts.side {
            Side::Server => party,
            Side::Client => facts.host,
        };
        if let Some(waiting) = waiting {
            self.wait(judge, waiting, status, key);
        }
    }

    fn count(&mut self, judge: &mut Judge<'_>, check: Check, party: Digest) {
        let now = judge.facts.start;
        let window_s = judge.checks.limit(check, "window_s");
        let fresh = || Window { first: now, count: 0 };
        let Some(window) = self.windows.entry((check, party), fresh) else { return };
        if !is_within(window.first, now, window_s) {
            *window = fresh();
        }
        window.count += 1;
        if window.count == judge.checks.limit(check, "count").saturating_add(1) {
            let (count, first) = (window.count, window.first);
            judge.tell_many(check, vec![Place::whole(Part::Connection)], count, first);
        }
    }

    /// Remembers that an identifier was refused; only paths that have one count.
    fn try_identifier(&mut self, judge: &mut Judge<'_>, party: Digest) {
        let facts = judge.facts;
        let has_identifier =
            facts.endpoint.as_ref().is_some_and(|endpoint| endpoint.template.contains('{'));
        let Some(path) = facts.path.filter(|_| has_identifier) else { return };
        let check = Check::IdentifiersEnumerated;
        let (now, window_s) = (facts.start, judge.checks.limit(check, "window_s"));
        let fresh = || Tried { first: now, paths: Vec::new() };
        let Some(tried) = self.tried.entry(party, fresh) else { return };
        if !is_within(tried.first, now, window_s) {
            *tried = fresh();
        }
        let most = usize::try_from(judge.checks.limit(check, "count")).unwrap_or(MAX_TRIED);
        let most = most.min(MAX_TRIED);
        if tried.paths.len() >= most || tried.paths.contains(&path) {
            return;
        }
        tried.paths.push(path);
        if tried.paths.len() == most {
            let (count, first) = (most as u64, tried.first);
            judge.tell_many(check, vec![Place::whole(Part::Path)], count, first);
        }
    }

    /// Counts calls of an operation while its client should wait.
    fn wait(&mut self, judge: &mut Judge<'_>, party: Digest, status: u16, key: &Key) {
        let facts = judge.facts;
        let Some(endpoint) = &facts.endpoint else { return };
        let named = [&party.bytes(), endpoint.template.as_bytes()].concat();
        let operation = key.digest(Subject::Party, &named);
        let start = judge.start();
        let is_waiting = |wait: &Wait| {
            let is_over = start.is_after(wait.since, wait.seconds, 0);
            start.is_after(wait.since, 0, 0) && !is_over
        };
        let known = self.waits.get(&operation).copied().filter(is_waiting);
        if let Some(mut wait) = known {
            if wait.calls.count == 0 {
                wait.calls.first = facts.start;
            }
            wait.calls.count += 1;
            let limit = judge.checks.limit(Check::RetryAfterIgnored, "count");
            if wait.calls.count == limit.saturating_add(1) {
                let places = vec![Place::field(Part::ResponseHeader, "retry-after")];
                let Window { first, count } = wait.calls;
                judge.tell_many(Check::RetryAfterIgnored, places, count, first);
            }
            self.waits.insert(operation, wait);
            return;
        }
        if status == TOO_MANY_REQUESTS
            && let RetryAfter::Seconds(seconds) = facts.headers.retry_after
        {
            let most = judge.checks.seconds(Check::RetryAfterIgnored, "max_s");
            let seconds = i64::from(seconds).min(most);
            let calls = Window { first: facts.start, count: 0 };
            self.waits.insert(operation, Wait { since: judge.end(), seconds, calls });
        }
    }
}

/// Whether answers of this status are counted, whatever was called.
pub(super) fn is_counted(status: u16) -> bool {
    burst_of(status).is_some()
}

/// What many answers of a status are.
fn burst_of(status: u16) -> Option<Check> {
    match status {
        401 | 403 => Some(Check::RefusalsBurst),
        TOO_MANY_REQUESTS => Some(Check::ThrottledBurst),
        _ => None,
    }
}

/// Whether a time lies within a window; a clock that jumped back begins another one.
fn is_within(first: Timestamp, now: Timestamp, window_s: u64) -> bool {
    let elapsed = now.duration_since(first);
    !elapsed.is_negative() && elapsed.as_secs().unsigned_abs() < window_s
}

/// Different identifiers that are remembered of a client: each is compared with them.
const MAX_TRIED: usize = 256;
