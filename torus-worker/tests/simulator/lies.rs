//! Mistakes of a worker that still runs: what it has committed is changed in its memory before anybody takes it in. Each
//! is one that a mistake in a mechanism would make: another length chosen, another face shown, another constraint carried,
//! other events sent than counted.

use shm_layout::frame::{Constraint, Frame};
use shm_layout::hash;
use shm_layout::record::TimedEvent;
use shm_layout::region::WorkerSegment;
use shm_layout::torus::Torus;
use torus_worker::journal::MemoryJournal;
use torus_worker::models::{Heat, Phold};

use crate::world::{Plan, run};
use crate::{adaptive, heat, phold, slow_phold};

/// Who lies; its peers find it out.
pub const LIAR: Torus = Torus::A;

/// What is changed, and whether the frame is made to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// The length chosen.
    Choice,
    /// A value of the face.
    Face,
    /// A projection out of turn.
    Turn,
    /// A constraint entry.
    Entry,
    /// The number of events sent to B.
    Count,
    /// The events to B, and their hash in the frame.
    StrandAndHash,
    /// The first event to B is left out, the others move up.
    Dropped,
    /// The first event to B stands in the place of the second.
    Doubled,
    /// A bit of an event to B.
    Altered,
}

impl Lie {
    /// Tells it about frame `interval`; false if the frame has nothing to lie about.
    pub fn tell(self, views: &WorkerSegment<'_>, face_cells: usize, interval: u64) -> bool {
        let mut frame = Frame::new(face_cells);
        let ring = views.own.ring_view;
        let mut end_of = |n: u64| {
            let read = ring.read(LIAR, n, &mut frame);
            read.map_or(0, |()| frame.strand_end(Torus::B))
        };
        let from = interval.checked_sub(1).map_or(0, &mut end_of);
        let until = end_of(interval);
        let Some(strand) = views.own.strands[Torus::B.index()].as_ref() else {
            return false;
        };
        let mut events = vec![TimedEvent::default(); (until - from) as usize];
        strand.reader().read(from, &mut events);
        match self {
            Lie::Choice => frame.set_next_interval(frame.next_interval() + 100),
            Lie::Face => {
                let mut face = frame.face().to_vec();
                face[3] += 1;
                frame.set_projection(&face);
            }
            Lie::Turn => frame.set_projection(&vec![7; face_cells]),
            Lie::Count => frame.set_sent(Torus::B, frame.sent(Torus::B) + 1),
            Lie::Entry => {
                let [kind, value, tolerance] = [2, 50, 1];
                let value = value as i64;
                frame.set_constraint(
                    0,
                    Constraint {
                        kind,
                        value,
                        tolerance,
                    },
                );
            }
            _ if events.len() < 2 => return false,
            Lie::StrandAndHash => {
                events[0].payload += 1;
                frame.set_strand_hash(Torus::B, hash::events(&events));
            }
            Lie::Dropped => {
                events.rotate_left(1);
                let last = events.len() - 1;
                events[last] = TimedEvent::default();
            }
            Lie::Doubled => events[1] = events[0],
            Lie::Altered => events[0].payload ^= 1 << 9,
        }
        strand.write(from, &events);
        frame.seal();
        views.own.ring.write(&frame);
        true
    }
}

/// A lie that fits its frame is found by the digest chain, at the first boundary that takes the frame in.
#[test]
fn a_mistake_in_a_choice_a_face_a_constraint_or_a_strand_breaks_the_digest_chain() {
    for interval in [3, 6, 9] {
        for lie in [Lie::Choice, Lie::Face, Lie::Entry, Lie::StrandAndHash] {
            let plan = Plan {
                lie: Some((lie, interval)),
                ..Plan::calm(interval)
            };
            let outcome = match lie {
                Lie::Face => run::<Heat, MemoryJournal>(&heat(2), &plan),
                Lie::Choice => run::<Phold, MemoryJournal>(&adaptive(slow_phold(2)), &plan),
                _ => run::<Phold, MemoryJournal>(&phold(2), &plan),
            };
            let error = outcome.expect_err("the lie is found");
            let found = format!("frame {interval} of torus A does not continue its digest chain");
            assert!(error.contains(&found), "{lie:?}: {error}");
        }
    }
}

#[test]
fn a_torus_that_projects_out_of_turn_is_found() {
    for interval in [4, 5, 7, 8] {
        let plan = Plan {
            lie: Some((Lie::Turn, interval)),
            ..Plan::calm(interval)
        };
        let error = run::<Phold, MemoryJournal>(&phold(2), &plan).expect_err("the lie is found");
        let found = format!(
            "at boundary {}: frame {interval} of torus A is out of turn",
            interval + 2
        );
        assert!(error.contains(&found), "{error}");
    }
}

#[test]
fn a_torus_that_counts_wrong_what_it_sends_is_found_with_the_pair_the_interval_and_both_numbers() {
    let mut found = 0;
    for seed in 0..40 {
        let interval = 3 + seed % 6;
        let plan = Plan {
            lie: Some((Lie::Count, interval)),
            ..Plan::calm(seed)
        };
        let error = run::<Phold, MemoryJournal>(&phold(2), &plan).expect_err("the lie is found");
        let violation =
            format!("conservation violation between torus A and torus B at interval {interval}: A sent ");
        let Some((_, numbers)) = error.split_once(&violation) else {
            // C may come to the frame before B does, and sees that it does not continue the chain.
            assert!(
                error.contains(&format!("frame {interval} of torus A does not continue")),
                "{error}"
            );
            continue;
        };
        let numbers: Vec<u64> = numbers
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|number| number.parse().ok())
            .collect();
        assert_eq!(numbers[0], numbers[1] + 1, "{error}");
        found += 1;
    }
    println!("{found} of 40 found by B");
    assert!(found >= 10, "{found}");
}

/// Events that are not those that the frame says are found before they are taken in: the pair, the interval and both
/// numbers stand in the receiver's status cell. Then the sender is replaced, as the watchdog does, its successor writes them
/// again, and the run is exact.
#[test]
fn events_dropped_doubled_or_altered_are_found_with_both_numbers_and_written_again() {
    let (mut found, mut lost) = (0, 0);
    for interval in 1..9 {
        for lie in [Lie::Dropped, Lie::Doubled, Lie::Altered] {
            let plan = Plan {
                lie: Some((lie, interval)),
                ..Plan::calm(interval)
            };
            let outcome = match run::<Phold, MemoryJournal>(&phold(2), &plan) {
                Ok(outcome) => outcome,
                // Both its checkpoints are younger than the damage: that is said plainly.
                Err(error) if error.contains("cannot be rebuilt") => {
                    lost += 1;
                    continue;
                }
                Err(error) => panic!("{error}\n{plan:?}"),
            };
            assert_eq!(outcome.digests, outcome.oracle, "{plan:?}");
            if let Some([n, sent, received]) = outcome.altered {
                found += 1;
                assert_eq!(n, interval, "{plan:?}");
                assert_ne!(sent, received, "{plan:?}");
            }
        }
    }
    println!("{found} altered strand ranges found and repaired, {lost} beyond repair");
    assert!(found >= 12 && found + lost >= 20, "{found}, {lost}");
}
