//! The hook of funnels on a Unix socket: the same path and the same answers as on the admin listener,
//! and no token, since the file's permissions say who may connect.

use std::{os::unix::net::UnixListener, thread::JoinHandle};

use tokio::sync::oneshot;

use super::{Running, hook};
use crate::{admin, failure::Failure, observe::spawn};

/// The running listener.
pub(crate) struct HookSocket {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl HookSocket {
    /// Serves on a listener that is there already.
    pub(crate) fn start(listener: UnixListener, running: &Running) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| {
                Failure::runtime(format!("cannot start the hook's socket: {error}"))
            })?;
        let router = admin::limited(hook::routes_without_token(running));
        let (stop, stopped) = oneshot::channel();
        let thread = spawn("mop-hook", move || {
            runtime.block_on(async {
                match tokio::net::UnixListener::from_std(listener) {
                    Ok(listener) => admin::serve(listener, router, stopped).await,
                    Err(error) => eprintln!("mop: the hook's socket ended: {error}"),
                }
            });
            runtime.shutdown_background();
        })?;
        Ok(Self { stop, thread })
    }

    /// Lets answers that are on their way be finished, and ends the thread.
    pub(crate) fn stop(self) {
        let Self { stop, thread } = self;
        let _ = stop.send(());
        // A panic was reported by the hook.
        let _ = thread.join();
    }
}
