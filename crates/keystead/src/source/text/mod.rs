//! Key text that an operator wrote: PEM, a JWK or a JWK Set, as it arrives in a setting, a
//! variable or a file.

mod der;
mod material;
mod pem;

use core::fmt;
use std::sync::Arc;

use keystead_core::json::{JsonError, JsonProblem};
use keystead_core::text::quoted;
use keystead_core::{Jwk, KeyProblem, KeySet, KeySetProblem, Material, Provenance, SkippedKey};

use self::material::{Found, Label};
use self::pem::Section;

/// How many keys one text may hold.
pub(crate) const KEY_LIMIT: usize = 256;

/// Why a text holds no keys at all. Data only; [`fmt::Display`] gives the sentence.
///
/// Nothing of the text is in it but the labels of PEM sections: it may be a secret.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub(crate) enum KeyTextError {
    /// Nothing but white space and quotes.
    Empty,
    /// Neither PEM nor JSON.
    NotKeys {
        /// How many bytes there are, without surrounding white space and quotes.
        len: usize,
    },
    /// PEM, but no section that could hold a key.
    NoKeySection {
        /// The labels that were found; `None` is one that cannot be read.
        labels: Vec<Option<Box<str>>>,
    },
    /// It begins as JSON does, but is none.
    NotJson {
        /// The byte at which that shows, without surrounding white space and quotes.
        at: usize,
    },
    /// A JSON object that names a member twice.
    DuplicateMember,
    /// JSON, but neither a JWK (`kty`) nor a JWK Set (`keys`).
    NeitherJwkNorSet,
    /// A JWK Set without keys.
    EmptySet,
    /// More keys than are read.
    TooManyKeys {
        /// How many there are.
        found: usize,
        /// How many are read.
        limit: usize,
    },
}

impl fmt::Display for KeyTextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the key text is empty"),
            Self::NotKeys { len } => {
                write!(f, "the key text ({len} bytes) is neither PEM nor a JWK nor a JWK Set")
            }
            Self::NoKeySection { labels } => {
                f.write_str("the key text has no PEM section with a key, only ")?;
                for (index, label) in labels.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    match label {
                        Some(label) => write!(f, "{comma}{}", quoted(label))?,
                        None => write!(f, "{comma}a section whose BEGIN line cannot be read")?,
                    }
                }
                Ok(())
            }
            Self::NotJson { at } => write!(f, "the key text stops being JSON at byte {at}"),
            Self::DuplicateMember => f.write_str("the key text names a JSON member twice"),
            Self::NeitherJwkNorSet => f.write_str(
                "the key text is JSON, but neither a JWK (no \"kty\") nor a JWK Set (no \"keys\")",
            ),
            Self::EmptySet => f.write_str("the key text is a JWK Set without keys"),
            Self::TooManyKeys { found, limit } => {
                write!(f, "the key text holds {found} keys, accepted are at most {limit}")
            }
        }
    }
}

impl core::error::Error for KeyTextError {}

/// Reads key text: one or several PEM sections, a JWK or a JWK Set.
///
/// PEM labels (RFC 7468): `PUBLIC KEY`, `RSA PUBLIC KEY`, `CERTIFICATE`, `PRIVATE KEY`,
/// `RSA PRIVATE KEY` and `EC PRIVATE KEY`. Of a private key the public part is kept, and it is
/// marked ([`Jwk::private_part_seen`]). White space and one pair of quotes around the text, Windows
/// line ends, and line breaks written as a literal `\n` or lost to spaces are forgiven. A
/// certificate is only an envelope for its key: neither its dates nor its issuer are looked at;
/// but one that issued another certificate of the text is no signer. A key that appears twice
/// counts once. A PEM key has no `kid`.
///
/// A key that cannot be used never spoils the others: it is in [`KeySet::skipped`] with the
/// reason, so a set may come back with no usable key in it.
///
/// # Errors
/// The reason why the text holds no key at all, usable or not.
pub(crate) fn parse(text: &str) -> Result<KeySet, KeyTextError> {
    let text = unwrapped(text);
    if text.is_empty() {
        return Err(KeyTextError::Empty);
    }
    if text.starts_with(['{', '[']) {
        return parse_json(text);
    }
    let sections = pem::sections(text);
    if sections.is_empty() {
        return Err(KeyTextError::NotKeys { len: text.len() });
    }
    parse_sections(&sections)
}

