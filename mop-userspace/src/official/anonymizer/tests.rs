//! The reference's own example, cases of every rule, and properties.

use mop_contract::json::{Reader, name_hash};
use proptest::prelude::*;

use super::*;

fn policy() -> FieldPolicy {
    FieldPolicy::of(&["cpf", " CNPJnumber ", "hidden"], &["consentId", "open", "hidden"])
}

fn whole_of(text: &str) -> String {
    let mut reader = Reader::default();
    whole(reader.read(text.as_bytes()).expect("JSON").root(), &policy()).expect("small")
}

fn data_of(text: &str) -> String {
    let mut reader = Reader::default();
    payload_data(Some(reader.read(text.as_bytes()).expect("JSON").root()), &policy())
        .expect("small")
}

fn hash(text: &str) -> String {
    STANDARD.encode(Sha256::digest(format!("open-insurance-mop-v1{text}")))
}

#[test]
fn the_published_example_comes_out_as_published() {
    let published = "4W3q6ysUajYis4POPN9Ag8DIlu608vrxWQi8lqK9D5s=";
    assert_eq!(whole_of(r#"{"cpf":"123.456.789-00"}"#), format!(r#"{{"cpf":"{published}"}}"#));
}

#[test]
fn each_rule_of_the_reference_holds() {
    let hashed = |text: &str| format!("\"{}\"", hash(text));
    for (sent, made) in [
        (r#"{"a":"x","b":1,"c":null,"d":true}"#, r#"{"a":"","b":"","c":"","d":""}"#.to_owned()),
        // Names go by their characters without case, anywhere.
        (r#"{"CPF":"1"}"#, format!(r#"{{"CPF":{}}}"#, hashed("1"))),
        (r#"{"x":[{"cnpjNumber":"1"}]}"#, format!(r#"{{"x":[{{"cnpjNumber":{}}}]}}"#, hashed("1"))),
        // Anonymised wins over exposed.
        (r#"{"hidden":"v"}"#, format!(r#"{{"hidden":{}}}"#, hashed("v"))),
        // What has no text is not hashed.
        (r#"{"cpf":null}"#, r#"{"cpf":""}"#.to_owned()),
        (r#"{"cpf":" \t"}"#, r#"{"cpf":""}"#.to_owned()),
        // Scalars are hashed as their text, containers as their JSON.
        (r#"{"cpf":12}"#, format!(r#"{{"cpf":{}}}"#, hashed("12"))),
        (r#"{"cpf":-0}"#, format!(r#"{{"cpf":{}}}"#, hashed("0"))),
        (r#"{"cpf":1.50}"#, format!(r#"{{"cpf":{}}}"#, hashed("1.5"))),
        (r#"{"cpf":1e7}"#, format!(r#"{{"cpf":{}}}"#, hashed("1.0E7"))),
        (r#"{"cpf":true}"#, format!(r#"{{"cpf":{}}}"#, hashed("true"))),
        (
            r#"{"cpf":{"b":[1, "é\u0001"],"a":null}}"#,
            format!(r#"{{"cpf":{}}}"#, hashed("{\"b\":[1,\"é\\u0001\"],\"a\":null}")),
        ),
        (r#"{"cpf":[]}"#, format!(r#"{{"cpf":{}}}"#, hashed("[]"))),
        // Exposed scalars stay, of any type.
        (r#"{"open":"v"}"#, r#"{"open":"v"}"#.to_owned()),
        (r#"{"open":1.50}"#, r#"{"open":1.50}"#.to_owned()),
        (
            r#"{"open":123456789012345678901234567890}"#,
            r#"{"open":123456789012345678901234567890}"#.to_owned(),
        ),
        (r#"{"open":null}"#, r#"{"open":null}"#.to_owned()),
        (r#"{"open":false}"#, r#"{"open":false}"#.to_owned()),
        // Inside of an exposed array scalars stay, `null` does not; inside of objects names decide.
        (
            r#"{"open":["v",null,[2],{"a":"x","open":"y","b":["z"]}]}"#,
            r#"{"open":["v","",[2],{"a":"","open":"y","b":[""]}]}"#.to_owned(),
        ),
        (r#"{"open":{"a":"x","cpf":""}}"#, r#"{"open":{"a":"","cpf":""}}"#.to_owned()),
        (r#"[1,"x",null,[]]"#, r#"["","","",[]]"#.to_owned()),
        (r#""x""#, r#""""#.to_owned()),
    ] {
        assert_eq!(whole_of(sent), made, "{sent}");
    }
}

#[test]
fn only_data_is_sent() {
    for (sent, made) in [
        (r#"{"data":{"open":1},"links":{"open":2},"meta":{},"errors":[]}"#, r#"{"open":1}"#),
        (r#"{"data":[{"open":1}]}"#, r#"[{"open":1}]"#),
        (r#"{"data":[]}"#, "[]"),
        (r#"{"data":"x"}"#, "{}"),
        (r#"{"errors":[{"code":"x","open":"y"}]}"#, "{}"),
        (r#"[{"data":{"open":1}}]"#, "{}"),
        (r#""data""#, "{}"),
        (r#"{"Data":{"open":1}}"#, "{}"),
    ] {
        assert_eq!(data_of(sent), made, "{sent}");
    }
    assert_eq!(payload_data(None, &policy()), Ok("{}".to_owned()));
    let mut reader = Reader::default();
    let json = reader.read(br#"{"data":{"a":"x","b":["y"]}}"#).expect("JSON");
    let data = |policy: &FieldPolicy| payload_data(Some(json.root()), policy);
    assert_eq!(data(&FieldPolicy::of(&["DATA"], &["a"])), Ok("{}".to_owned()));
    assert_eq!(data(&FieldPolicy::of(&[], &["data"])), Ok(r#"{"a":"","b":[""]}"#.to_owned()));
}

#[test]
fn results_beyond_the_limit_are_refused() {
    let text = format!("[{}1]", r#"{"cpf":1},"#.repeat(MAX_PAYLOAD_BYTES / 40));
    let mut reader = Reader::default();
    let json = reader.read(text.as_bytes()).expect("JSON");
    assert_eq!(whole(json.root(), &policy()), Err(TooLarge));
}

/// JSON with names of the policy among others, and a mark in every value.
fn tree() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<f64>().prop_map(serde_json::Value::from),
        "[a-zA-Z0-9 é\"\\\\]{0,8}".prop_map(|text| serde_json::Value::from(format!("§{text}"))),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
            proptest::collection::btree_map(
                prop_oneof![
                    Just("cpf".to_owned()),
                    Just("Open".to_owned()),
                    Just("HIDDEN".to_owned()),
                    "[a-z]{1,6}"
                ],
                inner,
                0..6
            )
            .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Same structure and names; a string that is not hashed and not below `open` is empty.
fn holds(sent: &serde_json::Value, made: &serde_json::Value, name: Option<&str>, exposed: bool) {
    use serde_json::Value as Tree;
    let lower = name.map(str::to_lowercase);
    let is = |known: &str| lower.as_deref() == Some(known);
    if is("cpf") || is("hidden") {
        let text = made.as_str().expect("a hash is a string");
        assert!(text.is_empty() || text.len() == 44, "{text}");
        return;
    }
    match (sent, made) {
        (Tree::Object(sent), Tree::Object(made)) => {
            assert_eq!(sent.keys().collect::<Vec<_>>(), made.keys().collect::<Vec<_>>());
            for (name, value) in sent {
                holds(value, &made[name], Some(name), false);
            }
        }
        (Tree::Array(sent), Tree::Array(made)) => {
            assert_eq!(sent.len(), made.len());
            for (sent, made) in sent.iter().zip(made) {
                holds(sent, made, None, exposed || is("open"));
            }
        }
        (sent, made) if is("open") => assert_eq!(sent, made),
        (sent, made) if exposed && !sent.is_null() => assert_eq!(sent, made),
        (_, made) => assert_eq!(made, &Tree::from("")),
    }
}

proptest! {
    #[test]
    fn no_value_passes_that_no_list_names(tree in tree()) {
        let text = tree.to_string();
        let mut reader = Reader::default();
        let json = reader.read(text.as_bytes()).expect("JSON");
        let made = whole(json.root(), &policy()).expect("small");
        let made: serde_json::Value = serde_json::from_str(&made).expect("JSON");
        // Written and read once, as the original was: a double may differ in its last digit.
        let sent: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        holds(&sent, &made, None, false);
    }

    #[test]
    fn with_empty_lists_no_value_passes_at_all(tree in tree()) {
        let text = tree.to_string();
        let mut reader = Reader::default();
        let json = reader.read(text.as_bytes()).expect("JSON");
        let made = whole(json.root(), &FieldPolicy::of(&[], &[])).expect("small");
        prop_assert!(!made.contains('§'));
        prop_assert!(name_hash("x") != 0);
    }
}
