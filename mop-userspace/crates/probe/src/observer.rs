//! Loads the kernel programs and attaches them.

use std::{
    collections::HashSet,
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    time::Duration,
};

use aya::{
    Btf as AyaBtf, Ebpf, EbpfLoader, Pod,
    maps::{Map, MapData, PerCpuArray},
    programs::{BtfTracePoint, TracePoint, tp_btf::BtfTracePointLink, trace_point::TracePointLink},
    util::online_cpus,
};
use mop_common::{
    Counter, Counters, KernelConfig, cookie,
    lane::{self, RecordHead},
    limits,
};

use crate::{
    AttachPlan, KERNEL_PROGRAMS, LibraryId, LoadOptions, Measurement, ProbeError, ProgramLoad,
    RingSources, TlsLibrary,
    btf::Btf,
    environment,
    error::{causes, refused},
    library::{self, Candidate, FileId, Probe, Probes, SiteKind, Sites},
    prober::{self, Point, Prober, Refusal},
    process,
    program_load::ProgramAccount,
    resolve_offsets,
    ring_sources::RingSizes,
};

/// The kernel programs of this process. Dropping it detaches and unloads everything.
pub struct Observer {
    ebpf: Ebpf,
    options: LoadOptions,
    /// Files that were looked into.
    known: HashSet<FileId>,
    libraries: Vec<TlsLibrary>,
    tracepoints: Vec<BtfTracePointLink>,
    perf_tracepoints: Vec<TracePointLink>,
    /// What is attached to functions.
    prober: Box<dyn Prober>,
    attach_plan: AttachPlan,
}

/// What a search for TLS libraries gave.
#[derive(Debug, Default)]
pub struct Discovery {
    /// Libraries that are observed from now on.
    pub attached: Vec<TlsLibrary>,
    /// Libraries that cannot be observed, and why.
    pub failed: Vec<ProbeError>,
    /// Files whose decoding of certificates cannot be observed, and why.
    pub without_certificates: Vec<ProbeError>,
}

impl Discovery {
    fn absorb(&mut self, other: Self) {
        let Self { attached, failed, without_certificates } = other;
        self.attached.extend(attached);
        self.failed.extend(failed);
        self.without_certificates.extend(without_certificates);
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.detach();
    }
}

impl Observer {
    /// Loads the programs and makes the rings. Nothing is attached yet.
    ///
    /// # Errors
    ///
    /// When this build, this kernel or the rights of this process do not allow it.
    pub fn load(options: LoadOptions) -> Result<(Self, RingSources), ProbeError> {
        if KERNEL_PROGRAMS.is_empty() {
            return Err(ProbeError::NoKernelPrograms);
        }
        let found = environment::kernel_version();
        if found < environment::OLDEST_KERNEL {
            return Err(ProbeError::OldKernel { found, needed: environment::OLDEST_KERNEL });
        }
        if !environment::in_initial_pid_namespace() {
            return Err(ProbeError::PidNamespace);
        }
        let bytes = std::fs::read(environment::BTF_PATH)
            .map_err(|_unreadable| ProbeError::NoBtf { path: environment::BTF_PATH })?;
        let offsets = resolve_offsets(&Btf::parse(&bytes)?)?;
        drop(bytes);
        // Online, not possible ones: some machines could be given hundreds more.
        let cpus = online_cpus()
            .map_err(|(_, error)| ProbeError::Map { map: "LANES", reason: error.to_string() })?;
        let layout = LaneLayout::new(cpus.len(), options.ring_bytes);
        let config = Plain(KernelConfig {
            offsets,
            own_tgid: options.reader,
            lanes: layout.lanes,
            elements: layout.elements,
            capacity: layout.capacity(),
            wake_at_bytes: layout.bytes() / limits::WAKE_AT_FRACTION,
            has_loop: u32::from(environment::kernel_version() >= BPF_LOOP_SINCE),
            probes_only: u32::from(options.probes_only),
        });
        let btf =
            AyaBtf::from_sys_fs().map_err(|error| ProbeError::Object { reason: causes(&error) })?;
        let mut ebpf = EbpfLoader::new()
            .btf(Some(&btf))
            .override_global("CONFIG", &config, true)
            .map_max_entries("LANES", layout.lanes * layout.elements)
            .load(KERNEL_PROGRAMS)
            .map_err(|error| ProbeError::Object { reason: causes(&error) })?;
        let sources = ring_sources(&ebpf, layout)?;
        if options.sockets {
            for name in tracepoints() {
                load_tracepoint(&mut ebpf, name, &btf)?;
            }
            if environment::skips_preempted_runs() {
                let program: &mut TracePoint = program(&mut ebpf, SYS_EXIT_BY_PERF)?;
                program.load().map_err(|error| refused(SYS_EXIT_BY_PERF, &error))?;
            }
        }
        let mut uprobes = Vec::new();
        if options.tls {
            uprobes.extend(UPROBES);
        }
        if options.tls && options.certificates {
            uprobes.extend(CERTIFICATE_UPROBES);
        }
        let (prober, attach_plan) = prober::load(&mut ebpf, &uprobes, options.attach)?;
        drop(btf);
        environment::return_freed_memory();
        let observer = Self {
            ebpf,
            options,
            known: HashSet::new(),
            libraries: Vec::new(),
            tracepoints: Vec::new(),
            perf_tracepoints: Vec::new(),
            prober,
            attach_plan,
        };
        Ok((observer, sources))
    }

