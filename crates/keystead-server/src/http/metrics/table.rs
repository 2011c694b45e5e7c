//! The one table of metrics: the page is encoded from it, and so is the reference.

use std::fmt::Write;
use std::time::Duration;

use keystead::{DecisionCounts, Distribution, Metrics, ProviderMetrics, Verdict};

/// Everything that is shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    pub(super) metrics: Metrics,
    /// Log lines that were dropped since the start.
    pub(super) lines_dropped: u64,
    /// When the process started (wall time).
    pub(super) started: Duration,
}

/// One metric.
#[derive(Debug)]
pub(super) struct Family {
    /// Its name, without the suffix that its kind has.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
    pub(super) samples: fn(&Numbers) -> Vec<Sample>,
}

/// What a metric is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// A number that only grows.
    Counter,
    /// A number that comes and goes.
    Gauge,
    Histogram,
    /// A text, in its labels.
    Info,
}

impl Kind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }

    /// What the name of a sample ends in.
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::Counter => "_total",
            Self::Info => "_info",
            Self::Gauge | Self::Histogram => "",
        }
    }
}

/// The values of a family's labels, in their order, and a number.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) labels: Vec<String>,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    Count(u64),
    /// Since the Unix epoch.
    Time(Duration),
    Durations(Distribution),
}

/// Stands where no provider was found, and where an acceptance has no code.
const NONE: &str = "none";

