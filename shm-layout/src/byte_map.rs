//! The byte map: every part of a segment with its place and its one writer, for people and for checks.

use super::layout::{Layout, Part, RegionLayout};
use super::torus::{TORI, Torus};
use std::fmt;

/// Who writes a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// Whoever creates the segment, before anyone else sees it; nobody afterwards.
    Creator,
    /// The supervisor that holds the run lock.
    Supervisor,
    /// The scrubber that holds its lock.
    Scrubber,
    /// The worker that holds the torus's lock.
    Worker(Torus),
    /// The client that holds the lane's lock.
    Lane(u32),
}

impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Writer::Creator => write!(f, "creator"),
            Writer::Supervisor => write!(f, "supervisor"),
            Writer::Scrubber => write!(f, "scrubber"),
            Writer::Worker(torus) => write!(f, "worker {torus}"),
            Writer::Lane(0) => write!(f, "supervisor (lane 0)"),
            Writer::Lane(lane) => write!(f, "client of lane {lane}"),
        }
    }
}

/// One line of the byte map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartRow {
    /// First byte.
    pub offset: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// Who writes it.
    pub writer: Writer,
    /// What it holds.
    pub name: String,
}

impl fmt::Display for PartRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>#12x} {:>12}  {:<20} {}",
            self.offset,
            self.bytes,
            self.writer.to_string(),
            self.name
        )
    }
}

/// Collects the rows of parts that are not empty.
#[derive(Default)]
struct Rows(Vec<PartRow>);

impl Rows {
    fn add(&mut self, part: Part, writer: Writer, name: impl Into<String>) {
        if part.bytes > 0 {
            self.0.push(PartRow {
                offset: part.offset,
                bytes: part.bytes,
                writer,
                name: name.into(),
            });
        }
    }

    fn add_region(&mut self, region: &RegionLayout) {
        let writer = Writer::Worker(region.torus);
        let name = |what: &str| format!("{}: {what}", region.torus);
        self.add(region.status, writer, name("status cell"));
        self.add(region.ring, writer, name("frame ring"));
        self.add_per_peer(&region.strands, writer, &name("strand to"));
        self.add(region.checkpoints, writer, name("checkpoint slots"));
        self.add_per_peer(&region.mirrors, writer, &name("mirror slots of"));
        self.add_per_peer(&region.logs, writer, &name("log of frames of"));
        self.add_per_peer(&region.hold_frames, writer, &name("frames held for"));
        self.add_per_peer(&region.hold_events, writer, &name("events held for"));
    }

    fn add_per_peer(&mut self, parts: &[Option<Part>; TORI], writer: Writer, name: &str) {
        for (peer, part) in Torus::ALL.iter().zip(parts) {
            self.add(part.unwrap_or_default(), writer, format!("{name} {peer}"));
        }
    }
}

impl Layout {
    /// The byte map: every part, in order, without a gap.
    pub fn describe(&self) -> Vec<PartRow> {
        let mut rows = Rows::default();
        rows.add(self.header, Writer::Creator, "header");
        rows.add(self.control, Writer::Supervisor, "control words");
        rows.add(self.recoveries, Writer::Supervisor, "recovery log");
        rows.add(self.memberships, Writer::Supervisor, "membership log");
        rows.add(self.audit, Writer::Scrubber, "audit page");
        rows.add(self.config, Writer::Creator, "configuration");
        for region in &self.regions {
            rows.add_region(region);
        }
        for (number, parts) in (0_u32..).zip(&self.lanes) {
            for (torus, part) in Torus::ALL.iter().zip(parts) {
                rows.add(*part, Writer::Lane(number), format!("lane {number} to {torus}"));
            }
        }
        rows.0
    }
}
