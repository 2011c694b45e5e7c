//! `keystead explain`: every check of a token, in order, and what would make it pass.
//!
//! The verdict is that of `verify`. Nothing printed here is the token: its header and claims are,
//! marked as unverified unless they are, and its fingerprint, but never its signature.

mod json;
mod text;

use keystead::core::text::quoted;
use keystead::core::{
    ConsideredKey, Diagnostics, KeyOutcome, Reason, Rejection, TokenLimits, UnverifiedToken,
};
use keystead::{KeyStatus, ProviderStatus, SourceStatus, Status};

use super::ask::{AskArgs, Question, exit_of};
use super::console::Console;
use super::{Exit, Failure, Format};

/// Show every check of a token, and what would make each one pass
///
/// The token is read from standard input, or from @FILE. It need not be a good one, or a token.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    ask: AskArgs,
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Result<Exit, Failure> {
    let question = args.ask.question(console)?;
    let _refreshing = question.ask_all()?;
    let explanation = Explanation::of(&question);
    let shown = match args.ask.format {
        Format::Text => text::render(&explanation, console.style()),
        Format::Json => json::render(&explanation),
    };
    console.data(shown)?;
    Ok(exit_of(explanation.found.refused.as_ref()))
}

/// Everything there is to say about one token.
struct Explanation<'a> {
    question: &'a Question,
    now: std::time::Duration,
    found: Diagnostics,
    /// The header and the claims set, where the token has the right shape.
    texts: Option<(String, String)>,
    status: Status,
}

impl<'a> Explanation<'a> {
    fn of(question: &'a Question) -> Self {
        let now = question.now();
        let found = question.verifier.explain_at(&question.token, now, &question.requirements);
        // The limit was kept above; here the token is only shown.
        let limits = TokenLimits::with_token(question.token.len());
        let texts = UnverifiedToken::parse(&question.token, limits)
            .ok()
            .map(|token| (token.header().text().to_owned(), token.claims().text().to_owned()));
        Self { question, now, found, texts, status: question.verifier.status() }
    }

    /// The provider that was found, with its name.
    fn provider(&self) -> Option<(&str, &ProviderStatus)> {
        let name = self.found.provider.as_deref()?;
        Some((name, self.status.providers.get(name)?))
    }

    /// The keys of the provider, each with what became of it.
    fn keys(&self) -> Vec<(&KeyStatus, KeyFate)> {
        let mut considered: Vec<&ConsideredKey> = self.found.keys.iter().collect();
        let keys = self.provider().map(|(_, provider)| &provider.keys);
        keys.into_iter()
            .flatten()
            .map(|key| {
                let same = |other: &&ConsideredKey| {
                    other.kid == key.kid
                        && other.origin == key.origin
                        && key.kty.as_deref() == Some(other.kty)
                };
                let at = considered.iter().position(same).filter(|_| key.usable);
                let outcome = at.map(|at| considered.remove(at).outcome.clone());
                (key, KeyFate::of(key, outcome, self.found.token.kid.as_deref()))
            })
            .collect()
    }

    /// The places that the provider's keys come from, each with what it has for this token.
    fn sources<'s>(&'s self) -> Vec<(&'s SourceStatus, String)> {
        let Some((_, provider)) = self.provider() else { return Vec::new() };
        let kid = self.found.token.kid.as_deref();
        let refused = self.found.refused.as_ref().map(Rejection::reason);
        let lacks_a_key = matches!(refused, Some(Reason::NoKey { .. }));
        let held = |(at, source): (usize, &'s SourceStatus)| {
            let mut parts = held_by(at, source, provider, kid);
            if lacks_a_key && answered(source) {
                parts.push(ASKED_AGAIN.to_owned());
            }
            (source, parts.join(", "))
        };
        provider.sources.iter().enumerate().map(held).collect()
    }
}

/// What became of one key.
struct KeyFate {
    word: &'static str,
    why: Option<String>,
}

impl KeyFate {
    fn of(key: &KeyStatus, outcome: Option<KeyOutcome>, kid: Option<&str>) -> Self {
        let is_other = kid.is_some() && key.kid.is_some() && key.kid.as_deref() != kid;
        let (word, why) = match outcome {
            Some(KeyOutcome::Verified) => ("verified", None),
            Some(KeyOutcome::Refused) => ("refused", None),
            Some(KeyOutcome::Unfit(why)) => ("unfit", Some(why.to_string())),
            Some(KeyOutcome::Expired) => ("expired", None),
            _ if key.usable => ("not_tried", is_other.then(|| "it has another kid".to_owned())),
            _ => ("unusable", key.why.clone()),
        };
        Self { word, why }
    }

    /// The fate in a sentence.
    fn sentence(&self) -> String {
        let words = match self.word {
            "verified" => "made the signature",
            "refused" => "did not make the signature",
            "unfit" => "does not fit",
            "expired" => "is past max_stale",
            "not_tried" => "was not tried",
            _ => "cannot be used",
        };
        self.why.as_ref().map_or_else(|| words.to_owned(), |why| format!("{words}: {why}"))
    }
}

/// What this program, which judges once, leaves to one that goes on.
const ASKED_AGAIN: &str =
    "asked again by a server that gets such a token, at most once in unknown_kid_cooldown";

/// Whether it is a source on the network whose latest answer was a good one: only those are asked
/// because of a kid.
fn answered(source: &SourceStatus) -> bool {
    matches!(source.kind, "jwks_url" | "discovery") && source.state == "ready"
}

/// What one source has for a token, in the parts of one sentence.
fn held_by(
    at: usize,
    source: &SourceStatus,
    provider: &ProviderStatus,
    kid: Option<&str>,
) -> Vec<String> {
    let held = provider.keys.iter().filter(|key| key.source == at);
    let held: Vec<_> = held.collect();
    let mut parts = vec![source.state.to_owned()];
    let usable = held.iter().filter(|key| key.usable).count();
    parts.push(match (held.len(), usable) {
        (0, _) => "no key".to_owned(),
        (1, 1) => "1 key".to_owned(),
        (all, usable) if all == usable => format!("{all} keys"),
        (all, usable) => format!("{usable} of {all} keys usable"),
    });
    if let Some(kid) = kid.filter(|_| !held.is_empty()) {
        let found = held.iter().any(|key| key.kid.as_deref() == Some(kid));
        parts.push(format!("kid {} {}", quoted(kid), if found { "found" } else { "not found" }));
    }
    if let Some(error) = &source.last_error {
        parts.push(format!("{}: {}", error.code, error.detail));
    } else if source.url.is_some() && source.last_attempt.is_none() {
        parts.push("not asked".to_owned());
    }
    parts
}
