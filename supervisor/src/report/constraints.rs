//! The constraints of a run, as each torus knows them.

use serde::Serialize;
use shm_layout::frame::{CONSTRAINTS, Frame};
use shm_layout::status::StatusReader;
use torus_worker::node::constraints::{ConstraintKind, owner};

use super::run::RunReport;
use crate::text::show;

/// The verdict of the status cell on an entry that is satisfied.
const SATISFIED: u64 = 1;

/// One entry on one torus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConstraintReport {
    /// The entry's number.
    pub entry: usize,
    /// The torus that set it.
    pub set_by: char,
    /// What it holds: event-rate, pending, active, invariant.
    pub kind: &'static str,
    /// The value to hold.
    pub value: i64,
    /// The deviation allowed.
    pub tolerance: u64,
    /// The torus's own value, at the boundary that its worker entered last; null where it does not bind there yet.
    pub measured: Option<i64>,
    /// That minus the value to hold.
    pub deviation: Option<i64>,
    /// Whether it is within the tolerance.
    pub satisfied: Option<bool>,
}

/// The entries that a torus's newest frame carries, with what its status cell says of them.
pub fn of_torus(frame: &Frame, status: &StatusReader<'_>) -> Vec<ConstraintReport> {
    let report = |entry: usize| {
        let constraint = frame.constraint(entry);
        let kind = ConstraintKind::from_word(constraint.kind)?;
        let verdict = status.verdict(entry);
        let measured = (verdict != 0).then(|| status.measured(entry) as i64);
        Some(ConstraintReport {
            entry,
            set_by: owner(entry).letter(),
            kind: kind.name(),
            value: constraint.value,
            tolerance: constraint.tolerance,
            measured,
            deviation: measured.map(|measured| measured.saturating_sub(constraint.value)),
            satisfied: measured.map(|_| verdict == SATISFIED),
        })
    };
    (0..CONSTRAINTS).filter_map(report).collect()
}

/// What `constrain --list --json` prints.
#[derive(Debug, Serialize)]
pub struct Listing<'a> {
    schema_version: u32,
    name: &'a str,
    tori: Vec<TorusListing<'a>>,
}

#[derive(Debug, Serialize)]
struct TorusListing<'a> {
    torus: char,
    constraints: &'a [ConstraintReport],
}

/// All entries of all tori, as data.
pub fn reports(report: &RunReport) -> Listing<'_> {
    Listing {
        schema_version: 1,
        name: &report.name,
        tori: report
            .tori
            .iter()
            .map(|torus| TorusListing {
                torus: torus.torus,
                constraints: &torus.constraints,
            })
            .collect(),
    }
}

/// All entries of all tori, as a table; a sentence where there is none.
pub fn listing(report: &RunReport) -> String {
    let rows = rows(report);
    if rows.len() == 1 {
        return "no constraint binds any torus\n".to_owned();
    }
    show::table(&rows)
}

fn rows(report: &RunReport) -> Vec<Vec<String>> {
    let titles = [
        "ON",
        "ENTRY",
        "SET BY",
        "KIND",
        "VALUE",
        "TOLERANCE",
        "MEASURED",
        "DEVIATION",
        "STATE",
    ];
    let or_dash = |value: Option<i64>| value.map_or("-".to_owned(), |value| value.to_string());
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    for torus in &report.tori {
        rows.extend(torus.constraints.iter().map(|constraint| {
            vec![
                torus.torus.to_string(),
                constraint.entry.to_string(),
                constraint.set_by.to_string(),
                constraint.kind.to_owned(),
                constraint.value.to_string(),
                constraint.tolerance.to_string(),
                or_dash(constraint.measured),
                or_dash(constraint.deviation),
                state(constraint).to_owned(),
            ]
        }));
    }
    rows
}

fn state(constraint: &ConstraintReport) -> &'static str {
    match constraint.satisfied {
        Some(true) => "satisfied",
        Some(false) => "violated",
        None => "not yet",
    }
}

#[cfg(test)]
mod tests {
    use super::super::run::tests::sample;
    use super::*;
    use shm_layout::frame::Constraint;
    use shm_layout::status::{STATUS_WORDS, StatusWriter};
    use shm_layout::words::{Own, View};
    use std::sync::atomic::AtomicU64;

    fn pending() -> Frame {
        let mut frame = Frame::new(16);
        frame.set_constraint(
            4,
            Constraint {
                kind: ConstraintKind::Pending as u64,
                value: 700,
                tolerance: 9,
            },
        );
        frame
    }

    #[test]
    fn a_frame_says_which_entries_bind_and_the_status_cell_how_the_torus_stands_to_them() {
        let page = page();
        let writer = StatusWriter::new(Own::new(&page));
        let entry = || {
            let reports = of_torus(&pending(), &writer.reader());
            assert_eq!(reports.len(), 1);
            reports[0].clone()
        };
        assert_eq!((entry().entry, entry().set_by, entry().kind), (4, 'B', "pending"));
        assert_eq!((entry().measured, entry().satisfied), (None, None));
        writer.set_measured(4, 690);
        writer.set_verdict(4, 2);
        assert_eq!((entry().measured, entry().deviation), (Some(690), Some(-10)));
        assert_eq!(entry().satisfied, Some(false));
        writer.set_verdict(4, SATISFIED);
        assert_eq!(entry().satisfied, Some(true));
    }

    fn page() -> Vec<AtomicU64> {
        (0..STATUS_WORDS).map(|_| AtomicU64::new(0)).collect()
    }

    #[test]
    fn the_listing_has_a_row_for_each_torus_and_entry() {
        let mut report = sample();
        assert!(listing(&report).starts_with("no constraint"));
        let page = page();
        report.tori[2].constraints = of_torus(&pending(), &StatusReader::new(View::new(&page)));
        let text = listing(&report);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("pending    700"), "{text}");
        let json = serde_json::to_value(reports(&report)).unwrap();
        assert_eq!(json["tori"][2]["constraints"][0]["tolerance"], 9);
    }
}
