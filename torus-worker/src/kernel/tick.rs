//! Tick: the loop that executes virtual time.

use super::collide::{Run, sort_canonically};
use super::digest::TickDigest;
use super::edges::Link;
use super::error::{KernelError, TIME_MAX};
use super::prefetch::prefetch;
use super::route::{Outbox, Remote, overflow};
use super::site::Site;
use super::state::State;
use super::wheel::Wheel;
use crate::model::Model;
use crate::random::TickKey;
use shm_layout::record::{Event, Source};

/// How many bags ahead edges and states are prefetched.
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
            return Err(KernelError::TimeOverflow { torus: self.world.torus, time: end });
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
        let sum = self.collider.group(&self.due, &mut self.cells.heads, TickDigest::new(time));
        self.history_digest = self.history_digest.wrapping_add(sum);
        self.deliver_all(model, time);

        match overflow(&self.wheel, &self.remote, self.capacity.pending) {
            None => Ok(()),
            Some(what) => Err(self.failure.insert(self.full(what, time)).clone()),
        }
    }

    fn deliver_all<M: Model<Cell = C>>(&mut self, model: &M, tick: u64) {
        let (runs, mut gather) = self.collider.parts();
        let stage = Stage {
            model,
            tick,
            home: self.world.torus.index() as u32,
            origin: Source::model(self.world.torus, 0).0,
            key: TickKey::new(self.world.seed, self.world.torus, tick),
        };
        let states = &mut self.cells.states[..];
        let pool = &mut self.edges.pool[..];
        let due = &mut self.due[..];
        for (at, pair) in runs.windows(2).enumerate() {
            if let Some(ahead) = runs.get(at + AHEAD) {
                prefetch(pool, ahead.target.first as usize);
                prefetch(states, ahead.cell as usize);
            }
            let [run, end] = [pair[0], pair[1]];
            let bag = if run.is_chained() {
                let bag = gather.bag(runs, at, due);
                if bag.is_empty() {
                    continue;
                }
                bag
            } else {
                let bag = &mut due[run.start()..end.start()];
                if bag.len() > 1 {
                    sort_canonically(bag);
                }
                &*bag
            };
            let Run { cell, target, .. } = run;
            let links = &mut pool[target.first as usize..][..target.degree() as usize];
            let state = &mut states[cell as usize];
            let now = stage.deliver(cell, target.is_present(), state, bag, links, &mut self.wheel, &mut self.remote);
            if now != target.is_present() {
                self.cells.heads[cell as usize].target.set_present(now);
                self.cells.active = if now { self.cells.active + 1 } else { self.cells.active - 1 };
            }
        }
    }
}

/// What all deliveries of one tick have in common.
struct Stage<'a, M: Model> {
    model: &'a M,
    tick: u64,
    home: u32,
    /// Source word of cell 0; a cell's is this plus its number.
    origin: u32,
    key: TickKey,
}

impl<M: Model> Stage<'_, M> {
    /// Hands a bag to the model; returns whether the cell has a process afterwards.
    #[inline(always)]
    fn deliver(
        &self,
        cell: u32,
        present: bool,
        state: &mut M::Cell,
        bag: &[Event],
        links: &mut [Link],
        wheel: &mut Wheel,
        remote: &mut Remote,
    ) -> bool {
        let mut site = Site { tick: self.tick, cell, present, state };
        let mut out = Outbox {
            tick: self.tick,
            source: Source(self.origin + cell),
            home: self.home,
            stream: self.key.stream(cell),
            links,
            wheel,
            remote,
        };
        self.model.handle(&mut site, bag, &mut out);
        site.present
    }
}
