//! Whole files: what good ones become, and what people are told about bad ones.

mod bad;
mod bad_callers;
mod bad_endpoints;
mod bad_providers;
mod bad_roles;
mod boundaries;
mod control;
mod fixed;
mod forward_auth;
mod good;
mod good_callers;
mod issuers;
mod limits;
mod lints;
mod lints_stored;
mod metrics;
mod mutual_tls;
mod proxy_protocol;
mod tls;
mod tokens;

use super::{Loaded, Mode, parse};
use std::ffi::OsString;

/// The sections that every file needs; what a test is about begins on line 7.
const HEAD: &str = r#"[server]
listen = "127.0.0.1:5050"
[store]
url = "sqlite:/d.db"
[seal]
key = { file = "/seal.key" }
"#;

/// A tenant with a role of each kind; with the head before it, it ends on line 29.
const TENANT: &str = r#"[[tenant]]
name = "acme"
guid = "387c56a8-cf86-45de-b9f5-b4de88cac054"
account = "100000000001"
[[tenant.role]]
name = "soe"
lifetime = { default = "30m", max = "2h" }
policy = { cam = '{"version":"2.0","statement":{"effect":"allow","action":["soe:Transmit"],"resource":"*"}}' }
wildcard_reason = "SOE has no resource-level rights"
[[tenant.role]]
name = "upload"
lifetime = { default = "1h", max = "12h" }
variables = { tenant_code = "slug", poi_id = "slug" }
answer = { end_point_public = "https://o.example", end_point_internal = "https://i.example" }
policy = { ram = '{"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:PutObject"],"Resource":["acs:oss:*:*:b/{tenant_code}/{poi_id}/*"]}]}' }
[[tenant.role]]
name = "orders"
audience = "d6b7c858-55fa-4d04-85a6-131af690abd4"
roles = ["orders.read"]
[[tenant.role]]
name = "cos"
policy = { cam = '{"version":"2.0","statement":{"effect":"allow","action":["cos:PutObject"],"resource":["qcs::cos:ap-guangzhou:uid/1250000000:b-1250000000/{dir}/*"]}}' }
variables = { dir = "slug" }
"#;

/// Reads a production file.
fn production(text: &str) -> Result<Loaded, super::Errors> {
    parse("daypass.toml", text, Mode::Production, &[])
}

/// Everything that is said about a bad file.
fn refused(text: &str) -> String {
    production(text).err().map_or_else(|| panic!("accepted:\n{text}"), |errors| errors.to_string())
}

/// Everything that is said about a good file.
fn warned(text: &str) -> String {
    let loaded = production(text).unwrap_or_else(|errors| panic!("refused:\n{errors}"));
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    warnings.join("\n\n")
}

/// The head with something after it.
fn with(tail: &str) -> String {
    format!("{HEAD}{tail}")
}

/// The head and the tenant with something after them.
fn with_tenant(tail: &str) -> String {
    format!("{HEAD}{TENANT}{tail}")
}

/// An override.
fn variable(name: &str, value: &str) -> (String, OsString) {
    (name.to_owned(), value.into())
}
