use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use mop_common::Layer;
use mop_probe::process::Placement;
use mop_wire::{Anomalies, Body, Completeness, Ending, Headers, Request, Seen, Timing, Version};

use super::*;
use crate::{
    configuration::Problem,
    connections::ProcessFacts,
    workloads::{Names, Whereabouts, Workload},
};

fn scope(text: &str) -> Scope {
    let configuration: ScopeConfiguration = toml::from_str(text).expect("well-formed");
    let mut problems = Vec::new();
    configuration.check(true, &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    Scope::new(&configuration).expect("right")
}

fn problems(text: &str, knows_names: bool) -> Vec<String> {
    let configuration: ScopeConfiguration = toml::from_str(text).expect("well-formed");
    let mut problems = Vec::new();
    configuration.check(knows_names, &mut problems);
    problems.iter().map(Problem::to_string).collect()
}

fn exchange(target: &str) -> Exchange {
    let request = Request {
        method: "GET".into(),
        target: target.to_owned(),
        version: Version::Http11,
        headers: Headers::default(),
        body: Body::whole(Vec::new(), false),
        anomalies: Anomalies::default(),
    };
    Exchange {
        connection: 1,
        sequence: 0,
        role: Role::Server,
        request: (!target.is_empty()).then_some(request),
        response: None,
        interim: Vec::new(),
        timing: Timing::default(),
        completeness: Completeness {
            request: Seen::default(),
            response: Seen::default(),
            ending: Ending::Complete,
            resynchronised: false,
        },
    }
}

/// A process of nginx that serves on port 443.
fn facts(placement: Option<Placement>, workload: Option<Workload>) -> Facts {
    let end = |port| SocketAddr::from(([10, 0, 0, 1], port));
    Facts {
        process: ProcessFacts {
            tgid: 7,
            command: Arc::from("nginx"),
            whereabouts: Whereabouts {
                placement: placement.map(Arc::new),
                workload: workload.map(Arc::new),
            },
        },
        layer: Layer::Tls,
        library: None,
        ends: Some((end(443), end(50_000))),
        peer_certificate: None,
        tls: None,
    }
}

fn in_pod(namespace: &str, pod: &str, labels: Option<&[(&str, &str)]>) -> Facts {
    let labels = labels.map(|labels| {
        labels.iter().map(|(key, value)| (Box::from(*key), Box::from(*value))).collect()
    });
    let names = Names {
        uid: Arc::from("u"),
        namespace: namespace.into(),
        pod: pod.into(),
        node: None,
        owner: None,
        labels,
        shown: BTreeMap::new(),
    };
    let placement = Placement { container: Some("c".to_owned()), pod: Some("u".to_owned()) };
    facts(Some(placement), Some(Workload { names: Arc::new(names), container: Some("api".into()) }))
}

/// A pod of which the API server has not told yet.
fn unnamed() -> Facts {
    let placement = Placement { container: Some("c".to_owned()), pod: Some("u".to_owned()) };
    facts(Some(placement), None)
}

fn fate(scope: &Scope, facts: &Facts) -> Result<(), Withheld> {
    scope.admits(&exchange("/open-insurance/x"), Some(facts))
}

#[test]
fn without_rules_everything_is_reported() {
    let scope = Scope::default();
    assert_eq!(scope.admits(&exchange(""), None), Ok(()));
    assert_eq!(fate(&scope, &unnamed()), Ok(()));
}

#[test]
fn deny_wins_over_allow() {
    let scope = scope(
        "[[allow]]\nnamespace = ['shop', 'open-*']\n[[deny]]\nselector = 'canary'\n\
         [[deny]]\npod = ['*-test']",
    );
    let none = Some(&[][..]);
    assert_eq!(fate(&scope, &in_pod("shop", "api-1", none)), Ok(()));
    assert_eq!(fate(&scope, &in_pod("open-x", "api-1", none)), Ok(()));
    assert_eq!(fate(&scope, &in_pod("other", "api-1", none)), Err(Withheld::NotAllowed));
    let canary = in_pod("shop", "api-1", Some(&[("canary", "1")]));
    assert_eq!(fate(&scope, &canary), Err(Withheld::Denied));
    assert_eq!(fate(&scope, &in_pod("shop", "api-test", none)), Err(Withheld::Denied));
}

#[test]
fn what_is_not_known_is_not_reported_when_it_decides() {
    let allow = scope("[[allow]]\nnamespace = ['shop']");
    assert_eq!(fate(&allow, &unnamed()), Err(Withheld::Undecided));
    let deny = scope("[[deny]]\nnamespace = ['shop']");
    assert_eq!(fate(&deny, &unnamed()), Err(Withheld::Undecided));
    // A rule that fails anyway does not hang on it, and one that holds anyway does not either.
    let with_port = scope("[[deny]]\nnamespace = ['shop']\nport = [8080]");
    assert_eq!(fate(&with_port, &unnamed()), Ok(()));
    let or_path = scope("[[allow]]\nnamespace = ['shop']\n[[allow]]\npath_prefix = ['/open-']");
    assert_eq!(fate(&or_path, &unnamed()), Ok(()));
    // Too many labels to be kept.
    let labels = scope("[[deny]]\nselector = '!app'");
    assert_eq!(fate(&labels, &in_pod("shop", "a", None)), Err(Withheld::Undecided));
}

#[test]
fn a_process_of_the_host_is_in_no_namespace() {
    let host = facts(Some(Placement::default()), None);
    assert_eq!(fate(&scope("[[deny]]\nnamespace = ['*']"), &host), Ok(()));
    let allow = scope("[[allow]]\nnamespace = ['*']");
    assert_eq!(fate(&allow, &host), Err(Withheld::NotAllowed));
    // One that was gone before anybody looked may have been anywhere.
    assert_eq!(fate(&allow, &facts(None, None)), Err(Withheld::Undecided));
}

#[test]
fn ports_paths_processes_and_containers_are_looked_at() {
    let pod = in_pod("shop", "api-1", Some(&[]));
    for (rule, holds) in [
        ("port = [80, 443]", true),
        ("port = [50000]", false),
        ("process = ['ngin*']", true),
        ("process = ['java']", false),
        ("container = ['api']", true),
        ("container = ['sidecar']", false),
        ("path_prefix = ['/open-insurance/']", true),
        ("path_prefix = ['/other/']", false),
        ("port = [443]\nprocess = ['java']", false),
    ] {
        let expected = if holds { Err(Withheld::Denied) } else { Ok(()) };
        assert_eq!(fate(&scope(&format!("[[deny]]\n{rule}")), &pod), expected, "{rule}");
    }
    let calls_out = Exchange { role: Role::Client, ..exchange("/x") };
    let scope = scope("[[deny]]\nport = [50000]");
    assert_eq!(scope.admits(&calls_out, Some(&pod)), Err(Withheld::Denied), "the server's end");
    let without_request = self::scope("[[deny]]\npath_prefix = ['/x']");
    assert_eq!(without_request.admits(&exchange(""), Some(&pod)), Err(Withheld::Undecided));
}

#[test]
fn nonsense_is_said_with_its_place_and_a_remedy() {
    let said = problems(
        "[[allow]]\n[[deny]]\nnamespace = ['Shop', '']\nselector = 'app>1'\nport = [0]\n\
         process = ['a-name-of-more-than-fifteen']\npath_prefix = ['open-insurance/']",
        true,
    );
    for (key, words) in [
        ("allow.0", "holds for every call"),
        ("deny.0.namespace.0", "small letters"),
        ("deny.0.namespace.1", "a name of 1 to 253 bytes"),
        ("deny.0.selector", "key in (a,b)"),
        ("deny.0.port", "1 to 65535"),
        ("deny.0.process.0", "15 letters"),
        ("deny.0.path_prefix.0", "the beginning of a path"),
    ] {
        let key = format!("`scope.{key}`: ");
        let is_said = said.iter().any(|line| line.starts_with(&key) && line.contains(words));
        assert!(is_said, "{key} {words}: {said:#?}");
    }
    assert_eq!(said.len(), 7, "{said:#?}");
    let said = problems("[[deny]]\nnamespace = ['shop']\nport = [80]", false);
    assert!(said.len() == 1 && said[0].contains("add the section [kubernetes]"), "{said:?}");
    assert!(problems("[[deny]]\nport = [80]", false).is_empty());
    let many = "[[deny]]\nport = [80]\n".repeat(65);
    assert_eq!(problems(&many, true).len(), 1);
}

#[test]
fn every_reason_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<&str> =
        Withheld::ALL.into_iter().map(Withheld::name).collect();
    assert_eq!(names.len(), Withheld::ALL.len());
}
