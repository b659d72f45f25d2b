//! Values as a person reads them.

/// A span in nanoseconds with three significant digits: `870 ns`, `35.2 µs`, `1.25 ms`, `3.02 s`, `4 min 10 s`.
pub fn span(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{} µs", three_digits(ns as f64 / 1e3)),
        1_000_000..1_000_000_000 => format!("{} ms", three_digits(ns as f64 / 1e6)),
        1_000_000_000..120_000_000_000 => format!("{} s", three_digits(ns as f64 / 1e9)),
        _ => long_span(ns / 1_000_000_000),
    }
}

fn long_span(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours} h {minutes} min")
    } else {
        format!("{minutes} min {seconds} s")
    }
}

fn three_digits(value: f64) -> String {
    let decimals = if value < 10.0 {
        2
    } else {
        usize::from(value < 100.0)
    };
    format!("{value:.decimals$}")
}

/// A size in bytes: `512 B`, `4.1 KiB`, `37.2 MiB`, `1.5 GiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{count} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// A count with a thin grouping: `12 345 678`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// A rate per second: `950/s`, `1.25 k/s`, `87.1 M/s`.
pub fn rate(per_second: f64) -> String {
    match per_second {
        v if v < 1e3 => format!("{v:.0}/s"),
        v if v < 1e6 => format!("{} k/s", three_digits(v / 1e3)),
        v if v < 1e9 => format!("{} M/s", three_digits(v / 1e6)),
        v => format!("{} G/s", three_digits(v / 1e9)),
    }
}

/// A digest as the sixteen hexadecimal digits that every output uses.
pub fn digest(value: u64) -> String {
    format!("{value:016x}")
}

/// A signal's name without `SIG`, or its number when it has none.
pub fn signal(number: i32) -> String {
    match nix::sys::signal::Signal::try_from(number) {
        Ok(signal) => signal.as_str().to_owned(),
        Err(_) => format!("signal {number}"),
    }
}

/// Rows as aligned columns, the first row being the heading; numbers (by their first character) flush right.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|c| {
            rows.iter()
                .filter_map(|row| row.get(c))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let right: Vec<bool> = (0..columns)
        .map(|c| rows.iter().skip(1).all(|row| numeric(row.get(c))))
        .collect();
    let mut out = String::new();
    for row in rows {
        let cells = row
            .iter()
            .enumerate()
            .map(|(c, cell)| pad(cell, widths[c], right[c] && rows.len() > 1));
        let line = cells.collect::<Vec<_>>().join("  ");
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn numeric(cell: Option<&String>) -> bool {
    cell.is_none_or(|cell| cell.is_empty() || cell == "-" || cell.starts_with(|c: char| c.is_ascii_digit()))
}

fn pad(cell: &str, width: usize, right: bool) -> String {
    let blanks = " ".repeat(width.saturating_sub(cell.chars().count()));
    if right {
        format!("{blanks}{cell}")
    } else {
        format!("{cell}{blanks}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_keep_three_digits() {
        assert_eq!(span(870), "870 ns");
        assert_eq!(span(35_210), "35.2 µs");
        assert_eq!(span(1_250_000), "1.25 ms");
        assert_eq!(span(3_020_000_000), "3.02 s");
        assert_eq!(span(250_000_000_000), "4 min 10 s");
        assert_eq!(span(7_260_000_000_000), "2 h 1 min");
    }

    #[test]
    fn sizes_counts_and_rates_read_well() {
        assert_eq!(bytes(512), "512 B");
        assert_eq!(bytes(4200), "4.1 KiB");
        assert_eq!(bytes(39_007_027), "37.2 MiB");
        assert_eq!(count(0), "0");
        assert_eq!(count(12_345_678), "12 345 678");
        assert_eq!(rate(950.0), "950/s");
        assert_eq!(rate(87_120_000.0), "87.1 M/s");
        assert_eq!(digest(0xab), "00000000000000ab");
    }

    #[test]
    fn signals_show_their_names() {
        assert_eq!(signal(9), "SIGKILL");
        assert_eq!(signal(4711), "signal 4711");
    }

    #[test]
    fn tables_align() {
        let rows = [
            vec!["NAME".into(), "N".into()],
            vec!["a".into(), "1".into()],
            vec!["bcd".into(), "12345".into()],
        ];
        assert_eq!(table(&rows), "NAME      N\na         1\nbcd   12345\n");
        assert_eq!(table(&[]), "");
    }
}
