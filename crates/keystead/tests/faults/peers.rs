//! What others do under the same faults, as measured in November 2026.

use keystead_testkit::idp::Fault;

use super::table::Moment;

/// A situation that others were measured in, by the faults that make it.
pub(crate) struct Column {
    pub(crate) heading: &'static str,
    pub(crate) faults: &'static [Fault],
    pub(crate) moment: Moment,
}

pub(crate) const COLUMNS: &[Column] = &[
    Column {
        heading: "`down` at start",
        faults: &[Fault::Down],
        moment: Moment::Start,
    },
    Column {
        heading: "`blackhole` at start",
        faults: &[Fault::Blackhole],
        moment: Moment::Start,
    },
    Column {
        heading: "a known key under `status_500`, `html`, `truncated_json`, `down`, `blackhole`",
        faults: &[
            Fault::Status500,
            Fault::Html,
            Fault::TruncatedJson,
            Fault::Down,
            Fault::Blackhole,
        ],
        moment: Moment::WarmUp,
    },
    Column {
        heading: "a known key under `empty_set`",
        faults: &[Fault::EmptySet],
        moment: Moment::WarmUp,
    },
    Column {
        heading: "`swallow`, then healthy on new connections",
        faults: &[],
        moment: Moment::WarmUp,
    },
];
