//! The wire protocols that Daypass speaks, both ways.
//!
//! Every vendor's folder has the same files: `wire` (names and shapes on the wire), `sign` (signatures, for the
//! server and for a client), `fault` (what each refusal becomes), `policy` (the vendor's policy language). There
//! is no I/O, no storage and no policy decision here. What holds for the visitors of any vendor's endpoint, who carry
//! no signature, is [`visit`]; what holds for a request of any vendor that was sent to somebody else is [`verify`], and
//! what callers ask about decisions of their own is [`explain`].

pub mod alibaba;
mod answer;
mod authorization;
mod basic;
pub mod condition;
pub mod entra;
pub mod explain;
#[cfg(any(test, feature = "testing"))]
pub mod proof;
pub mod tencent;
mod text;
pub mod verify;
pub mod visit;
