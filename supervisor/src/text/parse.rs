//! Values as they are typed on the command line. Every error is a sentence that says what is expected.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use shm_layout::torus::Torus;
use torus_worker::node::constraints::ConstraintKind;

/// A span of wall-clock time: `250ms`, `2s`, `1m30s`, `2h`; a bare number is seconds.
///
/// # Errors
/// A sentence with the accepted forms when the text is anything else, or longer than 100 years.
pub fn duration(text: &str) -> Result<Duration, String> {
    let refuse = || format!("expected a span of time such as 500ms, 30s, 5m or 1h30m, found '{text}'");
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(refuse());
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let unit = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let seconds = unit_seconds(unit).ok_or_else(refuse)?;
        let number: f64 = number.parse().map_err(|_| refuse())?;
        let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| refuse())?;
        total = total.checked_add(part).ok_or_else(refuse)?;
        rest = tail;
    }
    if total > Duration::from_secs(100 * 365 * 86_400) {
        Err(refuse())
    } else {
        Ok(total)
    }
}

/// A share in percent, such as `2`, `0.5` or `2%`, as thousandths.
///
/// # Errors
/// A sentence when the text is no number, or not from 0.1 to 100.
pub fn permille(text: &str) -> Result<u32, String> {
    let number: Option<f64> = text.trim().trim_end_matches('%').trim_end().parse().ok();
    match number.map(|percent| (10.0 * percent).round()) {
        Some(permille) if (1.0..=1000.0).contains(&permille) => Ok(permille as u32),
        _ => Err(format!("expected a percentage from 0.1 to 100, found '{text}'")),
    }
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    })
}

/// A type of whole number that options have.
pub trait Whole: FromStr + Display {
    /// The smallest.
    const MIN: Self;
    /// The largest.
    const MAX: Self;
}

impl Whole for u32 {
    const MIN: u32 = u32::MIN;
    const MAX: u32 = u32::MAX;
}

impl Whole for u64 {
    const MIN: u64 = u64::MIN;
    const MAX: u64 = u64::MAX;
}

impl Whole for i64 {
    const MIN: i64 = i64::MIN;
    const MAX: i64 = i64::MAX;
}

/// A whole number. Whether it is in an option's own range is the configuration's business.
///
/// # Errors
/// A sentence with the range when it is none.
pub fn whole<T: Whole>(text: &str) -> Result<T, String> {
    let refuse = |_: T::Err| {
        let (min, max) = (T::MIN, T::MAX);
        format!("expected a whole number from {min} to {max}, found '{text}'")
    };
    text.parse().map_err(refuse)
}

/// The sides of the lattice, `X,Y,Z`. Whether they are powers of two in range is the configuration's business.
///
/// # Errors
/// A sentence when there are not exactly three whole numbers.
pub fn sides(text: &str) -> Result<[u32; 3], String> {
    let refuse = || format!("expected three whole numbers X,Y,Z such as 32,32,32, found '{text}'");
    three(text, |part| part.parse::<u32>().ok()).ok_or_else(refuse)
}

/// A lattice cell, `X,Y,Z`; any integers, they wrap.
///
/// # Errors
/// A sentence when there are not exactly three integers.
pub fn coordinates(text: &str) -> Result<[i64; 3], String> {
    let refuse = || format!("expected three integers X,Y,Z such as 0,5,-1, found '{text}'");
    three(text, |part| part.parse::<i64>().ok()).ok_or_else(refuse)
}

fn three<T: Copy>(text: &str, one: impl Fn(&str) -> Option<T>) -> Option<[T; 3]> {
    let parts: Option<Vec<T>> = text.split(',').map(|part| one(part.trim())).collect();
    parts?.try_into().ok()
}

/// A gain as a fraction `N/D` above 0 and up to 1.
///
/// # Errors
/// A sentence when it is not a fraction of two whole numbers, is 0, or exceeds 1.
pub fn gain(text: &str) -> Result<(u32, u32), String> {
    let refuse = || format!("expected a fraction above 0 and up to 1 such as 1/2, found '{text}'");
    let (over, under) = text.split_once('/').unwrap_or((text, "1"));
    let over: u32 = over.trim().parse().map_err(|_| refuse())?;
    let under: u32 = under.trim().parse().map_err(|_| refuse())?;
    if over == 0 || over > under {
        Err(refuse())
    } else {
        Ok((over, under))
    }
}

/// A model parameter, `KEY=VALUE`.
///
/// # Errors
/// A sentence when there is no `=` or no key.
pub fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err(format!("expected KEY=VALUE such as remote=0.1, found '{text}'")),
    }
}

