//! Clouds behind Daypass: what is read of them, and what roles may promise on their behalf.

use super::*;
use daypass_core::upstream::{Brokering, Budget, Cloud, RootProof, RootSource, TokenCarrier};
use insta::assert_snapshot;
use std::os::unix::fs::PermissionsExt as _;

/// A file with these issuers before a tenant with this one role.
fn file(issuers: &str, role: &str) -> String {
    let tenant = TENANT.lines().take(4).collect::<Vec<_>>().join("\n");
    with(&format!("{issuers}\n{tenant}\n[[tenant.role]]\nname = \"r\"\n{role}\n"))
}

const TENCENT: &str = "[[issuer]]\nname = \"main\"\nkind = \"tencent\"\nregion = \"ap-guangzhou\"\n";
const ALIBABA: &str = "[[issuer]]\nname = \"main\"\nkind = \"alibaba\"\n";
const ENTRA: &str =
    "[[issuer]]\nname = \"main\"\nkind = \"entra\"\ntenant = \"contoso.partner.onmschina.cn\"\n";
const WEIXIN: &str = "[[issuer]]\nname = \"main\"\nkind = \"oauth\"\nurl = \"https://api.weixin.qq.com/cgi-bin/token\"\nsend = \"query\"\nid = \"appid\"\nsecret = \"secret\"\nparameters = { grant_type = \"client_credential\" }\none_live = true\n";
const CAM: &str = r#"issuer = "main"
policy = { cam = '{"version":"2.0","statement":{"effect":"allow","action":["cos:PutObject"],"resource":["qcs::cos:ap-guangzhou:uid/1250000000:b-1250000000/a/*"]}}' }"#;
const RAM: &str = r#"issuer = "main"
policy = { ram = '{"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:PutObject"],"Resource":["acs:oss:*:*:b/a/*"]}]}' }"#;
const AUDIENCE: &str = "issuer = \"main\"\naudience = \"api://orders\"\nroles = [\"orders.read\"]";

fn good(issuers: &str, role: &str) -> Loaded {
    production(&file(issuers, role)).unwrap_or_else(|errors| panic!("refused:\n{errors}"))
}

#[test]
fn each_kind_is_read_with_its_own_keys() {
    let upstream = |issuers: &str, role: &str| (*good(issuers, role).plan("").upstreams[0]).clone();
    let tencent = upstream(TENCENT, CAM);
    assert_eq!(
        (tencent.url.as_str(), tencent.timeout_ms, tencent.budget),
        ("https://sts.tencentcloudapi.com", 5_000, Budget { per_second: 20, burst: 40 })
    );
    assert_eq!(tencent.cloud, Cloud::Tencent { region: "ap-guangzhou".into(), unsigned_payload: false });
    assert!(matches!(tencent.root, RootSource::Stored), "without `root_key` the store has it");

    let more = "unsigned_payload = true\nurl = \"http://127.0.0.1:9/\"\ntimeout = \"900ms\"\nbudget = { per_second = 3 }\naccount = \"100000000001\"\nroot_key = { env = \"ROOT\" }\n";
    let tencent = upstream(&format!("{TENCENT}{more}"), CAM);
    assert_eq!(tencent.cloud, Cloud::Tencent { region: "ap-guangzhou".into(), unsigned_payload: true });
    assert_eq!((tencent.url.as_str(), tencent.timeout_ms), ("http://127.0.0.1:9/", 900));
    assert_eq!(tencent.budget, Budget { per_second: 3, burst: 40 });
    assert_eq!(tencent.account.as_deref(), Some("100000000001"));
    assert!(matches!(tencent.root, RootSource::Unread), "named, and not looked at");

    let assume = format!("{RAM}\nupstream = {{ assume = \"acs:ram::100000000001:role/r\" }}");
    assert_eq!(upstream(ALIBABA, &assume).url, "https://sts.aliyuncs.com");
    let entra = upstream(ENTRA, AUDIENCE);
    assert_eq!(entra.url, "https://login.partner.microsoftonline.cn");
    assert_eq!(entra.cloud, Cloud::Entra { tenant: "contoso.partner.onmschina.cn".into() });
    let Cloud::OAuth(call) = upstream(WEIXIN, AUDIENCE).cloud else { panic!("oauth") };
    assert!(call.one_live && call.carrier == TokenCarrier::Query);
    assert_eq!((call.id.as_str(), call.parameters["grant_type"].as_str()), ("appid", "client_credential"));
}

#[test]
fn a_role_says_how_it_is_brokered() {
    let role =
        "upstream = { assume = \"qcs::cam::uin/1:roleName/r\", shared = true, min_remaining = \"2m\" }";
    let loaded = good(TENCENT, &format!("{CAM}\nlifetime = {{ default = \"1h\", max = \"12h\" }}\n{role}"));
    let expected = Brokering {
        assume: Some("qcs::cam::uin/1:roleName/r".into()),
        scope: None,
        shared: true,
        min_remaining: Some(120),
    };
    let role = loaded.plan("").roles[0].clone();
    assert_eq!((role.issuer.as_str(), &role.brokering), ("main", &expected));
}

