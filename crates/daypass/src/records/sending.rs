//! Handing checkpoints out: each place gets each at least once, in order, and after an outage goes on where it was.

use super::file::{self, Copy};
use super::standing::PlaceStanding;
use super::{Keeper, Place, Settings};
use crate::app::App;
use daypass_core::clock::{Timestamp, after};
use daypass_core::held::{Turn, TurnEnd, Wish};
use daypass_core::record::checkpoint::Kept;
use daypass_core::replay::Mark;
use daypass_core::store::{Proof, Store, StoreError};
use daypass_issuers::http::{Http, Trust};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::Instant;

/// How many are read and sent at a time.
const PAGE: usize = 100;
/// How long to wait after a place did not take something; twice as long after each further time.
const PAUSE: Duration = Duration::from_secs(2);
/// The longest such wait.
const LONGEST: Duration = Duration::from_mins(1);
/// For how long a node keeps the others from a place, in seconds.
const HOLD: u32 = 30;

/// The memory of handing out.
#[derive(Default)]
pub(super) struct Sending {
    local: OnceLock<Http>,
    web: OnceLock<Http>,
    pauses: Mutex<BTreeMap<String, (u32, Instant)>>,
}

impl Sending {
    /// Gives every place what it misses.
    pub(super) async fn turn(&self, keeper: &Keeper, app: &App, settings: &Settings) {
        let store = app.store();
        let delivered = match (store.last_checkpoint().await, store.delivered().await) {
            (Ok(last), Ok(delivered)) => {
                keeper.standing.lock().number = last.map_or(0, |last| last.number);
                delivered
            }
            (Err(error), _) | (_, Err(error)) => {
                tracing::debug!(%error, "the store does not say what is to be handed out");
                return;
            }
        };
        let names: Vec<_> = settings.places.iter().map(|place| place.name()).collect();
        keeper.standing.lock().places.retain(|name, _| names.contains(name));
        for place in &settings.places {
            let name = place.name();
            let noted = delivered.iter().find(|(known, _)| *known == name).map_or(0, |(_, number)| *number);
            self.one(keeper, app, place, noted).await;
        }
    }

    async fn one(&self, keeper: &Keeper, app: &App, place: &Arc<Place>, noted: u64) {
        let name = place.name();
        let told = match self.give(keeper, app, place, noted).await {
            Ok((reached, missing_since)) => {
                if self.pauses.lock().remove(&name).is_some() {
                    tracing::info!(place = name, "checkpoints are taken again");
                }
                (reached, missing_since)
            }
            Err(Trouble { error, reached, missing_since }) => {
                if let Some(error) = error {
                    self.pause(&name, &error);
                }
                (reached, missing_since)
            }
        };
        let (reached, missing_since) = told;
        let standing = PlaceStanding { kind: place.kind(), reached, missing_since };
        keeper.standing.lock().places.insert(name, standing);
    }

    fn pause(&self, name: &str, error: &str) {
        let mut pauses = self.pauses.lock();
        let (times, until) = pauses.entry(name.to_owned()).or_insert((0, Instant::now()));
        if *times == 0 {
            tracing::warn!(place = name, error, "a second place does not take checkpoints; trying again");
        }
        *until = Instant::now() + LONGEST.min(PAUSE * 2_u32.saturating_pow((*times).min(8)));
        *times += 1;
    }

    fn waits(&self, name: &str) -> bool {
        self.pauses.lock().get(name).is_some_and(|(_, until)| Instant::now() < *until)
    }

    /// Gives a place what it misses. Says how far it is then, and since when it misses the next.
    async fn give(
        &self,
        keeper: &Keeper,
        app: &App,
        place: &Arc<Place>,
        noted: u64,
    ) -> Result<(u64, Option<Timestamp>), Trouble> {
        let (store, name) = (app.store(), place.name());
        let mut reached = match &**place {
            Place::File(path) => {
                let end = own_end(store, path, noted).await?;
                // The start has looked before. What has parted since was put back under a running service, or accepted.
                if end.parted && keeper.standing.lock().behind.is_none() {
                    let settings = app.setup().records.clone();
                    let compared = keeper.compare(app, &settings).await;
                    compared.map_err(|error| Trouble {
                        error: Some(format!("{error:#}")),
                        reached: end.reached,
                        missing_since: None,
                    })?;
                }
                end.reached
            }
            _ => noted,
        };
        let since = |all: &[Kept]| {
            all.first()
                .and_then(|kept| kept.open(app.directory().ring().checkpoint_keys()).ok())
                .map(|first| first.time)
        };
        loop {
            let all = store.checkpoints(reached, PAGE).await.map_err(|fault| Trouble::of(&fault, reached))?;
            if all.is_empty() {
                return Ok((reached, None));
            }
            let stuck = Trouble { error: None, reached, missing_since: since(&all) };
            // Nothing is added to a file that contradicts the store: it is the evidence.
            if self.waits(&name) || (place.is_own() && keeper.standing.lock().behind.is_some()) {
                return Err(stuck);
            }
            // What was not signed by us goes nowhere, and nothing that stands behind it: a copy of it would be a witness against us.
            let directory = app.directory();
            let ours = |kept: &&Kept| kept.open(directory.ring().checkpoint_keys()).is_ok();
            let all: Vec<Kept> = all.iter().take_while(ours).cloned().collect();
            let Some(last) = all.last() else {
                let error =
                    format!("checkpoint {} of the store is forged; see `daypass audit verify`", reached + 1);
                return Err(Trouble { error: Some(error), ..stuck });
            };
            let http = self.http(place, reached)?;
            let sent = if place.is_own() {
                place.send(&all, http).await
            } else {
                match alone(&**store, keeper, &name, app.now(), place.send(&all, http)).await {
                    Some(sent) => sent,
                    // Another node is at it.
                    None => return Err(stuck),
                }
            };
            if let Err(error) = sent {
                return Err(Trouble { error: Some(error), ..stuck });
            }
            reached = last.number;
            let note = Proof::Delivered { place: name.clone(), number: reached };
            store.prove(note).await.map_err(|fault| Trouble::of(&fault, reached))?;
        }
    }

