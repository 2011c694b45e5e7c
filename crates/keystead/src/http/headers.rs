//! What an answer says about time and about its body: `Cache-Control`, `Retry-After`, `ETag`.

use std::time::Duration;

use http::header::{CACHE_CONTROL, DATE, ETAG, HeaderMap, RETRY_AFTER};

/// How long an answer may be kept (RFC 9111 section 5.2.2): the shortest `max-age`, or zero for
/// `no-store` and `no-cache`. A `max-age` that cannot be read is zero too (section 4.2.1).
///
/// `s-maxage` is for shared caches; key sets here are private to this process.
pub(super) fn max_age(headers: &HeaderMap) -> Option<Duration> {
    headers
        .get_all(CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(directives)
        .filter_map(lifetime)
        .min()
}

/// When the server wants to be asked again (RFC 9110 section 10.2.3), from now on. A date counts
/// from the answer's own `Date`, so that nobody's clock has to be right.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Some(seconds) = delta_seconds(text) {
        return Some(seconds);
    }
    let now = imf_fixdate(headers.get(DATE)?.to_str().ok()?.trim())?;
    Some(Duration::from_secs(imf_fixdate(text)?.saturating_sub(now)))
}

/// The entity tag (RFC 9110 section 8.8.3), if it is one and has at most 256 bytes. It is sent back
/// as it came.
pub(super) fn etag(headers: &HeaderMap) -> Option<String> {
    let tag = headers.get(ETAG)?.to_str().ok()?.trim();
    let opaque = tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"')?.strip_suffix('"')?;
    let whole =
        tag.len() <= ETAG_LIMIT && opaque.bytes().all(|b| b.is_ascii_graphic() && b != b'"');
    whole.then(|| tag.to_owned())
}

const ETAG_LIMIT: usize = 256;

fn lifetime(directive: &str) -> Option<Duration> {
    let (name, value) = match directive.split_once('=') {
        Some((name, value)) => (name.trim_end(), value.trim_start()),
        None => (directive, ""),
    };
    if name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache") {
        Some(Duration::ZERO)
    } else if name.eq_ignore_ascii_case("max-age") {
        let bare = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
        Some(delta_seconds(bare).unwrap_or_default())
    } else {
        None
    }
}

/// Splits at the commas that are not inside a quoted string.
fn directives(value: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    value
        .split(move |c| {
            let separates = c == ',' && !quoted;
            quoted ^= c == '"' && !escaped;
            escaped = quoted && c == '\\' && !escaped;
            separates
        })
        .map(str::trim)
}

/// A number of seconds; one too large to hold is 2^31 s (RFC 9111 section 1.2.2).
fn delta_seconds(text: &str) -> Option<Duration> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(Duration::from_secs(text.parse().unwrap_or(LONGEST).min(LONGEST)))
}

const LONGEST: u64 = 1 << 31;

