//! A connection that cannot be held for nothing.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How long a request may take from its first byte until it is answered. Judging takes
/// microseconds: this is how long a client may take to send it, head and body.
const REQUEST: Duration = Duration::from_secs(15);
/// How long a connection may be without a request. Longer than proxies keep idle connections, as a
/// rule (nginx 60 s): who closes first should be the one who knows whether a request is coming.
const IDLE: Duration = Duration::from_secs(75);
/// How often the two are looked at, which is cheaper than a timer that is set, or a clock that is read,
/// for every byte. Each may take up to one tick longer, as both are multiples of it.
const TICK: Duration = Duration::from_secs(5);
const _: () = assert!(
    REQUEST.as_secs().is_multiple_of(TICK.as_secs())
        && IDLE.as_secs().is_multiple_of(TICK.as_secs())
);

/// A byte stream that ends with `TimedOut` when its client holds it for nothing: when a request is
/// begun and not finished, when none comes, when an answer is not taken.
///
/// hyper has one timer for heads and idle connections of HTTP/1, none for HTTP/2, and none before
/// it knows which of the two it has. This stands below all of them.
#[derive(Debug)]
pub(crate) struct Stream<I> {
    io: I,
    began: Preface,
    /// When the client will have held the connection for nothing, as far as the last tick knew.
    deadline: Instant,
    /// Bytes came in and nothing has gone out since.
    unanswered: bool,
    /// Since the last tick, what the client is waited for has changed: its time begins anew.
    changed: bool,
    tick: Pin<Box<Sleep>>,
}

/// How much of the start of HTTP/2's preface was seen. `PRI` is reserved, so no request of HTTP/1
/// begins with it (RFC 9113 section 3.4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Preface {
    Seen(usize),
    Http1,
    Http2,
}

impl<I> Stream<I> {
    /// Must be called within a runtime.
    pub(crate) fn new(io: I) -> Self {
        Self {
            io,
            began: Preface::Seen(0),
            deadline: Instant::now() + REQUEST,
            unanswered: false,
            changed: false,
            tick: Box::pin(sleep(TICK)),
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        self.began = self.began.then(bytes);
        // Frames of HTTP/2 come in that need no answer; what a request may take is bounded by its face.
        let frames = self.began == Preface::Http2;
        self.changed |= frames || !self.unanswered;
        self.unanswered = !frames;
    }

    fn written(&mut self) {
        self.unanswered = false;
        self.changed = true;
    }

    /// Whether the time is up; if it is not, the task is woken to look again.
    fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            ready!(self.tick.as_mut().poll(cx));
            let now = Instant::now();
            if std::mem::take(&mut self.changed) {
                self.deadline = now + if self.unanswered { REQUEST } else { IDLE };
            }
            if now >= self.deadline {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            self.tick.as_mut().reset(now + TICK);
        }
    }

    fn or_timeout<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if poll.is_pending() { self.poll_timeout(cx).map(Err) } else { poll }
    }
}

impl Preface {
    fn then(self, bytes: &[u8]) -> Self {
        const START: &[u8] = b"PRI ";
        let Self::Seen(seen) = self else { return self };
        let expected = START.get(seen..).unwrap_or_default();
        match bytes.iter().zip(expected).find(|(byte, expected)| byte != expected) {
            Some(_) => Self::Http1,
            None if bytes.len() >= expected.len() => Self::Http2,
            None => Self::Seen(seen + bytes.len()),
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Stream<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let poll = Pin::new(&mut this.io).poll_read(cx, buf);
        let bytes = buf.filled().get(before..).unwrap_or_default();
        if !bytes.is_empty() {
            this.read(bytes);
        }
        this.or_timeout(cx, poll)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Stream<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let poll = Pin::new(&mut this.io).poll_write(cx, buf);
        if matches!(poll, Poll::Ready(Ok(1..))) {
            this.written();
        }
        this.or_timeout(cx, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let poll = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        if matches!(poll, Poll::Ready(Ok(1..))) {
            this.written();
        }
        this.or_timeout(cx, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    fn pair() -> (DuplexStream, Stream<DuplexStream>) {
        let (client, server) = duplex(1024);
        (client, Stream::new(server))
    }

    /// How long the server waits for the next byte, to the tick, before it gives up.
    async fn patience(server: &mut Stream<DuplexStream>) -> Duration {
        let since = Instant::now();
        let error = server.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        since.elapsed()
    }

    fn about(patience: Duration, limit: Duration) {
        assert!(patience >= limit && patience <= limit + TICK, "{patience:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_says_nothing_is_left() {
        let (_client, mut server) = pair();
        about(patience(&mut server).await, REQUEST);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_trickles_in_has_its_time_from_the_first_byte() {
        let (mut client, mut server) = pair();
        let since = Instant::now();
        let trickle = tokio::spawn(async move {
            while client.write_all(b"G").await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        });
        let error = loop {
            if let Err(error) = server.read_u8().await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        about(since.elapsed(), REQUEST);
        trickle.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_was_answered_may_be_idle_for_longer() {
        let (mut client, mut server) = pair();
        client.write_all(b"GET").await.unwrap();
        server.read_exact(&mut [0; 3]).await.unwrap();
        server.write_all(b"200").await.unwrap();
        about(patience(&mut server).await, IDLE);
    }

    /// Whatever comes between two ticks counts from then on, and what came before it counts no more.
    #[tokio::test(start_paused = true)]
    async fn each_request_has_its_time_and_each_pause_too() {
        let (mut client, mut server) = pair();
        for pause in [1, 74, 7] {
            // The server looks for bytes all the time that there are none, as it does for hyper.
            let mut bytes = [0; 3];
            let (sent, read) = tokio::join!(
                async {
                    sleep(Duration::from_secs(pause)).await;
                    client.write_all(b"GET").await
                },
                server.read_exact(&mut bytes),
            );
            assert!(sent.is_ok() && read.is_ok(), "{sent:?} {read:?} after {pause} s");
            server.write_all(b"200").await.unwrap();
        }
        sleep(Duration::from_secs(2)).await;
        client.write_all(b"GET").await.unwrap();
        server.read_exact(&mut [0; 3]).await.unwrap();
        about(patience(&mut server).await, REQUEST);
    }

    #[tokio::test(start_paused = true)]
    async fn frames_of_http2_need_no_answer() {
        let (mut client, mut server) = pair();
        client.write_all(b"PRI * HTTP/2.0").await.unwrap();
        server.read_exact(&mut [0; 14]).await.unwrap();
        about(patience(&mut server).await, IDLE);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_takes_is_given_up() {
        let (_client, mut server) = pair();
        let error = server.write_all(&[0; 4096]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn the_preface_is_recognised_however_it_is_cut() {
        assert_eq!(Preface::Seen(0).then(b"PR").then(b"I ").then(b"x"), Preface::Http2);
        assert_eq!(Preface::Seen(0).then(b"P").then(b"OST /"), Preface::Http1);
        assert_eq!(Preface::Seen(0).then(b"GET"), Preface::Http1);
        assert_eq!(Preface::Seen(0).then(b"PRI"), Preface::Seen(3));
    }
}
