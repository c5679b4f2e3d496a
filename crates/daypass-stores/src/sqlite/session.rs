//! One writer's chain and its place in the store, inside transactions that the writer thread opens.

use super::fault::{Fault, damaged};
use super::others;
use super::read::RecordRow;
use super::schema;
use crate::others::Others;
use daypass_core::clock::Timestamp;
use daypass_core::record::{Chain, Mac, Record};
use daypass_core::replay::Mark;
use daypass_core::store::{Appended, StoreError};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

/// The writer that this process is.
pub(super) struct Session {
    number: i64,
    place: Place,
    others: Others,
    /// SQLite's count of other connections' commits when we last looked; none makes us look.
    looked: Option<i64>,
    /// Where a commit that failed would have left us, until the store has been asked whether it happened.
    doubt: Option<Place>,
}

/// What a transaction moves, and what its failure must move back.
#[derive(Clone)]
pub(super) struct Place {
    chain: Chain,
    /// The last position in the store, and the latest time up to it.
    position: i64,
    latest: i64,
    /// The latest time of a record of our own.
    own: i64,
    /// Records were added to the chain in this transaction.
    grown: bool,
}

impl Session {
    /// Claims the chain's writer id, and notes in the file itself that it is in use from now on.
    pub(super) fn begin(connection: &mut Connection, chain: Chain) -> Result<Self, Fault> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        schema::may_write(&transaction)?;
        let writer = chain.writer();
        let taken =
            transaction.query_row("SELECT 1 FROM writers WHERE guid = ?", [writer], |_| Ok(())).optional()?;
        if taken.is_some() {
            return Err(StoreError::Conflict(format!(
                "the writer id {writer} has been used before; every process needs a random one of its own"
            ))
            .into());
        }
        let number =
            transaction
                .query_row("SELECT coalesce(max(number), 0) + 1 FROM writers", [], |row| row.get(0))?;
        let head = chain.head();
        transaction.execute(
            "INSERT INTO writers (number, guid, key_version, seq, mac, tip) VALUES (?, ?, ?, 0, ?, ?)",
            params![number, writer, head.key_version, head.mac, head.tip.map(|tip| tip.to_bytes())],
        )?;
        transaction.execute("UPDATE meta SET closed = 0 WHERE closed <> 0", [])?;
        transaction.commit()?;
        // Into the file, because it is the file that must know when its log is gone.
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;

        let place = Place { chain, position: 0, latest: i64::MIN, own: i64::MIN, grown: false };
        let mut session = Self { number, place, others: Others::than(number), looked: None, doubt: None };
        (session.place.position, session.place.latest) = end(connection)?;
        others::cover(connection, &mut session.others, session.place.latest)?;
        Ok(session)
    }

    /// At the start of a transaction: takes up what other processes have written since the last one.
    pub(super) fn catch_up(&mut self, connection: &Connection) -> Result<(), Fault> {
        let version = connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if self.looked == Some(version) {
            return Ok(());
        }
        let (position, latest) = end(connection)?;
        if position > self.place.position {
            others::load(connection, &mut self.others, self.place.position + 1)?;
            (self.place.position, self.place.latest) = (position, latest);
        }
        // Another process that closed the store believed it was the last.
        connection.prepare_cached("UPDATE meta SET closed = 0 WHERE closed <> 0")?.execute([])?;
        self.looked = Some(version);
        Ok(())
    }

    /// Writes a record at the end of the chain, unless its mark is another writer's.
    pub(super) fn append(
        &mut self,
        connection: &Connection,
        record: &Record,
        mark: Option<&Mark>,
    ) -> Result<Appended, Fault> {
        let at = record.at.as_millisecond();
        if let Some(mark) = mark {
            others::cover(connection, &mut self.others, at)?;
            if let Some(first) = self.others.seen(mark, at) {
                return Ok(Appended::Seen(Timestamp::from_millisecond(first).map_err(damaged)?));
            }
        }
        let Place { chain, position, latest, own, grown } = &mut self.place;
        let link = chain.link(record).map_err(damaged)?;
        *position += 1;
        *latest = at.max(*latest);
        *own = at.max(*own);
        *grown = true;
        let row = RecordRow {
            position: *position,
            writer: self.number,
            seq: i64::try_from(link.seq).map_err(damaged)?,
            at,
            latest: *latest,
            mark: mark.map(<[u8; 16]>::as_slice),
            mac: &link.mac,
            tenant: record.tenant.as_deref(),
            document: &link.blob,
        };
        connection.prepare_cached(RecordRow::INSERT)?.execute(row.params(&row.sum()))?;
        Ok(Appended::Appended)
    }

    /// At the end of a transaction: stores where the chain ends now, if that is not where it began.
    pub(super) fn store_head(&mut self, connection: &Connection) -> Result<(), Fault> {
        if !std::mem::take(&mut self.place.grown) {
            return Ok(());
        }
        let head = self.place.chain.head();
        let seq = i64::try_from(head.seq).map_err(damaged)?;
        connection
            .prepare_cached("UPDATE writers SET seq = ?, mac = ?, tip = ? WHERE number = ?")?
            .execute(params![seq, head.mac, head.tip.map(|tip| tip.to_bytes()), self.number])?;
        Ok(())
    }

    /// The time by this process's own clock, as its records tell it.
    pub(super) fn own_time(&self) -> i64 {
        self.place.own
    }

    /// Where we are, to go back to.
    pub(super) fn place(&self) -> Place {
        self.place.clone()
    }

    /// A transaction failed: goes back to where it began, and remembers that it may have happened all the same.
    pub(super) fn go_back(&mut self, to: Place) {
        self.doubt = Some(std::mem::replace(&mut self.place, to));
        self.looked = None;
    }

    /// Over a new connection: finds out which of the two ends the store has. A commit whose sync failed may be
    /// found after all; its records were reported as not written, which is allowed, but the chain goes on from them.
    pub(super) fn settle(&mut self, connection: &Connection) -> Result<(), Fault> {
        let stored: Mac = connection
            .prepare_cached("SELECT mac FROM writers WHERE number = ?")?
            .query_row([self.number], |row| row.get(0))?;
        self.looked = None;
        match self.doubt.take() {
            _ if stored == self.place.chain.head_mac() => Ok(()),
            Some(doubt) if stored == doubt.chain.head_mac() => {
                self.place = doubt;
                Ok(())
            }
            doubt => {
                self.doubt = doubt;
                Err(damaged("the chain of this process does not end where it left it"))
            }
        }
    }
}

/// The last position, and the latest time up to it.
fn end(connection: &Connection) -> Result<(i64, i64), Fault> {
    let end = connection
        .prepare_cached("SELECT position, latest FROM records ORDER BY position DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(end.unwrap_or((0, i64::MIN)))
}
