//! What was judged in a stretch of time, by counterpart and operation, as counts that add up.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use crate::{
    attributes::AttributeTree,
    contract::Contract,
    fill::{BodyFill, Fill},
    judge::{JudgedBody, Judgement, UnjudgedReason},
    operation::{OperationId, Status},
    route::Unrouted,
    schema::SchemaId,
    violation::Direction,
};

/// Counts of one stretch of time.
#[derive(Debug, Default)]
pub struct Window {
    tallies: HashMap<(Counterpart, OperationId), Tally>,
    fills: HashMap<FillKey, Fill>,
    /// Positions of all fills together.
    counters: usize,
    counterparts: BTreeMap<Arc<str>, ()>,
    unrouted: BTreeMap<Unrouted, u64>,
}

/// Trees of attributes, made when they are first needed; for one contract.
#[derive(Debug, Default)]
pub struct AttributeTrees {
    by_schema: HashMap<SchemaId, Arc<AttributeTree>>,
}

/// A body that was counted by itself, to be added to a window later or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedBody {
    operation: OperationId,
    direction: Direction,
    status: Option<Status>,
    schema: SchemaId,
    fill: BodyFill,
}

/// The other side of a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Counterpart {
    /// It is known by this name.
    Named(Arc<str>),
    /// It is known, but there are more than [`MAX_COUNTERPARTS`].
    Other,
    /// Nothing says who it is.
    Unknown,
}

/// Which bodies a [`Fill`] is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FillKey {
    /// The other side.
    pub counterpart: Counterpart,
    /// The operation.
    pub operation: OperationId,
    /// Which message.
    pub direction: Direction,
    /// Key of the response in the contract; `None` for requests.
    pub status: Option<Status>,
    /// The schema of the body.
    pub schema: SchemaId,
}

/// Counts for one counterpart and operation.
///
/// `conforming + violating + unjudged = calls`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls.
    pub calls: u64,
    /// Judged as a whole, and nothing wrong in the corrected reading nor by a rule.
    pub conforming: u64,
    /// Something wrong in the corrected reading, or by a rule that is an error.
    pub violating: u64,
    /// Nothing wrong was found, but not everything could be judged.
    pub unjudged: u64,
    /// Calls with something wrong in the contract as it was published.
    pub violating_as_published: u64,
    /// Calls by why something could not be judged.
    pub reasons: BTreeMap<UnjudgedReason, u64>,
    /// Calls by what was wrong: direction, code and attribute.
    pub codes: BTreeMap<(Direction, String, String), u64>,
    /// Calls whose code is not in `codes`, which holds [`MAX_CODES`].
    pub other_codes: u64,
    /// Further sightings of these calls on their way through the node; none is one of `calls`.
    pub hops: u64,
    /// Of these, with something wrong that was not wrong at the edge.
    pub differing_hops: u64,
    /// Hops by what was wrong with them alone.
    pub hop_codes: BTreeMap<(Direction, String, String), u64>,
    /// Hops whose code is not in `hop_codes`, which holds [`MAX_CODES`].
    pub other_hop_codes: u64,
}

impl Window {
    /// The name under which a counterpart is counted.
    pub fn counterpart(&mut self, name: Option<&str>) -> Counterpart {
        let Some(name) = name else { return Counterpart::Unknown };
        if let Some((known, ())) = self.counterparts.get_key_value(name) {
            return Counterpart::Named(Arc::clone(known));
        }
        if self.counterparts.len() >= MAX_COUNTERPARTS {
            return Counterpart::Other;
        }
        let name: Arc<str> = name.into();
        self.counterparts.insert(Arc::clone(&name), ());
        Counterpart::Named(name)
    }

