//! Files of rules: from YAML to typed documents.

use serde_json::Value;

use super::{
    correlation::Correlation,
    detection::Detection,
    error::{Fault, Problem, RuleFileError},
    example::Examples,
    extension::Extension,
    filter::Filter,
    head::{Head, LogSource},
    node::Node,
};

/// A document of Sigma 2.1.
#[derive(Clone, Debug, PartialEq)]
pub enum Document {
    /// A rule about several calls.
    Correlation(Box<CorrelationRule>),
    /// A rule about one call.
    Detection(Box<DetectionRule>),
    /// An exception of an installation.
    Filter(Box<Filter>),
}

/// A rule about one call.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectionRule {
    /// What names and describes it.
    pub head: Head,
    /// What it looks at.
    pub log_source: LogSource,
    /// What it looks for.
    pub detection: Detection,
    /// How this engine treats it.
    pub extension: Extension,
    /// Its own tests.
    pub examples: Examples,
}

/// A rule about several calls.
#[derive(Clone, Debug, PartialEq)]
pub struct CorrelationRule {
    /// What names and describes it.
    pub head: Head,
    /// What it looks for.
    pub correlation: Correlation,
    /// How this engine treats it.
    pub extension: Extension,
    /// Its own tests.
    pub examples: Examples,
}

/// Reads a file, given by its name and its text: all of its documents, or why not.
pub fn parse(file: &str, text: &str) -> Result<Vec<Document>, RuleFileError> {
    let refused = |problem| RuleFileError {
        file: file.to_owned(),
        document: None,
        title: None,
        fault: Box::new(Fault::at("", problem)),
    };
    let trees = trees(text).map_err(refused)?;
    if trees.len() > MAX_DOCUMENTS {
        return Err(refused(Problem::TooManyDocuments));
    }
    let mut documents = Vec::with_capacity(trees.len());
    for (number, tree) in trees.iter().enumerate() {
        if tree.is_null() {
            continue;
        }
        documents.push(Document::parse(tree).map_err(|fault| RuleFileError {
            file: file.to_owned(),
            document: Some(number + 1),
            title: tree.get("title").and_then(Value::as_str).map(one_line),
            fault: Box::new(fault),
        })?);
    }
    Ok(documents)
}

impl Document {
    fn parse(tree: &Value) -> Result<Self, Fault> {
        let root = Node::root(tree);
        if tree.as_object().is_none() {
            return Err(root.fault(Problem::WrongType("a mapping with title and detection")));
        }
        if root.get("action").is_some() {
            return Err(root.fault(Problem::Action));
        }
        let head = Head::parse(&root)?;
        let extension = match root.get("mop") {
            Some(below) => Extension::parse(&below)?,
            None => Extension::default(),
        };
        let examples = match root.get("tests") {
            Some(below) => Examples::parse(&below)?,
            None => Examples::default(),
        };
        if let Some(below) = root.get("correlation") {
            let correlation = Correlation::parse(&below)?;
            let rule = CorrelationRule { head, correlation, extension, examples };
            return Ok(Self::Correlation(Box::new(rule)));
        }
        if root.get("filter").is_some() {
            return Ok(Self::Filter(Box::new(Filter::parse(&root, head)?)));
        }
        let detection = Detection::parse(&root.required("detection")?, &[])?;
        let log_source = LogSource::parse(&root.required("logsource")?)?;
        let rule = DetectionRule { head, log_source, detection, extension, examples };
        Ok(Self::Detection(Box::new(rule)))
    }

    /// What names and describes it.
    #[must_use]
    pub fn head(&self) -> &Head {
        match self {
            Self::Correlation(rule) => &rule.head,
            Self::Detection(rule) => &rule.head,
            Self::Filter(filter) => &filter.head,
        }
    }
}

fn trees(text: &str) -> Result<Vec<Value>, Problem> {
    if text.len() > MAX_FILE_BYTES {
        return Err(Problem::FileTooLong);
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 4 * MAX_NODES,
            max_aliases: MAX_ALIASES,
            max_anchors: MAX_ALIASES,
            max_total_scalar_bytes: MAX_FILE_BYTES,
        },
        with_snippet: false,
    };
    serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|error| Problem::Syntax(one_line(&error.to_string())))
}

fn one_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// The longest published rules have 10 kB; this also bounds what a wrong path can cost.
pub const MAX_FILE_BYTES: usize = 1 << 20;

/// A rule a file is the habit; files of correlations have some more.
pub const MAX_DOCUMENTS: usize = 256;

/// Mappings and lists within each other; rules have six. Bounds the recursion of reading.
pub const MAX_DEPTH: usize = 24;

/// Values of a file, that anchors and aliases stand for included.
pub const MAX_NODES: usize = 100_000;

/// Rules use none; files of several may share lists.
const MAX_ALIASES: usize = 256;
