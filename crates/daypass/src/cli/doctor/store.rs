//! The store: whether it is there, opens, is whole, and what it says.

use super::finding::Finding;
use super::keys;
use crate::app;
use crate::config::{Loaded, SealKeys};
use crate::records::{self, Place};
use daypass_core::clock::{BEHIND, Timestamp, rfc3339};
use daypass_core::contents::Contents;
use daypass_core::directory::Directory;
use daypass_core::record::{Checker, Event, Record};
use daypass_core::ring::Ring;
use daypass_core::room::Room;
use daypass_core::store::{RecordQuery, Store, StoreError};
use daypass_stores::Schema;
use std::sync::Arc;

/// What is kept in reserve where nobody has said otherwise: the store's own measure may be less on a small disk.
const RESERVE: u64 = 16 << 20;
/// How far back it is looked for a backup, in records.
const NEWEST: usize = 10_000;
/// What the record of a backup is called.
const BACKUP: &str = "store.backup";
/// After how many days without one it is pointed out.
const BACKUP_DAYS: i64 = 7;
/// How many records are read at a time.
const PAGE: usize = 1000;

/// Looks at the store, and gives its ring if it opens.
pub(super) async fn look(
    config: &Loaded,
    seal: Option<&SealKeys>,
    found: &mut Vec<Finding>,
) -> Option<Arc<Ring>> {
    if !schema(&config.store_url, found).await {
        return None;
    }
    let store = match daypass_stores::open(&config.store_url) {
        Ok(store) => store,
        Err(error) => {
            found.push(broken(&error));
            return None;
        }
    };
    let ring = everything(config, &*store, seal, found).await;
    if let Err(error) = store.close().await {
        found.push(broken(&error));
    }
    ring
}

/// Whether the store can be opened without bringing it up to date. It must not: whoever looks decides nothing.
async fn schema(url: &str, found: &mut Vec<Finding>) -> bool {
    let asked = url.to_owned();
    // It may block on a network.
    let schema = tokio::task::spawn_blocking(move || daypass_stores::schema(&asked)).await;
    match schema {
        Ok(Ok(Schema { found: 0, .. })) => {
            let todo = "the first `daypass serve` makes it; if there was one, `[store] url` is wrong or the disk is not mounted";
            found.push(Finding::warning("store", "there is no store yet", todo));
            false
        }
        Ok(Ok(Schema { found: taken, known })) if taken < known => {
            let text = format!(
                "the store was made by an older version (schema {taken}, this program knows {known})"
            );
            let todo = "make a backup; the next `daypass serve` of this version brings it up to date, and there is no way back";
            found.push(Finding::warning("store", text, todo));
            false
        }
        Ok(Ok(Schema { found: taken, known })) => {
            let newer = if taken > known { ", newer than this program" } else { "" };
            found.push(Finding::ok("schema", format!("schema {taken}{newer}")));
            true
        }
        Ok(Err(error)) => {
            found.push(broken(&error));
            false
        }
        Err(_) => false,
    }
}

/// What to do about a store that does not open.
fn broken(error: &StoreError) -> Finding {
    let todo = match error {
        StoreError::Unavailable(_) => {
            "is the disk full or read-only, another program holding the file, or the database server or the way to it down?"
        }
        StoreError::Newer { .. } => "run the version of Daypass that was last here, or a newer one",
        StoreError::Damaged(_) => {
            "stop the service, keep a copy of the files as they are, and restore a backup; what was recorded since stands in the \
             second places of `[records]`"
        }
        StoreError::BadUrl(_) => "mend `[store] url`",
        _ => "see what it says",
    };
    Finding::fault("store", error.to_string(), todo)
}

