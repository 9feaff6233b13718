//! The files that deploy the program fit each other, the program, and the tools that read them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};
use mop_tests::{mop_command, python_with_jsonschema, skip, tool};
use serde_json::Value;

#[test]
fn the_pod_has_only_the_rights_that_it_needs() -> Result<()> {
    let Some(objects) = manifests("the_pod_has_only_the_rights_that_it_needs")? else {
        return Ok(());
    };
    let pod = pod(&objects)?;
    ensure!(pod["hostPID"] == true && pod["automountServiceAccountToken"] == false);
    for absent in ["hostNetwork", "hostIPC"] {
        ensure!(pod[absent].is_null(), "{absent} is not needed");
    }
    let containers = pod["containers"].as_array().context("containers")?;
    ensure!(containers.len() == 1);
    let container = &containers[0];
    let image = container["image"].as_str().context("an image")?;
    let tag = image.rsplit_once(':').context("an image has a tag")?.1;
    ensure!(tag == env!("CARGO_PKG_VERSION"), "the image is of another version: {image}");
    let context = &container["securityContext"];
    ensure!(context["privileged"] == false && context["allowPrivilegeEscalation"] == false);
    ensure!(context["readOnlyRootFilesystem"] == true);
    ensure!(context["capabilities"]["drop"] == serde_json::json!(["ALL"]));
    let added = context["capabilities"]["add"].as_array().context("capabilities")?;
    let added: BTreeSet<String> =
        added.iter().filter_map(|name| Some(format!("CAP_{}", name.as_str()?))).collect();
    let unit = unit()?;
    let of_unit: BTreeSet<String> = settings(&unit, "CapabilityBoundingSet")
        .flat_map(str::split_ascii_whitespace)
        .map(str::to_owned)
        .collect();
    ensure!(added == of_unit, "pod {added:?}, service {of_unit:?}");
    ensure!(container["resources"]["limits"]["memory"].is_string());
    ensure!(container["resources"]["requests"]["cpu"].is_string());
    Ok(())
}

#[test]
fn the_configuration_of_the_pod_is_right_and_fits_its_probes() -> Result<()> {
    let Some(objects) = manifests("the_configuration_of_the_pod_is_right_and_fits_its_probes")?
    else {
        return Ok(());
    };
    let text = objects
        .iter()
        .find(|object| object["kind"] == "ConfigMap")
        .and_then(|map| map["data"]["mop.toml"].as_str())
        .context("a ConfigMap with mop.toml")?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("mop.toml");
    fs::write(&file, text)?;
    let output = mop_command()
        .args(["config", "show", "--json", "--config"])
        .arg(&file)
        .env("MOP__NODE__NAME", "node-1")
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let shown: Value = serde_json::from_slice(&output.stdout)?;
    let pod = pod(&objects)?;
    let container = &pod["containers"][0];
    let listen = shown["admin"]["listen"].as_str().context("an address")?;
    let port = listen.rsplit_once(':').context("a port")?.1;
    let named = &container["ports"][0];
    ensure!(named["name"] == "admin" && named["containerPort"] == port.parse::<u64>()?);
    for (probe, path) in
        [("startupProbe", "/readyz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")]
    {
        let get = &container[probe]["httpGet"];
        ensure!(get["path"] == path && get["port"] == "admin", "{probe}: {get}");
    }
    // The outbox is in a folder that outlives the pod, and nothing is printed that nobody reads.
    let outbox = shown["outbox"]["folder"].as_str().context("an outbox")?;
    let mounts = container["volumeMounts"].as_array().context("mounts")?;
    let state = mounts.iter().find(|mount| mount["name"] == "state").context("a folder")?;
    ensure!(outbox.starts_with(state["mountPath"].as_str().context("a path")?));
    ensure!(shown["observe"]["output"] == "none");
    let variable = &container["env"][0];
    ensure!(variable["name"] == "MOP__NODE__NAME" && shown["node"]["name"] == "node-1");
    Ok(())
}

