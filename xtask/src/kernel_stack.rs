//! Kernel programs on uprobes must stay clear of private stacks.
//!
//! From 6.13 on, the kernel moves a frame of 64 bytes or more of a program on a uprobe to memory of
//! the CPU. Such programs can be preempted, and whichever runs next on the CPU overwrites the frame:
//! hosts have crashed of it. Depths are rounded up to 16 bytes, so 48 is the most that is safe.
//!
//! How deep a frame is shows only in what the compiler made, and it can grow by a change far away. So a
//! build looks, and an object with a larger one is never placed where it could be loaded.

use anyhow::{Context, Result, bail};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SymbolKind};

/// Fails when a function that a uprobe can reach has a frame that is too large.
pub(crate) fn check(programs: &[u8]) -> Result<()> {
    let file = object::File::parse(programs).context("the kernel programs are not an ELF file")?;
    let mut functions = 0;
    for symbol in file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text) {
        let name = symbol.name()?;
        let index = symbol.section_index().with_context(|| format!("{name} is in no section"))?;
        let section = file.section_by_index(index)?;
        if runs_unpreempted(section.name()?) {
            continue;
        }
        let code = section
            .data_range(symbol.address(), symbol.size())?
            .with_context(|| format!("{name} reaches beyond its section"))?;
        let depth = frame_bytes(code);
        if depth > MAX_FRAME_BYTES {
            bail!(
                "{name} has a frame of {depth} bytes; a program on a uprobe may have \
                 {MAX_FRAME_BYTES}. Keep what it remembers in a map value, or move a part of it \
                 into a function that is not inlined"
            );
        }
        functions += 1;
    }
    if functions == 0 {
        bail!("the kernel programs have no function that a uprobe can reach");
    }
    Ok(())
}

/// Tracepoints run with preemption off. What they share with uprobes is in `.text`.
fn runs_unpreempted(section: &str) -> bool {
    section.starts_with("tp_btf") || section.starts_with("tracepoint")
}

/// How far below the frame pointer, register 10, a function reaches.
fn frame_bytes(code: &[u8]) -> i32 {
    let mut holds_frame = [false; 16];
    let mut depth = 0;
    for &[operation, registers, low, high, ref immediate @ ..] in code.as_chunks::<8>().0 {
        let destination = usize::from(registers & 0xf);
        let source = usize::from(registers >> 4);
        let offset = i32::from(i16::from_le_bytes([low, high]));
        match operation & 0x07 {
            LOAD if source == FRAME => depth = depth.max(-offset),
            STORE | STORE_REGISTER if destination == FRAME => depth = depth.max(-offset),
            ARITHMETIC_64 if operation == MOVE_REGISTER => {
                holds_frame[destination] = source == FRAME;
            }
            ARITHMETIC_64 if operation == ADD_IMMEDIATE && holds_frame[destination] => {
                depth = depth.max(-i32::from_le_bytes(*immediate));
                holds_frame[destination] = false;
            }
            _ => {}
        }
    }
    depth
}

const MAX_FRAME_BYTES: i32 = 48;

const FRAME: usize = 10;
const LOAD: u8 = 0x01;
const STORE: u8 = 0x02;
const STORE_REGISTER: u8 = 0x03;
const ARITHMETIC_64: u8 = 0x07;
const MOVE_REGISTER: u8 = 0xbf;
const ADD_IMMEDIATE: u8 = 0x07;

#[cfg(test)]
mod tests {
    use super::*;

    /// `*(u64 *)(r10 - 56) = r1`
    const SPILLS: [u8; 8] = [0x7b, 0x1a, 0xc8, 0xff, 0, 0, 0, 0];
    /// `r2 = r10`
    const TAKES_FRAME: [u8; 8] = [0xbf, 0xa2, 0, 0, 0, 0, 0, 0];
    /// `r2 += -64`
    const GOES_DOWN: [u8; 8] = [0x07, 0x02, 0, 0, 0xc0, 0xff, 0xff, 0xff];
    /// `r3 += -512`
    const OF_ANOTHER: [u8; 8] = [0x07, 0x03, 0, 0, 0x00, 0xfe, 0xff, 0xff];
    /// `r1 = *(u64 *)(r10 - 8)`
    const FILLS: [u8; 8] = [0x79, 0xa1, 0xf8, 0xff, 0, 0, 0, 0];
    /// `exit`
    const EXIT: [u8; 8] = [0x95, 0, 0, 0, 0, 0, 0, 0];

    #[test]
    fn a_frame_is_as_deep_as_its_deepest_use() {
        assert_eq!(frame_bytes(&EXIT), 0);
        assert_eq!(frame_bytes(&[FILLS, EXIT].concat()), 8);
        assert_eq!(frame_bytes(&[SPILLS, FILLS, EXIT].concat()), 56);
        assert_eq!(frame_bytes(&[TAKES_FRAME, GOES_DOWN, SPILLS, EXIT].concat()), 64);
    }

    #[test]
    fn other_registers_than_the_frame_pointer_are_no_stack() {
        assert_eq!(frame_bytes(&[TAKES_FRAME, OF_ANOTHER, EXIT].concat()), 0);
        assert_eq!(frame_bytes(&[GOES_DOWN, EXIT].concat()), 0);
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        assert!(check(b"\x7fELF").is_err());
    }
}
