//! BoringSSL inside a program without names of functions, such as a release of Envoy.
//!
//! Its functions report an error by `ERR_put_error(library, 0, reason, file, line)`, and the name of
//! the file survives stripping. Which reasons a function of `ssl_lib.cc` reports tells it from others:
//!
//! ```text
//! SSL_write            not called for, uninitialized, handshake failed; some versions: bad length
//! ssl_read_impl        uninitialized, handshake failed; never: not called for
//! SSL_read, SSL_peek   not called for, and nothing else; both call ssl_read_impl, and only the
//!                      first shortens the span that it copied from
//! SSL_new              no context, and nothing else; an object that it cannot finish is destroyed
//! SSL_free             calls that same destructor, then the same function to free the memory
//! ```
//!
//! Where functions begin and end is in the table that unwinding needs. A wrong place for a probe is
//! worse than none: each of these must be true of exactly one function, or nothing is probed. So it is
//! when a compiler has put a copy of one of them into another function, whose calls would be missed.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    ops::Range,
};

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess,
    OpKind, Register,
};
use memchr::{memchr_iter, memmem};
use object::{Object as _, ObjectSection as _};

use crate::{elf, site};

/// The functions of a BoringSSL without names; none when the file has no BoringSSL inside.
///
/// Takes some milliseconds for each hundred megabytes of constants and, where BoringSSL is inside, a
/// tenth of a second for each hundred megabytes of code.
///
/// # Errors
///
/// A text that says which function cannot be told from all others.
pub(super) fn functions(data: &[u8]) -> Result<Vec<(&'static str, elf::Function<'_>)>, String> {
    let Ok(file) = object::File::parse(data) else { return Ok(Vec::new()) };
    if file.architecture() != object::Architecture::X86_64 {
        return Ok(Vec::new());
    }
    let Some(source) = Section::of(&file, ".rodata").and_then(|it| it.source_file()) else {
        return Ok(Vec::new());
    };
    let source = source?;
    let program = Program::of(&file).ok_or("it has no table of its functions")?;
    let reporting = program.reporting(source)?;
    // A text that looks so, such as the one that is searched for.
    if reporting.iter().all(|one| one.reasons.is_empty()) {
        return Ok(Vec::new());
    }
    let sites = program.sites(&reporting)?;
    let located = |(name, range): (&'static str, Range<u64>)| {
        let length = range.end.checked_sub(range.start)?;
        Some((name, elf::locate(&file, range.start, length)?))
    };
    let found: Option<Vec<_>> = sites.into_iter().map(located).collect();
    found.ok_or_else(|| "its code is not where its segments say".to_owned())
}

/// The code of a file and the table of its functions.
struct Program<'data> {
    text: Section<'data>,
    /// `.eh_frame_hdr`
    table: Section<'data>,
    /// `.eh_frame`
    frames: Section<'data>,
}

impl<'data> Program<'data> {
    fn of(file: &object::File<'data>) -> Option<Self> {
        let text = Section::of(file, ".text")?;
        let table = Section::of(file, ".eh_frame_hdr")?;
        let is_usable = text.bytes.len() <= MAX_CODE_BYTES && table.bytes.starts_with(&TABLE_HEAD);
        is_usable.then_some(Self { text, table, frames: Section::of(file, ".eh_frame")? })
    }

