//! The reference of settings, printed from their table.

use std::fmt::Write;

use super::settings::{Place, SETTINGS, Setting};

const HEAD: &str = "\
<!-- generated from the table of settings: make docs -->
# Settings

A configuration is YAML, or by extension TOML (`.toml`) or JSON (`.json`). Flags win over \
variables, variables over the file, the file over the defaults. `keystead check` reports every \
mistake at once.

- **Variables.** `KEYSTEAD_PROVIDERS__KEYCLOAK__ISSUER` is `providers.keycloak.issuer`: `__` stands \
between the parts, case does not matter, `-` in a provider's name is written `_`, and an unknown \
provider is created. Lists are comma-separated or JSON, maps are JSON. At the top, \
`KEYSTEAD_LISTEN` is `listen`. A variable with `__` that names no setting is a mistake; one without \
it is ignored, because Kubernetes makes such variables for services.
- **Secrets.** `KEYSTEAD_PROVIDERS__NAME__KEYS_FILE` is the setting `keys_file`: keys that must not \
stand in a variable are read from that file, and watched. `keys` and `keys_file` may be written \
together: their keys are one set. `KEYSTEAD_PROVIDERS__NAME__TOKEN_FILE` is the same for a bearer \
token. Keys, the values of `headers` and the password of a `proxy` are never shown.
- **Blank takes a setting away.** An empty value hides what lower layers and `defaults` say: a \
tuning setting then has its built-in default, an issuer or a place of keys counts as not written.
- **Names.** A provider's name begins with a letter a to z and goes on with a to z, 0 to 9, `-` and \
`_`, never `__`, at most 64 characters.
- **Durations** are a number and `ms`, `s`, `m` or `h`: `250ms`, `30s`, `24h`. **Sizes** are a \
number of bytes, or a number and `KiB` or `MiB`.
- **A mistake inside a provider** disables that provider alone. A mistake anywhere else, a file that \
is none, and no provider at all are refused (exit 78).
";

/// The reference of every setting, as Markdown: what `docs/config.md` holds.
#[must_use]
pub fn reference() -> String {
    let mut out = HEAD.to_owned();
    let sections = [
        ("At the top", "", Place::Top),
        ("In `log`", "log.", Place::Log),
        ("In `limits`", "limits.", Place::Limits),
        ("In a provider, `providers.NAME`", "", Place::Provider),
        ("In a provider, or in `defaults` for all of them", "", Place::Tuning),
    ];
    for (title, prefix, place) in sections {
        // Writing into a String cannot fail.
        let _infallible = write!(
            out,
            "\n## {title}\n\n| setting | form | default | meaning |\n|---|---|---|---|\n"
        );
        for setting in SETTINGS.iter().filter(|setting| setting.place == place) {
            let _infallible = writeln!(out, "{}", row(prefix, setting));
        }
    }
    out
}

fn row(prefix: &str, setting: &Setting) -> String {
    let Setting { name, form, default, meaning, .. } = setting;
    let default = if default.is_empty() { "-".to_owned() } else { format!("`{default}`") };
    format!("| `{prefix}{name}` | {form} | {default} | {meaning} |")
}
