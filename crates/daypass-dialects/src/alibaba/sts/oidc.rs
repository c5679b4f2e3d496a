//! `AssumeRoleWithOIDC`: the subject of an outside OpenID provider takes a role that trusts it.
//!
//! The call has no signature; its proof is the token among its parameters, so that these are read before anyone is
//! believed. The account in the ARNs says which tenant is asked. One that does not exist is passed on as none, for the
//! core to refuse like one that does not know the provider.

use super::arn::Arn;
use super::parameters::Parameters;
use super::session;
use daypass_core::client::Tenant;
use daypass_core::dialect::{Context, Excess, Form, Issue, RoleChoice, WebIdentity};
use daypass_core::policy::Policy;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::secret::Secret;
use daypass_core::triple::{SessionKind, TripleKind};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The action's own parameters.
const NAMES: [&str; 6] =
    ["DurationSeconds", "OIDCProviderArn", "OIDCToken", "Policy", "RoleArn", "RoleSessionName"];
/// How long an `OIDCToken` is, in characters.
const TOKEN: RangeInclusive<usize> = 4..=20_000;

/// A call whose token nobody has looked at yet.
pub(super) struct Oidc {
    arn: Arn,
    tenant: Option<Arc<Tenant>>,
    provider: String,
    issuer: Option<String>,
    token: Secret,
    session: String,
    lifetime: Option<u32>,
    policy: Option<Policy>,
}

impl Oidc {
    /// Reads and checks the parameters.
    pub(super) fn read(context: Context<'_>, parameters: &Parameters) -> Result<Self, Refusal> {
        parameters.only(&NAMES)?;
        let provider = Arn::provider(parameters.required("OIDCProviderArn")?)?;
        let arn = Arn::role(parameters.required("RoleArn")?)?;
        let token = parameters.required("OIDCToken")?;
        if !TOKEN.contains(&token.len()) {
            let detail = format!("it must have {} to {} characters", TOKEN.start(), TOKEN.end());
            return Err(Refusal::new(Reason::InvalidParameter, detail).parameter("OIDCToken"));
        }
        if provider.account != arn.account {
            let detail = "the provider must be of the same account as the role";
            return Err(Refusal::new(Reason::InvalidParameter, detail).parameter("OIDCProviderArn"));
        }
        let session = session::session_name(parameters)?;
        let lifetime = session::duration(parameters, None)?;
        let policy = session::policy(parameters)?;
        let directory = context.directory;
        let tenant = directory.plan().tenants.iter().find(|tenant| tenant.account == arn.account).cloned();
        let known = tenant.as_ref().and_then(|tenant| directory.provider(&tenant.name, &provider.name));
        Ok(Self {
            issuer: known.map(|provider| provider.issuer.clone()),
            arn,
            tenant,
            provider: provider.name,
            token: Secret::new(token),
            session,
            lifetime,
            policy,
        })
    }

    /// Who it says it is.
    pub(super) fn claim(&self) -> WebIdentity<'_> {
        WebIdentity { tenant: self.tenant.as_ref(), provider: &self.provider, token: &self.token }
    }

    /// The issuer of the provider, for the answer to a token of it that was found right.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// What it asks for. The variables of the role come from the token alone.
    pub(super) fn ask(&self) -> Issue {
        Issue {
            lifetime: self.lifetime,
            policy: self.policy.clone(),
            excess: Excess::CutOff,
            session: Some(self.session.clone()),
            kind: SessionKind::Assumed,
            ..Issue::new(RoleChoice::Named(self.arn.name.clone()), Form::Triple(TripleKind::Alibaba))
        }
    }
}
