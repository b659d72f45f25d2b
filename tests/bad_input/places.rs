//! Places where no run can be: too small, or somebody else's.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::ENDLESS;
use crate::support::{BRAID, Run};

/// Somebody who owns nothing: `nobody` on most systems.
const STRANGER: &str = "65534";

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Whether a command works here at all; the reason, if not, is printed as that of a skipped test.
fn possible(command: &mut Command) -> bool {
    match command.output() {
        Ok(output) if output.status.success() => true,
        result => {
            println!("skipped: {command:?} is not possible here: {result:?}");
            false
        }
    }
}

/// A command in a mount namespace of its own, where `folder` is a tmpfs of this size; none where that is not possible.
fn in_tmpfs(folder: &Path, size: &str, arguments: &[&str]) -> Option<Command> {
    let flags = ["-m", "-rm"];
    let works = |flags: &&str| {
        possible(Command::new("unshare").args([*flags, "mount", "-t", "tmpfs", "none", path(folder)]))
    };
    let flags = flags.into_iter().find(works)?;
    let mut command = Command::new("unshare");
    let script = "mount -t tmpfs -o size=\"$1\" none \"$2\" && shift 2 && exec \"$@\"";
    command
        .args([flags, "sh", "-c", script, "sh", size, path(folder), BRAID])
        .args(arguments);
    Some(command)
}

#[test]
fn too_little_space_is_refused_with_what_is_needed_and_what_there_is() {
    let run = Run::new("space");
    let small = run.folder().join("small");
    std::fs::create_dir(&small).expect("a temporary folder");
    let name = run.name().to_owned();
    for detach in [&["--until", "1000"][..], &["--until", "1000", "--detach"]] {
        let arguments = [&["start", "--name", &name], ENDLESS, detach].concat();
        let Some(mut command) = in_tmpfs(&small, "1m", &arguments) else {
            return;
        };
        command.env("BRAID_SHM_DIR", &small);
        let answer = run.execute(run.in_its_place(command)).exits(1);
        answer.explains(&["needs", "MiB", "are free", path(&small), "--pending", "--segment"]);
    }
    // On a disk that is full the same is said.
    let segment = small.join("run.segment");
    let arguments = [
        &["start", "--name", &name, "--segment", path(&segment)],
        ENDLESS,
        &["--until", "1000"],
    ]
    .concat();
    let Some(command) = in_tmpfs(&small, "1m", &arguments) else {
        return;
    };
    run.execute(run.in_its_place(command))
        .exits(1)
        .explains(&["needs", "are free", path(&segment)]);
}

#[test]
fn just_enough_space_is_enough() {
    let run = Run::new("enough");
    let small = run.folder().join("small");
    std::fs::create_dir(&small).expect("a temporary folder");
    let arguments = [&["start", "--name", run.name(), "--json", "--dry-run"], ENDLESS].concat();
    let plan = run.execute(run.in_its_place(command(&arguments))).exits(0).json();
    let size = plan["segment_bytes"].as_u64().expect("bytes") + (64 << 10);
    let arguments = [&["start", "--name", run.name()], ENDLESS, &["--until", "20000"]].concat();
    let Some(mut command) = in_tmpfs(&small, &size.to_string(), &arguments) else {
        return;
    };
    command.env("BRAID_SHM_DIR", &small);
    run.execute(run.in_its_place(command))
        .exits(0)
        .prints(&["finished"]);
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(BRAID);
    command.args(arguments);
    command
}

/// The program as somebody without rights: as another user if this is root, else as this very user.
struct Stranger {
    program: PathBuf,
    root: bool,
}

impl Stranger {
    /// A copy of the program where everybody can reach it; none where that is not possible.
    fn new(run: &Run) -> Option<Stranger> {
        let program = run.program("braid-supervisor", Path::new(BRAID));
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(run.folder(), open).expect("our own folder");
        let stranger = Stranger {
            program,
            root: nix::unistd::geteuid().is_root(),
        };
        possible(stranger.command(&["--version"]).current_dir("/")).then_some(stranger)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = if self.root {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid", STRANGER, "--regid", STRANGER, "--clear-groups"])
                .arg(&self.program);
            command
        } else {
            Command::new(&self.program)
        };
        command.args(arguments).current_dir("/");
        command
    }
}

#[test]
fn a_segment_that_belongs_to_another_user_is_refused() {
    let run = Run::on_disk("permission");
    run.start(ENDLESS);
    run.stop();
    let Some(stranger) = Stranger::new(&run) else {
        return;
    };
    if !stranger.root {
        std::fs::set_permissions(run.segment(), std::fs::Permissions::from_mode(0o000))
            .expect("our own file");
    }
    let segment = path(run.segment());
    for arguments in [
        &["status"][..],
        &["verify"],
        &["stop"],
        &["clean"],
        &["kill", "B"],
        &["start", "--resume"],
    ] {
        let command = stranger.command(&[arguments, &["--segment", segment]].concat());
        run.execute(run.in_its_place(command))
            .exits(1)
            .explains(&["no permission", segment]);
    }
    std::fs::set_permissions(run.segment(), std::fs::Permissions::from_mode(0o600)).expect("our own file");
    run.verify();
}

#[test]
fn a_folder_that_may_not_be_written_is_refused() {
    let run = Run::new("read-only");
    let Some(stranger) = Stranger::new(&run) else {
        return;
    };
    let folder = run.folder().join("closed");
    std::fs::create_dir(&folder).expect("a temporary folder");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o555)).expect("our own folder");
    let state = run.folder().join("state");
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o777)).expect("our own folder");
    let segment = folder.join("run.segment");
    let arguments = [
        &["start", "--name", run.name(), "--segment", path(&segment)],
        ENDLESS,
    ]
    .concat();
    run.execute(run.in_its_place(stranger.command(&arguments)))
        .exits(1)
        .explains(&["ermission", path(&folder)]);
    // The same for the state directory.
    let mut command = stranger.command(&[&["start", "--name", run.name()], ENDLESS].concat());
    command.env("BRAID_STATE_DIR", folder.join("state"));
    run.execute(command)
        .exits(1)
        .explains(&["ermission", path(&folder)]);
    assert!(!run.segment().exists());
}

#[test]
fn without_any_place_for_journals_start_says_which_variables_name_one() {
    let run = Run::new("nowhere");
    let mut command = run.command("start", ENDLESS);
    for variable in ["BRAID_STATE_DIR", "XDG_STATE_HOME", "HOME"] {
        command.env_remove(variable);
    }
    run.execute(command)
        .exits(1)
        .explains(&["BRAID_STATE_DIR", "XDG_STATE_HOME", "HOME"]);
    let mut command = run.command("start", ENDLESS);
    command.env("BRAID_STATE_DIR", "/proc/no/such");
    run.execute(command).exits(1).explains(&["/proc/no/such"]);
}
