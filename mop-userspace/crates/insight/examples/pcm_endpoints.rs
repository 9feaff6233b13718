//! Makes `rules/opin/pcm/endpoints.json` from the document of the ingestion interface:
//!
//! ```text
//! cargo run -p mop-insight --example pcm_endpoints -- ingestion.yaml > rules/opin/pcm/endpoints.json
//! ```
#![expect(clippy::expect_used, reason = "a tool of developers reports by panicking")]

use std::{env, fs};

use mop_contract::Document;
use mop_insight::data::endpoint::source;

fn main() {
    let path = env::args().nth(1).expect("usage: pcm_endpoints ingestion.yaml");
    let text = fs::read_to_string(path).expect("the document is readable");
    let document = Document::parse("ingestion", &text).expect("it is an OpenAPI document");
    let file = source::derive(&document).expect("it has a list of endpoints");
    println!("{}", serde_json::to_string_pretty(&file).expect("a list is JSON"));
}
