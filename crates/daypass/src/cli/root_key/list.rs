//! `daypass root-key list`.

use super::document;
use crate::cli::output::{Failure, Output, table};
use crate::cli::place::{Place, PlaceArgs};
use daypass_core::clock::rfc3339;
use daypass_core::root::RootRow;
use daypass_core::upstream::{RootSource, Upstream};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) async fn run(place: &PlaceArgs, output: &Output) -> Result<(), Failure> {
    let Place { config, opened } = place.open().await?;
    let rows = opened.store.roots().await;
    opened.store.close().await?;
    let (upstreams, mut rows) = (config.plan("").upstreams, rows?);
    rows.sort_by(|a, b| (&a.issuer, a.slot).cmp(&(&b.issuer, b.slot)));
    let lines: Vec<_> = lines(&upstreams, &rows).into_iter().map(Vec::from).collect();
    output.show(table(&lines), || all(&upstreams, &rows));
    Ok(())
}

/// What is said of an issuer beside its rows, if something is.
fn remark(upstream: &Upstream, rows: &[RootRow]) -> Option<&'static str> {
    match upstream.root {
        RootSource::Stored if rows.iter().any(|row| row.issuer == upstream.name) => None,
        RootSource::Stored => Some("none"),
        RootSource::Configured(_) | RootSource::Unread => Some("configured"),
    }
}

fn kind(upstreams: &[Arc<Upstream>], issuer: &str) -> &'static str {
    let found = upstreams.iter().find(|upstream| upstream.name == issuer);
    found.map_or("gone", |upstream| upstream.cloud.name())
}

fn lines(upstreams: &[Arc<Upstream>], rows: &[RootRow]) -> Vec<[String; 8]> {
    let head = ["ISSUER", "KIND", "SLOT", "STATE", "KEY", "SINCE", "EXPIRES", "PROVED"].map(str::to_owned);
    let bare = upstreams.iter().filter_map(|upstream| {
        let remark = remark(upstream, rows)?;
        let cells = [&*upstream.name, upstream.cloud.name(), "-", remark, "", "", "", ""];
        Some(cells.map(str::to_owned))
    });
    let time = |at: Option<_>| at.map(rfc3339).unwrap_or_default();
    let stored = rows.iter().map(|row| {
        [
            row.issuer.clone(),
            kind(upstreams, &row.issuer).to_owned(),
            row.slot.name().to_owned(),
            row.state.name().to_owned(),
            row.id.clone(),
            rfc3339(row.since),
            time(row.expires),
            time(row.proved),
        ]
    });
    std::iter::once(head).chain(bare).chain(stored).collect()
}

fn all(upstreams: &[Arc<Upstream>], rows: &[RootRow]) -> Value {
    let issuers: Vec<_> = upstreams
        .iter()
        .map(|upstream| {
            let stored = matches!(upstream.root, RootSource::Stored);
            json!({
                "issuer": upstream.name,
                "kind": upstream.cloud.name(),
                "kept_in": if stored { "store" } else { "configuration" },
                "url": upstream.url,
            })
        })
        .collect();
    json!({ "issuers": issuers, "keys": rows.iter().map(document).collect::<Vec<_>>() })
}
