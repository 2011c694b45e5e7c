//! `/v1/verify`: what a token says, for services that ask themselves.

use std::borrow::Cow;
use std::time::Duration;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::AUTHORIZATION;
use hyper::{Method, Request, StatusCode};
use keystead::core::Reason;
use keystead::core::json::{self, JsonError, JsonProblem, Limits, Value};
use keystead::core::text::quoted;
use keystead::{Face, VerifiedToken};

use crate::bearer;
use crate::decision::Asked;
use crate::http::judge::judge;
use crate::http::respond::{self, Answer};
use crate::http::{Caller, Shared, refusal};

pub(crate) const PATH: &str = "/v1/verify";

/// How long a body may take to arrive.
const BODY_WAIT: Duration = Duration::from_secs(10);

/// 200 with the claims, or the refusal. The token is in the `Authorization` header or in the body
/// as `{"token": "..."}`; in both, it is one credential too many (RFC 6750 section 2).
pub(crate) async fn answer<B>(shared: &Shared, caller: Caller, request: &mut Request<B>) -> Answer
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if *request.method() != Method::POST {
        return respond::method_not_allowed("POST");
    }
    let since = shared.decisions.now();
    let body = match read(request.body_mut(), shared.body_limit).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let in_body = match token_of(&body) {
        Ok(token) => token,
        Err(sentence) => {
            return respond::problem(StatusCode::BAD_REQUEST, "request.body", &sentence);
        }
    };
    let asked = Asked {
        face: Face::Verify,
        method: request.method(),
        path: request.uri().path(),
        headers: request.headers(),
        peer: caller.peer,
        since,
    };
    let presented = match &in_body {
        None => bearer::token(request.headers()),
        Some(_) if request.headers().contains_key(AUTHORIZATION) => Err(Reason::SeveralCredentials),
        Some(token) => Ok(&**token),
    };
    match judge(shared, &asked, shared.decisions.now(), presented, Ok).await {
        Ok(token) => verified(&token),
        Err(refused) => refusal::answer(&refused, shared.refusal_detail),
    }
}

async fn read<B>(body: &mut B, limit: usize) -> Result<Bytes, Answer>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    // A length that is announced is refused before a byte of it is read.
    if usize::try_from(body.size_hint().lower()).is_ok_and(|announced| announced > limit) {
        return Err(too_large(limit));
    }
    match tokio::time::timeout(BODY_WAIT, Limited::new(body, limit).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(limit)),
        Ok(Err(_)) => {
            let sentence = "the body ended before its end";
            Err(respond::problem(StatusCode::BAD_REQUEST, "request.body", sentence))
        }
        Err(_) => {
            let sentence = format!("the body did not arrive within {} s", BODY_WAIT.as_secs());
            Err(respond::problem(StatusCode::REQUEST_TIMEOUT, "request.timeout", &sentence))
        }
    }
}

fn too_large(limit: usize) -> Answer {
    let sentence = format!("the body has more than {limit} bytes, the limit");
    respond::problem(StatusCode::PAYLOAD_TOO_LARGE, "request.body_too_large", &sentence)
}

/// The token in a body, if there is one. The body is as strict as a token is: what nobody
/// understands may be a misspelt "token", and is not passed over.
fn token_of(body: &[u8]) -> Result<Option<Cow<'_, str>>, String> {
    let cannot_be_read = |error: JsonError| format!("the body cannot be read: {error}");
    let text = json::utf8(body).map_err(cannot_be_read)?;
    if text.trim_ascii().is_empty() {
        return Ok(None);
    }
    let mut found = Ok(None);
    let read = json::parse_object(text, Limits::TOKEN, |name, value| {
        if found.is_ok() {
            found = member_of_body(name, value).map(Some);
        }
    });
    match read {
        Ok(_) => found,
        Err(JsonError { problem: JsonProblem::NotAnObject, .. }) => {
            let kind = json::parse(body, Limits::TOKEN).map_err(cannot_be_read)?.kind();
            Err(format!("the body is {kind}, expected an object such as {{\"token\": \"...\"}}"))
        }
        Err(error) => Err(cannot_be_read(error)),
    }
}

fn member_of_body<'b>(name: &str, value: Value<'b>) -> Result<Cow<'b, str>, String> {
    if name != "token" {
        return Err(format!("the body has a member {}, only \"token\" is known", quoted(name)));
    }
    value.as_str().ok_or_else(|| {
        format!("member \"token\" of the body is {}, expected a string", value.kind())
    })
}

