//! A Unix socket that the file system protects: only its owner and its group may connect.
//!
//! It is made before the core gives up the right to make any socket of this kind, so that no rule of
//! seccomp or Landlock has to be loosened for it. Whose group it has is the folder's affair: with
//! `chmod g+s` files in it have the group of the folder.

use std::{
    fs, io,
    os::unix::{
        fs::FileTypeExt as _,
        net::{UnixListener, UnixStream},
    },
    path::Path,
};

use rustix::{fs::Mode, process::umask};

use crate::failure::Failure;

/// Listens there, in the place of a socket that nobody listens on any more. To be called while the
/// process has one thread.
pub(super) fn listen(path: &Path) -> Result<UnixListener, Failure> {
    let user = rustix::process::geteuid();
    let failed = |error: &dyn std::fmt::Display| {
        Failure::configuration(format!(
            "cannot listen on {}: {error}; name a place in a folder of the user {user} in \
             data.hook_socket",
            path.display()
        ))
    };
    remove_stale(path).map_err(|error| failed(&error))?;
    let before = umask(OTHERS_AND_RUNNING);
    let listener = UnixListener::bind(path);
    umask(before);
    let listener = listener.map_err(|error| failed(&error))?;
    listener.set_nonblocking(true).map_err(|error| failed(&error))?;
    Ok(listener)
}

/// Removes what an earlier run has left; nothing else.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(facts) if !facts.file_type().is_socket() => {
            return Err(io::Error::other("something lies there that is no socket"));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::other("another program listens there")),
    }
}

/// Leaves mode 0660.
const OTHERS_AND_RUNNING: Mode = Mode::from_raw_mode(0o117);

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::{
        admin,
        privileges::{Needs, files, system_calls},
    };

    #[test]
    fn a_stale_socket_is_replaced_and_nothing_else_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("funnel.sock");
        let first = listen(&path).expect("listening");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        let error = listen(&path).expect_err("it is in use").to_string();
        assert!(error.contains("another program listens there"), "{error}");
        drop(first);
        listen(&path).expect("it was stale");
        fs::remove_file(&path).expect("removed");
        fs::write(&path, "precious").expect("written");
        assert!(listen(&path).is_err());
        assert_eq!(fs::read_to_string(&path).expect("there"), "precious");
        let nowhere = folder.path().join("no/such/funnel.sock");
        let error = listen(&nowhere).expect_err("no folder").to_string();
        assert!(error.contains("data.hook_socket"), "{error}");
    }

    #[test]
    fn a_core_serves_the_socket_that_it_brought_and_makes_no_other() {
        use std::io::{Read as _, Write as _};

        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("funnel.sock");
        let listener = listen(&path).expect("listening");
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let core = std::thread::spawn(move || {
            rustix::thread::set_no_new_privs(true).expect("always allowed");
            files::keep_to(&Needs::none()).expect("kept");
            system_calls::keep_core().expect("accepted");
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::UnixListener::from_std(listener).expect("usable");
                let answer = axum::routing::post(async || "taken");
                let router = admin::limited(axum::Router::new().route("/hook", answer));
                admin::serve(listener, router, stopped).await;
            });
            std::os::unix::net::UnixDatagram::unbound().is_err()
        });
        let mut client = UnixStream::connect(&path).expect("connected");
        client
            .write_all(b"POST /hook HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .expect("sent");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("taken"), "{answer}");
        let _ = stop.send(());
        assert!(core.join().expect("no panic"), "a core makes no socket of this kind");
    }
}
