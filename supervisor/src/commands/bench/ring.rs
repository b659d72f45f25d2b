//! Cross-process: strands and frame rings against the best that shared memory can do, and against what the operating
//! system offers.

use std::io;

use braid_bench_baselines::cross::pipes::Stream;
use braid_bench_baselines::cross::{FRAME_WORDS, HEADER_WORDS, Task, Timed, What, braid, floor, pipes};
use braid_bench_baselines::figure::{Figure, Target};
use braid_bench_baselines::rounds::median;

use super::report::Section;
use super::{Bench, comparators};
use crate::error::CommandError;

/// Events that a frame carries, and that the floor publishes at once. A dense `phold` with 10 % of its events remote sends
/// each peer more than that in an interval.
const BATCH: usize = 8192;
/// What a pipe is written at once: 64 events, half a page.
const SMALL_BATCH: usize = 64;

/// A contestant: its name, the size of its task in relation to the fastest one's, and how it is measured.
pub struct Contestant<'a> {
    /// What it is called in the table.
    pub name: String,
    /// Items of a round.
    pub count: u64,
    /// One round.
    pub round: Box<dyn Fn(u64) -> io::Result<Timed> + 'a>,
}

/// Nanoseconds per item of each contestant, by round.
pub struct Measured {
    names: Vec<String>,
    ns: Vec<Vec<f64>>,
}

impl Measured {
    /// Lets contestants take turns, after a round that does not count.
    pub fn take_turns(bench: &Bench, contestants: &[Contestant<'_>]) -> Result<Measured, CommandError> {
        let rounds = bench.pick(3, 15);
        let mut ns = vec![Vec::with_capacity(rounds); contestants.len()];
        for round in 0..=rounds {
            for (contestant, ns) in contestants.iter().zip(&mut ns) {
                bench.interrupt.check()?;
                let count = if round == 0 {
                    contestant.count / 4
                } else {
                    contestant.count
                };
                let timed = (contestant.round)(count)
                    .map_err(|error| CommandError::system(format!("measure {}", contestant.name), error))?;
                if round > 0 {
                    ns.push(timed.ns_each());
                }
            }
        }
        let names = contestants
            .iter()
            .map(|contestant| contestant.name.clone())
            .collect();
        Ok(Measured { names, ns })
    }

    fn median_ns(&self, at: usize) -> f64 {
        median(self.ns[at].clone())
    }

    /// Median over the rounds of how many times as fast one is as another.
    pub fn speed(&self, at: usize, to: usize) -> f64 {
        let pairs = self.ns[at].iter().zip(&self.ns[to]);
        median(pairs.map(|(own, other)| other / own).collect())
    }

    /// Items per second.
    pub fn per_second(&self, at: usize, unit: &'static str) -> Figure {
        Figure::new(self.names[at].clone(), 1e9 / self.median_ns(at), unit)
    }

    /// Nanoseconds.
    pub fn latency(&self, at: usize) -> Figure {
        Figure::new(self.names[at].clone(), self.median_ns(at), "ns")
    }
}

/// Measures it.
pub fn measure(bench: &Bench) -> Result<Section, CommandError> {
    let mut section = Section::new("ring", settings(bench));
    bench.progress("events between two processes");
    section.figures.extend(events(bench)?);
    bench.progress("frames between two processes");
    section.figures.extend(frames(bench)?);
    bench.progress("latency between two processes");
    section.figures.extend(latency(bench)?);
    comparators::ring(bench, &mut section)?;
    Ok(section)
}

fn settings(bench: &Bench) -> Vec<String> {
    vec![
        format!(
            "two processes, {} rounds in turns; a strand's event has 24 bytes, the others' 32; a frame has {} bytes, {} \
             without its projection",
            bench.pick(3, 15),
            8 * FRAME_WORDS,
            8 * HEADER_WORDS
        ),
        "Braid: a mapped segment, hashes and checksums of both sides included, each batch committed by a frame".to_owned(),
        "floor: plain copies, nothing checked; a batch is published at once".to_owned(),
    ]
}

/// The segment's path must be free again when the next round begins, which `cross::braid` sees to.
fn through_segment<'a>(path: &'a std::path::Path, what: What) -> Box<dyn Fn(u64) -> io::Result<Timed> + 'a> {
    Box::new(move |count| braid::measure(path, Task { what, count }))
}

fn through_floor<'a>(what: What) -> Box<dyn Fn(u64) -> io::Result<Timed> + 'a> {
    Box::new(move |count| floor::measure(Task { what, count }))
}

fn through(stream: Stream, what: What) -> Box<dyn Fn(u64) -> io::Result<Timed>> {
    Box::new(move |count| pipes::measure(stream, Task { what, count }))
}

