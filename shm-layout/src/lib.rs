//! The segment.
