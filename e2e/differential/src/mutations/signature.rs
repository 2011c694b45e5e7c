//! Signatures: of another, cut, stretched, and as other numbers that mean the same or nothing.

use keystead::core::{Algorithm, EcCurve, Family};

use super::{Mutation, On, all, on};
use crate::draft::Draft;
use crate::encoding::{difference, ecdsa_der, octets, sum, without_leading_zeros};

pub(super) const ALL: &[Mutation] = &[
    all("a stranger's signature", |draft, _| draft.sign_as_stranger()),
    all("the signature of the token before it was changed", |draft, _| draft.signed_before = true),
    all("a signature with a bit turned", |draft, rng| {
        let at = rng.below(32);
        draft.edit_signature(move |mut signature| {
            if let Some(octet) = signature.get_mut(at) {
                *octet ^= 1;
            }
            signature
        });
    }),
    all("a signature with its last bit turned", |draft, _| {
        draft.edit_signature(|mut signature| {
            if let Some(octet) = signature.last_mut() {
                *octet ^= 1;
            }
            signature
        });
    }),
    all("a signature without its last byte", |draft, _| {
        draft.edit_signature(super::without_last);
    }),
    all("a signature without its first byte", |draft, _| {
        draft.edit_signature(|signature| signature.get(1..).unwrap_or_default().to_vec());
    }),
    all("a signature with a byte after it", |draft, _| {
        draft.edit_signature(|signature| [signature, vec![0]].concat());
    }),
    all("a signature with a zero before it", |draft, _| {
        draft.edit_signature(|signature| [vec![0], signature].concat());
    }),
    all("a signature twice", |draft, _| {
        draft.edit_signature(|signature| [signature.clone(), signature].concat());
    }),
    all("a signature of zeros", |draft, _| {
        draft.edit_signature(|signature| vec![0; signature.len()]);
    }),
    all("a signature of ones", |draft, _| {
        draft.edit_signature(|signature| vec![0xff; signature.len()]);
    }),
    all("a signature of one zero byte", |draft, _| draft.edit_signature(|_| vec![0])),
    on(On::Ec, "an ECDSA signature in DER", |draft, _| {
        draft.edit_signature(|signature| ecdsa_der(&signature));
    }),
    on(On::Ec, "R and S exchanged", |draft, _| {
        draft.edit_signature(|signature| {
            let (r, s) = signature.split_at(signature.len() / 2);
            [s, r].concat()
        });
    }),
    on(On::Ec, "the other S", |draft, _| {
        let order = order(draft.algorithm);
        halves(draft, move |r, s| (r.to_vec(), difference(&order, s)));
    }),
    on(On::Ec, "R of zero", |draft, _| halves(draft, |r, s| (vec![0; r.len()], s.to_vec()))),
    on(On::Ec, "S of zero", |draft, _| halves(draft, |r, s| (r.to_vec(), vec![0; s.len()]))),
    on(On::Ec, "R of the order", |draft, _| {
        let order = order(draft.algorithm);
        halves(draft, move |_, s| (order.clone(), s.to_vec()));
    }),
    on(On::Ec, "S of the order", |draft, _| {
        let order = order(draft.algorithm);
        halves(draft, move |r, _| (r.to_vec(), order.clone()));
    }),
    on(On::Ec, "R and S of one", |draft, _| {
        halves(draft, |r, s| (one(r.len()), one(s.len())));
    }),
    on(On::Ec, "R and S with a zero before each", |draft, _| {
        halves(draft, |r, s| ([&[0], r].concat(), [&[0], s].concat()));
    }),
    on(On::Ec, "R without its leading zero", |draft, _| {
        draft.sign_until(|signature| signature.first() == Some(&0));
        draft.edit_signature(|signature| without_leading_zeros(&signature).to_vec());
    }),
    on(On::Ec, "R with its leading zero", |draft, _| {
        draft.sign_until(|signature| signature.first() == Some(&0));
    }),
    on(On::Rsa, "an RSA signature without its leading zero", |draft, _| {
        draft.sign_until(|signature| signature.first() == Some(&0));
        draft.edit_signature(|signature| without_leading_zeros(&signature).to_vec());
    }),
    on(On::Rsa, "an RSA signature with its leading zero", |draft, _| {
        draft.sign_until(|signature| signature.first() == Some(&0));
    }),
    on(On::Rsa, "an RSA signature with the modulus added", |draft, _| {
        let modulus = octets(&draft.keys.own.text("n"));
        let fits = modulus.clone();
        draft.sign_until(move |signature| !sum(signature, &fits).1);
        draft.edit_signature(move |signature| sum(&signature, &modulus).0);
    }),
    on(On::Ed25519, "an Ed25519 S with the order added", |draft, _| {
        // RFC 8032 section 5.1.7: S is below the order; without that check, a second signature.
        halves(draft, |r, s| {
            let s: Vec<u8> = s.iter().rev().copied().collect();
            let mut more = sum(&s, &ED25519_ORDER).0;
            more.reverse();
            (r.to_vec(), more)
        });
    }),
    on(On::Ed25519, "an Ed25519 R of small order and S of zero", |draft, _| {
        halves(draft, |r, s| (one_first(r.len()), vec![0; s.len()]));
    }),
];

fn halves(draft: &mut Draft<'_>, edit: impl Fn(&[u8], &[u8]) -> (Vec<u8>, Vec<u8>) + 'static) {
    draft.edit_signature(move |signature| {
        let (r, s) = signature.split_at(signature.len() / 2);
        let (r, s) = edit(r, s);
        [r, s].concat()
    });
}

fn one(length: usize) -> Vec<u8> {
    let mut number = vec![0; length];
    if let Some(last) = number.last_mut() {
        *last = 1;
    }
    number
}

fn one_first(length: usize) -> Vec<u8> {
    let mut number = one(length);
    number.reverse();
    number
}

/// The order of the curve's base point (SEC 2 section 2).
fn order(algorithm: Algorithm) -> Vec<u8> {
    let hex = match algorithm.family() {
        Family::Ec(EcCurve::P256) => {
            "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"
        }
        Family::Ec(EcCurve::P384) => {
            "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf\
             581a0db248b0a77aecec196accc52973"
        }
        _ => {
            "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa\
             51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409"
        }
    };
    let digits: Vec<_> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits
        .chunks(2)
        .filter_map(|pair| u8::try_from(pair.iter().fold(0, |sum, digit| sum * 16 + digit)).ok())
        .collect()
}

/// 2^252 + 27742317777372353535851937790883648493 (RFC 8032 section 5.1), big-endian.
const ED25519_ORDER: [u8; 32] = [
    0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, 0xde, 0xf9, 0xde, 0xa2, 0xf7, 0x9c,
    0xd6, 0x58, 0x12, 0x63, 0x1a, 0x5c, 0xf5, 0xd3, 0xed,
];
