//! The limits of a configuration, and the errors that name what is outside them.

use super::config::{ADAPTIVE_INTERVAL_MAX, ADAPTIVE_INTERVAL_MIN, OnLoss, RunConfig, valid_name};

/// What is wrong with a configuration. Each message names the option, the value and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(
    missing_docs,
    reason = "the fields are the offending values that the message quotes"
)]
pub enum ConfigError {
    #[error(
        "the name \"{name}\" is not 1 to 64 letters, digits, '.', '_' or '-', begins with '.' or '-', or ends in .new- \
         and a number; choose another --name"
    )]
    Name { name: String },
    #[error("no model is named; give --model")]
    NoModel,
    #[error(
        "parameter \"{first}\" stands before \"{second}\": parameters must be sorted and each given once"
    )]
    Parameters { first: String, second: String },
    #[error("{tori} tori: --tori takes 1 or 3")]
    Tori { tori: u8 },
    #[error("side {axis} is {side}: --sides takes powers of two from 4 to 128")]
    Side { axis: char, side: u32 },
    #[error("--interval {interval} is not from 1 to 10000000 ticks")]
    Interval { interval: u64 },
    #[error(
        "--interval {interval} is not from {ADAPTIVE_INTERVAL_MIN} to {ADAPTIVE_INTERVAL_MAX} ticks, between which \
         --adaptive moves it"
    )]
    AdaptiveInterval { interval: u64 },
    #[error("--lag {lag} is not from 1 to 8 intervals")]
    Lag { lag: u32 },
    #[error("--until {until} is not below 2^62")]
    Until { until: u64 },
    #[error("the gain {numerator}/{denominator} is not in (0, 1]; give a fraction such as --gain 1/2")]
    Gain { numerator: u32, denominator: u32 },
    #[error("{option} {value} is not from {least} to {most}")]
    Range {
        option: &'static str,
        value: u64,
        least: u64,
        most: u64,
    },
    #[error("a checkpoint of {bytes} bytes is not a positive multiple of 8 below 2^40")]
    CheckpointBytes { bytes: u64 },
    #[error(
        "--scrub needs --on-loss wait: a rollback would take back intervals from which a torus was absent"
    )]
    ScrubWithoutWait,
    #[error("--on-loss degrade needs three tori: with --tori 1 there is nobody to go on")]
    NobodyToGoOn,
    #[error("the configuration takes {bytes} bytes, its script included; at most {most} are possible")]
    TooLong { bytes: u64, most: u64 },
}

fn range(option: &'static str, value: u64, least: u64, most: u64) -> Result<(), ConfigError> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(ConfigError::Range {
            option,
            value,
            least,
            most,
        })
    }
}

