//! How long tests wait. The machine that runs them may have two slow cores and several servers and databases on them, so what only
//! has to come is waited for as long as anybody would wait, and what has to come in time is given the time that such a machine takes.

use std::time::{Duration, Instant, UNIX_EPOCH};

/// Longer than anything takes that works.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Within this a change of an operator's is in force at every node of a store.
const PROMISE: Duration = Duration::from_secs(2);

/// How many looks a machine that is not busy takes within the promise and three seconds more.
const LOOKS: usize = 200;

/// How long between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks until there is something.
pub(crate) fn find<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(PAUSE);
    }
}

/// Waits until something is so, however long that takes.
pub(crate) fn soon(what: &str, mut so: impl FnMut() -> bool) {
    find(what, || so().then_some(()));
}

/// Waits until something is so that has to be within two seconds of an operator's change.
///
/// Where a machine is so busy that a server is not heard for a second, nothing that it does takes two seconds by its fault. So time alone
/// fails nobody: the server must have answered many looks as well, all of them as before the change.
pub(crate) fn promised(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    for looks in 1.. {
        if so() {
            return;
        }
        let late = begun.elapsed() > PROMISE && looks > LOOKS;
        assert!(!late, "{what}: not within two seconds, but not after {:?} either", begun.elapsed());
        std::thread::sleep(PAUSE);
    }
}

/// For a test of what is counted by the day: waits until this day lasts longer than the test. Days are those of UTC.
pub(crate) fn not_at_midnight() {
    let day = Duration::from_hours(24);
    let left = day.as_secs() - UNIX_EPOCH.elapsed().unwrap().as_secs() % day.as_secs();
    if left < 3 * PATIENCE.as_secs() {
        std::thread::sleep(Duration::from_secs(left + 1));
    }
}

#[test]
#[should_panic(expected = "not within two seconds")]
fn a_promise_that_is_not_kept_is_noticed() {
    promised("nothing", || false);
}
