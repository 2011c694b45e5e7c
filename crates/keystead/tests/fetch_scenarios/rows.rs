//! What the rows of `fetch_scenarios.jsonl` expect, as things that are done and looked at: the same
//! for the library and for the program.
//!
//! Each member of `expect` is tried with a provider and a subject of its own. One that nobody knows
//! fails, as would one whose words have changed: it would be a condition that nobody tests.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use keystead::core::Algorithm;
use keystead::http::FetchRules;
use keystead::{Clock, SystemClock};
use keystead_testkit::idp::{DEFAULT_REALM, Documents, Order};
use keystead_testkit::scenario::{Play, Scenario, SourceKind};
use keystead_testkit::{SigningKey, Token};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// The audience of every token here.
pub(crate) const AUDIENCE: &str = "api";

/// The provider that the row is about, and one whose keys are written in the configuration.
pub(crate) const SCRIPTED: &str = "scripted";
pub(crate) const NEIGHBOUR: &str = "neighbour";
const NEIGHBOUR_ISSUER: &str = "https://neighbour.example";

/// How long anything is waited for before the test is given up.
const GIVE_UP: Duration = Duration::from_secs(60);

/// How many expectations are tried beside each other.
const WORKERS: usize = 4;

/// How many tokens with made-up kids there are in a flood.
const FLOOD: usize = 10_000;

/// What judges tokens: the library, or the program.
pub(crate) trait Subject: Sized {
    /// Starts it with this configuration (YAML). It has asked nobody yet, or is just doing so.
    fn start(config: &str) -> Self;

    /// Waits until the scripted provider has been asked once.
    fn first_attempt(&self);

    /// Asks the scripted provider now, and waits for what comes of it.
    fn ask(&self);

    /// What it says about a token. It may ask for a key that it does not know.
    fn verdict(&self, token: &str) -> Verdict;

    /// Whether it is ready for traffic.
    fn ready(&self) -> bool;

    /// `/status.json`.
    fn status(&self) -> Value;
}

/// 200 or the refusal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) status: u16,
    pub(crate) code: String,
}

impl Verdict {
    fn accepts(&self) -> bool {
        self.status == 200
    }

    /// As rows write it: status, and class.
    fn in_words(&self) -> String {
        format!("{} {}", self.status, self.code.replace('.', "_"))
    }
}

/// Tries every expectation of every row.
pub(crate) fn try_all<S: Subject>() {
    let rows = Scenario::all().unwrap();
    assert!(!rows.is_empty());
    let expected = rows.iter().flat_map(|row| {
        let expected = row.expect.as_object().unwrap();
        assert!(!expected.is_empty(), "{} expects nothing", row.id);
        expected.iter().map(move |(member, value)| (row, member, value))
    });
    let (expected, next) = (expected.collect::<Vec<_>>(), AtomicUsize::new(0));
    let work = || {
        let mine = std::iter::from_fn(|| expected.get(next.fetch_add(1, Ordering::SeqCst)));
        // Each of them fails by itself, and says which it is.
        let failed = |(row, member, value): &&(&Scenario, &String, &Value)| {
            let trial = || Trial::<S>::prepare(row, member, value).run();
            catch_unwind(AssertUnwindSafe(trial)).is_err()
        };
        mine.filter(failed).map(|(row, member, _)| format!("{}, {member}", row.id)).collect()
    };
    let failed: Vec<String> = thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| -> Vec<_> { worker.join().unwrap() }).collect()
    });
    assert!(failed.is_empty(), "not as expected: {failed:?}");
}

/// One expectation of one row.
struct Trial<'a, S> {
    row: &'a Scenario,
    member: &'a str,
    value: &'a Value,
    play: Play,
    neighbour: SigningKey,
    folder: TempDir,
    subject: std::marker::PhantomData<S>,
}

impl<'a, S: Subject> Trial<'a, S> {
    fn prepare(row: &'a Scenario, member: &'a str, value: &'a Value) -> Self {
        let play = row.play().unwrap();
        let neighbour = SigningKey::generate(Algorithm::Es256).unwrap();
        let folder = tempfile::tempdir().unwrap();
        Self { row, member, value, play, neighbour, folder, subject: std::marker::PhantomData }
    }

