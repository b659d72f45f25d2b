//! iceoryx2: publish and subscribe over shared memory, zero-copy.
//!
//! Samples are loaned, written in place and sent; the subscriber looks for them. Events are published 64 or one at a time,
//! frames whole. The subscriber keeps up to 64 samples, nothing is overwritten or dropped: the publisher retries.

use std::io;
use std::time::Instant;

use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;

use crate::cross::peer::{Means, Peer};
use crate::cross::{Arrival, PlainEvent, Task, Timed, What, wait};

/// The settings, for the report.
pub const SETTINGS: &str = "iceoryx2 0.10: loan, write in place, send; buffer of 64 samples, no history, no overflow, the \
                            publisher retries until delivered; the subscriber polls";

const BUFFER: usize = 64;

type Sending = Publisher<ipc::Service, [u64], ()>;
type Receiving = Subscriber<ipc::Service, [u64], ()>;

fn other(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

fn words(what: What) -> usize {
    match what {
        What::Events(batch) => batch * size_of::<PlainEvent>() / 8,
        What::Frames => crate::cross::FRAME_WORDS,
        What::EventEcho => size_of::<PlainEvent>() / 8,
        What::HeaderEcho => crate::cross::HEADER_WORDS,
    }
}

/// Items of one sample.
fn each(what: What) -> usize {
    if let What::Events(batch) = what { batch } else { 1 }
}

fn is_echo(what: What) -> bool {
    matches!(what, What::EventEcho | What::HeaderEcho)
}

/// The two services of a measurement: there and back.
struct Ends {
    node: Node<ipc::Service>,
    name: String,
    words: usize,
}

impl Ends {
    fn new(name: &str, what: What) -> io::Result<Ends> {
        set_log_level(LogLevel::Error);
        let node = NodeBuilder::new()
            // Ctrl-C is for the program.
            .signal_handling_mode(SignalHandlingMode::Disabled)
            .create::<ipc::Service>()
            .map_err(other)?;
        Ok(Ends {
            node,
            name: name.to_owned(),
            words: words(what),
        })
    }

    fn service(
        &self,
        direction: &str,
    ) -> io::Result<iceoryx2::service::port_factory::publish_subscribe::PortFactory<ipc::Service, [u64], ()>>
    {
        let name = format!("{}/{direction}", self.name);
        self.node
            .service_builder(&name.as_str().try_into().map_err(other)?)
            .publish_subscribe::<[u64]>()
            .max_publishers(1)
            .max_subscribers(1)
            .history_size(0)
            .subscriber_max_buffer_size(BUFFER)
            .enable_safe_overflow(false)
            .open_or_create()
            .map_err(other)
    }

    fn publisher(&self, direction: &str) -> io::Result<Sending> {
        self.service(direction)?
            .publisher_builder()
            .initial_max_slice_len(self.words)
            .max_loaned_samples(1)
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()
            .map_err(other)
    }

    fn subscriber(&self, direction: &str) -> io::Result<Receiving> {
        self.service(direction)?
            .subscriber_builder()
            .create()
            .map_err(other)
    }
}

fn send(publisher: &Sending, payload: &[u64]) -> io::Result<()> {
    let sample = publisher.loan_slice_uninit(payload.len()).map_err(other)?;
    sample.write_from_slice(payload).send().map_err(other)?;
    Ok(())
}

/// Waits for a sample and hands it over in place.
fn receive(subscriber: &Receiving, take: impl FnOnce(&[u64])) -> io::Result<()> {
    let mut found = None;
    let mut failure = None;
    wait::until(|| match subscriber.receive() {
        Ok(sample) => {
            found = sample;
            found.is_some()
        }
        Err(error) => {
            failure = Some(other(error));
            true
        }
    })?;
    match (found, failure) {
        (_, Some(error)) => Err(error),
        (Some(sample), None) => {
            take(sample.payload());
            Ok(())
        }
        (None, None) => Ok(()),
    }
}

/// Receives what a child process sends through services of this name, and measures.
///
/// # Errors
/// What iceoryx2 reports, or that the child is gone.
pub fn measure(name: &str, task: Task) -> io::Result<Timed> {
    let ends = Ends::new(name, task.what)?;
    let subscriber = ends.subscriber("there")?;
    let publisher = ends.publisher("back")?;
    let child = Peer::start(Means::Iceoryx, task, Some(name.as_ref()), None)?;
    let timed = if is_echo(task.what) {
        call(&subscriber, &publisher, task)?
    } else {
        stream(&subscriber, &publisher, task)?
    };
    // The child may go: what it has sent would go with it.
    send(&publisher, &vec![0; words(task.what)])?;
    child.finish()?;
    Ok(timed)
}

/// The child begins with a sample that does not count, and goes on when it has an answer: to a subscriber that has not
/// looked yet it would send no more than the buffer holds, and drop the rest.
fn stream(subscriber: &Receiving, publisher: &Sending, task: Task) -> io::Result<Timed> {
    receive(subscriber, |_| ())?;
    send(publisher, &vec![0; words(task.what)])?;
    let mut arrival = Arrival::new();
    let each = each(task.what);
    for _ in 0..task.count / each as u64 {
        receive(subscriber, |payload| arrival.fold(payload))?;
        arrival.note(each);
    }
    Ok(arrival.finish())
}

/// The child begins, so that both sides are connected when the clock starts.
fn call(subscriber: &Receiving, publisher: &Sending, task: Task) -> io::Result<Timed> {
    let payload = vec![3; words(task.what)];
    let mut copy = payload.clone();
    receive(subscriber, |payload| copy.copy_from_slice(payload))?;
    let begin = Instant::now();
    for _ in 1..task.count {
        send(publisher, &payload)?;
        receive(subscriber, |payload| copy.copy_from_slice(payload))?;
        std::hint::black_box(&copy);
    }
    Ok(Timed {
        items: 2 * (task.count - 1),
        time: begin.elapsed(),
    })
}

/// The child's part.
///
/// # Errors
/// What iceoryx2 reports, or that the parent is gone.
pub fn serve(name: &str, task: Task) -> io::Result<()> {
    let ends = Ends::new(name, task.what)?;
    let subscriber = ends.subscriber("back")?;
    let publisher = ends.publisher("there")?;
    let payload = vec![3; words(task.what)];
    if !is_echo(task.what) {
        send(&publisher, &payload)?;
        receive(&subscriber, |_| ())?;
        for _ in 0..task.count / each(task.what) as u64 {
            send(&publisher, &payload)?;
        }
        return receive(&subscriber, |_| ());
    }
    let mut copy = payload.clone();
    send(&publisher, &payload)?;
    for _ in 1..task.count {
        receive(&subscriber, |payload| copy.copy_from_slice(payload))?;
        send(&publisher, std::hint::black_box(&copy))?;
    }
    receive(&subscriber, |_| ())
}
