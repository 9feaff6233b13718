//! The configurations of agents and hubs.

use std::path::Path;

use crate::{round::WINDOW, stage::USER};

/// What an agent that forwards to the broker is told.
#[derive(Debug)]
pub(crate) struct Forwarding<'a> {
    pub(crate) outbox: &'a Path,
    /// Of the broker, or of a proxy before it.
    pub(crate) port: u16,
    /// Of the broker, when the connection is to be by TLS.
    pub(crate) tls_port: Option<u16>,
    pub(crate) authority: &'a Path,
    pub(crate) password_file: &'a Path,
}

impl Forwarding<'_> {
    /// As a file.
    pub(crate) fn text(&self) -> String {
        let Self { outbox, password_file, port, tls_port, authority } = self;
        let connection = match tls_port {
            None => format!("url = \"amqp://127.0.0.1:{port}/%2f\""),
            Some(port) => format!(
                "url = \"amqps://localhost:{port}/%2f\"\nca_file = \"{}\"",
                authority.display()
            ),
        };
        format!(
            "[node]\nname = \"{NODE}\"\n\n\
             [outbox]\nfolder = \"{}\"\nsegment_mib = 1\nmax_mib = 256\ncommit_every = \"20ms\"\n\n\
             [admin]\nenabled = false\n\n\
             [sinks.rabbitmq]\n{connection}\nusername = \"{USER}\"\npassword_file = \"{}\"\n\
             declare = true\nwindow = {WINDOW}\n",
            outbox.display(),
            password_file.display()
        )
    }
}

/// The name of the node.
pub(crate) const NODE: &str = "chaos";
