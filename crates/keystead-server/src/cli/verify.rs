//! `keystead verify`: is this token good, and what does it claim.

use keystead::VerifiedToken;
use keystead::core::Rejection;
use keystead::core::text::quoted;

use super::ask::{AskArgs, Question, exit_of, refusal_body};
use super::console::{Console, Tone};
use super::{Exit, Failure, Format, json};

/// Judge a token: its claims on standard output, or why it is refused
///
/// The token is read from standard input, or from @FILE.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    ask: AskArgs,
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Result<Exit, Failure> {
    let question = args.ask.question(console)?;
    let verdict = question.verdict()?;
    match (args.ask.format, &verdict) {
        (Format::Text, Ok(token)) => {
            console.data(json::pretty(token.claims().text()))?;
            console.prose(accepted(token));
        }
        (Format::Json, Ok(token)) => console.data(json::pretty(&accepted_body(token)))?,
        (Format::Text, Err(refused)) => refuse(&question, refused, console),
        (Format::Json, Err(refused)) => {
            console.data(json::pretty(&refusal_body(refused, &question.token).finish()))?;
        }
    }
    Ok(exit_of(verdict.as_ref().err()))
}

fn accepted(token: &VerifiedToken) -> String {
    let key = token.kid().map_or_else(|| "a key".to_owned(), |kid| format!("key {}", quoted(kid)));
    format!(
        "accepted: provider {}, {key} from {} ({})",
        token.provider(),
        token.key_origin(),
        token.freshness().as_str()
    )
}

/// What `POST /v1/verify` answers.
fn accepted_body(token: &VerifiedToken) -> String {
    json::Object::new()
        .text("provider", token.provider())
        .text("issuer", token.issuer())
        .maybe("kid", token.kid())
        .text("key_origin", token.key_origin())
        .text("freshness", token.freshness().as_str())
        .raw("claims", token.claims().text())
        .finish()
}

fn refuse(question: &Question, refused: &Rejection, console: &Console) {
    let verdict = if refused.http_status() == 503 { "cannot judge:" } else { "refused:" };
    let verdict = console.prose_style().paint(Tone::Bad, verdict);
    console.prose(format_args!("{verdict} {refused}"));
    let fingerprint = keystead::fingerprint(&question.token);
    console.prose(format_args!("code: {} (token {fingerprint})", refused.code()));
    let status = question.verifier.status();
    match refused.provider().and_then(|name| Some((name, status.providers.get(name)?))) {
        // What the hint of a server refers to is right here.
        Some((name, provider)) if refused.http_status() == 503 => {
            console.prose(format_args!("{name}: {} ({})", provider.state, provider.reason));
        }
        _ => console.prose(format_args!("hint: {}", refused.hint())),
    }
}
