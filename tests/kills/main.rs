//! Real SIGKILLs at seeded random moments: every run ends as if nobody had been killed.
//!
//! Six runs, each hunted through the same acts in a random order: workers killed by pid and through `kill`, two at
//! once, successors killed while they recover, the supervisor killed and another started, everything killed and resumed.
//! Half of them have clients that inject all the while, and are killed too. A run has no end of its own: it is stopped
//! after the last act, wherever it is then, so that no machine is too fast for it. Its oracle without kills runs
//! `--until` the very tick.

#[path = "../support/mod.rs"]
mod support;

mod clients;
mod game;
mod hunt;

use std::time::{Duration, Instant};

use game::Game;
use hunt::KILLS_PER_HUNT;
use support::Random;

/// At least so many workers are killed in all.
const KILLS: usize = 60;
const HUNTS: usize = 6;
const _: () = assert!(HUNTS * KILLS_PER_HUNT >= KILLS);

#[test]
fn phold_killed_at_random_moments_ends_as_if_it_never_was() {
    Game::phold().killed_ends_as_its_oracle(Random::announced());
}

#[test]
fn heat_killed_at_random_moments_ends_as_if_it_never_was() {
    Game::heat().killed_ends_as_its_oracle(Random::announced());
}

#[test]
fn cascade_killed_at_random_moments_ends_as_if_it_never_was() {
    Game::cascade().killed_ends_as_its_oracle(Random::announced());
}

#[test]
fn phold_killed_at_random_moments_counts_every_injected_event_once() {
    Game::phold().killed_counts_every_injected_event_once(Random::announced());
}

#[test]
fn heat_killed_at_random_moments_counts_every_injected_event_once() {
    Game::heat().killed_counts_every_injected_event_once(Random::announced());
}

#[test]
fn cascade_killed_at_random_moments_counts_every_injected_event_once() {
    Game::cascade().killed_counts_every_injected_event_once(Random::announced());
}

/// Runs of any shape for as many seconds as `BRAID_SOAK` says, 60 without it. `BRAID_GAME` repeats one shape.
#[test]
#[ignore = "a soak, not for every commit: cargo test --release --test kills -- --ignored --nocapture"]
fn runs_of_any_shape_killed_at_random_moments_are_exact() {
    let seconds =
        std::env::var("BRAID_SOAK").map_or(60, |text| text.parse().expect("BRAID_SOAK is a number"));
    let mut random = Random::announced();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(seconds) {
        let game = Game::given().unwrap_or_else(|| Game::any(&mut random));
        println!("[{:4} s] {game}", begin.elapsed().as_secs());
        if random.chance(50) {
            game.killed_ends_as_its_oracle(random.fork());
        } else {
            game.killed_counts_every_injected_event_once(random.fork());
        }
    }
}
