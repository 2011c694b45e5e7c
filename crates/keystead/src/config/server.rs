//! The settings of the program around the verifier.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{Findings, Origin, Scope, Wrong};
use super::layers::{Layered, Section};
use super::raw::Node;
use super::read::Reader;
use super::ready::{self, ReadyWhen};
use super::settings::Place;
use super::value::{count, count_to, duration, shown, size, socket_address, text, word};

/// Everything about the server but its providers.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Where the public faces listen. Default: 127.0.0.1:8080.
    pub listen: SocketAddr,
    /// Where status and administration listen. Default: 127.0.0.1:8081.
    pub admin_listen: AdminListen,
    /// Where the keys of providers are kept on disk: one file per provider. Default: nowhere.
    pub state_dir: Option<PathBuf>,
    /// What may be done there. Not a setting: programs that run once, maybe as another user, only
    /// read. Default: reading and writing.
    pub state_access: StateAccess,
    /// Where the token stands that the admin listener asks for before it changes anything. Without
    /// one, it does so on loopback and on a unix socket only.
    pub admin_token_file: Option<PathBuf>,
    /// When it says that it is ready. Default: when at least one provider can verify.
    pub ready_when: ReadyWhen,
    /// How much of a refusal its caller is told. Default: code and sentence.
    pub refusal_detail: RefusalDetail,
    /// What is logged, and how.
    pub log: LogConfig,
    /// How much a caller may send.
    pub limits: LimitsConfig,
    /// How long the server goes on accepting after it said that it is not ready. Default: 2 s.
    pub drain: Duration,
}

/// Where the administrative listener listens.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AdminListen {
    /// On an address and port.
    Tcp(SocketAddr),
    /// On a unix socket at this absolute path.
    Unix(PathBuf),
}

/// What may be done in `state_dir`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum StateAccess {
    /// Keys are read from there, and kept there.
    #[default]
    ReadWrite,
    /// Keys are read from there, and nothing there is changed, but by
    /// [`Verifier::save_snapshots`](crate::Verifier::save_snapshots).
    ReadOnly,
}

/// How much of a refusal its caller is told.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum RefusalDetail {
    /// The code alone.
    Code,
    /// The code and one sentence, with presented values only.
    #[default]
    Sentence,
    /// The hint too, which names settings and accepted values: for demonstrations.
    Hint,
}

/// What is logged, and how.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct LogConfig {
    /// The form of a line.
    pub format: LogFormat,
    /// The least important lines that are written.
    pub level: LogLevel,
    /// Which decisions about tokens are written.
    pub decisions: LogDecisions,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// Text.
    Text,
    /// JSON.
    Json,
}

/// How important a log line is.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum LogLevel {
    /// Something does not work.
    Error,
    /// Something may soon not work.
    Warn,
    /// The course of things.
    #[default]
    Info,
    /// For those who look for a fault.
    Debug,
    /// Everything.
    Trace,
}

/// Which decisions about tokens are logged.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum LogDecisions {
    /// Refusals.
    #[default]
    Refusals,
    /// Refusals and acceptances.
    All,
    /// None.
    None,
}

/// How much a caller may send.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LimitsConfig {
    /// How many bytes a token may have. Default: 16 KiB.
    pub token: usize,
    /// How many connections one listener holds at once. Default: 1,024.
    pub connections: usize,
    /// How many bytes the body of a request may have. Default: 64 KiB.
    pub body: usize,
    /// How many tokens are remembered whose signature was found good, so that it is not computed
    /// again; 0: none. Default: 10,000. See [`VerifierBuilder::cached_tokens`](crate::VerifierBuilder::cached_tokens).
    pub cached_tokens: usize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self { token: 16 * 1024, connections: 1024, body: 64 * 1024, cached_tokens: 10_000 }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            listen: local(8080),
            admin_listen: AdminListen::Tcp(local(8081)),
            state_dir: None,
            state_access: StateAccess::default(),
            admin_token_file: None,
            ready_when: ReadyWhen::default(),
            refusal_detail: RefusalDetail::default(),
            log: LogConfig::default(),
            limits: LimitsConfig::default(),
            drain: Duration::from_secs(2),
        }
    }
}

