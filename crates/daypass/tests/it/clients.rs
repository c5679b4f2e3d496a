//! Clients and their keys: what is registered, how a key gets its successor, and how it ends.

use crate::patience::soon;
use crate::process::{Dev, daypass, json_of, token};
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519, date_time_ymd};
use serde_json::{Value, json};
use std::path::PathBuf;

/// A resource of the demo.
const RESOURCE: &str = "d6b7c858-55fa-4d04-85a6-131af690abd4";

/// Keys and certificates in files, as a client's owner has them.
struct Owner<'a> {
    dev: &'a Dev,
}

impl Owner<'_> {
    fn file(&self, name: &str, content: &str) -> String {
        let path: PathBuf = self.dev.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn public_key(&self, name: &str) -> String {
        self.file(name, &KeyPair::generate_for(&PKCS_ED25519).unwrap().public_key_pem())
    }

    fn certificate(&self, name: &str, until: i32) -> String {
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(until, 1, 1));
        self.file(name, &params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem())
    }
}

fn said(dev: &Dev, args: &[&str]) -> (Option<i32>, String) {
    let output = dev.cli(args);
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code(), text)
}

#[test]
fn a_public_key_is_registered_and_shown_by_its_names() {
    let dev = Dev::start();
    let owner = Owner { dev: &dev };
    let file = owner.certificate("reports.pem", 2100);
    let add = ["client", "add", "reports", "--kind", "public-key", "--role", "devcenter", "--public-key"];
    let added = json_of(&dev.cli(&[&add[..], &[&*file, "--expires", "180d", "--json"]].concat()));
    let key = &added["keys"][0];
    assert_eq!((&key["kind"], &key["client_id"]), (&json!("public-key"), &added["client"]["id"]));
    for (name, length) in [("kid", 43), ("x5t", 27), ("x5t#S256", 43)] {
        assert_eq!(key[name].as_str().unwrap().len(), length, "{name}");
    }
    assert!(key.get("client_secret").is_none(), "{key}");
    let shown = json_of(&dev.cli(&["client", "show", "reports", "--json"]));
    assert_eq!(shown["keys"][0]["kid"], key["kid"]);
    assert_eq!((&shown["keys"][0]["state"], &shown["keys"][0]["last_used"]), (&json!("live"), &Value::Null));
    assert_eq!(shown["keys"][0]["proof"], "private_key_jwt");

    let second = owner.public_key("next.pem");
    let (code, text) = said(&dev, &["client", "rotate", "reports", "--public-key", &second]);
    let id = key["id"].as_str().unwrap();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("kid = ") && !text.contains("secret"), "{text}");
    assert!(text.contains(&format!("daypass client retire reports {id}")), "{text}");
    let third = owner.public_key("third.pem");
    let (code, text) = said(&dev, &["client", "rotate", "reports", "--public-key", &third]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("2 live public-key keys already") && text.contains("client retire"), "{text}");
}

#[test]
fn a_certificate_is_pinned_or_known_by_one_name() {
    let dev = Dev::start();
    let owner = Owner { dev: &dev };
    let file = owner.certificate("edge.pem", 2100);
    let add = |name: &str, more: &[&str]| {
        dev.cli(
            &[&["client", "add", name, "--kind", "certificate", "--audience", RESOURCE, "--json"], more]
                .concat(),
        )
    };
    let pinned = json_of(&add("pinned", &["--certificate", &file]));
    assert_eq!(pinned["keys"][0]["x5t#S256"].as_str().unwrap().len(), 43);
    assert_eq!(
        pinned["keys"][0]["expires"], "2100-01-01T00:00:01Z",
        "a pinned certificate's key ends with it"
    );
    assert_eq!(pinned["client"]["audiences"], json!([RESOURCE]));
    assert_eq!(pinned["client"]["grants"], json!([]));
    for (n, (option, value, shown)) in [
        ("--subject-dn", "CN=edge,O=Acme", "subject_dn"),
        ("--san-dns", "edge.example.com", "san_dns"),
        ("--san-uri", "spiffe://example.com/edge", "san_uri"),
        ("--san-ip", "::ffff:192.0.2.7", "san_ip"),
        ("--san-email", "edge@example.com", "san_email"),
    ]
    .into_iter()
    .enumerate()
    {
        let named = json_of(&add(&format!("named-{n}"), &[option, value]));
        let expected = value.trim_start_matches("::ffff:");
        assert_eq!(named["keys"][0][shown], expected, "{option}");
    }
}

