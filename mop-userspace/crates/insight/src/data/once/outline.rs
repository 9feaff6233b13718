//! The part of a sighting that rules most others out: small, and side by side with those that it is
//! compared with.

use std::cmp::Reverse;

use mop_wire::Role;

use crate::data::call::Span;

/// What is compared first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outline {
    pub(super) has_interaction: bool,
    pub(super) status: Option<u16>,
    pub(super) role: Role,
    pub(super) connection: u64,
    pub(super) span: Span,
    pub(super) process: Option<u32>,
}

/// Less for what is further outside.
pub(super) type Extent = (u64, Reverse<u64>, u64);

impl Outline {
    /// Whether it is a hop of another one of its group, as far as neither addresses nor organisations
    /// matter.
    #[inline]
    pub(super) fn may_be_hop_of(&self, outer: &Self) -> bool {
        // Of two that lie within each other, one only.
        self.is_within(outer)
            && self.connection != outer.connection
            && outer.extent() < self.extent()
            && (self.has_interaction || self.status == outer.status)
            && self.is_passed_on_by(outer)
    }

    /// Whether it lies within another one's time.
    #[inline]
    pub(super) fn is_within(&self, outer: &Self) -> bool {
        outer.span.start_ns <= self.span.start_ns
            && self.span.start_ns <= outer.span.end_ns
            && self.span.end_ns <= outer.span.end_ns.saturating_add(TOLERANCE_NS)
    }

    /// Whether it is plausible by the roles and processes.
    #[inline]
    fn is_passed_on_by(&self, outer: &Self) -> bool {
        let is_same_process = match (self.process, outer.process) {
            (Some(inner), Some(outer)) => Some(inner == outer),
            _ => None,
        };
        match (outer.role, self.role) {
            (Role::Client, Role::Server) => false,
            (Role::Client, Role::Client) => self.has_interaction && is_same_process != Some(true),
            // Whoever took the request passes it on.
            (Role::Server, Role::Client) => is_same_process != Some(false),
            (Role::Server, Role::Server) => self.has_interaction || is_same_process != Some(true),
        }
    }

    #[inline]
    pub(super) fn extent(&self) -> Extent {
        (self.span.start_ns, Reverse(self.span.end_ns), self.connection)
    }
}

/// A write returns at most some milliseconds after its bytes were read at the other end.
pub const TOLERANCE_NS: u64 = 5_000_000;
