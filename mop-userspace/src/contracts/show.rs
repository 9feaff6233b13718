//! `mop contracts show`.

use std::{fmt::Write as _, process::ExitCode};

use clap::Args;
use mop_contract::{
    Contract,
    attributes::AttributeTree,
    operation::{Media, Operation, Parameter, Rules},
    schema::{Schema, SchemaId},
};
use serde::Serialize;

use crate::{
    failure::Failure,
    rulebook::{RuleArguments, RuleBook},
    stdout::{print, print_line},
};

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  mop contracts show 'POST /open-insurance/consents/v3/consents'\n  \
    mop contracts show customersGetPersonalIdentifications --as-published"
)]
pub(super) struct ShowArguments {
    /// Method and path (a template or a concrete one), or an operationId.
    operation: String,
    #[command(flatten)]
    rules: RuleArguments,
    /// The document as it was published. Without it: with its corrections.
    #[arg(long)]
    as_published: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Shown<'a> {
    api: &'a str,
    api_version: &'a str,
    method: &'a str,
    template: &'a str,
    operation_id: Option<&'a str>,
    corrections: Vec<&'a str>,
    parameters: Vec<ShownParameter<'a>>,
    request_body: Option<ShownBody<'a>>,
    responses: Vec<ShownResponse<'a>>,
}

#[derive(Serialize)]
struct ShownParameter<'a> {
    place: &'static str,
    name: &'a str,
    required: bool,
    rules: String,
}

#[derive(Serialize)]
struct ShownBody<'a> {
    required: bool,
    content: Vec<ShownMedia<'a>>,
}

#[derive(Serialize)]
struct ShownResponse<'a> {
    status: String,
    headers: Vec<ShownParameter<'a>>,
    content: Vec<ShownMedia<'a>>,
}

#[derive(Serialize)]
struct ShownMedia<'a> {
    media_type: &'a str,
    attributes: Vec<ShownAttribute>,
}

#[derive(Serialize)]
struct ShownAttribute {
    path: String,
    presence: &'static str,
}

pub(super) fn run(arguments: &ShowArguments) -> Result<ExitCode, Failure> {
    let book = RuleBook::load(&arguments.rules)?;
    let contract = &book.contract;
    let operations = find(contract, &arguments.operation);
    let [operation] = operations.as_slice() else {
        let hint = if operations.is_empty() { "no operation is" } else { "several operations are" };
        return Err(Failure::usage(format!(
            "{hint} called {:?}; `mop contracts list` has the documents, and an operation is \
             written as METHOD PATH",
            arguments.operation
        )));
    };
    let rules = if arguments.as_published { &operation.published } else { &operation.corrected };
    let document = contract.document(operation.document);
    let corrections = document
        .and_then(|document| {
            book.documents
                .iter()
                .find(|loaded| loaded.name == document.name && loaded.version == document.version)
        })
        .map(|loaded| loaded.applied.iter().map(|applied| &*applied.id).collect())
        .unwrap_or_default();
    let shown = Shown {
        api: document.map_or("", |document| &document.name),
        api_version: document.map_or("", |document| &document.version),
        method: &operation.method,
        template: &operation.template,
        operation_id: operation.operation_id.as_deref(),
        corrections,
        ..of_rules(contract, rules)
    };
    if arguments.json {
        print_line(&serde_json::to_string_pretty(&shown).map_err(Failure::runtime)?);
    } else {
        print(&lines(&shown));
    }
    Ok(ExitCode::SUCCESS)
}

fn find<'c>(contract: &'c Contract, wanted: &str) -> Vec<&'c Operation> {
    if let Some((method, path)) = wanted.split_once(' ') {
        let method = method.to_ascii_uppercase();
        let literal: Vec<&Operation> = contract
            .operations()
            .iter()
            .filter(|operation| *operation.method == *method && *operation.template == *path)
            .collect();
        if !literal.is_empty() {
            return literal;
        }
        return contract.route(&method, path).map(|(_, operation)| operation).into_iter().collect();
    }
    let has_id = |operation: &&Operation| operation.operation_id.as_deref() == Some(wanted);
    contract.operations().iter().filter(has_id).collect()
}

