//! Files that are accepted.

use super::*;
use crate::config::{DEMO, demo, role, secret, template};
use crate::config::{
    boundary, brokering, caller, endpoint, forward_auth, issuer, lifetime, limits, mutual_tls, policy,
    provider, quota, seal, server, store, tenant, tls, trust,
};
use daypass_core::client::Refuses;
use daypass_core::endpoint::{CallerRule, DialectName, Quota, Shape, Whence};
use daypass_core::forward::Target;
use daypass_core::policy::{VariableType, covers};
use daypass_core::role::{Algorithm, Lifetime};
use daypass_core::testing::SeededEntropy;
use insta::assert_snapshot;
use proptest::prelude::*;
use std::path::Path;

fn initial() -> String {
    template(
        Some(Path::new("/etc/daypass/seal.key")),
        Path::new("/var/lib/daypass/daypass.db"),
        &SeededEntropy::new(1),
    )
}

/// The template with every setting switched on.
fn switched_on() -> String {
    let initial = initial();
    let lines = initial.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if !setting.starts_with(' ') => setting.to_owned(),
        _ => line.to_owned(),
    });
    // The boundary is in one language, and the template's roles are in two.
    lines.filter(|line| !line.starts_with("boundary")).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_demo_becomes_the_plan_that_the_seeds_ask_for() {
    let plan = demo().unwrap().plan("http://127.0.0.1:5050");
    assert_eq!(plan.public_url, "http://127.0.0.1:5050");
    let [tenant] = plan.tenants.as_slice() else { panic!("one tenant") };
    assert_eq!((tenant.name.as_str(), tenant.account.as_str()), ("demo", "100000000001"));
    assert_eq!(tenant.guid.to_string(), "387c56a8-cf86-45de-b9f5-b4de88cac054");
    let role = |name| plan.roles.iter().find(|role| role.name == name).unwrap();
    let soe = role("soe");
    assert_eq!(soe.lifetime, Lifetime { default: 1800, max: 7200 });
    assert!(soe.policy.is_some() && soe.audience.is_none() && soe.issuer == "local" && soe.tenant == "demo");
    let upload = role("store-upload");
    let slug = |name: &str| (name.to_owned(), VariableType::Slug);
    assert_eq!(upload.variables, [slug("tenant_code"), slug("poi_id")].into());
    assert_eq!(upload.answer["end_point_public"], "https://oss-cn-hangzhou.aliyuncs.com");
    for (name, algorithm) in [
        ("devcenter", Algorithm::Rs256),
        ("devcenter-es256", Algorithm::Es256),
        ("devcenter-eddsa", Algorithm::EdDsa),
    ] {
        assert_eq!(role(name).algorithm, algorithm);
        assert_eq!(role(name).app_roles, ["orders.read"]);
        assert_eq!(role(name).lifetime, Lifetime { default: 3600, max: 3600 });
    }
    assert_eq!(role("devcenter").audience.as_deref(), Some("d6b7c858-55fa-4d04-85a6-131af690abd4"));
    let [browser, top] = plan.endpoints.as_slice() else { panic!("two endpoints") };
    assert_eq!(
        (browser.dialect, browser.path.as_str()),
        (DialectName::TencentGetAuthorization, "/getAuthorization")
    );
    assert_eq!(
        (browser.role.as_deref(), browser.origins.as_slice()),
        (Some("soe"), &["http://127.0.0.1:88".to_owned()][..])
    );
    assert!(matches!(browser.callers[..], [CallerRule::Anonymous { whence: Whence::Anywhere, .. }]));
    assert_eq!((browser.quota, browser.shape), (Quota::default(), Shape::Tencent));
    assert_eq!((plan.refuses, plan.providers.len()), (Refuses::default(), 0));
    assert_eq!((top.dialect, top.path.as_str()), (DialectName::AlibabaTop, "/router/rest"));
    assert_eq!(top.routes[0].role, "store-upload");
    assert_eq!(top.routes[0].product.scene_code, "app-upload");
}

