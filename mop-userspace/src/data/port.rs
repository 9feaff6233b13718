//! A worker's way into the module.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crossbeam_channel::Sender;
use jiff::Timestamp;
use mop_insight::data::{
    call::{Call, Ends, Observed},
    identity::certificate::CertificateFacts,
};

use super::{Module, thread::Message};
use crate::{hellos::TlsFacts, output::Outlet};

/// Hands calls on.
pub(crate) struct Port {
    way: Way,
}

enum Way {
    /// To the thread of the module; what it has no room for is counted.
    Thread(Sender<Message>, Arc<AtomicU64>),
    /// It is here: a replay.
    Here(Box<Module>),
}

/// What is known of an exchange beside its bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Circumstances<'a> {
    pub(crate) ends: Ends,
    /// The observed process.
    pub(crate) process: Option<u32>,
    /// Certificate that the other side showed.
    pub(crate) peer_certificate: Option<&'a CertificateFacts>,
    /// When its connection ended, by the kernel's clock.
    pub(crate) connection_end_ns: Option<u64>,
    /// What its connection said in clear text.
    pub(crate) tls: Option<&'a TlsFacts>,
}

impl<'a> Circumstances<'a> {
    /// What was observed of an exchange that began at this time.
    pub(crate) fn of(self, exchange: &'a Arc<str>, start: Timestamp) -> Observed<'a> {
        Observed {
            exchange,
            start,
            ends: self.ends,
            process: self.process,
            peer_certificate: self.peer_certificate,
            own_certificate: None,
            connection_end_ns: self.connection_end_ns,
        }
    }
}

impl Port {
    /// To a thread.
    pub(super) fn new(calls: Sender<Message>, dropped: Arc<AtomicU64>) -> Self {
        Self { way: Way::Thread(calls, dropped) }
    }

    /// With the module itself.
    pub(crate) fn here(module: Module) -> Self {
        Self { way: Way::Here(Box::new(module)) }
    }

    /// Takes a call in.
    pub(crate) fn take(&mut self, call: Call, outlet: Option<&mut Outlet>) {
        match &mut self.way {
            Way::Thread(calls, dropped) => {
                // Capture must not wait for it.
                if calls.try_send(Message::Call(Box::new(call))).is_err() {
                    dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
            Way::Here(module) => module.observe(call, outlet),
        }
    }

    /// The file has ended.
    pub(crate) fn finish(&mut self, outlet: Option<&mut Outlet>) {
        match &mut self.way {
            Way::Here(module) => module.finish_file(outlet),
            Way::Thread(..) => {}
        }
    }
}
