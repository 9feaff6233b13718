//! The one configuration of `mop`: built-in defaults, below a file, below its drop-ins, below
//! environment variables, below flags.
//!
//! It is read once, at the start; a change needs a restart. Contracts and rules are not part of it
//! and are read again when their files change. Unknown keys are errors, and so is every value that
//! makes no sense: nothing of a configuration is ever passed over.

pub(crate) mod commands;
mod decode;
pub(crate) mod duration;
mod flags;
mod layers;
mod mask;
mod problem;
mod sections;
mod tree;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub(crate) use flags::Given;
pub(crate) use problem::Problem;
pub(crate) use sections::{
    NodeConfiguration, ObserveConfiguration, OutboxConfiguration, QualityConfiguration,
    SinksConfiguration,
};

use self::{layers::Layers, tree::Node};
use crate::failure::Failure;

/// Where the configuration is read from.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct ConfigurationArguments {
    /// Configuration file (TOML), and beside it a folder of drop-ins: `mop.d/*.toml` for
    /// `mop.toml`. Without it: /etc/mop/mop.toml, where there is one.
    #[arg(long, value_name = "FILE", env = "MOP_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

/// All that can be configured.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Configuration {
    pub(crate) node: NodeConfiguration,
    pub(crate) observe: ObserveConfiguration,
    /// What of the node is observed.
    pub(crate) scope: crate::scope::ScopeConfiguration,
    /// Who names pods; nobody without this section.
    pub(crate) kubernetes: Option<crate::workloads::KubernetesConfiguration>,
    pub(crate) quality: QualityConfiguration,
    /// What part of the node's traffic is decoded.
    pub(crate) coverage: crate::coverage::CoverageConfiguration,
    pub(crate) outbox: OutboxConfiguration,
    /// The reports of the metrics platform; none without this section.
    pub(crate) data: Option<crate::data::DataConfiguration>,
    /// What is looked for in calls, and told of it.
    pub(crate) security: crate::security::SecurityConfiguration,
    pub(crate) admin: crate::admin::AdminConfiguration,
    pub(crate) sinks: SinksConfiguration,
    pub(crate) hub: crate::hub::HubConfiguration,
    pub(crate) privileges: crate::privileges::PrivilegesConfiguration,
    /// How an observer follows another.
    pub(crate) handover: crate::handover::HandoverConfiguration,
    /// What keeps this observer from being a burden.
    pub(crate) protection: crate::protection::ProtectionConfiguration,
    /// True when a file or a variable was read: somebody wants what needs a configuration.
    #[serde(skip)]
    pub(crate) is_given: bool,
}

/// A configuration, and where its values are from.
#[derive(Debug)]
struct Sourced {
    configuration: Configuration,
    tree: Node,
    files: Vec<PathBuf>,
    variables: Vec<String>,
}

impl Configuration {
    /// Reads and merges: defaults, file, drop-ins, environment.
    pub(crate) fn load(arguments: &ConfigurationArguments) -> Result<Self, Failure> {
        let read = Sourced::read(arguments.config.as_deref(), std::env::vars_os());
        read.map(|sourced| sourced.configuration).map_err(|problems| {
            let first = problems.first().map(Problem::to_string).unwrap_or_default();
            Failure::configuration(match problems.len() {
                0 | 1 => first,
                count => format!("{first} (and {} more: see `mop config check`)", count - 1),
            })
        })
    }

    /// What makes no sense although it can be read.
    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.node.check(&mut problems);
        self.observe.check(&mut problems);
        self.scope.check(self.kubernetes.is_some(), &mut problems);
        if let Some(kubernetes) = &self.kubernetes {
            kubernetes.check(&mut problems);
        }
        self.quality.check(&mut problems);
        self.coverage.check(&mut problems);
        self.outbox.check(&mut problems);
        self.security.check(&mut problems);
        self.hub.check(&mut problems);
        self.sinks.check(&mut problems);
        self.handover.check(&mut problems);
        self.protection.check(&mut problems);
        if let Some(data) = &self.data {
            data.check(&mut problems);
        }
        problems
    }
}

impl Sourced {
    fn read(
        named: Option<&Path>,
        environment: impl Iterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
    ) -> Result<Self, Vec<Problem>> {
        let Layers { tree, files, variables } = Layers::read(named, environment)?;
        let mut configuration: Configuration = decode::decode(&tree)?;
        let problems = configuration.check();
        if !problems.is_empty() {
            return Err(problems.into_iter().map(|problem| tree.place(problem)).collect());
        }
        configuration.is_given = !files.is_empty() || !variables.is_empty();
        Ok(Self { configuration, tree, files, variables })
    }
}

#[cfg(test)]
mod tests;
