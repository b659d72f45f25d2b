//! The summary that a run in the foreground ends with, and the line while it runs.

use super::human;
use super::run::RunReport;
use crate::text::show;

/// The summary: events, digests, restarts, and each recovery in its parts. `whole` says that the time is that of the
/// whole run, so that there is a rate.
pub fn summary(report: &RunReport, whole: bool) -> String {
    let events: u64 = report.tori.iter().map(|torus| torus.events).sum();
    let restarts: u64 = report.tori.iter().map(|torus| torus.restarts).sum();
    let boundary = report.tori.iter().map(|torus| torus.boundary).max().unwrap_or(0);
    let tick = report.tori.iter().map(|torus| torus.tick).max().unwrap_or(0);
    let mut out = format!(
        "{}: {} at boundary {boundary}, tick {}, after {}\n",
        report.name,
        report.state.word(),
        show::count(tick),
        show::span(report.elapsed_ns),
    );
    if let Some(reason) = &report.reason {
        out.push_str(&format!("reason: {reason}\n"));
    }
    let per_second = events as f64 / (report.elapsed_ns.max(1) as f64 / 1e9);
    let rate = if whole {
        format!(" ({})", show::rate(per_second))
    } else {
        String::new()
    };
    out.push_str(&format!("events: {}{rate}\n", show::count(events)));
    for torus in &report.tori {
        out.push_str(&format!("  {}  {}\n", torus.torus, show::count(torus.events)));
    }
    out.push_str(&human::absences(report));
    let digests = human::digests(report);
    if !digests.is_empty() {
        out.push_str("digests:\n");
    }
    for line in digests.lines() {
        out.push_str(&format!("  {line}\n"));
    }
    out.push_str(&format!("restarts: {restarts}\n"));
    for torus in &report.tori {
        for recovery in &torus.recoveries {
            out.push_str(&format!("  {}\n", recovery.line(torus.torus)));
        }
    }
    out
}

/// What one torus did since the last look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Its letter.
    pub torus: char,
    /// The virtual time of its newest frame.
    pub tick: u64,
    /// Events per second of wall-clock time since the last look.
    pub events_per_second: f64,
    /// How many times its worker has been replaced.
    pub restarts: u64,
    /// Whether it is at work, and not being replaced or replaying.
    pub live: bool,
}

/// The line while a run is on: virtual time, events per second of each torus, restarts.
pub fn live_line(name: &str, tori: &[Progress]) -> String {
    let tick = tori.iter().map(|torus| torus.tick).min().unwrap_or(0);
    let restarts: u64 = tori.iter().map(|torus| torus.restarts).sum();
    let one = |torus: &Progress| match torus.live {
        true => format!("{} {}", torus.torus, show::rate(torus.events_per_second)),
        false => format!("{} recovers", torus.torus),
    };
    let rates = tori.iter().map(one).collect::<Vec<_>>().join("  ");
    format!("{name}  tick {}  {rates}  restarts {restarts}", show::count(tick))
}

#[cfg(test)]
mod tests {
    use super::super::run::tests::sample;
    use super::*;

    #[test]
    fn the_summary_has_events_digests_restarts_and_recoveries() {
        let text = summary(&sample(), true);
        assert!(
            text.starts_with("default: finished at boundary 10, tick 10 000, after 2.00 s\n"),
            "{text}"
        );
        assert!(
            text.contains("events: 3 000 000 (1.50 M/s)\n  A  1 000 000\n"),
            "{text}"
        );
        assert!(
            text.contains("digests:\n  A  history 00000000000000aa  state 00000000000000bb\n"),
            "{text}"
        );
        assert!(summary(&sample(), false).contains("events: 3 000 000\n"));
        assert!(
            text.contains("restarts: 3\n  A #2 after SIGKILL: detected 2.80 ms"),
            "{text}"
        );
    }

    #[test]
    fn the_live_line_shows_the_slowest_tick_and_who_recovers() {
        let torus = |torus, tick, live| Progress {
            torus,
            tick,
            events_per_second: 41.5e6,
            restarts: 1,
            live,
        };
        let line = live_line("hot", &[torus('A', 5000, true), torus('B', 4000, false)]);
        assert_eq!(line, "hot  tick 4 000  A 41.5 M/s  B recovers  restarts 2");
    }
}