    /// Attaches to sockets and to the life of processes.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn attach_node(&mut self) -> Result<(), ProbeError> {
        if !self.options.sockets {
            return Ok(());
        }
        for name in tracepoints() {
            let program: &mut BtfTracePoint = program(&mut self.ebpf, name)?;
            let link = program
                .attach()
                .and_then(|id| program.take_link(id))
                .map_err(|error| refused(name, &error))?;
            self.tracepoints.push(link);
        }
        if environment::skips_preempted_runs() {
            let program: &mut TracePoint = program(&mut self.ebpf, SYS_EXIT_BY_PERF)?;
            let link = program
                .attach("raw_syscalls", SYS_EXIT)
                .and_then(|id| program.take_link(id))
                .map_err(|error| refused(SYS_EXIT_BY_PERF, &error))?;
            self.perf_tracepoints.push(link);
        }
        Ok(())
    }

    /// How functions are attached to, and why so.
    #[must_use]
    pub fn attach_plan(&self) -> &AttachPlan {
        &self.attach_plan
    }

    /// Takes every probe off. Maps and lanes stay, so that what they hold can still be read.
    pub fn detach(&mut self) {
        self.tracepoints.clear();
        self.perf_tracepoints.clear();
        self.prober.detach();
    }

    /// Looks into every process and the usual library folders.
    pub fn discover_all(&mut self) -> Discovery {
        let mut discovery = Discovery::default();
        for path in library::installed() {
            // The name of the file itself, not of a link to it: what processes' maps show.
            let path = path.canonicalize().unwrap_or(path);
            discovery.absorb(self.look_into(&path, &path.to_string_lossy()));
        }
        for tgid in process::all() {
            discovery.absorb(self.discover_process(tgid));
        }
        discovery
    }

    /// Looks into the code that a process has mapped. A process that is gone gives nothing.
    pub fn discover_process(&mut self, tgid: u32) -> Discovery {
        let mut discovery = Discovery::default();
        if !self.options.tls || self.is_own(tgid) {
            return discovery;
        }
        discovery.absorb(self.discover_executable(tgid));
        for mapping in process::code_mappings(tgid) {
            discovery.absorb(self.look_into(&mapping.reachable, &mapping.path));
        }
        discovery
    }

    /// Looks into the executable of a process, for programs with the library inside.
    pub fn discover_executable(&mut self, tgid: u32) -> Discovery {
        if !self.options.tls || self.is_own(tgid) {
            return Discovery::default();
        }
        // This link opens the file itself: it works when its path is gone, or in another namespace.
        let reachable = PathBuf::from(format!("/proc/{tgid}/exe"));
        let path = process::executable(tgid).unwrap_or_else(|| reachable.clone());
        self.look_into(&reachable, &path.to_string_lossy())
    }

    /// The libraries that are observed.
    #[must_use]
    pub fn libraries(&self) -> &[TlsLibrary] {
        &self.libraries
    }

    /// The counters of all CPUs together.
    ///
    /// # Errors
    ///
    /// When the kernel refuses to read the map.
    pub fn counters(&self) -> Result<Counters, ProbeError> {
        let mut sum = self.cpu_counters()?;
        self.add_thread_counts(&mut sum)?;
        Ok(sum)
    }

    /// The same at a small part of the cost, without the TLS calls that threads count for themselves.
    ///
    /// # Errors
    ///
    /// When the kernel refuses to read the map.
    pub fn cpu_counters(&self) -> Result<Counters, ProbeError> {
        let unusable = |reason| ProbeError::Map { map: "COUNTERS", reason };
        let map =
            self.ebpf.map("COUNTERS").ok_or_else(|| unusable("it is not there".to_owned()))?;
        let map: PerCpuArray<_, Plain<Counters>> =
            PerCpuArray::try_from(map).map_err(|error| unusable(causes(&error)))?;
        let values = map.get(&0, 0).map_err(|error| unusable(causes(&error)))?;
        let mut sum = Counters::default();
        for Plain(value) in values.iter() {
            sum.add(value);
        }
        if let Some(skipped) = sum.values.get_mut(Counter::SkippedRuns as usize) {
            *skipped = self.skipped_runs();
        }
        Ok(sum)
    }

    /// Has the kernel count what programs cost from now on.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn begin_measurement(&self) -> Result<Measurement, ProbeError> {
        Measurement::begin(&self.programs())
    }

    /// How long a measurement went on, and what each program that ran meanwhile cost.
    #[must_use]
    pub fn end_measurement(&self, measurement: Measurement) -> (Duration, Vec<ProgramLoad>) {
        measurement.end(&self.programs())
    }

    /// The programs that are loaded, by whom ever.
    fn programs(&self) -> Vec<(&str, BorrowedFd<'_>)> {
        let of_loader = self.ebpf.programs();
        let of_loader = of_loader.filter_map(|(name, it)| Some((name, it.fd().ok()?.as_fd())));
        of_loader.chain(self.prober.programs()).collect()
    }

    /// Runs of programs that the kernel left out; what it does not say counts as none.
    fn skipped_runs(&self) -> u64 {
        self.programs()
            .into_iter()
            .filter_map(|(_, program)| Some(ProgramAccount::of(program)?.misses))
            .sum()
    }

    /// Threads count their TLS calls for themselves. One that ends while the maps are read is missing
    /// here, and counted on its CPU.
    fn add_thread_counts(&self, sum: &mut Counters) -> Result<(), ProbeError> {
        type State = [u8; limits::THREAD_STATE_BYTES];
        let unusable = |reason| ProbeError::Map { map: "THREADS", reason };
        let map = |name| self.ebpf.map(name).ok_or_else(|| unusable("it is not there".to_owned()));
        let slots: aya::maps::Array<_, State> =
            map("THREADS")?.try_into().map_err(|error| unusable(causes(&error)))?;
        let overflow: aya::maps::HashMap<_, u64, State> =
            map("OVERFLOW_THREADS")?.try_into().map_err(|error| unusable(causes(&error)))?;
        let states = slots
            .iter()
            .filter_map(Result::ok)
            .chain(overflow.iter().filter_map(|entry| Some(entry.ok()?.1)));
        for state in states {
            let mut words = state
                .chunks_exact(size_of::<u64>())
                .filter_map(|word| word.try_into().ok().map(u64::from_ne_bytes));
            for counter in [Counter::TlsEntries, Counter::TlsExits] {
                if let (Some(value), Some(count)) =
                    (sum.values.get_mut(counter as usize), words.next())
                {
                    *value = value.wrapping_add(count);
                }
            }
        }
        Ok(())
    }

    /// Makes the kernel report the next mapping of a file again: it could not be looked into.
    pub fn forget_code_file(&mut self, inode: u64, device: u64) {
        let Some(map) = self.ebpf.map_mut("CODE_FILES") else { return };
        let Ok(mut map) = aya::maps::HashMap::<_, [u64; 2], u8>::try_from(map) else { return };
        let _ = map.remove(&[inode, device]);
    }

    /// Has the kernel side note on which threads handshakes begin, which is of use only where the keys that
    /// follow from them are seen.
    fn watch_hellos(&mut self) -> Result<(), ProbeError> {
        let unusable = |reason| ProbeError::Map { map: "AEAD_PROGRAMS", reason };
        let map = self.ebpf.map_mut("AEAD_PROGRAMS");
        let map = map.ok_or_else(|| unusable("it is not there".to_owned()))?;
        aya::maps::Array::<_, u32>::try_from(map)
            .and_then(|mut map| map.set(0, 1, 0))
            .map_err(|error| unusable(causes(&error)))
    }

    /// Whether a process is this one, or the one that reads the rings.
    fn is_own(&self, tgid: u32) -> bool {
        tgid == std::process::id() || tgid == self.options.reader
    }

    fn look_into(&mut self, reachable: &Path, path: &str) -> Discovery {
        let mut discovery = Discovery::default();
        // A file that cannot be opened is mostly one whose process just ended.
        let Ok(candidate) = Candidate::open(reachable, path) else { return discovery };
        if !self.known.insert(candidate.id) {
            return discovery;
        }
        if self.options.leaves_alone(path) {
            return discovery;
        }
        match candidate.probes(self.options.sites) {
            // Not every mapped file is an ELF file of this processor, or a TLS library.
            Err(ProbeError::Elf { .. }) => {}
            Ok(probes) => self.attach_file(&candidate, &probes, &mut discovery),
            Err(error) => discovery.failed.push(error),
        }
        discovery
    }

    fn attach_file(&mut self, candidate: &Candidate, probes: &Probes, discovery: &mut Discovery) {
        let mut id = NO_LIBRARY;
        if !probes.tls.is_empty() {
            match self.attach_library(candidate, &probes.tls) {
                Ok(library) => {
                    id = library.id;
                    discovery.attached.push(library);
                }
                Err(error) => {
                    discovery.failed.push(error);
                    return;
                }
            }
        }
        if self.options.certificates
            && let Err(error) = self.attach_functions(candidate, &probes.certificates, id)
        {
            discovery.without_certificates.push(error);
        }
    }

    /// Attaches to all of these functions or, when one is refused, to none.
    fn attach_functions(
        &mut self,
        candidate: &Candidate,
        probes: &[Probe],
        id: LibraryId,
    ) -> Result<(), ProbeError> {
        let points = points(probes, id);
        self.prober.attach(&mut self.ebpf, &candidate.attach_path(), &points).map_err(
            |Refusal { functions, reason }| ProbeError::Attach {
                path: PathBuf::from(&candidate.path),
                functions,
                reason,
            },
        )
    }

    fn attach_library(
        &mut self,
        candidate: &Candidate,
        probes: &[Probe],
    ) -> Result<TlsLibrary, ProbeError> {
        let by_return = |probe: &Probe| probe.sites.kind() == SiteKind::EntryAndReturn;
        if probes.iter().any(by_return) && environment::return_probes_end_processes() {
            let reason = "this kernel ends processes under seccomp that a return probe is put into, and it \
                          has functions that cannot be observed otherwise";
            return Err(ProbeError::LeftAlone { path: PathBuf::from(&candidate.path), reason });
        }
        if probes.iter().any(|probe| matches!(probe.sites, Sites::AeadKey(_))) {
            self.watch_hellos()?;
        }
        let id = LibraryId(self.libraries.len() as u64 + 1);
        // Half a library would report half a conversation.
        self.attach_functions(candidate, probes, id)?;
        let library = TlsLibrary {
            id,
            path: candidate.path.clone(),
            functions: probes.iter().map(|probe| (probe.function, probe.sites.kind())).collect(),
        };
        self.libraries.push(library.clone());
        Ok(library)
    }
}

