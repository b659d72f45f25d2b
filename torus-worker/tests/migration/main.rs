//! Processes that move: nothing is lost, doubled or reordered, whatever moves and when.

mod braid;
mod tokens;

use braid::Braid;
use proptest::prelude::*;
use shm_layout::config::RunConfig;
use shm_layout::record::{Source, SourceKind};
use shm_layout::torus::Torus;
use std::collections::BTreeMap;
use tokens::{Holder, PROCESSES, TOKENS, Tokens, amount, cell_of, number, token};
use torus_worker::kernel::{Edge, Place};
use torus_worker::model::Model;
use torus_worker::models::{Cascade, Heat, Phold};
use torus_worker::node::migrate::{Refusal, Result as End};

const INTERVAL: u64 = 8;

fn config<M: Model>(lag: u32, parameters: &[(&str, &str)]) -> RunConfig {
    let mut config = RunConfig::new("moving", M::NAME);
    config.parameters = parameters
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    config.sides = [4, 4, 4];
    config.interval = INTERVAL;
    config.lag = lag;
    config.tolerance = 8;
    config.capacity.pending = 4096;
    config.capacity.edges = 1024;
    config.capacity.remote_per_interval = 2048;
    config
}

fn script(lag: u32, text: &str) -> Braid<Cascade> {
    let mut config = config::<Cascade>(lag, &[]);
    config.script = Some(text.to_owned());
    Braid::new(config)
}

fn place(torus: Torus, cell: u32) -> Place {
    Place { torus, cell }
}

/// The tori of a process by its name, and what its edges lead to by name.
fn names(braid: &Braid<Tokens>) -> BTreeMap<u32, Vec<u32>> {
    let name = |place: &Place| {
        let process = braid.node(place.torus).kernel().process(place.cell);
        process
            .unwrap_or_else(|| panic!("nobody lives at {place:?}"))
            .name
    };
    let graph = braid.graph();
    graph
        .iter()
        .map(|(place, ends)| (name(place), ends.iter().map(name).collect()))
        .collect()
}

/// Every token exists once, every process exists once, and what they carry adds up to what there was.
fn nothing_is_lost(braid: &Braid<Tokens>) {
    let b = braid.boundary();
    let events = braid.events();
    let mut numbers: Vec<_> = events.iter().map(|event| number(event.payload)).collect();
    numbers.sort_unstable();
    assert!(
        numbers.into_iter().eq(0..3 * PROCESSES * TOKENS),
        "boundary {b}: tokens are lost or doubled"
    );
    let mut processes = braid.processes();
    processes.sort_unstable_by_key(|process| process.name);
    assert!(
        processes.iter().map(|process| process.name).eq(0..3 * PROCESSES),
        "boundary {b}: processes are lost or doubled"
    );
    let carried: i64 = events.iter().map(|event| amount(event.payload)).sum();
    let held: i64 = processes.iter().map(|process| process.amount).sum();
    let total = i64::from(3 * PROCESSES) * (1000 + 7 * i64::from(TOKENS));
    assert_eq!(carried + held, total, "boundary {b}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn whatever_moves_and_when_nothing_is_lost_doubled_or_cut_off(
        lag in 1..=4_u32,
        commands in prop::collection::vec((0..40_u64, 0..3_usize, 0..64_u32, 0..3_usize), 0..60),
    ) {
        let mut braid = Braid::<Tokens>::new(config::<Tokens>(lag, &[]));
        let at_first = names(&braid);
        for b in 0..40 {
            for (_, from, cell, to) in commands.iter().filter(|(at, ..)| *at == b) {
                braid.migrate(Torus::ALL[*from], *cell, Torus::ALL[*to]);
            }
            braid.step();
            nothing_is_lost(&braid);
        }
        while !braid.is_settled() {
            braid.step();
        }
        nothing_is_lost(&braid);
        prop_assert_eq!(names(&braid), at_first);
    }
}

