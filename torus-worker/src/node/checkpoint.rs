//! The bounded full state of a torus at a boundary, as words: what the checkpoint slots and mirrors hold.
//!
//! Packed and independent of capacities: a checkpoint taken at one capacity loads at a larger one. Each part of a node
//! has a section, which it writes and reads itself; the kernel's is the last.

use super::constraints::Constraints;
use super::membership::Membership;
use super::migrate::Migrations;
use super::pace::Pace;
use super::{Books, Calendar, LANES_MAX, Node};
use crate::kernel::{Kernel, LoadError, Sink};
use crate::model::{Model, World};
use shm_layout::config::Capacity;

/// "BRAIDCKP", little-endian.
const MAGIC: u64 = u64::from_le_bytes(*b"BRAIDCKP");
/// Raised whenever the meaning of the words changes.
const VERSION: u64 = 6;
/// Magic, version, torus, journal length.
const HEAD_WORDS: usize = 4;

/// The largest checkpoint of a torus in words.
pub fn words_max<M: Model>(world: &World, capacity: &Capacity) -> usize {
    let braid = Constraints::WORDS + Calendar::WORDS + Pace::WORDS;
    let sections = Books::WORDS + braid + Migrations::WORDS_MAX + Membership::WORDS_MAX;
    HEAD_WORDS + sections + Kernel::<M>::checkpoint_words_max(world, capacity)
}

/// Words of a checkpoint that are still to be read.
pub(super) struct Words<'a> {
    rest: &'a [u64],
    total: usize,
}

impl<'a> Words<'a> {
    pub(super) fn new(words: &'a [u64]) -> Self {
        Self {
            rest: words,
            total: words.len(),
        }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u64], LoadError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(LoadError::Length { found: self.total })?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u64; N], LoadError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// The error of a content that cannot be, at the word read last.
    pub(super) fn wrong(&self, what: &'static str) -> LoadError {
        LoadError::Content {
            word: self.total - self.rest.len(),
            what,
        }
    }
}

impl<M: Model> Node<M> {
    /// Packs the state at the boundary at which the torus stands. `journal_length` is the journal's length in bytes.
    pub fn save(&self, journal_length: u64, out: &mut impl Sink) {
        self.save_books(journal_length, out);
        self.kernel.save(out);
    }

    /// The first part of [`Node::save`]: all but the kernel's state.
    pub(crate) fn save_books(&self, journal_length: u64, out: &mut impl Sink) {
        out.put(&[MAGIC, VERSION, self.torus.index() as u64, journal_length]);
        self.books.save(out);
        self.constraints.save(out);
        self.calendar.save(out);
        self.pace.save(out);
        self.migrations.save(out);
        self.membership.save(out);
    }

    /// Replaces the state by a packed one; returns the journal's length that it names.
    ///
    /// # Errors
    /// [`LoadError`] if the words are no checkpoint of this torus, or need more than the capacities allow.
    pub fn load(&mut self, words: &[u64]) -> Result<u64, LoadError> {
        let mut words = Words::new(words);
        let [magic, version, torus, journal_length] = words.array()?;
        if magic != MAGIC || version != VERSION || torus != self.torus.index() as u64 {
            return Err(LoadError::Magic { found: magic });
        }
        let books = Books::load(&mut words)?;
        let constraints = Constraints::load(&mut words)?;
        let calendar = self.calendar.load(&mut words)?;
        let pace = Pace::load(&mut words)?;
        let migrations = Migrations::load(&mut words)?;
        let membership = Membership::load(&mut words, self.calendar.lag())?;
        self.kernel.load(words.rest)?;
        self.books = books;
        self.constraints = constraints;
        self.calendar = calendar;
        self.pace = pace;
        self.migrations = migrations;
        self.membership = membership;
        Ok(journal_length)
    }
}

impl Books {
    /// Words of a checkpoint's section.
    const WORDS: usize = 2 + 4 * 3 + LANES_MAX;

    fn save(&self, out: &mut impl Sink) {
        out.put(&[self.boundary, self.chain]);
        out.put(&self.sent);
        out.put(&self.received);
        out.put(&self.refused);
        out.put(&self.peer_chains);
        out.put(&self.lane_positions);
    }

    fn load(words: &mut Words<'_>) -> Result<Self, LoadError> {
        let [boundary, chain] = words.array()?;
        Ok(Self {
            boundary,
            chain,
            sent: words.array()?,
            received: words.array()?,
            refused: words.array()?,
            peer_chains: words.array()?,
            lane_positions: words.array()?,
        })
    }
}
