//! What is left under old keys of ours, what wraps them, and what was done anew.

use super::scrape::{Out, Source};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::fmt;

impl Source {
    pub(super) fn rotation(&self, out: &mut Out<'_>) -> fmt::Result {
        let number = |count: usize| ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX));
        let left = self.app.left_lately();
        let left = left.iter().map(|(purpose, version, count)| {
            ([("purpose", purpose.name().to_owned()), ("version", version.to_string())], number(*count))
        });
        let help = "How much is kept under each key of Daypass's own that works no more";
        out.family("key_left", help, None, MetricType::Gauge, left)?;
        let wraps = self.app.wrapped_by();
        let wraps = wraps.iter().map(|(id, role, count)| {
            let role = role.map_or("unknown", daypass_core::ring::SealRole::name);
            ([("seal_key", id.to_string()), ("role", role.to_owned())], number(*count))
        });
        let help = "How many of Daypass's own keys each seal key wraps";
        out.family("seal_key_wraps", help, None, MetricType::Gauge, wraps)?;
        let help = "Keys of Daypass's own that are stored and that this node cannot open";
        out.one("key_unopened", help, None, self.app.unopened())?;
        let done =
            self.app.done_anew().map(|(what, count)| ([("what", what.name())], ConstCounter::new(count)));
        let help =
            "What this node has wrapped, sealed or hashed anew because a key of Daypass's own was replaced";
        out.family("done_anew", help, None, MetricType::Counter, done)
    }
}
