//! Whether the process lives, and whether it is of use.
//!
//! Living depends on nothing: a provider that is down is no reason to restart this process.

use hyper::{Method, StatusCode};
use keystead::ProviderStatus;

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
    /// Whether, on the public listener.
    Verdict,
    /// Each provider's state and why, on the admin listener: reasons name addresses.
    Providers,
}

pub(crate) fn live(method: &Method) -> Answer {
    of_get(method, || respond::text(StatusCode::OK, "ok\n".to_owned()))
}

/// Ready when at least one provider can verify, and while the server is not about to end.
pub(crate) fn ready(shared: &Shared, method: &Method, detail: Detail) -> Answer {
    of_get(method, || {
        let (status, verdict) = if *shared.phase.borrow() != Phase::Serving {
            (StatusCode::SERVICE_UNAVAILABLE, "draining")
        } else if shared.verifier.can_verify() {
            (StatusCode::OK, "ok")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready")
        };
        let mut body = format!("{verdict}\n");
        if detail == Detail::Providers {
            let status = shared.verifier.status();
            let line = |(name, provider): (&String, &ProviderStatus)| {
                format!("{name} {}: {}\n", provider.state, provider.reason)
            };
            body.extend(status.providers.iter().map(line));
        }
        respond::text(status, body)
    })
}

fn of_get(method: &Method, answer: impl FnOnce() -> Answer) -> Answer {
    match *method {
        Method::GET | Method::HEAD => answer(),
        _ => respond::method_not_allowed("GET, HEAD"),
    }
}
