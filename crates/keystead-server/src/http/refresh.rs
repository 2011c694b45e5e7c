//! `POST /-/refresh/PROVIDER`: asks a provider now, and waits for what comes of it.

use std::time::Duration;

use hyper::StatusCode;
use keystead::core::text::escaped;
use keystead::{ProviderStatus, RefreshError};

use crate::http::Shared;
use crate::http::respond::{self, Answer};

pub(crate) const PREFIX: &str = "/-/refresh/";

/// How long the attempt is waited for: less than a connection may hold a request unanswered. The
/// default timeouts are used up well before.
const WAIT: Duration = Duration::from_secs(14);

/// 200 with the status of the provider; 404 when there is none of that name; 503, with its status
/// too, when it gave no keys.
pub(crate) async fn answer(shared: &Shared, provider: &str) -> Answer {
    let asked = tokio::time::timeout(WAIT, shared.verifier.refresh(provider)).await;
    let (answer, outcome) = match asked {
        // Nobody was asked, which is not what was asked for.
        Ok(Ok(status)) if status.state == "disabled" => (failed(&status), "disabled"),
        Ok(Ok(status)) => (shown(StatusCode::OK, &status), "ok"),
        Ok(Err(RefreshError::Failed(status))) => (failed(&status), "failed"),
        Ok(Err(error @ RefreshError::UnknownProvider(_))) => {
            let status = StatusCode::NOT_FOUND;
            let code = "request.unknown_provider";
            return respond::problem(status, code, &error.to_string());
        }
        Ok(Err(error)) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            (respond::problem(status, "request.not_now", &error.to_string()), "not_running")
        }
        Err(_) => {
            let sentence = format!(
                "the provider did not answer within {} s, the attempt goes on",
                WAIT.as_secs()
            );
            let status = StatusCode::GATEWAY_TIMEOUT;
            (respond::problem(status, "request.timeout", &sentence), "timeout")
        }
    };
    let provider = escaped(provider);
    tracing::info!(
        event = "admin.refresh",
        provider,
        outcome,
        "provider {provider} was asked on request: {outcome}"
    );
    answer
}

fn failed(status: &ProviderStatus) -> Answer {
    shown(StatusCode::SERVICE_UNAVAILABLE, status)
}

fn shown(code: StatusCode, status: &ProviderStatus) -> Answer {
    serde_json::to_string(status)
        .map_or_else(|_| respond::fault(), |body| respond::json(code, body))
}