#[test]
fn what_cannot_be_registered_is_refused_with_a_sentence() {
    let dev = Dev::start();
    let owner = Owner { dev: &dev };
    let public = owner.public_key("public.pem");
    let private = owner.file("private.pem", &KeyPair::generate().unwrap().serialize_pem());
    let (ended, certificate) = (owner.certificate("ended.pem", 2021), owner.certificate("good.pem", 2100));
    let with = |kind: &'static str, more: &[&str]| -> (Option<i32>, String) {
        said(&dev, &[&["client", "add", "new", "--role", "devcenter", "--kind", kind], more].concat())
    };
    for (kind, more, expected) in [
        ("public-key", &[][..], "say which key with --public-key FILE"),
        ("public-key", &["--public-key", &private], "is a private key"),
        ("public-key", &["--public-key", &ended], "would have ended at 2021-01-01"),
        ("public-key", &["--public-key", "/nowhere"], "cannot read"),
        (
            "public-key",
            &["--public-key", &public, "--certificate", &certificate],
            "--certificate is for --kind certificate",
        ),
        ("public-key", &["--public-key", &public, "--expires", "2020-01-01"], "would have ended"),
        ("public-key", &["--public-key", &public, "--expires", "1d", "--starts", "2d"], "before it begins"),
        ("public-key", &["--public-key", &public, "--expires", "soon"], "write 180d"),
        ("certificate", &[], "say how the certificate is known"),
        ("certificate", &["--certificate", &private], "holds a private key"),
        ("certificate", &["--certificate", &public], "holds no certificate"),
        ("certificate", &["--certificate", &certificate, "--san-dns", "a"], "known in one way"),
        ("certificate", &["--san-dns", "a", "--san-uri", "a:b"], "known in one way"),
        ("certificate", &["--san-dns", "*.example.com"], "is one whole name"),
        ("certificate", &["--subject-dn", "edge"], "is one whole name"),
        ("federated", &["--provider", "k8s"], "--provider NAME and --subject TEXT"),
        ("federated", &["--provider", "k8s", "--subject", "ns:a"], "no provider `k8s`"),
        ("client-secret", &["--subject", "a"], "--subject is for --kind federated"),
        ("client-secret", &["--audience", "nobody"], "no role with the audience `nobody`"),
        ("client-secret", &["--lifetime", "2d"], "not a duration"),
        ("client-secret", &["--lifetime", "100h"], "so a longer --lifetime means nothing"),
        ("client-secret", &["--lifetime", "soe=1m"], "--lifetime names the role `soe`"),
    ] {
        let (code, text) = with(kind, more);
        assert_eq!(code, Some(2), "{kind} {more:?}: {text}");
        assert!(text.contains(expected), "{kind} {more:?}: {text}");
    }
    let twice =
        ["client", "add", "new", "--role", "devcenter", "--kind", "public-key", "--kind", "public-key"];
    let (code, text) = said(&dev, &[&twice[..], &["--public-key", &public]].concat());
    assert!(code == Some(1) && text.contains("new has this already"), "{text}");
    let (code, text) = said(&dev, &["client", "add", "new", "--kind", "client-secret"]);
    assert!(code == Some(2) && text.contains("--role"), "{text}");
    assert_eq!(dev.cli(&["client", "show", "new"]).status.code(), Some(1), "nothing was left behind");
}

#[test]
fn a_grant_lives_no_longer_than_its_client_was_given() {
    let dev = Dev::start();
    let add = [
        "client",
        "add",
        "short",
        "--kind",
        "client-secret",
        "--role",
        "devcenter",
        "--role",
        "devcenter-es256",
    ];
    let added = json_of(
        &dev.cli(&[&add[..], &["--lifetime", "10m", "--lifetime", "devcenter=5m", "--json"]].concat()),
    );
    let lifetimes: Vec<_> =
        added["client"]["grants"].as_array().unwrap().iter().map(|g| &g["lifetime"]).collect();
    assert_eq!(lifetimes, [300, 600]);
    let (_, text) = said(&dev, &["client", "show", "short"]);
    assert!(text.contains("may ask for devcenter for 300 seconds at most"), "{text}");
}

/// The last use of every key of a client, by kind.
fn last_used(dev: &Dev, client: &str) -> Vec<(String, Option<String>)> {
    let shown = json_of(&dev.cli(&["client", "show", client, "--json"]));
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let one = |key: &Value| (text(&key["kind"]).unwrap(), text(&key["last_used"]));
    shown["keys"].as_array().unwrap().iter().map(one).collect()
}

