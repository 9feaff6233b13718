use std::{ffi::OsString, fs};

use super::{tree::Value, *};

#[test]
fn layers_lie_over_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mop.toml");
    fs::write(&file, "[node]\nname = \"a\"\n[outbox]\nmax_mib = 200\nsegment_mib = 2\n")
        .expect("x");
    fs::create_dir(folder.path().join("mop.d")).expect("x");
    fs::write(folder.path().join("mop.d/20.toml"), "outbox.max_mib = 400\n").expect("x");
    fs::write(folder.path().join("mop.d/10.toml"), "outbox.max_mib = 300\nnode.name = \"b\"")
        .expect("x");
    fs::write(folder.path().join("mop.d/.hidden.toml"), "no TOML at all").expect("x");
    fs::write(folder.path().join("mop.d/30.toml.bak"), "no TOML at all").expect("x");
    let read = sourced(Some(&file), &[("MOP__NODE__NAME", "123"), ("MOP_RULES", "/x")]);
    let Sourced { configuration, tree, files, variables } = read.expect("right");
    assert_eq!(configuration.node.name, "123", "a variable is text where text is wanted");
    assert_eq!(configuration.outbox.max_mib, 400);
    assert_eq!(configuration.outbox.segment_mib, 2);
    assert_eq!(configuration.outbox.memory_mib, 64, "the default");
    assert_eq!(files.len(), 3);
    assert_eq!(variables, ["MOP__NODE__NAME"]);
    let origin = |key: &str| {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        tree.at(&path).expect("set").origin.to_string()
    };
    assert!(origin("outbox.max_mib").ends_with("mop.d/20.toml:1"));
    assert!(origin("outbox.segment_mib").ends_with("mop.toml:5"));
    assert_eq!(origin("node.name"), "environment variable MOP__NODE__NAME");
}

#[test]
fn all_that_is_wrong_is_said_at_once_with_its_place() {
    let problems = problems(
        "[outbox]\nmax_mb = 5\nmax_age = 7\nsegment_mib = \"x\"\ncommit_every = \"soon\"\n\n\
         [admn]\nlisten = 1\n[admin]\nlisten = \"nowhere\"\n[observe]\noutput = \"prety\"\n\
         path_prefix = [\"/a\", 2]\nworkers = -1\nring_mib = 99999999999999999999\n",
    );
    for (line, words) in [
        (2, "there is no key `outbox.max_mb`; did you mean `max_mib`?"),
        (3, "`outbox.max_age`: a duration in quotes, such as \"30s\", is wanted, not a number"),
        (4, "`outbox.segment_mib`: a whole number that is not negative is wanted, not text"),
        (5, "`outbox.commit_every`: a number and one of ms, s, m, h, d is wanted"),
        (7, "there is no key `admn`; did you mean `admin`?"),
        (10, "`admin.listen`: "),
        (12, "did you mean `pretty`?"),
        (13, "`observe.path_prefix.1`: text in quotes is wanted, not a number"),
        (14, "`observe.workers`: a whole number from 0 to 65535 is wanted"),
        (15, "`observe.ring_mib`: a whole number from 0 to 4294967295 is wanted"),
    ] {
        assert!(
            problems.iter().any(|problem| problem.contains(&format!("mop.toml:{line}: "))
                && problem.contains(words)),
            "{line} {words}: {problems:#?}"
        );
    }
    assert_eq!(problems.len(), 10, "{problems:#?}");
}

#[test]
fn values_without_sense_are_said_with_their_place() {
    let problems =
        problems("[outbox]\nfolder = \"here\"\nmax_mib = 3\n[quality]\nwindow = \"1ms\"\n");
    let expected = ["mop.toml:5: `quality.window`", "mop.toml:2: `outbox.folder`", "mop.toml:3: "];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.contains(expected), "{problem}");
    }
}

#[test]
fn alarms_are_on_and_their_signals_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mop.toml");
    let section = "[data.alarms]\nsilenced = [\"errors\", \"outbox_full\"]\nwindow = \"2m\"\n";
    fs::write(&file, section).expect("writable");
    let alarms = sourced(Some(&file), &[]).expect("right").configuration.data.expect("data").alarms;
    assert!(alarms.enabled && alarms.silenced.len() == 2, "{alarms:?}");
    let unknown = problems("[data.alarms]\nsilenced = [\"latencies\"]\n");
    assert!(unknown.len() == 1 && unknown[0].contains("did you mean `latency`?"), "{unknown:?}");
    let short = problems("[data.alarms]\nwindow = \"1s\"\n");
    assert!(short.len() == 1 && short[0].contains("mop.toml:2: "), "{short:?}");
}

#[test]
fn errors_of_syntax_are_placed_and_do_not_quote_the_file() {
    let problems = problems("[node]\nname = \"hidden\n");
    assert!(problems.iter().any(|problem| problem.contains("mop.toml:2: ")), "{problems:#?}");
    assert!(!problems.concat().contains("hidden"));
}

#[test]
fn missing_keys_and_wrong_ones_are_found_together() {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only what is wrong with it is looked at")]
    struct Sink {
        url: String,
        queue: String,
        window: u32,
    }
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only what is wrong with it is looked at")]
    struct All {
        sink: Option<Sink>,
    }
    let tree = Node::of_variable("X", "{ sink = { url = [1], windows = 3 } }");
    let problems = decode::decode::<All>(&tree).expect_err("wrong");
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    assert_eq!(lines.len(), 4, "{lines:#?}");
    for words in
        ["`sink.url`: text in quotes", "`sink.windows`; did", "key `queue`", "key `window`"]
    {
        assert!(lines.iter().any(|line| line.contains(words)), "{words}: {lines:#?}");
    }
}