impl RunConfig {
    /// Checks every limit that does not depend on the model.
    ///
    /// # Errors
    /// [`ConfigError`], the first one found.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !valid_name(&self.name) {
            return Err(ConfigError::Name {
                name: self.name.clone(),
            });
        }
        if self.model.is_empty() {
            return Err(ConfigError::NoModel);
        }
        if let Some(pair) = self.parameters.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
            return Err(ConfigError::Parameters {
                first: pair[0].0.clone(),
                second: pair[1].0.clone(),
            });
        }
        self.validate_simulation()?;
        self.validate_capacity()?;
        range(
            "--checkpoint-budget",
            self.checkpoint_budget_permille.into(),
            1,
            1000,
        )?;
        range("--hang-timeout (ms)", self.hang_timeout_ms, 50, 86_400_000)?;
        if self.scrub && self.on_loss != OnLoss::Wait {
            return Err(ConfigError::ScrubWithoutWait);
        }
        if self.on_loss == OnLoss::Degrade && self.tori == 1 {
            return Err(ConfigError::NobodyToGoOn);
        }
        range("--degrade-after (ms)", self.degrade_after_ms, 1, 86_400_000)?;
        Ok(())
    }

    fn validate_simulation(&self) -> Result<(), ConfigError> {
        if !matches!(self.tori, 1 | 3) {
            return Err(ConfigError::Tori { tori: self.tori });
        }
        for (axis, side) in ['X', 'Y', 'Z'].into_iter().zip(self.sides) {
            if !side.is_power_of_two() || !(4..=128).contains(&side) {
                return Err(ConfigError::Side { axis, side });
            }
        }
        if !(1..=10_000_000).contains(&self.interval) {
            return Err(ConfigError::Interval {
                interval: self.interval,
            });
        }
        let adapted = ADAPTIVE_INTERVAL_MIN..=ADAPTIVE_INTERVAL_MAX;
        if self.adaptive && !adapted.contains(&self.interval) {
            return Err(ConfigError::AdaptiveInterval {
                interval: self.interval,
            });
        }
        if !(1..=8).contains(&self.lag) {
            return Err(ConfigError::Lag { lag: self.lag });
        }
        if let Some(percent) = self.balance_percent {
            range("--balance (percent)", percent.into(), 1, 99)?;
        }
        if let Some(until) = self.until.filter(|until| *until >= 1 << 62) {
            return Err(ConfigError::Until { until });
        }
        match self.gain {
            Some((numerator, denominator)) if numerator == 0 || numerator > denominator => {
                Err(ConfigError::Gain {
                    numerator,
                    denominator,
                })
            }
            _ => Ok(()),
        }
    }

    fn validate_capacity(&self) -> Result<(), ConfigError> {
        let capacity = &self.capacity;
        range("--pending", capacity.pending.into(), 1, 1 << 30)?;
        range("--edges", capacity.edges.into(), 1, 1 << 30)?;
        range(
            "--remote-per-interval",
            capacity.remote_per_interval.into(),
            1,
            1 << 24,
        )?;
        range("--lanes", capacity.lanes.into(), 1, 32)?;
        range("--lane-entries", capacity.lane_entries.into(), 1, 1 << 24)?;
        range(
            "--frames",
            capacity.frames.into(),
            2 * u64::from(self.lag) + 1,
            1 << 16,
        )?;
        let bytes = self.checkpoint_bytes;
        if bytes == 0 || !bytes.is_multiple_of(8) || bytes >= 1 << 40 {
            return Err(ConfigError::CheckpointBytes { bytes });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> RunConfig {
        RunConfig::new("default", "phold")
    }

    #[test]
    fn each_limit_has_its_own_error() {
        type Change = fn(&mut RunConfig);
        type Check = fn(&ConfigError) -> bool;
        let cases: &[(Change, Check)] = &[
            (
                |c| c.name = String::new(),
                |e| matches!(e, ConfigError::Name { .. }),
            ),
            (
                |c| c.name = "../x".into(),
                |e| matches!(e, ConfigError::Name { .. }),
            ),
            (
                |c| c.name = "-x".into(),
                |e| matches!(e, ConfigError::Name { .. }),
            ),
            (
                |c| c.name = "x".repeat(65),
                |e| matches!(e, ConfigError::Name { .. }),
            ),
            (|c| c.model.clear(), |e| matches!(e, ConfigError::NoModel)),
            (
                |c| c.parameters = vec![("b".into(), "1".into()), ("a".into(), "1".into())],
                |e| matches!(e, ConfigError::Parameters { .. }),
            ),
            (|c| c.tori = 2, |e| matches!(e, ConfigError::Tori { tori: 2 })),
            (
                |c| c.sides[1] = 24,
                |e| matches!(e, ConfigError::Side { axis: 'Y', side: 24 }),
            ),
            (
                |c| c.sides[2] = 256,
                |e| matches!(e, ConfigError::Side { axis: 'Z', .. }),
            ),
            (
                |c| c.sides[0] = 2,
                |e| matches!(e, ConfigError::Side { axis: 'X', .. }),
            ),
            (|c| c.interval = 0, |e| matches!(e, ConfigError::Interval { .. })),
            (
                |c| c.interval = 10_000_001,
                |e| matches!(e, ConfigError::Interval { .. }),
            ),
            (
                |c| (c.adaptive, c.interval) = (true, 99),
                |e| matches!(e, ConfigError::AdaptiveInterval { interval: 99 }),
            ),
            (
                |c| (c.adaptive, c.interval) = (true, 10_001),
                |e| matches!(e, ConfigError::AdaptiveInterval { .. }),
            ),
            (|c| c.lag = 9, |e| matches!(e, ConfigError::Lag { lag: 9 })),
            (
                |c| c.until = Some(1 << 62),
                |e| matches!(e, ConfigError::Until { .. }),
            ),
            (
                |c| c.gain = Some((3, 2)),
                |e| matches!(e, ConfigError::Gain { .. }),
            ),
            (
                |c| c.gain = Some((0, 2)),
                |e| matches!(e, ConfigError::Gain { .. }),
            ),
            (
                |c| c.balance_percent = Some(100),
                |e| matches!(e, ConfigError::Range { most: 99, .. }),
            ),
            (
                |c| c.capacity.frames = 4,
                |e| {
                    matches!(
                        e,
                        ConfigError::Range {
                            option: "--frames",
                            least: 5,
                            ..
                        }
                    )
                },
            ),
            (
                |c| c.capacity.lanes = 33,
                |e| {
                    matches!(
                        e,
                        ConfigError::Range {
                            option: "--lanes",
                            ..
                        }
                    )
                },
            ),
            (
                |c| c.checkpoint_bytes = 12,
                |e| matches!(e, ConfigError::CheckpointBytes { bytes: 12 }),
            ),
            (
                |c| c.hang_timeout_ms = 49,
                |e| matches!(e, ConfigError::Range { .. }),
            ),
            (
                |c| (c.on_loss, c.tori) = (OnLoss::Degrade, 1),
                |e| matches!(e, ConfigError::NobodyToGoOn),
            ),
            (
                |c| c.degrade_after_ms = 0,
                |e| matches!(e, ConfigError::Range { .. }),
            ),
        ];
        for (i, (change, check)) in cases.iter().enumerate() {
            let mut config = config();
            change(&mut config);
            let error = config.validate().expect_err("refused");
            assert!(check(&error), "case {i}: {error}");
        }
    }
}
