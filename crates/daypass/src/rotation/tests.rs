//! Rotation under load, on several nodes at once, and by hand.

mod load;
mod nodes;
mod site;

use crate::app::{Ambient, App, Opened};
use daypass_core::ring::{Order, Purpose, Rotation, Step};
use daypass_core::store::Store;
use daypass_core::testing::{FixedClock, SeededEntropy, World};
use std::sync::Arc;

/// Quick enough that a test sees several turns: two in ten hours.
const ROTATION: Rotation = Rotation { period: Some(4 * 3600), max_age: 600, lead: 1200, keep: 60 };

/// The purposes whose keys replace themselves.
const AUTOMATIC: [Purpose; 8] = [
    Purpose::TokenSeal,
    Purpose::Triple,
    Purpose::Ticket,
    Purpose::JwtRs256,
    Purpose::JwtEs256,
    Purpose::JwtEddsa,
    Purpose::Replay,
    Purpose::Checkpoint,
];

fn order(step: Step, purpose: Purpose) -> Order {
    Order { purpose, version: None, step, force: false }
}

/// A node of a world.
async fn node(opened: Opened, world: &World, clock: &Arc<FixedClock>, seed: u64) -> Arc<App> {
    let ambient = Ambient { clock: clock.clone(), entropy: Arc::new(SeededEntropy::new(seed)) };
    App::build(opened, world.plan.clone(), ambient).await.unwrap()
}

/// What the records say of the ring, oldest first: `ring.prepare jwt-rs256/2`.
async fn steps(store: &dyn Store) -> Vec<String> {
    use daypass_core::record::Event;
    use daypass_core::store::RecordQuery;
    let records = store.records(RecordQuery { limit: 100_000, ..RecordQuery::default() }).await.unwrap();
    let step = |event| match event {
        Event::Change { action, object } if action.starts_with("ring.") => Some(format!("{action} {object}")),
        _ => None,
    };
    records.into_iter().filter_map(|stored| step(stored.record.event)).collect()
}