async fn everything(
    config: &Loaded,
    store: &dyn Store,
    seal: Option<&SealKeys>,
    found: &mut Vec<Finding>,
) -> Option<Arc<Ring>> {
    let looked = async {
        found.push(Finding::ok("store", "the store opens"));
        let records = newest(store).await?;
        clock(store.clock().await?, records.last().map(|record| record.at), app::now(), found);
        found.push(backup(&records, app::now()));
        if let Some(room) = store.room().await? {
            found.push(disk(room, config.reserve));
        }
        let rows = store.ring().await?;
        let Some(seal) = seal else { return Ok(None) };
        let said = store.seal().await?;
        let ring = seal.kek().map_err(|fault| fault.to_string()).and_then(|kek| {
            let kek = kek.fit(said.as_ref(), &rows).map_err(|fault| fault.to_string())?;
            Ring::open(&rows, &kek).map_err(|fault| fault.to_string())
        });
        let ring = match ring {
            _ if rows.is_empty() => {
                found.push(Finding::warning(
                    "ring",
                    "the store has no keys yet",
                    "the first `daypass serve` makes them",
                ));
                return Ok(None);
            }
            Ok(ring) => Arc::new(ring),
            Err(fault) => {
                let todo = "put the seal key that this store was made with where `[seal]` says (while it is being replaced, the \
                            other one as `previous` or `next`); a store whose seal key is lost cannot be read, only restored with \
                            its key";
                found.push(Finding::fault("ring", fault, todo));
                return Ok(None);
            }
        };
        chains(store, &ring, found).await?;
        places(config, store, &ring, found).await?;
        let contents = store.contents(&Contents::default()).await?;
        match Directory::of(Arc::new(config.plan("")), ring.clone(), contents) {
            Ok(directory) => keys::look(config, &directory, app::now(), found),
            Err(fault) => {
                let todo = "`daypass ring list` shows which key it is; if it was lost, restore a backup";
                found.push(Finding::fault("ring", fault.to_string(), todo));
            }
        }
        Ok::<_, StoreError>(Some(ring))
    };
    match looked.await {
        Ok(ring) => ring,
        Err(error) => {
            found.push(broken(&error));
            None
        }
    }
}

/// The newest records, the newest last.
async fn newest(store: &dyn Store) -> Result<Vec<Record>, StoreError> {
    let newest = store.records(RecordQuery { limit: NEWEST, ..RecordQuery::default() }).await?;
    Ok(newest.into_iter().map(|stored| stored.record).collect())
}

/// When a backup was last made, as far as the newest records tell.
fn backup(newest: &[Record], now: Timestamp) -> Finding {
    let check = "backup";
    let is_one = |record: &&Record| matches!(&record.event, Event::Change { action, .. } if action == BACKUP);
    let last = newest.iter().rev().find(is_one).map(|record| now.duration_since(record.at).as_hours() / 24);
    match last {
        Some(days) if days <= BACKUP_DAYS => {
            Finding::ok(check, format!("the last backup was made {days} days ago"))
        }
        Some(days) => Finding::warning(
            check,
            format!("the last backup was made {days} days ago"),
            "daypass backup --help",
        ),
        None => Finding::warning(
            check,
            format!("none of the last {} records is of a backup", newest.len()),
            "`daypass backup --help`; copies that are made in other ways are not known here",
        ),
    }
}

/// The clock against what the store has seen.
fn clock(mark: Option<Timestamp>, last: Option<Timestamp>, now: Timestamp, found: &mut Vec<Finding>) {
    let seen = mark.max(last);
    let behind = seen.map(|seen| seen.duration_since(now)).filter(|behind| *behind > BEHIND);
    found.push(match (behind, seen) {
        (Some(behind), Some(seen)) => Finding::fault(
            "clock",
            format!(
                "the clock is {} seconds behind the latest time of the store ({}); nothing is issued until it is right",
                behind.as_secs(),
                rfc3339(seen)
            ),
            "set the clock right; if it is, the recorded time is wrong: `daypass audit accept-clock --reason TEXT`",
        ),
        _ => Finding::ok("clock", "the clock is not behind the latest time of the store"),
    });
}

/// The disk of the database. The program that serves keeps the reserve, and this one only looks.
fn disk(room: Room, reserve: Option<u64>) -> Finding {
    let wanted = reserve.unwrap_or(if room.reserve > 0 { room.reserve } else { RESERVE });
    let (room, left) = (Room { wanted, ..room }, room.free >> 20);
    let todo = "make room on the disk of the database: other files first, then `[records] keep`; the service returns by itself";
    if room.low() {
        Finding::fault(
            "disk",
            format!("{left} MiB are left: nothing is issued, and changes still work"),
            todo,
        )
    } else if room.scarce() {
        Finding::warning("disk", format!("{left} MiB are left"), todo)
    } else {
        Finding::ok("disk", format!("{left} MiB are left"))
    }
}

