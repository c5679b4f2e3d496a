//! What the agent answers: the credential in the shape that each vendor's SDK fetches.

use super::super::answer::{Credential, Vendor, said};
use super::super::moment::Moment;
use super::super::obtain::Trouble;
use super::gate::{Way, admitted};
use super::holder::{Held, Holder};
use crate::system::SystemClock;
use bytes::Bytes;
use daypass_core::clock::{Clock as _, Timestamp, after, rfc3339, unix};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use std::sync::Arc;

/// The name of the only role, where a program asks for the names of roles.
const ROLE: &str = "daypass";

/// The pages of one agent.
pub(super) struct Pages {
    holder: Arc<Holder>,
    /// What the access token is for, where it is one.
    resource: Option<String>,
}

impl Pages {
    pub(super) fn new(holder: Arc<Holder>, resource: Option<String>) -> Self {
        Self { holder, resource }
    }

    /// The answer to one request.
    pub(super) async fn answer(&self, way: &Way, request: &Parts) -> Response<Full<Bytes>> {
        let Some(path) = admitted(way, request) else {
            // One answer for everything, so that nothing can be found out.
            return refusal(StatusCode::FORBIDDEN, "Forbidden", "this agent does not answer such requests");
        };
        let vendor = self.holder.vendor();
        match (vendor, path) {
            (Vendor::Tencent, "/security-credentials/") => text(ROLE),
            (Vendor::Tencent, "/security-credentials/daypass") | (_, "/credentials") => {
                self.credential().await
            }
            (Vendor::Entra, "/identity") => {
                let query = request.uri.query().unwrap_or_default();
                match self.other_resource(query) {
                    Some(other) => {
                        let own = self.resource.as_deref().unwrap_or_default();
                        let said = format!(
                            "this agent holds a token for {own}, not for {other}; start it with --scope"
                        );
                        refusal(StatusCode::BAD_REQUEST, "InvalidResource", &said)
                    }
                    None => self.credential().await,
                }
            }
            _ => refusal(StatusCode::NOT_FOUND, "NotFound", "there is no such page"),
        }
    }

    /// The resource that is asked for, where it is not the one that there is a token for.
    fn other_resource(&self, query: &str) -> Option<String> {
        let mut parameters = form_urlencoded::parse(query.as_bytes());
        let (_, wanted) = parameters.find(|(name, _)| name == "resource")?;
        let same = self
            .resource
            .as_deref()
            .is_some_and(|own| own.trim_end_matches('/') == wanted.trim_end_matches('/'));
        // What is echoed is short and plain, whatever was asked.
        (!same).then(|| wanted.chars().filter(char::is_ascii_graphic).take(100).collect())
    }

    async fn credential(&self) -> Response<Full<Bytes>> {
        match self.holder.current().await {
            Ok(held) => {
                let left = held.left(Moment::now());
                let ends = after(SystemClock.now(), u32::try_from(left).unwrap_or(0));
                json_page(StatusCode::OK, &document(&held, ends, self.resource.as_deref()))
            }
            Err(Trouble::Refused(answer)) => refusal(StatusCode::BAD_REQUEST, "Refused", &said(&answer)),
            // SDKs ask again after this status.
            Err(trouble) => {
                let failure = trouble.into_failure();
                refusal(StatusCode::SERVICE_UNAVAILABLE, "Unavailable", failure.text())
            }
        }
    }
}

/// The document of each vendor:
///
/// - Alibaba: what a credentials URI answers (`alibabacloud_credentials/provider/uri.py`); `Expiration` without a fraction.
/// - Tencent: what the metadata of a machine answers for a role (`CVMRoleCredential` in `tencentcloud/common/credential.py`).
/// - Entra: what the identity endpoint of an App Service answers; `expires_on` is a text of digits.
fn document(held: &Held, ends: Timestamp, resource: Option<&str>) -> Value {
    match &held.credential {
        Credential::Alibaba(key) => json!({
            "Code": "Success",
            "AccessKeyId": key.id,
            "AccessKeySecret": key.secret.expose_str(),
            "SecurityToken": key.token.expose_str(),
            "Expiration": rfc3339(ends),
        }),
        Credential::Tencent(key) => json!({
            "Code": "Success",
            "TmpSecretId": key.id,
            "TmpSecretKey": key.secret.expose_str(),
            "Token": key.token.expose_str(),
            "ExpiredTime": unix(ends),
            "Expiration": rfc3339(ends),
        }),
        Credential::Entra(token) => json!({
            "access_token": token.expose_str(),
            "expires_on": unix(ends).to_string(),
            "resource": resource,
            "token_type": "Bearer",
        }),
    }
}