#[test]
fn a_process_moves_with_its_state_edges_and_events_in_three_steps_of_the_lag() {
    for lag in [1, 2, 3] {
        let mut braid = Braid::<Tokens>::new(config::<Tokens>(lag, &[]));
        let cell = cell_of(3, 64);
        let ticket = braid.migrate(Torus::A, cell, Torus::B);
        let before = braid.node(Torus::A).kernel().out_degree(cell);
        braid.steps(2 * u64::from(lag));
        assert_eq!(braid.outcome(Torus::A, ticket), None, "not before boundary 2L");
        assert!(braid.node(Torus::A).kernel().process(cell).is_some());
        braid.step();
        let to = match braid.outcome(Torus::A, ticket).expect("it has left").result {
            End::Moves { to, arrives } => {
                assert_eq!(arrives, 3 * u64::from(lag));
                to
            }
            refused => panic!("{refused:?}"),
        };
        let kernel = braid.node(Torus::A).kernel();
        assert_eq!(kernel.process(cell), None);
        assert_eq!(kernel.out_degree(cell), 0);
        assert!(kernel.pending_events().iter().all(|event| event.dst != cell));
        braid.steps(u64::from(lag) - 1);
        assert_eq!(braid.node(Torus::B).kernel().process(to.cell), None);
        braid.step();
        let kernel = braid.node(Torus::B).kernel();
        assert_eq!(
            kernel.process(to.cell).map(|process: &Holder| process.name),
            Some(3)
        );
        assert_eq!(kernel.out_degree(to.cell), before);
        assert!(braid.is_settled());
        let moved = |torus: Torus, peer| braid.node(torus).migrations().tally(peer);
        assert_eq!(moved(Torus::A, Torus::B).moved_out, 1);
        assert_eq!(moved(Torus::B, Torus::A).moved_in, 1);
    }
}

#[test]
fn the_place_is_the_same_cell_if_it_is_free_and_else_the_next_and_home_again_the_old_one() {
    let mut braid = script(
        2,
        "process A:0 1 0\nprocess A:2 2 2\nprocess B:0 1 0\nedge B:1 1 1 B:0 1 1 5\ninject B:0 1 2 B:0 0 0 1\n",
    );
    let lattice = braid.node(Torus::A).kernel().world().lattice;
    let (busy, same) = (lattice.cell(0, 1, 0), lattice.cell(2, 2, 2));
    let first = braid.migrate(Torus::A, busy, Torus::B);
    let second = braid.migrate(Torus::A, same, Torus::B);
    braid.steps(7);
    let moved = |braid: &Braid<Cascade>, torus, ticket| match braid.outcome(torus, ticket).map(|o| o.result) {
        Some(End::Moves { to, .. }) => to,
        other => panic!("{other:?}"),
    };
    // (0,1,0) has a process and an edge leads to (0,1,1); what was pending at (0,1,2) has been executed.
    let next = place(Torus::B, lattice.cell(0, 1, 2));
    assert_eq!(moved(&braid, Torus::A, first), next);
    assert_eq!(moved(&braid, Torus::A, second), place(Torus::B, same));
    let home = braid.migrate(Torus::B, next.cell, Torus::A);
    let on = braid.migrate(Torus::B, same, Torus::C);
    braid.steps(7);
    assert_eq!(moved(&braid, Torus::B, home), place(Torus::A, busy));
    assert_eq!(moved(&braid, Torus::B, on), place(Torus::C, same));
    assert_eq!(
        braid.node(Torus::A).migrations().forwards(),
        [(same, place(Torus::C, same))],
        "the way home no longer forwards, and the other knows the newest place"
    );
    assert_eq!(braid.node(Torus::B).migrations().forwards().len(), 2);
}

