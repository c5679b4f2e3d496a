//! One policy model for every vendor's language.
//!
//! A document of Tencent's CAM or Alibaba's RAM is parsed by its dialect into a [`Policy`]; what the model cannot
//! hold is refused there, never dropped. From then on the operations are the same for all: [`Template::bind`]
//! puts typed variables into a role's policy, [`narrow`] intersects documents, [`covers`] decides whether one is
//! no wider than another, [`decide`] answers one request, and [`authorize`] puts them together.

mod authorize;
mod claim;
mod compare;
mod conditions;
mod dead;
mod decide;
mod intersect;
mod model;
mod narrow;
mod pattern;
mod rehearse;
mod segments;
mod template;
mod value_pattern;
mod variable;
mod verdict;

#[cfg(test)]
mod brute;
#[cfg(test)]
mod properties;

pub use authorize::{
    Authorized, Cut, EXCHANGES, Idle, Warned, Whose, Why, Would, authorize, authorize_exchange, claims, idle,
};
pub(crate) use authorize::{actors, authorize_ticket, unacceptable};
pub use claim::{BadName, ClaimTemplate, ClaimValue, VALUES_BYTES, check_name};
pub use compare::{Change, compare, within};
pub use dead::{Dead, beyond, dead};
pub(crate) use decide::statements_on;
pub use decide::{Access, Decision, Truth, decide};
pub use model::{Condition, Effect, Language, Policy, Statement};
pub use narrow::{Uncovered, Undecided, covers, narrow};
pub use pattern::{LiteralStar, Pattern, Piece};
pub use rehearse::{Part, Rehearsal, rehearse};
pub use template::{BadTemplate, BadVariable, Template};
pub use value_pattern::ValuePattern;
pub use variable::{BadType, Values, VariableType};
pub use verdict::{Verdict, verdict};
