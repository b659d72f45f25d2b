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
mod hunt;

use clients::Clients;
use hunt::{Hunt, KILLS_PER_HUNT};
use support::{End, Random, Run};

/// At least so many workers are killed in all.
const KILLS: usize = 60;
const HUNTS: usize = 6;
const _: () = assert!(HUNTS * KILLS_PER_HUNT >= KILLS);

/// A run that is mostly handing over, so that its kills fall into many boundaries and its re-execution is quick.
struct Game {
    name: &'static str,
    arguments: &'static [&'static str],
    interval: u64,
}

const SIDES: &str = "8,8,8";
const RINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/braided-rings.scenario");

const PHOLD: Game = Game {
    name: "phold",
    arguments: &[
        "--model",
        "phold",
        "-p",
        "remote=0.1",
        "-p",
        "population=64",
        "--sides",
        SIDES,
    ],
    interval: 1000,
};
const HEAT: Game = Game {
    name: "heat",
    arguments: &[
        "--model",
        "heat",
        "-p",
        "period=50",
        "--interval",
        "100",
        "--sides",
        SIDES,
    ],
    interval: 100,
};
const CASCADE: Game = Game {
    name: "cascade",
    arguments: &["--script", RINGS, "--interval", "500", "--sides", SIDES],
    interval: 500,
};

/// Where the same run ends without a kill.
fn oracle(game: &Game, ends: &[End]) -> Vec<End> {
    let last_tick = (ends[0].boundary * game.interval - 1).to_string();
    let calm = Run::new(&format!("{}-oracle", game.name));
    let arguments = game
        .arguments
        .iter()
        .copied()
        .chain(["--until", &last_tick, "--detach"]);
    let answer = calm.braid("start", &arguments.collect::<Vec<_>>());
    assert_eq!(answer.code(), Some(0), "{answer}");
    calm.finish()
}

fn killed_ends_as_its_oracle(game: &Game) {
    let random = Random::announced();
    let run = Run::new(game.name);
    run.start(game.arguments);
    let mut hunt = Hunt::new(&run, random);
    hunt.all_acts();
    let ends = run.stop();
    run.verify();
    assert_eq!(ends, oracle(game, &ends), "with and without kills");
}

fn killed_counts_every_injected_event_once(game: &Game) {
    let mut random = Random::announced();
    let run = Run::new(&format!("{}-injected", game.name));
    run.start(game.arguments);
    let clients = Clients::new(&run, &mut random);
    let mut hunt = Hunt::new(&run, random);
    clients.inject_during(|| hunt.all_acts());
    run.stop();
    run.verify();
    clients.assert_each_event_counted_once();
}

#[test]
fn phold_killed_at_random_moments_ends_as_if_it_never_was() {
    killed_ends_as_its_oracle(&PHOLD);
}

#[test]
fn heat_killed_at_random_moments_ends_as_if_it_never_was() {
    killed_ends_as_its_oracle(&HEAT);
}

#[test]
fn cascade_killed_at_random_moments_ends_as_if_it_never_was() {
    killed_ends_as_its_oracle(&CASCADE);
}

#[test]
fn phold_killed_at_random_moments_counts_every_injected_event_once() {
    killed_counts_every_injected_event_once(&PHOLD);
}

#[test]
fn heat_killed_at_random_moments_counts_every_injected_event_once() {
    killed_counts_every_injected_event_once(&HEAT);
}

#[test]
fn cascade_killed_at_random_moments_counts_every_injected_event_once() {
    killed_counts_every_injected_event_once(&CASCADE);
}