#[test]
fn events_for_the_old_place_are_executed_at_the_later_of_their_time_and_their_arrival() {
    let lag = 2;
    let mut braid = script(lag, "process A:2 2 2\n");
    let cell = braid.node(Torus::A).kernel().world().lattice.cell(2, 2, 2);
    braid.inject(Torus::A, cell, 21, 1);
    braid.inject(Torus::A, cell, 500, 2);
    braid.migrate(Torus::A, cell, Torus::B);
    braid.steps(4);
    let times = |braid: &Braid<Cascade>| {
        let mut found: Vec<_> = braid.events().iter().map(|e| (e.payload, e.time)).collect();
        found.sort_unstable();
        found
    };
    assert_eq!(
        times(&braid),
        [(2, 500)],
        "payload 1 was executed at home, at tick 21"
    );
    // It leaves at boundary 4, and arrives at boundary 6.
    braid.inject(Torus::A, cell, 0, 3);
    braid.inject(Torus::B, cell, 0, 4);
    braid.inject(Torus::A, cell, 77, 5);
    braid.step();
    assert_eq!(
        times(&braid),
        [(2, 500), (3, 6 * INTERVAL), (4, 4 * INTERVAL), (5, 77)],
        "at B an event waits in the reserved place"
    );
    braid.steps(2);
    let holder = braid
        .node(Torus::B)
        .kernel()
        .process(cell)
        .expect("it has arrived");
    assert_eq!(holder.handled, 3, "payloads 1, 3 and 4");
    assert_eq!(times(&braid), [(2, 500), (5, 77)]);
    // Long after, the old place still forwards: boundary 7 + L.
    braid.inject(Torus::A, cell, 0, 6);
    braid.step();
    assert!(times(&braid).contains(&(6, 9 * INTERVAL)));
    assert_eq!(braid.node(Torus::A).migrations().tally(Torus::B).forwarded, 3);
}

#[test]
fn edges_follow_the_process_on_all_tori_and_become_local_where_it_lives() {
    let mut braid = script(
        2,
        "process A:2 2 2\nprocess A:1 1 1\nprocess B:1 1 1\nprocess C:1 1 1\n\
         edge A:1 1 1 A:2 2 2 3\nedge B:1 1 1 A:2 2 2 3\nedge C:1 1 1 A:2 2 2 3\n\
         edge A:2 2 2 A:2 2 2 9\nedge A:2 2 2 B:1 1 1 4\nedge A:2 2 2 A:1 1 1 5\n",
    );
    let lattice = braid.node(Torus::A).kernel().world().lattice;
    let (old, other) = (lattice.cell(2, 2, 2), lattice.cell(1, 1, 1));
    braid.migrate(Torus::A, old, Torus::B);
    braid.steps(7);
    let new = place(Torus::B, old);
    for torus in Torus::ALL {
        let edge = braid.node(torus).kernel().edge(other, 0);
        assert_eq!(edge, Some(Edge { to: new, delay: 3 }), "torus {torus}");
    }
    let kernel = braid.node(Torus::B).kernel();
    let edges: Vec<_> = (0..3).filter_map(|index| kernel.edge(old, index)).collect();
    let expected = [(new, 9), (place(Torus::B, other), 4), (place(Torus::A, other), 5)];
    assert_eq!(edges, expected.map(|(to, delay)| Edge { to, delay }));
}

#[test]
fn what_cannot_move_is_refused_with_the_reason() {
    let mut braid = script(1, "process A:1 1 1\nprocess A:2 2 2\n");
    let lattice = braid.node(Torus::A).kernel().world().lattice;
    let (first, second, empty) = (
        lattice.cell(1, 1, 1),
        lattice.cell(2, 2, 2),
        lattice.cell(3, 3, 3),
    );
    let moves = braid.migrate(Torus::A, first, Torus::B);
    let cases = [
        (braid.migrate(Torus::A, empty, Torus::B), Refusal::NoProcess),
        (braid.migrate(Torus::A, second, Torus::A), Refusal::NoSuchTorus),
        (braid.migrate(Torus::A, first, Torus::C), Refusal::Moving),
    ];
    braid.step();
    for (ticket, refusal) in cases {
        let outcome = braid.outcome(Torus::A, ticket).map(|outcome| outcome.result);
        assert_eq!(outcome, Some(End::Refused(refusal)));
    }
    braid.steps(3);
    assert!(matches!(
        braid.outcome(Torus::A, moves).map(|outcome| outcome.result),
        Some(End::Moves { .. })
    ));
    let away = braid.migrate(Torus::A, first, Torus::B);
    braid.step();
    let result = braid.outcome(Torus::A, away).map(|outcome| outcome.result);
    assert_eq!(result, Some(End::Refused(Refusal::MovedAway)));
    assert_eq!(braid.node(Torus::A).migrations().tally(Torus::B).refused, 2);
}