    fn run(&self) {
        match (self.member, written(self.value).as_str()) {
            ("starts", "true") => self.starts(),
            ("ready", "false when it is the only provider") => self.is_not_ready_alone(),
            ("token_for_provider", said) => self.refuses(said),
            ("other_providers", "unaffected") => self.leaves_others_alone(),
            (
                "explain",
                "disabled (unset), naming the provider and the setting; no fetch attempted",
            ) => self.explains(&["unset", "issuer"], Some(0)),
            ("explain", "'abc' is not an absolute URL; names the setting") => {
                self.explains(&["misconfigured", "jwks_url: \"abc\" is not an absolute URL"], None);
            }
            ("eventually", "accept") => self.heals_when_asked(),
            ("retry", "backoff with jitter as the defaults, within 15 s") => {
                self.heals_by_itself(15);
            }
            ("negative_cache_max_s", seconds) => self.heals_by_itself(seconds.parse().unwrap()),
            ("token", "accept") if self.row.source == SourceKind::InProcess => {
                drop(self.accepts(0));
            }
            ("token", "accept") => drop(self.accepts(3)),
            ("token", "accept, provider stale") | ("stale_flag", "true") => {
                let subject = self.accepts(2);
                assert_eq!(scripted(&subject)["state"], "stale", "{}", self.name());
            }
            ("never", "evict good keys on failed refresh") => self.keeps_keys(6),
            ("keep", "LKG") => self.keeps_keys(2),
            ("keep", "LKG until max_stale") => self.keeps_keys_until_max_stale(),
            ("max_read_bytes", limit) => self.reads_at_most(limit.parse().unwrap()),
            ("outcome", "fetch error, LKG kept") => self.keeps_keys_after_a_good_answer(),
            ("max_wait_s", limit) => self.waits_at_most(limit.parse().unwrap()),
            ("verify_path_blocked", "false") => self.answers_while_it_asks(),
            ("input", "10000 tokens, random kid, 10 s") => assert_eq!(FLOOD, 10_000),
            ("max_upstream_requests", limit) => self.asks_at_most(limit.parse().unwrap()),
            ("known_tokens_latency", "unaffected") => self.flooded(),
            ("token_new_kid", "accept within one on-demand refresh") => self.rotates(),
            ("followed", "false") => self.follows_nothing(),
            ("outcome", "fetch error: redirect to a less secure scheme") => {
                let subject = self.start(&json!({}));
                subject.first_attempt();
                self.failed(&subject, "redirect", &["https", "http://127.0.0.1"]);
            }
            ("outcome", "reject metadata unless alias configured; explain both strings") => {
                self.wants_an_alias();
            }
            ("token_iss_public", "accept") => self.accepts_the_public_issuer(),
            ("network_calls_on_verify_path", "0") => self.needs_no_network(),
            ("sends", "If-None-Match") => self.asks_conditionally(),
            (member, said) => panic!("{}: nobody tests {member}: {said}", self.row.id),
        }
    }

    fn name(&self) -> String {
        format!("{}, {}", self.row.id, self.member)
    }

    fn starts(&self) {
        let subject = self.start(&json!({}));
        assert!(scripted(&subject)["state"].is_string(), "{}", self.name());
        self.neighbour_is_fine(&subject);
    }

    fn is_not_ready_alone(&self) {
        let providers = BTreeMap::from([(SCRIPTED, self.provider(&json!({})))]);
        let subject = S::start(&config(&providers));
        subject.first_attempt();
        assert!(!subject.ready(), "{}", self.name());
    }

    fn refuses(&self, said: &str) {
        let subject = self.start(&json!({}));
        subject.first_attempt();
        assert_eq!(subject.verdict(&self.token()).in_words(), said, "{}", self.name());
    }

    fn leaves_others_alone(&self) {
        let subject = self.start(&json!({}));
        subject.first_attempt();
        subject.ask();
        self.neighbour_is_fine(&subject);
        assert!(subject.ready(), "{}", self.name());
    }

