//! Tokens for tests: good ones, and every kind of bad one.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::encoding::base64url;
use crate::{MintError, SigningKey};

/// A token to be signed. Nothing is checked: what is set goes in.
///
/// The JOSE header has `alg` and `kid` of the key and `typ` `JWT`, unless they are set or left out.
#[derive(Clone, Debug, Default)]
pub struct Token {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    absent_header: BTreeSet<String>,
    absent_claims: BTreeSet<String>,
}

impl Token {
    /// A token without claims.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `iss`.
    #[must_use]
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        self.claim("iss", issuer.into())
    }

    /// Sets `sub`.
    #[must_use]
    pub fn subject(self, subject: impl Into<String>) -> Self {
        self.claim("sub", subject.into())
    }

    /// Adds an audience: one makes `aud` a string, several make it an array (RFC 7519 section
    /// 4.1.3).
    #[must_use]
    pub fn audience(self, audience: impl Into<String>) -> Self {
        let audience = Value::String(audience.into());
        let audiences = match self.claims.get("aud") {
            None => audience,
            Some(Value::Array(before)) => before.iter().cloned().chain([audience]).collect(),
            Some(before) => Value::Array(vec![before.clone(), audience]),
        };
        self.claim("aud", audiences)
    }

    /// Sets `exp`, in time since the Unix epoch; parts of a second are dropped.
    #[must_use]
    pub fn expires_at(self, at: Duration) -> Self {
        self.claim("exp", at.as_secs())
    }

    /// Sets `exp` to `after` later than `now`.
    #[must_use]
    pub fn expires_in(self, now: Duration, after: Duration) -> Self {
        self.expires_at(now.saturating_add(after))
    }

    /// Sets `iat`, in time since the Unix epoch; parts of a second are dropped.
    #[must_use]
    pub fn issued_at(self, at: Duration) -> Self {
        self.claim("iat", at.as_secs())
    }

    /// Sets `nbf`, in time since the Unix epoch; parts of a second are dropped.
    #[must_use]
    pub fn not_before(self, at: Duration) -> Self {
        self.claim("nbf", at.as_secs())
    }

    /// Sets any claim to any JSON value.
    #[must_use]
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        let name = name.into();
        self.absent_claims.remove(&name);
        self.claims.insert(name, value.into());
        self
    }

    /// Sets any header parameter to any JSON value, `alg` and `kid` included.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        let name = name.into();
        self.absent_header.remove(&name);
        self.header.insert(name, value.into());
        self
    }

    /// Leaves a claim out, one that would be filled in by a provider included.
    #[must_use]
    pub fn without(mut self, claim: impl Into<String>) -> Self {
        let claim = claim.into();
        self.claims.remove(&claim);
        self.absent_claims.insert(claim);
        self
    }

    /// Leaves a header parameter out, `alg`, `kid` and `typ` included.
    #[must_use]
    pub fn without_header(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.header.remove(&name);
        self.absent_header.insert(name);
        self
    }

    /// The token in compact form (RFC 7515 section 3.1).
    ///
    /// # Errors
    /// [`MintError::Sign`] when the crypto library fails.
    pub fn sign(&self, key: &SigningKey) -> Result<String, MintError> {
        let mut header = self.header.clone();
        let kid = key.kid().map(Value::from);
        let defaults = [
            ("alg", Some(key.algorithm().name().into())),
            ("kid", kid),
            ("typ", Some("JWT".into())),
        ];
        for (name, value) in defaults {
            let wanted = !self.absent_header.contains(name) && !header.contains_key(name);
            if let Some(value) = value.filter(|_| wanted) {
                header.insert(name.to_owned(), value);
            }
        }
        let header = Value::Object(header).to_string();
        let payload = Value::Object(self.claims.clone()).to_string();
        RawToken::new(header, payload).sign(key)
    }

    /// Sets a claim that is neither set nor left out.
    #[must_use]
    pub(crate) fn default_claim(self, name: &str, value: impl Into<Value>) -> Self {
        if self.has(name) || self.absent_claims.contains(name) {
            return self;
        }
        self.claim(name, value)
    }

    pub(crate) fn has(&self, claim: &str) -> bool {
        self.claims.contains_key(claim)
    }

    pub(crate) fn leaves_out(&self, claim: &str) -> bool {
        self.absent_claims.contains(claim)
    }
}

/// A token of any two byte strings, JSON or not.
#[derive(Clone, Debug)]
pub struct RawToken {
    signing_input: String,
}

