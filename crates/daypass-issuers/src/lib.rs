//! What makes a credential.
//!
//! [`local`] is Daypass itself: temporary triples and access tokens that any node can check without a look-up. Behind the
//! others stands a real cloud ([`cloud`]), asked as seldom as can be.
//! From a vendor's dialect, an issuer uses the wire types and the signing, and nothing else.

pub mod cloud;
pub mod fault;
pub mod local;
