//! Every fault that a provider can have, at three moments: what its tokens get, and those of another
//! provider. Real providers over loopback, and nothing waits for time to pass.
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests may stop")]

mod table;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use keystead::{ProviderConfig, ProviderStatus, RefreshError, RefreshHandle, Verifier};
use keystead_testkit::Token;
use keystead_testkit::idp::{Documents, Fault, Idp, IdpConfig, Order};
use table::{Moment, Outcome, TABLE, Verdict};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const REALM: &str = "demo";
const AUDIENCE: &str = "app";

/// How many cells are tried beside each other.
const WORKERS: usize = 6;

/// Ends the faults that never answer, and is far from what a healthy answer takes.
const TIMEOUT: Duration = Duration::from_millis(1500);

/// T11, T22, T24, G5, K18, K20, K27
#[test]
fn each_fault_at_each_moment_does_what_the_table_says_and_nothing_to_others() {
    let listed: Vec<Fault> = TABLE.iter().map(|(fault, _)| *fault).collect();
    assert_eq!(listed, Fault::ALL, "the table has each fault once, in the order of the catalogue");
    let cells = TABLE.iter().flat_map(|(fault, outcomes)| {
        Moment::ALL.into_iter().zip(outcomes).map(|(moment, outcome)| (*fault, moment, *outcome))
    });
    in_parallel(&cells.collect::<Vec<_>>(), |(fault, moment, expected)| {
        let cell = Cell::new(*fault);
        let found = cell.play(*moment, order(*fault));
        compare(&format!("{fault} at {moment:?}"), found, *expected)
    });
}

/// Whatever is wrong with the metadata document alone, the keys are asked for where they were,
/// and a rotation gets through.
#[test]
fn a_document_that_fails_alone_keeps_no_rotation_out() {
    let cells: Vec<_> = TABLE
        .iter()
        .filter(|(fault, _)| fault.documents() == Some(Documents::Both))
        .map(|(fault, [start, ..])| (*fault, start.error))
        .collect();
    assert!(cells.len() > 20);
    in_parallel(&cells, |(fault, error)| {
        let order = order(*fault).documents(Documents::Discovery);
        let found = Cell::new(*fault).play(Moment::Rotation, order);
        let expected = Outcome { token: Verdict::Accepted, state: "ready", error: *error };
        compare(&format!("{fault} of the document alone"), found, expected)
    });
}

/// K15: the first set that omits everything removes nothing, the second one does.
#[test]
fn a_set_that_stays_replaced_takes_the_old_keys_with_the_second_answer() {
    let mut cell = Cell::new(Fault::ReplacedSet);
    cell.start();
    let old = token(&cell.faulty);
    cell.faulty.fault(Fault::ReplacedSet).unwrap();
    cell.refresh("faulty").unwrap();
    assert_eq!(cell.verdict(&old), Verdict::Accepted);
    cell.refresh("faulty").unwrap();
    assert_eq!(cell.verdict(&old), Verdict::Refused(401, "key.unknown_kid"));
    assert_eq!(cell.status("faulty").state, "ready");
}

/// A verifier between a provider that is going to be faulty and one that is not.
struct Cell {
    faulty: Idp,
    healthy: Idp,
    verifier: Verifier,
    refreshing: Option<RefreshHandle>,
    runtime: Runtime,
    _folder: TempDir,
}