#[test]
fn a_resource_without_an_account_is_the_tenants_own() {
    let text = TENANT.replace(":uid/1250000000:b-1250000000/", "::b-1250000000/").replacen(
        "[[tenant.role]]",
        r#"boundary = { cam = '{"version":"2.0","statement":{"effect":"allow","action":"*","resource":"qcs::cos:::b-1250000000/*"}}' }
[[tenant.role]]"#,
        1,
    );
    let text = text.split("[[tenant.role]]\nname = \"upload\"").next().unwrap().to_owned()
        + &text[text.find("[[tenant.role]]\nname = \"cos\"").unwrap()..];
    let plan = production(&format!("{HEAD}{text}")).unwrap().plan("http://127.0.0.1:5050");
    let cos = plan.roles.iter().find(|role| role.name == "cos").unwrap().policy.as_ref().unwrap();
    let bound = cos.bind(&[("dir".to_owned(), "a".to_owned())].into()).unwrap();
    let own = "qcs::cos:ap-guangzhou:uin/100000000001:b-1250000000/a/*";
    assert_eq!(bound.statements[0].resources[0].as_str(), own);
    assert_eq!(covers(plan.tenants[0].boundary.as_ref().unwrap(), &bound), Ok(()));
}

#[test]
fn the_demo_is_for_dev_only() {
    assert_snapshot!(refused(DEMO), @r#"
    daypass.toml:62:11: credentials that anyone may have live at most 15m, and `soe` gives up to 2h
    62 | role    = "soe"
       |           ^^^^^
      hint: lifetime = { default = "10m", max = "15m" }

    daypass.toml:65:13: anonymous use must be rationed outside `daypass dev`: `quota` lacks `address`, `endpoint`
    65 | caller  = { anonymous = { reason = "a demonstration on this machine" } }
       |             ^^^^^^^^^
      hint: quota = { address = 60, endpoint = 6000 }: credentials a minute for one source network (/24 of IPv4, /48 of IPv6), and for all together
    "#);
}

/// What is said without the numbers of lines and columns: each explanation that the template gains moves them.
fn unnumbered(text: &str) -> String {
    let is_margin = |text: &str| text.chars().all(|c| c.is_ascii_digit() || c == ' ');
    let line = |line: &str| {
        let line = match line.split_once("| ") {
            Some((before, after)) if is_margin(before) => after.trim_start(),
            _ => line,
        };
        match line.strip_prefix("daypass.toml:") {
            Some(place) => {
                place.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':').trim_start().to_owned()
            }
            None => line.to_owned(),
        }
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_template_is_valid_as_written() {
    let loaded = production(&initial()).unwrap();
    assert_eq!(loaded.listen.to_string(), "127.0.0.1:5050");
    assert_eq!(loaded.store_url, "sqlite:/var/lib/daypass/daypass.db");
    assert_eq!((loaded.public_url.as_deref(), loaded.behind_proxy.len()), (None, 0));
    let plan = loaded.plan("https://pass.example.com");
    assert_eq!((plan.tenants.len(), plan.roles.len(), plan.endpoints.len()), (1, 3, 1));
    assert_snapshot!(unnumbered(&warned(&initial())), @r#"
    warning: `unsigned-payload` and the older signature `v1` are accepted by Tencent's STS API, because vendors' clients send them
    [server]
    ^^^^^^^^
      hint: where all clients sign whole requests with TC3-HMAC-SHA256: refuse = ["unsigned-payload", "v1"] in [server]; for one: daypass client refuse

    warning: the role allows every resource: SOE has no resource-level rights
    wildcard_reason = "SOE has no resource-level rights"
    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    warning: `sign_method` md5 and hmac are accepted here, because vendors' SDKs send them by default
    path = "/router/rest"
    ^^^^^^^^^^^^^^
      hint: where all clients sign with hmac-sha256: refuse = ["md5"] in [server]; for one: daypass client refuse
    "#);
}

#[test]
fn the_template_is_valid_with_every_setting_switched_on() {
    let loaded = production(&switched_on()).unwrap();
    assert_eq!(loaded.public_url.as_deref(), Some("https://pass.example.com"));
    assert_eq!(loaded.behind_proxy, ["10.0.0.0/8".parse().unwrap()]);
    assert_eq!(loaded.proxy_protocol, ["172.16.0.0/16".parse().unwrap()]);
    let plan = loaded.plan("https://pass.example.com");
    assert_eq!(plan.refuses, Refuses { unsigned_payload: true, md5: true, v1: true });
    let [corp] = &plan.providers[..] else { panic!("one provider") };
    assert_eq!((corp.name.as_str(), corp.variables["class"].as_str()), ("corp", "class_id"));
    assert_eq!(
        (corp.quota.subject, corp.quota.address, corp.quota.provider),
        (Some(600), Some(6000), Some(60_000))
    );
    let logs = plan.roles.iter().find(|role| role.name == "stage-logs").unwrap();
    assert!(matches!(&logs.variables["stage"], VariableType::OneOf(_)));
    assert!(matches!(&logs.variables["store"], VariableType::Pattern(_)));
    let [gate] = &plan.forward[..] else { panic!("one place where proxies ask") };
    assert_eq!(
        (gate.path.as_str(), gate.hosts.as_slice()),
        ("/v1/forward-auth", &["api.example.com".to_owned()][..])
    );
    let target = Target::read("api.example.com", "/orders/7").unwrap();
    assert_eq!(gate.wanted("GET", &target).unwrap().action, "orders.read");
    let at = |path: &str| plan.endpoints.iter().find(|endpoint| endpoint.path == path).unwrap();
    let uploads = at("/getAuthorization");
    assert!(uploads.session().is_some() && uploads.ticket().is_some() && uploads.jwt().is_some());
    assert!(uploads.anonymous().is_none() && uploads.shape == Shape::Cos);
    let rule = CallerRule::Anonymous { reason: "a public demonstration page".into(), whence: Whence::Pages };
    assert_eq!(at("/demo/getAuthorization").callers, [rule]);
    let agents = at("/credentials");
    assert_eq!(agents.shape, Shape::CredentialsUri);
    assert!(matches!(agents.anonymous(), Some(Whence::Networks(networks)) if networks.len() == 2));
}

#[test]
fn a_boundary_is_for_roles_of_its_language() {
    let cam = initial().replacen("#boundary", "boundary", 1);
    let other = refused(&cam);
    assert!(other.contains("the tenant's boundary is in the other language"), "{other}");
    assert_eq!(production(&cam).unwrap_err().0.len(), 1);
    let ram = r#"boundary = { ram = '{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:*","Resource":"*"}]}' }"#;
    let only_ram: String = TENANT
        .split("[[tenant.role]]")
        .filter(|part| !part.contains("cam = "))
        .collect::<Vec<_>>()
        .join("[[tenant.role]]");
    let text = with(&only_ram.replacen("[[tenant.role]]", &format!("{ram}\n[[tenant.role]]"), 1));
    let plan = production(&text).unwrap_or_else(|errors| panic!("{errors}")).plan("");
    assert_eq!(plan.tenants[0].boundary.as_ref().map(|policy| policy.statements.len()), Some(1));
    assert_eq!(plan.roles.len(), 2);
}

/// Keys that are understood but do nothing in this version.
const NOT_EXPLAINED: &[&str] = &["previous"];

#[test]
fn the_template_explains_every_key() {
    let text = initial();
    let lists = [
        server::KEYS,
        tls::KEYS,
        mutual_tls::KEYS,
        store::KEYS,
        seal::KEYS,
        tenant::KEYS,
        role::KEYS,
        role::ANSWER,
        policy::KEYS,
        lifetime::KEYS,
        endpoint::KEYS,
        &boundary::KEYS,
        endpoint::ROUTE,
        forward_auth::KEYS,
        forward_auth::RULE,
        provider::KEYS,
        provider::JWKS,
        trust::KEYS,
        quota::KEYS,
        quota::OF_PROVIDER,
        limits::OF_SERVICE,
        limits::OF_TENANT,
        limits::OF_ENDPOINT,
        limits::LIMIT,
        caller::KEYS,
        caller::SESSION,
        caller::TICKET,
        caller::JWT,
        caller::ANONYMOUS,
        issuer::KEYS,
        brokering::KEYS,
        secret::KEYS,
    ];
    for key in lists.into_iter().flatten().filter(|key| !NOT_EXPLAINED.contains(key)) {
        let mentioned = [format!("{key} = "), format!("[[{key}]]"), format!(".{key}]")];
        assert!(mentioned.iter().any(|form| text.contains(form)), "`{key}` is not in the template");
    }
}

#[test]
fn an_override_takes_the_place_of_a_value_before_it_is_judged() {
    let text =
        with("").replace("127.0.0.1:5050", "nonsense").replace("[store]\nurl = \"sqlite:/d.db\"\n", "");
    let variables = [
        variable("DAYPASS__SERVER__LISTEN", "[::1]:80"),
        variable("DAYPASS__SERVER__PUBLIC_URL", "https://pass.example.com"),
        variable("DAYPASS__STORE__URL", "sqlite:other.db"),
    ];
    let loaded = parse("/etc/daypass/daypass.toml", &text, Mode::Production, &variables).unwrap();
    assert_eq!(loaded.listen.to_string(), "[::1]:80");
    assert_eq!(loaded.public_url.as_deref(), Some("https://pass.example.com"));
    assert_eq!(loaded.store_url, "sqlite:/etc/daypass/other.db");
}

#[test]
fn a_bad_override_is_named() {
    let variables = [
        variable("DAYPASS__SERVER__LISTEN", "0.0.0.0:80"),
        variable("DAYPASS__SERVER__LISTN", "127.0.0.1:80"),
        variable("DAYPASS__TENANT__NAME", "x"),
        variable("DAYPASS__STORE__URL", "postgres://daypass:hunter2@db/daypass"),
    ];
    let errors = parse("daypass.toml", HEAD, Mode::Production, &variables).unwrap_err();
    assert!(!errors.to_string().contains("hunter2"));
    assert_snapshot!(errors, @r#"
    DAYPASS__SERVER__LISTEN: `0.0.0.0:80` is reached from other machines, and credentials would travel in clear
      hint: listen on 127.0.0.1, or give it a certificate: tls = { certificate = "chain.pem", key = "key.pem" }, or end TLS in a proxy and declare it: behind_proxy = ["10.0.0.0/8"], or proxy_protocol if it sends PROXY headers

    DAYPASS__SERVER__LISTN: no such override; did you mean `DAYPASS__SERVER__LISTEN`?

    DAYPASS__TENANT__NAME: no such override
      hint: the overrides are `DAYPASS__SERVER__LISTEN`, `DAYPASS__SERVER__PUBLIC_URL`, `DAYPASS__STORE__URL`

    DAYPASS__STORE__URL: the store's address carries a password, which belongs in a file of its own
      hint: postgres://daypass@db.example.com/daypass, and below it password = { file = "/path" }
    "#);
    let text = "server = 1\n[store]\nurl = \"sqlite:/d\"\n[seal]\nkey = { env = \"K\" }\n";
    let errors = parse("daypass.toml", text, Mode::Production, &variables[..1]).unwrap_err();
    assert_snapshot!(errors, @"
    daypass.toml:1:10: `server` must be a table, and is an integer
    1 | server = 1
      |          ^
    ");
}

#[test]
fn the_empty_list_of_tenants_and_a_wide_role_deserve_a_look() {
    assert_snapshot!(warned(HEAD), @"daypass.toml:1:1: warning: there is no `[[tenant]]`, and so nothing to hand out");
    let lax = TENANT
        .replace("default = \"30m\", max = \"2h\"", "default = \"2h\", max = \"13h\"")
        .replace("answer = ", "#");
    let tail = format!(
        "{lax}{}",
        r#"
[[endpoint]]
dialect = "tencent.getAuthorization"
path = "/getAuthorization"
tenant = "acme"
role = "soe"
origins = ["https://lesson.example.com"]
caller = { session = { cookie = "sid", whoami = "http://127.0.0.1:8000/whoami" } }
[[endpoint]]
dialect = "alibaba.top"
path = "/router/rest"
tenant = "acme"
route = [{ product_code = "oss", scene_code = "app", usage_scene = "up", role = "upload" }]
"#
    );
    assert_snapshot!(warned(&with(&tail).replace("[store]", "public_url = \"http://pass.example.com\"\n[store]")), @r#"
    daypass.toml:1:1: warning: `unsigned-payload` and the older signature `v1` are accepted by Tencent's STS API, because vendors' clients send them
    1 | [server]
      | ^^^^^^^^
      hint: where all clients sign whole requests with TC3-HMAC-SHA256: refuse = ["unsigned-payload", "v1"] in [server]; for one: daypass client refuse

    daypass.toml:3:14: warning: over `http` everyone on the way can read the credentials
    3 | public_url = "http://pass.example.com"
      |              ^^^^^^^^^^^^^^^^^^^^^^^^^

    daypass.toml:14:36: warning[lifetime]: Tencent Cloud's temporary credentials seldom live longer than 12h
    14 | lifetime = { default = "2h", max = "13h" }
       |                                    ^^^^^
      hint: max = "12h", unless whoever gets them is known to need more: the vendor's AssumeRole gives twelve hours at most, and GetFederationToken two with a root key

    daypass.toml:16:19: warning: the role allows every resource: SOE has no resource-level rights
    16 | wildcard_reason = "SOE has no resource-level rights"
       |                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    daypass.toml:36:8: warning: credentials in a browser should live at most 30m, and `soe` gives 2h
    36 | role = "soe"
       |        ^^^^^

    daypass.toml:41:8: warning: `sign_method` md5 and hmac are accepted here, because vendors' SDKs send them by default
    41 | path = "/router/rest"
       |        ^^^^^^^^^^^^^^
      hint: where all clients sign with hmac-sha256: refuse = ["md5"] in [server]; for one: daypass client refuse

    daypass.toml:43:81: warning: `upload` has no `end_point_public` in its `answer`, and clients are told none
    43 | route = [{ product_code = "oss", scene_code = "app", usage_scene = "up", role = "upload" }]
       |                                                                                 ^^^^^^^^

    daypass.toml:43:81: warning: `upload` has no `end_point_internal` in its `answer`, and clients are told none
    43 | route = [{ product_code = "oss", scene_code = "app", usage_scene = "up", role = "upload" }]
       |                                                                                 ^^^^^^^^
    "#);
}

/// A tenant's roles that share an audience are one token.
#[test]
fn roles_of_one_audience_may_agree() {
    let more = "[[tenant.role]]\nname = \"orders-2\"\naudience = \"d6b7c858-55fa-4d04-85a6-131af690abd4\"\nroles = [\"orders.write\"]\n";
    assert_eq!(production(&with_tenant(more)).unwrap().plan("").roles.len(), 5);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text: String) {
        let _ = production(&text);
    }

    /// A good file with a piece cut out or put in: near enough to one that the readers behind the parser see it.
    #[test]
    fn a_damaged_file_is_read_or_refused(start: prop::sample::Index, length in 0_usize..60, put in "[ -~\n]{0,12}|中|\u{0}") {
        let text = switched_on();
        let boundary = |at: usize| (0..=at).rev().find(|n| text.is_char_boundary(*n)).unwrap_or(0);
        let start = boundary(start.index(text.len()));
        let end = boundary((start + length).min(text.len()));
        let damaged = format!("{}{put}{}", &text[..start], &text[end..]);
        if let Err(errors) = production(&damaged) {
            prop_assert!(!errors.to_string().is_empty());
            prop_assert!(errors.to_json().as_array().is_some_and(|list| !list.is_empty()));
        }
    }

    /// Every value of a good file in the place of every other: types, references and sections all wrong.
    #[test]
    fn a_value_of_another_type_is_refused_or_read(line: prop::sample::Index, value in prop::sample::select(
        &["1", "true", "\"\"", "[]", "{}", "[[]]", "[{}]", "1979-05-27", "1.5", "{ a = 1 }", "[1]", "-99999999999999999999"][..])
    ) {
        let text = switched_on();
        let assignments: Vec<_> = text.lines().filter(|line| line.contains(" = ") && !line.starts_with('#')).collect();
        let line = assignments[line.index(assignments.len())];
        let key = line.split(" = ").next().unwrap_or_default();
        let _ = production(&text.replace(line, &format!("{key} = {value}")));
    }
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    for text in [
        format!("a = {}", "[".repeat(100_000)),
        format!("{}a = 1", "a.".repeat(100_000)),
        format!("[{}a]", "a.".repeat(100_000)),
    ] {
        assert!(production(&text).is_err());
    }
}
