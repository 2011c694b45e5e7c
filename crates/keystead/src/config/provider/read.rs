//! A provider as files, variables and flags write it.

use std::path::PathBuf;
use std::time::Duration;

use keystead_core::{AlgorithmSet, Audiences, ClaimRule};

use super::super::error::{Findings, Scope, Wrong};
use super::super::layers::{Layered, Section, WrittenProvider, provider_path};
use super::super::raw::{Entry, Kind, Node};
use super::super::read::Reader;
use super::super::server::set;
use super::super::settings::{self, Place};
use super::super::value::{duration, duration_or_forever, shown, text, word};
use super::build::{COOLDOWNS, GRACES, INTERVALS, TIMEOUTS, WAITS};
use super::{DiscoveryMode, EndpointOrigin, ProviderConfig, SourceConfig, checks};
use crate::config::error::Origin;
use crate::http::{ClientHeaders, Proxies};

/// Gives one provider its meaning. Its mistakes stay with it. `proxies` are those of the environment.
pub(in super::super) fn read(
    name: &str,
    written: &WrittenProvider,
    layered: &Layered,
    proxies: &Proxies,
    findings: &mut Findings,
) -> ProviderConfig {
    let mut provider = ProviderConfig::named(name.to_owned(), written.named_at.clone());
    provider.rules.proxies = proxies.clone();
    provider.problems.extend(written.problems.iter().cloned());
    for setting in settings::of(Place::Provider) {
        if let Some(node) = written.section.node(setting.name).filter(|node| !node.is_blank()) {
            provider.draft.at.insert(setting.name, node.origin.clone());
        }
    }
    let before = findings.problems.len();
    let mut reader = Reader {
        prefix: provider_path(name),
        place: Place::Provider,
        own: &written.section,
        fallback: Some(&layered.defaults),
        scope: Scope::Provider(name.to_owned()),
        findings,
    };
    read_identity(&mut provider, &mut reader);
    read_locations(&mut provider, &mut reader);
    read_access(&mut provider, &mut reader);
    read_tuning(&mut provider, &mut reader);
    provider.problems.extend(findings.problems.drain(before..));
    provider
}

/// Reads `defaults` on their own, for their mistakes and origins: those are fatal.
pub(in super::super) fn read_defaults(defaults: &Section, findings: &mut Findings) {
    let mut provider = ProviderConfig::named("defaults".to_owned(), Origin::Default);
    let mut reader = Reader {
        prefix: "defaults".to_owned(),
        place: Place::Tuning,
        own: defaults,
        fallback: None,
        scope: Scope::Fatal,
        findings,
    };
    read_tuning(&mut provider, &mut reader);
}

fn read_identity(provider: &mut ProviderConfig, reader: &mut Reader<'_>) {
    let off = reader.read("use", |node| word(node, &[("on", false), ("off", true)]));
    set(&mut provider.draft.switched_off, off);
    set(&mut provider.policy.issuer, reader.read("issuer", issuer));
    set(&mut provider.policy.aliases, reader.read_each("aliases", issuer));
    if let Some(audiences) = read_audiences(reader) {
        provider.draft.audiences_written = true;
        provider.policy.audiences = audiences;
    }
}

fn issuer(node: &Node) -> Result<String, Wrong> {
    let issuer = text(node)?;
    checks::issuer(issuer)?;
    Ok(issuer.to_owned())
}

/// `any` alone, or a list in which it must not stand: it would silently undo the others.
fn read_audiences(reader: &mut Reader<'_>) -> Option<Audiences> {
    let is_any = |node: &Node| matches!(&node.kind, Kind::Text(text) if text.trim() == "any");
    let single = reader.own.node("audiences").is_some_and(is_any);
    let audiences = reader.read_each("audiences", |node| {
        let audience = text(node)?;
        if is_any(node) && !single {
            return Err(Wrong::new("\"any\" stands in a list of audiences")
                .hint("write audiences: any alone, or remove it from the list"));
        }
        checks::audience(audience)?;
        Ok(audience.to_owned())
    })?;
    if single {
        return Some(Audiences::Any);
    }
    if audiences.is_empty() && reader.own.node("audiences").is_some_and(|n| n.items().is_empty()) {
        // An empty list names nothing; the missing audiences are reported as such.
        return None;
    }
    Some(Audiences::OneOf(audiences))
}

