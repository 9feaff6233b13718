//! A metric as it is told: a name, what it means, and its samples.

use std::borrow::Cow;

/// All samples of one metric.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    /// Without the unit and without `_total` or `_info`, which follow from the rest.
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) kind: FamilyKind,
    pub(crate) unit: Option<FamilyUnit>,
    pub(crate) samples: Vec<Sample>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FamilyKind {
    Counter,
    Gauge,
    Info,
}

/// Base units only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FamilyUnit {
    Bytes,
    Seconds,
}

/// One value and what tells it from the others.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) labels: Vec<(&'static str, Cow<'static, str>)>,
    pub(crate) value: Number,
}

/// A value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Whole(u64),
    Real(f64),
}

impl Family {
    pub(crate) fn counter(name: &'static str, help: &'static str) -> Self {
        Self::new(FamilyKind::Counter, name, help)
    }

    pub(crate) fn gauge(name: &'static str, help: &'static str) -> Self {
        Self::new(FamilyKind::Gauge, name, help)
    }

    pub(crate) fn info(name: &'static str, help: &'static str) -> Self {
        Self::new(FamilyKind::Info, name, help)
    }

    fn new(kind: FamilyKind, name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind, unit: None, samples: Vec::new() }
    }

    pub(crate) fn in_bytes(self) -> Self {
        Self { unit: Some(FamilyUnit::Bytes), ..self }
    }

    pub(crate) fn in_seconds(self) -> Self {
        Self { unit: Some(FamilyUnit::Seconds), ..self }
    }

    /// Its only sample.
    pub(crate) fn is(self, value: impl Into<Number>) -> Self {
        self.with(Vec::new(), value)
    }

    /// Its only sample, where it is known.
    pub(crate) fn maybe(self, value: Option<impl Into<Number>>) -> Self {
        match value {
            Some(value) => self.is(value),
            None => self,
        }
    }

    /// One more sample.
    pub(crate) fn with(
        mut self,
        labels: Vec<(&'static str, Cow<'static, str>)>,
        value: impl Into<Number>,
    ) -> Self {
        self.samples.push(Sample { labels, value: value.into() });
        self
    }

    /// A sample for each word of one label.
    pub(crate) fn by<W: Into<Cow<'static, str>>, N: Into<Number>>(
        self,
        label: &'static str,
        values: impl IntoIterator<Item = (W, N)>,
    ) -> Self {
        values
            .into_iter()
            .fold(self, |family, (word, value)| family.with(vec![(label, word.into())], value))
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<bool> for Number {
    fn from(value: bool) -> Self {
        Self::Whole(u64::from(value))
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}
