//! What the provider answers: its metadata and its JWK Set.

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use super::config::{JwksUri, WellKnown};
use super::error::IdpError;
use super::provider::Provider;
use super::realm::Realm;

/// An answer of the provider or of its control endpoint.
pub(super) type Answer = Response<Full<Bytes>>;

const REALMS: &str = "/realms/";
const OIDC: &str = "/.well-known/openid-configuration";
const OAUTH: &str = "/.well-known/oauth-authorization-server";
const CERTS: &str = "/protocol/openid-connect/certs";

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Document {
    Metadata(Form),
    Jwks,
    Other,
}

/// The form of a well-known path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    Oidc,
    Oauth,
    OauthAppended,
}

pub(super) fn discovery_url(addr: SocketAddr, realm: &str) -> String {
    format!("http://{addr}{REALMS}{realm}{OIDC}")
}

pub(super) fn jwks_url(addr: SocketAddr, realm: &str) -> String {
    format!("http://{addr}{REALMS}{realm}{CERTS}")
}

/// The answer to one request.
pub(super) fn answer<B>(provider: &Provider, request: &Request<B>) -> Answer {
    let Some((name, document)) = route(request.uri().path()) else { return not_found() };
    let found = provider.change(name, |realm| {
        count(realm, document);
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return method_not_allowed("GET, HEAD");
        }
        match document {
            Document::Metadata(form) if is_served(realm.well_known, form) => {
                metadata(realm, provider.addr(), name)
            }
            Document::Jwks => jwks(realm),
            _ => not_found(),
        }
    });
    found.unwrap_or_else(|_unknown_realm| not_found())
}

/// A JSON answer.
pub(super) fn json_answer(status: StatusCode, body: &Value) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body.to_string())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// A refusal, in the form of RFC 6749 section 5.2.
pub(super) fn error_answer(status: StatusCode, error: &str, description: &str) -> Answer {
    json_answer(status, &json!({ "error": error, "error_description": description }))
}

pub(super) fn method_not_allowed(allowed: &'static str) -> Answer {
    let description = format!("allowed here: {allowed}");
    let mut answer =
        error_answer(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", &description);
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

/// Which document of which realm a path names.
fn route(path: &str) -> Option<(&str, Document)> {
    if let Some(name) = path.strip_prefix(OAUTH).and_then(|rest| rest.strip_prefix(REALMS)) {
        return Some((name, Document::Metadata(Form::Oauth)));
    }
    let rest = path.strip_prefix(REALMS)?;
    let end = rest.find('/').unwrap_or(rest.len());
    let (name, rest) = rest.split_at_checked(end)?;
    let document = match rest {
        OIDC => Document::Metadata(Form::Oidc),
        OAUTH => Document::Metadata(Form::OauthAppended),
        CERTS => Document::Jwks,
        _ => Document::Other,
    };
    Some((name, document))
}

const fn is_served(well_known: WellKnown, form: Form) -> bool {
    match form {
        Form::Oidc => matches!(well_known, WellKnown::Oidc | WellKnown::Both),
        Form::Oauth => matches!(well_known, WellKnown::Oauth | WellKnown::Both),
        Form::OauthAppended => matches!(well_known, WellKnown::OauthAppended),
    }
}

const fn count(realm: &mut Realm, document: Document) {
    let counter = match document {
        Document::Metadata(_) => &mut realm.requests.discovery,
        Document::Jwks => &mut realm.requests.jwks,
        Document::Other => &mut realm.requests.other,
    };
    *counter = counter.saturating_add(1);
}

/// The REQUIRED members of OIDC Discovery section 3. Endpoints have to be named there; the
/// ones for logging in are not there, as the 404 says.
fn metadata(realm: &Realm, addr: SocketAddr, name: &str) -> Answer {
    if let Some(status) = realm.metadata.status {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        return error_answer(status, "server_error", "told to answer with this status");
    }
    let base = format!("http://{addr}{REALMS}{name}/protocol/openid-connect");
    let algorithms: Vec<&str> = realm.algorithms.iter().map(|a| a.name()).collect();
    let mut document = json!({
        "issuer": realm.metadata.issuer.as_ref().unwrap_or(&realm.issuer),
        "authorization_endpoint": format!("{base}/auth"),
        "token_endpoint": format!("{base}/token"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algorithms,
    });
    let jwks_uri = match &realm.metadata.jwks_uri {
        JwksUri::Own => Some(jwks_url(addr, name)),
        JwksUri::Absent => None,
        JwksUri::Other(uri) => Some(uri.clone()),
    };
    if let (Some(members), Some(uri)) = (document.as_object_mut(), jwks_uri) {
        members.insert("jwks_uri".to_owned(), uri.into());
    }
    json_answer(StatusCode::OK, &document)
}

fn jwks(realm: &Realm) -> Answer {
    let mut answer = json_answer(StatusCode::OK, &realm.jwks());
    if let Some(value) = &realm.cache_control {
        answer.headers_mut().insert(CACHE_CONTROL, value.clone());
    }
    answer
}

fn not_found() -> Answer {
    let description = "this provider serves metadata and keys only; it has no login flow";
    error_answer(StatusCode::NOT_FOUND, "not_found", description)
}

/// The answer to a control request that was refused.
pub(super) fn refusal(error: &IdpError) -> Answer {
    let status =
        if error.is_askers() { StatusCode::BAD_REQUEST } else { StatusCode::INTERNAL_SERVER_ERROR };
    error_answer(status, error.code(), &error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_one_document_of_one_realm() {
        let oidc = Document::Metadata(Form::Oidc);
        for (path, expected) in [
            ("/realms/a/.well-known/openid-configuration", Some(("a", oidc))),
            (
                "/realms/a/.well-known/oauth-authorization-server",
                Some(("a", Document::Metadata(Form::OauthAppended))),
            ),
            (
                "/.well-known/oauth-authorization-server/realms/a",
                Some(("a", Document::Metadata(Form::Oauth))),
            ),
            ("/realms/a/protocol/openid-connect/certs", Some(("a", Document::Jwks))),
            ("/realms/a/protocol/openid-connect/certs/", Some(("a", Document::Other))),
            ("/realms/a", Some(("a", Document::Other))),
            ("/realms//.well-known/openid-configuration", Some(("", oidc))),
            ("/.well-known/openid-configuration", None),
            ("/.well-known/openid-configuration/realms/a", None),
            ("/", None),
        ] {
            assert_eq!(route(path), expected, "{path}");
        }
    }
}
