//! Where log lines go: to stderr, one event per line, through a thread of its own.
//!
//! A reader of stderr that stalls must not stall requests: the lines wait in a bounded queue, what
//! does not fit is dropped, and the number of dropped lines is logged.

pub(crate) mod limiter;

use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use keystead::config::{LogConfig, LogFormat, LogLevel};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::set_global_default;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry, fmt};

/// The target of lines about keys that came and went.
const AUDIT: &str = "keystead::audit";
/// How many lines wait for stderr at most.
const WAITING_LINES: usize = 8_192;

/// The running log. Dropping it writes what still waits, for at most a second.
#[derive(Debug)]
#[must_use = "lines that still wait are lost unless this is kept until the end"]
pub(crate) struct Log {
    _writing: WorkerGuard,
    dropped: LinesDropped,
}

/// How many lines were dropped so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct LinesDropped(Option<ErrorCounter>);

impl LinesDropped {
    pub(crate) fn count(&self) -> u64 {
        let lines = self.0.as_ref().map_or(0, ErrorCounter::dropped_lines);
        u64::try_from(lines).unwrap_or(u64::MAX)
    }
}

impl Log {
    /// Starts to write the events of this program, and of no other crate: what libraries below
    /// trace may show what a request carried.
    pub(crate) fn start(config: LogConfig) -> Self {
        let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(WAITING_LINES);
        let (writer, writing) = builder.thread_name("keystead-log").finish(std::io::stderr());
        let log = Self { _writing: writing, dropped: LinesDropped(Some(writer.error_counter())) };
        let level = level(config.level);
        // Who is trusted from now on is written whatever the level is.
        let audit = level.max(LevelFilter::INFO);
        let ours = Targets::new().with_target("keystead", level).with_target(AUDIT, audit);
        let subscriber = Registry::default().with(lines(config.format, writer).with_filter(ours));
        // A host program that has a subscriber of its own keeps it.
        let _kept = set_global_default(subscriber);
        std::panic::set_hook(Box::new(report_panic));
        log
    }

    /// What counts the lines that are dropped.
    pub(crate) const fn dropped(&self) -> &LinesDropped {
        &self.dropped
    }
}

fn lines(format: LogFormat, writer: NonBlocking) -> Box<dyn Layer<Registry> + Send + Sync> {
    let terminal = std::io::stderr().is_terminal();
    let text = match format {
        LogFormat::Text => true,
        LogFormat::Json => false,
        _ => terminal,
    };
    let lines = fmt::layer().with_writer(writer);
    if text {
        return lines.with_target(false).with_ansi(terminal && wants_colour()).boxed();
    }
    let json = lines.json().flatten_event(true).with_current_span(false).with_span_list(false);
    json.with_ansi(false).boxed()
}

/// Whether colours are not switched off: by <https://no-color.org>, or by a terminal without any.
fn wants_colour() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}

fn level(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
        _ => LevelFilter::INFO,
    }
}

/// One line for a fault of the program itself. Its message is left out: it may quote what a request
/// carried.
fn report_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(
        event = "server.fault",
        location,
        "the program met a fault of its own, please report where"
    );
}
