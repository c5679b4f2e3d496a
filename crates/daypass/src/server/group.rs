//! Whose request it is, as far as can be seen without reading or verifying anything.
//!
//! Nothing is believed by this but how what there is to do is shared out. Whoever names another's key takes of that one's
//! part and of nobody else's; whoever names none is of those of whom it is not known.

use super::route::Route;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use daypass_core::client::Tenant;
use daypass_core::directory::Directory;
use daypass_core::endpoint::DialectName;
use daypass_core::parts::Group;
use daypass_core::request::Head;
use http::header::AUTHORIZATION;
use std::sync::Arc;
use uuid::Uuid;

/// The longest id of a key that is looked for. Ours are much shorter, and a long one is nobody's.
const ID: usize = 128;

/// How far into a body it is looked for a key. What is sent by the protocols that have it there is shorter.
const BODY: usize = 16 * 1024;

/// The group of a request by its head: by its path, or else by the key that it names.
pub(super) fn of_head(route: &Route, head: &Head, directory: &Directory) -> Group {
    let named = |name: &str| directory.tenant(name).map(guid);
    match route {
        Route::GetAuthorization(endpoint) | Route::Credentials(endpoint) => named(&endpoint.tenant),
        Route::ForwardAuth(forward) => named(&forward.tenant),
        Route::Entra => in_path(&head.path, directory),
        Route::TencentSts => {
            shown(head, directory).or_else(|| in_form(head.query.as_bytes(), "SecretId", directory))
        }
        Route::AlibabaSts => {
            shown(head, directory).or_else(|| in_form(head.query.as_bytes(), "AccessKeyId", directory))
        }
        Route::Top => in_form(head.query.as_bytes(), "app_key", directory).or_else(|| alone(head, directory)),
        Route::Verify | Route::Explain => shown(head, directory),
        Route::Live | Route::Ready | Route::Nothing => None,
    }
}

/// The group of a request whose head did not tell, by its body.
pub(super) fn of_body(route: &Route, body: &[u8], directory: &Directory) -> Group {
    let body = body.get(..BODY).unwrap_or(body);
    match route {
        // The older signatures of both clouds are forms at the same path.
        Route::TencentSts => {
            in_form(body, "SecretId", directory).or_else(|| in_form(body, "AccessKeyId", directory))
        }
        Route::AlibabaSts => in_form(body, "AccessKeyId", directory),
        Route::Top => in_form(body, "app_key", directory),
        _ => None,
    }
}

fn guid(tenant: &Arc<Tenant>) -> Uuid {
    tenant.guid
}

/// The tenant in a path of OAuth, wherever it stands.
fn in_path(path: &str, directory: &Directory) -> Group {
    let mut segments = path.split('/').filter(|segment| segment.len() == 36);
    segments.find_map(|segment| directory.tenant_by_guid(Uuid::try_parse(segment).ok()?)).map(guid)
}

/// By the header of TC3 and ACS3, `Credential=ID/…` or `Credential=ID,…`, or by the client of HTTP Basic.
fn shown(head: &Head, directory: &Directory) -> Group {
    let value = head.headers.get(AUTHORIZATION)?.to_str().ok()?;
    if let Some((_, rest)) = value.split_once("Credential=") {
        let id = rest.split(['/', ',']).next()?;
        return holder(id, directory);
    }
    let encoded =
        value.get(..6).filter(|scheme| scheme.eq_ignore_ascii_case("basic ")).and(value.get(6..))?;
    // 36 characters of a GUID and the colon are 37 bytes: 50 characters of base64 hold them, and 52 decode whole.
    let begin = STANDARD.decode(encoded.get(..52)?).ok()?;
    let client = std::str::from_utf8(begin.get(..36)?).ok()?;
    directory.tenant_of(Uuid::try_parse(client).ok()?).map(guid)
}

/// By a parameter of a form or query.
fn in_form(form: &[u8], name: &str, directory: &Directory) -> Group {
    let mut pairs = form.split(|byte| *byte == b'&');
    let value = pairs.find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
    holder(std::str::from_utf8(value).ok()?, directory)
}

