//! The ways around such a check that are known.

use super::*;

/// What the proxy does not set does not count, and what it sets counts alone.
#[test]
fn headers_that_the_sender_made_up_change_nothing() {
    let service = Service::new();
    let token = bearer(&service);
    for proxy in Proxy::ALL {
        for (name, value) in [
            ("x-forwarded-uri", "/orders/7"),
            ("x-forwarded-method", "GET"),
            ("x-forwarded-host", NAME),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-prefix", "/orders"),
            ("x-forwarded-server", NAME),
            ("x-original-uri", "/orders/7"),
            ("x-original-method", "GET"),
            ("x-original-host", NAME),
            ("x-real-ip", "127.0.0.1"),
            ("forwarded", "for=127.0.0.1;host=api.example.com;proto=https"),
            ("x-auth-request-redirect", "/orders/7"),
            ("x-host", NAME),
        ] {
            let sent = |method, host, uri| Sent {
                method,
                host,
                uri,
                headers: vec![("authorization", &*token), (name, value)],
            };
            assert_eq!(service.status(proxy, &sent("GET", NAME, "/orders/7")), 200, "{proxy:?} {name}");
            for (method, host, uri) in [
                ("GET", NAME, "/orders/admin"),
                ("PUT", NAME, "/orders/7"),
                ("GET", "evil.example.com", "/orders/7"),
                ("GET", NAME, "/internal"),
            ] {
                assert_eq!(service.status(proxy, &sent(method, host, uri)), 403, "{proxy:?} {name} {uri}");
            }
        }
    }
}

/// A proxy that adds its header beside the sender's, in place of putting its own there.
#[test]
fn a_header_of_the_proxy_that_stands_twice_is_refused() {
    let service = Service::new();
    let token = bearer(&service);
    for proxy in [Proxy::Nginx, Proxy::Caddy, Proxy::Traefik] {
        let sent = Sent::get("/orders/7", &[("authorization", &token)]);
        let good = asked(proxy, &sent);
        let prefix = if proxy == Proxy::Nginx { "x-original-" } else { "x-forwarded-" };
        for (name, value) in
            [("uri", "/orders/7"), ("uri", "/orders/8"), ("uri", ""), ("host", NAME), ("method", "GET")]
        {
            let mut request = good.clone();
            request
                .head_mut()
                .headers
                .append(format!("{prefix}{name}").parse::<HeaderName>().unwrap(), value.parse().unwrap());
            assert_eq!(service.answer(&gate(proxy), request).status(), 403, "{proxy:?} {name}");
        }
        for name in ["uri", "host", "method"] {
            for value in [None, Some("")] {
                let mut request = good.clone();
                let name = format!("{prefix}{name}").parse::<HeaderName>().unwrap();
                request.head_mut().headers.remove(&name);
                if let Some(value) = value {
                    request.head_mut().headers.insert(name.clone(), value.parse().unwrap());
                }
                assert_eq!(
                    service.answer(&gate(proxy), request).status(),
                    500,
                    "{proxy:?} {name}: the proxy is set up wrong"
                );
            }
        }
        // A list is no value.
        for value in ["/orders/7, /orders/8", "/orders/7,/orders/8"] {
            let mut request = good.clone();
            request
                .head_mut()
                .headers
                .insert(format!("{prefix}host").parse::<HeaderName>().unwrap(), value.parse().unwrap());
            assert_eq!(service.answer(&gate(proxy), request).status(), 403);
        }
    }
}

#[test]
fn an_address_with_two_readings_is_refused_by_way_of_every_proxy() {
    let service = Service::new();
    let token = bearer(&service);
    for proxy in Proxy::ALL {
        for uri in [
            "/orders/../orders/admin",
            "/orders/./7",
            "/orders/%2e%2e/admin",
            "/orders/%2E%2E%2Fadmin",
            "/orders/..;/admin",
            "/orders/7;a=b",
            "/orders//7",
            "//orders/7",
            "/orders/7//",
            "/orders%2f7",
            "/orders%2F7",
            "/orders/%5c7",
            "/orders/7%00",
            "/orders/7%0d%0a",
            "/orders/%c0%af7",
            "/orders/%252e",
            "/orders/%61dmin",
            "/orders/ADMIN",
            "/orders/7%23",
            "/orders/7%3fx",
            "/orders/7%3Bx",
            "/orders/admin.",
            "/orders/admin%20",
            "/orders/%ef%bc%8f",
            "/orders/%",
            "/orders/%zz",
            "/orders/7?_method=DELETE",
            "/orders/7?a=1&_METHOD=PUT",
            "/orders/7?%5fmethod=PUT",
            "/orders/7?a=1;_method=PUT",
            "/orders/7?;_method",
            "/orders/7?.method=PUT",
            "/orders/7?[method=PUT",
            "/orders/7?%5bmethod=PUT",
            "/orders/7?+_method=PUT",
            "/orders/7?%20%09_method=PUT",
            "/orders/7?_method%00x=PUT",
            "/orders/7?_HttpMethod=PATCH",
            "/orders/7?X-HTTP-Method-Override=PUT",
            "/orders/7?x_rewrite_url=/orders/admin",
        ] {
            assert_eq!(
                service.status(proxy, &Sent::get(uri, &[("authorization", &token)])),
                403,
                "{proxy:?} {uri}"
            );
        }
        for uri in [
            "/orders/7?q=../admin",
            "/orders/7?next=//evil/%2f..;",
            "/orders?method=DELETE",
            "/orders/?a=_method&b%3D_method",
        ] {
            assert_eq!(
                service.status(proxy, &Sent::get(uri, &[("authorization", &token)])),
                200,
                "{proxy:?} {uri}"
            );
        }
    }
    // What cannot be part of a request line, and can be part of a header.
    for proxy in [Proxy::Nginx, Proxy::Caddy, Proxy::Traefik] {
        for uri in [
            "http://api.example.com/orders/7",
            "https://evil/orders/7",
            "*",
            "orders/7",
            "/orders/7#",
            "/orders/admin#/../7",
            "/orders/7?x#y",
            "/orders\\7",
            "\\orders/7",
            "/orders/7 ",
            "/orders/7 HTTP/1.1",
            "api.example.com:443",
            "?",
            "/orders/\u{e9}",
        ] {
            let mut request = asked(proxy, &Sent::get("/orders/7", &[("authorization", &token)]));
            let name = if proxy == Proxy::Nginx { "x-original-uri" } else { "x-forwarded-uri" };
            request.head_mut().headers.insert(name, http::HeaderValue::from_bytes(uri.as_bytes()).unwrap());
            assert_eq!(service.answer(&gate(proxy), request).status(), 403, "{proxy:?} {uri}");
        }
    }
}

