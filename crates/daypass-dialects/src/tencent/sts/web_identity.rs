//! `AssumeRoleWithWebIdentity`: the subject of an outside OpenID provider takes a role that trusts it.
//!
//! The call has no signature; its proof is the JWT among its parameters, so that these are read before anyone is
//! believed. The account in the ARN says which tenant is asked. One that does not exist is passed on as none, for the
//! core to refuse like one that does not know the provider.

use super::session::{self, NAME, NAME_MARKS, check_name};
use crate::tencent::arn::RoleArn;
use crate::tencent::parameters::{Parameters, invalid};
use daypass_core::client::Tenant;
use daypass_core::dialect::{Context, Form, Issue, RoleChoice, WebIdentity};
use daypass_core::refusal::Refusal;
use daypass_core::secret::Secret;
use daypass_core::triple::{SessionKind, TripleKind};
use std::sync::Arc;

/// The longest `ProviderId`: the length of every other name of the API.
const PROVIDER: usize = 128;

/// A call whose JWT nobody has looked at yet.
pub(super) struct WebIdentityCall {
    arn: RoleArn,
    tenant: Option<Arc<Tenant>>,
    provider: String,
    token: Secret,
    session: String,
    lifetime: Option<u32>,
}

impl WebIdentityCall {
    /// Reads and checks the parameters.
    pub(super) fn read(context: Context<'_>, mut parameters: Parameters) -> Result<Self, Refusal> {
        let provider = parameters.required("ProviderId")?;
        if provider.len() > PROVIDER {
            return Err(invalid("ProviderId", &format!("must have at most {PROVIDER} bytes")));
        }
        let token = Secret::new(parameters.required("WebIdentityToken")?);
        let arn = RoleArn::parse(&parameters.required("RoleArn")?)?;
        let session = parameters.required("RoleSessionName")?;
        check_name("RoleSessionName", &session, NAME, NAME_MARKS)?;
        let lifetime = session::duration(&mut parameters, session::ROLE, context, None, None)?;
        parameters.done()?;
        let tenant =
            context.directory.plan().tenants.iter().find(|tenant| tenant.account == arn.owner).cloned();
        Ok(Self { arn, tenant, provider, token, session, lifetime })
    }

    /// Who it says it is.
    pub(super) fn claim(&self) -> WebIdentity<'_> {
        WebIdentity { tenant: self.tenant.as_ref(), provider: &self.provider, token: &self.token }
    }

    /// What it asks for. The variables of the role come from the JWT alone.
    pub(super) fn ask(&self, context: Context<'_>) -> Issue {
        let tenant = self.tenant.as_ref().map(|tenant| (tenant.name.as_str(), tenant.guid));
        let role = tenant.map(|tenant| self.arn.role(context.directory, tenant)).unwrap_or_default();
        let known = tenant.and_then(|(tenant, _)| context.directory.role(tenant, &role));
        let standard = || known.and_then(|role| session::standard(role, session::ROLE));
        Issue {
            lifetime: self.lifetime.or_else(standard),
            session: Some(self.session.clone()),
            kind: SessionKind::Assumed,
            ..Issue::new(RoleChoice::Named(role), Form::Triple(TripleKind::Tencent))
        }
    }
}
