//! Asking a worker binary what becomes of a draft: it knows its models, so it completes parameters, capacities and
//! sizes, and refuses what does not fit, before anything is created.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use shm_layout::config::{RunConfig, WorkerBinary};
use torus_worker::process::WORKER_FLAG;
use torus_worker::process::describe::{DescribeAnswer, DescribeRequest, PROTOCOL};

use super::conversation::{Answer, ask};
use crate::error::CommandError;

/// How long a worker binary may take to describe itself: far longer than it does, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much of what a stranger says is repeated.
const QUOTE_CHARACTERS: usize = 200;

/// The complete configuration for a draft.
///
/// # Errors
/// A usage error when the worker refuses the draft (unknown model or parameter, malformed script); a failure when the
/// binary does not speak the protocol.
pub fn complete(draft: RunConfig, tolerance_given: bool) -> Result<RunConfig, CommandError> {
    let answer = describe(&draft, tolerance_given)?;
    let outcome = answer
        .outcome
        .map_err(|refusal| CommandError::Usage(sentence(&refusal)))?;
    let path = draft.worker.path.clone();
    Ok(RunConfig {
        parameters: outcome.parameters,
        capacity: outcome.capacity,
        checkpoint_bytes: outcome.checkpoint_bytes,
        gain: Some(outcome.gain),
        tolerance: outcome.tolerance,
        rest_cycles: outcome.rest_cycles,
        worker: WorkerBinary {
            path,
            build_hash: answer.build_hash,
            version: answer.version,
        },
        ..draft
    })
}

fn describe(draft: &RunConfig, tolerance_given: bool) -> Result<DescribeAnswer, CommandError> {
    let request = DescribeRequest {
        protocol: PROTOCOL,
        draft: draft.clone(),
        tolerance_given,
    };
    let program = Path::new(&draft.worker.path);
    let stranger = |why: String| {
        CommandError::Failed(format!(
            "{} does not speak the worker protocol: {why}; a worker binary's `main` is one line that calls \
             torus_worker::process::main",
            program.display()
        ))
    };
    let question = serde_json::to_vec(&request).map_err(|error| stranger(error.to_string()))?;
    let mut command = Command::new(program);
    command.args([WORKER_FLAG, "describe"]);
    let answer = ask(&mut command, &question, PATIENCE).map_err(|error| stranger(error.to_string()))?;
    let parsed = serde_json::from_slice::<DescribeAnswer>(&answer.output);
    match parsed {
        Ok(parsed) if parsed.braid_worker == PROTOCOL => Ok(parsed),
        Ok(parsed) => {
            let spoken = parsed.braid_worker;
            Err(stranger(format!(
                "it speaks version {spoken} of it, this program speaks {PROTOCOL}"
            )))
        }
        Err(_) => Err(stranger(what_it_said(&answer))),
    }
}

fn what_it_said(answer: &Answer) -> String {
    let ended = match answer.status.code() {
        Some(code) => format!("it ended with exit code {code}"),
        None => "it was killed".to_owned(),
    };
    match (quote(&answer.output), quote(&answer.errors)) {
        (None, None) => format!("{ended} and said nothing"),
        (Some(text), _) | (None, Some(text)) => format!("{ended} and said \"{text}\""),
    }
}

fn quote(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let line = text.trim().lines().next()?;
    Some(
        line.chars()
            .take(QUOTE_CHARACTERS)
            .flat_map(char::escape_default)
            .collect(),
    )
}

/// The refusal as the worker wrote it, ending without a line break.
fn sentence(refusal: &str) -> String {
    refusal.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::draft::draft;
    use super::*;
    use crate::cli::StartArgs;

    fn draft_for(worker: &str) -> RunConfig {
        let args = StartArgs {
            worker: Some(worker.into()),
            ..StartArgs::default()
        };
        draft(&args, Path::new("/journals"), 7).unwrap()
    }

    #[test]
    fn a_binary_that_is_no_worker_is_named_with_what_it_said() {
        let error = complete(draft_for("/bin/echo"), false).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, CommandError::Failed(_)), "{text}");
        assert!(text.contains("does not speak the worker protocol"), "{text}");
        assert!(text.contains("--braid-worker describe"), "{text}");
    }

    #[test]
    fn a_binary_that_fails_is_named_with_its_exit_code() {
        let text = complete(draft_for("/bin/false"), false).unwrap_err().to_string();
        assert!(text.contains("exit code 1 and said nothing"), "{text}");
    }

    #[test]
    fn strange_bytes_are_quoted_harmlessly() {
        assert_eq!(quote(b"\x1b[31mred\nmore"), Some("\\u{1b}[31mred".to_owned()));
        assert_eq!(quote(b" \n "), None);
        assert!(quote(&[b'x'; 10_000]).is_some_and(|text| text.len() == QUOTE_CHARACTERS));
    }
}
