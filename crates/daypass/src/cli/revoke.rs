//! `daypass revoke`: taking back what was handed out, and saying truly what that does.

mod effect;
mod list;
mod target;
mod upstream;

use super::output::{Failure, Output};
use super::place::{Place, PlaceArgs};
use crate::app;
use daypass_core::clock::{SignedDuration, Timestamp};
use daypass_core::contents::Contents;
use daypass_core::cutoff::{Cutoff, Scope};
use daypass_core::record::Record;
use daypass_core::store::{Change, Store};
use effect::Effect;
use target::{Target, What};

/// What to take back, or `list`.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Args {
    #[command(subcommand)]
    list: Option<Verb>,
    #[command(flatten)]
    order: Order,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Print what has been taken back, how long ago, and when it may be forgotten.
    List {
        #[command(flatten)]
        place: PlaceArgs,
    },
}

/// What to take back.
#[derive(clap::Args)]
struct Order {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    what: What,
    /// Only what was issued until then: `2026-11-22T06:00:00Z`, or so long ago: `15m` [default: now].
    #[arg(long, value_name = "TIME", value_parser = parse_before)]
    before: Option<Before>,
    /// Why; it stands in the record.
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: Option<String>,
}

/// How far ahead of ours the clock may be that `--before` was read from, in seconds.
///
/// Attack or accident: a cut-off in the future refuses everything that is handed out until then, and nothing undoes it.
const SKEW: i64 = 60;

/// The longest reason, in bytes: it is kept in the records for ever.
const REASON: usize = 1024;

/// Seconds until every node of one store acts on a change.
pub(super) const WITHIN: u32 = 2;

pub(super) async fn run(args: Args, output: &Output) -> Result<(), Failure> {
    if let Some(Verb::List { place }) = args.list {
        let place = place.open().await?;
        let result = list::print(&place, output).await;
        place.opened.store.close().await?;
        return result;
    }
    let Order { place, what, before, reason } = args.order;
    let given = before.map(|before| before.at(app::now())).transpose()?;
    let place = place.open().await?;
    let before = match given {
        Some(before) => before,
        None => place.now(output).await,
    };
    place.opened.begin().await?;
    let result = revoke(&place, &what, before, reason, output).await;
    place.opened.store.close().await?;
    result
}

async fn revoke(
    place: &Place,
    what: &What,
    before: Timestamp,
    reason: Option<String>,
    output: &Output,
) -> Result<(), Failure> {
    let Target { scope, tenant } = target::find(place, what).await?;
    let changed = !is_cut(&*place.opened.store, &scope, before).await?;
    if changed {
        let record = Record { why: reason, ..app::change(tenant.as_deref(), "revoke", &scope.to_string()) };
        let cutoff = Cutoff { scope: scope.clone(), before };
        place.opened.store.change(vec![Change::Cut(cutoff)], record).await?;
    }
    // Looked up afterwards: whoever revokes is in a hurry.
    let effect = Effect::of(place, &scope, before).await?;
    output.show(effect.text(&scope, before, changed), || effect.document(&scope, before, changed));
    Ok(())
}

/// Whether this is taken back already. One row says quickly that it is not, which is when there is a hurry; that it is, and
/// that nothing is to be done, is believed only when all rows together are proved to be what was written.
async fn is_cut(store: &dyn Store, scope: &Scope, before: Timestamp) -> Result<bool, Failure> {
    let cut = |at: Timestamp| before.as_millisecond() <= at.as_millisecond();
    if !store.cutoff(scope.clone()).await?.is_some_and(cut) {
        return Ok(false);
    }
    let contents = store.contents(&Contents::default()).await?;
    Ok(contents.cutoffs.held().cut(before, scope))
}

/// When `--before` is.
#[derive(Clone, Copy, Debug)]
enum Before {
    /// So many seconds ago.
    Ago(u32),
    /// Then.
    At(Timestamp),
}

impl Before {
    fn at(self, now: Timestamp) -> Result<Timestamp, Failure> {
        let at = match self {
            Self::Ago(seconds) => {
                now.checked_sub(SignedDuration::from_secs(seconds.into())).unwrap_or(Timestamp::MIN)
            }
            Self::At(at) => at,
        };
        if at.as_second() > now.as_second().saturating_add(SKEW) {
            return Err(Failure::Usage(
                "--before is in the future: everything that is handed out until then would be refused, and nothing \
                 could undo it; to stop handing out: daypass client disable"
                    .to_owned(),
            ));
        }
        Ok(Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at))
    }
}

fn parse_before(text: &str) -> Result<Before, String> {
    use super::client::When;
    let when = super::client::parse_when(text);
    when.map(|when| match when {
        When::In(seconds) => Before::Ago(seconds),
        When::At(at) => Before::At(at),
    })
    .map_err(|_| "write 2026-11-22T06:00:00Z, or how long ago: 90s, 15m, 12h, 2d".to_owned())
}

/// A reason that fits into one line of a record.
pub(super) fn parse_reason(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.len() > REASON || text.chars().any(char::is_control) {
        return Err(format!("write one line of at most {REASON} bytes"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_off_is_in_the_past_or_hardly_ahead() {
        let now: Timestamp = "2026-11-22T06:00:00.250Z".parse().unwrap();
        let at = |text: &str| parse_before(text).unwrap().at(now).ok().map(|at| at.to_string());
        for (text, expected) in [
            ("15m", Some("2026-11-22T05:45:00.25Z")),
            ("0s", Some("2026-11-22T06:00:00.25Z")),
            ("2026-11-22T05:00:00.1239Z", Some("2026-11-22T05:00:00.123Z")),
            ("2026-11-22T06:01:00Z", Some("2026-11-22T06:01:00Z")),
            ("2026-11-22T06:01:01Z", None),
            ("2026-11-23", None),
        ] {
            assert_eq!(at(text).as_deref(), expected, "{text}");
        }
        for bad in ["", "now", "-5m", "15", "2026-11-22 06:00"] {
            assert!(parse_before(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_reason_is_one_short_line() {
        assert_eq!(parse_reason("laptop stolen, ticket 4711").unwrap(), "laptop stolen, ticket 4711");
        for bad in [String::new(), " ".into(), "a\nb".into(), "\u{1b}[2J".into(), "x".repeat(REASON + 1)] {
            assert!(parse_reason(&bad).is_err(), "{bad:?}");
        }
    }
}
