//! The order in which the server ends.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::signals::Signals;

/// How long requests in flight may go on after the listeners were closed.
const IN_FLIGHT: Duration = Duration::from_secs(10);

/// How far the server is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Phase {
    /// It serves.
    Serving,
    /// It serves, but says that it is not ready, so that no new work is sent here.
    Draining,
    /// It accepts no connection, and ends each one after the request that it is busy with.
    Stopping,
}

/// How the server ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// Every request was answered, or had its time.
    Drained,
    /// Somebody who asked twice did not want to wait.
    AtOnce,
}

/// Waits for the signal to end, and ends in order: not ready, `pause`, no new connections, requests
/// in flight. `listeners` are the tasks that end once their last connection has.
pub(crate) async fn on_signal(
    signals: &mut Signals,
    phase: &watch::Sender<Phase>,
    pause: Duration,
    listeners: &mut JoinSet<()>,
) -> End {
    let signal = signals.next().await;
    tracing::info!(
        event = "server.drain",
        signal,
        "{signal} received: not ready any more, still accepting for {} s",
        pause.as_secs_f64()
    );
    phase.send_replace(Phase::Draining);
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        signal = signals.next() => return at_once(signal),
    }
    phase.send_replace(Phase::Stopping);
    tokio::select! {
        ended = tokio::time::timeout(IN_FLIGHT, ended(listeners)) => if ended.is_err() {
            tracing::warn!(
                event = "server.stop",
                "requests were still in flight after {} s and are given up",
                IN_FLIGHT.as_secs()
            );
        },
        signal = signals.next() => return at_once(signal),
    }
    tracing::info!(event = "server.stop", "stopped");
    End::Drained
}

/// Comes when the listeners are to stop, or when nobody is left to say so.
pub(crate) async fn stopping(phase: &mut watch::Receiver<Phase>) {
    // What is returned holds a lock, and must not be kept.
    let _seen = phase.wait_for(|phase| *phase == Phase::Stopping).await.is_ok();
}

async fn ended(listeners: &mut JoinSet<()>) {
    while listeners.join_next().await.is_some() {}
}

fn at_once(signal: &'static str) -> End {
    tracing::warn!(event = "server.stop", signal, "{signal} received again: stopped at once");
    End::AtOnce
}
