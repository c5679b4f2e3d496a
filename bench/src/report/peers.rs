//! How we compare with the vendor's samples: every number says how many times better we are.

use super::endpoints::{Slices, percentile, pooled};
use super::spread;
use super::table::Table;
use crate::run::{ALONE, FEW};
use crate::statistics::{Quartiles, ratios};
use crate::work::Work;
use serde::Serialize;

/// One endpoint of ours against one sample. A ratio is none if one of the two was not measured.
#[derive(Serialize)]
pub(super) struct Comparison {
    ours: String,
    sample: String,
    /// The sample's CPU time a request over ours, a few connections.
    cpu: Option<Quartiles>,
    /// Our answers a second over the sample's, a few connections.
    per_second: Option<Quartiles>,
    /// The sample's median latency over ours, one caller alone.
    p50: Option<Quartiles>,
    /// The same for the 99th percentile. All rounds together: a sample answers too little in one.
    p99: Option<f64>,
}

/// Every endpoint that has samples, against each of them.
pub(super) fn comparisons(works: &[Work], slices: Slices<'_>) -> Vec<Comparison> {
    let samples = |ours: Work| {
        let delay = ours.peers();
        let theirs = move |work: &&Work| work.is_a_samples() && delay.is_some() && work.cloud() == delay;
        works.iter().filter(theirs).map(move |sample| compare(ours, *sample, slices))
    };
    works.iter().flat_map(|work| samples(*work)).collect()
}

fn compare(ours: Work, sample: Work, slices: Slices<'_>) -> Comparison {
    let over = |over: Vec<_>, under: Vec<_>| Quartiles::of(&ratios(&over, &under));
    let medians = |work| -> Vec<Option<f64>> {
        slices.of(work, ALONE).iter().map(|slice| Some(percentile(&slice.latency, 50.0))).collect()
    };
    let tail = |work| {
        let all = pooled(slices.of(work, ALONE).iter().map(|slice| &slice.latency))?;
        Some(percentile(&all, 99.0))
    };
    Comparison {
        ours: ours.to_string(),
        sample: sample.to_string(),
        cpu: over(slices.cpu_micros(sample, FEW), slices.cpu_micros(ours, FEW)),
        per_second: over(slices.per_second(ours, FEW), slices.per_second(sample, FEW)),
        p50: over(medians(sample), medians(ours)),
        p99: tail(sample).zip(tail(ours)).map(|(theirs, ours)| theirs / ours),
    }
}

/// The table of them.
pub(super) fn table(comparisons: &[Comparison]) -> Table {
    let mut table = Table::new([
        "ours",
        "against",
        "less CPU/request, c32",
        "more requests/s, c32",
        "shorter p50, alone",
        "shorter p99, alone",
    ]);
    let shown = |values: Option<Quartiles>| values.map_or_else(|| "-".to_owned(), spread);
    for comparison in comparisons {
        table.row(&[
            comparison.ours.clone(),
            comparison.sample.clone(),
            shown(comparison.cpu),
            shown(comparison.per_second),
            shown(comparison.p50),
            shown(comparison.p99.map(Quartiles::exact)),
        ]);
    }
    table
}
