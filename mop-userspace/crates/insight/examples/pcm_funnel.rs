//! Prints `rules/opin/pcm/funnel.json`, made from the published documents.
//!
//! `cargo run -p mop-insight --example pcm_funnel -- FOLDER > rules/opin/pcm/funnel.json`

use std::{error::Error, fs, path::Path};

use mop_contract::Document;
use mop_insight::data::funnel::derive::derive;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).ok_or("name the folder of the published documents")?;
    let read = |name: &str| -> Result<Document, Box<dyn Error>> {
        let path = Path::new(&folder).join(name).with_extension("yaml");
        Ok(Document::parse(name, &fs::read_to_string(path)?)?)
    };
    let ingestion = read("consent-funnel-ingestion")?;
    let tables = derive(&ingestion, [&read("consents_v2")?, &read("consents_v3")?])?;
    println!("{}", serde_json::to_string_pretty(&tables)?);
    Ok(())
}