/// The places of these functions: all exits before any entry, since a call must never be noted without
/// being taken off again.
fn points(probes: &[Probe], id: LibraryId) -> Vec<Point> {
    let (mut first, mut entries) = (Vec::new(), Vec::new());
    for Probe { function, cookie, sites } in probes {
        let cookie = cookie | id.0 << cookie::LIBRARY_SHIFT;
        let point = |program, offset: &u64| Point {
            program,
            function,
            offset: *offset,
            cookie,
            is_entry: false,
        };
        let entry = |program, offset| Point { is_entry: true, ..point(program, offset) };
        match sites {
            Sites::Emulated { entry: at, exits } => {
                first.extend(exits.iter().map(|exit| point("tls_exit", exit)));
                entries.push(entry("tls_enter", at));
            }
            Sites::EntryAndReturn(start) => {
                first.push(point("tls_return", start));
                entries.push(entry("tls_enter", start));
            }
            Sites::Forget(start) => first.push(point("tls_forget", start)),
            Sites::Certificate(at) => first.push(point("tls_certificate", at)),
            Sites::Session(at) => first.push(point("tls_session", at)),
            Sites::Go { entry: at, returns } => {
                first.extend(returns.iter().map(|exit| point("go_exit", exit)));
                entries.push(entry("go_enter", at));
            }
            Sites::GoBegin(at) => first.push(point("go_begin", at)),
            Sites::GoForget(at) => first.push(point("go_forget", at)),
            Sites::GoCertificate(at) => first.push(point("go_certificate", at)),
            Sites::AeadKey(start) => first.push(point("aead_key", start)),
            Sites::AeadSeal(start) => first.push(point("aead_seal", start)),
            Sites::AeadOpen(start) => {
                first.push(point("aead_opened", start));
                entries.push(entry("aead_open", start));
            }
        }
    }
    first.append(&mut entries);
    first
}

