//! The last word on a provider: what contradicts itself, where discovery goes, and its standing.

use keystead_core::{Algorithm, AlgorithmSet, Family, KeyProblem, Material};

use super::super::error::{Notice, NoticeLevel, Origin, Problem, Scope, Wrong};
use super::super::value::{duration_text, shown};
use super::{
    DisabledWhy, DiscoveryAddress, DiscoveryMode, ProviderConfig, SourceConfig, Standing, checks,
};
use crate::http::Proxies;

impl ProviderConfig {
    /// Settles the sources and the standing. Only the first call does anything.
    pub(in super::super) fn judge(&mut self, notices: &mut Vec<Notice>) {
        if std::mem::replace(&mut self.draft.judged, true) {
            return;
        }
        self.find_contradictions();
        self.add_discovery();
        self.fill_origins();
        self.standing = self.judged_standing();
        self.note(notices);
    }

    /// Disables it for a reason that lies outside of it.
    pub(in super::super) fn disable(&mut self, setting: &str, wrong: Wrong) {
        self.mistake(setting, wrong);
        self.standing = self.judged_standing();
    }

    /// Where one of its settings, or else its name, is written.
    pub(in super::super) fn origin(&self, setting: &str) -> &Origin {
        self.draft.at.get(setting).unwrap_or(&self.draft.named_at)
    }

    fn find_contradictions(&mut self) {
        if self.is_written("jwks_url") && self.is_written("discovery_url") {
            let wrong = Wrong::new("jwks_url and discovery_url contradict each other")
                .hint("keep jwks_url to fetch keys there, or discovery_url to have them found");
            self.mistake("discovery_url", wrong);
        }
        if self.draft.discovery == DiscoveryMode::Off && self.is_written("discovery_url") {
            let wrong = Wrong::new("discovery is off, and yet discovery_url is written")
                .hint("remove one of the two");
            self.mistake("discovery_url", wrong);
        }
        if self.rules.token_file.is_some() && self.rules.headers.authorize() {
            let wrong = Wrong::new("token_file and the header Authorization contradict each other")
                .hint("keep token_file, or Authorization in headers");
            self.mistake("token_file", wrong);
        }
        // One in `defaults` gives way to a `connect_to` of the provider's own.
        let proxied = self.is_written("proxy") && self.rules.proxies != Proxies::default();
        if proxied && self.is_written("connect_to") {
            let wrong = Wrong::new("proxy and connect_to contradict each other")
                .hint("keep proxy to have it connect, or connect_to to dial without one");
            self.mistake("connect_to", wrong);
        }
    }

    fn add_discovery(&mut self) {
        let endpoint_origin = self.draft.endpoint_origin;
        if let Some(url) = self.draft.discovery_url.take() {
            let address = DiscoveryAddress::Written(url);
            self.add(SourceConfig::Discovery { address, endpoint_origin });
        }
        let located = ["keys", "keys_file", "jwks_url", "discovery_url"];
        let elsewhere =
            !self.sources.is_empty() || located.iter().any(|setting| self.is_written(setting));
        let from_issuer = match self.draft.discovery {
            DiscoveryMode::Issuer => true,
            DiscoveryMode::Auto => !elsewhere,
            DiscoveryMode::Off => false,
        };
        if !from_issuer || self.policy.issuer.is_empty() {
            return;
        }
        match checks::issuer_url(&self.policy.issuer) {
            Some(Ok(url)) => {
                let address = DiscoveryAddress::FromIssuer(url);
                self.add(SourceConfig::Discovery { address, endpoint_origin });
            }
            Some(Err(wrong)) => self.mistake("issuer", wrong),
            None if self.draft.discovery == DiscoveryMode::Issuer => {
                let problem = format!("the issuer {} is no URL", shown(&self.policy.issuer));
                let wrong = Wrong::new(format!("{problem}, so that nothing can be discovered"))
                    .hint("remove discovery: issuer, or write discovery_url");
                self.mistake("discovery", wrong);
            }
            None => {}
        }
    }

    /// The operator's origins are those of every URL that is written, the issuer's among them.
    fn fill_origins(&mut self) {
        let issuer = checks::issuer_url(&self.policy.issuer).and_then(Result::ok);
        let urls = self.sources.iter().filter_map(|source| match source {
            SourceConfig::JwksUrl { url }
            | SourceConfig::Discovery {
                address: DiscoveryAddress::Written(url) | DiscoveryAddress::FromIssuer(url),
                ..
            } => Some(url),
            _ => None,
        });
        for origin in urls.chain(&issuer).map(url::Url::origin) {
            if !self.rules.operator_origins.contains(&origin) {
                self.rules.operator_origins.push(origin);
            }
        }
    }

    fn judged_standing(&mut self) -> Standing {
        let disabled = |why, reason: &str| Standing::Disabled { why, reason: reason.to_owned() };
        if self.draft.switched_off && !self.has_mistake_in("use") {
            return disabled(DisabledWhy::Off, "it is switched off");
        }
        if let Some(reason) = self.misconfigured() {
            return disabled(DisabledWhy::Misconfigured, &reason);
        }
        if let Some(reason) = self.unset() {
            return disabled(DisabledWhy::Unset, &reason);
        }
        if !self.draft.audiences_written {
            let wrong = Wrong::new("audiences are missing").hint(format!(
                "write {} with the aud that its tokens carry, or any to accept every audience",
                self.path("audiences")
            ));
            self.mistake("audiences", wrong);
        }
        self.misconfigured()
            .map_or(Standing::Enabled, |reason| disabled(DisabledWhy::Misconfigured, &reason))
    }

