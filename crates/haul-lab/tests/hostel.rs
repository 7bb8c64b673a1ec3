//! Many leaders at the same time share their helpers fairly while helpers have places, and leave
//! no link idle.
//!
//! The large hostels are played by hand: `cargo run -p haul-lab -- sim 20-200-at-once`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use haul_lab::sim::{Hostel, Outcome, host};

#[test]
fn a_small_hostel_keeps_its_promise() {
    for seed in 1..=4 {
        let hostel = hostel("small");
        let outcome = host(&hostel, seed);
        assert!(outcome.keeps(&hostel.promise), "seed {seed}: {outcome}");
    }
}

#[test]
fn full_helpers_are_shared_fairly_only_if_leaders_with_much_help_yield() {
    for seed in 1..=2 {
        let (yielding, first_come) = (played("full", seed), played("full-first-come", seed));
        assert!(
            yielding.fair > 0.9 && first_come.fair < yielding.fair - 0.1,
            "{yielding}\n{first_come}"
        );
        assert!(yielding.alone <= 1.02, "{yielding}");
        let promise = hostel("full-first-come").promise;
        assert!(first_come.keeps(&promise), "seed {seed}: {first_come}");
    }
}

#[test]
fn the_same_seed_gives_the_same_hostel() {
    assert_eq!(played("small", 5), played("small", 5));
    assert_ne!(played("small", 5), played("small", 6));
}

fn played(name: &str, seed: u64) -> Outcome {
    host(&hostel(name), seed)
}

fn hostel(name: &str) -> Hostel {
    Hostel::read(&Hostel::folder().join(name).with_extension("toml")).unwrap()
}