fn of_rules<'c>(contract: &'c Contract, rules: &'c Rules) -> Shown<'c> {
    let media = |content: &'c [Media]| {
        content
            .iter()
            .map(|media| ShownMedia {
                media_type: media.range.as_str(),
                attributes: media.schema.map_or_else(Vec::new, |id| attributes(contract, id)),
            })
            .collect()
    };
    Shown {
        api: "",
        api_version: "",
        method: "",
        template: "",
        operation_id: None,
        corrections: Vec::new(),
        parameters: parameters(contract, &rules.parameters),
        request_body: rules
            .request_body
            .as_ref()
            .map(|body| ShownBody { required: body.required, content: media(&body.content) }),
        responses: rules
            .responses
            .iter()
            .map(|response| ShownResponse {
                status: response.status.to_string(),
                headers: parameters(contract, &response.headers),
                content: media(&response.content),
            })
            .collect(),
    }
}

fn parameters<'c>(contract: &Contract, parameters: &'c [Parameter]) -> Vec<ShownParameter<'c>> {
    parameters
        .iter()
        .map(|parameter| ShownParameter {
            place: parameter.place.name(),
            name: &parameter.name,
            required: parameter.required,
            rules: rules_of(contract, contract.schemas().schema(parameter.schema)),
        })
        .collect()
}

/// The rules of a scalar, in words.
fn rules_of(contract: &Contract, schema: &Schema) -> String {
    let mut words: Vec<String> = vec![schema.types.names().collect::<Vec<_>>().join(" or ")];
    if let Some(constants) = &schema.constants {
        words.push(format!("one of {} values", constants.strings.len() + constants.others.len()));
    }
    if let Some(string) = &schema.string {
        if string.min_length > 0 {
            words.push(format!("at least {} characters", string.min_length));
        }
        if string.max_length < u32::MAX {
            words.push(format!("at most {} characters", string.max_length));
        }
        if let Some(pattern) = string.pattern.and_then(|id| contract.schemas().pattern(id)) {
            words.push(format!("matches {}", pattern.source()));
        }
        words.extend(string.format.map(|format| format.name().to_owned()));
    }
    if let Some(number) = &schema.number {
        words.extend(number.minimum.map(|(limit, _)| format!("from {}", limit.value())));
        words.extend(number.maximum.map(|(limit, _)| format!("to {}", limit.value())));
    }
    words.join(", ")
}

fn attributes(contract: &Contract, schema: SchemaId) -> Vec<ShownAttribute> {
    let tree = AttributeTree::new(contract.schemas(), schema);
    let mut attributes: Vec<ShownAttribute> = tree
        .nodes()
        .iter()
        .skip(1)
        .map(|node| ShownAttribute { path: node.path.to_string(), presence: node.presence.name() })
        .collect();
    attributes.sort_by(|one, two| one.path.cmp(&two.path));
    attributes
}

fn lines(shown: &Shown<'_>) -> String {
    let Shown {
        api,
        api_version,
        method,
        template,
        operation_id,
        corrections,
        parameters,
        request_body,
        responses,
    } = shown;
    let mut lines = format!("{method} {template}\n{api} {api_version}");
    if let Some(operation_id) = operation_id {
        let _ = write!(lines, " {operation_id}");
    }
    if !corrections.is_empty() {
        let _ = write!(lines, "\ncorrections: {}", corrections.join(", "));
    }
    lines.push_str("\n\nparameters\n");
    parameters.iter().for_each(|parameter| parameter.write(&mut lines));
    if let Some(body) = request_body {
        let _ = writeln!(lines, "\nrequest body{}", if body.required { "" } else { " (optional)" });
        body.content.iter().for_each(|media| media.write(&mut lines));
    }
    for response in responses {
        let _ = writeln!(lines, "\nresponse {}", response.status);
        response.headers.iter().for_each(|header| header.write(&mut lines));
        response.content.iter().for_each(|media| media.write(&mut lines));
    }
    lines
}

impl ShownParameter<'_> {
    fn write(&self, lines: &mut String) {
        let Self { place, name, required, rules } = self;
        let required = if *required { "required" } else { "optional" };
        let _ = writeln!(lines, "  {place:<6} {name} {required}: {rules}");
    }
}

impl ShownMedia<'_> {
    fn write(&self, lines: &mut String) {
        let _ = writeln!(lines, "  {}", self.media_type);
        for ShownAttribute { path, presence } in &self.attributes {
            let _ = writeln!(lines, "    {presence:<11} {path}");
        }
    }
}
