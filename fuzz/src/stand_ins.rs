//! What stands in for the world: keys that sign, a clock that stands still, a network of two addresses.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
};
use keystead::Clock;
use keystead::http::{Document, Fetch, FetchFuture, FetchRequest, Reply};
use url::Url;

/// A key of this number. Whoever reads this can sign with it.
pub(crate) struct Signer {
    pub(crate) kid: Option<&'static str>,
    pair: Pair,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Secret([u8; 32]),
}

impl Signer {
    pub(crate) fn ed25519(number: u8, kid: Option<&'static str>) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[number; 32]).expect("any seed will do");
        Self { kid, pair: Pair::Ed25519(pair) }
    }

    pub(crate) fn p256(kid: Option<&'static str>) -> Self {
        // RFC 7515 appendix A.3.1.
        let d = decoded("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI");
        let (x, y) = (
            decoded("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
            decoded("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"),
        );
        let public = [&[4][..], &x, &y].concat();
        let of = EcdsaKeyPair::from_private_key_and_public_key;
        let pair = of(&ECDSA_P256_SHA256_FIXED_SIGNING, &d, &public).expect("it is a pair");
        Self { kid, pair: Pair::P256(pair) }
    }

    pub(crate) fn secret(number: u8, kid: Option<&'static str>) -> Self {
        Self { kid, pair: Pair::Secret([number; 32]) }
    }

    pub(crate) const fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Ed25519(_) => "EdDSA",
            Pair::P256(_) => "ES256",
            Pair::Secret(_) => "HS256",
        }
    }

    /// The key as it is published; a secret as it is written down.
    pub(crate) fn jwk(&self) -> serde_json::Value {
        let mut jwk = match &self.pair {
            Pair::Ed25519(pair) => {
                let x = encoded(pair.public_key().as_ref());
                serde_json::json!({ "kty": "OKP", "crv": "Ed25519", "x": x })
            }
            Pair::P256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                let (x, y) = (encoded(x), encoded(y));
                serde_json::json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y })
            }
            Pair::Secret(secret) => serde_json::json!({ "kty": "oct", "k": encoded(secret) }),
        };
        if let Some(kid) = self.kid {
            jwk["kid"] = kid.into();
        }
        jwk
    }

    /// A token of any two byte strings, genuinely signed.
    pub(crate) fn sign(&self, header: &[u8], payload: &[u8]) -> String {
        let input = format!("{}.{}", encoded(header), encoded(payload));
        let message = input.as_bytes();
        let signature = match &self.pair {
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::P256(pair) => {
                pair.sign(&SystemRandom::new(), message).expect("it signs").as_ref().to_vec()
            }
            Pair::Secret(secret) => {
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec()
            }
        };
        format!("{input}.{}", encoded(&signature))
    }
}

fn encoded(bytes: &[u8]) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes)
}

fn decoded(text: &str) -> Vec<u8> {
    base64_simd::URL_SAFE_NO_PAD.decode_to_vec(text).expect("it is base64url")
}

/// It is always the same time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Still(pub(crate) Duration);

impl Clock for Still {
    fn wall(&self) -> Duration {
        self.0
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(1_000)
    }
}

/// A network that has one document, and the same keys at every other address.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    document: Document,
    asked: Arc<Mutex<Vec<Url>>>,
}

impl Network {
    pub(crate) fn new(body: &[u8], html: bool) -> Self {
        let mut document = Document::json(body.to_vec());
        if html {
            document.content_type = Some("text/html".to_owned());
        }
        Self { document, asked: Arc::default() }
    }

    /// What was asked for, the document apart.
    pub(crate) fn asked(&self) -> Vec<Url> {
        self.asked.lock().expect("nobody panics with it").clone()
    }
}

impl Fetch for Network {
    fn fetch(&self, request: FetchRequest) -> FetchFuture {
        let document = if request.url.as_str() == METADATA {
            self.document.clone()
        } else {
            self.asked.lock().expect("nobody panics with it").push(request.url);
            Document::json(KEYS)
        };
        Box::pin(async move { Ok(Reply::Document(document)) })
    }
}

/// The address of the document: what follows from the issuer of the seeds.
pub(crate) const METADATA: &str =
    "https://idp.example.test/realms/main/.well-known/openid-configuration";
const KEYS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k1","x":"27qTwp0lm3MzuFMGDSgWEmF1U4rhB0q36izq3zLOZ0o"}]}"#;
