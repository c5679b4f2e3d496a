//! Faults in the ways of knowing a caller.

use super::bad_endpoints::{BROWSER, browser};
use super::good_callers::NEARBY;
use super::*;
use insta::assert_snapshot;

/// What is said about an endpoint whose callers are known in these ways.
fn caller(caller: &str) -> String {
    browser("caller", &format!("caller = {caller}"))
}

fn session(keys: &str) -> String {
    caller(&format!("{{ session = {{ {keys} }} }}"))
}

const PROVIDER: &str = r#"[[tenant.provider]]
name = "corp"
issuer = "https://login.example.com"
audience = "daypass"
variables = { class = "class_id" }
[[tenant.role]]
name = "pics"
variables = { subject = "slug", class = "slug", dir = "slug" }
policy = { cam = '{"version":"2.0","statement":{"effect":"allow","action":["cos:PutObject"],"resource":["qcs::cos:ap-guangzhou:uid/1:b-1/{class}/{dir}/{subject}/*"]}}' }
"#;

/// A role short enough for anyone, and an endpoint for it.
const ANYONE: &str = r#"[[tenant.role]]
name = "demo"
lifetime = { default = "10m", max = "15m" }
policy = { cam = '{"version":"2.0","statement":{"effect":"allow","action":["soe:Transmit"],"resource":"qcs::soe:::a"}}' }
[[endpoint]]
dialect = "tencent.getAuthorization"
path = "/getAuthorization"
tenant = "acme"
role = "demo"
origins = ["https://lesson.example.com"]
quota = { address = 60, endpoint = 6000 }
caller = { anonymous = { reason = "a public page" } }
"#;

fn anyone(old: &str, new: &str) -> String {
    assert!(ANYONE.contains(old), "{old}");
    refused(&with_tenant(&ANYONE.replace(old, new)))
}

