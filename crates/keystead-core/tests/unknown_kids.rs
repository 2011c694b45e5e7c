//! Whatever kids are presented: the provider is not asked too often, the memory does not grow, and a
//! key that is really there is found.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::collections::HashSet;
use std::time::Duration;

use keystead_core::{UnknownKids, Wish};
use proptest::prelude::*;

const COOLDOWN: Duration = Duration::from_secs(30);
const MOST: usize = 128;

#[derive(Clone, Debug)]
enum Event {
    Pass(u64),
    /// This many tokens come at once, with kids of their own from this number on.
    Ask {
        from: u32,
        kids: u32,
    },
    /// The fetch ends, and the key with this number is held.
    Ended {
        held: u32,
    },
    Changed,
    Failed,
    Abandoned,
}

fn event() -> impl Strategy<Value = Event> {
    // Few numbers, so that kids come again and some are found.
    let number = prop_oneof![3 => 0_u32..20, 1 => any::<u32>()];
    prop_oneof![
        3 => (0_u64..60_000).prop_map(Event::Pass),
        4 => (number.clone(), 1_u32..300).prop_map(|(from, kids)| Event::Ask { from, kids }),
        3 => number.prop_map(|held| Event::Ended { held }),
        1 => Just(Event::Changed),
        1 => Just(Event::Failed),
        1 => Just(Event::Abandoned),
    ]
}

fn kid(number: u32) -> String {
    format!("kid-{number}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// T13: from the start of one fetch to the start of the next the cooldown passes, unless the
    /// first one found a kid that it was made for and that was not found before; and whoever comes
    /// meanwhile joins.
    #[test]
    fn the_budget_counts_from_attempts_and_the_memory_is_bounded(
        seed: u64,
        events in prop::collection::vec(event(), 0..100),
    ) {
        let mut machine = UnknownKids::new(COOLDOWN, seed);
        let mut now = Duration::ZERO;
        let mut spent: Option<Duration> = None;
        let mut asked_for: Option<Vec<u32>> = None;
        let mut found = HashSet::new();
        for event in events {
            match event {
                Event::Pass(millis) => now += Duration::from_millis(millis),
                Event::Ask { from, kids } => {
                    for number in from..from.saturating_add(kids) {
                        match (machine.wish(Some(&kid(number)), now), &mut asked_for) {
                            // Those who join beyond what is remembered are answered all the same.
                            (Wish::Join, Some(asked_for)) => {
                                if asked_for.len() < MOST && !asked_for.contains(&number) {
                                    asked_for.push(number);
                                }
                            }
                            (Wish::Start, kids) => {
                                let rested = spent.is_none_or(|at| now >= at + COOLDOWN);
                                prop_assert!(rested, "asked at {:?} and {now:?}", spent);
                                spent = Some(now);
                                let kids = kids.get_or_insert_default();
                                if kids.len() < MOST && !kids.contains(&number) {
                                    kids.push(number);
                                }
                            }
                            (Wish::Refused, None) => {}
                            (wish, under_way) => panic!("{wish:?} while {under_way:?}"),
                        }
                    }
                }
                Event::Ended { held } => {
                    machine.on_ended([kid(held).as_str()]);
                    let was_wanted = asked_for.take().unwrap_or_default().contains(&held);
                    if was_wanted && found.insert(held) {
                        spent = None;
                    }
                }
                Event::Changed => machine.on_changed(),
                Event::Failed => machine.on_failed(),
                Event::Abandoned => {
                    machine.on_abandoned();
                    asked_for = None;
                }
            }
            prop_assert!(machine.remembered() <= MOST);
        }
    }

    /// A kid that nobody asked for yet is asked for as soon as the budget is there, whatever was
    /// asked for before it.
    #[test]
    fn what_was_made_up_never_stands_in_the_way_of_another_kid(
        seed: u64,
        events in prop::collection::vec(event(), 0..60),
    ) {
        let mut machine = UnknownKids::new(COOLDOWN, seed);
        let mut now = Duration::ZERO;
        for event in events {
            match event {
                Event::Pass(millis) => now += Duration::from_millis(millis),
                Event::Ask { from, kids } => {
                    for number in from..from.saturating_add(kids) {
                        machine.wish(Some(&kid(number)), now);
                    }
                }
                Event::Ended { .. } => machine.on_ended(["held"]),
                Event::Changed => machine.on_changed(),
                Event::Failed => machine.on_failed(),
                Event::Abandoned => machine.on_abandoned(),
            }
        }
        machine.on_ended(["held"]);
        prop_assert_eq!(machine.wish(Some("real"), now + COOLDOWN), Wish::Start);
    }

    /// A provider rotates its key in the middle of a flood. The new key is live within 30 s and the
    /// time that a fetch takes, and within that time alone when nobody floods; even if its kid can be
    /// guessed and is among those that were asked for long before.
    #[test]
    fn a_rotation_gets_through_a_flood_within_the_cooldown(
        seed: u64,
        flooded: bool,
        guessed: bool,
        step in 10_u64..500,
        latency in 0_u64..3_000,
        rotation in 0_u64..200_000,
    ) {
        let millis = Duration::from_millis;
        let mut machine = UnknownKids::new(COOLDOWN, seed);
        // When the fetch ends that is under way, and whether it was answered after the rotation.
        let mut fetch: Option<(Duration, bool)> = None;
        let (mut now, mut made_up, mut live) = (Duration::ZERO, 0_u64, false);
        while !live {
            if let Some((ends, has_it)) = fetch.filter(|(ends, _)| *ends <= now) {
                live = has_it;
                machine.on_ended(if has_it { ["real"] } else { ["old"] });
                fetch = None;
                prop_assert!(ends <= now);
            }
            let rotated = now >= millis(rotation);
            let mut kids: Vec<String> = Vec::new();
            if flooded {
                made_up += 3;
                kids.extend((0..3).map(|n| format!("made-up-{}", made_up + n)));
            }
            kids.extend((rotated || guessed).then(|| "real".to_owned()));
            for kid in kids {
                if machine.wish(Some(&kid), now) == Wish::Start {
                    fetch = Some((now + millis(latency), rotated));
                }
            }
            let latest = millis(rotation + latency + 2 * step) + if flooded || guessed { COOLDOWN } else { millis(0) };
            prop_assert!(live || now <= latest, "{now:?} for a rotation at {rotation} ms");
            now += millis(step);
        }
    }
}
