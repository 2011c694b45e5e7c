//! What the provider answers: its metadata and its JWK Set.

use aws_lc_rs::digest;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::config::{JwksUri, Validator, WellKnown};
use super::error::IdpError;
use super::fault::{Act, Asked, Reaction, Surroundings, Taken, react};
use super::provider::Provider;
use super::realm::Realm;
use crate::encoding::base64url;

/// An answer of the provider or of its control endpoint.
pub(super) type Answer = Response<Bytes>;

/// Where a faulty redirect leads to a page for people.
pub(super) const LOGIN: &str = "/login";

/// What stands before a path that a faulty redirect leads to: there no order has effect.
pub(super) const MOVED: &str = "/moved";

const REALMS: &str = "/realms/";
const OIDC: &str = "/.well-known/openid-configuration";
const OAUTH: &str = "/.well-known/oauth-authorization-server";
const CERTS: &str = "/protocol/openid-connect/certs";

/// How a request came in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    /// Over what the provider is spoken to over.
    Front,
    /// In plain to a provider that is spoken to over TLS. There is nothing but what a faulty redirect
    /// leads to.
    Downgraded,
}

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

pub(super) fn discovery_url(base: &str, realm: &str) -> String {
    format!("{base}{REALMS}{realm}{OIDC}")
}

pub(super) fn jwks_url(base: &str, realm: &str) -> String {
    format!("{base}{}", jwks_path(realm))
}

pub(super) fn jwks_path(realm: &str) -> String {
    format!("{REALMS}{realm}{CERTS}")
}

/// What happens to one request.
pub(super) fn respond<B>(provider: &Provider, request: &Request<B>, way: Way) -> Reaction {
    let asked_path = request.uri().path();
    if asked_path == LOGIN {
        return html_answer(
            "Log in",
            "There is no login flow: this page is what a fault leads to.",
        )
        .into();
    }
    let moved = asked_path.strip_prefix(MOVED);
    if moved.is_none() && way == Way::Downgraded {
        return not_found().into();
    }
    let Some((name, document)) = route(moved.unwrap_or(asked_path)) else {
        return not_found().into();
    };
    let base = provider.base();
    let found = provider.change(name, |realm| answer(realm, &base, name, document, request));
    let (right, asked) = found.unwrap_or_else(|_unknown_realm| (not_found(), None));
    let taken = asked
        .filter(|_| moved.is_none())
        .and_then(|asked| provider.schedule().request(name, asked, provider.monotonic()));
    match taken {
        None | Some(Taken { act: Act::Healthy, .. }) => conditional(request, right).into(),
        Some(taken) => {
            let around = Surroundings {
                base: &base,
                port: provider.addr().port(),
                realm: name,
                path: asked_path,
                ingredients: provider.ingredients(name),
            };
            react(taken, right, around).unwrap_or_else(|error| refusal(&error).into())
        }
    }
}

/// The right answer, and what it is when orders can be about it.
fn answer<B>(
    realm: &mut Realm,
    base: &str,
    name: &str,
    document: Document,
    request: &Request<B>,
) -> (Answer, Option<Asked>) {
    count(realm, document, request.headers().contains_key(IF_NONE_MATCH));
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return (method_not_allowed("GET, HEAD"), None);
    }
    match document {
        Document::Metadata(form) if is_served(realm.well_known, form) => {
            (metadata(realm, base, name), Some(Asked::Discovery))
        }
        Document::Jwks => (jwks(realm), Some(Asked::Jwks)),
        _ => (not_found(), None),
    }
}

/// 304 when the client has this body already (RFC 9110 section 13.1.2).
fn conditional<B>(request: &Request<B>, right: Answer) -> Answer {
    let Some(etag) = right.headers().get(ETAG).and_then(|etag| etag.to_str().ok()) else {
        return right;
    };
    let mut known = request.headers().get_all(IF_NONE_MATCH).iter();
    let is_known = known.any(|list| {
        let list = list.to_str().unwrap_or_default();
        list.split(',').any(|one| [etag, "*"].contains(&one.trim()))
    });
    if !is_known {
        return right;
    }
    let (mut head, _) = right.into_parts();
    head.status = StatusCode::NOT_MODIFIED;
    head.headers.remove(CONTENT_TYPE);
    Response::from_parts(head, Bytes::new())
}

/// A JSON answer.
pub(super) fn json_answer(status: StatusCode, body: &Value) -> Answer {
    let mut answer = Response::new(Bytes::from(body.to_string()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// A page for people.
pub(super) fn html_answer(title: &str, text: &str) -> Answer {
    let page = format!(
        "<!doctype html>\n<html><head><title>{title}</title></head>\
         <body><h1>{title}</h1><p>{text}</p></body></html>\n"
    );
    let mut answer = Response::new(Bytes::from(page));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
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

const fn count(realm: &mut Realm, document: Document, is_conditional: bool) {
    let requests = &mut realm.requests;
    let counter = match document {
        Document::Metadata(_) => &mut requests.discovery,
        Document::Jwks => &mut requests.jwks,
        Document::Other => &mut requests.other,
    };
    *counter = counter.saturating_add(1);
    if is_conditional {
        requests.conditional = requests.conditional.saturating_add(1);
    }
}

/// The REQUIRED members of OIDC Discovery section 3. Endpoints have to be named there; the
/// ones for logging in are not there, as the 404 says.
fn metadata(realm: &Realm, base: &str, name: &str) -> Answer {
    if let Some(status) = realm.metadata.status {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        return error_answer(status, "server_error", "told to answer with this status");
    }
    json_answer(StatusCode::OK, &metadata_document(realm, base, name))
}

/// What the metadata says, whatever the status.
pub(super) fn metadata_document(realm: &Realm, base: &str, name: &str) -> Value {
    let endpoints = format!("{base}{REALMS}{name}/protocol/openid-connect");
    let algorithms: Vec<&str> = realm.algorithms.iter().map(|a| a.name()).collect();
    let mut document = json!({
        "issuer": realm.metadata.issuer.as_ref().unwrap_or(&realm.issuer),
        "authorization_endpoint": format!("{endpoints}/auth"),
        "token_endpoint": format!("{endpoints}/token"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algorithms,
    });
    let jwks_uri = match &realm.metadata.jwks_uri {
        JwksUri::Own => Some(jwks_url(base, name)),
        JwksUri::Absent => None,
        JwksUri::Other(uri) => Some(uri.clone()),
    };
    if let (Some(members), Some(uri)) = (document.as_object_mut(), jwks_uri) {
        members.insert("jwks_uri".to_owned(), uri.into());
    }
    document
}

fn jwks(realm: &Realm) -> Answer {
    let mut answer = json_answer(StatusCode::OK, &realm.jwks());
    if let Some(value) = &realm.cache_control {
        answer.headers_mut().insert(CACHE_CONTROL, value.clone());
    }
    if realm.validator == Validator::Etag {
        let digest = digest::digest(&digest::SHA256, answer.body());
        let etag = HeaderValue::try_from(format!("\"{}\"", base64url(digest.as_ref())));
        // Letters and digits in quotes are always a header's value.
        answer.headers_mut().extend(etag.ok().map(|etag| (ETAG, etag)));
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
