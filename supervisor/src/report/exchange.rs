//! What the tori exchange: how far apart their shared faces are, and the double entry of the events between them.

use std::collections::BTreeMap;

use serde::Serialize;
use shm_layout::config::RunConfig;
use shm_layout::frame::Frame;
use shm_layout::region::{ReaderSegment, RegionReader};
use shm_layout::torus::Torus;
use torus_worker::process::describe::FACES_APART;

use super::run::RunReport;
use crate::text::show;

/// The shared faces of a model that couples them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FacesReport {
    /// The gain, as a fraction.
    pub gain: String,
    /// Differences up to this are left alone.
    pub tolerance: u32,
    /// The largest difference at a cell between the newest projections of the three tori; null before each has one.
    pub apart: Option<u64>,
    /// Cycles after which undisturbed faces that are up to a million apart are within the tolerance.
    pub rest_cycles: u64,
}

/// The events between a torus and one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ExchangeReport {
    /// Events sent to the peer so far.
    pub sent: u64,
    /// Events of the peer taken in so far.
    pub received: u64,
}

/// The faces of a run; none if its model does not couple them.
pub fn faces(config: &RunConfig, segment: &ReaderSegment<'_>) -> Option<FacesReport> {
    let (gain, rest_cycles) = (config.gain?, config.rest_cycles?);
    let faces: Option<Vec<Vec<i32>>> = segment
        .regions
        .iter()
        .map(|region| newest_face(region, config.face_cells()))
        .collect();
    Some(FacesReport {
        gain: format!("{}/{}", gain.0, gain.1),
        tolerance: config.tolerance,
        apart: faces.as_deref().map(apart),
        rest_cycles,
    })
}

/// The face in the newest projection that the ring of a torus holds.
fn newest_face(region: &RegionReader<'_>, face_cells: usize) -> Option<Vec<i32>> {
    let mut frame = Frame::new(face_cells);
    (region.ring.oldest()..region.ring.head())
        .rev()
        .find_map(|interval| {
            region.ring.read(region.torus, interval, &mut frame).ok()?;
            frame.has_projection().then(|| frame.face().to_vec())
        })
}

/// The widest difference at one cell.
fn apart(faces: &[Vec<i32>]) -> u64 {
    let cells = faces.iter().map(Vec::len).min().unwrap_or(0);
    let of_cell = |cell: usize| {
        let values = || faces.iter().map(|face| face[cell]);
        let widest = values().max().zip(values().min());
        widest.map_or(0, |(most, least)| u64::from(most.abs_diff(least)))
    };
    (0..cells).map(of_cell).max().unwrap_or(0)
}

/// The double entry of a torus, by peer, as its newest frame carries it.
pub fn with_peers(torus: Torus, tori: u8, frame: &Frame) -> BTreeMap<char, ExchangeReport> {
    let report = |peer: Torus| ExchangeReport {
        sent: frame.sent(peer),
        received: frame.received(peer),
    };
    torus
        .peers(tori)
        .map(|peer| (peer.letter(), report(peer)))
        .collect()
}

/// Both as a person reads them; what never was is left out.
pub fn listing(report: &RunReport) -> String {
    let mut out = String::new();
    for torus in &report.tori {
        let with = |preposition: &str, count: fn(&ExchangeReport) -> u64| {
            let peers = torus.exchange.iter();
            let each = peers
                .map(|(peer, exchange)| format!("{} {preposition} {peer}", show::count(count(exchange))));
            each.collect::<Vec<_>>().join(" and ")
        };
        if torus
            .exchange
            .values()
            .any(|exchange| exchange.sent + exchange.received > 0)
        {
            let (sent, received) = (with("to", |e| e.sent), with("from", |e| e.received));
            out.push_str(&format!(
                "{}  events sent: {sent}; taken in: {received}\n",
                torus.torus
            ));
        }
    }
    if let Some(faces) = &report.faces {
        let apart = faces.apart.map_or("not projected yet".to_owned(), |apart| {
            format!("at most {} apart", show::count(apart))
        });
        out.push_str(&format!(
            "faces   {apart}, tolerance {}, gain {}; undisturbed ones that are {} apart are at rest within {} cycles\n",
            faces.tolerance,
            faces.gain,
            show::count(FACES_APART as u64),
            faces.rest_cycles,
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faces_are_as_far_apart_as_their_widest_cell() {
        let faces = [vec![1, -5], vec![4, i32::MIN], vec![2, i32::MAX]];
        assert_eq!(apart(&faces), u64::from(u32::MAX));
        assert_eq!(apart(&[vec![3], vec![3], vec![3]]), 0);
    }

    #[test]
    fn what_was_exchanged_is_listed_with_both_numbers_and_the_faces_with_their_bound() {
        let mut report = super::super::run::tests::sample();
        assert_eq!(listing(&report), "");
        let exchange = ExchangeReport {
            sent: 1200,
            received: 7,
        };
        report.tori[0].exchange = [('B', exchange)].into();
        report.faces = Some(FacesReport {
            gain: "1/4".into(),
            tolerance: 3,
            apart: Some(12),
            rest_cycles: 56,
        });
        let text = listing(&report);
        assert!(
            text.contains("A  events sent: 1 200 to B; taken in: 7 from B\n"),
            "{text}"
        );
        assert!(text.contains("at most 12 apart, tolerance 3, gain 1/4"), "{text}");
        assert!(text.contains("within 56 cycles"), "{text}");
    }
}