/// Gives the top, `log` and `limits` their meaning. Every mistake here is fatal.
pub(super) fn read(layered: &Layered, findings: &mut Findings) -> ServerConfig {
    let mut server = ServerConfig::default();
    read_top(&mut server, layered, findings);
    let mut reader = reader("log", Place::Log, &layered.log, findings);
    read_log(&mut server.log, &mut reader);
    let mut reader = self::reader("limits", Place::Limits, &layered.limits, findings);
    read_limits(&mut server.limits, &mut reader);
    server
}

fn reader<'a>(
    prefix: &str,
    place: Place,
    own: &'a Section,
    findings: &'a mut Findings,
) -> Reader<'a> {
    Reader { prefix: prefix.to_owned(), place, own, fallback: None, scope: Scope::Fatal, findings }
}

fn read_top(server: &mut ServerConfig, layered: &Layered, findings: &mut Findings) {
    let mut reader = reader("", Place::Top, &layered.top, findings);
    reader.read("version", version);
    let listen = reader.read("listen", |node| socket_address(text(node)?));
    set(&mut server.listen, listen);
    set(&mut server.admin_listen, reader.read("admin_listen", admin_listen));
    server.state_dir = reader.read("state_dir", |node| text(node).map(PathBuf::from));
    server.admin_token_file = reader.read("admin_token_file", |node| text(node).map(PathBuf::from));
    set(&mut server.ready_when, ready::read(&mut reader, layered));
    let detail = reader.read("refusal_detail", |node| {
        use RefusalDetail::{Code, Hint, Sentence};
        word(node, &[("code", Code), ("sentence", Sentence), ("hint", Hint)])
    });
    set(&mut server.refusal_detail, detail);
    set(&mut server.drain, reader.read("drain", duration));
    let same = matches!(server.admin_listen, AdminListen::Tcp(admin) if admin == server.listen);
    // The system chooses another port for each port 0.
    if same && server.listen.port() != 0 {
        let node = layered.top.node("admin_listen").or_else(|| layered.top.node("listen"));
        let origin = node.map_or(Origin::Default, |node| node.origin.clone());
        let wrong = Wrong::new(format!("it is the address of listen, {}, too", server.listen))
            .hint("give it another port");
        findings.problems.push(wrong.at("admin_listen".to_owned(), origin, Scope::Fatal));
    }
}

fn read_log(log: &mut LogConfig, reader: &mut Reader<'_>) {
    let format = reader.read("format", |node| {
        use LogFormat::{Auto, Json, Text};
        word(node, &[("auto", Auto), ("text", Text), ("json", Json)])
    });
    set(&mut log.format, format);
    let level = reader.read("level", |node| {
        use LogLevel::{Debug, Error, Info, Trace, Warn};
        let words =
            [("error", Error), ("warn", Warn), ("info", Info), ("debug", Debug), ("trace", Trace)];
        word(node, &words)
    });
    set(&mut log.level, level);
    let decisions = reader.read("decisions", |node| {
        use LogDecisions::{All, None, Refusals};
        word(node, &[("refusals", Refusals), ("all", All), ("none", None)])
    });
    set(&mut log.decisions, decisions);
}

fn read_limits(limits: &mut LimitsConfig, reader: &mut Reader<'_>) {
    set(&mut limits.token, reader.read("token", |node| size(node, 1024 * 1024)));
    set(&mut limits.connections, reader.read("connections", count));
    set(&mut limits.body, reader.read("body", |node| size(node, 16 * 1024 * 1024)));
    let cached_tokens = reader.read("cached_tokens", |node| count_to(node, 10_000_000));
    set(&mut limits.cached_tokens, cached_tokens);
}

/// Takes over what was written.
pub(super) fn set<T>(place: &mut T, written: Option<T>) {
    if let Some(value) = written {
        *place = value;
    }
}

fn version(node: &Node) -> Result<(), Wrong> {
    let written = text(node)?.trim();
    if written == "1" {
        return Ok(());
    }
    Err(Wrong::new(format!("version {} is not known here", shown(written)))
        .hint("write version: 1, or use a release that knows the version"))
}

fn admin_listen(node: &Node) -> Result<AdminListen, Wrong> {
    let written = text(node)?.trim();
    let path = written.strip_prefix("unix:").unwrap_or(written);
    if Path::new(path).is_absolute() {
        return Ok(AdminListen::Unix(PathBuf::from(path)));
    }
    if written.starts_with("unix:") {
        return Err(Wrong::new(format!("{} is not an absolute path", shown(path)))
            .hint("write unix:/run/keystead/admin.sock"));
    }
    socket_address(written).map(AdminListen::Tcp)
}