    /// Names and ranges of addresses of the functions in question.
    fn sites(&self, reporting: &[Reporting]) -> Result<[(&'static str, Range<u64>); 3], String> {
        let only = |name: &str, is_it: &dyn Fn(&Reporting) -> bool| {
            single(reporting.iter().filter(|one| is_it(one)))
                .ok_or_else(|| format!("its {name} cannot be told from other functions"))
        };
        let all_of_write = BTreeSet::from([NOT_CALLED_FOR, UNINITIALIZED, HANDSHAKE_FAILED]);
        let write = only("SSL_write", &|one| one.reasons.is_superset(&all_of_write))?;
        if write.reasons.difference(&all_of_write).any(|&reason| reason != BAD_LENGTH) {
            return Err("its SSL_write is part of another function".to_owned());
        }
        let inner_read = only("ssl_read_impl", &|one| {
            one.reasons.is_superset(&BTreeSet::from([UNINITIALIZED, HANDSHAKE_FAILED]))
                && !one.reasons.contains(&NOT_CALLED_FOR)
        })?;
        let new = only("SSL_new", &|one| one.reasons == BTreeSet::from([NO_CONTEXT]))?;
        let readers = self
            .callers(inner_read.code.range.start)
            .ok_or("its ssl_read_impl is called from too many places")?;
        let reads = |one: &Reporting| one.reasons == BTreeSet::from([NOT_CALLED_FOR]);
        let is_known = |start: &u64| {
            reporting.iter().any(|one| {
                let shuts_down = one.reasons.contains(&DATA_ON_SHUTDOWN);
                one.code.range.start == *start && (reads(one) || shuts_down)
            })
        };
        if !readers.iter().all(is_known) {
            return Err("its SSL_read is part of another function".to_owned());
        }
        let read = only("SSL_read", &|one| {
            reads(one) && readers.contains(&one.code.range.start) && one.code.shortens_a_span()
        })?;
        let destructor = self.destructor(&new.code).ok_or("its SSL_free cannot be told")?;
        Ok([
            ("SSL_read", read.code.range.clone()),
            ("SSL_write", write.code.range.clone()),
            ("SSL_free", destructor),
        ])
    }

    /// The functions that report errors with this address as the name of the file. One of which it is
    /// not known which errors these are has none.
    fn reporting(&self, source: u64) -> Result<Vec<Reporting>, String> {
        let mut places: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for (count, place) in self.text.references(source).enumerate() {
            if count == MAX_PLACES {
                return Err(format!("more than {MAX_PLACES} places in it report errors"));
            }
            let Some(range) = self.function_at(place) else { continue };
            places.entry(range.start).or_default().push(place);
        }
        let known = places.iter().filter_map(|(start, places)| {
            let code = self.code(&self.function_at(*start)?)?;
            let reasons: Option<BTreeSet<u64>> =
                places.iter().map(|place| code.reason(*place)).collect();
            Some(Reporting { reasons: reasons.unwrap_or_default(), code })
        });
        Ok(known.collect())
    }

    /// What destroys an object, by what `SSL_new` does to one that it cannot finish, and by a
    /// `SSL_free` that does the same to its argument. It is called for every object that ends.
    fn destructor(&self, new: &Code) -> Option<Range<u64>> {
        let object = new.result()?;
        let ends: HashSet<End> = new.ends_of(object).collect();
        let end = single(ends.into_iter())?;
        let callers = self.callers(end.destructor)?;
        let frees = callers.into_iter().filter_map(|start| {
            let code = self.code(&self.function_at(start)?)?;
            code.is_a_free(end).then_some(start)
        });
        single(frees)?;
        self.function_at(end.destructor).filter(|range| range.start == end.destructor)
    }

    /// The functions that call an address directly. `None` when they are too many to look at.
    fn callers(&self, target: u64) -> Option<BTreeSet<u64>> {
        let mut callers = BTreeSet::new();
        let calls = self.text.operands(CALL, 1).filter(|(_, to)| *to == target);
        for (count, (place, _)) in calls.enumerate() {
            (count < MAX_PLACES).then_some(())?;
            let Some(range) = self.function_at(place) else { continue };
            let Some(code) = self.code(&range) else { continue };
            if code.at(place).and_then(|number| code.instructions.get(number)).is_some_and(is_call)
            {
                callers.insert(range.start);
            }
        }
        Some(callers)
    }

    fn code(&self, range: &Range<u64>) -> Option<Code> {
        let from = usize::try_from(range.start.checked_sub(self.text.address)?).ok()?;
        let to = usize::try_from(range.end.checked_sub(self.text.address)?).ok()?;
        let bytes = self.text.bytes.get(from..to).filter(|it| it.len() <= MAX_FUNCTION_BYTES)?;
        Code::decode(range.clone(), bytes)
    }

    /// The function around an address, by the table of a binary search that the Linux Standard Base
    /// describes (`.eh_frame_hdr`): beginnings of functions in order, each with its frame description,
    /// which has its length.
    fn function_at(&self, address: u64) -> Option<Range<u64>> {
        let entries = self.table.bytes.get(TABLE_HEAD_BYTES..)?;
        let start_of = |entry: &[u8]| self.table.address.checked_add_signed(offset(entry, 0)?);
        let (mut low, mut high) = (0, entries.len() / TABLE_ENTRY_BYTES);
        let entry_at = |number: usize| {
            let from = number.checked_mul(TABLE_ENTRY_BYTES)?;
            entries.get(from..from.checked_add(TABLE_ENTRY_BYTES)?)
        };
        while low < high {
            let middle = low + (high - low) / 2;
            if start_of(entry_at(middle)?)? <= address {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let entry = entry_at(low.checked_sub(1)?)?;
        let start = start_of(entry)?;
        let frame = self.table.address.checked_add_signed(offset(entry, 4)?)?;
        let inside = usize::try_from(frame.checked_sub(self.frames.address)?).ok()?;
        let frame_bytes = self.frames.bytes.get(inside..)?;
        // That it says the same beginning shows in which form it says it.
        let said = frame.checked_add(8)?.checked_add_signed(offset(frame_bytes, 8)?)?;
        let length = u32::from_le_bytes(*frame_bytes.get(12..)?.first_chunk()?);
        let end = start.checked_add(u64::from(length))?;
        (said == start && address < end).then_some(start..end)
    }
}

/// A function that reports errors.
struct Reporting {
    code: Code,
    /// Empty when not all of them are known.
    reasons: BTreeSet<u64>,
}

/// A part of a file, and where it is in memory.
#[derive(Clone, Copy)]
struct Section<'data> {
    address: u64,
    bytes: &'data [u8],
}

impl<'data> Section<'data> {
    fn of(file: &object::File<'data>, name: &str) -> Option<Self> {
        let section = file.section_by_name(name)?;
        Some(Self { address: section.address(), bytes: section.data().ok()? })
    }

    /// Address of the path of BoringSSL's file among the constants. `None` when it is not there.
    fn source_file(self) -> Option<Result<u64, String>> {
        let mut places = memmem::find_iter(self.bytes, SOURCE_FILE);
        let place = places.next()?;
        if places.next().is_some() {
            return Some(Err("there is more than one BoringSSL in it".to_owned()));
        }
        let path = self.bytes.get(..place).unwrap_or_default();
        let inside = path.iter().rposition(|&byte| byte == 0).map_or(0, |before| before + 1);
        Some(Ok(self.address.saturating_add(inside as u64)))
    }

    /// Addresses at which code loads this address relative to itself (`lea`), and now and then others
    /// whose bytes only look so.
    fn references(self, target: u64) -> impl Iterator<Item = u64> {
        let loads = self.operands(LOAD_ADDRESS, 2).filter(move |(_, to)| *to == target);
        loads.filter_map(move |(place, _)| {
            let start = place.checked_sub(1)?;
            let inside = usize::try_from(start.checked_sub(self.address)?).ok()?;
            let [prefix, _, operand] = *self.bytes.get(inside..)?.first_chunk()?;
            (matches!(prefix, 0x48 | 0x4c) && operand & 0xc7 == 0x05).then_some(start)
        })
    }

    /// Where a byte occurs, and what four bytes at this distance from it would refer to.
    fn operands(self, byte: u8, distance: usize) -> impl Iterator<Item = (u64, u64)> {
        memchr_iter(byte, self.bytes).filter_map(move |inside| {
            let end = inside.checked_add(distance + 4)?;
            let target = offset(self.bytes.get(inside..)?, distance)?;
            let here = self.address.checked_add(inside as u64)?;
            Some((here, self.address.checked_add(end as u64)?.checked_add_signed(target)?))
        })
    }
}

/// The instructions of a function.
struct Code {
    range: Range<u64>,
    instructions: Vec<Instruction>,
    /// Addresses that its jumps lead to.
    targets: HashSet<u64>,
}

/// How an object ends: a call with it, then another one or a jump with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct End {
    destructor: u64,
    free: u64,
}

impl Code {
    /// `None` when these are no instructions.
    fn decode(range: Range<u64>, bytes: &[u8]) -> Option<Self> {
        let decoder = Decoder::with_ip(64, bytes, range.start, DecoderOptions::NONE);
        let instructions: Vec<Instruction> = decoder.into_iter().collect();
        if instructions.iter().any(Instruction::is_invalid) {
            return None;
        }
        let jumps = instructions.iter().filter(|it| it.is_jcc_short_or_near() || is_jump(it));
        let targets = jumps.map(Instruction::near_branch_target).collect();
        Some(Self { range, instructions, targets })
    }

