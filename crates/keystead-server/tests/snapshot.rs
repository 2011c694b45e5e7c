//! The keys on disk, by the real program: a restart while the provider is away, several processes in
//! one folder, processes that are killed while they write, and keys that are carried to another host.
#![cfg(all(unix, feature = "idp"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop"
)]

mod support;

use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use keystead::core::Algorithm;
use keystead::{ProviderConfig, Snapshot, Verifier};
use keystead_testkit::idp::{Idp, IdpConfig};
use keystead_testkit::{Answer, ManualClock, ScriptedFetch, SigningKey, Token};
use serde_json::{Value, json};
use support::Server;
use tempfile::TempDir;

const ISSUER: &str = "https://idp.example";
const KEYS: &str = "https://idp.example/keys";
/// 2026-01-01T00:00:00Z.
const MORNING: Duration = Duration::from_secs(1_767_225_600);

/// A host: its configuration, its `state_dir`, and its command line.
struct Host(TempDir);

impl Host {
    /// One that has the provider `p`, at this issuer and key address.
    fn new(issuer: &str, more: &str) -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        let text = format!(
            "state_dir: {}\nproviders:\n  p:\n    issuer: {issuer}\n    audiences: [app]\n    {more}\n",
            host.state_dir().display()
        );
        fs::write(host.path("keystead.yaml"), text).unwrap();
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn state_dir(&self) -> PathBuf {
        self.path("state")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keystead"));
        command.args(arguments).current_dir(self.0.path()).env_clear();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&self.command(arguments).output().unwrap())
    }

    /// What is on disk, which is whole.
    fn kept(&self) -> Option<Snapshot> {
        let content = fs::read(self.state_dir().join("p.json")).ok()?;
        Some(Snapshot::parse(&content).unwrap())
    }

    fn confirmed(&self) -> Option<Duration> {
        Some(self.kept()?.providers()[0].sources[0].confirmed)
    }
}

#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

/// What a verifier exports that fetched these keys at that time.
fn exported(keys: &[SigningKey], confirmed: Duration) -> String {
    let network = ScriptedFetch::new();
    let keys: Vec<Value> = keys.iter().map(SigningKey::jwk).collect();
    network.on(KEYS, [Answer::json(json!({ "keys": keys }).to_string())]);
    let verifier = Verifier::builder()
        .provider(ProviderConfig::new("outside", ISSUER).any_audience().jwks_url(KEYS))
        .clock(Arc::new(ManualClock::at(confirmed)))
        .fetch(Arc::new(network))
        .build();
    let refresh = verifier.start().unwrap();
    assert!(refresh.wait_first_attempts(Duration::from_secs(60)));
    refresh.stop();
    verifier.export_snapshot().to_json()
}

fn key(kid: &str) -> SigningKey {
    SigningKey::generate(Algorithm::Es256).unwrap().with_kid(kid)
}

/// G8: the demonstration, second half: the server is restarted with its provider down.
#[test]
fn a_server_that_is_restarted_while_its_provider_is_down_accepts_at_once() {
    let idp = Idp::start(IdpConfig::new().realm("akko")).unwrap();
    let issuer = idp.issuer("akko").unwrap();
    let token = idp.mint("akko", Token::new().audience("app")).unwrap();
    let bearer = [("Authorization".to_owned(), format!("Bearer {token}"))];
    let folder = tempfile::tempdir().unwrap();
    let state_dir = folder.path().join("state");
    let config = format!(
        "log: {{format: json}}\ndrain: 0s\nstate_dir: {}\nproviders:\n  akko:\n    issuer: {issuer}\n    \
         audiences: [app]\n",
        state_dir.display()
    );
    let mut server = Server::with_config(&config);
    server.line(|line| line["event"] == "provider.state" && line["state"] == "ready");
    assert_eq!(server.get("/v1/auth/forward", &bearer).status, 200);
    // The write follows the state; nothing but its end has to be waited for.
    let kept = state_dir.join("akko.json");
    while !kept.exists() {
        std::thread::yield_now();
    }
    server.signal("TERM");
    server.ended();

    idp.down().unwrap();
    let server = Server::with_config(&config);
    assert_eq!(server.get("/v1/auth/forward", &bearer).status, 200);
    let restored = server.line(|line| line["event"] == "snapshot.restored");
    assert_eq!((&restored["provider"], &restored["keys"]), (&json!("akko"), &json!(1)));
    let status = server.admin("/status.json").json();
    let akko = &status["providers"]["akko"];
    assert_eq!(akko["state"], "stale");
    assert!(akko["reason"].as_str().unwrap().contains("keys from snapshot, age "), "{akko}");
    let origin = akko["keys"][0]["origin"].as_str().unwrap();
    assert!(
        origin.starts_with(&format!("snapshot of discovery {issuer}/.well-known/")),
        "{origin}"
    );
    assert!(akko["keys"][0]["age_seconds"].is_u64());
    assert_eq!(akko["snapshot"]["file"], kept.to_str().unwrap());
    assert!(akko["snapshot"]["age_seconds"].is_u64());
    let confirmed = r#"keystead_snapshot_confirmed_timestamp_seconds{provider="akko"}"#;
    assert!(server.metric(confirmed).unwrap() > 1.7e9);
    let writes = |result| {
        let labels = format!("{{provider=\"akko\",result=\"{result}\"}}");
        server.metric(&format!("keystead_snapshot_writes_total{labels}"))
    };
    assert_eq!((writes("ok"), writes("error")), (Some(0.0), Some(0.0)));

    idp.up().unwrap();
    server.line(|line| line["event"] == "provider.state" && line["state"] == "ready");
    assert_eq!(server.get("/v1/auth/forward", &bearer).status, 200);
}

