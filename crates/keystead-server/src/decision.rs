//! One log line per decision about a token: what was presented, what was decided and why, never the
//! token.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{HeaderName, USER_AGENT};
use hyper::{HeaderMap, Method};
use keystead::config::LogDecisions;
use keystead::core::text::escaped;
use keystead::core::{Blame, Rejection, TokenFacts, TokenLimits, UnverifiedToken};
use keystead::{Clock, Face, VerifiedToken};

use crate::log::limiter::Limiter;

/// Writes decisions, as many as the configuration and the limit per code allow.
#[derive(Debug)]
pub(crate) struct Decisions {
    which: LogDecisions,
    clock: Arc<dyn Clock>,
    limits: TokenLimits,
    limiter: Limiter,
}

/// The request that a decision answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// The face that was asked.
    pub(crate) face: Face,
    pub(crate) method: &'a Method,
    /// The path of the request, without its query.
    pub(crate) path: &'a str,
    pub(crate) headers: &'a HeaderMap,
    /// Who opened the connection: a proxy, as a rule.
    pub(crate) peer: Option<IpAddr>,
    /// When the request was taken up (monotonic time).
    pub(crate) since: Duration,
}

/// The parts of a line that refusals and acceptances share.
struct Line {
    token: TokenFacts,
    presented: bool,
    issuer: Option<String>,
    kid: Option<String>,
    alg: Option<String>,
    exp_delta_s: Option<f64>,
    path: String,
    forwarded_path: Option<String>,
    forwarded_method: Option<String>,
    client_ip: Option<String>,
    user_agent: Option<String>,
    correlation_id: Option<String>,
    duration_s: f64,
}

/// One event at a level that is known only at run time; the levels of tracing are constants.
macro_rules! write_line {
    ($level:ident, $line:ident, $asked:ident, $fingerprint:ident, $message:expr, $($fields:tt)*) => {
        tracing::$level!(
            event = "auth.decision",
            $($fields)*
            fingerprint = $fingerprint,
            token_length = $line.presented.then_some($line.token.length),
            token_segments = $line.presented.then_some($line.token.segments),
            token_issuer = $line.issuer,
            kid = $line.kid,
            alg = $line.alg,
            exp_delta_s = $line.exp_delta_s,
            face = $asked.face.as_str(),
            method = $asked.method.as_str(),
            path = $line.path,
            forwarded_method = $line.forwarded_method,
            forwarded_path = $line.forwarded_path,
            client_ip = $line.client_ip,
            user_agent = $line.user_agent,
            correlation_id = $line.correlation_id,
            duration_s = $line.duration_s,
            "{}", $message
        )
    };
}

impl Decisions {
    pub(crate) fn new(which: LogDecisions, token_limit: usize, clock: Arc<dyn Clock>) -> Self {
        let limits = TokenLimits::with_token(token_limit);
        Self { which, clock, limits, limiter: Limiter::new() }
    }

    /// Monotonic time, for [`Asked::since`].
    pub(crate) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// A token was accepted. Acceptances have no code, and no limit but that of the writer.
    pub(crate) fn allowed(&self, asked: &Asked<'_>, token: &str, verified: &VerifiedToken) {
        if self.which != LogDecisions::All || !tracing::enabled!(tracing::Level::INFO) {
            return;
        }
        let line = self.line(asked, Some(token));
        let fingerprint = keystead::fingerprint(token);
        write_line!(
            info,
            line,
            asked,
            fingerprint,
            format_args!("token of provider {} is accepted", verified.provider()),
            result = "allow",
            provider = verified.provider(),
            key_source = verified.key_origin(),
            freshness = verified.freshness().as_str(),
        );
    }

    /// A request was refused, with this token if it presented one.
    pub(crate) fn refused(
        &self,
        asked: &Asked<'_>,
        token: Option<&str>,
        fingerprint: Option<&str>,
        rejection: &Rejection,
    ) {
        if !matches!(self.which, LogDecisions::Refusals | LogDecisions::All) {
            return;
        }
        let code = rejection.code();
        let admission = self.limiter.admit(code, self.clock.monotonic());
        if admission.suppressed > 0 {
            report_suppressed(code.as_str(), admission.suppressed);
        }
        if !admission.written {
            return;
        }
        let line = self.line(asked, token);
        let (hint, sentence) = (rejection.hint(), rejection.sentence());
        if code.blame() == Blame::Provider {
            write_line!(
                warn,
                line,
                asked,
                fingerprint,
                sentence,
                result = "refuse",
                code = code.as_str(),
                provider = rejection.provider(),
                hint,
            );
        } else {
            write_line!(
                info,
                line,
                asked,
                fingerprint,
                sentence,
                result = "refuse",
                code = code.as_str(),
                provider = rejection.provider(),
                hint,
            );
        }
    }

    /// Reports the lines that were kept back in the seconds that are over.
    pub(crate) fn report_suppressed(&self) {
        for (code, lines) in self.limiter.close(self.clock.monotonic()) {
            report_suppressed(code.as_str(), lines);
        }
    }

