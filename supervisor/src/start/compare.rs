//! Options that were given against the configuration that stands in the segment, for adopting and resuming.

use shm_layout::config::RunConfig;

use crate::cli::StartArgs;

/// What may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tolerance {
    /// Nothing: the workers are running with the stored configuration.
    Exact,
    /// What does not determine the result: a resumed run may get larger capacities, another time limit and hang timeout.
    MayGrow,
}

/// Every given option that contradicts `stored`, as sentences; empty when all agree. `draft` is the configuration that
/// the options make for a new run; only options that were given are looked at.
pub fn differences(
    args: &StartArgs,
    draft: &RunConfig,
    stored: &RunConfig,
    tolerance: Tolerance,
) -> Vec<String> {
    let mut found = Differences(Vec::new());
    found.option("--model", args.model.is_some(), &draft.model, &stored.model);
    found.option("--tori", args.tori.is_some(), &draft.tori, &stored.tori);
    found.debug("--sides", args.sides.is_some(), &draft.sides, &stored.sides);
    found.option(
        "--interval",
        args.interval.is_some(),
        &draft.interval,
        &stored.interval,
    );
    found.option("--adaptive", args.adaptive, &draft.adaptive, &stored.adaptive);
    found.option("--lag", args.lag.is_some(), &draft.lag, &stored.lag);
    found.option("--seed", args.seed.is_some(), &draft.seed, &stored.seed);
    found.debug("--until", args.until.is_some(), &draft.until, &stored.until);
    found.debug("--gain", args.gain.is_some(), &draft.gain, &stored.gain);
    found.option(
        "--tolerance",
        args.tolerance.is_some(),
        &draft.tolerance,
        &stored.tolerance,
    );
    found.debug(
        "--on-loss",
        args.on_loss.is_some(),
        &draft.on_loss,
        &stored.on_loss,
    );
    found.debug(
        "--balance",
        args.balance.is_some(),
        &draft.balance_percent,
        &stored.balance_percent,
    );
    found.parameters(args, stored);
    if args.script.is_some() && draft.script != stored.script {
        found
            .0
            .push("--script is another text than the one that the run was started with".to_owned());
    }
    found.option(
        "--worker",
        args.worker.is_some(),
        &draft.worker.path,
        &stored.worker.path,
    );
    found.option("--scrub", args.scrub, &draft.scrub, &stored.scrub);
    found.option("--faults", args.faults, &draft.faults, &stored.faults);
    found.capacities(args, draft, stored, tolerance);
    if tolerance == Tolerance::Exact {
        found.debug(
            "--for (ns)",
            args.limit.is_some(),
            &draft.time_limit_ns,
            &stored.time_limit_ns,
        );
        let after = (&draft.degrade_after_ms, &stored.degrade_after_ms);
        let given = args.degrade_after.is_some();
        found.option("--degrade-after (ms)", given, after.0, after.1);
        let hang = (&draft.hang_timeout_ms, &stored.hang_timeout_ms);
        found.option("--hang-timeout (ms)", args.hang_timeout.is_some(), hang.0, hang.1);
        let budget = (
            &draft.checkpoint_budget_permille,
            &stored.checkpoint_budget_permille,
        );
        let given = args.checkpoint_budget.is_some();
        found.option("--checkpoint-budget (thousandths)", given, budget.0, budget.1);
    }
    found.0
}

/// The stored configuration with what a resumed run may change, taken from the options that were given.
pub fn grown(args: &StartArgs, draft: &RunConfig, stored: &RunConfig) -> RunConfig {
    let mut config = stored.clone();
    let pick = |given: Option<u32>, old: u32| given.unwrap_or(old);
    config.capacity.pending = pick(args.pending, stored.capacity.pending);
    config.capacity.edges = pick(args.edges, stored.capacity.edges);
    config.capacity.remote_per_interval = pick(args.remote_per_interval, stored.capacity.remote_per_interval);
    config.capacity.lanes = args.lanes.map_or(stored.capacity.lanes, |_| draft.capacity.lanes);
    if args.limit.is_some() {
        config.time_limit_ns = draft.time_limit_ns;
    }
    if args.degrade_after.is_some() {
        config.degrade_after_ms = draft.degrade_after_ms;
    }
    if args.hang_timeout.is_some() {
        config.hang_timeout_ms = draft.hang_timeout_ms;
    }
    if args.checkpoint_budget.is_some() {
        config.checkpoint_budget_permille = draft.checkpoint_budget_permille;
    }
    config
}

struct Differences(Vec<String>);

impl Differences {
    fn option<T: PartialEq + std::fmt::Display>(&mut self, option: &str, given: bool, asked: &T, stored: &T) {
        if given && asked != stored {
            self.0
                .push(format!("{option} {asked} was given, the run has {stored}"));
        }
    }

