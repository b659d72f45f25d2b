//! Segments as files: creating, attaching, locking, waiting, removing, and every way in which that is refused.
#![allow(missing_docs, reason = "a test")]

mod common;

use common::{CHILD, Folder, child, config, eventually, folder};
use shm_layout::frame::Frame;
use shm_layout::layout::LAYOUT_VERSION;
use shm_layout::segment::{self, Draft, HeapSegment, LockByte, SegmentError, SegmentFile, temporary_path};
use shm_layout::sys::futex::{Woken, wait_any};
use shm_layout::torus::Torus;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

fn frame(torus: Torus, interval: u64) -> Frame {
    let mut frame = Frame::new(16);
    frame.set_torus(torus);
    frame.set_interval(interval);
    frame.set_events(100 + interval);
    frame.seal();
    frame
}

fn error(path: &Path) -> SegmentError {
    let error = SegmentFile::open(path).expect_err("refused");
    let text = error.to_string();
    assert!(text.contains(&path.display().to_string()), "{text}");
    error
}

fn overwrite(path: &Path, offset: u64, bytes: &[u8]) {
    let file = OpenOptions::new().write(true).open(path).expect("ours");
    file.write_all_at(bytes, offset).expect("written");
}

#[test]
fn a_created_segment_is_whole_private_and_allocated_in_full() {
    for base in [std::env::temp_dir(), PathBuf::from("/dev/shm")] {
        let folder = Folder::new(&base, "create");
        let path = folder.path("segment");
        let created = SegmentFile::create(&path, &config()).expect("created");
        assert!(created.holds(LockByte::Run));
        assert!(created.allocated_bytes().expect("stat") >= created.layout().total_bytes());
        assert_eq!(folder.files(), ["segment"]);
        let opened = SegmentFile::open(&path).expect("whole");
        assert_eq!((opened.config(), opened.layout()), (&config(), created.layout()));
        assert_eq!(
            (opened.header().run_id, opened.header()),
            (4711, created.header())
        );
        assert_eq!(fs::metadata(&path).expect("there").mode() & 0o777, 0o600);
    }
}

#[test]
fn a_posix_shared_memory_object_is_created_found_and_removed() {
    let path = PathBuf::from(format!("/dev/shm/braid-test-posix-{}", std::process::id()));
    let _ = fs::remove_file(&path);
    let created = SegmentFile::create(&path, &config()).expect("created");
    assert_eq!(fs::metadata(&path).expect("there").mode() & 0o777, 0o600);
    assert!(created.allocated_bytes().expect("stat") >= created.layout().total_bytes());
    assert!(
        SegmentFile::open(&path).is_ok(),
        "it outlives the creator's own mapping"
    );
    created.remove().expect("removed");
    assert!(matches!(error(&path), SegmentError::NotFound { .. }));
}

#[test]
fn what_one_mapping_writes_the_others_see_and_the_heap_has_at_the_same_place() {
    let folder = folder("views");
    let path = folder.path("segment");
    let file = SegmentFile::create(&path, &config()).expect("created");
    let (worker, peer, reader) = (
        file.map_worker_with(Torus::B, true).expect("mapped"),
        SegmentFile::open(&path)
            .expect("whole")
            .map_worker(Torus::A)
            .expect("mapped"),
        file.map_reader().expect("mapped"),
    );
    let (worker, peer, reader) = (worker.views(), peer.views(), reader.views());
    worker.own.ring.write(&frame(Torus::B, 0));
    worker.own.ring.commit(0);
    worker.own.status.set_events(77);
    let mut copy = Frame::new(16);
    let seen = peer.peers[1].as_ref().expect("a peer");
    assert_eq!(seen.ring.read(Torus::B, 0, &mut copy), Ok(()));
    assert_eq!((copy.events(), seen.status.events()), (100, 77));
    assert_eq!(reader.regions[1].ring.head(), 1);
    assert!(peer.peers[0].is_none() && peer.own.strands[0].is_none() && peer.own.strands[2].is_some());
    assert_eq!((peer.lanes.len(), peer.torus), (2, Torus::A));

    let heap = HeapSegment::new(&config()).expect("valid");
    let twin = heap.worker(Torus::B).expect("three tori");
    twin.own.ring.write(&frame(Torus::B, 0));
    twin.own.ring.commit(0);
    let ring = heap.layout().region(Torus::B).expect("there").ring;
    let bytes = fs::read(&path).expect("ours");
    let of_file = &bytes[ring.offset as usize..ring.end() as usize];
    let words = heap.snapshot();
    let of_heap = &words[ring.offset as usize / 8..ring.end() as usize / 8];
    assert!(
        of_heap
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .eq(of_file.iter().copied())
    );
}

