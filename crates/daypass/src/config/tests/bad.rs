//! Faults outside roles and endpoints.

use super::*;
use insta::assert_snapshot;

#[test]
fn syntax() {
    assert_snapshot!(refused("[server]\nlisten = 127.0.0.1:5050\npublic_url = 'x\n[store]\nurl = 1\nurl = 2\n"), @r#"
    daypass.toml:2:15: invalid float, expected nothing
    2 | listen = 127.0.0.1:5050
      |               ^^^^^^^^^
      hint: text stands in quotes: key = "text"

    daypass.toml:3:16: invalid literal string, expected `'`
    3 | public_url = 'x
      |                ^

    daypass.toml:6:1: duplicate key
    6 | url = 2
      | ^^^
    "#);
    assert_snapshot!(refused("[[tenant]\nname = \"a\"\n= 1\n"), @"
    daypass.toml:1:10: unclosed array table, expected `]`
    1 | [[tenant]
      |          ^

    daypass.toml:3:1: unquoted keys cannot be empty, expected letters, numbers, `-`, `_`
    3 | = 1
      | ^
    ");
}

#[test]
fn a_line_that_may_hold_a_secret_is_not_shown() {
    let errors = refused(&with("").replace("{ file = \"/seal.key\" }", "\"hunter2"));
    assert!(!errors.contains("hunter2"), "{errors}");
    assert_snapshot!(errors, @r#"
    daypass.toml:6:15: invalid basic string, expected `"`
    6 | ••••••••••••••
      |               ^
    "#);
}

#[test]
fn an_empty_file() {
    assert_snapshot!(refused(""), @"
    daypass.toml:1:1: the section `[server]` is missing
      hint: `daypass init` writes a file that has them all

    daypass.toml:1:1: the section `[store]` is missing
      hint: `daypass init` writes a file that has them all

    daypass.toml:1:1: the section `[seal]` is missing
      hint: `daypass init` writes a file that has them all
    ");
}

#[test]
fn unknown_keys_and_sections() {
    let text = r#"[server]
listn = "127.0.0.1:5050"
workers = 4
[store]
url = "sqlite:/d.db"
[seal]
key = { fil = "/seal.key" }
secret = "hunter2"
[[tenants]]
name = "acme"
"#;
    let errors = refused(text);
    assert!(!errors.contains("hunter2"), "{errors}");
    assert_snapshot!(errors, @r#"
    daypass.toml:1:1: `server` needs the key `listen`
    1 | [server]
      | ^^^^^^^^

    daypass.toml:2:1: unknown key `listn` in `server`; did you mean `listen`?
    2 | listn = "127.0.0.1:5050"
      | ^^^^^

    daypass.toml:3:1: unknown key `workers` in `server`
    3 | workers = 4
      | ^^^^^^^
      hint: the keys here are `listen`, `public_url`, `behind_proxy`, `proxy_protocol`, `client_certificate_header`, `client_certificate_chain`, `refuse`, `tls`, `mutual_tls`, `metrics`, `metrics_reason`, `control`, `log`

    daypass.toml:7:7: `key` needs exactly one of `file`, `env` and `credential`
    7 | key = { fil = ••••••••••• }
      |       ^^^^^^^^^^^^^^^^^^^^^

    daypass.toml:7:9: unknown key `fil` in `key`; did you mean `file`?
    7 | key = { fil = ••••••••••• }
      |         ^^^

    daypass.toml:8:1: unknown key `secret` in `seal`
    8 | secret = •••••••••
      | ^^^^^^
      hint: the keys here are `key`, `previous`, `next`

    daypass.toml:9:3: unknown key `tenants` in the file; did you mean `tenant`?
    9 | [[tenants]]
      |   ^^^^^^^
    "#);
}

#[test]
fn wrong_types() {
    let text = r#"[server]
listen = 5050
behind_proxy = "10.0.0.0/8"
public_url = ["https://pass.example.com"]
[store]
url = true
[seal]
key = 1979-05-27
[tenant]
name = "acme"
[[issuer]]
name = 99999999999999999999
kind = 1.5
root_key = { env = 1 }
"#;
    assert_snapshot!(refused(text), @r#"
    daypass.toml:2:10: `listen` must be a string, and is an integer
    2 | listen = 5050
      |          ^^^^

    daypass.toml:3:16: `behind_proxy` must be a list of strings, and is a string
    3 | behind_proxy = "10.0.0.0/8"
      |                ^^^^^^^^^^^^

    daypass.toml:4:14: `public_url` must be a string, and is a list
    4 | public_url = ["https://pass.example.com"]
      |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    daypass.toml:6:7: `url` must be a string, and is a boolean
    6 | url = true
      |       ^^^^

    daypass.toml:8:7: `key` must be a table, and is a date
    8 | key = 1979-05-27
      |       ^^^^^^^^^^

    daypass.toml:9:1: there can be several `tenant`
    9 | [tenant]
      | ^^^^^^^^
      hint: write [[tenant]]

    daypass.toml:12:8: `name` must be a string, and is an integer beyond 64 bits
    12 | name = 99999999999999999999
       |        ^^^^^^^^^^^^^^^^^^^^

    daypass.toml:13:8: `kind` must be a string, and is a fraction
    13 | kind = 1.5
       |        ^^^

    daypass.toml:14:20: `env` must be a string, and is an integer
    14 | root_key = { env = 1 }
       |                    ^
    "#);
}

#[test]
fn a_secret_in_the_file_is_refused_and_not_repeated() {
    let errors = refused(&with("").replace("{ file = \"/seal.key\" }", "\"hunter2\""));
    assert!(!errors.contains("hunter2"), "{errors}");
    assert_snapshot!(errors, @r#"
    daypass.toml:6:7: a secret does not stand in this file; `key` says where it is kept
    6 | key = •••••••••
      |       ^^^^^^^^^
      hint: { file = "/path" }, { env = "NAME" } or { credential = "NAME" }
    "#);
}

#[test]
fn where_a_secret_is_kept_is_one_place() {
    for (key, message) in [
        ("{}", "`key` needs exactly one of `file`, `env` and `credential`"),
        ("{ file = \"/a\", env = \"B\" }", "`key` needs exactly one of `file`, `env` and `credential`"),
        ("{ file = \"\" }", "`file` is empty"),
        ("{ env = \"A B\" }", "`A B` is not a name of letters and digits"),
        ("{ credential = \"../x\" }", "`../x` is not a name of letters and digits"),
        ("{ env = 5 }", "`env` must be a string, and is an integer"),
    ] {
        let errors = refused(&with("").replace("{ file = \"/seal.key\" }", key));
        assert!(errors.contains(&format!(": {message}\n6 | key = {key}")), "{errors}");
    }
}

#[test]
fn a_listener_off_loopback() {
    assert_snapshot!(refused(&with("").replace("127.0.0.1:5050", "0.0.0.0:5050")), @r#"
    daypass.toml:2:10: `0.0.0.0:5050` is reached from other machines, and credentials would travel in clear
    2 | listen = "0.0.0.0:5050"
      |          ^^^^^^^^^^^^^^
      hint: listen on 127.0.0.1, or give it a certificate: tls = { certificate = "chain.pem", key = "key.pem" }, or end TLS in a proxy and declare it: behind_proxy = ["10.0.0.0/8"], or proxy_protocol if it sends PROXY headers
    "#);
    let tls = "0.0.0.0:5050\"\n[server.tls]\ncertificate = \"/cert.pem";
    assert_snapshot!(refused(&with("").replace("127.0.0.1:5050", tls)), @r#"
    daypass.toml:3:1: `tls` needs the key `key`
    3 | [server.tls]
      | ^^^^^^^^^^^^

    daypass.toml:3:9: with TLS, `public_url` must say the address that the certificate is for
    3 | [server.tls]
      |         ^^^
      hint: public_url = "https://pass.example.com"
    "#);
    for (listen, rest) in [("[::]:80", ""), ("192.0.2.1:80", "behind_proxy = []\npublic_url = \"https://a\"")]
    {
        let errors = refused(&with("").replace("127.0.0.1:5050\"", &format!("{listen}\"\n{rest}")));
        assert!(errors.contains("is reached from other machines"), "{errors}");
    }
    let proxied = "0.0.0.0:5050\"\npublic_url = \"https://pass.example.com\"\nbehind_proxy = [\"10.0.0.0/8\", \"fd00::1\"]\n#";
    assert!(production(&with("").replace("127.0.0.1:5050", proxied)).is_ok());
    assert!(production(&with("").replace("127.0.0.1:5050", "[::ffff:127.0.0.1]:80")).is_ok());
}

#[test]
fn the_server() {
    let text = r#"[server]
listen = "localhost:5050"
public_url = "https://pass.example.com/"
behind_proxy = ["0.0.0.0/0", "10.1.2.3/8", "ten", 10]
[store]
url = "postgres://daypass:hunter2@db/daypass"
[seal]
key = { env = "SEAL" }
previous = { env = "OLD_SEAL" }
"#;
    let errors = refused(text);
    assert!(!errors.contains("hunter2"), "{errors}");
    assert_snapshot!(errors, @r#"
    daypass.toml:2:10: `localhost:5050` is not an address and a port
    2 | listen = "localhost:5050"
      |          ^^^^^^^^^^^^^^^^
      hint: such as "127.0.0.1:5050" or "[::1]:5050"

    daypass.toml:3:14: the public address has no final slash
    3 | public_url = "https://pass.example.com/"
      |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: write "https://pass.example.com"

    daypass.toml:4:17: `0.0.0.0/0` would believe anyone about where they come from
    4 | behind_proxy = ["0.0.0.0/0", "10.1.2.3/8", "ten", 10]
      |                 ^^^^^^^^^^^
      hint: list only the proxy's own addresses

    daypass.toml:4:30: `10.1.2.3/8` has bits beyond its prefix
    4 | behind_proxy = ["0.0.0.0/0", "10.1.2.3/8", "ten", 10]
      |                              ^^^^^^^^^^^^
      hint: did you mean "10.0.0.0/8"?

    daypass.toml:4:44: `ten` is not a network such as `10.0.0.0/8`
    4 | behind_proxy = ["0.0.0.0/0", "10.1.2.3/8", "ten", 10]
      |                                            ^^^^^

    daypass.toml:4:51: `behind_proxy` must be a list of strings, and holds an integer
    4 | behind_proxy = ["0.0.0.0/0", "10.1.2.3/8", "ten", 10]
      |                                                   ^^

    daypass.toml:6:7: the store's address carries a password, which belongs in a file of its own
    6 | url = •••••••••••••••••••••••••••••••••••••••
      |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: postgres://daypass@db.example.com/daypass, and below it password = { file = "/path" }
    "#);
}

#[test]
fn a_proxy_without_a_public_address() {
    assert_snapshot!(refused(&with("").replace("[store]", "behind_proxy = [\"127.0.0.1\"]\n[store]")), @r#"
    daypass.toml:3:1: behind a proxy, `public_url` must say the address that clients use
    3 | behind_proxy = ["127.0.0.1"]
      | ^^^^^^^^^^^^
      hint: public_url = "https://pass.example.com"
    "#);
}

#[test]
fn tenants() {
    let tail = r#"[[tenant]]
name = "Acme"
guid = "387c56a8cf8645deb9f5b4de88cac054"
account = "12345"
[[tenant]]
name = "common"
guid = "00000000-0000-0000-0000-000000000000"
account = "10000000000x"
[[tenant]]
name = "acme"
guid = "387c56a8-cf86-45de-b9f5-b4de88cac054"
account = "100000000001"
[[tenant]]
name = "acme"
guid = "387C56A8-CF86-45DE-B9F5-B4DE88CAC054"
account = "100000000001"
[[tenant]]
"#;
    assert_snapshot!(refused(&with(tail)), @r#"
    daypass.toml:8:8: `Acme` is not 1 to 64 lower-case letters, digits and hyphens
    8 | name = "Acme"
      |        ^^^^^^

    daypass.toml:9:8: `387c56a8cf8645deb9f5b4de88cac054` is not a GUID
    9 | guid = "387c56a8cf8645deb9f5b4de88cac054"
      |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: such as 387c56a8-cf86-45de-b9f5-b4de88cac054; `uuidgen` makes one

    daypass.toml:10:11: `12345` is not an account of 12 digits
    10 | account = "12345"
       |           ^^^^^^^

    daypass.toml:12:8: `common` has another meaning where a tenant stands in a path
    12 | name = "common"
       |        ^^^^^^^^

    daypass.toml:13:8: `00000000-0000-0000-0000-000000000000` is not a GUID
    13 | guid = "00000000-0000-0000-0000-000000000000"
       |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: such as 387c56a8-cf86-45de-b9f5-b4de88cac054; `uuidgen` makes one

    daypass.toml:14:11: `10000000000x` is not an account of 12 digits
    14 | account = "10000000000x"
       |           ^^^^^^^^^^^^^^

    daypass.toml:16:8: the tenant `acme` is already on line 8
    16 | name = "acme"
       |        ^^^^^^

    daypass.toml:20:8: the tenant `acme` is already on line 8
    20 | name = "acme"
       |        ^^^^^^

    daypass.toml:21:8: the guid `387C56A8-CF86-45DE-B9F5-B4DE88CAC054` is already on line 17
    21 | guid = "387C56A8-CF86-45DE-B9F5-B4DE88CAC054"
       |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    daypass.toml:22:11: the account `100000000001` is already on line 18
    22 | account = "100000000001"
       |           ^^^^^^^^^^^^^^

    daypass.toml:23:1: `tenant` needs the key `name`
    23 | [[tenant]]
       | ^^^^^^^^^^

    daypass.toml:23:1: `tenant` needs the key `guid`
    23 | [[tenant]]
       | ^^^^^^^^^^

    daypass.toml:23:1: `tenant` needs the key `account`
    23 | [[tenant]]
       | ^^^^^^^^^^
    "#);
}

#[test]
fn boundaries() {
    let tail = r#"boundary = { cam = '{"version":"2.0","statement":{"effect":"allow","action":"cos:*","resource":"qcs::cos:::{dir}"}}' }
[[tenant]]
name = "b"
guid = "487c56a8-cf86-45de-b9f5-b4de88cac054"
account = "100000000002"
boundary = { cam = '{}', ram = '{}' }
[[tenant]]
name = "c"
guid = "587c56a8-cf86-45de-b9f5-b4de88cac054"
account = "100000000003"
boundary = { cam = 'x' }
"#;
    let tenant = TENANT.lines().take(4).collect::<Vec<_>>().join("\n");
    assert_snapshot!(refused(&with(&format!("{tenant}\n{tail}"))), @r#"
    daypass.toml:11:20: a boundary has no variables: in `qcs::cos:*:uin/100000000001:{dir}`: the variable `dir` is not declared; declare it with its type, such as dir = "slug"
    11 | boundary = { cam = '{"version":"2.0","statement":{"effect":"allow","action":"cos:*","resource":"qcs:…
       |                    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    daypass.toml:16:12: `boundary` needs exactly one of `cam` (Tencent Cloud) and `ram` (Alibaba Cloud)
    16 | boundary = { cam = '{}', ram = '{}' }
       |            ^^^^^^^^^^^^^^^^^^^^^^^^^^

    daypass.toml:21:20: the policy is not taken: not a JSON document (line 1, column 1)
    21 | boundary = { cam = 'x' }
       |                    ^^^
    "#);
}

#[test]
fn issuers() {
    let tail = r#"[[issuer]]
name = "main"
kind = "tencnt"
root_key = "hunter2"
[[issuer]]
name = "local"
kind = "tencent"
root_key = { env = "TENCENTCLOUD_SECRET" }
region = "ap-guangzhou"
[[issuer]]
name = "main"
"#;
    let errors = refused(&with(tail));
    assert!(!errors.contains("hunter2"), "{errors}");
    assert_snapshot!(errors, @r#"
    daypass.toml:9:8: there is no kind of issuer `tencnt`; did you mean `tencent`?
    9 | kind = "tencnt"
      |        ^^^^^^^^

    daypass.toml:10:12: a secret does not stand in this file; `root_key` says where it is kept
    10 | root_key = •••••••••
       |            ^^^^^^^^^
      hint: { file = "/path" }, { env = "NAME" } or { credential = "NAME" }

    daypass.toml:12:8: the issuer `local` is Daypass itself, and needs no declaration
    12 | name = "local"
       |        ^^^^^^^

    daypass.toml:16:1: `issuer` needs the key `kind`
    16 | [[issuer]]
       | ^^^^^^^^^^

    daypass.toml:17:8: the issuer `main` is already on line 8
    17 | name = "main"
       |        ^^^^^^
    "#);
}

#[test]
fn an_upstream_issuer_is_refused_only_where_it_is_used() {
    let issuer = "[[issuer]]\nname = \"up\"\nkind = \"tencent\"\nroot_key = { env = \"T\" }\nregion = \"ap-guangzhou\"\n";
    assert!(production(&with_tenant(issuer)).is_ok());
    let used = with_tenant(issuer).replace("name = \"orders\"", "name = \"orders\"\nissuer = \"up\"");
    assert_snapshot!(refused(&used), @r#"
    daypass.toml:25:1: the issuer `up` gives signing credentials and no access tokens
    25 | audience = "d6b7c858-55fa-4d04-85a6-131af690abd4"
       | ^^^^^^^^
    "#);
    let unknown = with_tenant(issuer).replace("name = \"orders\"", "name = \"orders\"\nissuer = \"upp\"");
    assert_snapshot!(refused(&unknown), @r#"
    daypass.toml:24:10: there is no issuer `upp`; did you mean `up`?
    24 | issuer = "upp"
       |          ^^^^^
    "#);
}

#[test]
fn a_file_that_cannot_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("daypass.toml");
    let said = |errors: super::super::Errors| {
        errors.to_string().replace(&directory.path().display().to_string(), "DIR")
    };
    assert_snapshot!(said(super::super::load(&path).unwrap_err()), @"
    DIR/daypass.toml: cannot read the configuration: No such file or directory (os error 2)
      hint: `daypass init` writes one
    ");
    std::fs::write(&path, b"# \xff").unwrap();
    assert_snapshot!(said(super::super::load(&path).unwrap_err()), @"DIR/daypass.toml: the byte at offset 2 is not UTF-8");
    std::fs::write(&path, HEAD).unwrap();
    assert!(super::super::load(&path).is_ok());
}
