//! The steps of a migration, each at its boundary, and where events go meanwhile.

use super::super::{Intake, Node, NodeError};
use super::message::{self, Arrival, Messages, is_record, process_of, state_words};
use super::outcome::{Refusal, Result as End};
use super::table::{Leaving, Reserved};
use super::{FORWARDS_MAX, LEAVING_MAX, Migrations, RESERVED_MAX, TRAVEL_MAX};
use crate::kernel::{Edge, Place};
use crate::model::{Coupling, Model};
use shm_layout::record::TimedEvent;
use shm_layout::torus::{TORI, Torus};

impl<M: Model> Node<M> {
    /// What this torus knows about migrations.
    pub fn migrations(&self) -> &Migrations {
        &self.migrations
    }

    /// All that this boundary has to do with migrations. The events of the intake come after it, through
    /// [`Node::deliver`]. Returns whether there are records among them.
    pub(in super::super) fn migrate(&mut self, intake: &Intake<'_>) -> Result<bool, NodeError> {
        let peers = Torus::ALL.into_iter().filter(|peer| intake.has_control(*peer));
        let mut records = Vec::new();
        peers.for_each(|peer| records.extend(intake.events(peer).iter().copied().filter(is_record)));
        let any = !records.is_empty();
        let messages = Messages::read(self.torus, records).map_err(|what| self.foreign(what))?;
        let mut moves = self.install(messages.arrivals)?;
        moves.extend(messages.moved);
        self.redirect(&moves);
        self.migrations.end_expired(self.books.boundary);
        let moves = self.hear_answers(&messages.answers)?;
        self.redirect(&moves);
        self.release_held()?;
        self.grant(&messages.requests)?;
        self.balance(intake)?;
        Ok(any)
    }

    /// The edges and forwards of this torus that led to an old place lead to the new one.
    fn redirect(&mut self, moves: &[(Place, Place)]) {
        if !moves.is_empty() {
            self.kernel.redirect(moves);
            self.migrations.redirect(moves);
        }
    }

    /// Installs the processes that have arrived; returns from where to where.
    fn install(&mut self, arrivals: Vec<Arrival>) -> Result<Vec<(Place, Place)>, NodeError> {
        let b = self.books.boundary;
        let mut moves = Vec::with_capacity(arrivals.len());
        for arrival in arrivals {
            let Arrival {
                from,
                cell,
                state,
                edges,
            } = arrival;
            let is_expected =
                |reserved: &Reserved| (reserved.cell, reserved.from, reserved.arrives) == (cell, from, b);
            let process = process_of(&state);
            let (Some(at), Some(process)) = (self.migrations.reserved.iter().position(is_expected), process)
            else {
                let (letter, old) = (from.torus, from.cell);
                return Err(self.foreign(format!(
                    "the process of cell {old} of torus {letter} arrives in cell {cell}, which does not wait for it"
                )));
            };
            self.migrations.reserved.remove(at);
            self.migrations.end_forward(cell);
            self.migrations.tally[from.torus.index()].moved_in += 1;
            let edges: Vec<_> = edges.into_iter().map(|edge| self.resolve(edge)).collect();
            self.kernel.arrive(cell, process, &edges)?;
            let torus = self.torus;
            moves.push((from, Place { torus, cell }));
            self.rest(b);
        }
        Ok(moves)
    }

    /// An edge that comes in and leads to an old place of this torus: no event for that may enter the wheel.
    fn resolve(&self, edge: Edge) -> Edge {
        let mut to = edge.to;
        while let Some(next) = Some(to)
            .filter(|place| place.torus == self.torus)
            .and_then(|place| self.migrations.forward(place.cell))
        {
            to = next;
        }
        Edge { to, ..edge }
    }

