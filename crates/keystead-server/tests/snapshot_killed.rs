//! A server that is killed while its provider rotates keys and it writes them down: what is left in
//! `state_dir` is whole, and enough to start again with.
#![cfg(all(unix, feature = "idp"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop"
)]

mod support;

use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use keystead::Snapshot;
use keystead_testkit::Token;
use keystead_testkit::idp::{Idp, IdpConfig};
use support::Server;

/// How often the server is killed.
const ROUNDS: u64 = 10;
/// How many rotations it is given to be killed in.
const ROTATIONS: usize = 200;

/// A token, with the kid of its key.
type Minted = (String, String);

fn mint(idp: &Idp) -> Minted {
    let token = idp.mint("p", Token::new().audience("app")).unwrap();
    (idp.kids("p").unwrap()[0].clone(), token)
}

fn bearer(token: &str) -> [(String, String); 1] {
    [("Authorization".to_owned(), format!("Bearer {token}"))]
}

/// Rotates and presents a token of the new key each time, which has the server fetch the set and
/// write it down; until it is told to stop. The server may be gone at any moment.
fn rotate(idp: &Idp, public: SocketAddr, stop: &AtomicBool) -> Vec<Minted> {
    let mut minted = Vec::new();
    while !stop.load(Ordering::Relaxed) && minted.len() < ROTATIONS {
        idp.rotate("p").unwrap();
        let kids = idp.kids("p").unwrap();
        if kids.len() > 20 {
            idp.withdraw("p", &kids[20]).unwrap();
        }
        minted.push(mint(idp));
        let (_, token) = &minted[minted.len() - 1];
        let request = format!(
            "GET /v1/auth/forward HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\n\r\n"
        );
        if let Ok(mut stream) = TcpStream::connect(public) {
            let _cut_short = stream.write_all(request.as_bytes());
            let _cut_short = stream.read_to_end(&mut Vec::new());
        }
    }
    minted
}

/// The kids in the file, which is whole.
fn kept(state_dir: &Path) -> Vec<String> {
    let snapshot = Snapshot::parse(&fs::read(state_dir.join("p.json")).unwrap()).unwrap();
    let sources = snapshot.providers().iter().flat_map(|provider| &provider.sources);
    let keys = sources.flat_map(|source| source.keys.keys());
    keys.filter_map(|key| key.kid()).map(ToOwned::to_owned).collect()
}

fn names(state_dir: &Path) -> Vec<String> {
    let files = fs::read_dir(state_dir).unwrap();
    let mut names: Vec<_> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn random() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}

#[test]
fn a_server_that_is_killed_at_any_moment_leaves_keys_to_start_again_with() {
    let idp = Idp::start(IdpConfig::new().realm("p")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let state_dir = folder.path().join("state");
    let config = format!(
        "log: {{format: json}}\nstate_dir: {}\nproviders: {{p: {{issuer: \"{}\", audiences: [app]}}}}",
        state_dir.display(),
        idp.issuer("p").unwrap()
    );
    let (whole, young) = (state_dir.join("p.json"), state_dir.join(".p.json.tmp"));
    let mut minted = vec![mint(&idp)];
    let mut struck = 0;
    for round in 0..ROUNDS {
        idp.up().unwrap();
        let server = Server::with_config(&config);
        let (public, stop) = (server.public, AtomicBool::new(false));
        while !whole.exists() {
            thread::yield_now();
        }
        minted.extend(thread::scope(|scope| {
            let rotating = scope.spawn(|| rotate(&idp, public, &stop));
            // Half of them when the file is being written, half of them whenever it may be.
            let mut looks = if round % 2 == 0 { u64::MAX } else { random() % 50_000 };
            while looks > 0 && !(round % 2 == 0 && young.exists()) && !rotating.is_finished() {
                looks -= 1;
            }
            struck += u64::from(!rotating.is_finished());
            // SIGKILL.
            drop(server);
            stop.store(true, Ordering::Relaxed);
            rotating.join().unwrap()
        }));
        let kids = kept(&state_dir);
        for name in names(&state_dir) {
            assert!([".p.json.lock", ".p.json.tmp", "p.json"].contains(&name.as_str()), "{name}");
        }

        idp.down().unwrap();
        let server = Server::with_config(&config);
        let (_, token) = minted.iter().rfind(|(kid, _)| kids.contains(kid)).unwrap();
        assert_eq!(server.get("/v1/auth/forward", &bearer(token)).status, 200, "round {round}");
        let status = server.admin("/status.json").json();
        assert_eq!(status["providers"]["p"]["state"], "stale");
        assert!(status["providers"]["p"]["snapshot"]["refused"].is_null(), "{status}");
    }
    assert!(struck > 0, "none was killed while keys were rotated: this proves nothing");

    // What was left behind is in nobody's way.
    idp.up().unwrap();
    let server = Server::with_config(&config);
    let newest = idp.rotate("p").unwrap();
    let (_, token) = mint(&idp);
    assert_eq!(server.get("/v1/auth/forward", &bearer(&token)).status, 200);
    while !kept(&state_dir).contains(&newest) || young.exists() {
        thread::yield_now();
    }
    assert_eq!(names(&state_dir), [".p.json.lock", "p.json"]);
}
