//! One writer's chain and its place in the store, inside transactions that the writer opens.

use super::fault::{Fault, bytes, column, damaged};
use super::others;
use super::schema;
use crate::others::Others;
use daypass_core::clock::Timestamp;
use daypass_core::record::{Chain, ChainHead, Link, Mac, Record};
use daypass_core::replay::Mark;
use daypass_core::store::{Appended, StoreError};
use deadpool_postgres::{GenericClient, Object};
use tokio_postgres::Statement;

/// The writer that this process is.
pub(super) struct Session {
    number: i64,
    place: Place,
    others: Others,
    /// Where commits of which no answer came would have left us. At most one of them has happened, and as long as none that
    /// was made from the same place is known to have, any may still: the server may get to it after we have reconnected.
    doubts: Vec<Place>,
    /// The records of the transaction that is open, to be written in one statement.
    new: Vec<New>,
}

/// What a transaction moves, and what its failure must move back.
#[derive(Clone)]
pub(super) struct Place {
    chain: Chain,
    /// The last position in the store that we know of, and the latest time up to it.
    position: i64,
    latest: i64,
    /// The latest time of a record of our own.
    own: i64,
}

/// A record that is to be written.
struct New {
    position: i64,
    at: i64,
    latest: i64,
    mark: Option<Mark>,
    tenant: Option<String>,
    link: Link,
}

/// The end of the records, as the row `tail` holds it.
#[derive(Clone, Copy)]
pub(super) struct Tail {
    position: i64,
    latest: i64,
}

impl Tail {
    /// Keeps others from writing until the transaction ends, whoever may write.
    pub(super) async fn hold(client: &impl GenericClient) -> Result<(), Fault> {
        client.query_one("SELECT 1 FROM tail FOR UPDATE", &[]).await?;
        Ok(())
    }

    /// Waits until all that others write is written, and keeps them from writing until the transaction ends.
    pub(super) async fn lock(client: &impl GenericClient) -> Result<Self, Fault> {
        let select = client.prepare_cached("SELECT position, latest, oldest FROM tail FOR UPDATE").await?;
        let row = client.query_one(&select, &[]).await?;
        // A newer program may have changed the tables since this one started.
        schema::may_write(column(&row, 2)?)?;
        Ok(Self { position: column(&row, 0)?, latest: column(&row, 1)? })
    }
}

/// All records of a transaction, the end of the records and the end of the chain, in one statement. It says how many chains it
/// has moved on, which is one: the end must be where we left it.
const WRITE: &str = "
    WITH added AS (
        INSERT INTO records (position, writer, seq, at, latest, mark, mac, tenant, document)
        SELECT position, $1, seq, at, latest, mark, mac, tenant, document
        FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[], $7::bytea[], $8::text[], $9::bytea[])
            AS new (position, seq, at, latest, mark, mac, tenant, document)
    ), moved AS (
        UPDATE tail SET position = $10, latest = $11
    )
    UPDATE writers SET seq = $12, mac = $13, tip = $15 WHERE number = $1 AND mac = $14";

impl Session {
    /// Claims the chain's writer id.
    pub(super) async fn begin(client: &Object, chain: Chain) -> Result<Self, Fault> {
        let tail = Tail::lock(client).await?;
        let writer = chain.writer();
        if client.query_opt("SELECT 1 FROM writers WHERE guid = $1", &[&writer]).await?.is_some() {
            return Err(StoreError::Conflict(format!(
                "the writer id {writer} has been used before; every process needs a random one of its own"
            ))
            .into());
        }
        let row = client.query_one("SELECT coalesce(max(number), 0) + 1 FROM writers", &[]).await?;
        let number: i64 = column(&row, 0)?;
        let head = chain.head();
        client
            .execute(
                "INSERT INTO writers (number, guid, key_version, seq, mac, tip) VALUES ($1, $2, $3, 0, $4, $5)",
                &[
                    &number,
                    &writer,
                    &i64::from(head.key_version),
                    &head.mac.as_slice(),
                    &head.tip.map(|tip| tip.to_bytes()),
                ],
            )
            .await?;
        let place = Place { chain, position: tail.position, latest: tail.latest, own: i64::MIN };
        let mut others = Others::than(number);
        others::cover(client, &mut others, place.latest).await?;
        Ok(Self { number, place, others, doubts: Vec::new(), new: Vec::new() })
    }

    /// With the lock that a transaction begins with: takes up what other processes have written since the last one. If the
    /// end of an earlier one is in doubt, finds out first whether it has happened.
    pub(super) async fn catch_up(&mut self, client: &impl GenericClient, tail: Tail) -> Result<(), Fault> {
        self.settle(client).await?;
        if tail.position > self.place.position {
            others::load(client, &mut self.others, self.place.position + 1).await?;
        }
        (self.place.position, self.place.latest) = (tail.position, tail.latest);
        Ok(())
    }

