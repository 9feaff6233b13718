//! Where in a function a probe costs least.
//!
//! A uprobe replaces an instruction by a breakpoint. The kernel then runs the original instruction
//! in one of two ways: it *emulates* a few kinds (`nop`, `push`, `call`, `jmp`, `jcc`), and
//! *single-steps* a copy of all others, which takes a second trap and, on a virtual machine, about
//! ten times as long. Libraries' functions mostly begin with an instruction of the second kind.
//!
//! The planner looks for an *entry site*, the first emulated instruction that every call passes
//! once with its arguments still in their registers, and for *exit sites*, emulated instructions
//! that every return passes once with the return value in its register: the `jne` of the stack
//! protector. What it cannot prove it does not use: the caller then falls back to the function's
//! first instruction and its return address.

use std::collections::HashSet;

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic,
    OpAccess, OpKind, Register,
};

/// Where to probe a function; offsets are relative to its first byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// An emulated instruction that every call passes once, arguments intact.
    pub entry: u64,
    /// Emulated instructions of which every return passes exactly one, result in place.
    pub exits: Vec<u64>,
}

/// Looks for sites in the code of a function whose first `arguments` (at most four) integer
/// arguments are needed. `None` when it has none that are provably right.
#[must_use]
pub fn plan(code: &[u8], arguments: usize) -> Option<Plan> {
    if code.is_empty() || code.len() > MAX_FUNCTION_BYTES {
        return None;
    }
    let instructions: Vec<Instruction> =
        Decoder::with_ip(64, code, 0, DecoderOptions::NONE).into_iter().collect();
    if instructions.iter().any(Instruction::is_invalid) {
        return None;
    }
    let targets = branch_targets(&instructions, code.len() as u64)?;
    let entry = entry_site(&instructions, &targets, arguments)?;
    let exits = exit_sites(&instructions, &targets)?;
    Some(Plan { entry, exits })
}

/// Where the entry of a function costs least, when its end does not matter: an emulated instruction
/// that every call passes once with the first `arguments` (at most four) integer arguments intact.
#[must_use]
pub fn entry(code: &[u8], arguments: usize) -> Option<u64> {
    if code.is_empty() || code.len() > MAX_FUNCTION_BYTES {
        return None;
    }
    let instructions: Vec<Instruction> =
        Decoder::with_ip(64, code, 0, DecoderOptions::NONE).into_iter().collect();
    // A way out, such as a call of another function at the end, is no way back onto the first
    // instructions; one that cannot be followed may be.
    let mut targets = HashSet::new();
    for instruction in &instructions {
        match instruction.flow_control() {
            FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch => {
                targets.insert(instruction.near_branch_target());
            }
            FlowControl::IndirectBranch => return None,
            _ => {}
        }
    }
    entry_site(&instructions, &targets, arguments)
}

/// Targets of the jumps inside a function. `None` when one leaves it or cannot be followed: then
/// there are ways out that are not returns, or ways in that are not seen.
fn branch_targets(instructions: &[Instruction], length: u64) -> Option<HashSet<u64>> {
    let mut targets = HashSet::new();
    for instruction in instructions {
        match instruction.flow_control() {
            FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch => {
                let target = instruction.near_branch_target();
                if target >= length || instruction.op0_kind() != OpKind::NearBranch64 {
                    return None;
                }
                targets.insert(target);
            }
            FlowControl::IndirectBranch
            | FlowControl::XbeginXabortXend
            | FlowControl::Exception => {
                return None;
            }
            FlowControl::Next
            | FlowControl::Return
            | FlowControl::Call
            | FlowControl::IndirectCall
            | FlowControl::Interrupt => {}
        }
    }
    Some(targets)
}

