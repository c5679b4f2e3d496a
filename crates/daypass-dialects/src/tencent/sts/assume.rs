//! `AssumeRole`: a client takes a role that it names by its ARN, whole or narrowed by a policy.

use super::session::{self, EXTERNAL_MARKS, NAME, NAME_MARKS, check_name};
use crate::tencent::arn::RoleArn;
use crate::tencent::form::TAGS;
use crate::tencent::parameters::{Parameters, invalid};
use daypass_core::caller::Caller;
use daypass_core::dialect::{Ask, Context, Form, Issue, RoleChoice};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::triple::{SessionKind, TripleKind};
use std::collections::BTreeMap;

/// The longest key and value of a session tag, in characters. Source: the vendor's type `Tag`.
const TAG_KEY: usize = 128;
const TAG_VALUE: usize = 256;

/// What the parameters ask for.
pub(super) fn ask(context: Context<'_>, caller: &Caller, mut parameters: Parameters) -> Result<Ask, Refusal> {
    let arn = RoleArn::parse(&parameters.required("RoleArn")?)?;
    let name = parameters.required("RoleSessionName")?;
    check_name("RoleSessionName", &name, NAME, NAME_MARKS)?;
    let tenant = caller.tenant();
    let role = arn.role(context.directory, (&tenant.name, tenant.guid));
    let own = arn.owner == tenant.account;
    let lifetime = session::duration(
        &mut parameters,
        session::ROLE,
        context,
        Some(caller),
        own.then_some(role.as_str()),
    )?;
    let external_id = name_of(&mut parameters, "ExternalId", EXTERNAL_MARKS)?;
    let source_identity = name_of(&mut parameters, "SourceIdentity", NAME_MARKS)?;
    let tags = tags(&mut parameters)?;
    let document = parameters.text("Policy")?;
    let device = (parameters.text("SerialNumber")?, parameters.text("TokenCode")?);
    parameters.done()?;
    if device != (None, None) {
        return Err(Refusal::new(
            Reason::MfaUnsupported,
            "keys have no MFA devices here; leave out SerialNumber and TokenCode",
        ));
    }
    if !own {
        // Told apart from a role that does not exist, because it tells nothing of the other account: not even whether
        // there is one.
        let detail =
            format!("RoleArn names an account that is not the caller's own, which is {}", tenant.account);
        return Err(Refusal::new(Reason::RoleNotGranted, detail).parameter("RoleArn"));
    }
    let policy = document.map(|document| session::narrower(&document, &tenant.account)).transpose()?;
    Ok(Ask::Issue(Box::new(Issue {
        variables: variables(context, &tenant.name, &role, &tags),
        lifetime,
        policy,
        session: Some(name),
        kind: SessionKind::Assumed,
        tags,
        source_identity,
        external_id,
        ..Issue::new(RoleChoice::Named(role), Form::Triple(TripleKind::Tencent))
    })))
}

fn name_of(parameters: &mut Parameters, name: &'static str, marks: &[u8]) -> Result<Option<String>, Refusal> {
    let value = parameters.text(name)?;
    if let Some(value) = &value {
        check_name(name, value, NAME, marks)?;
    }
    Ok(value)
}

/// Takes the session tags, whose keys must differ. They reach records and policies, so that their characters are
/// those of other clouds' tags: letters, digits and blanks of any script, and a few marks.
fn tags(parameters: &mut Parameters) -> Result<BTreeMap<String, String>, Refusal> {
    let fine = |text: &str, most: usize| {
        text.chars().count() <= most
            && text.chars().all(|c| c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c))
    };
    let mut tags = BTreeMap::new();
    for mut tag in parameters.objects("Tags", TAGS)? {
        let key = tag.text("Key")?.ok_or_else(|| Refusal::missing("Tags.Key"))?;
        let value = tag.text("Value")?.unwrap_or_default();
        tag.done()?;
        if !fine(&key, TAG_KEY) || !fine(&value, TAG_VALUE) {
            let rule = format!(
                "must have keys of at most {TAG_KEY} and values of at most {TAG_VALUE} letters, digits, blanks or characters of _.:/=+-@"
            );
            return Err(invalid("Tags", &rule));
        }
        if tags.insert(key, value).is_some() {
            return Err(invalid("Tags", "must not have one key twice"));
        }
    }
    Ok(tags)
}

/// The tags that fill variables of the role. The core decides whether this client may use their values.
fn variables(
    context: Context<'_>,
    tenant: &str,
    role: &str,
    tags: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let Some(role) = context.directory.role(tenant, role) else { return BTreeMap::new() };
    let fills = |(key, _): &(&String, &String)| role.variables.contains_key(*key);
    tags.iter().filter(fills).map(|(key, value)| (key.clone(), value.clone())).collect()
}
