//! Payloads of records: fields in the order of the format, without a copy of memory layout.

use mop_common::{ControlEvent, SegmentHead};

pub(super) fn put_segment_head(to: &mut Vec<u8>, head: &SegmentHead) {
    let SegmentHead {
        connection,
        position,
        ktime_ns,
        cpu_sequence,
        len_total,
        len_captured,
        cpu,
        direction,
        cause,
        flags,
        caller,
    } = *head;
    for number in [connection, position, ktime_ns, cpu_sequence] {
        to.extend_from_slice(&number.to_le_bytes());
    }
    to.extend_from_slice(&len_total.to_le_bytes());
    to.extend_from_slice(&len_captured.to_le_bytes());
    to.extend_from_slice(&cpu.to_le_bytes());
    to.extend_from_slice(&[direction, cause]);
    to.extend_from_slice(&flags.to_le_bytes());
    to.extend_from_slice(&caller.to_le_bytes());
}

pub(super) fn put_control(to: &mut Vec<u8>, event: &ControlEvent) {
    let ControlEvent {
        ktime_ns,
        connection,
        process_start_ns,
        cgroup,
        positions: [read, write],
        library,
        socket,
        tgid,
        local_port,
        remote_port,
        kind,
        layer,
        family,
        direction,
        protocol,
        from_start,
        reserved,
        local,
        remote,
        command,
    } = *event;
    for number in [ktime_ns, connection, process_start_ns, cgroup, read, write, library] {
        to.extend_from_slice(&number.to_le_bytes());
    }
    to.extend_from_slice(&tgid.to_le_bytes());
    to.extend_from_slice(&local_port.to_le_bytes());
    to.extend_from_slice(&remote_port.to_le_bytes());
    to.extend_from_slice(&[kind, layer, family, direction, protocol, from_start]);
    to.extend_from_slice(&reserved);
    for array in [local, remote, command] {
        to.extend_from_slice(&array);
    }
    to.extend_from_slice(&socket.to_le_bytes());
}

/// Reads fields off the front of a payload; every read is `None` past its end.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*array)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    pub(super) fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn segment_head(&mut self) -> Option<SegmentHead> {
        Some(SegmentHead {
            connection: self.u64()?,
            position: self.u64()?,
            ktime_ns: self.u64()?,
            cpu_sequence: self.u64()?,
            len_total: self.u32()?,
            len_captured: self.u32()?,
            cpu: self.u16()?,
            direction: self.u8()?,
            cause: self.u8()?,
            flags: self.u16()?,
            caller: self.u16()?,
        })
    }

    pub(super) fn control(&mut self) -> Option<ControlEvent> {
        let event = ControlEvent {
            ktime_ns: self.u64()?,
            connection: self.u64()?,
            process_start_ns: self.u64()?,
            cgroup: self.u64()?,
            positions: [self.u64()?, self.u64()?],
            library: self.u64()?,
            socket: 0,
            tgid: self.u32()?,
            local_port: self.u16()?,
            remote_port: self.u16()?,
            kind: self.u8()?,
            layer: self.u8()?,
            family: self.u8()?,
            direction: self.u8()?,
            protocol: self.u8()?,
            from_start: self.u8()?,
            reserved: self.array()?,
            local: self.array()?,
            remote: self.array()?,
            command: self.array()?,
        };
        // Captures of earlier versions end here.
        let socket = if self.rest.is_empty() { 0 } else { self.u64()? };
        Some(ControlEvent { socket, ..event })
    }
}
