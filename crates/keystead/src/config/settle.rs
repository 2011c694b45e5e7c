//! One issuer string has one owner: what becomes of providers that claim the same one.

use std::collections::{BTreeMap, HashMap, HashSet};

use keystead_core::text::quoted;
use keystead_core::{Audiences, ClaimRule, Policy};

use super::error::{Notice, NoticeLevel, Wrong};
use super::provider::{ProviderConfig, SourceConfig};
use super::value::listed;

/// Judges providers, from files or from code, and makes each issuer string belong to one of them.
///
/// Providers come out in name order. Of enabled providers with one issuer, those that agree in
/// everything but name, aliases and sources are merged into the first; a later one that does not
/// agree is disabled. An alias that is also another provider's issuer, or an earlier provider's
/// alias, is dropped. Disabled providers keep their issuer, so that a table of issuers has to
/// take the enabled ones first.
pub(crate) fn settle(providers: &mut Vec<ProviderConfig>, notices: &mut Vec<Notice>) {
    providers.sort_by(|a, b| a.name.cmp(&b.name));
    tell_apart(providers);
    for provider in providers.iter_mut() {
        provider.judge(notices);
    }
    let settled = std::mem::take(providers);
    let mut owners: HashMap<String, usize> = HashMap::new();
    for mut provider in settled {
        let owner = owners.get(&provider.policy.issuer).filter(|_| provider.is_enabled());
        match owner.and_then(|owner| providers.get_mut(*owner)) {
            Some(owner) => {
                let differing = differing(owner, &provider);
                if differing.is_empty() {
                    merge(owner, provider, notices);
                    continue;
                }
                provider.disable("issuer", same_issuer(owner, &differing));
            }
            None if provider.is_enabled() => {
                owners.insert(provider.policy.issuer.clone(), providers.len());
            }
            None => {}
        }
        providers.push(provider);
    }
    drop_claimed_aliases(providers, notices);
}

/// Gives a later provider of the same name another one; it cannot be used under either.
fn tell_apart(providers: &mut [ProviderConfig]) {
    let mut names: HashSet<String> = HashSet::new();
    for provider in providers.iter_mut() {
        if names.insert(provider.name.clone()) {
            continue;
        }
        let wrong = Wrong::new(format!("another provider is named {} too", quoted(&provider.name)))
            .hint("give it a name of its own");
        let name = (2_usize..).map(|n| format!("{}-{n}", provider.name));
        provider.name = name.into_iter().find(|name| !names.contains(name)).unwrap_or_default();
        names.insert(provider.name.clone());
        provider.disable("", wrong);
    }
}

fn same_issuer(owner: &ProviderConfig, differing: &[&str]) -> Wrong {
    Wrong::new(format!(
        "the provider \"{}\" has the same issuer, but not the same {}",
        owner.name,
        listed(differing)
    ))
    .hint(format!(
        "write one provider for each issuer: move its sources to providers.{}, or make the two \
         agree",
        owner.name
    ))
}

/// The settings in which two providers of one issuer do not agree.
fn differing(a: &ProviderConfig, b: &ProviderConfig) -> Vec<&'static str> {
    let (p, q) = (&a.policy, &b.policy);
    [
        ("audiences", audiences(p) != audiences(q)),
        ("algorithms", p.algorithms != q.algorithms),
        ("typ", sorted(&p.typ) != sorted(&q.typ)),
        ("required_claims", claims(p) != claims(q)),
        ("scopes", sorted(&p.scopes) != sorted(&q.scopes)),
        ("leeway", p.leeway != q.leeway),
        ("max_token_age", p.max_token_age != q.max_token_age),
        ("refresh_interval", a.refresh_interval != b.refresh_interval),
        ("max_stale", a.max_stale != b.max_stale),
        ("removed_key_grace", a.removed_key_grace != b.removed_key_grace),
        ("unknown_kid_wait", a.unknown_kid_wait != b.unknown_kid_wait),
        ("unknown_kid_cooldown", a.unknown_kid_cooldown != b.unknown_kid_cooldown),
        ("connect_timeout", a.rules.connect_timeout != b.rules.connect_timeout),
        ("timeout", a.rules.timeout != b.rules.timeout),
        ("ca_file", a.rules.ca_file != b.rules.ca_file),
        ("proxy", a.rules.proxies != b.rules.proxies),
        ("connect_to", a.rules.connect_to != b.rules.connect_to),
        ("tls_server_name", a.rules.tls_server_name != b.rules.tls_server_name),
        ("token_file", a.rules.token_file != b.rules.token_file),
        ("headers", a.rules.headers != b.rules.headers),
        ("plain_http", a.rules.plain_http_anywhere != b.rules.plain_http_anywhere),
        (
            "private_addresses",
            a.rules.private_addresses_anywhere != b.rules.private_addresses_anywhere,
        ),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}

fn sorted(texts: &[String]) -> Vec<&str> {
    let mut texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    texts.sort_unstable();
    texts.dedup();
    texts
}

fn audiences(policy: &Policy) -> Option<Vec<&str>> {
    match &policy.audiences {
        Audiences::OneOf(texts) => Some(sorted(texts)),
        _ => None,
    }
}

fn claims(policy: &Policy) -> BTreeMap<&str, Option<Vec<&str>>> {
    policy.required_claims.iter().map(|(name, rule)| (name.as_str(), values(rule))).collect()
}

/// The values asked for; none: any.
fn values(rule: &ClaimRule) -> Option<Vec<&str>> {
    match rule {
        ClaimRule::OneOf(values) => Some(sorted(values)),
        _ => None,
    }
}

