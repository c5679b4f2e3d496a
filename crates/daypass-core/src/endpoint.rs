//! Paths, the dialects they speak, and who may come to them.

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
    /// OAuth 2.0 in the shape of Microsoft Entra.
    Entra,
}

impl DialectName {
    /// The name in configuration, records and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::TencentGetAuthorization => "tencent.getAuthorization",
            Self::TencentSts => "tencent.sts",
            Self::AlibabaTop => "alibaba.top",
            Self::AlibabaSts => "alibaba.sts",
            Self::Entra => "entra",
        }
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
    /// The role of a request that cannot name one (`getAuthorization`).
    pub role: Option<String>,
    /// The browser origins it serves, exactly as a browser sends them. Never `*`, never `null`.
    pub origins: Vec<String>,
    /// How its callers prove themselves, where the dialect itself has no proof.
    pub caller: Option<CallerRule>,
    /// TOP's table from what is asked for to the role that gives it.
    pub routes: Vec<Route>,
}

/// How the caller of an endpoint without signatures is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallerRule {
    /// Nobody is known: for public pages, with a written reason and a ration.
    Anonymous {
        /// Why this is acceptable; `daypass check` and the start-up log show it.
        reason: String,
        /// Credentials a minute for one source network (/24, /48); `None` only in `daypass dev`.
        per_minute: Option<u32>,
    },
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
