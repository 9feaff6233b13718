//! The rules are what the published documents say.

use std::fs;

use mop_insight::data::funnel::{FunnelRules, derive::derive};

use crate::published;

#[test]
fn the_rules_are_those_of_the_published_documents() {
    let test = "the_rules_are_those_of_the_published_documents";
    let read = |name| published::document(test, name);
    let Some(ingestion) = read("consent-funnel-ingestion") else { return };
    let (Some(old), Some(new)) = (read("consents_v2"), read("consents_v3")) else { return };
    let tables = derive(&ingestion, [&old, &new]).unwrap();
    assert_eq!(&tables, FunnelRules::published().unwrap().tables());
    let text = serde_json::to_string_pretty(&tables).unwrap() + "\n";
    let kept = published::root().join("rules/opin/pcm/funnel.json");
    assert_eq!(text, fs::read_to_string(kept).unwrap(), "the example makes another text");
    let counts: Vec<_> = tables
        .journeys
        .iter()
        .map(|it| (it.client.len(), it.server.len(), it.permissions.len()))
        .collect();
    assert_eq!(counts, [(8, 13, 62), (7, 12, 8), (11, 8, 55)]);
    assert_eq!(tables.renamed_permissions.len(), 3);
}

#[test]
fn every_permission_of_both_interfaces_makes_a_journey() {
    let test = "every_permission_of_both_interfaces_makes_a_journey";
    let rules = FunnelRules::published().unwrap();
    for name in ["consents_v2", "consents_v3"] {
        let Some(document) = published::document(test, name) else { return };
        let schema = "/components/schemas/CreateConsent/properties/data/properties/permissions";
        let list = document.tree.pointer(schema).unwrap().pointer("/items/enum").unwrap();
        let names: Vec<_> =
            list.as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
        assert_eq!(names.len(), 125);
        for name in names {
            assert!(rules.permission(name).is_some(), "{name}");
        }
    }
}

#[test]
fn a_document_that_contradicts_itself_gives_no_rules() {
    let test = "a_document_that_contradicts_itself_gives_no_rules";
    let read = |name| published::document(test, name);
    let Some(mut ingestion) = read("consent-funnel-ingestion") else { return };
    let (Some(old), Some(new)) = (read("consents_v2"), read("consents_v3")) else { return };
    let schema = "/components/schemas/eventBodyV2/properties/step/enum";
    let list = ingestion.tree.pointer_mut(schema).unwrap().as_array_mut().unwrap();
    list.push("user-logged-in".into());
    let error = derive(&ingestion, [&old, &new]).unwrap_err();
    assert!(error.to_string().contains("user-logged-in"), "{error}");
}
