//! The report: sections of figures, as tables for people and as JSON for programs.

use braid_bench_baselines::figure::{Figure, Ratio, Scatter, Target};
use serde_json::{Value, json};

use super::machine::Machine;
use super::plots::Plot;
use crate::text::show;

/// Version of the JSON. Fields are only ever added; a change of meaning raises it.
const SCHEMA_VERSION: u32 = 1;

/// What one part measured.
#[derive(Clone, Debug)]
pub struct Section {
    /// The part.
    pub name: &'static str,
    /// How it was measured, a sentence each.
    pub settings: Vec<String>,
    /// The figures.
    pub figures: Vec<Figure>,
    /// What can be drawn of it.
    pub plots: Vec<Plot>,
}

/// Everything that was measured.
#[derive(Clone, Debug)]
pub struct Report {
    quick: bool,
    machine: Machine,
    /// Load averages after the last measurement.
    pub load_after: [f64; 3],
    /// The parts, in the order in which they were measured.
    pub sections: Vec<Section>,
}

impl Section {
    /// A section with nothing in it yet.
    pub fn new(name: &'static str, settings: Vec<String>) -> Section {
        Section {
            name,
            settings,
            figures: Vec::new(),
            plots: Vec::new(),
        }
    }

    /// The section as a person reads it.
    pub fn table(&self) -> String {
        let titles = ["WHAT", "FIGURE", "AGAINST", "RATIO", "ROUNDS", "TARGET", "MET"];
        let mut rows = vec![titles.map(str::to_owned).to_vec()];
        rows.extend(self.figures.iter().flat_map(rows_of));
        let mut text = format!("\n{}\n", self.name);
        for setting in &self.settings {
            text.push_str(&format!("  {setting}\n"));
        }
        text.push_str(&show::table(&rows));
        text
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "settings": self.settings,
            "figures": self.figures.iter().map(figure_json).collect::<Vec<_>>(),
            "plots": self.plots.iter().map(Plot::json).collect::<Vec<_>>(),
        })
    }
}

impl Report {
    /// A report without sections.
    pub fn new(quick: bool, machine: Machine) -> Report {
        Report {
            quick,
            load_after: machine.load,
            machine,
            sections: Vec::new(),
        }
    }

    /// The report as one value.
    pub fn json(&self) -> Value {
        json!({
            "schema_version": SCHEMA_VERSION,
            "quick": self.quick,
            "machine": self.machine,
            "load_after": self.load_after,
            "sections": self.sections.iter().map(Section::json).collect::<Vec<_>>(),
        })
    }

    /// How many targets are met, and what that is worth.
    pub fn verdict(&self) -> String {
        let figures = self.sections.iter().flat_map(|section| &section.figures);
        let verdicts: Vec<bool> = figures
            .flat_map(|figure| &figure.ratios)
            .filter_map(met)
            .collect();
        let met = verdicts.iter().filter(|met| **met).count();
        let [one, ..] = self.load_after;
        let quick = if self.quick {
            "; --quick measures too little to judge by"
        } else {
            ""
        };
        format!(
            "\n{met} of {} targets met; load {one} afterwards{quick}\n",
            verdicts.len()
        )
    }
}

fn met(ratio: &Ratio) -> Option<bool> {
    ratio.target.map(|target| target.is_met_by(ratio.value))
}

fn rows_of(figure: &Figure) -> Vec<Vec<String>> {
    let value = quantity(figure.value, figure.unit);
    if figure.ratios.is_empty() {
        return vec![vec![figure.name.clone(), value]];
    }
    let row = |(at, ratio): (usize, &Ratio)| {
        let (name, value) = if at == 0 {
            (figure.name.clone(), value.clone())
        } else {
            (String::new(), String::new())
        };
        let target = ratio.target.map_or_else(String::new, in_words);
        let met = met(ratio).map_or("", |met| if met { "yes" } else { "no" });
        vec![
            name,
            value,
            ratio.to.to_owned(),
            format!("{:.3}", ratio.value),
            ratio.scatter.map_or_else(String::new, scatter_in_words),
            target,
            met.to_owned(),
        ]
    };
    figure.ratios.iter().enumerate().map(row).collect()
}

