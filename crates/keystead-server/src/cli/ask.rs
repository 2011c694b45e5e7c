//! What `verify` and `explain` share: whose word counts, and asking the sources for keys once.

use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use keystead::config::{Layers, Standing};
use keystead::core::{
    Audiences, Code, DisabledWhy, Rejection, Requirements, TokenLimits, UnverifiedToken,
};
use keystead::{Clock, Config, RefreshHandle, SystemClock, VerifiedToken, Verifier};

use super::config::{ConfigArgs, Settings, proxy_variables};
use super::console::Console;
use super::{Exit, Failure, Format, json, token};

/// The provider that flags describe.
const BY_FLAGS: &str = "flags";
/// How long is waited between two looks at what has arrived.
const STEP: Duration = Duration::from_millis(20);

/// A token, and whose word counts for it.
#[derive(Debug, clap::Args)]
pub(crate) struct AskArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    by_flags: ByFlags,
    /// Accept this audience (aud); can be repeated
    #[arg(long, value_name = "AUDIENCE")]
    audience: Vec<String>,
    /// Accept whatever audience the token has
    #[arg(long, conflicts_with = "audience")]
    any_audience: bool,
    /// Use the keys in memory and in files, and ask nobody
    #[arg(long)]
    offline: bool,
    /// Judge at this time (RFC 3339, or seconds since 1970) instead of now
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<Duration>,
    /// How the result is written
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,
    /// Where the token is: - for standard input, or @FILE; never the token itself
    #[arg(value_name = "-|@FILE")]
    token: Option<String>,
}

/// A provider without a configuration.
#[derive(Debug, clap::Args)]
struct ByFlags {
    /// Verify tokens of this issuer (iss), without a configuration
    ///
    /// Its keys are discovered from it, unless one of the next three says where they are.
    #[arg(long, value_name = "ISSUER", conflicts_with = "config")]
    issuer: Option<String>,
    /// The issuer's keys: PEM, a JWK or a JWK Set
    #[arg(long, value_name = "FILE", requires = "issuer", group = "keys")]
    keys_file: Option<PathBuf>,
    /// Fetch the issuer's keys here
    #[arg(long, value_name = "URL", requires = "issuer", group = "keys")]
    jwks_url: Option<String>,
    /// Have the issuer's keys discovered through the document here
    #[arg(long, value_name = "URL", requires = "issuer", group = "keys")]
    discovery_url: Option<String>,
}

/// A token in front of the verifier that is to judge it.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) token: String,
    pub(crate) verifier: Verifier,
    pub(crate) requirements: Requirements,
    at: Option<Duration>,
    /// How long its provider's sources may take to answer; none: they are not asked.
    patience: Option<Duration>,
    clock: SystemClock,
}

impl AskArgs {
    /// Reads the token, and finds out who is to judge it.
    pub(crate) fn question(&self, console: &Console) -> Result<Question, Failure> {
        let place = token::Place::named(self.token.as_deref())?;
        let mut config = match &self.by_flags.issuer {
            Some(issuer) => self.described(issuer)?,
            None => self.config.load()?,
        };
        let token = place.read(console)?;
        let limit = config.server.limits.token;
        let concerned = keep_concerned(&mut config, &token, TokenLimits::with_token(limit));
        let patience = (concerned && !self.offline).then(|| longest_attempt(&config));
        Ok(Question {
            token,
            verifier: Verifier::from_config(config),
            requirements: self.requirements(),
            at: self.at,
            patience,
            clock: SystemClock::new(),
        })
    }

    fn requirements(&self) -> Requirements {
        let requirements = Requirements::new();
        if self.any_audience {
            let mut any = requirements;
            any.audiences = Some(Audiences::Any);
            any
        } else if self.audience.is_empty() {
            requirements
        } else {
            requirements.audiences(&self.audience)
        }
    }

    /// The provider that the flags describe.
    fn described(&self, issuer: &str) -> Result<Config, Failure> {
        if self.audience.is_empty() && !self.any_audience {
            return Err(Failure::usage(
                "say who the token has to be meant for: --audience AUDIENCE, or --any-audience",
            ));
        }
        let mut flags = vec![("issuer", issuer.to_owned())];
        if self.any_audience {
            flags.push(("audiences", "any".to_owned()));
        } else {
            flags.push(("audiences", json::array(self.audience.iter().map(|a| json::string(a)))));
        }
        let ByFlags { keys_file, jwks_url, discovery_url, .. } = &self.by_flags;
        if let Some(path) = keys_file {
            flags.push(("keys_file", json::array([json::string(&path.to_string_lossy())])));
        }
        if let Some(url) = jwks_url {
            flags.push(("jwks_url", json::array([json::string(url)])));
        }
        if let Some(url) = discovery_url {
            flags.push(("discovery_url", url.clone()));
        }
        let path = |setting| format!("providers.{BY_FLAGS}.{setting}");
        let flags = flags.into_iter().map(|(setting, value)| (path(setting), value));
        let settings: &Settings = self.config.settings();
        let flags = flags.chain(settings.layer()).collect();
        let layers = Layers { flags, env: proxy_variables(), ..Layers::default() };
        let config = Config::load(&layers).map_err(|error| Failure::Configuration(error, None))?;
        match in_words_of_flags(&config) {
            Some(problem) => Err(Failure::Usage(problem)),
            None => Ok(config),
        }
    }
}

