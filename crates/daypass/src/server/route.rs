//! Which dialect a path speaks: the one table.

use daypass_core::directory::Directory;
use daypass_core::endpoint::{DialectName, Endpoint};
use daypass_core::forward::ForwardAuth;
use daypass_core::request::{Head, Request};
use daypass_dialects::visit::DESK;
use daypass_dialects::{alibaba, explain, verify};
use std::sync::Arc;

/// What answers a request.
pub(super) enum Route {
    /// The process lives.
    Live,
    /// The process can do its work.
    Ready,
    /// Tencent Cloud's browser endpoint, or where its tickets are made.
    GetAuthorization(Arc<Endpoint>),
    /// Alibaba Cloud's credential URL, or where its tickets are made.
    Credentials(Arc<Endpoint>),
    /// Tencent Cloud STS.
    TencentSts,
    /// The TOP gateway.
    Top,
    /// Alibaba Cloud STS.
    AlibabaSts,
    /// OAuth in Entra's shape.
    Entra,
    /// Questions of APIs.
    Verify,
    /// Questions of reverse proxies.
    ForwardAuth(Arc<ForwardAuth>),
    /// Questions of callers about decisions of their own.
    Explain,
    /// Nothing here.
    Nothing,
}

/// Chooses by the head alone, so that even an oversized body is refused in the right envelope.
pub(super) fn by_head(head: &Head, directory: &Directory) -> Route {
    let path = head.path.as_str();
    match path {
        "/livez" => return Route::Live,
        "/readyz" => return Route::Ready,
        "/error" => return Route::Entra,
        verify::wire::PATH => return Route::Verify,
        "/" if alibaba::is_sts(head) => return Route::AlibabaSts,
        "/" => return Route::TencentSts,
        _ => {}
    }
    // Before all whose paths are not exact: what stands behind Envoy's is the path of somebody else's request.
    if let Some(forward) = directory.forward(path) {
        return Route::ForwardAuth(forward.clone());
    }
    if let Some(endpoint) = directory.visited(path).or_else(|| desk(directory, path)) {
        return visited(endpoint.clone());
    }
    if path.starts_with(explain::wire::PATH) {
        return Route::Explain;
    }
    if path.starts_with("/router/") {
        return Route::Top;
    }
    let mut segments = path.split('/').skip(1);
    match (segments.next(), segments.next()) {
        (Some("common"), Some(_))
        | (Some(".well-known"), Some("oauth-authorization-server" | "openid-configuration"))
        | (Some(_), Some("oauth2" | "v2.0" | "discovery" | ".well-known")) => Route::Entra,
        _ => Route::Nothing,
    }
}

/// The endpoint whose tickets are made at this path, if it takes any.
fn desk<'a>(directory: &'a Directory, path: &str) -> Option<&'a Arc<Endpoint>> {
    directory.visited(path.strip_suffix(DESK)?).filter(|endpoint| endpoint.ticket().is_some())
}

/// An endpoint whose callers carry no signature.
fn visited(endpoint: Arc<Endpoint>) -> Route {
    match endpoint.dialect {
        DialectName::TencentGetAuthorization => Route::GetAuthorization(endpoint),
        DialectName::AlibabaCredentials => Route::Credentials(endpoint),
        DialectName::TencentSts
        | DialectName::AlibabaTop
        | DialectName::AlibabaSts
        | DialectName::Entra
        | DialectName::Verify
        | DialectName::ForwardAuth
        | DialectName::Explain => Route::Nothing,
    }
}

