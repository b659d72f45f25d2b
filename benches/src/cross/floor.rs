//! The contestant "ring floor": both ends of [`super::ring_floor`].

use std::fs::File;
use std::io;
use std::time::Instant;

use bytemuck::Pod;
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::peer::{Means, Peer};
use super::ring_floor::Ring;
use super::{Arrival, PlainEvent, PlainFrame, PlainHeader, Task, Timed, What};

/// Slots of a ring of events: in the second-level cache, and room for eight batches.
const fn event_slots(batch: usize) -> usize {
    if batch <= 512 {
        4096
    } else {
        8 * batch.next_power_of_two()
    }
}
/// Slots of a ring of frames.
const FRAME_SLOTS: usize = 16;
/// Slots of the rings there and back.
const ECHO_SLOTS: usize = 16;
/// Where the ring back begins; a page boundary.
const BACK: usize = 1 << 20;
const BYTES: u64 = 8 << 20;

/// Receives what a child process sends, and measures.
///
/// # Errors
/// What the system reports, or that the child is gone.
pub fn measure(task: Task) -> io::Result<Timed> {
    let shared = File::from(memfd_create(c"braid-ring-floor", MFdFlags::MFD_CLOEXEC)?);
    shared.set_len(BYTES)?;
    let child = Peer::start(Means::Floor, task, None, Some(shared.try_clone()?.into()))?;
    let timed = match task.what {
        What::Events(batch) => receive_events(&shared, batch, task.count),
        What::Frames => receive_frames(&shared, task.count),
        What::EventEcho => call::<PlainEvent>(&shared, task.count),
        What::HeaderEcho => call::<PlainHeader>(&shared, task.count),
    };
    child.finish()?;
    timed
}

/// The child's part.
///
/// # Errors
/// What the system reports, or that the parent is gone.
pub fn serve(shared: &File, task: Task) -> io::Result<()> {
    match task.what {
        What::Events(batch) => send_events(shared, batch, task.count),
        What::Frames => {
            let ring = Ring::<PlainFrame>::map(shared, 0, FRAME_SLOTS)?;
            let mut sender = ring.sender();
            let frame = [Box::new([7; super::FRAME_WORDS])];
            (0..task.count).try_for_each(|_| sender.send(std::slice::from_ref(&*frame[0])))
        }
        What::EventEcho => answer::<PlainEvent>(shared, task.count),
        What::HeaderEcho => answer::<PlainHeader>(shared, task.count),
    }
}

fn send_events(shared: &File, batch: usize, count: u64) -> io::Result<()> {
    let ring = Ring::<PlainEvent>::map(shared, 0, event_slots(batch))?;
    let mut sender = ring.sender();
    let events: Vec<PlainEvent> = (0..batch as u64).map(|at| [at, 1, 2, 3]).collect();
    (0..count / batch as u64).try_for_each(|_| sender.send(&events))
}

fn receive_events(shared: &File, batch: usize, count: u64) -> io::Result<Timed> {
    let ring = Ring::<PlainEvent>::map(shared, 0, event_slots(batch))?;
    let mut receiver = ring.receiver();
    let mut arrival = Arrival::new();
    let mut received = 0;
    while received < count {
        let items = receiver.receive(batch, |events| arrival.fold(bytemuck::cast_slice(events)))?;
        arrival.note(items);
        received += items as u64;
    }
    Ok(arrival.finish())
}

/// Frames are copied out, as Braid's are.
fn receive_frames(shared: &File, count: u64) -> io::Result<Timed> {
    let ring = Ring::<PlainFrame>::map(shared, 0, FRAME_SLOTS)?;
    let mut receiver = ring.receiver();
    let mut arrival = Arrival::new();
    let mut copy = Box::new([0; super::FRAME_WORDS]);
    for _ in 0..count {
        receiver.receive(1, |frames| copy.copy_from_slice(&frames[0]))?;
        arrival.note(1);
        arrival.fold(std::hint::black_box(&copy[..1]));
    }
    Ok(arrival.finish())
}

/// To and fro; the time is of one way.
fn call<T: Pod>(shared: &File, count: u64) -> io::Result<Timed> {
    let (there, back) = (
        Ring::<T>::map(shared, 0, ECHO_SLOTS)?,
        Ring::<T>::map(shared, BACK, ECHO_SLOTS)?,
    );
    let (mut sender, mut receiver) = (there.sender(), back.receiver());
    let mut copy = T::zeroed();
    let mut turn = |item: T| -> io::Result<()> {
        sender.send(&[item])?;
        receiver.receive(1, |items| copy = items[0])?;
        std::hint::black_box(&copy);
        Ok(())
    };
    turn(T::zeroed())?;
    let begin = Instant::now();
    for _ in 1..count {
        turn(T::zeroed())?;
    }
    Ok(Timed {
        items: 2 * (count - 1),
        time: begin.elapsed(),
    })
}

fn answer<T: Pod>(shared: &File, count: u64) -> io::Result<()> {
    let (there, back) = (
        Ring::<T>::map(shared, 0, ECHO_SLOTS)?,
        Ring::<T>::map(shared, BACK, ECHO_SLOTS)?,
    );
    let (mut receiver, mut sender) = (there.receiver(), back.sender());
    let mut copy = T::zeroed();
    for _ in 0..count {
        receiver.receive(1, |items| copy = items[0])?;
        sender.send(&[std::hint::black_box(copy)])?;
    }
    Ok(())
}
