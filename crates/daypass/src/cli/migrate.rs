//! `daypass migrate`: all of a store into another one, proved on both sides.
//!
//! At every moment at most one of the two is in service. The target is filled in one and says that it is arriving; when it is proved
//! to hold what the source holds, the source says that it has moved, and only then the target is open. A process that is killed
//! between any two of these leaves the source as it was, or a move that the same command brings to its end.

use super::moving::{self, Despite};
use super::output::{Failure, Output};
use super::place::PlaceArgs;
use crate::app::{change, now};
use crate::system::KeyEntropy;
use async_trait::async_trait;
use daypass_core::clock::Timestamp;
use daypass_core::id::random_uuid;
use daypass_core::record::Record;
use daypass_core::store::StoreError;
use daypass_core::transfer::{Damage, Opens, Pages, Proved, Row, Standing, Whole};
use serde_json::json;
use uuid::Uuid;

/// What to move where.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The store to move: `sqlite:PATH` or `postgres://USER@HOST/DATABASE`. Nothing may run on it.
    #[arg(value_name = "FROM", required_unless_present = "undo", conflicts_with = "undo")]
    from: Option<String>,
    /// Where to: a store that does not exist yet or is empty.
    #[arg(value_name = "TO", required_unless_present = "undo", conflicts_with = "undo")]
    to: Option<String>,
    /// Serve from this store again, which has moved, and lose what was written since where it moved to. A store into which a move
    /// has not come to its end is emptied.
    #[arg(long, value_name = "STORE")]
    undo: Option<String>,
    /// Why; it stands in the record.
    #[arg(long, value_name = "TEXT", value_parser = super::revoke::parse_reason)]
    reason: Option<String>,
    #[command(flatten)]
    despite: Despite,
    /// The configuration whose seal key opens the ring.
    #[command(flatten)]
    place: PlaceArgs,
}

pub(super) async fn run(args: Args, output: &Output) -> Result<(), Failure> {
    let keys = args.place.seal_keys()?;
    let opens = moving::opens(&keys);
    let how = How { despite: args.despite, opens: &opens };
    match (&args.undo, args.from, args.to) {
        (Some(url), _, _) => undo(url, args.reason, how, output).await,
        (None, Some(from), Some(to)) => Move { from, to }.run(args.reason, how, output).await,
        _ => Err(Failure::Usage("name the store to move, and where to".to_owned())),
    }
}

async fn take(url: &str) -> Result<Box<dyn Whole>, Failure> {
    Ok(daypass_stores::whole(url).await.map_err(|error| moving::cannot_take(url, error))?)
}

/// How a store is proved.
#[derive(Clone, Copy)]
struct How<'a> {
    despite: Despite,
    opens: Opens<'a>,
}

impl How<'_> {
    async fn prove(self, pages: &mut dyn Pages) -> Result<Proved, String> {
        let proved = self.despite.prove(pages, Some(self.opens)).await;
        proved.map_err(|fault| moving::unproved(&fault, "daypass migrate"))
    }
}

/// Reads and proves all of a store.
async fn proved(whole: &mut dyn Whole, url: &str, how: How<'_>) -> Result<Proved, Failure> {
    let mut pages = whole.rows().await?;
    how.prove(&mut *pages).await.map_err(|fault| Failure::Refused(format!("`{url}`: {fault}")))
}

struct Move {
    from: String,
    to: String,
}

impl Move {
    async fn run(self, reason: Option<String>, how: How<'_>, output: &Output) -> Result<(), Failure> {
        if self.from == self.to {
            return Err(Failure::Usage("that is one store, and not two".to_owned()));
        }
        daypass_stores::understand(&self.to)?;
        if !daypass_stores::exists(&self.from)? {
            return Err(Failure::Usage(format!("there is no store at `{}`", self.from)));
        }
        let began = now();
        let mut source = take(&self.from).await?;
        let mut target = take(&self.to).await?;
        let (id, there) = match (source.standing().clone(), target.standing().clone()) {
            // Once the source says that it has moved, the target holds all of it.
            (Standing::Moved { id, .. }, Standing::Arriving { id: arriving }) if id == arriving => {
                output.note("the move was broken off near its end; it goes on from there");
                (id, proved(&mut *source, &self.from, how).await?)
            }
            (standing, other) => {
                standing.in_service()?;
                if let Standing::Moved { .. } = other {
                    other.in_service()?;
                }
                target.clear().await.map_err(|error| moving::cannot_take(&self.to, error))?;
                let id = random_uuid(&KeyEntropy);
                let there = self.copy(&mut *source, &mut *target, how).await?;
                target.commit(Standing::Arriving { id }).await?;
                target = take(&self.to).await?;
                (id, there)
            }
        };
        let here = proved(&mut *target, &self.to, how).await?;
        if here.census != there.census {
            return Err(Failure::Refused(format!(
                "`{}` does not hold what `{}` holds; nothing has changed there",
                self.to, self.from
            )));
        }
        // The rows are the same; what is wrong with them may have been told by what is beside them there and nowhere here.
        let damage = there.damage;
        self.end(source, target, id, &here, &damage, reason).await?;
        moving::tell(output, &damage);
        self.show(&here, &damage, began, output);
        Ok(())
    }

