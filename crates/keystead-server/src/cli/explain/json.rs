//! An explanation for programs. Members are added, never renamed.

use keystead::core::text::seconds;
use keystead::core::{Rejection, Step, StepVerdict};
use keystead::{KeyStatus, SourceStatus};

use super::super::ask::refusal_body;
use super::super::json::{Object, array, pretty, string};
use super::{Explanation, KeyFate};

pub(super) fn render(explanation: &Explanation<'_>) -> String {
    let found = &explanation.found;
    let refused = found.refused.as_ref();
    let token = &explanation.question.token;
    let verdict = match refused.map(Rejection::http_status) {
        None => "accepted",
        Some(503) => "cannot_judge",
        Some(_) => "refused",
    };
    let refusal = refused.map(|refused| {
        let retry_after = refused.retry_after().map(|wait| wait.as_secs());
        refusal_body(refused, token)
            .value("http_status", Some(refused.http_status()))
            .value("retry_after", retry_after)
            .finish()
    });
    let null = || "null".to_owned();
    let object = Object::new()
        .text("verdict", verdict)
        .raw("refusal", &refusal.unwrap_or_else(null))
        .raw("nearest_issuer", &nearest(explanation).unwrap_or_else(null))
        .text("fingerprint", keystead::fingerprint(token))
        .text("judged_at", keystead::timestamp(explanation.now))
        .raw("token", &facts(explanation))
        .raw("checks", &array(found.steps.iter().map(|step| check(step, explanation))))
        .raw("provider", &provider(explanation).unwrap_or_else(null))
        .raw("keys", &array(explanation.keys().into_iter().map(|(k, fate)| key(k, &fate))))
        .raw(
            "sources",
            &array(explanation.sources().into_iter().map(|(s, held)| source(s, &held))),
        );
    pretty(&object.finish())
}

/// What the token says of itself. `verified` says whether to believe it.
fn facts(explanation: &Explanation<'_>) -> String {
    let facts = &explanation.found.token;
    let (header, claims) = match &explanation.texts {
        Some((header, claims)) => (header.as_str(), claims.as_str()),
        None => ("null", "null"),
    };
    // What is no number in JSON is none here either.
    let exp = facts.exp.filter(|exp| exp.is_finite()).map(seconds);
    Object::new()
        .value("verified", Some(explanation.found.accepted()))
        .value("length", Some(facts.length))
        .value("segments", Some(facts.segments))
        .maybe("alg", facts.alg.as_deref())
        .maybe("kid", facts.kid.as_deref())
        .maybe("issuer", facts.issuer.as_deref())
        .raw("exp", &exp.unwrap_or_else(|| "null".to_owned()))
        .raw("header", header)
        .raw("claims", claims)
        .finish()
}

fn check(step: &Step, explanation: &Explanation<'_>) -> String {
    let (result, reason) = match &step.verdict {
        StepVerdict::Passed => ("passed", None),
        StepVerdict::Failed(reason) => ("failed", Some(reason)),
        _ => ("skipped", None),
    };
    let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    Object::new()
        .text("check", step.check.as_str())
        .text("result", result)
        .maybe("presented", some(&step.detail.presented))
        .maybe("accepted", some(&step.detail.accepted))
        .maybe("code", reason.map(|reason| reason.code().as_str()))
        .maybe("sentence", reason.map(ToString::to_string))
        .maybe("hint", reason.map(|reason| explanation.found.hint(reason)))
        .finish()
}

fn nearest(explanation: &Explanation<'_>) -> Option<String> {
    let near = explanation.found.refused.as_ref()?.near_miss()?;
    let object = Object::new()
        .text("provider", &near.provider)
        .text("setting", &near.setting)
        .text("issuer", &near.issuer)
        .text("difference", near.difference.phrase());
    Some(object.finish())
}

fn provider(explanation: &Explanation<'_>) -> Option<String> {
    let (name, provider) = explanation.provider()?;
    let object = Object::new()
        .text("name", name)
        .text("state", provider.state)
        .text("reason", &provider.reason)
        .text("issuer", &provider.issuer)
        .raw("aliases", &array(provider.aliases.iter().map(|alias| string(alias))));
    Some(object.finish())
}

fn key(key: &KeyStatus, fate: &KeyFate) -> String {
    Object::new()
        .maybe("kid", key.kid.as_deref())
        .maybe("kty", key.kty.as_deref())
        .maybe("alg", key.alg.as_deref())
        .maybe("thumbprint", key.thumbprint.as_deref())
        .text("origin", &key.origin)
        .value("age_seconds", key.age_seconds)
        .text("outcome", fate.word)
        .text("sentence", fate.sentence())
        .finish()
}

fn source(source: &SourceStatus, held: &str) -> String {
    let error = source.last_error.as_ref().map(|error| {
        Object::new()
            .text("code", error.code)
            .text("stage", error.stage)
            .text("detail", &error.detail)
            .finish()
    });
    Object::new()
        .text("kind", source.kind)
        .maybe("url", source.url.as_deref())
        .text("state", source.state)
        .maybe("last_attempt", source.last_attempt.as_deref())
        .maybe("last_success", source.last_success.as_deref())
        .raw("last_error", &error.unwrap_or_else(|| "null".to_owned()))
        .text("sentence", held)
        .finish()
}
