//! Rehydrate: how a successor finds the newest verified state of its torus and what was committed since.
//!
//! The newest checkpoint whose hash is right wins, wherever it stands: in the own slots or in a peer's mirror. It is
//! copied first, and the copy is verified. The last committed frame is the highest valid one in the own ring or in
//! either peer's log. Everything between the two is replayed. Nothing is written here: a successor may read while its
//! predecessor is still being torn down.

use std::collections::VecDeque;

use shm_layout::checkpoint_slots::{SlotHeader, SlotsReader};
use shm_layout::config::RunConfig;
use shm_layout::frame::Frame;
use shm_layout::frame_ring::FrameReader;
use shm_layout::hash;
use shm_layout::region::WorkerSegment;
use shm_layout::torus::Torus;

use crate::journal::{HEADER_BYTES, Journal};
use crate::kernel::Arrivals;
use crate::model::Model;
use crate::node::membership::Membership;
use crate::node::{Calendar, Node, checkpoint};
use crate::setup;

use super::own::Found;
use super::redo::Redo;
use super::take_in::{read_own, read_strand};
use super::{Buffers, Host, Member, MemberError, Newest, Point, Step, Vessel, Wait};

/// How often the candidates are listed anew when one changes while it is copied.
const ATTEMPTS: usize = 8;

impl<'s, M: Model, J: Journal, H: Host> Member<'s, M, J, H> {
    /// [`Member::rehydrate_in`] new memory.
    ///
    /// # Errors
    /// As there.
    pub fn rehydrate(
        segment: WorkerSegment<'s>,
        config: &'s RunConfig,
        torus: Torus,
        journal: J,
        host: H,
        incarnation: u64,
    ) -> Result<Self, MemberError> {
        Self::rehydrate_in(None, segment, config, torus, journal, host, incarnation)
    }

    /// A member whose node holds the newest verified state of its torus, in a vessel of the same run if there is one. `journal` is the torus's, as its predecessor
    /// left it.
    ///
    /// # Errors
    /// [`MemberError`], and nothing has been written.
    pub fn rehydrate_in(
        vessel: Option<Vessel<M>>,
        segment: WorkerSegment<'s>,
        config: &'s RunConfig,
        torus: Torus,
        journal: J,
        host: H,
        incarnation: u64,
    ) -> Result<Self, MemberError> {
        let (mut node, mut buffers) = match vessel {
            Some(Vessel { kernel, buffers }) => (setup::empty_node_in::<M>(kernel, config, torus)?, buffers),
            None => {
                let node = setup::empty_node::<M>(config, torus)?;
                let buffers = Buffers::new::<M>(&node, config);
                (node, buffers)
            }
        };
        // Before anything is read: what changes from here on is found to have changed.
        let found = Found::look(&segment);
        let last = last_committed(&segment, torus, &mut buffers.committed);
        let whole = newest_whole(&segment, torus, u64::MAX, &mut buffers.checkpoint);
        let newest = whole.map(|whole| whole.header);
        let live_from = last
            .map_or(0, |n| n + 1)
            .max(newest.map_or(0, |header| header.boundary));
        let end = end_of_run(&node.calendar(), &segment, live_from, &mut buffers.committed);
        let needed = end.map_or(live_from, |end| {
            live_from.min(end.saturating_sub(config.lag.into()))
        });
        let membership = last_known_membership(&segment, torus, live_from, config, &mut buffers.committed);
        let damaged = first_damaged(&segment, torus, &membership, needed, &mut buffers);
        let loaded_length = load_newest(
            &segment,
            config,
            newest,
            damaged.unwrap_or(u64::MAX),
            &mut node,
            &mut buffers,
        )?;
        let (journal_end, committed_strand_end) = match newest.filter(|header| header.boundary == live_from) {
            Some(header) => (header.journal_length, header.sent),
            None if live_from > 0 && read_own(&segment, torus, live_from - 1, &mut buffers.committed) => (
                buffers.committed.journal_length(),
                Torus::ALL.map(|peer| buffers.committed.strand_end(peer)),
            ),
            None => (loaded_length, node.books().sent),
        };
        let mut member = Self {
            config,
            torus,
            peers: torus.peers_of_run(config.tori),
            node,
            journal,
            host,
            incarnation,
            owned: false,
            found,
            journal_end,
            live: false,
            live_from,
            inside: false,
            announced: None,
            newest: Newest::default(),
            mirrors: [Newest::default(); 3],
            safe: 0,
            freed: [(0, 0); 3],
            committed_strand_end,
            proof: newest,
            whole_slot: whole.and_then(|whole| whole.own_slot),
            redo: Redo::default(),
            recorded: VecDeque::new(),
            recorded_positions: None,
            log_read: 0,
            alone: None,
            announced_checkpoint: 0,
            shown_migrations: None,
            shows_verdicts: true,
            checkpoint_due: false,
            local_due: false,
            stop_recorded: false,
            journal_length: loaded_length,
            published: 0,
            rang: false,
            buffers,
            segment,
        };
        member.redo = Redo::from(&member.segment, &mut member.journal, live_from)?;
        if member.is_replaying() {
            member.recorded = member.journal.records(loaded_length..journal_end)?.into();
        }
        member.host.reach(Point::Rehydrated)?;
        Ok(member)
    }

