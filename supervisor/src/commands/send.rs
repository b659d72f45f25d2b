//! A command that changes the simulated state, on its way: over the control socket into the supervisor's lane, and from
//! there at a boundary into the torus. Whoever sends it learns which boundary that was.

use shm_layout::frame::Frame;
use shm_layout::record::LaneEntry;
use shm_layout::region::RegionReader;
use shm_layout::torus::Torus;
use torus_worker::node::command::COMMAND_LANE;

use super::commit::Commit;
use crate::error::CommandError;
use crate::life;
use crate::report::collect::newest_frame;
use crate::socket::client::ask;
use crate::socket::message::{Request, Response};
use crate::start::rules::Life;

/// A command that was taken in.
pub struct TakenIn {
    /// The boundary that took it in: it acts from there on.
    pub boundary: u64,
    /// The frame of the interval that began there, or the newest one if the ring no longer holds it.
    pub frame: Option<Frame>,
}

/// Sends a command to `torus`, and waits until a committed frame has taken it in.
///
/// # Errors
/// The run is not running or has no supervisor; the time is up; the supervisor refuses.
pub fn send(commit: &Commit<'_>, torus: Torus, entry: LaneEntry) -> Result<TakenIn, CommandError> {
    check_running(commit)?;
    let map = commit.file.map_reader().map_err(CommandError::Segment)?;
    let views = map.views();
    let Some(region) = views.regions.get(torus.index()) else {
        return Err(CommandError::Failed(format!("the run has no torus {torus}")));
    };
    let position = queue(commit, torus, entry)?;
    let what = "the command was not taken in; it still may be";
    commit.await_commit(region, COMMAND_LANE, position, what)?;
    let boundary = commit.boundary_of(region, COMMAND_LANE, position)?;
    Ok(TakenIn {
        boundary,
        frame: frame_of(region, commit.file.config().face_cells(), boundary),
    })
}

fn check_running(commit: &Commit<'_>) -> Result<(), CommandError> {
    let name = &commit.file.config().name;
    match life::of(commit.file)? {
        Life::Supervised => Ok(()),
        Life::Orphaned => Err(CommandError::NotRunning(format!(
            "the run {name} has no supervisor, and commands go through it; `braid-supervisor start --name {name}` takes \
             the run over, then try again"
        ))),
        Life::Dead => Err(CommandError::NotRunning(format!(
            "the run {name} is not running, so no command reaches it"
        ))),
    }
}

/// Asks the supervisor to queue it; returns its position in lane 0. A full lane is waited for.
fn queue(commit: &Commit<'_>, torus: Torus, entry: LaneEntry) -> Result<u64, CommandError> {
    let request = Request::Command {
        torus: torus.index() as u8,
        entry: bytemuck::cast(entry),
    };
    let what = format!("lane 0 of torus {torus} is full and did not get room");
    commit.until(&what, || match ask(commit.file.path(), &request)? {
        Response::Queued { position } => Ok(Some(position)),
        Response::LaneFull => Ok(None),
        Response::Refused(why) => Err(CommandError::Failed(why)),
        other => Err(CommandError::Failed(format!(
            "the supervisor answered {other:?}, which is no answer to this"
        ))),
    })
}

fn frame_of(region: &RegionReader<'_>, face_cells: usize, interval: u64) -> Option<Frame> {
    let mut frame = Frame::new(face_cells);
    match region.ring.read(region.torus, interval, &mut frame) {
        Ok(()) => Some(frame),
        Err(_) => newest_frame(region, face_cells),
    }
}
