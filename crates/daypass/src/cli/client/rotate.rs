//! `daypass client rotate` and `retire`: a key's successor, and its end.

use super::document::{client_document, key_document, made_document, made_lines};
use super::given::{Given, Kind, Made};
use super::stands::{Said, change, swap};
use super::{Which, find, key_of, keys_of};
use crate::app;
use crate::cli::output::{Failure, Output};
use crate::cli::place::Place;
use daypass_core::client::Key;
use daypass_core::clock::rfc3339;
use daypass_core::cutoff::{Cutoff, Scope};
use daypass_core::store::Change;
use serde_json::json;

/// How long a key must have been unused before it is retired without being asked twice, in seconds: a day, so that
/// whatever runs nightly has run.
const UNUSED: i64 = 24 * 60 * 60;

/// Adds a key beside the one that is there.
pub(super) async fn rotate(
    place: &Place,
    which: &Which,
    kind: Option<Kind>,
    given: &Given,
    output: &Output,
) -> Result<(), Failure> {
    let client = find(place, which).await?;
    let keys = keys_of(place, client.guid).await?;
    let now = app::now();
    let kind = match kind {
        Some(kind) => kind,
        None => only_kind(keys.iter().filter(|key| key.live(now)))?,
    };
    let made = given.make(place, &client, &keys, &[kind], now)?;
    let ids: Vec<_> = made.iter().map(|made| made.key().id.as_str()).collect();
    let record =
        app::change(Some(&client.tenant), "client.rotate", &format!("{} {}", client.name, ids.join(" ")));
    // Two operators who begin at once would leave three keys behind.
    let expected = Change::ExpectKeys { client: client.guid, keys: keys.clone() };
    let changes = std::iter::once(expected).chain(made.iter().map(Made::change)).collect();
    change(place, &client, changes, record).await?;
    let kind = made.first().map(|made| made.key().kind);
    let old = keys.iter().find(|key| key.live(now) && Some(key.kind) == kind).map(|key| {
        format!(
            "\nthe old key works on; when nobody uses it any more: daypass client retire {} {}",
            client.name, key.id
        )
    });
    let text = made_lines(&made) + &old.unwrap_or_default();
    output.show(text, || json!({ "client": client_document(&client), "keys": made_document(&made) }));
    Ok(())
}

fn only_kind<'a>(live: impl Iterator<Item = &'a Key>) -> Result<Kind, Failure> {
    let mut kinds = live.map(|key| key.kind);
    let first = kinds.next().ok_or_else(|| Failure::Usage("it has no live key; say --kind".to_owned()))?;
    if kinds.any(|kind| kind != first) {
        return Err(Failure::Usage("it has keys of several kinds; say which with --kind".to_owned()));
    }
    Ok(Kind::of(first))
}

/// Ends a key that nobody uses any more.
pub(super) async fn retire(
    place: &Place,
    which: &Which,
    id: &str,
    force: bool,
    output: &Output,
) -> Result<(), Failure> {
    let client = find(place, which).await?;
    let key = key_of(place, &client, id).await?;
    let uses = place.opened.store.uses().await?;
    let used = uses.into_iter().find(|(used, _)| used == id).map(|(_, at)| at);
    let now = app::now();
    if let Some(last) = used.filter(|last| now.as_second() - last.as_second() < UNUSED && !force) {
        return Err(Failure::Refused(format!(
            "the key {id} was last used at {}, less than 24 hours ago; whoever uses it would be refused. --force retires \
             it all the same",
            rfc3339(last)
        )));
    }
    let ended = Change::Cut(Cutoff { scope: Scope::Key(key.id.clone()), before: now });
    let said = Said { action: "key.retire", enabled: false };
    let key = swap(place, &client, key, &said, &[ended]).await?;
    let last = used.map_or("never used".to_owned(), |last| format!("last used at {}", rfc3339(last)));
    output.show(format!("the key {id} of {} is retired; it was {last}", client.name), || key_document(&key));
    Ok(())
}
