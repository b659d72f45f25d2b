//! Full capacities: the error names what to do, nothing is dropped, and it comes at the same tick every time.

use shm_layout::config::Capacity;
use shm_layout::record::{Source, TimedEvent};
use shm_layout::torus::Torus;
use torus_worker::kernel::{Edge, Kernel, KernelError, Lattice, LoadError, Place, Resource, World};
use torus_worker::models::Cascade;

fn kernel(pending: u32, edges: u32, remote_per_interval: u32) -> Kernel<Cascade> {
    let lattice = Lattice::new([4; 3]).unwrap();
    let world = World {
        torus: Torus::B,
        tori: 3,
        lattice,
        interval: 1000,
        lag: 1,
        seed: 0,
    };
    let capacity = Capacity {
        pending,
        edges,
        remote_per_interval,
        lanes: 1,
        lane_entries: 16,
        frames: 3,
    };
    Kernel::new(Cascade, world, capacity).unwrap()
}

fn edge(torus: Torus, cell: u32) -> Edge {
    Edge {
        to: Place { torus, cell },
        delay: 10,
    }
}

fn event(time: u64) -> TimedEvent {
    TimedEvent {
        time,
        dst: 0,
        src: Source::model(Torus::B, 0),
        payload: 0,
    }
}

/// Cell 0 sends to itself and to cell 1, which sends back: the number of events doubles.
fn doubling(pending: u32) -> Kernel<Cascade> {
    let mut kernel = kernel(pending, 16, 0);
    for (from, to) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        kernel.connect(from, edge(Torus::B, to)).unwrap();
    }
    kernel.schedule(event(3)).unwrap();
    kernel
}

