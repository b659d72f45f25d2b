//! From text to commands.

use super::{Command, Coordinates, Line, Script, ScriptError};
use crate::kernel::TIME_MAX;
use shm_layout::torus::Torus;
use std::str::{FromStr, SplitWhitespace};

const COMMANDS: &str = "`process`, `edge`, `inject`, `run_until` or `dump`";

pub(super) fn parse(file: &str, text: &str) -> Result<Script, ScriptError> {
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let mut words = Words {
            file,
            line: number,
            words: line.split_whitespace(),
        };
        match words.words.next() {
            None => {}
            Some(word) if word.starts_with('#') => {}
            Some(word) => lines.push(Line {
                number,
                command: words.command(word)?,
            }),
        }
    }
    Ok(Script {
        file: file.to_owned(),
        lines,
    })
}

/// The words of one line that are still to be read.
struct Words<'a> {
    file: &'a str,
    line: usize,
    words: SplitWhitespace<'a>,
}

impl Words<'_> {
    fn command(&mut self, name: &str) -> Result<Command, ScriptError> {
        let command = match name {
            "process" => Command::Process(self.coordinates("a cell", Torus::A)?),
            "edge" => {
                let from = self.coordinates("the cell that the edge starts from", Torus::A)?;
                let to = self.coordinates("the cell that the edge leads to", Torus::A)?;
                let expected = "the edge's delay, a whole number from 1 to 4294967295";
                Command::Edge {
                    from,
                    to,
                    delay: self.number(expected, |delay| *delay > 0)?,
                }
            }
            "inject" => {
                let to = self.coordinates("the event's destination", Torus::A)?;
                let from = self.coordinates("the event's source", to.torus)?;
                if from.torus != to.torus {
                    let expected = format!("a source on the destination's torus {}", to.torus);
                    return Err(self.malformed(&expected, &format!("torus {}", from.torus)));
                }
                let expected = "the payload, a whole number from -2147483648 to 2147483647";
                Command::Inject {
                    to,
                    from,
                    payload: self.number(expected, |_| true)?,
                }
            }
            "run_until" => {
                let expected = format!("a tick, a whole number from 0 to {}", TIME_MAX - 1);
                Command::RunUntil(self.number(&expected, |tick| *tick < TIME_MAX)?)
            }
            "dump" => Command::Dump,
            other => return Err(self.malformed(COMMANDS, &format!("`{other}`"))),
        };
        match self.words.next() {
            None => Ok(command),
            Some(word) => Err(self.malformed(
                &format!("the end of the line after `{name}`"),
                &format!("`{word}`"),
            )),
        }
    }

    fn coordinates(&mut self, what: &str, torus: Torus) -> Result<Coordinates, ScriptError> {
        let expected = format!("{what} as three whole numbers x y z, perhaps with a torus as in B:x");
        let first = self.word(&expected)?;
        let (torus, x) = match first.split_once(':') {
            None => (torus, first),
            Some((letter, x)) => match Torus::from_letter(letter) {
                Some(torus) => (torus, x),
                None => {
                    return Err(self.malformed(
                        "one of the tori A, B and C before the colon",
                        &format!("`{first}`"),
                    ));
                }
            },
        };
        let x = x
            .parse()
            .map_err(|_| self.malformed(&expected, &format!("`{first}`")))?;
        let [y, z] = [
            self.number(&expected, |_| true)?,
            self.number(&expected, |_| true)?,
        ];
        Ok(Coordinates {
            torus,
            xyz: [x, y, z],
        })
    }

    fn number<N: FromStr>(&mut self, expected: &str, accepts: impl Fn(&N) -> bool) -> Result<N, ScriptError> {
        let word = self.word(expected)?;
        let number = word.parse().ok().filter(accepts);
        number.ok_or_else(|| self.malformed(expected, &format!("`{word}`")))
    }

    fn word<'w>(&mut self, expected: &str) -> Result<&'w str, ScriptError>
    where
        Self: 'w,
    {
        self.words
            .next()
            .ok_or_else(|| self.malformed(expected, "the end of the line"))
    }

    fn malformed(&self, expected: &str, found: &str) -> ScriptError {
        let file = self.file.to_owned();
        ScriptError::Malformed {
            file,
            line: self.line,
            expected: expected.to_owned(),
            found: found.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Command {
        parse("s", text).unwrap().lines[0].command
    }

    fn error(text: &str) -> String {
        parse("dir/s.txt", text).unwrap_err().to_string()
    }

    fn at(torus: Torus, xyz: [i64; 3]) -> Coordinates {
        Coordinates { torus, xyz }
    }

    #[test]
    fn every_command_is_understood_with_and_without_prefixes() {
        assert_eq!(
            one("process -1 2 99"),
            Command::Process(at(Torus::A, [-1, 2, 99]))
        );
        let edge = Command::Edge {
            from: at(Torus::A, [1, 2, 3]),
            to: at(Torus::C, [4, 5, 6]),
            delay: 7,
        };
        assert_eq!(one("edge A:1 2 3 C:4 5 6 7"), edge);
        let inject = Command::Inject {
            to: at(Torus::B, [1, 2, 3]),
            from: at(Torus::B, [4, 5, 6]),
            payload: -7,
        };
        assert_eq!(one("  inject B:1 2 3   4 5 6\t-7 "), inject);
        assert_eq!(one("run_until 5"), Command::RunUntil(5));
        assert_eq!(one("dump"), Command::Dump);
    }

    #[test]
    fn blank_lines_and_comments_count_as_lines_only() {
        let script = parse("s", "# head\n\n  # more\r\ndump\r\n").unwrap();
        assert_eq!(
            script.lines,
            [Line {
                number: 4,
                command: Command::Dump
            }]
        );
    }

    #[test]
    fn any_i64_is_a_coordinate() {
        let text = format!("process {} 0 {}", i64::MIN, i64::MAX);
        assert_eq!(
            one(&text),
            Command::Process(at(Torus::A, [i64::MIN, 0, i64::MAX]))
        );
    }

    #[test]
    fn errors_name_file_line_and_what_was_expected() {
        assert_eq!(
            error("dump\nproces 1 2 3"),
            "dir/s.txt:2: expected `process`, `edge`, `inject`, `run_until` or `dump`, found `proces`"
        );
        assert_eq!(
            error("edge 1 2 3 4 5 6 0"),
            "dir/s.txt:1: expected the edge's delay, a whole number from 1 to 4294967295, found `0`"
        );
        assert_eq!(
            error("process D:1 2 3"),
            "dir/s.txt:1: expected one of the tori A, B and C before the colon, found `D:1`"
        );
        assert_eq!(
            error("inject A:1 2 3 B:1 2 3 5"),
            "dir/s.txt:1: expected a source on the destination's torus A, found torus B"
        );
        assert!(error("process 1 2").ends_with("found the end of the line"));
        assert!(error("process 1 2 B:3").ends_with("found `B:3`"));
        assert!(error("process 1 2 99999999999999999999").contains("whole number"));
        assert!(error("inject 1 2 3 4 5 6 2147483648").contains("the payload"));
        assert!(error("dump now").contains("the end of the line after `dump`"));
        assert!(error("run_until -1").contains("a tick"));
    }
}
