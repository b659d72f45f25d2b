//! Tick: the loop that executes virtual time.

use super::cells::Cell;
use super::collide::{cell, is_single};
use super::digest::TickDigest;
use super::edges::{Link, TORUS};
use super::error::{KernelError, TIME_MAX};
use super::prefetch::prefetch;
use super::route::{Outbox, Remote, overflow};
use super::site::Site;
use super::state::State;
use super::wheel::Wheel;
use crate::model::Model;
use crate::random::TickKey;
use shm_layout::record::{Event, Source};
use std::slice;

/// How many events ahead edges are prefetched.
const AHEAD: usize = 8;

/// How far a run came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All events before the end are executed.
    Done,
    /// The budget was used up first.
    More,
}

/// Looks at the due events of each tick before they are executed. It may reorder them.
pub(super) trait Observer {
    fn observe(&mut self, time: u64, due: &mut [Event]);
}

/// Looks at nothing.
pub(super) struct Blind;

impl Observer for Blind {
    #[inline(always)]
    fn observe(&mut self, _time: u64, _due: &mut [Event]) {}
}

impl<C: bytemuck::Pod> State<C> {
    pub(super) fn run<M: Model<Cell = C>>(
        &mut self,
        model: &M,
        end: u64,
        budget: u64,
        observer: &mut impl Observer,
    ) -> Result<Progress, KernelError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        if end > TIME_MAX {
            return Err(KernelError::TimeOverflow {
                torus: self.world.torus,
                time: end,
            });
        }
        let enough = self.events.saturating_add(budget);
        while let Some(time) = self.wheel.next_tick(end) {
            self.wheel.take(&mut self.due);
            observer.observe(time, &mut self.due);
            self.execute(model, time)?;
            if self.events >= enough {
                return Ok(Progress::More);
            }
        }
        Ok(Progress::Done)
    }

    fn execute<M: Model<Cell = C>>(&mut self, model: &M, time: u64) -> Result<(), KernelError> {
        self.events += self.due.len() as u64;
        self.last_time = time;
        self.history_digest = self
            .history_digest
            .wrapping_add(TickDigest::new(time).sum(&self.due));
        self.collider.group(&mut self.due, &mut self.cells.list);
        self.deliver_all(model, time);

        let room = self.capacity.pending.saturating_sub(self.held.len() as u32);
        match overflow(&self.wheel, &self.remote, room) {
            None => Ok(()),
            Some(what) => Err(self.failure.insert(self.full(what, time)).clone()),
        }
    }

    fn deliver_all<M: Model<Cell = C>>(&mut self, model: &M, tick: u64) {
        let mut stage = Stage {
            model,
            tick,
            home: self.world.torus.index() as u32 * TORUS,
            origin: Source::model(self.world.torus, 0).0,
            key: TickKey::new(self.world.seed, self.world.torus, tick),
            cells: &mut self.cells.list,
            active: &mut self.cells.active,
            pool: &mut self.edges.pool,
            wheel: &mut self.wheel,
            remote: &mut self.remote,
        };
        let mut at = 0;
        loop {
            at += stage.deliver_singles(&self.due[at..]);
            if at == self.due.len() {
                return;
            }
            let (bag, length) = self.collider.bag(&mut self.due, at);
            if let Some(first) = bag.first() {
                stage.deliver(first.dst, bag);
            }
            at += length;
        }
    }
}

/// What the deliveries of one tick have in common.
struct Stage<'a, M: Model> {
    model: &'a M,
    tick: u64,
    /// This torus as it stands in an edge's word.
    home: u32,
    /// Source word of cell 0; a cell's is this plus its number.
    origin: u32,
    key: TickKey,
    cells: &'a mut [Cell<M::Cell>],
    pool: &'a mut [Link],
    wheel: &'a mut Wheel,
    remote: &'a mut Remote,
    active: &'a mut u32,
}

impl<M: Model> Stage<'_, M> {
    /// Delivers bags of one event until the first event that is not single; returns how many. They are the rule in
    /// sparse models, and without the other cases the loop is half as long.
    fn deliver_singles(&mut self, due: &[Event]) -> usize {
        for (at, event) in due.iter().enumerate() {
            let ahead = due
                .get(at + AHEAD)
                .and_then(|event| self.cells.get(cell(event) as usize));
            if let Some(cell) = ahead {
                prefetch(self.pool, cell.target.first as usize);
            }
            if !is_single(event) {
                return at;
            }
            self.deliver(event.dst, slice::from_ref(event));
        }
        due.len()
    }

    /// Hands a bag to the model.
    #[inline(always)]
    fn deliver(&mut self, cell: u32, bag: &[Event]) {
        let Cell { target, state, .. } = &mut self.cells[cell as usize];
        let (first, degree) = (target.first as usize, target.degree() as usize);
        let present = target.is_present();
        let mut site = Site {
            tick: self.tick,
            cell,
            present,
            state,
        };
        let mut out = Outbox {
            tick: self.tick,
            source: Source(self.origin + cell),
            home: self.home,
            stream: self.key.stream(cell),
            links: &mut self.pool[first..][..degree],
            wheel: self.wheel,
            remote: self.remote,
        };
        self.model.handle(&mut site, bag, &mut out);
        let now = site.present;
        if now != present {
            self.cells[cell as usize].target.set_present(now);
            *self.active = if now { *self.active + 1 } else { *self.active - 1 };
        }
    }
}
