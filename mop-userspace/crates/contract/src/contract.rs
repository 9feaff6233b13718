//! A set of documents, compiled, in both readings.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value as Tree;

use crate::{
    compile::{Problem, SchemaCompiler, operations},
    document::{Document, path_of_url},
    name_table::NameTable,
    operation::{DocumentId, Operation, OperationId, Place, Rules},
    route::{Route, Router, Unrouted},
    schema::{Schemas, SchemasBuilder},
};

/// Documents that messages can be judged against. Immutable: a reload makes another one.
#[derive(Debug)]
pub struct Contract {
    documents: Vec<ContractDocument>,
    operations: Vec<Operation>,
    router: Router,
    schemas: Schemas,
    vocabulary: NameTable,
    header_names: NameTable,
}

/// What is left of a document beside its operations.
#[derive(Clone, Debug)]
pub struct ContractDocument {
    /// Name of the API.
    pub name: String,
    /// `info.version`.
    pub version: String,
    /// Paths of its servers, without hosts.
    pub base_paths: Vec<String>,
    /// Number of operations.
    pub operations: usize,
    /// What was left out while it was compiled.
    pub problems: Vec<Problem>,
}

/// Adds documents one by one.
#[derive(Default)]
pub struct ContractBuilder {
    documents: Vec<ContractDocument>,
    operations: Vec<Operation>,
    router: Router,
    schemas: SchemasBuilder,
}

impl Contract {
    /// The operation that a request means.
    pub fn route<'c, 't>(
        &'c self,
        method: &str,
        target: &'t str,
    ) -> Result<(Route<'c, 't>, &'c Operation), Unrouted> {
        let route = self.router.find(method, target)?;
        match self.operations.get(route.operation.index()) {
            Some(operation) => Ok((route, operation)),
            None => Err(Unrouted::PathUnknown),
        }
    }

    /// All operations; their positions are their ids.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// All documents.
    #[must_use]
    pub fn documents(&self) -> &[ContractDocument] {
        &self.documents
    }

    /// The document of an operation.
    #[must_use]
    pub fn document(&self, id: DocumentId) -> Option<&ContractDocument> {
        self.documents.get(id.0 as usize)
    }

    /// The schemas.
    #[must_use]
    pub fn schemas(&self) -> &Schemas {
        &self.schemas
    }

    /// Every name that the documents give to an attribute, a parameter or a constant.
    #[must_use]
    pub fn vocabulary(&self) -> &NameTable {
        &self.vocabulary
    }

    /// Every name of a header field of a request that some operation declares once corrected, in
    /// lower case.
    #[must_use]
    pub fn header_names(&self) -> &NameTable {
        &self.header_names
    }
}

impl ContractBuilder {
    /// Adds a document. `corrected` is the same document with its known defects corrected.
    pub fn add(&mut self, published: &Document, corrected: Option<&Document>) {
        let (rules, mut problems) = self.compile(published);
        let (mut corrections, corrected_problems) = match corrected {
            Some(corrected) => self.compile(corrected),
            None => (BTreeMap::new(), Vec::new()),
        };
        // What is wrong in both readings is told once.
        problems.extend(corrected_problems);
        problems.sort_by(|one, two| (&one.pointer, &one.detail).cmp(&(&two.pointer, &two.detail)));
        problems.dedup();
        let base_paths = base_paths(&published.tree);
        let id = DocumentId(self.documents.len() as u32);
        let mut count = 0;
        for (key, (operation_id, published)) in rules {
            let corrected = match corrections.remove(&key) {
                Some((_, corrected)) if corrected != published => corrected,
                _ => Arc::clone(&published),
            };
            let (method, template) = key;
            count += 1;
            for base in &base_paths {
                let template = format!("{base}{template}");
                let operation = OperationId(self.operations.len() as u32);
                if !self.router.insert(&method, &template, operation) {
                    problems.push(Problem {
                        pointer: format!("/paths/{}", crate::document::escape_token(&template)),
                        detail: format!("{method} {template} is in another document already"),
                    });
                    continue;
                }
                self.operations.push(Operation {
                    document: id,
                    method: self.schemas.name(&method),
                    template: template.into(),
                    operation_id: operation_id.clone(),
                    published: Arc::clone(&published),
                    corrected: Arc::clone(&corrected),
                });
            }
        }
        self.documents.push(ContractDocument {
            name: published.name.clone(),
            version: published.version.clone(),
            base_paths,
            operations: count,
            problems,
        });
    }

    /// The contract of all documents that were added.
    #[must_use]
    pub fn build(self) -> Contract {
        let Self { documents, operations, router, schemas } = self;
        let (schemas, vocabulary) = schemas.finish();
        let headers: BTreeSet<Arc<str>> = operations
            .iter()
            .flat_map(|operation| &operation.corrected.parameters)
            .filter(|parameter| parameter.place == Place::Header)
            .map(|parameter| Arc::clone(&parameter.name))
            .collect();
        let header_names = NameTable::new(headers);
        Contract { documents, operations, router, schemas, vocabulary, header_names }
    }

    #[expect(clippy::type_complexity, reason = "a private pair of a map and a list")]
    fn compile(
        &mut self,
        document: &Document,
    ) -> (BTreeMap<(String, String), (Option<Arc<str>>, Arc<Rules>)>, Vec<Problem>) {
        let mut compiler = SchemaCompiler::new(document, &mut self.schemas);
        let operations = operations(document, &mut compiler)
            .into_iter()
            .map(|(key, operation)| (key, (operation.operation_id, Arc::new(operation.rules))))
            .collect();
        (operations, compiler.into_problems())
    }
}

/// Distinct paths of the servers, without scheme, host and last slash; the root when none is
/// given.
fn base_paths(tree: &Tree) -> Vec<String> {
    let urls = tree.get("servers").and_then(Tree::as_array);
    let paths: BTreeSet<String> = urls
        .into_iter()
        .flatten()
        .filter_map(|server| server.get("url").and_then(Tree::as_str))
        .map(|url| path_of_url(url).trim_end_matches('/').to_owned())
        .collect();
    if paths.is_empty() { vec![String::new()] } else { paths.into_iter().collect() }
}
