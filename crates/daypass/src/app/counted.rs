//! What all nodes count together of a day: this one's is written every second, and the others' is read back with it.

use super::{App, Opened};
use daypass_core::clock::Timestamp;
use daypass_core::pipeline::Pipeline;
use daypass_core::ration::day_of;
use std::time::Duration;
use uuid::Uuid;

/// How often counts are written, where there are any to write. So long may a node hand out what another has used up.
const COUNT: Duration = Duration::from_secs(1);

/// Begins with what this day has had so far. However much there is to read, it is read: a node that did not know would hand
/// out everything a second time.
pub(super) async fn begin(
    opened: &Opened,
    pipeline: &Pipeline,
    node: Uuid,
    now: Timestamp,
) -> anyhow::Result<()> {
    let day = day_of(now);
    let others = opened.store.counts(day, node).await?;
    pipeline.rations().begin(day, &others);
    Ok(())
}

impl App {
    /// Writes and hears counts for as long as the process lives, and says once a second how many were turned away.
    pub(super) async fn count_days(&self) {
        let mut turn = tokio::time::interval(COUNT);
        turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            turn.tick().await;
            let (turned_away, under_way) = (self.gate.news(), self.gate.under_way());
            if turned_away > 0 {
                tracing::warn!(
                    turned_away,
                    under_way,
                    "more is asked than can be answered in time, and some were turned away"
                );
            }
            self.note_counts().await;
        }
    }

    /// Writes what the store does not know. What is not written stays due.
    pub(crate) async fn note_counts(&self) {
        let setup = self.setup();
        let rations = setup.pipeline.rations();
        let Some(due) = rations.due(self.now()) else { return };
        match self.opened.store.note_counts(self.node, due.clone()).await {
            Ok(others) => rations.noted(&due, &others),
            // Whoever asks for something is told that the store does not answer; this can wait.
            Err(error) => tracing::debug!(%error, "counts of the day are not written; trying again"),
        }
    }
}
