//! The section `[protection]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::configuration::Problem;

/// How the observer keeps from being a burden.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ProtectionConfiguration {
    /// While this file exists, nothing is attached. Empty: there is no switch.
    pub(crate) switch: PathBuf,
    /// What `mop observe` and its kernel programs may take of the node's processors, from 0 to 1. 0:
    /// whatever they need.
    pub(crate) cpu_share: f64,
    /// Gives way to all other work of the node, where it has a CPU group for itself.
    pub(crate) gives_way: bool,
    /// Files that nothing is attached to, beside those that check their own code: whole paths, or
    /// beginnings of them before a `*`.
    pub(crate) never_attach: Vec<String>,
}

impl Default for ProtectionConfiguration {
    fn default() -> Self {
        Self {
            switch: PathBuf::from(SWITCH),
            cpu_share: 0.0,
            gives_way: true,
            never_attach: Vec::new(),
        }
    }
}

impl ProtectionConfiguration {
    /// Says what is wrong with it.
    pub(crate) fn check(&self, problems: &mut Vec<Problem>) {
        let Self { switch, cpu_share, gives_way: _, never_attach } = self;
        if !switch.as_os_str().is_empty() && !switch.is_absolute() {
            let text =
                "an absolute path is wanted, such as /run/mop/off; or nothing, for no switch";
            problems.push(Problem::new("protection.switch", text));
        }
        if !(0.0..=1.0).contains(cpu_share) {
            let text = "a share from 0 (no budget) to 1 (all processors of the node) is wanted";
            problems.push(Problem::new("protection.cpu_share", text));
        }
        if never_attach.len() > MAX_PATTERNS {
            let text = format!("at most {MAX_PATTERNS} are wanted: every file is held against all");
            problems.push(Problem::new("protection.never_attach", text));
        }
        for (number, pattern) in never_attach.iter().enumerate() {
            let name = pattern.strip_suffix('*').unwrap_or(pattern);
            if !name.starts_with('/') || name.contains('*') {
                let text = "an absolute path is wanted, or the beginning of one with * behind it";
                problems.push(Problem::new(&format!("protection.never_attach.{number}"), text));
            }
        }
    }
}

const MAX_PATTERNS: usize = 256;

/// Gone after a boot.
const SWITCH: &str = "/run/mop/off";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused() {
        let problems = |switch: &str, cpu_share| {
            let mut problems = Vec::new();
            let never_attach = vec!["/opt/vault".to_owned(), "/srv/*".to_owned()];
            let configuration = ProtectionConfiguration {
                switch: switch.into(),
                cpu_share,
                never_attach,
                ..Default::default()
            };
            configuration.check(&mut problems);
            problems.len()
        };
        assert_eq!(problems("/run/mop/off", 0.25), 0);
        assert_eq!(problems("", 1.0), 0);
        assert_eq!(problems("off", f64::NAN), 2);
        assert_eq!(problems("/off", 1.5), 1);
        assert_eq!(problems("/off", -0.1), 1);
        let mut found = Vec::new();
        let never_attach = ["opt", "/a*b", "*", "/ok"].map(str::to_owned).to_vec();
        ProtectionConfiguration { never_attach, ..Default::default() }.check(&mut found);
        assert_eq!(found.len(), 3);
    }
}
