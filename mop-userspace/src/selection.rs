//! Which exchanges are reported.

use mop_contract::route::path_of;
use mop_insight::{data::endpoint::PREFIX, security::rules::MAX_RESPONSE_BYTES};
use mop_wire::{Excerpt, Exchange};

use crate::cli::ReportArguments;

/// A filter by the path of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// Every exchange.
    All,
    /// Those whose path starts with one of these.
    Prefixes(Vec<String>),
}

impl Selection {
    pub(crate) fn of(arguments: &ReportArguments) -> Self {
        if arguments.all { Self::All } else { Self::Prefixes(arguments.path_prefix.clone()) }
    }

    /// Where only regulated calls are reported, nobody reads more of other responses than what leaks are
    /// looked for in.
    pub(crate) fn excerpt(&self) -> Option<Excerpt> {
        let is_regulated = |prefix: &String| prefix.contains(PREFIX);
        match self {
            Self::Prefixes(prefixes) if prefixes.iter().all(is_regulated) => {
                Some(Excerpt { unless_path_has: PREFIX, bytes: MAX_RESPONSE_BYTES })
            }
            Self::All | Self::Prefixes(_) => None,
        }
    }

    /// An exchange without its request has no path: it is reported only with all others, and
    /// counted in any case.
    pub(crate) fn wants(&self, exchange: &Exchange) -> bool {
        match self {
            Self::All => true,
            Self::Prefixes(prefixes) => exchange.request.as_ref().is_some_and(|request| {
                let path = path_of(&request.target);
                prefixes.iter().any(|prefix| path.starts_with(prefix.as_str()))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_asks_for_is_kept() {
        let of = |prefixes: &[&str]| {
            let prefixes = prefixes.iter().map(|it| (*it).to_owned()).collect();
            Selection::Prefixes(prefixes).excerpt()
        };
        assert!(of(&["/open-insurance/"]).is_some());
        assert!(of(&["/open-insurance/consents/", "/brand/open-insurance/"]).is_some());
        assert_eq!(of(&["/open-insurance/", "/token"]), None);
        assert_eq!(of(&["/"]), None);
        assert_eq!(Selection::All.excerpt(), None);
    }
}
