//! Requests that were sent to another API and signed in one of the vendor's ways, read for whoever got them.

use super::acs3::Acs3;
use super::parameters::{Parameters, name};
use super::rpc::Rpc;
use crate::verify::essence::Essence;
use daypass_core::clock::Timestamp;
use daypass_core::dialect::Context;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::Request;
use daypass_core::verification::ForeignCall;

/// A request signed with ACS3-HMAC-SHA256. Its parameters are those of the query; its body is signed by its hash, and
/// may be of any type.
pub(crate) fn acs3(context: Context<'_>, essence: &Essence) -> Result<ForeignCall, Refusal> {
    let parameters = Parameters::of_query(&essence.head.query)?;
    let (hash, size) = (essence.body_hash(), essence.body_size());
    Acs3::read_over(context, &essence.head, parameters, &hash, size).map(ForeignCall::new)
}

/// A request signed in the RPC style. That signs the path `/` whatever the path is.
pub(crate) fn rpc(request: &Request, now: Timestamp) -> Result<ForeignCall, Refusal> {
    if request.head.path != "/" {
        let detail = "this signature covers no path but /, so that it proves nothing of another";
        return Err(Refusal::new(Reason::MalformedProof, detail));
    }
    Rpc::read(&request.head, Parameters::read(request)?, now).map(ForeignCall::new)
}

/// Whether these parameters hold what tells the signature of the RPC style.
pub(crate) fn is_rpc(names: &[&str]) -> bool {
    names.contains(&name::ACCESS_KEY_ID)
}