    /// Every process whose answer is due leaves, or stays.
    fn hear_answers(
        &mut self,
        answers: &[(u32, Result<u32, Refusal>)],
    ) -> Result<Vec<(Place, Place)>, NodeError> {
        let (b, answer_takes) = (self.books.boundary, 2 * self.calendar.lag());
        let is_due = |leaving: &Leaving| leaving.requested + answer_takes == b;
        let (due, others) = self.migrations.leaving.drain(..).partition(is_due);
        self.migrations.leaving = others;
        let due: Vec<Leaving> = due;
        let is_unasked = |(cell, _): &&(u32, _)| due.iter().all(|leaving| leaving.cell != *cell);
        if let Some((cell, _)) = answers.iter().find(is_unasked) {
            return Err(self.foreign(format!("an answer for cell {cell}, whose process has not asked")));
        }
        let (mut moves, mut travelling) = (Vec::new(), [0; TORI]);
        for leaving in due {
            let Leaving { cell, to, ticket, .. } = leaving;
            let answer = answers.iter().find(|(asked, _)| *asked == cell);
            let left = match answer.map_or(Err(Refusal::NoAnswer), |(_, answer)| *answer) {
                Ok(new) => self.leave(&leaving, new, &mut travelling[to.index()], &mut moves)?,
                Err(refusal) => Err(refusal),
            };
            let result = match left {
                Ok(to) => End::Moves {
                    to,
                    arrives: b + self.calendar.lag(),
                },
                Err(refusal) => End::Refused(refusal),
            };
            if ticket == 0 && matches!(result, End::Refused(_)) {
                self.pause(b);
            }
            self.migrations.end(to, ticket, cell, result);
        }
        self.announce(&moves)?;
        Ok(moves)
    }

    /// Sends a process with all that belongs to it to its new place, unless something is in its way.
    fn leave(
        &mut self,
        leaving: &Leaving,
        new: u32,
        travelling: &mut usize,
        moves: &mut Vec<(Place, Place)>,
    ) -> Result<Result<Place, Refusal>, NodeError> {
        let (cell, torus) = (leaving.cell, leaving.to);
        let Some(process) = self.kernel.process(cell) else {
            return Ok(Err(Refusal::Gone));
        };
        if !self.reaches(torus, self.books.boundary) {
            return Ok(Err(Refusal::Absent));
        }
        let state = state_words(process);
        let pending = self.kernel.pending_by_cell()[cell as usize] as usize;
        let records = Arrival::records_needed(state.len(), self.kernel.out_degree(cell)) + pending;
        if *travelling + records > TRAVEL_MAX {
            return Ok(Err(Refusal::TooLarge));
        }
        *travelling += records;
        let Some(belongings) = self.kernel.depart(cell) else {
            return Ok(Err(Refusal::Gone));
        };
        let from = Place {
            torus: self.torus,
            cell,
        };
        let to = Place { torus, cell: new };
        let mut edges = belongings.edges;
        edges
            .iter_mut()
            .filter(|edge| edge.to == from)
            .for_each(|edge| edge.to = to);
        let arrival = Arrival {
            from,
            cell: new,
            state,
            edges,
        };
        for record in arrival.records() {
            self.kernel.send_control(torus, record)?;
        }
        for event in belongings.events {
            self.kernel.send_remote(torus, TimedEvent { dst: new, ..event })?;
        }
        self.migrations.set_forward(cell, to);
        moves.push((from, to));
        Ok(Ok(to))
    }

    /// Tells the third torus of each process that left.
    fn announce(&mut self, moves: &[(Place, Place)]) -> Result<(), NodeError> {
        for (from, to) in moves {
            for peer in self.torus.peers(self.tori).filter(|peer| *peer != to.torus) {
                if self.reaches(peer, self.books.boundary) {
                    self.kernel.send_control(peer, message::moved(*from, *to))?;
                }
            }
        }
        Ok(())
    }

    /// Events that were kept back are delivered as soon as nothing keeps them: their process is there, or does not come, or
    /// the torus that it moved to is back.
    fn release_held(&mut self) -> Result<(), NodeError> {
        let b = self.books.boundary;
        let migrations = &self.migrations;
        let due = self.kernel.release(|cell| !migrations.is_reserved(cell));
        for event in due {
            let time = event.time.max(self.calendar.tick(b));
            self.deliver(TimedEvent { time, ..event })?;
        }
        Ok(())
    }

    /// Answers those who ask for a place.
    fn grant(&mut self, requests: &[Place]) -> Result<(), NodeError> {
        let b = self.books.boundary;
        if requests.is_empty() {
            return Ok(());
        }
        let in_use = self.kernel.in_use();
        for from in requests {
            if !self.reaches(from.torus, b) {
                continue;
            }
            let answer = match self.free_place(*from, &in_use) {
                Ok(cell) => {
                    self.migrations.add_reserved(Reserved {
                        cell,
                        from: *from,
                        arrives: b + 2 * self.calendar.lag(),
                    });
                    message::grant(*from, cell)
                }
                Err(refusal) => message::refuse(*from, refusal),
            };
            self.kernel.send_control(from.torus, answer)?;
        }
        Ok(())
    }

