//! When the boundaries are: the calendar that all three tori share.

use shm_layout::config::RunConfig;

use super::checkpoint::Words;
use crate::kernel::{LoadError, Sink};

/// The largest lag.
const LAG_MAX: usize = 8;
/// Boundaries whose ticks an adaptive calendar knows inside interval b: b to b+L+1.
const WINDOW: usize = LAG_MAX + 2;

/// Maps boundaries of virtual time to ticks.
///
/// With intervals of one length, boundary b lies at tick b·k. With adaptive ones the calendar knows the boundaries that
/// matter at the place where its torus stands: as far ahead as all three tori know them. A run with `--until T` ends at
/// tick T+1: its last interval is cut there, at all tori.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calendar {
    interval: u64,
    lag: u64,
    end: u64,
    window: Option<Window>,
}

/// The boundaries that an adaptive calendar knows, not cut at the end of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    /// The first of them: where the torus stands.
    first: u64,
    /// The number of boundaries known, from the first on.
    known: usize,
    ticks: [u64; WINDOW],
}

impl Calendar {
    /// The calendar of a validated configuration, at boundary 0.
    pub fn of(config: &RunConfig) -> Self {
        let mut calendar = Self {
            interval: config.interval,
            lag: u64::from(config.lag),
            end: config.until.map_or(u64::MAX, |last| last + 1),
            window: None,
        };
        if config.adaptive {
            calendar.window = Some(Window::new(config.interval, config.lag as usize));
        }
        calendar
    }

    /// The lag L in intervals.
    pub fn lag(&self) -> u64 {
        self.lag
    }

    /// The length of the first intervals in ticks, and of all if they have one length.
    pub fn interval(&self) -> u64 {
        self.interval
    }

    /// Whether the tori choose the length of their intervals.
    pub fn is_adaptive(&self) -> bool {
        self.window.is_some()
    }

    /// The tick of boundary `b`, cut at the end of the run.
    pub fn tick(&self, b: u64) -> u64 {
        self.uncut(b).min(self.end)
    }

    /// The earliest tick at which an event emitted in interval `n` may arrive at another torus: boundary n+L.
    ///
    /// It is not cut at the end of the run: whatever lies beyond it is never executed, but it is counted and hashed,
    /// so it must be the same wherever it is computed.
    pub fn remote_floor(&self, n: u64) -> u64 {
        self.uncut(n.saturating_add(self.lag))
    }

    fn uncut(&self, b: u64) -> u64 {
        match &self.window {
            Some(window) => window.tick(b),
            None => self.interval.saturating_mul(b),
        }
    }

    /// The boundary at which the run ends, if its configuration sets one and it is known from here.
    pub fn last_boundary(&self) -> Option<u64> {
        if self.end == u64::MAX {
            return None;
        }
        match &self.window {
            Some(window) => window.first_at(self.end),
            None => Some(self.end.div_ceil(self.interval)),
        }
    }

    /// Whether the run ends at a boundary that lies at `tick`.
    pub fn ends_at(&self, tick: u64) -> bool {
        tick == self.end
    }

    /// The length of interval b+L−1, the last one known to a torus that stands at boundary b: in between nothing has
    /// changed it.
    pub(super) fn last_length(&self) -> u64 {
        self.window.as_ref().map_or(self.interval, Window::last_length)
    }

    /// The next interval after those that are known has this length.
    pub(super) fn extend(&mut self, length: u64) {
        if let Some(window) = &mut self.window {
            window.extend(length);
        }
    }

    /// The torus stands at boundary `b`: what lies before it is no longer needed.
    pub(super) fn advance(&mut self, b: u64) {
        if let Some(window) = &mut self.window {
            window.advance(b);
        }
    }

    /// Words of a checkpoint's section.
    pub(super) const WORDS: usize = 2 + WINDOW;

    /// Adds what the state digest covers: nothing where the configuration says it all.
    pub(super) fn digest_into(&self, words: &mut Vec<u64>) {
        if let Some(window) = &self.window {
            words.extend_from_slice(&window.ticks[..window.known]);
        }
    }

    pub(super) fn save(&self, out: &mut impl Sink) {
        let window = self.window.unwrap_or(Window {
            first: 0,
            known: 0,
            ticks: [0; WINDOW],
        });
        out.put(&[window.first, window.known as u64]);
        out.put(&window.ticks);
    }

    /// This calendar where it stood when it was saved.
    pub(super) fn load(self, words: &mut Words<'_>) -> Result<Self, LoadError> {
        let [first, known] = words.array()?;
        let ticks = words.array()?;
        let is_whole = known as usize == self.lag as usize + 1 && ticks[..=self.lag as usize].is_sorted();
        match self.window {
            None => Ok(self),
            Some(_) if is_whole => Ok(Self {
                window: Some(Window {
                    first,
                    known: known as usize,
                    ticks,
                }),
                ..self
            }),
            Some(_) => Err(LoadError::Content {
                word: 0,
                what: "a calendar whose boundaries are not in order",
            }),
        }
    }
}

