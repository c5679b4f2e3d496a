//! What every store must do, as one suite that knows nothing of any backend.
//!
//! A backend's tests call [`run_all`] with a function that makes a fresh database and gives back a function that
//! opens one more handle on it. Each case is an ordinary function and can be run alone. A case fails by panicking.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a case fails by panicking, as the head of this module says"
)]

mod clock;
mod contents;
mod counted;
mod held;
mod proofs;
mod records;
mod replays;
mod reseal;
mod stands;
mod state;
mod transfer;

pub use clock::*;
pub use contents::*;
pub use counted::*;
pub use held::*;
pub use proofs::*;
pub use records::*;
pub use replays::*;
pub use reseal::*;
pub use stands::*;
pub use state::*;
pub use transfer::*;

use daypass_core::client::Client;
use daypass_core::clock::Timestamp;
use daypass_core::record::{Chain, Checker, Entry, Record};
use daypass_core::store::{Change, RecordQuery, Store, StoreError};
use daypass_core::testing::{START, World, ring};
use std::sync::Arc;
use uuid::Uuid;

/// Opens one more handle on one database.
pub type Open = Box<dyn Fn() -> Arc<dyn Store> + Send + Sync>;

macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        /// Runs every case, each on a database of its own.
        pub async fn run_all(fresh: impl Fn() -> Open) {
            $(
                let open = fresh();
                $case(&open).await;
            )*
        }
    };
}

cases!(
    an_empty_store_holds_nothing,
    what_was_put_reads_back_equal,
    putting_again_replaces,
    an_added_ring_key_replaces_nothing,
    a_ring_key_is_swapped_as_it_was_seen,
    of_two_cut_offs_the_later_counts,
    a_cut_off_is_removed_as_it_was_seen,
    a_place_is_frozen_until_it_is_thawed,
    only_what_has_changed_is_read_again,
    cut_offs_are_followed_by_what_changed,
    a_refused_change_of_cut_offs_is_not_followed,
    clients_and_keys_are_followed_by_what_changed,
    a_second_client_of_a_name_is_refused,
    a_key_stays_with_its_client,
    a_change_is_all_or_nothing,
    the_version_counts_every_change_and_no_append,
    two_handles_see_each_other,
    nothing_is_written_before_begin,
    a_writer_id_is_used_once,
    a_single_use_mark_is_spent_once,
    a_single_use_mark_outlives_its_handle,
    of_two_uses_of_a_key_the_later_counts,
    uses_are_no_change,
    nodes_hear_what_others_have_counted,
    a_count_is_written_again_without_harm,
    a_day_that_is_over_is_forgotten,
    counts_are_no_change,
    the_latest_time_is_kept_and_only_an_operator_puts_it_back,
    a_node_that_keeps_nothing_free_has_room,
    a_closed_store_refuses_everything,
    closing_one_handle_leaves_the_other,
    records_read_back_in_order,
    records_are_read_by_pages,
    records_are_found_by_tenant,
    records_are_found_by_time,
    chains_of_interleaved_writers_verify,
    links_are_read_by_pages,
    hundreds_at_once_are_all_durable,
    changes_and_appends_at_once_keep_the_chain,
    a_wait_that_is_dropped_does_no_harm,
    every_head_proves_its_tree,
    checkpoints_are_counted,
    forged_checkpoints_are_taken_away,
    what_places_have_got_only_grows,
    a_tip_is_put_where_the_chain_still_ends,
    proofs_are_no_change,
    all_links_are_read_by_position,
    the_oldest_records_are_removed,
    a_removal_that_was_not_decided_changes_nothing,
    marks_survive_what_is_removed_before_them,
    another_writers_mark_is_seen,
    a_writers_own_mark_is_not,
    a_mark_is_seen_after_a_restart,
    a_mark_is_forgotten_after_the_window,
    of_two_writers_at_once_one_is_first,
    keys_are_swapped_as_they_were_seen,
    a_key_that_was_changed_meanwhile_stays_changed,
    many_keys_are_swapped_at_once,
    of_two_seal_keys_at_once_one_is_said,
    a_client_is_swapped_as_it_was_seen,
    of_two_who_change_a_client_at_once_one_is_told,
    an_older_programs_change_is_noticed,
    keys_are_expected_as_they_were_seen,
    a_writer_may_begin_anew,
    root_keys_are_swapped_as_they_were_seen,
    a_swap_of_root_keys_that_comes_too_late_changes_nothing,
    a_turn_is_taken_by_one_and_its_end_is_seen_by_all,
    a_turn_that_failed_leaves_what_was_there_and_a_pause,
    a_late_end_changes_nothing,
    a_turn_outlives_its_handle,
    a_row_of_a_clock_that_ran_ahead_stops_nobody,
    of_many_at_once_one_has_the_turn,
    rows_are_kept_as_long_as_they_mean_something,
    turns_are_no_change,
    turns_need_no_writer_and_an_open_store,
);

/// A chain for the writer of this number.
pub(crate) fn chain(writer: u128) -> Chain {
    Chain::begin(&ring(), Uuid::from_u128(writer)).unwrap()
}

/// So many milliseconds behind [`START`].
pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(START.as_millisecond() + millis).unwrap()
}

/// A record that can be told from others by its number.
pub(crate) fn record(number: u128, at: Timestamp, tenant: Option<&str>) -> Record {
    Record::change(Uuid::from_u128(number), at, tenant.map(str::to_owned), "test", &number.to_string())
}

pub(crate) fn entry(number: u128) -> Entry {
    let millis = i64::try_from(number).unwrap();
    Entry { record: record(number, at(millis), Some("acme")), mark: None }
}

/// A handle that may write, as the writer of this number.
async fn writer(open: &Open, number: u128) -> Arc<dyn Store> {
    let store = open();
    store.begin(chain(number)).await.unwrap();
    store
}

pub(crate) fn client(number: u128, tenant: &str, name: &str) -> Client {
    Client { guid: Uuid::from_u128(number), tenant: tenant.into(), name: name.into(), ..World::new().client }
}

pub(crate) async fn put(
    store: &Arc<dyn Store>,
    number: u128,
    changes: Vec<Change>,
) -> Result<(), StoreError> {
    store.change(changes, record(number, START, None)).await
}

/// The version of another handle's store, once it is not this one any more. How soon a store tells is its own business, within
/// the two seconds that a change may take to be in force everywhere.
pub(crate) async fn told(store: &Arc<dyn Store>, before: u64) -> u64 {
    for _ in 0..400 {
        let version = store.version().await.unwrap();
        if version != before {
            return version;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_ne!(store.version().await.unwrap(), before, "a change was not told of within two seconds");
    before
}

pub(crate) async fn read(store: &Arc<dyn Store>, query: RecordQuery) -> Vec<u128> {
    store.records(query).await.unwrap().iter().map(|stored| stored.record.id.as_u128()).collect()
}

pub(crate) fn everything() -> RecordQuery {
    RecordQuery { limit: usize::MAX, ..RecordQuery::default() }
}

/// Checks every chain, reading it by pages of an odd size. Gives the number of records.
pub(crate) async fn verify(store: &Arc<dyn Store>) -> u64 {
    let ring = ring();
    let mut records = 0;
    for head in store.heads().await.unwrap() {
        let mut checker = Checker::new(&ring, &head);
        let mut after = 0;
        loop {
            let links = store.links(head.writer, after, 7).await.unwrap();
            let Some(last) = links.last() else { break };
            after = last.seq;
            for link in &links {
                checker.take(link);
            }
        }
        assert_eq!(checker.finish(), [], "the chain of writer {}", head.writer);
        records += head.seq;
    }
    records
}