    /// The place for a process that lives at `from`: the one that it came from, else the same cell, else the next free one.
    fn free_place(&self, from: Place, in_use: &[bool]) -> Result<u32, Refusal> {
        if self.migrations.reserved.len() == RESERVED_MAX {
            return Err(Refusal::ReservedFull);
        }
        let is_free = |cell: &u32| !in_use[*cell as usize] && !self.migrations.is_reserved(*cell);
        let home = self.migrations.forwards.iter().find(|(_, to)| *to == from);
        if let Some((cell, _)) = home.filter(|(cell, _)| is_free(cell)) {
            return Ok(*cell);
        }
        let cells = self.kernel.world().lattice.cells();
        (from.cell..cells)
            .chain(0..from.cell)
            .find(|cell| is_free(cell) && !self.stays(*cell) && self.migrations.forward(*cell).is_none())
            .ok_or(Refusal::NoPlace)
    }

    /// Whether nothing leaves this cell and nothing arrives there: what the coupling acts on is the same cell on all tori.
    fn stays(&self, cell: u32) -> bool {
        M::COUPLING != Coupling::None && cell < self.kernel.world().lattice.face_cells()
    }

    /// Asks `to` for a place for the process in `cell`, or says at once why it stays.
    pub(in super::super) fn request_migration(
        &mut self,
        cell: u32,
        to: Torus,
        ticket: u64,
    ) -> Result<(), NodeError> {
        if let Some(refusal) = self.obstacle(cell, to) {
            self.migrations.end(to, ticket, cell, End::Refused(refusal));
            return Ok(());
        }
        self.migrations.add_leaving(Leaving {
            cell,
            to,
            requested: self.books.boundary,
            ticket,
        });
        let torus = self.torus;
        Ok(self
            .kernel
            .send_control(to, message::request(Place { torus, cell }))?)
    }

    /// Why a process cannot even ask.
    pub(super) fn obstacle(&self, cell: u32, to: Torus) -> Option<Refusal> {
        let migrations = &self.migrations;
        if to == self.torus || !self.kernel.world().has(to) {
            return Some(Refusal::NoSuchTorus);
        }
        if migrations.forward(cell).is_some() {
            return Some(Refusal::MovedAway);
        }
        if migrations.is_leaving(cell) {
            return Some(Refusal::Moving);
        }
        if self.kernel.process(cell).is_none() {
            return Some(Refusal::NoProcess);
        }
        if self.stays(cell) {
            return Some(Refusal::Face);
        }
        if migrations.leaving.len() == LEAVING_MAX {
            return Some(Refusal::LeavingFull);
        }
        if migrations.forwards.len() + migrations.leaving.len() >= FORWARDS_MAX {
            return Some(Refusal::ForwardsFull);
        }
        (!self.reaches(to, self.books.boundary)).then_some(Refusal::Absent)
    }

    /// Queues an event that has come in at this boundary, where its process is: here, or after it.
    pub(in super::super) fn deliver(&mut self, mut event: TimedEvent) -> Result<(), NodeError> {
        while !self.migrations.is_idle() {
            if self.migrations.is_reserved(event.dst) {
                return Ok(self.kernel.hold(event)?);
            }
            let Some(Place { torus, cell }) = self.migrations.forward(event.dst) else {
                break;
            };
            if torus == self.torus {
                event.dst = cell;
                continue;
            }
            if !self.reaches(torus, self.books.boundary) {
                return Ok(self.kernel.hold(event)?);
            }
            event.dst = cell;
            self.migrations.tally[torus.index()].forwarded += 1;
            return Ok(self.kernel.send_remote(torus, event)?);
        }
        Ok(self.kernel.schedule(event)?)
    }
}

impl Migrations {
    /// Places whose process has not come at its boundary are free again: its torus gave up.
    fn end_expired(&mut self, boundary: u64) {
        self.reserved.retain(|reserved| reserved.arrives > boundary);
    }
}
