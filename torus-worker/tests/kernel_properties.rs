//! Properties of the kernel over random scenarios: the same as a naive one, whatever the order of queueing, and across
//! saving and loading at any tick.

use proptest::prelude::*;
use proptest::sample::Index;
use shm_layout::config::Capacity;
use shm_layout::record::{Source, TimedEvent};
use shm_layout::torus::Torus;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use torus_worker::kernel::{Edge, Kernel, Lattice, Place, World};
use torus_worker::model::{Model, Parameters};
use torus_worker::models::{Cascade, Heat, Phold};

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn world(tori: u8) -> World {
    let lattice = Lattice::new([4, 8, 4]).unwrap();
    World {
        torus: Torus::A,
        tori,
        lattice,
        interval: 1000,
        lag: 2,
        seed: 7,
    }
}

fn kernel<M: Model>(world: World, given: &[(&str, &str)], capacity: Capacity) -> Kernel<M> {
    let given: Vec<_> = given
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    let parameters = Parameters::resolve(M::NAME, M::parameters(), &given).unwrap();
    Kernel::new(M::new(&parameters, &world).unwrap(), world, capacity).unwrap()
}

fn capacity(pending: u32) -> Capacity {
    Capacity {
        pending,
        edges: 4096,
        remote_per_interval: 4096,
        lanes: 1,
        lane_entries: 16,
        frames: 5,
    }
}

/// The rule of `cascade`, one event at a time, from a binary heap.
#[derive(Default)]
struct Naive {
    edges: BTreeMap<u32, Vec<(u32, u32)>>,
    queue: BinaryHeap<Reverse<(u64, u32, u32, i64)>>,
    executed: Vec<(u64, u32, u32, i64)>,
    last_time: u64,
}

impl Naive {
    fn connect(&mut self, from: u32, to: u32, delay: u32) {
        let edges = self.edges.entry(from).or_default();
        match edges.iter_mut().find(|edge| edge.0 == to) {
            Some(edge) => edge.1 = delay,
            None => edges.push((to, delay)),
        }
    }

