//! The proof that a request brings of the key that its token is to be bound to (RFC 9449). The core judges it.

use super::wire::token_path;
use daypass_core::client::Tenant;
use daypass_core::dialect::Dpop;
use daypass_core::directory::Plan;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::Head;
use daypass_core::secret::Secret;

/// What a request shows.
pub(super) struct Shown {
    proof: Secret,
    /// Our addresses of the token endpoint, any one of which the proof may be about.
    urls: Vec<String>,
}

impl Shown {
    /// The proof with what it must be about.
    pub(super) fn about(&self) -> Dpop<'_> {
        Dpop { proof: &self.proof, method: "POST", urls: &self.urls }
    }
}

/// The proof of a request to the token endpoint, if it has one. Nobody else asks: all that a proof means is that its
/// sender holds a key, and nothing is handed out to one elsewhere.
pub(super) fn read(plan: &Plan, tenant: &Tenant, head: &Head) -> Result<Option<Shown>, Refusal> {
    let mut values = head.headers.get_all("dpop").iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            Ok(Some(Shown { proof: Secret::new(value.as_bytes()), urls: addresses(plan, tenant) }))
        }
        // Attack: two programs on the way each believe another one of them.
        _ => Err(Refusal::new(
            Reason::DpopInvalid,
            "the request has more than one DPoP header; a request has one proof",
        )),
    }
}

/// Where everyone calls a tenant's token endpoint, and where those do who show a certificate.
fn addresses(plan: &Plan, tenant: &Tenant) -> Vec<String> {
    let path = token_path(tenant.guid);
    let bases = [Some(&plan.public_url), plan.mutual_tls_url.as_ref()];
    bases.into_iter().flatten().map(|base| format!("{base}{path}")).collect()
}
