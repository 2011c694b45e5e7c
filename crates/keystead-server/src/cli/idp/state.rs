//! `keystead idp state`: what a provider in another process is doing.

use keystead::core::text::escaped;
use serde_json::Value;

use crate::cli::Format;
use crate::cli::json::pretty;

#[derive(Debug, clap::Args)]
pub(super) struct StateArgs {
    #[command(flatten)]
    pub(super) control: super::ControlArgs,
    /// How the result is written
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

impl StateArgs {
    pub(super) fn show(&self, state: &Value) -> String {
        if self.format == Format::Json {
            return pretty(&state.to_string());
        }
        let text = |value: &Value, name: &str| {
            value.get(name).and_then(Value::as_str).map(escaped).unwrap_or_default()
        };
        let up = if state.get("up") == Some(&Value::Bool(true)) { "up" } else { "down" };
        let mut lines = vec![format!("{up} {}", text(state, "listen"))];
        for (name, realm) in state.get("realms").and_then(Value::as_object).into_iter().flatten() {
            lines.push(format!("{}: issuer {}", escaped(name), text(realm, "issuer")));
            for key in realm.get("keys").and_then(Value::as_array).into_iter().flatten() {
                lines.push(format!("  key {} {}", text(key, "kid"), text(key, "alg")));
            }
            let requests = realm.get("requests").and_then(Value::as_object);
            for (document, count) in requests.into_iter().flatten() {
                lines.push(format!("  asked for {}: {count}", escaped(document)));
            }
        }
        for order in state.get("orders").and_then(Value::as_array).into_iter().flatten() {
            lines.push(describe(order));
        }
        for (fault, counts) in state.get("served").and_then(Value::as_object).into_iter().flatten()
        {
            let counts = counts.as_object().into_iter().flatten();
            let counts: Vec<_> = counts.map(|(what, count)| format!("{what} {count}")).collect();
            lines.push(format!("served {}: {}", escaped(fault), escaped(&counts.join(", "))));
        }
        lines.join("\n")
    }
}

/// An order in one line: what it does, and every other thing that it says.
fn describe(order: &Value) -> String {
    let word = |value: &Value| match value {
        Value::String(text) => escaped(text),
        other => escaped(&other.to_string()),
    };
    let act = order.get("fault").map_or_else(|| "answer".to_owned(), word);
    let members = order.as_object().into_iter().flatten();
    let rest: Vec<String> = members
        .filter(|(name, _)| !matches!(name.as_str(), "fault" | "answer"))
        .map(|(name, value)| format!("{} {}", escaped(name), word(value)))
        .collect();
    format!("order {act}: {}", rest.join(", "))
}
