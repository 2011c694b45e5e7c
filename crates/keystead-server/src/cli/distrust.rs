//! `keystead keys distrust`: the setting that takes one key out of use. It changes nothing itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use keystead::core::text::{escaped, quoted};
use keystead::{KeyStatus, Status};

use super::config::ConfigArgs;
use super::console::Console;
use super::{Exit, Failure, Format, json, keys};

/// Print the setting that takes a key out of use; nothing is changed
///
/// Such as a key whose private part was stolen. The key is named by its kid or its thumbprint, as
/// `keystead keys` shows them. A key that is not held now can be named by its thumbprint, with its
/// provider.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// Look at the keys in memory and in files, and ask nobody
    #[arg(long)]
    offline: bool,
    /// How the setting is written
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    /// The key: its kid or its thumbprint (RFC 7638, SHA-256)
    #[arg(value_name = "KID|THUMBPRINT", allow_hyphen_values = true)]
    key: String,
    /// The provider, if more than one has such a key
    #[arg(value_name = "PROVIDER")]
    provider: Option<String>,
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Result<Exit, Failure> {
    let mut config = args.config.load()?;
    keys::keep_named(&mut config, args.provider.as_deref())?;
    let listed: BTreeMap<String, Vec<String>> = config
        .providers
        .iter()
        .map(|provider| (provider.name.clone(), provider.distrusted_keys.clone()))
        .collect();
    let status = keys::ask_once(config, args.offline)?;
    let found = match args.find(&status) {
        Ok(found) => found,
        Err(problem) => {
            console.error(problem);
            return Ok(Exit::No);
        }
    };
    console.data(match args.format {
        Format::Text => as_yaml(&found, &listed),
        Format::Json => as_json(&found, &listed),
    })?;
    console
        .prose("nothing is changed: write this into the configuration, and start the server anew");
    Ok(Exit::Yes)
}

/// One key to take out of use.
struct Found {
    provider: String,
    thumbprint: String,
    /// What is known of it.
    remark: String,
}

impl Args {
    /// The key, in every provider that has it.
    fn find(&self, status: &Status) -> Result<Vec<Found>, String> {
        let named = |key: &&KeyStatus| {
            key.thumbprint.as_deref() == Some(&self.key) || key.kid.as_deref() == Some(&self.key)
        };
        let of = status.providers.iter();
        let held = of.flat_map(|(name, p)| p.keys.iter().filter(named).map(move |key| (name, key)));
        let mut found: BTreeMap<(String, String), String> = BTreeMap::new();
        let mut nameless = None;
        for (provider, key) in held {
            match &key.thumbprint {
                Some(thumbprint) => {
                    found.insert((provider.clone(), thumbprint.clone()), remark(key));
                }
                None => nameless = Some((provider, key)),
            }
        }
        match (found.len(), nameless) {
            (0, Some((provider, key))) => return Err(unusable(provider, key)),
            (0, None) => return self.unseen(status),
            _ => {}
        }
        let found: Vec<_> = found
            .into_iter()
            .map(|((provider, thumbprint), remark)| Found { provider, thumbprint, remark })
            .collect();
        let same: BTreeSet<&str> = found.iter().map(|key| &*key.thumbprint).collect();
        // One key of two providers is distrusted in both; two keys are not told apart by their kid.
        if same.len() > 1 { Err(self.ambiguous(&found)) } else { Ok(found) }
    }

    /// A thumbprint says it all, whether or not the key is held now.
    fn unseen(&self, status: &Status) -> Result<Vec<Found>, String> {
        let mut providers = status.providers.keys();
        let thumbprint = self.key.clone();
        let only = providers.next().filter(|_| providers.next().is_none());
        match only {
            Some(provider) if is_thumbprint(&self.key) => {
                let remark = "not held now".to_owned();
                Ok(vec![Found { provider: provider.clone(), thumbprint, remark }])
            }
            _ if is_thumbprint(&self.key) => Err(format!(
                "no provider holds a key with thumbprint {} now\nhint: name its provider too",
                quoted(&self.key)
            )),
            _ => Err(format!(
                "no provider holds a key with kid {} now\nhint: keystead keys shows the keys that \
                 are held; another one is named by its thumbprint and its provider",
                quoted(&self.key)
            )),
        }
    }

    fn ambiguous(&self, found: &[Found]) -> String {
        let mut text = format!("several keys have kid {}", quoted(&self.key));
        for key in found {
            // Writing into a String cannot fail.
            let _infallible = write!(text, "\n  {} of {}", key.thumbprint, key.provider);
        }
        text + "\nhint: name the provider too, or the thumbprint instead"
    }
}

fn unusable(provider: &str, key: &KeyStatus) -> String {
    match &key.why {
        Some(why) => format!("the key is not used by {} anyway: {why}", quoted(provider)),
        None => format!(
            "the key of {} is a shared secret, which has no thumbprint\nhint: remove it from keys \
             or keys_file",
            quoted(provider)
        ),
    }
}

fn remark(key: &KeyStatus) -> String {
    let kid = key.kid.as_deref().map(|kid| format!("kid {}, ", quoted(kid))).unwrap_or_default();
    format!("{kid}{}", key.kty.as_deref().map(escaped).unwrap_or_default())
}

/// The configuration decides what a thumbprint looks like.
fn is_thumbprint(text: &str) -> bool {
    let probe = keystead::ProviderConfig::new("probe", "probe").distrusted_keys([text]);
    probe.problems().is_empty()
}

/// The whole setting for each provider: what is listed already stays listed.
fn settings<'a>(
    found: &'a [Found],
    listed: &'a BTreeMap<String, Vec<String>>,
) -> impl Iterator<Item = (&'a Found, Vec<&'a str>)> {
    found.iter().map(|key| {
        let before = listed.get(&key.provider).map_or(&[][..], Vec::as_slice);
        let before = before.iter().map(String::as_str).filter(|known| *known != key.thumbprint);
        (key, before.collect())
    })
}

fn as_yaml(found: &[Found], listed: &BTreeMap<String, Vec<String>>) -> String {
    let mut out = "providers:\n".to_owned();
    for (Found { provider, thumbprint, remark }, before) in settings(found, listed) {
        // Writing into a String cannot fail.
        let _infallible = writeln!(out, "  {provider}:\n    distrusted_keys:");
        for known in before {
            let _infallible = writeln!(out, "      - {known}");
        }
        let _infallible = writeln!(out, "      - {thumbprint}  # {remark}");
    }
    out
}

fn as_json(found: &[Found], listed: &BTreeMap<String, Vec<String>>) -> String {
    let providers = settings(found, listed).fold(json::Object::new(), |all, (key, before)| {
        let keys = before.into_iter().chain([&*key.thumbprint]).map(json::string);
        let setting = json::Object::new().raw("distrusted_keys", &json::array(keys)).finish();
        all.raw(&key.provider, &setting)
    });
    json::pretty(&json::Object::new().raw("providers", &providers.finish()).finish())
}