/// The claims stand there as the token has them, digit for digit: whoever reads them may read
/// numbers another way than we do.
fn verified(token: &VerifiedToken) -> Answer {
    /// Room for the names of the members and, nearly always, for the values beside the claims.
    const BESIDE_CLAIMS: usize = 512;
    let claims = token.claims().text();
    let mut body = Vec::with_capacity(claims.len() + BESIDE_CLAIMS);
    let mut member = |name: &str, value: Option<&str>| {
        body.extend_from_slice(name.as_bytes());
        match value {
            // Writing a string into memory cannot fail.
            Some(value) => serde_json::to_writer(&mut body, value).unwrap_or_default(),
            None => body.extend_from_slice(b"null"),
        }
    };
    member(r#"{"provider":"#, Some(token.provider()));
    member(r#","issuer":"#, Some(&token.issuer()));
    member(r#","kid":"#, token.kid());
    member(r#","key_origin":"#, Some(token.key_origin()));
    member(r#","freshness":"#, Some(token.freshness().as_str()));
    body.extend_from_slice(br#","claims":"#);
    body.extend_from_slice(claims.as_bytes());
    body.push(b'}');
    respond::json(StatusCode::OK, body)
}

#[cfg(test)]
mod tests {
    use keystead::core::Algorithm;
    use keystead::{Clock, ProviderConfig, SystemClock, Verifier};
    use keystead_testkit::{SigningKey, Token};

    use super::*;

    #[test]
    fn a_body_is_an_object_with_a_token_and_nothing_else() {
        assert_eq!(token_of(b"").unwrap(), None);
        assert_eq!(token_of(b" \n").unwrap(), None);
        assert_eq!(token_of(b"{}").unwrap(), None);
        assert_eq!(token_of(br#" {"token": "a.b.c"} "#).unwrap().unwrap(), "a.b.c");
        assert_eq!(token_of(br#"{"tok\u0065n":"\u0061"}"#).unwrap().unwrap(), "a");
    }

    #[tokio::test]
    async fn an_answer_is_json_whatever_the_kid_is() {
        const ISSUER: &str = "https://idp.test.example/\"quoted\"";
        for kid in [None, Some("a\"\\b")] {
            let key = SigningKey::generate(Algorithm::EdDsa).unwrap().without_kid();
            let key = match kid {
                Some(kid) => key.with_kid(kid),
                None => key,
            };
            let provider = ProviderConfig::new("idp", ISSUER).any_audience();
            let provider = provider.keys_text(&key.jwk().to_string());
            let verifier = Verifier::builder().provider(provider).build();
            let now = SystemClock::new().wall();
            let token = Token::new().issuer(ISSUER).expires_in(now, BODY_WAIT).sign(&key).unwrap();
            let answer = verified(&verifier.verify(&token).unwrap());
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((body["kid"].as_str(), body["issuer"].as_str()), (kid, Some(ISSUER)));
            assert_eq!(body["claims"]["iss"], ISSUER);
        }
    }

    #[test]
    fn everything_else_in_a_body_is_named() {
        for (body, sentence) in [
            (&br#"{"tokn":"a"}"#[..], r#"the body has a member "tokn", only "token" is known"#),
            (
                br#"{"token":"a","token":"b"}"#,
                r#"the body cannot be read: member "token" appears twice"#,
            ),
            (br#"{"token":7}"#, r#"member "token" of the body is a number, expected a string"#),
            (br#"{"token":null}"#, r#"member "token" of the body is null, expected a string"#),
            (br#"["a"]"#, r#"the body is an array, expected an object such as {"token": "..."}"#),
            (b"token=a", "the body cannot be read: not JSON at byte 0"),
            // What cannot be read at all comes first, else what stands first.
            (br#"{"tokn":1,"#, "the body cannot be read: not JSON at byte 10"),
            (
                br#"{"token":7,"token":8}"#,
                r#"the body cannot be read: member "token" appears twice"#,
            ),
            (br#"{"tokn":1,"token":7}"#, r#"the body has a member "tokn", only "token" is known"#),
            (
                br#"{"token":7,"tokn":1}"#,
                r#"member "token" of the body is a number, expected a string"#,
            ),
            (b"[1,", "the body cannot be read: not JSON at byte 3"),
            (br#"[{"a":1,"a":2}]"#, r#"the body cannot be read: member "a" appears twice"#),
            (b"\xff", "the body cannot be read: not UTF-8 at byte 0"),
        ] {
            assert_eq!(token_of(body).unwrap_err(), sentence);
        }
    }
}
