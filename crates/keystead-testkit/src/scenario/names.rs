//! The `$NAMES` in rows.

use serde_json::{Value, json};

/// What the names stand for.
pub(super) struct Names {
    /// The realm's metadata.
    pub(super) discovery: Value,
    /// The key that the realm has from the start, as a JWK.
    pub(super) old: Value,
    /// The key that comes with a rotation.
    pub(super) new: Value,
    /// The port of the second provider, where there is one.
    pub(super) port2: Option<u16>,
}

impl Names {
    /// What stands for a body.
    pub(super) fn body(&self, written: &str) -> Result<String, String> {
        let filled = match written {
            "$JWKS" | "$JWKS_OLD" => json!({ "keys": [self.old] }),
            "$JWKS_OLD_PLUS_NEW" => json!({ "keys": [self.new, self.old] }),
            "$DISCOVERY" => self.discovery.clone(),
            "$DISCOVERY_OTHER_ISSUER" => {
                let mut discovery = self.discovery.clone();
                if let Some(members) = discovery.as_object_mut() {
                    members.insert("issuer".to_owned(), "https://other.example/realms/x".into());
                }
                discovery
            }
            other if other.starts_with('$') => {
                return Err(format!("the name {other} is not known"));
            }
            other => return Ok(other.to_owned()),
        };
        Ok(filled.to_string())
    }

    /// What stands for a URL.
    pub(super) fn url(&self, written: &str) -> Result<String, String> {
        let port = self.port2.map(|port| port.to_string());
        let filled = port.map_or_else(|| written.to_owned(), |port| written.replace(PORT2, &port));
        if filled.contains('$') {
            return Err(format!("a name in {filled} is not known"));
        }
        Ok(filled)
    }
}

pub(super) const PORT2: &str = "$PORT2";
