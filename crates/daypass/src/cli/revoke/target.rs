//! What is to be taken back, by the names that an operator knows.

use crate::cli::client::{self, Which};
use crate::cli::output::Failure;
use crate::cli::place::Place;
use daypass_core::cutoff::Scope;
use uuid::Uuid;

/// What to take back: one of these.
#[derive(clap::Args)]
#[group(required = true, multiple = true)]
pub(super) struct What {
    /// One credential, by its id: `TmpSecretId`, `AccessKeyId`, the `uti` or `jti` of an access token.
    #[arg(long, value_name = "ID", group = "narrow")]
    credential: Option<String>,
    /// Everything issued for a subject; for access tokens that is their `oid`.
    #[arg(long, value_name = "SUBJECT", group = "narrow")]
    subject: Option<String>,
    /// Everything issued to a client, by its name or id.
    #[arg(long, value_name = "CLIENT", group = "narrow")]
    client: Option<String>,
    /// Everything issued for one key, by its id as `client show` has it.
    #[arg(long, value_name = "KEY_ID", group = "narrow")]
    key: Option<String>,
    /// Everything issued in a role.
    #[arg(long, value_name = "ROLE", group = "narrow")]
    role: Option<String>,
    /// Everything that this service ever issued.
    #[arg(long, group = "narrow")]
    all: bool,
    /// Everything issued in this tenant; or whose client, role or subject it is.
    #[arg(long, value_name = "TENANT", conflicts_with_all = ["credential", "key", "all"])]
    tenant: Option<String>,
}

/// What was found under those names.
pub(super) struct Target {
    /// The scope of the cut-off.
    pub(super) scope: Scope,
    /// The tenant that the record belongs to, where it is one.
    pub(super) tenant: Option<String>,
}

/// The longest id of a credential or a subject, in bytes.
const LONGEST: usize = 512;

/// Finds what is meant. A name that is not known is refused: whoever misspells it would think that it is done.
pub(super) async fn find(place: &Place, what: &What) -> Result<Target, Failure> {
    if what.all {
        return Ok(Target { scope: Scope::All, tenant: None });
    }
    if let Some(id) = &what.credential {
        return Ok(Target { scope: Scope::Credential(credential(id)?), tenant: None });
    }
    if let Some(name) = &what.client {
        let client = client::find(place, &Which::new(name, what.tenant.as_deref())).await?;
        return Ok(Target { scope: Scope::Client(client.guid), tenant: Some(client.tenant) });
    }
    if let Some(id) = &what.key {
        return key(place, id).await;
    }
    let tenant = tenant(place, what.tenant.as_deref())?;
    let scope = match (&what.subject, &what.role) {
        (Some(subject), _) => Scope::Subject { tenant: tenant.clone(), subject: text(subject)?.to_owned() },
        (None, Some(role)) => {
            let plan = place.config.plan("");
            if !plan.roles.iter().any(|known| known.tenant == tenant && known.name == *role) {
                return Err(unknown(&format!("role `{}` in the tenant `{tenant}`", role.escape_debug())));
            }
            Scope::Role { tenant: tenant.clone(), role: role.clone() }
        }
        (None, None) => Scope::Tenant(tenant.clone()),
    };
    Ok(Target { scope, tenant: Some(tenant) })
}

/// The id as our own tokens and records have it.
fn credential(id: &str) -> Result<String, Failure> {
    let id = text(id)?;
    Ok(Uuid::try_parse(id).map_or_else(|_| id.to_owned(), |guid| guid.to_string()))
}

fn text(value: &str) -> Result<&str, Failure> {
    if value.is_empty() || value.len() > LONGEST || value.chars().any(char::is_control) {
        return Err(Failure::Usage(format!("an id is 1 to {LONGEST} bytes, without control characters")));
    }
    Ok(value)
}

async fn key(place: &Place, id: &str) -> Result<Target, Failure> {
    let keys = place.opened.store.keys().await?;
    let key = keys.into_iter().find(|key| key.id == id);
    let key = key.ok_or_else(|| unknown(&format!("key `{}`", id.escape_debug())))?;
    let clients = place.opened.store.clients().await?;
    let owner = clients.into_iter().find(|client| client.guid == key.client);
    Ok(Target { scope: Scope::Key(key.id), tenant: owner.map(|client| client.tenant) })
}

fn tenant(place: &Place, named: Option<&str>) -> Result<String, Failure> {
    let tenants = place.config.plan("").tenants;
    match (named, tenants.as_slice()) {
        (Some(name), all) if all.iter().any(|tenant| tenant.name == name) => Ok(name.to_owned()),
        (Some(name), _) => Err(unknown(&format!("tenant `{}`", name.escape_debug()))),
        (None, [only]) => Ok(only.name.clone()),
        (None, _) => Err(Failure::Usage("there are several tenants; name one with --tenant".to_owned())),
    }
}

fn unknown(what: &str) -> Failure {
    Failure::Refused(format!("there is no {what}, and nothing was taken back"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_token_is_written_as_tokens_have_it() {
        let id = |text: &str| credential(text).ok();
        let canonical = "0191e1d0-5bd2-7c3a-8c57-2f0a5a3b8c11";
        assert_eq!(id(&canonical.to_uppercase()).as_deref(), Some(canonical));
        assert_eq!(id("AKIDAQAAAAEA").as_deref(), Some("AKIDAQAAAAEA"), "the case of others counts");
        assert_eq!([id(""), id("a\nb"), id(&"x".repeat(LONGEST + 1))], [None, None, None]);
    }
}