    fn explains(&self, parts: &[&str], connections: Option<u64>) {
        let subject = self.start(&json!({}));
        self.neighbour_is_fine(&subject);
        let status = scripted(&subject);
        assert_eq!(status["state"], "disabled", "{}", self.name());
        let reason = status["reason"].as_str().unwrap();
        for part in parts {
            assert!(reason.contains(part), "{}: {reason}", self.name());
        }
        if let Some(connections) = connections {
            assert_eq!(self.play.idp().connections(), connections, "{}", self.name());
        }
    }

    fn heals_when_asked(&self) {
        let subject = self.start(&json!({}));
        subject.first_attempt();
        subject.ask();
        // The first answer after the bad one is good; the attempt that was asked for may have been
        // the first one, which was under way.
        subject.ask();
        assert!(subject.verdict(&self.token()).accepts(), "{}", self.name());
        let requests = self.play.idp().requests(DEFAULT_REALM).unwrap();
        assert!(requests.discovery + requests.jwks > 2, "{}: no bad answer was met", self.name());
    }

    /// Nobody asks, and the next attempt is never planned later than so many seconds after the last.
    fn heals_by_itself(&self, seconds: u64) {
        let subject = self.start(&json!({}));
        subject.first_attempt();
        until(&self.name(), || {
            let status = scripted(&subject);
            if status["state"] == "ready" {
                return true;
            }
            let at = |time: &str| timestamp(&status["sources"][0][time]);
            if let (Some(last), Some(next)) = (at("last_attempt"), at("next_attempt")) {
                assert!(next <= last + seconds, "{}: {status}", self.name());
            }
            false
        });
        assert!(subject.verdict(&self.token()).accepts(), "{}", self.name());
    }

    /// After every one of so many further attempts.
    fn accepts(&self, attempts: usize) -> S {
        let subject = self.start(&json!({}));
        if attempts > 0 {
            subject.first_attempt();
        }
        let token = self.token();
        assert!(subject.verdict(&token).accepts(), "{}", self.name());
        for _ in 0..attempts {
            subject.ask();
            assert!(subject.verdict(&token).accepts(), "{}", self.name());
        }
        let asked = u64::try_from(attempts).unwrap();
        assert!(self.jwks_requests() >= asked, "{}: nobody was asked", self.name());
        subject
    }

    fn keeps_keys(&self, attempts: usize) {
        let subject = self.start(&json!({}));
        subject.first_attempt();
        let held = kids(&subject);
        assert_eq!(held.len(), 1, "{}", self.name());
        for _ in 0..attempts {
            subject.ask();
            let error = &scripted(&subject)["sources"][0]["last_error"];
            assert!(error.is_object(), "{}: nothing went wrong", self.name());
            assert_eq!(kids(&subject), held, "{}", self.name());
            assert!(subject.verdict(&self.token()).accepts(), "{}", self.name());
        }
    }

    fn keeps_keys_until_max_stale(&self) {
        self.keeps_keys(2);
        // The script has been used up: a new one, for another subject.
        let again = Self::prepare(self.row, self.member, self.value);
        let subject = again.start(&json!({ "max_stale": "2s" }));
        subject.first_attempt();
        assert!(subject.verdict(&again.token()).accepts(), "{}", again.name());
        subject.ask();
        until(&again.name(), || scripted(&subject)["state"] == "expired");
        let verdict = subject.verdict(&again.token());
        assert_eq!(verdict.in_words(), "503 keys_expired", "{}", again.name());
    }

    fn reads_at_most(&self, limit: usize) {
        let subject = self.start(&json!({}));
        subject.first_attempt();
        let own = FetchRules::default().max_body;
        assert!(own <= limit, "{}", self.name());
        self.failed(&subject, "too_large", &[&format!("more than {own} bytes")]);
    }

    /// The row has no good answer; here one comes first.
    fn keeps_keys_after_a_good_answer(&self) {
        let bad = self.play.idp().orders();
        let good = Order::healthy().documents(Documents::Jwks).requests(1);
        self.play.idp().script([good].into_iter().chain(bad)).unwrap();
        self.keeps_keys(2);
    }