impl Cell {
    fn new(fault: Fault) -> Self {
        // The second realm has the keys that are foreign to the first.
        let config = IdpConfig::new().realm(REALM).realm("foreign");
        let config = if fault.needs_tls() { config.over_tls() } else { config };
        let faulty = Idp::start(config).unwrap();
        let healthy = Idp::start(IdpConfig::new().realm(REALM)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let ca = faulty.ca_pem().map(|pem| {
            let path = folder.path().join("ca.pem");
            fs::write(&path, pem).unwrap();
            path
        });
        let verifier = Verifier::builder()
            .provider(provider("faulty", &faulty, ca.as_deref()))
            .provider(provider("healthy", &healthy, None))
            .build();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { faulty, healthy, verifier, refreshing: None, runtime, _folder: folder }
    }

    /// What holds once the provider was asked during the fault.
    fn play(mut self, moment: Moment, order: Order) -> Outcome {
        let mut old = None;
        if moment == Moment::Start {
            self.faulty.fault(order).unwrap();
            self.start();
        } else {
            self.start();
            // On a busy machine the first attempt may have run out of time.
            self.recovered();
            old = Some(token(&self.faulty));
            if moment == Moment::Rotation {
                self.faulty.rotate(REALM).unwrap();
            }
            self.faulty.fault(order).unwrap();
            // Whether it is a failure is seen in the status.
            let _asked = self.refresh("faulty");
        }
        let newest = token(&self.faulty);
        let status = self.status("faulty");
        let found = Outcome {
            token: self.verdict(&newest),
            state: status.state,
            error: status.sources.iter().find_map(|source| Some(source.last_error.as_ref()?.code)),
        };
        if let Some(known) = old {
            assert_eq!(self.verdict(&known), Verdict::Accepted, "a key that was held is lost");
        }
        self.refresh("healthy").unwrap();
        assert_eq!(self.status("healthy").state, "ready");
        assert_eq!(self.verdict(&token(&self.healthy)), Verdict::Accepted, "another provider");

        self.faulty.heal().unwrap();
        self.recovered();
        assert_eq!(self.verdict(&newest), Verdict::Accepted, "after the fault");
        found
    }

    fn start(&mut self) {
        let refreshing = self.verifier.start().unwrap();
        assert!(refreshing.wait_first_attempts(Duration::from_secs(60)), "no end of an attempt");
        self.refreshing = Some(refreshing);
    }

    /// Asks again. An attempt from before the end of the fault may be under way, and is shared.
    fn recovered(&self) {
        let again = self.refresh("faulty").or_else(|_| self.refresh("faulty"));
        let status = again.unwrap_or_else(|error| panic!("healthy again, and yet: {error}"));
        assert_eq!(status.state, "ready");
    }

    fn refresh(&self, provider: &str) -> Result<ProviderStatus, RefreshError> {
        self.runtime.block_on(self.verifier.refresh(provider))
    }

    fn status(&self, provider: &str) -> ProviderStatus {
        self.verifier.status().providers.remove(provider).unwrap()
    }

    fn verdict(&self, token: &str) -> Verdict {
        match self.verifier.verify(token) {
            Ok(_) => Verdict::Accepted,
            Err(rejection) => Verdict::Refused(rejection.http_status(), rejection.code().as_str()),
        }
    }
}

/// A token that is signed with the provider's newest key.
fn token(idp: &Idp) -> String {
    idp.mint(REALM, Token::new().audience(AUDIENCE)).unwrap()
}

fn provider(name: &str, idp: &Idp, ca: Option<&Path>) -> ProviderConfig {
    let provider = ProviderConfig::new(name, idp.issuer(REALM).unwrap()).audiences([AUDIENCE]);
    let provider = provider.timeout(TIMEOUT).connect_timeout(TIMEOUT);
    match ca {
        Some(path) => provider.ca_file(path),
        None => provider,
    }
}

/// The fault as ordered here. A thousand keys are too many already, and ten thousand take a provider
/// without optimisations longer than [`TIMEOUT`].
fn order(fault: Fault) -> Order {
    let order = Order::new(fault);
    if fault == Fault::ManyKeys { order.amount(1_000) } else { order }
}

fn compare(what: &str, found: Outcome, expected: Outcome) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what}:\n  found    {found:?}\n  expected {expected:?}"))
}

/// Tries all of them, some at a time, and then says of all what is wrong.
fn in_parallel<T: Sync>(cells: &[T], judge: impl Fn(&T) -> Result<(), String> + Sync) {
    let next = AtomicUsize::new(0);
    let wrong: Vec<String> = thread::scope(|scope| {
        let work = || {
            let mine = std::iter::from_fn(|| cells.get(next.fetch_add(1, Ordering::SeqCst)));
            mine.filter_map(|cell| judge(cell).err()).collect::<Vec<_>>()
        };
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}
