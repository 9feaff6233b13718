//! The rules that the program carries.

use super::files::Text;

mod data {
    include!(concat!(env!("OUT_DIR"), "/embedded_rules.rs"));
}

/// Contract packs.
pub(super) fn contracts() -> Vec<Text> {
    texts(data::CONTRACTS)
}

/// Corrections.
pub(super) fn overlays() -> Vec<Text> {
    texts(data::OVERLAYS)
}

/// Rules beyond the documents.
pub(super) fn rules() -> Vec<Text> {
    texts(data::RULES)
}

/// Detection rules.
pub(super) fn detections() -> Vec<Text> {
    texts(data::DETECTIONS)
}

fn texts(files: &[(&'static str, &'static str)]) -> Vec<Text> {
    files
        .iter()
        .map(|(file, text)| Text {
            file: (*file).to_owned(),
            name: (*file).to_owned(),
            text: (*text).into(),
        })
        .collect()
}