/// Every metric, in the order of the page. A label's values come from the configuration or from a
/// fixed list, never from a token.
pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "keystead_build",
        kind: Kind::Info,
        labels: &["version"],
        help: "The version that runs; always 1.",
        samples: |_| vec![sample([env!("CARGO_PKG_VERSION")], Value::Count(1))],
    },
    Family {
        name: "keystead_verifications",
        kind: Kind::Counter,
        labels: &["provider", "face", "result", "code"],
        help: "Decisions about requests: result is allow or refuse, code that of the refusal, or none. \
               The provider is none where no issuer matched.",
        samples: verifications,
    },
    Family {
        name: "keystead_verification_duration_seconds",
        kind: Kind::Histogram,
        labels: &["face", "result"],
        help: "How long judging took.",
        samples: |numbers| {
            let of = numbers.metrics.judging.iter();
            of.map(|((face, verdict), durations)| {
                let labels = [face.as_str(), verdict.as_str()];
                sample(labels, Value::Durations(durations.clone()))
            })
            .collect()
        },
    },
    Family {
        name: "keystead_token_cache_hits",
        kind: Kind::Counter,
        labels: &[],
        help: "Tokens whose signature was remembered and was not computed again.",
        samples: |numbers| vec![sample([], Value::Count(numbers.metrics.token_cache.hits))],
    },
    Family {
        name: "keystead_token_cache_misses",
        kind: Kind::Counter,
        labels: &[],
        help: "Tokens whose signature was not remembered, or no longer good to rely on.",
        samples: |numbers| vec![sample([], Value::Count(numbers.metrics.token_cache.misses))],
    },
    Family {
        name: "keystead_token_cache_tokens",
        kind: Kind::Gauge,
        labels: &[],
        help: "Tokens whose signature is remembered.",
        samples: |numbers| vec![sample([], Value::Count(numbers.metrics.token_cache.tokens))],
    },
    Family {
        name: "keystead_stale_verifications",
        kind: Kind::Counter,
        labels: &["provider"],
        help: "Tokens accepted with keys that may not be the newest: a provider is away, and nobody \
               notices yet.",
        samples: |numbers| each(numbers, |p| vec![(vec![], Value::Count(p.decisions.stale))]),
    },
    Family {
        name: "keystead_unknown_kid",
        kind: Kind::Counter,
        labels: &["provider", "outcome"],
        help: "Tokens that no key which is held could have signed: outcome is refetched when they had \
               the keys fetched, joined when they waited for a fetch that was under way, suppressed \
               when neither.",
        samples: |numbers| {
            each(numbers, |p| {
                let of = p.unknown_kids.iter();
                of.map(|(kid, n)| (vec![kid.as_str().to_owned()], Value::Count(*n))).collect()
            })
        },
    },
    Family {
        name: "keystead_provider_state",
        kind: Kind::Gauge,
        labels: &["provider", "state"],
        help: "1 for the state that the provider is in, else 0.",
        samples: |numbers| {
            each(numbers, |p| {
                let of = p.states.iter();
                of.map(|(state, n)| (vec![(*state).to_owned()], Value::Count(*n))).collect()
            })
        },
    },
    Family {
        name: "keystead_provider_keys",
        kind: Kind::Gauge,
        labels: &["provider", "source"],
        help: "Keys of the source that verify tokens now. The source is named as in the log.",
        samples: |numbers| {
            each(numbers, |p| {
                let of = p.sources.iter();
                of.map(|(source, of)| (vec![source.clone()], Value::Count(of.keys))).collect()
            })
        },
    },
    Family {
        name: "keystead_provider_last_success_timestamp_seconds",
        kind: Kind::Gauge,
        labels: &["provider", "source"],
        help: "When the source last gave keys; absent before the first time, and for keys in memory.",
        samples: |numbers| {
            each(numbers, |p| {
                let of = p.sources.iter();
                of.filter_map(|(source, of)| {
                    Some((vec![source.clone()], Value::Time(of.last_success?)))
                })
                .collect()
            })
        },
    },
    Family {
        name: "keystead_provider_next_refresh_timestamp_seconds",
        kind: Kind::Gauge,
        labels: &["provider"],
        help: "When the provider is asked next; one that has passed is due or under way. Absent for \
               a provider that is not asked over the network.",
        samples: |numbers| {
            each(numbers, |p| {
                p.next_refresh.map(|at| (vec![], Value::Time(at))).into_iter().collect()
            })
        },
    },
    Family {
        name: "keystead_provider_fetches",
        kind: Kind::Counter,
        labels: &["provider", "document", "result"],
        help: "Documents asked for: document is discovery or jwks, result is ok or the word that \
               log and status have for the error.",
        samples: |numbers| {
            each(numbers, |p| {
                let of = p.fetches.iter();
                of.map(|((document, result), n)| {
                    let labels = vec![document.as_str().to_owned(), (*result).to_owned()];
                    (labels, Value::Count(*n))
                })
                .collect()
            })
        },
    },
    Family {
        name: "keystead_provider_fetch_duration_seconds",
        kind: Kind::Histogram,
        labels: &["provider"],
        help: "How long it took to get a document, or to give it up.",
        samples: |numbers| {
            let fetched = |p: &ProviderMetrics| p.fetching.count() > 0;
            each(numbers, |p| {
                let durations = fetched(p).then(|| Value::Durations(p.fetching.clone()));
                durations.map(|value| (vec![], value)).into_iter().collect()
            })
        },
    },
    Family {
        name: "keystead_snapshot_writes",
        kind: Kind::Counter,
        labels: &["provider", "result"],
        help: "Attempts to keep the keys of the provider on disk: result is ok or error. Absent \
               without state_dir.",
        samples: |numbers| {
            each(numbers, |p| {
                let of = p.snapshot.iter().flat_map(|s| [("ok", s.writes), ("error", s.failures)]);
                of.map(|(result, n)| (vec![result.to_owned()], Value::Count(n))).collect()
            })
        },
    },
    Family {
        name: "keystead_snapshot_confirmed_timestamp_seconds",
        kind: Kind::Gauge,
        labels: &["provider"],
        help: "When the keys on disk were confirmed by their source, the oldest of several: a restart \
               now would start with keys of that age.",
        samples: |numbers| {
            each(numbers, |p| {
                let at = p.snapshot.and_then(|snapshot| snapshot.confirmed);
                at.map(|at| (vec![], Value::Time(at))).into_iter().collect()
            })
        },
    },
    Family {
        name: "keystead_log_lines_dropped",
        kind: Kind::Counter,
        labels: &[],
        help: "Log lines dropped because their reader was too slow.",
        samples: |numbers| vec![sample([], Value::Count(numbers.lines_dropped))],
    },
    Family {
        name: "process_start_time_seconds",
        kind: Kind::Gauge,
        labels: &[],
        help: "When the process started.",
        samples: |numbers| vec![sample([], Value::Time(numbers.started))],
    },
];

/// An acceptance is there from the start, so that its rate is known from the first one on; a
/// refusal when it was met, because there would be thousands that never are.
fn verifications(numbers: &Numbers) -> Vec<Sample> {
    let of = |provider: &str, counts: &DecisionCounts| -> Vec<Sample> {
        let (allow, refuse) = (Verdict::Allow.as_str(), Verdict::Refuse.as_str());
        let allowed = counts
            .allowed
            .iter()
            .map(|(face, n)| sample([provider, face.as_str(), allow, NONE], Value::Count(*n)));
        let refused = counts.refused.iter().map(|((face, code), n)| {
            sample([provider, face.as_str(), refuse, code.as_str()], Value::Count(*n))
        });
        allowed.chain(refused).collect()
    };
    let providers = numbers.metrics.providers.iter();
    let mut samples: Vec<_> = providers.flat_map(|p| of(&p.provider, &p.decisions)).collect();
    for unmatched in of(NONE, &numbers.metrics.unmatched) {
        // A provider may be called none.
        match samples.iter_mut().find(|known| known.labels == unmatched.labels) {
            Some(known) => known.value.add(&unmatched.value),
            None => samples.push(unmatched),
        }
    }
    samples
}

