//! The bodies of the targets over their seeds, on stable Rust and without a fuzzer.

use keystead::Config;
use keystead::Snapshot;
use keystead_fuzz::{TARGETS, dictionary, seeds, token};

#[test]
fn what_must_hold_holds_of_every_seed() {
    for (target, check) in TARGETS {
        let seeds = seeds::of(target);
        assert!(seeds.len() >= 8, "{target} has {} seeds", seeds.len());
        for seed in &seeds {
            check(seed);
        }
    }
}

/// A fuzzer that is refused at the door finds nothing behind it.
#[test]
fn the_seeds_get_as_far_as_there_is_something_to_find() {
    for token in token::good_tokens() {
        assert!(token::is_accepted(&token), "{token}");
    }
    let accepted = |seed: &Vec<u8>| Snapshot::parse(&seed[..]).is_ok();
    assert_eq!(seeds::of("snapshot").iter().filter(|seed| accepted(seed)).count(), 6);
    let text = |seed: &Vec<u8>| String::from_utf8(seed[1..].to_vec()).unwrap();
    let configs = seeds::of("config");
    let yaml = configs.iter().filter(|seed| seed[0] == b'y').map(text);
    let loaded = yaml.filter(|text| Config::parse_yaml(text).is_ok()).count();
    assert!(loaded >= 5, "{loaded} examples of the documentation");
}

/// libFuzzer refuses to start with a dictionary that it cannot read.
#[test]
fn dictionaries_have_one_quoted_word_per_line() {
    for (target, _) in TARGETS {
        for line in dictionary::of(target).lines() {
            let word = line.strip_prefix('"').and_then(|line| line.strip_suffix('"'));
            assert!(
                word.is_some_and(|word| !word.is_empty() && word.is_ascii()),
                "{target}: {line}"
            );
        }
    }
}
