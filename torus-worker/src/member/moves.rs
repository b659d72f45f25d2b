//! What the status cell shows of migrations: as of the newest committed frame, so that nobody is told what a death could
//! still undo.

use crate::journal::Journal;
use crate::model::Model;

use super::{Host, Member};

impl<M: Model, J: Journal, H: Host> Member<'_, M, J, H> {
    /// Shows the migrations of the committed state, where they have changed.
    pub(super) fn show_migrations(&mut self) {
        let migrations = self.node.migrations();
        if self.shown_migrations.as_ref() == Some(migrations) {
            return;
        }
        let status = &self.segment.own.status;
        status.set_leaving(migrations.leaving() as u64);
        status.set_reserved(migrations.reserved() as u64);
        status.set_forwarding(migrations.forwards().len() as u64);
        for peer in self.peers.iter().copied() {
            let tally = migrations.tally(peer);
            status.set_moved_out(peer, tally.moved_out);
            status.set_moved_in(peer, tally.moved_in);
            status.set_stays_because(peer, tally.last_refusal);
            status.set_stayed(peer, tally.refused);
            status.set_forwarded(peer, tally.forwarded);
        }
        // What a predecessor showed stands already, unless it was taken back and has come out differently.
        let shown = |ticket| status.reader().migration_outcome(ticket);
        for (number, outcome) in migrations.outcomes() {
            if shown(outcome.ticket) != Some(outcome.words()) {
                status.set_migration_outcome(number, outcome.words());
            }
        }
        self.shown_migrations = Some(migrations.clone());
    }
}