    /// Why the error is reported that the address of the file is loaded for at this place: the third
    /// argument of the call that follows. `None` when that is not certain.
    fn reason(&self, place: u64) -> Option<u64> {
        let mut info = InstructionInfoFactory::new();
        let load = self.at(place)?;
        let mut number = self.straight_way_to(load);
        let (mut library, mut reason, mut is_told) = (None, None, false);
        let mut jumps = 0;
        loop {
            let instruction = self.instructions.get(number)?;
            // What was set before it may be otherwise for who jumps here.
            if number <= load && jumps == 0 && self.targets.contains(&instruction.ip()) {
                (library, reason) = (None, None);
            }
            match instruction.flow_control() {
                FlowControl::Call if is_call(instruction) => break,
                FlowControl::UnconditionalBranch if is_jump(instruction) && jumps < MAX_JUMPS => {
                    jumps += 1;
                    number = self.at(instruction.near_branch_target())?;
                    continue;
                }
                FlowControl::Next => {}
                _ => return None,
            }
            let mut sets = |register| site::writes_any(&mut info, instruction, &[register]);
            if sets(Register::RDI) {
                library = constant(instruction);
            }
            if sets(Register::RDX) {
                reason = constant(instruction);
            }
            if sets(Register::RCX) {
                is_told = instruction.ip() == place;
            }
            number += 1;
        }
        (is_told && library == Some(TLS_ERRORS)).then_some(reason).flatten()
    }

