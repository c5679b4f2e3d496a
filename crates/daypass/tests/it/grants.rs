//! What a client may ask for, changed while it is there: in force at once, taken back at once, and pointed out where the
//! configuration has changed under it.

use crate::patience::promised;
use crate::process::{Answer, Dev, daypass, json_of};
use crate::tls::start_and_listen;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Output;

/// Another resource of the demo, whose role the demo's OAuth client has.
const ES256: &str = "0f2b6d1c-8a47-4c3e-9d5a-71e6b0c84f29";

fn said(dev: &Dev, args: &[&str]) -> (Option<i32>, String) {
    let output = dev.cli(&[&["client"], args].concat());
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

fn done(dev: &Dev, args: &[&str]) -> Value {
    json_of(&dev.cli(&[&["client"], args, &["--json"]].concat()))
}

/// A form with this client's proof.
fn ask(dev: &Dev, (id, secret): (&str, &str), path: &str, fields: &[(&str, &str)]) -> Answer {
    let tenant = dev.credentials["entra"]["tenant"].as_str().unwrap();
    let proof = [("client_id", id), ("client_secret", secret)];
    dev.post_form(&format!("/{tenant}/oauth2/v2.0/{path}"), &[&proof, fields].concat())
}

fn changes(dev: &Dev) -> Vec<String> {
    let output = dev.cli(&["audit", "tail", "-n", "100", "--json"]);
    let lines = String::from_utf8(output.stdout).unwrap();
    let records = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let change = |record: Value| {
        let event = &record["event"];
        Some(format!("{} {}", event["action"].as_str()?, event["object"].as_str()?))
    };
    records.filter_map(change).filter(|line| line.contains("grant ")).collect()
}

#[test]
fn a_grant_comes_and_goes_on_a_running_server() {
    let dev = Dev::start();
    let added = done(&dev, &["add", "shop", "--kind", "client-secret", "--role", "devcenter"]);
    let shop = ["client_id", "client_secret"].map(|half| added["keys"][0][half].as_str().unwrap());
    let scope = format!("{ES256}/.default");
    let fields = [("grant_type", "client_credentials"), ("scope", &*scope)];
    let token = || ask(&dev, (shop[0], shop[1]), "token", &fields);
    promised("the client", || token().json()["error_codes"] == json!([500_011]));

    let (code, text) = said(&dev, &["grant", "shop", "--role", "devcenter-es256", "--lifetime", "5m"]);
    assert_eq!((code, &*text), (Some(0), "shop may ask for devcenter-es256 for 300 seconds at most\n"));
    promised("the grant", || token().status == 200);
    let got = token().json();
    assert_eq!(got["expires_in"], 299);
    let got = got["access_token"].as_str().unwrap();

    let entra = &dev.credentials["entra"];
    let api = ["client_id", "client_secret"].map(|half| entra[half].as_str().unwrap());
    let told = || ask(&dev, (api[0], api[1]), "introspect", &[("token", got)]).json()["active"].clone();
    assert_eq!(told(), false, "none of its business");
    done(&dev, &["grant", "devcenter-app", "--audience", ES256]);
    promised("the API", || told() == true);

    let (code, text) = said(&dev, &["ungrant", "shop", "--role", "devcenter-es256"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("shop may not ask for devcenter-es256 any more\n"), "{text}");
    assert!(text.contains("is refused when it is next shown here"), "{text}");
    promised("the end of the grant", || token().status == 400);
    assert_eq!(told(), false, "what was handed out falls with the grant");
    done(&dev, &["grant", "shop", "--role", "devcenter-es256"]);
    promised("the grant again", || told() == true);

    let gone = done(&dev, &["ungrant", "devcenter-app", "--audience", ES256]);
    assert_eq!((&gone["client"]["audiences"], &gone["changed"]), (&json!([]), &json!(true)));
    promised("the end of the API", || told() == false);
    assert_eq!(
        changes(&dev),
        [
            "client.grant shop devcenter-es256",
            &format!("client.grant devcenter-app {ES256}"),
            "client.ungrant shop devcenter-es256",
            "client.grant shop devcenter-es256",
            &format!("client.ungrant devcenter-app {ES256}"),
        ]
    );
}

#[test]
fn a_grant_keeps_what_is_not_said_anew_and_a_repeat_changes_nothing() {
    let dev = Dev::start();
    let grant =
        |more: &[&str]| done(&dev, &[&["grant", "store-box", "--role", "store-upload"], more].concat());
    let before = done(&dev, &["show", "store-box"])["client"]["grants"][0].clone();
    let bound = grant(&["--bind", "poi_id=8007,8008"]);
    let now = &bound["client"]["grants"][0];
    assert_eq!(now["bind"]["poi_id"], json!(["8007", "8008"]));
    assert_eq!(now["bind"]["tenant_code"], before["bind"]["tenant_code"]);
    assert_eq!((&bound["changed"], &bound["replaced"]), (&json!(true), &json!([before])));

    let shorter = grant(&["--lifetime", "10m"]);
    assert_eq!(shorter["client"]["grants"][0]["lifetime"], 600);
    assert_eq!(shorter["client"]["grants"][0]["bind"], now["bind"]);
    assert_eq!(grant(&["--any", "poi_id"])["client"]["grants"][0]["lifetime"], 600, "it stays");
    let repeated = grant(&["--any", "poi_id"]);
    assert_eq!((&repeated["changed"], &repeated["replaced"]), (&json!(false), &json!([])));
    assert!(grant(&["--no-lifetime"])["client"]["grants"][0].get("lifetime").is_none());

    let (_, text) = said(&dev, &["grant", "store-box", "--role", "store-upload", "--bind", "poi_id=8005"]);
    assert!(text.contains("poi_id=8005 tenant_code=hema, no longer for store-upload poi_id=*"), "{text}");
    assert!(text.contains("keeps what it had until it runs out"), "{text}");
    let (_, text) = said(&dev, &["grant", "store-box", "--role", "store-upload", "--default"]);
    assert!(text.contains("may ask for store-upload poi_id=8005 tenant_code=hema already"), "{text}");
    assert_eq!(changes(&dev).len(), 5, "{:?}", changes(&dev));

    assert_eq!(
        done(&dev, &["grant", "store-box", "--role", "soe", "--default"])["client"]["default_role"],
        "soe"
    );
    let (_, text) = said(&dev, &["ungrant", "store-box", "--role", "devcenter"]);
    assert_eq!(text, "store-box had nothing of that\n");
    assert_eq!(changes(&dev).len(), 6);
}

#[test]
fn what_cannot_be_granted_is_refused_with_a_sentence() {
    let dev = Dev::start();
    let before = done(&dev, &["list"]);
    for (args, code, expected) in [
        (&["grant", "soe-server"][..], 2, "--role"),
        (&["grant", "nobody", "--role", "soe"], 1, "there is no client `nobody`"),
        (
            &["grant", "soe-server", "--role", "soee"],
            2,
            "has no role `soee` in the configuration; did you mean `soe`?",
        ),
        (&["grant", "soe-server", "--role", "store-upload"], 2, "say which values this client may use"),
        (
            &["grant", "soe-server", "--role", "store-upload", "--any", "poi_id,tenant-code"],
            2,
            "has a variable `tenant-code`; did you mean `tenant_code`?",
        ),
        (
            &["grant", "soe-server", "--role", "soe", "--lifetime", "3h"],
            2,
            "so a longer --lifetime means nothing",
        ),
        (&["grant", "soe-server", "--role", "soe", "--lifetime", "uploads=1m"], 2, "which --role does not"),
        (&["grant", "soe-server", "--audience", "nobody"], 2, "no role with the audience `nobody`"),
        (&["grant", "soe-server", "--audience", ES256, "--default"], 2, "--role"),
        (&["grant", "soe-server", "--role", "soe", "--lifetime", "1m", "--no-lifetime"], 2, "--no-lifetime"),
        (&["ungrant", "soe-server"], 2, "--role"),
        (
            &["ungrant", "soe-server", "--role", "soee"],
            2,
            "has no grant on a role `soee`; did you mean `soe`?",
        ),
        (&["ungrant", "soe-server", "--audience", "nobody"], 2, "is not the API of a resource `nobody`"),
        (&["ungrant", "soe-server", "--role", "soe"], 1, "`soe` is the default role of soe-server"),
        (&["ungrant", "soe-server", "--role", "soe", "--default", "soe"], 2, "which has no grant on it"),
        (
            &["ungrant", "store-box", "--role", "store-upload", "--default", "upload"],
            2,
            "`upload` cannot be the default role of store-box, which has no grant on it; did you mean `uploads`?",
        ),
        (
            &["ungrant", "soe-server", "--role", "soe", "--default", "soe", "--no-default"],
            2,
            "cannot be used with",
        ),
    ] {
        let (got, text) = said(&dev, args);
        assert_eq!(got, Some(code), "{args:?}: {text}");
        assert!(text.contains(expected), "{args:?}: {text}");
    }
    assert_eq!(done(&dev, &["list"]), before, "nothing was changed");
    assert_eq!(changes(&dev), [""; 0]);
}

#[test]
fn a_default_role_is_given_up_only_on_purpose() {
    let dev = Dev::start();
    let left = done(&dev, &["ungrant", "store-box", "--role", "store-upload", "--default", "uploads"]);
    assert_eq!(left["client"]["default_role"], "uploads");
    assert_eq!(left["removed"][0]["role"], "store-upload");
    let none = done(&dev, &["ungrant", "store-box", "--role", "uploads", "--no-default"]);
    assert_eq!((&none["client"]["default_role"], &none["client"]["grants"]), (&Value::Null, &json!([])));
    let again = done(&dev, &["ungrant", "store-box", "--role", "uploads"]);
    assert_eq!(again["changed"], false);
}

/// The configuration of one resource with two roles and of a store, with what the roles say more.
fn configure(folder: &Path, claims: &str, roles: &str) {
    let head = r#"
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
    "#;
    let role = |name: &str| {
        format!(
            "[[tenant.role]]\nname = \"{name}\"\naudience = \"d6b7c858-55fa-4d04-85a6-131af690abd4\"\n\
             roles = [\"orders.{name}\"]\n{claims}\n"
        )
    };
    let text = [head, &role("read"), &role("write"), roles].concat();
    std::fs::write(folder.join("daypass.toml"), text).unwrap();
}

fn client(folder: &Path, command: &str) -> Output {
    let mut program = daypass();
    program.args(command.split(' ')).arg("--config").arg(folder.join("daypass.toml"));
    program.output().unwrap()
}

/// What a start warns of.
fn warnings(folder: &Path) -> Vec<Value> {
    let (_server, mut lines, _log) = start_and_listen(folder);
    lines.retain(|line| line["role"].is_string());
    lines
}

#[test]
fn clients_that_a_new_variable_leaves_with_nothing_are_pointed_out_until_they_are_mended() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert!(daypass().arg("init").arg(folder).output().unwrap().status.success());
    let store = "[[tenant.role]]\nname = \"store\"\naudience = \"0f2b6d1c-8a47-4c3e-9d5a-71e6b0c84f29\"\nroles = [\"a\"]\n";
    configure(folder, "", store);
    let add = "client add shop --kind client-secret --role read --role write --role store --json";
    json_of(&client(folder, add));
    json_of(&client(folder, "client add off --kind client-secret --role read --json"));
    assert!(client(folder, "client disable off").status.success());
    assert_eq!(warnings(folder), Vec::<Value>::new());

    configure(folder, "variables = { poi_id = \"slug\" }\nclaims = { store = \"{poi_id}\" }", "");
    let warned = warnings(folder);
    let grant = "daypass client grant shop --role read --role write --bind poi_id=VALUE[,VALUE…]";
    let ungrant = "daypass client ungrant shop --role store";
    for (line, (role, why, mend)) in warned.iter().zip([
        ("read", "binds no value to it", grant),
        ("write", "binds no value to it", grant),
        ("store", "not in the configuration any more", ungrant),
    ]) {
        let named = ["level", "tenant", "client", "role", "mend"].map(|name| line[name].as_str().unwrap());
        assert_eq!(named, ["WARN", "acme", "shop", role, mend]);
        assert!(line["message"].as_str().unwrap().contains(why), "{line}");
    }
    assert_eq!(warned.len(), 3, "{warned:?}");

    let listed = json_of(&client(folder, "client list --json"));
    let idle = |n: usize| listed[n]["idle"].as_array().unwrap().iter().map(|idle| &idle["role"]);
    assert_eq!(idle(0).collect::<Vec<_>>(), ["read"], "a disabled one, too");
    assert_eq!(idle(1).collect::<Vec<_>>(), ["read", "write", "store"]);
    let text = String::from_utf8(client(folder, "client list").stdout).unwrap();
    let line = text.lines().find(|line| line.contains(" shop ")).unwrap();
    assert!(text.contains("IDLE") && line.ends_with("read,write,store  read,write,store"), "{text}");
    let text = String::from_utf8(client(folder, "client show shop").stdout).unwrap();
    assert!(text.contains("gets nothing in read: ") && text.contains(grant), "{text}");

    // One of two roles alone cannot be mended: a token would say of both what only one was granted.
    let alone = client(folder, "client grant shop --role read --bind poi_id=8005");
    let error = String::from_utf8(alone.stderr).unwrap();
    assert!(
        alone.status.code() == Some(2) && error.contains("together: --role read --role write"),
        "{error}"
    );
    let mend = [grant, ungrant].map(|command| command.replace("VALUE[,VALUE…]", "8005"));
    for command in &mend {
        let output = client(folder, command.strip_prefix("daypass ").unwrap());
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(warnings(folder), Vec::<Value>::new());
    let listed = json_of(&client(folder, "client list --json"));
    assert_eq!(listed[1]["idle"], json!([]));
}
