//! Medians, quartiles, ratios and what may be concluded from them.

use serde::Serialize;
use std::time::Duration;

/// Fewer rounds than this say nothing: a quartile of five values is one value.
pub(crate) const ROUNDS_FOR_A_VERDICT: usize = 9;
/// A server that ran for less of a closed-loop slice than this was not what limited it.
pub(crate) const FULL_USE: f64 = 0.90;

/// The middle of a set of measurements and how far it spreads.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Quartiles {
    /// A quarter of the values is below.
    pub(crate) q1: f64,
    /// Half of the values is below.
    pub(crate) median: f64,
    /// Three quarters of the values are below.
    pub(crate) q3: f64,
}

impl Quartiles {
    /// The quartiles of these values, interpolated between neighbours. None for no values, or if one is not finite.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        if values.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let quarter = |k: usize| {
            // The k-th quarter lies at position k(n-1)/4; whole steps and the rest are kept apart.
            let steps = k * sorted.len().checked_sub(1)?;
            let (below, part) = (sorted.get(steps / 4)?, [0.0, 0.25, 0.5, 0.75].get(steps % 4)?);
            let above = sorted.get(steps / 4 + 1).unwrap_or(below);
            Some(below + (above - below) * part)
        };
        Some(Self { q1: quarter(1)?, median: quarter(2)?, q3: quarter(3)? })
    }

    /// One value that does not spread, such as the size of a file.
    pub(crate) fn exact(value: f64) -> Self {
        Self { q1: value, median: value, q3: value }
    }
}

/// The median alone.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    Quartiles::of(values).map(|quartiles| quartiles.median)
}

/// The ratios of values that were measured in the same round. A round in which one of them is missing gives none.
pub(crate) fn ratios(over: &[Option<f64>], under: &[Option<f64>]) -> Vec<f64> {
    over.iter()
        .zip(under)
        .filter_map(|(over, under)| Some((*over)? / (*under)?))
        .filter(|r| r.is_finite())
        .collect()
}

/// A duration in microseconds.
pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// A count as a number to calculate with. Counts here are far below 2⁵³, where that would lose something.
#[expect(clippy::cast_precision_loss, reason = "counts of requests, bytes and kilobytes stay far below 2^53")]
pub(crate) fn number(count: u64) -> f64 {
    count as f64
}

/// What a measurement should reach.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
}

/// What may be said of a measurement and its goal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Both quartiles are on the good side.
    Met,
    /// Both quartiles are on the bad side.
    Missed,
    /// Nothing may be concluded, and why.
    None(String),
}

impl Goal {
    /// Whether one value is on the good side.
    pub(crate) fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }

    /// Judges a spread of values: only one that lies wholly on one side of the goal gives a verdict.
    pub(crate) fn judge(self, values: Quartiles, rounds: usize) -> Verdict {
        if rounds < ROUNDS_FOR_A_VERDICT {
            return Verdict::None(format!("{rounds} rounds; {ROUNDS_FOR_A_VERDICT} are needed"));
        }
        self.judge_exact(values)
    }

    /// Judges values that need no number of rounds, such as a size.
    pub(crate) fn judge_exact(self, values: Quartiles) -> Verdict {
        match (self.holds(values.q1), self.holds(values.q3)) {
            (true, true) => Verdict::Met,
            (false, false) => Verdict::Missed,
            _ => Verdict::None("the quartiles straddle the goal".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quartiles(values: &[f64]) -> (f64, f64, f64) {
        let q = Quartiles::of(values).unwrap();
        (q.q1, q.median, q.q3)
    }

    #[test]
    fn quartiles_of_known_sets() {
        assert_eq!(quartiles(&[7.0]), (7.0, 7.0, 7.0));
        assert_eq!(quartiles(&[3.0, 1.0]), (1.5, 2.0, 2.5));
        assert_eq!(quartiles(&[5.0, 1.0, 4.0, 2.0, 3.0]), (2.0, 3.0, 4.0));
        assert_eq!(quartiles(&[4.0, 3.0, 2.0, 1.0]), (1.75, 2.5, 3.25));
        assert_eq!(quartiles(&[9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]), (3.0, 5.0, 7.0));
        assert_eq!(Quartiles::of(&[]), None);
        assert_eq!(Quartiles::of(&[1.0, f64::NAN]), None);
        assert_eq!(Quartiles::of(&[f64::INFINITY]), None);
        assert_eq!(median(&[2.0, 9.0, 1.0]), Some(2.0));
    }

    #[test]
    fn ratios_pair_what_was_measured_together() {
        let over = [Some(1.0), None, Some(9.0), Some(4.0), Some(1.0)];
        let under = [Some(2.0), Some(5.0), Some(3.0), None, Some(0.0)];
        assert_eq!(ratios(&over, &under), [0.5, 3.0], "rounds with a gap or a division by zero are left out");
    }

    #[test]
    fn a_verdict_needs_both_quartiles_on_one_side() {
        let spread = |q1, q3| Quartiles { q1, median: f64::midpoint(q1, q3), q3 };
        for (goal, q1, q3, met) in [
            (Goal::AtLeast(0.7), 0.7, 0.8, Some(true)),
            (Goal::AtLeast(0.7), 0.5, 0.69, Some(false)),
            (Goal::AtLeast(0.7), 0.69, 0.8, None),
            (Goal::AtMost(1.3), 1.0, 1.3, Some(true)),
            (Goal::AtMost(1.3), 1.31, 2.0, Some(false)),
            (Goal::AtMost(1.3), 1.2, 1.4, None),
        ] {
            let verdict = goal.judge(spread(q1, q3), 9);
            let seen = match verdict {
                Verdict::Met => Some(true),
                Verdict::Missed => Some(false),
                Verdict::None(_) => None,
            };
            assert_eq!(seen, met, "{goal:?} {q1} {q3}");
        }
    }

    #[test]
    fn few_rounds_give_no_verdict() {
        let sure = Quartiles::exact(1.0);
        assert_eq!(Goal::AtLeast(0.5).judge(sure, 8), Verdict::None("8 rounds; 9 are needed".to_owned()));
        assert_eq!(Goal::AtLeast(0.5).judge(sure, 9), Verdict::Met);
        assert_eq!(Goal::AtMost(0.5).judge_exact(sure), Verdict::Missed);
    }

    #[test]
    fn units() {
        assert_eq!(micros(Duration::from_nanos(1_500)).to_bits(), 1.5_f64.to_bits());
        assert_eq!(number(7).to_bits(), 7.0_f64.to_bits());
    }

    proptest! {
        #[test]
        fn quartiles_are_ordered_and_inside(values in prop::collection::vec(-1e9_f64..1e9, 1..60)) {
            let q = Quartiles::of(&values).unwrap();
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            prop_assert!(low <= q.q1 && q.q1 <= q.median && q.median <= q.q3 && q.q3 <= high);
        }

        #[test]
        fn quartiles_do_not_depend_on_order(mut values in prop::collection::vec(-1e9_f64..1e9, 1..60)) {
            let before = Quartiles::of(&values);
            values.reverse();
            prop_assert_eq!(before, Quartiles::of(&values));
        }
    }
}
