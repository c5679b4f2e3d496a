//! Everything that is told, in the text of `OpenMetrics`.

use super::database;
use crate::app::App;
use crate::server::Tls;
use daypass_core::clock::unix;
use daypass_issuers::tally::Seconds;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::sync::Arc;

/// What is looked at when somebody asks.
pub(crate) struct Scrape(Registry);

pub(super) struct Source {
    pub(super) app: Arc<App>,
    tls: Option<Arc<Tls>>,
}

impl Scrape {
    /// Of this application, and of the certificate that its listener shows.
    pub(crate) fn new(app: Arc<App>, tls: Option<Arc<Tls>>) -> Self {
        let mut registry = Registry::with_prefix("daypass");
        registry.register_collector(Box::new(Source { app, tls }));
        Self(registry)
    }

    /// The text that a monitoring system reads.
    pub(crate) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.0)?;
        Ok(text)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Source")
    }
}

impl Collector for Source {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Out(encoder);
        self.requests(&mut out)?;
        self.limits(&mut out)?;
        self.our_keys(&mut out)?;
        self.rotation(&mut out)?;
        self.records(&mut out)?;
        self.clients_keys(&mut out)?;
        self.clouds(&mut out)?;
        self.health(&mut out)?;
        database::tell(&mut out)?;
        self.configuration(&mut out)?;
        self.node(&mut out)
    }
}

impl Source {
    fn requests(&self, out: &mut Out<'_>) -> fmt::Result {
        let counts = &self.app.counts;
        let requests = counts.requests().map(|(dialect, result, count)| {
            ([("dialect", dialect), ("result", result)], ConstCounter::new(count))
        });
        out.family("requests", "Requests by how they ended", None, MetricType::Counter, requests)?;
        let grants =
            counts.grants().map(|(dialect, count)| ([("dialect", dialect)], ConstCounter::new(count)));
        out.family("grants", "Credentials that were made and recorded", None, MetricType::Counter, grants)?;
        let warnings = counts.warnings().map(|(whose, count)| ([("whose", whose)], ConstCounter::new(count)));
        let help = "Credentials that a rule which is only tried would have cut or refused";
        out.family("policy_warnings", help, None, MetricType::Counter, warnings)
    }

    fn limits(&self, out: &mut Out<'_>) -> fmt::Result {
        let setup = self.app.setup();
        let limited = setup.pipeline.rations().refused().filter(|(.., count)| *count > 0);
        let limited = limited.map(|(of, by, count)| ([("of", of), ("by", by)], ConstCounter::new(count)));
        let help = "Requests that found nothing left of a rate or of a daily quota, by whose it is";
        out.family("limited", help, None, MetricType::Counter, limited)?;
        let refused =
            self.app.balancers.counts().map(|(why, count)| ([("why", why)], ConstCounter::new(count)));
        let help = "Connections that were closed for what a balancer said of them, or did not say";
        out.family("proxy_protocol_refused", help, None, MetricType::Counter, refused)?;
        let under_way = self.app.gate.under_way();
        out.one("in_flight", "Requests that are worked on", None, under_way)?;
        let most = self.app.directory().plan().in_flight.unwrap_or(u32::MAX);
        let help = "How many requests are worked on at one time before further ones are turned away";
        out.one("in_flight_most", help, None, i64::from(most))
    }

    fn our_keys(&self, out: &mut Out<'_>) -> fmt::Result {
        let ages = self.app.key_ages();
        let rows = ages.iter().map(|age| {
            let (stage, seconds) = (&age.stage, i64::try_from(age.seconds).unwrap_or(i64::MAX));
            let labels = [
                ("purpose", stage.purpose.name().to_owned()),
                ("version", stage.version.to_string()),
                ("state", stage.state.name().to_owned()),
            ];
            (labels, ConstGauge::new(seconds))
        });
        let help = "How long ago each of Daypass's own keys was made";
        out.family("key_age", help, Some(&Unit::Seconds), MetricType::Gauge, rows)?;
        let overdue = ages.iter().filter(|age| age.overdue).count();
        out.one("key_overdue", "Keys of Daypass's own that have worked for too long", None, overdue)
    }

    fn clients_keys(&self, out: &mut Out<'_>) -> fmt::Result {
        let directory = self.app.directory();
        let keys = directory.ending_keys().filter(|(client, _)| client.enabled);
        let ends = keys.filter_map(|(client, key)| {
            let labels =
                [("tenant", client.tenant.clone()), ("client", client.name.clone()), ("key", key.id)];
            Some((labels, ConstGauge::new(unix(key.expires?))))
        });
        let help = "When each key of a client ends, of those that do, in seconds since 1970";
        out.family("client_key_expires", help, Some(&Unit::Seconds), MetricType::Gauge, ends)
    }

