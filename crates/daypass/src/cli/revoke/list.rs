//! `daypass revoke list`.

use crate::app;
use crate::cli::output::{Failure, Output, table};
use crate::cli::place::Place;
use daypass_core::clock::{Timestamp, rfc3339};
use daypass_core::cutoff::{Cutoff, Scope, over};
use serde_json::{Value, json};

/// Prints every cut-off, the newest first.
pub(super) async fn print(place: &Place, output: &Output) -> Result<(), Failure> {
    let mut all = place.opened.store.cutoffs().await?;
    all.sort_by(|a, b| (b.before, a.scope.to_string()).cmp(&(a.before, b.scope.to_string())));
    let now = app::now();
    let text = if all.is_empty() { "nothing has been taken back".to_owned() } else { rows(&all, now) };
    output.show(text, || all.iter().map(|cutoff| document(cutoff, now)).collect());
    Ok(())
}

fn rows(all: &[Cutoff], now: Timestamp) -> String {
    let mut rows = vec![["what", "issued until", "ago", "forgotten"].map(str::to_owned).to_vec()];
    rows.extend(all.iter().map(|cutoff| {
        vec![
            cutoff.scope.to_string().escape_debug().to_string(),
            cutoff.before.to_string(),
            age(seconds(cutoff, now)),
            forgotten(cutoff).map_or("never".to_owned(), rfc3339),
        ]
    }));
    table(&rows)
}

fn document(cutoff: &Cutoff, now: Timestamp) -> Value {
    json!({
        "scope": cutoff.scope,
        "before": cutoff.before.to_string(),
        "age_seconds": seconds(cutoff, now),
        "forgotten_after": forgotten(cutoff).map(rfc3339),
    })
}

/// Those of single credentials go by themselves; the others are few, and stay.
fn forgotten(cutoff: &Cutoff) -> Option<Timestamp> {
    matches!(cutoff.scope, Scope::Credential(_)).then(|| over(cutoff.before))
}

fn seconds(cutoff: &Cutoff, now: Timestamp) -> i64 {
    now.as_second().saturating_sub(cutoff.before.as_second()).max(0)
}

/// The largest unit of which there are two, so that no more than half of it is lost.
fn age(seconds: i64) -> String {
    let units = [(86_400, "d"), (3600, "h"), (60, "m")];
    let unit = units.into_iter().find(|(size, _)| seconds >= size * 2);
    unit.map_or_else(|| format!("{seconds}s"), |(size, name)| format!("{}{name}", seconds / size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::{START, later};

    #[test]
    fn an_age_is_short() {
        let ages = [0, 119, 120, 7199, 7200, 172_799, 172_800].map(age);
        assert_eq!(ages, ["0s", "119s", "2m", "119m", "2h", "47h", "2d"]);
    }

    #[test]
    fn the_end_of_a_single_ones_is_said() {
        let all = [
            Cutoff { scope: Scope::All, before: START },
            Cutoff { scope: Scope::Credential("AKID\u{1b}1".into()), before: START },
        ];
        let text = rows(&all, later(300));
        assert!(
            text.lines().any(|line| line.starts_with("everything ") && line.ends_with(" never")),
            "{text}"
        );
        assert!(text.contains("credential AKID\\u{1b}1") && text.contains("5m"), "{text}");
        let said = document(&all[1], later(300));
        assert_eq!(
            (&said["age_seconds"], &said["forgotten_after"]),
            (&json!(300), &json!(rfc3339(over(START))))
        );
        assert_eq!(document(&all[0], START)["forgotten_after"], Value::Null);
    }
}
