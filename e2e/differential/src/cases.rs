//! The cases: each mutation alone with each algorithm that it fits, several together by chance, and
//! tokens that were made elsewhere.

use keystead::core::Algorithm;
use keystead_testkit::{MintError, SigningKey};
use serde::Deserialize;

use crate::draft::{Draft, Made};
use crate::mutations::{self, Mutation};
use crate::ring::Ring;
use crate::rng::Rng;

/// One token and one key set, and what was done to them.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) algorithm: Algorithm,
    /// The names of the mutations; none for a sound token.
    pub(crate) mutations: Vec<String>,
    pub(crate) made: Made,
    /// Whether the key set is the one that most cases have.
    pub(crate) usual_keys: bool,
}

impl Case {
    /// Whether it needs what only Keystead has.
    pub(crate) fn is_feature(&self) -> bool {
        self.mutations.iter().any(|name| mutations::FEATURES.contains(&&**name))
    }

    pub(crate) fn name(&self) -> String {
        let what = match &*self.mutations {
            [] => "a sound token".to_owned(),
            names => names.join(" + "),
        };
        format!("{}: {what}", self.algorithm)
    }
}

/// All cases of one run, always the same for the same seed but for the numbers that ECDSA and PSS
/// draw while they sign.
pub(crate) fn cases(seed: u64, together: usize) -> Result<Vec<Case>, MintError> {
    let ring = Ring::new()?;
    let mut rng = Rng::new(seed);
    let mut cases = Vec::new();
    for key in ring.own() {
        cases.push(case(&ring, key, &[], &mut rng)?);
    }
    for mutation in [mutations::of_tokens(), mutations::of_key_sets()].concat() {
        for key in ring.own().iter().filter(|key| mutation.fits(key.algorithm())) {
            cases.push(case(&ring, key, &[mutation], &mut rng)?);
        }
    }
    let catalogue = mutations::of_tokens();
    for _ in 0..together {
        let Some(key) = rng.pick(ring.own()) else { continue };
        let fitting: Vec<_> =
            catalogue.iter().filter(|mutation| mutation.fits(key.algorithm())).collect();
        let count = 2 + rng.below(2);
        let mut chosen: Vec<_> =
            (0..count).filter_map(|_| rng.pick(&fitting).map(|chosen| **chosen)).collect();
        chosen.dedup_by_key(|mutation| mutation.name);
        cases.push(case(&ring, key, &chosen, &mut rng)?);
    }
    cases.extend(made_elsewhere());
    Ok(cases)
}

/// The names that a table of disagreements may use.
pub(crate) fn names() -> Vec<String> {
    let all = [mutations::of_tokens(), mutations::of_key_sets()].concat();
    let made = made_elsewhere().into_iter().flat_map(|case| case.mutations);
    all.iter().map(|mutation| mutation.name.to_owned()).chain(made).collect()
}

fn case(
    ring: &Ring,
    key: &SigningKey,
    chosen: &[Mutation],
    rng: &mut Rng,
) -> Result<Case, MintError> {
    let mut draft = Draft::new(ring, key);
    let usual_keys = draft.keys.to_string();
    for mutation in chosen {
        (mutation.apply)(&mut draft, rng);
    }
    let made = draft.make()?;
    Ok(Case {
        algorithm: key.algorithm(),
        mutations: chosen.iter().map(|mutation| mutation.name.to_owned()).collect(),
        usual_keys: made.key_set == usual_keys,
        made,
    })
}

/// Tokens of kinds that the mint does not make: fixtures/make.py made them.
fn made_elsewhere() -> Vec<Case> {
    #[derive(Deserialize)]
    struct Fixture {
        name: String,
        algorithm: String,
        key_set: String,
        token: String,
    }
    let fixtures: Vec<Fixture> =
        serde_json::from_str(include_str!("../fixtures/made.json")).unwrap_or_default();
    let cases = fixtures.into_iter().filter_map(|fixture| {
        Some(Case {
            algorithm: Algorithm::from_name(&fixture.algorithm)?,
            mutations: vec![fixture.name],
            made: Made { token: fixture.token, key_set: fixture.key_set },
            usual_keys: false,
        })
    });
    cases.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fixture_is_read() {
        assert_eq!(made_elsewhere().len(), 13);
    }
}
