//! Where reverse proxies ask.

use super::bad_endpoints::BROWSER;
use super::*;
use daypass_core::forward::{Proxy, Shows, Target};
use insta::assert_snapshot;

const SECTION: &str = r#"[[forward_auth]]
path = "/v1/forward-auth"
tenant = "acme"
proxy = "nginx"
hosts = ["api.example.com"]
rule = [{ methods = ["GET", "HEAD"], path = "/orders/**", action = "orders.read" }]
"#;

/// What is said when one line is another; an empty one takes it away.
fn changed(key: &str, line: &str) -> String {
    let lines: Vec<_> = SECTION.lines().map(|one| if one.starts_with(key) { line } else { one }).collect();
    refused(&with_tenant(&(lines.join("\n") + "\n")))
}

fn rules(rules: &[&str]) -> String {
    format!("rule = [{}]", rules.join(", "))
}

#[test]
fn a_section_says_who_asks_and_what_requests_take() {
    let text = SECTION.replace("proxy = \"nginx\"", "proxy = \"envoy\"\nscheme = \"tencent.soe\"");
    let text =
        text.replace("action = \"orders.read\"", "action = \"soe:Transmit\", resource = \"qcs::soe:::x\"");
    for (section, proxy, shows) in
        [(SECTION.to_owned(), Proxy::Nginx, Shows::AccessToken), (text, Proxy::Envoy, Shows::SoeSignature)]
    {
        let loaded = production(&with_tenant(&section)).unwrap();
        let [forward] = &loaded.plan("").forward[..] else { panic!("one section") };
        assert_eq!((forward.proxy, forward.shows, forward.tenant.as_str()), (proxy, shows, "acme"));
        let target = Target::read("api.example.com", "/orders/7").unwrap();
        let wanted = forward.wanted("HEAD", &target).unwrap();
        let resource = if shows == Shows::SoeSignature { "qcs::soe:::x" } else { "*" };
        assert_eq!(wanted.resource, resource);
        assert!(forward.wanted("POST", &target).is_err());
    }
    let said = |section: &str| warned(&with_tenant(&format!("{BROWSER}{section}")));
    assert_eq!(said(SECTION), said(""), "it deserves no look");
}