/// Seconds, from some fixed moment to a date such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section
/// 5.6.7). Only differences of such dates mean anything here.
fn imf_fixdate(text: &str) -> Option<u64> {
    let (_weekday, rest) = text.split_once(", ")?;
    let mut parts = rest.split(' ');
    let day: u64 = number(parts.next()?, 2)?;
    let name = parts.next()?;
    let month: u64 = MONTHS.iter().zip(1..).find(|(m, _)| **m == name)?.1;
    let year = number(parts.next()?, 4)?;
    let mut clock = parts.next()?.split(':');
    let hour = number(clock.next()?, 2)?;
    let minute = number(clock.next()?, 2)?;
    let second = number(clock.next()?, 2)?;
    let whole = parts.next()? == "GMT" && parts.next().is_none() && clock.next().is_none();
    // 60: a leap second.
    let possible = (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    (whole && possible)
        .then(|| days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

fn number(text: &str, digits: usize) -> Option<u64> {
    (text.len() == digits && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Days since 1 March of the year -400, in the Gregorian calendar. Years begin in March here, so
/// that the leap day is the last day of its year.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month > 2 { year + 400 } else { year + 399 };
    let month = (month + 9) % 12;
    year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use http::HeaderName;
    use proptest::prelude::*;

    use super::*;

    fn headers(all: &[(HeaderName, &str)]) -> HeaderMap {
        all.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    fn age(values: &[&str]) -> Option<u64> {
        let all: Vec<_> = values.iter().map(|v| (CACHE_CONTROL, *v)).collect();
        max_age(&headers(&all)).map(|age| age.as_secs())
    }

    #[test]
    fn cache_control_says_how_long() {
        assert_eq!(age(&[]), None);
        assert_eq!(age(&["public"]), None);
        assert_eq!(age(&["public, max-age=3600"]), Some(3600));
        assert_eq!(age(&["Public , MAX-AGE=\"3600\""]), Some(3600));
        assert_eq!(age(&["s-maxage=10, max-age = 20"]), Some(20));
        assert_eq!(age(&["s-maxage=10"]), None);
        assert_eq!(age(&["public", "max-age=60"]), Some(60));
        assert_eq!(age(&["max-age=60", "max-age=30"]), Some(30));
        assert_eq!(age(&["max-age=60", "no-cache"]), Some(0));
        assert_eq!(age(&["No-Store"]), Some(0));
        assert_eq!(age(&["no-cache, no-store, max-age=0"]), Some(0));
        assert_eq!(age(&["max-age=99999999999999999999999"]), Some(LONGEST));
        assert_eq!(age(&["max-age=-1"]), Some(0));
        assert_eq!(age(&["max-age=soon"]), Some(0));
        assert_eq!(age(&["max-age"]), Some(0));
        assert_eq!(age(&["ext=\"a, no-store, \\\", max-age=1\", max-age=5"]), Some(5));
        assert_eq!(age(&["x-max-age=5, notmax-age=6"]), None);
    }

    #[test]
    fn retry_after_in_seconds() {
        let after = |value| retry_after(&headers(&[(RETRY_AFTER, value)])).map(|d| d.as_secs());
        assert_eq!(after("120"), Some(120));
        assert_eq!(after("0"), Some(0));
        assert_eq!(after("99999999999999999999999"), Some(LONGEST));
        for nonsense in ["-1", "1.5", "+3", "soon", ""] {
            assert_eq!(after(nonsense), None, "{nonsense}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }

    #[test]
    fn a_retry_after_date_counts_from_the_date_of_the_answer() {
        let after = |retry, date| {
            retry_after(&headers(&[(RETRY_AFTER, retry), (DATE, date)])).map(|d| d.as_secs())
        };
        let now = "Wed, 28 Feb 2024 23:59:30 GMT";
        assert_eq!(after("Thu, 29 Feb 2024 00:00:00 GMT", now), Some(30));
        assert_eq!(after("Fri, 01 Mar 2024 00:00:00 GMT", now), Some(86_430));
        assert_eq!(after("Wed, 01 Jan 2025 00:00:00 GMT", now), Some(30 + 307 * 86_400));
        assert_eq!(after("Tue, 27 Feb 2024 00:00:00 GMT", now), Some(0));
        assert_eq!(after("Thu, 29 Feb 2024 00:00:00 CET", now), None);
        assert_eq!(after("Thu, 29 Feb 2024 24:00:00 GMT", now), None);
        assert_eq!(after("Thu, 29 Feb 2024", now), None);
        assert_eq!(after("Thu, 29 Feb 2024 00:00:00 GMT", "yesterday"), None);
        let no_date = headers(&[(RETRY_AFTER, "Thu, 29 Feb 2024 00:00:00 GMT")]);
        assert_eq!(retry_after(&no_date), None);
    }

    #[test]
    fn an_etag_is_kept_as_it_came_if_it_is_one() {
        let tag = |value: &str| etag(&headers(&[(ETAG, value)]));
        let longest = format!("W/\"{}\"", "x".repeat(252));
        for good in ["\"a\"", "W/\"a-b/c=\"", "\"\"", longest.as_str()] {
            assert_eq!(tag(good).as_deref(), Some(good));
        }
        let too_long = format!("\"{}\"", "x".repeat(255));
        for bad in ["", "a", "\"", "\"a", "w/\"a\"", "\"a\", \"b\"", "\"a b\"", too_long.as_str()] {
            assert_eq!(tag(bad), None, "{bad}");
        }
        assert_eq!(etag(&HeaderMap::new()), None);
    }

    proptest! {
        #[test]
        fn a_day_later_is_a_day_later(year in 0_u64..9999, month in 1_u64..=12, day in 1_u64..28) {
            prop_assert_eq!(days(year, month, day + 1), days(year, month, day) + 1);
            let (next_year, next) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
            let length = days(next_year, next, 1) - days(year, month, 1);
            prop_assert!((28..=31).contains(&length));
        }

        #[test]
        fn no_header_makes_it_panic(value in "[ -~\t]{0,60}", date in "[ -~]{0,40}") {
            let all = headers(&[(CACHE_CONTROL, &value), (RETRY_AFTER, &value), (DATE, &date), (ETAG, &value)]);
            let _any = (max_age(&all), retry_after(&all), etag(&all));
        }
    }
}
