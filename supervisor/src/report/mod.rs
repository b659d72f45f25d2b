//! What is known of a run, as one value: read from the segment, shown as JSON, as a table, or as the summary.

mod absence;
pub mod collect;
pub mod constraints;
mod exchange;
pub mod human;
pub mod migrations;
pub mod recovery;
pub mod run;
pub mod scrub;
pub mod summary;
