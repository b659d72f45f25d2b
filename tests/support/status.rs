//! `status --json`, as the tests read it.

use serde_json::Value;
use shm_layout::torus::Torus;

/// The report of a run.
#[derive(Clone, Debug)]
pub struct Status(pub Value);

/// Where a torus ended: what two exact executions of one run have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The torus.
    pub torus: String,
    /// Its last boundary.
    pub boundary: u64,
    /// Its virtual time.
    pub tick: u64,
    /// The events that it has executed.
    pub events: u64,
    /// The digest of all of them.
    pub history: String,
    /// The digest of its state.
    pub state: String,
}

impl Status {
    /// The state of the run.
    pub fn state(&self) -> &str {
        self.0["state"].as_str().expect("state")
    }

    /// The report on the coupled faces.
    pub fn faces(&self) -> &Value {
        &self.0["faces"]
    }

    /// The report of one torus.
    pub fn torus(&self, torus: Torus) -> &Value {
        &self.0["tori"][torus.index()]
    }

    /// A number of one torus.
    pub fn number(&self, torus: Torus, field: &str) -> u64 {
        self.torus(torus)[field]
            .as_u64()
            .unwrap_or_else(|| panic!("no number {field} in {}", self.torus(torus)))
    }

    /// The tori.
    pub fn tori(&self) -> &[Value] {
        self.0["tori"].as_array().expect("tori")
    }

    /// How often workers have been replaced, over all tori.
    pub fn restarts(&self) -> u64 {
        self.tori()
            .iter()
            .map(|torus| torus["restarts"].as_u64().expect("restarts"))
            .sum()
    }

    /// The causes of all recoveries of a torus, oldest first.
    pub fn causes(&self, torus: Torus) -> Vec<String> {
        let recoveries = self.torus(torus)["recoveries"].as_array().expect("recoveries");
        recoveries
            .iter()
            .map(|recovery| recovery["cause"].as_str().expect("cause").to_owned())
            .collect()
    }

    /// Where a run that is over ended.
    pub fn ends(&self) -> Vec<End> {
        self.tori().iter().map(|torus| self.end(torus)).collect()
    }

    fn end(&self, torus: &Value) -> End {
        let text = |field: &str| {
            let found = torus[field].as_str();
            found
                .unwrap_or_else(|| panic!("the run is not over: no {field} in {}", self.0))
                .to_owned()
        };
        let number = |field: &str| {
            torus[field]
                .as_u64()
                .unwrap_or_else(|| panic!("no {field} in {torus}"))
        };
        End {
            torus: text("torus"),
            boundary: number("boundary"),
            tick: number("tick"),
            events: number("events"),
            history: text("history_digest"),
            state: text("state_digest"),
        }
    }
}
