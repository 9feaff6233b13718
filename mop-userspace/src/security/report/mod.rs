//! `mop report incident` and `mop report lgpd`: what others want to know, made of records. Nothing in
//! them is a value of a message.

mod deadline;
mod incident;
mod lgpd;

pub(crate) use self::{
    incident::{IncidentArguments, run as incident},
    lgpd::{LgpdArguments, run as lgpd},
};

/// Language of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Language {
    /// English.
    En,
    /// Brazilian Portuguese.
    #[default]
    Pt,
}

impl Language {
    fn pick(self, en: &'static str, pt: &'static str) -> &'static str {
        match self {
            Self::En => en,
            Self::Pt => pt,
        }
    }
}
