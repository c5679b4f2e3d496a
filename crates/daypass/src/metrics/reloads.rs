//! Which configuration a node runs on, and what became of reloads.

use super::scrape::{Out, Source};
use daypass_core::clock::unix;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use std::fmt;

impl Source {
    pub(super) fn configuration(&self, out: &mut Out<'_>) -> fmt::Result {
        let (tally, digest) = (self.app.reloads.tally(), self.app.setup().digest.clone());
        let ends = [("done", tally.done), ("refused", tally.refused)]
            .map(|(result, count)| ([("result", result)], ConstCounter::new(count)));
        let help = "Reloads of the configuration by how they ended";
        out.family("config_reloads", help, None, MetricType::Counter, ends.into_iter())?;
        let help = "Whether the last reload of the configuration was done; 1 where there was none";
        out.one("config_last_reload_done", help, None, u8::from(tally.lately == 0))?;
        let help = "When the configuration in force was read, in seconds since 1970";
        out.one("config_read", help, Some(&Unit::Seconds), unix(tally.since))?;
        let help = "The SHA-256 of the configuration file in force";
        let rows = Some(digest).filter(|digest| !digest.is_empty());
        let rows = rows.map(|digest| ([("sha256", digest)], ConstGauge::new(1_i64)));
        out.family("config", help, None, MetricType::Gauge, rows.into_iter())
    }
}
