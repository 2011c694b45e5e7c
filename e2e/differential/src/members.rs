//! A JSON object as it is written: order, duplicates and spelling kept, values as text.

use std::fmt;

use serde_json::Value;

/// The members of one object. Names and values are JSON texts, right or wrong.
#[derive(Clone, Debug, Default)]
pub(crate) struct Members(Vec<(String, String)>);

impl Members {
    pub(crate) fn of(object: &Value) -> Self {
        let members = object.as_object().into_iter().flatten();
        Self(members.map(|(name, value)| (quoted(name), value.to_string())).collect())
    }

    /// Sets a member where it stands, however its name is spelt, or at the end.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        match self.find(name) {
            Some(member) => member.1 = value.into(),
            None => self.last(name, value),
        }
    }

    pub(crate) fn set_text(&mut self, name: &str, value: &str) {
        self.set(name, quoted(value));
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.0.retain(|(spelt, _)| !spells(spelt, name));
    }

    /// Writes a member at the start, whether or not there is one of its name.
    pub(crate) fn first(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(0, (quoted(name), value.into()));
    }

    /// Writes a member at the end, whether or not there is one of its name.
    pub(crate) fn last(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((quoted(name), value.into()));
    }

    /// Writes a member at the end, its name as JSON text.
    pub(crate) fn last_spelt(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_owned(), value.into()));
    }

    /// Writes the name of a member another way.
    pub(crate) fn respell(&mut self, name: &str, spelt: &str) {
        if let Some(member) = self.find(name) {
            spelt.clone_into(&mut member.0);
        }
    }

    /// The JSON text of a member's value; `null` when there is none.
    pub(crate) fn value(&self, name: &str) -> String {
        let found = self.0.iter().find(|(spelt, _)| spells(spelt, name));
        found.map_or_else(|| "null".to_owned(), |(_, value)| value.clone())
    }

    /// A member that is a string without escapes; empty when there is none.
    pub(crate) fn text(&self, name: &str) -> String {
        self.value(name).trim_matches('"').to_owned()
    }

    fn find(&mut self, name: &str) -> Option<&mut (String, String)> {
        self.0.iter_mut().find(|(spelt, _)| spells(spelt, name))
    }
}

impl fmt::Display for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members: Vec<_> =
            self.0.iter().map(|(name, value)| format!("{name}:{value}")).collect();
        write!(f, "{{{}}}", members.join(","))
    }
}

/// Whether a JSON text is a name, with or without escapes.
fn spells(text: &str, name: &str) -> bool {
    serde_json::from_str::<String>(text).is_ok_and(|read| read == name)
}

/// A text as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_stands_there() {
        let mut members = Members::of(&serde_json::json!({"a": 1, "b": "x"}));
        members.set("a", "1e400");
        members.last("a", "[]");
        members.respell("b", r#""\u0062""#);
        members.first("c", "null");
        assert_eq!(members.to_string(), r#"{"c":null,"a":1e400,"\u0062":"x","a":[]}"#);
        assert_eq!((members.value("a"), members.text("z")), ("1e400".into(), "null".into()));
        members.remove("a");
        assert_eq!(members.to_string(), r#"{"c":null,"\u0062":"x"}"#);
    }
}
