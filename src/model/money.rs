//! Money, in millionths of a US dollar: sums stay exact.

use std::{fmt, iter, ops};

use serde::{Deserialize, Serialize};

/// What the gateway says when an agent's money is spent: providers recognise it in what their
/// program passes on.
pub const BUDGET_SPENT: &str = "the budget that Baton gave this agent is spent";

/// An amount in micro-USD.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Micros(pub i64);

impl Micros {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Rounds a dollar amount to the nearest micro-USD; what is no number counts as nothing.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "float to int saturates, NaN becomes 0")]
    pub fn from_dollars(dollars: f64) -> Self {
        Self((dollars * 1e6).round() as i64)
    }

    /// Reads dollars and cents as people write them (`2`, `2.5`, `2.50`), exactly; nothing where it is
    /// none of these, or more than 10,000.
    #[must_use]
    pub fn of_text(dollars: &str) -> Option<Self> {
        let (whole, cents) = dollars.split_once('.').unwrap_or((dollars, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(cents) || whole.len() > 5 || cents.len() > 2 {
            return None;
        }
        let tens = if cents.len() == 1 { 10 } else { 1 };
        let cents = whole.parse::<i64>().ok()? * 100 + cents.parse::<i64>().ok()? * tens;
        (cents <= 1_000_000).then_some(Self(cents * 10_000))
    }
}

impl ops::Add for Micros {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl iter::Sum for Micros {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, ops::Add::add)
    }
}

/// Dollars and cents, a started cent counted whole: `$1.37`.
impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cents = cents_started(self.0.max(0));
        write!(f, "${}.{:02}", cents / 100, cents % 100)
    }
}

fn cents_started(micros: i64) -> i64 {
    micros / 10_000 + i64::from(micros % 10_000 > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_started_cent_is_shown() {
        assert_eq!(Micros(0).to_string(), "$0.00");
        assert_eq!(Micros(1).to_string(), "$0.01");
        assert_eq!(Micros(1_370_000).to_string(), "$1.37");
        assert_eq!(Micros::from_dollars(f64::NAN), Micros::ZERO);
    }

    #[test]
    fn dollars_are_read_as_they_are_written_and_nothing_else_is() {
        for (text, micros) in [
            ("2", 2_000_000),
            ("0.5", 500_000),
            ("0.05", 50_000),
            ("1.10", 1_100_000),
            ("10000", 10_000_000_000),
        ] {
            assert_eq!(Micros::of_text(text), Some(Micros(micros)), "{text}");
        }
        for text in
            ["", ".", "1.", ".5", "1.005", "-1", "1e3", "1,5", "10000.01", "123456", "1.2.3"]
        {
            assert_eq!(Micros::of_text(text), None, "{text}");
        }
    }
}
