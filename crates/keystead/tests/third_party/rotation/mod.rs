//! What real providers published over months, replayed into the life cycle of a source.
//!
//! Time is a number that the replay moves from one thing to do to the next. Each history is played
//! several times: as it was, with a grace for removed keys, by a fleet that answers in turns, and
//! for a service that was cut off for a month.

mod replay;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use keystead::core::{Jwk, KeySet, Provenance, Schedule};
use serde_json::Value;

use crate::corpus::{Case, Expected, Found};
use crate::signature::rsa_jwk;
use crate::{files, key_files};
use replay::{Keys, Met, Replay};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// The grace that providers are given whose answers take turns.
const GRACE: Duration = Duration::from_secs(48 * 3_600);

/// One case per key, and one per event of each replay. What breaks a promise stops the test.
pub fn cases(folder: &Path) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut met = Met::default();
    for (file, bytes) in files(folder) {
        let written: Value = serde_json::from_slice(&bytes).unwrap();
        let keys: Vec<_> = written["keys"].as_object().unwrap().values().cloned().collect();
        let set = format!(r#"{{"keys":{}}}"#, Value::from(keys));
        cases.extend(key_files::of_file(&file, set.as_bytes()));
        let history = History::read(&file, &written);
        for plan in plans(&history) {
            Replay::new(&history, plan, &mut met).run();
            let events = 0..history.events.len();
            let id = |event| format!("{file}:{}:{event}", plan.name);
            cases.extend(events.map(|e| Case::new(id(e), Expected::Accept, Found::Accepted)));
        }
    }
    // Histories that hold none of these would let every promise pass unseen.
    assert!(cases.is_empty() || met.all(), "{met:?}");
    cases
}

/// What one provider published, and when.
struct History {
    name: String,
    /// Every key that it ever had, once.
    keys: Vec<Arc<Jwk>>,
    events: Vec<Event>,
}

struct Event {
    at: Duration,
    /// None: it could not be asked.
    set: Option<KeySet>,
}

impl History {
    fn read(name: &str, written: &Value) -> Self {
        let event = |event: &Value| Event {
            at: Duration::from_secs(event["t"].as_u64().unwrap()),
            set: event["keys"].as_array().map(|hashes| {
                let keys: Vec<_> = hashes
                    .iter()
                    .map(|hash| replayed(&written["keys"][hash.as_str().unwrap()]).to_string())
                    .collect();
                let text = format!(r#"{{"keys":[{}]}}"#, keys.join(","));
                let set = KeySet::parse(text.as_bytes(), Provenance::Network, 256).unwrap();
                let kids: Vec<_> = set.keys().iter().map(|key| key.kid()).collect();
                let published: Vec<_> = event["kids"].as_array().unwrap().iter().collect();
                assert_eq!(kids, published.iter().map(|kid| kid.as_str()).collect::<Vec<_>>());
                set
            }),
        };
        let events: Vec<_> = written["events"].as_array().unwrap().iter().map(event).collect();
        assert!(events.is_sorted_by_key(|event| event.at), "{name}");
        let mut history = Self { name: name.to_owned(), keys: Vec::new(), events };
        for key in history.events.iter().flat_map(|event| event.set.iter()).flat_map(KeySet::keys) {
            if !history.keys.iter().any(|other| alike(other, key)) {
                history.keys.push(Arc::clone(key));
            }
        }
        history
    }

    /// Where these keys stand among all that there ever were.
    fn places<'a>(&self, keys: impl IntoIterator<Item = &'a Arc<Jwk>>) -> Keys {
        let place = |key: &Arc<Jwk>| self.keys.iter().position(|other| alike(other, key)).unwrap();
        keys.into_iter().map(place).collect()
    }

    /// Whether a key of the one is in the other, under whatever kid.
    fn share_a_key(&self, one: &Keys, other: &Keys) -> bool {
        let same = |a: &usize, b: &usize| self.keys[*a].material() == self.keys[*b].material();
        one.iter().any(|a| other.iter().any(|b| same(a, b)))
    }

    fn begin(&self) -> Duration {
        self.events.first().unwrap().at
    }

    fn end(&self) -> Duration {
        self.events.last().unwrap().at + 3 * DAY
    }
}

/// Whether two keys are one for a token: under one kid, whatever else is written beside it.
fn alike(one: &Jwk, other: &Jwk) -> bool {
    one.kid() == other.kid() && one.material() == other.material()
}

/// A key that is too weak to be used (Yahoo's have 1,024 bits) is replayed with its modulus written
/// twice: it is when it came and went that counts here.
fn replayed(key: &Value) -> Value {
    let number = |name: &str| {
        let text = key[name].as_str().unwrap_or_default();
        let bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(text).unwrap_or_default();
        bytes.into_iter().skip_while(|byte| *byte == 0).collect::<Vec<_>>()
    };
    let (modulus, exponent) = (number("n"), number("e"));
    if !(1..256).contains(&modulus.len()) {
        return key.clone();
    }
    let strong = rsa_jwk(&modulus.repeat(2), &exponent);
    let mut strong: Value = serde_json::from_str(&strong).unwrap();
    strong["kid"] = key["kid"].clone();
    strong
}

/// How a history is played.
#[derive(Clone, Copy, Debug)]
struct Plan {
    name: &'static str,
    schedule: Schedule,
    weather: Weather,
}

#[derive(Clone, Copy, Debug)]
enum Weather {
    /// Every answer is that of the moment.
    Fair,
    /// Nobody answers between these two moments.
    CutOff(Duration, Duration),
    /// For a day after a change the answers take turns between the new set and the one before.
    Turns,
}

fn plans(history: &History) -> [Plan; 6] {
    // Asked every few minutes, months take long to replay.
    let mut schedule = Schedule::default().with_interval(HOUR);
    (schedule.warm.cap, schedule.cold.cap) = (HOUR, HOUR);
    let from = history.begin() + history.end().saturating_sub(history.begin()) / 4;
    let month = Weather::CutOff(from, from + 30 * DAY);
    let graced = schedule.with_removed_key_grace(GRACE);
    let plan = |name, schedule, weather| Plan { name, schedule, weather };
    [
        plan("as-it-was", schedule, Weather::Fair),
        plan("with-a-grace", graced, Weather::Fair),
        plan("answers-in-turns", schedule, Weather::Turns),
        plan("answers-in-turns-with-a-grace", graced, Weather::Turns),
        plan("cut-off", schedule, month),
        plan("cut-off-and-never-stale", schedule.with_max_stale(None), month),
    ]
}
