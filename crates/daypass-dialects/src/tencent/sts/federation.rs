//! `GetFederationToken`: a client gives someone else a part of its default role.

use super::session::{self, NAME_MARKS, check_name};
use crate::tencent::parameters::Parameters;
use daypass_core::caller::Caller;
use daypass_core::dialect::{Ask, Context, Form, Issue, RoleChoice};
use daypass_core::refusal::Refusal;
use daypass_core::triple::TripleKind;
use std::ops::RangeInclusive;

/// How long a `Name` is. The vendor documents letters and no length; this is the length of its role session names,
/// whose characters are accepted here because its own COS helpers send hyphens, and one letter is a name.
const NAME: RangeInclusive<usize> = 1..=128;

/// What the parameters ask for.
pub(super) fn ask(context: Context<'_>, caller: &Caller, mut parameters: Parameters) -> Result<Ask, Refusal> {
    let name = parameters.required("Name")?;
    check_name("Name", &name, NAME, NAME_MARKS)?;
    let role = caller.client().and_then(|client| client.default_role.as_deref());
    let lifetime = session::duration(&mut parameters, session::FEDERATION, context, Some(caller), role)?;
    let document = parameters.required("Policy")?;
    parameters.done()?;
    Ok(Ask::Issue(Box::new(Issue {
        lifetime,
        policy: Some(session::narrower(&document, &caller.tenant().account)?),
        session: Some(name),
        ..Issue::new(RoleChoice::Default, Form::Triple(TripleKind::Tencent))
    })))
}
