//! A token and its key set before they are made: everything that a mutation can reach.

use std::fmt;

use keystead::core::Algorithm;
use keystead_testkit::{MintError, RawToken, SigningKey};
use serde_json::json;

use crate::encoding::base64url;
use crate::members::Members;
use crate::ring::Ring;
use crate::setting::{AUDIENCE, ISSUER, NOW};

/// A change to a text or to octets, made when the token is.
type Edit<T> = Box<dyn Fn(T) -> T>;
/// Makes a signature from a signing input.
type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;
/// Whether a signature has the form that is wanted.
type Wanted = Box<dyn Fn(&[u8]) -> bool>;

/// One token and the key set that it is judged by.
pub(crate) struct Draft<'r> {
    pub(crate) ring: &'r Ring,
    pub(crate) algorithm: Algorithm,
    /// What signs, whatever the header says.
    pub(crate) key: SigningKey,
    pub(crate) header: Members,
    pub(crate) claims: Members,
    pub(crate) keys: KeySetDraft,
    /// Whether the signature is one over the token as it was before any mutation.
    pub(crate) signed_before: bool,
    /// Signs in place of the key.
    signed: Option<Sign>,
    /// The form that the signature must have.
    wanted: Option<Wanted>,
    header_text: Vec<Edit<Vec<u8>>>,
    claims_text: Vec<Edit<Vec<u8>>>,
    header_segment: Vec<Edit<String>>,
    claims_segment: Vec<Edit<String>>,
    signature: Vec<Edit<Vec<u8>>>,
    token: Vec<Edit<String>>,
}

/// A key set before it is written.
#[derive(Default)]
pub(crate) struct KeySetDraft {
    /// The key that tokens of this draft are signed with.
    pub(crate) own: Members,
    /// The entries before it, as JSON texts.
    pub(crate) before: Vec<String>,
    /// The entries after it.
    pub(crate) after: Vec<String>,
    edits: Vec<Edit<String>>,
}

/// What is given to everybody.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Made {
    pub(crate) token: String,
    pub(crate) key_set: String,
}

impl<'r> Draft<'r> {
    /// A sound token that `key` of the ring signs.
    pub(crate) fn new(ring: &'r Ring, key: &SigningKey) -> Self {
        let header = json!({"alg": key.algorithm().name(), "kid": key.kid(), "typ": "JWT"});
        let claims = json!({
            "iss": ISSUER,
            "sub": "9ac28ed2-6c0d-4b1b-8d3c-0a1c1f6b8f21",
            "aud": AUDIENCE,
            "exp": NOW + 300,
            "iat": NOW - 5,
            "jti": "b1f0c7b2",
            "scope": "orders:read orders:write",
            "realm_access": {"roles": ["staff"]},
        });
        Self {
            ring,
            algorithm: key.algorithm(),
            key: key.clone(),
            header: Members::of(&header),
            claims: Members::of(&claims),
            keys: KeySetDraft::of(ring, key),
            signed_before: false,
            signed: None,
            wanted: None,
            header_text: Vec::new(),
            claims_text: Vec::new(),
            header_segment: Vec::new(),
            claims_segment: Vec::new(),
            signature: Vec::new(),
            token: Vec::new(),
        }
    }

    /// Changes the header's text, which is signed as changed.
    pub(crate) fn edit_header(&mut self, edit: impl Fn(Vec<u8>) -> Vec<u8> + 'static) {
        self.header_text.push(Box::new(edit));
    }

    /// Changes the text of the claims set, which is signed as changed.
    pub(crate) fn edit_claims(&mut self, edit: impl Fn(Vec<u8>) -> Vec<u8> + 'static) {
        self.claims_text.push(Box::new(edit));
    }

    /// Changes the header's segment, which is signed as changed.
    pub(crate) fn edit_header_segment(&mut self, edit: impl Fn(String) -> String + 'static) {
        self.header_segment.push(Box::new(edit));
    }

    /// Changes the claims set's segment, which is signed as changed.
    pub(crate) fn edit_claims_segment(&mut self, edit: impl Fn(String) -> String + 'static) {
        self.claims_segment.push(Box::new(edit));
    }

    /// Has the signature made by `sign` from the signing input.
    pub(crate) fn sign_with(&mut self, sign: impl Fn(&[u8]) -> Vec<u8> + 'static) {
        self.signed = Some(Box::new(sign));
    }

