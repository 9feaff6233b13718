//! One rule: what it names must all hold.

use std::collections::BTreeMap;

use super::{
    answer::Answer, configuration::RuleConfiguration, pattern::Pattern, selector::Selector,
};
use crate::{
    connections::Facts,
    workloads::{Whereabouts, Workload},
};

/// A rule, ready to be applied. What is empty asks for nothing.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    namespaces: Vec<Pattern>,
    selector: Option<Selector>,
    pods: Vec<Pattern>,
    containers: Vec<Pattern>,
    processes: Vec<Pattern>,
    ports: Vec<u16>,
    path_prefixes: Vec<Box<str>>,
}

/// What rules look at; `None` is what is not known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    pub(super) place: Place<'a>,
    /// Name of the process.
    pub(super) process: Option<&'a str>,
    /// Port of the server's end, whichever end is observed.
    pub(super) port: Option<u16>,
    /// Path of the request, as it was sent.
    pub(super) path: Option<&'a str>,
}

/// Where a process runs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a> {
    /// In no container.
    Host,
    /// In this workload.
    Named(&'a Workload),
    /// In a container that nobody has named yet, or nobody knows.
    Unknown,
}

impl Rule {
    /// The rule of a configuration.
    ///
    /// # Errors
    ///
    /// What would be right.
    pub(super) fn new(configuration: &RuleConfiguration) -> Result<Self, String> {
        let RuleConfiguration { namespace, selector, pod, container, process, port, path_prefix } =
            configuration;
        let patterns = |texts: &[String]| -> Result<Vec<Pattern>, String> {
            texts.iter().map(|text| Pattern::parse(text)).collect()
        };
        Ok(Self {
            namespaces: patterns(namespace)?,
            selector: (!selector.is_empty()).then(|| Selector::parse(selector)).transpose()?,
            pods: patterns(pod)?,
            containers: patterns(container)?,
            processes: patterns(process)?,
            ports: port.clone(),
            path_prefixes: path_prefix.iter().map(|prefix| prefix.as_str().into()).collect(),
        })
    }

    /// Whether it holds for a call.
    pub(super) fn holds_for(&self, subject: &Subject<'_>) -> Answer {
        let Self { namespaces, selector, pods, containers, processes, ports, path_prefixes } = self;
        let Subject { place, process, port, path } = *subject;
        let mut answers = [Answer::Yes; 7];
        let [in_namespace, has_labels, is_pod, is_container, is_process, has_port, has_path] =
            &mut answers;
        if !namespaces.is_empty() {
            *in_namespace =
                place.answer(|workload| Some(one_of(namespaces, &workload.names.namespace)));
        }
        if let Some(selector) = selector {
            *has_labels = place.answer(|workload| {
                let labels: &BTreeMap<_, _> = workload.names.labels.as_ref()?;
                Some(selector.matches(labels))
            });
        }
        if !pods.is_empty() {
            *is_pod = place.answer(|workload| Some(one_of(pods, &workload.names.pod)));
        }
        if !containers.is_empty() {
            *is_container =
                place.answer(|workload| Some(one_of(containers, workload.container.as_ref()?)));
        }
        if !processes.is_empty() {
            *is_process = process.map(|name| one_of(processes, name)).into();
        }
        if !ports.is_empty() {
            *has_port = port.map(|port| ports.contains(&port)).into();
        }
        if !path_prefixes.is_empty() {
            let is_below =
                |path: &str| path_prefixes.iter().any(|prefix| path.starts_with(&**prefix));
            *has_path = path.map(is_below).into();
        }
        Answer::all(answers)
    }
}

impl<'a> Place<'a> {
    /// That of the process at this end of a connection.
    pub(super) fn of(facts: Option<&'a Facts>) -> Self {
        let Some(facts) = facts else { return Self::Unknown };
        let Whereabouts { placement, workload } = &facts.process.whereabouts;
        if let Some(workload) = workload {
            return Self::Named(workload);
        }
        match placement {
            Some(placement) if placement.pod.is_none() && placement.container.is_none() => {
                Self::Host
            }
            // From a cgroup namespace beside it, a container of a pod looks like any other.
            Some(_) | None => Self::Unknown,
        }
    }

    fn answer(self, ask: impl FnOnce(&Workload) -> Option<bool>) -> Answer {
        match self {
            Self::Host => Answer::No,
            Self::Named(workload) => ask(workload).into(),
            Self::Unknown => Answer::Unknown,
        }
    }
}

fn one_of(patterns: &[Pattern], name: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(name))
}
