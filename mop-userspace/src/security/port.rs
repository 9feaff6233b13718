//! A worker's way into the module.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crossbeam_channel::Sender;
use mop_insight::{
    data::{
        analyst::Addresses,
        call::{Call, Observed},
        digest::Key,
    },
    security::{
        inspector::Inspector,
        watch::{Seen, SeenCall},
    },
};
use mop_wire::{Exchange, Role};

use super::{Module, thread::Message};
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
    key: Key,
    addresses: Arc<Addresses>,
    way: Way,
}

enum Way {
    /// To the thread of the module; what it has no room for is counted.
    Thread(Sender<Message>, Arc<AtomicU64>),
    /// It is here: a replay.
    Here(Box<Module>),
}

impl Port {
    /// To a thread.
    pub(super) fn new(
        books: Arc<RuleBooks>,
        key: Key,
        addresses: Arc<Addresses>,
        calls: Sender<Message>,
        dropped: Arc<AtomicU64>,
    ) -> Self {
        Self::with(books, key, addresses, Way::Thread(calls, dropped))
    }

    /// With the module itself.
    pub(crate) fn here(books: Arc<RuleBooks>, module: Module) -> Self {
        let (key, addresses) = (module.key(), module.addresses());
        Self::with(books, key, addresses, Way::Here(Box::new(module)))
    }

    fn with(books: Arc<RuleBooks>, key: Key, addresses: Arc<Addresses>, way: Way) -> Self {
        let (generation, book) = (books.generation(), books.current());
        let inspector = Inspector::new(Arc::clone(&book.detections), key.clone());
        Self { inspector, books, book, generation, key, addresses, way }
    }

    /// Looks at an exchange.
    pub(crate) fn observe(
        &mut self,
        exchange: &Exchange,
        call: &Call,
        observed: &Observed<'_>,
        outlet: Option<&mut Outlet>,
    ) {
        let generation = self.books.generation();
        if generation != self.generation {
            self.generation = generation;
            self.book = self.books.current();
            self.inspector.replace_rules(Arc::clone(&self.book.detections));
        }
        let contract = &self.book.contract;
        let contract = (!contract.operations().is_empty()).then_some(contract);
        let inspection = self.inspector.inspect(exchange, call, observed, contract);
        let template = inspection.endpoint.as_deref();
        let certificate = match call.role {
            Role::Server => observed.peer_certificate,
            Role::Client => observed.own_certificate,
        };
        let fingerprint = certificate.and_then(|certificate| certificate.fingerprint);
        let (parties, _gaps) = self.addresses.parties(call);
        let told = SeenCall::new(call, parties, template, fingerprint, &self.key);
        let rules = Arc::clone(self.inspector.rules());
        let seen = Seen { call: told, inspection, rules };
        match &mut self.way {
            Way::Thread(calls, dropped) => {
                // Capture must not wait for it.
                if calls.try_send(Message::Seen(Box::new(seen))).is_err() {
                    dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
            Way::Here(module) => module.observe(seen, outlet),
        }
    }

    /// Gives up whatever a panic may have left half done.
    pub(crate) fn reset(&mut self) {
        self.inspector.replace_rules(Arc::clone(&self.book.detections));
    }

    /// The file has ended.
    pub(crate) fn finish(&mut self, outlet: Option<&mut Outlet>) {
        match &mut self.way {
            Way::Here(module) => module.finish(outlet),
            Way::Thread(..) => {}
        }
    }
}