fn read_locations(provider: &mut ProviderConfig, reader: &mut Reader<'_>) {
    let keys = reader.read_each("keys", |node| {
        let keys = match &node.kind {
            Kind::Text(text) => checks::keys(text),
            Kind::Map(_) => checks::keys(&node.to_json()),
            _ => {
                return Err(Wrong::new(format!("expected a key, found {}", node.kind_name()))
                    .hint("write PEM text, a JWK or a JWK Set"));
            }
        };
        Ok((keys, node.origin.clone()))
    });
    for (keys, origin) in keys.unwrap_or_default() {
        provider.add_keys(keys, &origin);
    }
    let files = reader.read_each("keys_file", |node| text(node).map(PathBuf::from));
    for path in files.unwrap_or_default() {
        provider.add(SourceConfig::File { path });
    }
    let url = |node: &Node| checks::url(text(node)?);
    for url in reader.read_each("jwks_url", url).unwrap_or_default() {
        provider.add(SourceConfig::JwksUrl { url });
    }
    provider.draft.discovery_url = reader.read("discovery_url", url);
    let thumbprint = |node: &Node| checks::thumbprint(text(node)?);
    set(&mut provider.distrusted_keys, reader.read_each("distrusted_keys", thumbprint));
}

fn read_access(provider: &mut ProviderConfig, reader: &mut Reader<'_>) {
    let rules = &mut provider.rules;
    let connect_to = reader.read("connect_to", |node| checks::connect_to(text(node)?));
    rules.connect_to = connect_to;
    rules.tls_server_name = reader.read("tls_server_name", |node| checks::server_name(text(node)?));
    rules.token_file = reader.read("token_file", |node| checks::path(text(node)?));
    let mut headers = ClientHeaders::default();
    reader.read_entries("headers", |entry| add_header(&mut headers, entry));
    rules.headers = headers;
}

fn add_header(headers: &mut ClientHeaders, entry: &Entry) -> Result<(), Wrong> {
    if headers.contains(&entry.name) {
        return Err(Wrong::new("it names a header twice").hint("keep one of the two"));
    }
    headers.insert(&entry.name, text(&entry.value)?).map_err(checks::rule)
}

fn read_tuning(provider: &mut ProviderConfig, reader: &mut Reader<'_>) {
    read_policy(provider, reader);
    read_refresh(provider, reader);
    read_unknown_kids(provider, reader);
    let rules = &mut provider.rules;
    let timeout = |node: &Node| checks::within(duration(node)?, TIMEOUTS.0, TIMEOUTS.1);
    set(&mut rules.connect_timeout, reader.read("connect_timeout", timeout));
    set(&mut rules.timeout, reader.read("timeout", timeout));
    if let Some(path) = reader.read("ca_file", |node| checks::path(text(node)?)) {
        rules.ca_file = Some(path);
    }
    set(&mut rules.proxies, reader.read("proxy", |node| checks::proxy(text(node)?)));
    let anywhere = |node: &Node| word(node, &[("written", false), ("any", true)]);
    set(&mut rules.plain_http_anywhere, reader.read("plain_http", anywhere));
    set(&mut rules.private_addresses_anywhere, reader.read("private_addresses", anywhere));
}