#[test]
fn there_is_a_way_of_knowing_a_caller() {
    assert_snapshot!(browser("caller", ""), @r#"
    daypass.toml:30:1: the endpoint does not say who may come to it: `caller` is missing
    30 | [[endpoint]]
       | ^^^^^^^^^^^^
      hint: caller = { session = { cookie = "sid", whoami = "http://127.0.0.1:8000/whoami" } }
    "#);
    assert_snapshot!(caller("{}"), @"
    daypass.toml:36:10: `caller` names no way of knowing a caller
    36 | caller = {}
       |          ^^
      hint: the ways are `session`, `ticket`, `jwt`, `anonymous`
    ");
    assert_snapshot!(caller("{ sesion = { cookie = \"sid\" } }"), @r#"
    daypass.toml:36:10: `caller` names no way of knowing a caller
    36 | caller = { sesion = { cookie = "sid" } }
       |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: the ways are `session`, `ticket`, `jwt`, `anonymous`

    daypass.toml:36:12: unknown key `sesion` in `caller`; did you mean `session`?
    36 | caller = { sesion = { cookie = "sid" } }
       |            ^^^^^^
    "#);
    assert_snapshot!(caller("\"session\""), @r#"
    daypass.toml:36:10: `caller` must be a table, and is a string
    36 | caller = "session"
       |          ^^^^^^^^^
    "#);
}

#[test]
fn a_session_is_in_a_cookie_or_in_a_header() {
    assert_snapshot!(session("whoami = \"https://app.example.com/whoami\""), @r#"
    daypass.toml:36:22: `session` needs exactly one of `cookie` and `header`
    36 | caller = { session = { whoami = "https://app.example.com/whoami" } }
       |                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: where the application's own session stands
    "#);
    assert_snapshot!(session("cookie = \"sid\", header = \"x-session\", whoami = \"https://app.example.com/whoami\""), @r#"
    daypass.toml:36:22: `session` needs exactly one of `cookie` and `header`
    36 | caller = { session = { cookie = "sid", header = "x-session", whoami = "https://app.example.com/whoam…
       |                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: where the application's own session stands
    "#);
    assert_snapshot!(session("cookie = \"s id\", whoami = \"https://app.example.com/whoami\""), @r#"
    daypass.toml:36:33: `s id` is not a name of letters, digits, hyphens and underscores
    36 | caller = { session = { cookie = "s id", whoami = "https://app.example.com/whoami" } }
       |                                 ^^^^^^
    "#);
    assert_snapshot!(session("cookie = 1, whoami = \"https://app.example.com/whoami\""), @r#"
    daypass.toml:36:33: `cookie` must be a string, and is an integer
    36 | caller = { session = { cookie = 1, whoami = "https://app.example.com/whoami" } }
       |                                 ^
    "#);
}

#[test]
fn a_session_s_header_is_the_application_s_own() {
    for taken in
        ["authorization", "Cookie", "Origin", "host", "sec-fetch-site", "X-Forwarded-For", "Content-Type"]
    {
        let errors = session(&format!("header = \"{taken}\", whoami = \"https://app.example.com/whoami\""));
        let message = format!("the header `{}` has a meaning of its own", taken.to_ascii_lowercase());
        assert!(errors.contains(&message), "{errors}");
    }
    let errors = session("header = \"x session\", whoami = \"https://app.example.com/whoami\"");
    assert!(errors.contains("`x session` is not a name"), "{errors}");
}

#[test]
fn whoami_is_reached_over_tls_or_on_this_machine() {
    assert_snapshot!(session("cookie = \"sid\""), @r#"
    daypass.toml:36:22: `session` needs the key `whoami`
    36 | caller = { session = { cookie = "sid" } }
       |                      ^^^^^^^^^^^^^^^^^^
    "#);
    assert_snapshot!(session("cookie = \"sid\", whoami = \"http://app.example.com/whoami\""), @r#"
    daypass.toml:36:49: over `http` anyone on the way could answer in its place
    36 | caller = { session = { cookie = "sid", whoami = "http://app.example.com/whoami" } }
       |                                                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: use https, or an address on this machine, such as http://127.0.0.1:8000
    "#);
    assert_snapshot!(session("cookie = \"sid\", whoami = \"https://app.example.com/whoami#me\""), @r#"
    daypass.toml:36:49: a fragment, from `#` on, is never sent; leave it out
    36 | caller = { session = { cookie = "sid", whoami = "https://app.example.com/whoami#me" } }
       |                                                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
    let errors = session("cookie = \"sid\", whoami = \"https://app:hunter2@example.com/whoami\"");
    assert!(!errors.contains("hunter2"), "{errors}");
    assert_snapshot!(errors, @r#"
    daypass.toml:36:49: an address here has no user name
    36 | caller = { session = { cookie = "sid", whoami = •••••••••••••••••••••••••••••••••••••••• } }
       |                                                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn a_session_s_times_have_bounds() {
    let times = |times: &str| session(&format!("cookie = \"sid\", whoami = \"http://127.0.0.1/w\", {times}"));
    assert_snapshot!(times("timeout = \"49ms\", cache = \"61s\""), @r#"
    daypass.toml:36:81: `timeout` is 50ms to 10s
    36 | …ttp://127.0.0.1/w", timeout = "49ms", cache = "61s" } }
       |                                ^^^^^^

    daypass.toml:36:97: `cache` is 0s to 1m
    36 | …w", timeout = "49ms", cache = "61s" } }
       |                                ^^^^^
    "#);
    assert_snapshot!(times("timeout = \"11s\", cache = \"500ms\""), @r#"
    daypass.toml:36:81: `timeout` is 50ms to 10s
    36 | …ttp://127.0.0.1/w", timeout = "11s", cache = "500ms" } }
       |                                ^^^^^

    daypass.toml:36:96: `500ms` is not a duration
    36 | …/w", timeout = "11s", cache = "500ms" } }
       |                                ^^^^^^^
      hint: hours, minutes and seconds in this order, such as "30m", "2h" or "1h30m"
    "#);
    assert_snapshot!(times("timeout = 2, cache = true"), @r#"
    daypass.toml:36:81: `timeout` needs a unit
    36 | caller = { session = { cookie = "sid", whoami = "http://127.0.0.1/w", timeout = 2, cache = true } }
       |                                                                                 ^
      hint: for seconds write "2s"

    daypass.toml:36:92: `cache` must be a string, and is a boolean
    36 | caller = { session = { cookie = "sid", whoami = "http://127.0.0.1/w", timeout = 2, cache = true } }
       |                                                                                            ^^^^
    "#);
}

#[test]
fn tickets_have_bounds() {
    assert_snapshot!(caller("{ ticket = { refreshes = 1001, refresh_for = \"25h\" } }"), @r#"
    daypass.toml:36:35: a ticket can be refreshed 0 to 1000 times
    36 | caller = { ticket = { refreshes = 1001, refresh_for = "25h" } }
       |                                   ^^^^

    daypass.toml:36:55: `refresh_for` is 0s to 24h
    36 | caller = { ticket = { refreshes = 1001, refresh_for = "25h" } }
       |                                                       ^^^^^
    "#);
    assert_snapshot!(caller("{ ticket = { refreshes = -1 } }"), @"
    daypass.toml:36:35: a ticket can be refreshed 0 to 1000 times
    36 | caller = { ticket = { refreshes = -1 } }
       |                                   ^^
    ");
    assert_snapshot!(caller("{ ticket = { refreshes = 24 } }"), @r#"
    daypass.toml:36:21: a ticket that can be refreshed needs both `refreshes` and `refresh_for`
    36 | caller = { ticket = { refreshes = 24 } }
       |                     ^^^^^^^^^^^^^^^^^^
      hint: refreshes = 24, refresh_for = "8h"; or neither, and a ticket is good for one credential
    "#);
    assert_snapshot!(caller("{ ticket = { refresh_for = \"8h\" } }"), @r#"
    daypass.toml:36:21: a ticket that can be refreshed needs both `refreshes` and `refresh_for`
    36 | caller = { ticket = { refresh_for = "8h" } }
       |                     ^^^^^^^^^^^^^^^^^^^^^^
      hint: refreshes = 24, refresh_for = "8h"; or neither, and a ticket is good for one credential
    "#);
    assert_snapshot!(caller("{ ticket = { refreshes = \"24\", refresh_for = \"8h\" } }"), @r#"
    daypass.toml:36:35: `refreshes` must be an integer, and is a string
    36 | caller = { ticket = { refreshes = "24", refresh_for = "8h" } }
       |                                   ^^^^
    "#);
}

#[test]
fn pages_with_tickets_are_listed() {
    let text = BROWSER.replace("origins = [\"https://lesson.example.com\"]\n", "");
    let text = text.replace("caller = { session", "caller = { ticket = {}, session");
    assert_snapshot!(refused(&with_tenant(&text)), @"
    daypass.toml:30:1: `endpoint` needs the key `origins`
    30 | [[endpoint]]
       | ^^^^^^^^^^^^
    ");
}

#[test]
fn a_jwt_is_of_a_provider_of_the_tenant() {
    let jwt = |name: &str| {
        let caller = format!("caller = {{ jwt = {{ provider = \"{name}\" }} }}\n");
        let kept: Vec<_> = BROWSER.lines().filter(|line| !line.starts_with("caller")).collect();
        refused(&with_tenant(&format!("{PROVIDER}{}\n{caller}", kept.join("\n"))))
    };
    assert_snapshot!(jwt("crop"), @r#"
    daypass.toml:45:31: there is no provider `crop`; did you mean `corp`?
    45 | caller = { jwt = { provider = "crop" } }
       |                               ^^^^^^
    "#);
    assert_snapshot!(caller("{ jwt = { provider = \"corp\" } }"), @r#"
    daypass.toml:36:31: there is no provider `corp`
    36 | caller = { jwt = { provider = "corp" } }
       |                               ^^^^^^
    "#);
    assert_snapshot!(caller("{ jwt = {} }"), @"
    daypass.toml:36:18: `jwt` needs the key `provider`
    36 | caller = { jwt = {} }
       |                  ^^
    ");
}

#[test]
fn a_provider_fills_every_variable_of_the_role() {
    let text = format!("{PROVIDER}{BROWSER}").replace("role = \"soe\"", "role = \"pics\"");
    let jwt = text.replace("caller = { session", "caller = { jwt = { provider = \"corp\" }, session");
    assert_snapshot!(refused(&with_tenant(&jwt)), @r#"
    daypass.toml:45:31: the role has the variable `dir`, which `corp` has no claim for
    45 | caller = { jwt = { provider = "corp" }, session = { cookie = "sid", whoami = "http://127.0.0.1:8000/…
       |                               ^^^^^^
      hint: in the provider: variables = { dir = "claim" }
    "#);
    assert!(production(&with_tenant(&text)).is_ok(), "what a session says is known only when it comes");
    let mapped = jwt.replace("{ class = \"class_id\" }", "{ class = \"class_id\", dir = \"dir\" }");
    assert!(production(&with_tenant(&mapped)).is_ok());
    let none = jwt.replace("variables = { class = \"class_id\" }\n", "");
    let errors = refused(&with_tenant(&none));
    assert!(
        errors.contains("the role has the variables `class`, `dir`, which `corp` has no claims for"),
        "{errors}"
    );
}

#[test]
fn anonymous_use_has_a_reason() {
    assert_snapshot!(anyone("{ reason = \"a public page\" }", "{}"), @"
    daypass.toml:41:24: `anonymous` needs the key `reason`
    41 | caller = { anonymous = {} }
       |                        ^^
    ");
    assert_snapshot!(anyone("\"a public page\"", "\" \""), @r#"
    daypass.toml:41:35: the reason is empty
    41 | caller = { anonymous = { reason = " " } }
       |                                   ^^^
    "#);
    assert_snapshot!(anyone("reason = \"a public page\"", "reason = \"x\", per_minute = 60"), @r#"
    daypass.toml:41:40: unknown key `per_minute` in `anonymous`
    41 | caller = { anonymous = { reason = "x", per_minute = 60 } }
       |                                        ^^^^^^^^^^
      hint: the keys here are `reason`, `networks`
    "#);
}

#[test]
fn anonymous_use_is_rationed_for_each_network_and_for_all() {
    assert_snapshot!(anyone("quota = { address = 60, endpoint = 6000 }\n", ""), @r#"
    daypass.toml:40:12: anonymous use must be rationed outside `daypass dev`: `quota` lacks `address`, `endpoint`
    40 | caller = { anonymous = { reason = "a public page" } }
       |            ^^^^^^^^^
      hint: quota = { address = 60, endpoint = 6000 }: credentials a minute for one source network (/24 of IPv4, /48 of IPv6), and for all together
    "#);
    assert_snapshot!(anyone("address = 60, ", ""), @r#"
    daypass.toml:41:12: anonymous use must be rationed outside `daypass dev`: `quota` lacks `address`
    41 | caller = { anonymous = { reason = "a public page" } }
       |            ^^^^^^^^^
      hint: quota = { address = 60, endpoint = 6000 }: credentials a minute for one source network (/24 of IPv4, /48 of IPv6), and for all together
    "#);
    assert_snapshot!(anyone(", endpoint = 6000", ", subject = 1"), @r#"
    daypass.toml:41:12: anonymous use must be rationed outside `daypass dev`: `quota` lacks `endpoint`
    41 | caller = { anonymous = { reason = "a public page" } }
       |            ^^^^^^^^^
      hint: quota = { address = 60, endpoint = 6000 }: credentials a minute for one source network (/24 of IPv4, /48 of IPv6), and for all together
    "#);
}

#[test]
fn anonymous_use_has_origins() {
    assert_snapshot!(anyone("origins = [\"https://lesson.example.com\"]\n", ""), @"
    daypass.toml:34:1: `endpoint` needs the key `origins`
    34 | [[endpoint]]
       | ^^^^^^^^^^^^
    ");
    assert_snapshot!(anyone("[\"https://lesson.example.com\"]", "[]"), @r#"
    daypass.toml:39:1: `origins` lists no page that may come here
    39 | origins = []
       | ^^^^^^^
      hint: ["https://lesson.example.com"]
    "#);
}

#[test]
fn what_anyone_may_have_is_over_soon() {
    assert_snapshot!(anyone("max = \"15m\"", "max = \"15m1s\""), @r#"
    daypass.toml:38:8: credentials that anyone may have live at most 15m, and `demo` gives up to 15m1s
    38 | role = "demo"
       |        ^^^^^^
      hint: lifetime = { default = "10m", max = "15m" }
    "#);
}

#[test]
fn of_anonymous_callers_nothing_is_known() {
    let variables = anyone("lifetime", "variables = { dir = \"slug\" }\nlifetime").replace("{dir}", "");
    assert!(
        variables.contains("the variable `dir` is declared, but the policy does not use it"),
        "{variables}"
    );
    let text = ANYONE
        .replace("lifetime", "variables = { dir = \"slug\" }\nlifetime")
        .replace("qcs::soe:::a", "qcs::soe:::{dir}");
    assert_snapshot!(refused(&with_tenant(&text)), @r#"
    daypass.toml:39:8: `demo` has variables, and of anonymous callers nothing is known to fill them with
    39 | role = "demo"
       |        ^^^^^^
      hint: its variables are `dir`
    "#);
    let also = text.replace(
        "caller = {",
        "caller = { session = { cookie = \"sid\", whoami = \"http://127.0.0.1:8000/whoami\" },",
    );
    assert!(refused(&with_tenant(&also)).contains("of anonymous callers nothing is known"));
}

#[test]
fn dev_needs_a_reason_and_nothing_else() {
    let dev = |text: &str| parse("daypass.toml", &with_tenant(text), Mode::Dev, &[]);
    let lax = ANYONE
        .replace("quota = { address = 60, endpoint = 6000 }\n", "")
        .replace("max = \"15m\"", "max = \"2h\"");
    assert!(production(&with_tenant(&lax)).is_err());
    assert!(dev(&lax).is_ok());
    assert!(dev(&lax.replace("reason = \"a public page\"", "")).is_err());
}

/// What is said about the SDKs' endpoint with something else in it.
fn nearby(old: &str, new: &str) -> String {
    assert!(NEARBY.contains(old), "{old}");
    refused(&with_tenant(&NEARBY.replace(old, new)))
}

#[test]
fn a_network_is_private_and_written_down() {
    let networks = |list: &str| nearby("[\"127.0.0.1\", \"::1\"]", list);
    assert_snapshot!(networks("[\"203.0.113.0/24\"]"), @r#"
    daypass.toml:39:70: `203.0.113.0/24` holds addresses of the Internet, where anyone may be
    39 | caller = { anonymous = { reason = "agents on this host", networks = ["203.0.113.0/24"] } }
       |                                                                      ^^^^^^^^^^^^^^^^
      hint: loopback, private or link-local: ["127.0.0.1", "10.1.0.0/16"]
    "#);
    assert_snapshot!(networks("[]"), @r#"
    daypass.toml:39:58: `networks` lists nowhere to come from
    39 | caller = { anonymous = { reason = "agents on this host", networks = [] } }
       |                                                          ^^^^^^^^
      hint: ["127.0.0.1", "::1"]
    "#);
    assert_snapshot!(networks("[\"127.0.0.1/8\"]"), @r#"
    daypass.toml:39:70: `127.0.0.1/8` has bits beyond its prefix
    39 | caller = { anonymous = { reason = "agents on this host", networks = ["127.0.0.1/8"] } }
       |                                                                      ^^^^^^^^^^^^^
      hint: did you mean "127.0.0.0/8"?
    "#);
    assert_snapshot!(networks("\"127.0.0.1\""), @r#"
    daypass.toml:39:69: `networks` must be a list of strings, and is a string
    39 | caller = { anonymous = { reason = "agents on this host", networks = "127.0.0.1" } }
       |                                                                     ^^^^^^^^^^^
    "#);
    let errors = networks("[\"localhost\", \"0.0.0.0/0\"]");
    assert!(errors.contains("`localhost` is not a network"), "{errors}");
    assert!(errors.contains("`0.0.0.0/0` holds addresses of the Internet"), "{errors}");
}

#[test]
fn only_sdks_come_from_networks() {
    let errors =
        anyone("reason = \"a public page\"", "reason = \"a public page\", networks = [\"127.0.0.1\"]");
    assert_snapshot!(errors, @r#"
    daypass.toml:41:52: `networks` belongs to an endpoint of `alibaba.credentials`
    41 | caller = { anonymous = { reason = "a public page", networks = ["127.0.0.1"] } }
       |                                                    ^^^^^^^^
      hint: a server that can sign has a key of its own: daypass client add --help
    "#);
}

#[test]
fn a_network_s_credentials_are_bounded_too() {
    assert_snapshot!(nearby("quota = { address = 600, endpoint = 6000 }\n", ""), @r#"
    daypass.toml:38:12: anonymous use must be rationed outside `daypass dev`: `quota` lacks `address`, `endpoint`
    38 | caller = { anonymous = { reason = "agents on this host", networks = ["127.0.0.1", "::1"] } }
       |            ^^^^^^^^^
      hint: quota = { address = 60, endpoint = 6000 }: credentials a minute for one source network (/24 of IPv4, /48 of IPv6), and for all together
    "#);
    assert_snapshot!(nearby("name = \"agent\"", "name = \"agent\"\nlifetime = { default = \"1h\", max = \"2h\" }"), @r#"
    daypass.toml:38:8: credentials that anyone in a network may have live at most 1h, and `agent` gives up to 2h
    38 | role = "agent"
       |        ^^^^^^^
      hint: lifetime = { default = "1h", max = "1h" }
    "#);
    let errors = nearby("reason = \"agents on this host\", ", "");
    assert!(errors.contains("needs the key `reason`"), "{errors}");
}

#[test]
fn the_url_of_sdks_gives_alibabas_credentials_in_its_own_shapes() {
    assert_snapshot!(nearby("role = \"agent\"", "role = \"soe\""), @r#"
    daypass.toml:37:8: `soe` has no `ram` policy, and this URL gives Alibaba's credentials
    37 | role = "soe"
       |        ^^^^^

    daypass.toml:37:8: credentials that anyone in a network may have live at most 1h, and `soe` gives up to 2h
    37 | role = "soe"
       |        ^^^^^
      hint: lifetime = { default = "1h", max = "1h" }
    "#);
    assert_snapshot!(nearby("quota =", "shape = \"cos\"\nquota ="), @r#"
    daypass.toml:38:9: there is no shape of answers `cos`
    38 | shape = "cos"
       |         ^^^^^
      hint: there is `credentials_uri`, `oss_mobile`
    "#);
    assert_snapshot!(nearby("quota =", "shape = \"credential_uri\"\nquota ="), @r#"
    daypass.toml:38:9: there is no shape of answers `credential_uri`; did you mean `credentials_uri`?
    38 | shape = "credential_uri"
       |         ^^^^^^^^^^^^^^^^
    "#);
    assert_snapshot!(nearby("alibaba.credentials", "alibaba.credential"), @r#"
    daypass.toml:34:11: there is no dialect with endpoints `alibaba.credential`; did you mean `alibaba.credentials`?
    34 | dialect = "alibaba.credential"
       |           ^^^^^^^^^^^^^^^^^^^^
    "#);
    assert_snapshot!(nearby("caller = { anonymous = { reason = \"agents on this host\", networks = [\"127.0.0.1\", \"::1\"] } }", "caller = { anonymous = { reason = \"a page\" } }"), @r#"
    daypass.toml:33:1: `endpoint` needs the key `origins`
    33 | [[endpoint]]
       | ^^^^^^^^^^^^

    daypass.toml:37:8: credentials that anyone may have live at most 15m, and `agent` gives up to 1h
    37 | role = "agent"
       |        ^^^^^^^
      hint: lifetime = { default = "10m", max = "15m" }
    "#);
}
