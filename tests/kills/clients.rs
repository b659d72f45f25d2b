//! Clients that inject from outside while a run is hunted, are killed themselves, and are audited afterwards.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use shm_layout::names::journal_path;
use shm_layout::segment::SegmentFile;
use torus_worker::journal::{FileJournal, Record};
use torus_worker::kernel::Lattice;

use crate::support::{PATIENCE, Random, Run, Torus, until};

/// Payloads of one client's events are its number times this, plus 1, 2, 3 and so on: small, as `heat` counts them.
const PAYLOADS: i64 = 100_000;
/// In percent, how often a client is killed in the middle of an injection.
const DEATHS: u64 = 15;
/// Longest time that such a client lives.
const LIFE: Duration = Duration::from_millis(6);

/// An event as the journals or a client know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Injected {
    torus: Torus,
    cell: u32,
    /// The boundary that took it in; unknown to a client that died before it was told.
    boundary: Option<u64>,
}

/// Three clients with a name, one for each torus. They inject at the inlets of `braided-rings.scenario` and beside them.
pub struct Clients<'r> {
    run: &'r Run,
    clients: Vec<Mutex<Client<'r>>>,
    over: AtomicBool,
}

struct Client<'r> {
    run: &'r Run,
    name: String,
    torus: Torus,
    lattice: Lattice,
    first_payload: i64,
    random: Random,
    /// What is committed, in order.
    done: Vec<Injected>,
}

impl<'r> Clients<'r> {
    /// Clients of a run.
    pub fn new(run: &'r Run, random: &mut Random) -> Self {
        let file = SegmentFile::open(run.segment()).expect("the segment of a running run");
        let lattice = Lattice::new(file.config().sides).expect("the sides of a running run");
        let client = |torus: &Torus| Client {
            run,
            name: format!("client-{torus}"),
            torus: *torus,
            lattice,
            first_payload: PAYLOADS * torus.index() as i64 + 1,
            random: random.fork(),
            done: Vec::new(),
        };
        let clients = Torus::ALL.iter().map(client).map(Mutex::new).collect();
        Clients {
            run,
            clients,
            over: AtomicBool::new(false),
        }
    }

    /// Injects all the while that `action` takes.
    pub fn inject_during(&self, action: impl FnOnce()) {
        std::thread::scope(|scope| {
            // Dropped also when `action` panics: the clients end, and the scope with them.
            let _end = Ender(&self.over);
            for client in &self.clients {
                let over = &self.over;
                scope.spawn(move || client.lock().expect("one thread per client").inject_until(over));
            }
            action();
        });
    }

    /// Holds the journals of the run, which is over, against what the clients know.
    pub fn assert_each_event_counted_once(self) {
        let taken_in = taken_in(self.run);
        let clients: Vec<Client> = self
            .clients
            .into_iter()
            .map(|c| c.into_inner().expect("no panic"))
            .collect();
        let known: usize = clients.iter().map(|client| client.done.len()).sum();
        assert!(known >= 10, "only {known} events were injected");
        assert_eq!(
            taken_in.values().map(Vec::len).sum::<usize>(),
            known,
            "events in the journals and known to clients"
        );
        for client in &clients {
            for (payload, known) in (client.first_payload..).zip(&client.done) {
                let found = taken_in.get(&payload).map_or(&[][..], Vec::as_slice);
                let [found] = found else {
                    panic!("{} {payload}: {known:?} was taken in as {found:?}", client.name)
                };
                let known = Injected {
                    boundary: known.boundary.or(found.boundary),
                    ..*known
                };
                assert_eq!(*found, known, "{} {payload}", client.name);
            }
        }
    }
}

struct Ender<'a>(&'a AtomicBool);

impl Drop for Ender<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Client<'_> {
    fn inject_until(&mut self, over: &AtomicBool) {
        while !over.load(Ordering::Relaxed) {
            let xyz = [self.random.below(2), 5 + self.random.below(2), 0];
            let payload = self.first_payload + self.done.len() as i64;
            match self.try_to_inject(xyz, payload) {
                Some(boundary) => self.note(xyz, Some(boundary)),
                None => {
                    if self.committed() > self.done.len() as u64 {
                        self.note(xyz, None);
                    }
                }
            }
        }
    }

    /// One injection; the boundary, unless the client was killed or the run died under it.
    fn try_to_inject(&mut self, [x, y, z]: [u64; 3], payload: i64) -> Option<u64> {
        let (torus, payload) = (self.torus.letter().to_string(), payload.to_string());
        let cell = format!("{x},{y},{z}");
        let arguments = [
            &torus,
            &cell,
            "--payload",
            &payload,
            "--client",
            &self.name,
            "--json",
        ];
        let command = self.run.command("inject", &arguments);
        let mut limit = PATIENCE;
        if self.random.chance(DEATHS) {
            limit = Duration::from_micros(self.random.below(LIFE.as_micros() as u64));
        }
        let answer = self.run.execute_within(limit, command).ok()?;
        // 3: nobody lives, until the hunter resumes the run.
        assert!(matches!(answer.code(), Some(0 | 3)), "{answer}");
        let told = (answer.code() == Some(0)).then(|| answer.json())?;
        let (committed, pushed) = (self.done.len() as u64 + 1, &told["pushed"]);
        assert_eq!(
            (told["committed"].as_u64(), pushed.as_u64()),
            (Some(committed), Some(committed)),
            "{answer}"
        );
        told["boundary"].as_u64()
    }

    /// How many of the client's events are committed, once none is on its way.
    fn committed(&self) -> u64 {
        let torus = self.torus.letter().to_string();
        let arguments = [&torus, "--client", &self.name, "--count-only", "--json"];
        until("the client can ask what is committed", || {
            let answer = self.run.braid("inject", &arguments);
            assert!(matches!(answer.code(), Some(0 | 3)), "{answer}");
            let told = (answer.code() == Some(0)).then(|| answer.json())?;
            told["committed"].as_u64()
        })
    }

    fn note(&mut self, [x, y, z]: [u64; 3], boundary: Option<u64>) {
        let cell = self.lattice.cell(x as i64, y as i64, z as i64);
        self.done.push(Injected {
            torus: self.torus,
            cell,
            boundary,
        });
    }
}

/// All injected events that the journals hold, by payload.
fn taken_in(run: &Run) -> BTreeMap<i64, Vec<Injected>> {
    let file = SegmentFile::open(run.segment()).expect("the segment of a run that is over");
    let mut found: BTreeMap<i64, Vec<Injected>> = BTreeMap::new();
    for torus in Torus::ALL {
        let path = journal_path(file.config(), torus);
        for record in FileJournal::read(&path, file.config(), torus).expect("a whole journal") {
            let Record::Intake {
                boundary, injected, ..
            } = record
            else {
                continue;
            };
            for entry in injected.iter().map(|injection| injection.entry) {
                let injected = Injected {
                    torus,
                    cell: entry.dst,
                    boundary: Some(boundary),
                };
                found.entry(entry.payload).or_default().push(injected);
            }
        }
    }
    found
}
