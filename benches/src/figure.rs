//! A measured figure and what it should be.

use crate::rounds::{median, quartiles};

/// What a figure's ratio should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

impl Target {
    /// Whether a ratio meets it.
    pub fn is_met_by(self, ratio: f64) -> bool {
        match self {
            Target::AtMost(bound) => ratio <= bound,
            Target::AtLeast(bound) => ratio >= bound,
        }
    }
}

/// A figure in relation to another one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// Median of the rounds' ratios.
    pub value: f64,
    /// What it is a ratio to.
    pub to: &'static str,
    /// What it should be, if anything was promised.
    pub target: Option<Target>,
    /// How far the rounds are apart, where each has a ratio of its own.
    pub scatter: Option<Scatter>,
}

/// How far the ratios of the rounds are apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scatter {
    /// Rounds that were measured.
    pub rounds: usize,
    /// A quarter of the ratios are below the first, a quarter above the second.
    pub quartiles: [f64; 2],
}

/// One measured figure: a median over rounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// What was measured, in a few words; unique within a report.
    pub name: String,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
    /// In relation to what.
    pub ratios: Vec<Ratio>,
}

impl Figure {
    /// A figure without relation to another one.
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Figure {
        Figure {
            name: name.into(),
            value,
            unit,
            ratios: Vec::new(),
        }
    }

    /// The same in relation to another figure.
    pub fn against(mut self, to: &'static str, value: f64, target: Option<Target>) -> Figure {
        self.ratios.push(Ratio {
            value,
            to,
            target,
            scatter: None,
        });
        self
    }

    /// The same in relation to another figure, as the median of the rounds' ratios, with their scatter.
    pub fn against_in_rounds(mut self, to: &'static str, ratios: Vec<f64>, target: Option<Target>) -> Figure {
        let scatter = Scatter {
            rounds: ratios.len(),
            quartiles: quartiles(ratios.clone()),
        };
        self.ratios.push(Ratio {
            value: median(ratios),
            to,
            target,
            scatter: Some(scatter),
        });
        self
    }

    /// Whether all its targets are met.
    pub fn meets_its_targets(&self) -> bool {
        let met = |ratio: &Ratio| ratio.target.is_none_or(|target| target.is_met_by(ratio.value));
        self.ratios.iter().all(met)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_meets_its_targets_if_every_ratio_does() {
        let figure = Figure::new("a", 1.0, "ns").against("b", 1.5, Some(Target::AtMost(1.5)));
        assert!(figure.meets_its_targets());
        let figure = figure.against("c", 7.9, Some(Target::AtLeast(8.0)));
        assert!(!figure.meets_its_targets());
    }

    #[test]
    fn of_the_rounds_the_median_counts_and_the_scatter_is_kept() {
        let figure = Figure::new("a", 1.0, "ns").against_in_rounds("b", vec![0.9, 1.3, 1.0, 0.8, 1.1], None);
        let ratio = figure.ratios[0];
        assert_eq!(ratio.value, 1.0);
        let scatter = ratio.scatter.expect("five rounds");
        assert_eq!((scatter.rounds, scatter.quartiles), (5, [0.9, 1.1]));
    }
}
