//! Migration: a process moves to another torus, with its state, its out-edges and its pending events.
//!
//! It takes three boundaries, each L after the one before, so that whatever is needed travels with ordinary frames:
//!
//! | boundary | torus | step |
//! |---|---|---|
//! | b | source | *request*: the process is asked for a place on the target |
//! | b+L | target | *grant*: a free place is reserved until boundary b+3L; or *refuse*, with the reason |
//! | b+2L | source | *leave*: state, out-edges and pending events go into the strand; the old place forwards |
//! | b+3L | target | *arrive*: they are installed. All tori make their edges to the old place lead to the new one |
//!
//! The tori talk over their strands, in records whose source is of kind control ([`message`]), so double entry, strand
//! hashes, ring reuse and replay hold for them as for events. The pending events themselves travel as plain events with
//! their source and time. From leaving on, events for the old place come only from outside the torus, at boundaries: they
//! are forwarded there ([`Node::deliver`](super::Node)), and ticks know nothing of it.
//!
//! Nothing in here depends on a capacity: a run that is resumed with larger ones must decide as it did before. The limits
//! below are constants, what exceeds them is refused, and what then does not fit into a capacity stops the run like any
//! other event.

mod balance;
mod message;
mod outcome;
mod steps;
mod table;

pub use message::{is_record, processes};
pub use outcome::{OUTCOMES, Outcome, Refusal, Result};
pub use table::{Migrations, Tally};

/// Processes of one torus that can be on their way out at once.
pub const LEAVING_MAX: usize = 64;
/// Places of one torus that can be reserved at once.
pub const RESERVED_MAX: usize = 128;
/// Old places of one torus that can forward. A place forwards until its process comes home.
pub const FORWARDS_MAX: usize = 4096;
/// Records that may leave for one peer at one boundary: a process takes one, and one for each word of its state, each
/// out-edge and each pending event. Half of what the default capacity of an interval holds; the other half is the model's.
pub const TRAVEL_MAX: usize = 512;
