//! Who is absent from a run, as its segment says it.

use std::collections::BTreeMap;

use shm_layout::frame::Frame;
use shm_layout::region::ReaderSegment;
use shm_layout::torus::Torus;
use torus_worker::member::declare::rejoins;

use super::run::AbsenceReport;

/// The absence of each torus that has not returned, by torus.
pub fn of_run(segment: &ReaderSegment<'_>) -> [Option<AbsenceReport>; 3] {
    let mut frame = Frame::new(segment.layout.geometry.face_cells);
    let rejoins = rejoins(&segment.regions, &mut frame);
    Torus::ALL.map(|torus| {
        let entry = segment.memberships.last_of(torus)?;
        let announced = rejoins[torus.index()];
        let rejoins_at = (announced > entry.from).then_some(announced);
        let reached = segment.regions.get(torus.index())?.ring.head();
        let is_back = rejoins_at.is_some_and(|interval| reached > interval);
        (!is_back).then(|| AbsenceReport {
            from_boundary: entry.from,
            since_unix_ns: entry.declared_ns,
            rejoins_at,
            held: segment.control.held(torus) != 0,
        })
    })
}

/// The events that came back to a torus, by the torus that they were for; none where none did.
pub fn refused(frame: &Frame) -> BTreeMap<char, u64> {
    let all = Torus::ALL.map(|torus| (torus.letter(), frame.refused(torus)));
    all.into_iter().filter(|(_, count)| *count > 0).collect()
}