    pub(super) fn has_mistake_in(&self, setting: &str) -> bool {
        let path = self.path(setting);
        self.problems.iter().any(|problem| problem.path == path)
    }

    /// The first mistake that disables it, in a sentence.
    fn misconfigured(&self) -> Option<String> {
        let all_keys_unreadable = self.all_keys_unreadable();
        let disables = |problem: &&Problem| match problem.scope {
            Scope::Key(_) => all_keys_unreadable,
            _ => true,
        };
        let mut problems: Vec<Problem> = self.problems.iter().filter(disables).cloned().collect();
        Problem::sort(&mut problems);
        let first = problems.first()?;
        let path = self.path("");
        let setting = first.path.strip_prefix(&path).unwrap_or_default().trim_start_matches('.');
        let more = match problems.len() {
            1 => String::new(),
            2 => ", and 1 more mistake".to_owned(),
            n => format!(", and {} more mistakes", n - 1),
        };
        Some(match setting {
            "" => format!("{}{more}", first.problem),
            setting => format!("{setting}: {}{more}", first.problem),
        })
    }

    /// Whether everything that was to give keys is text of which nothing could be read.
    fn all_keys_unreadable(&self) -> bool {
        !self.sources.is_empty()
            && self.sources.iter().all(|source| match source {
                SourceConfig::Inline { keys, .. } => {
                    let unreadable = |why: &KeyProblem| matches!(why, KeyProblem::Text(_));
                    keys.keys().is_empty() && keys.skipped().iter().all(|key| unreadable(&key.why))
                }
                _ => false,
            })
    }

    /// What is missing for it to take part, in a sentence.
    fn unset(&self) -> Option<String> {
        let places = "jwks_url, discovery_url or keys (keys_file)";
        match (self.policy.issuer.is_empty(), self.sources.is_empty()) {
            (false, false) => None,
            (true, true) => Some(format!(
                "nothing is set: write issuer, and {places} unless keys are discovered from it"
            )),
            (true, false) => Some("issuer is not set: it is what iss is compared with".to_owned()),
            (false, true) if self.draft.discovery == DiscoveryMode::Off => {
                Some(format!("no place of keys is set and discovery is off: write {places}"))
            }
            (false, true) => Some(format!(
                "no place of keys is set and the issuer {} is no URL: write {places}",
                shown(&self.policy.issuer)
            )),
        }
    }

    /// What is no mistake but may surprise.
    fn note(&self, notices: &mut Vec<Notice>) {
        if let Standing::Disabled { why: DisabledWhy::Unset, reason } = &self.standing {
            notices.push(self.notice("", NoticeLevel::Warning, reason.clone()));
        }
        self.note_algorithms(notices);
        self.note_keys(notices);
        let limit = self.max_stale.filter(|limit| *limit < self.refresh_interval);
        if let (Some(limit), true) = (limit, self.has_network_source()) {
            let text = format!(
                "keys expire after {} but are fetched only every {}",
                duration_text(limit),
                duration_text(self.refresh_interval)
            );
            notices.push(self.notice("max_stale", NoticeLevel::Warning, text));
        }
        if self.max_stale.is_none() && self.has_network_source() {
            let text = "forever: a withdrawn key stays in use while its provider is out of reach";
            notices.push(self.notice("max_stale", NoticeLevel::Warning, text.to_owned()));
        }
    }

    fn note_algorithms(&self, notices: &mut Vec<Notice>) {
        let hmac = hmac_of(self.policy.algorithms);
        let local = self.sources.iter().any(|s| !is_network(s));
        if let (Some(algorithm), false, false) = (hmac, local, self.sources.is_empty()) {
            let text = format!(
                "{algorithm} takes only keys that the operator wrote: write them in keys or \
                 keys_file, or remove {algorithm}"
            );
            notices.push(self.notice("algorithms", NoticeLevel::Warning, text));
        }
    }

    fn note_keys(&self, notices: &mut Vec<Notice>) {
        let inline = self.sources.iter().filter_map(|source| match source {
            SourceConfig::Inline { keys, .. } => Some(keys.keys()),
            _ => None,
        });
        let hmac = hmac_of(self.policy.algorithms).is_some();
        let keys = || inline.clone().flatten();
        if keys().any(|key| key.private_part_seen()) {
            let text = "a private key is written: only its public part is used, write that alone";
            notices.push(self.notice("keys", NoticeLevel::Warning, text.to_owned()));
        }
        if !hmac && keys().any(|key| matches!(key.material(), Material::Oct { .. })) {
            let text = "a shared secret is written: it is used only when algorithms name HS256, \
                        HS384 or HS512";
            notices.push(self.notice("keys", NoticeLevel::Warning, text.to_owned()));
        }
    }

    pub(in super::super) fn notice(
        &self,
        setting: &str,
        level: NoticeLevel,
        text: String,
    ) -> Notice {
        Notice { level, path: self.path(setting), origin: self.origin(setting).clone(), text }
    }

    fn has_network_source(&self) -> bool {
        self.sources.iter().any(is_network)
    }
}

const fn is_network(source: &SourceConfig) -> bool {
    matches!(source, SourceConfig::JwksUrl { .. } | SourceConfig::Discovery { .. })
}

/// An HMAC algorithm that is allowed.
fn hmac_of(algorithms: AlgorithmSet) -> Option<Algorithm> {
    let is_hmac = |a: &Algorithm| matches!(a.family(), Family::Hmac { .. });
    Algorithm::ALL.into_iter().filter(is_hmac).find(|a| algorithms.contains(*a))
}
