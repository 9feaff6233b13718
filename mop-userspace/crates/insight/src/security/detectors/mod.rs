//! Matchers of attack classes that regular expressions cannot tell from ordinary text: each reads
//! one form of a value as the interpreter would that it is meant for.
//!
//! ```text
//! value --normalise::chain--> view --Clues::of--> Detector::suspicion   None, or 1 (sure) to 4
//! ```
//!
//! Invariants: linear time, no allocation, no panic whatever the bytes are; a detector that does not
//! find the characters that its attacks need has no more than looked at [`Clues`].

mod clues;
mod code;
mod command;
mod deserialization;
mod header_injection;
mod include;
mod ldap;
mod letters;
mod lookup;
mod mail;
mod markup;
mod nosql;
mod prototype;
mod reading;
mod request_forgery;
mod sql;
mod template;
mod traversal;
#[cfg(test)]
mod trial;
mod xml;
mod xpath;

pub use clues::Clues;

use super::normalise::{part::Place, step::Steps};

/// One form of a value, as detectors see it. Has no `Debug`: what was received is never printed.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Where the value stands.
    pub place: Place,
    /// The name that it goes by there.
    pub name: Option<&'a str>,
    /// What was done to it; with [`super::normalise::step::Step::Squash`] comments, white space and
    /// case are folded.
    pub steps: Steps,
    /// Characters that it has.
    pub clues: Clues,
}

/// A class of attacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Detector {
    /// Code of Node.js, Ruby, Python or PHP that is meant to be evaluated.
    CodeInjection,
    /// Commands of Unix and Windows shells, Shellshock among them.
    CommandInjection,
    /// Serialised objects of Java, .NET, PHP, Python and Ruby, and names of their gadgets.
    Deserialization,
    /// Line ends that begin another header field or message.
    HeaderInjection,
    /// Directives of server-side and edge-side includes.
    IncludeInjection,
    /// Filters of LDAP.
    LdapInjection,
    /// Lookups of Log4j and their disguises.
    LookupInjection,
    /// Commands and fields of SMTP and IMAP.
    MailInjection,
    /// Markup and scripts for browsers.
    MarkupInjection,
    /// Operators of document stores.
    NosqlInjection,
    /// Members that change the prototype of objects.
    PrototypePollution,
    /// Addresses that a server should not fetch.
    RequestForgery,
    /// SQL.
    SqlInjection,
    /// Expressions of template engines and expression languages.
    TemplateInjection,
    /// Paths that leave their folder, and files that are no one's business.
    PathTraversal,
    /// Document types and entities.
    XmlInjection,
    /// Expressions of XPath and XQuery.
    XpathInjection,
}

impl Detector {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::CodeInjection,
        Self::CommandInjection,
        Self::Deserialization,
        Self::HeaderInjection,
        Self::IncludeInjection,
        Self::LdapInjection,
        Self::LookupInjection,
        Self::MailInjection,
        Self::MarkupInjection,
        Self::NosqlInjection,
        Self::PrototypePollution,
        Self::RequestForgery,
        Self::SqlInjection,
        Self::TemplateInjection,
        Self::PathTraversal,
        Self::XmlInjection,
        Self::XpathInjection,
    ];

    /// Its name in rules.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CodeInjection => "code_injection",
            Self::CommandInjection => "command_injection",
            Self::Deserialization => "deserialization",
            Self::HeaderInjection => "header_injection",
            Self::IncludeInjection => "include_injection",
            Self::LdapInjection => "ldap_injection",
            Self::LookupInjection => "lookup_injection",
            Self::MailInjection => "mail_injection",
            Self::MarkupInjection => "markup_injection",
            Self::NosqlInjection => "nosql_injection",
            Self::PrototypePollution => "prototype_pollution",
            Self::RequestForgery => "request_forgery",
            Self::SqlInjection => "sql_injection",
            Self::TemplateInjection => "template_injection",
            Self::PathTraversal => "path_traversal",
            Self::XmlInjection => "xml_injection",
            Self::XpathInjection => "xpath_injection",
        }
    }

    /// The detector of a name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|detector| detector.name() == name)
    }

    /// Those that may find something: all, but in words alone only the few whose attacks need no
    /// marks.
    #[must_use]
    pub fn that_may_find(subject: &Subject<'_>) -> &'static [Self] {
        let is_of_words = subject.clues.is_within(WORDS)
            && subject
                .name
                .is_none_or(|name| !name.contains(['.', '[', '/']) && !name.contains("__"));
        if is_of_words { &OF_WORDS } else { &Self::ALL }
    }

    /// From which level of paranoia on the value is an attack of this class: 1 when no ordinary text
    /// has it, 4 when much of it may.
    #[must_use]
    pub fn suspicion(self, subject: &Subject<'_>) -> Option<u8> {
        match self {
            Self::CodeInjection => code::suspicion(subject),
            Self::CommandInjection => command::suspicion(subject),
            Self::Deserialization => deserialization::suspicion(subject),
            Self::HeaderInjection => header_injection::suspicion(subject),
            Self::IncludeInjection => include::suspicion(subject),
            Self::LdapInjection => ldap::suspicion(subject),
            Self::LookupInjection => lookup::suspicion(subject),
            Self::MailInjection => mail::suspicion(subject),
            Self::MarkupInjection => markup::suspicion(subject),
            Self::NosqlInjection => nosql::suspicion(subject),
            Self::PrototypePollution => prototype::suspicion(subject),
            Self::RequestForgery => request_forgery::suspicion(subject),
            Self::SqlInjection => sql::suspicion(subject),
            Self::TemplateInjection => template::suspicion(subject),
            Self::PathTraversal => traversal::suspicion(subject),
            Self::XmlInjection => xml::suspicion(subject),
            Self::XpathInjection => xpath::suspicion(subject),
        }
    }
}

/// What names of persons, places and things are of.
const WORDS: Clues = Clues::these("0 ,-\u{e7}".as_bytes());

/// Commands and keywords are words, and base64 looks like one.
const OF_WORDS: [Detector; 3] =
    [Detector::CommandInjection, Detector::Deserialization, Detector::SqlInjection];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::normalise::part::Place;

    #[test]
    fn words_are_for_few_detectors() {
        let count = |name, text: &str| {
            Detector::that_may_find(&Subject {
                bytes: text.as_bytes(),
                place: Place::JsonString,
                name: Some(name),
                steps: Steps::default(),
                clues: Clues::of(text.as_bytes()),
            })
            .len()
        };
        assert_eq!(count("civilName", "Maria Aparecida Gon\u{e7}alves, 2"), OF_WORDS.len());
        assert_eq!(count("civilName", "Maria D'Avila"), Detector::ALL.len());
        assert_eq!(count("__proto__", "x"), Detector::ALL.len());
        assert_eq!(count("class.module.classLoader.x", "y"), Detector::ALL.len());
    }
}
