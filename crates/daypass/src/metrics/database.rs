//! How it goes with the connections to a database server. All of it stands at zero where the store is a file.

use super::scrape::Out;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Unit;
use std::fmt;

/// What this process has waited for and done again.
pub(super) fn tell(out: &mut Out<'_>) -> fmt::Result {
    let again = daypass_stores::done_again()
        .map(|(transaction, count)| ([("transaction", transaction)], ConstCounter::new(count)));
    let help = "Transactions that the database took back and that were done again";
    out.family("store_transactions_again", help, None, MetricType::Counter, again)?;
    let traffic = daypass_stores::traffic();
    let help = "Statements that waited for a connection to the database";
    out.family("store_connection_waits", help, None, MetricType::Counter, one(traffic.waits))?;
    let help = "How long they waited, altogether";
    let waited = traffic.waited.as_secs_f64();
    out.family("store_connection_wait", help, Some(&Unit::Seconds), MetricType::Counter, one(waited))?;
    let help = "Connections to the database that could not be made";
    out.family("store_connection_failures", help, None, MetricType::Counter, one(traffic.failures))
}

/// One sample without labels.
fn one<N>(value: N) -> impl Iterator<Item = ([(&'static str, &'static str); 0], ConstCounter<N>)> {
    std::iter::once(([], ConstCounter::new(value)))
}
