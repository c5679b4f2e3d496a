//! `daypass audit accept-clock`: an operator says that the present is right, and the latest time that was recorded is not.

use crate::app::{change, now};
use crate::cli::output::{Failure, Output};
use crate::cli::place::PlaceArgs;
use crate::cli::revoke::parse_reason;
use daypass_core::clock::rfc3339;
use daypass_core::record::Record;
use daypass_core::store::{Change, Store};
use serde_json::json;

/// What this node's clock says now is right.
#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// Why; it stands in the record.
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: String,
    #[command(flatten)]
    place: PlaceArgs,
}

pub(super) async fn run(args: Args, output: &Output) -> Result<(), Failure> {
    let place = args.place.open().await?;
    place.opened.begin().await?;
    let result = accept(&*place.opened.store, args.reason, output).await;
    place.opened.store.close().await?;
    result
}

/// Nothing is changed where the recorded time is not ahead: whoever calls this on a node whose clock is wrong the other way would
/// only make it worse.
async fn accept(store: &dyn Store, reason: String, output: &Output) -> Result<(), Failure> {
    let (recorded, present) = (store.clock().await?, now());
    let Some(recorded) = recorded.filter(|recorded| *recorded > present) else {
        output.show(
            "the recorded time is not ahead of the clock; nothing to accept",
            || json!({ "accepted": null }),
        );
        return Ok(());
    };
    let (from, to) = (rfc3339(recorded), rfc3339(present));
    let record =
        Record { why: Some(reason), ..change(None, "clock.accept", &format!("{to} in place of {from}")) };
    store.change(vec![Change::SetClock(present)], record).await?;
    let text = format!(
        "{to} is the time from now on, and no longer {from}; nodes take it up within seconds\n\
         what was issued while the clock ran ahead counts until its own end: `daypass revoke` takes it back"
    );
    output.show(text, || json!({ "accepted": to, "before": from }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::clock::after;
    use daypass_core::record::Event;
    use daypass_core::testing::MemoryStore;

    #[tokio::test]
    async fn an_earlier_time_is_taken_with_a_record_and_a_later_one_is_not_needed() {
        let (store, output) = (MemoryStore::new(), Output::new(true));
        accept(&store, "why".into(), &output).await.unwrap();
        let ahead = after(now(), 3600);
        store.note_clock(ahead).await.unwrap();
        accept(&store, "the clock ran ahead".into(), &output).await.unwrap();
        let kept = store.clock().await.unwrap().unwrap();
        assert!(kept < ahead && kept <= now());
        let [record] = &store.all()[..] else { panic!("one record") };
        assert!(matches!(&record.event, Event::Change { action, .. } if action == "clock.accept"));
        assert_eq!(record.why.as_deref(), Some("the clock ran ahead"));
    }
}