    fn waits_at_most(&self, seconds: u64) {
        let longest = FetchRules::default().timeout;
        assert!(longest < Duration::from_secs(seconds), "{}", self.name());
        // That the time is kept shows sooner with less of it.
        let subject = self.start(&json!({ "timeout": "300ms" }));
        subject.first_attempt();
        self.failed(&subject, "timeout", &["300ms"]);
    }

    fn answers_while_it_asks(&self) {
        let subject = self.start(&json!({ "timeout": "60s" }));
        until(&self.name(), || self.jwks_requests() == 1);
        self.neighbour_is_fine(&subject);
        let verdict = subject.verdict(&self.token());
        assert_eq!(verdict.in_words(), "503 keys_unavailable", "{}", self.name());
        let source = &scripted(&subject)["sources"][0];
        assert!(source["last_error"].is_null(), "{}: the attempt had ended", self.name());
    }

    fn asks_at_most(&self, limit: u64) {
        match self.row.class.as_str() {
            "dos" => self.flooded(),
            "rotation" => self.rotates(),
            class => panic!("{}: what is done in the class {class}", self.name()),
        }
        let requests = self.jwks_requests();
        assert!(requests <= limit, "{}: {requests} requests", self.name());
    }

    /// Good tokens pass between tokens with made-up kids, whose only trace is a request or two.
    fn flooded(&self) {
        let subject = self.start(&json!({}));
        subject.first_attempt();
        let (good, stranger) = (self.token(), SigningKey::generate(Algorithm::Es256).unwrap());
        for number in 0..FLOOD {
            let made_up = self.draft().header("kid", format!("made-up-{number}"));
            let verdict = subject.verdict(&made_up.sign(&stranger).unwrap());
            assert_eq!(verdict.in_words(), "401 key_unknown_kid", "{}", self.name());
            if number % 100 == 0 {
                assert!(subject.verdict(&good).accepts(), "{}", self.name());
            }
        }
        assert_eq!(scripted(&subject)["state"], "ready", "{}", self.name());
    }

    fn rotates(&self) {
        let subject = self.start(&json!({}));
        subject.first_attempt();
        let new = self.play.token_of_new_key(AUDIENCE).unwrap();
        let before = self.jwks_requests();
        assert!(subject.verdict(&new).accepts(), "{}", self.name());
        assert_eq!(self.jwks_requests(), before + 1, "{}", self.name());
        assert!(subject.verdict(&self.token()).accepts(), "{}", self.name());
    }

    fn follows_nothing(&self) {
        let subject = self.start(&json!({}));
        subject.first_attempt();
        subject.ask();
        assert!(self.jwks_requests() > 0, "{}: nobody was asked", self.name());
        assert_eq!(self.play.second().unwrap().connections(), 0, "{}", self.name());
    }

    fn wants_an_alias(&self) {
        let theirs = "https://other.example/realms/x";
        let subject = self.start(&json!({}));
        subject.first_attempt();
        self.failed(&subject, "issuer_mismatch", &[theirs, self.play.issuer()]);
        assert_eq!(self.jwks_requests(), 0, "{}", self.name());
        let subject = self.start(&json!({ "aliases": [theirs] }));
        subject.first_attempt();
        assert!(subject.verdict(&self.token()).accepts(), "{}", self.name());
    }

    fn accepts_the_public_issuer(&self) {
        assert_eq!(self.play.issuer(), "https://public.example/realms/x");
        drop(self.accepts(1));
    }

    fn needs_no_network(&self) {
        let subject = self.start(&json!({}));
        for _ in 0..100 {
            assert!(subject.verdict(&self.token()).accepts(), "{}", self.name());
        }
        assert_eq!(self.play.idp().connections(), 0, "{}", self.name());
        assert_eq!(scripted(&subject)["state"], "ready", "{}", self.name());
    }

