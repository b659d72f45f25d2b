//! What the tests of the built binary share: a run of its own for each test, watched, written down, and always removed.
//!
//! A test drives `braid-supervisor` as a person does and looks through `status --json`. Where a moment matters (a
//! successor's first milliseconds), [`Eyes`] read the same segment directly, read-only. Nothing is ever killed by its
//! name: a pid comes from the segment, a pidfd is opened, and only then the process is compared with what the segment
//! says of it.
//!
//! Conditions are waited for with generous deadlines ([`PATIENCE`]); no speed is asserted. Random parts print their seed
//! first, and `BRAID_SEED=n cargo test …` repeats them.

// Each test binary uses its own part of this.
#![allow(dead_code, unused_imports)]

mod command;
mod deeds;
mod eyes;
mod foreground;
mod leftovers;
mod reaper;
mod run;
mod seed;
mod status;

pub use command::{Answer, PATIENCE, Running, until};
pub use eyes::{Certain, Eyes};
pub use foreground::Foreground;
pub use leftovers::{Traces, processes_naming, shared_memory_naming};
pub use run::Run;
pub use seed::Random;
pub use shm_layout::torus::Torus;
pub use status::{End, Status};

/// The program under test.
pub const BRAID: &str = env!("CARGO_BIN_EXE_braid-supervisor");