#[test]
fn a_full_torus_has_no_place_and_a_coupled_face_stays() {
    let mut full = Braid::<Phold>::new(config::<Phold>(1, &[]));
    let ticket = full.migrate(Torus::A, 40, Torus::B);
    full.steps(3);
    let result = full.outcome(Torus::A, ticket).map(|outcome| outcome.result);
    assert_eq!(result, Some(End::Refused(Refusal::NoPlace)));
    let mut coupled = Braid::<Heat>::new(config::<Heat>(1, &[]));
    let ticket = coupled.migrate(Torus::A, 3, Torus::B);
    coupled.step();
    let result = coupled.outcome(Torus::A, ticket).map(|outcome| outcome.result);
    assert_eq!(result, Some(End::Refused(Refusal::Face)));
}

#[test]
fn a_process_that_takes_too_much_with_it_stays() {
    let mut braid = script(1, "process A:2 2 2\n");
    let cell = braid.node(Torus::A).kernel().world().lattice.cell(2, 2, 2);
    (0..600).for_each(|payload| braid.inject(Torus::A, cell, 1 << 20, payload));
    let ticket = braid.migrate(Torus::A, cell, Torus::C);
    braid.steps(3);
    let result = braid.outcome(Torus::A, ticket).map(|outcome| outcome.result);
    assert_eq!(result, Some(End::Refused(Refusal::TooLarge)));
    assert_eq!(braid.events().len(), 600);
    braid.step();
    assert!(braid.is_settled(), "the place that was reserved is free again");
}

#[test]
fn an_event_that_waited_for_a_process_which_stays_is_executed_where_it_waited() {
    let mut braid = script(1, "process A:2 2 2\n");
    let cell = braid.node(Torus::A).kernel().world().lattice.cell(2, 2, 2);
    (0..600).for_each(|payload| braid.inject(Torus::A, cell, 1 << 20, payload));
    braid.migrate(Torus::A, cell, Torus::C);
    braid.steps(2);
    braid.inject(Torus::C, cell, 0, 9);
    braid.step();
    let waits = |braid: &Braid<Cascade>| braid.node(Torus::C).kernel().pending();
    assert_eq!((waits(&braid), braid.node(Torus::C).kernel().events()), (1, 0));
    braid.step();
    assert_eq!((waits(&braid), braid.node(Torus::C).kernel().events()), (0, 1));
}

#[test]
fn an_edge_that_arrives_after_its_end_has_left_does_not_lead_into_the_void() {
    // X leaves B for A while Y leaves A for C, at all distances: X's edge to Y is on its way when Y goes.
    for lag in [1, 2, 3] {
        for apart in 0..4 * u64::from(lag) {
            for (first, second) in [((Torus::B, 1), (Torus::A, 2)), ((Torus::A, 2), (Torus::B, 1))] {
                let mut braid = script(
                    lag,
                    "process B:0 0 1\nprocess A:0 0 2\nedge B:0 0 1 A:0 0 2 1\nedge A:0 0 2 B:0 0 1 1\n",
                );
                let target = |torus| if torus == Torus::B { Torus::A } else { Torus::C };
                braid.migrate(first.0, first.1, target(first.0));
                braid.steps(apart);
                braid.migrate(second.0, second.1, target(second.0));
                braid.steps(6 * u64::from(lag) + 1);
                let (x, y) = (
                    braid.resolve(place(Torus::B, 1)),
                    braid.resolve(place(Torus::A, 2)),
                );
                assert_eq!((x.torus, y.torus), (Torus::A, Torus::C));
                assert_eq!(braid.graph(), BTreeMap::from([(x, vec![y]), (y, vec![x])]));
                let local = braid.node(Torus::A).kernel().edge(x.cell, 0).expect("an edge");
                assert_ne!(
                    local.to.torus,
                    Torus::A,
                    "no event for the old place can enter the wheel"
                );
            }
        }
    }
}