/// A shared type as aya wants it.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Plain<T>(T);

// SAFETY: `repr(C)` integers without padding (checked where the type is declared): every bit
// pattern is a value.
unsafe impl Pod for Plain<KernelConfig> {}
// SAFETY: as above.
unsafe impl Pod for Plain<Counters> {}

fn ring_sources(ebpf: &Ebpf, layout: LaneLayout) -> Result<RingSources, ProbeError> {
    let unusable = |map| move |reason: String| ProbeError::Map { map, reason };
    let memory = |name| match ebpf.map(name) {
        Some(Map::Array(map)) => duplicate(map).map_err(|error| unusable(name)(error.to_string())),
        _ => Err(unusable(name)("it is not there".to_owned())),
    };
    let Some(Map::RingBuf(control)) = ebpf.map("CONTROL") else {
        return Err(unusable("CONTROL")("it is not there".to_owned()));
    };
    // The loader may have rounded the size up to a page of this machine.
    let control_bytes =
        control.info().map_err(|error| unusable("CONTROL")(causes(&error)))?.max_entries();
    Ok(RingSources {
        states: memory("LANE_STATES")?,
        elements: memory("LANES")?,
        control: duplicate(control).map_err(|error| unusable("CONTROL")(error.to_string()))?,
        sizes: RingSizes { lanes: layout.lanes, elements_per_lane: layout.elements, control_bytes },
    })
}

