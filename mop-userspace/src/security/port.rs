//! A worker's way into the module.

use std::sync::Arc;

use jiff::Timestamp;
use mop_insight::{
    data::{
        call::{Call, Observed},
        once::Sighting,
    },
    security::{
        handshake::Handshake,
        inspector::{Against, Inspector, is_forwarded},
        intelligence::store::Store,
        profile::{Connection, FactsReader},
        watch::{About, Seen, SeenCall, Shown, user_agent},
    },
};
use mop_wire::{Exchange, Role};

use super::{Module, intelligence::IndicatorStores, module::Shared, thread::Queue};
use crate::{
    output::Outlet,
    rulebook::{RuleBook, RuleBooks},
};

/// Inspects exchanges and hands on what they show.
pub(crate) struct Port {
    inspector: Inspector,
    books: Arc<RuleBooks>,
    book: Arc<RuleBook>,
    generation: u64,
    shared: Shared,
    profile: Option<FactsReader>,
    indicators: Option<KnownIndicators>,
    way: Way,
}

/// The generation of indicators that a worker knows.
struct KnownIndicators {
    stores: Arc<IndicatorStores>,
    generation: u64,
    store: Arc<Store>,
}

enum Way {
    /// To the thread of the module.
    Thread(Gathered),
    /// It is here: a replay.
    Here(Box<Module>),
}

/// Calls on their way to the thread of the module, several at a time: a queue that is written to for each
/// costs both threads as much as half of what is done with it.
struct Gathered {
    seen: Vec<Seen>,
    queue: Queue,
}

impl Gathered {
    fn add(&mut self, seen: Seen) {
        self.seen.push(seen);
        if self.seen.len() >= MOST_GATHERED {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        if !self.seen.is_empty() {
            self.queue.offer(std::mem::take(&mut self.seen));
        }
    }
}

impl Port {
    /// To a thread.
    pub(super) fn new(books: Arc<RuleBooks>, shared: Shared, queue: Queue) -> Self {
        Self::with(books, shared, Way::Thread(Gathered { seen: Vec::new(), queue }))
    }

    /// With the module itself.
    pub(crate) fn here(books: Arc<RuleBooks>, module: Module) -> Self {
        let shared = module.shared.clone();
        Self::with(books, shared, Way::Here(Box::new(module)))
    }

    /// Looks indicators up as well.
    pub(crate) fn looking_up(self, stores: Option<Arc<IndicatorStores>>) -> Self {
        let indicators = stores.map(|stores| KnownIndicators {
            generation: stores.generation(),
            store: stores.current(),
            stores,
        });
        Self { indicators, ..self }
    }

    fn with(books: Arc<RuleBooks>, shared: Shared, way: Way) -> Self {
        let (generation, book) = (books.generation(), books.current());
        let (rules, key) = (Arc::clone(&book.detections), shared.key.clone());
        let inspector = Inspector::new(rules, key, shared.has_direct_clients, shared.paranoia);
        let profile = shared.profile.clone().map(FactsReader::new);
        Self { inspector, books, book, generation, shared, profile, indicators: None, way }
    }

    /// Looks at an exchange.
    pub(crate) fn observe(
        &mut self,
        exchange: &Exchange,
        call: &Call,
        observed: &Observed<'_>,
        handshake: Handshake<'_>,
        outlet: Option<&mut Outlet>,
    ) {
        self.take_newer();
        let contract = &self.book.contract;
        let against = Against {
            contract: (!contract.operations().is_empty()).then_some(contract),
            indicators: self.indicators.as_ref().map(|known| &*known.store),
            handshake,
        };
        let mut inspection = self.inspector.inspect(exchange, call, observed, against);
        let is_client_direct =
            call.role == Role::Server && self.shared.has_direct_clients && !is_forwarded(exchange);
        let connection = Connection {
            tls: handshake.tls(),
            // A certificate that was shown is seen; that one was not shown is not known.
            is_client_certificate_visible: observed.peer_certificate.is_some(),
            is_client_address_visible: is_client_direct,
        };
        let profile = self.profile.as_mut();
        let facts = profile.and_then(|it| it.read(exchange, observed, Some(call), connection));
        let (parties, _gaps) = self.shared.addresses.parties(call);
        let sighting = Sighting::of(call, parties.server_organisation.clone());
        let (end, passed_over) = (call.end(), std::mem::take(&mut inspection.passed_over));
        let is_plain = Seen::is_plain(&inspection, facts.as_ref(), &parties);
        let shown = (!is_plain).then(|| {
            let template = inspection.endpoint.as_deref();
            let caller = (user_agent(exchange), is_client_direct, handshake);
            let told = SeenCall::new(call, observed, parties, template, caller, &self.shared.key);
            let pseudonymiser = self.shared.pseudonymiser.as_deref();
            let about = pseudonymiser.map(|it| About::of(it, call, exchange)).unwrap_or_default();
            let rules = Arc::clone(self.inspector.rules());
            let call = SeenCall { about, ..told };
            Box::new(Shown { call, inspection, rules, facts: facts.map(Box::new) })
        });
        let seen = Seen { sighting, end, passed_over, shown };
        match &mut self.way {
            Way::Thread(gathered) => gathered.add(seen),
            Way::Here(module) => module.observe(seen, outlet),
        }
    }

    /// Hands on what gathered.
    pub(crate) fn flush(&mut self) {
        match &mut self.way {
            Way::Thread(gathered) => gathered.hand_over(),
            Way::Here(_) => {}
        }
    }

    /// Newer generations of rules and indicators, if there are any.
    fn take_newer(&mut self) {
        let generation = self.books.generation();
        if generation != self.generation {
            self.generation = generation;
            self.book = self.books.current();
            self.inspector.replace_rules(Arc::clone(&self.book.detections));
        }
        if let Some(known) = &mut self.indicators {
            let generation = known.stores.generation();
            if generation != known.generation {
                known.generation = generation;
                known.store = known.stores.current();
            }
        }
    }

    /// Gives up whatever a panic may have left half done.
    pub(crate) fn reset(&mut self) {
        self.inspector.replace_rules(Arc::clone(&self.book.detections));
    }

    /// Nothing comes any more.
    pub(crate) fn finish(&mut self, outlet: Option<&mut Outlet>) {
        match &mut self.way {
            Way::Thread(gathered) => gathered.hand_over(),
            Way::Here(module) => module.finish(Timestamp::now(), outlet),
        }
    }
}

/// A worker hands on what it has after each batch that it gets; of a busy one, that is several times this.
const MOST_GATHERED: usize = 32;