#[test]
fn a_key_in_use_is_not_retired_by_accident() {
    let dev = Dev::start();
    let id = dev.credentials["tencent"]["secret_id"].as_str().unwrap().to_owned();
    assert_eq!(last_used(&dev, "soe-server"), [("tencent".to_owned(), None)]);
    let (_, text) = said(&dev, &["client", "show", "soe-server"]);
    assert!(text.contains("LAST USED") && text.contains("never"), "{text}");
    json_of(&token(&["tencent"], &dev.file()));
    soon("the use", || last_used(&dev, "soe-server")[0].1.is_some());
    let used = last_used(&dev, "soe-server")[0].1.clone().unwrap();

    let (code, text) = said(&dev, &["client", "retire", "soe-server", &id]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&format!("was last used at {used}, less than 24 hours ago")), "{text}");
    assert!(text.contains("--force"), "{text}");
    json_of(&token(&["tencent"], &dev.file()));
    let (code, text) = said(&dev, &["client", "retire", "soe-server", &id, "--force"]);
    assert!(code == Some(0) && text.contains("is retired"), "{text}");
    soon("the retirement", || token(&["tencent"], &dev.file()).status.code() == Some(1));
    let (_, text) = said(&dev, &["audit", "tail", "-n", "20"]);
    assert!(text.contains(&format!("key.retire soe-server {id}")), "{text}");

    let unused = json_of(&dev.cli(&["client", "rotate", "soe-server", "--kind", "tencent", "--json"]));
    let unused = unused["keys"][0]["id"].as_str().unwrap();
    let (code, text) = said(&dev, &["client", "retire", "soe-server", unused]);
    assert!(code == Some(0) && text.contains("never used"), "{text}");
    let (code, text) = said(&dev, &["client", "retire", "soe-server", "AKIDnobody"]);
    assert!(code == Some(1) && text.contains("has no key `AKIDnobody`"), "{text}");
}

#[test]
fn a_key_that_was_ended_comes_back_only_where_there_is_room() {
    let dev = Dev::start();
    let first = dev.credentials["tencent"]["secret_id"].as_str().unwrap();
    assert!(dev.cli(&["client", "disable", "soe-server", "--key", first]).status.success());
    for _ in 0..2 {
        json_of(&dev.cli(&["client", "rotate", "soe-server", "--kind", "tencent", "--json"]));
    }
    let (code, text) = said(&dev, &["client", "enable", "soe-server", "--key", first]);
    assert!(code == Some(1) && text.contains("2 live tencent keys already"), "{text}");
}

#[test]
fn uses_are_noted_for_every_kind_of_key_and_kept_over_a_restart() {
    let dev = Dev::start();
    for args in [&["tencent"][..], &["alibaba"], &["alibaba", "--sts"], &["entra"]] {
        json_of(&token(args, &dev.file()));
    }
    // At once: what was not written yet is written when the server stops.
    let (folder, _) = dev.stop();
    let again = Dev::start_in(folder, &[]);
    let mut kinds = Vec::new();
    for client in ["soe-server", "store-box", "devcenter-app"] {
        kinds.extend(last_used(&again, client));
    }
    kinds.sort();
    assert!(kinds.iter().all(|(_, used)| used.is_some()), "{kinds:?}");
    let kinds: Vec<_> = kinds.into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["access-key", "client-secret", "tencent", "top"]);
    // A wrong proof is no use.
    let id = last_used(&again, "devcenter-app");
    let mut wrong = again.credentials.clone();
    wrong["entra"]["client_secret"] = "dp_cs_wrong".into();
    let path = again.folder.path().join("wrong.json");
    std::fs::write(&path, wrong.to_string()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(token(&["entra"], &path).status.code(), Some(1));
    let (folder, _) = again.stop();
    let last = Dev::start_in(folder, &[]);
    assert_eq!(last_used(&last, "devcenter-app"), id);
}

#[test]
fn a_client_whose_key_ends_soon_is_marked_in_the_list() {
    let dev = Dev::start();
    for (name, expires) in [("soon", "29d"), ("later", "31d")] {
        let add = ["client", "add", name, "--kind", "top", "--kind", "tencent", "--role", "soe", "--expires"];
        json_of(&dev.cli(&[&add[..], &[expires, "--json"]].concat()));
    }
    let off = ["client", "add", "off", "--kind", "tencent", "--role", "soe", "--expires", "1d", "--json"];
    json_of(&dev.cli(&off));
    assert!(dev.cli(&["client", "disable", "off"]).status.success());
    let listed = json_of(&dev.cli(&["client", "list", "--json"]));
    let marked = listed.as_array().unwrap().iter().filter(|client| !client["key_ends"].is_null());
    assert_eq!(marked.map(|client| &client["name"]).collect::<Vec<_>>(), ["soon"]);
    let (_, text) = said(&dev, &["client", "list"]);
    let ends = json_of(&dev.cli(&["client", "show", "soon", "--json"]))["keys"][0]["expires"].clone();
    let line = text.lines().find(|line| line.contains(" soon ")).unwrap();
    assert!(text.starts_with("TENANT") && line.ends_with(ends.as_str().unwrap()), "{text}");
}

