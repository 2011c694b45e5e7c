//! A token: what was not signed by a key of its provider is never accepted, what was signed is
//! accepted only with claims that deserve it, and an explanation comes to the verdict.
//!
//! The first byte says how the rest is read, modulo 8: 0 to 2 as the text of a token; 3 to 7 as a
//! header, a line break and a payload that one of five keys really signs, so that the fuzzer gets
//! past the signature. The second byte chooses the time of judgement.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use keystead::core::{Algorithm, AlgorithmSet, Check, ClaimRule, KeySet, Provenance, Requirements};
use keystead::{ProviderConfig, VerifiedToken, Verifier};

use crate::oracle::{self, assert_refusal};
use crate::stand_ins::Signer as Key;

/// The time at which the good tokens are good, in seconds since the Unix epoch: that of the vectors.
pub const NOW: u64 = 1_800_000_000;
/// The issuer of the vectors.
pub const ISSUER: &str = "https://idp.example.test/realms/main";
const ALIAS: &str = "https://login.example.test/realms/main";
const PARTNER: &str = "https://other.example.test/realms/b";
const AUDIENCE: &str = "keystead-api";
const LEEWAY: Duration = Duration::from_secs(60);
const AGE: u64 = 3_600;

const TIMES: [Duration; 8] = [
    Duration::from_secs(NOW),
    Duration::ZERO,
    Duration::MAX,
    Duration::from_secs(NOW - 3_600),
    Duration::from_secs(NOW + 86_400),
    Duration::from_secs(i64::MAX as u64),
    Duration::from_nanos(1),
    Duration::from_secs(NOW + 660),
];

pub fn check(data: &[u8]) {
    let Some(([how, time], rest)) = data.split_first_chunk() else { return };
    let now = TIMES[usize::from(time % 8)];
    let world = &*WORLD;
    match usize::from(how % 8).checked_sub(3) {
        None => {
            let Ok(text) = std::str::from_utf8(rest) else { return };
            if let Some(verified) = world.judge(text, now) {
                let (input, _) = text.rsplit_once('.').expect("an accepted token has segments");
                assert!(world.genuine.contains(input), "nobody signed {text}");
                // Of one message there are many ECDSA signatures, but one of the others.
                let one_only = verified.key().kty() != "EC";
                assert!(!one_only || world.genuine.contains(text), "not as it was signed: {text}");
            }
        }
        Some(signer) => {
            let at = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            let (header, payload) = rest.split_at(at);
            let payload = payload.get(1..).unwrap_or_default();
            let signer = &world.signers[signer];
            let text = signer.key.sign(header, payload);
            if let Some(verified) = world.judge(&text, now) {
                signer.assert_deserved(&verified, header, payload, now.as_secs_f64());
            }
        }
    }
}

/// Providers and keys that never change.
struct World {
    verifier: Verifier,
    signers: [Signer; 5],
    /// The good tokens, whole and without their signatures.
    genuine: BTreeSet<String>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let signers = signers();
    let genuine = genuine(&signers).into_iter().flat_map(|token| {
        let input = token.rsplit_once('.').expect("it has segments").0.to_owned();
        [token, input]
    });
    World { verifier: verifier(&signers), genuine: genuine.collect(), signers }
});

impl World {
    /// The verdict, once everything was compared that can give one.
    fn judge(&self, text: &str, now: Duration) -> Option<VerifiedToken> {
        let demands = Requirements::default();
        let verdict = self.verifier.verify_at(text, now, &demands);
        let again = self.verifier.verify_at(text, now, &demands);
        let explained = self.verifier.explain_at(text, now, &demands);
        assert_eq!(again.as_ref().err(), verdict.as_ref().err(), "two verdicts on {text}");
        assert_eq!(explained.refused.as_ref(), verdict.as_ref().err(), "explained: {text}");
        let checks: Vec<_> = explained.steps.iter().map(|step| step.check).collect();
        assert_eq!(checks, Check::ALL, "the list of checks is whole");
        // What is asked for in place of a policy is asked for.
        let nobody = Requirements::new().algorithms(AlgorithmSet::EMPTY);
        assert!(self.verifier.verify_at(text, now, &nobody).is_err(), "no algorithm: {text}");
        match verdict {
            Ok(verified) => {
                let again = again.expect("it has no error");
                assert_eq!(again.claims().text(), verified.claims().text());
                assert_eq!(again.key().material(), verified.key().material());
                Some(verified)
            }
            Err(refused) => {
                assert_refusal(&refused, text);
                None
            }
        }
    }
}