    /// Makes tokens that differ in a claim nobody asks about until one has such a signature.
    pub(crate) fn sign_until(&mut self, wanted: impl Fn(&[u8]) -> bool + 'static) {
        self.wanted = Some(Box::new(wanted));
    }

    /// Changes the octets of the signature.
    pub(crate) fn edit_signature(&mut self, edit: impl Fn(Vec<u8>) -> Vec<u8> + 'static) {
        self.signature.push(Box::new(edit));
    }

    /// Changes the finished token.
    pub(crate) fn edit_token(&mut self, edit: impl Fn(String) -> String + 'static) {
        self.token.push(Box::new(edit));
    }

    /// Changes each of the three segments that there are, after signing.
    pub(crate) fn edit_segments(&mut self, edit: impl Fn(&mut [String; 3]) + 'static) {
        self.edit_token(move |token| {
            let mut segments = token.splitn(3, '.').map(ToOwned::to_owned);
            let mut three: [String; 3] =
                std::array::from_fn(|_| segments.next().unwrap_or_default());
            edit(&mut three);
            three.join(".")
        });
    }

    /// Signs with a stranger's key of the same kind.
    pub(crate) fn sign_as_stranger(&mut self) {
        if let Some(stranger) = self.ring.stranger(self.algorithm) {
            self.key = stranger.clone();
        }
    }

    /// The token and the key set.
    pub(crate) fn make(&self) -> Result<Made, MintError> {
        let mut claims = self.claims.clone();
        let (mut raw, mut signature) = self.signed_token(&claims)?;
        for another in 1..TRIES {
            if self.wanted.as_ref().is_none_or(|wanted| wanted(&signature)) {
                break;
            }
            claims.set("try", another.to_string());
            (raw, signature) = self.signed_token(&claims)?;
        }
        let signature = applied(&self.signature, signature);
        let token = applied(&self.token, raw.with_signature(signature));
        Ok(Made { token, key_set: self.keys.to_string() })
    }

    fn signed_token(&self, claims: &Members) -> Result<(RawToken, Vec<u8>), MintError> {
        let header = applied(&self.header_text, self.header.to_string().into_bytes());
        let claims = applied(&self.claims_text, claims.to_string().into_bytes());
        let header = applied(&self.header_segment, base64url(&header));
        let claims = applied(&self.claims_segment, base64url(&claims));
        let input =
            if self.signed_before { self.input_before() } else { format!("{header}.{claims}") };
        let signature = match &self.signed {
            Some(sign) => sign(input.as_bytes()),
            None => self.key.sign(input.as_bytes())?,
        };
        Ok((RawToken::from_segments(&header, &claims), signature))
    }

    /// The signing input of the token as it was before any mutation.
    fn input_before(&self) -> String {
        let own = self.ring.own().iter().find(|key| key.algorithm() == self.algorithm);
        let before = Draft::new(self.ring, own.unwrap_or(&self.key));
        let segment = |members: &Members| base64url(members.to_string().as_bytes());
        format!("{}.{}", segment(&before.header), segment(&before.claims))
    }
}

/// How many tokens are made at most for a signature that one in 256 has: all of them fail once in
/// 10^13 runs.
const TRIES: u32 = 8_000;

impl KeySetDraft {
    /// The issuer's keys, of which `key` is one.
    fn of(ring: &Ring, key: &SigningKey) -> Self {
        let mut entries = ring.own().iter();
        let text = |key: &SigningKey| Members::of(&key.jwk()).to_string();
        let before = entries.by_ref().take_while(|own| own.kid() != key.kid()).map(text).collect();
        Self {
            own: Members::of(&key.jwk()),
            before,
            after: entries.map(text).collect(),
            edits: Vec::new(),
        }
    }

    /// Changes the text of the key set.
    pub(crate) fn edit(&mut self, edit: impl Fn(String) -> String + 'static) {
        self.edits.push(Box::new(edit));
    }
}

impl fmt::Display for KeySetDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = self.own.to_string();
        let entries: Vec<_> =
            self.before.iter().chain([&own]).chain(&self.after).map(String::as_str).collect();
        let text = format!(r#"{{"keys":[{}]}}"#, entries.join(","));
        f.write_str(&applied(&self.edits, text))
    }
}

fn applied<T>(edits: &[Edit<T>], to: T) -> T {
    edits.iter().fold(to, |text, edit| edit(text))
}
