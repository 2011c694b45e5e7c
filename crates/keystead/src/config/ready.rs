//! When the server says that it is ready.

use std::collections::BTreeMap;

use super::error::Wrong;
use super::layers::Layered;
use super::provider::ProviderConfig;
use super::raw::{Kind, Node};
use super::read::Reader;
use super::settings::nearest;
use super::value::{did_you_mean, listed, shown, text};

/// When the server says that it is ready. A provider counts while it can verify: `ready` or `stale`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum ReadyWhen {
    /// When every provider in use can verify. One with a mistake is in use; one that is switched
    /// off or of which nothing is set is not.
    All,
    /// When at least one provider can verify.
    #[default]
    Any,
    /// When each of these providers can verify.
    Named(Vec<String>),
    /// Always.
    None,
}

/// The words, which stand alone.
const WORDS: [(&str, ReadyWhen); 3] =
    [("any", ReadyWhen::Any), ("all", ReadyWhen::All), ("none", ReadyWhen::None)];

/// Reads `ready_when`: one of the words alone, or names. A name that no provider has is a mistake
/// outside of every provider: what somebody waits for in vain must not be a typing error.
pub(super) fn read(reader: &mut Reader<'_>, layered: &Layered) -> Option<ReadyWhen> {
    let alone = reader.own.node("ready_when").and_then(word);
    let names = reader.read_each("ready_when", |node| match &alone {
        Some(_) => Ok(String::new()),
        None => name(node, layered),
    });
    if reader.own.node("ready_when").is_some_and(|node| matches!(node.kind, Kind::List(_))) {
        let wrong = Wrong::new("it names no provider")
            .hint("write none to be always ready, or the names of providers");
        reader.refuse_empty("ready_when", wrong);
    }
    alone.or_else(|| names.filter(|names| !names.is_empty()).map(ReadyWhen::Named))
}

fn word(node: &Node) -> Option<ReadyWhen> {
    let Kind::Text(text) = &node.kind else { return None };
    WORDS.into_iter().find(|(word, _)| *word == text.trim()).map(|(_, when)| when)
}

fn name(node: &Node, layered: &Layered) -> Result<String, Wrong> {
    let name = text(node)?.trim();
    let known = || layered.providers.keys().map(String::as_str);
    if layered.providers.contains_key(name) {
        return Ok(name.to_owned());
    }
    let words = || WORDS.iter().map(|(word, _)| *word);
    let wrong = Wrong::new(format!("no provider is called {}", shown(name)));
    Err(wrong.hint(if words().any(|word| word == name) {
        format!("write ready_when: {name} alone, or name providers")
    } else if let Some(near) = nearest(name, known().chain(words())) {
        did_you_mean(near)
    } else {
        format!("write any, all, none, or names of providers: {}", listed(known()))
    }))
}

/// Who had which issuer, before providers of one issuer were merged.
pub(super) fn issuers(providers: &[ProviderConfig]) -> BTreeMap<String, String> {
    let of = |provider: &ProviderConfig| (provider.name.clone(), provider.policy.issuer.clone());
    providers.iter().map(of).collect()
}

/// Lets a name that was merged into another provider stand for that one.
pub(super) fn follow_merged(
    when: &mut ReadyWhen,
    issuers: &BTreeMap<String, String>,
    settled: &[ProviderConfig],
) {
    let ReadyWhen::Named(names) = when else { return };
    for name in names.iter_mut().filter(|name| !settled.iter().any(|p| p.name == **name)) {
        let issuer = issuers.get(name);
        let owner = |p: &&ProviderConfig| p.is_enabled() && Some(&p.policy.issuer) == issuer;
        if let Some(owner) = settled.iter().find(owner) {
            name.clone_from(&owner.name);
        }
    }
    names.sort();
    names.dedup();
}

#[cfg(test)]
mod tests {
    use super::super::{Config, ConfigError};
    use super::*;

    fn read(line: &str) -> Result<ReadyWhen, ConfigError> {
        let providers = "
providers:
  keycloak: {issuer: https://k.example, audiences: a}
  gitlab: {issuer: https://g.example, audiences: a}
  portal: {issuer: https://g.example, audiences: a}
";
        Config::parse_yaml(&format!("{line}\n{providers}")).map(|config| config.server.ready_when)
    }

    fn mistake(line: &str) -> String {
        read(line).unwrap_err().to_string()
    }

    fn named(names: &[&str]) -> ReadyWhen {
        ReadyWhen::Named(names.iter().map(|name| (*name).to_owned()).collect())
    }

    /// G13
    #[test]
    fn a_word_stands_alone_and_names_in_a_list() {
        assert_eq!(read("").unwrap(), ReadyWhen::Any);
        assert_eq!(read("ready_when:").unwrap(), ReadyWhen::Any);
        assert_eq!(read("ready_when: any").unwrap(), ReadyWhen::Any);
        assert_eq!(read("ready_when: all").unwrap(), ReadyWhen::All);
        assert_eq!(read("ready_when: none").unwrap(), ReadyWhen::None);
        assert_eq!(read("ready_when: keycloak").unwrap(), named(&["keycloak"]));
        let both = named(&["gitlab", "keycloak"]);
        assert_eq!(read("ready_when: [keycloak, gitlab, keycloak]").unwrap(), both);
    }

    #[test]
    fn a_name_that_no_provider_has_is_a_mistake_outside_of_every_provider() {
        let text = mistake("ready_when: [keycloak, gitlap]");
        assert!(text.contains("ready_when: no provider is called \"gitlap\""), "{text}");
        assert!(text.contains("did you mean \"gitlab\"?"), "{text}");
        assert!(mistake("ready_when: [all]").contains("write ready_when: all alone"));
        assert!(mistake("ready_when: al").contains("did you mean \"all\"?"));
        assert!(mistake("ready_when: xyzzy").contains("names of providers: gitlab, keycloak"));
        assert!(mistake("ready_when: []").contains("write none to be always ready"));
        assert!(mistake("ready_when: {a: b}").contains("expected one text, found a map"));
    }

    #[test]
    fn a_name_that_was_merged_stands_for_the_provider_that_has_its_sources() {
        assert_eq!(read("ready_when: portal").unwrap(), named(&["gitlab"]));
        assert_eq!(read("ready_when: [portal, gitlab]").unwrap(), named(&["gitlab"]));
    }
}
