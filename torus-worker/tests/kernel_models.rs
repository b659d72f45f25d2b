//! What the built-in models promise, on three tori that exchange their events by hand.

use shm_layout::config::Capacity;
use shm_layout::record::{Source, TimedEvent};
use shm_layout::torus::Torus;
use torus_worker::kernel::{Kernel, Lattice, Place, World};
use torus_worker::model::{CapacityHint, Coupling, Model, ParameterError, Parameters};
use torus_worker::models::{Cascade, Heat, Phold};

const LAG: u64 = 2;
const INTERVAL: u64 = 1000;

fn world(torus: Torus, sides: [u32; 3]) -> World {
    let lattice = Lattice::new(sides).unwrap();
    World {
        torus,
        tori: 3,
        lattice,
        interval: INTERVAL,
        lag: LAG as u32,
        seed: 3,
    }
}

fn model<M: Model>(world: &World, given: &[(&str, &str)]) -> Result<M, ParameterError> {
    let given: Vec<_> = given
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    M::new(&Parameters::resolve(M::NAME, M::parameters(), &given)?, world)
}

fn capacity(hint: CapacityHint) -> Capacity {
    let CapacityHint {
        pending,
        edges,
        remote_per_interval,
    } = hint;
    Capacity {
        pending,
        edges,
        remote_per_interval,
        lanes: 1,
        lane_entries: 16,
        frames: 5,
    }
}

/// Three tori and what is on its way between them, by the interval whose beginning takes it in.
struct Braid<M: Model> {
    tori: Vec<Kernel<M>>,
    on_the_way: Vec<(u64, Torus, TimedEvent)>,
    interval: u64,
}

impl<M: Model> Braid<M> {
    fn new(given: &[(&str, &str)], sides: [u32; 3]) -> Self {
        let set_up = |torus| {
            let world = world(torus, sides);
            let model = model::<M>(&world, given).unwrap();
            let capacity = capacity(model.capacity(&world));
            let mut kernel = Kernel::new(model, world, capacity).unwrap();
            kernel.set_up().unwrap();
            kernel
        };
        Braid {
            tori: Torus::ALL.map(set_up).into(),
            on_the_way: Vec::new(),
            interval: 0,
        }
    }

    /// Runs one interval; `before` may send more from a torus to a peer.
    fn step(&mut self, before: impl Fn(&mut Kernel<M>)) {
        let (now, begin) = (self.interval, self.interval * INTERVAL);
        let (due, later) = self.on_the_way.drain(..).partition(|(at, ..)| *at == now);
        self.on_the_way = later;
        for (_, to, event) in due {
            self.tori[to.index()].schedule(event).unwrap();
        }
        for kernel in &mut self.tori {
            kernel.begin_interval(begin + LAG * INTERVAL, [false; 3]);
            before(kernel);
            kernel.run(begin + INTERVAL, u64::MAX).unwrap();
            for peer in kernel.world().peers() {
                self.on_the_way
                    .extend(kernel.remote(peer).iter().map(|event| (now + LAG, peer, *event)));
            }
        }
        self.interval += 1;
    }

    fn in_all(&self) -> u64 {
        self.tori.iter().map(Kernel::pending).sum::<u64>() + self.on_the_way.len() as u64
    }
}

#[test]
fn phold_keeps_its_population_and_reaches_every_torus() {
    let mut braid = Braid::<Phold>::new(&[("remote", "0.1"), ("population", "200")], [8; 3]);
    assert_eq!(braid.in_all(), 600);
    for _ in 0..50 {
        braid.step(|_| {});
        assert_eq!(braid.in_all(), 600);
    }
    for kernel in &braid.tori {
        assert_eq!((kernel.active(), kernel.edges()), (512, 4 * 512));
        for peer in kernel.world().peers() {
            let sent = kernel.remote(peer).len();
            assert!(sent > 0, "{} sent nothing to {peer}", kernel.world().torus);
        }
    }
}

#[test]
fn remote_events_of_phold_never_have_to_be_held_back() {
    let mut braid = Braid::<Phold>::new(&[("remote", "0.5"), ("max_delay", "7")], [4; 3]);
    for _ in 0..20 {
        braid.step(|_| {});
        for (at, _, event) in &braid.on_the_way {
            // A whole lag after the tick that sent it, plus 1 to 7: it is past the boundary that takes it in.
            assert!(event.time > at * INTERVAL && event.time <= (at + 1) * INTERVAL + 7);
        }
    }
}