/// The first emulated instruction on the straight way from the entry, when nothing jumps onto that
/// way and no needed argument was overwritten on it.
fn entry_site(
    instructions: &[Instruction],
    targets: &HashSet<u64>,
    arguments: usize,
) -> Option<u64> {
    let needed = ARGUMENT_REGISTERS.get(..arguments)?;
    let mut info = InstructionInfoFactory::new();
    for instruction in instructions {
        if targets.contains(&instruction.ip()) {
            return None;
        }
        if is_emulated(instruction) {
            return Some(instruction.ip());
        }
        if instruction.flow_control() != FlowControl::Next {
            return None;
        }
        if writes_any(&mut info, instruction, needed) {
            return None;
        }
    }
    None
}

/// For every `ret`, the stack protector's `jne` in front of it.
fn exit_sites(instructions: &[Instruction], targets: &HashSet<u64>) -> Option<Vec<u64>> {
    let mut info = InstructionInfoFactory::new();
    let mut exits = Vec::new();
    for (number, instruction) in instructions.iter().enumerate() {
        if instruction.flow_control() != FlowControl::Return {
            continue;
        }
        let before = instructions.get(..number)?;
        let mut inner = before.iter().rev().peekable();
        // Anything that jumps behind the site returns without passing it.
        let mut after = instruction;
        let site = loop {
            if targets.contains(&after.ip()) {
                return None;
            }
            let candidate = inner.next()?;
            if candidate.flow_control() == FlowControl::ConditionalBranch {
                break candidate;
            }
            if candidate.flow_control() != FlowControl::Next
                || writes_any(&mut info, candidate, &[Register::RAX])
            {
                return None;
            }
            after = candidate;
        };
        // The other way of the branch is the report of a smashed stack, which does not return.
        if !is_emulated(site) || !inner.next().is_some_and(compares_stack_guard) {
            return None;
        }
        exits.push(site.ip());
    }
    (!exits.is_empty()).then_some(exits)
}

/// `sub`, `xor` or `cmp` of a register with `%fs:0x28`.
fn compares_stack_guard(instruction: &Instruction) -> bool {
    matches!(instruction.mnemonic(), Mnemonic::Sub | Mnemonic::Xor | Mnemonic::Cmp)
        && instruction.memory_segment() == Register::FS
        && instruction.memory_displacement64() == STACK_GUARD_OFFSET
}

/// The kinds that arch/x86/kernel/uprobes.c emulates (`branch_setup_xol_ops`,
/// `push_setup_xol_ops`). `nop` counts only in its one-byte form, which every version emulates.
pub(crate) fn is_emulated(instruction: &Instruction) -> bool {
    match instruction.flow_control() {
        FlowControl::ConditionalBranch => {
            // jcxz and loop are conditional branches of another kind.
            matches!(instruction.op0_kind(), OpKind::NearBranch64)
                && instruction.is_jcc_short_or_near()
        }
        FlowControl::UnconditionalBranch => instruction.is_jmp_short_or_near(),
        FlowControl::Call => instruction.code() == Code::Call_rel32_64,
        FlowControl::Next => {
            let is_plain_nop = instruction.code() == Code::Nopd && instruction.len() == 1;
            is_plain_nop || instruction.code() == Code::Push_r64
        }
        FlowControl::Return
        | FlowControl::IndirectBranch
        | FlowControl::IndirectCall
        | FlowControl::Interrupt
        | FlowControl::XbeginXabortXend
        | FlowControl::Exception => false,
    }
}

/// Whether an instruction writes one of these registers, or a part of it.
pub(crate) fn writes_any(
    info: &mut InstructionInfoFactory,
    instruction: &Instruction,
    registers: &[Register],
) -> bool {
    info.info(instruction).used_registers().iter().any(|used| {
        let writes = matches!(
            used.access(),
            OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
        );
        writes && registers.contains(&used.register().full_register())
    })
}

/// System V ABI, x86-64: the first four integer arguments.
const ARGUMENT_REGISTERS: [Register; 4] =
    [Register::RDI, Register::RSI, Register::RDX, Register::RCX];

/// `__stack_chk_guard` in the thread's control block.
const STACK_GUARD_OFFSET: u64 = 0x28;