fn contestant<'a>(
    name: &str,
    count: u64,
    round: Box<dyn Fn(u64) -> io::Result<Timed> + 'a>,
) -> Contestant<'a> {
    Contestant {
        name: name.to_owned(),
        count,
        round,
    }
}

/// How many items a round has. On a loaded machine every hand-over may wait for a slice of the processor, so a quick round
/// has few.
pub fn size(bench: &Bench, full: u64) -> u64 {
    bench.pick(full >> 6, full)
}

fn events(bench: &Bench) -> Result<Vec<Figure>, CommandError> {
    let path = bench.workshop.segment_path()?;
    let (batch, small) = (What::Events(BATCH), What::Events(SMALL_BATCH));
    let count = |full| size(bench, full);
    let measured = Measured::take_turns(
        bench,
        &[
            contestant(
                "strand, 8192 events a frame",
                count(1 << 24),
                through_segment(&path, batch),
            ),
            contestant(
                "strand, 1024 events a frame",
                count(1 << 24),
                through_segment(&path, What::Events(1024)),
            ),
            contestant(
                "strand, 64 events a frame",
                count(1 << 21),
                through_segment(&path, small),
            ),
            contestant(
                "ring floor, batches of 8192",
                count(1 << 24),
                through_floor(batch),
            ),
            contestant("ring floor, batches of 64", count(1 << 24), through_floor(small)),
            contestant(
                "ring floor, one by one",
                count(1 << 21),
                through_floor(What::Events(1)),
            ),
            contestant(
                "pipe, 64 events a write",
                count(1 << 21),
                through(Stream::Pipe, small),
            ),
            contestant(
                "Unix socket, 64 events a write",
                count(1 << 21),
                through(Stream::Socket, small),
            ),
        ],
    )?;
    let figure = |at| measured.per_second(at, "events/s");
    let target = Some(Target::AtLeast(0.8));
    let mut figures = vec![
        figure(0)
            .against("ring floor, batches of 8192", measured.speed(0, 3), target)
            .against("ring floor, batches of 64", measured.speed(0, 4), None)
            .against("pipe", measured.speed(0, 6), None),
        figure(1).against("ring floor, batches of 8192", measured.speed(1, 3), None),
        figure(2).against("ring floor, batches of 64", measured.speed(2, 4), None),
    ];
    figures.extend((3..8).map(figure));
    Ok(figures)
}

fn frames(bench: &Bench) -> Result<Vec<Figure>, CommandError> {
    let path = bench.workshop.segment_path()?;
    let count = size(bench, 100_000);
    let measured = Measured::take_turns(
        bench,
        &[
            contestant(
                "frames with projection",
                count,
                through_segment(&path, What::Frames),
            ),
            contestant(
                "ring floor, slots of that size",
                count,
                through_floor(What::Frames),
            ),
            contestant(
                "pipe, a frame a write",
                count / 4,
                through(Stream::Pipe, What::Frames),
            ),
            contestant(
                "Unix socket, a frame a write",
                count / 4,
                through(Stream::Socket, What::Frames),
            ),
        ],
    )?;
    let figure = |at| measured.per_second(at, "frames/s");
    Ok(vec![
        figure(0)
            .against(
                "ring floor, slots of that size",
                measured.speed(0, 1),
                Some(Target::AtLeast(0.8)),
            )
            .against("pipe", measured.speed(0, 2), None),
        figure(1),
        figure(2),
        figure(3),
    ])
}

fn latency(bench: &Bench) -> Result<Vec<Figure>, CommandError> {
    let path = bench.workshop.segment_path()?;
    let count = size(bench, 50_000);
    let measured = Measured::take_turns(
        bench,
        &[
            contestant("commit to seen", count, through_segment(&path, What::EventEcho)),
            contestant("ring floor, one event", count, through_floor(What::EventEcho)),
            contestant(
                "commit to copied and verified",
                count,
                through_segment(&path, What::HeaderEcho),
            ),
            contestant(
                "ring floor, slots of a frame header",
                count,
                through_floor(What::HeaderEcho),
            ),
            contestant(
                "Unix socket, one event",
                count / 10,
                through(Stream::Socket, What::EventEcho),
            ),
        ],
    )?;
    let slower = |at, to| measured.speed(to, at);
    let target = Some(Target::AtMost(2.0));
    Ok(vec![
        measured
            .latency(0)
            .against("ring floor, one event", slower(0, 1), target),
        measured
            .latency(2)
            .against("ring floor, slots of a frame header", slower(2, 3), target),
        measured.latency(1),
        measured.latency(3),
        measured.latency(4),
    ])
}