#[test]
fn a_run_of_one_torus_has_no_peers() {
    let mut config = config();
    config.tori = 1;
    let heap = HeapSegment::new(&config).expect("valid");
    assert!(heap.worker(Torus::B).is_none());
    let worker = heap.worker(Torus::A).expect("there");
    assert!(worker.peers.iter().all(Option::is_none));
    assert!(worker.own.logs.iter().all(Option::is_none));
    let folder = folder("one");
    let file = SegmentFile::create(&folder.path("segment"), &config).expect("created");
    assert!(matches!(
        file.map_worker(Torus::C),
        Err(SegmentError::NoSuchPart { .. })
    ));
    assert!(matches!(file.map_lane(2), Err(SegmentError::NoSuchPart { .. })));
    assert!(matches!(
        file.try_lock(LockByte::Lane(2)),
        Err(SegmentError::NoSuchPart { .. })
    ));
}

#[test]
fn what_stands_there_instead_of_a_segment_is_named() {
    let folder = folder("foreign");
    assert!(matches!(
        error(&folder.path("nothing")),
        SegmentError::NotFound { .. }
    ));
    assert!(matches!(error(&folder.0), SegmentError::NotASegment { .. }));
    for (name, content) in [
        ("empty", vec![]),
        ("text", b"to be or not to be".to_vec()),
        ("zeros", vec![0; 9000]),
    ] {
        fs::write(folder.path(name), content).expect("written");
        assert!(
            matches!(error(&folder.path(name)), SegmentError::NotASegment { .. }),
            "{name}"
        );
    }
    assert!(matches!(
        SegmentFile::open(Path::new("/dev/null")),
        Err(SegmentError::NotASegment { .. })
    ));
}

#[test]
fn a_damaged_segment_is_refused_with_the_part_that_is_damaged() {
    let folder = folder("damaged");
    let path = folder.path("segment");
    let damaged = |offset: u64, bytes: &[u8]| {
        let _ = fs::remove_file(&path);
        drop(SegmentFile::create(&path, &config()).expect("created"));
        overwrite(&path, offset, bytes);
        error(&path)
    };
    let config_offset = SegmentFile::create(&path, &config())
        .expect("created")
        .layout()
        .config
        .offset;
    assert!(matches!(damaged(0, &[0; 8]), SegmentError::Unfinished { .. }));
    let other = damaged(8, &(LAYOUT_VERSION + 1).to_le_bytes());
    assert!(matches!(other, SegmentError::OtherVersion { found, needed, .. } if found == needed + 1));
    assert!(matches!(
        damaged(24, &[9]),
        SegmentError::Corrupt { what: "header", .. }
    ));
    assert!(matches!(
        damaged(config_offset + 3, &[0xff]),
        SegmentError::Corrupt {
            what: "configuration",
            ..
        }
    ));
    drop(OpenOptions::new().write(true).open(&path).expect("ours"));
    for length in [0, 4, 100, 4096, 100_000] {
        let _ = fs::remove_file(&path);
        let total = SegmentFile::create(&path, &config())
            .expect("created")
            .layout()
            .total_bytes();
        OpenOptions::new()
            .write(true)
            .open(&path)
            .expect("ours")
            .set_len(length)
            .expect("cut");
        match error(&path) {
            SegmentError::NotASegment { .. } => assert!(length < 16),
            SegmentError::Truncated { expected, found, .. } => {
                assert_eq!(
                    (found, expected),
                    (length, if length < 4096 { 4096 } else { total })
                );
            }
            other => panic!("{length}: {other}"),
        }
    }
}

