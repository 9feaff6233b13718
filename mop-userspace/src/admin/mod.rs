//! The admin listener: metrics, health and readiness over HTTP, for those who run the program.
//!
//! It reads what other threads have counted and changes nothing. It has a thread and a small
//! runtime of its own, so that it answers when all else hangs, and limits on everything that a
//! client can make it do.

mod configuration;
mod expose;
pub(crate) mod families;
mod health;
mod metrics;
mod server;

use std::{net::TcpListener, sync::Arc, thread::JoinHandle};

use axum::Router;
use tokio::sync::oneshot;

pub(crate) use configuration::AdminConfiguration;
pub(crate) use server::{limited, serve};

use crate::{failure::Failure, observe::spawn, vitals::Vitals};

/// The running listener.
pub(crate) struct Admin {
    #[cfg(test)]
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Admin {
    /// Listens, unless the configuration says not to.
    pub(crate) fn start_if_enabled(
        configuration: &AdminConfiguration,
        vitals: &Arc<Vitals>,
        extra: Router,
    ) -> Result<Option<Self>, Failure> {
        if !configuration.enabled {
            return Ok(None);
        }
        Self::start(configuration, Arc::clone(vitals), extra).map(Some)
    }

    /// Listens. `extra` are paths of other modules, served beside its own with the same limits.
    pub(crate) fn start(
        configuration: &AdminConfiguration,
        vitals: Arc<Vitals>,
        extra: Router,
    ) -> Result<Self, Failure> {
        let wanted = configuration.listen;
        // Here and not in the thread: whoever starts the program is told, and a process that may
        // not bind later has done so.
        let listener = TcpListener::bind(wanted).map_err(|error| {
            Failure::configuration(format!(
                "the admin listener cannot listen on {wanted}: {error}; give another address as \
                 `listen` in [admin] or by --admin, or set `enabled = false` in [admin]"
            ))
        })?;
        let failed = |error: std::io::Error| {
            Failure::runtime(format!("cannot start the admin listener: {error}"))
        };
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(failed)?;
        let router = server::router(vitals, extra);
        let (stop, stopped) = oneshot::channel();
        let thread = spawn("mop-admin", move || {
            runtime.block_on(async {
                match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => serve(listener, router, stopped).await,
                    Err(error) => eprintln!("mop: the admin listener ended: {error}"),
                }
            });
            runtime.shutdown_background();
        })?;
        eprintln!("Metrics and health are at http://{address}/metrics, /healthz and /readyz.");
        Ok(Self {
            #[cfg(test)]
            address,
            stop,
            thread,
        })
    }

    /// Where it listens.
    #[cfg(test)]
    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.address
    }

    /// Lets answers that are on their way be finished, and ends the thread.
    pub(crate) fn stop(self) {
        let Self { stop, thread, .. } = self;
        let _ = stop.send(());
        // A panic was reported by the hook.
        let _ = thread.join();
    }
}

#[cfg(test)]
mod tests;
