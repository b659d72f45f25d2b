//! Audit: committed intervals are executed again and compared, by somebody who is on nobody's way.
//!
//! For each torus the auditor keeps a [`Shadow`]: a node that begins at the torus's newest cleared checkpoint, takes in what
//! the torus took in (from the rings, the strands and the journal), and executes interval after interval as soon as they
//! are committed. Each frame must be the committed one. Where the torus has taken a checkpoint, its state must be the
//! shadow's.
//!
//! A checkpoint of a torus at boundary c is *cleared* when its own audit has passed it and its peers' have passed c−L: all
//! frames that went into it are then themselves audited, and by induction true. At the end of a run the digest of the state
//! that a torus publishes must be the shadow's, too: it is *confirmed*. What a successor or a rollback needs from a
//! cleared checkpoint on is kept by the workers ([`super::room`]).
//!
//! It does no I/O and reads no clock; the scrubber process and the simulator call [`Auditor::advance`].

mod shadow;

use shm_layout::audit::Finding;
use shm_layout::config::RunConfig;
use shm_layout::region::AuditSegment;
use shm_layout::torus::Torus;

use crate::journal::{JournalError, Records};
use crate::kernel::LoadError;
use crate::model::Model;
use crate::setup::SetupError;

use shadow::{Look, Shadow};

/// Why an audit cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The configuration does not describe a torus.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// No copy of the cleared checkpoint is whole.
    #[error(
        "torus {torus} cannot be audited: no intact copy of its checkpoint at boundary {boundary} is left"
    )]
    Lost {
        /// The torus.
        torus: char,
        /// The boundary of its cleared checkpoint.
        boundary: u64,
    },
    /// The cleared checkpoint does not load.
    #[error("the cleared checkpoint of torus {torus} cannot be loaded: {source}")]
    Checkpoint {
        /// The torus.
        torus: char,
        /// Why.
        source: LoadError,
    },
}

/// The outcome of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audit {
    /// Something was executed or compared.
    Worked,
    /// Everything committed has been audited, or is not to be had just now.
    Idle,
    /// Something differs. It has been published; nothing is audited until the workers have gone back.
    Found(Finding),
}

/// One audit of all tori of a run.
pub struct Auditor<'s, M: Model, R: Records> {
    segment: AuditSegment<'s>,
    lag: u64,
    shadows: Vec<Shadow<'s, M, R>>,
    found: Option<Finding>,
}

/// Whether an audit may begin: the newest finding has been answered by an order, and all tori have carried it out.
pub fn may_begin(segment: &AuditSegment<'_>) -> bool {
    let reader = &segment.reader;
    let number = reader.control.rollback_count();
    let answered = match reader.control.last_rollback() {
        Some(order) => order.answers,
        None if number > 0 => return false,
        None => 0,
    };
    let regions = reader.regions.iter();
    reader.audit.finding_number() <= answered
        && regions
            .into_iter()
            .all(|region| region.status.rolled_back() >= number)
}

impl<'s, M: Model, R: Records> Auditor<'s, M, R> {
    /// An audit that begins at the cleared checkpoints; `journals` are those of the tori in letter order. The caller has
    /// seen that it [`may_begin`].
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn begin(
        segment: AuditSegment<'s>,
        config: &'s RunConfig,
        journals: Vec<R>,
    ) -> Result<Self, AuditError> {
        let mut shadows = Vec::new();
        for (region, journal) in segment.reader.regions.iter().zip(journals) {
            let cleared = segment.reader.audit.cleared(region.torus);
            let shadow = Shadow::begin(&segment.reader, config, region.torus, journal, cleared)?;
            segment.audit.set_verified(region.torus, shadow.boundary());
            segment.audit.set_confirmed(region.torus, 0);
            shadows.push(shadow);
        }
        Ok(Self {
            segment,
            lag: config.lag.into(),
            shadows,
            found: None,
        })
    }

    /// Makes the next step, for the torus that is furthest behind among those that can go on; executes at most about
    /// `budget` events.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn advance(&mut self, budget: u64) -> Result<Audit, AuditError> {
        let mut order: Vec<_> = self.shadows.iter().map(Shadow::place).collect();
        order.sort();
        for (_, _, torus) in order {
            match self.advance_torus(torus, budget)? {
                Audit::Idle => {}
                step => return Ok(step),
            }
        }
        Ok(Audit::Idle)
    }

    /// Makes the next step for one torus. What is cleared does not depend on the order among tori.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn advance_torus(&mut self, torus: Torus, budget: u64) -> Result<Audit, AuditError> {
        if let Some(finding) = self.found {
            return Ok(Audit::Found(finding));
        }
        let Some(shadow) = self.shadows.get_mut(torus.index()) else {
            return Ok(Audit::Idle);
        };
        match shadow.look(&self.segment.reader, budget)? {
            Look::Nothing => return Ok(Audit::Idle),
            Look::Worked => {}
            Look::Passed => self.note_progress(torus),
            Look::Differs {
                interval,
                difference,
                committed,
                executed,
            } => {
                let found_at = self.shadows[torus.index()].head(&self.segment.reader);
                return Ok(self.find(Finding {
                    torus,
                    interval,
                    difference,
                    found_at,
                    committed,
                    executed,
                }));
            }
        }
        Ok(Audit::Worked)
    }

    /// An interval or a checkpoint of a torus agrees: publishes how far that is, and what is cleared by it.
    fn note_progress(&self, torus: Torus) {
        let audit = &self.segment.audit;
        let reader = audit.reader();
        let boundary = self.shadows[torus.index()].boundary();
        if boundary > reader.verified(torus) {
            audit.set_verified(torus, boundary);
            audit.set_audits(reader.audits() + 1);
        } else {
            audit.set_states(reader.states() + 1);
        }
        for shadow in &self.shadows {
            let passed = shadow.passed_checkpoint();
            if passed > reader.cleared(shadow.torus()) && self.have_peers_passed(shadow.torus(), passed) {
                audit.set_cleared(shadow.torus(), passed);
            }
            let (ended, digest) = shadow.ended_at();
            if ended > reader.confirmed(shadow.torus()) && reader.cleared(shadow.torus()) >= ended {
                audit.set_confirmed_digest(shadow.torus(), digest);
                audit.set_confirmed(shadow.torus(), ended);
            }
        }
    }

    /// Whether the audits of all peers have passed what the checkpoint of a torus at boundary `c` has taken in from them.
    fn have_peers_passed(&self, torus: Torus, c: u64) -> bool {
        let peers = self.shadows.iter().filter(|shadow| shadow.torus() != torus);
        peers
            .into_iter()
            .all(|peer| peer.boundary() >= c.saturating_sub(self.lag))
    }

    fn find(&mut self, finding: Finding) -> Audit {
        self.segment.audit.publish_finding(&finding);
        self.found = Some(finding);
        Audit::Found(finding)
    }

    /// The segment's views.
    pub fn segment(&self) -> &AuditSegment<'s> {
        &self.segment
    }
}