#[test]
fn manifests_obey_the_schemas_of_kubernetes() -> Result<()> {
    const TEST: &str = "manifests_obey_the_schemas_of_kubernetes";
    let check = "import sys, yaml, kubernetes_validate\n\
        for document in yaml.safe_load_all(open(sys.argv[1])):\n\
        \x20   for version in ('1.30', kubernetes_validate.latest_version()):\n\
        \x20       kubernetes_validate.validate(document, version, strict=True)\n";
    let packages = mop_tests::cache_folder().join("kubernetes-validate");
    let python = ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        let mut command = Command::new(python);
        command.env("PYTHONPATH", &packages);
        let tried = command.args(["-c", "import yaml, kubernetes_validate"]).output();
        tried.is_ok_and(|output| output.status.success())
    });
    let Some(python) = python else {
        skip(TEST, "Python has no kubernetes_validate (cargo xtask setup --with-tests)");
        return Ok(());
    };
    let output = Command::new(python)
        .env("PYTHONPATH", &packages)
        .args(["-c", check])
        .arg(deploy().join("kubernetes/daemonset.yaml"))
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn the_service_is_one_that_systemd_understands() -> Result<()> {
    const TEST: &str = "the_service_is_one_that_systemd_understands";
    let unit = unit()?;
    // Every command of the unit is one of the program.
    for line in settings(&unit, "ExecStart").chain(settings(&unit, "ExecStartPre")) {
        let mut words = line.split_ascii_whitespace();
        ensure!(words.next() == Some("/usr/bin/mop"), "{line}");
        let output = mop_command().args(words).arg("--help").output()?;
        ensure!(output.status.success(), "{line}");
    }
    let Some(analyze) = tool("systemd-analyze") else {
        skip(TEST, "systemd-analyze is not installed");
        return Ok(());
    };
    let output =
        Command::new(analyze).arg("verify").arg(deploy().join("systemd/mop.service")).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    // Whether the program is installed is not what is asked.
    let wrong: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("mop.service") && !line.contains("is not executable"))
        .collect();
    ensure!(wrong.is_empty(), "{wrong:?}");
    Ok(())
}

#[test]
fn alerts_fire_when_they_should_and_name_metrics_that_there_are() -> Result<()> {
    const TEST: &str = "alerts_fire_when_they_should_and_name_metrics_that_there_are";
    let folder = deploy().join("prometheus");
    let page = fs::read_to_string(deploy().join("../docs/metrics.md"))?;
    let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    for rules in RULES {
        // A rule about a metric that there is not never wakes anybody.
        let rules = fs::read_to_string(folder.join(format!("{rules}.rules.yml")))?;
        let words = rules.split(|letter| !is_of_name(letter));
        let metrics: BTreeSet<&str> = words.filter(|word| word.starts_with("mop_")).collect();
        ensure!(metrics.len() >= 3, "{metrics:?}");
        for metric in metrics {
            ensure!(page.contains(&format!("| `{metric}` |")), "{metric} is not documented");
        }
    }
    let Some(promtool) = tool("promtool") else {
        skip(TEST, "promtool is not installed (Debian's package prometheus)");
        return Ok(());
    };
    for rules in RULES {
        for (what, file) in
            [("check", format!("{rules}.rules.yml")), ("test", format!("{rules}.rules.test.yml"))]
        {
            let mut command = Command::new(&promtool);
            let output = command.args([what, "rules", &file]).current_dir(&folder).output()?;
            let said =
                String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "promtool {what} {file}: {said}");
        }
    }
    Ok(())
}

/// All objects of the manifests; `None`: they cannot be read here.
fn manifests(test: &str) -> Result<Option<Vec<Value>>> {
    let Some(python) = python_with_jsonschema() else {
        skip(test, "Python has no yaml (Debian's package python3-yaml)");
        return Ok(None);
    };
    let script = "import sys, yaml, json\n\
        print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    let output = Command::new(python)
        .args(["-c", script])
        .arg(deploy().join("kubernetes/daemonset.yaml"))
        .output()?;
    if !output.status.success() {
        bail!("no YAML: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(Some(serde_json::from_slice(&output.stdout)?))
}

fn pod(objects: &[Value]) -> Result<&Value> {
    let set = objects.iter().find(|object| object["kind"] == "DaemonSet");
    Ok(&set.context("a DaemonSet")?["spec"]["template"]["spec"])
}

fn unit() -> Result<String> {
    Ok(fs::read_to_string(deploy().join("systemd/mop.service"))?)
}

/// Values of a setting of the unit.
fn settings<'u>(unit: &'u str, name: &'u str) -> impl Iterator<Item = &'u str> {
    unit.lines().filter_map(move |line| line.strip_prefix(name)?.strip_prefix('='))
}

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

/// Files of alerts, each with its test beside it.
const RULES: [&str; 3] = ["alarms", "pcm", "security"];