/// A key, and what may be signed with it.
struct Signer {
    key: Key,
    provider: &'static str,
    issuers: &'static [&'static str],
    /// Whether `aud` is looked at.
    audience: bool,
    /// Whether more is demanded than by default.
    strict: bool,
}

impl Signer {
    /// What was accepted has what its provider demands, in the eyes of another reader.
    fn assert_deserved(&self, verified: &VerifiedToken, header: &[u8], payload: &[u8], now: f64) {
        assert_eq!(verified.provider(), self.provider, "another provider's key");
        let header = oracle::object(header).expect("a header is a JSON object");
        let claims = oracle::object(payload).expect("a claims set is a JSON object");
        let of_header = |name: &str| header.get(name).map(|value| oracle::string(value).unwrap());
        let alg = of_header("alg").expect("alg is there");
        // RFC 9864 section 2.2 gave it a name of its own.
        let alg = if alg == "Ed25519" { "EdDSA" } else { &alg };
        assert_eq!(alg, self.key.algorithm());
        if let (Some(kid), Some(own)) = (of_header("kid"), self.key.kid) {
            assert_eq!(kid, own, "a kid binds");
        }
        assert!(!header.contains_key("crit") && !header.contains_key("zip"));
        assert!(header.get("b64").is_none_or(|b64| b64.get() == "true"));
        let typ = of_header("typ").map(|typ| typ.to_ascii_lowercase());
        let typ = typ.as_deref().map(|typ| typ.strip_prefix("application/").unwrap_or(typ));
        assert!(!matches!(typ, Some("logout+jwt" | "dpop+jwt" | "secevent+jwt")));
        assert!(!self.strict || typ == Some("at+jwt"), "{typ:?}");

        let issuer = oracle::string(claims["iss"]).expect("iss is a string");
        assert!(self.issuers.contains(&&*issuer), "{issuer}");
        let audiences = claims.get("aud").map(|aud| oracle::strings(aud).unwrap());
        let meant = audiences.is_some_and(|all| all.iter().any(|aud| aud == AUDIENCE));
        assert!(meant || !self.audience, "for somebody else");
        let date = |name: &str| claims.get(name).map(|value| oracle::number(value).unwrap());
        let (exp, leeway) = (date("exp").expect("exp is there"), LEEWAY.as_secs_f64());
        assert!((0.0..9.3e18).contains(&exp) && now < exp + leeway, "exp {exp} at {now}");
        for name in ["nbf", "iat"] {
            let date = date(name);
            assert!(date.is_none_or(|date| date.is_finite() && date <= now + leeway), "{name}");
        }
        for name in ["sub", "jti"] {
            assert!(claims.get(name).is_none_or(|value| oracle::string(value).is_some()), "{name}");
        }
        if self.strict {
            #[allow(clippy::cast_precision_loss, reason = "an hour fits")]
            let oldest = now - AGE as f64 - leeway;
            assert!(date("iat").expect("iat is there") >= oldest, "too old");
            let tenant = oracle::strings(claims["tenant"]).expect("tenant is there");
            assert!(tenant.iter().any(|tenant| tenant == "blue"), "{tenant:?}");
            let scopes = ["scope", "scp", "scopes"].iter().filter_map(|name| claims.get(*name));
            let scopes: Vec<_> = scopes.filter_map(|value| oracle::strings(value)).collect();
            let mut words = scopes.iter().flatten().flat_map(|text| text.split(' '));
            assert!(words.any(|word| word == "read"), "{scopes:?}");
        }
    }
}

