//! What the rings of an observer are read from: descriptors and sizes, not yet mapped.
//!
//! They can be handed to another process. Reading needs no right beyond the descriptors, and none
//! of the kernel's calls for maps: whoever reads may be a process that can do nothing else.

use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

use mop_common::limits;

use crate::{ProbeError, Rings, control_ring::ControlRing, lanes::Lanes};

/// Descriptors of the maps that carry segments and control events, and their sizes.
#[derive(Debug)]
pub struct RingSources {
    /// Where reading and writing of each lane stand.
    pub(crate) states: OwnedFd,
    /// The memory of the lanes.
    pub(crate) elements: OwnedFd,
    /// The ring of control events.
    pub(crate) control: OwnedFd,
    pub(crate) sizes: RingSizes,
}

/// How large they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RingSizes {
    /// `1 <= lanes <= limits::MAX_LANES`
    pub(crate) lanes: u32,
    /// A power of two.
    pub(crate) elements_per_lane: u32,
    /// A power of two, at least a page.
    pub(crate) control_bytes: u32,
}

impl RingSources {
    /// How many descriptors there are.
    pub const DESCRIPTORS: usize = 3;

    /// How many sizes there are.
    pub const SIZES: usize = 3;

    /// Puts together what [`RingSources::descriptors`] and [`RingSources::sizes`] gave elsewhere.
    ///
    /// `None` when the sizes are those of no rings.
    #[must_use]
    pub fn new(
        descriptors: [OwnedFd; Self::DESCRIPTORS],
        sizes: [u32; Self::SIZES],
    ) -> Option<Self> {
        let [states, elements, control] = descriptors;
        let [lanes, elements_per_lane, control_bytes] = sizes;
        let is_sound = (1..=limits::MAX_LANES).contains(&lanes)
            && elements_per_lane.is_power_of_two()
            && lanes.checked_mul(elements_per_lane).is_some()
            && control_bytes.is_power_of_two();
        let sizes = RingSizes { lanes, elements_per_lane, control_bytes };
        is_sound.then_some(Self { states, elements, control, sizes })
    }

    /// The descriptors, to be handed over in this order.
    #[must_use]
    pub fn descriptors(&self) -> [BorrowedFd<'_>; Self::DESCRIPTORS] {
        use std::os::fd::AsFd as _;
        [self.states.as_fd(), self.elements.as_fd(), self.control.as_fd()]
    }

    /// The sizes, to be handed over in this order.
    #[must_use]
    pub fn sizes(&self) -> [u32; Self::SIZES] {
        let RingSizes { lanes, elements_per_lane, control_bytes } = self.sizes;
        [lanes, elements_per_lane, control_bytes]
    }

    /// Maps them into this process. The descriptors of the lanes are closed: memory is enough.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the mapping.
    pub fn open(self) -> Result<Rings, ProbeError> {
        let Self { states, elements, control, sizes } = self;
        let refused =
            |map| move |error: io::Error| ProbeError::Map { map, reason: error.to_string() };
        let lanes = Lanes::map(&states, &elements, sizes.lanes, sizes.elements_per_lane)
            .map_err(refused("LANES"))?;
        let control = ControlRing::map(control, sizes.control_bytes).map_err(refused("CONTROL"))?;
        Ok(Rings::new(lanes, control))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_no_rings_have_are_refused() {
        let descriptors = || [(); 3].map(|()| tempfile::tempfile().expect("a file").into());
        assert!(RingSources::new(descriptors(), [2, 8, 1 << 20]).is_some());
        for sizes in [
            [0, 8, 1 << 20],
            [limits::MAX_LANES + 1, 8, 1 << 20],
            [2, 0, 1 << 20],
            [2, 7, 1 << 20],
            [2, 8, 0],
            [2, 8, 3],
            [2, 1 << 31, 1 << 20],
        ] {
            assert!(RingSources::new(descriptors(), sizes).is_none(), "{sizes:?}");
        }
    }
}
