//! What a peer has sent in an interval: read, judged, and kept until it is due, all in the same place.
//!
//! The events stand in pages, which the wheel takes out one after the other as their events become due. That suits events
//! nearly in the order in which they are due, as peers emit them; but they may stand in any order: what counts for a page is
//! the earliest time in it or in one behind it.

use shm_layout::record::{SourceKind, TimedEvent};
use std::ops::RangeInclusive;

/// Events of a page. They are looked at one page after the other as they are read, when they are in the innermost cache.
const PAGE: usize = 64;

const NEVER: u64 = u64::MAX;

/// Events from one peer, and what has to be known of them before they are scheduled.
#[derive(Clone, Debug, Default)]
pub struct Arrivals {
    events: Vec<TimedEvent>,
    /// For each page the earliest time in it or in one behind it.
    earliest: Vec<u64>,
    /// Of all events.
    extent: Extent,
    /// The first page that has not been taken out.
    page: usize,
}

/// What has to be known of some events.
#[derive(Clone, Copy, Debug)]
struct Extent {
    earliest: u64,
    latest: u64,
    highest_cell: u32,
    has_control: bool,
}

impl Default for Extent {
    fn default() -> Extent {
        Extent {
            earliest: NEVER,
            latest: 0,
            highest_cell: 0,
            has_control: false,
        }
    }
}

impl Extent {
    fn of(events: &[TimedEvent]) -> Extent {
        events.iter().fold(Extent::default(), |extent, event| {
            let TimedEvent { time, dst, src, .. } = *event;
            extent.and(Extent {
                earliest: time,
                latest: time,
                highest_cell: dst,
                has_control: src.kind() == Some(SourceKind::Control),
            })
        })
    }

    fn and(self, other: Extent) -> Extent {
        Extent {
            earliest: self.earliest.min(other.earliest),
            latest: self.latest.max(other.latest),
            highest_cell: self.highest_cell.max(other.highest_cell),
            has_control: self.has_control | other.has_control,
        }
    }
}

impl Arrivals {
    /// None, with room for so many.
    pub fn with_capacity(capacity: usize) -> Arrivals {
        Arrivals {
            events: Vec::with_capacity(capacity),
            earliest: Vec::with_capacity(capacity.div_ceil(PAGE)),
            ..Arrivals::default()
        }
    }

    /// Holds `count` events, which `read` writes page by page, given how many come before. Returns the sum of what it returns.
    pub fn fill(&mut self, count: usize, mut read: impl FnMut(usize, &mut [TimedEvent]) -> u64) -> u64 {
        // What is there is overwritten: clearing it first would be another pass over it.
        self.events.resize(count, TimedEvent::default());
        self.earliest.clear();
        self.page = 0;
        self.extent = Extent::default();
        let mut sum = 0u64;
        for (number, page) in self.events.chunks_mut(PAGE).enumerate() {
            sum = sum.wrapping_add(read(number * PAGE, page));
            let of_page = Extent::of(page);
            self.earliest.push(of_page.earliest);
            self.extent = self.extent.and(of_page);
        }
        let mut earliest = NEVER;
        for page in self.earliest.iter_mut().rev() {
            earliest = earliest.min(*page);
            *page = earliest;
        }
        sum
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.fill(0, |_, _| 0);
    }

    /// The events that have not been taken out: all, before they are scheduled.
    pub fn events(&self) -> &[TimedEvent] {
        &self.events[self.start()..]
    }

    /// Whether there are records among them that are no events.
    pub fn has_control(&self) -> bool {
        self.extent.has_control
    }

    /// Whether all of them are for cells below `cells` at such times.
    pub fn are_within(&self, cells: u32, times: RangeInclusive<u64>) -> bool {
        self.events.is_empty()
            || (self.extent.highest_cell < cells
                && times.contains(&self.extent.earliest)
                && times.contains(&self.extent.latest))
    }

    /// When the first one is due.
    #[inline]
    pub(super) fn due(&self) -> u64 {
        self.earliest.get(self.page).copied().unwrap_or(NEVER)
    }

    /// Takes out the pages up to the last one that has an event before `time`, or has one behind it that does.
    pub(super) fn take_before(&mut self, time: u64) -> &[TimedEvent] {
        let start = self.start();
        while self.due() < time {
            self.page += 1;
        }
        let end = self.start();
        &self.events[start..end]
    }

