//! Which layers of the split are in force, as the kernel itself tells it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::vitals::Family;

/// All layers, in the order in which they are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layers {
    /// Which process does the work, in words.
    pub(crate) who: String,
    pub(crate) layers: Vec<Layer>,
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layer {
    pub(crate) name: LayerName,
    /// Why it is not in force; `None` when it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) missing: Option<String>,
}

/// The layers that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LayerName {
    /// What parses is a process of its own.
    Process,
    /// It is another user than the one that observes.
    User,
    /// It has no capability and can get none.
    Capabilities,
    /// It could not get one by running a program either.
    BoundingSet,
    /// It gets no new right by running a program.
    NoNewPrivileges,
    /// Nobody but root reads its memory, and it leaves no core dump.
    NoDump,
    /// It is kept to the system calls that it needs.
    Seccomp,
    /// It is kept to the files that it needs.
    LandlockFiles,
    /// It is kept to the TCP ports that it needs.
    LandlockTcp,
    /// It can send no signal to a process outside.
    LandlockSignals,
}

impl LayerName {
    pub(crate) const ALL: [Self; 10] = [
        Self::Process,
        Self::User,
        Self::Capabilities,
        Self::BoundingSet,
        Self::NoNewPrivileges,
        Self::NoDump,
        Self::Seccomp,
        Self::LandlockFiles,
        Self::LandlockTcp,
        Self::LandlockSignals,
    ];

    /// Its name in reports and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::User => "user",
            Self::Capabilities => "capabilities",
            Self::BoundingSet => "bounding_set",
            Self::NoNewPrivileges => "no_new_privileges",
            Self::NoDump => "no_dump",
            Self::Seccomp => "seccomp",
            Self::LandlockFiles => "landlock_files",
            Self::LandlockTcp => "landlock_tcp",
            Self::LandlockSignals => "landlock_signals",
        }
    }
}

impl Layers {
    /// None is in force, and all for one reason.
    pub(super) fn none(reason: &str) -> Self {
        let missing = Some(reason.to_owned());
        Self {
            who: "one process does all, with every right that it has".to_owned(),
            layers: LayerName::ALL.map(|name| Layer { name, missing: missing.clone() }).to_vec(),
        }
    }

    /// The metric of them.
    pub(crate) fn family(&self) -> Family {
        Family::gauge(
            "mop_privilege_layer",
            "1 while this layer of the privilege split is in force",
        )
        .by("layer", self.layers.iter().map(|layer| (layer.name.name(), layer.missing.is_none())))
    }

    /// Those that are in force.
    pub(crate) fn in_force(&self) -> impl Iterator<Item = LayerName> {
        self.layers.iter().filter(|layer| layer.missing.is_none()).map(|layer| layer.name)
    }

    /// Those that are not, and why.
    pub(crate) fn missing(&self) -> impl Iterator<Item = (LayerName, &str)> {
        self.layers.iter().filter_map(|layer| Some((layer.name, layer.missing.as_deref()?)))
    }
}

/// In one line.
impl fmt::Display for Layers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.in_force().map(LayerName::name).collect();
        write!(formatter, "{}: {}", self.who, names.join(", "))?;
        if names.is_empty() {
            let reason = self.missing().next().map(|(_, reason)| reason).unwrap_or_default();
            return formatter.write_str(reason);
        }
        let mut told: Vec<&str> = Vec::new();
        for (_, reason) in self.missing() {
            if told.contains(&reason) {
                continue;
            }
            told.push(reason);
            let names: Vec<&str> = self
                .missing()
                .filter_map(|(name, other)| (other == reason).then_some(name.name()))
                .collect();
            write!(formatter, "; without {}: {reason}", names.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_that_several_layers_share_is_told_once() {
        let mut layers = Layers::none("no reason");
        assert_eq!(
            layers.to_string(),
            "one process does all, with every right that it has: no reason"
        );
        for layer in layers.layers.iter_mut().take(8) {
            layer.missing = None;
        }
        layers.who = "core 2 of prober 1".to_owned();
        assert_eq!(
            layers.to_string(),
            "core 2 of prober 1: process, user, capabilities, bounding_set, no_new_privileges, no_dump, seccomp, \
             landlock_files; without landlock_tcp, landlock_signals: no reason"
        );
    }

    #[test]
    fn every_layer_is_written_by_its_name() {
        for name in LayerName::ALL {
            let written = serde_json::to_value(name).expect("written");
            assert_eq!(written, name.name());
        }
    }
}
