//! `keystead serve`: the verifier behind HTTP, until it is told to end.

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use keystead::config::{Config, NoticeLevel, ServerConfig};
use keystead::{Clock, SystemClock, Verifier};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::decision::Decisions;
use crate::http::drain::{self, End, Phase};
use crate::http::{Faces, Shared};
use crate::log::{LinesDropped, Log};
use crate::signals::{Hangups, Signals};

/// How often lines that were not written are reported.
const REPORTS: Duration = Duration::from_secs(1);

/// Serves until SIGTERM or SIGINT. Starts with any subset of providers working, and says which.
///
/// 0: ended in order. 1: it could not listen, or was told twice to end and did so at once.
pub(crate) fn run(config: Config) -> ExitCode {
    let log = Log::start(config.server.log);
    report_config(&config);
    match start(config, log) {
        Ok(End::Drained) => ExitCode::SUCCESS,
        Ok(End::AtOnce) | Err(Failed) => ExitCode::FAILURE,
    }
}

/// It did not come to serving; the log says why.
struct Failed;

fn start(config: Config, log: Log) -> Result<End, Failed> {
    let runtime = runtime().map_err(|error| failed("cannot start a runtime", &error))?;
    let end = serve(config, &runtime, log);
    // Nothing that is still running there is waited for: it had its time.
    runtime.shutdown_background();
    end
}

/// A thread for each core. On a single one, as a sidecar may have, this thread does all of it: another
/// one would only have to be woken for each request.
fn runtime() -> io::Result<Runtime> {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let mut builder =
        if cores == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.enable_all().build()
}

fn serve(config: Config, runtime: &Runtime, log: Log) -> Result<End, Failed> {
    let server = config.server.clone();
    let signals = runtime.block_on(async { Ok((Signals::listen()?, Hangups::listen()?)) });
    let (mut signals, hangups) =
        signals.map_err(|error: io::Error| failed("cannot listen for signals", &error))?;
    let faces = runtime.block_on(Faces::bind(&server)).map_err(|error| {
        let (setting, address) = (error.setting(), error.address());
        tracing::error!(event = "server.bind_failed", setting, address, "{error}");
        Failed
    })?;
    let verifier = Verifier::from_config(config);
    // Kept to the end; dropping it does not wait for lookups.
    let _refresh = verifier.start().map_err(|error| failed("cannot start the refresh", &error))?;
    let (phase, shared) = shared(verifier.clone(), &server, log.dropped().clone());
    runtime.block_on(async {
        let reports = tokio::spawn(report_losses(Arc::clone(&shared.decisions), log));
        let rereading = tokio::spawn(reread_on_hangup(hangups, verifier.clone()));
        let mut listeners = faces.serve(&shared);
        let end = drain::on_signal(&mut signals, &phase, server.drain, &mut listeners).await;
        shared.decisions.report_suppressed();
        rereading.abort();
        reports.abort();
        // Its log writes what still waits when it is dropped.
        let _aborted = reports.await;
        Ok(end)
    })
}

fn shared(
    verifier: Verifier,
    server: &ServerConfig,
    lines_dropped: LinesDropped,
) -> (watch::Sender<Phase>, Arc<Shared>) {
    let (sender, phase) = watch::channel(Phase::Serving);
    let clock = Arc::new(SystemClock::new());
    let started = clock.wall();
    let decisions = Decisions::new(server.log.decisions, server.limits.token, clock);
    let shared = Shared {
        verifier,
        decisions: Arc::new(decisions),
        refusal_detail: server.refusal_detail,
        ready_when: server.ready_when.clone(),
        body_limit: server.limits.body,
        phase,
        lines_dropped,
        started,
    };
    (sender, Arc::new(shared))
}

/// Each mistake and each notice in one line; mistakes have disabled their provider, or their key.
fn report_config(config: &Config) {
    for problem in config.problems() {
        let origin = problem.origin.to_string();
        let (path, hint) = (problem.path.as_str(), problem.hint.as_deref());
        tracing::warn!(event = "config.problem", path, origin, hint, "{path}: {}", problem.problem);
    }
    for notice in config.notices() {
        let (path, origin) = (notice.path.as_str(), notice.origin.to_string());
        match notice.level {
            NoticeLevel::Warning => {
                tracing::warn!(event = "config.notice", path, origin, "{}", notice.text);
            }
            NoticeLevel::Debug => {
                tracing::debug!(event = "config.notice", path, origin, "{}", notice.text);
            }
            _ => tracing::info!(event = "config.notice", path, origin, "{}", notice.text),
        }
    }
}

/// Reads key and CA files again when SIGHUP comes: what a tool that renews them sends. Only files;
/// the configuration stays.
async fn reread_on_hangup(mut hangups: Hangups, verifier: Verifier) {
    loop {
        hangups.next().await;
        let sources = verifier.reread_files();
        tracing::info!(
            event = "files.reread",
            signal = "SIGHUP",
            sources,
            "SIGHUP received: key and CA files are read again, of {sources} sources"
        );
    }
}

/// Reports lines that the limit kept back, and lines that the reader of the log was too slow for.
async fn report_losses(decisions: Arc<Decisions>, log: Log) {
    let mut reports = tokio::time::interval(REPORTS);
    reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known = 0;
    loop {
        reports.tick().await;
        decisions.report_suppressed();
        let dropped = log.dropped().count();
        if dropped > known {
            let lines = dropped - known;
            tracing::warn!(
                event = "log.dropped",
                lines,
                "{lines} log lines were dropped: stderr is not read fast enough"
            );
            known = dropped;
        }
    }
}

fn failed(what: &str, error: &dyn std::error::Error) -> Failed {
    tracing::error!(event = "server.failed", "{what}: {error}");
    Failed
}