    /// Whether it writes a pointer and, next to it, a length, both of which it also reads, in memory
    /// that is not its own.
    fn shortens_a_span(&self) -> bool {
        let mut info = InstructionInfoFactory::new();
        let (mut read, mut written) = (HashSet::new(), HashSet::new());
        for instruction in &self.instructions {
            for memory in info.info(instruction).used_memory() {
                let is_own = matches!(memory.base(), Register::RSP | Register::RBP);
                let is_word = memory.memory_size().size() == WORD_BYTES;
                if is_own || !is_word || memory.index() != Register::None {
                    continue;
                }
                let place = (memory.base(), memory.displacement());
                if matches!(memory.access(), OpAccess::Read | OpAccess::ReadWrite) {
                    read.insert(memory.displacement());
                }
                if matches!(memory.access(), OpAccess::Write | OpAccess::ReadWrite) {
                    written.insert(place);
                }
            }
        }
        written.iter().any(|&(base, pointer)| {
            let length = pointer.wrapping_add(WORD_BYTES as u64);
            written.contains(&(base, length)) && read.contains(&pointer) && read.contains(&length)
        })
    }

    /// The register that holds what it returns, at every return.
    fn result(&self) -> Option<Register> {
        let mut info = InstructionInfoFactory::new();
        let mut sources = HashSet::new();
        for (number, instruction) in self.instructions.iter().enumerate() {
            if instruction.flow_control() != FlowControl::Return {
                continue;
            }
            let way = self.instructions.get(self.straight_way_to(number)..number)?;
            let mut setters =
                way.iter().rev().filter(|it| site::writes_any(&mut info, it, &[Register::RAX]));
            sources.insert(copied(setters.next()?, Register::RAX)?);
        }
        single(sources.into_iter())
    }

    /// How it ends the object in a register.
    fn ends_of(&self, object: Register) -> impl Iterator<Item = End> {
        let calls = self.instructions.iter().enumerate().filter(|(_, it)| is_call(it));
        calls.filter_map(move |(number, call)| {
            self.passes(number, object).then_some(())?;
            Some(End { destructor: call.near_branch_target(), free: self.next(number, object)? })
        })
    }

