use std::{ffi::OsString, fs};

use super::*;

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
