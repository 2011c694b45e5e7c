//! The table of metrics as text.
//!
//! The library encodes OpenMetrics. In the older format of Prometheus a counter is described under
//! the name that its samples have, and there is no info; both are had by describing and encoding
//! them as what they are there.

use std::fmt::{Error, Result as Encoded};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::Format;
use super::table::{FAMILIES, Family, Kind, Numbers, Sample, Value};

/// The labels of one sample, with their names.
type Labels<'a> = Vec<(&'a str, &'a str)>;

/// Encodes every metric.
///
/// # Errors
/// Never: writing into a `String` does not fail.
pub(super) fn encode(numbers: Numbers, format: Format) -> Result<String, Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Page { numbers, format }));
    let mut out = String::new();
    text::encode_registry(&mut out, &registry)?;
    if format == Format::OpenMetrics {
        text::encode_eof(&mut out)?;
    }
    Ok(out)
}

#[derive(Debug)]
struct Page {
    numbers: Numbers,
    format: Format,
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Encoded {
        for family in FAMILIES {
            let samples = (family.samples)(&self.numbers);
            if !samples.is_empty() {
                self.family(&mut encoder, family, &samples)?;
            }
        }
        Ok(())
    }
}

impl Page {
    fn family(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        family: &Family,
        samples: &[Sample],
    ) -> Encoded {
        let whole_name = format!("{}{}", family.name, family.kind.suffix());
        let (name, kind) = match (self.format, family.kind) {
            (_, Kind::Histogram) => (family.name, MetricType::Histogram),
            (_, Kind::Gauge) => (family.name, MetricType::Gauge),
            (Format::OpenMetrics, Kind::Counter) => (family.name, MetricType::Counter),
            (Format::OpenMetrics, Kind::Info) => (family.name, MetricType::Info),
            (Format::Prometheus, Kind::Counter) => (&*whole_name, MetricType::Counter),
            (Format::Prometheus, Kind::Info) => (&*whole_name, MetricType::Gauge),
        };
        let mut metric = encoder.encode_descriptor(name, family.help, None, kind)?;
        for sample in samples {
            let values = sample.labels.iter().map(String::as_str);
            let labels: Labels<'_> = family.labels.iter().copied().zip(values).collect();
            self.sample(&mut metric, family.kind, &labels, &sample.value)?;
        }
        Ok(())
    }

    fn sample(
        &self,
        metric: &mut MetricEncoder<'_>,
        kind: Kind,
        labels: &Labels<'_>,
        value: &Value,
    ) -> Encoded {
        if self.format == Format::OpenMetrics && kind == Kind::Info {
            return metric.encode_info(labels);
        }
        if labels.is_empty() {
            return self.number(metric, kind, value);
        }
        self.number(&mut metric.encode_family(labels)?, kind, value)
    }

    fn number(&self, metric: &mut MetricEncoder<'_>, kind: Kind, value: &Value) -> Encoded {
        match value {
            Value::Count(count) if self.format == Format::OpenMetrics && kind == Kind::Counter => {
                metric.encode_counter::<Labels<'_>, u64, u64>(count, None)
            }
            Value::Count(count) => metric.encode_gauge(count),
            Value::Time(since_epoch) => metric.encode_gauge(&since_epoch.as_secs_f64()),
            Value::Durations(durations) => {
                let bounds = durations.buckets.iter().map(|(bound, n)| (bound.as_secs_f64(), *n));
                let buckets: Vec<_> = bounds.chain([(f64::INFINITY, durations.above)]).collect();
                let sum = Duration::as_secs_f64(&durations.sum);
                metric.encode_histogram::<Labels<'_>>(sum, durations.count(), &buckets, None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keystead::core::{Reason, Rejection};
    use keystead::{Face, ProviderConfig, Verifier};

    fn page(format: Format) -> String {
        let provider = ProviderConfig::new("dark", "https://dark.example").any_audience();
        let verifier = Verifier::builder().provider(provider).build();
        let refused = Rejection::new(Reason::Empty);
        verifier.count(Face::Verify, Err(&refused), Duration::from_micros(30));
        let (metrics, started) = (verifier.metrics(), Duration::from_millis(1_700_000_000_250));
        encode(Numbers { metrics, lines_dropped: 7, started }, format).unwrap()
    }

    #[test]
    fn the_text_of_prometheus_describes_samples_under_their_own_names() {
        let text = page(Format::Prometheus);
        for line in [
            "# TYPE keystead_build_info gauge",
            concat!("keystead_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
            "# TYPE keystead_verifications_total counter",
            r#"keystead_verifications_total{provider="dark",face="verify",result="allow",code="none"} 0"#,
            r#"keystead_verifications_total{provider="none",face="verify",result="refuse",code="token.empty"} 1"#,
            "# TYPE keystead_verification_duration_seconds histogram",
            r#"keystead_verification_duration_seconds_bucket{le="0.00001",face="verify",result="refuse"} 0"#,
            r#"keystead_verification_duration_seconds_bucket{le="0.00005",face="verify",result="refuse"} 1"#,
            r#"keystead_verification_duration_seconds_bucket{le="+Inf",face="verify",result="refuse"} 1"#,
            r#"keystead_verification_duration_seconds_sum{face="verify",result="refuse"} 0.00003"#,
            r#"keystead_provider_state{provider="dark",state="cold"} 1"#,
            r#"keystead_provider_state{provider="dark",state="ready"} 0"#,
            "# TYPE keystead_log_lines_dropped_total counter",
            "keystead_log_lines_dropped_total 7",
            "process_start_time_seconds 1700000000.25",
        ] {
            assert!(text.lines().any(|known| known == line), "{line}\n{text}");
        }
        assert!(!text.contains("# EOF") && !text.contains(" info\n"), "{text}");
    }

    #[test]
    fn openmetrics_describes_families() {
        let text = page(Format::OpenMetrics);
        for line in [
            "# TYPE keystead_build info",
            concat!("keystead_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
            "# TYPE keystead_verifications counter",
            r#"keystead_verifications_total{provider="dark",face="verify",result="allow",code="none"} 0"#,
            "# TYPE keystead_log_lines_dropped counter",
            "keystead_log_lines_dropped_total 7",
        ] {
            assert!(text.lines().any(|known| known == line), "{line}\n{text}");
        }
        assert!(text.ends_with("\n# EOF\n"), "{text}");
    }
}
