//! Taking over living workers from a supervisor that died.
//!
//! The order matters: first the pidfd is opened, which from then on names one process and no other; then the start time
//! and the boot id in the status cell are compared with that process, and the region lock must be held. Only then is it
//! the worker. In every other case the torus is treated as dead and nobody is signalled.

use shm_layout::config::RunConfig;
use shm_layout::segment::{LockByte, SegmentFile, SupervisorSegment};
use shm_layout::status::{Identity, StatusReader};
use shm_layout::sys::pidfd::PidFd;
use shm_layout::sys::{clock, process};
use shm_layout::torus::Torus;

use super::death::Ending;
use super::hang::HangDetector;
use super::slot::{Process, Slot};
use super::table::State;

/// The process that the status cell names, if it lives.
pub fn living(status: &StatusReader<'_>) -> Option<(PidFd, Identity)> {
    let identity = status.identity()?;
    living_process(&identity).map(|(pidfd, _)| (pidfd, identity))
}

/// The process of this identity, if it lives.
pub fn living_process(identity: &Identity) -> Option<(PidFd, u32)> {
    let pid = u32::try_from(identity.pid).ok()?;
    let pidfd = PidFd::open(pid).ok()?;
    let same = process::alive_as(pid, identity.start_time, identity.boot_id);
    // A process that is dead and not reaped yet is still the same one, and no worker any more.
    (same && pidfd.alive().unwrap_or(false)).then_some((pidfd, pid))
}

/// Makes a living process the worker of a slot.
pub fn take_over(slot: &mut Slot, pidfd: PidFd, identity: Identity, config: &RunConfig, now_ns: u64) {
    let hang = HangDetector::new(config.hang_timeout_ms * 1_000_000, u64::MAX, now_ns);
    slot.state = State::Alive;
    slot.ending = Ending::Unknown;
    slot.fault = None;
    slot.incarnation = identity.incarnation;
    slot.process = Some(Process {
        pidfd,
        pid: identity.pid as u32,
        hang,
    });
}

/// The slots of a run that is adopted: living workers are taken over, the others are found dead ([`State::Alive`]
/// without a process: the watchdog's first pass gives them to the table).
pub fn slots(file: &SegmentFile, segment: &SupervisorSegment<'_>, config: &RunConfig) -> Vec<Slot> {
    let now_ns = clock::monotonic_ns();
    let tori = Torus::ALL.into_iter().take(usize::from(config.tori));
    tori.map(|torus| {
        let status = &segment.regions[torus.index()].status;
        let expected = segment.control.reader().expected_incarnation(torus);
        let mut slot = Slot::new(torus, status.incarnation(), expected, status.boundary());
        slot.state = State::Alive;
        // What was killed before this worker began was its predecessor.
        slot.spawned_ns = status.started_ns();
        let locked = || file.is_locked(LockByte::Region(torus)).unwrap_or(false);
        if let Some((pidfd, identity)) = living(status).filter(|_| locked()) {
            take_over(&mut slot, pidfd, identity, config, now_ns);
        }
        slot
    })
    .collect()
}
