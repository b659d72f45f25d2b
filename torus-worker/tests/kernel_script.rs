//! Scripts as the set-up of a run, and on their own.

use shm_layout::config::Capacity;
use shm_layout::record::Source;
use shm_layout::torus::Torus;
use torus_worker::kernel::{Edge, Kernel, Lattice, Place, World};
use torus_worker::models::Cascade;
use torus_worker::script::{Script, run_script};

const BRAID: &str = "\
# a chain from A over B back to A
process 0 0 0
process B:1 2 3
edge A:0 0 0  B:1 2 -29  5

edge B:1 2 3  -32 0 0  7
inject 0 0 0  31 31 31  9
inject B:1 2 3  B:4 5 6  -1
inject B:1 2 3  4 5 7  -1
";

fn kernel(torus: Torus) -> Kernel<Cascade> {
    let lattice = Lattice::new([32; 3]).unwrap();
    let world = World {
        torus,
        tori: 3,
        lattice,
        interval: 1000,
        lag: 1,
        seed: 0,
    };
    Kernel::new(Cascade, world, Capacity::default()).unwrap()
}

#[test]
fn each_torus_takes_its_own_lines_of_a_script() {
    let script = Script::parse("braid.txt", BRAID).unwrap();
    let [mut a, mut b, mut c] = Torus::ALL.map(kernel);
    for kernel in [&mut a, &mut b, &mut c] {
        script.apply(kernel).unwrap();
    }
    let node = 1024 + 64 + 3;
    assert_eq!(
        a.edge(0, 0),
        Some(Edge {
            to: Place {
                torus: Torus::B,
                cell: node
            },
            delay: 5
        })
    );
    assert_eq!(
        b.edge(node, 0),
        Some(Edge {
            to: Place {
                torus: Torus::A,
                cell: 0
            },
            delay: 7
        })
    );
    assert_eq!((a.active(), a.edges(), a.pending()), (1, 1, 1));
    assert_eq!((b.active(), b.edges(), b.pending()), (1, 1, 2));
    assert_eq!((c.active(), c.edges(), c.pending()), (0, 0, 0));
    assert_eq!(a.pending_events()[0].src, Source::model(Torus::A, 32767));
    assert_eq!((script.edges(Torus::A), script.injections(Torus::B)), (1, 2));
}

#[test]
fn what_only_run_script_knows_is_refused_at_start_with_its_line() {
    let refused = |text: &str, tori| {
        Script::parse("dir/s.txt", text)
            .unwrap()
            .check_for_start(tori)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refused("process 1 2 3\n\nrun_until 5", 3),
        "dir/s.txt:3: `run_until` cannot be used with `start`, which sets its end by --until; remove the line"
    );
    assert!(refused("dump", 3).starts_with("dir/s.txt:1: `dump`"));
    assert_eq!(
        refused("process 1 2 3\nedge 1 2 3 C:1 2 3 4", 1),
        "dir/s.txt:2: there is no torus C in a run with --tori 1"
    );
    assert!(
        Script::parse("braid.txt", BRAID)
            .unwrap()
            .check_for_start(3)
            .is_ok()
    );
}

#[test]
fn what_the_torus_refuses_names_the_line() {
    let text = "inject 0 0 0 0 0 0 1\n".repeat(3);
    let script = Script::parse("many.txt", &text).unwrap();
    let error = run_script(&script, [4; 3], 2, Vec::new())
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("many.txt:3: torus A at tick 0 needs more than 2 pending events"),
        "{error}"
    );

    let growing =
        "edge 0 0 0 0 0 0 1\nedge 0 0 0 1 0 0 1\nedge 1 0 0 0 0 0 1\ninject 0 0 0 0 0 0 1\nrun_until 99\n";
    let script = Script::parse("growing.txt", growing).unwrap();
    let error = run_script(&script, [4; 3], 10, Vec::new())
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("growing.txt:5: torus A at tick "), "{error}");

    let script = Script::parse("b.txt", "process B:0 0 0").unwrap();
    assert!(
        run_script(&script, [4; 3], 10, Vec::new())
            .unwrap_err()
            .to_string()
            .starts_with("b.txt:1: ")
    );
    let script = Script::parse("empty.txt", "").unwrap();
    assert!(
        run_script(&script, [4, 4, 5], 10, Vec::new())
            .unwrap_err()
            .to_string()
            .contains("power of two")
    );
}

#[test]
fn an_edge_that_exists_keeps_its_place_in_the_dump() {
    let text = "edge 0 0 0 1 0 0 5\nedge 2 0 0 0 0 0 6\nedge 0 0 0 4 0 0 7\nedge 0 0 0 5 0 0 9\ndump\n";
    // On sides of 4 the third edge is the one from cell 0 to itself, the last the first one again.
    let mut out = Vec::new();
    run_script(&Script::parse("s", text).unwrap(), [4; 3], 10, &mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    let delays: Vec<_> = out.lines().filter(|line| line.starts_with("edge ")).collect();
    assert_eq!(delays, ["edge 0 delay 9", "edge 1 delay 6", "edge 2 delay 7"]);
}
