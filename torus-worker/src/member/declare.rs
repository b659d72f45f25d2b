//! Declare: from which boundary the others go on without a torus. The supervisor asks, and appends the answer to the
//! membership log while it holds the region lock of that torus.

use shm_layout::config::RunConfig;
use shm_layout::frame::Frame;
use shm_layout::membership::{AbsenceEntry, MembershipReader};
use shm_layout::region::RegionReader;
use shm_layout::torus::Torus;

use super::rehydrate::highest_valid;

/// The absence of `torus` that can be declared now; `None` if it is absent already, or if nobody would be left.
///
/// The boundary is n = max(last committed interval + 1, interval of its last return) + L: to enter it the others need a
/// frame that is not committed, so none of them has passed it. The caller makes sure that none is committed meanwhile.
pub fn absence_of(
    torus: Torus,
    regions: &[RegionReader<'_>],
    log: MembershipReader<'_>,
    config: &RunConfig,
    now_ns: u64,
) -> Option<AbsenceEntry> {
    let mut frame = Frame::new(config.face_cells());
    let rejoined = rejoins(regions, &mut frame);
    let is_away = |torus: Torus| {
        log.last_of(torus)
            .is_some_and(|entry| rejoined[torus.index()] <= entry.from)
    };
    let is_left = torus.peers(config.tori).any(|peer| !is_away(peer));
    if is_away(torus) || !is_left {
        return None;
    }
    let committed = committed(torus, regions, &mut frame);
    Some(AbsenceEntry {
        torus,
        from: committed.max(rejoined[torus.index()]) + u64::from(config.lag),
        committed,
        rejoined: rejoined[torus.index()],
        declared_ns: now_ns,
    })
}

/// The interval from which each torus takes part again after the last of its announced returns.
pub fn rejoins(regions: &[RegionReader<'_>], frame: &mut Frame) -> [u64; 3] {
    let mut rejoins = [0; 3];
    for region in regions {
        let newest = region.ring.head().checked_sub(1);
        let is_read = newest.is_some_and(|n| region.ring.read(region.torus, n, frame).is_ok());
        if is_read {
            for torus in Torus::ALL {
                rejoins[torus.index()] = frame.rejoin(torus).max(rejoins[torus.index()]);
            }
        }
    }
    rejoins
}

/// How many frames a torus has committed: up to the highest that is valid in its ring or in a peer's log.
fn committed(torus: Torus, regions: &[RegionReader<'_>], frame: &mut Frame) -> u64 {
    let own = regions.iter().find(|region| region.torus == torus);
    let logs = regions.iter().filter_map(|region| region.logs[torus.index()]);
    own.map(|region| region.ring)
        .into_iter()
        .chain(logs)
        .filter_map(|ring| highest_valid(ring, torus, frame))
        .max()
        .map_or(0, |n| n + 1)
}
