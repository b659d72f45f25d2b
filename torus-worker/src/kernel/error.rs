//! What can go wrong in a torus.

use shm_layout::torus::Torus;

/// The latest time an event can have, in ticks.
pub const TIME_MAX: u64 = 1 << 62;

/// What has a capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Pending events of one torus.
    Pending,
    /// Edges of one torus.
    Edges,
    /// Events that one torus sends to one peer within one interval.
    RemotePerInterval,
}

impl Resource {
    /// The option that sets the capacity.
    pub const fn option(self) -> &'static str {
        match self {
            Resource::Pending => "--pending",
            Resource::Edges => "--edges",
            Resource::RemotePerInterval => "--remote-per-interval",
        }
    }
}

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Resource::Pending => "pending events",
            Resource::Edges => "edges",
            Resource::RemotePerInterval => "events to one peer in one interval",
        })
    }
}

/// Why a torus cannot go on, or refuses what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KernelError {
    /// A capacity is used up. No event is ever dropped, so the torus cannot go on.
    #[error(
        "torus {torus} at tick {tick} needs more than {capacity} {what}; start, or resume from the last checkpoint, \
         with a larger {}",
        what.option()
    )]
    Capacity {
        /// What ran out.
        what: Resource,
        /// The torus.
        torus: Torus,
        /// The tick at which it ran out.
        tick: u64,
        /// The capacity.
        capacity: u32,
    },
    /// A time beyond the end of virtual time.
    #[error("torus {torus}: time {time} lies beyond the end of virtual time, {TIME_MAX}")]
    TimeOverflow {
        /// The torus.
        torus: Torus,
        /// The time.
        time: u64,
    },
    /// An event for a tick that has been executed.
    #[error("torus {torus}: an event for tick {time} came after tick {last_time} was executed")]
    Past {
        /// The torus.
        torus: Torus,
        /// The event's time.
        time: u64,
        /// The time of the last executed event.
        last_time: u64,
    },
    /// A cell number beyond the lattice.
    #[error("torus {torus}: there is no cell {cell}; the lattice has {cells}")]
    NoSuchCell {
        /// The torus.
        torus: Torus,
        /// The cell's number.
        cell: u32,
        /// How many cells there are.
        cells: u32,
    },
    /// A torus that the run does not have, or that is not a peer.
    #[error("torus {torus} cannot send to torus {to}: it is no peer of it in a run of {tori}")]
    NoSuchPeer {
        /// The sending torus.
        torus: Torus,
        /// The torus meant.
        to: Torus,
        /// How many tori the run has.
        tori: u8,
    },
    /// An edge without delay: an event would arrive at the tick that emits it.
    #[error("torus {torus}: an edge from cell {cell} has delay 0; the least is 1")]
    NoDelay {
        /// The torus.
        torus: Torus,
        /// The cell it starts from.
        cell: u32,
    },
}
