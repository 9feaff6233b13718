//! A document of a test's own.

use std::{fs, path::Path};

use anyhow::Result;

/// Writes a document into a folder of rules.
pub(crate) fn write_own(folder: &Path, base_path: &str, required: &str) -> Result<()> {
    let text = OWN
        .replace("/open-insurance/test/own", base_path)
        .replace("required: [name]", &format!("required: [{required}]"));
    let contracts = folder.join("contracts");
    fs::create_dir_all(&contracts)?;
    // Beside it and then in its place: nobody reads half of it.
    let beside = folder.join("own.new");
    fs::write(&beside, text)?;
    fs::rename(&beside, contracts.join("own.yaml"))?;
    Ok(())
}

/// A document of one operation.
pub(crate) const OWN: &str = r#"openapi: 3.0.0
info: {title: own, version: 1.2.3, description: a note for readers}
servers: [{url: "https://api.participante.example/open-insurance/test/own"}]
paths:
  /things/{thingId}:
    get:
      operationId: thingsGet
      parameters:
        - {name: thingId, in: path, required: true, schema: {type: string, maxLength: 10}}
      responses:
        "200":
          description: OK
          content:
            application/json:
              schema:
                type: object
                required: [name]
                properties:
                  name: {type: string}
                  kind: {type: string}
                  mark: {allOf: [{type: string, pattern: "^a"}, {type: string, pattern: "b$"}]}
                  marks: {type: array, items: {allOf: [{type: string, pattern: "^a"}, {type: string, pattern: "b$"}]}}
"#;
