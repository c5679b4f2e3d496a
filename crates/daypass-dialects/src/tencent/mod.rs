//! Tencent Cloud, both ways: the STS API 2018-08-13 and the `getAuthorization` endpoint of its browser SDKs.
//!
//! | file | says |
//! |---|---|
//! | [`sts`] | the STS API: `POST /` and `GET /` |
//! | [`get_authorization`] | the browser's `GET /getAuthorization` |
//! | [`wire`] | names and shapes on the wire |
//! | [`sign`] | TC3-HMAC-SHA256 and the older signatures, for the server and for a client |
//! | `proof` | what an `Authorization` header must look like before it is verified |
//! | `legacy` | the same for a signature among the parameters |
//! | `parameters`, `form` | the parameters of an action, from a JSON body, a query or a form |
//! | `foreign` | requests that were sent to another API, and signed in one of these ways or as an SOE web socket |
//! | `arn` | how a role is named |
//! | `identity` | who the caller is, in the vendor's words |
//! | [`policy`] | CAM 2.0, to and from the core's policy |
//! | [`fault`] | what each refusal becomes |

mod arn;
pub mod fault;
pub(crate) mod foreign;
mod form;
pub mod get_authorization;
mod identity;
mod legacy;
mod parameters;
pub mod policy;
mod proof;
pub mod sign;
pub mod sts;
pub mod wire;

#[cfg(test)]
mod tests;

pub use get_authorization::GetAuthorization;
pub use sts::Sts;