    /// Gives the state up for the memory that it was in.
    pub fn into_vessel(self) -> Vessel<M> {
        Vessel {
            kernel: self.node.into_kernel(),
            buffers: self.buffers,
        }
    }

    /// Learns which own checkpoint and which mirrors there are. A published mirror has been verified, and so has an own
    /// checkpoint that all peers mirror, or that this member has loaded; any other is verified here, or the peers would wait
    /// for it for ever.
    pub(super) fn take_stock(&mut self) {
        let own = &self.segment.own;
        let safe = self.safe_checkpoint_of(self.torus);
        self.newest = newest_of(own.checkpoints.reader());
        if self.newest.boundary > safe
            && self.whole_slot != Some(self.newest.slot)
            && !is_whole(
                own.checkpoints.reader(),
                self.newest.slot,
                &mut self.buffers.checkpoint,
            )
        {
            own.checkpoints.invalidate(self.newest.slot);
            self.newest = newest_of(own.checkpoints.reader());
        }
        for peer in self.peers.iter().copied() {
            if let Some(mirror) = own.mirrors[peer.index()].as_ref() {
                self.mirrors[peer.index()] = newest_of(mirror.reader());
            }
        }
        let bytes = own
            .checkpoints
            .reader()
            .header(self.newest.slot)
            .map_or(0, |header| header.bytes);
        // One that was local is mirrored now.
        self.announced_checkpoint = self.newest.boundary;
        own.status.set_checkpoint(self.newest.boundary);
        own.status.set_checkpoint_bytes(bytes);
        for peer in self.peers.iter().copied() {
            own.status.set_mirrored(peer, self.mirrors[peer.index()].boundary);
            own.status.set_want(peer, 0);
        }
        own.status.set_wish(0);
        own.status.set_state_digest_boundary(0);
        self.update_safe();
    }

    /// Everything committed has been replayed: from here on the member publishes.
    pub(super) fn go_live(&mut self) -> Result<Step, MemberError> {
        if !self.owned {
            return Ok(Step::Waiting(Wait::Region));
        }
        self.live = true;
        // What is left, if anything, is the record of a stop at this very boundary.
        self.recorded = VecDeque::new();
        self.journal_length = self.journal.length();
        let ring = &self.segment.own.ring;
        if ring.head() != self.live_from && self.live_from > 0 {
            ring.commit(self.live_from - 1);
        }
        self.show_migrations();
        self.ring_doorbell();
        self.host.reach(Point::WentLive)?;
        Ok(Step::Worked)
    }
}

impl Buffers {
    fn new<M: Model>(node: &Node<M>, config: &RunConfig) -> Self {
        let world = node.kernel().world();
        let face = world.lattice.face_cells() as usize;
        let events = || Arrivals::with_capacity(config.capacity.remote_per_interval as usize);
        let entries = config.capacity.lanes as usize * config.capacity.lane_entries as usize;
        Self {
            frame: Frame::new(face),
            committed: Frame::new(face),
            peer_frames: std::array::from_fn(|_| Frame::new(face)),
            events: std::array::from_fn(|_| {
                if config.tori > 1 {
                    events()
                } else {
                    Arrivals::default()
                }
            }),
            hashes: [0; 3],
            injected: Vec::with_capacity(entries),
            journal: Vec::with_capacity(4096),
            checkpoint: Vec::with_capacity(checkpoint::words_max::<M>(world, &config.capacity)),
        }
    }
}