/// K31
#[test]
fn an_explanation_without_any_network_has_the_keys_of_the_snapshot() {
    let signing = key("K");
    let host = Host::new(ISSUER, &format!("jwks_url: {KEYS}"));
    fs::write(host.path("export.json"), exported(std::slice::from_ref(&signing), MORNING)).unwrap();
    assert_eq!(host.run(&["snapshot", "import", "export.json", "--yes"]).code, Some(0));
    let hour = MORNING + Duration::from_secs(3_600);
    let draft = |audience| {
        let token = Token::new().issuer(ISSUER).subject("alice").audience(audience);
        token.expires_in(MORNING, Duration::from_secs(7_200))
    };
    fs::write(host.path("good.jwt"), draft("app").sign(&signing).unwrap()).unwrap();
    fs::write(host.path("bad.jwt"), draft("other").sign(&signing).unwrap()).unwrap();
    let at = hour.as_secs().to_string();
    // Judged at that hour; but the keys are as old as they are: they would be past max_stale.
    let forever = "providers.p.max_stale=forever";
    let ask = |verb, token| host.run(&[verb, "--offline", "--at", &at, "--set", forever, token]);
    let good = ask("explain", "@good.jwt");
    assert_eq!(good.code, Some(0), "{good:?}");
    let origin = format!("snapshot of jwks_url {KEYS}, confirmed 2026-01-01T00:00:00Z");
    assert!(good.out.contains(&origin), "{}", good.out);
    let source = format!("source jwks_url {KEYS}: stale, 1 key, kid \"K\" found, not asked");
    assert!(good.out.contains(&source), "{}", good.out);
    let bad = ask("explain", "@bad.jwt");
    assert_eq!(bad.code, Some(1), "{bad:?}");
    for part in ["NOT VERIFIED", "audience.not_accepted", "providers.p.audiences", &origin] {
        assert!(bad.out.contains(part), "{part}: {}", bad.out);
    }
    assert_eq!(ask("verify", "@good.jwt").code, Some(0));
    let keys = host.run(&["keys", "--offline", "--set", forever]);
    assert!(keys.code == Some(0) && keys.out.contains("keys from snapshot, age "), "{keys:?}");
    let keys = host.run(&["keys", "--offline"]);
    assert!(keys.code == Some(69) && keys.out.contains("it is past max_stale"), "{keys:?}");
}

