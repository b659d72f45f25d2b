//! The control socket: how other commands ask the supervisor for something. It is an abstract Unix socket, so nothing
//! remains of it in any directory; both sides check who the other is.

pub mod address;
pub mod client;
pub mod frame;
pub mod message;
pub mod server;