fn duplicate(map: &MapData) -> io::Result<OwnedFd> {
    map.fd().as_fd().try_clone_to_owned()
}

pub(crate) fn program<'a, P>(
    ebpf: &'a mut Ebpf,
    name: &'static str,
) -> Result<&'a mut P, ProbeError>
where
    &'a mut P: TryFrom<&'a mut aya::programs::Program>,
{
    ebpf.program_mut(name).and_then(|program| program.try_into().ok()).ok_or_else(|| {
        ProbeError::Load { program: name, reason: "it is not in the object".to_owned() }
    })
}

/// Those of [`TRACEPOINTS`] that this kernel gets.
fn tracepoints() -> impl Iterator<Item = &'static str> {
    let is_by_perf = environment::skips_preempted_runs();
    TRACEPOINTS.into_iter().filter(move |name| !(is_by_perf && *name == SYS_EXIT))
}

fn load_tracepoint(ebpf: &mut Ebpf, name: &'static str, btf: &AyaBtf) -> Result<(), ProbeError> {
    let program: &mut BtfTracePoint = program(ebpf, name)?;
    program.load(name, btf).map_err(|error| refused(name, &error))
}

/// How many lanes there are, and how large each is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LaneLayout {
    lanes: u32,
    /// Elements of a lane, a power of two.
    elements: u32,
    /// Bytes that producers may claim beyond what they saw to be free.
    margin: u64,
}

