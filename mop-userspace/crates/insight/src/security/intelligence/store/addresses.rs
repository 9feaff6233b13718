//! Addresses and networks as sorted ranges: of two networks one holds the other, or they have
//! nothing in common, so that those which hold an address are one of them and its ancestors.

use std::net::IpAddr;

use crate::security::intelligence::indicator::Network;

/// Networks that are being collected.
#[derive(Default)]
pub struct AddressesBuilder {
    v4: Vec<(u32, u8, u32)>,
    v6: Vec<(u128, u8, u32)>,
}

/// Networks of both families, sorted.
#[derive(Default)]
pub struct Addresses {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
}

/// Networks of one family; `starts` and `nodes` have the same length.
#[derive(Default)]
struct Ranges<T> {
    /// The smallest address of each, sorted; of equal ones the wider is first.
    starts: Box<[T]>,
    nodes: Box<[Node]>,
}

struct Node {
    prefix: u8,
    number: u32,
    /// Place of the narrowest other network that holds this one, or [`NONE`].
    parent: u32,
}

/// An address as a number.
trait Bits: Copy + Ord {
    /// Whether the first `prefix` bits are those of another.
    fn has_prefix_of(self, other: Self, prefix: u8) -> bool;
}

impl AddressesBuilder {
    /// Adds a network and the number that is found for it.
    pub fn add(&mut self, network: Network, number: u32) {
        match network.first() {
            IpAddr::V4(first) => self.v4.push((first.to_bits(), network.prefix(), number)),
            IpAddr::V6(first) => self.v6.push((first.to_bits(), network.prefix(), number)),
        }
    }

    /// Sorts them. Of equal networks the first [`MAX_EQUAL`](super::MAX_EQUAL) are kept.
    #[must_use]
    pub fn build(self) -> Addresses {
        let Self { v4, v6 } = self;
        Addresses { v4: Ranges::new(v4), v6: Ranges::new(v6) }
    }
}

impl Addresses {
    /// Gives the numbers of networks that hold an address, the narrowest first, at most
    /// [`MAX_MATCHES`](super::MAX_MATCHES).
    pub fn find(&self, address: IpAddr, found: impl FnMut(u32)) {
        match address.to_canonical() {
            IpAddr::V4(address) => self.v4.find(address.to_bits(), found),
            IpAddr::V6(address) => self.v6.find(address.to_bits(), found),
        }
    }

    /// How many networks there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.v4.starts.len() + self.v6.starts.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn bytes(&self) -> usize {
        self.v4.bytes() + self.v6.bytes()
    }
}

impl<T: Bits> Ranges<T> {
    fn new(mut networks: Vec<(T, u8, u32)>) -> Self {
        networks.sort_unstable();
        let mut equal = 0;
        let mut last = None;
        networks.retain(|&(start, prefix, _)| {
            equal = if last == Some((start, prefix)) { equal + 1 } else { 1 };
            last = Some((start, prefix));
            equal <= super::MAX_EQUAL
        });
        let mut nodes = Vec::with_capacity(networks.len());
        // Those that may hold the next one, the widest first: at most one for each length of a
        // prefix and MAX_EQUAL of each.
        let mut open: Vec<(u32, T, u8)> = Vec::new();
        for (at, &(start, prefix, number)) in (0..).zip(&networks) {
            while open.pop_if(|(_, first, bits)| !start.has_prefix_of(*first, *bits)).is_some() {}
            let parent = open.last().map_or(NONE, |(at, ..)| *at);
            nodes.push(Node { prefix, number, parent });
            open.push((at, start, prefix));
        }
        Self { starts: networks.iter().map(|it| it.0).collect(), nodes: nodes.into() }
    }

    fn find(&self, address: T, mut found: impl FnMut(u32)) {
        let after = self.starts.partition_point(|start| *start <= address);
        let mut place = after.checked_sub(1);
        let mut matches = 0;
        while let Some((start, node)) =
            place.and_then(|it| Some((self.starts.get(it)?, self.nodes.get(it)?)))
        {
            if address.has_prefix_of(*start, node.prefix) {
                found(node.number);
                matches += 1;
                if matches == super::MAX_MATCHES {
                    return;
                }
            }
            // NONE is past the end.
            place = usize::try_from(node.parent).ok();
        }
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.starts) + size_of_val(&*self.nodes)
    }
}

impl Bits for u32 {
    fn has_prefix_of(self, other: Self, prefix: u8) -> bool {
        let rest = Self::BITS.saturating_sub(prefix.into());
        (self ^ other).checked_shr(rest).unwrap_or(0) == 0
    }
}

impl Bits for u128 {
    fn has_prefix_of(self, other: Self, prefix: u8) -> bool {
        let rest = Self::BITS.saturating_sub(prefix.into());
        (self ^ other).checked_shr(rest).unwrap_or(0) == 0
    }
}

/// No parent: a store has fewer places.
const NONE: u32 = u32::MAX;
