//! Rollback: a successor takes back, in its own region, what the newest order says.
//!
//! The supervisor gives an order while no worker lives. Every torus carries it out before anybody reads anybody else:
//! [`prepare`] is called until all have. What is taken back goes step by step, each of which may be repeated, and the one
//! that says that it is done comes last; so who dies in between leaves its successor to begin again.
//!
//! What the torus had taken in from outside beyond its cut is kept: the journal is copied before the first frame goes, and
//! the intake is taken in again at the same boundaries ([`super::redo`]).

use shm_layout::checkpoint_slots::SlotsReader;
use shm_layout::frame::Frame;
use shm_layout::region::WorkerSegment;
use shm_layout::rollback::Rollback;
use shm_layout::torus::Torus;

use crate::journal::Journal;

use super::take_in::read_own;
use super::{Host, MemberError, Point};

/// Carries out the newest rollback order, if this torus has not yet. Returns whether all tori have: only then may anything
/// of a peer be read. To be called again until it is so. The caller owns the region.
///
/// # Errors
/// [`MemberError`]; what has been taken back so far is taken back once more by the next successor.
pub fn prepare<J: Journal, H: Host>(
    segment: &WorkerSegment<'_>,
    journal: &mut J,
    host: &mut H,
) -> Result<bool, MemberError> {
    let Some(order) = newest_order(segment)? else {
        return Ok(true);
    };
    if segment.own.status.reader().rolled_back() < order.number {
        carry_out(segment, &order, journal, host)?;
    }
    Ok(is_settled(segment))
}

/// Whether all tori have carried out the newest order. While they have not, nothing that they hold may be believed.
pub fn is_settled(segment: &WorkerSegment<'_>) -> bool {
    let number = segment.control.rollback_count();
    let mut peers = segment.peers.iter().flatten();
    segment.own.status.reader().rolled_back() >= number
        && peers.all(|peer| peer.status.rolled_back() >= number)
}

/// The newest order, if there ever was one.
pub(super) fn newest_order(segment: &WorkerSegment<'_>) -> Result<Option<Rollback>, MemberError> {
    let number = segment.control.rollback_count();
    match segment.control.rollback(number) {
        None if number > 0 => Err(MemberError::Lost {
            torus: segment.torus.letter(),
            what: "the rollback order",
            interval: number,
        }),
        order => Ok(order),
    }
}

fn carry_out<J: Journal, H: Host>(
    segment: &WorkerSegment<'_>,
    order: &Rollback,
    journal: &mut J,
    host: &mut H,
) -> Result<(), MemberError> {
    keep_intake(segment, order, journal)?;
    host.reach(Point::IntakeKept)?;
    take_back_checkpoints(segment, order);
    host.reach(Point::CheckpointsTakenBack)?;
    take_back_mirrors(segment, order);
    host.reach(Point::MirrorsTakenBack)?;
    for (torus, log) in Torus::ALL.into_iter().zip(&segment.own.logs) {
        if let Some(log) = log {
            log.take_back(order.part(torus).cut);
        }
    }
    host.reach(Point::LogsTakenBack)?;
    segment.own.ring.take_back(order.part(segment.torus).cut);
    host.reach(Point::FramesTakenBack)?;
    let status = &segment.own.status;
    status.set_state_digest_boundary(0);
    status.set_divergence(0);
    for torus in Torus::ALL {
        status.set_complaint(torus, 0);
        status.set_want(torus, 0);
    }
    status.set_rolled_back(order.number);
    status.ring_doorbell();
    host.reach(Point::RolledBack)?;
    Ok(())
}

/// Copies the journal as far as committed frames name it, unless nothing of it is taken back, or a redo that has not come
/// to its end holds all of it already.
fn keep_intake<J: Journal>(
    segment: &WorkerSegment<'_>,
    order: &Rollback,
    journal: &mut J,
) -> Result<(), MemberError> {
    let part = order.part(segment.torus);
    let head = segment.own.ring.reader().head();
    if head <= part.cut || part.redo_number != order.number {
        return Ok(());
    }
    let mut frame = Frame::new(segment.layout.geometry.face_cells);
    if !read_own(segment, segment.torus, head - 1, &mut frame) {
        return Err(MemberError::Lost {
            torus: segment.torus.letter(),
            what: "the frame",
            interval: head - 1,
        });
    }
    Ok(journal.keep_for_redo(order.number, frame.journal_length())?)
}

fn take_back_checkpoints(segment: &WorkerSegment<'_>, order: &Rollback) {
    let own = &segment.own;
    own.checkpoints.drop_after(order.part(segment.torus).keep);
    own.status.set_checkpoint(newest(own.checkpoints.reader()));
}

/// A mirror of a checkpoint that its owner takes back would stand for one that the owner takes anew at that boundary.
fn take_back_mirrors(segment: &WorkerSegment<'_>, order: &Rollback) {
    for (torus, mirror) in Torus::ALL.into_iter().zip(&segment.own.mirrors) {
        if let Some(mirror) = mirror {
            mirror.drop_after(order.part(torus).keep);
            segment.own.status.set_mirrored(torus, newest(mirror.reader()));
        }
    }
}

fn newest(slots: SlotsReader<'_>) -> u64 {
    slots.newest().map_or(0, |(_, header)| header.boundary)
}
