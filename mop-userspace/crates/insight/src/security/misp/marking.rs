//! What a rule says of its findings for MISP: to whom, what for, and what sort of incident.

use thiserror::Error;

use super::tag::{Pap, Rsit, Tlp};
use crate::security::{finding::Owasp, rules::Misp};

/// How findings of a rule are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marking {
    /// Sort of incident.
    pub rsit: Option<Rsit>,
    /// To whom, where that is fewer than those of the feed.
    pub tlp: Option<Tlp>,
    /// What may be done with it, where that is less than the feed allows.
    pub pap: Option<Pap>,
    /// The object that says most of it.
    pub template: Option<MarkedTemplate>,
}

/// An object that a rule can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkedTemplate {
    /// Codes or passwords were tried.
    AuthenticationFailureReport,
    /// A request; there is one wherever there is an endpoint.
    HttpRequest,
    /// What a client is known by; there is one wherever it is known.
    Ja4Plus,
    /// A connection; there is one wherever there is an address or a port.
    NetworkConnection,
    /// A certificate; there is one wherever there is a certificate.
    X509,
}

/// Why the words of a rule make no marking.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum MarkingError {
    /// An object that is not written.
    #[error("misp.object: objects of this template are not written")]
    Object,
    /// None of the permissible actions protocol.
    #[error("misp.pap: red, amber, green or clear is wanted")]
    Pap,
    /// None that is written.
    #[error("misp.rsit: a predicate and value of RSIT that is not written")]
    Rsit,
    /// None of the traffic light protocol.
    #[error("misp.tlp: red, amber+strict, amber, green or clear is wanted")]
    Tlp,
}

impl Marking {
    /// Reads what a rule says.
    ///
    /// # Errors
    ///
    /// Every [`MarkingError`].
    pub fn of(misp: &Misp) -> Result<Self, MarkingError> {
        let Misp { object, rsit, tlp, pap } = misp;
        Ok(Self {
            rsit: named(rsit.as_deref(), &Rsit::ALL, Rsit::tag, MarkingError::Rsit)?,
            tlp: named(tlp.as_deref(), &Tlp::ALL, Tlp::tag, MarkingError::Tlp)?,
            pap: named(pap.as_deref(), &Pap::ALL, Pap::tag, MarkingError::Pap)?,
            template: match object.as_deref() {
                None => None,
                Some("authentication-failure-report") => {
                    Some(MarkedTemplate::AuthenticationFailureReport)
                }
                Some("http-request") => Some(MarkedTemplate::HttpRequest),
                Some("ja4-plus") => Some(MarkedTemplate::Ja4Plus),
                Some("network-connection") => Some(MarkedTemplate::NetworkConnection),
                Some("x509") => Some(MarkedTemplate::X509),
                Some(_) => return Err(MarkingError::Object),
            },
        })
    }

    /// What is told of a class, where no rule says it.
    #[must_use]
    pub fn of_class(owasp: Owasp) -> Self {
        let rsit = match owasp {
            Owasp::Api1 | Owasp::Api3 | Owasp::Api5 => Rsit::UnauthorisedAccess,
            Owasp::Api2 => Rsit::BruteForce,
            Owasp::Api4 => Rsit::Dos,
            Owasp::Api6 | Owasp::Api7 | Owasp::Api10 => Rsit::Exploit,
            Owasp::Api8 | Owasp::Api9 => Rsit::VulnerableSystem,
        };
        Self { rsit: Some(rsit), ..Self::default() }
    }

    /// Whether attempts to get in were noticed, which have an object of their own.
    pub(super) fn is_authentication_failure(&self) -> bool {
        self.rsit == Some(Rsit::BruteForce)
            || self.template == Some(MarkedTemplate::AuthenticationFailureReport)
    }
}

/// The value whose tag is the text, with or without the name of the taxonomy before it.
fn named<T: Copy>(
    text: Option<&str>,
    all: &[T],
    tag: fn(T) -> &'static str,
    error: MarkingError,
) -> Result<Option<T>, MarkingError> {
    let Some(text) = text else { return Ok(None) };
    let is_it = |it: &&T| {
        let tag = tag(**it);
        let value = tag.split_once(':').map_or(tag, |(_, value)| value);
        text.eq_ignore_ascii_case(tag) || text.eq_ignore_ascii_case(value)
    };
    all.iter().find(is_it).copied().map(Some).ok_or(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn misp(object: &str, rsit: &str, tlp: &str, pap: &str) -> Misp {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Misp { object: some(object), rsit: some(rsit), tlp: some(tlp), pap: some(pap) }
    }

    #[test]
    fn words_of_rules_are_read_with_and_without_their_taxonomy() {
        let report = "authentication-failure-report";
        let expected = Marking {
            rsit: Some(Rsit::BruteForce),
            tlp: Some(Tlp::AmberStrict),
            pap: Some(Pap::Green),
            template: Some(MarkedTemplate::AuthenticationFailureReport),
        };
        let brute_force = "intrusion-attempts=\"brute-force\"";
        let short = misp(report, brute_force, "amber+strict", "green");
        let long = misp(report, &format!("rsit:{brute_force}"), "tlp:amber+strict", "PAP:GREEN");
        assert_eq!(Marking::of(&short), Ok(expected));
        assert_eq!(Marking::of(&long), Ok(expected));
        assert_eq!(Marking::of(&Misp::default()), Ok(Marking::default()));
        for rsit in Rsit::ALL {
            let read = Marking::of(&misp("", rsit.tag(), "", ""));
            assert_eq!(read.map(|it| it.rsit), Ok(Some(rsit)));
        }
    }

    #[test]
    fn words_that_are_none_are_refused() {
        for (wrong, error) in [
            (misp("ddos", "", "", ""), MarkingError::Object),
            (misp("", "intrusion-attempts", "", ""), MarkingError::Rsit),
            (misp("", "", "white", ""), MarkingError::Tlp),
            (misp("", "", "", "purple"), MarkingError::Pap),
        ] {
            assert_eq!(Marking::of(&wrong), Err(error));
        }
    }
}
