//! The calls of `bpf()` that aya does not make.

use std::{
    ffi::CStr,
    io, mem,
    os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
};

use aya_obj::generated::{
    BPF_F_SLEEPABLE, BPF_F_UPROBE_MULTI_RETURN, bpf_attach_type, bpf_attr, bpf_cmd, bpf_insn,
    bpf_prog_type,
};

/// A program that is to be attached by `uprobe_multi`.
pub(super) struct NewProgram<'a> {
    /// The kernel keeps 15 bytes of it.
    pub(super) name: &'a str,
    pub(super) license: &'a CStr,
    pub(super) instructions: &'a [bpf_insn],
    pub(super) is_sleepable: bool,
    /// What its functions are like: loops by callback need it.
    pub(super) types: Option<Types<'a>>,
}

/// Type information of a program.
pub(super) struct Types<'a> {
    pub(super) descriptor: BorrowedFd<'a>,
    pub(super) functions: Records<'a>,
    pub(super) lines: Records<'a>,
}

/// Records of one size.
#[derive(Clone, Copy)]
pub(super) struct Records<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) count: usize,
    /// Bytes of one of them; 0 when there are none.
    pub(super) size: usize,
}

/// Loads a program. The verifier's words are put into `log`, as much as there is room for, when it is
/// not empty.
pub(super) fn load_program(program: &NewProgram<'_>, log: &mut [u8]) -> io::Result<OwnedFd> {
    let NewProgram { name, license, instructions, is_sleepable, types } = program;
    let mut attributes = no_attributes();
    // SAFETY: this part consists of integers: whatever its bytes are, it has a value.
    let load = unsafe { &mut attributes.__bindgen_anon_3 };
    load.prog_type = bpf_prog_type::BPF_PROG_TYPE_KPROBE as u32;
    load.expected_attach_type = bpf_attach_type::BPF_TRACE_UPROBE_MULTI as u32;
    load.insns = address(instructions);
    load.insn_cnt = length(instructions.len());
    load.license = license.as_ptr() as u64;
    load.prog_flags = if *is_sleepable { BPF_F_SLEEPABLE } else { 0 };
    // The last byte stays zero.
    let places = load.prog_name.len().saturating_sub(1);
    for (place, byte) in load.prog_name.iter_mut().take(places).zip(name.bytes()) {
        *place = byte.cast_signed();
    }
    if let Some(Types { descriptor, functions, lines }) = types {
        load.prog_btf_fd = number(descriptor);
        load.func_info = address(functions.bytes);
        load.func_info_cnt = length(functions.count);
        load.func_info_rec_size = length(functions.size);
        load.line_info = address(lines.bytes);
        load.line_info_cnt = length(lines.count);
        load.line_info_rec_size = length(lines.size);
    }
    if !log.is_empty() {
        load.log_level = LOG_OF_STEPS;
        load.log_buf = log.as_mut_ptr() as u64;
        load.log_size = length(log.len());
    }
    // SAFETY: every address in the attributes is that of a slice or a string of `program` or `log`,
    // with its length; all of them live through the call, and only `log` is written.
    unsafe { call(bpf_cmd::BPF_PROG_LOAD, &attributes) }
}

/// Loads type information of programs.
pub(super) fn load_types(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut attributes = no_attributes();
    // SAFETY: this part consists of integers: whatever its bytes are, it has a value.
    let load = unsafe { &mut attributes.__bindgen_anon_7 };
    load.btf = address(bytes);
    load.btf_size = length(bytes.len());
    // SAFETY: the only address is that of a slice, with its length, which lives through the call and
    // is not written.
    unsafe { call(bpf_cmd::BPF_BTF_LOAD, &attributes) }
}

/// Has a program run at places of a file, in every process: offsets in the file, and as many cookies.
pub(super) fn link_to_file(
    program: BorrowedFd<'_>,
    path: &CStr,
    offsets: &[u64],
    cookies: &[u64],
    on_return: bool,
) -> io::Result<OwnedFd> {
    if offsets.len() != cookies.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut attributes = no_attributes();
    // SAFETY: this part consists of integers: whatever its bytes are, it has a value.
    let link = unsafe { &mut attributes.link_create };
    link.__bindgen_anon_1.prog_fd = number(&program);
    link.attach_type = bpf_attach_type::BPF_TRACE_UPROBE_MULTI as u32;
    // SAFETY: as above.
    let many = unsafe { &mut link.__bindgen_anon_3.uprobe_multi };
    many.path = path.as_ptr() as u64;
    many.offsets = address(offsets);
    many.cookies = address(cookies);
    many.cnt = length(offsets.len());
    many.flags = if on_return { BPF_F_UPROBE_MULTI_RETURN } else { 0 };
    // SAFETY: the path ends with a zero, both slices have as many elements as is said, all of them live
    // through the call, and none is written.
    unsafe { call(bpf_cmd::BPF_LINK_CREATE, &attributes) }
}

fn no_attributes() -> bpf_attr {
    // SAFETY: a union of structures of integers, for all of which zero is a value. The kernel wants
    // those to be zero that a call does not know.
    unsafe { mem::zeroed() }
}

/// # Safety
///
/// The addresses in the attributes must be as the command takes them, and the command must be one that
/// gives a new descriptor.
unsafe fn call(command: bpf_cmd, attributes: &bpf_attr) -> io::Result<OwnedFd> {
    let command = command as libc::c_long;
    for _ in 0..ATTEMPTS {
        // SAFETY: the attributes have the size that is said; the rest is the caller's promise.
        let descriptor = unsafe {
            libc::syscall(libc::SYS_bpf, command, &raw const *attributes, size_of::<bpf_attr>())
        };
        match i32::try_from(descriptor) {
            // SAFETY: the kernel just made it, and nobody else has it.
            Ok(descriptor @ 0..) => return Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
            _ => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::WouldBlock {
                    return Err(error);
                }
            }
        }
    }
    Err(io::ErrorKind::WouldBlock.into())
}

fn address<T>(slice: &[T]) -> u64 {
    slice.as_ptr() as u64
}

fn number(descriptor: &BorrowedFd<'_>) -> u32 {
    descriptor.as_raw_fd().cast_unsigned()
}

/// Nothing that is passed here comes near the bound; a wrong length is refused by the kernel.
fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// `BPF_LOG_LEVEL1` of include/linux/bpf_verifier.h.
const LOG_OF_STEPS: u32 = 1;

/// The verifier gives up for a moment when a signal is waiting.
const ATTEMPTS: u32 = 10;
