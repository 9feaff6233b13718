//! What is told of a call, before it is a record.

use super::SeenCall;
use mop_wire::Role;

use crate::{
    data::funnel::Side,
    security::{
        finding::{Finding, FindingError, FindingFacts, MAX_ITEMS, Owasp, Place, Reason, Severity},
        inspector::KnownBad,
        misp::{marking::Marking, tag::Rsit},
        rules::{Level, Rule},
    },
};

/// What is told.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) rule: String,
    pub(super) title: String,
    pub(super) severity: Severity,
    pub(super) paranoia: u8,
    pub(super) owasp: Vec<Owasp>,
    pub(super) fapi: Vec<String>,
    pub(super) places: Vec<Place>,
    pub(super) count: u64,
    /// It follows from many calls, of which this is the last.
    pub(super) is_of_many: bool,
    pub(super) reason: Reason,
    pub(super) marking: Marking,
}

impl Told {
    /// A rule that a call matches; none for rules of the level that only counts for correlations.
    pub(super) fn of_rule(rule: &Rule, places: &[Place]) -> Option<Self> {
        (!rule.is_counted_only()).then(|| Self { places: places.to_vec(), ..Self::of(rule) })
    }

    /// A correlation that this call reached.
    pub(super) fn of_correlation(rule: &Rule, count: u64) -> Self {
        Self { count: count.max(1), is_of_many: true, ..Self::of(rule) }
    }

    /// Something that is known to be bad.
    pub(super) fn known_bad(bad: &KnownBad, role: Role) -> Self {
        let KnownBad { kind, source, confidence, place } = bad;
        let (owasp, en, pt) = match role {
            Role::Server => (
                Owasp::Api8,
                "calls this participant. See what it was answered, and block it if it has no business \
                 here.",
                "faz chamadas a este participante. Verifique o que foi respondido e bloqueie a origem \
                 se ela não tiver motivo para estar aqui.",
            ),
            Role::Client => (
                Owasp::Api10,
                "is called by this participant. See which application does, and why.",
                "é chamado por este participante. Verifique qual aplicação faz isso e por quê.",
            ),
        };
        let (name, source) = (kind.name(), shortened(source));
        Self {
            rule: "mop_indicator".to_owned(),
            title: format!("Known to be bad: {name}"),
            severity: match confidence {
                75.. => Severity::High,
                50.. => Severity::Medium,
                _ => Severity::Low,
            },
            paranoia: 1,
            owasp: vec![owasp],
            fapi: Vec::new(),
            places: vec![place.clone()],
            count: 1,
            is_of_many: false,
            reason: Reason {
                en: format!("What the list {source} knows to be bad ({name}, {confidence} %) {en}"),
                pt: format!(
                    "Algo que a lista {source} conhece como malicioso ({name}, {confidence} %) {pt}"
                ),
            },
            marking: Marking { rsit: Some(Rsit::Exploit), ..Marking::default() },
        }
    }

    /// A client that never called before.
    pub(super) fn first_seen(days_watched: u64) -> Self {
        Self {
            rule: "mop_first_seen_client".to_owned(),
            title: "Client that was never seen before".to_owned(),
            severity: Severity::Informational,
            paranoia: 1,
            owasp: vec![Owasp::Api9],
            fapi: Vec::new(),
            places: Vec::new(),
            count: 1,
            is_of_many: false,
            reason: Reason {
                en: format!(
                    "An organisation calls for the first time in {days_watched} days of watching. \
                     Check that it was registered on purpose."
                ),
                pt: format!(
                    "Uma organização faz chamadas pela primeira vez em {days_watched} dias de \
                     observação. Verifique se o cadastro dela foi intencional."
                ),
            },
            marking: Marking::default(),
        }
    }

    /// A client with so many points.
    pub(super) fn points(sum: u32) -> Self {
        Self {
            rule: "mop_client_points".to_owned(),
            title: "Client with many findings in a short time".to_owned(),
            severity: Severity::High,
            paranoia: 1,
            owasp: vec![Owasp::Api8],
            fapi: Vec::new(),
            places: Vec::new(),
            count: 1,
            is_of_many: true,
            reason: Reason {
                en: format!(
                    "The findings of one client come to {sum} points within minutes: somebody is \
                     trying things out. Look at its findings together, and block it if it is no \
                     test of yours."
                ),
                pt: format!(
                    "Os achados de um mesmo cliente somam {sum} pontos em poucos minutos: alguém \
                     está fazendo tentativas. Analise os achados em conjunto e bloqueie o cliente \
                     se não for um teste seu."
                ),
            },
            marking: Marking { rsit: Some(Rsit::Exploit), ..Marking::default() },
        }
    }

    fn of(rule: &Rule) -> Self {
        let Rule { head, extension } = rule;
        let owasp = extension.owasp.as_deref().and_then(Owasp::of_name);
        let described = head.description.as_deref().unwrap_or(&head.title);
        let otherwise = || {
            let text = shortened(described);
            Reason { en: text.clone(), pt: text }
        };
        Self {
            rule: shortened(head.told_as()),
            title: shortened(&head.title),
            severity: severity(head.level),
            paranoia: extension.paranoia(),
            owasp: vec![owasp.unwrap_or(Owasp::Api8)],
            fapi: extension.fapi.iter().map(|clause| shortened(clause)).collect(),
            places: Vec::new(),
            count: 1,
            is_of_many: false,
            reason: extension.reason.clone().unwrap_or_else(otherwise),
            // What a rule of others says wrongly is told by `mop rules lint`.
            marking: extension
                .misp
                .as_ref()
                .and_then(|misp| Marking::of(misp).ok())
                .unwrap_or_else(|| Marking::of_class(owasp.unwrap_or(Owasp::Api8))),
        }
    }

    /// The record.
    pub(super) fn finding(self, call: &SeenCall) -> Result<Finding, FindingError> {
        let Self {
            rule,
            title,
            severity,
            paranoia,
            owasp,
            fapi,
            mut places,
            count,
            is_of_many,
            reason,
            marking: _,
        } = self;
        places.truncate(MAX_ITEMS);
        let exchange = (!is_of_many).then(|| call.exchange.as_ref().to_owned());
        Finding::new(FindingFacts {
            rule,
            title,
            severity,
            paranoia,
            owasp,
            fapi,
            organisation: call.parties.server_organisation.clone(),
            client_organisation: call.parties.client_organisation.clone(),
            side: Some(match call.role {
                Role::Client => Side::Client,
                Role::Server => Side::Server,
            }),
            method: call.method.map(str::to_owned),
            endpoint: call.endpoint.clone(),
            exchange,
            places,
            count,
            first_seen: call.start,
            last_seen: call.end.max(call.start),
            reason,
        })
    }
}

fn severity(level: Level) -> Severity {
    match level {
        Level::Informational => Severity::Informational,
        Level::Low => Severity::Low,
        Level::Medium => Severity::Medium,
        Level::High => Severity::High,
        Level::Critical => Severity::Critical,
    }
}

/// On one line, and not longer than a record takes; rules of others are as long as they like.
fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let end = line.char_indices().map(|(at, _)| at).take_while(|at| *at <= MAX_TEXT_BYTES).last();
    match end {
        Some(end) if line.len() > MAX_TEXT_BYTES => line.get(..end).unwrap_or_default().to_owned(),
        _ => line,
    }
}

/// Fits a title and a reason alike.
const MAX_TEXT_BYTES: usize = 500;
