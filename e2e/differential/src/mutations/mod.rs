//! What can be wrong, or merely unusual, with a token or a key set: one name for each.
//!
//! A header and a claims set are changed before they are signed, so that what comes of it is
//! genuinely signed; [`compact`] and [`signature`] change what is left after that.

mod claims;
mod compact;
mod header;
mod json;
mod key_set;
mod signature;
mod time;

use keystead::core::{Algorithm, Family};

use crate::draft::Draft;
use crate::rng::Rng;

/// One way to change a draft.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mutation {
    /// What it does, in the words of the table of disagreements.
    pub(crate) name: &'static str,
    /// The algorithms for which it means something.
    pub(crate) on: On,
    /// Does it.
    pub(crate) apply: fn(&mut Draft<'_>, &mut Rng),
}

/// The algorithms for which a mutation means something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum On {
    All,
    Ec,
    Ed25519,
    /// Those that every peer has.
    OfEveryPeer,
    Rsa,
    /// RSA with PKCS #1 v1.5 and SHA-256.
    Rs256,
    /// RSA that is not already RS512.
    RsaButRs512,
}

impl Mutation {
    pub(crate) fn fits(&self, algorithm: Algorithm) -> bool {
        match self.on {
            On::All => true,
            On::Ec => matches!(algorithm.family(), Family::Ec(_)),
            On::Ed25519 => algorithm == Algorithm::EdDsa,
            On::OfEveryPeer => algorithm != Algorithm::Es512,
            On::Rsa => algorithm.family() == Family::Rsa,
            On::Rs256 => algorithm == Algorithm::Rs256,
            On::RsaButRs512 => algorithm.family() == Family::Rsa && algorithm != Algorithm::Rs512,
        }
    }
}

/// What Keystead can do and no peer can, so that no peer's refusal says anything: the name of the
/// mutation that needs it. An entry that a peer can do after all is a failure.
pub(crate) const FEATURES: [&str; 1] = [
    // A kid says which key to prefer (RFC 7515 section 4.1.4: a hint) and a key need not have one (RFC
    // 7517 section 4.5), as no key in PEM has: after the keys with the token's kid, those without
    // one are tried. Peers find keys by equal kids only.
    "a key without kid",
];

/// Changes of the token.
pub(crate) fn of_tokens() -> Vec<Mutation> {
    [header::ALL, claims::ALL, time::ALL, json::ALL, compact::ALL, signature::ALL].concat()
}

/// Changes of the key set beside a sound token.
pub(crate) fn of_key_sets() -> Vec<Mutation> {
    key_set::ALL.to_vec()
}

/// A mutation for every algorithm.
const fn all(name: &'static str, apply: fn(&mut Draft<'_>, &mut Rng)) -> Mutation {
    Mutation { name, on: On::All, apply }
}

/// A mutation for some algorithms.
const fn on(on: On, name: &'static str, apply: fn(&mut Draft<'_>, &mut Rng)) -> Mutation {
    Mutation { name, on, apply }
}

/// The text without its last octet.
fn without_last(mut text: Vec<u8>) -> Vec<u8> {
    text.pop();
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::Ring;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_used_once() {
        let all = [of_tokens(), of_key_sets()].concat();
        let names: BTreeSet<_> = all.iter().map(|mutation| mutation.name).collect();
        assert_eq!(names.len(), all.len());
    }

    #[test]
    fn every_mutation_changes_something_and_the_same_each_time() {
        let ring = Ring::new().unwrap();
        for mutation in [of_tokens(), of_key_sets()].concat() {
            // The first are those that sign without chance.
            let key = ring.own().iter().find(|key| mutation.fits(key.algorithm())).unwrap();
            let made = || {
                let mut draft = Draft::new(&ring, key);
                (mutation.apply)(&mut draft, &mut Rng::new(7));
                (draft.make().unwrap(), draft.signed_before)
            };
            let (one, signed_before) = made();
            if mutation.on != On::Ec {
                assert_eq!(one, made().0, "{}", mutation.name);
                let sound = Draft::new(&ring, key).make().unwrap();
                assert_eq!(one == sound, signed_before, "{}", mutation.name);
            }
        }
    }
}
