//! A tunnel through a proxy (RFC 9110 section 9.3.6).

use bytes::Bytes;
use http::header::{HOST, PROXY_AUTHORIZATION, USER_AGENT};
use http::{Method, Request, StatusCode};
use http_body_util::Empty;
use hyper::client::conn::http1::Builder;
use hyper_util::rt::TokioIo;
use keystead_core::text::quoted;
use tokio::task::JoinSet;
use url::Url;

use super::error::{FetchCode, FetchError, Stage};
use super::exchange::{AGENT, Stream, cause, named};
use super::proxy::Proxy;

/// How many bytes the head of the proxy's answer may have.
const HEAD: usize = 16 * 1024;

/// Has the proxy at the other end of `stream` connect to the URL's host and port.
pub(super) async fn open(url: &Url, proxy: &Proxy, stream: Stream) -> Result<Stream, FetchError> {
    let failed = |what: String| {
        let shown = quoted(&proxy.to_string()).to_string();
        let detail = format!("the proxy {shown} {what}");
        FetchError::new(Stage::Connect, FetchCode::Connect, url, detail)
    };
    let broken = |error: hyper::Error| failed(format!("opened no tunnel ({})", cause(&error)));
    let request = connect(url, proxy).map_err(|error| failed(format!("is not asked ({error})")))?;
    let (mut sender, connection) = Builder::new()
        .max_header_size(HEAD)
        .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        // Whatever ends the connection early ends the request with the same error.
        let _told_there = connection.with_upgrades().await;
    });
    let answer = sender.send_request(request).await.map_err(broken)?;
    let status = answer.status();
    if !status.is_success() {
        let why = match status {
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => "asks for another name and password",
            _ => "refused the tunnel",
        };
        return Err(failed(format!("{why} ({})", named(status))));
    }
    let tunnel = hyper::upgrade::on(answer).await.map_err(broken)?;
    Ok(Box::new(TokioIo::new(tunnel)))
}

fn connect(url: &Url, proxy: &Proxy) -> Result<Request<Empty<Bytes>>, http::Error> {
    let host = url.host_str().unwrap_or_default();
    let authority = format!("{host}:{}", url.port_or_known_default().unwrap_or(443));
    let mut request = Request::builder()
        .method(Method::CONNECT)
        .uri(&authority)
        .header(HOST, &authority)
        .header(USER_AGENT, AGENT);
    if let Some(authorization) = &proxy.authorization {
        request = request.header(PROXY_AUTHORIZATION, authorization);
    }
    request.body(Empty::new())
}
