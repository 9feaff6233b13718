//! Addresses of servers, without passwords.

use std::fmt::{self, Debug, Formatter};

use serde::{Deserialize, Serialize};

use crate::configuration::Problem;

/// The address of a server. Holds no password once it was checked, and shows none before.
#[derive(Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct ServerUrl(String);

impl ServerUrl {
    pub(crate) fn new(url: &str) -> Self {
        Self(url.to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn check(&self, problems: &mut Vec<Problem>, name: &str, schemes: &[&str]) {
        let Some(rest) = schemes.iter().find_map(|scheme| self.0.strip_prefix(scheme)) else {
            let text = format!("an address that begins with {} is wanted", schemes.join(" or "));
            problems.push(Problem::new(name, text));
            return;
        };
        // A password may hold any character: what is before the last @ is about the user.
        if rest.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')) {
            let text = "a password does not belong into it; name a file in `password_file`";
            problems.push(Problem::new(name, text));
        }
    }
}

impl Debug for ServerUrl {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let shown = match (self.0.split_once("://"), self.0.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, server))) => format!("{scheme}://…@{server}"),
            _ => self.0.clone(),
        };
        Debug::fmt(&shown, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        let url = ServerUrl::new("amqp://user:hid@den@127.0.0.1/");
        assert_eq!(format!("{url:?}"), "\"amqp://…@127.0.0.1/\"");
    }
}
