//! The steps that bring a store's tables forward, and which programs may write behind them.
//!
//! Two versions of the program run on one store while nodes are replaced one by one, and again when they are put back. So a store
//! says two numbers: how many steps were taken, and the oldest program that may write, which is the number of the last step that
//! older programs must not write behind. A program that knows fewer steps than were taken goes on as long as it knows that one.
//!
//! A step is additive if a program that does not know it neither fails nor spoils anything: new tables, which it does not touch,
//! new columns with a default, which it leaves out, and new indexes. Every other step is breaking. What older programs cannot read because of
//! what is *in* the tables (a new form of a sealed key) is no step: whoever first writes it raises the number in the same
//! transaction.

use daypass_core::store::StoreError;

/// One step forward.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    sql: &'static str,
    breaking: bool,
}

impl Step {
    /// One that programs which do not know it may write behind.
    pub(crate) const fn additive(sql: &'static str) -> Self {
        Self { sql, breaking: false }
    }

    /// One that programs which do not know it must not write behind.
    pub(crate) const fn breaking(sql: &'static str) -> Self {
        Self { sql, breaking: true }
    }

    /// The statements.
    pub(crate) fn sql(self) -> &'static str {
        self.sql
    }
}

/// The number of steps that this program knows.
pub(crate) fn known(steps: &[Step]) -> i64 {
    i64::try_from(steps.len()).unwrap_or(i64::MAX)
}

/// The oldest program that may write once all these steps were taken, by the number of steps it knows.
pub(crate) fn oldest(steps: &[Step]) -> i64 {
    known(
        steps.iter().rposition(|step| step.breaking).map_or(&[], |last| steps.get(..=last).unwrap_or(steps)),
    )
}

/// The steps that are still to be taken from here, or that this program must not write.
pub(crate) fn pending(steps: &[Step], found: i64, oldest: Option<i64>) -> Result<&[Step], StoreError> {
    let newer = StoreError::Newer { found, known: known(steps) };
    match usize::try_from(found).ok().and_then(|taken| steps.get(taken..)) {
        Some(pending) => Ok(pending),
        None if oldest.is_some_and(|oldest| may_write(steps, oldest).is_ok()) => Ok(&[]),
        None => Err(newer),
    }
}

/// The oldest program that may write where none may: in a store that has moved away.
pub(crate) const NOBODY: i64 = i64::MAX;

/// Whether this program knows what is needed to write.
pub(crate) fn may_write(steps: &[Step], oldest: i64) -> Result<(), StoreError> {
    let known = known(steps);
    if oldest == NOBODY {
        return Err(StoreError::OutOfService("what this store held has moved to another one".to_owned()));
    }
    if oldest <= known { Ok(()) } else { Err(StoreError::Newer { found: oldest, known }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_writes_what_has_moved() {
        let steps = [Step::additive(""), Step::breaking("")];
        assert!(
            matches!(may_write(&steps, NOBODY), Err(StoreError::OutOfService(text)) if text.contains("has moved"))
        );
        assert_eq!(may_write(&steps, 2), Ok(()));
    }

    const A: Step = Step::additive("a");
    const B: Step = Step::breaking("b");

    #[test]
    fn the_oldest_is_the_last_that_breaks() {
        assert_eq!(oldest(&[]), 0);
        assert_eq!(oldest(&[A, A]), 0);
        assert_eq!(oldest(&[A, B, A, B]), 4);
        assert_eq!(oldest(&[A, B, A, A]), 2);
    }

    #[test]
    fn what_is_pending_is_what_was_not_taken() {
        let sqls = |found| {
            pending(&[A, B, A], found, None).unwrap().iter().map(|step| step.sql()).collect::<Vec<_>>()
        };
        assert_eq!(sqls(0), ["a", "b", "a"]);
        assert_eq!(sqls(2), ["a"]);
        assert!(sqls(3).is_empty());
    }

    /// Forth and one version back: behind additive steps an older program goes on, behind a breaking one it does not.
    #[test]
    fn an_older_program_goes_on_behind_additive_steps_alone() {
        let old = [A, B];
        for (new, goes_on) in [(&[A, B, A, A][..], true), (&[A, B, A, B], false), (&[A, B, B, A], false)] {
            let answer = pending(&old, known(new), Some(oldest(new)));
            assert_eq!(answer.is_ok_and(<[Step]>::is_empty), goes_on, "{new:?}");
            assert_eq!(may_write(&old, oldest(new)).is_ok(), goes_on, "{new:?}");
        }
        let refused = pending(&old, 4, Some(4)).unwrap_err();
        assert_eq!(refused, StoreError::Newer { found: 4, known: 2 });
        assert_eq!(pending(&old, 3, None).unwrap_err(), StoreError::Newer { found: 3, known: 2 });
        assert!(pending(&old, -1, None).is_err(), "nobody wrote that");
    }
}
