//! Endpoints, providers and trusts that are accepted, and what they become.

use super::bad_endpoints::BROWSER;
use super::*;
use daypass_core::client::Refuses;
use daypass_core::endpoint::{
    CallerRule, Carrier, DialectName, Endpoint, JwtRule, Quota, SessionRule, Shape, TicketRule, Whence,
};
use daypass_core::net::IpNet;
use daypass_core::provider::{self, KeySource};
use insta::assert_snapshot;
use std::sync::Arc;

const PROVIDER: &str = r#"[[tenant.provider]]
name = "corp"
issuer = "https://login.example.com/"
audience = "daypass"
"#;

/// The only endpoint of this file.
fn endpoint(text: &str) -> Arc<Endpoint> {
    let loaded = production(text).unwrap_or_else(|errors| panic!("refused:\n{errors}"));
    let [endpoint] = &loaded.plan("").endpoints[..] else { panic!("one endpoint") };
    endpoint.clone()
}

/// The browser's endpoint with these ways of knowing a caller.
fn callers(caller: &str) -> Vec<CallerRule> {
    let kept: Vec<_> = BROWSER.lines().filter(|line| !line.starts_with("caller")).collect();
    endpoint(&with_tenant(&format!("{PROVIDER}{}\n{caller}\n", kept.join("\n")))).callers.clone()
}

#[test]
fn a_session_has_a_time_limit_and_a_short_memory() {
    let rule = SessionRule {
        carrier: Carrier::Cookie("sid".into()),
        whoami: "http://127.0.0.1:8000/whoami".into(),
        timeout_ms: 2000,
        cache: 5,
    };
    let given =
        callers("caller = { session = { cookie = \"sid\", whoami = \"http://127.0.0.1:8000/whoami\" } }");
    assert_eq!(given, [CallerRule::Session(rule.clone())]);
    let given = callers(
        "[endpoint.caller.session]\nheader = \"X-Session\"\nwhoami = \"https://app.example.com/w?a=1\"\ntimeout = \"50ms\"\ncache = \"0s\"",
    );
    let other = SessionRule {
        carrier: Carrier::Header("x-session".into()),
        whoami: "https://app.example.com/w?a=1".into(),
        timeout_ms: 50,
        cache: 0,
    };
    assert_eq!(given, [CallerRule::Session(other)]);
}

#[test]
fn a_ticket_carries_as_far_as_is_written() {
    let ticket = |refreshes, refresh_for| [CallerRule::Ticket(TicketRule { refreshes, refresh_for })];
    assert_eq!(callers("caller = { ticket = {} }"), ticket(0, 0));
    assert_eq!(
        callers("caller = { ticket = { refreshes = 1000, refresh_for = \"24h\" } }"),
        ticket(1000, 86_400)
    );
}

#[test]
fn several_ways_may_stand_beside_each_other() {
    let given = callers(
        "[endpoint.caller]\nticket = {}\njwt = { provider = \"corp\" }\nsession = { cookie = \"sid\", whoami = \"http://localhost/\" }",
    );
    let [CallerRule::Session(_), CallerRule::Ticket(_), CallerRule::Jwt(jwt)] = &given[..] else {
        panic!("{given:?}")
    };
    assert_eq!(jwt, &JwtRule { provider: "corp".into() });
}

#[test]
fn a_quota_has_a_standard_outside_dev() {
    let quota = |line: &str| endpoint(&with_tenant(&format!("{BROWSER}{line}\n"))).quota;
    let standard = Quota { subject: Some(60), address: Some(600), endpoint: None };
    assert_eq!(quota(""), standard);
    assert_eq!(quota("quota = { endpoint = 1000000 }"), Quota { endpoint: Some(1_000_000), ..standard });
    assert_eq!(
        quota("quota = { subject = 1, address = 2 }"),
        Quota { subject: Some(1), address: Some(2), endpoint: None }
    );
    let dev = |line: &str| {
        let text = with_tenant(&format!("{BROWSER}{line}\n"));
        parse("daypass.toml", &text, Mode::Dev, &[]).unwrap().plan("").endpoints[0].quota
    };
    assert_eq!(dev(""), Quota::default());
    assert_eq!(dev("quota = { subject = 1 }"), Quota { subject: Some(1), ..Quota::default() });
}

#[test]
fn an_answer_has_a_shape() {
    let shape = |line: &str| endpoint(&with_tenant(&format!("{BROWSER}{line}\n"))).shape;
    assert_eq!(
        [shape(""), shape("shape = \"tencent\""), shape("shape = \"cos\"")],
        [Shape::Tencent, Shape::Tencent, Shape::Cos]
    );
}