/// The ends of all chains: whether they are what was written. One whose end proves nothing by itself, because an older version
/// wrote it or because something is wrong, is read whole. Every link of the others is for `daypass audit verify`.
async fn chains(store: &dyn Store, ring: &Ring, found: &mut Vec<Finding>) -> Result<(), StoreError> {
    let heads = store.heads().await?;
    let mut bad = 0;
    for head in heads.iter().filter(|head| head.proved(ring).is_none()) {
        let mut checker = Checker::new(ring, head);
        let mut after = head.first().saturating_sub(1);
        loop {
            let links = store.links(head.writer, after, PAGE).await?;
            let Some(last) = links.last() else { break };
            after = last.seq;
            for link in &links {
                checker.take(link);
            }
        }
        bad += usize::from(!checker.finish().is_empty());
    }
    found.push(if bad == 0 {
        Finding::ok(
            "records",
            format!("the ends of {} chains of records are as they were written", heads.len()),
        )
    } else {
        let text = format!("{bad} chains of records are not as they were written");
        let todo = "`daypass audit verify` says what was changed or removed; keep a copy of the store first";
        Finding::fault("records", text, todo)
    });
    Ok(())
}

/// The second places: how far each is, and whether a file tells of more than the store does.
async fn places(
    config: &Loaded,
    store: &dyn Store,
    ring: &Ring,
    found: &mut Vec<Finding>,
) -> Result<(), StoreError> {
    let check = "second_places";
    let (last, reached) = (store.last_checkpoint().await?, store.delivered().await?);
    let last = last.map_or(0, |kept| kept.number);
    for place in &config.records.places {
        let name = place.name();
        let reached = reached.iter().find(|(of, _)| *of == name).map_or(0, |(_, number)| *number);
        if let Place::File(path) = &**place
            && let Ok(Some(behind)) = records::behind(store, ring, path).await
        {
            let todo = "if a backup was restored, say so: `daypass audit accept-rollback --reason TEXT`; if not, somebody has put \
                        the store back, and what it lost is in the second place";
            found.push(Finding::fault("rollback", behind.told(), todo));
        }
        found.push(if reached < last {
            let text = format!("`{name}` has {reached} of {last} checkpoints");
            Finding::warning(
                check,
                text,
                "a running service sends them; its log says why a place does not take them",
            )
        } else {
            Finding::ok(check, format!("`{name}` has every checkpoint"))
        });
    }
    if config.records.places.is_empty() {
        let text = "checkpoints of the records go to no second place: whoever can change the store can take it back unseen";
        found.push(Finding::warning(
            check,
            text,
            "name one in `[records] checkpoints_to`, on another machine",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;
    use daypass_core::clock::{after, before};
    use daypass_core::testing::START;

    fn state_of(mark: Option<Timestamp>, last: Option<Timestamp>) -> State {
        let mut found = Vec::new();
        clock(mark, last, START, &mut found);
        found.remove(0).state
    }

    #[test]
    fn a_clock_is_behind_what_was_noted_or_recorded() {
        assert_eq!(state_of(None, None), State::Ok);
        assert_eq!(state_of(Some(after(START, 300)), Some(before(START, 9))), State::Ok);
        assert_eq!(state_of(Some(after(START, 301)), None), State::Fault);
        assert_eq!(state_of(Some(before(START, 9)), Some(after(START, 301))), State::Fault);
    }

    #[test]
    fn a_backup_is_known_by_its_record() {
        let made = |action: &str, days: u32| {
            let at = before(START, days * 86_400);
            Record::change(uuid::Uuid::nil(), at, None, action, "x")
        };
        assert_eq!(backup(&[made("store.backup", 7), made("client.add", 0)], START).state, State::Ok);
        assert_eq!(backup(&[made("store.backup", 8)], START).state, State::Warning);
        assert_eq!(backup(&[made("store.restore", 1)], START).state, State::Warning);
    }

    #[test]
    fn a_disk_is_judged_by_what_is_to_be_kept() {
        let room = |mib: u64, reserve: u64| Room { free: mib << 20, reserve: reserve << 20, wanted: 0 };
        assert_eq!(disk(room(7, 16), None).state, State::Fault);
        assert_eq!(disk(room(9, 16), None).state, State::Warning);
        assert_eq!(disk(room(23, 0), None).state, State::Fault);
        assert_eq!(disk(room(900, 0), None).state, State::Ok);
        assert_eq!(disk(room(3, 0), Some(0)).state, State::Ok);
    }
}
