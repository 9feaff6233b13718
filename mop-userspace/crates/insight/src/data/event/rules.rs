//! Calls that are none of the ecosystem's: pings of monitors, and calls to oneself.
//!
//! The metrics platform names both among the mistakes of participants: pings reported as calls, and
//! reports whose client and server are the same organisation, which it refuses.

use std::net::IpAddr;

use crate::data::identity::address::AddressRange;

/// Which calls are left out.
#[derive(Clone, Debug, Default)]
pub struct Exclusions {
    /// Beginnings of paths, without query.
    pub paths: Vec<String>,
    /// Parts of the `User-Agent`, in any case.
    pub user_agents: Vec<String>,
    /// Addresses of callers.
    pub addresses: Vec<AddressRange>,
}

/// Why a call is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Exclusion {
    /// The address of its caller is a monitor's.
    Address,
    /// Its path is a monitor's.
    Path,
    /// Client and server are the same organisation.
    SelfCall,
    /// Its `User-Agent` is a monitor's.
    UserAgent,
}

impl Exclusions {
    /// Why a call is left out, if it is.
    #[must_use]
    pub fn of(
        &self,
        path: &str,
        user_agent: Option<&[u8]>,
        caller: Option<IpAddr>,
    ) -> Option<Exclusion> {
        if self.paths.iter().any(|known| path.starts_with(known.as_str())) {
            return Some(Exclusion::Path);
        }
        let has_agent =
            |agent: &[u8]| self.user_agents.iter().any(|known| contains(agent, known.as_bytes()));
        if user_agent.is_some_and(has_agent) {
            return Some(Exclusion::UserAgent);
        }
        let is_monitor = |caller| self.addresses.iter().any(|range| range.contains(caller));
        caller.is_some_and(is_monitor).then_some(Exclusion::Address)
    }
}

impl Exclusion {
    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Path => "path",
            Self::SelfCall => "self_call",
            Self::UserAgent => "user_agent",
        }
    }
}

/// Whether `part` is in `text`, in any case; an empty part is in none.
fn contains(text: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monitors_are_known_by_any_of_three_marks() {
        let exclusions = Exclusions {
            paths: vec!["/health".into()],
            user_agents: vec!["kube-probe".into(), String::new()],
            addresses: vec!["10.9.0.0/16".parse().unwrap()],
        };
        let of = |path, agent: &str, caller: &str| {
            exclusions.of(path, Some(agent.as_bytes()), caller.parse().ok())
        };
        assert_eq!(of("/health/live", "", ""), Some(Exclusion::Path));
        assert_eq!(of("/a", "Kube-Probe/1.30", ""), Some(Exclusion::UserAgent));
        assert_eq!(of("/a", "x", "10.9.1.1"), Some(Exclusion::Address));
        assert_eq!(of("/a", "x", "10.8.1.1"), None);
        assert_eq!(of("/a", "x", ""), None);
    }
}
