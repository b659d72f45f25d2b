//! The processes that moved between the tori of a run, as each torus counts them.

use serde::Serialize;
use shm_layout::status::StatusReader;
use shm_layout::torus::Torus;
use torus_worker::node::migrate::Refusal;

use super::run::RunReport;

/// The migrations of one torus, as of its newest frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MigrationReport {
    /// Processes on their way to another torus.
    pub leaving: u64,
    /// Cells that wait for the process of another torus.
    pub reserved: u64,
    /// Cells that forward to where their process has moved.
    pub forwarding: u64,
    /// Each peer.
    pub peers: Vec<PeerReport>,
}

/// What has moved between a torus and one peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PeerReport {
    /// The peer.
    pub torus: char,
    /// Processes that moved there.
    pub moved_out: u64,
    /// Processes that came from there.
    pub moved_in: u64,
    /// Processes that were to move there and stay.
    pub refused: u64,
    /// Why the last of them stays; null when none does.
    pub last_refusal: Option<String>,
    /// Events that were forwarded there after their process.
    pub forwarded: u64,
}

/// The migrations that a status cell shows.
pub fn of_status(status: &StatusReader<'_>, torus: Torus, tori: u8) -> MigrationReport {
    let peer = |peer: Torus| PeerReport {
        torus: peer.letter(),
        moved_out: status.moved_out(peer),
        moved_in: status.moved_in(peer),
        refused: status.stayed(peer),
        last_refusal: Refusal::from_word(status.stays_because(peer)).map(|refusal| refusal.to_string()),
        forwarded: status.forwarded(peer),
    };
    MigrationReport {
        leaving: status.leaving(),
        reserved: status.reserved(),
        forwarding: status.forwarding(),
        peers: torus.peers(tori).map(peer).collect(),
    }
}

/// A line for each pair between which anything moved or was to move; nothing where nothing was.
pub fn lines(report: &RunReport) -> String {
    let mut out = String::new();
    for torus in &report.tori {
        for peer in &torus.migrations.peers {
            if peer.moved_out + peer.refused > 0 {
                out.push_str(&line(torus.torus, peer));
            }
        }
    }
    let leaving: u64 = report.tori.iter().map(|torus| torus.migrations.leaving).sum();
    if leaving > 0 {
        out.push_str(&format!("migrating      {leaving} on their way\n"));
    }
    out
}

fn line(from: char, peer: &PeerReport) -> String {
    let mut line = format!("moved {from} to {}   {}", peer.torus, peer.moved_out);
    if peer.forwarded > 0 {
        line.push_str(&format!(", {} events forwarded", peer.forwarded));
    }
    if let Some(why) = &peer.last_refusal {
        line.push_str(&format!(", {} refused, the last because {why}", peer.refused));
    }
    line + "\n"
}

#[cfg(test)]
mod tests {
    use super::super::run::tests::sample;
    use super::*;

    #[test]
    fn only_pairs_between_which_something_moved_have_a_line() {
        let mut report = sample();
        assert_eq!(lines(&report), "");
        let migrations = &mut report.tori[0].migrations;
        migrations.leaving = 2;
        migrations.peers = vec![PeerReport {
            torus: 'B',
            moved_out: 3,
            moved_in: 0,
            refused: 1,
            last_refusal: Some("the target is absent".to_owned()),
            forwarded: 7,
        }];
        let expected = "moved A to B   3, 7 events forwarded, 1 refused, the last because the target is absent\n\
                        migrating      2 on their way\n";
        assert_eq!(lines(&report), expected);
    }
}