/// Chooses again once the body is there: an RPC call may carry its `Version` in a form body.
pub(super) fn by_request(route: Route, request: &Request) -> Route {
    match route {
        Route::TencentSts if alibaba::is_sts_form(&request.head, &request.body) => Route::AlibabaSts,
        route => route,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::endpoint::{CallerRule, TicketRule};
    use daypass_core::testing::{World, request};

    fn route(target: &str, headers: &[(&str, &str)], body: &[u8]) -> &'static str {
        route_in(&World::new(), target, headers, body)
    }

    fn route_in(world: &World, target: &str, headers: &[(&str, &str)], body: &[u8]) -> &'static str {
        let request = request("POST", target, headers, body);
        let directory = world.directory();
        match by_request(by_head(&request.head, &directory), &request) {
            Route::Live => "live",
            Route::Ready => "ready",
            Route::GetAuthorization(_) => "getAuthorization",
            Route::Credentials(_) => "alibaba.credentials",
            Route::TencentSts => "tencent.sts",
            Route::Top => "top",
            Route::AlibabaSts => "alibaba.sts",
            Route::Entra => "entra",
            Route::Verify => "verify",
            Route::ForwardAuth(_) => "forward-auth",
            Route::Explain => "explain",
            Route::Nothing => "nothing",
        }
    }

    #[test]
    fn every_path_has_one_dialect() {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        for (target, headers, body, expected) in [
            ("/", &[][..], &b""[..], "tencent.sts"),
            ("/", &[("x-acs-action", "AssumeRole")], b"", "alibaba.sts"),
            ("/?Action=AssumeRole&Version=2015-04-01", &[], b"", "alibaba.sts"),
            ("/", &form, b"Action=AssumeRole&Version=2015-04-01", "alibaba.sts"),
            ("/", &form, b"Action=GetFederationToken&Version=2018-08-13", "tencent.sts"),
            ("/getAuthorization", &[], b"", "getAuthorization"),
            ("/getAuthorization/", &[], b"", "nothing"),
            ("/GetAuthorization", &[], b"", "nothing"),
            ("/getAuthorization/ticket", &[], b"", "nothing"),
            ("/router/rest", &[], b"", "top"),
            ("/router/batch", &[], b"", "top"),
            ("/387c56a8-cf86-45de-b9f5-b4de88cac054/oauth2/v2.0/token", &[], b"", "entra"),
            ("/x/v2.0/.well-known/openid-configuration", &[], b"", "entra"),
            ("/x/discovery/v2.0/keys", &[], b"", "entra"),
            ("/common/discovery/instance", &[], b"", "entra"),
            ("/.well-known/oauth-authorization-server/x/v2.0", &[], b"", "entra"),
            ("/.well-known/openid-configuration/x/v2.0", &[], b"", "entra"),
            ("/.well-known/security.txt", &[], b"", "nothing"),
            ("/error?code=7000215", &[], b"", "entra"),
            ("/v1/verify", &[], b"", "verify"),
            ("/v1/verify/", &[], b"", "nothing"),
            ("/v1/Verify", &[], b"", "nothing"),
            ("/v1/explain/59a5e07e41474d2ea808dca76ac5b3fd", &[], b"", "explain"),
            ("/v1/explain/", &[], b"", "explain"),
            ("/v1/explain/x/y", &[], b"", "explain"),
            ("/v1/explain", &[], b"", "nothing"),
            ("/v1/explained", &[], b"", "nothing"),
            ("/livez", &[], b"", "live"),
            ("/readyz", &[], b"", "ready"),
            ("/admin", &[], b"", "nothing"),
        ] {
            assert_eq!(route(target, headers, body), expected, "{target}");
        }
    }

    #[test]
    fn a_proxy_asks_at_its_path_and_envoy_below_it() {
        use daypass_core::forward::{Proxy, Shows};
        let found = |proxy| {
            let mut world = World::new();
            let names = ("/v1/forward-auth".to_owned(), "acme".to_owned());
            let forward = ForwardAuth::new(names, proxy, Shows::AccessToken, vec![], vec![]).unwrap();
            world.plan.forward.push(Arc::new(forward));
            // Behind Envoy's stands the path of somebody else's request, whatever it looks like.
            let paths = [
                "",
                "/",
                "/x/oauth2/v2.0/token",
                "/../../livez",
                "//",
                "/livez",
                "x",
                "/v1/verify",
                "/%2e%2e/x",
            ];
            let route = |path: &str| route_in(&world, &format!("/v1/forward-auth{path}"), &[], b"");
            let all = paths.map(route);
            assert_eq!(route_in(&world, "/livez", &[], b""), "live");
            all
        };
        let (asked, nothing) = ("forward-auth", "nothing");
        for proxy in [Proxy::Nginx, Proxy::Caddy, Proxy::Traefik] {
            let [exact, below @ ..] = found(proxy);
            assert_eq!((exact, below.contains(&asked)), (asked, false), "{proxy:?}");
        }
        assert_eq!(found(Proxy::Envoy), [nothing, asked, asked, asked, asked, asked, nothing, asked, asked]);
    }

    #[test]
    fn tickets_are_made_behind_an_endpoint_that_takes_them() {
        let mut world = World::new();
        let endpoint = &world.plan.endpoints[0];
        let callers = vec![CallerRule::Ticket(TicketRule { refreshes: 1, refresh_for: 60 })];
        world.plan.endpoints[0] = Arc::new(Endpoint { callers, ..(**endpoint).clone() });
        for (target, expected) in [
            ("/getAuthorization", "getAuthorization"),
            ("/getAuthorization/ticket", "getAuthorization"),
            ("/getAuthorization/ticket/", "nothing"),
            ("/getAuthorization/Ticket", "nothing"),
            ("/getAuthorization/ticket/ticket", "nothing"),
            ("/getAuthorizationticket", "nothing"),
            ("/router/rest/ticket", "top"),
            ("/ticket", "nothing"),
        ] {
            assert_eq!(route_in(&world, target, &[], b""), expected, "{target}");
        }
        Arc::make_mut(&mut world.plan.endpoints[0]).dialect = DialectName::AlibabaCredentials;
        for target in ["/getAuthorization", "/getAuthorization/ticket"] {
            assert_eq!(route_in(&world, target, &[], b""), "alibaba.credentials", "{target}");
        }
    }
}
