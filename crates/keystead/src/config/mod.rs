//! What is configured: read twice, first as it is written and then as it is meant.
//!
//! Flags win over variables, variables over the file, the file over defaults; of every value it is
//! known where it was written. Every mistake is collected. One inside a provider disables that
//! provider alone; only what stands outside of every provider makes a configuration unusable.
//!
//! ```
//! use keystead::config::{Config, Standing};
//!
//! let config = Config::parse_yaml(
//!     "
//! providers:
//!   local:
//!     issuer: gitlab-ai-gateway
//!     keys_file: /etc/keystead/local.pem
//!     audiences: [gitlab-ai-gateway]
//!   portal:
//!     issuer:
//!     audiences: [gitlab-ai-gateway]
//! ",
//! )?;
//! assert_eq!(config.providers[0].standing, Standing::Enabled);
//! assert!(!config.providers[1].is_enabled());
//! # Ok::<(), keystead::config::ConfigError>(())
//! ```

mod error;
mod file;
mod layers;
mod provider;
mod raw;
mod read;
mod ready;
mod reference;
mod server;
mod settings;
pub(crate) mod settle;
mod unknown;
mod value;

use std::path::PathBuf;

pub use error::{ConfigError, Notice, NoticeLevel, Origin, Problem, Scope};
use error::{Findings, Shown, Wrong};
pub use file::ConfigFile;
use layers::Layered;
pub use provider::{DiscoveryAddress, EndpointOrigin, ProviderConfig, SourceConfig, Standing};
pub use ready::ReadyWhen;
pub use reference::reference;
pub use server::{
    AdminListen, LimitsConfig, LogConfig, LogDecisions, LogFormat, LogLevel, RefusalDetail,
    ServerConfig,
};

use crate::http::Proxies;

/// Where a configuration is written, the strongest first. The library reads no environment: the
/// program passes in what it was given.
#[derive(Clone, Debug, Default)]
#[allow(clippy::exhaustive_structs, reason = "programs write it out, every layer of it")]
pub struct Layers {
    /// Flags: a dotted path such as `providers.keycloak.issuer`, and the value. The later of two
    /// for one path wins.
    pub flags: Vec<(String, String)>,
    /// Environment variables: those whose names begin with `KEYSTEAD_`, but for `KEYSTEAD_CONFIG`,
    /// which names the file; and those that name proxies (see
    /// [`Proxies::from_variables`](crate::http::Proxies::from_variables)), for providers that do
    /// not name one. All others are passed over.
    pub env: Vec<(String, String)>,
    /// The file.
    pub file: Option<ConfigFile>,
}

/// A configuration that can be used: each provider is enabled, or disabled with a reason.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The program around the verifier.
    pub server: ServerConfig,
    /// The providers, in name order.
    pub providers: Vec<ProviderConfig>,
    problems: Vec<Problem>,
    notices: Vec<Notice>,
    origins: Vec<Shown>,
}

impl Config {
    /// Puts the layers together.
    ///
    /// # Errors
    /// When the file is no configuration file at all, when there is a mistake outside of every
    /// provider, or when no provider is named. Every mistake there is stands in the error.
    pub fn load(layers: &Layers) -> Result<Self, ConfigError> {
        let config = Self::assemble(layers);
        if config.problems.iter().any(|problem| problem.scope == Scope::Fatal) {
            return Err(ConfigError::new(config.problems));
        }
        Ok(config)
    }

    /// Reads one YAML text, without flags and variables. Origins call it `keystead.yaml`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse_yaml(text: &str) -> Result<Self, ConfigError> {
        let file = ConfigFile { path: PathBuf::from("keystead.yaml"), text: text.to_owned() };
        Self::load(&Layers { file: Some(file), ..Layers::default() })
    }

    /// A configuration of providers that are put together in code. Each issuer is settled on one
    /// of them, as in a file.
    #[must_use]
    pub fn of(providers: impl IntoIterator<Item = ProviderConfig>) -> Self {
        let providers = providers.into_iter().collect();
        Self::settled(ServerConfig::default(), providers, Findings::default())
    }

    /// The mistakes inside providers, each of which has disabled its provider; and keys that
    /// cannot be used, which have not.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// What is worth knowing though it is no mistake.
    #[must_use]
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Every setting with its value and where it was written: path, value as it may be shown, and
    /// origin. Keys and passwords are not shown. Empty for providers that were put together in
    /// code.
    pub fn origins(&self) -> impl Iterator<Item = (&str, &str, &Origin)> {
        self.origins.iter().map(|s| (s.path.as_str(), s.value.as_str(), &s.origin))
    }

    fn assemble(layers: &Layers) -> Self {
        let mut findings = Findings::default();
        let mut layered = Layered::default();
        let readable = match layers.file.as_ref().map(ConfigFile::tree) {
            None => true,
            Some(Ok(root)) => layered.file(&root, &mut findings),
            Some(Err(mut problems)) => {
                findings.problems.append(&mut problems);
                false
            }
        };
        layered.variables(&layers.env, &mut findings);
        layered.flags(&layers.flags, &mut findings);
        layered.find_clashes();
        let server = server::read(&layered, &mut findings);
        provider::read_defaults(&layered.defaults, &mut findings);
        let proxies = proxies(&layers.env, &mut findings);
        let providers: Vec<ProviderConfig> = layered
            .providers
            .iter()
            .map(|(name, written)| provider::read(name, written, &layered, &proxies, &mut findings))
            .collect();
        // A file that cannot be read may name some.
        if providers.is_empty() && readable {
            findings.problems.push(no_provider(layers));
        }
        Self::settled(server, providers, findings)
    }

    fn settled(
        mut server: ServerConfig,
        mut providers: Vec<ProviderConfig>,
        findings: Findings,
    ) -> Self {
        let Findings { mut problems, mut notices, origins } = findings;
        let issuers = ready::issuers(&providers);
        settle::settle(&mut providers, &mut notices);
        ready::follow_merged(&mut server.ready_when, &issuers, &providers);
        problems.extend(providers.iter().flat_map(ProviderConfig::problems).cloned());
        Problem::sort(&mut problems);
        Self { server, providers, problems, notices, origins }
    }
}

/// Every mistake at once: those that make a configuration unusable, and those that disable one
/// provider; in the order in which a reader of the file meets them.
#[must_use]
pub fn check(layers: &Layers) -> Vec<Problem> {
    Config::assemble(layers).problems
}

/// The proxies of the environment. One that cannot be used is no mistake in this configuration: it
/// is passed over, with a word about it.
fn proxies(env: &[(String, String)], findings: &mut Findings) -> Proxies {
    let variables = env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let (proxies, problems) = Proxies::read(variables);
    findings.notices.extend(problems.into_iter().map(|(name, error)| Notice {
        level: NoticeLevel::Warning,
        path: String::new(),
        origin: Origin::Variable(name.to_owned()),
        text: format!("{error}: it is passed over"),
    }));
    proxies
}

fn no_provider(layers: &Layers) -> Problem {
    let origin = layers.file.as_ref().map_or(Origin::Default, |file| file.origin(1, 1));
    Wrong::new("no provider is configured")
        .hint("write one below providers, or set KEYSTEAD_PROVIDERS__NAME__ISSUER")
        .at("providers".to_owned(), origin, Scope::Fatal)
}
