//! What is known of a request for the conditions of policies.

use crate::policy::{Condition, Language, Truth};
use std::fmt;
use std::sync::Arc;

/// Judges conditions by facts that it has. What an operator means is the business of each vendor's language, so that
/// whoever speaks that language fills this in.
pub trait Known: Send + Sync {
    /// Whether a condition of a policy in this language holds; none where nothing is known of its key.
    fn holds(&self, language: Language, condition: &Condition) -> Option<Truth>;
}

/// What is known of one request; by default nothing.
#[derive(Clone, Default)]
pub struct Facts(Option<Arc<dyn Known>>);

impl Facts {
    /// These.
    pub fn new(known: impl Known + 'static) -> Self {
        Self(Some(Arc::new(known)))
    }

    /// Whether a condition holds; none where nothing is known of its key.
    pub(super) fn holds(&self, language: Language, condition: &Condition) -> Option<Truth> {
        self.0.as_ref()?.holds(language, condition)
    }
}

impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Facts" } else { "no Facts" })
    }
}

impl PartialEq for Facts {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        }
    }
}
