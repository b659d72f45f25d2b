//! Damage on request: a live worker flips a bit of its own memory, in a run that was started for such a test.
//!
//! It happens between two boundaries, as a fault of the memory would, and is nowhere recorded but in the status cell, which
//! says that the request has been carried out.

use crate::journal::Journal;
use crate::kernel::Damage;
use crate::model::Model;

use super::{Host, Member};

impl<M: Model, J: Journal, H: Host> Member<'_, M, J, H> {
    /// Carries out the newest request for damage to this torus, once.
    pub(super) fn damage_if_asked(&mut self) {
        let control = &self.segment.control;
        let number = control.damage_request();
        let status = &self.segment.own.status;
        let is_for_me = control.damage_torus() == self.torus.index() as u64;
        if !is_for_me || number <= status.reader().damaged() {
            return;
        }
        let seed = control.damage_seed();
        if let Some(what) = Damage::from_number(control.damage_what()) {
            self.node.kernel_mut().damage(what, seed);
        }
        status.set_damaged_at(self.node.boundary());
        status.set_damaged(number);
    }
}
