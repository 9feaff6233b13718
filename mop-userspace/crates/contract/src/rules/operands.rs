//! All operands of a set, each once, and what they were found to be in one call.
//!
//! Rules of one subject look at the same few places again and again; finding a place costs more
//! than any test of what is there.

use std::collections::HashMap;

use super::{CallFacts, fact::Fact, operand::Operand};

/// Different operands, in the order in which rules name them.
#[derive(Default)]
pub(super) struct Operands {
    operands: Vec<Operand>,
    places: HashMap<Operand, OperandId>,
}

/// An operand of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OperandId(usize);

/// A call, and what operands were found to be in it.
pub(super) struct Findings<'a, 'f> {
    call: CallFacts<'a>,
    operands: &'a Operands,
    /// Borrowed, since it is too large to be moved for every call.
    found: &'f mut Found<'a>,
    /// The messages are copies: what a copy does not tell is unknown.
    is_copy: bool,
}

/// Room for what operands are found to be.
pub(super) struct Found<'a>([Option<Fact<'a>>; MAX_REMEMBERED]);

impl Operands {
    /// Adds an operand, unless it is known.
    pub(super) fn intern(&mut self, operand: Operand) -> OperandId {
        let Self { operands, places } = self;
        *places.entry(operand).or_insert_with_key(|operand| {
            operands.push(operand.clone());
            OperandId(operands.len() - 1)
        })
    }

    /// Whether an operand is about the response.
    pub(super) fn needs_response(&self, id: OperandId) -> bool {
        self.operands.get(id.0).is_some_and(Operand::needs_response)
    }
}

impl<'a, 'f> Findings<'a, 'f> {
    /// In `found`, nothing is found yet.
    pub(super) fn new(
        operands: &'a Operands,
        call: CallFacts<'a>,
        found: &'f mut Found<'a>,
    ) -> Self {
        Self { call, operands, found, is_copy: false }
    }

    /// The same for messages that were handed over as copies.
    pub(super) fn of_copy(self) -> Self {
        Self { is_copy: true, ..self }
    }

    /// What an operand is.
    pub(super) fn of(&mut self, id: OperandId) -> Fact<'a> {
        let Self { call, operands, found, is_copy } = self;
        let look = || match operands.operands.get(id.0) {
            Some(known) if *is_copy && known.is_unseen_in_copies(call) => Fact::Unknown,
            Some(known) => known.of(call),
            None => Fact::Unknown,
        };
        match found.0.get_mut(id.0) {
            Some(found) => *found.get_or_insert_with(look),
            None => look(),
        }
    }
}

impl Found<'_> {
    /// Nothing.
    pub(super) const NONE: Self = Self([None; MAX_REMEMBERED]);
}

/// Operands whose findings are remembered while a call is judged; the rules of an ecosystem have
/// some forty. Those beyond are looked up each time.
const MAX_REMEMBERED: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_operand_has_one_id() {
        let mut operands = Operands::default();
        let mut id = |text| operands.intern(Operand::parse(text).expect("well-formed"));
        let (one, two) = (id("request.method"), id("count( response.body/a )"));
        assert_ne!(one, two);
        assert_eq!(id("request.method"), one);
        assert_eq!(id("count(response.body/a)"), two);
        assert!(!operands.needs_response(one));
        assert!(operands.needs_response(two));
    }

    #[test]
    fn operands_beyond_those_remembered_are_found_too() {
        let mut operands = Operands::default();
        let ids: Vec<OperandId> = (0..MAX_REMEMBERED + 2)
            .map(|number| format!("request.query.p{number}"))
            .map(|text| operands.intern(Operand::parse(&text).expect("well-formed")))
            .collect();
        let target = format!("/?p0=7&p{}=8", MAX_REMEMBERED + 1);
        let call = CallFacts {
            method: "GET",
            target: &target,
            template: "/",
            document: "d",
            request: None,
            response: None,
        };
        let mut found = Found::NONE;
        let mut findings = Findings::new(&operands, call, &mut found);
        let mut integer = |place: usize| findings.of(*ids.get(place).expect("in range")).integer();
        assert_eq!([integer(0), integer(1), integer(0)], [Some(7), None, Some(7)]);
        assert_eq!(integer(MAX_REMEMBERED + 1), Some(8));
    }
}
