//! `run-script`: a scenario on one torus, in this process.

use std::io;

use torus_worker::script::{PENDING_DEFAULT, RunScriptError, Script, ScriptError, run_script};

use crate::cli::RunScriptArgs;
use crate::error::CommandError;
use crate::exit::Exit;

/// Runs the command.
pub fn run(args: &RunScriptArgs) -> Result<Exit, CommandError> {
    let name = args.file.display().to_string();
    let text = std::fs::read_to_string(&args.file)
        .map_err(|error| CommandError::Usage(format!("cannot read the script {name}: {error}")))?;
    let script = Script::parse(&name, &text).map_err(|error| CommandError::Usage(error.to_string()))?;
    let out = io::BufWriter::new(io::stdout().lock());
    match run_script(&script, args.sides, PENDING_DEFAULT, out) {
        Ok(()) => Ok(Exit::Done),
        // Whoever read the output has had enough.
        Err(RunScriptError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
        Err(error) => Err(refusal(error)),
    }
}

fn refusal(error: RunScriptError) -> CommandError {
    let text = error.to_string();
    match error {
        RunScriptError::Lattice(_) => CommandError::Usage(text),
        RunScriptError::Script(ScriptError::Refused { .. }) => CommandError::Failed(text),
        RunScriptError::Script(_) => CommandError::Usage(text),
        RunScriptError::Kernel(_) | RunScriptError::Output(_) => CommandError::Failed(text),
    }
}
