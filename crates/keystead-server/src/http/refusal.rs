//! A refusal as an HTTP answer: the one place where a rejection becomes status, headers and body.

use hyper::StatusCode;
use hyper::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use keystead::config::RefusalDetail;
use keystead::core::Rejection;
use serde_json::Value;

use crate::http::respond::{self, Answer};

/// A rejection, and the fingerprint of what was rejected: `None` where nothing was presented.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) rejection: Rejection,
    pub(crate) fingerprint: Option<String>,
}

/// Status, challenge, Retry-After and body as the table of `rejection` has them. The code stands in
/// `X-Keystead-Reason` as well, since nginx passes on no body of an `auth_request`.
pub(crate) fn answer(refused: &Refused, detail: RefusalDetail) -> Answer {
    let Refused { rejection, .. } = refused;
    let status = StatusCode::from_u16(rejection.http_status());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = respond::json(status, body(refused, detail));
    let headers = answer.headers_mut();
    headers.insert(respond::REASON, HeaderValue::from_static(rejection.code().as_str()));
    // What the table holds is fit for a header (a test in the core looks at every code).
    if let Some(Ok(challenge)) = rejection.challenge().map(HeaderValue::try_from) {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    if let Some(wait) = rejection.retry_after() {
        headers.insert(RETRY_AFTER, wait.as_secs().into());
    }
    answer
}

/// In the order in which it is documented, for those who read it with their eyes.
fn body(refused: &Refused, detail: RefusalDetail) -> String {
    let Refused { rejection, fingerprint } = refused;
    let code = rejection.code();
    let sentence = (detail != RefusalDetail::Code).then(|| rejection.sentence().into());
    let hint = (detail == RefusalDetail::Hint).then(|| rejection.hint().into());
    let members: [(&str, Option<Value>); 5] = [
        ("error", Some(code.error().into())),
        ("error_description", sentence),
        ("code", Some(code.as_str().into())),
        ("fingerprint", Some(fingerprint.clone().into())),
        ("hint", hint),
    ];
    let there = members.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let members: Vec<_> = there.map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use keystead::core::{Code, ProviderState, Reason};

    fn refused(reason: Reason) -> Refused {
        Refused { rejection: Rejection::new(reason), fingerprint: Some("0123abcd".into()) }
    }

    fn members(reason: Reason, detail: RefusalDetail) -> Value {
        serde_json::from_str(&body(&refused(reason), detail)).unwrap()
    }

    #[test]
    fn a_caller_is_told_as_much_as_is_configured() {
        let unknown = || Reason::UnknownIssuer { presented: "https://a".into() };
        assert_eq!(
            members(unknown(), RefusalDetail::Code),
            serde_json::json!({
                "error": "invalid_token", "code": "issuer.unknown", "fingerprint": "0123abcd"
            })
        );
        assert_eq!(
            body(&refused(Reason::Empty), RefusalDetail::Sentence),
            r#"{"error":"invalid_token","error_description":"token is empty","code":"token.empty","fingerprint":"0123abcd"}"#
        );
        let sentence = members(unknown(), RefusalDetail::Sentence);
        assert_eq!(sentence["error_description"], "issuer \"https://a\" is not configured");
        assert_eq!(sentence.get("hint"), None);
        assert!(members(unknown(), RefusalDetail::Hint)["hint"].is_string());
    }

    /// T30, T31, G14: the status and the challenge of each.
    #[test]
    fn the_answer_is_that_of_the_table() {
        let told = |reason: Reason| {
            let answer = answer(&refused(reason), RefusalDetail::Sentence);
            let challenge = answer.headers().get(WWW_AUTHENTICATE).cloned();
            let challenge = challenge.map(|value| value.to_str().unwrap().to_owned());
            (answer.status().as_u16(), challenge)
        };
        let bare = Some("Bearer realm=\"keystead\"".to_owned());
        assert_eq!(told(Reason::Missing), (401, bare.clone()));
        assert_eq!(told(Reason::NotBearer { scheme: "Basic".into() }), (401, bare));
        assert_eq!(told(Reason::SeveralCredentials).0, 400);
        let (status, challenge) = told(Reason::Empty);
        assert_eq!(status, 401);
        assert!(challenge.unwrap().contains("error=\"invalid_token\""));
        assert_eq!(told(Reason::NoKeysYet { state: ProviderState::Cold }), (503, None));
    }

    #[test]
    fn every_challenge_fits_a_header() {
        for challenge in Code::ALL.into_iter().filter_map(Code::challenge) {
            assert!(HeaderValue::try_from(&challenge).is_ok(), "{challenge}");
        }
    }
}