#[test]
fn a_root_key_is_read_where_calls_are_made_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root");
    let at = |text: &str| {
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let issuer = format!("{TENCENT}root_key = {{ file = \"{}\" }}\n", path.display());
        good(&issuer, CAM).calling_plan("").map(|plan| plan.upstreams[0].clone())
    };
    let upstream = at("AKIDroot:hidden\n").unwrap();
    let RootSource::Configured(key) = &upstream.root else { panic!("read") };
    assert!(matches!(&key.proof, RootProof::Secret(secret) if secret.expose() == b"hidden"));
    assert!(!format!("{upstream:?}").contains("hidden"));
    let refused = at("hidden-without-an-id").unwrap_err().to_string();
    assert!(refused.contains("a root key is `ID:SECRET`") && !refused.contains("hidden"), "{refused}");
}

#[test]
fn an_issuer_that_cannot_be_meant_is_refused() {
    assert_snapshot!(refused(&file("[[issuer]]\nname = \"main\"\nkind = \"tencnt\"", CAM)), @r#"
    daypass.toml:9:8: there is no kind of issuer `tencnt`; did you mean `tencent`?
    9 | kind = "tencnt"
      |        ^^^^^^^^
    "#);
    assert_snapshot!(refused(&file("[[issuer]]\nname = \"local\"\nkind = \"top\"\nurl = \"https://a\"", RAM)), @r#"
    daypass.toml:8:8: the issuer `local` is Daypass itself, and needs no declaration
    8 | name = "local"
      |        ^^^^^^^

    daypass.toml:17:10: there is no issuer `main`
    17 | issuer = "main"
       |          ^^^^^^
      hint: there is `local`
    "#);
    assert_snapshot!(refused(&file(&format!("{ENTRA}region = \"x\"\none_live = true"), AUDIENCE)), @r#"
    daypass.toml:11:1: `region` belongs to an issuer of kind `tencent`
    11 | region = "x"
       | ^^^^^^

    daypass.toml:12:1: `one_live` belongs to an issuer of kind `oauth`
    12 | one_live = true
       | ^^^^^^^^
    "#);
    assert_snapshot!(refused(&file(&format!("{TENCENT}url = \"http://example.com\""), CAM)), @r#"
    daypass.toml:11:7: over `http` anyone on the way could answer in its place
    11 | url = "http://example.com"
       |       ^^^^^^^^^^^^^^^^^^^^
      hint: use https, or an address on this machine, such as http://127.0.0.1:8000
    "#);
    assert_snapshot!(refused(&file(&format!("{TENCENT}url = \"https://example.com/?a=b\""), CAM)), @r#"
    daypass.toml:11:1: the URL of an issuer has no query; what belongs there is made for each question
    11 | url = "https://example.com/?a=b"
       | ^^^
    "#);
    assert_snapshot!(refused(&file(&format!("{TENCENT}root_key = \"AKID:secret\""), CAM)), @r#"
    daypass.toml:11:12: a secret does not stand in this file; `root_key` says where it is kept
    11 | root_key = •••••••••••••
       |            ^^^^^^^^^^^^^
      hint: { file = "/path" }, { env = "NAME" } or { credential = "NAME" }
    "#);
    assert_snapshot!(refused(&file(&format!("{TENCENT}budget = {{ per_second = 0 }}"), CAM)), @r"
    daypass.toml:11:25: `per_second` is 1 to 10000 calls
    11 | budget = { per_second = 0 }
       |                         ^
    ");
    assert_snapshot!(refused(&file("[[issuer]]\nname = \"main\"\nkind = \"tencent\"\nregion = \"Guangzhou!\"", CAM)), @r#"
    daypass.toml:10:10: `Guangzhou!` is no region
    10 | region = "Guangzhou!"
       |          ^^^^^^^^^^^^
      hint: such as region = "ap-guangzhou"
    "#);
    assert_snapshot!(refused(&file(&WEIXIN.replace("query", "carrier"), AUDIENCE)), @r#"
    daypass.toml:11:8: there is no way `carrier` to send parameters
    11 | send = "carrier"
       |        ^^^^^^^^^
      hint: there is `query`, `form`, `json`, `basic`
    "#);
}

#[test]
fn a_role_promises_no_more_than_its_cloud_can_do() {
    assert_snapshot!(refused(&file(TENCENT, RAM)), @r#"
    daypass.toml:19:1: the issuer `main` takes policies in the language `cam`, and this is the other one
    19 | policy = { ram = '{"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:PutObject"],"Resource…
       | ^^^^^^
    "#);
    assert_snapshot!(refused(&file(TENCENT, AUDIENCE)), @r#"
    daypass.toml:19:1: the issuer `main` gives signing credentials and no access tokens
    19 | audience = "api://orders"
       | ^^^^^^^^
    "#);
    assert_snapshot!(refused(&file(ENTRA, CAM)), @r#"
    daypass.toml:19:1: the issuer `main` gives access tokens and no signing credentials
    19 | policy = { cam = '{"version":"2.0","statement":{"effect":"allow","action":["cos:PutObject"],"resourc…
       | ^^^^^^
    "#);
    assert_snapshot!(refused(&file(TENCENT, &format!("{CAM}\nlifetime = {{ default = \"1h\", max = \"3h\" }}"))), @r#"
    daypass.toml:20:1: the role gives up to 3h, and `main` at most 2h
    20 | lifetime = { default = "1h", max = "3h" }
       | ^^^^^^^^
      hint: max = "2h", or take a role by `assume`, which lives longer
    "#);
    let short =
        "lifetime = { default = \"10m\", max = \"1h\" }\nupstream = { assume = \"acs:ram::1:role/r\" }";
    assert_snapshot!(refused(&file(ALIBABA, &format!("{RAM}\n{short}"))), @r#"
    daypass.toml:19:1: the role gives 10m, and `main` no less than 15m
    19 | lifetime = { default = "10m", max = "1h" }
       | ^^^^^^^^
      hint: default = "15m"
    "#);
    assert_snapshot!(refused(&file(ALIBABA, RAM)), @r#"
    daypass.toml:15:1: Alibaba Cloud gives temporary credentials of a RAM role only, and the role names none
    15 | [[tenant.role]]
       | ^^^^^^^^^^^^^^^
      hint: upstream = { assume = "acs:ram::ACCOUNT:role/NAME" }
    "#);
    assert_snapshot!(refused(&file(ALIBABA, &format!("{RAM}\nupstream = {{ assume = \"qcs::cam::uin/1:roleName/r\" }}"))), @r#"
    daypass.toml:19:1: `assume` is a role of another cloud than `main`
    19 | upstream = { assume = "qcs::cam::uin/1:roleName/r" }
       | ^^^^^^^^
    "#);
    assert_snapshot!(refused(&file(TENCENT, &format!("{CAM}\nupstream = {{ min_remaining = \"30m\" }}"))), @r#"
    daypass.toml:20:1: with `min_remaining` of 30m, no credential of 30m could ever be handed out twice
    20 | upstream = { min_remaining = "30m" }
       | ^^^^^^^^
    "#);
    assert_snapshot!(refused(&file(ENTRA, &format!("{AUDIENCE}\nalgorithm = \"ES256\""))), @r#"
    daypass.toml:21:1: `algorithm` is of tokens that Daypass signs; `main` makes these
    21 | algorithm = "ES256"
       | ^^^^^^^^^
    "#);
    assert_snapshot!(refused(&file("", &format!("{}\nupstream = {{ shared = true }}", CAM.replace("main", "local")))), @r"
    daypass.toml:16:1: `upstream` belongs to a role whose `issuer` is a cloud; this one is made by Daypass itself
    16 | upstream = { shared = true }
       | ^^^^^^^^
    ");
    assert_snapshot!(refused(&file(TENCENT, &CAM.replace("main", "mian"))), @r#"
    daypass.toml:18:10: there is no issuer `mian`; did you mean `main`?
    18 | issuer = "mian"
       |          ^^^^^^
    "#);
}

#[test]
fn one_live_token_has_one_scope() {
    let second =
        "[[tenant.role]]\nname = \"s\"\nissuer = \"main\"\naudience = \"api://stock\"\nroles = [\"r\"]\n";
    let scoped = |scope: &str| format!("{AUDIENCE}\n{scope}\n{second}");
    assert!(production(&file(WEIXIN, &scoped(""))).is_ok());
    let other = scoped("upstream = { scope = \"wide\" }");
    assert_snapshot!(refused(&file(WEIXIN, &other)), @r#"
    daypass.toml:28:8: `main` has one live token for everyone, and `s` asks for another scope of it than `r`
    28 | name = "s"
       |        ^^^
    "#);
    let plain = WEIXIN.replace("one_live = true\n", "");
    assert!(production(&file(&plain, &other)).is_ok(), "each has a token of its own");
}

#[test]
fn visitors_whom_nobody_knows_share_what_a_cloud_makes() {
    let endpoint = "[[endpoint]]\ndialect = \"tencent.getAuthorization\"\npath = \"/getAuthorization\"\ntenant = \"acme\"\nrole = \"r\"\norigins = [\"https://lesson.example.com\"]\ncaller = { anonymous = { reason = \"a public page\" } }\nquota = { address = 10, endpoint = 100 }\n";
    let life = "lifetime = { default = \"10m\", max = \"10m\" }";
    let said = |role: &str| {
        let text = file(TENCENT, &format!("{CAM}\n{life}\n{role}\n{endpoint}"));
        warned(&text)
    };
    assert!(said("").contains("visitors whom nobody knows get one credential of `main` between them"));
    assert!(!said("upstream = { shared = true }").contains("visitors whom nobody knows"));
}
