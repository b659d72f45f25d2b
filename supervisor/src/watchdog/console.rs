//! What a run says while it runs: the live line of a person, periodic lines elsewhere, and what happens beside them.

use crate::output::LiveLine;
use crate::report::summary::{Progress, live_line};

/// Nanoseconds between two looks of a person at a terminal.
const TERMINAL_PERIOD_NS: u64 = 250_000_000;
/// Nanoseconds between two lines elsewhere.
const PLAIN_PERIOD_NS: u64 = 5_000_000_000;
/// Nanoseconds between two lines of a run in the background: its log is kept, so they are few.
const BACKGROUND_PERIOD_NS: u64 = 60_000_000_000;

/// What one look at a torus found.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Its letter.
    pub torus: char,
    /// The virtual time of its newest frame.
    pub tick: u64,
    /// Events executed up to there.
    pub events: u64,
    /// How many times its worker has been replaced.
    pub restarts: u64,
    /// Whether it is at work, and not being replaced or replaying.
    pub live: bool,
}

/// The console of a run.
pub struct Console {
    name: String,
    line: LiveLine,
    period_ns: u64,
    next_ns: u64,
    last_ns: u64,
    last: Vec<Look>,
}

impl Console {
    /// A console for the run `name`; the first line comes soon, so that a person sees life.
    pub fn new(name: &str, background: bool, now_ns: u64) -> Self {
        let line = LiveLine::new();
        let period_ns = match (background, line.in_place()) {
            (true, _) => BACKGROUND_PERIOD_NS,
            (false, true) => TERMINAL_PERIOD_NS,
            (false, false) => PLAIN_PERIOD_NS,
        };
        let next_ns = now_ns + period_ns.min(1_000_000_000);
        Console {
            name: name.to_owned(),
            line,
            period_ns,
            next_ns,
            last_ns: now_ns,
            last: Vec::new(),
        }
    }

    /// When the next line is due, CLOCK_MONOTONIC in ns.
    pub fn due_ns(&self) -> u64 {
        self.next_ns
    }

    /// Shows the line for what was just seen, and plans the next.
    pub fn show(&mut self, now_ns: u64, looks: Vec<Look>) {
        let seconds = now_ns.saturating_sub(self.last_ns) as f64 / 1e9;
        let progress: Vec<Progress> = looks
            .iter()
            .map(|look| progress(look, self.before(look), seconds))
            .collect();
        self.line.show(&live_line(&self.name, &progress));
        self.last = looks;
        self.last_ns = now_ns;
        self.next_ns = now_ns + self.period_ns;
    }

    fn before(&self, look: &Look) -> u64 {
        self.last
            .iter()
            .find(|last| last.torus == look.torus)
            .map_or(0, |last| last.events)
    }

    /// Says what happened, beside the line.
    pub fn say(&mut self, text: &str) {
        let text = format!("{}: {text}", self.name);
        self.line.interrupt(&text);
    }

    /// Clears the line at the end.
    pub fn close(&mut self) {
        self.line.clear();
    }
}

fn progress(look: &Look, events_before: u64, seconds: f64) -> Progress {
    let events = look.events.saturating_sub(events_before) as f64;
    let events_per_second = if seconds > 0.0 { events / seconds } else { 0.0 };
    let Look {
        torus,
        tick,
        restarts,
        live,
        ..
    } = *look;
    Progress {
        torus,
        tick,
        events_per_second,
        restarts,
        live,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_of_the_time_since_the_last_look() {
        let look = Look {
            torus: 'A',
            tick: 1,
            events: 300,
            restarts: 0,
            live: true,
        };
        assert_eq!(progress(&look, 100, 2.0).events_per_second, 100.0);
        assert_eq!(progress(&look, 100, 0.0).events_per_second, 0.0);
        assert_eq!(
            progress(&look, 500, 1.0).events_per_second,
            0.0,
            "a resumed count may start lower"
        );
    }
}
