//! Alibaba's three dialects: the TOP gateway at `/router/rest`, Alibaba Cloud STS at `/`, and the URL that its SDKs
//! fetch a credential from ([`credentials`]).
//!
//! A TOP call goes through `parameters` (query and body become one set), [`time`] (its stamp), [`sign`] (its
//! signature) and `param` (what it asks for); its answer is described once, in `answer` or `fault`, and written
//! by one of the two writers of `document`. Request bodies are never read as XML.

mod answer;
pub mod credentials;
mod document;
mod fault;
mod json;
mod multipart;
mod param;
mod parameters;
pub mod policy;
pub mod sign;
mod sts;
pub mod time;
mod top;
pub mod wire;
mod xml;

pub use credentials::Credentials;
pub(crate) use sts::foreign;
pub use sts::{Sts, StsCall, StsManner, is_sts, is_sts_form};
pub(crate) use top::is_top;
pub use top::{Top, TopCall, TopManner};

#[cfg(test)]
mod tests;
