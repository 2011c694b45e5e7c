//! One line of the table.

use std::error::Error;
use std::fmt;

use crate::rounds::Samples;

/// Something measured, and what it should be.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// Its name in `results.json`.
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    /// Nothing when it could not be measured; then `notes` say why.
    pub(crate) measured: Option<Measured>,
    pub(crate) bar: Option<Bar>,
    /// What was seen beside it: the reason when the bar is missed.
    pub(crate) notes: String,
}

/// A value, and how far it varied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Measured {
    /// The 25th percentile over the rounds: what is compared with the bar.
    pub(crate) p25: f64,
    pub(crate) min: f64,
    /// The worst round. A ratio has none.
    pub(crate) max: Option<f64>,
}

/// What a figure should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bar {
    AtLeast(f64),
    AtMost(f64),
}

/// How a figure stands to its bar.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    Met,
    Missed,
    /// There is no bar.
    Noted,
    NotMeasured,
}

impl Figure {
    pub(crate) fn new(name: impl Into<String>, unit: &'static str, measured: Measured) -> Self {
        let (name, measured) = (name.into(), Some(measured));
        Self { name, unit, measured, bar: None, notes: String::new() }
    }

    pub(crate) fn not_measured(name: impl Into<String>, why: &dyn Error) -> Self {
        let (name, notes) = (name.into(), why.to_string());
        Self { name, unit: "", measured: None, bar: None, notes }
    }

    pub(crate) const fn at_most(mut self, bar: f64) -> Self {
        self.bar = Some(Bar::AtMost(bar));
        self
    }

    pub(crate) const fn at_least(mut self, bar: f64) -> Self {
        self.bar = Some(Bar::AtLeast(bar));
        self
    }

    pub(crate) fn notes(mut self, notes: impl Into<String>) -> Self {
        self.notes = notes.into();
        self
    }

    pub(crate) fn verdict(&self) -> Verdict {
        let Some(measured) = self.measured else { return Verdict::NotMeasured };
        let met = match self.bar {
            None => return Verdict::Noted,
            Some(Bar::AtLeast(bar)) => measured.p25 >= bar,
            Some(Bar::AtMost(bar)) => measured.p25 <= bar,
        };
        if met { Verdict::Met } else { Verdict::Missed }
    }
}

impl Measured {
    /// A count, or whatever else is measured once.
    pub(crate) const fn once(value: f64) -> Self {
        Self { p25: value, min: value, max: Some(value) }
    }

    /// How many times the second goes into the first, from samples of the same rounds.
    pub(crate) fn ratio(over: &Samples, under: &Samples) -> Self {
        let (over, under) = (over.measured(), under.measured());
        Self { p25: over.p25 / under.p25, min: over.min / under.min, max: None }
    }

    /// What the first takes beside the second.
    pub(crate) fn difference(whole: &Samples, part: &Samples) -> Self {
        let (whole, part) = (whole.measured(), part.measured());
        Self { p25: whole.p25 - part.p25, min: whole.min - part.min, max: None }
    }

    /// What both take.
    pub(crate) fn sum(one: &Samples, other: &Samples) -> Self {
        let (one, other) = (one.measured(), other.measured());
        Self { p25: one.p25 + other.p25, min: one.min + other.min, max: None }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bar) => write!(f, ">= {bar}"),
            Self::AtMost(bar) => write!(f, "<= {bar}"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::Noted => "-",
            Self::NotMeasured => "not measured",
        })
    }
}