#[test]
fn a_named_file_must_exist() {
    let absent = sourced(Some(Path::new("/no/such/file.toml")), &[]);
    assert!(absent.expect_err("wrong").first().expect("one").to_string().contains("/no/such/file"));
}

#[test]
fn variables_without_a_key_are_errors() {
    for name in ["MOP__", "MOP__NODE____NAME", "MOP__NODE__"] {
        let problems = sourced(Some(Path::new("/dev/null")), &[(name, "x")]).expect_err(name);
        assert!(problems.first().expect("one").to_string().contains(name));
    }
}

#[test]
fn the_reference_says_the_defaults() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mop.toml");
    fs::write(&file, REFERENCE).expect("writable");
    let read = sourced(Some(&file), &[]).expect("right").configuration;
    let read = Configuration { is_given: false, ..read };
    assert_eq!(format!("{read:#?}"), format!("{:#?}", Configuration::default()));
}

#[test]
fn the_reference_has_every_key_and_only_those() {
    let tree = reference_with_examples();
    decode::decode::<Configuration>(&tree).expect("every key is one");
    let mut tables = Vec::new();
    tables_of(&tree, &mut Vec::new(), &mut tables);
    for table in tables {
        let mut path = table.clone();
        path.push("no_such_key".to_owned());
        let mut wrong = tree.clone();
        wrong.overlay(Node::of_variable("X", "1").under(&path));
        // A table without keys of its own, such as one of header fields, takes any.
        let Err(problems) = decode::decode::<Configuration>(&wrong) else { continue };
        let known = problems.first().expect("one").known().expect("unknown");
        let Some(Value::Table(keys)) = tree.at(&table).map(|node| &node.value) else { panic!() };
        let missing: Vec<_> = known.iter().filter(|key| !keys.contains_key(**key)).collect();
        assert!(missing.is_empty(), "[{}] of deploy/mop.toml lacks {missing:?}", table.join("."));
    }
}

#[test]
fn examples_of_the_reference_say_the_defaults_of_their_sections() {
    let tree = reference_with_examples();
    let with_all = shown(&tree).expect("every key is one");
    let mut leaves = Vec::new();
    commands::each_leaf(&with_all, &mut Vec::new(), &mut |path, value| {
        leaves.push((path.to_vec(), value.clone()));
    });
    for (path, value) in leaves {
        let mut without = tree.clone();
        // What has no default is an example, and a key that must be there has none.
        let Some(default) = without.remove(&path).then(|| shown(&without)).flatten() else {
            continue;
        };
        let default = path.iter().try_fold(&default, |value, key| value.get(key));
        let is_none = |value: &serde_json::Value| {
            value.is_null() || value == "" || value.as_array().is_some_and(Vec::is_empty)
        };
        let has_none = default.is_none_or(is_none);
        assert!(has_none || default == Some(&value), "{}: {default:?}", path.join("."));
    }
}

fn shown(tree: &Node) -> Option<serde_json::Value> {
    let configuration: Configuration = decode::decode(tree).ok()?;
    serde_json::to_value(configuration).ok()
}

/// The reference, with what stands behind a `#` without a blank.
fn reference_with_examples() -> Node {
    let is_example = |line: &str| {
        let rest = line.strip_prefix('#').unwrap_or_default();
        rest.starts_with(|first: char| first == '[' || first.is_ascii_lowercase())
    };
    let lines = REFERENCE.lines().map(|line| if is_example(line) { &line[1..] } else { line });
    let text = lines.collect::<Vec<_>>().join("\n");
    let table = toml::de::DeTable::parse(&text).expect("TOML");
    Node::of_file(&std::sync::Arc::new(tree::Source::Merged), &text, table.get_ref())
}

fn tables_of(node: &Node, path: &mut Vec<String>, tables: &mut Vec<Vec<String>>) {
    let Value::Table(table) = &node.value else { return };
    tables.push(path.clone());
    for (key, node) in table {
        path.push(key.clone());
        tables_of(node, path, tables);
        path.pop();
    }
}

const REFERENCE: &str = include_str!("../../../deploy/mop.toml");

fn problems(text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mop.toml");
    fs::write(&file, text).expect("writable");
    let problems = sourced(Some(&file), &[]).expect_err("wrong");
    problems.iter().map(Problem::to_string).collect()
}

fn sourced(file: Option<&Path>, variables: &[(&str, &str)]) -> Result<Sourced, Vec<Problem>> {
    let variables: Vec<(OsString, OsString)> =
        variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
    Sourced::read(file, variables.into_iter())
}

#[test]
fn the_ports_of_sinks_are_told_by_their_addresses() {
    for (text, expected) in [
        ("", Some(vec![])),
        ("[rabbitmq]\nurl = 'amqps://broker.example/opin'", Some(vec![5671])),
        (
            "[webhook]\nurl = 'https://a.example/x'\nproxy = 'http://127.0.0.1:3128'\n\
             [otlp]\nendpoint = 'https://a.example:4318'",
            Some(vec![443, 3128, 4318]),
        ),
        ("[webhook]\nurl = 'no address'", None),
    ] {
        let sinks: SinksConfiguration = toml::from_str(text).expect("well-formed");
        assert_eq!(sinks.ports(), expected, "{text}");
    }
}
