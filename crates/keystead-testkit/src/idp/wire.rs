//! HTTP/1.1 by hand: the provider has to be able to get it wrong.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, Method, Request, StatusCode, Version};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::server::TlsStream;

use super::documents::{Way, error_answer, respond};
use super::fault::{Delivery, Ending, Hold, Reaction, Reply};
use super::http_date::http_date;
use super::provider::Provider;

/// How many bytes the head of a request may have.
const MAX_HEAD: usize = 64 * 1024;

/// How long a connection may take to its next request.
const IDLE: Duration = Duration::from_secs(60);

/// How often it is looked whether a silence is over: by the provider's clock, which may be one that a
/// test moves.
const TICK: Duration = Duration::from_millis(20);

/// How long a client may take to see that the connection has ended.
const FAREWELL: Duration = Duration::from_secs(1);

const SPACES: [u8; 16 * 1024] = [b' '; 16 * 1024];

/// Where an endless body ends after all, so that a client that believes it does not run for ever.
const ENDLESS: u64 = 1024 * 1024 * 1024;

/// A connection with or without TLS.
pub(super) trait Connection: AsyncRead + AsyncWrite + Unpin {
    fn tcp(&self) -> &TcpStream;
}

impl Connection for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Connection for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Serves the requests of one connection.
pub(super) async fn serve(mut stream: impl Connection, provider: Arc<Provider>, way: Way) {
    let mut read = Vec::new();
    // A client that went away is its own business.
    while let Ok(Next::Request) = exchange(&mut stream, &mut read, &provider, way).await {}
}

/// Neither reads nor answers, until the client is gone or the order is over.
pub(super) async fn silence(
    stream: &mut (impl AsyncRead + Unpin),
    provider: &Provider,
    hold: Option<Hold>,
) {
    let mut unheard = [0; 1024];
    loop {
        tokio::select! {
            read = stream.read(&mut unheard) => {
                if matches!(read, Ok(0) | Err(_)) {
                    return;
                }
            }
            () = sleep(TICK) => {}
        }
        if hold.is_some_and(|hold| !provider.holds(hold)) {
            return;
        }
    }
}

/// What a connection is good for after an exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Next {
    Request,
    Nothing,
}

/// One request, and what becomes of it.
async fn exchange(
    stream: &mut impl Connection,
    read: &mut Vec<u8>,
    provider: &Provider,
    way: Way,
) -> io::Result<Next> {
    let Some(head) = timeout(IDLE, read_head(stream, read)).await?? else {
        return Ok(Next::Nothing);
    };
    let Some(request) = parse(&head) else {
        let answer = error_answer(StatusCode::BAD_REQUEST, "bad_request", "this is not HTTP/1.1");
        let reply = Reply { ending: Ending::Close, ..Reply::from(answer) };
        send(stream, provider, &Method::GET, reply).await?;
        return part(stream).await;
    };
    let keeps = keeps_open(&request);
    match respond(provider, &request, way) {
        Reaction::Silence(hold) => {
            silence(stream, provider, hold).await;
            Ok(Next::Nothing)
        }
        Reaction::Reset => {
            stream.tcp().set_zero_linger()?;
            Ok(Next::Nothing)
        }
        Reaction::Reply(mut reply) => {
            if reply.ending == Ending::Keep && !keeps {
                reply.ending = Ending::Close;
            }
            let ending = reply.ending;
            send(stream, provider, request.method(), reply).await?;
            match ending {
                Ending::Keep => Ok(Next::Request),
                Ending::Close => part(stream).await,
                Ending::Hold => {
                    silence(stream, provider, None).await;
                    Ok(Next::Nothing)
                }
            }
        }
    }
}

/// Takes the bytes up to the next empty line; none when the connection ended between requests.
async fn read_head(
    stream: &mut impl Connection,
    read: &mut Vec<u8>,
) -> io::Result<Option<Vec<u8>>> {
    const END: &[u8] = b"\r\n\r\n";
    loop {
        if let Some(at) = read.windows(END.len()).position(|window| window == END) {
            let rest = read.split_off(at.saturating_add(END.len()));
            return Ok(Some(std::mem::replace(read, rest)));
        }
        if read.len() > MAX_HEAD || stream.read_buf(read).await? == 0 {
            return Ok(None);
        }
    }
}

/// The request that a head says; none when it is not one of HTTP/1.0 or HTTP/1.1.
fn parse(head: &[u8]) -> Option<Request<()>> {
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let version = match (version, words.next()) {
        ("HTTP/1.1", None) => Version::HTTP_11,
        ("HTTP/1.0", None) => Version::HTTP_10,
        _ => return None,
    };
    let mut request = Request::builder().method(method).uri(target).version(version);
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        request = request.header(name, value.trim());
    }
    request.body(()).ok()
}

/// Whether another request can follow. What comes with a body is answered without reading it.
fn keeps_open(request: &Request<()>) -> bool {
    let headers = request.headers();
    let has_body = headers.contains_key(TRANSFER_ENCODING)
        || headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0");
    request.version() == Version::HTTP_11 && !has_body && !says_close(headers)
}

fn says_close(headers: &HeaderMap) -> bool {
    let said = headers.get_all(CONNECTION).iter();
    said.filter_map(|said| said.to_str().ok())
        .flat_map(|said| said.split(','))
        .any(|option| option.trim().eq_ignore_ascii_case("close"))
}

