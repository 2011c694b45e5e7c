//! Key sets (RFC 7517): what a key may be, say of itself, and stand beside. The token is sound, unless
//! a weak key makes one possible that nobody signed.

use aws_lc_rs::digest::{SHA256, digest};
use keystead::core::Algorithm;

use super::{Mutation, On, all, on};
use crate::draft::Draft;
use crate::encoding::{base64url, octets};
use crate::members::{Members, quoted};
use crate::ring::{ed25519, published_seed};
use crate::rng::Rng;

pub(super) const ALL: &[Mutation] = &[
    // use, key_ops and alg (RFC 7517 sections 4.2 to 4.4)
    all("a key without use", |draft, _| draft.keys.own.remove("use")),
    all("a key with use enc", |draft, _| draft.keys.own.set_text("use", "enc")),
    all("a key with use SIG", |draft, _| draft.keys.own.set_text("use", "SIG")),
    all("a key with an empty use", |draft, _| draft.keys.own.set_text("use", "")),
    all("a key with use null", |draft, _| draft.keys.own.set("use", "null")),
    all("a key with a number as its use", |draft, _| draft.keys.own.set("use", "1")),
    all("a key with key_ops verify", |draft, _| ops(draft, r#"["verify"]"#)),
    all("a key with key_ops sign and verify", |draft, _| ops(draft, r#"["sign","verify"]"#)),
    all("a key with key_ops sign", |draft, _| ops(draft, r#"["sign"]"#)),
    all("a key with key_ops encrypt", |draft, _| ops(draft, r#"["encrypt"]"#)),
    all("a key with key_ops verify twice", |draft, _| ops(draft, r#"["verify","verify"]"#)),
    all("a key with empty key_ops", |draft, _| ops(draft, "[]")),
    all("a key with a string as key_ops", |draft, _| ops(draft, r#""verify""#)),
    all("a key with key_ops null", |draft, _| ops(draft, "null")),
    all("a key with use sig and key_ops encrypt", |draft, _| {
        draft.keys.own.set("key_ops", r#"["encrypt"]"#);
    }),
    all("a key with use enc and key_ops verify", |draft, _| {
        draft.keys.own.set_text("use", "enc");
        draft.keys.own.set("key_ops", r#"["verify"]"#);
    }),
    all("a key without alg", |draft, _| draft.keys.own.remove("alg")),
    all("a key with alg null", |draft, _| draft.keys.own.set("alg", "null")),
    all("a key with a number as its alg", |draft, _| draft.keys.own.set("alg", "256")),
    all("a key with alg in lower case", |draft, _| {
        let alg = draft.algorithm.name().to_lowercase();
        draft.keys.own.set_text("alg", &alg);
    }),
    all("a key with alg none", |draft, _| draft.keys.own.set_text("alg", "none")),
    all("a key with an alg that nobody knows", |draft, _| draft.keys.own.set_text("alg", "X")),
    all("a key with an alg of encryption", |draft, _| {
        draft.keys.own.set_text("alg", "RSA-OAEP-256");
    }),
    all("a key with an alg of another digest or curve", |draft, _| {
        let other = match draft.algorithm {
            Algorithm::Rs256 => "RS384",
            Algorithm::Ps256 => "PS384",
            Algorithm::Rs512 | Algorithm::Ps384 => "RS256",
            Algorithm::Es256 => "ES384",
            _ => "ES256",
        };
        draft.keys.own.set_text("alg", other);
    }),
    on(On::Ed25519, "a key with alg Ed25519, and a token too", |draft, _| {
        draft.keys.own.set_text("alg", "Ed25519");
        draft.header.set_text("alg", "Ed25519");
    }),
    on(On::Ed25519, "a key with alg Ed25519", |draft, _| draft.keys.own.set_text("alg", "Ed25519")),
    // kty and kid (RFC 7517 sections 4.1 and 4.5)
    all("a key without kty", |draft, _| draft.keys.own.remove("kty")),
    all("a key with kty null", |draft, _| draft.keys.own.set("kty", "null")),
    all("a key with kty in lower case", |draft, _| {
        let kty = draft.keys.own.text("kty").to_lowercase();
        draft.keys.own.set_text("kty", &kty);
    }),
    all("a key with another kty", |draft, _| {
        let other = if draft.keys.own.text("kty") == "EC" { "RSA" } else { "EC" };
        draft.keys.own.set_text("kty", other);
    }),
    all("a key with kty by a name in capitals", |draft, _| {
        draft.keys.own.respell("kty", r#""Kty""#);
    }),
    all("a key with kty by an escaped name", |draft, _| {
        draft.keys.own.respell("kty", r#""\u006bty""#);
    }),
    all("a key without kid", |draft, _| draft.keys.own.remove("kid")),
    all("a key without kid, and a token without", |draft, _| {
        draft.keys.own.remove("kid");
        draft.header.remove("kid");
    }),
    all("a key with another kid", |draft, _| draft.keys.own.set_text("kid", "other")),
    all("a key with kid null", |draft, _| draft.keys.own.set("kid", "null")),
    all("a key with a number as its kid, and a token with the digits", |draft, _| {
        draft.keys.own.set("kid", "7");
        draft.header.set_text("kid", "7");
    }),
    all("a key with an empty kid, and a token too", |draft, _| {
        draft.keys.own.set_text("kid", "");
        draft.header.set_text("kid", "");
    }),
    all("a key with its kid written in escapes", |draft, _| {
        let kid = draft.keys.own.value("kid").replace('k', r"\u006b");
        draft.keys.own.set("kid", kid);
    }),
    // Encodings (RFC 7518 sections 2 and 6)
    all("a key with padding", |draft, _| {
        material(draft, |text| format!("{text}{}", "=".repeat((4 - text.len() % 4) % 4)));
    }),
    all("a key in the other base64 alphabet", |draft, _| {
        material(draft, |text| text.replace('-', "+").replace('_', "/"));
    }),
    all("a key with a line break", |draft, _| {
        material(draft, |text| {
            let (before, after) = text.split_at_checked(4).unwrap_or((text, ""));
            format!("{before}\\n{after}")
        });
    }),
    all("a key with a stray bit", |draft, _| {
        material(draft, crate::encoding::with_stray_bit);
    }),
    all("a key with its first letter escaped", |draft, _| {
        material(draft, |text| {
            let escaped = text.bytes().next().map(|octet| format!("\\u{octet:04x}"));
            format!("{}{}", escaped.unwrap_or_default(), text.get(1..).unwrap_or_default())
        });
    }),
    all("a key in an array", |draft, _| {
        let name = material_name(draft);
        let value = draft.keys.own.value(name);
        draft.keys.own.set(name, format!("[{value}]"));
    }),
    all("a key with its material null", |draft, _| {
        let name = material_name(draft);
        draft.keys.own.set(name, "null");
    }),
    all("a key with zeros before", |draft, _| {
        material(draft, |text| base64url(&[vec![0], octets(text)].concat()));
    }),
    all("a key without its first byte", |draft, _| {
        material(draft, |text| base64url(octets(text).get(1..).unwrap_or_default()));
    }),
    all("a key with a byte after", |draft, _| {
        material(draft, |text| base64url(&[octets(text), vec![0]].concat()));
    }),
    // RSA (RFC 7518 section 6.3.1)
    on(On::Rsa, "an RSA exponent with zeros before", |draft, _| {
        draft.keys.own.set_text("e", "AAEAAQ");
    }),
    on(On::Rsa, "an RSA exponent as a number", |draft, _| draft.keys.own.set("e", "65537")),
    on(On::Rsa, "an RSA exponent of 2", |draft, _| draft.keys.own.set_text("e", "Ag")),
    on(On::Rsa, "an RSA exponent of 0", |draft, _| draft.keys.own.set_text("e", "AA")),
    on(On::Rs256, "an RSA exponent of 1, and a token that anybody can make", |draft, _| {
        draft.keys.own.set_text("e", "AQ");
        draft.sign_with(encoded_message);
    }),
    on(On::Rsa, "an RSA modulus made even", |draft, _| {
        material(draft, |text| {
            let mut modulus = octets(text);
            if let Some(last) = modulus.last_mut() {
                *last &= 0xfe;
            }
            base64url(&modulus)
        });
    }),
    on(On::Rsa, "an RSA key without its exponent", |draft, _| draft.keys.own.remove("e")),
    // Curves (RFC 7518 section 6.2.1, RFC 8037 section 2)
    on(On::Ec, "a point off its curve", |draft, _| {
        let mut y = octets(&draft.keys.own.text("y"));
        if let Some(last) = y.last_mut() {
            *last ^= 1;
        }
        draft.keys.own.set_text("y", &base64url(&y));
    }),
    on(On::Ec, "a point without y", |draft, _| draft.keys.own.remove("y")),
    on(On::Ec, "a point of zeros", |draft, _| {
        let zeros = base64url(&vec![0; octets(&draft.keys.own.text("x")).len()]);
        draft.keys.own.set_text("x", &zeros);
        draft.keys.own.set_text("y", &zeros);
    }),
    on(On::Ec, "a point without crv", |draft, _| draft.keys.own.remove("crv")),
    on(On::Ec, "a point with crv in lower case", |draft, _| {
        let crv = draft.keys.own.text("crv").to_lowercase();
        draft.keys.own.set_text("crv", &crv);
    }),
    on(On::Ec, "a point with another curve's name", |draft, _| {
        let crv = draft.keys.own.text("crv");
        draft.keys.own.set_text("crv", if crv == "P-256" { "P-384" } else { "P-256" });
    }),
    on(On::Ed25519, "an Ed25519 key without crv", |draft, _| draft.keys.own.remove("crv")),
    on(On::Ed25519, "an Ed25519 key named Ed448", |draft, _| {
        draft.keys.own.set_text("crv", "Ed448");
    }),
    on(
        On::Ed25519,
        "an Ed25519 key of small order, and a token that anybody can make",
        |draft, _| {
            let mut identity = [0; 32];
            identity[0] = 1;
            weak_ed25519(draft, identity);
        },
    ),
    on(
        On::Ed25519,
        "an Ed25519 key of small order, not canonical, and a token that anybody can make",
        |draft, _| {
            // 1 + p, which is 1 again.
            let mut identity = [0xff; 32];
            identity[0] = 0xee;
            identity[31] = 0x7f;
            weak_ed25519(draft, identity);
        },
    ),
    // What is beside the public key
    on(On::Ed25519, "a private key published", |draft, _| {
        let seed = published_seed().unwrap_or_default();
        draft.keys.own.set_text("d", &base64url(&seed));
    }),
    on(On::OfEveryPeer, "a private part that is none", |draft, _| {
        draft.keys.own.set_text("d", "AQAB");
    }),
    all("a key with x5c of nothing", |draft, _| draft.keys.own.set("x5c", r#"["AA=="]"#)),
    all("a key with x5c of the wrong type", |draft, _| draft.keys.own.set("x5c", "1")),
    all("a key with members that nobody knows", |draft, _| {
        draft.keys.own.set("x-y", r#"{"a":[1,null]}"#);
    }),
    all("a key with ext of the wrong type", |draft, _| draft.keys.own.set_text("ext", "yes")),
    all("a key with a member twice, the same", |draft, _| {
        let kty = draft.keys.own.value("kty");
        draft.keys.own.last("kty", kty);
    }),
    all("a key with its kid twice, another first", |draft, _| {
        draft.keys.own.first("kid", quoted("other"));
    }),
    all("a key with its kid twice, another last", |draft, _| {
        draft.keys.own.last("kid", quoted("other"));
    }),
    all("a key with a nested member twice", |draft, _| {
        draft.keys.own.set("x-y", r#"{"a":1,"a":2}"#);
    }),
    // Other keys
    all("a stranger's key with the same kid before", |draft, _| {
        let stranger = stranger(draft);
        draft.keys.before.push(stranger);
    }),
    all("a stranger's key with the same kid after", |draft, _| {
        let stranger = stranger(draft);
        draft.keys.after.push(stranger);
    }),
    all("a key of encryption with the same kid before", |draft, _| {
        let mut stranger = Members::of(&serde_json::from_str(&stranger(draft)).unwrap_or_default());
        stranger.set_text("use", "enc");
        stranger.remove("alg");
        draft.keys.before.push(stranger.to_string());
    }),
    all("a secret with the same kid before", |draft, _| {
        let kid = draft.keys.own.value("kid");
        let k = base64url(&[7; 32]);
        draft.keys.before.push(format!(r#"{{"kty":"oct","kid":{kid},"k":"{k}"}}"#));
    }),
    all("a secret in the set, and a token of it", |draft, _| {
        let secret = base64url(&[7; 32]);
        let jwk = format!(r#"{{"kty":"oct","kid":"s","alg":"HS256","k":"{secret}"}}"#);
        draft.keys.after.push(jwk);
        draft.header.set_text("kid", "s");
        draft.header.set_text("alg", "HS256");
        draft.sign_with(|input| {
            let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &[7; 32]);
            aws_lc_rs::hmac::sign(&key, input).as_ref().to_vec()
        });
    }),
    all("a secret among the keys", |draft, _| {
        let k = base64url(&[7; 32]);
        draft.keys.before.push(format!(r#"{{"kty":"oct","kid":"s","k":"{k}"}}"#));
    }),
    all("a key of a type that nobody knows among the keys", |draft, _| {
        draft.keys.before.push(r#"{"kty":"XYZ","kid":"x","alg":"X","pub":"AAAA"}"#.to_owned());
    }),
    all("a key of a curve that nobody knows among the keys", |draft, _| {
        draft
            .keys
            .before
            .push(r#"{"kty":"EC","kid":"x","crv":"P-1","x":"AA","y":"AA"}"#.to_owned());
    }),
    all("a key without kty among the keys", |draft, _| {
        draft.keys.before.push(r#"{"kid":"x"}"#.to_owned());
    }),
    all("a broken RSA key among the keys", |draft, _| {
        draft.keys.before.push(r#"{"kty":"RSA","kid":"x","n":"!","e":"AQAB"}"#.to_owned());
    }),
    all("a key with a number as its kid among the keys", |draft, _| {
        draft.keys.before.push(r#"{"kty":"RSA","kid":1,"n":"AQAB","e":"AQAB"}"#.to_owned());
    }),
    all("a key that is null among the keys", |draft, _| draft.keys.before.push("null".to_owned())),
    all("a key that is a string among the keys", |draft, _| {
        draft.keys.before.push(r#""key""#.to_owned());
    }),
    on(On::Ed25519, "16 keys without a kid, and a token without", |draft, rng| {
        nameless(draft, rng, 15);
    }),
    on(On::Ed25519, "17 keys without a kid, and a token without", |draft, rng| {
        nameless(draft, rng, 16);
    }),
    on(On::Ed25519, "300 keys", |draft, rng| nameless_beside(draft, rng, 292)),
    // The document (RFC 7517 section 5)
    all("a set with members that nobody knows", |draft, _| {
        draft.keys.edit(|text| text.replacen('{', r#"{"version":1,"#, 1));
    }),
    all("a set with its keys twice, none first", |draft, _| {
        draft.keys.edit(|text| text.replacen('{', r#"{"keys":[],"#, 1));
    }),
    all("a set with its keys twice, none last", |draft, _| {
        draft.keys.edit(|text| format!("{},\"keys\":[]}}", text.trim_end_matches('}')));
    }),
    all("a set with white space around", |draft, _| {
        draft.keys.edit(|text| format!("\n {text}\r\n"));
    }),
    all("a set with a byte order mark", |draft, _| {
        draft.keys.edit(|text| format!("\u{feff}{text}"));
    }),
    all("a set with more after it", |draft, _| draft.keys.edit(|text| text + "x")),
    all("a set with a comma too many", |draft, _| {
        draft.keys.edit(|text| text.replace("}]}", "},]}"));
    }),
    all("a set that is a list", |draft, _| {
        draft.keys.edit(|text| {
            let list = text.strip_prefix(r#"{"keys":"#).and_then(|text| text.strip_suffix('}'));
            list.unwrap_or_default().to_owned()
        });
    }),
    all("a set that is one key", |draft, _| {
        let own = draft.keys.own.to_string();
        draft.keys.edit(move |_| own.clone());
    }),
    all("a set whose keys are an object", |draft, _| {
        let own = draft.keys.own.to_string();
        draft.keys.edit(move |_| format!(r#"{{"keys":{{"one":{own}}}}}"#));
    }),
    all("a set by a name in capitals", |draft, _| {
        draft.keys.edit(|text| text.replacen("keys", "Keys", 1));
    }),
    all("a set without keys", |draft, _| draft.keys.edit(|_| r#"{"keys":[]}"#.to_owned())),
    all("a set nested 40 deep", |draft, _| {
        let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
        draft.keys.own.set("x-y", deep);
    }),
];

fn ops(draft: &mut Draft<'_>, ops: &str) {
    draft.keys.own.remove("use");
    draft.keys.own.set("key_ops", ops);
}

/// The member that is the key, or the first half of it.
fn material_name(draft: &Draft<'_>) -> &'static str {
    if draft.keys.own.text("kty") == "RSA" { "n" } else { "x" }
}

/// Writes the key itself another way; what `edit` gives stands between the quotes as it is.
fn material(draft: &mut Draft<'_>, edit: impl Fn(&str) -> String) {
    let name = material_name(draft);
    let text = edit(&draft.keys.own.text(name));
    draft.keys.own.set(name, format!("\"{text}\""));
}

/// A stranger's JWK of the same kind, with the kid of the draft's own.
fn stranger(draft: &Draft<'_>) -> String {
    let stranger = draft.ring.stranger(draft.algorithm);
    let mut jwk = stranger.map(|key| Members::of(&key.jwk())).unwrap_or_default();
    jwk.set("kid", draft.keys.own.value("kid"));
    jwk.to_string()
}

/// Puts so many keys without a kid before the draft's own, which loses its kid; so does the token.
fn nameless(draft: &mut Draft<'_>, rng: &mut Rng, others: usize) {
    draft.keys.own.remove("kid");
    draft.header.remove("kid");
    nameless_beside(draft, rng, others);
}

fn nameless_beside(draft: &mut Draft<'_>, rng: &mut Rng, others: usize) {
    for _ in 0..others {
        let key = ed25519(rng).map(|key| Members::of(&key.without_kid().jwk()));
        draft.keys.before.push(key.unwrap_or_default().to_string());
    }
}

/// What a verifier expects an RSA signature over SHA-256 to become (RFC 8017 section 9.2): with an
/// exponent of 1, it is the signature.
fn encoded_message(input: &[u8]) -> Vec<u8> {
    const DIGEST_INFO: [u8; 19] = [
        0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
        0x05, 0x00, 0x04, 0x20,
    ];
    let digest = digest(&SHA256, input);
    let padding = vec![0xff; 256 - 3 - DIGEST_INFO.len() - digest.as_ref().len()];
    [&[0, 1], &*padding, &[0], &DIGEST_INFO, digest.as_ref()].concat()
}

/// A public key that is the neutral element: R of the same and S of zero sign everything.
fn weak_ed25519(draft: &mut Draft<'_>, public: [u8; 32]) {
    draft.keys.own.set_text("x", &base64url(&public));
    draft.sign_with(|_| {
        let mut signature = vec![0; 64];
        if let Some(first) = signature.first_mut() {
            *first = 1;
        }
        signature
    });
}
