//! How long it takes to attach to everything on this node and to take it off again, by each way.
//!
//! `cargo run --release -p mop-probe --example attach_time`, as root; `perf_event` or `uprobe_multi`
//! behind it asks for one of them.

use std::{error::Error, time::Instant};

use mop_probe::{AttachChoice, LoadOptions, Observer};

fn main() -> Result<(), Box<dyn Error>> {
    let asked = std::env::args().nth(1);
    let ways =
        [("uprobe_multi", AttachChoice::UprobeMulti), ("perf_event", AttachChoice::PerfEvent)];
    println!(
        "way           libraries  functions      load  functions on  node off + functions off"
    );
    for (name, attach) in ways {
        if asked.as_ref().is_some_and(|asked| asked != name) {
            continue;
        }
        for _ in 0..ROUNDS {
            let options = LoadOptions { attach, certificates: true, ..LoadOptions::default() };
            let begin = Instant::now();
            let (mut observer, _sources) = Observer::load(options)?;
            let loaded = Instant::now();
            observer.attach_node()?;
            let on_node = Instant::now();
            observer.discover_all();
            let attached = Instant::now();
            observer.detach();
            let detached = attached.elapsed();
            let libraries = observer.libraries();
            let functions: usize = libraries.iter().map(|library| library.functions.len()).sum();
            println!(
                "{name:<13} {:>9}  {functions:>9}  {:>8.3}  {:>12.3}  {:>24.3}",
                libraries.len(),
                (loaded - begin).as_secs_f64(),
                (attached - on_node).as_secs_f64(),
                detached.as_secs_f64(),
            );
        }
    }
    Ok(())
}

const ROUNDS: u32 = 3;