    fn run(&mut self, end: u64, most: usize) {
        while let Some(Reverse(event)) = self.queue.peek().copied().filter(|event| event.0.0 < end) {
            // A branching cascade grows without bound.
            if self.executed.len() >= most && event.0 != self.last_time {
                return;
            }
            self.queue.pop();
            let (time, dst, _, payload) = event;
            self.executed.push(event);
            self.last_time = time;
            for (to, delay) in self.edges.get_mut(&dst).into_iter().flatten() {
                *delay = if payload > 0 {
                    (*delay - 1).max(1)
                } else {
                    *delay + 1
                };
                let next = i64::from((payload as i32).wrapping_add(1));
                self.queue
                    .push(Reverse((time + u64::from(*delay), *to, dst, next)));
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Command {
    Connect { from: u32, to: u32, delay: u32 },
    Inject { dst: u32, src: u32, payload: i32 },
    Run(u64),
}

fn command() -> impl Strategy<Value = Command> {
    let cell = || 0..12u32;
    let payload = prop_oneof![-3..4i32, Just(i32::MAX), Just(i32::MIN)];
    prop_oneof![
        4 => (cell(), cell(), prop_oneof![1..20u32, 200..600u32, 60_000..70_000u32])
            .prop_map(|(from, to, delay)| Command::Connect { from, to, delay }),
        4 => (cell(), cell(), payload).prop_map(|(dst, src, payload)| Command::Inject { dst, src, payload }),
        1 => prop_oneof![0..40u64, 200..1000u64, 50_000..200_000u64].prop_map(Command::Run),
    ]
}

/// Spreads cells over the lattice, so that faces and corners take part.
fn spread(cell: u32) -> u32 {
    (cell * 11 + 3) % 128
}

proptest! {
    #![proptest_config(config(1000))]

    #[test]
    fn cascade_executes_what_a_naive_heap_executes(commands in prop::collection::vec(command(), 1..60)) {
        const MOST: usize = 3000;
        let mut kernel = kernel::<Cascade>(world(1), &[], capacity(1 << 16));
        let mut naive = Naive::default();
        let mut end = 0;
        for command in commands.iter().chain(&[Command::Run(300_000)]) {
            match *command {
                Command::Connect { from, to, delay } => {
                    let (from, to) = (spread(from), spread(to));
                    naive.connect(from, to, delay);
                    kernel.connect(from, Edge { to: Place { torus: Torus::A, cell: to }, delay }).unwrap();
                }
                Command::Inject { dst, src, payload } => {
                    let (dst, src, payload) = (spread(dst), spread(src), i64::from(payload));
                    naive.queue.push(Reverse((naive.last_time, dst, src, payload)));
                    let event = TimedEvent { time: kernel.last_time(), dst, src: Source(src), payload };
                    kernel.schedule(event).unwrap();
                }
                Command::Run(ticks) => {
                    end += ticks;
                    let mut executed = Vec::new();
                    let before = naive.executed.len();
                    naive.run(end, MOST);
                    // Stopped early, the naive one stands at the end of a tick; the kernel goes just as far.
                    let end = if naive.executed.len() >= MOST { naive.last_time + 1 } else { end };
                    kernel.run_observed(end, |time, event| {
                        executed.push((time, event.dst, event.src.0, event.payload));
                    }).unwrap();
                    prop_assert_eq!(&executed[..], &naive.executed[before..]);
                }
            }
            prop_assert_eq!(kernel.last_time(), naive.last_time);
        }
        for (from, edges) in &naive.edges {
            let found: Vec<_> = (0..).map_while(|at| kernel.edge(*from, at)).map(|e| (e.to.cell, e.delay)).collect();
            prop_assert_eq!(&found, edges);
        }
        let mut pending: Vec<_> = naive.queue.into_iter().map(|Reverse(event)| event).collect();
        pending.sort_unstable();
        let found = kernel.pending_events();
        let found: Vec<_> = found.iter().map(|e| (e.time, e.dst, e.src.0, e.payload)).collect();
        prop_assert_eq!(found, pending);
    }
}

/// Runs interval after interval and collects all that a braid sees of the torus.
fn story<M: Model>(kernel: &mut Kernel<M>, first: u64, last: u64) -> Vec<(u64, u64, u64, Vec<TimedEvent>)> {
    let mut story = Vec::new();
    for interval in first..last {
        kernel.begin_interval((interval + 2) * 1000, [false; 3]);
        kernel.run((interval + 1) * 1000, u64::MAX).unwrap();
        let remote = [Torus::B, Torus::C]
            .map(|peer| kernel.remote(peer).to_vec())
            .concat();
        story.push((
            kernel.events(),
            kernel.history_digest(),
            kernel.state_digest(),
            remote,
        ));
    }
    story
}

/// Remote events in another order are the same events.
fn sorted(mut story: Vec<(u64, u64, u64, Vec<TimedEvent>)>) -> Vec<(u64, u64, u64, Vec<TimedEvent>)> {
    story.iter_mut().for_each(|(_, _, _, remote)| {
        remote.sort_by_key(|event| (event.time, event.dst, event.src, event.payload));
    });
    story
}

fn shuffled(events: &[TimedEvent], order: &[Index]) -> Vec<TimedEvent> {
    let mut events = events.to_vec();
    for (at, index) in order.iter().enumerate().take(events.len()) {
        let other = at + index.index(events.len() - at);
        events.swap(at, other);
    }
    events
}

fn events() -> impl Strategy<Value = Vec<TimedEvent>> {
    // Few cells, times and payloads, so that bags are large and equal keys frequent.
    let event = (0..3000u64, 0..8u32, 0..4u32, -2..3i64).prop_map(|(time, dst, src, payload)| TimedEvent {
        time: time / 7 * 7,
        dst,
        src: Source(src),
        payload,
    });
    prop::collection::vec(event, 1..200)
}

fn same_whatever_the_order<M: Model>(given: &[(&str, &str)], events: &[TimedEvent], order: &[Index]) {
    let run = |events: &[TimedEvent]| {
        let mut kernel = kernel::<M>(world(3), given, capacity(1 << 14));
        kernel.set_up().unwrap();
        events.iter().for_each(|event| kernel.schedule(*event).unwrap());
        sorted(story(&mut kernel, 0, 5))
    };
    assert_eq!(run(events), run(&shuffled(events, order)));
}

fn same_across_save_and_load<M: Model>(given: &[(&str, &str)], events: &[TimedEvent], at: u64, larger: bool) {
    let mut straight = kernel::<M>(world(3), given, capacity(1 << 14));
    straight.set_up().unwrap();
    events.iter().for_each(|event| straight.schedule(*event).unwrap());
    straight.begin_interval(2000, [false; 3]);
    straight.run(at, u64::MAX).unwrap();

    let mut words = vec![99];
    straight.save(&mut words);
    let most = Kernel::<M>::checkpoint_words_max(straight.world(), straight.capacity());
    assert!(
        words.len() - 1 <= most,
        "{} words, at most {most}",
        words.len() - 1
    );
    let capacity = if larger {
        Capacity {
            edges: 9000,
            ..capacity(1 << 16)
        }
    } else {
        capacity(1 << 14)
    };
    let mut loaded = kernel::<M>(world(3), given, capacity);
    // Whatever was there before is gone.
    loaded.set_up().unwrap();
    loaded.run(100, u64::MAX).unwrap();
    loaded.load(&words[1..]).unwrap();

    assert_eq!(loaded.state_digest(), straight.state_digest());
    assert_eq!(loaded.history_digest(), straight.history_digest());
    assert_eq!(loaded.pending_events(), straight.pending_events());
    assert_eq!(
        (loaded.active(), loaded.edges()),
        (straight.active(), straight.edges())
    );
    assert_eq!(loaded.conserved_total(), straight.conserved_total());
    let first = at.div_ceil(1000);
    straight.run(first * 1000, u64::MAX).unwrap();
    loaded.run(first * 1000, u64::MAX).unwrap();
    let (loaded, straight) = (
        story(&mut loaded, first, first + 4),
        story(&mut straight, first, first + 4),
    );
    assert_eq!(sorted(loaded), sorted(straight));
}

const PHOLD: &[(&str, &str)] = &[("remote", "0.2"), ("population", "300"), ("max_delay", "256")];
const HEAT: &[(&str, &str)] = &[("hot", "100000"), ("period", "300"), ("spread", "2")];

proptest! {
    #![proptest_config(config(100))]

    #[test]
    fn the_order_of_queueing_changes_no_digest(
        events in events(),
        order in prop::collection::vec(any::<Index>(), 200),
    ) {
        same_whatever_the_order::<Phold>(PHOLD, &events, &order);
        same_whatever_the_order::<Heat>(HEAT, &events, &order);
    }

    #[test]
    fn saving_and_loading_at_any_tick_changes_no_later_digest(
        events in events(),
        at in 0..5000u64,
        larger in any::<bool>(),
    ) {
        same_across_save_and_load::<Phold>(PHOLD, &events, at, larger);
        same_across_save_and_load::<Heat>(HEAT, &events, at, larger);
    }

    #[test]
    fn damaged_words_are_refused_or_load_without_panic(
        at in 0..3000u64,
        damage in prop::collection::vec((any::<Index>(), any::<u64>()), 1..4),
        cut in any::<Index>(),
    ) {
        let mut kernel = kernel::<Phold>(world(3), PHOLD, capacity(1 << 10));
        kernel.set_up().unwrap();
        kernel.run(at, u64::MAX).unwrap();
        let mut words = Vec::new();
        kernel.save(&mut words);
        let short = &words[..cut.index(words.len())];
        prop_assert!(kernel.load(short).is_err(), "{} of {} words", short.len(), words.len());
        prop_assert_eq!((kernel.pending(), kernel.active(), kernel.edges()), (0, 0, 0));
        for (index, word) in damage {
            let at = index.index(words.len());
            words[at] = word;
        }
        // A plausible state may come out of damage (the checksum of a slot is there to notice); a panic may not.
        if kernel.load(&words).is_ok() && kernel.last_time() < 1 << 40 {
            let _ = kernel.run(kernel.last_time() + 100, 10_000);
        }
    }

    #[test]
    fn coordinates_wrap_for_any_i64(x: i64, y: i64, z: i64, bits in [2..8u32, 2..8u32, 2..8u32]) {
        let sides = bits.map(|bits| 1 << bits);
        let lattice = Lattice::new(sides).unwrap();
        let wrapped = [x, y, z].into_iter().zip(sides).map(|(v, side)| v.rem_euclid(i64::from(side)) as u32);
        prop_assert_eq!(lattice.coordinates(lattice.cell(x, y, z)).to_vec(), wrapped.collect::<Vec<_>>());
    }
}
