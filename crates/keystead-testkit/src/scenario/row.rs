//! The rows of `fetch_scenarios.jsonl`, read strictly: a member that nobody knows would be a
//! condition that nobody tests.

use serde_json::{Map, Value};

use super::error::ScenarioError;
use crate::idp::Documents;

const ROWS: &str = include_str!("../../data/fetch_scenarios.jsonl");

/// One row: a provider's entry in a configuration, what its endpoints do, and what must hold.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Scenario {
    /// Its name.
    pub id: String,
    /// What kind of thing it is about.
    pub class: String,
    /// Where the provider's keys come from.
    pub source: SourceKind,
    /// The issuer as written; none: the provider's own.
    pub issuer: Option<String>,
    /// The URL of the keys as written; none: the provider's own.
    pub jwks_url: Option<String>,
    /// What must hold: for whoever runs the row to read.
    pub expect: Value,
    /// Where the row comes from.
    pub reference: String,
    /// What the endpoints do, in order.
    pub(super) steps: Vec<Step>,
}

/// Where a provider's keys come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SourceKind {
    /// From discovery, at the issuer.
    Discovery,
    /// From the URL of a JWK Set.
    JwksUrl,
    /// From the program itself: no network.
    InProcess,
}

/// One thing that an endpoint does.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) documents: Documents,
    pub(super) deed: Deed,
    /// For every further request too.
    pub(super) repeats: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Deed {
    ConnectRefused,
    /// The name of the host does not exist: it is the configuration that has to have such a name.
    UnknownName,
    Answer(Scripted),
    /// An answer with a body of this many bytes.
    Large(u64),
    /// The right keys, so many bytes in a second.
    Drip(u64),
}

/// An answer with `$NAMES` in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Scripted {
    pub(super) status: u16,
    pub(super) content_type: Option<String>,
    pub(super) etag: Option<String>,
    pub(super) location: Option<String>,
    pub(super) body: String,
}

impl Scenario {
    /// Every row.
    ///
    /// # Errors
    /// [`ScenarioError::Row`] for a file that was changed and is wrong now.
    pub fn all() -> Result<Vec<Self>, ScenarioError> {
        let lines = (1..).zip(ROWS.lines()).filter(|(_, line)| !line.trim().is_empty());
        lines.map(|(number, line): (usize, _)| Self::read(line, &number.to_string())).collect()
    }

    /// The row with this id.
    ///
    /// # Errors
    /// [`ScenarioError::Unknown`], or what [`Scenario::all`] says.
    pub fn named(id: &str) -> Result<Self, ScenarioError> {
        let found = Self::all()?.into_iter().find(|row| row.id == id);
        found.ok_or_else(|| ScenarioError::Unknown(id.to_owned()))
    }

    fn read(line: &str, number: &str) -> Result<Self, ScenarioError> {
        let wrong = |row: &str, problem| ScenarioError::Row { row: row.to_owned(), problem };
        let value: Value =
            serde_json::from_str(line).map_err(|error| wrong(number, error.to_string()))?;
        let id = value.get("id").and_then(Value::as_str).unwrap_or(number).to_owned();
        let members = Members::of(value).map_err(|problem| wrong(number, problem))?;
        scenario(members).map_err(|problem| wrong(&id, problem))
    }
}

fn scenario(mut row: Members) -> Result<Scenario, String> {
    let mut provider = Members::of(row.value("provider")?)?;
    let source = match provider.text("source")?.as_str() {
        "discovery" => SourceKind::Discovery,
        "jwks_url" => SourceKind::JwksUrl,
        "in_process" => SourceKind::InProcess,
        other => return Err(format!("the source {other:?} is not known")),
    };
    let Value::Array(script) = row.value("script")? else {
        return Err("script is not an array".to_owned());
    };
    let scenario = Scenario {
        id: row.text("id")?,
        class: row.text("class")?,
        source,
        issuer: provider.optional("issuer")?,
        jwks_url: provider.optional("jwks_url")?,
        expect: row.value("expect")?,
        reference: row.text("ref")?,
        steps: script.into_iter().map(step).collect::<Result<_, _>>()?,
    };
    // Which vulnerability it was: a second reference.
    row.optional("cve")?;
    provider.end()?;
    row.end()?;
    Ok(scenario)
}