impl Question {
    /// The verdict, as soon as no answer that is still to come could change it.
    pub(crate) fn verdict(&self) -> Result<Result<VerifiedToken, Rejection>, Failure> {
        let Some(refresh) = self.start()? else { return Ok(self.judge()) };
        let until = self.clock.monotonic().saturating_add(self.patience.unwrap_or_default());
        loop {
            let answered = refresh.wait_first_attempts(STEP);
            let verdict = self.judge();
            let open = verdict.as_ref().err().is_some_and(|refused| is_about_keys(refused.code()));
            if answered || !open || self.clock.monotonic() >= until {
                return Ok(verdict);
            }
        }
    }

    /// Asks every source of the token's provider and waits for all of them.
    ///
    /// The refresh goes on for as long as the handle is held.
    pub(crate) fn ask_all(&self) -> Result<Option<RefreshHandle>, Failure> {
        let refresh = self.start()?;
        if let Some(refresh) = &refresh {
            // One that takes longer says so itself: its state is part of the answer.
            let _answered = refresh.wait_first_attempts(self.patience.unwrap_or_default());
        }
        Ok(refresh)
    }

    /// The time of judgement, since 1970.
    pub(crate) fn now(&self) -> Duration {
        self.at.unwrap_or_else(|| self.clock.wall())
    }

    fn judge(&self) -> Result<VerifiedToken, Rejection> {
        self.verifier.verify_at(&self.token, self.now(), &self.requirements)
    }

    fn start(&self) -> Result<Option<RefreshHandle>, Failure> {
        if self.patience.is_none() {
            self.verifier.load();
            return Ok(None);
        }
        start(&self.verifier).map(Some)
    }
}

/// Starts to ask the sources of every provider.
pub(crate) fn start(verifier: &Verifier) -> Result<RefreshHandle, Failure> {
    verifier.start().map_err(|error| Failure::System(format!("no thread for fetching: {error}")))
}

/// How long the first attempt of any source can take: one document that names another.
pub(crate) fn longest_attempt(config: &Config) -> Duration {
    let enabled = config.providers.iter().filter(|provider| provider.is_enabled());
    let longest = enabled.map(|provider| provider.rules.timeout).max().unwrap_or_default();
    longest.saturating_mul(2).saturating_add(Duration::from_secs(1))
}

/// Keeps only the provider whose token this claims to be, so that nobody else is asked or waited
/// for. Whether there is one that is in use; otherwise all stay, to name the nearest.
fn keep_concerned(config: &mut Config, token: &str, limits: TokenLimits) -> bool {
    let Ok(parsed) = UnverifiedToken::parse(token, limits) else { return false };
    let Ok(Some(issuer)) = parsed.claims().issuer() else { return false };
    let claims = |provider: &keystead::ProviderConfig| {
        let policy = &provider.policy;
        provider.is_enabled()
            && (policy.issuer == issuer || policy.aliases.iter().any(|alias| *alias == issuer))
    };
    if !config.providers.iter().any(claims) {
        return false;
    }
    config.providers.retain(claims);
    true
}

/// Whether another key could change such a refusal.
const fn is_about_keys(code: Code) -> bool {
    matches!(
        code,
        Code::KeyUnknownKid
            | Code::KeyUnusable
            | Code::KeyMismatch
            | Code::KeyAmbiguous
            | Code::KeysUnavailable
            | Code::KeysExpired
            | Code::SignatureInvalid
    )
}

/// What is wrong with the provider that the flags describe, by the names of the flags.
fn in_words_of_flags(config: &Config) -> Option<String> {
    let prefix = format!("providers.{BY_FLAGS}.");
    let flag = |path: &str| match path.strip_prefix(&prefix) {
        Some("audiences") => "--audience".to_owned(),
        Some(setting @ ("issuer" | "keys_file" | "jwks_url" | "discovery_url")) => {
            format!("--{}", setting.replace('_', "-"))
        }
        _ => format!("--set {path}"),
    };
    let mut lines = config.problems().iter().map(|problem| {
        let hint = problem.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
        format!("{}: {}{hint}", flag(&problem.path), problem.problem)
    });
    if let Some(first) = lines.next() {
        return Some(lines.fold(first, |all, line| format!("{all}\n{line}")));
    }
    let provider = config.providers.first()?;
    match &provider.standing {
        Standing::Disabled { why: DisabledWhy::Unset, reason } => Some(format!(
            "{reason}\nhint: say where the keys are: --keys-file, --jwks-url or --discovery-url"
        )),
        Standing::Disabled { reason, .. } => Some(reason.clone()),
        _ => None,
    }
}

fn moment(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let wrong = "write it as 2027-01-15T08:00:00Z or as seconds since 1970";
    let moment = humantime::parse_rfc3339(text).map_err(|_| wrong)?;
    moment.duration_since(UNIX_EPOCH).map_err(|_| wrong.to_owned())
}

/// A refusal as the network faces answer it, with the hint.
pub(crate) fn refusal_body(refused: &Rejection, token: &str) -> json::Object {
    let code = refused.code();
    json::Object::new()
        .text("error", code.error())
        .text("error_description", refused.sentence())
        .text("code", code.as_str())
        .text("fingerprint", keystead::fingerprint(token))
        .text("hint", refused.hint())
}

/// The exit code that a verdict amounts to.
pub(crate) fn exit_of(refused: Option<&Rejection>) -> Exit {
    refused.map_or(Exit::Yes, |refused| Exit::of_refusal(refused.http_status()))
}
