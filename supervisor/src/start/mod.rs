//! What `start` does before anybody watches: from options to a configuration, from a name to a segment.

pub mod compare;
pub mod conversation;
pub mod describe;
pub mod detach;
pub mod draft;
pub mod launch;
pub mod place;
pub mod rebuild;
pub mod rules;
