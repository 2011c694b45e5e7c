//! What happens to a token: acceptance rows that need neither network nor configuration.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic; clippy knows only functions marked as tests"
)]

mod support;

use std::ops::Range;
use std::time::Duration;

use keystead_core::{
    Algorithm, Check, ClaimRule, Diagnostics, Disabled, DisabledWhy, Freshness, Jwk, KeyOutcome,
    KeySet, Material, Reason, Requirements, StepVerdict,
};
use support::{ISSUER, Mint, NOW, Source, World, b64, ec, jwk, jwks, policy, rsa_json};

fn set(keys: impl IntoIterator<Item = Jwk>) -> KeySet {
    KeySet::new(keys)
}

/// One key with kid `k`.
fn ready() -> World {
    World::of([Source::network(set([ec(Some("k"), b'a')]))])
}

fn good(mint: Mint) -> String {
    mint.kid("k").signed_by(&ec(None, b'a'))
}

/// Which keys an explanation looked at, and what became of them.
fn considered(diagnostics: &Diagnostics) -> Vec<(Option<&str>, KeyOutcome)> {
    diagnostics.keys.iter().map(|key| (key.kid.as_deref(), key.outcome.clone())).collect()
}

mod tokens {
    use super::*;

    #[test]
    fn an_accepted_token_knows_its_provider_its_key_and_where_that_came_from() {
        let token = ready().verify(&good(Mint::new().claim("n", "1"))).unwrap();
        assert_eq!((token.provider(), &*token.issuer()), ("acme", ISSUER));
        assert_eq!(token.kid(), Some("k"));
        assert_eq!(token.key_origin(), "jwks_url https://idp.acme.example/certs");
        assert_eq!(token.freshness(), Freshness::Fresh);
        assert_eq!(token.claims().subject().as_deref(), Some("alice"));
        assert_eq!(token.claims().member("n").unwrap().text(), "1");
        assert_eq!(token.header().alg(), "ES256");
        assert!(!format!("{token:?}").contains("alice"), "claims may be personal");
    }

    /// G14: the field story of an empty bearer, once a face has taken the scheme away.
    #[test]
    fn an_empty_token_is_named_so() {
        let explained = ready().explain("");
        let refused = explained.refused.unwrap();
        assert_eq!((refused.code().as_str(), refused.http_status()), ("token.empty", 401));
        assert!(refused.hint().ends_with("the caller had no token to send"), "{}", refused.hint());
        assert_eq!((explained.token.length, explained.token.segments), (0, 0));
    }

