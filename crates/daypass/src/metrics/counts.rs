//! How many requests ended in which way.

use daypass_core::endpoint::DialectName;
use daypass_core::pipeline::{Success, Summary};
use daypass_core::refusal::Reason;
use std::sync::atomic::{AtomicU64, Ordering};

/// The dialects, in the order of [`row`].
const DIALECTS: [DialectName; 7] = [
    DialectName::TencentGetAuthorization,
    DialectName::TencentSts,
    DialectName::AlibabaTop,
    DialectName::AlibabaSts,
    DialectName::AlibabaCredentials,
    DialectName::Entra,
    DialectName::Verify,
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
pub(crate) struct Counts([Vec<AtomicU64>; DIALECTS.len()]);

impl Default for Counts {
    fn default() -> Self {
        let columns = GOOD.len() + Reason::ALL.len();
        Self(std::array::from_fn(|_| (0..columns).map(|_| AtomicU64::new(0)).collect()))
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
        if let Some(counter) = self.0.get(row(summary.dialect)).and_then(|row| row.get(column)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Every dialect, end and number, but for what has never been: most ends are not those of most dialects.
    pub(super) fn requests(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let ends = || GOOD.into_iter().chain(Reason::ALL.iter().map(|reason| reason.label()));
        let rows = DIALECTS.iter().zip(&self.0);
        let all = rows.flat_map(move |(dialect, row)| {
            let cells = ends().zip(row.iter().map(|count| count.load(Ordering::Relaxed)));
            cells.map(|(end, count)| (dialect.name(), end, count))
        });
        all.filter(|(.., count)| *count > 0)
    }

    /// How many credentials of each dialect were made and recorded; one that was recorded again for a client's retry
    /// counts again.
    pub(super) fn grants(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let made = [column(Success::Granted), column(Success::Repeated)];
        DIALECTS.iter().zip(&self.0).map(move |(dialect, row)| {
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
                counts.count(&Summary { dialect, result, client: None });
            }
        }
        let all: Vec<_> = counts.requests().collect();
        assert!(all.iter().all(|(.., count)| *count == 1), "{all:?}");
        let names: HashSet<_> = all.iter().map(|(dialect, end, _)| (dialect, end)).collect();
        assert_eq!(names.len(), DIALECTS.len() * ends().count());
        assert!(counts.grants().all(|(_, count)| count == 2));
    }

    #[test]
    fn an_end_is_counted_under_its_own_name() {
        let counts = Counts::default();
        for reason in Reason::ALL {
            let refused = Refusal::new(*reason, "no");
            counts.count(&Summary { dialect: DialectName::Entra, result: Err(refused), client: None });
            let last = counts.requests().max_by_key(|(_, end, count)| (*count, *end == reason.label()));
            assert_eq!(last, Some(("entra", reason.label(), 1)));
        }
        let reused = Summary { dialect: DialectName::TencentSts, result: Ok(Success::Reused), client: None };
        counts.count(&reused);
        assert_eq!(counts.requests().next(), Some(("tencent.sts", "reused", 1)));
        assert_eq!(counts.grants().map(|(_, count)| count).sum::<u64>(), 0, "nothing new was made");
    }
}