impl RawToken {
    /// A token with these bytes as header and payload, each encoded in base64url.
    #[must_use]
    pub fn new(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> Self {
        Self::from_segments(&base64url(header.as_ref()), &base64url(payload.as_ref()))
    }

    /// A token with these segments as they stand.
    #[must_use]
    pub fn from_segments(header: &str, payload: &str) -> Self {
        Self { signing_input: format!("{header}.{payload}") }
    }

    /// The token in compact form, genuinely signed, whatever its header says.
    ///
    /// # Errors
    /// [`MintError::Sign`] when the crypto library fails.
    pub fn sign(&self, key: &SigningKey) -> Result<String, MintError> {
        Ok(self.with_signature(key.sign(self.signing_input.as_bytes())?))
    }

    /// The token in compact form with any bytes, or none, as its signature.
    #[must_use]
    pub fn with_signature(&self, signature: impl AsRef<[u8]>) -> String {
        format!("{}.{}", self.signing_input, base64url(signature.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64_simd::URL_SAFE_NO_PAD;
    use keystead::core::Algorithm;
    use serde_json::json;

    fn key() -> SigningKey {
        SigningKey::from_secret(b"secret", Algorithm::Hs256).unwrap()
    }

    fn decoded(token: &str) -> (Value, Value) {
        let part = |segment: &str| {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode_to_vec(segment).unwrap()).unwrap()
        };
        let segments: Vec<&str> = token.split('.').collect();
        assert_eq!(segments.len(), 3);
        (part(segments[0]), part(segments[1]))
    }

    #[test]
    fn a_signature_is_the_one_of_the_rfc() {
        // RFC 7515 appendix A.1.
        let secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwj\
                      AzZr1Z9CAow";
        let secret = URL_SAFE_NO_PAD.decode_to_vec(secret).unwrap();
        let key = SigningKey::from_secret(&secret, Algorithm::Hs256).unwrap();
        let header = "{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}";
        let payload = "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \
                       \"http://example.com/is_root\":true}";
        let token = RawToken::new(header, payload).sign(&key).unwrap();
        assert_eq!(
            token,
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAs\
             DQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
             dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        );
    }

    #[test]
    fn claims_are_what_was_set() {
        let now = Duration::from_millis(1_000_999);
        let token = Token::new()
            .issuer("https://idp")
            .subject("alice")
            .audience("a")
            .issued_at(now)
            .not_before(now)
            .expires_in(now, Duration::from_secs(300))
            .claim("scope", "read")
            .sign(&key())
            .unwrap();
        let (header, claims) = decoded(&token);
        assert_eq!(header, json!({"alg": "HS256", "typ": "JWT"}));
        assert_eq!(
            claims,
            json!({"iss": "https://idp", "sub": "alice", "aud": "a", "iat": 1000, "nbf": 1000,
                "exp": 1300, "scope": "read"})
        );
    }

    #[test]
    fn several_audiences_are_an_array() {
        let token = Token::new().audience("a").audience("b").audience("c").sign(&key()).unwrap();
        assert_eq!(decoded(&token).1, json!({"aud": ["a", "b", "c"]}));
    }

    #[test]
    fn the_header_can_be_changed_and_left_out() {
        let key = key().with_kid("k1");
        assert_eq!(decoded(&Token::new().sign(&key).unwrap()).0["kid"], "k1");
        let token = Token::new()
            .header("alg", "none")
            .header("crit", json!(["b64"]))
            .without_header("typ")
            .without_header("kid")
            .sign(&key)
            .unwrap();
        assert_eq!(decoded(&token).0, json!({"alg": "none", "crit": ["b64"]}));
        let back = Token::new().without_header("kid").header("kid", 7).sign(&key).unwrap();
        assert_eq!(decoded(&back).0["kid"], 7);
    }

    #[test]
    fn a_default_gives_way_to_what_was_set_or_left_out() {
        let token = Token::new()
            .claim("exp", "soon")
            .without("sub")
            .default_claim("exp", 1)
            .default_claim("sub", "alice")
            .default_claim("iat", 2)
            .sign(&key())
            .unwrap();
        assert_eq!(decoded(&token).1, json!({"exp": "soon", "iat": 2}));
    }

    #[test]
    fn raw_tokens_carry_anything() {
        assert_eq!(RawToken::new([0xff], "").with_signature([]), "_w..");
        assert_eq!(RawToken::from_segments("a b", "=").with_signature("x"), "a b.=.eA");
    }
}
