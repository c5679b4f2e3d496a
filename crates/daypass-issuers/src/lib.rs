//! What makes a credential.
//!
//! [`local`] is Daypass itself: temporary triples and access tokens that any node can check without a look-up. Behind the
//! others stands a real cloud ([`cloud`]), asked as seldom as can be ([`cached`]).
//! From a vendor's dialect, an issuer uses the wire types and the signing, and nothing else.

pub mod alibaba;
pub mod cached;
mod check;
pub mod cloud;
pub mod entra;
pub mod fault;
pub mod http;
pub mod local;
pub mod oauth;
mod reading;
pub mod tally;
pub mod tencent;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod top;