#[test]
fn apps_need_no_origin() {
    let text = BROWSER.replace("origins = [\"https://lesson.example.com\"]\n", "");
    assert_eq!(endpoint(&with_tenant(&text)).origins, [""; 0]);
}

#[test]
fn what_anyone_may_have_is_pointed_out() {
    let text = BROWSER.replace(
        "caller = { session = { cookie = \"sid\", whoami = \"http://127.0.0.1:8000/whoami\" } }",
        "quota = { address = 60, endpoint = 6000 }\ncaller = { anonymous = { reason = \"公开演示\" } }",
    );
    let text =
        with_tenant(&text).replace("default = \"30m\", max = \"2h\"", "default = \"15m\", max = \"15m\"");
    assert_eq!(
        endpoint(&text).callers,
        [CallerRule::Anonymous { reason: "公开演示".into(), whence: Whence::Pages }]
    );
    assert_snapshot!(warned(&text), @r#"
    daypass.toml:1:1: warning: `unsigned-payload` and the older signature `v1` are accepted by Tencent's STS API, because vendors' clients send them
    1 | [server]
      | ^^^^^^^^
      hint: where all clients sign whole requests with TC3-HMAC-SHA256: refuse = ["unsigned-payload", "v1"] in [server]; for one: daypass client refuse

    daypass.toml:15:19: warning: the role allows every resource: SOE has no resource-level rights
    15 | wildcard_reason = "SOE has no resource-level rights"
       |                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    daypass.toml:37:35: warning: anyone may have these credentials: 公开演示
    37 | caller = { anonymous = { reason = "公开演示" } }
       |                                   ^^^^^^^^^^
    "#);
}

/// An endpoint for SDKs on the same host.
pub(super) const NEARBY: &str = r#"[[tenant.role]]
name = "agent"
policy = { ram = '{"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:GetObject"],"Resource":["acs:oss:*:*:b/agent/*"]}]}' }
[[endpoint]]
dialect = "alibaba.credentials"
path = "/credentials"
tenant = "acme"
role = "agent"
quota = { address = 600, endpoint = 6000 }
caller = { anonymous = { reason = "agents on this host", networks = ["127.0.0.1", "::1"] } }
"#;

#[test]
fn sdks_of_a_network_need_neither_a_page_nor_a_proof() {
    let text = with_tenant(NEARBY);
    let given = endpoint(&text);
    assert_eq!((given.dialect, given.shape), (DialectName::AlibabaCredentials, Shape::CredentialsUri));
    assert_eq!(given.origins, [""; 0]);
    let networks = ["127.0.0.1", "::1"].map(|net| net.parse().unwrap()).to_vec();
    let rule =
        CallerRule::Anonymous { reason: "agents on this host".into(), whence: Whence::Networks(networks) };
    assert_eq!(given.callers, [rule]);
    let warned = warned(&text);
    assert!(
        warned
            .contains("whoever is in one of these networks may have these credentials: agents on this host")
    );
    assert!(!warned.contains("anyone may have"), "{warned}");
    let dev = parse("daypass.toml", &text, Mode::Dev, &[]).unwrap().plan("").endpoints[0].clone();
    assert_eq!(dev.callers, given.callers, "`dev` keeps to the networks that are written down");
}

#[test]
fn a_proxy_among_those_who_need_no_proof_is_pointed_out() {
    let behind = |proxy: &str| {
        let proxied =
            format!("[server]\npublic_url = \"https://pass.example.com\"\nbehind_proxy = [\"{proxy}\"]");
        warned(&with_tenant(NEARBY).replacen("[server]", &proxied, 1))
    };
    for near in ["127.0.0.1", "127.0.0.0/8", "::1"] {
        let near = near.parse::<IpNet>().unwrap();
        let said = format!(
            "the proxy {near} of `behind_proxy` stands in a network that `/credentials` serves without a proof"
        );
        assert!(behind(&near.to_string()).contains(&said), "{said}");
    }
    assert!(!behind("10.0.0.0/8").contains("behind_proxy"), "{}", behind("10.0.0.0/8"));
}

#[test]
fn the_url_of_sdks_knows_its_callers_in_every_way() {
    let ways = "[endpoint.caller]\nticket = {}\njwt = { provider = \"corp\" }\nsession = { cookie = \"sid\", whoami = \"http://localhost/\" }";
    let text = NEARBY
        .lines()
        .filter(|line| !line.starts_with("caller"))
        .chain(["origins = [\"https://lesson.example.com\"]", "shape = \"oss_mobile\"", ways])
        .collect::<Vec<_>>()
        .join("\n");
    let given = endpoint(&with_tenant(&format!("{PROVIDER}{text}\n")));
    assert_eq!((given.callers.len(), given.shape), (3, Shape::OssMobile));
}

#[test]
fn a_credential_that_an_sdk_would_renew_at_once_is_pointed_out() {
    let short = with_tenant(
        &NEARBY
            .replace("name = \"agent\"", "name = \"agent\"\nlifetime = { default = \"15m\", max = \"1h\" }"),
    );
    assert!(
        warned(&short).contains(
            "alibabacloud-credentials asks again when 15m are left of a credential, and `agent` gives 15m"
        ),
        "{}",
        warned(&short)
    );
    for fine in [
        short.replace("default = \"15m\"", "default = \"16m\""),
        short.replace("quota =", "shape = \"oss_mobile\"\nquota ="),
    ] {
        assert!(!warned(&fine).contains("asks again"), "{}", warned(&fine));
    }
}

#[test]
fn a_provider_s_keys_are_found_where_nothing_is_said() {
    let plan = |more: &str| production(&with_tenant(&format!("{PROVIDER}{more}"))).unwrap().plan("");
    let corp = plan("").providers[0].clone();
    assert!(matches!(corp.keys, KeySource::Discovery));
    assert_eq!((corp.tenant.as_str(), corp.issuer.as_str()), ("acme", "https://login.example.com/"));
    assert_eq!((corp.audiences.as_slice(), corp.subject.as_str()), (&["daypass".to_owned()][..], "sub"));
    assert!(corp.variables.is_empty());
    let corp = plan("jwks = \"http://127.0.0.1:9000/keys\"\nsubject = \"email\"\nvariables = { class = \"https://example.com/class\" }\n").providers[0].clone();
    assert!(matches!(&corp.keys, KeySource::Url(url) if url == "http://127.0.0.1:9000/keys"));
    assert_eq!(
        (corp.subject.as_str(), corp.variables["class"].as_str()),
        ("email", "https://example.com/class")
    );
}

#[test]
fn a_provider_that_nothing_names_is_pointed_out() {
    let with_clients = with_tenant(&format!("{PROVIDER}{BROWSER}"));
    // The keys of OAuth clients are in the store, and any of them may name it.
    assert!(!warned(&with_clients).contains("nothing believes"), "{}", warned(&with_clients));
    let api = "[[tenant.role]]\nname = \"orders\"\naudience = \"d6b7c858-55fa-4d04-85a6-131af690abd4\"\nroles = [\"orders.read\"]\n";
    let text = with_clients.replace(api, "");
    assert!(
        warned(&text).contains("daypass.toml:27:8: warning: nothing believes the provider `corp`"),
        "{}",
        warned(&text)
    );
    let named = text.replace("caller = { ", "caller = { jwt = { provider = \"corp\" }, ");
    assert!(!warned(&named).contains("nothing believes"), "{}", warned(&named));
}

#[test]
fn a_file_of_keys_starts_at_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("keys.json"), KEYS).unwrap();
    let file = directory.path().join("daypass.toml");
    let text = with_tenant(&format!("{PROVIDER}jwks = {{ file = \"keys.json\" }}\n"));
    let loaded = parse(file.to_str().unwrap(), &text, Mode::Production, &[])
        .unwrap_or_else(|errors| panic!("{errors}"));
    let KeySource::Inline(keys) = loaded.plan("").providers[0].keys.clone() else { panic!("not read") };
    assert!(keys.has("ed") && !keys.has("other"));
}