#[test]
fn a_segment_of_another_user_is_a_permission_error() {
    if let Some(path) = std::env::var_os(CHILD) {
        assert!(matches!(error(Path::new(&path)), SegmentError::Permission { .. }));
        println!("refused");
        return;
    }
    let folder = folder("permission");
    let path = folder.path("segment");
    drop(SegmentFile::create(&path, &config()).expect("created"));
    if nix::unistd::geteuid().is_root() {
        let mut command = child("a_segment_of_another_user_is_a_permission_error", &path);
        match command.uid(65534).gid(65534).output() {
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stdout);
                assert!(output.status.success() && text.contains("refused"), "{output:?}");
            }
            Err(error) => println!("skipped: another user cannot run this binary ({error})"),
        }
    } else {
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("ours");
        assert!(matches!(error(&path), SegmentError::Permission { .. }));
    }
}

#[test]
fn a_full_tmpfs_is_an_error_at_creation_and_leaves_nothing() {
    let folder = folder("full");
    if let Err(reason) = mount_small_tmpfs(&folder.0) {
        println!("skipped: no private mount namespace ({reason})");
        return;
    }
    let path = folder.path("segment");
    let mut large = config();
    large.checkpoint_bytes = 1 << 20;
    let refused = SegmentFile::create(&path, &large).expect_err("12 MiB into 2 MiB");
    let text = refused.to_string();
    let SegmentError::NoSpace {
        needed, available, ..
    } = refused
    else {
        panic!("{text}")
    };
    assert!(needed > 12 << 20 && available <= 2 << 20, "{text}");
    assert!(text.contains("MiB") && text.contains("--segment"), "{text}");
    assert_eq!(folder.files(), [""; 0]);
    let small = SegmentFile::create(&path, &config()).expect("this one fits");
    let second = SegmentFile::create(&folder.path("second"), &config());
    assert!(matches!(second, Err(SegmentError::NoSpace { .. })), "{second:?}");
    assert_eq!(folder.files(), ["segment"]);
    drop(small);
    nix::mount::umount2(&folder.0, nix::mount::MntFlags::MNT_DETACH).expect("mounted above");
}

/// Mounts a tmpfs of 2 MiB that only this thread sees.
fn mount_small_tmpfs(at: &Path) -> Result<(), nix::errno::Errno> {
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )?;
    mount(
        Some("tmpfs"),
        at,
        Some("tmpfs"),
        MsFlags::empty(),
        Some("size=2m"),
    )
}

#[test]
fn a_name_that_is_taken_is_not_overwritten_and_a_dropped_draft_leaves_nothing() {
    let folder = folder("taken");
    let path = folder.path("segment");
    let first = SegmentFile::create(&path, &config()).expect("created");
    assert!(matches!(
        SegmentFile::create(&path, &config()),
        Err(SegmentError::AlreadyExists { .. })
    ));
    assert!(first.is_current());
    let draft = Draft::create(&path, &config()).expect("beside");
    assert_eq!(
        folder.files(),
        [
            "segment".to_owned(),
            format!("segment.new-{}", std::process::id())
        ]
    );
    let unfinished = temporary_path(&path, std::process::id());
    assert_eq!(segment::in_use(&unfinished).ok(), Some(true), "a draft is locked");
    drop(draft);
    assert_eq!(folder.files(), ["segment"]);
    let missing = folder.path("no/such/folder");
    assert!(matches!(
        SegmentFile::create(&missing, &config()),
        Err(SegmentError::NotFound { .. })
    ));
    let mut invalid = config();
    invalid.lag = 99;
    assert!(matches!(
        SegmentFile::create(&folder.path("x"), &invalid),
        Err(SegmentError::Layout(_))
    ));
}