    fn clouds(&self, out: &mut Out<'_>) -> fmt::Result {
        let setup = self.app.setup();
        let tallies = setup.tallies();
        let calls = tallies.iter().flat_map(|tally| {
            let ended = tally.calls().filter(|(_, count)| *count > 0);
            ended.map(|(result, count)| {
                ([("issuer", tally.issuer()), ("result", result)], ConstCounter::new(count))
            })
        });
        let help = "Questions to clouds by how they ended";
        out.family("upstream_calls", help, None, MetricType::Counter, calls)?;
        let handed = tallies.iter().flat_map(|tally| {
            tally
                .handed_out()
                .map(|(way, count)| ([("issuer", tally.issuer()), ("way", way)], ConstCounter::new(count)))
        });
        let help = "Credentials of clouds that were handed out, by where they were at hand";
        out.family("upstream_handed_out", help, None, MetricType::Counter, handed)?;
        let took = tallies.iter().map(|tally| ([("issuer", tally.issuer())], Took(tally.seconds())));
        let help = "How long clouds took to answer";
        out.family("upstream_call", help, Some(&Unit::Seconds), MetricType::Histogram, took)?;
        let last = tallies.iter().filter_map(|tally| {
            Some(([("issuer", tally.issuer())], ConstGauge::new(unix(tally.last_success()?))))
        });
        let help = "When a cloud last gave a credential, in seconds since 1970";
        out.family("upstream_last_success", help, Some(&Unit::Seconds), MetricType::Gauge, last)?;
        let taken = self.app.roots_taken();
        let taken =
            taken.iter().map(|(issuer, taken)| ([("issuer", &**issuer)], ConstGauge::new(i64::from(*taken))));
        let help = "Whether a cloud took our root key when it was last tried";
        out.family("root_key_ok", help, None, MetricType::Gauge, taken)?;
        let directory = self.app.directory();
        let ends = directory.roots().iter().filter_map(|root| {
            let labels = [("issuer", &*root.issuer), ("slot", root.slot.name()), ("key", &*root.id)];
            Some((labels, ConstGauge::new(unix(root.expires?))))
        });
        let help = "When each root key ends, of those that do, in seconds since 1970";
        out.family("root_key_expires", help, Some(&Unit::Seconds), MetricType::Gauge, ends)
    }

    fn node(&self, out: &mut Out<'_>) -> fmt::Result {
        let (seconds, app) = (Some(&Unit::Seconds), &self.app);
        out.one("store_silent", "How long ago this node last heard the store", seconds, app.silence())?;
        let help = "When the certificate of the listener ends, in seconds since 1970";
        match &self.tls {
            Some(tls) => out.one("certificate_expires", help, seconds, tls.expires())?,
            None => _ = out.0.encode_descriptor("certificate_expires", help, seconds, MetricType::Gauge)?,
        }
        let help = "The version of this program";
        let mut build = out.0.encode_descriptor("build", help, None, MetricType::Info)?;
        build.encode_info(&[("version", env!("CARGO_PKG_VERSION"))])
    }
}

/// How long calls took, as a histogram.
struct Took(Seconds);

impl EncodeMetric for Took {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let Seconds { buckets, count, sum } = &self.0;
        // Each bucket says what is in it alone; the encoder adds them up. The last holds what took longer than any bound.
        let mut before = 0;
        let mut own: Vec<_> = buckets
            .iter()
            .map(|(bound, so_far)| {
                let here = so_far.saturating_sub(before);
                before = *so_far;
                (*bound, here)
            })
            .collect();
        own.push((f64::MAX, count.saturating_sub(before)));
        encoder.encode_histogram::<NoLabelSet>(*sum, *count, &own, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

pub(super) struct Out<'a>(pub(super) DescriptorEncoder<'a>);

impl Out<'_> {
    /// One metric, with a row for each set of labels.
    pub(super) fn family<L: EncodeLabelSet, M: EncodeMetric>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        kind: MetricType,
        rows: impl Iterator<Item = (L, M)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, unit, kind)?;
        for (labels, value) in rows {
            value.encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// One number where it is known; one that is not is not told.
    pub(super) fn some(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        value: Option<u64>,
    ) -> fmt::Result {
        match value {
            Some(value) => self.one(name, help, unit, value),
            None => self.0.encode_descriptor(name, help, unit, MetricType::Gauge).map(|_| ()),
        }
    }

    /// One number.
    pub(super) fn one(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        value: impl TryInto<i64>,
    ) -> fmt::Result {
        let value = ConstGauge::new(value.try_into().unwrap_or(i64::MAX));
        value.encode(self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?)
    }
}
