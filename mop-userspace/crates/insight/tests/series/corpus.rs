//! Labelled series of the Numenta Anomaly Benchmark.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use mop_insight::anomaly::series::parse_row;

use super::scorer::Labelled;

/// Series in the folder that `MOP_NAB` names, sorted by name; none when it is absent.
pub(crate) fn labelled_series() -> Option<Vec<Labelled>> {
    let folder = env::var_os("MOP_NAB").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/nab"),
        PathBuf::from,
    );
    let labels = fs::read_to_string(folder.join("labels/combined_windows.json")).ok()?;
    let labels: BTreeMap<String, Vec<[String; 2]>> = serde_json::from_str(&labels).unwrap();
    let mut all = Vec::new();
    for (name, windows) in labels {
        let Ok(text) = fs::read_to_string(folder.join("data").join(&name)) else { continue };
        let (mut times, mut values) = (Vec::new(), Vec::new());
        for (number, line) in text.lines().enumerate().skip(1) {
            let row = parse_row(line).unwrap_or_else(|error| panic!("{name}:{number}: {error}"));
            times.push(row.time);
            values.push(row.value);
        }
        let position = |edge: &str| {
            let time = parse_row(&format!("{edge},0")).unwrap().time;
            times.iter().position(|other| *other == time).unwrap()
        };
        let windows = windows.iter().map(|[start, end]| position(start)..=position(end)).collect();
        all.push(Labelled { name, times, values, windows });
    }
    Some(all)
}
