//! An upgrade: one observer follows another while calls go on.

use std::{collections::BTreeSet, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use mop_tests::{Certificates, Marker, Nginx, Observer, curl, run, shared_folder};

/// Calls a server without a break while a second observer takes over from the first.
pub(super) fn show() -> Result<()> {
    let folder = shared_folder()?;
    let certificates = Certificates::create(folder.path())?;
    let nginx = Nginx::builder(folder.path())
        .tls(&certificates)
        .location("/", "default_type application/json; return 200 '{}';")
        .start()?;
    let outbox = folder.path().join("outbox");
    let observer = || Observer::builder().arg("--outbox").arg(&outbox);
    let marker = Marker::new("upgrade");
    let mut before = observer().start()?;
    println!("demo     {CALLS} calls on one TLS connection, while a second MOP takes over");
    let after = thread::scope(|scope| -> Result<Observer> {
        let calls = scope.spawn(|| {
            let url = format!("https://localhost:{}{}", nginx.port(), marker.path("call"));
            let mut command = curl(&certificates);
            command.args(["--rate", CALLS_A_SECOND, "--output", "/dev/null"]);
            run(command.arg(format!("{url}/[1-{CALLS}]")), LIMIT)
        });
        let after = observer().arg("--take-over").start()?;
        calls.join().ok().context("the calls panicked")??;
        Ok(after)
    })?;
    let before = before.finish()?;
    let prefix = marker.to_string();
    let of_before = before.exchanges(&prefix);
    let left = (2 * CALLS).saturating_sub(of_before.len());
    after.wait_for(left, LIMIT, |one| one.target().starts_with(&prefix))?;
    let of_after = after.stop()?.exchanges(&prefix);
    println!(
        "demo       {} sightings reported by the first, {} by the second",
        of_before.len(),
        of_after.len()
    );
    let all = of_before.iter().chain(&of_after);
    ensure!(all.clone().all(mop_tests::Exchange::complete), "a call was not seen whole");
    let different: BTreeSet<_> = all.map(|one| (one.role(), one.target())).collect();
    ensure!(
        different.len() == 2 * CALLS && of_before.len() + of_after.len() == 2 * CALLS,
        "{} different sightings of {}",
        different.len(),
        2 * CALLS
    );
    println!("demo       each call once at each of its ends, whole");
    Ok(())
}

/// Some seconds before, over and behind the change.
const CALLS: usize = 240;
const CALLS_A_SECOND: &str = "20/s";
const LIMIT: Duration = Duration::from_secs(60);
