//! What keeps a set out, and how it is told.

use super::one_rule;
use crate::rules::{
    MAX_CONDITIONS, MAX_FILE_BYTES, MAX_FILES, MAX_RULES, MAX_TEXT_BYTES, RuleProblem, RuleSet,
    check_examples,
};

#[test]
fn a_bad_rule_keeps_all_files_out_and_is_named() {
    let good = one_rule("request.method: present", "request.method: present");
    let other = good.replace("a.b", "a.c");
    let text = "x".repeat(MAX_TEXT_BYTES + 1);
    let many =
        format!("require:{}", "\n      - request.method: present".repeat(MAX_CONDITIONS + 1));
    let require = "require:\n      - request.method: present";
    for (what, file, rule, message) in [
        ("no YAML", "rules: [".to_owned(), None, ""),
        ("no rules", "scope: {}".to_owned(), None, "rules"),
        ("unknown key of a file", format!("more: 1\n{other}"), None, "more"),
        ("unknown key of a scope", format!("scope: {{path: [/a]}}\n{other}"), None, "path"),
        ("glob", format!("scope: {{paths: [a]}}\n{other}"), None, "a is no pattern of paths"),
        ("status", format!("scope: {{statuses: [7xx]}}\n{other}"), None, "7xx is neither"),
        ("too long", " ".repeat(MAX_FILE_BYTES + 1), None, "longer than"),
        ("unknown key", other.replace("title:", "titel:"), Some("a.c"), "titel"),
        ("no key", other.replace("title: t\n", "attribute: t\n"), Some("a.c"), "title"),
        ("no id", other.replace("id: a.c", "name: a.c"), Some("number 1"), "name"),
        ("severity", other.replace("severity: info", "severity: bad"), Some("a.c"), "bad"),
        ("direction", other.replace("direction: response", "direction: x"), Some("a.c"), "x"),
        ("location", other.replace("status\n", "body:x\n"), Some("a.c"), "body:x is no location"),
        ("header name", other.replace("status\n", "'header:'\n"), Some("a.c"), "no location"),
        ("empty text", other.replace("title: t", "title: ' '"), Some("a.c"), "title is empty"),
        ("long text", other.replace("title: t", &format!("title: {text}")), Some("a.c"), "longer"),
        ("one word", other.replace("a.c", "abc"), Some("abc"), "an id is words"),
        ("capitals", other.replace("a.c", "a.C"), Some("a.C"), "an id is words"),
        ("empty word", other.replace("a.c", "a..c"), Some("a..c"), "an id is words"),
        ("code", other.replace("a.c", "header.pattern"), Some("header.pattern"), "is a code"),
        ("duplicate", good.clone(), Some("a.b"), "another rule has this id"),
        ("nothing", other.replace(require, "require: []"), Some("a.c"), "requires nothing"),
        ("many", other.replace(require, &many), Some("a.c"), "more than 16 conditions"),
        ("operand", other.replace("- request.method: p", "- x: p"), Some("a.c"), "x is no operand"),
        ("test", other.replace(require, "require: [{request.path: is}]"), Some("a.c"), "no test"),
        ("example", format!("{other}    tests: {{violating: [{{}}]}}\n"), Some("a.c"), "target"),
    ] {
        let refused = RuleSet::parse(&[("good.yaml", &good), ("other.yaml", &file)]).err();
        let refused = refused.unwrap_or_else(|| panic!("{what} is taken"));
        assert_eq!(refused.file, "other.yaml", "{what}");
        assert_eq!(refused.rule.as_deref(), rule, "{what}: {refused}");
        let told = refused.to_string();
        assert!(told.starts_with("other.yaml: ") && told.contains(message), "{what}: {told}");
        assert!(!told.contains('\n'), "{what}: {told}");
    }
    assert!(RuleSet::parse(&[("good.yaml", &good), ("other.yaml", &other)]).is_ok());
    assert!(RuleSet::parse(&[]).is_ok_and(|rules| rules.is_empty()));
    let files: Vec<(&str, &str)> = vec![("a.yaml", "rules: []"); MAX_FILES + 1];
    let refused = RuleSet::parse(&files).err().map(|error| error.problem);
    assert_eq!(refused, Some(RuleProblem::TooManyFiles));
}

#[test]
fn examples_that_are_wrong_or_missing_are_told() {
    let rule = one_rule("request.method: present", "response.header.a: present");
    let broken = "{target: /p, status: 200}";
    let kept = "{target: /p, status: 200, response_headers: {a: b}}";
    for (tests, expected) in [
        (format!("violating: [{broken}], conforming: [{kept}]"), Ok(2)),
        (
            format!("violating: [{broken}, {kept}], conforming: [{kept}]"),
            Err(RuleProblem::Example { kind: "violating", number: 2 }),
        ),
        (
            format!("violating: [{broken}], conforming: [{broken}]"),
            Err(RuleProblem::Example { kind: "conforming", number: 1 }),
        ),
        (format!("violating: [{broken}]"), Err(RuleProblem::NoExample("conforming"))),
        (format!("conforming: [{kept}]"), Err(RuleProblem::NoExample("violating"))),
    ] {
        let file = format!("{rule}    tests: {{{tests}}}\n");
        let found = check_examples(&[("a.yaml", &file)]).map_err(|error| error.problem);
        assert_eq!(found, expected, "{tests}");
    }
}

#[test]
fn rules_of_all_files_count_together() {
    let rule = one_rule("request.method: present", "request.method: present");
    let rule = rule.strip_prefix("rules:\n").expect("a file of rules");
    let file = |from: usize, to: usize| {
        let rules = (from..to).map(|number| rule.replace("a.b", &format!("a.b{number}")));
        format!("rules:\n{}", rules.collect::<String>())
    };
    let (one, two) = (file(0, MAX_RULES - 1), file(MAX_RULES - 1, MAX_RULES));
    assert!(RuleSet::parse(&[("a.yaml", &one), ("b.yaml", &two)]).is_ok());
    let three = file(MAX_RULES, MAX_RULES + 1);
    let refused = RuleSet::parse(&[("a.yaml", &one), ("b.yaml", &two), ("c.yaml", &three)]);
    assert_eq!(refused.err().map(|error| error.problem), Some(RuleProblem::TooManyRules));
}
