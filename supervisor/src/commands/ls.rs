//! `ls`: the runs on this machine.

use serde::Serialize;
use shm_layout::names::RunEntry;
use shm_layout::segment::{SegmentError, SegmentFile};

use crate::cli::LsArgs;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::report::collect;
use crate::text::show;
use crate::{life, output, target};

/// One run, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    /// A run's state; `broken` for a segment that cannot be read, `gone` for journals without a segment.
    state: &'static str,
    /// Why it is broken.
    reason: Option<String>,
    model: Option<String>,
    segment: Option<String>,
    allocated_bytes: u64,
}

#[derive(Debug, Serialize)]
struct List {
    schema_version: u32,
    runs: Vec<Row>,
    leftovers: Vec<String>,
}

/// Runs the command.
pub fn run(args: &LsArgs) -> Result<Exit, CommandError> {
    let listing = target::names()?.list()?;
    let runs: Vec<Row> = listing.runs.iter().map(row).collect();
    let leftovers: Vec<String> = listing
        .leftovers
        .iter()
        .map(|left| left.path.display().to_string())
        .collect();
    if args.json {
        output::json(&List {
            schema_version: 1,
            runs,
            leftovers,
        });
        return Ok(Exit::Done);
    }
    if runs.is_empty() {
        output::message("there are no runs");
    } else {
        output::data(&table(&runs));
    }
    for (name, reason) in runs
        .iter()
        .filter_map(|run| Some((&run.name, run.reason.as_ref()?)))
    {
        output::message(&format!("{name} is broken: {reason}"));
    }
    for path in leftovers {
        output::message(&format!(
            "{path} was left by a start that died; `clean --all` removes it"
        ));
    }
    Ok(Exit::Done)
}

fn row(entry: &RunEntry) -> Row {
    let name = entry.name.clone();
    let segment = entry.segment.as_ref().map(|path| path.display().to_string());
    let empty = Row {
        name,
        state: "gone",
        reason: None,
        model: None,
        segment,
        allocated_bytes: 0,
    };
    let Some(path) = &entry.segment else { return empty };
    match SegmentFile::open(path)
        .map_err(CommandError::Segment)
        .and_then(|file| filled(&file))
    {
        Ok((state, model, allocated_bytes)) => Row {
            state,
            model: Some(model),
            allocated_bytes,
            ..empty
        },
        Err(CommandError::Segment(SegmentError::NotFound { .. })) => empty,
        Err(error) => Row {
            state: "broken",
            reason: Some(error.to_string()),
            ..empty
        },
    }
}

fn filled(file: &SegmentFile) -> Result<(&'static str, String, u64), CommandError> {
    let map = file.map_reader().map_err(CommandError::Segment)?;
    let (state, _) = collect::state(file.config(), &map.views().control, life::of(file)?);
    Ok((
        state.word(),
        file.config().model.clone(),
        file.allocated_bytes().unwrap_or(0),
    ))
}

fn table(runs: &[Row]) -> String {
    let mut rows = vec![
        ["NAME", "STATE", "MODEL", "MEMORY", "SEGMENT"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let or_dash = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    for run in runs {
        let memory = show::bytes(run.allocated_bytes);
        rows.push(vec![
            run.name.clone(),
            run.state.to_owned(),
            or_dash(&run.model),
            memory,
            or_dash(&run.segment),
        ]);
    }
    show::table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_a_segment_is_listed_as_gone() {
        let entry = RunEntry {
            name: "x".into(),
            segment: None,
            folder: Some("/state/x".into()),
        };
        let row = row(&entry);
        assert_eq!(row.state, "gone");
        assert!(table(&[row]).contains("gone"));
    }

    #[test]
    fn a_foreign_file_is_listed_as_broken_with_the_reason() {
        let path = std::env::temp_dir().join(format!("braid-ls-{}", std::process::id()));
        std::fs::write(&path, vec![7; 8192]).unwrap();
        let row = row(&RunEntry {
            name: "x".into(),
            segment: Some(path.clone()),
            folder: None,
        });
        std::fs::remove_file(path).unwrap();
        assert_eq!(row.state, "broken");
        assert!(
            row.reason
                .is_some_and(|reason| reason.contains("not a Braid segment"))
        );
    }
}