    /// Whoever was told that nothing was written may find that it was: that is allowed, and the chain goes on from there.
    async fn settle(&mut self, client: &impl GenericClient) -> Result<(), Fault> {
        if self.doubts.is_empty() {
            return Ok(());
        }
        let select = client.prepare_cached("SELECT mac FROM writers WHERE number = $1").await?;
        let row = client.query_opt(&select, &[&self.number]).await?;
        let stored: Mac = bytes(&row.ok_or_else(|| damaged("this process's chain is gone"))?, 0)?;
        if stored == self.place.chain.head_mac() {
            return Ok(());
        }
        match self.doubts.iter().find(|doubt| doubt.chain.head_mac() == stored) {
            Some(happened) => {
                tracing::info!(writer = %happened.chain.writer(), "a commit that was not answered has happened");
                self.place = happened.clone();
                self.doubts.clear();
                Ok(())
            }
            None => Err(damaged("the chain of this process does not end where it left it")),
        }
    }

    /// Puts a record at the end of the chain, unless its mark is another writer's.
    pub(super) async fn append(
        &mut self,
        client: &impl GenericClient,
        record: &Record,
        mark: Option<&Mark>,
    ) -> Result<Appended, Fault> {
        let at = record.at.as_millisecond();
        if let Some(mark) = mark {
            others::cover(client, &mut self.others, at).await?;
            if let Some(first) = self.others.seen(mark, at) {
                return Ok(Appended::Seen(Timestamp::from_millisecond(first).map_err(damaged)?));
            }
        }
        let Place { chain, position, latest, own } = &mut self.place;
        let link = chain.link(record).map_err(damaged)?;
        *position += 1;
        *latest = at.max(*latest);
        *own = at.max(*own);
        let (position, latest) = (*position, *latest);
        self.new.push(New { position, at, latest, mark: mark.copied(), tenant: record.tenant.clone(), link });
        Ok(Appended::Appended)
    }

    /// Whether the transaction has records.
    pub(super) fn grown(&self) -> bool {
        !self.new.is_empty()
    }

    /// Makes [`Self::write`] ready. Apart from it, so that the statement itself is sent at once: what is sent together with it
    /// must come behind it.
    pub(super) async fn ready(client: &impl GenericClient) -> Result<Statement, Fault> {
        Ok(client.prepare_cached(WRITE).await?)
    }

    /// Writes the records of the transaction, behind where it began.
    pub(super) async fn write(
        &self,
        client: &impl GenericClient,
        write: &Statement,
        began: &Place,
    ) -> Result<(), Fault> {
        let numbers = |of: fn(&New) -> i64| self.new.iter().map(of).collect::<Vec<_>>();
        let seqs = self.new.iter().map(|new| i64::try_from(new.link.seq)).collect::<Result<Vec<_>, _>>();
        let marks: Vec<_> = self.new.iter().map(|new| new.mark.as_ref().map(<[u8; 16]>::as_slice)).collect();
        let macs: Vec<_> = self.new.iter().map(|new| new.link.mac.as_slice()).collect();
        let tenants: Vec<_> = self.new.iter().map(|new| new.tenant.as_deref()).collect();
        let documents: Vec<_> = self.new.iter().map(|new| new.link.blob.as_slice()).collect();
        let ChainHead { seq, mac, tip, .. } = self.place.chain.head();
        let moved = client
            .execute(
                write,
                &[
                    &self.number,
                    &numbers(|new| new.position),
                    &seqs.map_err(damaged)?,
                    &numbers(|new| new.at),
                    &numbers(|new| new.latest),
                    &marks,
                    &macs,
                    &tenants,
                    &documents,
                    &self.place.position,
                    &self.place.latest,
                    &i64::try_from(seq).map_err(damaged)?,
                    &mac.as_slice(),
                    &began.chain.head_mac().as_slice(),
                    &tip.map(|tip| tip.to_bytes()),
                ],
            )
            .await?;
        if moved == 1 {
            Ok(())
        } else {
            Err(damaged("the chain of this process does not end where it left it"))
        }
    }

    /// The time by this process's own clock, as its records tell it.
    pub(super) fn own_time(&self) -> i64 {
        self.place.own
    }

    /// Where we are, to go back to.
    pub(super) fn place(&self) -> Place {
        self.place.clone()
    }

    /// A transaction is durable: what was in doubt before it has not happened, and cannot any more, since its records would
    /// have the numbers of these.
    pub(super) fn committed(&mut self) {
        if !std::mem::take(&mut self.new).is_empty() {
            self.doubts.clear();
        }
    }

    /// A transaction failed: goes back to where it began. If it may have happened all the same, that is remembered.
    pub(super) fn go_back(&mut self, to: Place, in_doubt: bool) {
        let gone = std::mem::replace(&mut self.place, to);
        if !std::mem::take(&mut self.new).is_empty() && in_doubt {
            self.doubts.push(gone);
        }
    }
}
