//! Panics in code of the host program: a [`Fetch`](crate::http::Fetch), a clock, whoever listens to the log.
//! They end what was being done, and never the refresh.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use keystead_core::Schedule;
use tokio::time::Instant;

use crate::provider::Provider;
use crate::report;

/// Something panicked.
#[derive(Debug)]
pub(super) struct Panicked;

/// A future to its end or to its panic.
pub(super) async fn caught<T>(future: impl Future<Output = T>) -> Result<T, Panicked> {
    let mut future = pin!(future);
    poll_fn(|task| {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(task)));
        match polled {
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(_) => Poll::Ready(Err(Panicked)),
        }
    })
    .await
}

/// Says something, though whoever listens may panic.
pub(crate) fn spared(say: impl FnOnce()) {
    // There is nobody left to tell.
    let _panicked = catch_unwind(AssertUnwindSafe(say));
}

/// A task of a provider, begun again as often as it panics: after as long as a source is left alone
/// that has failed so often.
pub(super) async fn begun_again<T: Future<Output = ()>>(
    provider: Arc<Provider>,
    name: Arc<str>,
    mut begin: impl FnMut() -> T,
) {
    let mut panics = 0_u32;
    loop {
        let began = Instant::now();
        let Err(Panicked) = caught(begin()).await else { return };
        let Schedule { cold, warm, .. } = Schedule::default();
        let backoff = if provider.held().keys().is_empty() { cold } else { warm };
        // What went well for so long is no part of a series.
        panics = if began.elapsed() > backoff.cap { 1 } else { panics.saturating_add(1) };
        let wait = backoff.after(panics);
        spared(|| report::panicked(&provider, &name, wait));
        tokio::time::sleep(wait).await;
    }
}
