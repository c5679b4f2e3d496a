//! What is told of the records' proofs.

use super::scrape::{Out, Source};
use crate::records::Standing;
use daypass_core::clock::unix;
use prometheus_client::encoding::EncodeMetric as _;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use std::fmt;

impl Source {
    /// Checkpoints, second places, and what was removed.
    pub(super) fn records(&self, out: &mut Out<'_>) -> fmt::Result {
        let (standing, now, seconds) = (self.app.proofs(), self.app.now(), Some(&Unit::Seconds));
        out.one(
            "checkpoint_number",
            "The number of the newest checkpoint of the records",
            None,
            standing.number,
        )?;
        let help =
            "When this node last made sure that all records are signed, in seconds since 1970; 0 before that";
        out.one("checkpoint_time", help, seconds, standing.signed.map_or(0, unix))?;
        let help = "Chains of records that do not verify, and are not signed";
        out.one("chains_unproved", help, None, standing.unproved)?;
        let help = "1 where a second place holds checkpoints that the store does not have, and nobody has accepted it";
        out.one("store_rolled_back", help, None, i64::from(standing.behind.is_some()))?;
        let help = "1 where old records stay because they do not verify";
        out.one("retention_stuck", help, None, i64::from(standing.stuck))?;
        let help = "Records that this node has removed because they were kept long enough";
        let removed = out.0.encode_descriptor("records_removed", help, None, MetricType::Counter)?;
        ConstCounter::new(standing.removed).encode(removed)?;

        let places = || standing.places.iter();
        let labels = |name: &str, kind| [("place", name.to_owned()), ("kind", String::from(kind))];
        let gauge = |value: u64| ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
        let missing = places().map(|(name, place)| {
            (labels(name, place.kind), gauge(standing.number.saturating_sub(place.reached)))
        });
        let help = "Checkpoints that a second place has not got";
        out.family("second_place_missing", help, None, MetricType::Gauge, missing)?;
        let late =
            places().map(|(name, place)| (labels(name, place.kind), gauge(Standing::late(place, now))));
        let help = "For how long a second place has missed a checkpoint";
        out.family("second_place_late", help, seconds, MetricType::Gauge, late)
    }
}