#[test]
fn pending_events_beyond_the_capacity_stop_the_torus_at_their_tick() {
    let mut kernel = doubling(100);
    let error = kernel.run(1000, u64::MAX).unwrap_err();
    let KernelError::Capacity {
        what,
        torus,
        tick,
        capacity,
    } = error.clone()
    else {
        panic!("{error}")
    };
    assert_eq!((what, torus, capacity), (Resource::Pending, Torus::B, 100));
    assert_eq!(
        error.to_string(),
        format!(
            "torus B at tick {tick} needs more than 100 pending events; start, or resume from the last checkpoint, \
             with a larger --pending"
        )
    );
    assert_eq!(kernel.run(2000, u64::MAX), Err(error.clone()));

    // The same tick whatever the stretches, and just enough capacity passes it.
    let mut again = doubling(100);
    let stretched = loop {
        match again.run(1000, 1) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(stretched, error);
    let mut larger = doubling(1 << 16);
    larger.run(tick + 1, u64::MAX).unwrap();
    assert!(larger.pending() > 100);
    let mut exact = doubling(larger.pending() as u32);
    exact.run(tick + 1, u64::MAX).unwrap();
    assert_eq!(exact.state_digest(), larger.state_digest());
    let mut short = doubling(larger.pending() as u32 - 1);
    assert!(short.run(tick + 1, u64::MAX).is_err());
}

#[test]
fn a_state_from_before_the_error_goes_on_in_a_larger_torus_as_if_it_had_been_there_from_the_start() {
    let mut small = doubling(100);
    small.run(30, u64::MAX).unwrap();
    let mut words = Vec::new();
    small.save(&mut words);
    assert!(small.run(44, u64::MAX).is_err());

    let mut resumed = kernel(1 << 16, 16, 0);
    resumed.load(&words).unwrap();
    resumed.run(44, u64::MAX).unwrap();
    let mut straight = doubling(1 << 16);
    straight.run(44, u64::MAX).unwrap();
    assert_eq!(resumed.state_digest(), straight.state_digest());
    assert_eq!(resumed.history_digest(), straight.history_digest());

    // The torus that failed can be loaded again, and fails again.
    small.load(&words).unwrap();
    assert!(small.run(44, u64::MAX).is_err());
}

#[test]
fn events_to_a_peer_beyond_the_capacity_of_an_interval_stop_the_torus() {
    let mut kernel = kernel(64, 16, 4);
    kernel.connect(0, edge(Torus::C, 5)).unwrap();
    (0..4).for_each(|at| kernel.schedule(event(10 + at)).unwrap());
    kernel.begin_interval(2000, [false; 3]);
    kernel.run(1000, u64::MAX).unwrap();
    assert_eq!(kernel.remote(Torus::C).len(), 4);
    assert!(kernel.remote(Torus::A).is_empty());
    let arrival = kernel.remote(Torus::C)[0];
    assert_eq!(
        (arrival.time, arrival.dst, arrival.src),
        (2000, 5, Source::model(Torus::B, 0))
    );

    // The next interval has room again.
    kernel.begin_interval(3000, [false; 3]);
    (0..5).for_each(|at| kernel.schedule(event(1500 + at)).unwrap());
    let error = kernel.run(2000, u64::MAX).unwrap_err();
    let expected = KernelError::Capacity {
        what: Resource::RemotePerInterval,
        torus: Torus::B,
        tick: 1504,
        capacity: 4,
    };
    assert_eq!(error, expected);
    assert!(error.to_string().contains("--remote-per-interval"));
}

#[test]
fn edges_and_scheduled_events_beyond_the_capacity_are_refused_and_change_nothing() {
    let mut kernel = kernel(2, 2, 0);
    kernel.connect(0, edge(Torus::B, 1)).unwrap();
    kernel.connect(0, edge(Torus::B, 2)).unwrap();
    kernel.schedule(event(0)).unwrap();
    kernel.schedule(event(0)).unwrap();
    let before = kernel.state_digest();
    let error = kernel.connect(1, edge(Torus::B, 1)).unwrap_err();
    assert!(error.to_string().contains("--edges"), "{error}");
    assert!(
        kernel
            .schedule(event(7))
            .unwrap_err()
            .to_string()
            .contains("--pending")
    );
    assert_eq!(kernel.state_digest(), before);
    kernel
        .connect(
            0,
            Edge {
                delay: 3,
                ..edge(Torus::B, 1)
            },
        )
        .unwrap();
}

#[test]
fn what_does_not_fit_when_loading_is_named_with_its_option() {
    let mut kernel = kernel(8, 2, 0);
    kernel.connect(0, edge(Torus::B, 1)).unwrap();
    kernel.connect(0, edge(Torus::B, 2)).unwrap();
    (0..8).for_each(|_| kernel.schedule(event(9)).unwrap());
    let mut words = Vec::new();
    kernel.save(&mut words);
    let refused = |pending, edges| self::kernel(pending, edges, 0).load(&words).unwrap_err();
    let error = refused(7, 2);
    assert_eq!(
        error,
        LoadError::Capacity {
            what: Resource::Pending,
            torus: Torus::B,
            needed: 8,
            capacity: 7
        }
    );
    assert!(error.to_string().contains("--pending"));
    assert!(refused(8, 1).to_string().contains("--edges"));
}

#[test]
fn impossible_events_and_edges_are_refused() {
    let mut kernel = kernel(8, 8, 8);
    assert!(matches!(
        kernel.spawn(64, Default::default()),
        Err(KernelError::NoSuchCell { cell: 64, .. })
    ));
    assert!(matches!(
        kernel.connect(0, edge(Torus::B, 64)),
        Err(KernelError::NoSuchCell { .. })
    ));
    let no_delay = Edge {
        delay: 0,
        ..edge(Torus::B, 1)
    };
    assert!(matches!(
        kernel.connect(5, no_delay),
        Err(KernelError::NoDelay { cell: 5, .. })
    ));
    assert!(matches!(
        kernel.schedule(event(1 << 63)),
        Err(KernelError::TimeOverflow { .. })
    ));
    assert!(matches!(
        kernel.run(u64::MAX, 1),
        Err(KernelError::TimeOverflow { .. })
    ));
    kernel.schedule(event(50)).unwrap();
    kernel.run(60, u64::MAX).unwrap();
    assert!(matches!(
        kernel.schedule(event(49)),
        Err(KernelError::Past {
            time: 49,
            last_time: 50,
            ..
        })
    ));
    assert!(matches!(
        kernel.send_remote(Torus::B, event(0)),
        Err(KernelError::NoSuchPeer { .. })
    ));
    let alone = World {
        torus: Torus::A,
        tori: 1,
        ..*kernel.world()
    };
    let mut alone = Kernel::new(Cascade, alone, *kernel.capacity()).unwrap();
    assert!(matches!(
        alone.connect(0, edge(Torus::C, 1)),
        Err(KernelError::NoSuchPeer { .. })
    ));
    assert!(
        Kernel::new(
            Cascade,
            World {
                torus: Torus::C,
                ..*alone.world()
            },
            *kernel.capacity()
        )
        .is_err()
    );
}
