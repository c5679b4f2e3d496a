//! Paths, the dialects they speak, and who may come to them.

use crate::caller::Way;
use crate::net::IpNet;
use crate::policy::Policy;
use crate::quota::{Bounds, Limit};
use std::fmt;

/// A protocol that Daypass speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DialectName {
    /// The browser's `GET /getAuthorization`.
    TencentGetAuthorization,
    /// Tencent Cloud STS API 2018-08-13.
    TencentSts,
    /// The TOP gateway.
    AlibabaTop,
    /// Alibaba Cloud STS API 2015-04-01.
    AlibabaSts,
    /// The URL that Alibaba Cloud's credential providers fetch a temporary key from.
    AlibabaCredentials,
    /// OAuth 2.0 in the shape of Microsoft Entra.
    Entra,
    /// Questions of APIs about the requests that they get: `/v1/verify`.
    Verify,
    /// Questions of reverse proxies about the requests that they are about to let through ([`crate::forward`]).
    ForwardAuth,
    /// Questions of callers about decisions of their own: `/v1/explain/{request id}`.
    Explain,
}

impl DialectName {
    /// The name in configuration, records and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::TencentGetAuthorization => "tencent.getAuthorization",
            Self::TencentSts => "tencent.sts",
            Self::AlibabaTop => "alibaba.top",
            Self::AlibabaSts => "alibaba.sts",
            Self::AlibabaCredentials => "alibaba.credentials",
            Self::Entra => "entra",
            Self::Verify => "verify",
            Self::ForwardAuth => "forward-auth",
            Self::Explain => "explain",
        }
    }

    /// Whether its callers carry no signature and are known in the ways of their endpoint (see [`CallerRule`]).
    pub fn knows_visitors(self) -> bool {
        match self {
            Self::TencentGetAuthorization | Self::AlibabaCredentials => true,
            Self::TencentSts
            | Self::AlibabaTop
            | Self::AlibabaSts
            | Self::Entra
            | Self::Verify
            | Self::ForwardAuth
            | Self::Explain => false,
        }
    }
}

impl CallerRule {
    /// The way in which it knows a caller.
    pub fn way(&self) -> Way {
        match self {
            Self::Session(_) => Way::Session,
            Self::Ticket(_) => Way::Ticket,
            Self::Jwt(_) => Way::Jwt,
            Self::Anonymous { .. } => Way::Anonymous,
        }
    }

    /// Where those who prove nothing must come from, if it is about them.
    pub fn whence(&self) -> Option<&Whence> {
        match self {
            Self::Anonymous { whence, .. } => Some(whence),
            Self::Session(_) | Self::Ticket(_) | Self::Jwt(_) => None,
        }
    }
}

impl Endpoint {
    /// How much may be asked for and made at it, its quota included.
    pub(crate) fn bounds(&self) -> Bounds {
        let Quota { subject, address, endpoint } = self.quota;
        Bounds {
            subject: Limit::per_minute(subject).or(self.limits.subject),
            network: Limit::per_minute(address).or(self.limits.network),
            endpoint: Limit::per_minute(endpoint).or(self.limits.endpoint),
            ..self.limits
        }
    }

    /// The rule for sessions, if there is one.
    pub fn session(&self) -> Option<&SessionRule> {
        self.callers.iter().find_map(|rule| match rule {
            CallerRule::Session(rule) => Some(rule),
            _ => None,
        })
    }
    /// The rule for tickets, if there is one.
    pub fn ticket(&self) -> Option<&TicketRule> {
        self.callers.iter().find_map(|rule| match rule {
            CallerRule::Ticket(rule) => Some(rule),
            _ => None,
        })
    }
    /// The rule for outside JWTs, if there is one.
    pub fn jwt(&self) -> Option<&JwtRule> {
        self.callers.iter().find_map(|rule| match rule {
            CallerRule::Jwt(rule) => Some(rule),
            _ => None,
        })
    }
    /// Where those who prove nothing must come from, if they are served at all.
    pub fn anonymous(&self) -> Option<&Whence> {
        self.callers.iter().find_map(CallerRule::whence)
    }
}

