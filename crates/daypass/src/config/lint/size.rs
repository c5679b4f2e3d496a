//! Policies that are, or can become, too long.

use super::Lint;
use crate::config::diagnostic::Fault;
use crate::config::issuer::LOCAL;
use crate::config::notes::{Notes, Place};
use daypass_core::limits;
use daypass_core::policy::{Language, Policy};
use daypass_core::role::Role;
use daypass_core::triple::token_bytes;
use daypass_core::upstream::Upstream;
use daypass_dialects::{alibaba, tencent};

/// Points out a policy that does not fit into a credential, or into the question to the cloud that makes it, at the latest
/// when its variables have their longest values. Of an issuer that was not understood nothing is said.
pub(super) fn check(notes: &Notes<'_>, role: &Role, upstream: Option<&Upstream>, place: Place) {
    let (Some(template), Some(limit)) = (&role.policy, Limit::of(role, upstream)) else { return };
    let longest = limit.measure(role, &template.longest());
    if longest <= limit.most {
        return;
    }
    let always = role.variables.is_empty() || limit.measure(role, &template.written()) > limit.most;
    let when = if always { "" } else { " when its variables have their longest values" };
    let (place_of, whose) = if limit.sent {
        ("as it is sent", format!("the cloud behind `{}` takes", role.issuer))
    } else {
        ("in a token", "the vendor's clients take".to_owned())
    };
    let message = format!(
        "the policy of `{}` comes to {longest} bytes {place_of}{when}, and {whose} {} at most",
        role.name, limit.most
    );
    let hint = if always { SHORTER } else { NARROWER };
    notes.warning(place, Fault::new(message).hint(hint).lint(Lint::LongPolicy));
}

const SHORTER: &str = "put what is alike into one statement, use wildcards, or make two roles of it";
const NARROWER: &str = "give the variables narrower types (a slug has 64 characters, a path 256, an enumeration its own), or use \
                        each in fewer places; a request with longer values is refused";

/// What a policy must fit into.
struct Limit {
    /// Bytes.
    most: usize,
    /// Whether it is sent to a cloud as a document. Otherwise the token of a credential of our own carries it.
    sent: bool,
}

impl Limit {
    fn of(role: &Role, upstream: Option<&Upstream>) -> Option<Self> {
        if role.issuer == LOCAL {
            return Some(Self { most: limits::TOKEN, sent: false });
        }
        let most = upstream?.cloud.capabilities(&role.brokering).policy_bytes?;
        Some(Self { most, sent: true })
    }

    fn measure(&self, role: &Role, policy: &Policy) -> usize {
        match policy.language {
            _ if !self.sent => token_bytes(&role.tenant, &role.name, policy),
            Language::Cam => tencent::policy::render(policy).unwrap_or_default().len(),
            Language::Ram => alibaba::policy::render(policy).unwrap_or_default().len(),
        }
    }
}