/// Two providers share a kid, and one key has none.
fn signers() -> [Signer; 5] {
    let main = |key| Signer {
        key,
        provider: "main",
        issuers: &[ISSUER, ALIAS],
        audience: true,
        strict: false,
    };
    let partner =
        |key| Signer { provider: "partner", issuers: &[PARTNER], strict: true, ..main(key) };
    let inside = Signer {
        provider: "inside",
        issuers: &["inside"],
        audience: false,
        ..main(Key::secret(7, Some("secret")))
    };
    [
        main(Key::ed25519(1, Some("shared"))),
        main(Key::p256(Some("ec"))),
        partner(Key::ed25519(2, Some("shared"))),
        partner(Key::ed25519(3, None)),
        inside,
    ]
}

fn verifier(signers: &[Signer; 5]) -> Verifier {
    let keys = |of: &[usize]| {
        let jwks: Vec<_> = of.iter().map(|at| signers[*at].key.jwk()).collect();
        let text = serde_json::json!({ "keys": jwks }).to_string();
        KeySet::parse(text.as_bytes(), Provenance::Operator, 16).expect("a set")
    };
    let main = ProviderConfig::new("main", ISSUER).aliases([ALIAS]).audiences([AUDIENCE]);
    let partner = ProviderConfig::new("partner", PARTNER)
        .audiences([AUDIENCE])
        .typ(["at+jwt"])
        .required_claim("tenant", ClaimRule::OneOf(vec!["blue".to_owned()]))
        .scopes(["read"])
        .max_token_age(Duration::from_secs(AGE));
    let hmac = AlgorithmSet::EMPTY.with(Algorithm::Hs256);
    let inside = ProviderConfig::new("inside", "inside").any_audience().algorithms(hmac);
    Verifier::builder()
        .provider(main.keys(keys(&[0, 1])))
        .provider(partner.keys(keys(&[2, 3])))
        .provider(inside.keys(keys(&[4])))
        // One that has no keys yet, and one that is misconfigured: 503 is an answer too.
        .provider(ProviderConfig::new("cold", "https://cold.example").audiences([AUDIENCE]))
        .provider(ProviderConfig::new("wrong", "https://wrong.example").jwks_url("abc"))
        .build()
}

/// Header and payload of tokens that are accepted at [`NOW`], each with the place of its signer.
#[must_use]
pub fn good() -> Vec<(usize, String, String)> {
    let (iat, exp) = (NOW - 60, NOW + 600);
    let token = |(at, signer): (usize, &Signer)| {
        let kid = signer.key.kid.map_or_else(String::new, |kid| format!(r#","kid":"{kid}""#));
        let header = format!(r#"{{"alg":"{}","typ":"at+jwt"{kid}}}"#, signer.key.algorithm());
        let issuer = signer.issuers[at % signer.issuers.len()];
        let payload = format!(
            r#"{{"iss":"{issuer}","aud":["other","{AUDIENCE}"],"sub":"alice","iat":{iat},"nbf":{iat},"exp":{exp},"tenant":"blue","scope":"read write","jti":"1"}}"#
        );
        (at, header, payload)
    };
    signers().iter().enumerate().map(token).collect()
}

/// The good tokens in compact form.
#[must_use]
pub fn good_tokens() -> Vec<String> {
    genuine(&WORLD.signers)
}

/// The keys of these tokens: the public ones, and all of them.
#[must_use]
pub fn key_sets() -> [serde_json::Value; 2] {
    let all: Vec<_> = WORLD.signers.iter().map(|signer| signer.key.jwk()).collect();
    let public: Vec<_> = all.iter().filter(|key| key["kty"] != "oct").cloned().collect();
    [serde_json::json!({ "keys": public }), serde_json::json!({ "keys": all })]
}

/// Whether a text is accepted at [`NOW`].
#[must_use]
pub fn is_accepted(text: &str) -> bool {
    WORLD.judge(text, TIMES[0]).is_some()
}

fn genuine(signers: &[Signer; 5]) -> Vec<String> {
    let sign = |(signer, header, payload): (usize, String, String)| {
        signers[signer].key.sign(header.as_bytes(), payload.as_bytes())
    };
    good().into_iter().map(sign).collect()
}
