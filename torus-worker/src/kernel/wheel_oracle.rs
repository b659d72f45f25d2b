//! The timing wheel against an ordered map that does the same the slow way.

use super::arrivals::Arrivals;
use super::wheel::Wheel;
use proptest::prelude::*;
use shm_layout::record::{Event, Source, TimedEvent};
use std::collections::BTreeMap;

const CAPACITY: u32 = 300;

#[derive(Clone, Debug)]
enum Step {
    /// Schedule events this many ticks after the last executed one.
    Schedule(Vec<u64>),
    /// The same, all at once.
    Arrive(Vec<u64>),
    /// Execute so many ticks that have events, each emitting events with these delays, before this much later.
    Run {
        ticks: usize,
        delays: Vec<u32>,
        span: u64,
    },
    /// Withdraw this many in canonical order.
    Withdraw(u64),
    /// Move what is in slots together.
    Gather,
}

/// Distances near, on, and far beyond every edge between two levels.
fn distance() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..300u64,
        (1..7u32, -2..3i64).prop_map(|(level, offset)| (1u64 << (8 * level)).saturating_add_signed(offset)),
        (0..60u32).prop_flat_map(|bits| 0..1u64 << bits),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let delay = prop_oneof![1..300u32, 250..260u32, 60_000..70_000u32, Just(u32::MAX)];
    prop_oneof![
        prop::collection::vec(distance(), 1..20).prop_map(Step::Schedule),
        prop::collection::vec(distance(), 0..150).prop_map(Step::Arrive),
        (0..3000u64, prop::collection::vec(0..70u64, 0..250))
            .prop_map(|(from, jitter)| Step::Arrive((from..).zip(jitter).map(|(at, by)| at + by).collect())),
        (1..20usize, prop::collection::vec(delay, 0..4), distance())
            .prop_map(|(ticks, delays, span)| Step::Run { ticks, delays, span }),
        (0..40u64).prop_map(Step::Withdraw),
        Just(Step::Gather),
    ]
}

#[derive(Default)]
struct Oracle {
    pending: BTreeMap<u64, Vec<i64>>,
    count: u64,
    last_time: u64,
    number: i64,
}

impl Oracle {
    fn add(&mut self, time: u64) -> Option<Event> {
        if self.count == u64::from(CAPACITY) || time > 1 << 62 {
            return None;
        }
        self.number += 1;
        self.count += 1;
        self.pending.entry(time).or_default().push(self.number);
        Some(Event {
            dst: 0,
            src: Source(0),
            payload: self.number,
        })
    }

    fn withdraw(&mut self, count: u64) {
        for _ in 0..count.min(self.count) {
            let Some(mut first) = self.pending.first_entry() else {
                return;
            };
            first.get_mut().sort_unstable();
            first.get_mut().remove(0);
            if first.get().is_empty() {
                first.remove();
            }
            self.count -= 1;
        }
    }

    fn take(&mut self, end: u64) -> Option<(u64, Vec<i64>)> {
        let (time, _) = self.pending.range(..end).next()?;
        let (time, events) = self.pending.remove_entry(&time.clone())?;
        self.count -= events.len() as u64;
        self.last_time = time;
        Some((time, events))
    }
}

fn run(wheel: &mut Wheel, oracle: &mut Oracle, ticks: usize, delays: &[u32], span: u64) {
    let end = (oracle.last_time + span).min(1 << 62);
    let mut due = Vec::new();
    for _ in 0..ticks {
        let tick = wheel.next_tick(end);
        let expected = oracle.take(end);
        assert_eq!(
            tick,
            expected.as_ref().map(|(time, _)| *time),
            "next tick before {end}"
        );
        let Some((time, expected)) = expected else { return };
        due.clear();
        wheel.drain(|events| due.extend_from_slice(events));
        let mut found: Vec<_> = due.iter().map(|event| event.payload).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "events of tick {time}");
        for delay in delays {
            if let Some(event) = oracle.add(time + u64::from(*delay)) {
                wheel.push(time + u64::from(*delay), event);
            }
        }
    }
}

