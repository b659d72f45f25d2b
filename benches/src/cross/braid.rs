//! The contestant "Braid": a strand and two frame rings in a mapped segment, as two workers use them.
//!
//! The child is torus A, this process torus B. All that the protocol asks for is in it: the multiset hash over the events
//! of a frame on both sides, the frame's checksum on both sides, the one store that commits. A frame carries the events
//! that were published at once; A runs at most the strand's 2L+1 intervals ahead of what B says it is done with.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use shm_layout::config::RunConfig;
use shm_layout::frame::Frame;
use shm_layout::frame_ring::{FrameReader, FrameWriter};
use shm_layout::record::TimedEvent;
use shm_layout::region::WorkerSegment;
use shm_layout::segment::{SegmentFile, remove};
use shm_layout::torus::Torus;

use super::peer::{Means, Peer};
use super::{Arrival, Task, Timed, What, wait};

/// Cells of a 32×32 face.
const FACE: usize = 32 * 32;

/// A segment that is removed when it is done with.
struct Shared(PathBuf);

impl Drop for Shared {
    fn drop(&mut self) {
        // Nothing is left to do about one that cannot be removed; `clean` knows it by its name.
        let _ = remove(&self.0);
    }
}

fn other(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

/// Receives what a child process sends through the segment at `path`, where nothing must be, and measures.
///
/// # Errors
/// What the system reports, or that the child is gone.
pub fn measure(path: &Path, task: Task) -> io::Result<Timed> {
    let mut config = RunConfig::new("bench-exchange", "phold");
    config.checkpoint_bytes = 4096;
    config.capacity.lanes = 1;
    if let What::Events(batch) = task.what {
        config.capacity.remote_per_interval = batch as u32;
    }
    let file = SegmentFile::create(path, &config).map_err(other)?;
    let shared = Shared(path.to_owned());
    let child = Peer::start(Means::Braid, task, Some(path), None)?;
    let map = file.map_worker_with(Torus::B, true).map_err(other)?;
    let timed = receive(&map.views(), task);
    child.finish()?;
    drop(shared);
    timed
}

/// The child's part.
///
/// # Errors
/// What the system reports, or that the parent is gone.
pub fn serve(path: &Path, task: Task) -> io::Result<()> {
    let file = SegmentFile::open(path).map_err(other)?;
    let map = file.map_worker_with(Torus::A, true).map_err(other)?;
    let segment = map.views();
    match task.what {
        What::Events(batch) => send_events(&segment, batch, task.count),
        What::Frames => send_frames(&segment, task.count),
        What::EventEcho => echo(&segment, task.count, false),
        What::HeaderEcho => echo(&segment, task.count, true),
    }
}

fn receive(segment: &WorkerSegment<'_>, task: Task) -> io::Result<Timed> {
    match task.what {
        What::Events(batch) => receive_events(segment, batch, task.count),
        What::Frames => receive_frames(segment, task.count),
        What::EventEcho => call(segment, task.count, false),
        What::HeaderEcho => call(segment, task.count, true),
    }
}

/// Waits until B is done with what lies `ahead` intervals back; returns what B is done with.
fn wait_for_room(segment: &WorkerSegment<'_>, n: u64, ahead: u64) -> io::Result<u64> {
    let peer = segment.peers[Torus::B.index()].ok_or_else(|| other("no torus B"))?;
    let mut done = 0;
    wait::until(|| {
        done = peer.status.safe();
        n < done + ahead
    })?;
    Ok(done)
}

fn send_events(segment: &WorkerSegment<'_>, batch: usize, count: u64) -> io::Result<()> {
    let strand = segment.own.strands[Torus::B.index()]
        .as_ref()
        .ok_or_else(|| other("no strand"))?;
    let ahead = (strand.capacity() / batch) as u64;
    let events: Vec<TimedEvent> = (0..batch as u32).map(event).collect();
    let mut frame = Frame::new(FACE);
    frame.set_torus(Torus::A);
    for n in 0..count / batch as u64 {
        wait_for_room(segment, n, ahead)?;
        let position = n * batch as u64;
        let hash = strand.write(position, &events);
        frame.set_interval(n);
        frame.set_strand_end(Torus::B, position + batch as u64);
        frame.set_strand_hash(Torus::B, hash);
        publish(&segment.own.ring, &mut frame);
    }
    Ok(())
}

fn event(number: u32) -> TimedEvent {
    TimedEvent {
        time: number.into(),
        dst: number,
        ..TimedEvent::default()
    }
}

fn publish(ring: &FrameWriter<'_>, frame: &mut Frame) {
    ring.write_content(frame);
    frame.seal_hashed();
    ring.write_head(frame);
    ring.commit(frame.interval());
}

fn receive_events(segment: &WorkerSegment<'_>, batch: usize, count: u64) -> io::Result<Timed> {
    let peer = segment.peers[Torus::A.index()].ok_or_else(|| other("no torus A"))?;
    let mut frame = Frame::new(FACE);
    let mut events = vec![TimedEvent::default(); batch];
    let mut arrival = Arrival::new();
    let mut position = 0;
    for n in 0..count / batch as u64 {
        await_frame(&peer.ring, n, &mut frame)?;
        let end = frame.strand_end(Torus::B);
        let found = peer
            .strand_to_me
            .read(position, &mut events[..(end - position) as usize]);
        position = end;
        if found != frame.strand_hash(Torus::B) {
            return Err(other("the events differ from what was sent"));
        }
        segment.own.status.set_safe(n + 1);
        arrival.note(batch);
    }
    Ok(arrival.finish())
}

fn await_frame(ring: &FrameReader<'_>, n: u64, frame: &mut Frame) -> io::Result<()> {
    wait::until(|| ring.head() > n)?;
    ring.read(Torus::A, n, frame).map_err(other)
}

fn send_frames(segment: &WorkerSegment<'_>, count: u64) -> io::Result<()> {
    let ring = &segment.own.ring;
    let ahead = ring.slots() as u64;
    let mut frame = Frame::new(FACE);
    frame.set_torus(Torus::A);
    frame.set_projection(&[7; FACE]);
    // How far B was when it was last looked at: as the floor's sender, this one looks again only when it has to.
    let mut room = 0;
    for n in 0..count {
        if n == room {
            room = wait_for_room(segment, n, ahead)? + ahead;
        }
        frame.set_interval(n);
        publish(ring, &mut frame);
    }
    Ok(())
}

fn receive_frames(segment: &WorkerSegment<'_>, count: u64) -> io::Result<Timed> {
    let peer = segment.peers[Torus::A.index()].ok_or_else(|| other("no torus A"))?;
    let mut frame = Frame::new(FACE);
    let mut arrival = Arrival::new();
    // How far A was when it was last looked at, as above.
    let mut head = 0;
    for n in 0..count {
        if n == head {
            wait::until(|| {
                head = peer.ring.head();
                head > n
            })?;
        }
        peer.ring.read(Torus::A, n, &mut frame).map_err(other)?;
        segment.own.status.set_safe(n + 1);
        arrival.note(1);
        arrival.fold(&frame.words()[..1]);
    }
    Ok(arrival.finish())
}

/// One frame there and one back; with `whole` each is copied and verified before it is answered, else its commit seen.
fn call(segment: &WorkerSegment<'_>, count: u64, whole: bool) -> io::Result<Timed> {
    let mut turn = Turn::new(segment, Torus::B, Torus::A, whole)?;
    turn.say(0);
    turn.hear(0)?;
    let begin = Instant::now();
    for n in 1..count {
        turn.say(n);
        turn.hear(n)?;
    }
    Ok(Timed {
        items: 2 * (count - 1),
        time: begin.elapsed(),
    })
}

fn echo(segment: &WorkerSegment<'_>, count: u64, whole: bool) -> io::Result<()> {
    let mut turn = Turn::new(segment, Torus::A, Torus::B, whole)?;
    for n in 0..count {
        turn.hear(n)?;
        turn.say(n);
    }
    Ok(())
}

/// One side of a dialogue in frames without projections.
struct Turn<'s> {
    own: &'s FrameWriter<'s>,
    peer: FrameReader<'s>,
    of: Torus,
    said: Frame,
    heard: Frame,
    whole: bool,
}

impl<'s> Turn<'s> {
    fn new(segment: &'s WorkerSegment<'s>, own: Torus, of: Torus, whole: bool) -> io::Result<Turn<'s>> {
        let peer = segment.peers[of.index()].ok_or_else(|| other("no peer"))?.ring;
        let mut said = Frame::new(FACE);
        said.set_torus(own);
        Ok(Turn {
            own: &segment.own.ring,
            peer,
            of,
            said,
            heard: Frame::new(FACE),
            whole,
        })
    }

    fn say(&mut self, n: u64) {
        self.said.set_interval(n);
        if self.whole {
            publish(self.own, &mut self.said);
        } else {
            self.own.commit(n);
        }
    }

    fn hear(&mut self, n: u64) -> io::Result<()> {
        wait::until(|| self.peer.head() > n)?;
        if self.whole {
            self.peer.read(self.of, n, &mut self.heard).map_err(other)?;
        }
        Ok(())
    }
}
