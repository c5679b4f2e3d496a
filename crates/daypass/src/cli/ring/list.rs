//! `daypass ring list`: every key with what it waits for, what is left under it, and the seal key that wraps it.

use super::super::output::table;
use super::outlook;
use crate::app::{Opened, now};
use crate::config::Loaded;
use daypass_core::clock::{Timestamp, rfc3339};
use daypass_core::reseal::Left;
use daypass_core::ring::{Age, Kek, RingRow, RingState, Rules, SealRole, Stage, wrapped_by};
use daypass_core::store::StoreError;
use serde_json::{Value, json};
use std::sync::Arc;

/// The ring as it is now, with what belongs to it.
pub(super) struct List {
    rows: Vec<RingRow>,
    stages: Vec<Stage>,
    ages: Vec<Age>,
    rules: Rules,
    left: Left,
    kek: Arc<Kek>,
}

impl List {
    pub(super) async fn read(config: &Loaded, opened: &Opened) -> Result<Self, StoreError> {
        Self::at(config, opened, now()).await
    }

    async fn at(config: &Loaded, opened: &Opened, now: Timestamp) -> Result<Self, StoreError> {
        let store = &opened.store;
        let mut rows = store.ring().await?;
        rows.sort_by_key(|row| (row.purpose, row.version));
        let stages: Vec<_> = rows.iter().map(RingRow::stage).collect();
        let rules = Rules::of(&config.plan(""));
        let (keys, roots, heads) = (store.keys().await?, store.roots().await?, store.heads().await?);
        let left = Left::of(&opened.ring, &keys, &roots, now).with_chains(&heads);
        let ages = rules.ages(&stages, now);
        Ok(Self { rows, stages, ages, rules, left, kek: opened.kek.clone() })
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &RingRow> {
        self.rows.iter()
    }

    /// How much is left under a retiring key, where anything can be.
    fn left(&self, stage: &Stage) -> Option<usize> {
        let of = |(purpose, version, _): &(_, _, _)| (*purpose, *version) == (stage.purpose, stage.version);
        self.left.all().find(of).map(|(_, _, count)| count)
    }

    fn age(&self, stage: &Stage) -> Option<&Age> {
        self.ages.iter().find(|age| age.stage == *stage)
    }

    pub(super) fn text(&self) -> String {
        let head = ["PURPOSE", "VERSION", "STATE", "SINCE", "AGE", "SEAL KEY", "LEFT", "NEXT"];
        let mut lines = vec![head.map(str::to_owned).to_vec()];
        lines.extend(self.rows.iter().map(|row| self.line(row)));
        format!("{}\n\n{}", table(&lines), self.seal_keys())
    }

    fn line(&self, row: &RingRow) -> Vec<String> {
        let stage = row.stage();
        vec![
            stage.purpose.name().to_owned(),
            stage.version.to_string(),
            stage.state.name().to_owned(),
            rfc3339(stage.since),
            self.age(&stage).map(in_words).unwrap_or_default(),
            self.kek.wraps(row).map(|id| id.to_string()).unwrap_or_default(),
            self.left(&stage).map(|count| count.to_string()).unwrap_or_default(),
            self.next(&stage),
        ]
    }

    /// What comes next for a key. One that is needed until a time may be needed for longer.
    fn next(&self, stage: &Stage) -> String {
        match self.left(stage).filter(|count| stage.state == RingState::Retiring && *count > 0) {
            Some(_) => "needed until nothing is left under it".to_owned(),
            None => outlook(&self.rules, &self.stages, stage),
        }
    }

    /// What each seal key wraps, and whether it can go.
    fn seal_keys(&self) -> String {
        let lines = wrapped_by(&self.kek, &self.rows).into_iter().map(|(id, count)| {
            let role = self.kek.role(id).map_or("not given", SealRole::name);
            let then = match (self.kek.role(id), count) {
                (Some(SealRole::Previous), 0) => "; it can be dropped",
                (Some(SealRole::Previous), _) => "; the rest is wrapped again by the next start of a server",
                _ => "",
            };
            format!("seal key {id} ({role}): wraps {count} of them{then}")
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    pub(super) fn document(&self, row: &RingRow) -> Value {
        let stage = row.stage();
        let mut document = super::document(&self.rules, &stage);
        if let Value::Object(members) = &mut document {
            let id = self.kek.wraps(row);
            let age = self.age(&stage);
            members.insert("age_seconds".to_owned(), json!(age.map(|age| age.seconds)));
            members.insert("overdue".to_owned(), json!(age.map(|age| age.overdue)));
            members.insert("left".to_owned(), json!(self.left(&stage)));
            members.insert("seal_key".to_owned(), json!(id.map(|id| id.to_string())));
            let role = id.and_then(|id| self.kek.role(id)).map(SealRole::name);
            members.insert("sealed_by".to_owned(), json!(role));
        }
        document
    }
}

fn in_words(age: &Age) -> String {
    let text = match age.seconds {
        seconds if seconds >= 2 * 86_400 => format!("{}d", seconds / 86_400),
        seconds if seconds >= 2 * 3600 => format!("{}h", seconds / 3600),
        seconds => format!("{}m", seconds / 60),
    };
    if age.overdue { format!("{text} (too old)") } else { text }
}
