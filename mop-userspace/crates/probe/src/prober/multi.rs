//! `uprobe_multi`: one link for all places of a program in a file.
//!
//! The loader that MOP uses for everything else cannot do that: a program must be told at its loading
//! that it will be attached this way. So these programs are loaded here, from the same object. Maps are
//! not made anew: the programs get the descriptors of those that are there, the read-only configuration
//! included, and all programs work on the same ones.

use std::{
    collections::HashSet,
    ffi::CString,
    io,
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
    thread,
};

use aya::{Ebpf, maps::Map};
use aya_obj::{
    Object, ProgramSection,
    generated::{BPF_ALU64, BPF_EXIT, BPF_JMP, BPF_K, BPF_MOV, bpf_insn},
};
use rustix::io::Errno;

use super::{
    Point, Prober, Refusal,
    system_call::{NewProgram, Records, Types, link_to_file, load_program, load_types},
};
use crate::{
    KERNEL_PROGRAMS, ProbeError,
    error::{causes, last_lines},
};

/// See [the module](self).
pub(super) struct MultiProber {
    programs: Vec<Program>,
    /// Where calls are noted. They are taken off before the others.
    entries: Vec<OwnedFd>,
    others: Vec<OwnedFd>,
}

/// A loaded program.
struct Program {
    name: &'static str,
    descriptor: OwnedFd,
    /// It runs when the function at the place returns.
    on_return: bool,
}

/// Asks the kernel without an effect: a program that does nothing is to be attached to a folder. Who
/// knows `uprobe_multi` says that this is no file.
///
/// # Errors
///
/// Why there is no `uprobe_multi`, in words.
pub(super) fn attempt() -> Result<(), String> {
    // Returns zero.
    let instructions = [instruction(BPF_ALU64 | BPF_MOV | BPF_K), instruction(BPF_JMP | BPF_EXIT)];
    let program = NewProgram {
        name: "mop_attempt",
        license: c"Dual MIT/GPL",
        instructions: &instructions,
        is_sleepable: false,
        types: None,
    };
    let program = load_program(&program, &mut []).map_err(|error| {
        format!("the kernel gives no program for uprobe_multi to this process ({error})")
    })?;
    match link_to_file(program.as_fd(), c"/", &[0], &[0], false) {
        Err(error) if error.raw_os_error() == Some(Errno::BADF.raw_os_error()) => Ok(()),
        Err(error) => {
            Err(format!("the kernel refuses uprobe_multi, which came with Linux 6.6 ({error})"))
        }
        Ok(_link) => Err("the kernel attaches uprobe_multi to a folder".to_owned()),
    }
}

/// One on register 0, with the number 0. Codes have 8 bits.
fn instruction(code: u32) -> bpf_insn {
    let registers = bpf_insn::new_bitfield_1(0, 0);
    bpf_insn { code: code as u8, _bitfield_align_1: [], _bitfield_1: registers, off: 0, imm: 0 }
}

impl MultiProber {
    /// Loads these programs onto the maps of the others.
    pub(super) fn load(ebpf: &Ebpf, names: &[&'static str]) -> Result<Self, ProbeError> {
        let damaged = |error: &dyn std::error::Error| ProbeError::Object { reason: causes(error) };
        let mut object = Object::parse(KERNEL_PROGRAMS).map_err(|error| damaged(&error))?;
        let types = load_types_of(&mut object)?;
        let maps = std::mem::take(&mut object.maps);
        let descriptors = maps
            .iter()
            .map(|(name, map)| Ok((name.as_str(), descriptor(ebpf, name)?, map)))
            .collect::<Result<Vec<_>, ProbeError>>()?;
        let sections: HashSet<usize> =
            object.functions.keys().map(|(section, _)| *section).collect();
        object
            .relocate_maps(descriptors.into_iter(), &sections)
            .map_err(|error| damaged(&error))?;
        object.relocate_calls(&sections).map_err(|error| damaged(&error))?;
        object.sanitize_functions(aya::features());
        let programs = names
            .iter()
            .map(|name| load_one(&object, name, types.as_ref().map(OwnedFd::as_fd)))
            .collect::<Result<_, _>>()?;
        Ok(Self { programs, entries: Vec::new(), others: Vec::new() })
    }

    fn link(&self, file: &Path, name: &str, points: &[Point]) -> io::Result<OwnedFd> {
        let program = self
            .programs
            .iter()
            .find(|program| program.name == name)
            .ok_or_else(|| io::Error::other("its program is not loaded"))?;
        let path = CString::new(file.as_os_str().as_bytes())?;
        let of_program = || points.iter().filter(|point| point.program == name);
        let offsets: Vec<u64> = of_program().map(|point| point.offset).collect();
        let cookies: Vec<u64> = of_program().map(|point| point.cookie).collect();
        link_to_file(program.descriptor.as_fd(), &path, &offsets, &cookies, program.on_return)
    }

    fn keep(&mut self, entries: usize, others: usize) {
        close(self.entries.split_off(entries));
        close(self.others.split_off(others));
    }
}

/// The kernel waits for all CPUs when a link is closed, a part of a tenth of a second. Threads that wait
/// at the same time wait for the same.
fn close(links: Vec<OwnedFd>) {
    let mut links = links.into_iter();
    let each = links.len().div_ceil(CLOSING_THREADS).max(1);
    thread::scope(|scope| {
        while links.len() > each {
            let some: Vec<OwnedFd> = links.by_ref().take(each).collect();
            let thread = thread::Builder::new().name("mop-detach".to_owned());
            // When there can be no thread, they are closed here.
            let _ = thread.stack_size(STACK_BYTES).spawn_scoped(scope, move || drop(some));
        }
        links.for_each(drop);
    });
}

impl Prober for MultiProber {
    fn attach(&mut self, _ebpf: &mut Ebpf, file: &Path, points: &[Point]) -> Result<(), Refusal> {
        let (entries, others) = (self.entries.len(), self.others.len());
        for (name, is_entry) in in_order(points) {
            match self.link(file, name, points) {
                Ok(link) if is_entry => self.entries.push(link),
                Ok(link) => self.others.push(link),
                Err(error) => {
                    self.keep(entries, others);
                    let of_program = points.iter().filter(|point| point.program == name);
                    let mut functions: Vec<&str> = of_program.map(|point| point.function).collect();
                    functions.dedup();
                    return Err(Refusal {
                        functions: functions.join(", "),
                        reason: error.to_string(),
                    });
                }
            }
        }
        Ok(())
    }

