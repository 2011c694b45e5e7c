//! The control endpoint: the provider's operations over loopback HTTP, for other processes.
//!
//! It is not for browsers: a page that anybody serves can make them send requests to loopback, so
//! requests that name another host (DNS rebinding) or an origin are refused.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::{Map, Value, json};
use tokio::task;

use super::documents::{self, Answer, error_answer, json_answer, method_not_allowed, refusal};
use super::error::IdpError;
use super::fault::{Extent, Fault, Order, orders};
use super::mint_request::{MintRequest, string, unknown};
use super::provider::Provider;
use super::realm::{Realm, Requests};
use super::server::Commands;

/// How many bytes a request may have.
const MAX_BODY: usize = 256 * 1024;

/// The answer to one control request.
pub(super) async fn answer(
    provider: Arc<Provider>,
    commands: Commands,
    request: Request<Incoming>,
) -> Answer {
    if !is_local(request.headers()) {
        let description = "only requests to a loopback name and without an Origin are answered";
        return error_answer(StatusCode::FORBIDDEN, "forbidden", description);
    }
    let path = request.uri().path().to_owned();
    let allowed = match path.as_str() {
        "/state" => "GET",
        "/mint" | "/rotate" | "/recreate" | "/withdraw" | "/down" | "/up" | "/fault" => "POST",
        "/faults" => "POST, DELETE",
        _ => {
            let description = "known are /mint, /rotate, /recreate, /withdraw, /down, /up, /fault, \
                               /faults and /state";
            return error_answer(StatusCode::NOT_FOUND, "not_found", description);
        }
    };
    if !allowed.split(", ").any(|allowed| request.method() == allowed) {
        return method_not_allowed(allowed);
    }
    match operate(&path, provider, &commands, request).await {
        Ok(body) => json_answer(StatusCode::OK, &body),
        Err(error) => refusal(&error),
    }
}

async fn operate(
    path: &str,
    provider: Arc<Provider>,
    commands: &Commands,
    request: Request<Incoming>,
) -> Result<Value, IdpError> {
    let is_delete = request.method() == Method::DELETE;
    let body = read(request).await?;
    match path {
        "/mint" => mint(&provider, &body),
        "/rotate" => renewed(&provider, &body, Provider::rotate).await,
        "/recreate" => renewed(&provider, &body, Provider::recreate).await,
        "/fault" => {
            provider.order(Order::from_json(&body)?)?;
            commands.settle_async().await?;
            Ok(json!({ "orders": told(&provider) }))
        }
        "/faults" if is_delete => {
            nothing(&body)?;
            commands.heal_async().await?;
            Ok(json!({ "orders": told(&provider) }))
        }
        "/faults" => {
            provider.script(script(&body)?)?;
            commands.settle_async().await?;
            Ok(json!({ "orders": told(&provider) }))
        }
        "/withdraw" => withdraw(&provider, &body),
        "/down" => {
            nothing(&body)?;
            commands.down_async().await?;
            Ok(json!({ "up": false }))
        }
        "/up" => {
            nothing(&body)?;
            commands.up_async().await?;
            Ok(json!({ "up": true }))
        }
        _ => state(&provider),
    }
}

/// New keys for a realm. An RSA key takes its time; documents are served meanwhile.
async fn renewed(
    provider: &Arc<Provider>,
    body: &Map<String, Value>,
    renew: fn(&Provider, &str) -> Result<String, IdpError>,
) -> Result<Value, IdpError> {
    let realm = realm_only(provider, body)?;
    let provider = Arc::clone(provider);
    let renewed = task::spawn_blocking(move || renew(&provider, &realm)).await;
    Ok(json!({ "kid": renewed.map_err(|_| IdpError::Stopped)?? }))
}

fn script(body: &Map<String, Value>) -> Result<Vec<Order>, IdpError> {
    if let Some(name) = body.keys().find(|name| *name != "script") {
        return Err(unknown(name, "script"));
    }
    let script = body.get("script");
    orders(script.ok_or_else(|| IdpError::BadRequest("\"script\" is missing".to_owned()))?)
}

/// The orders that are not over, in their form, with whether they have begun and what is left.
fn told(provider: &Provider) -> Vec<Value> {
    let orders = provider.schedule().orders(provider.monotonic());
    let told = orders.into_iter().map(|(order, has_begun, met)| {
        let mut told = order.to_json();
        if let Some(members) = told.as_object_mut() {
            members.insert("begun".to_owned(), has_begun.into());
            members.insert("met".to_owned(), met.into());
            if let Extent::Requests(requests) = order.extent {
                members.insert("left".to_owned(), requests.saturating_sub(met).into());
            }
        }
        told
    });
    told.collect()
}