impl LaneLayout {
    fn new(cpus: usize, wanted_bytes: u32) -> Self {
        let cpus = u32::try_from(cpus).unwrap_or(u32::MAX).max(1);
        let lanes = cpus.min(limits::MAX_LANES);
        let sharers = u64::from(cpus.div_ceil(lanes));
        let largest_record = RecordHead::claim(limits::MAX_SEGMENT as u64);
        let margin = limits::INTERRUPTED_PRODUCERS * sharers * largest_record;
        let element = lane::ELEMENT_BYTES as u64;
        // At least as much again as the margin.
        let least = u32::try_from((2 * margin).div_ceil(element)).unwrap_or(MAX_LANE_ELEMENTS);
        let elements = wanted_bytes.div_ceil(lane::ELEMENT_BYTES as u32).max(least);
        let elements = elements.min(MAX_LANE_ELEMENTS).next_power_of_two();
        Self { lanes, elements, margin }
    }

    fn bytes(self) -> u64 {
        u64::from(self.elements) * lane::ELEMENT_BYTES as u64
    }

    /// Bytes that may stand unread in a lane.
    fn capacity(self) -> u64 {
        self.bytes().saturating_sub(self.margin)
    }
}

/// Named as the tracepoints that they attach to.
const TRACEPOINTS: [&str; 5] = [
    "tcp_destroy_sock",
    "inet_sock_set_state",
    SYS_EXIT,
    "sched_process_exec",
    "sched_process_exit",
];

const SYS_EXIT: &str = "sys_exit";
const SYS_EXIT_BY_PERF: &str = "sys_exit_by_perf";

const UPROBES: [&str; 12] = [
    "tls_enter",
    "tls_exit",
    "tls_return",
    "tls_forget",
    "go_enter",
    "go_exit",
    "go_begin",
    "go_forget",
    "aead_key",
    "aead_seal",
    "aead_open",
    "aead_opened",
];

/// Loaded only where certificates are wanted.
const CERTIFICATE_UPROBES: [&str; 3] = ["tls_certificate", "tls_session", "go_certificate"];

/// A file that has certificates decoded and moves no bytes.
const NO_LIBRARY: LibraryId = LibraryId(0);

/// `bpf_loop` came with this kernel.
const BPF_LOOP_SINCE: (u32, u32) = (5, 17);

/// 256 MiB a lane: several of the largest bodies that are ever handed over in one call.
const MAX_LANE_ELEMENTS: u32 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_leave_room_for_producers_that_interrupt_each_other() {
        for cpus in [1, 2, 31, 32, 33, 128, 4096] {
            for mib in [0, 1, 2, 8, 100, 256] {
                let layout = LaneLayout::new(cpus, mib << 20);
                assert!(layout.elements.is_power_of_two());
                assert!(layout.elements <= MAX_LANE_ELEMENTS);
                assert!((1..=limits::MAX_LANES).contains(&layout.lanes));
                assert!(layout.capacity() + layout.margin <= layout.bytes(), "{cpus} {mib}");
                assert!(layout.capacity() >= layout.bytes() / 4, "{cpus} {mib}");
            }
        }
        assert_eq!(LaneLayout::new(2, 8 << 20).elements, 8);
    }
}