    /// Counts a call. `findings` are the codes of what rules found: code, attribute, direction and
    /// whether it is an error.
    pub fn call<'a>(
        &mut self,
        counterpart: &Counterpart,
        judgement: &Judgement,
        findings: impl Iterator<Item = (Direction, &'a str, &'a str, bool)>,
    ) {
        let operation = match judgement.operation {
            Ok(operation) => operation,
            Err(unrouted) => {
                *self.unrouted.entry(unrouted).or_default() += 1;
                return;
            }
        };
        let tally = self.tallies.entry((counterpart.clone(), operation)).or_default();
        tally.calls += 1;
        let mut is_violating = !judgement.corrected.is_conforming();
        // One attribute may break several rules that have the same code, such as two patterns.
        let mut codes = BTreeSet::new();
        for violation in &judgement.corrected.violations {
            codes.insert((violation.direction, violation.code(), violation.attribute.clone()));
        }
        for (direction, code, attribute, is_error) in findings {
            is_violating |= is_error;
            codes.insert((direction, code.to_owned(), attribute.to_owned()));
        }
        for code in codes {
            count(&mut tally.codes, &mut tally.other_codes, code);
        }
        if is_violating {
            tally.violating += 1;
        } else if judgement.unjudged.is_empty() {
            tally.conforming += 1;
        } else {
            tally.unjudged += 1;
        }
        tally.violating_as_published += u64::from(!judgement.published.is_conforming());
        // Both messages of a call may have the same reason.
        let reasons: BTreeSet<UnjudgedReason> =
            judgement.unjudged.iter().map(|unjudged| unjudged.reason).collect();
        for reason in reasons {
            *tally.reasons.entry(reason).or_default() += 1;
        }
    }

    /// Counts a further sighting of a call. `own` is what is wrong with it and was not wrong at the
    /// edge: code, attribute, direction and whether it is an error.
    pub fn hop<'a>(
        &mut self,
        counterpart: &Counterpart,
        operation: OperationId,
        own: impl Iterator<Item = (Direction, &'a str, &'a str, bool)>,
    ) {
        let tally = self.tallies.entry((counterpart.clone(), operation)).or_default();
        tally.hops += 1;
        let mut is_differing = false;
        let mut codes = BTreeSet::new();
        for (direction, code, attribute, is_error) in own {
            is_differing |= is_error;
            codes.insert((direction, code.to_owned(), attribute.to_owned()));
        }
        tally.differing_hops += u64::from(is_differing);
        for code in codes {
            count(&mut tally.hop_codes, &mut tally.other_hop_codes, code);
        }
    }

    /// Counts the attributes of a body.
    pub fn body(
        &mut self,
        counterpart: &Counterpart,
        contract: &Contract,
        trees: &mut AttributeTrees,
        body: &CountedBody,
    ) {
        let CountedBody { operation, direction, status, schema, ref fill } = *body;
        let tree = trees.of(contract, schema);
        let mut key =
            FillKey { counterpart: counterpart.clone(), operation, direction, status, schema };
        if !self.fills.contains_key(&key) {
            let size = tree.nodes().len();
            if self.counters + size > MAX_COUNTERS {
                key.counterpart = Counterpart::Other;
            }
            if !self.fills.contains_key(&key) {
                self.counters += size;
            }
        }
        self.fills.entry(key).or_default().add_body(&tree, fill);
    }

    /// Counts by counterpart and operation.
    pub fn tallies(&self) -> impl Iterator<Item = (&Counterpart, OperationId, &Tally)> {
        let mut sorted: Vec<_> = self.tallies.iter().collect();
        sorted.sort_unstable_by_key(|(key, _)| *key);
        sorted.into_iter().map(|((counterpart, operation), tally)| (counterpart, *operation, tally))
    }

    /// Fills, in a fixed order.
    pub fn fills(&self) -> impl Iterator<Item = (&FillKey, &Fill)> {
        let mut sorted: Vec<_> = self.fills.iter().collect();
        sorted.sort_unstable_by_key(|(key, _)| *key);
        sorted.into_iter()
    }

    /// Calls that no contract has, by reason.
    #[must_use]
    pub fn unrouted(&self) -> &BTreeMap<Unrouted, u64> {
        &self.unrouted
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tallies.is_empty() && self.unrouted.is_empty()
    }
}

impl CountedBody {
    /// Counts a body. `scratch` is overwritten.
    #[must_use]
    pub fn of(
        contract: &Contract,
        trees: &mut AttributeTrees,
        body: JudgedBody<'_>,
        scratch: &mut Fill,
    ) -> Self {
        let JudgedBody { operation, direction, status, schema, value, violations } = body;
        let tree = trees.of(contract, schema);
        let fill = BodyFill::of(&tree, value, violations, scratch);
        Self { operation, direction, status, schema, fill }
    }

    /// Memory that it takes, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.fill.bytes()
    }
}

fn count(
    codes: &mut BTreeMap<(Direction, String, String), u64>,
    others: &mut u64,
    key: (Direction, String, String),
) {
    let is_full = codes.len() >= MAX_CODES;
    match codes.get_mut(&key) {
        Some(calls) => *calls += 1,
        None if is_full => *others += 1,
        None => {
            codes.insert(key, 1);
        }
    }
}

impl AttributeTrees {
    /// The tree of a schema.
    pub fn of(&mut self, contract: &Contract, schema: SchemaId) -> Arc<AttributeTree> {
        let tree = self
            .by_schema
            .entry(schema)
            .or_insert_with(|| Arc::new(AttributeTree::new(contract.schemas(), schema)));
        Arc::clone(tree)
    }
}

/// The ecosystem has some fifty organisations; names that are received must not grow without end.
pub const MAX_COUNTERPARTS: usize = 512;

/// Counters of attributes in one window: 24 MiB. Beyond, counterparts are counted together.
pub const MAX_COUNTERS: usize = 512 << 10;

/// Codes and attributes of one counterpart and operation.
pub const MAX_CODES: usize = 512;
