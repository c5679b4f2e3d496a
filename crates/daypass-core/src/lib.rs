//! The rules of Daypass, without a socket, a file or a clock of its own.
//!
//! A request passes six phases, always in this order: **read → authenticate → authorize → issue → record → render**.
//! [`pipeline`] owns them; a [`dialect::Dialect`] fills the hooks that differ between vendors, an
//! [`issuer::Issuer`] makes the credential and a [`store::Store`] keeps what must survive. Types make the wrong
//! order impossible: an ask exists only on a [`pipeline::Verified`] call, a credential only for an
//! [`policy::Authorized`] ask, and an answer only for a [`record::Recorded`] credential.
//!
//! Nothing here depends on another crate of the workspace, on tokio, or on the ambient clock and randomness.

pub mod age;
pub mod asked;
pub mod backup;
pub mod board;
pub mod caller;
pub mod client;
pub mod clock;
pub mod contents;
pub mod credential;
pub mod cutoff;
pub mod dialect;
pub mod directory;
pub mod endpoint;
pub mod expiry;
pub mod explained;
pub(crate) mod familiar;
pub mod forward;
pub mod freeze;
pub mod gate;
pub mod guesses;
pub mod held;
pub mod id;
pub mod identity;
pub mod inspect;
pub mod issuer;
pub mod jose;
pub mod json;
pub mod keys;
pub mod limits;
pub mod net;
pub mod parts;
pub mod peer;
pub mod people;
pub mod pipeline;
pub mod policy;
pub mod provider;
pub mod quota;
pub mod ration;
pub mod record;
pub mod refusal;
pub mod replay;
pub mod request;
pub mod reseal;
pub mod revoked;
pub mod ring;
pub mod role;
pub mod room;
pub mod root;
pub mod seal;
pub mod secret;
pub mod shelf;
pub mod standing;
pub mod store;
pub mod strangers;
pub mod ticket;
pub mod transfer;
pub mod triple;
pub mod upstream;
pub mod uses;
pub mod verification;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