/// A torus letter.
///
/// # Errors
/// A sentence naming the three.
pub fn torus(text: &str) -> Result<Torus, String> {
    let upper = text.to_ascii_uppercase();
    Torus::from_letter(&upper).ok_or_else(|| format!("there is no torus '{text}'; the tori are A, B and C"))
}

/// What a constraint holds.
///
/// # Errors
/// A sentence naming all kinds.
pub fn constraint_kind(text: &str) -> Result<ConstraintKind, String> {
    ConstraintKind::from_name(text).ok_or_else(|| {
        let names = ConstraintKind::ALL.map(ConstraintKind::name).join(", ");
        format!("there is no kind of constraint '{text}'; the kinds are {names}")
    })
}

/// How many tori a run has: 1 or 3.
///
/// # Errors
/// A sentence when it is another number.
pub fn tori(text: &str) -> Result<u8, String> {
    match text {
        "1" => Ok(1),
        "3" => Ok(3),
        _ => Err(format!("a run has 1 torus or 3, not '{text}'")),
    }
}

/// A signal by name (`KILL`, `SIGKILL`, `kill`) or number; the number is returned.
///
/// # Errors
/// A sentence when Linux has no such signal.
pub fn signal(text: &str) -> Result<i32, String> {
    use nix::sys::signal::Signal;
    let refuse =
        || format!("there is no signal '{text}'; give a name such as KILL, STOP or TERM, or a number");
    if let Ok(number) = text.parse::<i32>() {
        return Signal::try_from(number).map(|_| number).map_err(|_| refuse());
    }
    let upper = text.to_ascii_uppercase();
    let name = if upper.starts_with("SIG") {
        upper
    } else {
        format!("SIG{upper}")
    };
    name.parse::<Signal>()
        .map(|signal| signal as i32)
        .map_err(|_| refuse())
}

/// A client's name: 1 to 64 of `[A-Za-z0-9._:@-]`.
///
/// # Errors
/// A sentence with the rule.
pub fn client(text: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._:@-".contains(&byte);
    if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "a client's name is 1 to 64 letters, digits or . _ : @ -, found '{text}'"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_none_is_refused_with_the_range() {
        assert_eq!(whole("-7"), Ok(-7_i64));
        assert_eq!(whole("7"), Ok(7_u64));
        for text in ["x", "", "1.5", "-1", "4294967296"] {
            let refusal = whole::<u32>(text).unwrap_err();
            assert!(refusal.contains("from 0 to 4294967295"), "{refusal}");
            assert!(refusal.contains(&format!("'{text}'")), "{refusal}");
        }
    }

    #[test]
    fn durations_take_units_and_bare_seconds() {
        assert_eq!(duration("2"), Ok(Duration::from_secs(2)));
        assert_eq!(duration("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
        for bad in [
            "",
            "x",
            "-1",
            "5 apples",
            "1..2s",
            "1e9h",
            "99999999999999999999999d",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn coordinates_may_be_negative_and_sides_may_not() {
        assert_eq!(coordinates("-33, 0,7"), Ok([-33, 0, 7]));
        assert_eq!(sides("32,16,8"), Ok([32, 16, 8]));
        for bad in ["1,2", "1,2,3,4", "a,b,c", "", "1,2,99999999999999999999"] {
            assert!(coordinates(bad).is_err(), "{bad}");
            assert!(sides(bad).is_err(), "{bad}");
        }
        assert!(sides("-1,2,3").is_err());
    }

    #[test]
    fn gains_are_fractions_up_to_one() {
        assert_eq!(gain("1/4"), Ok((1, 4)));
        assert_eq!(gain("1"), Ok((1, 1)));
        for bad in ["3/2", "1/0", "0", "0/5", "0.5", "", "/"] {
            assert!(gain(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn signals_go_by_name_or_number() {
        assert_eq!(signal("KILL"), Ok(9));
        assert_eq!(signal("sigstop"), Ok(19));
        assert_eq!(signal("15"), Ok(15));
        assert!(signal("NOPE").is_err());
        assert!(signal("0").is_err());
        assert!(signal("4711").is_err());
    }

    #[test]
    fn tori_go_by_letter() {
        assert_eq!(torus("b").map(|torus| torus.letter()), Ok('B'));
        assert!(torus("D").unwrap_err().contains("A, B and C"));
        assert!(torus("").is_err());
    }

    #[test]
    fn parameters_and_clients_are_checked() {
        assert_eq!(parameter("remote=0.1"), Ok(("remote".into(), "0.1".into())));
        assert!(parameter("remote").is_err());
        assert!(parameter("=1").is_err());
        assert!(client("feeder-1").is_ok());
        assert!(client("").is_err());
        assert!(client("a b").is_err());
        assert!(client(&"x".repeat(65)).is_err());
    }
}