impl Window {
    /// At boundary 0 the first L intervals are known.
    fn new(interval: u64, lag: usize) -> Self {
        let known = lag + 1;
        let mut ticks = [0; WINDOW];
        for (tick, b) in ticks.iter_mut().zip(0..known as u64) {
            *tick = b * interval;
        }
        Self {
            first: 0,
            known,
            ticks,
        }
    }

    fn tick(&self, b: u64) -> u64 {
        let at = b.wrapping_sub(self.first) as usize;
        debug_assert!(
            at < self.known,
            "boundary {b} is not among the {} from {} on",
            self.known,
            self.first
        );
        self.ticks[at.min(self.known - 1)]
    }

    fn first_at(&self, end: u64) -> Option<u64> {
        let at = self.ticks[..self.known].iter().position(|tick| *tick >= end)?;
        Some(self.first + at as u64)
    }

    fn last_length(&self) -> u64 {
        self.ticks[self.known - 1] - self.ticks[self.known - 2]
    }

    fn extend(&mut self, length: u64) {
        let last = self.ticks[self.known - 1];
        self.ticks[self.known] = last.saturating_add(length);
        self.known += 1;
    }

    fn advance(&mut self, b: u64) {
        let passed = (b - self.first) as usize;
        self.ticks.copy_within(passed..self.known, 0);
        self.known -= passed;
        self.ticks[self.known..].fill(0);
        self.first = b;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(interval: u64, lag: u64, until: Option<u64>) -> Calendar {
        Calendar {
            interval,
            lag,
            end: until.map_or(u64::MAX, |t| t + 1),
            window: None,
        }
    }

    fn adaptive(interval: u64, lag: u32, until: Option<u64>) -> Calendar {
        let mut config = RunConfig::new("adaptive", "heat");
        (config.interval, config.lag, config.until, config.adaptive) = (interval, lag, until, true);
        Calendar::of(&config)
    }

    #[test]
    fn the_last_interval_is_cut_one_tick_after_until() {
        let calendar = calendar(100, 2, Some(250));
        assert_eq!(calendar.last_boundary(), Some(3));
        assert_eq!(calendar.tick(2), 200);
        assert_eq!(calendar.tick(3), 251);
        assert_eq!(calendar.remote_floor(2), 400);
    }

    #[test]
    fn a_run_whose_end_is_a_boundary_has_no_empty_interval() {
        assert_eq!(calendar(100, 1, Some(299)).last_boundary(), Some(3));
        assert_eq!(calendar(100, 1, Some(300)).last_boundary(), Some(4));
        assert_eq!(calendar(100, 1, Some(0)).last_boundary(), Some(1));
        assert_eq!(calendar(100, 1, None).last_boundary(), None);
    }

    #[test]
    fn an_adaptive_calendar_whose_length_never_changes_is_that_of_one_length() {
        for lag in 1..=8 {
            let (mut changing, fixed) = (
                adaptive(250, lag, Some(9_999)),
                calendar(250, lag.into(), Some(9_999)),
            );
            for b in 0..40 {
                changing.extend(changing.last_length());
                assert_eq!(
                    (changing.tick(b), changing.tick(b + 1), changing.remote_floor(b)),
                    (fixed.tick(b), fixed.tick(b + 1), fixed.remote_floor(b))
                );
                changing.advance(b + 1);
            }
            assert_eq!(changing.last_boundary(), Some(40));
        }
    }

    #[test]
    fn a_length_acts_where_it_is_due_and_survives_a_checkpoint() {
        let mut calendar = adaptive(1000, 2, Some(2_500));
        calendar.extend(800);
        assert_eq!((calendar.tick(1), calendar.remote_floor(0)), (1000, 2000));
        assert_eq!(calendar.tick(3), 2501, "cut at the end");
        assert_eq!(calendar.last_boundary(), Some(3));
        calendar.advance(1);
        calendar.extend(calendar.last_length());
        assert_eq!(calendar.remote_floor(1), 2800);
        calendar.advance(2);
        assert_eq!(calendar.remote_floor(2), 3600);
        let mut words = Vec::new();
        calendar.save(&mut words);
        assert_eq!(words.len(), Calendar::WORDS);
        let loaded = adaptive(1000, 2, Some(2_500)).load(&mut Words::new(&words));
        assert_eq!(loaded.ok(), Some(calendar));
        words[3] = 0;
        assert!(adaptive(1000, 2, None).load(&mut Words::new(&words)).is_err());
    }
}
