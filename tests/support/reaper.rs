//! What cleans up when a test cannot: a shell that waits for the test process to be gone.
//!
//! Workers and supervisors run in sessions of their own and outlive a test that is killed or interrupted. So each run
//! has a reaper: a shell that reads a pipe whose other end only the test process holds. A test that ends writes `over`
//! and has cleaned up itself; when the pipe closes without a word, the reaper kills the supervisor and the workers by
//! the pids that `status` names, each only if its command line names this run, and removes what is left. A `bench` that
//! writes into this run's folder is asked to end first, as it has runs of its own to remove.
//! The run's name comes through the environment, so that the reaper's own command line does not name it.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const SCRIPT: &str = r#"
trap '' HUP INT TERM
read -r word
[ "$word" = over ] && exit 0
for line in /proc/[0-9]*/cmdline; do
    pid=${line#/proc/}
    tr '\0' ' ' < "$line" | grep -q -e " bench .*$REAP_NAME" && kill -TERM "${pid%/cmdline}"
done
round=0
while [ $round -lt 100 ]; do
    round=$((round + 1))
    pids=$("$REAP_PROGRAM" status --segment "$REAP_SEGMENT" --json | sed -n 's/^ *"pid": \([0-9][0-9]*\).*/\1/p')
    [ -z "$pids" ] && [ $round -gt 3 ] && break
    for pid in $pids; do
        tr '\0' ' ' < "/proc/$pid/cmdline" | grep -q -e "$REAP_NAME" && kill -9 "$pid"
    done
    sleep 0.1
done
"$REAP_PROGRAM" clean --name "$REAP_NAME"
rm -rf "$REAP_FOLDER"
"#;

/// A reaper on duty.
pub struct Reaper {
    shell: Child,
}

impl Reaper {
    /// Watches over the run `name`.
    pub fn new(
        program: &str,
        name: &str,
        segment: &Path,
        folder: &Path,
        variables: &[(String, String)],
    ) -> Reaper {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", SCRIPT])
            .envs(variables.iter().map(|(name, value)| (name, value)));
        command.env("REAP_PROGRAM", program).env("REAP_NAME", name);
        command.env("REAP_SEGMENT", segment).env("REAP_FOLDER", folder);
        // A group of its own: what interrupts the test from a terminal does not reach it.
        command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Reaper {
            shell: command.spawn().expect("a shell can be started"),
        }
    }

    /// The run has been cleaned up.
    pub fn dismiss(&mut self) {
        if let Some(mut pipe) = self.shell.stdin.take() {
            // A shell that somebody has killed needs no word.
            let _ = pipe.write_all(b"over\n");
        }
        let _ = self.shell.wait();
    }
}
