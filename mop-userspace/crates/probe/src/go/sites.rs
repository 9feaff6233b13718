//! Where in a function of Go a probe may be.
//!
//! A probe on the return address, as C functions have it, corrupts a Go program: the runtime copies
//! stacks that grow and finds an address that is none of its own. So every `ret` instruction gets a
//! probe of its own. For that all of the function's code must be understood: each jump must stay
//! inside and lead to the beginning of an instruction.
//!
//! Nor is the first instruction a good entry. Most functions begin with a check of the stack:
//!
//! ```text
//! start: cmp rsp, [r14+0x10]
//!        jbe more
//!        push rbp              <- the entry site
//!        …
//! more:  mov [rsp+8], rax      spills the arguments
//!        call runtime.morestack_noctxt
//!        mov rax, [rsp+8]
//!        jmp start
//! ```
//!
//! A call that finds the stack too small runs the first instruction twice. Every call passes what
//! follows the check once, and there the planner takes the first instruction that the kernel
//! emulates, as [`crate::site`] explains, else the first that it single-steps without trouble.
//! Probes on sites that cannot be proven would invent calls or miss their ends, so there are none.
//!
//! Sources: `stacksplit` in <https://go.dev/src/cmd/internal/obj/x86/obj6.go>, registers in
//! <https://go.dev/src/cmd/compile/abi-internal.md>.

use iced_x86::{
    Code, Decoder, DecoderOptions, EncodingKind, FlowControl, Instruction, InstructionInfoFactory,
    Mnemonic, OpKind, Register,
};

use crate::site::{is_emulated, writes_any};

/// Where to probe a Go function; offsets are relative to its first byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// An instruction that every call passes once, before any other site, with its arguments and
    /// the current goroutine (R14) in their registers. One that the kernel emulates when there is
    /// one. How far RSP is from where it was at the first instruction differs by function.
    pub entry: u64,
    /// All `ret` instructions, in ascending order and at least one. Every return passes exactly one
    /// of them, with its results and the goroutine in their registers. The stack may have moved
    /// since the entry, so that RSP and addresses of variables are others. A call that a panic or
    /// `runtime.Goexit` ends passes none.
    pub returns: Vec<u64>,
}

/// Looks for sites in all of the code of a function, padding included, whose first `arguments`
/// integer arguments (at most nine: RAX, RBX, RCX, RDI, RSI, R8 to R11) are needed. `None` when it
/// has none that are provably right: among others when the function jumps through a register or
/// ends in another function, when its check of the stack is not that of Go 1.17 or newer for
/// x86-64, or when it has more than 64 KiB.
#[must_use]
pub fn plan(code: &[u8], arguments: usize) -> Option<Plan> {
    let needed = ARGUMENT_REGISTERS.get(..arguments)?;
    let body = Body::read(code)?;
    let returns = body.returns()?;
    let first = match body.stack_check() {
        Some(check) => body.behind(&check)?,
        None => 0,
    };
    let entry = body.entry_site(first, needed)?;
    (!returns.contains(&entry)).then_some(Plan { entry, returns })
}

/// Instructions that follow each other without gap from the first byte to the last, and all jumps
/// among them, which are all that there are.
struct Body {
    instructions: Vec<Instruction>,
    /// Ordered by where they lead.
    jumps: Vec<Jump>,
}

/// By number of instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Jump {
    from: usize,
    to: usize,
}

/// A check of the stack at the beginning of a function.
struct StackCheck {
    /// Number of its instructions.
    length: usize,
    /// Number of its jumps to `more`: two for the largest frames.
    jumps: usize,
    /// Number of the instruction where the stack is made to grow.
    more: usize,
}

impl Body {
    fn read(code: &[u8]) -> Option<Self> {
        if code.is_empty() || code.len() > MAX_FUNCTION_BYTES {
            return None;
        }
        let instructions: Vec<Instruction> =
            Decoder::with_ip(64, code, 0, DecoderOptions::NONE).into_iter().collect();
        if instructions.iter().any(Instruction::is_invalid) {
            return None;
        }
        let mut body = Self { instructions, jumps: Vec::new() };
        // It must not go on in the function behind it.
        if !body.is_never_left_forward(body.instructions.len()) {
            return None;
        }
        body.follow_jumps(code.len() as u64)?;
        Some(body)
    }

