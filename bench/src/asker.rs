//! The clients: what each endpoint is asked, signed as its vendor's client signs.

use crate::api::Questions;
use crate::brokered::{Askers, Pages};
use crate::clock;
use crate::credentials::{Credentials, Resource};
use crate::requests::{BROWSER, Requests, request};
use crate::work::{Delay, Whose, Work};
use crate::yardstick;
use daypass_core::clock::Timestamp;
use daypass_core::role::Algorithm;
use daypass_dialects::alibaba::sign::{self as alibaba, SignMethod, acs3, rpc};
use daypass_dialects::alibaba::time::stamp;
use daypass_dialects::tencent::sign::{ClientKey, Outgoing, sign_request};
use serde_json::json;
use std::net::SocketAddr;

/// What the soe role of the demo configuration allows, as the vendor's samples ask for it.
const SOE_POLICY: &str = r#"{"version":"2.0","statement":{"effect":"allow","action":["soe:TransmitOralProcessWithInit"],"resource":"*"}}"#;
/// The one call of the TOP gateway.
const TOP_METHOD: &str = "alibaba.security.deepvision.proxy.security.common.token.get";
/// The version of Alibaba Cloud's STS.
const STS_VERSION: &str = "2015-04-01";
const FORM_TYPE: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// Asks one server on behalf of the demo's clients.
pub(crate) struct Asker {
    host: String,
    credentials: Credentials,
    resources: Vec<Resource>,
    /// What a page shows as proof of who its user is.
    bearer: Option<String>,
    /// The token that it asks about.
    shown: Option<String>,
    /// What it asks on behalf of an API.
    questions: Option<Questions>,
    /// The users on whose behalf it asks for what clouds make.
    pages: Option<Pages>,
    /// How many signed requests were made. The number is part of each, so that no two signatures are the same.
    made: u64,
}

impl Asker {
    /// Asks the server at this address.
    pub(crate) fn new(address: SocketAddr, credentials: Credentials, resources: Vec<Resource>) -> Self {
        let host = address.to_string();
        Self {
            host,
            credentials,
            resources,
            bearer: None,
            shown: None,
            questions: None,
            pages: None,
            made: 0,
        }
    }

    /// The same, on behalf of a user who has signed in: every request of a page carries this token.
    pub(crate) fn signed_in(self, token: String) -> Self {
        Self { bearer: Some(token), ..self }
    }

    /// The same, as this client (id and secret) of an OAuth server.
    pub(crate) fn known_as(mut self, (id, secret): (&str, &str)) -> Self {
        (self.credentials.entra.client_id, self.credentials.entra.client_secret) =
            (id.to_owned(), secret.to_owned());
        self
    }

    /// The same, on behalf of an API.
    pub(crate) fn asking(self, questions: Questions) -> Self {
        Self { questions: Some(questions), ..self }
    }

    /// The same, on behalf of the clients and users of a server with clouds behind it.
    pub(crate) fn of_brokered(self, askers: Askers) -> Self {
        let Askers { credentials, pages } = askers;
        let audience = Askers::resource().to_owned();
        let resources = vec![Resource { audience, algorithm: Algorithm::Es256 }];
        Self { credentials, resources, pages: Some(pages), ..self }
    }

    /// What it asks on behalf of an API.
    pub(crate) fn questions(&self) -> Option<&Questions> {
        self.questions.as_ref()
    }

    /// From now on it asks about this token.
    pub(crate) fn show(&mut self, token: String) {
        self.shown = Some(token);
    }

    /// What `daypass dev` can be asked.
    pub(crate) fn works(&self) -> Vec<Work> {
        let tokens = self.resources.iter().map(|resource| Work::Token(resource.algorithm));
        let signed = [Work::Tc3, Work::Top, Work::TopMd5, Work::Acs3];
        let about = [Work::Introspect, Work::Keys];
        [Work::GetAuthorization].into_iter().chain(signed).chain(tokens).chain(about).collect()
    }