/// The functions in question have some hundred bytes; a symbol that claims more is not one.
const MAX_FUNCTION_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// The shape of `SSL_read` in a distribution's libssl 3: stack protector, one return, an error
    /// path that joins in front of the check.
    const PROTECTED: &[u8] = &[
        0x48, 0x83, 0xec, 0x18, // 00 sub $0x18,%rsp
        0x64, 0x48, 0x8b, 0x04, 0x25, 0x28, 0, 0, 0, // 04 mov %fs:0x28,%rax
        0x48, 0x89, 0x44, 0x24, 0x08, // 0d mov %rax,8(%rsp)
        0x31, 0xc0, // 12 xor %eax,%eax
        0x85, 0xd2, // 14 test %edx,%edx
        0x78, 0x19, // 16 js 31
        0xe8, 0, 0, 0, 0, // 18 call
        0x48, 0x8b, 0x54, 0x24, 0x08, // 1d mov 8(%rsp),%rdx
        0x64, 0x48, 0x2b, 0x14, 0x25, 0x28, 0, 0, 0, // 22 sub %fs:0x28,%rdx
        0x75, 0x0b, // 2b jne 38
        0x48, 0x83, 0xc4, 0x18, // 2d add $0x18,%rsp
        0xc3, // 31 ret  (the js target is moved below)
        0xb8, 0xff, 0xff, 0xff, 0xff, // 32 mov $-1,%eax
        0xeb, 0xe4, // 37 jmp 1d
        0xe8, 0, 0, 0, 0, // 39 call __stack_chk_fail
    ];

    fn protected() -> Vec<u8> {
        let mut code = PROTECTED.to_vec();
        code[0x17] = 0x32 - 0x18; // js to the error path
        code[0x2c] = 0x39 - 0x2d; // jne to the report
        code
    }

    #[test]
    fn a_protected_function_is_probed_at_its_two_branches() {
        assert_eq!(plan(&protected(), 4), Some(Plan { entry: 0x16, exits: vec![0x2b] }));
    }

    #[test]
    fn a_push_at_the_start_is_the_entry() {
        let mut code = vec![0x41, 0x54]; // push %r12
        code.extend(protected());
        let found = plan(&code, 4).expect("the rest is unchanged");
        assert_eq!(found.entry, 0);
    }

    #[test]
    fn an_overwritten_argument_rules_an_entry_out() {
        let mut code = vec![0x48, 0x89, 0xf7]; // mov %rsi,%rdi
        code.extend(protected());
        assert_eq!(plan(&code, 4), None);
    }

    #[test]
    fn a_function_without_stack_protector_has_no_exit() {
        // sub; call; add; ret
        let code = [0x48, 0x83, 0xec, 8, 0xe8, 0, 0, 0, 0, 0x48, 0x83, 0xc4, 8, 0xc3];
        assert_eq!(plan(&code, 4), None);
    }

    #[test]
    fn a_result_changed_behind_the_check_rules_an_exit_out() {
        let mut code = protected();
        code.splice(0x2d..0x2d, [0x31, 0xc0]); // xor %eax,%eax behind the jne
        code[0x17] += 2;
        code[0x2c] += 2;
        let jmp = 0x38 + 2;
        code[jmp] = 0xe4 - 2;
        assert_eq!(plan(&code, 4), None);
    }

    #[test]
    fn a_jump_behind_the_check_rules_an_exit_out() {
        let mut code = protected();
        code[0x17] = 0x2d - 0x18; // js straight to the epilogue
        assert_eq!(plan(&code, 4), None);
    }

    #[test]
    fn a_tail_call_rules_a_function_out() {
        let mut code = protected();
        code.extend([0xe9, 0, 1, 0, 0]); // jmp elsewhere
        assert_eq!(plan(&code, 4), None);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let good = protected();
        for cut in 0..good.len() {
            let _ = plan(&good[..cut], 4);
        }
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                let _ = plan(&bad, 4);
            }
        }
    }
}
