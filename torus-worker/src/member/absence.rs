//! Absence: how the present tori go on without one, and how that one returns.
//!
//! The supervisor declares an absence in the membership log, holding the region lock of the absent torus, at the first
//! boundary that nobody can have entered. Every torus reads the log at each boundary and notes what is new in its
//! journal. The absent torus executes its intervals alone, as fast as it can, takes a checkpoint that its peers mirror,
//! and then wishes to return; the first present torus announces from which interval it does. What each torus learns, and
//! at which boundary, stands in its journal, so a replay and `verify` learn it at the same one.

use shm_layout::torus::Torus;

use crate::journal::{Journal, Record};
use crate::model::Model;

use super::{Host, Member, MemberError, Point, Wait};

/// Being this many lags behind is close enough to return.
const CLOSE_LAGS: u64 = 4;

/// Where an absent torus went on alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Alone {
    since: u64,
    behind: u64,
}

impl<M: Model, J: Journal, H: Host> Member<'_, M, J, H> {
    /// Notes what is new in the membership log, and holds what a newly absent torus will need. Returns whether anything
    /// was new.
    pub(super) fn learn_absences(&mut self, b: u64) -> Result<bool, MemberError> {
        let log = self.segment.memberships;
        let mut learnt = false;
        while self.log_read < log.count() {
            let number = self.log_read;
            self.log_read += 1;
            let Some(entry) = log.entry(number) else { continue };
            if self.node.note_absence(entry.torus, entry.from, entry.rejoined) {
                let torus = entry.torus.index() as u8;
                let from = entry.from;
                self.append(&Record::Absence {
                    boundary: b,
                    torus,
                    from,
                    rejoined: entry.rejoined,
                })?;
                self.host.reach(Point::AbsenceNoted)?;
                learnt = true;
            }
        }
        self.fill_holds(b)?;
        Ok(learnt)
    }

    /// What an absent torus, or one that has just returned, has to wait for at boundary `b`.
    pub(super) fn return_from_absence(&mut self, b: u64) -> Result<Option<Wait>, MemberError> {
        let Some(last) = self.node.membership().last_of(self.torus).copied() else {
            return Ok(None);
        };
        if last.rejoins.is_none()
            && let Some(wait) = self.go_on_alone(b, last.from)?
        {
            return Ok(Some(wait));
        }
        let last = self.node.membership().last_of(self.torus);
        let is_back = last.is_some_and(|last| last.rejoins.is_some_and(|r| b >= r));
        Ok(if is_back { self.peer_behind(b) } else { None })
    }

    /// From its return on a torus is in step: it enters no boundary b before its peers have committed frame b−L, also
    /// where it does not take that frame in. So an absence that is declared later lies ahead of it, too.
    fn peer_behind(&self, b: u64) -> Option<Wait> {
        let n = b.checked_sub(self.node.calendar().lag())?;
        let membership = self.node.membership();
        self.peers
            .iter()
            .find(|peer| {
                membership.takes_part(**peer, n)
                    && membership.is_counted(**peer, b)
                    && self.head_of(**peer).is_some_and(|head| head <= n)
            })
            .map(|peer| Wait::Frame(*peer))
    }

    /// Looks whether the return has been announced, wishes for it when it is time, and says whether boundary `b` may be
    /// entered alone: an announcement in a frame from `head` on, which nobody has committed yet, is for interval
    /// head + 2L or later, so up to boundary head + 3L nothing is to be taken in. Somebody is always present; who is, the
    /// frames say, too.
    fn go_on_alone(&mut self, b: u64, from: u64) -> Result<Option<Wait>, MemberError> {
        let lag = self.node.calendar().lag();
        if b < from + lag {
            return Ok(None);
        }
        let mut heads = [0; 3];
        for peer in self.peers.iter().copied() {
            let Some(head) = self.look_for_announcement(peer, b)? else {
                return Ok(Some(Wait::Frame(peer)));
            };
            heads[peer.index()] = head;
        }
        let present = self.present_peers();
        let behind = present
            .iter()
            .map(|peer| heads[peer.index()].saturating_sub(b))
            .max();
        let slowest = present.into_iter().min_by_key(|peer| heads[peer.index()]);
        if self
            .node
            .membership()
            .last_of(self.torus)
            .is_some_and(|last| last.rejoins.is_some())
        {
            self.segment.own.status.set_wish(0);
            self.alone = None;
            return Ok(None);
        }
        let (Some(behind), Some(slowest)) = (behind, slowest) else {
            return Ok(Some(Wait::Frame(self.torus.next())));
        };
        self.wish_when_ready(b, from, behind)?;
        Ok((b >= heads[slowest.index()] + 3 * lag).then_some(Wait::Frame(slowest)))
    }

    /// The peers that take part, as far as this torus knows.
    fn present_peers(&self) -> Vec<Torus> {
        let membership = self.node.membership();
        let is_present = |peer: &Torus| {
            membership
                .last_of(*peer)
                .is_none_or(|last| last.rejoins.is_some())
        };
        self.peers.iter().copied().filter(is_present).collect()
    }

    /// Reads the newest frame of a torus for returns that were announced. Returns how many frames it had
    /// committed; `None` if that frame could not be read just now.
    fn look_for_announcement(&mut self, peer: Torus, b: u64) -> Result<Option<u64>, MemberError> {
        let Some(head) = self.head_of(peer) else {
            return Ok(None);
        };
        let frame = &mut self.buffers.peer_frames[peer.index()];
        let ring = self.segment.peers[peer.index()]
            .as_ref()
            .map(|region| region.ring);
        if head == 0 {
            return Ok(Some(0));
        }
        if ring.is_none_or(|ring| ring.read(peer, head - 1, frame).is_err()) {
            return Ok(None);
        }
        let announced = Torus::ALL.map(|torus| frame.rejoin(torus));
        for (torus, interval) in Torus::ALL.into_iter().zip(announced) {
            if self.node.note_rejoin(torus, interval) {
                self.record_rejoin(torus, b, interval)?;
            }
        }
        Ok(Some(head))
    }

    fn record_rejoin(&mut self, torus: Torus, boundary: u64, interval: u64) -> Result<(), MemberError> {
        self.append(&Record::Rejoin {
            boundary,
            torus: torus.index() as u8,
            interval,
        })?;
        self.host.reach(Point::RejoinNoted)?;
        Ok(())
    }

    /// An absent torus wishes to return once nothing that is held for it is needed any more, by a checkpoint that the
    /// present tori have mirrored, and it is close behind them, or has come no closer for as long as it was behind.
    fn wish_when_ready(&mut self, b: u64, from: u64, behind: u64) -> Result<(), MemberError> {
        let lag = self.node.calendar().lag();
        if self.safe < from + lag {
            self.checkpoint_due = true;
            return Ok(());
        }
        let alone = *self.alone.get_or_insert(Alone { since: b, behind });
        let is_close = behind <= CLOSE_LAGS * lag || b - alone.since >= alone.behind;
        let status = &self.segment.own.status;
        if is_close && status.reader().wish() != from {
            status.set_wish(from);
            self.ring_doorbell();
            self.host.reach(Point::Wished)?;
        }
        Ok(())
    }

    /// Announces the return of the first torus that wishes it, if this torus is the one that does so in the frame that it
    /// is about to close.
    pub(super) fn announce_return(&mut self) -> Result<(), MemberError> {
        let m = self.node.boundary();
        let membership = self.node.membership();
        if membership.absences().is_empty() || !membership.announces(self.torus, self.config.tori, m) {
            return Ok(());
        }
        let wishes = |peer: &Torus| {
            let open = membership
                .last_of(*peer)
                .filter(|last| last.rejoins.is_none() && last.from <= m);
            let region = self.segment.peers[peer.index()].as_ref();
            open.zip(region)
                .is_some_and(|(open, region)| region.status.wish() == open.from)
        };
        let Some(peer) = Torus::ALL.into_iter().find(wishes) else {
            return Ok(());
        };
        let interval = m + 2 * self.node.calendar().lag();
        self.node.note_rejoin(peer, interval);
        self.record_rejoin(peer, m, interval)
    }

    fn head_of(&self, peer: Torus) -> Option<u64> {
        self.segment.peers[peer.index()]
            .as_ref()
            .map(|region| region.ring.head())
    }
}