#[test]
fn keys_are_carried_to_a_host_that_cannot_fetch_them() {
    let (old, new) = (key("old"), key("new"));
    let host = Host::new(ISSUER, &format!("jwks_url: {KEYS}"));
    fs::write(host.path("export.json"), exported(std::slice::from_ref(&old), MORNING)).unwrap();

    // Nobody is there who could be asked.
    let refused = host.run(&["snapshot", "import", "export.json"]);
    let added = format!("  + {}\n", old.thumbprint().unwrap());
    assert_eq!(refused.code, Some(64));
    assert!(refused.out.contains(&added) && refused.err.contains("--yes"), "{refused:?}");
    assert!(!host.state_dir().exists(), "nothing was written, nor made");

    let taken = host.run(&["snapshot", "import", "export.json", "--yes"]);
    assert_eq!((taken.code, taken.err.as_str()), (Some(0), "p: written\n"), "{taken:?}");
    assert!(
        taken.out.starts_with(&format!("p: jwks_url {KEYS}, confirmed 2026-01-01T00:00:00Z, "))
    );
    let again = host.run(&["snapshot", "import", "export.json", "--yes"]);
    assert_eq!((again.code, again.err.as_str()), (Some(0), "there is nothing to import\n"));
    assert!(again.out.contains("not taken: what is there was confirmed as late or later"));

    let later = MORNING + Duration::from_secs(60);
    fs::write(host.path("later.json"), exported(std::slice::from_ref(&new), later)).unwrap();
    let rotated = host.run(&["snapshot", "import", "later.json", "--yes"]);
    assert!(rotated.out.contains(&format!("  + {}", new.thumbprint().unwrap())), "{rotated:?}");
    assert_eq!(host.confirmed(), Some(later));

    // What is there can be shown, and taken along again.
    let shown = host.run(&["snapshot", "show", "--format", "json"]);
    let value: Value = serde_json::from_str(&shown.out).unwrap();
    let source = &value["providers"][0]["sources"][0];
    assert_eq!(source["confirmed"], "2026-01-01T00:01:00Z", "{shown:?}");
    assert_eq!(source["keys"][0]["thumbprint"], new.thumbprint().unwrap());
    let written = host.run(&["snapshot", "export", "--output", "again.json"]);
    assert_eq!((written.code, written.out.as_str(), written.err.as_str()), (Some(0), "", ""));
    let on_stdout = host.run(&["snapshot", "export"]);
    assert_eq!(on_stdout.out, fs::read_to_string(host.path("again.json")).unwrap());
    let shown = host.run(&["snapshot", "show", "again.json"]);
    assert!(shown.code == Some(0) && shown.out.contains(&new.thumbprint().unwrap()), "{shown:?}");

    // A host with another issuer, one with another address, and one without a folder.
    for (issuer, url, why) in [
        ("https://other.example", KEYS, "no provider in use here has issuer"),
        (ISSUER, "https://idp.example/other", "the provider here has no such source"),
    ] {
        let other = Host::new(issuer, &format!("jwks_url: {url}"));
        let file = host.path("again.json");
        let ran = other.run(&["snapshot", "import", file.to_str().unwrap(), "--yes"]);
        assert!(ran.code == Some(1) && ran.out.contains(why), "{ran:?}");
        assert!(!other.state_dir().exists());
    }
    let nowhere = host.run(&["snapshot", "import", "again.json", "--yes", "--set", "state_dir="]);
    assert!(
        nowhere.code == Some(64) && nowhere.err.contains("state_dir is not set"),
        "{nowhere:?}"
    );
}

#[test]
fn an_export_can_ask_the_sources() {
    let idp = Idp::start(IdpConfig::new().realm("akko")).unwrap();
    let host = Host::new(&idp.issuer("akko").unwrap(), "");
    let empty = host.run(&["snapshot", "export"]);
    assert_eq!(empty.code, Some(69), "{empty:?}");
    assert!(empty.err.contains("p is not in it: no usable key is held"), "{empty:?}");
    assert!(empty.err.contains("--fetch asks"), "{empty:?}");
    let fetched = host.run(&["snapshot", "export", "--fetch"]);
    assert_eq!((fetched.code, fetched.err.as_str()), (Some(0), ""));
    let snapshot = Snapshot::parse(fetched.out.as_bytes()).unwrap();
    let source = &snapshot.providers()[0].sources[0];
    assert_eq!(source.endpoint.as_ref().unwrap().jwks_uri, idp.jwks_url("akko").unwrap());
    assert!(!host.state_dir().exists(), "a program that runs once writes nothing");
    idp.down().unwrap();
    let away = host.run(&["snapshot", "export", "--fetch"]);
    assert_eq!(away.code, Some(69), "{away:?}");
}

#[test]
fn a_file_in_the_folder_that_is_refused_is_shown_with_its_reason_and_stays() {
    let host = Host::new(ISSUER, &format!("jwks_url: {KEYS}"));
    fs::create_dir(host.state_dir()).unwrap();
    private(&host.state_dir());
    fs::write(host.state_dir().join("p.json"), "{}").unwrap();
    let shown = host.run(&["snapshot", "show"]);
    assert_eq!(shown.code, Some(1), "{shown:?}");
    assert!(shown.out.starts_with("p: not used: "), "{shown:?}");
    assert!(shown.out.contains("it is no snapshot of keystead"), "{shown:?}");
    assert_eq!(fs::read_dir(host.state_dir()).unwrap().count(), 1);
}

fn private(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
}

