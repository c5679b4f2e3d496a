//! Faults in endpoints.

use super::*;
use insta::assert_snapshot;

pub(super) const BROWSER: &str = r#"[[endpoint]]
dialect = "tencent.getAuthorization"
path = "/getAuthorization"
tenant = "acme"
role = "soe"
origins = ["https://lesson.example.com"]
caller = { session = { cookie = "sid", whoami = "http://127.0.0.1:8000/whoami" } }
"#;

pub(super) const TOP: &str = r#"[[endpoint]]
dialect = "alibaba.top"
path = "/router/rest"
tenant = "acme"
route = [{ product_code = "oss", scene_code = "app", usage_scene = "up", role = "upload" }]
"#;

/// What is said when one line of the browser's endpoint is another; an empty one takes it away.
pub(super) fn browser(key: &str, line: &str) -> String {
    changed(BROWSER, key, line)
}

fn top(key: &str, line: &str) -> String {
    changed(TOP, key, line)
}

fn changed(endpoint: &str, key: &str, line: &str) -> String {
    let mut lines: Vec<_> = endpoint.lines().collect();
    let at = lines.iter().position(|l| l.starts_with(key)).unwrap();
    lines[at] = line;
    refused(&with_tenant(&(lines.join("\n") + "\n")))
}

#[test]
fn the_unchanged_endpoints_are_good() {
    assert_eq!(production(&with_tenant(&format!("{BROWSER}{TOP}"))).unwrap().plan("").endpoints.len(), 2);
}

