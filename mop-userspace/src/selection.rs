//! Which exchanges are reported.

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

/// The path of a request target, whose form is one of RFC 9112 section 3.2. A target in absolute
/// form (`http://host/path`) has its path behind the authority.
pub(crate) fn path_of(target: &str) -> &str {
    match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => {
            rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
        }
        _ => target,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_found_in_every_form_of_target() {
        assert_eq!(path_of("/open-insurance/x?y=http://z/"), "/open-insurance/x?y=http://z/");
        assert_eq!(path_of("http://host:1/open-insurance/x"), "/open-insurance/x");
        assert_eq!(path_of("http://host"), "/");
        assert_eq!(path_of("*"), "*");
    }
}
