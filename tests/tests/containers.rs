//! Processes of containers are named with their container.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use mop_tests::{Marker, Observer, bound, observing, python, run, skip};

/// A container is, for the kernel, a cgroup with a runtime's name: this makes one as Docker names
/// them, without the runtime.
#[test]
fn a_process_of_a_container_is_reported_with_it() -> Result<()> {
    const NAME: &str = "a_process_of_a_container_is_reported_with_it";
    if !observing(NAME) {
        return Ok(());
    }
    let Some(cgroup) = Cgroup::create() else {
        skip(NAME, "no cgroup (version 2) can be made here");
        return Ok(());
    };
    let marker = Marker::new("container");
    let observer = Observer::start()?;
    // A server and its client in one process, which then stays until it was looked into.
    let script = format!(
        "import os, time, threading, http.server, urllib.request\n\
         open('{procs}', 'w').write(str(os.getpid()))\n\
         class Handler(http.server.BaseHTTPRequestHandler):\n\
         \x20   def do_GET(self):\n\
         \x20       self.send_response(204)\n\
         \x20       self.end_headers()\n\
         \x20   def log_message(self, *args): pass\n\
         server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)\n\
         threading.Thread(target=server.serve_forever, daemon=True).start()\n\
         url = 'http://127.0.0.1:%d{target}' % server.server_address[1]\n\
         urllib.request.urlopen(url).read()\n\
         time.sleep(0.5)\n",
        procs = cgroup.path.join("cgroup.procs").display(),
        target = marker.path("x"),
    );
    run(bound(python()).args(["-c", &script]), Duration::from_secs(30))?;
    let prefix = marker.to_string();
    observer.wait_for(2, Duration::from_secs(20), |one| one.target().starts_with(&prefix))?;
    let observation = observer.stop()?;
    let exchanges = observation.exchanges(&prefix);
    ensure!(exchanges.len() == 2, "{} exchanges", exchanges.len());
    for exchange in &exchanges {
        let container = &exchange.record()["process"]["container"];
        ensure!(*container == cgroup.id.as_str(), "{container} for {}", cgroup.id);
    }
    Ok(())
}

/// A cgroup that is removed with its value.
struct Cgroup {
    id: String,
    path: PathBuf,
}

impl Cgroup {
    fn create() -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
        let root = mounts.lines().find_map(|line| {
            let mut fields = line.split(' ');
            let (_device, place, kind) = (fields.next()?, fields.next()?, fields.next()?);
            (kind == "cgroup2").then(|| PathBuf::from(place))
        })?;
        let id = format!("{:064x}", std::process::id());
        let path = root.join(&id);
        fs::create_dir(&path).ok()?;
        Some(Self { id, path })
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let removed = fs::remove_dir(&self.path).with_context(|| self.path.display().to_string());
        if let Err(error) = removed {
            eprintln!("a cgroup is left: {error:#}");
        }
    }
}
