//! The verifier from outside, with tokens that another library has made.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where something is wrong"
)]

mod bound;
mod good;
mod hostile;
#[cfg(feature = "http")]
mod issuer;
mod maker;
mod revoked;