/// The samples of each provider, which is their first label.
fn each(
    numbers: &Numbers,
    of: impl Fn(&ProviderMetrics) -> Vec<(Vec<String>, Value)>,
) -> Vec<Sample> {
    let samples = |provider: &ProviderMetrics| -> Vec<Sample> {
        let named = |(labels, value): (Vec<String>, Value)| {
            let labels = std::iter::once(provider.provider.clone()).chain(labels).collect();
            Sample { labels, value }
        };
        of(provider).into_iter().map(named).collect()
    };
    numbers.metrics.providers.iter().flat_map(samples).collect()
}

fn sample<const N: usize>(labels: [&str; N], value: Value) -> Sample {
    Sample { labels: labels.map(str::to_owned).to_vec(), value }
}

impl Value {
    /// Adds a number of the same kind.
    fn add(&mut self, more: &Self) {
        if let (Self::Count(count), Self::Count(more)) = (self, more) {
            *count = count.saturating_add(*more);
        }
    }
}

const HEAD: &str = "\
<!-- generated from the table of metrics: make docs -->
# Metrics

`GET /metrics` on the admin listener, in the text format of Prometheus (0.0.4), or as OpenMetrics \
1.0 for those who ask for it in `Accept`.

- **Labels** come from the configuration or from a fixed list, never from a token: nobody can make \
series by sending requests.
- **At most 200 providers**, in name order, have series of their own; what lies beyond is added up \
as `provider=\"other\"`, where `keystead_provider_state` says how many of them are in each state.
- **States, codes and results** are the words of log, `/status.json` and refusals.
- A series that is not there has not happened yet; `keystead_verifications_total{result=\"allow\"}` \
is there from the start.
";

const TAIL: &str = "
## What to watch

- A provider cannot be judged: `keystead_provider_state{state=~\"cold|expired\"} == 1`
- A provider is away, and its tokens are still accepted: \
`rate(keystead_stale_verifications_total[5m]) > 0`
- Keys grow old: `time() - keystead_provider_last_success_timestamp_seconds > 3600`
- Callers are refused for want of keys: \
`rate(keystead_verifications_total{code=~\"keys[.].*\"}[5m]) > 0`
- Keys are not kept on disk: `rate(keystead_snapshot_writes_total{result=\"error\"}[15m]) > 0`
- Log lines are lost: `rate(keystead_log_lines_dropped_total[5m]) > 0`
";

/// The reference of every metric, as Markdown: what `docs/metrics.md` holds.
#[must_use]
pub fn reference() -> String {
    let mut out = HEAD.to_owned();
    out.push_str("\n| metric | kind | labels | meaning |\n|---|---|---|---|\n");
    for Family { name, kind, labels, help, .. } in FAMILIES {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let labels = if labels.is_empty() { "-".to_owned() } else { labels.join(", ") };
        let (kind, suffix) = (kind.as_str(), kind.suffix());
        // Writing into a String cannot fail.
        let _infallible = writeln!(out, "| `{name}{suffix}` | {kind} | {labels} | {help} |");
    }
    out.push_str(TAIL);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use keystead::{ProviderConfig, Verifier};

    #[test]
    fn names_are_unique_and_say_their_unit() {
        let mut names: Vec<_> = FAMILIES.iter().map(|family| family.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FAMILIES.len());
        for family in FAMILIES {
            assert!(family.help.ends_with('.'), "{}", family.name);
            let timed = family.name.contains("duration") || family.name.contains("time");
            assert_eq!(family.name.ends_with("_seconds"), timed, "{}", family.name);
        }
    }

    #[test]
    fn every_sample_has_a_value_for_each_label_and_no_other_has_the_same() {
        let provider = |name| ProviderConfig::new(name, format!("https://{name}.example"));
        let none = provider("none").any_audience();
        let builder = Verifier::builder().provider(none).provider(provider("p").any_audience());
        let verifier = builder.build();
        let numbers = Numbers { metrics: verifier.metrics(), ..Numbers::default() };
        for family in FAMILIES {
            let samples = (family.samples)(&numbers);
            let mut seen = std::collections::HashSet::new();
            for sample in samples {
                assert_eq!(sample.labels.len(), family.labels.len(), "{}", family.name);
                assert!(seen.insert(sample.labels), "{}", family.name);
            }
        }
    }
}
