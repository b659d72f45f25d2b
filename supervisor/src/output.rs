//! Data to standard output, messages to standard error. A closed pipe ends the output, never the program.

use std::io::{self, IsTerminal, Write};

/// Writes data to standard output. A reader that has gone (`| head`) is no error: the rest is dropped.
pub fn data(text: &str) {
    let mut out = io::stdout().lock();
    // The result is dropped on purpose: nobody is left to tell.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes data and a newline to standard output.
pub fn data_line(text: &str) {
    data(&format!("{text}\n"));
}

/// Writes one value as indented JSON to standard output.
pub fn json<T: serde::Serialize>(value: &T) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => data_line(&text),
        Err(error) => message(&format!("cannot write the result as JSON: {error}")),
    }
}

/// Writes a message and a newline to standard error.
pub fn message(text: &str) {
    let mut err = io::stderr().lock();
    let _ = writeln!(err, "{text}");
}

/// The live line: rewritten in place on a terminal, one plain line after another elsewhere.
pub struct LiveLine {
    terminal: bool,
    shown: usize,
}

impl LiveLine {
    /// Looks at standard error once, to see whether a person watches.
    pub fn new() -> Self {
        LiveLine {
            terminal: io::stderr().is_terminal(),
            shown: 0,
        }
    }

    /// Whether the line is rewritten in place.
    pub fn in_place(&self) -> bool {
        self.terminal
    }

    /// Shows `text` as the current state.
    pub fn show(&mut self, text: &str) {
        if !self.terminal {
            message(text);
            return;
        }
        let mut err = io::stderr().lock();
        let width = text.chars().count();
        let blanks = " ".repeat(self.shown.saturating_sub(width));
        let _ = write!(err, "\r{text}{blanks}").and_then(|()| err.flush());
        self.shown = width;
    }

    /// Says something beside the live line: the line is cleared first and comes back with the next `show`.
    pub fn interrupt(&mut self, text: &str) {
        self.clear();
        message(text);
    }

    /// Clears the line, so that other output starts in the first column.
    pub fn clear(&mut self) {
        if self.terminal && self.shown > 0 {
            let mut err = io::stderr().lock();
            let _ = write!(err, "\r{}\r", " ".repeat(self.shown)).and_then(|()| err.flush());
            self.shown = 0;
        }
    }
}

impl Default for LiveLine {
    fn default() -> Self {
        Self::new()
    }
}
