//! How many requests ended in which way.

use daypass_core::endpoint::DialectName;
use daypass_core::pipeline::{Success, Summary};
use daypass_core::policy::Whose;
use daypass_core::refusal::Reason;
use std::sync::atomic::{AtomicU64, Ordering};

/// The dialects, in the order of [`row`].
const DIALECTS: [DialectName; 9] = [
    DialectName::TencentGetAuthorization,
    DialectName::TencentSts,
    DialectName::AlibabaTop,
    DialectName::AlibabaSts,
    DialectName::AlibabaCredentials,
    DialectName::Entra,
    DialectName::Verify,
    DialectName::Explain,
    DialectName::ForwardAuth,
];

/// The good ends, in the order of [`column`]. Refusals come behind them, by the label of their reason.
const GOOD: [&str; 7] = ["granted", "repeated", "reused", "ticket", "facts", "changed", "open"];

fn row(dialect: DialectName) -> usize {
    match dialect {
        DialectName::TencentGetAuthorization => 0,
        DialectName::TencentSts => 1,
        DialectName::AlibabaTop => 2,
        DialectName::AlibabaSts => 3,
        DialectName::AlibabaCredentials => 4,
        DialectName::Entra => 5,
        DialectName::Verify => 6,
        DialectName::Explain => 7,
        DialectName::ForwardAuth => 8,
    }
}

fn column(success: Success) -> usize {
    match success {
        Success::Granted => 0,
        Success::Repeated => 1,
        Success::Reused => 2,
        Success::Ticket => 3,
        Success::Facts => 4,
        Success::Changed => 5,
        Success::Open => 6,
    }
}

/// A counter for each dialect and each end: a table, so that a request costs one addition and no look-up by name.
pub(crate) struct Counts {
    ends: [Vec<AtomicU64>; DIALECTS.len()],
    /// What rules that are only tried would have done, in the order of [`Whose::ALL`].
    warnings: [AtomicU64; Whose::ALL.len()],
}

impl Default for Counts {
    fn default() -> Self {
        let columns = GOOD.len() + Reason::ALL.len();
        let ends = std::array::from_fn(|_| (0..columns).map(|_| AtomicU64::new(0)).collect());
        Self { ends, warnings: std::array::from_fn(|_| AtomicU64::new(0)) }
    }
}

impl Counts {
    /// Counts one request.
    pub(crate) fn count(&self, summary: &Summary) {
        let column = match &summary.result {
            Ok(success) => column(*success),
            // A reason's number is its place in `Reason::ALL`.
            Err(refusal) => GOOD.len() + refusal.reason as usize,
        };
        if let Some(counter) = self.ends.get(row(summary.dialect)).and_then(|row| row.get(column)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        for whose in &summary.warned {
            // Its number is its place in `Whose::ALL`.
            if let Some(counter) = self.warnings.get(*whose as usize) {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Every dialect, end and number, but for what has never been: most ends are not those of most dialects.
    pub(super) fn requests(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let ends = || GOOD.into_iter().chain(Reason::ALL.iter().map(|reason| reason.label()));
        let rows = DIALECTS.iter().zip(&self.ends);
        let all = rows.flat_map(move |(dialect, row)| {
            let cells = ends().zip(row.iter().map(|count| count.load(Ordering::Relaxed)));
            cells.map(|(end, count)| (dialect.name(), end, count))
        });
        all.filter(|(.., count)| *count > 0)
    }

    /// How many credentials were made that a rule which is only tried would have cut or refused, by whose rule it is.
    pub(super) fn warnings(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.warnings.iter().map(|count| count.load(Ordering::Relaxed));
        Whose::ALL.iter().map(|whose| whose.label()).zip(counts)
    }

    /// How many credentials of each dialect were made and recorded; one that was recorded again for a client's retry
    /// counts again.
    pub(super) fn grants(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let made = [column(Success::Granted), column(Success::Repeated)];
        DIALECTS.iter().zip(&self.ends).map(move |(dialect, row)| {
            let cells = made.iter().filter_map(|column| row.get(*column));
            (dialect.name(), cells.map(|count| count.load(Ordering::Relaxed)).sum())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::refusal::Refusal;
    use std::collections::HashSet;

    const SUCCESSES: [Success; GOOD.len()] = [
        Success::Granted,
        Success::Repeated,
        Success::Reused,
        Success::Ticket,
        Success::Facts,
        Success::Changed,
        Success::Open,
    ];

    #[test]
    fn every_end_of_every_dialect_has_a_counter_of_its_own() {
        let counts = Counts::default();
        assert_eq!(counts.requests().count(), 0);
        let ends = || {
            let good = SUCCESSES.into_iter().map(Ok);
            good.chain(Reason::ALL.iter().map(|reason| Err(Refusal::new(*reason, "no"))))
        };
        for dialect in DIALECTS {
            for result in ends() {
                counts.count(&Summary::of(dialect, result));
            }
        }
        let all: Vec<_> = counts.requests().collect();
        assert!(all.iter().all(|(.., count)| *count == 1), "{all:?}");
        let names: HashSet<_> = all.iter().map(|(dialect, end, _)| (dialect, end)).collect();
        assert_eq!(names.len(), DIALECTS.len() * ends().count());
        assert!(counts.grants().all(|(_, count)| count == 2));
    }

    #[test]
    fn whose_rule_would_have_cut_is_counted_under_its_own_name() {
        let counts = Counts::default();
        for (n, whose) in Whose::ALL.into_iter().enumerate() {
            let granted = Summary::of(DialectName::AlibabaTop, Ok(Success::Granted));
            counts.count(&Summary { warned: vec![whose; n + 1], ..granted });
        }
        let all: Vec<_> = counts.warnings().collect();
        assert_eq!(all, [("role", 1), ("client", 2), ("endpoint", 3), ("tenant", 4), ("exchange", 5)]);
    }

    #[test]
    fn an_end_is_counted_under_its_own_name() {
        let counts = Counts::default();
        for reason in Reason::ALL {
            let refused = Refusal::new(*reason, "no");
            counts.count(&Summary::of(DialectName::Entra, Err(refused)));
            let last = counts.requests().max_by_key(|(_, end, count)| (*count, *end == reason.label()));
            assert_eq!(last, Some(("entra", reason.label(), 1)));
        }
        let reused = Summary::of(DialectName::TencentSts, Ok(Success::Reused));
        counts.count(&reused);
        assert_eq!(counts.requests().next(), Some(("tencent.sts", "reused", 1)));
        assert_eq!(counts.grants().map(|(_, count)| count).sum::<u64>(), 0, "nothing new was made");
    }
}