fn arrive(wheel: &mut Wheel, oracle: &mut Oracle, distances: &[u64]) {
    let mut events = Vec::new();
    for distance in distances {
        let time = oracle.last_time + distance;
        if let Some(Event { dst, src, payload }) = oracle.add(time) {
            events.push(TimedEvent {
                time,
                dst,
                src,
                payload,
            });
        }
    }
    wheel.schedule_arrivals(&mut Arrivals::from(events.as_slice()));
}

fn visited(wheel: &Wheel) -> BTreeMap<u64, Vec<i64>> {
    let mut all: BTreeMap<u64, Vec<i64>> = BTreeMap::new();
    wheel.visit(|time, event| all.entry(time).or_default().push(event.payload));
    all.values_mut().for_each(|events| events.sort_unstable());
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(debug_assertions) { 200 } else { 2000 }, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_wheel_takes_out_what_an_ordered_map_takes_out(steps in prop::collection::vec(step(), 1..30)) {
        let mut wheel = Wheel::new(CAPACITY, 64);
        let mut oracle = Oracle::default();
        for step in &steps {
            match step {
                Step::Schedule(distances) => for distance in distances {
                    let time = oracle.last_time + distance;
                    if let Some(event) = oracle.add(time) {
                        wheel.schedule(time, event);
                    }
                },
                Step::Arrive(distances) => arrive(&mut wheel, &mut oracle, distances),
                Step::Withdraw(count) => {
                    wheel.withdraw(*count);
                    oracle.withdraw(*count);
                }
                Step::Gather => wheel.move_together(),
                Step::Run { ticks, delays, span } => run(&mut wheel, &mut oracle, *ticks, delays, *span),
            }
            prop_assert_eq!(wheel.pending(), oracle.count);
            prop_assert_eq!(visited(&wheel), oracle.pending.clone());
        }
        run(&mut wheel, &mut oracle, usize::MAX, &[], u64::MAX >> 1);
        prop_assert_eq!(wheel.pending(), 0);
        prop_assert!(!wheel.is_overflown());
    }
}

#[test]
fn events_are_moved_together_when_there_have_been_many_more_of_them() {
    let mut wheel = Wheel::new(200_000, 64);
    let event = |payload| Event {
        dst: 0,
        src: Source(0),
        payload,
    };
    let all = 150_000;
    (0..all).for_each(|payload| wheel.push(1 + payload as u64 % 200, event(payload)));
    let arrived: Vec<_> = (0..100)
        .map(|n| TimedEvent {
            time: 1000 + n,
            ..TimedEvent::default()
        })
        .collect();
    wheel.schedule_arrivals(&mut Arrivals::from(arrived.as_slice()));
    let used = wheel.chunks_touched();
    wheel.gather();
    assert_eq!(wheel.chunks_touched(), used, "all that memory is in use");
    for _ in 0..190 {
        wheel.next_tick(u64::MAX);
        wheel.drain(|_| ());
    }
    let left = wheel.pending();
    let before = visited(&wheel);
    wheel.gather();
    assert!(
        wheel.chunks_touched() < used / 4,
        "{} of {used}",
        wheel.chunks_touched()
    );
    assert_eq!((wheel.pending(), visited(&wheel)), (left, before));
    assert_eq!(wheel.next_tick(u64::MAX), Some(191));
}

#[test]
fn no_event_is_lost_up_to_the_capacity_however_it_is_spread() {
    // One event in as many different slots as there can be, then the rest in one.
    let mut wheel = Wheel::new(5000, 0);
    let event = |payload| Event {
        dst: 0,
        src: Source(0),
        payload,
    };
    for slot in 0..2048u64 {
        let (level, byte) = (slot / 256, slot % 256);
        wheel.push(byte << (8 * level).min(53), event(slot as i64));
    }
    for payload in 2048..5000 {
        wheel.push(1 << 60, event(payload));
    }
    let mut due = Vec::new();
    let mut count = 0;
    while wheel.next_tick(u64::MAX).is_some() {
        due.clear();
        wheel.drain(|events| due.extend_from_slice(events));
        count += due.len();
    }
    assert!(!wheel.is_overflown());
    assert_eq!((count, wheel.pending()), (5000, 0));
}