    fn follow_jumps(&mut self, length: u64) -> Option<()> {
        for (from, instruction) in self.instructions.iter().enumerate() {
            match instruction.flow_control() {
                FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch => {
                    if instruction.op0_kind() != OpKind::NearBranch64 {
                        return None;
                    }
                    let to = self.number_of(instruction.near_branch_target())?;
                    self.jumps.push(Jump { from, to });
                }
                FlowControl::Call => {
                    // A function may call itself, but a call into its middle is no call.
                    let target = instruction.near_branch_target();
                    if instruction.code() == Code::Call_rel32_64 && (1..length).contains(&target) {
                        return None;
                    }
                }
                FlowControl::IndirectBranch | FlowControl::XbeginXabortXend => return None,
                FlowControl::Return => {
                    if instruction.code() != Code::Retnq {
                        return None;
                    }
                }
                // `ud2` and `int3` stand where the compiler knows that nothing comes by.
                FlowControl::Next
                | FlowControl::IndirectCall
                | FlowControl::Interrupt
                | FlowControl::Exception => {}
            }
        }
        self.jumps.sort_unstable_by_key(|jump| (jump.to, jump.from));
        Some(())
    }

    fn returns(&self) -> Option<Vec<u64>> {
        let is_return = |it: &&Instruction| it.flow_control() == FlowControl::Return;
        let returns: Vec<u64> =
            self.instructions.iter().filter(is_return).map(Instruction::ip).collect();
        (!returns.is_empty()).then_some(returns)
    }

    /// Recognises the three checks that the assembler writes, by size of the frame.
    fn stack_check(&self) -> Option<StackCheck> {
        let (length, jumps) = match self.instructions.as_slice() {
            [compare, jump, ..] if compares_stack(compare, Register::RSP) && is_below(jump) => {
                (2, 1)
            }
            [lea, compare, jump, ..]
                if is_lea_of_stack(lea)
                    && compares_stack(compare, SCRATCH_REGISTER)
                    && is_below(jump) =>
            {
                (3, 1)
            }
            [copy, subtract, wrapped, compare, jump, ..]
                if is_copy_of_stack(copy)
                    && is_subtraction(subtract)
                    && is_wrapped(wrapped)
                    && compares_stack(compare, SCRATCH_REGISTER)
                    && is_below(jump)
                    && wrapped.near_branch_target() == jump.near_branch_target() =>
            {
                (5, 2)
            }
            _ => return None,
        };
        let jump = self.instructions.get(length - 1)?;
        Some(StackCheck { length, jumps, more: self.number_of(jump.near_branch_target())? })
    }

    /// The instruction behind a check, when every call passes from the check to it exactly once:
    /// when only the growing of the stack leads back to the check, and only the check leads there.
    fn behind(&self, check: &StackCheck) -> Option<usize> {
        let growing = self.instructions.get(check.more..)?;
        let end = growing.iter().position(|it| it.flow_control() != FlowControl::Next)?;
        let (call, back) = (growing.get(end)?, growing.get(end + 1..)?);
        let restored = back.iter().position(|it| it.flow_control() != FlowControl::Next)?;
        let last = check.more.checked_add(end)?.checked_add(restored)?.checked_add(1)?;
        let is_as_written = check.more >= check.length
            && call.code() == Code::Call_rel32_64
            && self.is_never_left_forward(check.more)
            && self.jumps_onto(0..check.length) == [Jump { from: last, to: 0 }]
            && self.jumps_onto(check.more..last.checked_add(1)?).len() == check.jumps
            && self.jumps_onto(check.more..check.more + 1).len() == check.jumps
            && back.get(restored)?.flow_control() == FlowControl::UnconditionalBranch;
        is_as_written.then_some(check.length)
    }

    /// Looks for a site on the straight way from an instruction that every call passes once.
    fn entry_site(&self, first: usize, needed: &[Register]) -> Option<u64> {
        let mut info = InstructionInfoFactory::new();
        let mut stepped = None;
        for (number, instruction) in self.instructions.iter().enumerate().skip(first) {
            if !self.jumps_onto(number..number + 1).is_empty() {
                break;
            }
            if is_emulated(instruction) {
                return Some(instruction.ip());
            }
            if stepped.is_none() && is_stepped_safely(instruction) {
                stepped = Some(instruction.ip());
            }
            if instruction.flow_control() != FlowControl::Next
                || writes_any(&mut info, instruction, needed)
                || writes_any(&mut info, instruction, &[GOROUTINE_REGISTER])
            {
                break;
            }
        }
        stepped
    }

    /// All jumps onto instructions of these numbers.
    fn jumps_onto(&self, numbers: std::ops::Range<usize>) -> &[Jump] {
        let start = self.jumps.partition_point(|jump| jump.to < numbers.start);
        let end = self.jumps.partition_point(|jump| jump.to < numbers.end);
        self.jumps.get(start..end).unwrap_or_default()
    }