#[test]
fn dialects() {
    assert_snapshot!(browser("dialect", "dialect = \"tencent.sts\""), @r#"
    daypass.toml:31:11: `tencent.sts` needs no endpoint: it is always served, at `/`
    31 | dialect = "tencent.sts"
       |           ^^^^^^^^^^^^^
    "#);
    assert_snapshot!(browser("dialect", "dialect = \"tencent.getauthorization\""), @r#"
    daypass.toml:31:11: there is no dialect with endpoints `tencent.getauthorization`; did you mean `tencent.getAuthorization`?
    31 | dialect = "tencent.getauthorization"
       |           ^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
    assert_snapshot!(top("dialect", ""), @"
    daypass.toml:30:1: `endpoint` needs the key `dialect`
    30 | [[endpoint]]
       | ^^^^^^^^^^^^
    ");
}

#[test]
fn keys_of_the_other_dialect() {
    assert_snapshot!(browser("dialect", "dialect = \"alibaba.top\""), @r#"
    daypass.toml:30:1: `endpoint` needs the key `route`
    30 | [[endpoint]]
       | ^^^^^^^^^^^^

    daypass.toml:32:8: `/getAuthorization` is not a plain path under `/router/`
    32 | path = "/getAuthorization"
       |        ^^^^^^^^^^^^^^^^^^^
      hint: SDKs use "/router/rest"

    daypass.toml:34:1: `role` belongs to an endpoint of `tencent.getAuthorization` or `alibaba.credentials`
    34 | role = "soe"
       | ^^^^

    daypass.toml:35:1: `origins` belongs to an endpoint of `tencent.getAuthorization` or `alibaba.credentials`
    35 | origins = ["https://lesson.example.com"]
       | ^^^^^^^

    daypass.toml:36:1: `caller` belongs to an endpoint of `tencent.getAuthorization` or `alibaba.credentials`
    36 | caller = { session = { cookie = "sid", whoami = "http://127.0.0.1:8000/whoami" } }
       | ^^^^^^
    "#);
    assert_snapshot!(top("dialect", "dialect = \"tencent.getAuthorization\""), @r#"
    daypass.toml:30:1: `endpoint` needs the key `role`
    30 | [[endpoint]]
       | ^^^^^^^^^^^^

    daypass.toml:30:1: the endpoint does not say who may come to it: `caller` is missing
    30 | [[endpoint]]
       | ^^^^^^^^^^^^
      hint: caller = { session = { cookie = "sid", whoami = "http://127.0.0.1:8000/whoami" } }

    daypass.toml:30:1: `endpoint` needs the key `origins`
    30 | [[endpoint]]
       | ^^^^^^^^^^^^

    daypass.toml:32:8: `/router/rest` belongs to another part of the service
    32 | path = "/router/rest"
       |        ^^^^^^^^^^^^^^

    daypass.toml:34:1: `route` belongs to an endpoint of `alibaba.top`
    34 | route = [{ product_code = "oss", scene_code = "app", usage_scene = "up", role = "upload" }]
       | ^^^^^
    "#);
}

#[test]
fn references() {
    assert_snapshot!(browser("tenant", "tenant = \"acmee\""), @r#"
    daypass.toml:33:10: there is no tenant `acmee`; did you mean `acme`?
    33 | tenant = "acmee"
       |          ^^^^^^^
    "#);
    assert_snapshot!(browser("role", "role = \"soee\""), @r#"
    daypass.toml:34:8: there is no role `soee`; did you mean `soe`?
    34 | role = "soee"
       |        ^^^^^^
    "#);
    assert_snapshot!(top("route", "route = [{ product_code = \"oss\", scene_code = \"app\", role = \"nobody\" }]"), @r#"
    daypass.toml:34:10: `endpoint.route` needs the key `usage_scene`
    34 | route = [{ product_code = "oss", scene_code = "app", role = "nobody" }]
       |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    daypass.toml:34:61: there is no role `nobody`
    34 | route = [{ product_code = "oss", scene_code = "app", role = "nobody" }]
       |                                                             ^^^^^^^^
      hint: there is `soe`, `upload`, `orders`, `cos`
    "#);
}

#[test]
fn a_broken_role_or_tenant_is_not_reported_twice() {
    let text = with_tenant(BROWSER).replace("max = \"2h\"", "max = \"2x\"").replace("100000000001", "1");
    assert_snapshot!(refused(&text), @r#"
    daypass.toml:10:11: `1` is not an account of 12 digits
    10 | account = "1"
       |           ^^^

    daypass.toml:13:37: `2x` is not a duration
    13 | lifetime = { default = "30m", max = "2x" }
       |                                     ^^^^
      hint: hours, minutes and seconds in this order, such as "30m", "2h" or "1h30m"
    "#);
}

#[test]
fn paths_that_belong_to_others() {
    for path in [
        "/router/rest",
        "/router",
        "/common/x",
        "/error",
        "/livez",
        "/readyz",
        "/387c56a8-cf86-45de-b9f5-b4de88cac054/x",
        "/acme/oauth2/v2.0/token",
        "/acme/v2.0/keys",
        "/acme/Discovery",
        "/.well-known/x",
        "/LIVEZ",
        "/v1/verify",
        "/V1/Verify",
    ] {
        let errors = browser("path", &format!("path = \"{path}\""));
        assert!(errors.contains(&format!("`{path}` belongs to another part of the service")), "{errors}");
    }
    for path in ["", "/", "getAuthorization", "/a//b", "/a/", "/a?b", "/a/../b", "/%61", "/中"] {
        let errors = browser("path", &format!("path = \"{path}\""));
        assert!(errors.contains(&format!("`{path}` is not a plain path")), "{errors}");
    }
    for path in ["", "/router/", "/rest", "/router/a//b", "/routers/rest"] {
        let errors = top("path", &format!("path = \"{path}\""));
        assert!(errors.contains(&format!("`{path}` is not a plain path under `/router/`")), "{errors}");
    }
}

#[test]
fn one_path_is_one_endpoint() {
    assert_snapshot!(refused(&with_tenant(&format!("{BROWSER}{TOP}{BROWSER}{TOP}"))), @r#"
    daypass.toml:44:8: the path `/getAuthorization` is already served by the endpoint on line 32
    44 | path = "/getAuthorization"
       |        ^^^^^^^^^^^^^^^^^^^

    daypass.toml:51:8: the path `/router/rest` is already served by the endpoint on line 39
    51 | path = "/router/rest"
       |        ^^^^^^^^^^^^^^
    "#);
    let other = TENANT
        .replace("\"acme\"", "\"other\"")
        .replace("387c56a8", "487c56a8")
        .replace("100000000001", "100000000002");
    let shared = format!("{TENANT}{other}{TOP}{}", TOP.replace("acme", "other"));
    assert!(production(&with(&shared)).is_ok(), "tenants may share TOP's path");
}

#[test]
fn no_endpoint_is_where_another_ones_tickets_are_made() {
    let tickets = BROWSER.replace(
        "{ session = { cookie = \"sid\", whoami = \"http://127.0.0.1:8000/whoami\" } }",
        "{ ticket = {} }",
    );
    let behind = BROWSER.replace("/getAuthorization\"", "/getAuthorization/ticket\"");
    assert_snapshot!(refused(&with_tenant(&format!("{behind}{tickets}"))), @r#"
    daypass.toml:32:8: at `/getAuthorization/ticket` the tickets of the endpoint on line 39 are made
    32 | path = "/getAuthorization/ticket"
       |        ^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
    for fine in
        [format!("{behind}{BROWSER}"), format!("{tickets}{}", behind.replace("/ticket\"", "/tickets\""))]
    {
        assert!(production(&with_tenant(&fine)).is_ok(), "{fine}");
    }
}

#[test]
fn origins() {
    let origins = "origins = [\"*\", \"null\", \"https://a.example/\", \"https://A.example\", \"https://a.example:443\", \"a\", 1]";
    assert_snapshot!(browser("origins", origins), @r#"
    daypass.toml:35:12: an origin is exact; `*` would let every page of the web fetch credentials
    35 | origins = ["*", "null", "https://a.example/", "https://A.example", "https://a.example:443", "a", 1]
       |            ^^^

    daypass.toml:35:17: `null` is the origin of every sandboxed frame and local file; it cannot be listed
    35 | origins = ["*", "null", "https://a.example/", "https://A.example", "https://a.example:443", "a", 1]
       |                 ^^^^^^

    daypass.toml:35:25: an origin has no path and no final slash
    35 | origins = ["*", "null", "https://a.example/", "https://A.example", "https://a.example:443", "a", 1]
       |                         ^^^^^^^^^^^^^^^^^^^^
      hint: write "https://a.example"

    daypass.toml:35:47: a host is written in lower case
    35 | origins = ["*", "null", "https://a.example/", "https://A.example", "https://a.example:443", "a", 1]
       |                                               ^^^^^^^^^^^^^^^^^^^
      hint: write "a.example"

    daypass.toml:35:68: the scheme's own port is never written out
    35 | origins = ["*", "null", "https://a.example/", "https://A.example", "https://a.example:443", "a", 1]
       |                                                                    ^^^^^^^^^^^^^^^^^^^^^^^
      hint: write "https://a.example"

    daypass.toml:35:93: `a` does not begin with a scheme such as `https://`
    35 | origins = ["*", "null", "https://a.example/", "https://A.example", "https://a.example:443", "a", 1]
       |                                                                                             ^^^

    daypass.toml:35:98: `origins` must be a list of strings, and holds an integer
    35 | origins = ["*", "null", "https://a.example/", "https://A.example", "https://a.example:443", "a", 1]
       |                                                                                                  ^
    "#);
    assert_snapshot!(browser("origins", "origins = []"), @r#"
    daypass.toml:35:1: `origins` lists no page that may come here
    35 | origins = []
       | ^^^^^^^
      hint: ["https://lesson.example.com"]
    "#);
}

#[test]
fn shapes() {
    assert_snapshot!(browser("role", "role = \"soe\"\nshape = \"coss\""), @r#"
    daypass.toml:35:9: there is no shape of answers `coss`; did you mean `cos`?
    35 | shape = "coss"
       |         ^^^^^^
    "#);
    assert_snapshot!(browser("role", "role = \"soe\"\nshape = \"camel\""), @r#"
    daypass.toml:35:9: there is no shape of answers `camel`
    35 | shape = "camel"
       |         ^^^^^^^
      hint: there is `tencent`, `cos`
    "#);
    assert_snapshot!(browser("role", "role = \"soe\"\nshape = 1"), @"
    daypass.toml:35:9: `shape` must be a string, and is an integer
    35 | shape = 1
       |         ^
    ");
}

#[test]
fn quotas() {
    let quota = |quota: &str| browser("role", &format!("role = \"soe\"\nquota = {quota}"));
    assert_snapshot!(quota("{ subject = 0, address = 1000001, endpoint = \"60\" }"), @r#"
    daypass.toml:35:21: a quota is 1 to 1000000 credentials a minute
    35 | quota = { subject = 0, address = 1000001, endpoint = "60" }
       |                     ^

    daypass.toml:35:34: a quota is 1 to 1000000 credentials a minute
    35 | quota = { subject = 0, address = 1000001, endpoint = "60" }
       |                                  ^^^^^^^

    daypass.toml:35:54: `endpoint` must be an integer, and is a string
    35 | quota = { subject = 0, address = 1000001, endpoint = "60" }
       |                                                      ^^^^
    "#);
    assert_snapshot!(quota("{ adress = 60 }"), @"
    daypass.toml:35:11: unknown key `adress` in `quota`; did you mean `address`?
    35 | quota = { adress = 60 }
       |           ^^^^^^
    ");
    assert_snapshot!(quota("60"), @"
    daypass.toml:35:9: `quota` must be a table, and is an integer
    35 | quota = 60
       |         ^^
    ");
}

#[test]
fn a_role_with_an_external_id_is_given_at_no_endpoint() {
    let text = with_tenant(&format!("{BROWSER}{TOP}"))
        .replace("name = \"soe\"", "name = \"soe\"\nexternal_id = \"acme-7\"")
        .replace("name = \"upload\"", "name = \"upload\"\nexternal_id = \"acme-7\"");
    assert_snapshot!(refused(&text), @r#"
    daypass.toml:36:8: `soe` needs an `external_id`, which only AssumeRole carries
    36 | role = "soe"
       |        ^^^^^
      hint: a role of its own for this endpoint

    daypass.toml:43:81: `upload` needs an `external_id`, which only AssumeRole carries
    43 | route = [{ product_code = "oss", scene_code = "app", usage_scene = "up", role = "upload" }]
       |                                                                                 ^^^^^^^^
      hint: a role of its own for this endpoint
    "#);
}

#[test]
fn roles_that_a_browser_cannot_have() {
    assert_snapshot!(browser("role", "role = \"upload\""), @r#"
    daypass.toml:34:8: `upload` has no `cam` policy, and browsers get Tencent's credentials
    34 | role = "upload"
       |        ^^^^^^^^
    "#);
    assert_snapshot!(browser("role", "role = \"orders\""), @r#"
    daypass.toml:34:8: `orders` has no `cam` policy, and browsers get Tencent's credentials
    34 | role = "orders"
       |        ^^^^^^^^
    "#);
}

#[test]
fn routes() {
    let rows = r#"route = [
  { product_code = "oss", scene_code = "app", usage_scene = "up", role = "soe" },
  { product_code = "oss", scene_code = "app", usage_scene = "up", role = "cos" },
  { product_code = "", scene_code = "app", usage_scene = "down", role = "orders" },
]"#;
    assert_snapshot!(top("route", rows), @r#"
    daypass.toml:35:74: `soe` has no `ram` policy, and TOP hands out Alibaba's credentials
    35 |   { product_code = "oss", scene_code = "app", usage_scene = "up", role = "soe" },
       |                                                                          ^^^^^

    daypass.toml:36:3: the same product, scene and usage are already on line 35
    36 |   { product_code = "oss", scene_code = "app", usage_scene = "up", role = "cos" },
       |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    daypass.toml:36:74: `cos` has no `ram` policy, and TOP hands out Alibaba's credentials
    36 |   { product_code = "oss", scene_code = "app", usage_scene = "up", role = "cos" },
       |                                                                          ^^^^^

    daypass.toml:37:20: `product_code` is empty
    37 |   { product_code = "", scene_code = "app", usage_scene = "down", role = "orders" },
       |                    ^^

    daypass.toml:37:73: `orders` has no `ram` policy, and TOP hands out Alibaba's credentials
    37 |   { product_code = "", scene_code = "app", usage_scene = "down", role = "orders" },
       |                                                                         ^^^^^^^^
    "#);
    assert_snapshot!(top("route", "route = []"), @"
    daypass.toml:34:1: `route` lists nothing to hand out
    34 | route = []
       | ^^^^^
    ");
    assert_snapshot!(top("route", "route = { product_code = \"oss\" }"), @r#"
    daypass.toml:34:9: there can be several `endpoint.route`
    34 | route = { product_code = "oss" }
       |         ^^^^^^^^^^^^^^^^^^^^^^^^
      hint: write [[endpoint.route]]
    "#);
}
