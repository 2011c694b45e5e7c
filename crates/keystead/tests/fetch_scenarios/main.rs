//! Every row of `fetch_scenarios.jsonl` against the library.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests may stop")]

mod rows;

use std::time::Duration;

use keystead::{Config, RefreshHandle, Verifier};
use rows::{SCRIPTED, Subject, Verdict};
use serde_json::Value;
use tokio::runtime::Runtime;

/// The library as a host program has it.
struct Library {
    verifier: Verifier,
    refreshing: RefreshHandle,
    runtime: Runtime,
}

impl Subject for Library {
    fn start(config: &str) -> Self {
        let verifier = Verifier::from_config(Config::parse_yaml(config).unwrap());
        let refreshing = verifier.start().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { verifier, refreshing, runtime }
    }

    fn first_attempt(&self) {
        assert!(self.refreshing.wait_first_attempts(Duration::from_secs(60)));
    }

    fn ask(&self) {
        // Whether it is a failure is seen in the status.
        let _asked = self.runtime.block_on(self.verifier.refresh(SCRIPTED));
    }

    fn verdict(&self, token: &str) -> Verdict {
        match self.runtime.block_on(self.verifier.verify_wait(token)) {
            Ok(_) => Verdict { status: 200, code: String::new() },
            Err(refused) => {
                Verdict { status: refused.http_status(), code: refused.code().as_str().to_owned() }
            }
        }
    }

    fn ready(&self) -> bool {
        self.verifier.can_verify()
    }

    fn status(&self) -> Value {
        serde_json::to_value(self.verifier.status()).unwrap()
    }
}

/// T5, T12, T13, T22, T24, G3, K20
#[test]
fn the_library_does_what_every_row_expects() {
    rows::try_all::<Library>();
}