    /// Where the first page begins that has not been taken out.
    fn start(&self) -> usize {
        (self.page * PAGE).min(self.events.len())
    }

    /// Flips a bit of the payload of one event that has not been taken out, for a test; returns whether there is one.
    pub(super) fn flip_payload_bit(&mut self, seed: u64, bit: u64) -> bool {
        let start = self.start();
        let rest = &mut self.events[start..];
        let count = rest.len();
        if let Some(event) = rest.get_mut(seed as usize % count.max(1)) {
            event.payload ^= 1 << bit;
        }
        count > 0
    }
}

impl From<&[TimedEvent]> for Arrivals {
    fn from(events: &[TimedEvent]) -> Arrivals {
        let mut arrivals = Arrivals::default();
        arrivals.fill(events.len(), |before, page| {
            page.copy_from_slice(&events[before..before + page.len()]);
            0
        });
        arrivals
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shm_layout::record::Source;
    use shm_layout::torus::Torus;

    fn event(time: u64, payload: i64) -> TimedEvent {
        TimedEvent {
            time,
            dst: time as u32 % 7,
            src: Source::model(Torus::B, 1),
            payload,
        }
    }

    #[test]
    fn events_come_out_no_later_than_they_are_due_in_whatever_order_they_stand() {
        let in_order: Vec<_> = (0..1000).map(|n| event(100 + n as u64, n)).collect();
        let mut reversed = in_order.clone();
        reversed.reverse();
        let mixed: Vec<_> = (0..1000).map(|n| in_order[n * 391 % 1000]).collect();
        for events in [in_order, reversed, mixed] {
            let mut arrivals = Arrivals::from(events.as_slice());
            let mut taken = Vec::new();
            for time in (90..1200).step_by(10) {
                taken.extend_from_slice(arrivals.take_before(time));
                assert!(arrivals.due() >= time);
                assert!(arrivals.events().iter().all(|event| event.time >= time));
            }
            taken.sort_unstable_by_key(|event| event.time);
            assert!(taken.iter().map(|event| event.payload).eq(0..1000));
            assert_eq!(arrivals.due(), NEVER);
        }
    }

    #[test]
    fn what_is_in_order_stays_until_it_is_nearly_due() {
        let events: Vec<_> = (0..1000).map(|n| event(n, 0)).collect();
        let mut arrivals = Arrivals::from(events.as_slice());
        assert_eq!(arrivals.take_before(1).len(), PAGE);
        assert_eq!(arrivals.take_before(PAGE as u64 + 1).len(), PAGE);
        assert_eq!(arrivals.due(), 2 * PAGE as u64);
        assert_eq!(arrivals.events().len(), 1000 - 2 * PAGE);
    }

    #[test]
    fn every_event_counts_for_what_is_known_of_all() {
        let plain: Vec<_> = (0..200).map(|n| event(50 + n % 9, 0)).collect();
        assert!(Arrivals::from(plain.as_slice()).are_within(7, 50..=58));
        assert!(Arrivals::default().are_within(0, 1..=1));
        for at in 0..plain.len() {
            let with = |other: TimedEvent| {
                let mut events = plain.clone();
                events[at] = other;
                Arrivals::from(events.as_slice())
            };
            assert!(!with(event(49, 0)).are_within(7, 50..=58));
            assert!(!with(event(59, 0)).are_within(7, 50..=58));
            assert!(!with(TimedEvent { dst: 7, ..plain[at] }).are_within(7, 50..=58));
            let src = Source::new(SourceKind::Control, Torus::B, 1);
            assert!(with(TimedEvent { src, ..plain[at] }).has_control());
            assert!(!with(plain[at]).has_control());
        }
    }

    #[test]
    fn filled_again_they_hold_nothing_of_what_was_there() {
        let mut arrivals = Arrivals::from([event(5, 1), event(900, 2)].as_slice());
        arrivals.take_before(NEVER);
        assert_eq!(arrivals.events(), []);
        let sum = arrivals.fill(130, |before, page| {
            page.fill(event(7, 3));
            before as u64
        });
        assert_eq!((sum, arrivals.events().len(), arrivals.due()), (64 + 128, 130, 7));
        assert!(arrivals.are_within(1, 7..=7));
        arrivals.clear();
        assert_eq!((arrivals.events().len(), arrivals.due()), (0, NEVER));
    }
}
