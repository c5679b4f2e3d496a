//! How the node itself stands: what `/readyz` says, as numbers.

use super::scrape::{Out, Source};
use crate::app::State;
use crate::telemetry;
use prometheus_client::encoding::EncodeMetric as _;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use std::fmt;

impl Source {
    /// What was found at the last look.
    pub(super) fn health(&self, out: &mut Out<'_>) -> fmt::Result {
        let (report, health) = (self.app.report(), self.app.health());
        let found = health.found();
        let help = "Whether a grant would be given here now, as far as it depends on this node";
        out.one("ready", help, None, u8::from(report.fault().is_none()))?;
        let states = report.states();
        let rows = states.iter().map(|(name, state)| ([("check", *name)], ConstGauge::new(number(*state))));
        let help = "How it stands with each thing that readiness looks at: 0 well, 1 a warning, 2 nothing can be granted for it";
        out.family("check_state", help, None, MetricType::Gauge, rows)?;
        let help = "How far the clock is behind the latest time that was believed";
        out.one("clock_behind", help, Some(&Unit::Seconds), health.clock().behind().as_secs())?;
        let (free, kept) = found.room.map(|room| (room.free, room.reserve)).unzip();
        out.some("disk_free", "What is free on the disk of the database", Some(&Unit::Bytes), free)?;
        out.some("disk_reserve", "What is kept of that disk for operators now", Some(&Unit::Bytes), kept)?;
        let (open, most) = found.descriptors.unzip();
        out.some("file_descriptors", "File descriptors that are open", None, open)?;
        out.some("file_descriptors_limit", "File descriptors that may be open", None, most)?;
        let help = "Lines of the log that nobody took in time, or that could not be written";
        let lost = out.0.encode_descriptor("log_lines_lost", help, None, MetricType::Counter)?;
        ConstCounter::new(telemetry::lost_lines()).encode(lost)
    }
}

fn number(state: State) -> i64 {
    match state {
        State::Ok => 0,
        State::Warning => 1,
        State::Fault => 2,
    }
}