fn in_words(target: Target) -> String {
    match target {
        Target::AtMost(bound) => format!("at most {bound}"),
        Target::AtLeast(bound) => format!("at least {bound}"),
    }
}

/// How many rounds, and between what the middle half of them lies.
fn scatter_in_words(scatter: Scatter) -> String {
    let [low, high] = scatter.quartiles;
    format!("{}: {low:.3} to {high:.3}", scatter.rounds)
}

/// A value with its unit, as a person reads it.
pub fn quantity(value: f64, unit: &str) -> String {
    match unit {
        "ns" if value >= 1000.0 => show::span(value as u64),
        "bytes" => show::bytes(value as u64),
        unit if unit.ends_with("/s") => format!("{} {unit}", grouped(value)),
        unit => format!("{} {unit}", three_digits(value)),
    }
}

fn grouped(value: f64) -> String {
    match value {
        v if v < 1e3 => three_digits(v),
        v if v < 1e6 => format!("{} k", three_digits(v / 1e3)),
        v => format!("{} M", three_digits(v / 1e6)),
    }
}

fn three_digits(value: f64) -> String {
    let decimals = match value.abs() {
        v if v < 10.0 => 2,
        v if v < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

fn figure_json(figure: &Figure) -> Value {
    json!({
        "name": figure.name,
        "value": figure.value,
        "unit": figure.unit,
        "ratios": figure.ratios.iter().map(ratio_json).collect::<Vec<_>>(),
    })
}

fn ratio_json(ratio: &Ratio) -> Value {
    let target = ratio.target.map(|target| match target {
        Target::AtMost(bound) => json!({ "at_most": bound }),
        Target::AtLeast(bound) => json!({ "at_least": bound }),
    });
    json!({
        "to": ratio.to,
        "value": ratio.value,
        "target": target,
        "met": met(ratio),
        "rounds": ratio.scatter.map(|scatter| scatter.rounds),
        "quartiles": ratio.scatter.map(|scatter| scatter.quartiles),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section() -> Section {
        let figure = Figure::new("strand", 2.5, "ns")
            .against("floor", 0.9, Some(Target::AtLeast(0.8)))
            .against_in_rounds("pipe", vec![6.0, 7.0, 9.0], None);
        Section {
            figures: vec![figure, Figure::new("floor", 2_250_000.0, "ns")],
            ..Section::new("ring", vec!["two processes".into()])
        }
    }

    #[test]
    fn the_table_has_a_line_per_ratio() {
        let text = section().table();
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(
            lines[4],
            [
                "strand", "2.50", "ns", "floor", "0.900", "at", "least", "0.8", "yes"
            ]
        );
        assert_eq!(lines[5], ["pipe", "7.000", "3:", "6.500", "to", "8.000"]);
        assert_eq!(lines[6], ["floor", "2.25", "ms"]);
    }

    #[test]
    fn the_json_says_what_is_met() {
        let json = section().json();
        let ratio = &json["figures"][0]["ratios"][0];
        assert_eq!(
            (&ratio["met"], &ratio["target"]["at_least"]),
            (&json!(true), &json!(0.8))
        );
        assert!(ratio["rounds"].is_null());
        let other = &json["figures"][0]["ratios"][1];
        assert!(other["met"].is_null());
        assert_eq!(
            (&other["rounds"], &other["quartiles"]),
            (&json!(3), &json!([6.5, 8.0]))
        );
    }

    #[test]
    fn quantities_read_well() {
        assert_eq!(quantity(2.468, "ns"), "2.47 ns");
        assert_eq!(quantity(87_120_000.0, "events/s"), "87.1 M events/s");
        assert_eq!(quantity(65_536.0, "bytes"), "64.0 KiB");
        assert_eq!(quantity(0.73, "%"), "0.73 %");
    }
}