    /// Whether it does nothing but end its argument in this way, unless that is null.
    fn is_a_free(&self, end: End) -> bool {
        let mut info = InstructionInfoFactory::new();
        let ends = |it: &Instruction| is_call(it) && it.near_branch_target() == end.destructor;
        let Some(call) = self.instructions.iter().position(ends) else { return false };
        let before = self.instructions.get(..call).unwrap_or_default();
        let looks_first = before.first().is_some_and(|it| {
            it.mnemonic() == Mnemonic::Test
                && it.op0_register() == Register::RDI
                && it.op1_register() == Register::RDI
        });
        let is_argument =
            !before.iter().any(|it| site::writes_any(&mut info, it, &[Register::RDI]));
        let kept = before
            .iter()
            .find(|it| it.mnemonic() == Mnemonic::Mov && it.op1_register() == Register::RDI);
        let freed = kept.and_then(|kept| self.next(call, kept.op0_register()));
        looks_first && is_argument && freed == Some(end.free)
    }

    /// The function that is called, or jumped to, directly behind a call, with this register as first
    /// argument.
    fn next(&self, call: usize, argument: Register) -> Option<u64> {
        let behind = self.instructions.get(call.checked_add(1)?..)?;
        let steps = behind.iter().position(|it| it.flow_control() != FlowControl::Next)?;
        let number = call + 1 + steps;
        let next = self.instructions.get(number)?;
        let is_it = (is_call(next) || is_jump(next)) && self.passes(number, argument);
        is_it.then(|| next.near_branch_target())
    }

    /// Whether every way to this instruction copies a register to the first argument last.
    fn passes(&self, number: usize, register: Register) -> bool {
        let mut info = InstructionInfoFactory::new();
        let first = self.straight_way_to(number);
        let mut number = number;
        while number > first {
            if self.instructions.get(number).is_none_or(|it| self.targets.contains(&it.ip())) {
                return false;
            }
            number -= 1;
            let Some(instruction) = self.instructions.get(number) else { return false };
            if site::writes_any(&mut info, instruction, &[Register::RDI]) {
                return copied(instruction, Register::RDI) == Some(register);
            }
        }
        false
    }

    /// Number of the first of the instructions that run one after the other up to this one.
    fn straight_way_to(&self, number: usize) -> usize {
        let before = self.instructions.get(..number).unwrap_or_default();
        let is_straight = |it: &&Instruction| it.flow_control() == FlowControl::Next;
        number - before.iter().rev().take_while(is_straight).count()
    }

    fn at(&self, address: u64) -> Option<usize> {
        self.instructions.binary_search_by_key(&address, Instruction::ip).ok()
    }
}

/// `call` of an address.
fn is_call(instruction: &Instruction) -> bool {
    instruction.is_call_near()
}

/// `jmp` to an address.
fn is_jump(instruction: &Instruction) -> bool {
    instruction.is_jmp_short_or_near()
}

/// What an instruction sets its register to, when that is a number.
fn constant(instruction: &Instruction) -> Option<u64> {
    let is_constant = instruction.mnemonic() == Mnemonic::Mov
        && matches!(instruction.op1_kind(), OpKind::Immediate32 | OpKind::Immediate32to64);
    is_constant.then(|| instruction.immediate(1))
}

/// The register that an instruction copies to another one.
fn copied(instruction: &Instruction, to: Register) -> Option<Register> {
    let is_copy = instruction.mnemonic() == Mnemonic::Mov
        && instruction.op0_register() == to
        && instruction.op1_kind() == OpKind::Register;
    is_copy.then(|| instruction.op1_register())
}

/// The one item there is.
fn single<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    let first = items.next()?;
    items.next().is_none().then_some(first)
}

/// A signed number of four bytes at a place.
fn offset(bytes: &[u8], at: usize) -> Option<i64> {
    bytes.get(at..)?.first_chunk().map(|bytes| i64::from(i32::from_le_bytes(*bytes)))
}