#[test]
fn a_draft_takes_the_place_of_a_segment_whose_run_lock_is_held_and_brings_its_content() {
    let folder = folder("over");
    let path = folder.path("segment");
    drop(SegmentFile::create(&path, &config()).expect("created"));
    let old = SegmentFile::open(&path).expect("whole");
    let mut larger = config();
    larger.capacity.frames = 16;
    let draft = |interval| {
        let draft = Draft::create(&path, &larger).expect("beside");
        let worker = draft.worker(Torus::C).expect("there");
        worker.own.ring.write(&frame(Torus::C, interval));
        worker.own.ring.commit(interval);
        draft
    };
    assert!(matches!(
        draft(1).publish_over(&old),
        Err(SegmentError::InUse { .. })
    ));
    eventually(|| old.try_lock(LockByte::Run).expect("current"));
    let new = draft(2).publish_over(&old).expect("locked now");
    assert_eq!(
        new.map_reader().expect("mapped").views().regions[2].ring.head(),
        3
    );
    assert!(new.holds(LockByte::Run) && new.is_current() && !old.is_current());
    // Whoever had opened the old one learns it as soon as it wants a lock.
    assert!(matches!(
        old.try_lock(LockByte::Region(Torus::A)),
        Err(SegmentError::Replaced { .. })
    ));
    assert!(matches!(
        draft(3).publish_over(&old),
        Err(SegmentError::Replaced { .. })
    ));
    assert_eq!(folder.files(), ["segment"]);
}

#[test]
fn a_lock_has_one_holder_until_it_dies() {
    if let Some(path) = std::env::var_os(CHILD) {
        let file = SegmentFile::open(Path::new(&path)).expect("whole");
        assert_eq!(file.try_lock(LockByte::Region(Torus::B)).ok(), Some(true));
        println!("locked");
        std::thread::sleep(Duration::from_secs(60));
        return;
    }
    let folder = folder("lock");
    let path = folder.path("segment");
    let file = SegmentFile::create(&path, &config()).expect("created");
    let lock = LockByte::Region(Torus::B);
    let mut holder = child("a_lock_has_one_holder_until_it_dies", &path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("spawned");
    let output = BufReader::new(holder.stdout.take().expect("piped"));
    assert!(
        output
            .lines()
            .map_while(Result::ok)
            .any(|line| line.contains("locked"))
    );
    assert_eq!(file.try_lock(lock).ok(), Some(false));
    assert_eq!((file.is_locked(lock).ok(), file.holds(lock)), (Some(true), false));
    assert_eq!(file.is_locked(LockByte::Region(Torus::A)).ok(), Some(false));
    assert!(matches!(file.shrink(), Err(SegmentError::InUse { .. })));
    holder.kill().expect("alive");
    holder.wait().expect("ours");
    assert_eq!(file.try_lock(lock).ok(), Some(true), "the kernel has released it");
    assert_eq!(
        file.try_lock(lock).ok(),
        Some(true),
        "and asking again changes nothing"
    );
    let other = SegmentFile::open(&path).expect("whole");
    assert_eq!(
        other.try_lock(lock).ok(),
        Some(false),
        "another opening is another holder"
    );
    file.unlock(lock).expect("held");
    assert_eq!(other.try_lock(lock).ok(), Some(true));
    assert_eq!(file.is_locked_by_another(lock).ok(), Some(true));
}

#[test]
fn a_doorbell_wakes_a_sleeper_whose_mapping_is_read_only() {
    let folder = folder("futex");
    let file = SegmentFile::create(&folder.path("segment"), &config()).expect("created");
    let (reader, supervisor) = (
        file.map_reader().expect("mapped"),
        file.map_supervisor().expect("mapped"),
    );
    let (views, worker) = (reader.views(), file.map_worker(Torus::A).expect("mapped"));
    let (control, peer) = (
        views.control.doorbell_word(),
        views.regions[0].status.doorbell_word(),
    );
    let expected = [(peer, peer.value()), (control, control.value())];
    assert_eq!(wait_any(&expected, Duration::from_millis(1)), Woken::TimedOut);
    assert_eq!(
        control.wait(control.value(), Duration::from_millis(1)),
        Woken::TimedOut
    );
    assert_eq!(
        control.wait(control.value() ^ 1, Duration::from_secs(60)),
        Woken::LookAgain
    );
    let rings: [&(dyn Fn() + Sync); 2] = [&|| supervisor.views().control.ring_doorbell(), &|| {
        let status = worker.views().own.status;
        status.ring_doorbell();
        status.doorbell_word().wake(u32::MAX);
    }];
    for ring in rings {
        let expected = [(peer, peer.value()), (control, control.value())];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(20));
                ring();
            });
            assert_eq!(wait_any(&expected, Duration::from_secs(60)), Woken::LookAgain);
        });
    }
    assert_eq!((control.value(), peer.value()), (1, 1));
    assert_eq!(wait_any(&[], Duration::from_secs(60)), Woken::LookAgain);
}

