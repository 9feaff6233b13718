//! Programs on uprobes must stay clear of private stacks.
//!
//! From 6.13 on, the kernel moves a frame of 64 bytes or more of a program on a uprobe to memory of
//! the CPU. Such programs can be preempted, and whichever runs next on the CPU overwrites the frame:
//! hosts have crashed of it. Depths are rounded up to 16 bytes, so 48 is the most that is safe.

use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SymbolKind};

const MAX_STACK_BYTES: i32 = 48;

#[test]
fn no_function_that_a_uprobe_can_reach_has_a_large_frame() {
    if mop_probe::KERNEL_PROGRAMS.is_empty() {
        eprintln!("SKIPPED: this build has no kernel programs");
        return;
    }
    let file = object::File::parse(mop_probe::KERNEL_PROGRAMS).expect("an ELF file");
    let mut functions = 0;
    for symbol in file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text) {
        let section = symbol
            .section_index()
            .and_then(|index| file.section_by_index(index).ok())
            .expect("a function is in a section");
        // Tracepoints run with preemption off. What they share with uprobes is in `.text`.
        let section_name = section.name().expect("named");
        if section_name.starts_with("tp_btf") || section_name.starts_with("tracepoint") {
            continue;
        }
        let code = section.data().expect("readable");
        let start = usize::try_from(symbol.address()).expect("small");
        let end = start + usize::try_from(symbol.size()).expect("small");
        let depth = frame_bytes(&code[start..end]);
        let name = symbol.name().expect("named");
        assert!(depth <= MAX_STACK_BYTES, "{name} has a frame of {depth} bytes");
        functions += 1;
    }
    assert!(functions > 10, "only {functions} functions were looked at");
}

/// How far below the frame pointer, register 10, a function reaches.
fn frame_bytes(code: &[u8]) -> i32 {
    let mut holds_frame = [false; 16];
    let mut depth = 0;
    for instruction in code.chunks_exact(8) {
        let operation = instruction[0];
        let destination = usize::from(instruction[1] & 0xf);
        let source = usize::from(instruction[1] >> 4);
        let offset = i32::from(i16::from_le_bytes([instruction[2], instruction[3]]));
        let immediate = i32::from_le_bytes(instruction[4..8].try_into().expect("four bytes"));
        match operation & 0x07 {
            LOAD if source == FRAME => depth = depth.max(-offset),
            STORE | STORE_REGISTER if destination == FRAME => depth = depth.max(-offset),
            ARITHMETIC_64 if operation == MOVE_REGISTER => {
                holds_frame[destination] = source == FRAME;
            }
            ARITHMETIC_64 if operation == ADD_IMMEDIATE && holds_frame[destination] => {
                depth = depth.max(-immediate);
                holds_frame[destination] = false;
            }
            _ => {}
        }
    }
    depth
}

const FRAME: usize = 10;
const LOAD: u8 = 0x01;
const STORE: u8 = 0x02;
const STORE_REGISTER: u8 = 0x03;
const ARITHMETIC_64: u8 = 0x07;
const MOVE_REGISTER: u8 = 0xbf;
const ADD_IMMEDIATE: u8 = 0x07;