fn step(written: Value) -> Result<Step, String> {
    let mut step = Members::of(written)?;
    let documents = match step.text("path")?.as_str() {
        "discovery" => Documents::Discovery,
        "jwks" => Documents::Jwks,
        "*" => Documents::Both,
        other => return Err(format!("the path {other:?} is not known")),
    };
    let repeats = step.take("repeat") == Some(Value::Bool(true));
    let deed = deed(&mut step)?;
    step.end()?;
    Ok(Step { documents, deed, repeats })
}

fn deed(step: &mut Members) -> Result<Deed, String> {
    match step.optional("fault")?.as_deref() {
        Some("connect_refused") => return Ok(Deed::ConnectRefused),
        Some("dns_nxdomain") => return Ok(Deed::UnknownName),
        Some(other) => return Err(format!("the fault {other:?} is not known")),
        None => {}
    }
    let status = step.number("status")?.ok_or("status is missing")?;
    let status = u16::try_from(status).map_err(|_| format!("{status} is not an HTTP status"))?;
    for (name, deed) in
        [("body_size", Deed::Large as fn(u64) -> Deed), ("drip_bytes_per_s", Deed::Drip)]
    {
        if let Some(number) = step.number(name)? {
            return if status == 200 { Ok(deed(number)) } else { Err(format!("{name} needs 200")) };
        }
    }
    Ok(Deed::Answer(Scripted {
        status,
        content_type: step.optional("type")?,
        etag: step.optional("etag")?,
        location: step.optional("location")?,
        body: step.optional("body")?.unwrap_or_default(),
    }))
}

/// The members of an object, each of which has to be taken.
struct Members(Map<String, Value>);

impl Members {
    fn of(value: Value) -> Result<Self, String> {
        match value {
            Value::Object(members) => Ok(Self(members)),
            other => Err(format!("{other} is not an object")),
        }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    fn value(&mut self, name: &str) -> Result<Value, String> {
        self.take(name).ok_or_else(|| format!("{name} is missing"))
    }

    fn text(&mut self, name: &str) -> Result<String, String> {
        self.optional(name)?.ok_or_else(|| format!("{name} is missing"))
    }

    fn optional(&mut self, name: &str) -> Result<Option<String>, String> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("{name} is not a text")),
        }
    }

    fn number(&mut self, name: &str) -> Result<Option<u64>, String> {
        let taken = self.take(name);
        taken
            .map(|value| value.as_u64().ok_or_else(|| format!("{name} is not a number")))
            .transpose()
    }

    fn end(&self) -> Result<(), String> {
        self.0.keys().next().map_or(Ok(()), |name| Err(format!("the member {name:?} is not known")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_row_is_read() {
        let rows = Scenario::all().unwrap();
        assert_eq!(rows.len(), ROWS.lines().count());
        let ids: std::collections::BTreeSet<&str> =
            rows.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(ids.len(), rows.len());
        let unknown = Scenario::named("boot").unwrap_err();
        assert_eq!(unknown.to_string(), "there is no scenario \"boot\"");
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let row = json!({"id": "x", "class": "y", "provider": {"source": "discovery"},
            "script": [{"path": "jwks", "status": 200}], "expect": {}, "ref": "z"});
        assert!(Scenario::read(&row.to_string(), "1").is_ok());
        for (pointer, value, said) in [
            ("/provider", json!({"source": "dns"}), "the source \"dns\" is not known"),
            ("/provider", json!({"source": "discovery", "x": 1}), "the member \"x\" is not known"),
            ("/script/0", json!({"path": "jwks"}), "status is missing"),
            ("/script/0", json!({"path": "keys", "status": 200}), "the path \"keys\" is not known"),
            ("/script/0", json!({"path": "*", "fault": "x"}), "the fault \"x\" is not known"),
            (
                "/script/0",
                json!({"path": "*", "status": 200, "a": 1}),
                "the member \"a\" is not known",
            ),
            ("/script/0", json!({"path": "*", "status": 70_000}), "70000 is not an HTTP status"),
            (
                "/script/0",
                json!({"path": "*", "status": 404, "body_size": 7}),
                "body_size needs 200",
            ),
            ("/class", json!(1), "class is not a text"),
        ] {
            let mut row = row.clone();
            *row.pointer_mut(pointer).unwrap() = value;
            let error = Scenario::read(&row.to_string(), "1").unwrap_err();
            assert_eq!(error.to_string(), format!("scenario \"x\": {said}"));
        }
        assert!(Scenario::read("{", "7").unwrap_err().to_string().starts_with("scenario \"7\": "));
    }
}