/// The boundary at which the run ends, if it is known: from the calendar, or because the last committed frame has reached it.
fn end_of_run(
    calendar: &Calendar,
    segment: &WorkerSegment<'_>,
    live_from: u64,
    frame: &mut Frame,
) -> Option<u64> {
    if let Some(end) = calendar.last_boundary() {
        return Some(end);
    }
    let last = live_from.checked_sub(1)?;
    let has_ended = read_own(segment, segment.torus, last, frame) && calendar.ends_at(frame.boundary_tick());
    has_ended.then_some(live_from)
}

/// A checkpoint that has been copied and verified.
#[derive(Clone, Copy)]
struct Whole {
    header: SlotHeader,
    /// Where it stands, if it is in the own region.
    own_slot: Option<usize>,
}

/// A checkpoint that claims to be valid.
struct Candidate<'s> {
    reader: SlotsReader<'s>,
    slot: usize,
    is_own: bool,
    header: SlotHeader,
}

impl Candidate<'_> {
    fn as_whole(&self) -> Whole {
        Whole {
            header: self.header,
            own_slot: self.is_own.then_some(self.slot),
        }
    }
}

/// The newest checkpoint at or before boundary `until` that is whole; its words are then in `words`. If one changes while
/// it is copied, the candidates are listed anew.
fn newest_whole(
    segment: &WorkerSegment<'_>,
    torus: Torus,
    until: u64,
    words: &mut Vec<u64>,
) -> Option<Whole> {
    for _ in 0..ATTEMPTS {
        let mut candidates = candidates(segment, torus);
        candidates.retain(|candidate| candidate.header.boundary <= until);
        let whole = candidates
            .iter()
            .find(|candidate| copy_whole(candidate.reader, candidate.slot, &candidate.header, words));
        if whole.is_some() || candidates.is_empty() {
            return whole.map(Candidate::as_whole);
        }
    }
    None
}

/// Loads the newest whole checkpoint at or before boundary `until`; the configuration stands for boundary 0. `newest` is the
/// newest of all, whose words are in the buffer. Returns the journal's length in bytes that it names.
fn load_newest<M: Model>(
    segment: &WorkerSegment<'_>,
    config: &RunConfig,
    newest: Option<SlotHeader>,
    until: u64,
    node: &mut Node<M>,
    buffers: &mut Buffers,
) -> Result<u64, MemberError> {
    let torus = node.kernel().world().torus;
    let header = newest
        .filter(|header| header.boundary <= until)
        .or_else(|| newest_whole(segment, torus, until, &mut buffers.checkpoint).map(|whole| whole.header));
    if let Some(SlotHeader { boundary, .. }) = header {
        return node
            .load(&buffers.checkpoint)
            .map_err(|source| MemberError::Checkpoint { boundary, source });
    }
    let oldest = segment.own.ring.reader().oldest();
    if oldest > 0 {
        // The ring no longer reaches back to the configuration.
        return Err(MemberError::Lost {
            torus: torus.letter(),
            what: "a checkpoint",
            interval: oldest,
        });
    }
    setup::fill(config, node)?;
    Ok(HEADER_BYTES)
}

/// All checkpoints of `torus` that claim to be valid, the newest first, the own slots before mirrors.
fn candidates<'s>(segment: &WorkerSegment<'s>, torus: Torus) -> Vec<Candidate<'s>> {
    let mirrors = segment
        .peers
        .iter()
        .flatten()
        .filter_map(|region| region.mirrors[torus.index()]);
    let readers =
        std::iter::once((segment.own.checkpoints.reader(), true)).chain(mirrors.map(|m| (m, false)));
    let mut found: Vec<_> = readers
        .flat_map(|(reader, is_own)| {
            reader.headers().map(move |(slot, header)| Candidate {
                reader,
                slot,
                is_own,
                header,
            })
        })
        .collect();
    found.sort_by_key(|candidate| std::cmp::Reverse(candidate.header.boundary));
    found
}

fn copy_whole(reader: SlotsReader<'_>, slot: usize, header: &SlotHeader, words: &mut Vec<u64>) -> bool {
    words.clear();
    words.resize((header.bytes / 8) as usize, 0);
    reader.read(slot, 0, words);
    hash::words(words) == header.hash
}

