//! Those who are asked, each set up as strictly as its documentation recommends.

mod interpreter;
mod jsonwebtoken;
mod jwt_simple;
mod keystead;

use std::error::Error;

use ::keystead::core::Algorithm;

use crate::cases::Case;

pub(crate) use interpreter::Interpreter;
pub(crate) use jsonwebtoken::JsonWebToken;
pub(crate) use jwt_simple::JwtSimple;
pub(crate) use keystead::Keystead;

/// What somebody says of a case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    Accepted,
    /// With the reason, for whoever reads about a disagreement.
    Refused(String),
    /// The algorithm that the token is made with is none of this peer's.
    Abstained,
}

/// Somebody who judges tokens.
pub(crate) trait Peer: Send {
    /// The name in the table of disagreements.
    fn name(&self) -> &str;

    /// Whether it has the algorithm at all.
    fn knows(&self, algorithm: Algorithm) -> bool;

    /// A verdict for each case, in their order. Cases with an algorithm that the peer does not know
    /// are not among them.
    fn judge(&mut self, cases: &[&Case]) -> Result<Vec<Verdict>, Box<dyn Error + Send + Sync>>;
}

/// The verdicts of a peer on all cases, in their order.
pub(crate) fn verdicts(
    peer: &mut dyn Peer,
    cases: &[Case],
) -> Result<Vec<Verdict>, Box<dyn Error + Send + Sync>> {
    let known: Vec<_> = cases.iter().filter(|case| peer.knows(case.algorithm)).collect();
    let judged = peer.judge(&known)?;
    if judged.len() != known.len() {
        let (name, found) = (peer.name(), judged.len());
        return Err(format!("{name} gave {found} verdicts for {} cases", known.len()).into());
    }
    let mut judged = judged.into_iter();
    let verdict = |case: &Case| {
        if peer.knows(case.algorithm) { judged.next() } else { None }.unwrap_or(Verdict::Abstained)
    };
    Ok(cases.iter().map(verdict).collect())
}

/// The key sets that follow each other are mostly one: what was read of the last one is kept.
#[derive(Debug)]
struct Latest<T> {
    text: String,
    read: Option<T>,
}

impl<T> Latest<T> {
    const fn new() -> Self {
        Self { text: String::new(), read: None }
    }

    fn of(&mut self, text: &str, read: impl FnOnce(&str) -> T) -> &T {
        if self.text != text {
            text.clone_into(&mut self.text);
            self.read = None;
        }
        self.read.get_or_insert_with(|| read(text))
    }
}
