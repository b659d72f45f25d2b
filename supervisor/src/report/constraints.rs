//! The constraints of a run, as each torus knows them.

use serde::Serialize;
use shm_layout::frame::{CONSTRAINTS, Frame};
use torus_worker::node::constraints::{ConstraintKind, owner};

use super::run::RunReport;
use crate::text::show;

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
}

/// The entries that a frame carries.
pub fn of_frame(frame: &Frame) -> Vec<ConstraintReport> {
    let report = |entry: usize| {
        let constraint = frame.constraint(entry);
        let kind = ConstraintKind::from_word(constraint.kind)?;
        Some(ConstraintReport {
            entry,
            set_by: owner(entry).letter(),
            kind: kind.name(),
            value: constraint.value,
            tolerance: constraint.tolerance,
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
    let titles = ["ON", "ENTRY", "SET BY", "KIND", "VALUE", "TOLERANCE"];
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
            ]
        }));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::run::tests::sample;
    use super::*;
    use shm_layout::frame::Constraint;

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
    fn a_frame_says_which_entries_bind_and_who_set_them() {
        let reports = of_frame(&pending());
        assert_eq!(reports.len(), 1);
        assert_eq!(
            (reports[0].entry, reports[0].set_by, reports[0].kind),
            (4, 'B', "pending")
        );
    }

    #[test]
    fn the_listing_has_a_row_for_each_torus_and_entry() {
        let mut report = sample();
        assert!(listing(&report).starts_with("no constraint"));
        report.tori[2].constraints = of_frame(&pending());
        let text = listing(&report);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("pending    700"), "{text}");
        let json = serde_json::to_value(reports(&report)).unwrap();
        assert_eq!(json["tori"][2]["constraints"][0]["tolerance"], 9);
    }
}
