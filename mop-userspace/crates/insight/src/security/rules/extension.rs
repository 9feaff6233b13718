//! The `mop` block of a document: what Sigma has no place for.

use crate::security::finding::Reason;

use super::{
    builtin::Builtin,
    error::{Fault, Problem},
    field::FieldName,
    head::Level,
    node::Node,
};

/// How this engine treats a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extension {
    /// The oldest engine that understands the rule.
    pub engine: Option<(u32, u32)>,
    /// How sure it is.
    pub maturity: Maturity,
    /// From 1, where ordinary traffic has no finding, to 4, where much of it may; see
    /// [`Extension::paranoia`].
    pub paranoia: Option<u64>,
    /// Class of the OWASP API Security Top 10, such as `API1:2023`.
    pub owasp: Option<String>,
    /// Clause of the FAPI profile.
    pub fapi: Option<String>,
    /// Decodings that it relies on.
    pub decode: Vec<Decode>,
    /// Matcher of the engine that decides instead of the condition alone.
    pub builtin: Option<String>,
    /// Points that a match adds to its client; see [`Extension::points`].
    pub score: Option<u32>,
    /// How its findings are told to MISP.
    pub misp: Option<Misp>,
    /// Fields that no evidence shows.
    pub mask: Vec<FieldName>,
    /// Why its findings matter and what to do, for people.
    pub reason: Option<Reason>,
}

/// How sure a rule is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Maturity {
    /// It is observed.
    #[default]
    Incubating,
    /// It is tried out.
    Sandbox,
    /// It is proven.
    Stable,
}

/// A decoding of values before they are matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decode {
    /// Base64.
    Base64,
    /// Compressed bodies.
    Gzip,
    /// Character references of HTML.
    Html,
    /// Escapes of JavaScript.
    JavaScript,
    /// Removal of null bytes.
    Null,
    /// Dots and slashes of paths.
    Path,
    /// Full-width and other compatible characters.
    Unicode,
    /// Percent-encoding.
    Url,
}

/// How findings of a rule are told to MISP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Misp {
    /// Object template, such as `http-request`.
    pub object: Option<String>,
    /// Predicate and value of the RSIT taxonomy, such as `intrusion-attempts="exploit"`.
    pub rsit: Option<String>,
    /// Traffic light, such as `amber`.
    pub tlp: Option<String>,
    /// Permissible actions, such as `GREEN`.
    pub pap: Option<String>,
}

impl Extension {
    pub(super) fn parse(node: &Node<'_>) -> Result<Self, Fault> {
        node.only(&[
            "engine", "maturity", "paranoia", "owasp", "fapi", "decode", "builtin", "score",
            "misp", "mask", "reason",
        ])?;
        let text = |key| node.get(key).map(|below| below.text(MAX_TEXT_BYTES)).transpose();
        let score = node.get("score").map(|below| {
            let points = u32::try_from(below.whole_number()?).ok();
            let points = points.filter(|points| *points <= MAX_SCORE);
            points.ok_or_else(|| below.fault(Problem::WrongType("a number from 0 to 100")))
        });
        let decode = match node.get("decode") {
            Some(below) => below.one_or_more(DECODINGS.len())?,
            None => Vec::new(),
        };
        let decode = decode.iter().map(|below| below.word(DECODINGS, DECODING_WORDS));
        let mask = node.get("mask").map(|below| below.texts(MAX_MASKED, MAX_TEXT_BYTES));
        Ok(Self {
            engine: node.get("engine").map(|below| engine(&below)).transpose()?,
            maturity: match node.get("maturity") {
                Some(below) => below.word(MATURITIES, MATURITY_WORDS)?,
                None => Maturity::default(),
            },
            paranoia: node.get("paranoia").map(|below| below.whole_number()).transpose()?,
            owasp: text("owasp")?,
            fapi: text("fapi")?,
            decode: decode.collect::<Result<_, _>>()?,
            builtin: text("builtin")?,
            score: score.transpose()?,
            misp: node.get("misp").map(|below| Misp::parse(&below)).transpose()?,
            mask: mask
                .transpose()?
                .unwrap_or_default()
                .iter()
                .map(|name| FieldName::new(name))
                .collect(),
            reason: node.get("reason").map(|below| reason(&below)).transpose()?,
        })
    }