    /// Number of the instruction at an offset. `None` when none begins there.
    fn number_of(&self, offset: u64) -> Option<usize> {
        self.instructions.binary_search_by_key(&offset, Instruction::ip).ok()
    }

    /// Whether what is in front of an instruction does not go on with it. A call there is one that
    /// does not return, such as that of `runtime.gopanic`; a `nop` may follow it, so that its return
    /// address is in the function.
    fn is_never_left_forward(&self, number: usize) -> bool {
        let mut before = self.instructions.iter().take(number).rev();
        let last =
            before.find(|it| it.mnemonic() != Mnemonic::Nop && it.mnemonic() != Mnemonic::Int3);
        last.is_some_and(|it| match it.flow_control() {
            FlowControl::Call => it.code() == Code::Call_rel32_64,
            FlowControl::Exception
            | FlowControl::IndirectCall
            | FlowControl::Return
            | FlowControl::UnconditionalBranch => true,
            FlowControl::ConditionalBranch
            | FlowControl::IndirectBranch
            | FlowControl::Interrupt
            | FlowControl::Next
            | FlowControl::XbeginXabortXend => false,
        })
    }
}

/// `cmp register, [r14+0x10]`: the goroutine's `stackguard0`.
fn compares_stack(instruction: &Instruction, register: Register) -> bool {
    instruction.code() == Code::Cmp_r64_rm64
        && instruction.op0_register() == register
        && instruction.op1_kind() == OpKind::Memory
        && instruction.memory_base() == GOROUTINE_REGISTER
        && instruction.memory_index() == Register::None
        && instruction.segment_prefix() == Register::None
        && instruction.memory_displacement64() == STACK_GUARD_OFFSET
}

/// `lea r12, [rsp-size]`
fn is_lea_of_stack(instruction: &Instruction) -> bool {
    instruction.code() == Code::Lea_r64_m
        && instruction.op0_register() == SCRATCH_REGISTER
        && instruction.memory_base() == Register::RSP
        && instruction.memory_index() == Register::None
}

/// `mov r12, rsp`
fn is_copy_of_stack(instruction: &Instruction) -> bool {
    instruction.mnemonic() == Mnemonic::Mov
        && instruction.op0_register() == SCRATCH_REGISTER
        && instruction.op1_register() == Register::RSP
}

/// `sub r12, size`
fn is_subtraction(instruction: &Instruction) -> bool {
    matches!(instruction.code(), Code::Sub_rm64_imm32 | Code::Sub_rm64_imm8)
        && instruction.op0_register() == SCRATCH_REGISTER
}

fn is_below(instruction: &Instruction) -> bool {
    matches!(instruction.code(), Code::Jbe_rel8_64 | Code::Jbe_rel32_64)
}

fn is_wrapped(instruction: &Instruction) -> bool {
    matches!(instruction.code(), Code::Jb_rel8_64 | Code::Jb_rel32_64)
}

/// Whether it is of the kinds that functions begin with. The kernel refuses to probe others, such as
/// those with a `lock` prefix, and has had faults with rare ones.
fn is_stepped_safely(instruction: &Instruction) -> bool {
    let is_usual = matches!(
        instruction.mnemonic(),
        Mnemonic::Add
            | Mnemonic::And
            | Mnemonic::Cmp
            | Mnemonic::Lea
            | Mnemonic::Mov
            | Mnemonic::Movq
            | Mnemonic::Movups
            | Mnemonic::Movzx
            | Mnemonic::Nop
            | Mnemonic::Or
            | Mnemonic::Sub
            | Mnemonic::Test
            | Mnemonic::Xor
            | Mnemonic::Xorps
    );
    is_usual
        && instruction.encoding() == EncodingKind::Legacy
        && !instruction.has_lock_prefix()
        && !instruction.op0_register().is_segment_register()
}

/// `ABIInternal`: the integer arguments.
const ARGUMENT_REGISTERS: [Register; 9] = [
    Register::RAX,
    Register::RBX,
    Register::RCX,
    Register::RDI,
    Register::RSI,
    Register::R8,
    Register::R9,
    Register::R10,
    Register::R11,
];

/// `ABIInternal`: the current goroutine.
const GOROUTINE_REGISTER: Register = Register::R14;

/// `ABIInternal`: carries no argument; the assembler's `REGENTRYTMP0`.
const SCRATCH_REGISTER: Register = Register::R12;

/// `stackguard0` in `runtime.g`, behind the two bounds of the stack.
const STACK_GUARD_OFFSET: u64 = 0x10;