    fn detach(&mut self) {
        self.keep(0, 0);
    }

    fn programs(&self) -> Vec<(&'static str, BorrowedFd<'_>)> {
        self.programs.iter().map(|program| (program.name, program.descriptor.as_fd())).collect()
    }
}

/// The programs of these places, in the order in which they first appear, and whether calls are noted
/// there.
fn in_order(points: &[Point]) -> Vec<(&'static str, bool)> {
    let mut programs = Vec::new();
    for point in points {
        let program = (point.program, point.is_entry);
        if !programs.contains(&program) {
            programs.push(program);
        }
    }
    programs
}

/// Loads the type information of all programs, as the kernel wants it.
fn load_types_of(object: &mut Object) -> Result<Option<OwnedFd>, ProbeError> {
    let Some(features) = aya::features().btf() else { return Ok(None) };
    let refused = |reason| ProbeError::Object { reason };
    let types = object.fixup_and_sanitize_btf(features).map_err(|error| refused(causes(&error)))?;
    types
        .map(|types| load_types(&types.to_bytes()))
        .transpose()
        .map_err(|error| refused(format!("its type information: {error}")))
}

/// The map of that name that is there already.
fn descriptor(ebpf: &Ebpf, name: &str) -> Result<RawFd, ProbeError> {
    let unusable = |what: &str| ProbeError::Object { reason: format!("the map {name} {what}") };
    match ebpf.map(name) {
        Some(
            Map::Array(data)
            | Map::HashMap(data)
            | Map::LruHashMap(data)
            | Map::PerCpuArray(data)
            | Map::RingBuf(data),
        ) => Ok(data.fd().as_fd().as_raw_fd()),
        Some(_) => Err(unusable("is of another kind")),
        None => Err(unusable("is not there")),
    }
}

fn load_one(
    object: &Object,
    name: &'static str,
    types: Option<BorrowedFd<'_>>,
) -> Result<Program, ProbeError> {
    let refused = |reason: String| ProbeError::Load { program: name, reason };
    let found = object.programs.get(name);
    let found = found.and_then(|it| Some((it, object.functions.get(&it.function_key())?)));
    let Some((program, function)) = found else {
        return Err(refused("it is not in the object".to_owned()));
    };
    let (on_return, is_sleepable) = match program.section {
        ProgramSection::UProbe { sleepable } => (false, sleepable),
        ProgramSection::URetProbe { sleepable } => (true, sleepable),
        _ => return Err(refused("it is none for functions".to_owned())),
    };
    let functions = function.func_info.func_info_bytes();
    let lines = function.line_info.line_info_bytes();
    let types = types.map(|descriptor| Types {
        descriptor,
        functions: Records {
            bytes: &functions,
            count: function.func_info.len(),
            size: function.func_info_rec_size,
        },
        lines: Records {
            bytes: &lines,
            count: function.line_info.len(),
            size: function.line_info_rec_size,
        },
    });
    let program = NewProgram {
        name,
        license: &program.license,
        instructions: &function.instructions,
        is_sleepable,
        types,
    };
    // What the verifier says is asked for only when it refuses: it costs time and memory.
    let descriptor = load_program(&program, &mut []).or_else(|error| {
        let mut log = vec![0; LOG_BYTES];
        load_program(&program, &mut log).map_err(|_same_or_too_long| {
            let end = log.iter().position(|&byte| byte == 0).unwrap_or(log.len());
            let log = String::from_utf8_lossy(log.get(..end).unwrap_or_default()).into_owned();
            refused(format!("{error}: {}", last_lines(&log)))
        })
    })?;
    Ok(Program { name, descriptor, on_return })
}

/// Every kernel with `uprobe_multi` keeps the end of what the verifier says, which tells what is wrong.
const LOG_BYTES: usize = 64 << 10;

/// Enough that all links of some libraries are closed in one time.
const CLOSING_THREADS: usize = 16;

/// A thread that closes descriptors needs next to nothing.
const STACK_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn programs_keep_the_order_of_their_places() {
        let point =
            |program, is_entry| Point { program, function: "f", offset: 0, cookie: 0, is_entry };
        let points =
            [point("exit", false), point("return", false), point("exit", false), point("in", true)];
        assert_eq!(in_order(&points), [("exit", false), ("return", false), ("in", true)]);
    }

    #[test]
    fn all_links_are_closed_however_many_there_are() {
        for count in [0, 1, CLOSING_THREADS, 3 * CLOSING_THREADS + 1] {
            let (reader, writer) = io::pipe().expect("a pipe");
            let writers = (0..count).map(|_| writer.try_clone().expect("another end").into());
            close(writers.collect());
            drop(writer);
            let mut rest = Vec::new();
            // It ends only when no other end is open.
            (&reader).read_to_end(&mut rest).expect("readable");
            assert_eq!(rest, [0; 0]);
        }
    }
}