#[test]
fn a_client_pushes_through_its_lane_and_only_there() {
    let folder = folder("lanes");
    let file = SegmentFile::create(&folder.path("segment"), &config()).expect("created");
    let (client, worker) = (
        file.map_lane(1).expect("mapped"),
        file.map_worker(Torus::B).expect("mapped"),
    );
    let (client, worker) = (client.views(), worker.views());
    let entry = shm_layout::record::LaneEntry {
        at: 5,
        dst: 9,
        payload: -1,
        ..Default::default()
    };
    let free = client.reader.regions[1].status.lane_free(1);
    client.writers[1].set_client("a client").expect("free");
    client.writers[1].push(&[entry], free).expect("room");
    assert_eq!((worker.lanes[1].head(), worker.lanes[1].read(0)), (1, entry));
    assert_eq!(
        (worker.lanes[0].head(), worker.lanes[1].client().as_deref()),
        (0, Some("a client"))
    );
    let supervisor = file.map_supervisor().expect("mapped");
    assert_eq!(
        (
            supervisor.views().lane_zero.len(),
            supervisor.views().lanes[1][1].head()
        ),
        (3, 1)
    );
}

#[test]
fn the_gate_that_the_supervisor_opens_is_open_for_a_worker() {
    let folder = folder("gate");
    let file = SegmentFile::create(&folder.path("segment"), &config()).expect("created");
    let (supervisor, worker) = (
        file.map_supervisor().expect("mapped"),
        file.map_worker(Torus::A).expect("mapped"),
    );
    let (supervisor, worker) = (supervisor.views(), worker.views());
    assert!(!worker.control.gate_is_open());
    supervisor.control.open_gate(1);
    assert!(worker.control.gate_is_open() && worker.control.gate_number() == 1);
    supervisor.control.close_gate();
    assert!(!worker.control.gate_is_open());
}

#[test]
fn only_an_idle_segment_is_removed() {
    let folder = folder("remove");
    let path = folder.path("segment");
    drop(SegmentFile::create(&path, &config()).expect("created"));
    eventually(|| !segment::in_use(&path).expect("there"));
    let (file, worker) = (
        SegmentFile::open(&path).expect("whole"),
        SegmentFile::open(&path).expect("whole"),
    );
    assert_eq!(worker.try_lock(LockByte::Region(Torus::C)).ok(), Some(true));
    assert_eq!(segment::in_use(&path).ok(), Some(true));
    assert!(matches!(
        SegmentFile::open(&path).expect("whole").remove(),
        Err(SegmentError::InUse { .. })
    ));
    eventually(|| file.try_lock(LockByte::Run).expect("current"));
    let refused = file.remove().expect_err("a worker lives");
    assert!(refused.to_string().contains("torus C"), "{refused}");
    drop(worker);
    let file = SegmentFile::open(&path).expect("whole");
    eventually(|| file.try_lock(LockByte::Run).expect("current"));
    eventually(|| !file.is_locked(LockByte::Region(Torus::C)).expect("there"));
    file.remove().expect("idle");
    assert_eq!(folder.files(), [""; 0]);
    assert!(matches!(
        segment::remove(&path),
        Err(SegmentError::NotFound { .. })
    ));
}