fn merge(owner: &mut ProviderConfig, other: ProviderConfig, notices: &mut Vec<Notice>) {
    let text = format!(
        "it is the same as the provider \"{}\": its sources are asked once, under that name",
        owner.name
    );
    notices.push(other.notice("", NoticeLevel::Warning, text));
    for alias in other.policy.aliases {
        if !owner.policy.aliases.contains(&alias) {
            owner.policy.aliases.push(alias);
        }
    }
    // Their keys are one set now, of which neither may use what the other distrusts.
    for thumbprint in other.distrusted_keys {
        if !owner.distrusted_keys.contains(&thumbprint) {
            owner.distrusted_keys.push(thumbprint);
        }
    }
    for source in other.sources {
        let known = owner.sources.contains(&source);
        if matches!(source, SourceConfig::Inline { .. }) || !known {
            owner.sources.push(source);
        }
    }
    for origin in other.rules.operator_origins {
        if !owner.rules.operator_origins.contains(&origin) {
            owner.rules.operator_origins.push(origin);
        }
    }
}

fn drop_claimed_aliases(providers: &mut [ProviderConfig], notices: &mut Vec<Notice>) {
    let mut claimed: HashMap<String, String> = HashMap::new();
    for provider in providers.iter() {
        let issuer = provider.policy.issuer.clone();
        claimed.entry(issuer).or_insert_with(|| provider.name.clone());
    }
    for provider in providers.iter_mut().filter(|provider| provider.is_enabled()) {
        let mut kept: Vec<String> = Vec::new();
        for alias in std::mem::take(&mut provider.policy.aliases) {
            if alias == provider.policy.issuer || kept.contains(&alias) {
                continue;
            }
            if let Some(other) = claimed.get(&alias) {
                let text = format!(
                    "the alias {} is dropped: the provider \"{other}\" claims it",
                    quoted(&alias)
                );
                notices.push(provider.notice("aliases", NoticeLevel::Warning, text));
                continue;
            }
            claimed.insert(alias.clone(), provider.name.clone());
            kept.push(alias);
        }
        provider.policy.aliases = kept;
    }
}

#[cfg(test)]
mod tests {
    use keystead_core::DisabledWhy;

    use super::super::provider::{DiscoveryAddress, Standing};
    use super::*;

    fn provider(name: &str, issuer: &str) -> ProviderConfig {
        ProviderConfig::new(name, issuer).audiences(["a", "b"])
    }

    fn settled(providers: impl IntoIterator<Item = ProviderConfig>) -> Vec<ProviderConfig> {
        let mut providers = providers.into_iter().collect();
        settle(&mut providers, &mut Vec::new());
        providers
    }

    /// K26
    #[test]
    fn two_key_sets_of_one_issuer_become_sources_of_one_provider() {
        let mut providers = vec![
            provider("b", "https://h").audiences(["b", "a"]).jwks_url("https://h/2").aliases(["y"]),
            provider("a", "https://h").jwks_url("https://h/1").aliases(["x"]),
            provider("c", "https://h").jwks_url("https://h/1"),
        ];
        let mut notices = Vec::new();
        settle(&mut providers, &mut notices);
        assert_eq!(providers.len(), 1);
        assert_eq!(providers[0].name, "a");
        let urls: Vec<_> = providers[0].sources.iter().map(|s| format!("{s:?}")).collect();
        assert_eq!(urls, [r#"JwksUrl("https://h/1")"#, r#"JwksUrl("https://h/2")"#]);
        assert_eq!(providers[0].policy.aliases, ["x", "y"]);
        assert_eq!(notices.len(), 2);
        assert!(notices[0].text.contains("same as the provider \"a\""), "{notices:?}");
    }

    #[test]
    fn another_policy_for_the_same_issuer_disables_the_later_provider() {
        let providers = settled([
            provider("b", "https://h").scopes(["x"]).plain_http_anywhere(),
            provider("a", "https://h"),
        ]);
        assert!(providers[0].is_enabled());
        let Standing::Disabled { why, reason } = &providers[1].standing else { panic!() };
        assert_eq!(*why, DisabledWhy::Misconfigured);
        assert!(reason.contains("\"a\""), "{reason}");
        assert!(reason.contains("scopes, plain_http"), "{reason}");
    }

    #[test]
    fn a_disabled_provider_does_not_take_an_issuer_away() {
        let providers =
            settled([provider("a", "https://h").switched_off(), provider("b", "https://h")]);
        assert!(!providers[0].is_enabled());
        assert!(providers[1].is_enabled());
    }

    #[test]
    fn an_alias_that_another_provider_claims_is_dropped() {
        let mut providers = vec![
            provider("a", "https://a").aliases([
                "https://b",
                "https://x",
                "https://a",
                "https://x",
            ]),
            provider("b", "https://b").aliases(["https://x", "https://off"]),
            provider("c", "https://off").switched_off(),
        ];
        let mut notices = Vec::new();
        settle(&mut providers, &mut notices);
        assert_eq!(providers[0].policy.aliases, ["https://x"]);
        assert!(providers[1].policy.aliases.is_empty());
        assert_eq!(notices.len(), 3, "{notices:?}");
    }

    #[test]
    fn settling_twice_changes_nothing() {
        let once = settled([provider("a", "https://a"), provider("b", "https://b")]);
        assert_eq!(settled(once.clone()), once);
        assert_eq!(once[0].sources.len(), 1);
        let SourceConfig::Discovery { address, .. } = &once[0].sources[0] else { panic!() };
        assert!(
            matches!(address, DiscoveryAddress::FromIssuer(url) if url.as_str() == "https://a/")
        );
    }

    #[test]
    fn one_name_for_two_providers_disables_the_later() {
        let providers = settled([provider("a", "https://a"), provider("a", "https://b")]);
        assert!(providers[0].is_enabled());
        assert_eq!(providers[1].name, "a-2");
        assert!(!providers[1].is_enabled());
    }
}
