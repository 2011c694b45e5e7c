//! Keys at an address: a JWK Set (RFC 7517 section 5).

use keystead_core::{KeySet, KeySetProblem, Provenance};
use url::Url;

use super::{Fetched, Keys, Network, Tag};
use crate::counters::DocumentKind;
use crate::crypto::judged;
use crate::http::{FetchCode, FetchError, Reply, Stage, judge_json};

/// How many keys one set may have.
const KEY_LIMIT: usize = 256;

/// One attempt, on the condition that the set is not the one with this tag any more.
pub(crate) async fn ask(
    url: &Url,
    network: &Network,
    tag: Option<&Tag>,
) -> Result<Fetched, FetchError> {
    let word = |fetched: &Fetched| match fetched.keys {
        Keys::Set(..) => "ok",
        Keys::Unchanged => "not_modified",
    };
    network.counted(DocumentKind::Jwks, fetch(url, network, tag), word).await
}

async fn fetch(url: &Url, network: &Network, tag: Option<&Tag>) -> Result<Fetched, FetchError> {
    let accept = "application/jwk-set+json, application/json";
    let document = match network.fetch_unless_still(tag, url, accept).await? {
        Reply::Document(document) => document,
        Reply::NotModified { max_age } => {
            return Ok(Fetched { keys: Keys::Unchanged, max_age, notice: None });
        }
    };
    let set = read(url, judge_json(&document, url)?)?;
    let tag = document.etag.map(|etag| Tag { url: url.clone(), etag });
    Ok(Fetched { keys: Keys::Set(set, tag), max_age: document.max_age, notice: None })
}

/// The set, if it holds a usable key: a set that does not must never replace one that did.
fn read(url: &Url, body: &[u8]) -> Result<KeySet, FetchError> {
    let refuse = |code, detail| Err(FetchError::new(Stage::Parse, code, url, detail));
    let set = KeySet::parse(body, Provenance::Network, KEY_LIMIT).or_else(|problem| {
        let code = match problem {
            KeySetProblem::TooManyKeys { .. } => FetchCode::TooLarge,
            KeySetProblem::NoKeysMember => FetchCode::NoKeysMember,
            _ => FetchCode::NotJson,
        };
        refuse(code, problem.to_string())
    })?;
    let set = judged(set);
    match (set.keys(), set.skipped()) {
        ([], []) => refuse(FetchCode::EmptySet, "the set is empty".to_owned()),
        ([], [first, ..]) => {
            let all = set.skipped().len();
            let detail = format!(
                "none of the {all} keys in the set can be used; of the first, {}",
                first.why
            );
            refuse(FetchCode::NoUsableKey, detail)
        }
        _ => Ok(set),
    }
}
