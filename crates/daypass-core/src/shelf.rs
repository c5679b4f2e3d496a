//! Credentials that their subjects may have again while enough of their life is left.

use crate::clock::Timestamp;
use crate::credential::Granted;
use crate::cutoff::Cutoffs;
use crate::policy::Authorized;
use crate::record::Recorded;
use std::sync::Arc;

/// The credentials of one process.
#[derive(Default)]
pub struct Shelf(());

impl Shelf {
    /// The credential that this subject already has at this endpoint, if it is still what the subject would get now,
    /// was not taken back, and has enough of its life left.
    pub fn find(
        &self,
        authorized: &Authorized,
        cutoffs: &Cutoffs,
        now: Timestamp,
    ) -> Option<Arc<Recorded<Granted>>> {
        let _ = (authorized, cutoffs, now);
        None
    }

    /// Keeps a credential for its subject. Without a subject nothing is kept.
    pub fn keep(&self, authorized: &Authorized, granted: &Arc<Recorded<Granted>>, now: Timestamp) {
        let _ = (authorized, granted, now);
    }
}
