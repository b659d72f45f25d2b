//! Tick: the loop that executes virtual time.

use super::cells::Cell;
use super::collide::{AHEAD, Collider};
use super::digest::TickDigest;
use super::edges::{Link, TORUS};
use super::error::{KernelError, TIME_MAX};
use super::prefetch::prefetch;
use super::route::{Outbox, Postponed, Remote, overflow};
use super::site::Site;
use super::state::State;
use super::wheel::Wheel;
use crate::model::Model;
use crate::random::TickKey;
use shm_layout::record::{Event, Source};
use std::slice;

/// How far a run came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All events before the end are executed.
    Done,
    /// The budget was used up first.
    More,
}

/// Looks at an event, given its time, before its tick is executed.
pub(super) type Visit<'a> = &'a mut dyn FnMut(u64, &Event);

impl<C: bytemuck::Pod> State<C> {
    /// Executes all events before tick `end`, or at least `budget`; shows each tick's events to `visit` in canonical
    /// order, by destination, source, payload, before they are executed.
    pub(super) fn run<M: Model<Cell = C>>(
        &mut self,
        model: &M,
        end: u64,
        budget: u64,
        mut visit: Option<Visit<'_>>,
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
            self.collide(time, visit.as_mut());
            self.deliver_all(model, time);
            let room = self.capacity.pending.saturating_sub(self.held.len() as u32);
            if let Some(what) = overflow(&self.wheel, &self.remote, room) {
                return Err(self.failure.insert(self.full(what, time)).clone());
            }
            if self.events >= enough {
                return Ok(Progress::More);
            }
        }
        Ok(Progress::Done)
    }

    /// Takes the events due at a tick and groups them into bags.
    fn collide(&mut self, time: u64, visit: Option<&mut Visit<'_>>) {
        let digest = TickDigest::new(time);
        let mut sum = 0u64;
        self.collider.begin();
        match visit {
            None => self.wheel.drain(|due| {
                sum = sum.wrapping_add(self.collider.take_in(due, digest));
                self.events += due.len() as u64;
            }),
            Some(visit) => {
                self.due.clear();
                self.wheel.drain(|due| self.due.extend_from_slice(due));
                self.due
                    .sort_unstable_by_key(|event| (event.dst, event.src.0, event.payload));
                self.due.iter().for_each(|event| visit(time, event));
                sum = self.collider.take_in(&self.due, digest);
                self.events += self.due.len() as u64;
            }
        }
        self.last_time = time;
        self.history_digest = self.history_digest.wrapping_add(sum);
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
            postponed: &mut self.postponed,
        };
        if stage.postponed.fetches_ahead {
            stage.deliver_bags::<true>(&mut self.collider);
        } else {
            stage.deliver_bags::<false>(&mut self.collider);
        }
        stage.send_postponed();
        self.postponed.end_tick(self.collider.bags);
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
    postponed: &'a mut Postponed,
    active: &'a mut u32,
}

impl<M: Model> Stage<'_, M> {
    /// Delivers all bags, and fetches cells ahead, and if most events need them, half as far ahead the edges in the pool. In a
    /// function of its own this loop keeps more of what it needs in registers.
    #[inline(never)]
    fn deliver_bags<const POOLED: bool>(&mut self, collider: &mut Collider) {
        for event in &collider.firsts[..collider.bags.min(AHEAD)] {
            prefetch(self.cells, event.cell());
        }
        for window in collider.firsts[..collider.bags + AHEAD].windows(AHEAD + 1) {
            let first = window[0];
            prefetch(self.cells, window[AHEAD].cell());
            if POOLED {
                self.prefetch_edges(window[AHEAD / 2].cell());
            }
            if collider.hits.is_again(first.cell()) {
                match collider.others.gather(first) {
                    [one, other] => self.deliver_two::<POOLED>([*one, *other]),
                    bag => self.deliver_several::<POOLED>(bag),
                }
            } else {
                let event = first.event();
                self.deliver::<POOLED>(event.dst, slice::from_ref(&event));
            }
        }
    }

    /// Fetches the edges in the pool of a cell that has been fetched before.
    #[inline(always)]
    fn prefetch_edges(&self, cell: usize) {
        if let Some(cell) = self.cells.get(cell)
            && cell.target.rest() > 0
        {
            prefetch(self.pool, cell.target.first as usize);
        }
    }

    /// Sends what still waits for its edge.
    fn send_postponed(&mut self) {
        self.postponed
            .send(self.tick, self.home, self.pool, self.wheel, self.remote);
    }

    /// Delivers a bag of two events, which most bags of several are: without loops, whose ends would not be foreseen.
    #[inline(never)]
    fn deliver_two<const POOLED: bool>(&mut self, bag: [Event; 2]) {
        self.deliver::<POOLED>(bag[0].dst, &bag);
    }

    /// Delivers a bag that may be of several events.
    #[inline(never)]
    fn deliver_several<const POOLED: bool>(&mut self, bag: &[Event]) {
        if let Some(first) = bag.first() {
            self.deliver::<POOLED>(first.dst, bag);
        }
    }

    /// Hands a bag to the model.
    #[inline(always)]
    fn deliver<const POOLED: bool>(&mut self, cell: u32, bag: &[Event]) {
        let Cell { target, near, state } = &mut self.cells[cell as usize];
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
            near,
            degree: target.degree() as usize,
            pool: self.pool,
            first: target.first,
            has_pool_ahead: POOLED,
            postponed: self.postponed,
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
