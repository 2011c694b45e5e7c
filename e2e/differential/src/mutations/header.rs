//! The JOSE header: algorithms, key ids, types, extensions and keys that a token brings along.

use aws_lc_rs::hmac;
use keystead::core::{Algorithm, Family};

use super::{Mutation, On, all, on};
use crate::draft::Draft;
use crate::encoding::{base64, base64url};
use crate::members::{Members, quoted};
use crate::ring::as_rs512;

pub(super) const ALL: &[Mutation] = &[
    // alg (RFC 7515 section 4.1.1)
    all("alg none without a signature", |draft, _| unsigned(draft, "none")),
    all("alg None without a signature", |draft, _| unsigned(draft, "None")),
    all("alg nOnE without a signature", |draft, _| unsigned(draft, "nOnE")),
    all("alg none with a signature", |draft, _| draft.header.set_text("alg", "none")),
    all("alg absent", |draft, _| draft.header.remove("alg")),
    all("alg null", |draft, _| draft.header.set("alg", "null")),
    all("alg a number", |draft, _| draft.header.set("alg", "256")),
    all("alg an array", |draft, _| {
        let alg = draft.header.value("alg");
        draft.header.set("alg", format!("[{alg}]"));
    }),
    all("alg empty", |draft, _| draft.header.set_text("alg", "")),
    all("alg in lower case", |draft, _| {
        let alg = draft.header.text("alg").to_lowercase();
        draft.header.set_text("alg", &alg);
    }),
    all("alg with a space", |draft, _| {
        let alg = draft.header.text("alg");
        draft.header.set_text("alg", &format!("{alg} "));
    }),
    all("alg written in escapes", |draft, _| {
        let alg = escaped(&draft.header.text("alg"));
        draft.header.set("alg", alg);
    }),
    all("alg by an escaped name", |draft, _| draft.header.respell("alg", r#""\u0061lg""#)),
    all("alg by a name in capitals", |draft, _| draft.header.respell("alg", r#""ALG""#)),
    all("alg none in capitals beside alg", |draft, _| draft.header.last("ALG", quoted("none"))),
    all("alg twice, none first", |draft, _| draft.header.first("alg", quoted("none"))),
    all("alg twice, none last", |draft, _| draft.header.last("alg", quoted("none"))),
    all("alg twice, the same", |draft, _| {
        let alg = draft.header.value("alg");
        draft.header.last("alg", alg);
    }),
    all("alg twice, none by an escaped name", |draft, _| {
        draft.header.last_spelt(r#""\u0061lg""#, quoted("none"));
    }),
    all("alg of another digest", |draft, _| {
        let other = match draft.algorithm {
            Algorithm::Rs256 => "RS384",
            Algorithm::Rs512 => "RS256",
            Algorithm::Ps256 => "PS512",
            Algorithm::Ps384 => "PS256",
            Algorithm::Es256 | Algorithm::Es512 => "ES384",
            Algorithm::Es384 => "ES256",
            _ => "Ed448",
        };
        draft.header.set_text("alg", other);
    }),
    all("alg of another key type", |draft, _| {
        let other = if draft.algorithm.family() == Family::Rsa { "ES256" } else { "RS256" };
        draft.header.set_text("alg", other);
    }),
    on(On::Rsa, "alg of the other RSA padding", |draft, _| {
        let other = match draft.algorithm {
            Algorithm::Rs256 => "PS256",
            Algorithm::Rs512 => "PS512",
            Algorithm::Ps256 => "RS256",
            _ => "RS384",
        };
        draft.header.set_text("alg", other);
    }),
    on(On::RsaButRs512, "alg RS512, so signed, against the key's alg", |draft, _| {
        draft.header.set_text("alg", "RS512");
        sign_as_rs512(draft);
    }),
    on(On::Ed25519, "alg Ed25519", |draft, _| draft.header.set_text("alg", "Ed25519")),
    all("alg HS256 with the public key's PEM as the secret", |draft, _| {
        let pem = draft.key.public_pem().unwrap_or_default();
        with_secret(draft, pem.into_bytes());
    }),
    all("alg HS256 with the public key's DER as the secret", |draft, _| {
        let pem = draft.key.public_pem().unwrap_or_default();
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        with_secret(draft, base64_simd::STANDARD.decode_to_vec(body).unwrap_or_default());
    }),
    all("alg HS256 with the public key's JWK as the secret", |draft, _| {
        let jwk = draft.keys.own.to_string();
        with_secret(draft, jwk.into_bytes());
    }),
    all("alg HS256 with an empty secret", |draft, _| with_secret(draft, Vec::new())),
    // kid (RFC 7515 section 4.1.4)
    all("kid absent", |draft, _| draft.header.remove("kid")),
    all("kid unknown", |draft, _| draft.header.set_text("kid", "nobody")),
    all("kid empty", |draft, _| draft.header.set_text("kid", "")),
    all("kid null", |draft, _| draft.header.set("kid", "null")),
    all("kid a number", |draft, _| draft.header.set("kid", "7")),
    all("kid an array", |draft, _| {
        let kid = draft.header.value("kid");
        draft.header.set("kid", format!("[{kid}]"));
    }),
    all("kid an object", |draft, _| draft.header.set("kid", r#"{"$ne":""}"#)),
    all("kid in capitals", |draft, _| {
        let kid = draft.header.text("kid").to_uppercase();
        draft.header.set_text("kid", &kid);
    }),
    all("kid with a space", |draft, _| {
        let kid = draft.header.text("kid");
        draft.header.set_text("kid", &format!("{kid} "));
    }),
    all("kid with a NUL after it", |draft, _| {
        let kid = draft.header.text("kid");
        draft.header.set_text("kid", &format!("{kid}\0"));
    }),
    all("kid written in escapes", |draft, _| {
        let kid = escaped(&draft.header.text("kid"));
        draft.header.set("kid", kid);
    }),
    all("kid by an escaped name", |draft, _| draft.header.respell("kid", r#""\u006bid""#)),
    all("kid by a name in capitals", |draft, _| draft.header.respell("kid", r#""Kid""#)),
    all("kid a path", |draft, _| draft.header.set_text("kid", "../../../dev/null")),
    all("kid of another key", |draft, _| {
        let kid = another(draft);
        draft.header.set_text("kid", &kid);
    }),
    all("kid twice, another key's first", |draft, _| {
        let kid = another(draft);
        draft.header.first("kid", quoted(&kid));
    }),
    all("kid twice, another key's last", |draft, _| {
        let kid = another(draft);
        draft.header.last("kid", quoted(&kid));
    }),
    // typ and cty (RFC 7515 sections 4.1.9 and 4.1.10)
    all("typ absent", |draft, _| draft.header.remove("typ")),
    all("typ null", |draft, _| draft.header.set("typ", "null")),
    all("typ a number", |draft, _| draft.header.set("typ", "1")),
    all("typ empty", |draft, _| draft.header.set_text("typ", "")),
    all("typ in lower case", |draft, _| draft.header.set_text("typ", "jwt")),
    all("typ at+jwt", |draft, _| draft.header.set_text("typ", "at+jwt")),
    all("typ application/at+jwt", |draft, _| draft.header.set_text("typ", "application/at+jwt")),
    all("typ JOSE", |draft, _| draft.header.set_text("typ", "JOSE")),
    all("typ of something else", |draft, _| draft.header.set_text("typ", "text/plain")),
    all("typ dpop+jwt", |draft, _| draft.header.set_text("typ", "dpop+jwt")),
    all("typ logout+jwt", |draft, _| draft.header.set_text("typ", "logout+jwt")),
    all("typ secevent+jwt", |draft, _| draft.header.set_text("typ", "secevent+jwt")),
    all("cty JWT", |draft, _| draft.header.set_text("cty", "JWT")),
    all("cty a number", |draft, _| draft.header.set("cty", "1")),
    // crit, b64 and zip (RFC 7515 section 4.1.11, RFC 7797, RFC 7516 section 4.1.3)
    all("crit with an unknown extension", |draft, _| {
        draft.header.set("crit", r#"["x"]"#);
        draft.header.set("x", "1");
    }),
    all("crit with an extension that is absent", |draft, _| draft.header.set("crit", r#"["x"]"#)),
    all("crit empty", |draft, _| draft.header.set("crit", "[]")),
    all("crit null", |draft, _| draft.header.set("crit", "null")),
    all("crit a string", |draft, _| draft.header.set("crit", r#""x""#)),
    all("crit an object", |draft, _| draft.header.set("crit", "{}")),
    all("crit with a number", |draft, _| draft.header.set("crit", "[1]")),
    all("crit with an empty name", |draft, _| draft.header.set("crit", r#"[""]"#)),
    all("crit with a name of the standard", |draft, _| draft.header.set("crit", r#"["alg"]"#)),
    all("crit with the name of a claim", |draft, _| {
        draft.header.set("crit", r#"["exp"]"#);
        draft.header.set("exp", "1");
    }),
    all("crit with a name twice", |draft, _| {
        draft.header.set("crit", r#"["b64","b64"]"#);
        draft.header.set("b64", "true");
    }),
    all("crit with b64, which is true", |draft, _| {
        draft.header.set("crit", r#"["b64"]"#);
        draft.header.set("b64", "true");
    }),
    all("crit with b64, which is false", |draft, _| {
        draft.header.set("crit", r#"["b64"]"#);
        draft.header.set("b64", "false");
    }),
    all("b64 true", |draft, _| draft.header.set("b64", "true")),
    all("b64 false", |draft, _| draft.header.set("b64", "false")),
    all("b64 null", |draft, _| draft.header.set("b64", "null")),
    all("b64 a string", |draft, _| draft.header.set("b64", r#""false""#)),
    all("zip DEF", |draft, _| draft.header.set_text("zip", "DEF")),
    all("enc of an encrypted token", |draft, _| draft.header.set_text("enc", "A128GCM")),
    // Keys that a token brings along (RFC 8725 section 3.10)
    all("jwk of the issuer", |draft, _| {
        let jwk = draft.keys.own.to_string();
        draft.header.set("jwk", jwk);
    }),
    all("jwk of the stranger who signed", |draft, _| {
        draft.sign_as_stranger();
        let jwk = Members::of(&draft.key.jwk()).to_string();
        draft.header.set("jwk", jwk);
    }),
    all("jwk of the stranger who signed, and no kid", |draft, _| {
        draft.sign_as_stranger();
        let jwk = Members::of(&draft.key.jwk()).to_string();
        draft.header.set("jwk", jwk);
        draft.header.remove("kid");
    }),
    all("jku", |draft, _| draft.header.set_text("jku", "https://stranger.example/keys")),
    all("jku of the stranger who signed", |draft, _| {
        draft.sign_as_stranger();
        draft.header.set_text("jku", "https://stranger.example/keys");
    }),
    all("jku with a number", |draft, _| draft.header.set("jku", "1")),
    all("x5u", |draft, _| draft.header.set_text("x5u", "https://stranger.example/certificate")),
    all("x5u of the stranger who signed", |draft, _| {
        draft.sign_as_stranger();
        draft.header.set_text("x5u", "https://stranger.example/certificate");
    }),
    all("x5c", |draft, _| draft.header.set("x5c", format!("[{}]", quoted(&base64(b"nothing"))))),
    all("x5t of nothing", |draft, _| draft.header.set_text("x5t", &base64url(&[0; 20]))),
    // Anything else
    all("iss of another in the header", |draft, _| {
        draft.header.set_text("iss", "https://stranger.example");
    }),
    all("a header member that nobody knows", |draft, _| draft.header.set("x", "1")),
    all("a header member that nobody knows, of 600 bytes", |draft, _| {
        draft.header.set_text("x", &"x".repeat(600));
    }),
    all("a header of 9,000 bytes", |draft, _| draft.header.set_text("x", &"x".repeat(9_000))),
];

fn unsigned(draft: &mut Draft<'_>, alg: &str) {
    draft.header.set_text("alg", alg);
    draft.edit_signature(|_| Vec::new());
}

fn with_secret(draft: &mut Draft<'_>, secret: Vec<u8>) {
    draft.header.set_text("alg", "HS256");
    draft.sign_with(move |input| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), input).as_ref().to_vec()
    });
}

/// Makes the signature with the draft's own key and another algorithm than the key is for.
fn sign_as_rs512(draft: &mut Draft<'_>) {
    if let Ok(key) = as_rs512(draft.algorithm) {
        draft.key = key;
    }
}

/// The kid of another key of the issuer.
fn another(draft: &Draft<'_>) -> String {
    let other = draft.ring.own().iter().find(|key| key.algorithm() != draft.algorithm);
    other.and_then(|key| key.kid()).unwrap_or_default().to_owned()
}

/// A text of one-byte characters as a JSON string in which every one is escaped.
fn escaped(text: &str) -> String {
    let escapes: Vec<_> = text.bytes().map(|octet| format!("\\u{octet:04x}")).collect();
    format!("\"{}\"", escapes.concat())
}
