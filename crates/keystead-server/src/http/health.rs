//! Whether the process lives, and whether it is of use.
//!
//! Living depends on nothing: a provider that is down is no reason to restart this process.

use std::fmt::Write;

use hyper::{Method, StatusCode, Uri};
use keystead::Readiness;

use crate::http::Shared;
use crate::http::drain::Phase;
use crate::http::respond::{self, Answer};

pub(crate) const LIVE: &str = "/livez";
/// The same as [`LIVE`], under the name that older probes ask for.
pub(crate) const HEALTHY: &str = "/healthz";
pub(crate) const READY: &str = "/readyz";

/// How much readiness says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Detail {
    /// Each provider's state and why, on the admin listener: reasons name addresses.
    Providers,
    /// The same, when it is not ready.
    Reasons,
    /// Whether, on the public listener.
    Verdict,
}

impl Detail {
    /// What the admin listener says: `?verbose` asks for everything.
    pub(crate) fn asked_by(uri: &Uri) -> Self {
        let mut parameters = uri.query().unwrap_or_default().split('&');
        let verbose = |parameter: &str| parameter == "verbose" || parameter.starts_with("verbose=");
        if parameters.any(verbose) { Self::Providers } else { Self::Reasons }
    }
}

pub(crate) fn live(method: &Method) -> Answer {
    of_get(method, || respond::text(StatusCode::OK, "ok\n".to_owned()))
}

/// Ready when those providers can verify that are waited for (`ready_when`), and while the server is
/// not about to end.
pub(crate) fn ready(shared: &Shared, method: &Method, detail: Detail) -> Answer {
    of_get(method, || {
        let readiness = shared.verifier.readiness(&shared.ready_when);
        let draining = *shared.phase.borrow() != Phase::Serving;
        let (status, verdict) = match (draining, readiness.is_ready()) {
            (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
            (false, true) => (StatusCode::OK, "ok"),
            (false, false) => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
        };
        let mut body = verdict.to_owned();
        if verdict == "not ready" && detail != Detail::Verdict {
            body.push_str(&waiting_for(&readiness));
        }
        body.push('\n');
        let listed = match detail {
            Detail::Providers => true,
            Detail::Reasons => status != StatusCode::OK,
            Detail::Verdict => false,
        };
        if listed {
            for (name, provider) in shared.verifier.status().providers {
                // Writing into a String cannot fail.
                let _infallible = writeln!(body, "{name} {}: {}", provider.state, provider.reason);
            }
        }
        respond::text(status, body)
    })
}

fn waiting_for(readiness: &Readiness) -> String {
    if readiness.missing.is_empty() {
        return ": no provider can verify".to_owned();
    }
    format!(": waiting for {}", readiness.missing.join(", "))
}

fn of_get(method: &Method, answer: impl FnOnce() -> Answer) -> Answer {
    match *method {
        Method::GET | Method::HEAD => answer(),
        _ => respond::method_not_allowed("GET, HEAD"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_said_to_those_who_ask_for_it() {
        for (uri, detail) in [
            ("/readyz", Detail::Reasons),
            ("/readyz?verbose", Detail::Providers),
            ("/readyz?x=1&verbose=1", Detail::Providers),
            ("/readyz?verboser", Detail::Reasons),
        ] {
            assert_eq!(Detail::asked_by(&Uri::from_static(uri)), detail, "{uri}");
        }
    }
}