/// The newest published checkpoint of some slots; boundary 0 if all are empty.
fn newest_of(reader: SlotsReader<'_>) -> Newest {
    reader
        .newest()
        .map_or_else(Newest::default, |(slot, header)| Newest {
            boundary: header.boundary,
            slot,
        })
}

fn is_whole(reader: SlotsReader<'_>, slot: usize, words: &mut Vec<u64>) -> bool {
    reader
        .header(slot)
        .is_some_and(|header| copy_whole(reader, slot, &header, words))
}

/// The highest frame of `torus` that is valid in its own ring or in either peer's log.
fn last_committed(segment: &WorkerSegment<'_>, torus: Torus, frame: &mut Frame) -> Option<u64> {
    let logs = segment
        .peers
        .iter()
        .flatten()
        .filter_map(|region| region.logs[torus.index()]);
    std::iter::once(segment.own.ring.reader())
        .chain(logs)
        .filter_map(|ring| highest_valid(ring, torus, frame))
        .max()
}

pub(super) fn highest_valid(ring: FrameReader<'_>, torus: Torus, frame: &mut Frame) -> Option<u64> {
    (ring.oldest()..ring.head())
        .rev()
        .find(|n| ring.read(torus, *n, frame).is_ok())
}

/// Who is absent, as the predecessor knew at its last committed frame: by the membership log, and by the returns that the
/// frame names.
fn last_known_membership(
    segment: &WorkerSegment<'_>,
    torus: Torus,
    live_from: u64,
    config: &RunConfig,
    frame: &mut Frame,
) -> Membership {
    let mut membership = Membership::new(config.lag.into());
    for entry in segment.memberships.entries(0) {
        membership.note_absence(entry.torus, entry.from, entry.rejoined);
    }
    let last = live_from.checked_sub(1);
    if last.is_some_and(|n| read_own(segment, torus, n, frame)) {
        for other in Torus::ALL {
            membership.note_rejoin(other, frame.rejoin(other));
        }
    }
    membership
}

/// The first committed frame below `end` that a peer has still to take in and that it cannot: damaged in the own ring, or
/// with a strand range that fails its hash. The replay has to begin at or before it, to write it again.
fn first_damaged(
    segment: &WorkerSegment<'_>,
    torus: Torus,
    membership: &Membership,
    end: u64,
    buffers: &mut Buffers,
) -> Option<u64> {
    let peers = Torus::ALL
        .into_iter()
        .filter_map(|peer| segment.peers[peer.index()].as_ref().map(|region| (peer, region)));
    let mut first = None;
    for (peer, region) in peers {
        // Who stands at boundary b has taken in all frames below b−L; its log may have been given back since. The announced
        // boundary stays where it was when a rollback takes frames back, so the frames count.
        let logged = region.logs[torus.index()].map_or(0, |log| log.head());
        let stands_at = region.status.boundary().min(region.ring.head());
        let taken_in = stands_at.saturating_sub(membership.lag());
        // What is held for a peer is not read in the ring.
        let held = segment.own.status.reader().hold(peer);
        let next = logged.max(taken_in).max(held);
        let damaged = (next..end)
            .find(|n| membership.takes(peer, torus, *n) && !is_readable(segment, torus, peer, *n, buffers));
        first = first.into_iter().chain(damaged).min();
    }
    first
}

/// Whether `peer` can take in frame `n` of `torus` from the ring and the strand.
fn is_readable(
    segment: &WorkerSegment<'_>,
    torus: Torus,
    peer: Torus,
    n: u64,
    buffers: &mut Buffers,
) -> bool {
    let frame = &mut buffers.committed;
    if segment.own.ring.reader().read(torus, n, frame).is_err() {
        return false;
    }
    let (end, hash) = (frame.strand_end(peer), frame.strand_hash(peer));
    let start = match n.checked_sub(1) {
        None => 0,
        Some(before) if read_own(segment, torus, before, frame) => frame.strand_end(peer),
        // No copy of its predecessor is left: the range cannot be told apart, the peer's own check decides.
        Some(_) => return true,
    };
    let Some(strand) = segment.own.strands[peer.index()].as_ref() else {
        return true;
    };
    let Some(count) = end
        .checked_sub(start)
        .filter(|count| *count <= strand.capacity() as u64)
    else {
        return false;
    };
    let events = &mut buffers.events[peer.index()];
    read_strand(&strand.reader(), start, count, events) == hash
}