fn read_policy(provider: &mut ProviderConfig, reader: &mut Reader<'_>) {
    let policy = &mut provider.policy;
    if let Some(algorithms) = read_algorithms(reader) {
        policy.algorithms = algorithms;
    }
    let plain = |node: &Node| text(node).map(|text| text.trim().to_owned());
    set(&mut policy.typ, reader.read_each("typ", plain));
    set(&mut policy.required_claims, reader.read("required_claims", required_claims));
    let scopes = |node: &Node| {
        // No scope has a space in it (RFC 6749 section 3.3).
        text(node).map(|text| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    };
    set(&mut policy.scopes, reader.read_each("scopes", scopes).map(|s| s.concat()));
    set(&mut policy.leeway, reader.read("leeway", duration));
    set(&mut policy.max_token_age, reader.read("max_token_age", duration_or_forever));
}

fn read_algorithms(reader: &mut Reader<'_>) -> Option<AlgorithmSet> {
    let names = reader.read_each("algorithms", |node| checks::algorithm(text(node)?))?;
    if names.is_empty() {
        let wrong = Wrong::new("it names no algorithm").hint("name one, or remove the setting");
        reader.refuse_empty("algorithms", wrong);
    }
    Some(names.into_iter().fold(AlgorithmSet::EMPTY, AlgorithmSet::with))
}

fn read_refresh(provider: &mut ProviderConfig, reader: &mut Reader<'_>) {
    let interval = reader
        .read("refresh_interval", |node| checks::within(duration(node)?, INTERVALS.0, INTERVALS.1));
    set(&mut provider.refresh_interval, interval);
    let max_stale = reader.read("max_stale", |node| match duration_or_forever(node)? {
        Some(Duration::ZERO) => Err(Wrong::new("no key could ever be used")
            .hint("write a duration such as 24h, or forever")),
        limit => Ok(limit),
    });
    set(&mut provider.max_stale, max_stale);
    let mode = reader.read("discovery", |node| {
        use DiscoveryMode::{Auto, Issuer, Off};
        word(node, &[("auto", Auto), ("issuer", Issuer), ("off", Off)])
    });
    set(&mut provider.draft.discovery, mode);
    let origin = reader.read("endpoint_origin", |node| {
        use EndpointOrigin::{Discovery, Document};
        word(node, &[("document", Document), ("discovery", Discovery)])
    });
    set(&mut provider.draft.endpoint_origin, origin);
}

fn read_unknown_kids(provider: &mut ProviderConfig, reader: &mut Reader<'_>) {
    let mut read = |name, (least, most)| {
        reader.read(name, |node| checks::within(duration(node)?, least, most))
    };
    set(&mut provider.removed_key_grace, read("removed_key_grace", GRACES));
    set(&mut provider.unknown_kid_wait, read("unknown_kid_wait", WAITS));
    set(&mut provider.unknown_kid_cooldown, read("unknown_kid_cooldown", COOLDOWNS));
}

fn required_claims(node: &Node) -> Result<Vec<(String, ClaimRule)>, Wrong> {
    let Kind::Map(entries) = &node.kind else {
        return Err(Wrong::new(format!("expected a map, found {}", node.kind_name()))
            .hint("write claim: value, claim: [value, value] or claim: any"));
    };
    let mut rules: Vec<(String, ClaimRule)> = Vec::new();
    for entry in entries {
        let claim = shown(&entry.name);
        if rules.iter().any(|(name, _)| *name == entry.name) {
            return Err(Wrong::new(format!("the claim {claim} is written twice"))
                .hint("write one list of its values"));
        }
        let rule = claim_rule(&entry.value).ok_or_else(|| {
            Wrong::new(format!("the claim {claim} has no value to compare with"))
                .hint("write a value, a list of values, or any")
        })?;
        rules.push((entry.name.clone(), rule));
    }
    Ok(rules)
}

fn claim_rule(node: &Node) -> Option<ClaimRule> {
    if matches!(&node.kind, Kind::Text(text) if text == "any") {
        return Some(ClaimRule::Present);
    }
    let values: Option<Vec<String>> =
        node.items().iter().map(|item| text(item).ok().map(str::to_owned)).collect();
    values.filter(|values| !values.is_empty()).map(ClaimRule::OneOf)
}
