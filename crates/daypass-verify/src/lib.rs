#![doc = include_str!("../README.md")]

mod builder;
mod cache;
mod claims;
mod clock;
mod compact;
mod dpop;
mod feed;
mod fetch;
mod header;
#[cfg(feature = "http")]
mod http;
mod json;
mod keys;
mod proofs;
mod rejected;
mod revoked;
mod rules;
mod source;
#[cfg(test)]
mod testing;
mod uri;
mod verifier;

pub use async_trait::async_trait;
pub use builder::{BuildError, Builder};
pub use claims::Claims;
pub use clock::{Clock, SystemClock};
pub use fetch::{Fetch, FetchError, Fetched};
pub use header::{bearer, dpop};
pub use keys::Algorithm;
pub use rejected::{BoundTo, Rejected};
pub use verifier::{Binding, Verifier, certificate_thumbprint};