/// RFC 8037, appendix A.2, with an id.
const KEYS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"ed","use":"sig","alg":"EdDSA","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

#[test]
fn a_role_may_be_assumed_from_outside() {
    let more = "[[tenant.role]]\nname = \"deploy\"\npolicy = { cam = '{\"version\":\"2.0\",\"statement\":{\"effect\":\"allow\",\"action\":[\"soe:Transmit\"],\"resource\":\"qcs::soe:::a\"}}' }\nexternal_id = \"A1_+=,.@:/-\"\ntrust = [{ provider = \"corp\", subject = [\"repo:acme/*\", \"ann\"] }]\n";
    let plan = production(&with_tenant(&format!("{PROVIDER}{more}")))
        .unwrap_or_else(|errors| panic!("{errors}"))
        .plan("");
    let deploy = plan.roles.iter().find(|role| role.name == "deploy").unwrap();
    assert_eq!(deploy.external_id.as_deref(), Some("A1_+=,.@:/-"));
    let [trust] = &deploy.trusts[..] else { panic!("one trust") };
    let subjects: Vec<_> = trust.subjects.iter().map(ToString::to_string).collect();
    assert_eq!(
        (trust.provider.as_str(), subjects),
        ("corp", vec!["repo:acme/*".to_owned(), "ann".to_owned()])
    );
    let one = more.replace("[\"repo:acme/*\", \"ann\"]", "\"ann\"");
    assert!(production(&with_tenant(&format!("{PROVIDER}{one}"))).is_ok());
}

