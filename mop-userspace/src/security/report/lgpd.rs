//! `mop report lgpd`: which classes of personal data were seen where, and what left the node.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::PathBuf,
    process::ExitCode,
};

use clap::Args;
use mop_contract::{attributes::AttributeTree, operation::Media};
use mop_insight::security::personal::attribute::AttributeClass;
use serde::{Deserialize, Serialize};

use super::Language;
use crate::{
    data::{Kept, PlaceArguments, each_record},
    failure::Failure,
    rulebook::RuleBook,
    stdout::{print, print_line},
};

#[derive(Args, Debug)]
#[command(after_help = "Example: mop outbox export | mop report lgpd --file - --language en")]
pub(crate) struct LgpdArguments {
    /// Records, one a line, as `mop outbox export` or `mop replay` give them; `-` is the standard
    /// input. Without it: what the outbox has.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t)]
    language: Language,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceArguments,
}

/// What is told.
#[derive(Debug, Default, Serialize)]
struct Inventory {
    seen: Vec<Seen>,
    records: Vec<RecordLine>,
}

/// Classes of personal data that came in bodies of one operation.
#[derive(Debug, Serialize)]
struct Seen {
    api: String,
    method: String,
    template: String,
    direction: String,
    bodies: u64,
    /// Values that were there, by class.
    values: BTreeMap<AttributeClass, u64>,
}

/// Records of one kind.
#[derive(Debug, Serialize)]
struct RecordLine {
    kind: String,
    count: u64,
    /// What they say of persons.
    personal_data_en: &'static str,
    personal_data_pt: &'static str,
}

/// As much of a record as is looked at.
#[derive(Deserialize)]
struct AnyRecord {
    kind: String,
}

/// Of `quality.fill`.
#[derive(Deserialize)]
struct FillRecord {
    api: Option<String>,
    method: Option<String>,
    template: Option<String>,
    direction: String,
    bodies: u64,
    attributes: Vec<FillAttribute>,
}

#[derive(Deserialize)]
struct FillAttribute {
    path: String,
    present: u64,
}

#[derive(Default)]
struct Found {
    bodies: u64,
    values: BTreeMap<AttributeClass, u64>,
}

pub(crate) fn run(arguments: &LgpdArguments) -> Result<ExitCode, Failure> {
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    let mut found: BTreeMap<[String; 4], Found> = BTreeMap::new();
    each_record(arguments.file.as_deref(), &arguments.place, Kept::All, &mut |kind, payload| {
        let named = || serde_json::from_slice::<AnyRecord>(payload).ok().map(|it| it.kind);
        let Some(kind) = kind.map(str::to_owned).or_else(named) else { return };
        if kind == FILL
            && let Ok(fill) = serde_json::from_slice::<FillRecord>(payload)
        {
            count_fill(fill, &mut found);
        }
        // Kinds are of this program; were they not, they would not be many.
        if kinds.len() < MOST_KINDS || kinds.contains_key(&kind) {
            *kinds.entry(kind).or_default() += 1;
        }
    })?;
    let inventory = Inventory {
        seen: found
            .into_iter()
            .map(|([api, method, template, direction], Found { bodies, values })| Seen {
                api,
                method,
                template,
                direction,
                bodies,
                values,
            })
            .collect(),
        records: kinds.into_iter().map(|(kind, count)| line(kind, count)).collect(),
    };
    if arguments.json {
        print_line(&serde_json::to_string_pretty(&inventory).map_err(Failure::runtime)?);
    } else {
        print(&inventory.text(arguments.language));
    }
    Ok(ExitCode::SUCCESS)
}

/// Paths of all attributes that operations of a template have, in both directions.
pub(super) fn attributes_of<'b>(
    book: &'b RuleBook,
    template: &str,
) -> impl Iterator<Item = String> + 'b {
    let contract = &book.contract;
    let operations = contract.operations().iter().filter(|it| &*it.template == template);
    let schemas: BTreeSet<_> = operations
        .flat_map(|operation| {
            let rules = &operation.corrected;
            let requests = rules.request_body.iter().flat_map(|body| &body.content);
            let responses = rules.responses.iter().flat_map(|response| &response.content);
            requests.chain(responses).filter_map(|Media { schema, .. }| *schema)
        })
        .collect();
    schemas.into_iter().flat_map(move |schema| {
        let tree = AttributeTree::new(contract.schemas(), schema);
        tree.nodes().iter().map(|node| node.path.to_string()).collect::<Vec<_>>()
    })
}

fn count_fill(fill: FillRecord, found: &mut BTreeMap<[String; 4], Found>) {
    let FillRecord { api, method, template, direction, bodies, attributes } = fill;
    let key = [api, method, template].map(Option::unwrap_or_default);
    let [api, method, template] = key;
    let place = found.entry([api, method, template, direction]).or_default();
    place.bodies += bodies;
    for FillAttribute { path, present } in attributes {
        if let Some(class) = AttributeClass::of_path(&path).filter(|_| present > 0) {
            *place.values.entry(class).or_default() += present;
        }
    }
}