    /// The way to a place: over TLS by what the system trusts, and on this machine without it.
    fn http(&self, place: &Place, reached: u64) -> Result<&Http, Trouble> {
        let (cell, trust) = match place {
            Place::Http(url) if url.starts_with("https:") => (&self.web, Trust::System),
            _ => (&self.local, Trust::Nobody),
        };
        if let Some(http) = cell.get() {
            return Ok(http);
        }
        let made = Http::new(trust).map_err(|fault| Trouble {
            error: Some(fault.to_string()),
            reached,
            missing_since: None,
        })?;
        Ok(cell.get_or_init(|| made))
    }
}

/// A place that has not got everything.
struct Trouble {
    /// Why; none where it is only not its turn.
    error: Option<String>,
    reached: u64,
    missing_since: Option<Timestamp>,
}

impl Trouble {
    fn of(fault: &StoreError, reached: u64) -> Self {
        Self { error: Some(fault.to_string()), reached, missing_since: None }
    }
}

/// How far a file is.
struct End {
    /// The last checkpoint that it has in common with the store.
    reached: u64,
    /// It goes on behind that, otherwise than the store.
    parted: bool,
}

/// How far a file is, as it says itself: what the store has noted may be another node's file of the same name.
async fn own_end(store: &Arc<dyn Store>, path: &std::path::Path, noted: u64) -> Result<End, Trouble> {
    let (path, shown) = (path.to_owned(), path.display().to_string());
    let read = tokio::task::spawn_blocking(move || file::last(&path)).await;
    let read = read.map_err(|_| "a read was broken off".to_owned());
    let last = read.and_then(|read| read.map_err(|error| format!("{shown}: {error}")));
    match last {
        Ok(None) => Ok(End { reached: 0, parted: false }),
        Ok(Some(Copy::Kept(copy))) => {
            let there = store.checkpoints(copy.number.saturating_sub(1), 1).await;
            let there = there.map_err(|fault| Trouble::of(&fault, noted))?;
            // A file that ends in a history which was given up goes on where the two part, or a little before.
            if there.first() == Some(&copy) {
                Ok(End { reached: copy.number, parted: false })
            } else {
                Ok(End { reached: parted(store, &shown).await?, parted: true })
            }
        }
        Ok(Some(Copy::Unreadable(_))) => {
            let error = Some(format!("{shown}: its last line is no checkpoint"));
            Err(Trouble { error, reached: noted, missing_since: None })
        }
        Err(error) => Err(Trouble { error: Some(error), reached: noted, missing_since: None }),
    }
}

/// The last checkpoint that file and store have in common.
async fn parted(store: &Arc<dyn Store>, path: &str) -> Result<u64, Trouble> {
    let mut digests = BTreeMap::new();
    let read = file::copies(path.as_ref(), |copy| {
        if let Copy::Kept(kept) = copy {
            digests.entry(kept.number).or_insert_with(Vec::new).push(kept.digest());
        }
    });
    read.map_err(|error| Trouble {
        error: Some(format!("{path}: {error}")),
        reached: 0,
        missing_since: None,
    })?;
    let (mut common, mut after) = (0, 0);
    loop {
        let all = store.checkpoints(after, PAGE).await.map_err(|fault| Trouble::of(&fault, common))?;
        let Some(last) = all.last() else { return Ok(common) };
        after = last.number;
        let known = |kept: &&Kept| digests.get(&kept.number).is_some_and(|all| all.contains(&kept.digest()));
        common = all.iter().rfind(known).map_or(common, |kept| kept.number);
    }
}

/// Does it unless another node is at it; none then. A store that takes no turns, because its disk is full, is no reason not
/// to do it: twice is better than not at all.
async fn alone<T>(
    store: &dyn Store,
    keeper: &Keeper,
    name: &str,
    now: Timestamp,
    work: impl Future<Output = T>,
) -> Option<T> {
    let place = mark(name);
    let seen = match store.held(place).await {
        Ok(held) => held.map_or(0, |held| held.turn),
        Err(_) => return Some(work.await),
    };
    let (holder, until) = (keeper.node, after(now, HOLD));
    match store.take_turn(Wish { place, seen, holder, now, until }).await {
        Ok(Turn::Mine(turn)) => {
            let done = work.await;
            let end = TurnEnd { place, turn, holder, sealed: None, until: now, keep: until };
            if let Err(error) = store.end_turn(end).await {
                tracing::debug!(%error, "a turn runs out by itself");
            }
            Some(done)
        }
        Ok(Turn::Busy(_) | Turn::Moved(_)) => None,
        Err(_) => Some(work.await),
    }
}

fn mark(name: &str) -> Mark {
    let digest = aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA256,
        format!("daypass second place {name}").as_bytes(),
    );
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}