#[test]
fn a_token_from_outside_counts_wherever_its_process_has_gone() {
    let mut braid = Braid::<Tokens>::new(config::<Tokens>(2, &[]));
    let cell = cell_of(5, 64);
    let route = [Torus::B, Torus::C, Torus::A, Torus::C];
    let mut at = place(Torus::A, cell);
    for to in route {
        let ticket = braid.migrate(at.torus, at.cell, to);
        braid.steps(7);
        let result = braid.outcome(at.torus, ticket).expect("an outcome").result;
        let End::Moves { to, .. } = result else {
            panic!("{result:?}")
        };
        at = to;
    }
    let seen = |braid: &Braid<Tokens>| braid.node(at.torus).kernel().process(at.cell).map(|p| p.seen);
    assert!(seen(&braid).is_some());
    let stray = token(9999, 0);
    braid.inject(Torus::A, cell, 0, stray);
    braid.step();
    let event = braid
        .events()
        .into_iter()
        .find(|event| event.payload == stray)
        .expect("on its way");
    assert_eq!(event.src, Source::new(SourceKind::Injected, Torus::A, cell));
    assert_eq!(event.dst, at.cell, "the old place knows the newest one");
}

/// Pending events of each torus, and how many processes have moved from it.
fn load(braid: &Braid<Phold>) -> ([u64; 3], [u64; 3]) {
    let moved = |torus: Torus| {
        let migrations = braid.node(torus).migrations();
        torus.peers(3).map(|peer| migrations.tally(peer).moved_out).sum()
    };
    let pending = Torus::ALL.map(|torus| braid.node(torus).kernel().pending());
    (pending, Torus::ALL.map(moved))
}

#[test]
fn a_load_that_lies_on_one_torus_is_spread_and_then_nothing_moves_any_more() {
    for lag in [1, 2, 3] {
        let parameters = [("occupied", "512"), ("population", "1024"), ("skew", "6")];
        let mut config = config::<Phold>(lag, &parameters);
        config.sides = [16, 16, 8];
        config.interval = 400;
        config.capacity.pending = 1 << 14;
        config.capacity.edges = 1 << 13;
        config.capacity.remote_per_interval = 1 << 13;
        config.balance_percent = Some(30);
        let mut braid = Braid::<Phold>::new(config);
        assert_eq!(load(&braid).0, [6144, 1024, 1024]);
        braid.steps(150);
        let (pending, moved) = load(&braid);
        let (most, least) = (pending.iter().max(), pending.iter().min());
        assert!(
            most.zip(least)
                .is_some_and(|(most, least)| (most - least) * 100 <= most * 40),
            "lag {lag}: {pending:?}"
        );
        assert!(
            moved[0] > 0 && moved.iter().sum::<u64>() < 100,
            "lag {lag}: {moved:?}"
        );
        braid.steps(100);
        assert_eq!(load(&braid).1, moved, "lag {lag}: it has come to rest");
        assert_eq!(braid.events().len(), 8 * 1024);
    }
}

#[test]
fn without_balance_nothing_moves() {
    let mut braid = Braid::<Phold>::new(config::<Phold>(1, &[("occupied", "32"), ("skew", "9")]));
    braid.steps(60);
    assert_eq!(load(&braid).1, [0; 3]);
}