fn holder(id: &str, directory: &Directory) -> Group {
    if id.len() > ID {
        return None;
    }
    directory.holder_of(id).map(guid)
}

/// The one tenant whose endpoint this path is, if it is of one alone.
fn alone(head: &Head, directory: &Directory) -> Group {
    let mut endpoints = directory.endpoints(DialectName::AlibabaTop, &head.path);
    let (first, second) = (endpoints.next()?, endpoints.next());
    if second.is_some() { None } else { directory.tenant(&first.tenant).map(guid) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::route::by_head;
    use daypass_core::testing::{ACME, World, request};

    fn group(target: &str, headers: &[(&str, &str)], body: &str) -> (Group, Group) {
        let (world, request) = (World::new(), request("POST", target, headers, body.as_bytes()));
        let directory = world.directory();
        let route = by_head(&request.head, &directory);
        (of_head(&route, &request.head, &directory), of_body(&route, &request.body, &directory))
    }

    #[test]
    fn a_head_or_a_body_tells_whose_request_it_is() {
        let (ours, nobody) = (Some(ACME), None);
        let guid = World::new().client.guid;
        let basic =
            |client: &str| format!("Basic {}", STANDARD.encode(format!("{client}:a-long-secret-of-it")));
        let (right, short) = (basic(&guid.to_string()), basic("x"));
        let oauth = format!("/{ACME}/oauth2/v2.0/token");
        let known = format!("/.well-known/openid-configuration/{ACME}/v2.0");
        let tc3 =
            |id: &str| format!("TC3-HMAC-SHA256 Credential={id}/2026-01-01/sts/tc3_request, Signature=x");
        let long = "AKIDworld".repeat(100);
        let form = ("content-type", "application/x-www-form-urlencoded");
        for (target, headers, body, expected) in [
            ("/getAuthorization", vec![], "", (ours, nobody)),
            (oauth.as_str(), vec![], "client_id=x", (ours, nobody)),
            (known.as_str(), vec![], "", (ours, nobody)),
            ("/07e4/oauth2/v2.0/token", vec![], "", (nobody, nobody)),
            ("/", vec![("authorization", tc3("AKIDworld"))], "", (ours, nobody)),
            ("/", vec![("authorization", tc3("AKIDworl"))], "", (nobody, nobody)),
            ("/", vec![("authorization", tc3(&long))], "", (nobody, nobody)),
            ("/?Action=GetFederationToken&SecretId=AKIDworld", vec![], "", (ours, nobody)),
            ("/", vec![], "Action=GetFederationToken&SecretId=AKIDworld", (nobody, ours)),
            ("/?XSecretId=AKIDworld", vec![], "", (nobody, nobody)),
            (
                "/",
                vec![
                    ("x-acs-action", "AssumeRole".to_owned()),
                    ("authorization", "ACS3-HMAC-SHA256 Credential=LTAIworld,SignedHeaders=a".to_owned()),
                ],
                "",
                (ours, nobody),
            ),
            ("/?Version=2015-04-01&Action=AssumeRole&AccessKeyId=LTAIworld", vec![], "", (ours, nobody)),
            (
                "/",
                vec![(form.0, form.1.to_owned())],
                "Action=AssumeRole&Version=2015-04-01&AccessKeyId=LTAIworld",
                (nobody, ours),
            ),
            ("/router/rest?app_key=12345678", vec![], "", (ours, nobody)),
            ("/router/rest", vec![], "app_key=12345678", (ours, ours)),
            ("/v1/verify", vec![("authorization", right.clone())], "", (ours, nobody)),
            ("/v1/verify", vec![("authorization", short.clone())], "", (nobody, nobody)),
            ("/v1/verify", vec![("authorization", "Basic \u{e9}".to_owned())], "", (nobody, nobody)),
            ("/v1/verify", vec![], "", (nobody, nobody)),
        ] {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert_eq!(group(target, &headers, body), expected, "{target} {headers:?} {body}");
        }
    }
}
