//! Which exchanges are reported.

use mop_contract::route::path_of;
use mop_wire::Exchange;

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