    fn debug<T: PartialEq + std::fmt::Debug>(&mut self, option: &str, given: bool, asked: &T, stored: &T) {
        if given && asked != stored {
            self.0
                .push(format!("{option} {asked:?} was given, the run has {stored:?}"));
        }
    }

    fn parameters(&mut self, args: &StartArgs, stored: &RunConfig) {
        for (key, asked) in &args.parameters {
            match stored.parameters.iter().find(|(name, _)| name == key) {
                Some((_, value)) if same_value(asked, value) => {}
                Some((_, value)) => self
                    .0
                    .push(format!("-p {key}={asked} was given, the run has {key}={value}")),
                None => self.0.push(format!(
                    "-p {key}={asked} was given, the run's model has no parameter {key}"
                )),
            }
        }
    }

    fn capacities(&mut self, args: &StartArgs, draft: &RunConfig, stored: &RunConfig, tolerance: Tolerance) {
        let (asked, has) = (&draft.capacity, &stored.capacity);
        for (option, given, asked, has) in [
            ("--pending", args.pending.is_some(), asked.pending, has.pending),
            ("--edges", args.edges.is_some(), asked.edges, has.edges),
            (
                "--remote-per-interval",
                args.remote_per_interval.is_some(),
                asked.remote_per_interval,
                has.remote_per_interval,
            ),
            (
                "--lanes",
                args.lanes.is_some(),
                asked.lanes.saturating_sub(1),
                has.lanes.saturating_sub(1),
            ),
        ] {
            let shrinks = given && tolerance == Tolerance::MayGrow && asked < has;
            if shrinks {
                self.0.push(format!(
                    "{option} {asked} was given, the run has {has}; capacities may only grow"
                ));
            } else if tolerance == Tolerance::Exact {
                self.option(option, given, &asked, &has);
            }
        }
    }
}

/// The same text, or the same number written in another way.
fn same_value(a: &str, b: &str) -> bool {
    a == b || matches!((a.parse::<f64>(), b.parse::<f64>()), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::super::draft::draft;
    use super::*;
    use std::path::Path;
    use std::time::Duration;

    fn drafted(args: &StartArgs) -> RunConfig {
        draft(args, Path::new("/journals"), 7).unwrap()
    }

    fn stored() -> RunConfig {
        let mut config = drafted(&StartArgs::default());
        config.parameters = vec![("remote".into(), "0.1".into())];
        config.capacity.pending = 1000;
        config
    }

    fn found(args: &StartArgs, tolerance: Tolerance) -> Vec<String> {
        differences(args, &drafted(args), &stored(), tolerance)
    }

    #[test]
    fn options_that_were_not_given_do_not_differ() {
        assert!(found(&StartArgs::default(), Tolerance::Exact).is_empty());
    }

    #[test]
    fn options_that_agree_do_not_differ() {
        let parameters = vec![("remote".to_owned(), "0.10".to_owned())];
        let args = StartArgs {
            parameters,
            lag: Some(2),
            pending: Some(1000),
            ..StartArgs::default()
        };
        assert!(found(&args, Tolerance::Exact).is_empty());
    }

    #[test]
    fn each_difference_is_named_with_both_values() {
        let parameters = vec![
            ("remote".to_owned(), "0.2".to_owned()),
            ("x".to_owned(), "1".to_owned()),
        ];
        let args = StartArgs {
            parameters,
            lag: Some(3),
            model: Some("heat".into()),
            ..StartArgs::default()
        };
        let found = found(&args, Tolerance::MayGrow);
        assert_eq!(
            found,
            [
                "--model heat was given, the run has phold",
                "--lag 3 was given, the run has 2",
                "-p remote=0.2 was given, the run has remote=0.1",
                "-p x=1 was given, the run's model has no parameter x",
            ]
        );
    }

    #[test]
    fn capacities_grow_on_resume_only_and_never_shrink() {
        let more = StartArgs {
            pending: Some(2000),
            ..StartArgs::default()
        };
        assert_eq!(found(&more, Tolerance::Exact).len(), 1);
        assert!(found(&more, Tolerance::MayGrow).is_empty());
        let less = StartArgs {
            pending: Some(500),
            ..StartArgs::default()
        };
        assert!(found(&less, Tolerance::MayGrow)[0].contains("may only grow"));
    }

    #[test]
    fn a_resumed_run_takes_what_may_change_and_nothing_else() {
        let limit = Some(Duration::from_secs(9));
        let args = StartArgs {
            pending: Some(2000),
            lanes: Some(20),
            limit,
            lag: Some(5),
            ..StartArgs::default()
        };
        let config = grown(&args, &drafted(&args), &stored());
        assert_eq!((config.capacity.pending, config.capacity.lanes), (2000, 21));
        assert_eq!((config.time_limit_ns, config.lag), (Some(9_000_000_000), 2));
    }
}