#[test]
fn several_apis_have_a_path_each() {
    let other = SECTION.replace("forward-auth", "forward-auth-2");
    assert_eq!(production(&with_tenant(&format!("{SECTION}{other}"))).unwrap().plan("").forward.len(), 2);
    assert_snapshot!(refused(&with_tenant(&format!("{SECTION}{SECTION}"))), @r#"
    daypass.toml:37:8: the path `/v1/forward-auth` is already served by the section on line 31
    37 | path = "/v1/forward-auth"
       |        ^^^^^^^^^^^^^^^^^^
    "#);
    let below = SECTION.replace("nginx", "envoy") + &SECTION.replace("forward-auth", "forward-auth/x");
    let below = below.replace("[[forward-auth/x]]", "[[forward_auth]]");
    assert!(
        refused(&with_tenant(&below)).contains("already served by the section"),
        "what is below Envoy's is Envoy's"
    );
}

#[test]
fn no_endpoint_is_hidden() {
    for (path, endpoint) in [
        ("/getAuthorization", BROWSER.to_owned()),
        ("/x", BROWSER.replace("/getAuthorization", "/x/y")),
        ("/getAuthorization/ticket", BROWSER.to_owned()),
    ] {
        let section = SECTION.replace("/v1/forward-auth", path).replace("nginx", "envoy");
        let text = with_tenant(&format!("{section}{endpoint}"));
        let hidden = production(&text).is_err();
        // Envoy's path itself is no question, and what stands beside it is not below it.
        assert_eq!(hidden, path != "/getAuthorization/ticket", "{path}");
        let exact = with_tenant(&format!("{}{endpoint}", SECTION.replace("/v1/forward-auth", path)));
        assert_eq!(production(&exact).is_err(), path != "/x", "{path}");
    }
    for (path, own) in [("/v1", "/v1/verify"), ("/v1/explain", "/v1/explain/")] {
        let at = SECTION.replace("/v1/forward-auth", path);
        assert!(production(&with_tenant(&at)).is_ok(), "{path} alone is nobody else's");
        let said = refused(&with_tenant(&at.replace("nginx", "envoy")));
        assert!(said.contains(&format!("`{path}` would take the place of `{own}`")), "{said}");
    }
    for path in [
        "/",
        "",
        "/livez",
        "/v1/verify",
        "/V1/Verify",
        "/v1/explain/x",
        "/router/x",
        "/x/oauth2",
        "/a/../b",
        "/a//b",
        "/a b",
        "x",
    ] {
        assert!(changed("path", &format!("path = \"{path}\"")).contains("daypass.toml:31:8"), "{path}");
    }
}

#[test]
fn words_that_do_not_exist() {
    assert_snapshot!(changed("proxy", "proxy = \"envoi\""), @r#"
    daypass.toml:33:9: there is no proxy `envoi`; did you mean `envoy`?
    33 | proxy = "envoi"
       |         ^^^^^^^
    "#);
    assert_snapshot!(changed("proxy", "proxy = \"caddy\"\nscheme = \"tencent.tc3\""), @r#"
    daypass.toml:34:10: `tencent.tc3` signs the body, which no proxy sends along
    34 | scheme = "tencent.tc3"
       |          ^^^^^^^^^^^^^
      hint: let the API itself ask POST /v1/verify
    "#);
    assert_snapshot!(changed("proxy", "proxy = \"caddy\"\nscheme = \"basic\""), @r#"
    daypass.toml:34:10: there is no scheme `basic`
    34 | scheme = "basic"
       |          ^^^^^^^
      hint: there is `bearer`, `tencent.soe`
    "#);
    assert_snapshot!(changed("tenant", "tenant = \"acmee\""), @r#"
    daypass.toml:32:10: there is no tenant `acmee`; did you mean `acme`?
    32 | tenant = "acmee"
       |          ^^^^^^^
    "#);
    assert_snapshot!(changed("hosts", "hosts = [\"API.example.com\", \"a:80\", \"*.example.com\"]"), @r#"
    daypass.toml:34:10: `API.example.com` is not a host in lower case, without a port
    34 | hosts = ["API.example.com", "a:80", "*.example.com"]
       |          ^^^^^^^^^^^^^^^^^

    daypass.toml:34:29: `a:80` is not a host in lower case, without a port
    34 | hosts = ["API.example.com", "a:80", "*.example.com"]
       |                             ^^^^^^

    daypass.toml:34:37: `*.example.com` is not a host in lower case, without a port
    34 | hosts = ["API.example.com", "a:80", "*.example.com"]
       |                                     ^^^^^^^^^^^^^^^
    "#);
    assert_snapshot!(changed("hosts", "hosts = []"), @r#"
    daypass.toml:34:1: `hosts` names no host of the API
    34 | hosts = []
       | ^^^^^
      hint: ["api.example.com"]
    "#);
    assert_snapshot!(changed("hosts", ""), @r"
    daypass.toml:30:1: `forward_auth` needs the key `hosts`
    30 | [[forward_auth]]
       | ^^^^^^^^^^^^^^^^
    ");
    assert_snapshot!(changed("rule", "rule = []"), @r"
    daypass.toml:35:1: `rule` lists nothing, and so nothing would be let through
    35 | rule = []
       | ^^^^
    ");
    assert_snapshot!(changed("rule", ""), @r"
    daypass.toml:30:1: `forward_auth` needs the key `rule`
    30 | [[forward_auth]]
       | ^^^^^^^^^^^^^^^^
    ");
}

#[test]
fn rules_that_are_none() {
    let one = |rule: &str| changed("rule", &rules(&[rule]));
    assert_snapshot!(one("{ methods = [\"get\", \"TRACE\"], path = \"/orders\", action = \"orders.read\" }"), @r#"
    daypass.toml:35:22: there is no method `get`; did you mean `GET`?
    35 | rule = [{ methods = ["get", "TRACE"], path = "/orders", action = "orders.read" }]
       |                      ^^^^^

    daypass.toml:35:29: there is no method `TRACE`
    35 | rule = [{ methods = ["get", "TRACE"], path = "/orders", action = "orders.read" }]
       |                             ^^^^^^^
      hint: there is `GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE`, `OPTIONS`
    "#);
    assert_snapshot!(one("{ methods = [], path = \"/orders/\", action = \"\" }"), @r#"
    daypass.toml:35:11: `methods` is empty
    35 | rule = [{ methods = [], path = "/orders/", action = "" }]
       |           ^^^^^^^
      hint: of `GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE`, `OPTIONS`

    daypass.toml:35:32: `/orders/`: a path has no empty segment and no slash at its end
    35 | rule = [{ methods = [], path = "/orders/", action = "" }]
       |                                ^^^^^^^^^^

    daypass.toml:35:53: `action` is empty
    35 | rule = [{ methods = [], path = "/orders/", action = "" }]
       |                                                     ^^
    "#);
    assert_snapshot!(one("{ methods = [\"GET\"], path = \"/orders?x=1\", action = \"orders.read\", resource = \"*\" }"), @r#"
    daypass.toml:35:37: `/orders?x=1`: a rule is about the path alone, without query and fragment
    35 | rule = [{ methods = ["GET"], path = "/orders?x=1", action = "orders.read", resource = "*" }]
       |                                     ^^^^^^^^^^^^^

    daypass.toml:35:87: an access token's app roles are for no resource; leave it out
    35 | rule = [{ methods = ["GET"], path = "/orders?x=1", action = "orders.read", resource = "*" }]
       |                                                                                       ^^^
    "#);
    assert_snapshot!(one("{ methods = [\"GET\"], path = \"/%6frders\", action = \"orders.read\" }"), @r#"
    daypass.toml:35:37: `/%6frders`: the segment `%6frders` is neither `*`, `**` nor a plain name: letters, digits and - . _ ~, not encoded, without a dot at its end
    35 | rule = [{ methods = ["GET"], path = "/%6frders", action = "orders.read" }]
       |                                     ^^^^^^^^^^^
    "#);
    assert_snapshot!(one("{ path = \"/orders\" }"), @r#"
    daypass.toml:35:9: `forward_auth.rule` needs the key `methods`
    35 | rule = [{ path = "/orders" }]
       |         ^^^^^^^^^^^^^^^^^^^^

    daypass.toml:35:9: `forward_auth.rule` needs the key `action`
    35 | rule = [{ path = "/orders" }]
       |         ^^^^^^^^^^^^^^^^^^^^
    "#);
    let soe = "proxy = \"caddy\"\nscheme = \"tencent.soe\"";
    assert_snapshot!(changed("proxy", soe), @r#"
    daypass.toml:36:68: `orders.read` is not one action of a service
    36 | rule = [{ methods = ["GET", "HEAD"], path = "/orders/**", action = "orders.read" }]
       |                                                                    ^^^^^^^^^^^^^
      hint: such as "soe:TransmitOralProcessWithInit"
    "#);
}

#[test]
fn rules_of_which_none_is_the_closer_one() {
    let get = |path: &str| format!("{{ methods = [\"GET\"], path = \"{path}\", action = \"orders.read\" }}");
    let two = |one: &str, other: &str| changed("rule", &rules(&[&get(one), &get(other)]));
    assert_snapshot!(two("/orders", "/orders"), @r#"
    daypass.toml:35:74: another rule has the same path and one of the methods
    35 | …s", action = "orders.read" }, { methods = ["GET"], path = "/orders", action = "orders.read" }]
       |                                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: the other one is on line 35
    "#);
    assert_snapshot!(two("/orders/x", "/Orders/x"), @r#"
    daypass.toml:35:76: another rule has this path in other cases of letters, which some APIs do not tell apart
    35 | …x", action = "orders.read" }, { methods = ["GET"], path = "/Orders/x", action = "orders.read" }]
       |                                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: the other one is on line 35
    "#);
    assert_snapshot!(two("/orders/*", "/*/admin"), @r#"
    daypass.toml:35:76: some paths belong to this rule and to another one, and neither is the closer one
    35 | …*", action = "orders.read" }, { methods = ["GET"], path = "/*/admin", action = "orders.read" }]
       |                                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: the other one is on line 35
    "#);
}

#[test]
fn an_app_role_that_nobody_can_have_is_pointed_out() {
    let text = SECTION.replace("orders.read", "orders.raed");
    assert_snapshot!(warned(&with_tenant(&text)), @r#"
    daypass.toml:1:1: warning: `unsigned-payload` and the older signature `v1` are accepted by Tencent's STS API, because vendors' clients send them
    1 | [server]
      | ^^^^^^^^
      hint: where all clients sign whole requests with TC3-HMAC-SHA256: refuse = ["unsigned-payload", "v1"] in [server]; for one: daypass client refuse

    daypass.toml:15:19: warning: the role allows every resource: SOE has no resource-level rights
    15 | wildcard_reason = "SOE has no resource-level rights"
       |                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    daypass.toml:35:9: warning: no role of `acme` hands out the app role `orders.raed`, and so nobody has it
    35 | rule = [{ methods = ["GET", "HEAD"], path = "/orders/**", action = "orders.raed" }]
       |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
}