/// A refusal in the words of both vendors whose libraries look at one.
fn refusal(status: StatusCode, code: &str, said: &str) -> Response<Full<Bytes>> {
    let document = json!({ "Code": code, "Message": said, "statusCode": status.as_u16(), "message": said });
    json_page(status, &document)
}

fn json_page(status: StatusCode, document: &Value) -> Response<Full<Bytes>> {
    page(status, "application/json", document.to_string())
}

fn text(text: &str) -> Response<Full<Bytes>> {
    page(StatusCode::OK, "text/plain; charset=utf-8", text.to_owned())
}

/// Nothing on the way keeps it, and no page of another origin may read it: there is no header that would allow one.
fn page(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::super::super::answer::tests::{STS, TENCENT, TOKEN};
    use super::*;
    use http::Request;
    use http_body_util::BodyExt as _;

    fn pages(vendor: Vendor, answer: Result<&'static str, &'static str>) -> Pages {
        let ask: super::super::holder::Ask = Box::new(move || {
            Box::pin(async move {
                match answer {
                    Ok(body) => Ok((Bytes::from_static(body.as_bytes()), Some(3600))),
                    Err(text) => Err(Trouble::Refused(text.to_owned())),
                }
            })
        });
        let resource = (vendor == Vendor::Entra).then(|| "api://orders".to_owned());
        Pages::new(Arc::new(Holder::new(vendor, None, ask)), resource)
    }

    async fn get(pages: &Pages, target: &str) -> (u16, Value) {
        let (parts, ()) = Request::builder().uri(target).body(()).unwrap().into_parts();
        let answer = pages.answer(&Way::Socket, &parts).await;
        assert_eq!(answer.headers()[CACHE_CONTROL], "no-store");
        assert!(!answer.headers().keys().any(|name| name.as_str().starts_with("access-control")));
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into()))
    }

    #[tokio::test]
    async fn each_sdk_finds_its_members() {
        let (status, alibaba) = get(&pages(Vendor::Alibaba, Ok(STS)), "/credentials").await;
        assert_eq!(
            (status, &alibaba["Code"], &alibaba["AccessKeyId"]),
            (200, &json!("Success"), &json!("STS.x"))
        );
        assert_eq!((&alibaba["AccessKeySecret"], &alibaba["SecurityToken"]), (&json!("key"), &json!("tok")));
        let ends: Timestamp = alibaba["Expiration"].as_str().unwrap().parse().unwrap();
        assert!((3590..=3601).contains(&(unix(ends) - Moment::now().wall)), "{ends}");

        let pages_of_tencent = pages(Vendor::Tencent, Ok(TENCENT));
        assert_eq!(get(&pages_of_tencent, "/security-credentials/").await, (200, json!("daypass")));
        let (status, tencent) = get(&pages_of_tencent, "/security-credentials/daypass").await;
        assert_eq!(
            (status, &tencent["TmpSecretId"], &tencent["Token"]),
            (200, &json!("AKIDx"), &json!("tok"))
        );
        assert!(tencent["ExpiredTime"].is_i64() && tencent["TmpSecretKey"] == "key");
        assert_eq!(get(&pages_of_tencent, "/security-credentials/admin").await.0, 404);
        assert_eq!(get(&pages_of_tencent, "/identity").await.0, 404, "that is another vendor's");
    }

    #[tokio::test]
    async fn a_token_is_for_its_resource_alone() {
        let pages = pages(Vendor::Entra, Ok(TOKEN));
        let (status, token) =
            get(&pages, "/identity?api-version=2019-08-01&resource=api%3A%2F%2Forders").await;
        assert_eq!(
            (status, &token["access_token"], &token["resource"]),
            (200, &json!("a.b.c"), &json!("api://orders"))
        );
        assert!(token["expires_on"].as_str().unwrap().parse::<i64>().unwrap() > Moment::now().wall);
        let (status, said) = get(&pages, "/identity?resource=api%3A%2F%2Fother%0A%1b").await;
        assert_eq!((status, &said["statusCode"]), (400, &json!(400)));
        assert!(said["message"].as_str().unwrap().contains("not for api://other;"), "{said}");
    }

    #[tokio::test]
    async fn a_refusal_of_the_server_is_passed_on_in_words() {
        let (status, said) =
            get(&pages(Vendor::Alibaba, Err(r#"{"Code":"NoPermission","Message":"no"}"#)), "/credentials")
                .await;
        assert_eq!((status, &said["Message"]), (400, &json!("NoPermission: no")));
    }
}
