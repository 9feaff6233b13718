//! What a rule tests: atoms, each of one field, and expressions of them.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{field::FieldName, pattern::Pattern, reference::Anchor};

/// A test of one field. It holds when any value of the field passes.
#[derive(Clone, Debug, PartialEq)]
pub struct Atom {
    /// The field.
    pub field: FieldName,
    /// The test.
    pub predicate: Predicate,
}

/// A test of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Predicate {
    /// It is a number that compares so with this one.
    Compares(Comparison, f64),
    /// There is a value.
    Exists,
    /// A regular expression matches somewhere in it.
    Matches(String),
    /// A pattern is the whole value.
    Text {
        /// The pattern.
        pattern: Pattern,
        /// Whether capitals and small letters are told apart; others than those of ASCII always are.
        is_cased: bool,
    },
    /// It is an address of this range.
    Network(IpNet),
    /// A value of another field stands in it.
    Refers {
        /// The other field.
        to: FieldName,
        /// Where it stands.
        anchor: Anchor,
        /// Whether capitals and small letters are told apart.
        is_cased: bool,
    },
}

/// How numbers compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// The value is greater.
    Greater,
    /// The value is greater or the same.
    GreaterOrEqual,
    /// The value is smaller.
    Less,
    /// The value is smaller or the same.
    LessOrEqual,
}

/// Atoms joined.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression<A> {
    /// All hold; none do when it is empty, which it never is.
    All(Vec<Self>),
    /// Any holds.
    Any(Vec<Self>),
    /// One atom.
    Atom(A),
    /// It does not hold.
    Not(Box<Self>),
}

/// What an expression may come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Possible {
    /// It may hold.
    pub yes: bool,
    /// It may not hold.
    pub no: bool,
}

impl<A> Expression<A> {
    /// Whether it holds, given which atoms do.
    pub fn holds(&self, atom: &mut impl FnMut(&A) -> bool) -> bool {
        match self {
            Self::All(all) => all.iter().all(|expression| expression.holds(atom)),
            Self::Any(any) => any.iter().any(|expression| expression.holds(atom)),
            Self::Atom(of) => atom(of),
            Self::Not(expression) => !expression.holds(atom),
        }
    }

    /// Whether it may hold, and whether it may not, where of some atoms nothing is known yet.
    pub fn may_hold(&self, atom: &mut impl FnMut(&A) -> Option<bool>) -> Possible {
        match self {
            Self::All(all) => {
                let mut possible = Possible { yes: true, no: false };
                for expression in all {
                    let one = expression.may_hold(atom);
                    possible = Possible { yes: possible.yes && one.yes, no: possible.no || one.no };
                }
                possible
            }
            Self::Any(any) => {
                let mut possible = Possible { yes: false, no: true };
                for expression in any {
                    let one = expression.may_hold(atom);
                    possible = Possible { yes: possible.yes || one.yes, no: possible.no && one.no };
                }
                possible
            }
            Self::Atom(of) => match atom(of) {
                Some(holds) => Possible { yes: holds, no: !holds },
                None => Possible { yes: true, no: true },
            },
            Self::Not(expression) => {
                let Possible { yes, no } = expression.may_hold(atom);
                Possible { yes: no, no: yes }
            }
        }
    }

    /// Puts what has such atoms behind what has none, where the order is of no matter.
    pub fn put_off(&mut self, is_late: &impl Fn(&A) -> bool) {
        match self {
            Self::All(several) | Self::Any(several) => {
                several.iter_mut().for_each(|expression| expression.put_off(is_late));
                several.sort_by_cached_key(|expression| {
                    let mut has_late = false;
                    expression.for_each_atom(&mut |atom| has_late |= is_late(atom));
                    has_late
                });
            }
            Self::Not(expression) => expression.put_off(is_late),
            Self::Atom(_) => {}
        }
    }

    /// Each of its atoms, in their order.
    pub fn for_each_atom<'a>(&'a self, each: &mut impl FnMut(&'a A)) {
        match self {
            Self::All(several) | Self::Any(several) => {
                for expression in several {
                    expression.for_each_atom(each);
                }
            }
            Self::Atom(atom) => each(atom),
            Self::Not(expression) => expression.for_each_atom(each),
        }
    }

    /// The same of other atoms.
    pub fn try_map<B, E>(
        &self,
        map: &mut impl FnMut(&A) -> Result<B, E>,
    ) -> Result<Expression<B>, E> {
        let mut each = |several: &[Self]| {
            several.iter().map(|expression| expression.try_map(map)).collect::<Result<Vec<_>, E>>()
        };
        Ok(match self {
            Self::All(all) => Expression::All(each(all)?),
            Self::Any(any) => Expression::Any(each(any)?),
            Self::Atom(atom) => Expression::Atom(map(atom)?),
            Self::Not(expression) => Expression::Not(Box::new(expression.try_map(map)?)),
        })
    }
}

impl Comparison {
    /// Whether a value compares so with a bound. A value that is no number never does.
    #[must_use]
    pub fn holds(self, value: &[u8], bound: f64) -> bool {
        let number = (value.len() <= MAX_NUMBER_BYTES)
            .then(|| std::str::from_utf8(value).ok()?.trim().parse::<f64>().ok())
            .flatten();
        number.is_some_and(|number| match self {
            Self::Greater => number > bound,
            Self::GreaterOrEqual => number >= bound,
            Self::Less => number < bound,
            Self::LessOrEqual => number <= bound,
        })
    }
}

/// Whether a value is an address of a range; an IPv4 address that is mapped into IPv6 is itself.
pub(super) fn is_in_network(value: &[u8], network: &IpNet) -> bool {
    let address = (value.len() <= MAX_ADDRESS_BYTES)
        .then(|| std::str::from_utf8(value).ok()?.trim().parse::<IpAddr>().ok())
        .flatten();
    address.is_some_and(|address| network.contains(&address.to_canonical()))
}

/// No number of a call is longer.
const MAX_NUMBER_BYTES: usize = 32;

/// The longest text of an IPv6 address has 45 bytes.
const MAX_ADDRESS_BYTES: usize = 48;