/// The end of the path, with the zero that ends the string.
const SOURCE_FILE: &[u8] = b"ssl/ssl_lib.cc\0";

// include/openssl/err.h and ssl.h of BoringSSL; reasons never change their number.
const TLS_ERRORS: u64 = 16;
const NOT_CALLED_FOR: u64 = 66;
const BAD_LENGTH: u64 = 111;
const NO_CONTEXT: u64 = 185;
const HANDSHAKE_FAILED: u64 = 215;
const UNINITIALIZED: u64 = 226;
const DATA_ON_SHUTDOWN: u64 = 291;

/// `lea`, behind a prefix.
const LOAD_ADDRESS: u8 = 0x8d;
/// `call` of an address.
const CALL: u8 = 0xe8;

/// Version 1, and how what follows is written: relative to itself, as a count, relative to the table.
const TABLE_HEAD: [u8; 4] = [1, 0x1b, 0x03, 0x3b];
/// It, the address of the frames, and the count.
const TABLE_HEAD_BYTES: usize = 12;
const TABLE_ENTRY_BYTES: usize = 8;
const WORD_BYTES: usize = 8;

/// Envoy has 65 MiB of code, a browser 200.
const MAX_CODE_BYTES: usize = 512 << 20;
/// The functions in question have at most 3000.
const MAX_FUNCTION_BYTES: usize = 32 << 10;
/// Some fifty places of `ssl_lib.cc` report errors, and five call the functions in question.
const MAX_PLACES: usize = 1024;
/// Compilers share the ends of calls.
const MAX_JUMPS: usize = 2;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// One that has its names, and so tells what is right.
    const NAMED: &str = "/usr/lib/x86_64-linux-gnu/android/libssl.so.0";

    fn named() -> Option<Vec<u8>> {
        let data = fs::read(NAMED).ok();
        if data.is_none() {
            eprintln!("SKIPPED: there is no {NAMED}");
        }
        data
    }

    #[test]
    fn functions_are_found_where_their_names_say() {
        let Some(data) = named() else { return };
        let found = functions(&data).expect("BoringSSL");
        let names = ["SSL_read", "SSL_write", "SSL_free"];
        let right = elf::functions(&data, &names).expect("an ELF file");
        let place = |name: &str| {
            let it = found.iter().find(|it| it.0 == name);
            it.map(|it| it.1.clone()).expect("found")
        };
        let right: Vec<_> = right.into_iter().map(|it| it.expect("it is named")).collect();
        assert_eq!(place("SSL_read").file_offset, right[0].file_offset);
        assert_eq!(place("SSL_write").file_offset, right[1].file_offset);
        assert_eq!(place("SSL_read").code, right[0].code);
        // The destructor is what SSL_free calls first.
        let free = &right[2];
        let decoder = Decoder::with_ip(64, free.code, free.file_offset, DecoderOptions::NONE);
        let call = decoder.into_iter().find(is_call).expect("it calls");
        assert_eq!(place("SSL_free").file_offset, call.near_branch_target());
    }

    #[test]
    fn a_file_without_boringssl_has_none() {
        let data = fs::read("/proc/self/exe").expect("readable");
        // This program has the name of the file, in the constant above, but not its code.
        assert_eq!(functions(&data), Ok(Vec::new()));
        assert_eq!(functions(b""), Ok(Vec::new()));
    }

    #[test]
    fn damage_finds_the_same_or_nothing() {
        let Some(data) = named() else { return };
        let right = functions(&data).expect("BoringSSL");
        let places = |found: &[(&'static str, elf::Function<'_>)]| {
            found.iter().map(|it| (it.0, it.1.file_offset)).collect::<Vec<_>>()
        };
        for at in (0..data.len()).step_by(data.len() / 400) {
            let mut bad = data.clone();
            bad[at] ^= 0x55;
            if let Ok(found) = functions(&bad)
                && !found.is_empty()
            {
                assert_eq!(places(&found), places(&right), "at {at}");
            }
        }
        for length in (0..data.len()).step_by(data.len() / 100) {
            let _ = functions(&data[..length]);
        }
    }
}
