//! An explanation for people.

use std::fmt::{Display, Write};
use std::time::Duration;

use keystead::core::text::{quoted, seconds};
use keystead::core::{Check, Detail, Step, StepVerdict};

use super::super::console::{Style, Tone};
use super::super::json;
use super::Explanation;

/// How many providers are listed when a token belongs to none of them.
const LISTED: usize = 20;

pub(super) fn render(explanation: &Explanation<'_>, style: Style) -> String {
    let mut page = Page { text: String::new(), style };
    page.token(explanation);
    page.checks(explanation);
    page.keys(explanation);
    page.sources(explanation);
    page.providers(explanation);
    page.verdict(explanation);
    page.text
}

struct Page {
    text: String,
    style: Style,
}

impl Page {
    fn line(&mut self, line: impl Display) {
        // Writing into a String cannot fail.
        let _infallible = writeln!(self.text, "{line}");
    }

    fn faint(&self, text: &str) -> String {
        self.style.paint(Tone::Faint, text)
    }

    fn token(&mut self, explanation: &Explanation<'_>) {
        let facts = &explanation.found.token;
        let token = &explanation.question.token;
        self.line(format_args!(
            "token {}: {} bytes, judged at {}",
            keystead::fingerprint(token),
            facts.length,
            keystead::timestamp(explanation.now)
        ));
        if let Some(exp) = facts.exp {
            self.line(expiry(exp, explanation.now));
        }
        let Some((header, claims)) = &explanation.texts else { return };
        let verified = if explanation.found.accepted() { "verified" } else { "NOT VERIFIED" };
        for (what, text) in [("header", header), ("claims", claims)] {
            self.line(format_args!("\n{what} ({verified})"));
            for line in json::pretty(text).lines() {
                self.line(format_args!("  {line}"));
            }
        }
    }

    fn checks(&mut self, explanation: &Explanation<'_>) {
        self.line("\nchecks");
        for step in &explanation.found.steps {
            self.check(step, explanation);
        }
    }

    fn check(&mut self, step: &Step, explanation: &Explanation<'_>) {
        let (mark, tone) = match step.verdict {
            StepVerdict::Passed => (self.style.mark("✓", "ok  "), Tone::Good),
            StepVerdict::Failed(_) => (self.style.mark("✗", "FAIL"), Tone::Bad),
            _ => (self.style.mark("–", "skip"), Tone::Faint),
        };
        let line = format!("{:<16} {}", step.check.as_str(), detail(step));
        let mark = self.style.paint(tone, mark);
        self.line(format_args!("  {mark} {}", line.trim_end()));
        let StepVerdict::Failed(reason) = &step.verdict else { return };
        self.line(format_args!("       {}: {reason}", reason.code()));
        self.line(format_args!("       hint: {}", explanation.found.hint(reason)));
    }

    fn keys(&mut self, explanation: &Explanation<'_>) {
        let Some((name, provider)) = explanation.provider() else { return };
        // The sources say it in more detail, where there are any.
        let reason = if provider.sources.is_empty() { &provider.reason } else { "" };
        let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
        self.line(format_args!("\nprovider {name}: {}{reason}", provider.state));
        for (key, fate) in explanation.keys() {
            let kid = key.kid.as_deref().map(|kid| format!("kid {}", quoted(kid)));
            let kid = kid.unwrap_or_else(|| "no kid".to_owned());
            let kinds = [key.kty.as_deref(), key.alg.as_deref()];
            let kinds: Vec<_> = kinds.into_iter().flatten().collect();
            let age = key.age_seconds.map(|age| format!(", {age} s old")).unwrap_or_default();
            let line = format!(
                "  key {kid} ({}) from {}{age}: {}",
                kinds.join(" "),
                key.origin,
                fate.sentence()
            );
            let dim = fate.word == "not_tried";
            let line = if dim { self.faint(&line) } else { line };
            self.line(line);
        }
    }

    fn sources(&mut self, explanation: &Explanation<'_>) {
        for (source, held) in explanation.sources() {
            let place = source.url.as_ref().map(|url| format!(" {url}")).unwrap_or_default();
            self.line(format_args!("  source {}{place}: {held}", source.kind));
        }
    }

    /// Whose tokens are known, when this one is nobody's.
    fn providers(&mut self, explanation: &Explanation<'_>) {
        let is_unknown = explanation.found.provider.is_none();
        if !is_unknown || explanation.found.token.issuer.is_none() {
            return;
        }
        self.line("\nconfigured issuers");
        let providers = &explanation.status.providers;
        let providers: Vec<_> =
            providers.iter().filter(|(_, provider)| !provider.issuer.is_empty()).collect();
        for (name, provider) in providers.iter().take(LISTED) {
            let issuers = std::iter::once(&provider.issuer).chain(&provider.aliases);
            let issuers: Vec<_> = issuers.map(|issuer| quoted(issuer).to_string()).collect();
            self.line(format_args!("  {name}: {}", issuers.join(", ")));
        }
        if providers.len() > LISTED {
            self.line(format_args!("  and {} more", providers.len() - LISTED));
        }
    }

    fn verdict(&mut self, explanation: &Explanation<'_>) {
        let Some(refused) = &explanation.found.refused else {
            let verdict = self.style.paint(Tone::Good, "accepted");
            return self.line(format_args!("\nverdict: {verdict}"));
        };
        let judged = refused.http_status() != 503;
        let verdict = if judged { "refused" } else { "cannot judge" };
        let verdict = self.style.paint(Tone::Bad, verdict);
        self.line(format_args!("\nverdict: {verdict}, {}: {refused}", refused.code()));
        let failed = explanation.found.failures().count();
        if failed > 1 {
            self.line(format_args!("{failed} checks failed, and each of them has to pass"));
        }
    }
}

/// What a check compared.
fn detail(step: &Step) -> String {
    let Detail { presented, accepted, .. } = &step.detail;
    match (presented.is_empty(), accepted.is_empty(), step.check) {
        (true, true, _) if matches!(step.verdict, StepVerdict::Passed) => "none".to_owned(),
        (_, true, _) => presented.clone(),
        (true, _, _) => accepted.clone(),
        (_, _, Check::Token | Check::Key) => format!("{presented}; {accepted}"),
        _ => format!("{presented}, accepted: {accepted}"),
    }
}

/// When a token expires, and how far that is from the time of judgement.
fn expiry(exp: f64, now: Duration) -> String {
    let Ok(at) = Duration::try_from_secs_f64(exp) else {
        return format!("expires at {}", seconds(exp));
    };
    let ahead = at >= now;
    let by = if ahead { at.saturating_sub(now) } else { now.saturating_sub(at) };
    // Of years, nobody wants to know the seconds.
    let by = humantime::format_duration(Duration::from_secs(by.as_secs())).to_string();
    let by: Vec<_> = by.split(' ').take(2).collect();
    let (verb, side) = if ahead { ("expires", "later") } else { ("expired", "earlier") };
    format!("{verb} at {}, {} {side}", keystead::timestamp(at), by.join(" "))
}
