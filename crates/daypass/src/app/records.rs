//! What keeps the records provable, as the parts of the service see it.

use super::{App, record_id};
#[cfg(test)]
use crate::records::Keeper;
use crate::records::Standing;
use daypass_core::store::Store;
use std::sync::Arc;
use uuid::Uuid;

impl App {
    /// Where everything is kept.
    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.opened.store
    }

    /// The id of a record that is made now.
    pub(crate) fn record_id(&self) -> Uuid {
        record_id(self.now())
    }

    /// What keeps the records provable, for a test.
    #[cfg(test)]
    pub(crate) fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    /// How the proofs of the records stand, as far as this node knows.
    pub(crate) fn proofs(&self) -> Standing {
        self.keeper.standing()
    }
}
