//! A run as a person reads it: `status` without `--json`.

use super::constraints;
use super::exchange;
use super::migrations;
use super::run::{AlteredReport, RunReport, TorusReport};
use super::scrub;
use crate::text::show;

/// The whole report.
pub fn status(report: &RunReport) -> String {
    let mut out = heading(report);
    let mut rows = vec![titles()];
    rows.extend(report.tori.iter().map(row));
    out.push_str(&show::table(&rows));
    for torus in &report.tori {
        if let Some(last) = torus.recoveries.last() {
            out.push_str(&format!("last recovery  {}\n", last.line(torus.torus)));
        }
    }
    out.push_str(&exchange::listing(report));
    out.push_str(&altered(report));
    if report.tori.iter().any(|torus| !torus.constraints.is_empty()) {
        out.push_str(&constraints::listing(report));
    }
    out.push_str(&absences(report));
    out.push_str(&scrub::lines(&report.scrub));
    out.push_str(&migrations::lines(report));
    out.push_str(&digests(report));
    out.push_str(&format!(
        "segment {} ({}, {} allocated)\nlog     {}\n",
        report.files.segment,
        show::bytes(report.files.segment_bytes),
        show::bytes(report.files.allocated_bytes),
        report.files.log,
    ));
    out
}

fn heading(report: &RunReport) -> String {
    let model = &report.model;
    let [x, y, z] = model.sides;
    let supervisor = match report.supervisor {
        Some(supervisor) => format!("supervisor {}", supervisor.pid),
        None => "no supervisor".to_owned(),
    };
    let mut out = format!(
        "{}: {} for {}, {}, {} on {} x {x}x{y}x{z}, interval {}{}, lag {}\n",
        report.name,
        report.state.word(),
        show::span(report.elapsed_ns),
        supervisor,
        model.name,
        report.tori.len(),
        model.interval,
        adapted(report),
        model.lag,
    );
    if let Some(reason) = &report.reason {
        out.push_str(&format!("reason: {reason}\n"));
    }
    out
}

/// What was not taken in as it was sent: the double entry of each pair of tori.
fn altered(report: &RunReport) -> String {
    let line = |to: char, found: &AlteredReport| {
        let AlteredReport {
            from,
            interval,
            sent,
            received,
        } = found;
        format!(
            "conservation  {from} to {to}, interval {interval}: {from} sent events with hash {sent}, {to} found {received}\n"
        )
    };
    let tori = report.tori.iter();
    tori.flat_map(|torus| torus.altered.iter().map(move |found| line(torus.torus, found)))
        .collect()
}

/// What intervals of adaptive length have come to.
fn adapted(report: &RunReport) -> String {
    let now = report.tori.first().and_then(|torus| torus.interval);
    match now.filter(|_| report.model.adaptive) {
        Some(now) => format!(", now {now}"),
        None => String::new(),
    }
}

/// Who is absent, and what came back; nothing if nobody ever was.
pub fn absences(report: &RunReport) -> String {
    let mut out = String::new();
    for torus in &report.tori {
        if let Some(absence) = torus.absence {
            let now_ns = shm_layout::sys::clock::realtime_ns();
            let since = show::span(now_ns.saturating_sub(absence.since_unix_ns));
            let next = match (absence.rejoins_at, absence.held) {
                (Some(interval), _) => format!("takes part again from interval {interval}"),
                (None, true) => format!("held away; `release {}` brings it back", torus.torus),
                (None, false) => "its return is not announced yet".to_owned(),
            };
            out.push_str(&format!(
                "{}  absent from boundary {}, for {since}; {next}\n",
                torus.torus, absence.from_boundary
            ));
        }
        for (to, count) in &torus.refused {
            let count = show::count(*count);
            out.push_str(&format!(
                "{}  {count} events for {to} came back while {to} or {} was absent\n",
                torus.torus, torus.torus
            ));
        }
    }
    out
}

fn titles() -> Vec<String> {
    let titles = [
        "TORUS",
        "PID",
        "PHASE",
        "BOUNDARY",
        "TICK",
        "EVENTS",
        "PENDING",
        "RESTARTS",
        "CHECKPOINT",
        "RESIDENT",
    ];
    titles.map(str::to_owned).to_vec()
}

fn row(torus: &TorusReport) -> Vec<String> {
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    vec![
        torus.torus.to_string(),
        or_dash(torus.pid.map(|pid| pid.to_string())),
        torus.phase.to_owned(),
        torus.boundary.to_string(),
        show::count(torus.tick),
        show::count(torus.events),
        show::count(torus.pending),
        torus.restarts.to_string(),
        torus.checkpoints.boundary.to_string(),
        or_dash(torus.memory.resident_bytes.map(show::bytes)),
    ]
}

/// The digests of a run that is over; nothing otherwise.
pub fn digests(report: &RunReport) -> String {
    let line = |torus: &TorusReport| {
        let history = torus.history_digest.as_deref()?;
        let state = torus.state_digest.as_deref()?;
        Some(format!("{}  history {history}  state {state}\n", torus.torus))
    };
    report.tori.iter().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::super::run::{RunState, tests::sample};
    use super::*;

    #[test]
    fn the_table_shows_state_and_digests() {
        let text = status(&sample());
        assert!(
            text.starts_with("default: finished for 2.00 s, no supervisor, phold on 3 x 32x32x32"),
            "{text}"
        );
        assert!(
            text.contains("A  history 00000000000000aa  state 00000000000000bb"),
            "{text}"
        );
        assert!(text.contains("last recovery  C #2 after SIGKILL"), "{text}");
    }

    #[test]
    fn an_adaptive_run_says_how_long_its_intervals_have_become() {
        let mut report = sample();
        assert!(status(&report).contains("interval 1000, lag 2"));
        report.model.adaptive = true;
        report.tori[0].interval = Some(640);
        assert!(status(&report).contains("interval 1000, now 640, lag 2"));
    }

    #[test]
    fn what_was_altered_is_shown_with_the_pair_the_interval_and_both_numbers() {
        let mut report = sample();
        report.tori[1].altered.push(AlteredReport {
            from: 'A',
            interval: 17,
            sent: "aa".into(),
            received: "bb".into(),
        });
        let text = status(&report);
        assert!(
            text.contains("A to B, interval 17: A sent events with hash aa, B found bb\n"),
            "{text}"
        );
    }

    #[test]
    fn a_failed_run_gives_the_reason() {
        let mut report = sample();
        report.state = RunState::Failed;
        report.reason = Some("torus B is full".to_owned());
        assert!(status(&report).contains("reason: torus B is full\n"));
    }

    #[test]
    fn a_running_run_has_no_digests_to_show() {
        let mut report = sample();
        report.tori.iter_mut().for_each(|torus| torus.state_digest = None);
        assert_eq!(digests(&report), "");
    }
}