/// How many requests met each fault that was met.
fn served(provider: &Provider) -> Map<String, Value> {
    let schedule = provider.schedule();
    let all = Fault::ALL.iter().map(|fault| (fault.name().to_owned(), schedule.served(*fault)));
    let met = all.filter(|(_, served)| *served != Requests::default());
    met.map(|(name, served)| {
        let counts = json!({
            "discovery": served.discovery, "jwks": served.jwks, "connections": served.other
        });
        (name, counts)
    })
    .collect()
}

fn mint(provider: &Provider, body: &Map<String, Value>) -> Result<Value, IdpError> {
    let request = MintRequest::from_json(body)?;
    let realm = request.realm.clone().map_or_else(|| provider.only_realm(), Ok)?;
    let algorithm = request.algorithm()?;
    let token = request.token(provider.now().as_secs());
    Ok(json!({ "token": provider.mint(&realm, algorithm, token)? }))
}

fn withdraw(provider: &Provider, body: &Map<String, Value>) -> Result<Value, IdpError> {
    let (mut realm, mut kid) = (None, None);
    for (name, value) in body {
        match name.as_str() {
            "realm" => realm = Some(string(name, value)?),
            "kid" => kid = Some(string(name, value)?),
            _ => return Err(unknown(name, "realm, kid")),
        }
    }
    let kid = kid.ok_or_else(|| IdpError::BadRequest("\"kid\" is missing".to_owned()))?;
    let realm = realm.map_or_else(|| provider.only_realm(), Ok)?;
    provider.withdraw(&realm, &kid)?;
    Ok(json!({ "kid": kid }))
}

fn state(provider: &Provider) -> Result<Value, IdpError> {
    let base = provider.base();
    let mut realms = Map::new();
    for name in provider.realm_names() {
        let mut shown = provider.realm(&name, shown)?;
        if let Some(members) = shown.as_object_mut() {
            let urls = [
                ("discovery_url", documents::discovery_url(&base, &name)),
                ("jwks_url", documents::jwks_url(&base, &name)),
            ];
            members.extend(urls.map(|(member, url)| (member.to_owned(), url.into())));
        }
        realms.insert(name, shown);
    }
    Ok(json!({
        "up": provider.up.load(Ordering::SeqCst),
        "listen": provider.addr().to_string(),
        "realms": realms,
        "orders": told(provider),
        "served": served(provider),
    }))
}

fn shown(realm: &Realm) -> Value {
    let keys: Vec<Value> = realm
        .keys
        .iter()
        .map(|key| json!({ "kid": key.kid(), "alg": key.algorithm().name() }))
        .collect();
    json!({
        "issuer": realm.issuer,
        "keys": keys,
        "requests": {
            "discovery": realm.requests.discovery,
            "jwks": realm.requests.jwks,
            "other": realm.requests.other,
        },
        "conditional": realm.requests.conditional,
    })
}

/// The realm of a body that may say nothing else.
fn realm_only(provider: &Provider, body: &Map<String, Value>) -> Result<String, IdpError> {
    if let Some(name) = body.keys().find(|name| *name != "realm") {
        return Err(unknown(name, "realm"));
    }
    match body.get("realm") {
        Some(value) => string("realm", value),
        None => provider.only_realm(),
    }
}

fn nothing(body: &Map<String, Value>) -> Result<(), IdpError> {
    body.keys().next().map_or(Ok(()), |name| Err(unknown(name, "none")))
}

/// The body, an object; an empty body is an empty object.
async fn read(request: Request<Incoming>) -> Result<Map<String, Value>, IdpError> {
    let bad = |what: String| IdpError::BadRequest(what);
    let body = Limited::new(request.into_body(), MAX_BODY).collect().await;
    let body = body.map_err(|_| bad(format!("the body is broken or over {MAX_BODY} bytes")))?;
    let body = body.to_bytes();
    if body.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(&body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(bad("the body must be a JSON object".to_owned())),
        Err(error) => Err(bad(format!("the body is not JSON: {error}"))),
    }
}

fn is_local(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let is_loopback_name = host.to_str().is_ok_and(|host| {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        };
        name.eq_ignore_ascii_case("localhost") || name == "127.0.0.1" || name == "[::1]"
    });
    is_loopback_name && !headers.contains_key(ORIGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_without_an_origin_are_local() {
        for host in
            ["localhost", "LOCALHOST:8099", "127.0.0.1:8099", "127.0.0.1", "[::1]:1", "[::1]"]
        {
            assert!(is_local(&headers(&[("host", host)])), "{host}");
        }
        for host in
            ["evil.example", "evil.example:8099", "127.0.0.1.evil.example", "localhost:80:80x", ""]
        {
            assert!(!is_local(&headers(&[("host", host)])), "{host}");
        }
        assert!(!is_local(&headers(&[])));
        assert!(!is_local(&headers(&[("host", "localhost"), ("host", "evil.example")])));
        assert!(!is_local(&headers(&[("host", "localhost"), ("origin", "http://localhost")])));
        assert!(!is_local(&headers(&[("host", "localhost"), ("origin", "null")])));
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }
}
