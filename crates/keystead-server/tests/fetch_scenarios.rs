//! Every row of `fetch_scenarios.jsonl` against the real program.
#![cfg(feature = "idp")]
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop"
)]

#[path = "../../keystead/tests/fetch_scenarios/rows.rs"]
mod rows;
mod support;

use rows::{SCRIPTED, Subject, Verdict};
use serde_json::Value;
use support::Server;

impl Subject for Server {
    fn start(config: &str) -> Self {
        // A line per decision of a flood would only be in the way.
        Self::with_config(&format!("log: {{decisions: none}}\n{config}"))
    }

    fn first_attempt(&self) {
        // Good or bad, it is news.
        self.line(|line| {
            let news =
                line["event"] == "provider.state" || line["event"] == "provider.fetch_failed";
            news && line["provider"] == SCRIPTED
        });
    }

    fn ask(&self) {
        let answer = self.post_admin(&format!("/-/refresh/{SCRIPTED}"), &[]);
        // Whether it is a failure is seen in the status.
        assert!(matches!(answer.status, 200 | 503), "{answer:?}");
    }

    fn verdict(&self, token: &str) -> Verdict {
        let bearer = ("Authorization".to_owned(), format!("Bearer {token}"));
        let answer = self.get("/v1/auth/forward", &[bearer]);
        let code = if answer.status == 200 { Value::Null } else { answer.json()["code"].clone() };
        let code = code.as_str().unwrap_or_default().to_owned();
        Verdict { status: answer.status, code }
    }

    fn ready(&self) -> bool {
        self.get("/readyz", &[]).status == 200
    }

    fn status(&self) -> Value {
        self.admin("/status.json").json()
    }
}

/// T5, T12, T13, T22, T24, G3, K20
#[test]
fn the_program_does_what_every_row_expects() {
    rows::try_all::<Server>();
}