    /// And takes 304 for the good news that it is. An attempt that somebody asked for wants the whole
    /// set, so that these are the ones of the schedule.
    fn asks_conditionally(&self) {
        let subject = self.start(&json!({ "refresh_interval": "1s" }));
        let requests = || self.play.idp().requests(DEFAULT_REALM).unwrap();
        // With the second one the first has ended.
        until(&self.name(), || requests().conditional > 1);
        let asked = requests();
        assert_eq!(asked.jwks, asked.conditional + 1, "{}", self.name());
        let status = scripted(&subject);
        assert_eq!(status["state"], "ready", "{}", self.name());
        assert!(status["sources"][0]["last_error"].is_null(), "{}: {status}", self.name());
        assert!(subject.verdict(&self.token()).accepts(), "{}", self.name());
    }

    /// The last error has this code, and these parts are in its sentence.
    fn failed(&self, subject: &S, code: &str, parts: &[&str]) {
        let status = scripted(subject);
        let error = &status["sources"][0]["last_error"];
        assert_eq!(error["code"], code, "{}: {status}", self.name());
        let detail = error["detail"].as_str().unwrap();
        for part in parts {
            assert!(detail.contains(part), "{}: {part} is not in {detail}", self.name());
        }
    }

    fn start(&self, settings: &Value) -> S {
        let key = json!({ "keys": [self.neighbour.jwk()] }).to_string();
        let neighbour = json!({ "issuer": NEIGHBOUR_ISSUER, "audiences": [AUDIENCE], "keys": key });
        let providers =
            BTreeMap::from([(NEIGHBOUR, neighbour), (SCRIPTED, self.provider(settings))]);
        S::start(&config(&providers))
    }

    fn provider(&self, settings: &Value) -> Value {
        let mut provider = json!({ "issuer": self.play.issuer(), "audiences": [AUDIENCE] });
        let members: &mut Map<String, Value> = provider.as_object_mut().unwrap();
        if let Some(url) = self.play.jwks_url() {
            members.insert("jwks_url".to_owned(), url.into());
        }
        if self.row.source == SourceKind::InProcess {
            members.insert("keys".to_owned(), self.play.jwks().to_string().into());
        }
        if let Some(pem) = self.play.idp().ca_pem() {
            let path = self.folder.path().join("ca.pem");
            std::fs::write(&path, pem).unwrap();
            members.insert("ca_file".to_owned(), path.to_str().unwrap().into());
        }
        members.extend(settings.as_object().unwrap().clone());
        provider
    }

    fn token(&self) -> String {
        self.play.token(AUDIENCE).unwrap()
    }

    fn draft(&self) -> Token {
        let now = self.play.idp().now();
        let token = Token::new().audience(AUDIENCE).issuer(self.play.issuer());
        token.subject("mallory").expires_in(now, Duration::from_secs(3600))
    }

    fn jwks_requests(&self) -> u64 {
        self.play.idp().requests(DEFAULT_REALM).unwrap().jwks
    }

    fn neighbour_is_fine(&self, subject: &S) {
        let token = self.draft().issuer(NEIGHBOUR_ISSUER).sign(&self.neighbour).unwrap();
        assert!(subject.verdict(&token).accepts(), "{}: the other provider", self.name());
        assert_eq!(subject.status()["providers"][NEIGHBOUR]["state"], "ready");
    }
}

/// A text as it is, anything else as JSON.
fn written(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// JSON is YAML.
fn config(providers: &BTreeMap<&str, Value>) -> String {
    format!("providers: {}\n", json!(providers))
}

fn scripted(subject: &impl Subject) -> Value {
    subject.status()["providers"][SCRIPTED].clone()
}

fn kids(subject: &impl Subject) -> Vec<String> {
    let status = scripted(subject);
    let keys = status["keys"].as_array().unwrap();
    let usable = keys.iter().filter(|key| key["usable"] == true);
    usable.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// Seconds of the day, which is enough to compare times of one minute.
fn timestamp(time: &Value) -> Option<u64> {
    let clock = time.as_str()?.split_once('T')?.1.trim_end_matches('Z');
    let parts = clock.split(':').map(|part| part.parse::<u64>().unwrap());
    Some(parts.fold(0, |sum, part| 60 * sum + part))
}

/// Waits until that is so, looking again and again.
fn until(name: &str, what: impl Fn() -> bool) {
    let clock = SystemClock::new();
    while !what() {
        assert!(clock.monotonic() < GIVE_UP, "{name}: it does not happen");
        thread::yield_now();
    }
}
