//! `mop doctor`: what this kernel, this node and its processes allow.

use std::{
    collections::HashMap, fs::File, io::Write as _, path::Path, process::ExitCode, sync::Arc,
};

use mop_probe::{
    AttachChoice, AttachMethod, AttachPlan, LoadOptions, Observer, ProbeError, ProbeSites,
    TlsLibrary, environment,
    library::{Candidate, Probes},
    process::{self, Placement},
    sockets::{Owner, Survey, Surveyor},
};
use serde::Serialize;

use crate::{
    cli::DoctorArguments,
    configuration::Configuration,
    failure::Failure,
    privileges::{self, PrivilegesConfiguration, Rehearsed},
    workloads::{Directory, KubernetesConfiguration, Whereabouts, WorkloadRecord, ask_once},
};

/// Examines the node and says whether observing is possible: exit code 0, or 1 when it is not.
pub(crate) fn run(arguments: &DoctorArguments) -> Result<ExitCode, Failure> {
    let configuration = Configuration::load(&arguments.configuration)?;
    let report = Report::examine(&configuration);
    let text = if arguments.json {
        serde_json::to_string_pretty(&report).map_err(Failure::runtime)?
    } else {
        report.text()
    };
    // A reader that went away has what it wanted.
    let _ = writeln!(std::io::stdout(), "{text}");
    Ok(if report.can_observe { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[derive(Debug, Serialize)]
struct Report {
    can_observe: bool,
    kernel: String,
    /// How probes are attached to functions, and why so.
    attach: AttachReport,
    checks: Vec<Check>,
    libraries: Vec<LibraryReport>,
    /// Processes whose encrypted traffic is not seen.
    uncovered: Vec<Uncovered>,
    /// What the unprivileged core of `mop observe` is kept from; `None` when none can be made.
    privileges: Option<Rehearsed>,
}

#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    status: Status,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    Warning,
    Failed,
}

#[derive(Debug, Serialize)]
struct AttachReport {
    method: &'static str,
    reason: String,
}

#[derive(Debug, Serialize)]
struct LibraryReport {
    path: String,
    functions: Vec<FunctionReport>,
    processes: Vec<ProcessReport>,
}

#[derive(Debug, Serialize)]
struct FunctionReport {
    name: &'static str,
    probe: String,
}

#[derive(Clone, Debug, Serialize)]
struct ProcessReport {
    pid: u32,
    command: String,
    container: Option<String>,
    /// Its pod; absent when it is in none.
    #[serde(skip_serializing_if = "Option::is_none")]
    workload: Option<Whereabouts>,
}

#[derive(Debug, Serialize)]
struct Uncovered {
    #[serde(flatten)]
    process: ProcessReport,
    runtime: &'static str,
    reason: &'static str,
    /// What its open TCP sockets moved, decoded or not; `None` when sockets cannot be listed.
    open_sockets: Option<OpenSockets>,
}

/// What the TCP sockets of a process moved since they were opened.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct OpenSockets {
    /// Those that moved anything.
    sockets: u64,
    received_bytes: u64,
    sent_bytes: u64,
}

impl Report {
    fn examine(configuration: &Configuration) -> Self {
        let choice = configuration.observe.attach.into();
        let attached = attach_everything(choice);
        let plan = match &attached {
            Ok((_, plan)) => plan.clone(),
            Err(_) => mop_probe::attach_plan(choice),
        };
        let mut checks = vec![
            check_kernel(),
            check_btf(),
            check_lockdown(),
            check_capabilities(plan.method),
            check_pid_namespace(),
            check_uprobes(&plan),
        ];
        let mut libraries = Vec::new();
        match attached {
            Ok((found, _)) => {
                checks.push(passed("hooks", "programs load and attach".to_owned()));
                libraries = found;
            }
            Err(error) => checks.push(Check {
                name: "hooks",
                status: Status::Failed,
                detail: error.to_string(),
                remedy: Some("see the checks above; a kernel of 5.15 or newer and root are needed"),
            }),
        }
        let (check, volumes) = check_sockets();
        checks.push(check);
        let mut directory = None;
        if let Some(section) = &configuration.kubernetes {
            let (check, found) = check_cluster(section, &configuration.node.name());
            checks.push(check);
            directory = found;
        }
        let directory = directory.as_deref();
        // Last, since it takes rights from this process that it does not get back.
        let (check, privileges) = check_privileges();
        checks.push(check);
        let processes = process::all();
        Self {
            can_observe: checks.iter().all(|check| check.status != Status::Failed),
            kernel: environment::kernel_release(),
            attach: AttachReport { method: plan.method.name(), reason: plan.reason },
            checks,
            libraries: libraries
                .iter()
                .map(|library| describe(library, &processes, directory))
                .collect(),
            uncovered: processes
                .iter()
                .filter_map(|&tgid| uncovered(tgid, volumes.as_ref(), directory))
                .collect(),
            privileges,
        }
    }

    fn text(&self) -> String {
        let Self { can_observe, kernel, attach: _, checks, libraries, uncovered, privileges: _ } =
            self;
        let mut lines = vec![format!("Kernel {kernel}"), String::new()];
        for Check { name, status, detail, remedy } in checks {
            let mark = match status {
                Status::Ok => "ok  ",
                Status::Warning => "warn",
                Status::Failed => "FAIL",
            };
            lines.push(format!("{mark}  {name:<14} {detail}"));
            lines.extend(remedy.map(|remedy| format!("      {:<14} → {remedy}", "")));
        }
        lines.extend([String::new(), format!("TLS libraries: {}", libraries.len())]);
        for LibraryReport { path, functions, processes } in libraries {
            lines.push(format!("  {path}"));
            for FunctionReport { name, probe } in functions {
                lines.push(format!("    {name:<14} {probe}"));
            }
            for process in processes {
                lines.push(format!("    in use by {}", process.line()));
            }
        }
        lines.extend([String::new(), format!("Not covered: {}", uncovered.len())]);
        for Uncovered { process, runtime, reason, open_sockets } in uncovered {
            lines.push(format!("  {} ({runtime}): {reason}", process.line()));
            lines.push(match open_sockets {
                Some(OpenSockets { sockets, received_bytes, sent_bytes }) => format!(
                    "    {sockets} open sockets that moved {received_bytes} bytes in and \
                     {sent_bytes} out"
                ),
                None => "    what its sockets moved is unknown".to_owned(),
            });
        }
        let verdict = if *can_observe { "possible" } else { "NOT possible" };
        lines.extend([String::new(), format!("Observing is {verdict}.")]);
        lines.join("\n")
    }
}

impl ProcessReport {
    fn of(tgid: u32, directory: Option<&Directory>) -> Option<Self> {
        let placement = Placement::of_process(tgid).ok()?;
        let whereabouts = Whereabouts::found(&placement, directory);
        Some(Self {
            pid: tgid,
            command: process::command(tgid)?,
            container: placement.container,
            workload: whereabouts.is_pod().then_some(whereabouts),
        })
    }

    fn line(&self) -> String {
        let Self { pid, command, container, workload } = self;
        match (workload.as_ref().and_then(WorkloadRecord::of), container) {
            (Some(workload), _) => format!("{command}[{pid}] in {}", workload.line()),
            (None, Some(container)) => format!("{command}[{pid}] in {container}"),
            (None, None) => format!("{command}[{pid}]"),
        }
    }
}

fn passed(name: &'static str, detail: String) -> Check {
    Check { name, status: Status::Ok, detail, remedy: None }
}

fn check_kernel() -> Check {
    let (major, minor) = environment::kernel_version();
    let detail = format!("version {major}.{minor}");
    if (major, minor) >= environment::OLDEST_KERNEL {
        return passed("kernel", detail);
    }
    Check {
        name: "kernel",
        status: Status::Failed,
        detail,
        remedy: Some("use a kernel of 5.15 or newer"),
    }
}

fn check_btf() -> Check {
    if File::open(environment::BTF_PATH).is_ok() {
        return passed("btf", format!("{} is readable", environment::BTF_PATH));
    }
    Check {
        name: "btf",
        status: Status::Failed,
        detail: format!("{} cannot be read", environment::BTF_PATH),
        remedy: Some("use a kernel built with CONFIG_DEBUG_INFO_BTF=y, as distributions' are"),
    }
}

fn check_lockdown() -> Check {
    match environment::lockdown() {
        Some(mode) if mode == "confidentiality" => Check {
            name: "lockdown",
            status: Status::Failed,
            detail: "confidentiality: programs may not read kernel memory".to_owned(),
            remedy: Some("boot with lockdown=integrity or without lockdown"),
        },
        Some(mode) => passed("lockdown", mode),
        None => Check {
            name: "lockdown",
            status: Status::Warning,
            detail: "the kernel does not tell; the check of the hooks below decides".to_owned(),
            remedy: None,
        },
    }
}

fn check_capabilities(method: AttachMethod) -> Check {
    let missing = environment::missing_capabilities(method);
    if missing.is_empty() {
        return check_administration();
    }
    Check {
        name: "capabilities",
        status: Status::Failed,
        detail: format!("missing: {}", missing.join(", ")),
        remedy: Some("run as root, or grant these capabilities to the service or container"),
    }
}

/// All that are needed are there. Without the most general one, which nothing needs where functions are
/// attached to by `uprobe_multi`, two things are less.
fn check_administration() -> Check {
    if environment::may_administer() {
        return passed("capabilities", "all that are needed".to_owned());
    }
    Check {
        name: "capabilities",
        status: Status::Warning,
        detail:
            "all that observing needs; without CAP_SYS_ADMIN, sockets of other network namespaces \
                 are not counted by coverage, and what the kernel programs cost is not known"
                .to_owned(),
        remedy: None,
    }
}

fn check_pid_namespace() -> Check {
    if environment::in_initial_pid_namespace() {
        return passed("pid namespace", "the host's".to_owned());
    }
    Check {
        name: "pid namespace",
        status: Status::Failed,
        detail: "a namespace of its own: processes of the host cannot be named".to_owned(),
        remedy: Some("use hostPID: true, or --pid=host"),
    }
}

fn check_uprobes(plan: &AttachPlan) -> Check {
    if !environment::needs_tracefs() {
        return passed("uprobes", format!("{plan}; tracefs is not needed"));
    }
    if environment::has_tracefs() {
        return passed("uprobes", format!("{plan}; tracefs is needed, and mounted"));
    }
    Check {
        name: "uprobes",
        status: Status::Warning,
        detail: format!("{plan}; tracefs is needed and not mounted; `mop observe` mounts it"),
        remedy: None,
    }
}

/// Lists the node's sockets as `mop observe` does, and what each process moved over those that are
/// open.
fn check_sockets() -> (Check, Option<HashMap<u32, OpenSockets>>) {
    let found =
        Surveyor::open(vec![std::process::id()]).and_then(|mut surveyor| surveyor.since_opened());
    let Survey { traffic, unseen, .. } = match found {
        Ok(survey) => survey,
        Err(error) => {
            let check = Check {
                name: "sockets",
                status: Status::Warning,
                detail: format!("cannot be listed ({error}): coverage is unknown"),
                remedy: Some("use a kernel built with CONFIG_INET_DIAG, as distributions' are"),
            };
            return (check, None);
        }
    };
    let mut volumes: HashMap<u32, OpenSockets> = HashMap::new();
    for one in &traffic {
        if let Owner::Process(tgid) = one.owner {
            let sum = volumes.entry(tgid).or_default();
            sum.sockets += 1;
            sum.received_bytes = sum.received_bytes.saturating_add(one.received_bytes);
            sum.sent_bytes = sum.sent_bytes.saturating_add(one.sent_bytes);
        }
    }
    let check = if unseen.namespaces > 0 || unseen.processes > 0 {
        Check {
            name: "sockets",
            status: Status::Warning,
            detail: format!(
                "{} network namespaces cannot be entered and {} processes cannot be looked into",
                unseen.namespaces, unseen.processes
            ),
            remedy: Some("run as root: coverage counts less than there is"),
        }
    } else if unseen.deaf_namespaces > 0 {
        Check {
            name: "sockets",
            status: Status::Warning,
            detail: "the kernel does not tell of those that close: short ones are missed"
                .to_owned(),
            remedy: None,
        }
    } else {
        passed("sockets", "all are listed with the processes that hold them".to_owned())
    };
    (check, Some(volumes))
}

/// Asks the cluster for the pods of this node as `mop observe` does, once.
fn check_cluster(section: &KubernetesConfiguration, node: &str) -> (Check, Option<Arc<Directory>>) {
    let node = if section.node.is_empty() { node } else { &section.node };
    let warning = |detail: String, remedy| Check {
        name: "cluster",
        status: Status::Warning,
        detail,
        remedy: Some(remedy),
    };
    match ask_once(section, node) {
        Ok((0, directory)) => {
            let remedy = "set kubernetes.node or node.name to what `kubectl get nodes` shows";
            (warning(format!("it knows of no pod on the node {node}"), remedy), Some(directory))
        }
        Ok((pods, directory)) => {
            let many = if pods == 1 { "pod" } else { "pods" };
            (passed("cluster", format!("{pods} {many} on the node {node}")), Some(directory))
        }
        Err(reason) => {
            let remedy = "docs/operations.md, Names of pods: the role, the token and the certificate \
                          that are needed";
            (warning(format!("pods have no names: {reason}"), remedy), None)
        }
    }
}

/// Makes a core as `mop observe` does and has it try what it must not be able to do.
fn check_privileges() -> (Check, Option<Rehearsed>) {
    let warning = |detail: String, remedy| Check {
        name: "privileges",
        status: Status::Warning,
        detail,
        remedy: Some(remedy),
    };
    match privileges::rehearse(&PrivilegesConfiguration::default()) {
        Err(failure) => {
            (warning(failure.to_string(), "start `mop observe` with --no-privilege-split"), None)
        }
        Ok(rehearsed) => {
            let willing: Vec<&str> = rehearsed
                .attempts
                .iter()
                .filter(|attempt| attempt.refused.is_none())
                .map(|attempt| attempt.name.as_str())
                .collect();
            let layers = rehearsed.layers.to_string();
            let check = if !willing.is_empty() {
                warning(
                    format!("{layers}; the core was not kept from: {}", willing.join(", ")),
                    "use a newer kernel with Landlock and seccomp, and start as root",
                )
            } else if rehearsed.layers.missing().next().is_some() {
                warning(layers, "docs/security-model.md says what each layer needs")
            } else {
                passed("privileges", layers)
            };
            (check, Some(rehearsed))
        }
    }
}

/// Loads and attaches everything for a moment.
fn attach_everything(attach: AttachChoice) -> Result<(Vec<TlsLibrary>, AttachPlan), ProbeError> {
    // The programs return at once: the examination itself costs the node nothing.
    let options =
        LoadOptions { attach, probes_only: true, certificates: true, ..LoadOptions::default() };
    // As `mop observe` does; what a mount is refused for shows in what then fails.
    let _mounted = environment::ensure_tracefs();
    let (mut observer, _sources) = Observer::load(options)?;
    observer.attach_node()?;
    observer.discover_all();
    Ok((observer.libraries().to_vec(), observer.attach_plan().clone()))
}

fn describe(
    library: &TlsLibrary,
    processes: &[u32],
    directory: Option<&Directory>,
) -> LibraryReport {
    let uses = |tgid: u32| {
        process::code_mappings(tgid).iter().any(|mapping| mapping.path == library.path)
            || process::executable(tgid).is_some_and(|path| path.to_string_lossy() == library.path)
    };
    LibraryReport {
        path: library.path.clone(),
        functions: library
            .functions
            .iter()
            .map(|(name, kind)| FunctionReport { name, probe: kind.to_string() })
            .collect(),
        processes: processes
            .iter()
            .filter(|&&tgid| uses(tgid))
            .filter_map(|&tgid| ProcessReport::of(tgid, directory))
            .collect(),
    }
}

/// Says when a process brings a TLS implementation that is not observed. It is named whether it
/// talks or not: silence must never be mistaken for health.
fn uncovered(
    tgid: u32,
    volumes: Option<&HashMap<u32, OpenSockets>>,
    directory: Option<&Directory>,
) -> Option<Uncovered> {
    let mappings = process::code_mappings(tgid);
    let maps = |part: &str| mappings.iter().any(|mapping| mapping.path.contains(part));
    let (runtime, reason) = if maps("/libjvm.so") {
        ("Java", "its TLS is Java code, which has no functions to probe; plain HTTP is seen")
    } else if maps("/libnss3.so") || maps("/libssl3.so") {
        ("NSS", "calls through this library are not decoded; plain HTTP is seen")
    } else {
        match probes_of_executable(tgid) {
            Err(ProbeError::Go { .. }) => (
                "Go",
                "its TLS is of a Go before 1.17, or has no safe place for a probe; plain HTTP is seen",
            ),
            Err(ProbeError::Unnamed { .. }) => (
                "BoringSSL",
                "it is inside an executable without names of functions, which cannot be told from \
                 others there; plain HTTP is seen",
            ),
            Ok(_) | Err(_) => return None,
        }
    };
    let open_sockets = volumes.map(|volumes| volumes.get(&tgid).copied().unwrap_or_default());
    let process = ProcessReport::of(tgid, directory)?;
    Some(Uncovered { process, runtime, reason, open_sockets })
}

/// What the executable of a process has to probe, or why it cannot be observed.
fn probes_of_executable(tgid: u32) -> Result<Probes, ProbeError> {
    let path = format!("/proc/{tgid}/exe");
    Candidate::open(Path::new(&path), &path)
        .and_then(|candidate| candidate.probes(ProbeSites::Entry))
}
