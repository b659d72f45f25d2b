//! What people would pick instead, as published crates (feature `comparators`): each doing the same work in the way that
//! its own documentation shows as the fast one.

pub mod iceoryx;
pub mod nexosim;
