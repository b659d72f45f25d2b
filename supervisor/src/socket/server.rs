//! The answering end of the control socket, for the watchdog's poll loop: nothing here blocks, and memory is bounded.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use super::address;
use super::frame::{Assembler, wrap};
use super::message::{Request, Response, decode, encode};

/// So many commands are answered at the same time; others wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 8;
/// A connection that says nothing for so long is closed, in nanoseconds.
const IDLE_NS_MAX: u64 = 5_000_000_000;

/// The listening socket and its open connections.
pub struct ControlServer {
    listener: UnixListener,
    owner: u32,
    connections: Vec<Connection>,
}

struct Connection {
    stream: UnixStream,
    assembler: Assembler,
    last_ns: u64,
    open: bool,
}

impl ControlServer {
    /// Listens for the run whose segment is at `segment`.
    ///
    /// # Errors
    /// When the address is taken: by a process of another user, since the run lock is held by the caller.
    pub fn bind(segment: &Path) -> io::Result<Self> {
        let listener = UnixListener::bind_addr(&address::of_segment(segment)?)?;
        listener.set_nonblocking(true)?;
        Ok(ControlServer {
            listener,
            owner: segment.metadata()?.uid(),
            connections: Vec::new(),
        })
    }

    /// What to poll for reading: the connections, and the listener while there is room for one more.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let listener = (self.connections.len() < CONNECTIONS_MAX).then(|| self.listener.as_fd());
        self.connections
            .iter()
            .map(|connection| connection.stream.as_fd())
            .chain(listener)
    }

    /// When the next idle connection is to be closed, on the monotonic clock in nanoseconds.
    pub fn deadline_ns(&self) -> Option<u64> {
        self.connections
            .iter()
            .map(|connection| connection.last_ns + IDLE_NS_MAX)
            .min()
    }

    /// Reads whatever has arrived, answers whole requests with `answer`, and closes what is over or idle.
    pub fn serve(&mut self, now_ns: u64, mut answer: impl FnMut(Request) -> Response) {
        self.accept(now_ns);
        for connection in &mut self.connections {
            connection.open = connection.open && connection.serve(now_ns, &mut answer);
        }
        self.connections
            .retain(|connection| connection.open && now_ns < connection.last_ns + IDLE_NS_MAX);
    }

    fn accept(&mut self, now_ns: u64) {
        while self.connections.len() < CONNECTIONS_MAX {
            let Ok((stream, _)) = self.listener.accept() else {
                return;
            };
            if address::trusted(&stream, self.owner) && stream.set_nonblocking(true).is_ok() {
                let assembler = Assembler::default();
                self.connections.push(Connection {
                    stream,
                    assembler,
                    last_ns: now_ns,
                    open: true,
                });
            }
        }
    }
}

impl Connection {
    /// Whether the connection stays open.
    fn serve(&mut self, now_ns: u64, answer: &mut impl FnMut(Request) -> Response) -> bool {
        let mut buffer = [0; 512];
        loop {
            let room = self.assembler.room().min(buffer.len());
            match self.stream.read(&mut buffer[..room]) {
                Ok(0) => return false,
                Ok(count) => self.assembler.push(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return false,
            }
            self.last_ns = now_ns;
            loop {
                match self.assembler.take() {
                    Ok(Some(message)) if self.reply(&message, answer) => continue,
                    Ok(None) => break,
                    Ok(Some(_)) | Err(_) => return false,
                }
            }
        }
    }

    /// Answers one message; a client that does not take its answer, which fits any socket buffer, is let go.
    fn reply(&mut self, message: &[u8], answer: &mut impl FnMut(Request) -> Response) -> bool {
        let (response, stays) = match decode::<Request>(message) {
            Ok(request) => (answer(request), true),
            Err(error) => (Response::Refused(error.to_string()), false),
        };
        self.stream.write_all(&wrap(&encode(&response))).is_ok() && stays
    }
}

#[cfg(test)]
mod tests {
    use super::super::client::{AskError, ask};
    use super::*;
    use std::path::PathBuf;

    fn segment(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("braid-socket-{name}-{}", std::process::id()));
        std::fs::write(&path, b"x").unwrap();
        path
    }

    #[test]
    fn a_request_is_answered_and_nothing_remains() {
        let path = segment("answer");
        assert!(matches!(ask(&path, &Request::Ping), Err(AskError::Nobody)));
        let mut server = ControlServer::bind(&path).unwrap();
        assert!(ControlServer::bind(&path).is_err(), "one address, one server");
        let asked = std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                ask(
                    &path,
                    &Request::Kill {
                        torus: 1,
                        signal: 9,
                        hold: false,
                    },
                )
            });
            while !asking.is_finished() {
                server.serve(0, |request| {
                    assert_eq!(
                        request,
                        Request::Kill {
                            torus: 1,
                            signal: 9,
                            hold: false
                        }
                    );
                    Response::Killed {
                        pid: 5,
                        incarnation: 2,
                    }
                });
                std::thread::yield_now();
            }
            asking.join().unwrap()
        });
        assert_eq!(
            asked.unwrap(),
            Response::Killed {
                pid: 5,
                incarnation: 2
            }
        );
        drop(server);
        assert!(matches!(ask(&path, &Request::Ping), Err(AskError::Nobody)));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn idle_connections_are_closed() {
        let path = segment("idle");
        let mut server = ControlServer::bind(&path).unwrap();
        let _silent = UnixStream::connect_addr(&address::of_segment(&path).unwrap()).unwrap();
        server.serve(0, |_| Response::NoWorker);
        assert_eq!(server.deadline_ns(), Some(IDLE_NS_MAX));
        server.serve(IDLE_NS_MAX, |_| Response::NoWorker);
        assert_eq!(server.deadline_ns(), None);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn garbage_is_refused_and_the_connection_closed() {
        let path = segment("garbage");
        let mut server = ControlServer::bind(&path).unwrap();
        let mut stream = UnixStream::connect_addr(&address::of_segment(&path).unwrap()).unwrap();
        stream.write_all(&wrap(&[99, 99])).unwrap();
        server.serve(0, |_| unreachable!("nothing was asked"));
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(matches!(decode(&answer[4..]), Ok(Response::Refused(_))));
        std::fs::remove_file(path).unwrap();
    }
}