    /// The credentials it asks with.
    pub(crate) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The resource whose tokens are signed with this algorithm.
    pub(crate) fn resource(&self, algorithm: Algorithm) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.algorithm == algorithm)
    }

    /// Requests for a slice that sends at most `count`, signed now. Those that are signed are all different.
    pub(crate) fn requests(&mut self, work: Work, count: usize) -> Requests {
        let at = clock::wall();
        match work {
            Work::Hello => Requests::Same(self.get(yardstick::HELLO)),
            Work::Form => Requests::Same(
                self.post(yardstick::FORM, &self.token_form(&self.credentials.entra.client_id)),
            ),
            // A page's request is the same for Daypass and for the samples, but for what it proves.
            Work::GetAuthorization | Work::Cached | Work::Sample(..) => {
                Requests::Same(self.get(&self.credentials.get_authorization.path))
            }
            Work::Brokered(whose @ Whose::New, delay) => {
                Requests::once((0..count).map(|_| self.page(whose, delay)))
            }
            Work::Brokered(whose, delay) => Requests::Same(self.page(whose, delay)),
            // A new one, whom all of them are.
            Work::Crowd(delay) => Requests::Same(self.page(Whose::New, delay)),
            Work::BrokeredTop => Requests::once((0..count).map(|_| self.top(at, SignMethod::HmacSha256))),
            Work::BrokeredToken => {
                Requests::Same(self.post(&self.token_path(), &self.token_form(Askers::resource())))
            }
            Work::Token(algorithm) => {
                let audience =
                    self.resource(algorithm).map(|resource| resource.audience.clone()).unwrap_or_default();
                Requests::Same(self.post(&self.token_path(), &self.token_form(&audience)))
            }
            Work::ProviderToken(algorithm) => {
                Requests::Same(self.post("/token", &self.provider_form(algorithm.name())))
            }
            Work::Introspect => {
                let path = format!("/{}/oauth2/v2.0/introspect", self.credentials.entra.tenant);
                Requests::Same(self.post(&path, &self.token_shown()))
            }
            Work::ProviderIntrospect => {
                Requests::Same(self.post("/token/introspection", &self.token_shown()))
            }
            Work::Keys => {
                let path = format!("/{}/discovery/v2.0/keys", self.credentials.entra.tenant);
                Requests::Same(self.get(&path))
            }
            Work::ProviderKeys => Requests::Same(self.get("/jwks")),
            Work::Tc3 => Requests::once((0..count).map(|_| self.tc3(at))),
            Work::Top => Requests::once((0..count).map(|_| self.top(at, SignMethod::HmacSha256))),
            Work::TopMd5 => Requests::once((0..count).map(|_| self.top(at, SignMethod::Md5))),
            Work::Acs3 => Requests::once((0..count).map(|_| self.assume_role(at))),
            Work::Verify(_) | Work::Forward | Work::Narrow(_) | Work::Revoked(_) => self
                .questions
                .as_mut()
                .map_or_else(|| Requests::once(std::iter::empty()), |asked| asked.requests(work, at, count)),
        }
    }

    /// A signed question who the holder of a temporary credential is: it is answered only if the credential is real.
    pub(crate) fn who_am_i(&self, key: &ClientKey<'_>) -> Vec<u8> {
        self.signed(key, "GetCallerIdentity", b"{}", clock::wall())
    }

    fn get(&self, path: &str) -> Vec<u8> {
        self.get_as(path, self.bearer.as_deref())
    }

    /// A request of a page whose credentials a cloud makes.
    fn page(&mut self, whose: Whose, delay: Delay) -> Vec<u8> {
        let (path, bearer) = self.pages.as_mut().map(|pages| pages.ask(whose, delay)).unwrap_or_default();
        self.get_as(&path, bearer.as_deref())
    }

    fn token_path(&self) -> String {
        format!("/{}/oauth2/v2.0/token", self.credentials.entra.tenant)
    }

    fn get_as(&self, path: &str, bearer: Option<&str>) -> Vec<u8> {
        let origin = ("origin", self.credentials.get_authorization.origin.as_str());
        let bearer = bearer.map(|token| format!("Bearer {token}"));
        let proof = bearer.as_ref().map(|value| ("authorization", value.as_str()));
        let headers = [("host", self.host.as_str())].into_iter().chain(BROWSER.iter().copied());
        request("GET", path, headers.chain([origin]).chain(proof), b"")
    }

    fn post(&self, path: &str, body: &str) -> Vec<u8> {
        let headers = [
            ("host", self.host.as_str()),
            ("accept", "*/*"),
            ("user-agent", "python-requests/2.32.5"),
            FORM_TYPE,
        ];
        request("POST", path, headers, body.as_bytes())
    }

    fn token_form(&self, audience: &str) -> String {
        let entra = &self.credentials.entra;
        form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &entra.client_id)
            .append_pair("client_secret", &entra.client_secret)
            .append_pair("scope", &format!("{audience}/.default"))
            .append_pair("state", "12345")
            .finish()
    }

    /// The token to be asked about, with the proof of who asks.
    fn token_shown(&self) -> String {
        let entra = &self.credentials.entra;
        form_urlencoded::Serializer::new(String::new())
            .append_pair("token", self.shown.as_deref().unwrap_or_default())
            .append_pair("client_id", &entra.client_id)
            .append_pair("client_secret", &entra.client_secret)
            .finish()
    }

    /// A request that has oidc-provider, as its program beside this crate sets it up, make a token of this kind: a JWT of
    /// an algorithm, or else an opaque one.
    fn provider_form(&self, kind: &str) -> String {
        let entra = &self.credentials.entra;
        form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &entra.client_id)
            .append_pair("client_secret", &entra.client_secret)
            .append_pair("scope", "orders.read")
            .append_pair("resource", &format!("https://api.example/{kind}"))
            .finish()
    }

    /// A request for a token that can be asked about there.
    pub(crate) fn for_a_token(&self, work: Work) -> Vec<u8> {
        if work == Work::ProviderIntrospect {
            return self.post("/token", &self.provider_form("opaque"));
        }
        let path = self.token_path();
        let audience = self.resource(Algorithm::Es256).or(self.resources.first());
        let audience = audience.map(|resource| resource.audience.clone()).unwrap_or_default();
        self.post(&path, &self.token_form(&audience))
    }

    fn number(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    fn tc3(&mut self, at: Timestamp) -> Vec<u8> {
        let body = json!({
            "Name": format!("bench-{:08}", self.number()),
            "Policy": SOE_POLICY,
            "DurationSeconds": 1800,
        });
        let tencent = &self.credentials.tencent;
        let key = ClientKey { id: &tencent.secret_id, secret: tencent.secret_key.as_bytes(), token: None };
        self.signed(&key, "GetFederationToken", body.to_string().as_bytes(), at)
    }

    fn signed(&self, key: &ClientKey<'_>, action: &str, body: &[u8], at: Timestamp) -> Vec<u8> {
        let outgoing = Outgoing {
            method: "POST",
            host: &self.host,
            query: "",
            body,
            unsigned_payload: false,
            action,
            region: "ap-guangzhou",
            at,
        };
        let headers = sign_request(key, &outgoing);
        request("POST", "/", headers.iter().map(|(name, value)| (*name, value.as_str())), body)
    }

    /// The same question to Alibaba Cloud's STS. `once` is a text that no other question has.
    pub(crate) fn who_am_i_there(&self, key: &alibaba::ClientKey<'_>, once: &str) -> Vec<u8> {
        self.acs3(key, "GetCallerIdentity", &[("Format", "JSON")], once, clock::wall())
    }

    fn assume_role(&mut self, at: Timestamp) -> Vec<u8> {
        let number = self.number();
        let alibaba = &self.credentials.alibaba;
        let key = alibaba::ClientKey {
            id: &alibaba.access_key_id,
            secret: alibaba.access_key_secret.as_bytes(),
            token: None,
        };
        let session = format!("bench-{number:08}");
        let params = [
            ("DurationSeconds", "1800"),
            ("Format", "JSON"),
            ("RoleArn", alibaba.role_arn.as_str()),
            ("RoleSessionName", session.as_str()),
        ];
        self.acs3(&key, "AssumeRole", &params, &format!("{session}-{}", at.as_nanosecond()), at)
    }

    fn acs3(
        &self,
        key: &alibaba::ClientKey<'_>,
        action: &str,
        query: &[(&str, &str)],
        nonce: &str,
        at: Timestamp,
    ) -> Vec<u8> {
        let outgoing = acs3::Outgoing {
            method: "POST",
            host: &self.host,
            query,
            body: b"",
            action,
            version: STS_VERSION,
            nonce,
            at,
        };
        let headers = acs3::sign_request(key, &outgoing);
        let target = format!("/?{}", rpc::canonical_query(query.iter().copied()));
        request("POST", &target, headers.iter().map(|(name, value)| (*name, value.as_str())), b"")
    }

    fn top(&mut self, at: Timestamp, method: SignMethod) -> Vec<u8> {
        let number = self.number();
        let alibaba = &self.credentials.alibaba;
        let param = json!({
            "product_code": alibaba.product_code,
            "scene_code": alibaba.scene_code,
            "usage_scene": alibaba.usage_scene,
            "op_tenant_code": alibaba.tenant_code,
            "op_poi_id": alibaba.poi_ids.first(),
            "request_id": format!("bench-{number:08}"),
        })
        .to_string();
        let stamp = stamp(at);
        let params = [
            ("method", TOP_METHOD),
            ("app_key", alibaba.app_key.as_str()),
            ("timestamp", stamp.as_str()),
            ("v", "2.0"),
            ("format", "json"),
            ("sign_method", method.name()),
            ("param", param.as_str()),
        ];
        let sign = alibaba::sign(method, alibaba.app_secret.as_bytes(), params);
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(params)
            .append_pair("sign", &sign)
            .finish();
        self.post("/router/rest", &body)
    }
}

#[cfg(test)]
mod tests;