/// The text without what surrounds it in variables and files: white space, a byte order mark, and
/// one pair of quotes.
fn unwrapped(text: &str) -> &str {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let quoted = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    quoted('"').or_else(|| quoted('\'')).unwrap_or(text).trim()
}

fn parse_json(text: &str) -> Result<KeySet, KeyTextError> {
    let set = KeySet::parse_either(text.as_bytes(), Provenance::Operator, KEY_LIMIT)
        .map_err(KeyTextError::from)?;
    if set.is_empty() { Err(KeyTextError::EmptySet) } else { Ok(set) }
}

impl From<KeySetProblem> for KeyTextError {
    fn from(problem: KeySetProblem) -> Self {
        match problem {
            KeySetProblem::TooManyKeys { found, limit } => Self::TooManyKeys { found, limit },
            KeySetProblem::Json(JsonError { problem: JsonProblem::DuplicateMember(_), .. }) => {
                Self::DuplicateMember
            }
            KeySetProblem::Json(JsonError { at, .. }) => Self::NotJson { at },
            _ => Self::NeitherJwkNorSet,
        }
    }
}

fn parse_sections(sections: &[Section<'_>]) -> Result<KeySet, KeyTextError> {
    // Parameters stand beside an EC private key as OpenSSL writes it; the key repeats them.
    let sections: Vec<_> =
        sections.iter().filter(|s| s.label != Some(pem::EC_PARAMETERS)).collect();
    if sections.len() > KEY_LIMIT {
        return Err(KeyTextError::TooManyKeys { found: sections.len(), limit: KEY_LIMIT });
    }
    if !sections.iter().any(|s| Label::of(s).is_some()) {
        let labels = sections.iter().map(|s| s.label.map(Into::into)).collect();
        return Err(KeyTextError::NoKeySection { labels });
    }
    let issuers: Vec<&[u8]> = sections.iter().filter_map(|s| material::issued_by(s)).collect();
    let mut set = Collected::default();
    for section in sections {
        match material::read(section, &issuers) {
            Ok(found) => set.add(found),
            Err((kty, why)) => set.skip(kty, why),
        }
    }
    Ok(set.into_set())
}

/// The keys of several sections, each material once.
#[derive(Default)]
struct Collected {
    found: Vec<Found>,
    skipped: Vec<SkippedKey>,
}

impl Collected {
    fn add(&mut self, found: Found) {
        match self.found.iter_mut().find(|known| known.material == found.material) {
            Some(known) => known.private |= found.private,
            None => self.found.push(found),
        }
    }

    fn skip(&mut self, kty: Option<&str>, why: KeyProblem) {
        self.skipped.push(SkippedKey { kid: None, kty: kty.map(Into::into), why });
    }

    fn into_set(mut self) -> KeySet {
        let mut set = KeySet::default();
        for found in core::mem::take(&mut self.found) {
            let kty = found.material.kty();
            match key(found) {
                Ok(key) => set.push(Arc::new(key)),
                Err(why) => self.skip(Some(kty), why),
            }
        }
        for skipped in self.skipped {
            set.push_skipped(skipped);
        }
        set
    }
}

fn key(found: Found) -> Result<Jwk, KeyProblem> {
    let algorithm = match found.material {
        Material::MlDsa { algorithm, .. } => Some(algorithm),
        _ => None,
    };
    let key = Jwk::new(None, algorithm, found.material)?;
    Ok(if found.private { key.with_private_part_seen() } else { key })
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ML_DSA_65_SIGNING, PqdsaKeyPair};
    use keystead_core::{Algorithm, EcCurve};
    use proptest::prelude::*;

    use super::*;

    macro_rules! test_key {
        ($name:literal) => {
            include_str!(concat!("../../../tests/data/keys/", $name))
        };
    }

    const RSA: &str = test_key!("test-rsa-2048.spki.pem");
    const P256: &str = test_key!("test-p256.spki.pem");
    const ED25519: &str = test_key!("test-ed25519.spki.pem");

    /// The one key of a text.
    fn key(text: &str) -> Jwk {
        let set = parse(text).unwrap();
        assert_eq!(set.skipped(), [], "in {text:?}");
        assert_eq!(set.keys().len(), 1, "in {text:?}");
        Jwk::clone(&set.keys()[0])
    }

    /// Why the one key of a text cannot be used.
    fn why(text: &str) -> KeyProblem {
        let set = parse(text).unwrap();
        assert_eq!(set.keys(), [], "in {text:?}");
        assert_eq!(set.skipped().len(), 1, "in {text:?}");
        set.skipped()[0].why.clone()
    }

    /// G34
    #[test]
    fn every_form_of_a_key_gives_the_same_public_key() {
        let forms: [(&[&str], &[&str]); 5] = [
            (
                &[RSA, test_key!("test-rsa-2048.pkcs1-public.pem")],
                &[test_key!("test-rsa-2048.pkcs8.pem"), test_key!("test-rsa-2048.pkcs1.pem")],
            ),
            (
                &[
                    P256,
                    test_key!("test-p256.compressed.pem"),
                    test_key!("test-authority.cert.pem"),
                ],
                &[test_key!("test-p256.pkcs8.pem"), test_key!("test-p256.sec1.pem")],
            ),
            (
                &[test_key!("test-p384.spki.pem"), test_key!("test-signer.cert.pem")],
                &[test_key!("test-p384.pkcs8.pem"), test_key!("test-p384.sec1-no-public.pem")],
            ),
            (&[test_key!("test-p521.spki.pem")], &[test_key!("test-p521.pkcs8.pem")]),
            (&[ED25519], &[test_key!("test-ed25519.pkcs8.pem")]),
        ];
        for (public, private) in forms {
            let first = key(public[0]);
            for text in public.iter().chain(private) {
                let key = key(text);
                assert_eq!(key.thumbprint_input(), first.thumbprint_input(), "{text}");
                assert_eq!(key.private_part_seen(), private.contains(text), "{text}");
                assert_eq!((key.kid(), key.algorithm()), (None, None));
            }
        }
        let koblitz = key(test_key!("test-secp256k1.pkcs8.pem"));
        assert!(
            matches!(koblitz.material(), Material::Ec { curve: EcCurve::Secp256k1, .. }),
            "{koblitz:?}"
        );
        assert_eq!(
            koblitz.thumbprint_input(),
            key(test_key!("test-secp256k1.spki.pem")).thumbprint_input()
        );
    }

    #[test]
    fn an_ml_dsa_key_comes_with_its_algorithm() {
        use aws_lc_rs::encoding::AsDer;
        use aws_lc_rs::signature::KeyPair;

        let pair = PqdsaKeyPair::from_seed(&ML_DSA_65_SIGNING, &[3; 32]).unwrap();
        let pem = |label: &str, der: &[u8]| {
            let body = base64_simd::STANDARD.encode_to_string(der);
            format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
        };
        let private = pem("PRIVATE KEY", pair.to_pkcs8v1().unwrap().as_ref());
        let public = pem("PUBLIC KEY", pair.public_key().as_der().unwrap().as_ref());
        assert_eq!(key(&private), key(&public).with_private_part_seen());
        assert_eq!(key(&public).algorithm(), Some(Algorithm::MlDsa65));
        let Material::MlDsa { public: bytes, .. } = key(&public).material().clone() else {
            panic!("not ML-DSA")
        };
        assert_eq!(&*bytes, pair.public_key().as_ref());
    }

    /// G33
    #[test]
    fn text_is_read_as_variables_and_files_mangle_it() {
        let expected = key(RSA);
        let literal = RSA.replace('\n', "\\n");
        for text in [
            literal.clone(),
            literal.replace("\\n", "\\r\\n"),
            literal.replace("\\n", "\\\\n"),
            format!("\"{literal}\""),
            format!("'{RSA}'"),
            format!("  \t\"\n{RSA}\n\" \n"),
            RSA.replace('\n', "\r\n"),
            RSA.replace('\n', "\r"),
            RSA.replace('\n', " "),
            RSA.replace('\n', ""),
            RSA.replace('\n', "\n    "),
            format!("\u{feff}{RSA}"),
            format!("Bag Attributes\n  friendlyName: a\n{RSA}trailing words\n"),
        ] {
            assert_eq!(key(&text), expected, "in {text:?}");
        }
        let jwk =
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        for text in [jwk.into(), format!("\u{feff}{jwk}\n"), format!(" '{jwk}' ")] {
            assert_eq!(key(&text).kty(), "OKP");
        }
    }

    /// G33
    #[test]
    fn an_unusable_section_does_not_spoil_the_others() {
        let weak = test_key!("test-rsa-1024.pkcs8.pem");
        let garbage = "-----BEGIN PUBLIC KEY-----\n%%%\n-----END PUBLIC KEY-----\n";
        let set =
            parse(&[garbage, weak, P256, test_key!("test-ed448.spki.pem"), RSA].concat()).unwrap();
        let types: Vec<_> = set.keys().iter().map(|k| k.kty()).collect();
        assert_eq!(types, ["EC", "RSA"]);
        let why: Vec<_> = set.skipped().iter().map(|s| s.why.to_string()).collect();
        assert_eq!(
            why,
            [
                r#"PEM section 1 ("PUBLIC KEY") is not base64"#,
                r#"key type "Ed448" is not supported"#,
                "its RSA modulus has 1024 bits, accepted are 2048 to 8192",
            ]
        );
        assert_eq!(set.skipped()[2].kty.as_deref(), Some("RSA"));
    }

    #[test]
    fn the_reason_why_a_section_gives_no_key_is_named() {
        let section = |body: &str| format!("-----BEGIN PUBLIC KEY-----\n{body}\n");
        let end = "-----END PUBLIC KEY-----";
        for (text, reason) in [
            (
                test_key!("test-p256.encrypted.pem").to_owned(),
                r#"PEM section 1 ("ENCRYPTED PRIVATE KEY") is encrypted; write the public key instead"#,
            ),
            (
                test_key!("test-rsa-1024.pkcs1-encrypted.pem").to_owned(),
                r#"PEM section 1 ("RSA PRIVATE KEY") is encrypted; write the public key instead"#,
            ),
            (
                test_key!("test-rsa-pss.spki.pem").to_owned(),
                r#"key type "RSASSA-PSS" is not supported"#,
            ),
            (
                test_key!("test-p256.explicit.pem").to_owned(),
                r#"curve "explicit parameters" is not supported"#,
            ),
            (section("AAAA"), r#"PEM section 1 ("PUBLIC KEY") has no END line"#),
            (
                section("AAAA") + "-----END PRIVATE KEY-----",
                r#"PEM section 1 ("PUBLIC KEY") has an END line with another label"#,
            ),
            (section("") + end, r#"PEM section 1 ("PUBLIC KEY") is empty"#),
            (
                section("AAAA") + end,
                r#"PEM section 1 ("PUBLIC KEY") does not hold what its label says"#,
            ),
            (
                RSA.replace("PUBLIC KEY", "RSA PUBLIC KEY"),
                r#"PEM section 1 ("RSA PUBLIC KEY") does not hold what its label says"#,
            ),
        ] {
            assert_eq!(why(&text).to_string(), reason, "{text}");
        }
    }

    #[test]
    fn a_text_without_a_key_section_lists_the_labels() {
        let text = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n\
                    -----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n\
                    -----BEGIN PUBLIC KEY MFkwEwYHKoZIzj0\n";
        let error = parse(text).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the key text has no PEM section with a key, only \"CERTIFICATE REQUEST\", \
             \"OPENSSH PRIVATE KEY\", a section whose BEGIN line cannot be read"
        );
    }

    #[test]
    fn a_text_that_is_no_keys_says_why() {
        for (text, expected) in [
            ("", KeyTextError::Empty),
            (" \r\n\t", KeyTextError::Empty),
            ("\"\"", KeyTextError::Empty),
            ("' '", KeyTextError::Empty),
            ("garbage", KeyTextError::NotKeys { len: 7 }),
            ("\"", KeyTextError::NotKeys { len: 1 }),
            ("{\"keys\":[", KeyTextError::NotJson { at: 9 }),
            ("{}", KeyTextError::NeitherJwkNorSet),
            ("[]", KeyTextError::NeitherJwkNorSet),
            ("{\"keys\":{}}", KeyTextError::NeitherJwkNorSet),
            ("{\"keys\":[]}", KeyTextError::EmptySet),
            ("{\"k\":\"a\",\"k\":\"b\"}", KeyTextError::DuplicateMember),
        ] {
            assert_eq!(parse(text), Err(expected), "{text:?}");
        }
        let many = P256.repeat(KEY_LIMIT + 1);
        assert_eq!(parse(&many), Err(KeyTextError::TooManyKeys { found: 257, limit: 256 }));
        assert_eq!(parse(&P256.repeat(KEY_LIMIT)).unwrap().keys().len(), 1);
    }

    #[test]
    fn a_key_that_appears_twice_counts_once_and_remembers_its_private_part() {
        let both = [P256, test_key!("test-p256.pkcs8.pem")].concat();
        assert!(key(&both).private_part_seen());
    }

    #[test]
    fn the_authorities_of_a_pasted_chain_sign_no_tokens() {
        let chain =
            [test_key!("test-signer.cert.pem"), test_key!("test-authority.cert.pem")].concat();
        let set = parse(&chain).unwrap();
        assert_eq!(set.keys(), [Arc::new(key(test_key!("test-p384.spki.pem")))]);
        assert_eq!(
            set.skipped()[0].why.to_string(),
            r#"PEM section 2 ("CERTIFICATE") is the authority that issued another certificate beside it"#
        );
    }

    #[test]
    fn jwks_are_read_as_the_operators_own() {
        let set = parse(r#"{"keys":[{"kty":"oct","k":"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE","kid":"s"},{"kty":"x"}]}"#).unwrap();
        assert_eq!(set.keys()[0].kid(), Some("s"));
        assert_eq!(set.skipped()[0].why, KeyProblem::UnsupportedType("x".into()));
    }

    /// Every error and reason, for a text made of a secret: nothing of it may be repeated.
    fn assert_silent(text: &str, secret: &str) {
        let shown = match parse(text) {
            Ok(set) => format!(
                "{set:?}{:?}",
                set.skipped().iter().map(|s| s.why.to_string()).collect::<Vec<_>>()
            ),
            Err(error) => format!("{error}{error:?}"),
        };
        for part in secret.as_bytes().windows(12) {
            let part = core::str::from_utf8(part).unwrap();
            assert!(!shown.contains(part), "{part:?} of {text:?} in {shown:?}");
        }
    }

    #[test]
    fn no_error_repeats_the_text() {
        let private = test_key!("test-rsa-2048.pkcs1.pem");
        let body: String = private.lines().filter(|line| !line.starts_with('-')).collect();
        for text in [
            private.replace("-----END", "----END"),
            private.replace("KEY-----\n", "KEY----\n"),
            private.replace("KEY-----", ""),
            private.replace("RSA ", ""),
            private.replace('M', "%"),
            format!("-----BEGIN {body}-----{body}"),
            format!("-----BEGIN PRIVATE KEY-----\n-----END {body}-----"),
            body.clone(),
            format!("{{\"kty\":\"oct\",\"k\":\"{body}\",}}"),
            format!("{{\"{body}\":1,\"{body}\":1}}"),
        ] {
            assert_silent(&text, &body);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(-----BEGIN |-----END |PUBLIC KEY|-----|\\\\n|[A-Za-z0-9+/=]{0,9}|\\PC){0,40}") {
            let _result = parse(&text);
        }

        #[test]
        fn no_altered_key_makes_it_panic(
            which in 0..8_usize, cut in 0..4000_usize, at in 0..4000_usize, bit in 0..8_u8,
        ) {
            let pem = [
                RSA, P256, ED25519, test_key!("test-p256.compressed.pem"),
                test_key!("test-rsa-2048.pkcs8.pem"), test_key!("test-p384.sec1-no-public.pem"),
                test_key!("test-authority.cert.pem"), test_key!("test-ed25519.pkcs8.pem"),
            ][which];
            let label = pem.lines().next().unwrap().trim_matches('-').trim_start_matches("BEGIN ");
            let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
            let mut der = base64_simd::STANDARD.decode_to_vec(body).unwrap();
            let at = at % der.len();
            der[at] ^= 1 << bit;
            der.truncate(der.len() - cut % der.len() / 2);
            let body = base64_simd::STANDARD.encode_to_string(der);
            let _set = parse(&format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----")).unwrap();
        }
    }
}