/// The functions in question have some thousand bytes; one that claims more is another one.
const MAX_FUNCTION_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// The shape of `crypto/tls.(*Conn).Close` since Go 1.21, shortened: a loop right behind the
    /// prologue, two returns, padding.
    const CHECKED: &[u8] = &[
        0x49, 0x3b, 0x66, 0x10, // 00 cmp 0x10(%r14),%rsp
        0x76, 0x1b, // 04 jbe 21
        0x55, // 06 push %rbp
        0x48, 0x89, 0xe5, // 07 mov %rsp,%rbp
        0x48, 0x83, 0xec, 0x10, // 0a sub $0x10,%rsp
        0x48, 0x89, 0xd8, // 0e mov %rbx,%rax
        0x85, 0xc0, // 11 test %eax,%eax
        0x74, 0xf9, // 13 je 0e
        0xe8, 0, 1, 0, 0, // 15 call elsewhere
        0x78, 0x03, // 1a js 1f
        0x31, 0xc0, // 1c xor %eax,%eax
        0xc3, // 1e ret
        0x5d, // 1f pop %rbp
        0xc3, // 20 ret
        0x48, 0x89, 0x44, 0x24, 0x08, // 21 mov %rax,8(%rsp)
        0xe8, 0, 1, 0, 0, // 26 call runtime.morestack_noctxt
        0x48, 0x8b, 0x44, 0x24, 0x08, // 2b mov 8(%rsp),%rax
        0xeb, 0xce, // 30 jmp 00
        0xcc, 0xcc, // 32 int3
    ];

    /// The same with the prologue of older versions in place of `push`, which the kernel does not
    /// emulate.
    fn checked_without_push() -> Vec<u8> {
        let mut code = CHECKED.to_vec();
        code[6..10].copy_from_slice(&[0x48, 0x83, 0xec, 0x10]); // sub $0x10,%rsp
        code
    }

    fn entry(code: &[u8], arguments: usize) -> Option<u64> {
        plan(code, arguments).map(|found| found.entry)
    }

    #[test]
    fn a_function_is_probed_behind_its_check_and_on_all_returns() {
        assert_eq!(plan(CHECKED, 3), Some(Plan { entry: 6, returns: vec![0x1e, 0x20] }));
    }

    #[test]
    fn without_an_emulated_instruction_the_one_behind_the_check_is_the_entry() {
        assert_eq!(entry(&checked_without_push(), 3), Some(6));
    }

    #[test]
    fn an_emulated_instruction_further_on_is_the_entry_while_arguments_are_intact() {
        let mut code = checked_without_push();
        code[0x0d] = 0x90; // sub's operand
        code.splice(0x0a..0x0e, [0x48, 0x89, 0xe5, 0x90]); // mov %rsp,%rbp; nop
        assert_eq!(entry(&code, 3), Some(0x0d));
        code.splice(0x0a..0x0d, [0x48, 0x89, 0xc3]); // mov %rax,%rbx
        assert_eq!(entry(&code, 1), Some(0x0d));
        assert_eq!(entry(&code, 2), Some(6));
    }

    #[test]
    fn the_goroutine_is_needed_too() {
        let mut code = checked_without_push();
        code.splice(0x0a..0x0e, [0x49, 0x89, 0xc6, 0x90]); // mov %rax,%r14; nop
        assert_eq!(entry(&code, 0), Some(6));
    }

    #[test]
    fn larger_frames_have_other_checks() {
        let rest = [0x55, 0xc3, 0xe8, 0, 1, 0, 0, 0xeb];
        // lea -0x68(%rsp),%r12; cmp 0x10(%r14),%r12; jbe; push; ret; call; jmp
        let mut large = vec![0x4c, 0x8d, 0x64, 0x24, 0x98, 0x4d, 0x3b, 0x66, 0x10, 0x76, 2];
        large.extend(rest);
        large.push(0u8.wrapping_sub(20));
        assert_eq!(plan(&large, 3), Some(Plan { entry: 11, returns: vec![12] }));
        // mov %rsp,%r12; sub $0x2000,%r12; jb; cmp 0x10(%r14),%r12; jbe; push; ret; call; jmp
        let mut huge = vec![0x49, 0x89, 0xe4, 0x49, 0x81, 0xec, 0, 0x20, 0, 0, 0x72, 8];
        huge.extend([0x4d, 0x3b, 0x66, 0x10, 0x76, 2]);
        huge.extend(rest);
        huge.push(0u8.wrapping_sub(27));
        assert_eq!(plan(&huge, 3), Some(Plan { entry: 18, returns: vec![19] }));
        huge[11] = 7; // jb elsewhere
        assert_eq!(plan(&huge, 3), None);
    }

    #[test]
    fn a_function_without_check_is_probed_at_its_start() {
        let leaf = [0x48, 0x8b, 0x00, 0xc3]; // mov (%rax),%rax; ret
        assert_eq!(plan(&leaf, 3), Some(Plan { entry: 0, returns: vec![3] }));
        let looping = [0x48, 0x8b, 0x00, 0x74, 0xfb, 0xc3]; // mov (%rax),%rax; je 0; ret
        assert_eq!(plan(&looping, 0), None);
    }

    #[test]
    fn an_entry_is_no_return() {
        assert_eq!(plan(&[0xc3], 0), None);
    }

    #[test]
    fn the_check_of_the_older_calling_convention_is_none() {
        let code = [
            0x64, 0x48, 0x8b, 0x0c, 0x25, 0xf8, 0xff, 0xff, 0xff, // mov %fs:-8,%rcx
            0x48, 0x3b, 0x61, 0x10, // cmp 0x10(%rcx),%rsp
            0x76, 0x02, // jbe
            0x55, 0xc3, // push %rbp; ret
            0xe8, 0, 1, 0, 0, // call runtime.morestack_noctxt
            0xeb, 0xe8, // jmp 0
        ];
        assert_eq!(plan(&code, 3), None);
    }

    #[test]
    fn a_second_way_to_the_start_rules_a_function_out() {
        let mut code = CHECKED.to_vec();
        code[0x14] = 0u8.wrapping_sub(0x15); // je 00
        assert_eq!(plan(&code, 3), None);
    }

    #[test]
    fn a_second_way_to_the_growing_of_the_stack_rules_a_function_out() {
        for target in [0x21, 0x2b] {
            let mut code = CHECKED.to_vec();
            code[0x1b] = target - 0x1c; // js
            assert_eq!(plan(&code, 3), None);
        }
        let mut code = CHECKED.to_vec();
        code[0x20] = 0x5d; // pop in place of the return in front of it
        assert_eq!(plan(&code, 3), None);
    }

    #[test]
    fn a_jump_onto_the_way_rules_what_follows_out() {
        let mut code = CHECKED.to_vec();
        code[0x14] = 0x06u8.wrapping_sub(0x15); // je onto the push
        assert_eq!(plan(&code, 3), None);
    }

    #[test]
    fn jumps_that_cannot_be_followed_rule_a_function_out() {
        for jump in [
            &[0xff, 0xe0][..],               // jmp *%rax
            &[0xff, 0x24, 0xc5, 0, 0, 0, 0], // jmp *0(,%rax,8)
            &[0xe9, 0, 1, 0, 0],             // jmp elsewhere
            &[0x74, 0x7f],                   // je elsewhere
            &[0xeb, 0xff],                   // jmp into itself
            &[0xc2, 8, 0],                   // ret 8
            &[0xe8, 0xf0, 0xff, 0xff, 0xff], // call into the function
        ] {
            let mut code = CHECKED.to_vec();
            code.truncate(0x32);
            code.extend(jump);
            code.push(0xc3);
            assert_eq!(plan(&code, 3), None, "{jump:x?}");
        }
    }

    #[test]
    fn a_function_must_not_go_on_in_the_next_one() {
        let mut code = CHECKED.to_vec();
        code.extend([0x48, 0x89, 0xe5]); // mov %rsp,%rbp behind the padding
        assert_eq!(plan(&code, 3), None);
        let mut code = CHECKED.to_vec();
        code.extend([0xe8, 0, 1, 0, 0, 0x90]); // call runtime.gopanic; nop
        assert!(plan(&code, 3).is_some());
        assert_eq!(plan(&code[..code.len() - 2], 3), None); // cut inside of the call
    }

    #[test]
    fn what_is_asked_for_must_exist() {
        assert_eq!(plan(&[], 0), None);
        assert!(plan(CHECKED, 9).is_some());
        assert_eq!(plan(CHECKED, 10), None);
        assert_eq!(plan(&vec![0xc3; MAX_FUNCTION_BYTES + 1], 0), None);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        for cut in 0..CHECKED.len() {
            let _ = plan(&CHECKED[..cut], 3);
        }
        for at in 0..CHECKED.len() {
            for value in 0..=u8::MAX {
                let mut bad = CHECKED.to_vec();
                bad[at] = value;
                let found = plan(&bad, 3);
                let is_inside = |site: &u64| *site < bad.len() as u64;
                assert!(
                    found.is_none_or(|it| is_inside(&it.entry) && it.returns.iter().all(is_inside))
                );
            }
        }
    }
}