    /// Fills the target with what the source holds, and proves it on the way.
    async fn copy(
        &self,
        source: &mut dyn Whole,
        target: &mut dyn Whole,
        how: How<'_>,
    ) -> Result<Proved, Failure> {
        let from = source.rows().await?;
        let mut copying = Copying { from, to: target };
        how.prove(&mut copying).await.map_err(|fault| {
            Failure::Refused(format!("`{}`: {fault}; nothing has changed, neither there nor here", self.from))
        })
    }

    async fn end(
        &self,
        source: Box<dyn Whole>,
        mut target: Box<dyn Whole>,
        id: Uuid,
        here: &Proved,
        damage: &Damage,
        why: Option<String>,
    ) -> Result<(), Failure> {
        if *source.standing() == Standing::Open {
            source.commit(Standing::Moved { id, to: self.to.clone(), at: now() }).await?;
        }
        let record = Record { why, ..change(None, "store.migrate", &self.from) };
        let records: Vec<_> = std::iter::once(record).chain(moving::warning(&self.from, damage)).collect();
        moving::add(&mut *target, here, &records).await?;
        Ok(target.commit(Standing::Open).await?)
    }

    fn show(&self, here: &Proved, damage: &Damage, began: Timestamp, output: &Output) {
        let seconds = now().duration_since(began).as_secs_f64();
        let text = format!(
            "moved {} to {} in {seconds:.1} s; both sides say:\n{}\n{} chains of records {} there\n\nnext: name the new store as \
             [store] url and start the servers. The old one refuses to be served from; keep it until you are sure, then delete it.",
            self.from,
            self.to,
            moving::table_of(&here.census),
            here.writers.len(),
            if damage.is_none() { "verify" } else { "are as damaged" },
        );
        output.show(text, || {
            json!({ "from": self.from, "to": self.to, "parts": here.census, "chains": here.writers.len(),
                "damage": Some(damage).filter(|damage| !damage.is_none()), "seconds": seconds })
        });
    }
}

/// Rows that are put into a store as they are read.
struct Copying<'a> {
    from: Box<dyn Pages>,
    to: &'a mut dyn Whole,
}

#[async_trait]
impl Pages for Copying<'_> {
    async fn next(&mut self) -> Result<Option<Vec<Row>>, StoreError> {
        let rows = self.from.next().await?;
        if let Some(rows) = &rows {
            self.to.put(rows.clone()).await?;
        }
        Ok(rows)
    }
}

/// Takes a move back.
async fn undo(url: &str, why: Option<String>, how: How<'_>, output: &Output) -> Result<(), Failure> {
    if !daypass_stores::exists(url)? {
        return Err(Failure::Usage(format!("there is no store at `{url}`")));
    }
    let mut whole = take(url).await?;
    let (text, to) = match whole.standing().clone() {
        Standing::Open => {
            return Err(Failure::Refused(format!("`{url}` is in service; there is nothing to undo")));
        }
        Standing::Arriving { .. } => {
            whole.clear().await?;
            (format!("`{url}` is empty again"), None)
        }
        Standing::Moved { to, .. } => {
            let here = proved(&mut *whole, url, how).await?;
            let record = Record { why, ..change(None, "store.migrate.undo", &to) };
            moving::add(&mut *whole, &here, &[record]).await?;
            let text = format!(
                "`{url}` is in service again, as it was when it moved: what was written to `{to}` since is not here, what was \
                 taken back there included. Stop every server on that one, and do not start it again."
            );
            (text, Some(to))
        }
    };
    whole.commit(Standing::Open).await?;
    output.show(text, || json!({ "store": url, "moved_to": to }));
    Ok(())
}