fn line(kind: String, count: u64) -> RecordLine {
    let known = KINDS.iter().find(|(known, _, _)| *known == kind);
    let (personal_data_en, personal_data_pt) = known.map_or(UNKNOWN, |(_, en, pt)| (en, pt));
    RecordLine { kind, count, personal_data_en, personal_data_pt }
}

impl Inventory {
    fn text(&self, language: Language) -> String {
        let word = |en, pt| language.pick(en, pt);
        let mut text = format!(
            "# {}\n\n## {}\n\n{}\n\n",
            word("Personal data: an inventory", "Dados pessoais: inventário"),
            word("What was seen, in memory only", "O que foi visto, apenas em memória"),
            word(
                "Bodies are judged in memory and dropped; counts are kept, and no value. From the \
                 records of `quality.fill`.",
                "Corpos são avaliados em memória e descartados; ficam contagens, e nenhum valor. A \
                 partir dos registros `quality.fill`.",
            )
        );
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |\n|---|---|---:|---|",
            word("operation", "operação"),
            word("direction", "direção"),
            word("bodies", "corpos"),
            word("classes (values)", "classes (valores)"),
        );
        for Seen { method, template, direction, bodies, values, .. } in &self.seen {
            let classes: Vec<String> =
                values.iter().map(|(class, count)| format!("{} ({count})", class.name())).collect();
            let classes = if classes.is_empty() { "-".to_owned() } else { classes.join(", ") };
            let _ =
                writeln!(text, "| {method} `{template}` | {direction} | {bodies} | {classes} |");
        }
        let _ = writeln!(
            text,
            "\n## {}\n\n| {} | {} | {} |\n|---|---:|---|",
            word("What leaves the node", "O que sai do nó"),
            word("record", "registro"),
            word("count", "quantidade"),
            word("what it says of persons", "o que diz de pessoas"),
        );
        for RecordLine { kind, count, personal_data_en, personal_data_pt } in &self.records {
            let _ = writeln!(
                text,
                "| `{kind}` | {count} | {} |",
                word(personal_data_en, personal_data_pt)
            );
        }
        text
    }
}

const FILL: &str = "quality.fill";

/// Kinds of records that are told apart.
const MOST_KINDS: usize = 256;

const NOTHING: (&str, &str) = ("nothing", "nada");
const UNKNOWN: (&str, &str) = ("not known to this version", "desconhecido desta versão");

/// Kinds of records, and what each says of persons.
const KINDS: &[(&str, &str, &str)] = &[
    ("data.anomaly", NOTHING.0, NOTHING.1),
    (
        "data.call",
        "the identifier of a consent, which the metrics platform demands",
        "o identificador de um consentimento, exigido pela plataforma de métricas",
    ),
    (
        "data.funnel",
        "the identifier of a consent, which the metrics platform demands",
        "o identificador de um consentimento, exigido pela plataforma de métricas",
    ),
    ("data.metrics", NOTHING.0, NOTHING.1),
    ("data.metrics_check", NOTHING.0, NOTHING.1),
    ("data.reconciliation", NOTHING.0, NOTHING.1),
    (
        "exchange",
        "addresses of clients; it stays on the node",
        "endereços de clientes; permanece no nó",
    ),
    ("exchange.hop", NOTHING.0, NOTHING.1),
    ("node.coverage", NOTHING.0, NOTHING.1),
    ("observe.summary", NOTHING.0, NOTHING.1),
    (
        "official.message",
        "values as the official server asks for them: digests with a published salt, which can be \
         reversed by trying, and fields that it wants in clear",
        "valores como o servidor oficial pede: resumos com salt público, reversíveis por tentativa, e \
         campos que ele quer em claro",
    ),
    ("ops.ledger", NOTHING.0, NOTHING.1),
    ("quality.fill", NOTHING.0, NOTHING.1),
    ("quality.report", NOTHING.0, NOTHING.1),
    ("quality.summary", NOTHING.0, NOTHING.1),
    ("quality.validation", NOTHING.0, NOTHING.1),
    ("security.finding", NOTHING.0, NOTHING.1),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_with_a_schema_is_in_the_list() {
        let schemas = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/schemas");
        for entry in std::fs::read_dir(schemas).expect("the schemas") {
            let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
            let kind = name.strip_suffix(".schema.json").expect("a schema");
            assert!(KINDS.iter().any(|(known, _, _)| *known == kind), "{kind}");
        }
        assert!(KINDS.is_sorted_by(|one, other| one.0 < other.0));
    }

    #[test]
    fn classes_are_counted_by_place() {
        let fill = serde_json::json!({
            "api": "a", "method": "GET", "template": "/t", "direction": "response", "bodies": 2,
            "attributes": [
                { "path": "data.cpfNumber", "present": 2 },
                { "path": "data.documentNumber", "present": 1 },
                { "path": "data.email", "present": 0 },
                { "path": "data.status", "present": 2 },
            ],
        });
        let mut found = BTreeMap::new();
        for _ in 0..2 {
            count_fill(serde_json::from_value(fill.clone()).expect("a record"), &mut found);
        }
        let [(_, Found { bodies, values })] = found.iter().collect::<Vec<_>>()[..] else {
            panic!("one place")
        };
        assert_eq!((*bodies, values.len(), values[&AttributeClass::Document]), (4, 1, 6));
    }
}