    fn line(&self, asked: &Asked<'_>, token: Option<&str>) -> Line {
        let facts = |text| {
            let parsed = UnverifiedToken::parse(text, self.limits);
            parsed.map_or_else(|_| TokenFacts::of(text), |parsed| parsed.facts())
        };
        let facts = token.map(facts).unwrap_or_default();
        let shown = |text: &str| shown(text, token);
        let header = |name: &HeaderName| {
            asked.headers.get(name).map(|value| shown(&String::from_utf8_lossy(value.as_bytes())))
        };
        let path = |name: &HeaderName| {
            let uri = String::from_utf8_lossy(asked.headers.get(name)?.as_bytes()).into_owned();
            Some(shown(path_of(&uri)))
        };
        let wall = self.clock.wall();
        Line {
            issuer: facts.issuer.as_deref().map(escaped),
            kid: facts.kid.as_deref().map(escaped),
            alg: facts.alg.as_deref().map(escaped),
            exp_delta_s: facts.exp.map(|exp| (exp - wall.as_secs_f64()).round()),
            path: shown(path_of(asked.path)),
            forwarded_path: path(&FORWARDED_URI).or_else(|| path(&ORIGINAL_URL)),
            forwarded_method: header(&FORWARDED_METHOD).or_else(|| header(&ORIGINAL_METHOD)),
            client_ip: asked.peer.map(|peer| peer.to_string()),
            user_agent: header(&USER_AGENT),
            correlation_id: correlation_id(asked.headers).map(|id| shown(&id)),
            duration_s: self.clock.monotonic().saturating_sub(asked.since).as_secs_f64(),
            presented: token.is_some(),
            token: facts,
        }
    }
}

/// One line for those that were not written.
fn report_suppressed(code: &'static str, suppressed: u64) {
    tracing::info!(
        event = "auth.suppressed",
        code,
        suppressed,
        "{suppressed} more refusals with this code within one second are not written"
    );
}

/// A presented text, escaped and capped; nothing of it when it holds the token.
fn shown(text: &str, token: Option<&str>) -> String {
    match token {
        Some(token) if !token.is_empty() && text.contains(token) => "(holds the token)".to_owned(),
        _ => escaped(text),
    }
}

/// The path of an address: without scheme and authority, which may hold a password, and without
/// query and fragment, which may hold anything.
fn path_of(uri: &str) -> &str {
    let end = uri.find(['?', '#']).unwrap_or(uri.len());
    let (uri, _) = uri.split_at_checked(end).unwrap_or((uri, ""));
    let Some((_, rest)) = uri.split_once("://") else { return uri };
    rest.find('/').and_then(|at| rest.split_at_checked(at)).map_or("/", |(_, path)| path)
}

/// What ties this line to those of others: the first of the usual headers, else the trace.
fn correlation_id(headers: &HeaderMap) -> Option<String> {
    let header = |name: &HeaderName| {
        let value = headers.get(name).filter(|value| !value.is_empty())?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    header(&CORRELATION_ID).or_else(|| header(&REQUEST_ID)).or_else(|| {
        // W3C Trace Context section 3.2: version, trace id, parent id, flags.
        let parent = header(&TRACEPARENT)?;
        let id = parent.split('-').nth(1)?;
        (id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())).then(|| id.to_owned())
    })
}

static CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
static FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
static FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
static ORIGINAL_URL: HeaderName = HeaderName::from_static("x-original-url");
static ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn paths_lose_everything_that_may_hold_a_secret() {
        assert_eq!(path_of("/a/b?access_token=x#y"), "/a/b");
        assert_eq!(path_of("/a#b?c"), "/a");
        assert_eq!(path_of("https://u:p@h.example/a/b?c"), "/a/b");
        assert_eq!(path_of("https://u:p@h.example"), "/");
        assert_eq!(path_of("/to?next=https://h/"), "/to");
        assert_eq!(path_of(""), "");
    }

    #[test]
    fn a_text_that_holds_the_token_is_not_shown() {
        assert_eq!(shown("agent a.b.c", Some("a.b.c")), "(holds the token)");
        assert_eq!(shown("agent", Some("")), "agent");
        assert_eq!(shown("a\u{1b}[31m", None), "a\\u{1b}[31m");
    }

    #[test]
    fn the_first_usual_header_names_the_request_else_the_trace() {
        let mut headers = HeaderMap::new();
        assert_eq!(correlation_id(&headers), None);
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        headers.insert("traceparent", HeaderValue::from_static(trace));
        let id = correlation_id(&headers);
        assert_eq!(id.as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        headers.insert("x-request-id", HeaderValue::from_static("r1"));
        assert_eq!(correlation_id(&headers).as_deref(), Some("r1"));
        headers.insert("x-correlation-id", HeaderValue::from_static(""));
        assert_eq!(correlation_id(&headers).as_deref(), Some("r1"), "an empty one names nothing");
        headers.insert("x-correlation-id", HeaderValue::from_static("c1"));
        assert_eq!(correlation_id(&headers).as_deref(), Some("c1"));
    }
}
