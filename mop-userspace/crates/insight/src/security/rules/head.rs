//! What every document says of itself.

use super::{error::Fault, node::Node};

/// What names and describes a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Title, in a few words.
    pub title: String,
    /// Identifier, a UUID; rules without one are known by their title.
    pub id: Option<String>,
    /// Name by which other documents refer to it.
    pub name: Option<String>,
    /// How mature it is.
    pub status: Option<Status>,
    /// What it finds and why that matters.
    pub description: Option<String>,
    /// How much a match matters.
    pub level: Level,
    /// Tags, such as `attack.t1110.004`.
    pub tags: Vec<String>,
    /// What else it may be.
    pub false_positives: Vec<String>,
}

/// How much a match matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// Of no matter alone; what correlations are made of.
    Informational,
    /// Hardly.
    Low,
    /// Somewhat; what a rule means that does not say it.
    #[default]
    Medium,
    /// It must be looked at.
    High,
    /// It must be looked at now.
    Critical,
}

/// How mature a rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// No longer of use.
    Deprecated,
    /// It may find what is harmless.
    Experimental,
    /// It finds what is meant, or hardly anything else.
    Stable,
    /// It needs more observation.
    Test,
    /// It cannot be used as it is.
    Unsupported,
}

/// What a rule looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSource {
    /// Kind of source, such as `webserver`.
    pub category: Option<String>,
    /// Product, such as `opin-mop`.
    pub product: Option<String>,
    /// Part of a product.
    pub service: Option<String>,
}

impl Head {
    pub(super) fn parse(node: &Node<'_>) -> Result<Self, Fault> {
        let text = |key| node.get(key).map(|below| below.text(MAX_TEXT_BYTES)).transpose();
        let texts = |key| match node.get(key) {
            // Public rules have empty lists.
            Some(below) if below.value.as_array().is_none_or(|list| !list.is_empty()) => {
                below.texts(MAX_TEXTS, MAX_TEXT_BYTES)
            }
            _ => Ok(Vec::new()),
        };
        Ok(Self {
            title: node.required("title")?.text(MAX_TEXT_BYTES)?,
            id: text("id")?,
            name: text("name")?,
            status: node
                .get("status")
                .map(|below| below.word(STATUSES, STATUS_WORDS))
                .transpose()?,
            description: text("description")?,
            level: match node.get("level") {
                Some(below) => below.word(LEVELS, LEVEL_WORDS)?,
                None => Level::default(),
            },
            tags: texts("tags")?,
            false_positives: texts("falsepositives")?,
        })
    }

    /// Id, or else name, or else title: what a rule is known by.
    #[must_use]
    pub fn known_as(&self) -> &str {
        self.id.as_ref().or(self.name.as_ref()).unwrap_or(&self.title)
    }

    /// The name that findings give: the name, or else the id, or else the title.
    #[must_use]
    pub fn told_as(&self) -> &str {
        self.name.as_ref().or(self.id.as_ref()).unwrap_or(&self.title)
    }

    /// Whether another document means this one by a text.
    #[must_use]
    pub fn is_meant_by(&self, reference: &str) -> bool {
        [&self.id, &self.name].into_iter().any(|known| known.as_deref() == Some(reference))
    }
}

impl LogSource {
    pub(super) fn parse(node: &Node<'_>) -> Result<Self, Fault> {
        let text = |key| node.get(key).map(|below| below.text(MAX_TEXT_BYTES)).transpose();
        if node.value.as_object().is_none() {
            return Err(node.fault(super::Problem::WrongType("a mapping")));
        }
        Ok(Self {
            category: text("category")?,
            product: text("product")?,
            service: text("service")?,
        })
    }

    /// Why rules about it cannot be used here.
    #[must_use]
    pub fn unusable(&self) -> Option<String> {
        let Self { category, product, service: _ } = self;
        if let Some(product) = product.as_ref().filter(|product| *product != PRODUCT) {
            return Some(format!("logs of the product {product} are not observed"));
        }
        match category {
            Some(category) if !CATEGORIES.contains(&category.as_str()) => {
                Some(format!("logs of the category {category} are not observed"))
            }
            None if product.is_none() => Some("no category or product says what it is for".into()),
            _ => None,
        }
    }
}

/// What is observed here, as rules name it.
const PRODUCT: &str = "opin-mop";

/// Kinds of sources that calls of an application programming interface are.
const CATEGORIES: [&str; 5] = ["flow", "jwt", "proxy", "tls", "webserver"];

const LEVELS: &[(&str, Level)] = &[
    ("informational", Level::Informational),
    ("low", Level::Low),
    ("medium", Level::Medium),
    ("high", Level::High),
    ("critical", Level::Critical),
];
const LEVEL_WORDS: &str = "informational, low, medium, high, critical";

const STATUSES: &[(&str, Status)] = &[
    ("deprecated", Status::Deprecated),
    ("experimental", Status::Experimental),
    ("stable", Status::Stable),
    ("test", Status::Test),
    ("unsupported", Status::Unsupported),
];
const STATUS_WORDS: &str = "stable, test, experimental, deprecated, unsupported";

/// Descriptions have a few sentences.
const MAX_TEXT_BYTES: usize = 16 << 10;

/// Tags and false positives of a rule.
const MAX_TEXTS: usize = 128;
