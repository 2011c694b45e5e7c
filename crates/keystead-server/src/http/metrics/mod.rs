//! `/metrics`: numbers for Prometheus, in its text format 0.0.4 or as OpenMetrics 1.0, whichever is
//! asked for.

mod encode;
mod table;

use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, StatusCode};

use crate::http::Shared;
use crate::http::respond::{self, Answer};
use encode::encode;
use table::Numbers;
pub use table::reference;

pub(crate) const PATH: &str = "/metrics";

pub(crate) fn answer(shared: &Shared, headers: &HeaderMap) -> Answer {
    let numbers = Numbers {
        metrics: shared.verifier.metrics(),
        lines_dropped: shared.lines_dropped.count(),
        started: shared.started,
    };
    let format = Format::wanted(headers);
    let Ok(body) = encode(numbers, format) else { return respond::fault() };
    let mut answer = respond::text(StatusCode::OK, body);
    answer.headers_mut().insert(CONTENT_TYPE, format.content_type());
    answer
}

/// A text format.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The text format of Prometheus, 0.0.4, which everything that scrapes understands.
    Prometheus,
}

impl Format {
    /// OpenMetrics for those who name it and like it no less than plain text.
    fn wanted(headers: &HeaderMap) -> Self {
        let ranges = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let (mut open, mut plain) = (0, 0);
        for range in ranges.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let weight = parts.find_map(weight).unwrap_or(1000);
            if name.eq_ignore_ascii_case("application/openmetrics-text") {
                open = weight.max(open);
            } else if name.eq_ignore_ascii_case("text/plain") {
                plain = weight.max(plain);
            }
        }
        if open > 0 && open >= plain { Self::OpenMetrics } else { Self::Prometheus }
    }

    const fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        })
    }
}

/// A weight in thousandths (RFC 9110 section 12.4.2); one that is none counts for nothing.
fn weight(parameter: &str) -> Option<u32> {
    let (name, value) = parameter.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("q") {
        return None;
    }
    let value = value.trim();
    let digits = value.strip_prefix("0.").or_else(|| value.strip_prefix("1."));
    let thousandths = digits.and_then(|digits| format!("{digits:0<3}").parse().ok());
    Some(match (value.as_bytes().first(), digits) {
        (Some(b'1'), _) => 1000,
        (Some(b'0'), Some(digits)) if digits.len() <= 3 => thousandths.unwrap_or(0),
        _ => 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_for_those_who_ask_for_it() {
        for (accept, wanted) in [
            (None, Format::Prometheus),
            (Some("*/*"), Format::Prometheus),
            (Some("text/html,*/*;q=0.8"), Format::Prometheus),
            // Prometheus 2.
            (
                Some(
                    "application/openmetrics-text;version=1.0.0,\
                     application/openmetrics-text;version=0.0.1;q=0.75,\
                     text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                ),
                Format::OpenMetrics,
            ),
            // Prometheus 3, told to prefer its own.
            (
                Some(
                    "text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;\
                     q=0.5,*/*;q=0.1",
                ),
                Format::Prometheus,
            ),
            (Some("APPLICATION/OpenMetrics-Text; Q=0.001"), Format::OpenMetrics),
            (Some("application/openmetrics-text;q=0"), Format::Prometheus),
            (Some("application/openmetrics-text;q=x"), Format::Prometheus),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(Format::wanted(&headers), wanted, "{accept:?}");
        }
    }

    #[test]
    fn weights_are_thousandths() {
        for (written, thousandths) in
            [("q=1", 1000), ("q=1.000", 1000), ("q=0.5", 500), ("q=0.75", 750), ("q=0", 0)]
        {
            assert_eq!(weight(written), Some(thousandths), "{written}");
        }
        assert_eq!(weight("version=1.0.0"), None);
        assert_eq!(weight("q=0.1234"), Some(0));
    }
}