/// However many processes there are, and in whatever order they come: the newest keys are there in
/// the end.
#[test]
fn several_processes_share_a_folder_and_the_newest_keys_stay() {
    let host = Host::new(ISSUER, &format!("jwks_url: {KEYS}"));
    let second = |n: u64| MORNING + Duration::from_secs(n);
    for round in 0..3 {
        let numbers: Vec<u64> = (1..=6).map(|n| round * 10 + (n * 5) % 7).collect();
        for n in &numbers {
            let name = format!("{n}.json");
            fs::write(host.path(&name), exported(&[key(&n.to_string())], second(*n))).unwrap();
        }
        let name = |n: &u64| format!("{n}.json");
        let start =
            |n: &u64| host.command(&["snapshot", "import", &name(n), "--yes"]).spawn().unwrap();
        let processes: Vec<Child> = numbers.iter().map(start).collect();
        for process in processes {
            let ran = Ran::of(&process.wait_with_output().unwrap());
            assert_eq!(ran.code, Some(0), "{ran:?}");
        }
        assert_eq!(host.confirmed(), numbers.iter().max().map(|n| second(*n)));
    }
}

/// A process that is killed at whatever moment of its writing leaves a whole file, the one before or
/// its own, and nothing that keeps the next one from writing.
#[test]
fn killed_at_any_moment_of_writing_it_leaves_a_whole_file() {
    let host = Host::new(ISSUER, &format!("jwks_url: {KEYS}"));
    // Many keys, so that there is something to write.
    let keys: Vec<SigningKey> = (0..200).map(|n| key(&n.to_string())).collect();
    let mut last = Duration::ZERO;
    let mut killed = 0;
    for n in 0..40_u64 {
        let confirmed = MORNING + Duration::from_secs(n);
        fs::write(host.path("next.json"), exported(&keys, confirmed)).unwrap();
        let mut process =
            host.command(&["snapshot", "import", "next.json", "--yes"]).spawn().unwrap();
        // Half of them when the file is being written, half of them whenever it may be.
        let young = host.state_dir().join(".p.json.tmp");
        let mut looks = if n % 2 == 0 { u64::MAX } else { random() % 20_000 };
        while looks > 0 && !(n % 2 == 0 && young.exists()) && process.try_wait().unwrap().is_none()
        {
            looks -= 1;
        }
        killed += u64::from(process.try_wait().unwrap().is_none());
        let _ended_by_itself = process.kill();
        process.wait().unwrap();
        // Reading it fails when it is not whole.
        let found = host.confirmed().unwrap_or_default();
        assert!(found == last || found == confirmed, "{found:?} is neither of the two");
        last = found;
    }
    assert!(killed > 0, "none was killed: this proves nothing");
    let confirmed = MORNING + Duration::from_secs(100);
    fs::write(host.path("next.json"), exported(&keys, confirmed)).unwrap();
    assert_eq!(host.run(&["snapshot", "import", "next.json", "--yes"]).code, Some(0));
    assert_eq!(host.confirmed(), Some(confirmed));
    let mut names: Vec<_> =
        fs::read_dir(host.state_dir()).unwrap().map(|file| file.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [".p.json.lock", "p.json"], "nothing is left behind");
}

fn random() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}

/// A disk that takes no more, as a process meets it that may not write a single byte: a word in log
/// and status, and tokens are judged as ever.
#[test]
fn a_full_disk_is_said_and_keeps_nobody_from_verifying() {
    let idp = Idp::start(IdpConfig::new().realm("akko")).unwrap();
    let host = Host::new(&idp.issuer("akko").unwrap(), "");
    fs::create_dir(host.state_dir()).unwrap();
    private(&host.state_dir());
    let serve = format!(
        "trap '' XFSZ; ulimit -f 0; exec {} serve --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 \
         --set log.format=json",
        env!("CARGO_BIN_EXE_keystead")
    );
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &serve]).current_dir(host.0.path()).env_clear().stderr(Stdio::piped());
    let mut process = Killed(command.spawn().unwrap());
    let mut public = None;
    for line in BufReader::new(process.0.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some((_, address)) = line.split_once("public listener at ") {
            public = address.split(['"', ' ']).next().and_then(|address| address.parse().ok());
        }
        if line.contains("snapshot.write_failed") {
            let line: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(line["code"], "no_space", "{line}");
            break;
        }
    }
    let token = idp.mint("akko", Token::new().audience("app")).unwrap();
    let bearer = [("Authorization".to_owned(), format!("Bearer {token}"))];
    let answer = support::request(public.unwrap(), "GET", "/v1/auth/forward", &bearer, b"");
    assert_eq!(answer.status, 200);
    let mut names: Vec<_> =
        fs::read_dir(host.state_dir()).unwrap().map(|file| file.unwrap().file_name()).collect();
    names.retain(|name| name != ".p.json.tmp");
    assert_eq!(names, [".p.json.lock"], "no half of a file stands in its place");
}

/// A process that ends with its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}
