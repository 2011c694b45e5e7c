//! What every face that judges tokens has in common: verify, write the decision down, hand it back.

use std::time::Duration;

use keystead::core::{Reason, Rejection};
use keystead::{VerifiedToken, fingerprint};

use crate::decision::Asked;
use crate::http::Shared;
use crate::http::refusal::Refused;

/// Judges what a request presented, after its provider was asked for the key if it is not held; most
/// requests wait for nothing. `grant` makes of a verified token what the face answers with,
/// and may still refuse. What that took is counted from
/// `judging_since` on, which is later than `asked.since` where a body had to arrive first.
pub(crate) async fn judge<T>(
    shared: &Shared,
    asked: &Asked<'_>,
    judging_since: Duration,
    presented: Result<&str, Reason>,
    grant: impl FnOnce(VerifiedToken) -> Result<T, Rejection>,
) -> Result<T, Box<Refused>> {
    let token = match &presented {
        Ok(token) => Some(*token),
        // Nothing stood where the token belongs: its length is known, and it is 0.
        Err(Reason::Empty) => Some(""),
        Err(_) => None,
    };
    let verdict = match presented {
        Ok(token) => shared.verifier.verify_wait(token).await,
        Err(reason) => Err(Rejection::new(reason)),
    };
    let decision = verdict.and_then(|verified| Ok((verified.clone(), grant(verified)?)));
    let took = shared.decisions.now().saturating_sub(judging_since);
    shared.verifier.count(asked.face, decision.as_ref().map(|(verified, _)| verified), took);
    match decision {
        Ok((verified, granted)) => {
            shared.decisions.allowed(asked, token.unwrap_or_default(), &verified);
            Ok(granted)
        }
        Err(rejection) => {
            let fingerprint = token.filter(|token| !token.is_empty()).map(fingerprint);
            shared.decisions.refused(asked, token, fingerprint.as_deref(), &rejection);
            Err(Box::new(Refused { rejection, fingerprint }))
        }
    }
}
