//! The section `[scope]`.

use serde::{Deserialize, Serialize};

use super::{pattern::Pattern, selector::Selector};
use crate::configuration::Problem;

/// Its section of the configuration. Without rules everything is observed.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ScopeConfiguration {
    /// Only calls for which one of these holds are reported; empty: all.
    pub(crate) allow: Vec<RuleConfiguration>,
    /// Calls for which one of these holds are not, whatever is allowed.
    pub(crate) deny: Vec<RuleConfiguration>,
}

/// A rule: what it names must all hold; of a list, one of its values. `*` in names stands for any
/// letters.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RuleConfiguration {
    /// Namespaces of pods.
    pub(crate) namespace: Vec<String>,
    /// Label selector of pods.
    pub(crate) selector: String,
    /// Names of pods.
    pub(crate) pod: Vec<String>,
    /// Names of containers in their pods.
    pub(crate) container: Vec<String>,
    /// Names of processes.
    pub(crate) process: Vec<String>,
    /// Ports of the server's end.
    pub(crate) port: Vec<u16>,
    /// Beginnings of paths.
    pub(crate) path_prefix: Vec<String>,
}

impl ScopeConfiguration {
    /// Says what is wrong with it.
    pub(crate) fn check(&self, knows_names: bool, problems: &mut Vec<Problem>) {
        let Self { allow, deny } = self;
        for (list, rules) in [("allow", allow), ("deny", deny)] {
            if rules.len() > MAX_RULES {
                let text =
                    format!("at most {MAX_RULES} rules are wanted: each call is held against all");
                problems.push(Problem::new(&format!("scope.{list}"), text));
            }
            for (number, rule) in rules.iter().enumerate() {
                rule.check(knows_names, &mut |key, text| {
                    problems.push(Problem::new(&format!("scope.{list}.{number}.{key}"), text));
                });
            }
        }
    }
}

impl RuleConfiguration {
    fn check(&self, knows_names: bool, wrong: &mut dyn FnMut(&str, &str)) {
        let Self { namespace, selector, pod, container, process, port, path_prefix } = self;
        let lists = [
            ("namespace", namespace),
            ("pod", pod),
            ("container", container),
            ("process", process),
            ("path_prefix", path_prefix),
        ];
        let is_empty = lists.iter().all(|(_, list)| list.is_empty());
        if is_empty && selector.is_empty() && port.is_empty() {
            let text = "a rule that names nothing holds for every call: name a namespace, selector, pod, \
                        container, process, port or path_prefix, or take the rule out";
            wrong("", text);
        }
        let of_workloads = [
            ("namespace", namespace.is_empty()),
            ("selector", selector.is_empty()),
            ("pod", pod.is_empty()),
            ("container", container.is_empty()),
        ];
        for (key, _) in of_workloads.iter().filter(|(_, is_empty)| !is_empty && !knows_names) {
            wrong(key, "it is known only where the cluster is asked: add the section [kubernetes]");
        }
        for (key, list) in lists {
            if list.len() > MAX_VALUES {
                wrong(key, &format!("at most {MAX_VALUES} are wanted: make two rules of it"));
            }
        }
        for (key, list) in lists.into_iter().filter(|(key, _)| *key != "path_prefix") {
            for (number, text) in list.iter().enumerate() {
                if let Err(text) = Pattern::parse(text) {
                    wrong(&format!("{key}.{number}"), &text);
                }
            }
        }
        // What can be no such name was written in the wrong place.
        for (key, list) in [("namespace", namespace), ("pod", pod), ("container", container)] {
            for (number, text) in list.iter().enumerate() {
                if text.bytes().any(|byte| !is_of_name(byte)) {
                    let text =
                        "the name of an object is wanted: small letters, digits, - and . (and *)";
                    wrong(&format!("{key}.{number}"), text);
                }
            }
        }
        if let Some(Err(text)) = (!selector.is_empty()).then(|| Selector::parse(selector)) {
            wrong("selector", &text);
        }
        for (number, name) in process.iter().enumerate() {
            let letters = name.bytes().filter(|byte| *byte != b'*').count();
            if letters > MAX_COMMAND_BYTES {
                let text = format!(
                    "at most {MAX_COMMAND_BYTES} letters are wanted, as `ps` shows them: the kernel keeps no more"
                );
                wrong(&format!("process.{number}"), &text);
            }
        }
        if port.len() > MAX_VALUES || port.contains(&0) {
            wrong("port", &format!("at most {MAX_VALUES} numbers from 1 to 65535 are wanted"));
        }
        for (number, prefix) in path_prefix.iter().enumerate() {
            if !prefix.starts_with('/') || prefix.len() > MAX_PREFIX_BYTES {
                let text = format!(
                    "the beginning of a path is wanted: / and up to {MAX_PREFIX_BYTES} bytes"
                );
                wrong(&format!("path_prefix.{number}"), &text);
            }
        }
    }
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.*".contains(&byte)
}

/// Each call is held against all of them.
const MAX_RULES: usize = 64;
const MAX_VALUES: usize = 64;

/// `TASK_COMM_LEN` of include/linux/sched.h, without the zero behind it.
const MAX_COMMAND_BYTES: usize = 15;

/// Paths of APIs are shorter.
const MAX_PREFIX_BYTES: usize = 1_024;
