//! What backup, restore and migrate have in common.

use super::output::{Output, table};
use crate::app::{self, now};
use crate::config::SealKeys;
use crate::system::KeyEntropy;
use anyhow::Context as _;
use daypass_core::id::random_uuid;
use daypass_core::record::{Chain, Record};
use daypass_core::ring::{Ring, RingRow, RingState, SealRow};
use daypass_core::store::StoreError;
use daypass_core::transfer::{Count, Damage, Opens, Pages, Part, Proved, Unproved, Whole, inspect, prove};
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

/// Whether damaged records are carried as well.
#[derive(clap::Args, Clone, Copy)]
pub(super) struct Despite {
    /// Carry records that are not what was written too, as they stand, rather than refuse. What is wrong with them is told, and
    /// stands in the records.
    #[arg(long)]
    despite_damage: bool,
}

impl Despite {
    /// Whether whoever gave the command wants it.
    pub(super) fn is_wanted(self) -> bool {
        self.despite_damage
    }

    /// Reads and proves rows; damaged records among them only where that is wanted.
    pub(super) async fn prove(
        self,
        pages: &mut dyn Pages,
        opens: Option<Opens<'_>>,
    ) -> Result<Proved, Unproved> {
        if self.despite_damage { inspect(pages, opens).await } else { prove(pages, opens).await }
    }
}

/// Says why something is refused, and where it is for damaged records alone, what carries them.
pub(super) fn unproved(fault: &Unproved, what: &str) -> String {
    match fault {
        Unproved::Chains(_) => format!("{fault}; `{what} --despite-damage` carries them as they stand"),
        _ => fault.to_string(),
    }
}

/// The name of the warning that damaged records were carried.
pub(super) const DAMAGED: &str = "records.damaged";

/// What is written down about damaged records that were carried from or to this; nothing where there were none.
pub(super) fn warning(of: &str, damage: &Damage) -> Option<Record> {
    let detail = || format!("{} faults were carried as they stand: {damage}", damage.faults);
    (!damage.is_none()).then(|| app::trouble(DAMAGED, of, &detail()))
}

/// Says aloud that damaged records were carried.
pub(super) fn tell(output: &Output, damage: &Damage) {
    if !damage.is_none() {
        output.note(format_args!(
            "daypass: {} faults in the records are carried as they stand: {damage}; see `daypass audit verify`",
            damage.faults
        ));
    }
}

/// Writes records behind all that a store holds, under a new chain.
pub(super) async fn add(whole: &mut dyn Whole, proved: &Proved, records: &[Record]) -> anyhow::Result<()> {
    let ring = proved.ring.as_ref().context("the ring was not opened")?;
    let chain = Chain::begin(ring, random_uuid(&KeyEntropy)).context("the ring has no record key")?;
    for row in proved.add(chain, records)? {
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
