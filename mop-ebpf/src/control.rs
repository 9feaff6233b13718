//! Control events.

use aya_ebpf::helpers::{
    bpf_get_current_cgroup_id, bpf_ktime_get_ns,
    generated::{bpf_get_current_comm, bpf_probe_read_kernel},
};
use mop_common::{ControlEvent, ControlKind, Counter, Layer};

use crate::{
    connection::Connection,
    counters,
    kernel::{self, AF_INET, AF_INET6},
    maps::{CONTROL, SOCKETS, config},
};

/// What an event says beyond the state of the connection.
#[derive(Clone, Copy)]
pub struct Note {
    /// What happened.
    pub kind: ControlKind,
    /// The direction that ended, for [`ControlKind::End`].
    pub direction: u8,
    /// [`mop_common::Protocol`], for [`ControlKind::Open`].
    pub protocol: u8,
    /// Positions to report.
    pub positions: [u64; 2],
}

/// Sends an event about a connection. `socket` is the kernel's `struct sock`, or 0.
///
/// False when the ring was full: the event is lost and counted.
#[inline(never)]
pub fn connection(connection: &Connection, socket: u64, note: &Note) -> bool {
    let Some(mut slot) = CONTROL.reserve::<ControlEvent>(0) else {
        counters::add(Counter::ControlLost, 1);
        return false;
    };
    let event = slot.as_mut_ptr();
    // SAFETY: the reservation is as large as the event; every field is written before it is
    // submitted.
    unsafe {
        event.write(ControlEvent::EMPTY);
        (*event).ktime_ns = bpf_ktime_get_ns();
        (*event).connection = connection.cookie;
        (*event).kind = note.kind as u8;
        (*event).direction = note.direction;
        (*event).protocol = note.protocol;
        (*event).positions = note.positions;
        (*event).layer = connection.layer;
        (*event).from_start = connection.from_start;
        (*event).library = connection.library;
    }
    if matches!(note.kind, ControlKind::Open | ControlKind::Bind) {
        describe_process(event);
        describe_socket(event, socket);
        if connection.layer == Layer::Tls as u8 {
            name_socket(event, socket);
        }
    }
    slot.submit(NO_WAKEUP);
    true
}

/// Sends an event about the running process.
#[inline(never)]
pub fn process(kind: ControlKind, positions: [u64; 2], wake: u64) {
    let Some(mut slot) = CONTROL.reserve::<ControlEvent>(0) else {
        counters::add(Counter::ControlLost, 1);
        return;
    };
    let event = slot.as_mut_ptr();
    // SAFETY: as in `connection`.
    unsafe {
        event.write(ControlEvent::EMPTY);
        (*event).ktime_ns = bpf_ktime_get_ns();
        (*event).kind = kind as u8;
        (*event).positions = positions;
    }
    describe_process(event);
    slot.submit(wake);
}

/// Wakes the reader: a lane fills.
#[inline(never)]
pub fn wake() {
    let Some(mut slot) = CONTROL.reserve::<ControlEvent>(0) else { return };
    let event = slot.as_mut_ptr();
    // SAFETY: as in `connection`.
    unsafe {
        event.write(ControlEvent::EMPTY);
        (*event).kind = ControlKind::Wake as u8;
    }
    slot.submit(FORCE_WAKEUP);
}

#[inline(never)]
fn describe_process(event: *mut ControlEvent) {
    // SAFETY: `event` is a live reservation; the helpers have no preconditions.
    unsafe {
        (*event).tgid = kernel::process_of(kernel::thread_id());
        (*event).process_start_ns = kernel::process_start();
        (*event).cgroup = bpf_get_current_cgroup_id();
        bpf_get_current_comm((&raw mut (*event).command).cast(), COMMAND_BYTES);
    }
}

#[inline(never)]
fn describe_socket(event: *mut ControlEvent, socket: u64) {
    if socket == 0 {
        return;
    }
    let remote_port = kernel::read(socket + u64::from(config!(offsets.sock_remote_port)));
    // SAFETY: `event` is a live reservation.
    unsafe { (*event).remote_port = u16::from_be(remote_port.unwrap_or(0)) };
    let local_port = kernel::read(socket + u64::from(config!(offsets.sock_local_port)));
    // SAFETY: as above.
    unsafe { (*event).local_port = local_port.unwrap_or(0) };
    let family: u16 = kernel::read(socket + u64::from(config!(offsets.sock_family))).unwrap_or(0);
    if family == AF_INET {
        let local = socket + u64::from(config!(offsets.sock_local_v4));
        let remote = socket + u64::from(config!(offsets.sock_remote_v4));
        read_addresses(event, local, remote, 4);
        // SAFETY: as above.
        unsafe { (*event).family = 4 };
    } else if family == AF_INET6 {
        let local = socket + u64::from(config!(offsets.sock_local_v6));
        let remote = socket + u64::from(config!(offsets.sock_remote_v6));
        read_addresses(event, local, remote, 16);
        // SAFETY: as above.
        unsafe { (*event).family = 6 };
    }
}

/// Names the connection of the socket under a TLS connection.
#[inline(never)]
fn name_socket(event: *mut ControlEvent, socket: u64) {
    if let Some(connection) = SOCKETS.get_ptr(&socket) {
        // SAFETY: both pointers are live: a map value and a reservation.
        unsafe { (*event).socket = (*connection).cookie };
    }
}

#[inline(always)]
fn read_addresses(event: *mut ControlEvent, local: u64, remote: u64, bytes: u32) {
    // SAFETY: `event` is a live reservation, and both addresses have room for 16 bytes.
    unsafe {
        bpf_probe_read_kernel((&raw mut (*event).local).cast(), bytes, local as *const _);
        bpf_probe_read_kernel((&raw mut (*event).remote).cast(), bytes, remote as *const _);
    }
}

/// `TASK_COMM_LEN` of include/linux/sched.h.
const COMMAND_BYTES: u32 = 16;

/// The reader comes by itself within milliseconds.
pub const NO_WAKEUP: u64 = aya_ebpf::bindings::BPF_RB_NO_WAKEUP as u64;
/// The reader is woken in any case.
const FORCE_WAKEUP: u64 = aya_ebpf::bindings::BPF_RB_FORCE_WAKEUP as u64;
/// The reader is woken when it waits.
pub const WAKEUP: u64 = 0;
