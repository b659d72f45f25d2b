//! The watchdog's own signals as a readable end for its poll loop.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

/// What the signals that have arrived ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    /// Nothing.
    None,
    /// Stop at one boundary.
    Stop,
}

/// The signals of a watchdog: SIGINT and SIGTERM stop the run; SIGHUP does so in the foreground, where it says that the
/// terminal is gone, and means nothing in the background.
pub struct Signals {
    delivery: SignalDelivery<UnixStream, SignalOnly>,
    background: bool,
}

impl Signals {
    /// Takes the signals over.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn new(background: bool) -> io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        let delivery = SignalDelivery::with_pipe(read, write, SignalOnly, [SIGINT, SIGTERM, SIGHUP])?;
        Ok(Signals { delivery, background })
    }

    /// What to poll for reading.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.delivery.get_read().as_fd()
    }

    /// Takes in the signals that have arrived.
    pub fn take(&mut self) -> Wish {
        let background = self.background;
        self.delivery
            .pending()
            .map(|signal| wish(signal, background))
            .max()
            .unwrap_or(Wish::None)
    }
}

fn wish(signal: i32, background: bool) -> Wish {
    match signal {
        SIGINT | SIGTERM => Wish::Stop,
        SIGHUP if !background => Wish::Stop,
        _ => Wish::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hangup_stops_only_what_has_a_terminal() {
        assert_eq!(wish(SIGHUP, false), Wish::Stop);
        assert_eq!(wish(SIGHUP, true), Wish::None);
        for background in [false, true] {
            assert_eq!(wish(SIGINT, background), Wish::Stop);
            assert_eq!(wish(SIGTERM, background), Wish::Stop);
        }
    }
}