    /// Paranoia, from 1 to 4; rules that do not say it have 2, since nothing shows that they leave
    /// ordinary traffic alone.
    #[must_use]
    pub fn paranoia(&self) -> u8 {
        let paranoia = self.paranoia.unwrap_or(2).clamp(1, 4);
        u8::try_from(paranoia).unwrap_or(4)
    }

    /// Points of a match; where the rule does not say them, its level does.
    #[must_use]
    pub fn points(&self, level: Level) -> u32 {
        self.score.unwrap_or(match level {
            Level::Informational => 0,
            Level::Low => 2,
            Level::Medium => 3,
            Level::High => 4,
            Level::Critical => 5,
        })
    }

    /// Why the rule cannot be used by this engine.
    #[must_use]
    pub fn unusable(&self) -> Option<String> {
        if let Some((major, minor)) = self.engine.filter(|needed| *needed > ENGINE) {
            return Some(format!("it needs version {major}.{minor} of the engine"));
        }
        let builtin = self.builtin.as_ref()?;
        if Builtin::of_name(builtin).is_some() {
            return None;
        }
        Some(format!("the engine has no matcher {builtin}"))
    }
}

impl Misp {
    fn parse(node: &Node<'_>) -> Result<Self, Fault> {
        node.only(&["object", "rsit", "tlp", "pap"])?;
        let text = |key| node.get(key).map(|below| below.text(MAX_TEXT_BYTES)).transpose();
        Ok(Self {
            object: text("object")?,
            rsit: text("rsit")?,
            tlp: text("tlp")?,
            pap: text("pap")?,
        })
    }
}

/// Both languages, each on one line.
fn reason(node: &Node<'_>) -> Result<Reason, Fault> {
    node.only(&["en", "pt"])?;
    let text = |key| node.required(key)?.text(MAX_REASON_BYTES).map(|text| one_line(&text));
    Ok(Reason { en: text("en")?, pt: text("pt")? })
}

/// The same with each stretch of white space as one space.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A version with `>=` before it.
fn engine(node: &Node<'_>) -> Result<(u32, u32), Fault> {
    let text = node.text(MAX_TEXT_BYTES)?;
    let version = text.strip_prefix(">=").and_then(|version| version.trim().split_once('.'));
    let version =
        version.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    version.ok_or_else(|| node.fault(Problem::WrongType("a version such as \">=1.0\"")))
}

/// Version of what rules can ask for.
const ENGINE: (u32, u32) = (1, 0);

const MATURITIES: &[(&str, Maturity)] = &[
    ("incubating", Maturity::Incubating),
    ("sandbox", Maturity::Sandbox),
    ("stable", Maturity::Stable),
];
const MATURITY_WORDS: &str = "stable, incubating, sandbox";

const DECODINGS: &[(&str, Decode)] = &[
    ("base64", Decode::Base64),
    ("gzip", Decode::Gzip),
    ("html", Decode::Html),
    ("js", Decode::JavaScript),
    ("null", Decode::Null),
    ("path", Decode::Path),
    ("unicode", Decode::Unicode),
    ("url", Decode::Url),
];
const DECODING_WORDS: &str = "base64, gzip, html, js, null, path, unicode, url";

/// Names and tags.
const MAX_TEXT_BYTES: usize = 256;

/// Two sentences.
const MAX_REASON_BYTES: usize = 1024;

/// Fields of a rule.
const MAX_MASKED: usize = 64;

/// A client is told of from a few points on.
const MAX_SCORE: u32 = 100;