#[test]
fn how_a_secret_was_shown_is_known_from_the_records() {
    let dev = Dev::start();
    let proof =
        || json_of(&dev.cli(&["client", "show", "devcenter-app", "--json"]))["keys"][0]["proof"].clone();
    assert_eq!(proof(), Value::Null);
    json_of(&token(&["entra"], &dev.file()));
    assert_eq!(proof(), "client_secret_post");
    let (_, text) = said(&dev, &["client", "show", "devcenter-app"]);
    assert!(text.contains("PROOF") && text.contains("client_secret_post"), "{text}");
}

/// An installation with a provider, and a resource whose tokens say what its clients were granted.
fn federated() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    assert!(daypass().arg("init").arg(folder.path()).output().unwrap().status.success());
    let file = folder.path().join("daypass.toml");
    let text = r#"
        [server]
        listen = "127.0.0.1:0"
        [store]
        url = "sqlite:data/daypass.db"
        [seal]
        key = { file = "seal.key" }
        [[tenant]]
        name = "acme"
        guid = "387c56a8-cf86-45de-b9f5-b4de88cac054"
        account = "100000000001"
        [[tenant.provider]]
        name = "cluster"
        issuer = "https://kubernetes.example.com"
        audience = "daypass"
        [[tenant.role]]
        name = "read"
        audience = "d6b7c858-55fa-4d04-85a6-131af690abd4"
        identifiers = ["api://orders"]
        roles = ["orders.read"]
        variables = { poi_id = "slug" }
        claims = { store = "{poi_id}" }
        [[tenant.role]]
        name = "write"
        audience = "d6b7c858-55fa-4d04-85a6-131af690abd4"
        identifiers = ["api://orders"]
        roles = ["orders.write"]
        variables = { poi_id = "slug" }
        claims = { store = "{poi_id}" }
    "#;
    std::fs::write(file, text).unwrap();
    folder
}

#[test]
fn a_subject_of_an_outside_provider_is_registered() {
    let folder = federated();
    let client = |args: &[&str]| {
        let mut program = daypass();
        program.arg("client").args(args).arg("--config").arg(folder.path().join("daypass.toml"));
        program.output().unwrap()
    };
    let add = ["add", "jobs", "--kind", "federated", "--role", "read", "--bind", "poi_id=8005", "--provider"];
    for (provider, subject, code, said) in [
        ("other", "ns:a", 2, "no provider `other` in the configuration; it has cluster"),
        ("cluster", "*", 2, "would let everyone whom the provider knows be this client"),
        ("cluster", "", 2, "a subject has 1 to"),
    ] {
        let output = client(&[&add[..], &[provider, "--subject", subject]].concat());
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(code) && text.contains(said), "{text}");
    }
    let subject = "system:serviceaccount:jobs:*";
    let added = json_of(&client(&[&add[..], &["cluster", "--subject", subject, "--json"]].concat()));
    let key = &added["keys"][0];
    assert_eq!((&key["provider"], &key["subject"]), (&json!("cluster"), &json!(subject)));
    assert_eq!(key["client_id"], added["client"]["id"]);
    let further = |n: usize| {
        let subject = format!("ns:{n}");
        client(&["rotate", "jobs", "--provider", "cluster", "--subject", &subject])
    };
    let twice = client(&["rotate", "jobs", "--provider", "cluster", "--subject", subject]);
    assert_eq!(twice.status.code(), Some(1), "{twice:?}");
    for n in 1..20 {
        assert!(further(n).status.success(), "{n}");
    }
    let one_more = further(20);
    let text = String::from_utf8(one_more.stderr).unwrap();
    assert!(one_more.status.code() == Some(1) && text.contains("20 live federated keys"), "{text}");
}

#[test]
fn a_grant_says_nothing_that_a_token_could_not() {
    let folder = federated();
    let add = |args: &[&str]| {
        let command = ["client", "add", "new", "--kind", "client-secret", "--json"];
        let mut program = daypass();
        program.args(command).args(args).arg("--config").arg(folder.path().join("daypass.toml"));
        program.output().unwrap()
    };
    let any = add(&["--role", "read", "--any", "poi_id"]);
    assert_eq!(any.status.code(), Some(2), "{any:?}");
    assert!(String::from_utf8(any.stdout).unwrap().contains("cannot be granted so"));
    let api = json_of(&add(&["--audience", "API://orders"]));
    assert_eq!(api["client"]["audiences"], json!([RESOURCE]), "by any of its names");
}
