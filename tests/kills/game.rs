//! What is played: a configuration, hunted with or without clients, and held against its oracle.

use std::fmt;

use crate::clients::Clients;
use crate::hunt::Hunt;
use crate::support::{End, Random, Run};

const RINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/braided-rings.scenario");

/// A run that is mostly handing over, so that its kills fall into many boundaries and its re-execution is quick.
pub struct Game {
    name: &'static str,
    interval: u64,
    /// Arguments of `start`, separated by blanks; `RINGS` stands for the path of the scenario.
    line: String,
}

impl Game {
    /// Random hops on three tori, a tenth of them to another.
    pub fn phold() -> Self {
        Game::new(
            "phold",
            1000,
            "--model phold -p remote=0.1 -p population=64 --sides 8,8,8",
        )
    }

    /// Diffusion, with faces that exchange heat.
    pub fn heat() -> Self {
        Game::new("heat", 100, "--model heat -p period=50 --sides 8,8,8")
    }

    /// Adaptive delays on rings that are braided.
    pub fn cascade() -> Self {
        Game::new("cascade", 500, "--script RINGS --sides 8,8,8")
    }

    /// One of them in a shape that nobody chose.
    pub fn any(random: &mut Random) -> Self {
        let interval = random.pick(&[1, 7, 64, 100, 256, 1000, 5000]);
        let lag = 1 + random.below(8);
        let (name, model) = random.pick(&[
            ("any-phold", "--model phold -p remote=0.1 -p population=64"),
            (
                "any-phold-far",
                "--model phold -p remote=0.9 -p population=200 -p max_delay=256",
            ),
            ("any-phold-near", "--model phold -p population=cells"),
            (
                "any-heat",
                "--model heat -p hot=9000000 -p spread=3 --pending 100000",
            ),
            ("any-heat-slow", "--model heat -p period=700 --pending 100000"),
            ("any-cascade", "--script RINGS"),
        ]);
        // The rings are eight cells long, in rows that must not fall together.
        let sides = match name {
            "any-cascade" => random.pick(&["8,8,4", "8,8,8", "16,8,16"]),
            _ => random.pick(&["4,4,4", "8,8,8", "16,4,8", "4,16,16", "16,16,16"]),
        };
        let seed = random.below(1000);
        Game::new(
            name,
            interval,
            &format!("{model} --sides {sides} --lag {lag} --seed {seed}"),
        )
    }

    /// The shape that `BRAID_GAME` gives, as a soak prints it behind the colon.
    pub fn given() -> Option<Self> {
        let line = std::env::var("BRAID_GAME").ok()?;
        let (_, interval) = line
            .rsplit_once("--interval ")
            .expect("BRAID_GAME ends with --interval N");
        let interval = interval
            .trim()
            .parse()
            .expect("BRAID_GAME ends with --interval N");
        Some(Game {
            name: "given",
            interval,
            line,
        })
    }

    fn new(name: &'static str, interval: u64, line: &str) -> Self {
        Game {
            name,
            interval,
            line: format!("{line} --interval {interval}"),
        }
    }

    fn start(&self, run: &Run, more: &[&str]) {
        let words = self
            .line
            .split(' ')
            .map(|word| if word == "RINGS" { RINGS } else { word });
        run.start(&words.chain(more.iter().copied()).collect::<Vec<_>>());
    }

    /// Where the same run ends without a kill.
    fn oracle(&self, ends: &[End]) -> Vec<End> {
        let last_tick = (ends[0].boundary * self.interval - 1).to_string();
        let calm = Run::new(&format!("{}-oracle", self.name));
        self.start(&calm, &["--until", &last_tick]);
        calm.finish()
    }

    /// Hunts the run; it ends as its oracle, which nobody hunts.
    pub fn killed_ends_as_its_oracle(&self, random: Random) {
        let run = Run::new(self.name);
        self.start(&run, &[]);
        Hunt::new(&run, random).all_acts();
        let ends = run.stop();
        run.verify();
        assert_eq!(ends, self.oracle(&ends), "with and without kills");
    }

    /// Hunts the run while clients inject; each of their events is in its journals exactly once.
    pub fn killed_counts_every_injected_event_once(&self, mut random: Random) {
        let run = Run::new(&format!("{}-injected", self.name));
        self.start(&run, &[]);
        let clients = Clients::new(&run, &mut random);
        let mut hunt = Hunt::new(&run, random);
        clients.inject_during(|| hunt.all_acts());
        run.stop();
        run.verify();
        clients.assert_each_event_counted_once();
    }
}

impl fmt::Display for Game {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.line)
    }
}