/// `AssumeRole` and its way with an OpenID token are in both vendors' APIs.
#[test]
fn a_role_in_either_language_trusts_outside_subjects() {
    let text = with_tenant(&format!(
        "{PROVIDER}[[tenant.role]]\nname = \"agent\"\npolicy = {{ ram = '{{\"Version\":\"1\",\"Statement\":[{{\"Effect\":\"Allow\",\"Action\":\"oss:GetObject\",\"Resource\":\"acs:oss:*:*:b/{{subject}}/*\"}}]}}' }}\nvariables = {{ subject = \"slug\" }}\nexternal_id = \"x7\"\ntrust = [{{ provider = \"corp\", subject = \"ann\" }}]\n"
    ));
    let loaded = production(&text).unwrap_or_else(|errors| panic!("refused:\n{errors}"));
    let plan = loaded.plan("");
    let agent = plan.roles.iter().find(|role| role.name == "agent").unwrap();
    assert_eq!((agent.trusts.len(), agent.external_id.as_deref()), (1, Some("x7")));
    assert_eq!(agent.trusts[0].provider, "corp");
}

#[test]
fn weak_proofs_can_be_refused_for_everyone() {
    let refuse = |list: &str| {
        let text = with("").replace("[store]", &format!("refuse = {list}\n[store]"));
        production(&text).unwrap().plan("").refuses
    };
    assert_eq!(refuse("[]"), Refuses::default());
    assert_eq!(refuse("[\"v1\"]"), Refuses { v1: true, ..Refuses::default() });
    let all = Refuses { unsigned_payload: true, md5: true, v1: true };
    assert_eq!(refuse("[\"md5\", \"unsigned-payload\", \"v1\"]"), all);
    let sts = |list: &str| {
        let refuse = format!("refuse = {list}\n[store]");
        warned(&with_tenant("").replace("[store]", &refuse)).lines().next().unwrap_or_default().to_owned()
    };
    assert_snapshot!(sts("[]"), @"daypass.toml:1:1: warning: `unsigned-payload` and the older signature `v1` are accepted by Tencent's STS API, because vendors' clients send them");
    assert!(sts("[\"v1\"]").contains("warning: `unsigned-payload` is accepted"));
    assert!(sts("[\"unsigned-payload\"]").contains("warning: the older signature `v1` is accepted"));
    assert!(!sts("[\"v1\", \"unsigned-payload\"]").contains("Tencent's STS API"));
    assert!(!warned(&with("")).contains("Tencent's STS API"), "there is no role to hand out by it");
    let top = "[[endpoint]]\ndialect = \"alibaba.top\"\npath = \"/router/rest\"\ntenant = \"acme\"\nroute = [{ product_code = \"oss\", scene_code = \"app\", usage_scene = \"up\", role = \"upload\" }]\n";
    let text = with_tenant(top);
    assert!(warned(&text).contains("md5 and hmac are accepted"));
    assert!(!warned(&text.replace("[store]", "refuse = [\"md5\"]\n[store]")).contains("md5"));
}

#[test]
fn a_provider_is_rationed_where_nothing_is_said() {
    let quota = |more: &str| {
        let text = with_tenant(&PROVIDER.replacen("name =", &format!("{more}\nname ="), 1));
        production(&text).unwrap_or_else(|errors| panic!("{errors}")).plan("").providers[0].quota
    };
    let standard = provider::Quota { subject: Some(600), address: Some(6000), provider: None };
    assert_eq!(quota(""), standard);
    assert_eq!(quota("quota = { provider = 9 }"), provider::Quota { provider: Some(9), ..standard });
    assert_eq!(
        quota("quota = { subject = 1, address = 1000000 }"),
        provider::Quota { subject: Some(1), address: Some(1_000_000), provider: None }
    );
}
