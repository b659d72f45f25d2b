//! A model's parameters: what it declares, and what a run gives.

use std::fmt::Write;
use std::ops::RangeInclusive;

/// One parameter that a model declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParameterSpec {
    /// Its name, as in `-p name=value`.
    pub name: &'static str,
    /// The value when none is given, as text.
    pub default: &'static str,
    /// What it means, with its unit and range; shown in help and errors.
    pub meaning: &'static str,
}

/// Why parameters were refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// The model declares no parameter of this name.
    #[error("model {model} has no parameter {name:?}; {known}")]
    Unknown {
        /// The model.
        model: &'static str,
        /// The name given.
        name: String,
        /// The names it has, as a sentence.
        known: String,
    },
    /// One name was given twice.
    #[error("parameter {name:?} is given twice; give it once")]
    Repeated {
        /// The name.
        name: String,
    },
    /// The value is not of the kind, or not in the range, that the parameter needs.
    #[error("parameter {name}={value}: expected {expected}")]
    Value {
        /// The parameter.
        name: &'static str,
        /// The value given.
        value: String,
        /// What was expected.
        expected: String,
    },
}

/// A complete set of parameters: every one that the model declares, given or default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    model: &'static str,
    values: Vec<(&'static str, String)>,
}

impl Parameters {
    /// Completes `given` with the defaults of `specs`.
    ///
    /// # Errors
    /// A name that is not declared, or given twice.
    pub fn resolve(
        model: &'static str,
        specs: &[ParameterSpec],
        given: &[(String, String)],
    ) -> Result<Parameters, ParameterError> {
        for (at, (name, _)) in given.iter().enumerate() {
            if !specs.iter().any(|spec| spec.name == name) {
                return Err(ParameterError::Unknown {
                    model,
                    name: name.clone(),
                    known: known(specs),
                });
            }
            if given[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(ParameterError::Repeated { name: name.clone() });
            }
        }
        let value_of = |spec: &ParameterSpec| {
            let found = given.iter().find(|(name, _)| name == spec.name);
            found.map_or_else(|| spec.default.to_owned(), |(_, value)| value.trim().to_owned())
        };
        let mut values: Vec<_> = specs.iter().map(|spec| (spec.name, value_of(spec))).collect();
        values.sort();
        Ok(Parameters { model, values })
    }

    /// Every name with its value, sorted by name.
    pub fn pairs(&self) -> Vec<(String, String)> {
        self.values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect()
    }

    /// The text of a declared parameter.
    ///
    /// # Errors
    /// The model does not declare it.
    pub fn text(&self, name: &'static str) -> Result<&str, ParameterError> {
        let found = self.values.iter().find(|(own, _)| *own == name);
        found
            .map(|(_, value)| value.as_str())
            .ok_or_else(|| ParameterError::Unknown {
                model: self.model,
                name: name.to_owned(),
                known: "its own code asks for it, so declare it".to_owned(),
            })
    }

    /// A whole number within `range`.
    ///
    /// # Errors
    /// Not a whole number, or outside the range.
    pub fn integer(&self, name: &'static str, range: RangeInclusive<i64>) -> Result<i64, ParameterError> {
        let text = self.text(name)?;
        let value = text.parse().ok().filter(|value| range.contains(value));
        value.ok_or_else(|| {
            self.refuse(
                name,
                format!("a whole number from {} to {}", range.start(), range.end()),
            )
        })
    }

    /// A fraction from 0 to 1.
    ///
    /// # Errors
    /// Not a number, or outside the range.
    pub fn fraction(&self, name: &'static str) -> Result<f64, ParameterError> {
        let value = self
            .text(name)?
            .parse()
            .ok()
            .filter(|value| (0.0..=1.0).contains(value));
        value.ok_or_else(|| self.refuse(name, "a number from 0 to 1".to_owned()))
    }

    /// The error for a value of a declared parameter that does not fit.
    pub fn refuse(&self, name: &'static str, expected: String) -> ParameterError {
        let value = self.text(name).unwrap_or_default().to_owned();
        ParameterError::Value {
            name,
            value,
            expected,
        }
    }
}

fn known(specs: &[ParameterSpec]) -> String {
    if specs.is_empty() {
        return "it has none".to_owned();
    }
    let mut text = "it has ".to_owned();
    for (at, spec) in specs.iter().enumerate() {
        let separator = if at == 0 { "" } else { ", " };
        // Writing into a String cannot fail.
        let _ = write!(text, "{separator}{} (default {})", spec.name, spec.default);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECS: &[ParameterSpec] = &[
        ParameterSpec {
            name: "size",
            default: "3",
            meaning: "how many",
        },
        ParameterSpec {
            name: "part",
            default: "0.5",
            meaning: "which part",
        },
    ];

    fn resolve(given: &[(&str, &str)]) -> Result<Parameters, ParameterError> {
        let given: Vec<_> = given
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect();
        Parameters::resolve("toy", SPECS, &given)
    }

    #[test]
    fn defaults_complete_what_is_given_in_sorted_order() {
        let pairs = resolve(&[("size", "7")]).unwrap().pairs();
        assert_eq!(
            pairs,
            [
                ("part".to_owned(), "0.5".to_owned()),
                ("size".to_owned(), "7".to_owned())
            ]
        );
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_names_there_are() {
        let message = resolve(&[("sise", "7")]).unwrap_err().to_string();
        assert_eq!(
            message,
            "model toy has no parameter \"sise\"; it has size (default 3), part (default 0.5)"
        );
    }

    #[test]
    fn a_name_given_twice_is_refused() {
        assert!(matches!(
            resolve(&[("size", "1"), ("size", "2")]),
            Err(ParameterError::Repeated { name }) if name == "size"
        ));
    }

    #[test]
    fn values_outside_their_range_name_the_range() {
        let parameters = resolve(&[("size", "9"), ("part", "1.5")]).unwrap();
        let message = parameters.integer("size", 1..=8).unwrap_err().to_string();
        assert_eq!(message, "parameter size=9: expected a whole number from 1 to 8");
        assert!(parameters.fraction("part").is_err());
        assert!(resolve(&[("part", "nan")]).unwrap().fraction("part").is_err());
    }
}
