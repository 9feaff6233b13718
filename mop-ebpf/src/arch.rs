//! What depends on the processor: registers and system call numbers.

use core::ptr::read_volatile;

use aya_ebpf::{
    bindings::pt_regs,
    helpers::generated::{bpf_get_current_task_btf, bpf_task_pt_regs},
};

/// Registers of a task at the border of the kernel.
///
/// The pointer is one that the verifier tracks: the saved registers of the running task in a
/// `sys_exit` tracepoint or of a helper, where plain loads at the fixed offsets of `pt_regs` are allowed.
#[derive(Clone, Copy)]
pub struct SyscallRegisters(pub *const pt_regs);

impl SyscallRegisters {
    /// Those of the running task.
    #[inline(always)]
    pub fn current() -> Self {
        // SAFETY: helpers without preconditions; the verifier knows the type of what they give.
        Self(unsafe { bpf_task_pt_regs(bpf_get_current_task_btf()) } as *const pt_regs)
    }

    /// Number of the system call that is returning.
    #[inline(always)]
    pub fn number(self) -> u64 {
        // SAFETY: the verifier checks the load against the type of the tracepoint's argument.
        unsafe { (*self.0).orig_rax }
    }

    /// Argument `N`, from 0: entry registers are kept in `pt_regs` until the call returns.
    #[inline(always)]
    pub fn argument<const N: usize>(self) -> u64 {
        // SAFETY: as in `number`.
        unsafe {
            match N {
                0 => (*self.0).rdi,
                1 => (*self.0).rsi,
                2 => (*self.0).rdx,
                3 => (*self.0).r10,
                4 => (*self.0).r8,
                _ => (*self.0).r9,
            }
        }
    }

    /// Address of the running `runtime.g`, where the task is a thread of a Go program: nothing on the
    /// way to a system call changes this register.
    #[inline(always)]
    pub fn goroutine(self) -> u64 {
        // SAFETY: as in `number`.
        unsafe { (*self.0).r14 }
    }

    /// False for a 32-bit task, whose system calls have other numbers.
    #[inline(always)]
    pub fn is_native(self) -> bool {
        // SAFETY: as in `number`; only the selector's own 16 bits are read.
        let selector = unsafe { *(&raw const (*self.0).cs).cast::<u16>() };
        selector == USER_CODE_SEGMENT_64
    }
}

/// Return value of a function, in the registers of a uprobe.
#[inline(always)]
pub fn function_result(registers: *const pt_regs) -> u64 {
    // SAFETY: a uprobe's context is readable by the verifier's rules.
    unsafe { (*registers).rax }
}

/// Stack pointer, in the registers of a uprobe.
#[inline(always)]
pub fn stack_pointer(registers: *const pt_regs) -> u64 {
    // SAFETY: as in `function_result`.
    unsafe { (*registers).rsp }
}

/// Argument `N`, from 0, of a function, in the registers of a uprobe on its first instruction.
#[inline(always)]
pub fn argument<const N: usize>(registers: *const pt_regs) -> u64 {
    // SAFETY: as in `function_result`; volatile for the reason that `go_argument` has.
    unsafe {
        match N {
            0 => read_volatile(&raw const (*registers).rdi),
            _ => read_volatile(&raw const (*registers).rsi),
        }
    }
}

/// Argument `N`, from 0, of a function of Go (`ABIInternal`): what is passed in registers.
///
/// Volatile, because the compiler would make one load at a computed offset of two, which the verifier
/// does not allow in a context.
#[inline(always)]
pub fn go_argument<const N: usize>(registers: *const pt_regs) -> u64 {
    // SAFETY: as in `function_result`.
    unsafe {
        match N {
            0 => read_volatile(&raw const (*registers).rax),
            1 => read_volatile(&raw const (*registers).rbx),
            _ => read_volatile(&raw const (*registers).rcx),
        }
    }
}

/// Address of the `runtime.g` of the running goroutine (`ABIInternal`).
#[inline(always)]
pub fn goroutine(registers: *const pt_regs) -> u64 {
    // SAFETY: as in `function_result`.
    unsafe { (*registers).r14 }
}

/// `__USER_CS` of arch/x86/include/asm/segment.h.
const USER_CODE_SEGMENT_64: u16 = 0x33;

/// System call numbers of arch/x86/entry/syscalls/syscall_64.tbl.
pub mod number {
    pub const READ: u64 = 0;
    pub const WRITE: u64 = 1;
    pub const MMAP: u64 = 9;
    pub const READV: u64 = 19;
    pub const WRITEV: u64 = 20;
    pub const SENDFILE: u64 = 40;
    pub const SENDTO: u64 = 44;
    pub const RECVFROM: u64 = 45;
    pub const SENDMSG: u64 = 46;
    pub const RECVMSG: u64 = 47;
    pub const SPLICE: u64 = 275;
    pub const RECVMMSG: u64 = 299;
    pub const SENDMMSG: u64 = 307;
    pub const PREADV2: u64 = 327;
    pub const PWRITEV2: u64 = 328;

    /// True for the calls that move bytes through a socket: all of the above but `mmap`.
    #[inline(always)]
    pub fn is_transfer(call: u64) -> bool {
        if call < 64 {
            return TRANSFERS_BELOW_64 >> call & 1 != 0;
        }
        matches!(call, SPLICE | RECVMMSG | SENDMMSG | PREADV2 | PWRITEV2)
    }

    const TRANSFERS_BELOW_64: u64 = 1 << READ
        | 1 << WRITE
        | 1 << READV
        | 1 << WRITEV
        | 1 << SENDFILE
        | 1 << SENDTO
        | 1 << RECVFROM
        | 1 << SENDMSG
        | 1 << RECVMSG;
}