#[test]
fn a_method_has_one_name_and_one_place() {
    let service = Service::new();
    let token = bearer(&service);
    for proxy in Proxy::ALL {
        let with = |method, name, value| Sent {
            method,
            headers: vec![("authorization", &*token), (name, value)],
            ..Sent::get("/orders/7", &[])
        };
        for name in [
            "x-http-method-override",
            "x-http-method",
            "x-method-override",
            "x_http_method_override",
            "x-http_method-override",
            "x.http.method.override",
            "x-http-method~override",
            "x-original-url",
            "x-rewrite-url",
            "x_rewrite_url",
        ] {
            for value in ["DELETE", "GET", "", "/orders/admin"] {
                assert_eq!(service.status(proxy, &with("GET", name, value)), 403, "{proxy:?} {name}");
            }
        }
        for method in ["get", "Get", "GETT", "TRACE", "CONNECT", "PROPFIND", "HEAD"] {
            assert_eq!(service.status(proxy, &with(method, "x-a", "1")), 403, "{proxy:?} {method}");
        }
    }
    // The question itself is a GET, whatever the request was.
    let request = asked(Proxy::Caddy, &Sent::get("/orders/7", &[("authorization", &token)]));
    for method in ["POST", "HEAD", "OPTIONS"] {
        let mut other = request.clone();
        other.head_mut().method = method.parse().unwrap();
        assert_eq!(service.answer(&gate(Proxy::Caddy), other).status(), 500, "{method}");
    }
}

#[test]
fn a_host_is_one_that_the_rules_are_about() {
    let service = Service::new();
    let token = bearer(&service);
    for proxy in Proxy::ALL {
        let at = |host| Sent { host, ..Sent::get("/orders/7", &[("authorization", &*token)]) };
        for host in ["api.example.com", "API.EXAMPLE.COM", "api.example.com:8443"] {
            assert_eq!(service.status(proxy, &at(host)), 200, "{proxy:?} {host}");
        }
        for host in [
            "evil.example.com",
            "api.example.com.",
            "api.example.com@evil",
            "user@api.example.com",
            "api.example.com, evil",
            "api.example.com:443:1",
            "127.0.0.1",
            "localhost",
        ] {
            assert_eq!(service.status(proxy, &at(host)), 403, "{proxy:?} {host}");
        }
    }
}

/// To CGI and WSGI, an underscore in a name is a hyphen.
#[test]
fn names_of_ours_and_their_disguises_are_refused() {
    let service = Service::new();
    let token = bearer(&service);
    for proxy in Proxy::ALL {
        for name in [
            "x-daypass-client",
            "x_daypass_client",
            "x-daypass_roles",
            "x_daypass-key",
            "x_daypass_api",
            "x.daypass.client",
            "x-daypass.roles",
            "x~daypass!client",
            "x.forwarded.uri",
            "x-daypass-anything",
            "x_forwarded_uri",
            "x-forwarded_host",
            "x_original_uri",
            "x_forwarded_method",
        ] {
            let sent = Sent::get("/orders/7", &[("authorization", &token), (name, "admin")]);
            assert_eq!(service.status(proxy, &sent), 403, "{proxy:?} {name}");
        }
    }
}

/// On a connection that has become another protocol's, nobody asks about what is sent.
#[test]
fn a_connection_stays_what_was_judged() {
    let service = Service::new();
    let token = bearer(&service);
    for proxy in Proxy::ALL {
        let with = |name, value| {
            service.status(proxy, &Sent::get("/orders/7", &[("authorization", &token), (name, value)]))
        };
        for (name, value) in [
            ("upgrade", "h2c"),
            ("upgrade", "websocket, h2c"),
            ("upgrade", "TLS/1.0"),
            ("upgrade", ""),
            ("http2-settings", "AAMAAABkAAQAAP__"),
        ] {
            assert_eq!(with(name, value), 403, "{proxy:?} {name}: {value}");
        }
        for value in ["websocket", "WebSocket"] {
            assert_eq!(with("upgrade", value), 200, "{proxy:?} {value}");
        }
    }
}