    /// T35, G15: an opaque token, or any other number of segments.
    #[test]
    fn a_wrong_number_of_segments_is_counted() {
        for (text, sentence) in [
            ("abc", "token has 1 segment, expected 3"),
            ("a.b", "token has 2 segments, expected 3"),
            ("a.b.c.d", "token has 4 segments, expected 3"),
            ("a.b.c.d.e", "token has 5 segments, expected 3"),
            ("..", "header is not JSON at byte 0"),
        ] {
            let refused = ready().verify(text).unwrap_err();
            assert_eq!((refused.sentence().as_str(), refused.http_status()), (sentence, 401));
        }
        let encrypted = format!("{}.a.b.c.d", b64(r#"{"alg":"dir","enc":"A128GCM"}"#));
        assert_eq!(ready().code(&encrypted), "token.encrypted");
        let many = ".".repeat(16_000);
        assert_eq!(
            ready().verify(&many).unwrap_err().reason(),
            &Reason::Segments { found: 16_001 }
        );
    }

    /// T17: no algorithm but those asked for, and never one that the token picks for the key.
    #[test]
    fn no_token_chooses_its_algorithm() {
        let rsa = jwk(&rsa_json(b'r', r#","kid":"k""#));
        let world = || World::of([Source::network(set([rsa.clone()]))]);
        let hs256 = Mint::new().kid("k").header("alg", r#""HS256""#);
        let token = hs256.signed_with(&rsa, Algorithm::Hs256);
        assert_eq!(world().code(&token), "alg.not_allowed");
        for none in ["none", "None", "NONE", "nOnE", "none ", "", "RS256 ", "rs256"] {
            let token = Mint::new().header("alg", &format!("\"{none}\"")).signed_by(&rsa);
            assert_eq!(world().code(&token), "alg.not_allowed", "{none:?}");
            let unsigned = token.rsplit_once('.').unwrap().0.to_owned() + ".";
            assert_eq!(world().code(&unsigned), "alg.not_allowed", "{none:?}");
        }
        // With HS256 in the list, the key still is none for it.
        let careless = world().policy(|p| p.algorithms = p.algorithms.with(Algorithm::Hs256));
        let refused = careless.verify(&token).unwrap_err();
        assert_eq!(refused.code().as_str(), "key.mismatch");
        assert_eq!(considered(&careless.explain(&token)).len(), 1);
    }

    #[test]
    fn a_shared_secret_counts_only_when_the_operator_wrote_it() {
        let secret = r#"{"kty":"oct","kid":"k","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}"#;
        let mint = Mint::new().kid("k").header("alg", r#""HS256""#);
        let token = mint.signed_with(&jwk(secret), Algorithm::Hs256);
        let allow =
            |world: World| world.policy(|p| p.algorithms = p.algorithms.with(Algorithm::Hs256));
        assert_eq!(allow(World::of([Source::memory(set([jwk(secret)]))])).code(&token), "ok");
        let published = jwks(&[secret.to_owned(), rsa_json(b'r', "")]);
        assert_eq!(allow(World::of([Source::network(published)])).code(&token), "key.mismatch");
    }

    /// T18, G27: every token has an end, and clocks may differ by a minute.
    #[test]
    fn expiry_is_required_and_has_a_leeway() {
        assert_eq!(ready().code(&good(Mint::new().without("exp"))), "claim.missing");
        let expired = good(Mint::new().claim("exp", &(NOW - 30).to_string()));
        assert_eq!(ready().code(&expired), "ok");
        let strict = Requirements::new().leeway(Duration::ZERO);
        assert_eq!(ready().asking(strict).code(&expired), "token.expired");
    }

    /// K28: a clock that is ahead.
    #[test]
    fn a_token_from_a_clock_ahead_is_refused_with_the_difference() {
        let in_seconds = |n: u64| good(Mint::new().claim("nbf", &(NOW + n).to_string()));
        assert_eq!(ready().code(&in_seconds(45)), "ok");
        let refused = ready().verify(&in_seconds(90)).unwrap_err();
        assert_eq!(refused.code().as_str(), "token.not_yet_valid");
        assert_eq!(refused.sentence(), "token becomes valid in 90 s");
    }

    /// G26: absent and wrong audiences are refused, one of several will do.
    #[test]
    fn the_audience_must_name_us() {
        let code = |aud: &str| ready().code(&good(Mint::new().claim("aud", aud)));
        assert_eq!(ready().code(&good(Mint::new().without("aud"))), "claim.missing");
        assert_eq!(code(r#""billing""#), "audience.not_accepted");
        assert_eq!(code(r#"["billing","catalog"]"#), "ok");
        for near in
            [r#""catalog ""#, r#""Catalog""#, r#""catalog,billing""#, r#""""#, "[]", r#""*""#]
        {
            assert_eq!(code(near), "audience.not_accepted", "{near}");
        }
        for wrong in ["null", "7", r#"{"catalog":1}"#, r#"["catalog",7]"#, r#"[["catalog"]]"#] {
            assert_eq!(code(wrong), "claim.type", "{wrong}");
        }
    }

    /// G23: 403 says that the caller is who it says it is.
    #[test]
    fn a_missing_scope_is_forbidden_only_for_a_genuine_token() {
        let world = ready().policy(|p| p.scopes = vec!["feature3".to_owned()]);
        let mint = Mint::new().claim("scopes", r#"["feature1"]"#);
        let refused = world.verify(&good(mint.clone())).unwrap_err();
        assert_eq!((refused.code().as_str(), refused.http_status()), ("scope.insufficient", 403));
        let forged = mint.kid("k").signed_by(&ec(None, b'z'));
        assert_eq!(world.code(&forged), "signature.invalid");
        assert_eq!(world.code(&good(Mint::new().claim("scopes", r#"["feature3"]"#))), "ok");
        assert_eq!(world.code(&good(Mint::new().claim("scope", r#""a feature3""#))), "ok");
        assert_eq!(world.code(&good(Mint::new().claim("scp", r#"["feature3"]"#))), "ok");
        assert_eq!(
            world.code(&good(Mint::new().claim("scope", r#""feature33""#))),
            "scope.insufficient"
        );
    }
}

mod issuers {
    use super::*;

    fn of_issuer(issuer: &str) -> String {
        good(Mint::new().claim("iss", &format!("\"{issuer}\"")))
    }

    /// T19: the difference is named, and never forgiven.
    #[test]
    fn a_trailing_slash_is_another_issuer() {
        let world = World::new().with(
            "acme",
            policy(&format!("{ISSUER}/")),
            [Source::network(set([ec(Some("k"), b'a')]))],
        );
        let refused = world.verify(&of_issuer(ISSUER)).unwrap_err();
        assert_eq!((refused.code().as_str(), refused.http_status()), ("issuer.unknown", 401));
        assert_eq!(
            refused.hint(),
            "it differs only by a trailing slash from providers.acme.issuer \
             \"https://idp.acme.example/realms/a/\"; if both name the same realm, add it to \
             providers.acme.aliases"
        );
    }

    /// K4: prefixes, cases, ports, percent signs: each is another issuer.
    #[test]
    fn an_issuer_is_never_loosened() {
        for variant in [
            "https://idp.acme.example/realms",
            "https://idp.acme.example/realms/ab",
            "https://idp.acme.example/realms/A",
            "https://IDP.acme.example/realms/a",
            "https://idp.acme.example/realms/a/",
            "https://idp.acme.example/realms%2Fa",
            "https://idp.acme.example:443/realms/a",
            "https://u@idp.acme.example/realms/a",
            "https://idp.acme.example/realms/./a",
            "https://idp.acme.example/realms/a?x",
            "https://idp.acme.example/realms/a#x",
            "http://idp.acme.example/realms/a",
            " https://idp.acme.example/realms/a",
            "https://idp.acme.example/realms/a\\u0000",
            "https://idp.acme.example/realms/\u{430}",
            "",
        ] {
            assert_eq!(ready().code(&of_issuer(variant)), "issuer.unknown", "{variant:?}");
        }
        assert_eq!(ready().code(&of_issuer("https:\\/\\/idp.acme.example/realms/\\u0061")), "ok");
    }

    /// K2: a routing alias that was configured as the issuer: both strings, and the line to write.
    #[test]
    fn an_alias_host_is_not_the_issuer() {
        let world = World::new().with(
            "keycloak",
            policy("https://identity.acme.example/realms/akko"),
            [Source::network(set([ec(Some("k"), b'a')]))],
        );
        let token = of_issuer("https://keycloak.acme.example/realms/akko");
        let refused = world.verify(&token).unwrap_err();
        assert_eq!(refused.code().as_str(), "issuer.unknown");
        let said = format!("{refused}; {}", refused.hint());
        assert_eq!(
            said,
            "issuer \"https://keycloak.acme.example/realms/akko\" is not configured; it differs \
             only in host from providers.keycloak.issuer \
             \"https://identity.acme.example/realms/akko\"; if both name the same realm, add it to \
             providers.keycloak.aliases"
        );
        let explained = world.explain(&token);
        let step = explained.steps.iter().find(|step| step.check == Check::Issuer).unwrap();
        assert_eq!(step.detail.presented, "\"https://keycloak.acme.example/realms/akko\"");
        assert_eq!(step.detail.accepted, "\"https://identity.acme.example/realms/akko\"");
    }

    /// K3: declared aliases are accepted, and passed on as they came.
    #[test]
    fn a_declared_alias_is_accepted_and_passed_on_unchanged() {
        let mut policy = policy(ISSUER);
        let alias = |host: &str| format!("https://{host}.acme.example/realms/a");
        policy.aliases = ["identity", "login", "auth"].map(alias).to_vec();
        let source = Source::network(set([ec(Some("k"), b'a')]));
        let world = World::new().with("keycloak", policy, [source]);
        for issuer in [ISSUER.to_owned(), alias("identity"), alias("login"), alias("auth")] {
            let token = world.verify(&of_issuer(&issuer)).unwrap();
            assert_eq!((token.provider(), &*token.issuer()), ("keycloak", &*issuer));
        }
        assert_eq!(world.code(&of_issuer(&alias("sso"))), "issuer.unknown");
    }

    /// K25, G25: whatever its kid, a key of one issuer verifies nothing of another.
    #[test]
    fn keys_are_never_shared_across_issuers() {
        let other = "https://gitlab.example";
        for (kid_of_other, code) in
            [(Some("k"), "signature.invalid"), (Some("x"), "key.unknown_kid")]
        {
            let sources = |kid: Option<&str>, letter| [Source::network(set([ec(kid, letter)]))];
            let forward = World::new().with("acme", policy(ISSUER), sources(Some("k"), b'a')).with(
                "gitlab",
                policy(other),
                sources(kid_of_other, b'b'),
            );
            let backward = World::new()
                .with("gitlab", policy(other), sources(kid_of_other, b'b'))
                .with("acme", policy(ISSUER), sources(Some("k"), b'a'));
            let forged = Mint::new().kid(kid_of_other.unwrap()).signed_by(&ec(None, b'b'));
            let nameless = Mint::new().signed_by(&ec(None, b'b'));
            for world in [forward, backward] {
                assert_eq!(world.code(&forged), code);
                assert_eq!(world.code(&nameless), "signature.invalid");
                assert_eq!(world.code(&of_issuer(ISSUER)), "ok");
            }
        }
    }

    #[test]
    fn a_token_without_a_readable_issuer_belongs_to_nobody() {
        assert_eq!(ready().code(&good(Mint::new().without("iss"))), "claim.missing");
        for json in ["null", "7", "{}", r#"["https://idp.acme.example/realms/a"]"#] {
            assert_eq!(ready().code(&good(Mint::new().claim("iss", json))), "claim.type", "{json}");
        }
    }
}

mod keys {
    use super::*;

    /// T4: while a key may exist that is not known here, nobody's token is called bad.
    #[test]
    fn an_unknown_kid_is_unavailable_while_a_source_is_out_of_reach() {
        let world = World::of([
            Source::memory(set([ec(Some("other"), b'b')])),
            Source::network(KeySet::default()).failed(),
        ]);
        let refused = world.verify(&good(Mint::new())).unwrap_err();
        assert_eq!((refused.code().as_str(), refused.http_status()), ("keys.unavailable", 503));
        assert_eq!(refused.retry_after(), Some(Duration::from_secs(12)));
        let expired = good(Mint::new().claim("exp", &(NOW - 100).to_string()));
        let refused = world.verify(&expired).unwrap_err();
        assert_eq!((refused.code().as_str(), refused.http_status()), ("token.expired", 401));
    }

    /// T5: once every source has answered, an unknown kid is the token's fault.
    #[test]
    fn an_unknown_kid_is_refused_once_every_source_has_answered() {
        let world = World::of([
            Source::memory(set([ec(Some("other"), b'b')])),
            Source::network(set([ec(Some("third"), b'c')])),
        ]);
        let refused = world.verify(&good(Mint::new())).unwrap_err();
        assert_eq!((refused.code().as_str(), refused.http_status()), ("key.unknown_kid", 401));
    }

    /// T14: a kid binds, so no other key is tried.
    #[test]
    fn a_bad_signature_is_not_tried_against_keys_with_another_kid() {
        let world = World::of([Source::network(set([ec(Some("a"), b'a'), ec(Some("b"), b'b')]))]);
        let token = Mint::new().kid("a").signed_by(&ec(None, b'b'));
        let refused = world.verify(&token).unwrap_err();
        assert_eq!((refused.code().as_str(), refused.http_status()), ("signature.invalid", 401));
        assert_eq!(considered(&world.explain(&token)), [(Some("a"), KeyOutcome::Refused)]);
        assert_eq!(world.code(&Mint::new().kid("A").signed_by(&ec(None, b'a'))), "key.unknown_kid");
    }

    /// T15, K12: without a kid, the keys that fit are tried, and no others.
    #[test]
    fn a_token_without_a_kid_tries_the_signing_keys_that_fit() {
        let world = World::of([Source::network(jwks(&[
            rsa_json(b'e', r#","kid":"e","use":"enc","alg":"RSA-OAEP""#),
            rsa_json(b'a', r#","kid":"a","use":"sig""#),
            rsa_json(b'b', r#","kid":"b""#),
        ]))]);
        let mint = Mint::new().header("alg", r#""RS256""#);
        let by = |letter| mint.signed_with(&jwk(&rsa_json(letter, "")), Algorithm::Rs256);
        assert_eq!(world.verify(&by(b'b')).unwrap().kid(), Some("b"));
        let forged = by(b'e');
        assert_eq!(
            world.verify(&forged).unwrap_err().reason(),
            &Reason::BadSignature { candidates: 2 }
        );
        let tried = [(Some("a"), KeyOutcome::Refused), (Some("b"), KeyOutcome::Refused)];
        assert_eq!(considered(&world.explain(&forged)), tried);
    }

    /// K12: an encryption key may even have the kid of the signing key.
    #[test]
    fn an_encryption_key_never_stands_in_the_way() {
        let world = World::of([Source::network(jwks(&[
            rsa_json(b'e', r#","kid":"k","use":"enc","alg":"RSA-OAEP""#),
            rsa_json(b'a', r#","kid":"k","use":"sig""#),
        ]))]);
        let mint = Mint::new().kid("k").header("alg", r#""RS256""#);
        let by = |letter| mint.signed_with(&jwk(&rsa_json(letter, "")), Algorithm::Rs256);
        assert_eq!(world.code(&by(b'a')), "ok");
        assert_eq!(world.code(&by(b'e')), "signature.invalid");
    }

    /// G28, G29: two keys that the operator wrote, and an issuer that is no URL.
    #[test]
    fn a_local_issuer_with_two_keys_without_kids_is_served() {
        let keys = set([ec(None, b's'), ec(None, b'v')]);
        let world = World::new().with("local", policy("ai-gateway"), [Source::memory(keys)]);
        let mint = Mint::new().claim("iss", "\"ai-gateway\"");
        for letter in [b's', b'v'] {
            assert_eq!(world.code(&mint.signed_by(&ec(None, letter))), "ok");
        }
        assert_eq!(world.code(&mint.signed_by(&ec(None, b'x'))), "signature.invalid");
    }

    #[test]
    fn equal_kids_are_tried_in_turn_and_then_the_keys_without_one() {
        let world = World::of([Source::network(set([
            ec(None, b'n'),
            ec(Some("k"), b'a'),
            ec(Some("k"), b'b'),
            ec(Some("x"), b'x'),
        ]))]);
        let by = |letter| Mint::new().kid("k").signed_by(&ec(None, letter));
        assert_eq!(world.verify(&by(b'b')).unwrap().kid(), Some("k"));
        assert_eq!(world.verify(&by(b'n')).unwrap().kid(), None);
        let forged = by(b'x');
        let refused = world.verify(&forged).unwrap_err();
        assert_eq!(refused.reason(), &Reason::BadSignature { candidates: 3 });
        let explained = world.explain(&forged);
        let kids: Vec<_> = considered(&explained).into_iter().map(|key| key.0).collect();
        assert_eq!(kids, [Some("k"), Some("k"), None]);
    }

    /// A PEM key has no kid: that it did not sign says nothing about the key that the token names.
    #[test]
    fn a_key_without_a_kid_that_did_not_sign_leaves_the_kid_unknown() {
        let pem = || Source::memory(set([ec(None, b'p')]));
        let token = Mint::new().kid("k").signed_by(&ec(None, b'z'));
        assert_eq!(World::of([pem()]).code(&token), "key.unknown_kid");
        let waiting = World::of([pem(), Source::network(KeySet::default()).failed()]);
        assert_eq!(waiting.code(&token), "keys.unavailable");
        assert_eq!(waiting.code(&Mint::new().kid("k").signed_by(&ec(None, b'p'))), "ok");
        let nameless = Mint::new().signed_by(&ec(None, b'z'));
        assert_eq!(waiting.code(&nameless), "signature.invalid", "no key is named: it was tried");
    }

    #[test]
    fn the_key_that_is_named_decides_what_is_said() {
        let named = |more: &str| {
            World::of([Source::network(jwks(&[rsa_json(b'r', more), rsa_json(b's', "")]))])
        };
        let token = good(Mint::new());
        assert_eq!(named(r#","kid":"k""#).code(&token), "key.mismatch", "a key of another type");
        assert_eq!(named(r#","kid":"k","alg":"RS512""#).code(&token), "key.mismatch");
        assert_eq!(named(r#","kid":"k","key_ops":["sign"]"#).code(&token), "key.mismatch");
        assert_eq!(named(r#","kid":"k","n":7"#).code(&token), "key.unusable", "twice the member n");
        assert_eq!(named(r#","kid":"other""#).code(&token), "key.unknown_kid");
        // A mismatch needs no other keys to be sure of: the state does not matter.
        let stale = World::of([Source::network(jwks(&[rsa_json(b'r', r#","kid":"k""#)])).failed()]);
        assert_eq!(stale.code(&token), "key.mismatch");
    }

    /// Of all that was found out about the keys with a kid, the caller is told what says most.
    #[test]
    fn of_several_keys_with_one_kid_the_one_that_says_most_is_reported() {
        const WEAK: &str = r#"{"kty":"RSA","kid":"k","n":"AQAB","e":"AQAB"}"#;
        let weaker = WEAK.replace("AQAB\",\"e", "AQ\",\"e");
        let encrypting = rsa_json(b'e', r#","kid":"k","use":"enc""#);
        let other_type = rsa_json(b'r', r#","kid":"k""#);
        let live = rsa_json(b's', r#","kid":"s""#);
        let code = |keys: &[&str]| {
            let keys: Vec<_> = keys.iter().map(ToString::to_string).collect();
            World::of([Source::network(jwks(&keys))]).code(&good(Mint::new()))
        };
        for (one, other) in [(WEAK, &encrypting), (WEAK, &other_type)] {
            assert_eq!(code(&[one, other, &live]), "key.mismatch");
            assert_eq!(code(&[other, one, &live]), "key.mismatch");
        }
        // That a key is weak says more than that another one is too old, and less than that one fits.
        let weak = || Source::network(jwks(&[WEAK.to_owned(), weaker.clone(), live.clone()]));
        let held = |letter| Source::network(set([ec(Some("k"), letter)]));
        let token = good(Mint::new());
        let refused = World::of([held(b'a').expired(), weak()]).verify(&token).unwrap_err();
        assert_eq!(refused.code().as_str(), "key.unusable");
        assert!(refused.hint().contains("17 bits"), "the first: {}", refused.hint());
        assert_eq!(World::of([held(b'b'), weak()]).code(&token), "signature.invalid");
        assert_eq!(World::of([held(b'a'), weak()]).code(&token), "ok");
    }

    #[test]
    fn an_algorithm_is_bound_to_its_curve_and_to_the_alg_of_the_key() {
        let bound = Jwk::new(
            Some("k"),
            Some(Algorithm::Es256),
            Material::Ec {
                curve: keystead_core::EcCurve::P256,
                x: [7; 32].into(),
                y: [1; 32].into(),
            },
        );
        let bound = bound.unwrap();
        let world = World::of([Source::network(set([bound.clone()]))]);
        assert_eq!(world.code(&Mint::new().kid("k").signed_by(&bound)), "ok");
        let es384 = Mint::new().kid("k").header("alg", r#""ES384""#);
        assert_eq!(world.code(&es384.signed_with(&bound, Algorithm::Es384)), "key.mismatch");
        let nameless = Mint::new().header("alg", r#""ES384""#);
        let token = nameless.signed_with(&bound, Algorithm::Es384);
        assert_eq!(world.code(&token), "key.unknown_kid", "no key is named, and none fits");
    }

    #[test]
    fn a_token_without_a_kid_tries_sixteen_keys_at_most() {
        let world = |keys: u8| World::of([Source::network(set((0..keys).map(|n| ec(None, n))))]);
        let by_last = |keys: u8| Mint::new().signed_by(&ec(None, keys - 1));
        assert_eq!(world(16).code(&by_last(16)), "ok");
        let refused = world(17).verify(&by_last(17)).unwrap_err();
        assert_eq!(refused.reason(), &Reason::Ambiguous { fitting: 17 });
        assert!(world(17).explain(&by_last(17)).keys.is_empty(), "no signature was looked at");
        // Keys that do not fit do not count.
        let rsa = (0..20).map(|n| jwk(&rsa_json(n, "")));
        let mixed = World::of([Source::network(set(rsa.chain([ec(None, b'a')])))]);
        assert_eq!(mixed.code(&Mint::new().signed_by(&ec(None, b'a'))), "ok");
        let held =
            |letters: Range<u8>| Source::network(set(letters.map(|letter| ec(None, letter))));
        let renewed = World::of([held(0..16).expired(), held(16..32)]);
        assert_eq!(renewed.code(&by_last(32)), "ok", "nor do keys that are too old");
        // Nor does a kid lift the limit.
        let equal = World::of([Source::network(set((0..20).map(|n| ec(Some("k"), n))))]);
        let refused = equal.verify(&Mint::new().kid("k").signed_by(&ec(None, 19))).unwrap_err();
        assert_eq!(refused.reason(), &Reason::BadSignature { candidates: 16 });
    }

    #[test]
    fn expired_keys_are_not_used_and_not_called_wrong() {
        let key = || set([ec(Some("k"), b'a')]);
        let alone = World::of([Source::network(key()).expired()]);
        assert_eq!(alone.code(&good(Mint::new())), "keys.expired");
        assert_eq!(alone.code(&Mint::new().signed_by(&ec(None, b'a'))), "keys.expired");
        assert_eq!(alone.code(&Mint::new().kid("x").signed_by(&ec(None, b'a'))), "keys.expired");
        let token = good(Mint::new());
        let explained = alone.explain(&token);
        assert_eq!(considered(&explained), [(Some("k"), KeyOutcome::Expired)]);
        assert_eq!(explained.keys[0].age, Some(Duration::from_secs(90_000)));
        let beside = World::of([
            Source::network(key()).expired(),
            Source::memory(set([ec(Some("m"), b'm')])),
        ]);
        assert_eq!(beside.code(&token), "keys.expired");
        assert_eq!(beside.code(&Mint::new().kid("m").signed_by(&ec(None, b'm'))), "ok");
        assert_eq!(
            beside.code(&Mint::new().kid("x").signed_by(&ec(None, b'm'))),
            "keys.unavailable"
        );
        // The same key of a source that still answers is used.
        let twice = World::of([Source::network(key()).expired(), Source::network(key())]);
        assert_eq!(twice.code(&token), "ok");
    }

    #[test]
    fn last_known_good_keys_verify_and_are_called_stale() {
        let world = World::of([
            Source::memory(set([ec(Some("m"), b'm')])),
            Source::network(set([ec(Some("k"), b'a')])).failed(),
        ]);
        let freshness = |token: &str| world.verify(token).unwrap().freshness();
        assert_eq!(freshness(&good(Mint::new())), Freshness::Stale);
        assert_eq!(freshness(&Mint::new().kid("m").signed_by(&ec(None, b'm'))), Freshness::Fresh);
        assert_eq!([Freshness::Fresh, Freshness::Stale].map(Freshness::as_str), ["fresh", "stale"]);
    }
}

mod cannot_judge {
    use super::*;

    fn unjudgeable() -> [(&'static str, World); 4] {
        let key = || set([ec(Some("other"), b'o')]);
        [
            ("cold", World::of([])),
            ("cold", World::of([Source::network(KeySet::default()).failed()])),
            ("stale", World::of([Source::network(key()).failed()])),
            ("expired", World::of([Source::network(key()).expired()])),
        ]
    }

    fn mint() -> Mint {
        Mint::new().claim("tenant", "\"acme\"")
    }

    /// A token for each check that needs no key, and the code it must have.
    fn hopeless() -> Vec<(Mint, &'static str)> {
        let at = |time: u64| time.to_string();
        vec![
            (mint().header("alg", r#""none""#), "alg.not_allowed"),
            (mint().header("typ", r#""logout+jwt""#), "typ.not_accepted"),
            (mint().header("crit", r#"["x"]"#), "crit.unsupported"),
            (mint().header("zip", r#""DEF""#), "crit.unsupported"),
            (mint().claim("exp", &at(NOW - 61)), "token.expired"),
            (mint().without("exp"), "claim.missing"),
            (mint().claim("nbf", &at(NOW + 61)), "token.not_yet_valid"),
            (mint().claim("nbf", "\"0\""), "claim.type"),
            (mint().claim("iat", &at(NOW + 61)), "token.issued_in_future"),
            (mint().claim("iat", &at(NOW - 90_000)), "token.too_old"),
            (mint().claim("aud", "\"billing\""), "audience.not_accepted"),
            (mint().without("aud"), "claim.missing"),
            (mint().claim("sub", "7"), "claim.type"),
            (mint().claim("jti", "null"), "claim.type"),
            (mint().without("tenant"), "claim.missing"),
            (mint().claim("tenant", "\"globex\""), "claim.mismatch"),
            (mint().claim("iss", "\"ci\""), "issuer.unknown"),
        ]
    }

    /// Promise 8.
    #[test]
    fn a_token_that_no_key_could_save_is_refused_in_every_state() {
        for (state, world) in unjudgeable() {
            let world = world.policy(|p| {
                p.max_token_age = Some(Duration::from_secs(3_600));
                p.required_claims =
                    vec![("tenant".to_owned(), ClaimRule::OneOf(vec!["acme".to_owned()]))];
            });
            for (mint, code) in hopeless() {
                let refused = world.verify(&good(mint)).unwrap_err();
                assert_eq!(refused.code().as_str(), code, "{state}: {refused}");
                assert_eq!((refused.http_status(), refused.retry_after()), (401, None));
            }
            let refused = world.verify(&good(mint())).unwrap_err();
            assert_eq!(refused.http_status(), 503, "{state}");
            assert_eq!(world.explain(&good(mint())).failures().count(), 1, "{state}");
        }
    }

    /// Promise 8: the policy of a provider with mistakes cannot be trusted either.
    #[test]
    fn a_misconfigured_provider_cannot_judge_and_one_that_is_off_refuses() {
        let expired = good(Mint::new().claim("exp", "0"));
        let with = |why| ready().disabled(Disabled::new(why, "because"));
        for token in [good(Mint::new()), expired] {
            let refused = with(DisabledWhy::Misconfigured).verify(&token).unwrap_err();
            assert_eq!((refused.code().as_str(), refused.http_status()), ("keys.unavailable", 503));
            assert_eq!(refused.retry_after(), Some(Duration::from_secs(60)));
            for why in [DisabledWhy::Off, DisabledWhy::Unset] {
                let refused = with(why).verify(&token).unwrap_err();
                assert_eq!(
                    (refused.code().as_str(), refused.http_status()),
                    ("issuer.disabled", 401)
                );
                assert_eq!(refused.retry_after(), None);
            }
        }
    }

    /// Promise 8: a forged token is no reason to doubt the state of a provider.
    #[test]
    fn a_bad_signature_is_refused_in_every_state_that_can_verify() {
        let forged = Mint::new().kid("k").signed_by(&ec(None, b'z'));
        let key = || Source::network(set([ec(Some("k"), b'a')]));
        assert_eq!(World::of([key()]).code(&forged), "signature.invalid");
        assert_eq!(World::of([key().failed()]).code(&forged), "signature.invalid");
    }
}

mod explanations {
    use super::*;

    fn words(diagnostics: &Diagnostics) -> Vec<(&'static str, char)> {
        let verdict = |step: &StepVerdict| match step {
            StepVerdict::Passed => '+',
            StepVerdict::Failed(_) => '-',
            _ => ' ',
        };
        diagnostics.steps.iter().map(|s| (s.check.as_str(), verdict(&s.verdict))).collect()
    }

    #[test]
    fn every_check_is_listed_in_order_whatever_happened() {
        let order: Vec<_> = Check::ALL.iter().map(|check| check.as_str()).collect();
        for token in ["", "a.b.c", &good(Mint::new()), &good(Mint::new().without("iss"))] {
            let names: Vec<_> = words(&ready().explain(token)).iter().map(|w| w.0).collect();
            assert_eq!(names, order);
        }
        let accepted = ready().explain(&good(Mint::new()));
        assert!(accepted.accepted() && words(&accepted).iter().all(|word| word.1 == '+'));
    }

    #[test]
    fn what_comes_after_the_first_refusal_is_shown_too() {
        let mint = Mint::new().claim("exp", "0").claim("aud", "\"billing\"");
        let token = mint.kid("k").signed_by(&ec(None, b'z'));
        let explained = ready().explain(&token);
        let codes: Vec<_> = explained.failures().map(|reason| reason.code().as_str()).collect();
        assert_eq!(codes, ["token.expired", "audience.not_accepted", "signature.invalid"]);
        assert_eq!(explained.refused.as_ref().unwrap().code().as_str(), "token.expired");
        assert_eq!(explained.provider.as_deref(), Some("acme"));
        assert_eq!(explained.token.issuer.as_deref(), Some(ISSUER));
        assert_eq!(explained.token.exp, Some(0.0));
        assert_eq!(explained.keys[0].origin, "jwks_url https://idp.acme.example/certs");
    }

    #[test]
    fn a_check_shows_what_was_presented_and_what_is_accepted() {
        let keys = set([ec(Some("k"), b'a'), ec(None, b'b')]);
        let token = good(Mint::new().claim("aud", r#"["catalog","x\u001b"]"#));
        let explained = World::of([Source::memory(keys)]).explain(&token);
        let of = |check| {
            let step = explained.steps.iter().find(|step| step.check == check).unwrap();
            (step.detail.presented.as_str(), step.detail.accepted.as_str())
        };
        assert_eq!(of(Check::Audience), (r#"["catalog","x\\u001b"]"#, "\"catalog\""));
        assert_eq!(of(Check::Key), ("\"k\"", "2 known, 1 without a kid: \"k\""));
    }

    #[test]
    fn a_signature_is_skipped_when_no_key_was_there_to_try() {
        let explained = World::of([]).explain(&good(Mint::new()));
        let of = |name: &str| words(&explained).into_iter().find(|w| w.0 == name).unwrap().1;
        assert_eq!((of("key"), of("signature"), of("scope")), ('-', ' ', '+'));
        let unknown = ready().explain(&good(Mint::new().header("alg", "\"none\"")));
        let skipped: Vec<_> = words(&unknown).into_iter().filter(|word| word.1 == ' ').collect();
        assert_eq!(skipped, [("key", ' '), ("signature", ' ')]);
    }
}