async fn send(
    stream: &mut impl Connection,
    provider: &Provider,
    method: &Method,
    reply: Reply,
) -> io::Result<()> {
    sleep(reply.after).await;
    let status = reply.answer.status();
    let has_body = method != Method::HEAD
        && status != StatusCode::NO_CONTENT
        && status != StatusCode::NOT_MODIFIED;
    let mut start = head(&reply, provider.now()).into_bytes();
    let body = reply.answer.into_body();
    if !has_body {
        stream.write_all(&start).await?;
        return stream.flush().await;
    }
    match reply.delivery {
        Delivery::Whole => {
            start.extend(&body);
            stream.write_all(&start).await?;
        }
        Delivery::Padded(spaces) => {
            start.extend(&body);
            stream.write_all(&start).await?;
            pad(stream, spaces).await?;
        }
        Delivery::Endless => {
            start.extend(format!("{:x}\r\n", body.len()).into_bytes());
            start.extend(&body);
            start.extend(b"\r\n");
            stream.write_all(&start).await?;
            unroll(stream).await?;
        }
        Delivery::Drip(rate) => {
            stream.write_all(&start).await?;
            drip(stream, &body, rate).await?;
        }
    }
    stream.flush().await
}

/// The status line and the headers, with a `Content-Length` unless they have their own framing.
fn head(reply: &Reply, now: Duration) -> String {
    let (status, headers) = (reply.answer.status(), reply.answer.headers());
    let reason = status.canonical_reason().unwrap_or("Told To");
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16());
    let mut line = |name: &HeaderName, value: &str| {
        head.push_str(name.as_str());
        head.push_str(": ");
        head.push_str(value);
        head.push_str("\r\n");
    };
    for (name, value) in headers {
        line(name, &String::from_utf8_lossy(value.as_bytes()));
    }
    let is_framed = headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING);
    if !is_framed && status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED {
        line(&CONTENT_LENGTH, &reply.answer.body().len().to_string());
    }
    if !headers.contains_key(DATE) {
        line(&DATE, &http_date(now));
    }
    if reply.ending == Ending::Close {
        line(&CONNECTION, "close");
    }
    head.push_str("\r\n");
    head
}

async fn pad(stream: &mut impl Connection, mut spaces: u64) -> io::Result<()> {
    while spaces > 0 {
        let count = usize::try_from(spaces).unwrap_or(usize::MAX).min(SPACES.len());
        let some = SPACES.get(..count).unwrap_or(&SPACES);
        stream.write_all(some).await?;
        spaces = spaces.saturating_sub(u64::try_from(some.len()).unwrap_or(u64::MAX));
    }
    Ok(())
}

/// Chunks of spaces, without the last chunk that would end them.
async fn unroll(stream: &mut impl Connection) -> io::Result<()> {
    let chunk = [format!("{:x}\r\n", SPACES.len()).as_bytes(), &SPACES, b"\r\n"].concat();
    let mut sent = 0_u64;
    while sent < ENDLESS {
        stream.write_all(&chunk).await?;
        sent = sent.saturating_add(u64::try_from(SPACES.len()).unwrap_or(u64::MAX));
    }
    Ok(())
}

async fn drip(stream: &mut impl Connection, body: &Bytes, rate: u64) -> io::Result<()> {
    let pause = Duration::from_secs(1) / u32::try_from(rate.max(1)).unwrap_or(u32::MAX);
    for byte in body {
        stream.write_all(&[*byte]).await?;
        stream.flush().await?;
        sleep(pause).await;
    }
    Ok(())
}

/// Ends the connection. What the client still says is read for a moment: a socket that is closed with
/// something unread in it is reset, and the answer with it.
async fn part(stream: &mut impl Connection) -> io::Result<Next> {
    stream.shutdown().await?;
    let mut unheard = [0; 1024];
    let drained = async {
        while stream.read(&mut unheard).await? > 0 {}
        Ok::<_, io::Error>(())
    };
    let _closed_or_late = timeout(FAREWELL, drained).await;
    Ok(Next::Nothing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_stands_or_not_at_all() {
        let request =
            parse(b"GET /a?b HTTP/1.1\r\nHost: x\r\nIF-none-match:  \"e\" \r\n\r\n").unwrap();
        assert_eq!((request.method(), request.uri().path()), (&Method::GET, "/a"));
        assert_eq!(request.headers().get("if-none-match").unwrap(), "\"e\"");
        for head in [
            "GET /a\r\n\r\n",
            "GET /a HTTP/2.0\r\n\r\n",
            "GET /a b HTTP/1.1\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost\r\n\r\n",
            "GET /a HTTP/1.1\r\n\u{e9}: x\r\n\r\n",
            "\r\n\r\n",
        ] {
            assert!(parse(head.as_bytes()).is_none(), "{head:?}");
        }
        assert!(parse(b"GET /\xff HTTP/1.1\r\n\r\n").is_none());
    }

    #[test]
    fn a_connection_is_kept_unless_something_speaks_against_it() {
        let keeps = |head: &str| keeps_open(&parse(head.as_bytes()).unwrap());
        assert!(keeps("GET / HTTP/1.1\r\n\r\n"));
        assert!(keeps("POST / HTTP/1.1\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"));
        assert!(!keeps("GET / HTTP/1.0\r\n\r\n"));
        assert!(!keeps("GET / HTTP/1.1\r\nConnection: te, Close\r\n\r\n"));
        assert!(!keeps("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n"));
        assert!(!keeps("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"));
    }
}