impl fmt::Display for DialectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A configured path.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// What it speaks.
    pub dialect: DialectName,
    /// Its exact path.
    pub path: String,
    /// The tenant whose roles it hands out, by name.
    pub tenant: String,
    /// The role of a request that cannot name one: that of visitors.
    pub role: Option<String>,
    /// The browser origins it serves, exactly as a browser sends them. Never `*`, never `null`.
    pub origins: Vec<String>,
    /// The ways in which its callers are known, where the dialect itself has no proof; at most one of each kind.
    pub callers: Vec<CallerRule>,
    /// How many credentials it makes in a minute.
    pub quota: Quota,
    /// How much may be asked for and made at it; what its quota says of a rate comes first.
    pub limits: Bounds,
    /// What its answers look like.
    pub shape: Shape,
    /// TOP's table from what is asked for to the role that gives it.
    pub routes: Vec<Route>,
    /// A policy that nothing issued here may exceed.
    pub boundary: Option<Policy>,
    /// A boundary that is tried before it counts: what it would cut is said and not cut.
    pub boundary_warn: Option<Policy>,
}

/// One way in which the caller of an endpoint without signatures is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallerRule {
    /// By a session of the operator's own application, which is asked whose it is.
    Session(SessionRule),
    /// By a one-time ticket that the operator's backend signed or fetched.
    Ticket(TicketRule),
    /// By a JWT of an outside provider.
    Jwt(JwtRule),
    /// Nobody is known: for public pages, with a written reason and a quota.
    Anonymous {
        /// Why this is acceptable; `daypass check` and the start-up log show it.
        reason: String,
        /// Where they must come from.
        whence: Whence,
    },
}

/// Where those of whom nothing is known must come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whence {
    /// From the pages of the endpoint's list of origins.
    Pages,
    /// From anywhere, with or without a page; only `daypass dev` has it.
    Anywhere,
    /// From these networks and directly, with or without a page: for SDKs on the same host or in the same cluster that
    /// fetch a URL and can show nothing.
    Networks(Vec<IpNet>),
}

/// How a session is found in a request, and who knows whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRule {
    /// Where the session stands.
    pub carrier: Carrier,
    /// The application's own URL that answers whose session it is: `https`, or plain http on loopback.
    pub whoami: String,
    /// How long the application may take, in milliseconds.
    pub timeout_ms: u32,
    /// How long its answer is believed, in seconds.
    pub cache: u32,
}

/// Where a session stands in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// In the cookie of this name.
    Cookie(String),
    /// In the header of this name, lower-case.
    Header(String),
}

/// How long a ticket carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TicketRule {
    /// How many further credentials one ticket can fetch after its first use.
    pub refreshes: u32,
    /// For how many seconds after its first use.
    pub refresh_for: u32,
}

/// Whose JWTs are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtRule {
    /// The provider, by name, of the endpoint's own tenant.
    pub provider: String,
}

/// The most credentials made in a minute, each none for no bound. An answer with the credential that its subject
/// already has is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// For one subject.
    pub subject: Option<u32>,
    /// For one source network (/24 of IPv4, /48 of IPv6).
    pub address: Option<u32>,
    /// For the whole endpoint.
    pub endpoint: Option<u32>,
}

/// What an answer to a visitor looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// `Credentials{Token, TmpSecretId, TmpSecretKey}`, `ExpiredTime`, …: the SOE page's, and the API's own.
    #[default]
    Tencent,
    /// `credentials{tmpSecretId, tmpSecretKey, sessionToken}`, `startTime`, `expiredTime`: that of the vendor's COS
    /// helpers and of the pages that use them.
    Cos,
    /// `Code`, `AccessKeyId`, …: that of the ECS metadata service, which `credentials_uri` of Alibaba Cloud's SDKs reads.
    CredentialsUri,
    /// `StatusCode`, `AccessKeyId`, …: that of the OSS SDKs for Android and iOS.
    OssMobile,
}

/// One row of TOP's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// What is asked for.
    pub product: Product,
    /// The role that gives it.
    pub role: String,
}

/// TOP's words for what a token is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Product {
    /// `product_code`: the cloud product, such as `oss`.
    pub product_code: String,
    /// `scene_code`: where the request comes from.
    pub scene_code: String,
    /// `usage_scene`: what it is for.
    pub usage_scene: String,
}