#[test]
fn phold_hops_uniformly_over_delays_and_edges() {
    let world = World {
        tori: 1,
        ..world(Torus::A, [16; 3])
    };
    let model = model::<Phold>(&world, &[("degree", "4"), ("population", "4096")]).unwrap();
    let capacity = capacity(model.capacity(&world));
    let mut kernel = Kernel::new(model, world, capacity).unwrap();
    kernel.set_up().unwrap();
    kernel.run(5000, u64::MAX).unwrap();
    // Little's law: population = rate · mean delay, which is 32.5.
    let mean_delay = 4096.0 * 5000.0 / kernel.events() as f64;
    assert!((32.2..32.8).contains(&mean_delay), "{mean_delay}");
    let cells = world.lattice.cells();
    let delays: Vec<_> = (0..cells)
        .flat_map(|cell| (0..4).map(move |at| (cell, at)))
        .collect();
    let delays: Vec<_> = delays
        .iter()
        .map(|(cell, at)| kernel.edge(*cell, *at).unwrap().delay)
        .collect();
    assert!((1..=64).all(|delay| delays.contains(&delay)) && delays.iter().all(|delay| *delay <= 64));
}

#[test]
fn the_total_of_heat_is_exact_while_tori_exchange() {
    const HOT: i64 = 1_000_000_007;
    let mut braid = Braid::<Heat>::new(&[("hot", "1000000007"), ("spread", "3")], [8; 3]);
    let total = |braid: &Braid<Heat>| {
        let on_the_way = braid
            .on_the_way
            .iter()
            .map(|(_, _, event)| event.payload)
            .sum::<i64>();
        braid.tori.iter().map(Kernel::conserved_total).sum::<i64>() + on_the_way
    };
    assert_eq!(total(&braid), HOT);
    for step in 0..30u32 {
        // Each torus gives an odd amount of one face cell to the next, as a coupling does.
        braid.step(|kernel| {
            let (torus, cell) = (kernel.world().torus, step % 64);
            let amount = if torus == Torus::A {
                i64::from(step) * 1001 + 1
            } else {
                7
            };
            let time = kernel.last_time().max(u64::from(step) * INTERVAL);
            let at = |dst, payload| TimedEvent {
                time,
                dst,
                src: Source::model(torus, dst),
                payload,
            };
            kernel.schedule(at(cell, -amount)).unwrap();
            kernel.send_remote(torus.next(), at(cell, amount)).unwrap();
        });
        assert_eq!(total(&braid), HOT, "after interval {step}");
    }
    let hottest = (0..64).map(|cell| braid.tori[1].cell_value(cell)).max().unwrap();
    assert!(hottest > 0, "B stayed cold");
}

#[test]
fn heat_goes_quiet_when_no_cell_holds_eight_units() {
    let mut braid = Braid::<Heat>::new(&[("hot", "300"), ("period", "10")], [8; 3]);
    for _ in 0..40 {
        braid.step(|_| {});
    }
    assert_eq!(braid.in_all(), 0);
    let lattice = braid.tori[0].world().lattice;
    let values: Vec<_> = (0..lattice.cells())
        .map(|cell| braid.tori[0].process(cell).unwrap().value)
        .collect();
    assert_eq!(values.iter().sum::<i64>(), 300);
    assert!(values.iter().all(|value| (0..8).contains(value)));
}

#[test]
fn a_cascade_crosses_to_a_peer_no_earlier_than_the_lag() {
    let mut braid = Braid::<Cascade>::new(&[], [4; 3]);
    let to = Place {
        torus: Torus::B,
        cell: 9,
    };
    braid.tori[0]
        .connect(5, torus_worker::kernel::Edge { to, delay: 3 })
        .unwrap();
    braid.tori[1].spawn(9, Default::default()).unwrap();
    let event = TimedEvent {
        time: 10,
        dst: 5,
        src: Source::model(Torus::A, 5),
        payload: i64::from(i32::MAX),
    };
    braid.tori[0].schedule(event).unwrap();
    braid.step(|_| {});
    let expected = TimedEvent {
        time: 2000,
        dst: 9,
        src: Source::model(Torus::A, 5),
        payload: i64::from(i32::MIN),
    };
    assert_eq!(braid.on_the_way, [(2, Torus::B, expected)]);
    (0..2).for_each(|_| braid.step(|_| {}));
    assert_eq!(braid.tori[1].process(9).unwrap().handled, 1);
    assert_eq!(braid.tori[1].last_time(), 2000);
    assert_eq!(Cascade::COUPLING, Coupling::None);
}

#[test]
fn the_default_run_of_phold_stays_small() {
    let world = World {
        tori: 3,
        ..world(Torus::A, [32; 3])
    };
    let hint = model::<Phold>(&world, &[]).unwrap().capacity(&world);
    assert_eq!(
        hint,
        CapacityHint {
            pending: 65536,
            edges: 65536,
            remote_per_interval: 1024
        }
    );
}

#[test]
fn parameters_out_of_range_are_refused() {
    let world = world(Torus::A, [4; 3]);
    for given in [
        [("population", "many")],
        [("degree", "0")],
        [("degree", "65")],
        [("remote", "1.5")],
        [("max_delay", "257")],
        [("speed", "1")],
    ] {
        assert!(model::<Phold>(&world, &given).is_err(), "{given:?}");
    }
    assert!(model::<Heat>(&world, &[("spread", "0")]).is_err());
    assert!(model::<Heat>(&world, &[("period", "0")]).is_err());
    assert!(model::<Cascade>(&world, &[("x", "0")]).is_err());
}
