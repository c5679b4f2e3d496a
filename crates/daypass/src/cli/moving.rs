//! What backup, restore and migrate have in common.

use super::output::table;
use crate::app::now;
use crate::config::SealKeys;
use crate::system::KeyEntropy;
use anyhow::Context as _;
use daypass_core::id::random_uuid;
use daypass_core::record::{Chain, Record};
use daypass_core::ring::{Ring, RingRow, RingState, SealRow};
use daypass_core::store::StoreError;
use daypass_core::transfer::{Count, Part, Proved, Whole};
use std::collections::BTreeMap;

/// Opens the ring among rows with these seal keys.
pub(super) fn opens(keys: &SealKeys) -> impl Fn(&[RingRow], Option<&SealRow>) -> Result<Ring, String> + Sync {
    |rows, said| open(rows, said, keys).map_err(|error| format!("{error:#}"))
}

fn open(rows: &[RingRow], said: Option<&SealRow>, keys: &SealKeys) -> anyhow::Result<Ring> {
    anyhow::ensure!(!rows.is_empty(), "it has no keys of Daypass's own: no server has ever run on it");
    let kek = keys.kek()?.fit(said, rows)?;
    let mut rows = rows.to_vec();
    // An older version knew fewer purposes; the first start makes up for them.
    for purpose in Ring::missing(&rows).collect::<Vec<_>>() {
        rows.push(Ring::generate_one(&kek, &KeyEntropy, now(), purpose, 1, RingState::Active)?);
    }
    Ok(Ring::open(&rows, &kek)?)
}

/// Writes a record behind all that a store holds, under a new chain.
pub(super) async fn add(whole: &mut dyn Whole, proved: &Proved, record: &Record) -> anyhow::Result<()> {
    let ring = proved.ring.as_ref().context("the ring was not opened")?;
    let chain = Chain::begin(ring, random_uuid(&KeyEntropy)).context("the ring has no record key")?;
    for row in proved.add(chain, record)? {
        whole.put(vec![row]).await?;
    }
    Ok(())
}

/// What there is of each part, for people.
pub(super) fn table_of(parts: &BTreeMap<Part, Count>) -> String {
    let row = |(part, count): (&Part, &Count)| {
        vec![count.rows.to_string(), part.name().to_owned(), format!("sha256 {}", count.sha256)]
    };
    table(&parts.iter().map(row).collect::<Vec<_>>())
}

/// A store that cannot be taken: told by its address, which holds no password.
pub(super) fn cannot_take(url: &str, error: StoreError) -> anyhow::Error {
    anyhow::Error::from(error).context(format!("`{url}` cannot be taken"))
}
