//! A root key is replaced under load of brokered grants, with kills at each step: the cloud is another Daypass.

use super::{Dev, Kills, Load, On, Site, Value, json_of, soon};
use crate::process::token;
use daypass_faults::ask::Dialect;
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// The client of the cloud that the nodes are.
const GATEWAY: &str = "gateway";

/// A key at the cloud.
struct Key {
    id: String,
    file: PathBuf,
}

/// Makes a key at the cloud, and waits until the cloud knows it.
fn made(cloud: &Dev, site: &Site, verb: &[&str]) -> Key {
    let made = json_of(&cloud.cli(&[verb, &["--json"]].concat()));
    let part = |name: &str| made["keys"][0][name].as_str().unwrap().to_owned();
    let (id, secret) = (part("id"), part("secret_key"));
    let write = |name: &str, text: String| {
        let path = site.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let probe = json!({
        "url": format!("http://{}", cloud.host()),
        "tencent": {"secret_id": id, "secret_key": secret},
    });
    let probe = write("probe.json", probe.to_string());
    soon("the cloud knows its key", || token(&["tencent", "--whoami"], &probe).status.success());
    let file = write("root.key", format!("{id}:{secret}\n"));
    Key { id, file }
}

/// The keys in the store: `a active ID`, …
fn slots(site: &Site) -> Vec<String> {
    let listed = site.shown(&["root-key", "list"]);
    let text = |key: &Value, name: &str| key[name].as_str().unwrap().to_owned();
    let one = |key: &Value| format!("{} {} {}", text(key, "slot"), text(key, "state"), text(key, "key"));
    listed["keys"].as_array().unwrap().iter().map(one).collect()
}

/// The keys at the cloud that it still takes.
fn live(cloud: &Dev) -> Vec<String> {
    let shown = json_of(&cloud.cli(&["client", "show", GATEWAY, "--json"]));
    let keys = shown["keys"].as_array().unwrap().iter();
    keys.filter(|key| key["state"] == "live").map(|key| key["id"].as_str().unwrap().to_owned()).collect()
}

/// Two nodes whose `soe` role is of this cloud, with its first root key.
pub(super) fn site(on: On, cloud: &Dev) -> Option<(Site, String)> {
    let issuer = format!(
        r#"
[[issuer]]
name = "main"
kind = "tencent"
region = "ap-guangzhou"
url = "http://{}"
timeout = "5s"
budget = {{ per_second = 10000, burst = 10000 }}
"#,
        cloud.host()
    );
    let site = Site::new(on, |text| {
        let brokered = text.replacen("name = \"soe\"\n", "name = \"soe\"\nissuer = \"main\"\n", 1);
        assert_ne!(brokered, text);
        brokered + &issuer
    })?;
    let one = made(cloud, &site, &["client", "add", GATEWAY, "--kind", "tencent", "--role", "soe"]);
    stage(&site, &one);
    Some((site, one.id))
}

/// A key more at the cloud, in a file: its id, and where it is.
pub(super) fn second(cloud: &Dev, site: &Site) -> (String, PathBuf) {
    let key = made(cloud, site, &["client", "rotate", GATEWAY, "--kind", "tencent"]);
    (key.id, key.file)
}

fn stage(site: &Site, key: &Key) {
    site.done(&["root-key", "stage", "main", "--from", key.file.to_str().unwrap()]);
}

/// Two generations, the first with a change of mind. The key before is ended at the cloud as soon as the other makes the calls, and
/// nobody waits until the nodes have heard of it.
fn rotated(on: On) {
    let cloud = Dev::start();
    let Some((mut site, mut old)) = site(on, &cloud) else { return };
    site.start();
    let load = Load::start(&site, &[Dialect::Tencent; 3]);
    load.goes_on(5);
    let mut kills = Kills::default();
    for (generation, [from, to]) in [["a", "b"], ["b", "a"]].into_iter().enumerate() {
        let (new, file) = second(&cloud, &site);
        let sorted = |mut slots: Vec<String>| {
            slots.sort();
            slots
        };
        let stand = |old_is: &str, new_is: &str| {
            sorted(vec![format!("{from} {old_is} {old}"), format!("{to} {new_is} {new}")])
        };
        let file = file.to_str().unwrap();
        let look = |site: &Site| {
            let slots = slots(site);
            let active = slots.iter().filter(|slot| slot.contains(" active ")).count();
            assert_eq!(active, 1, "one key makes the calls, whatever was killed: {slots:?}");
            sorted(slots)
        };
        let stage = ["root-key", "stage", "main", "--from", file];
        site.interrupted(&stage, look, &stand("active", "staged"), &mut kills);
        let promote = ["root-key", "promote", "main"];
        site.interrupted(&promote, look, &stand("standby", "active"), &mut kills);
        if generation == 0 {
            let back = ["root-key", "rollback", "main"];
            site.interrupted(&back, look, &stand("active", "standby"), &mut kills);
            site.interrupted(&back, look, &stand("standby", "active"), &mut kills);
        }
        let ended = cloud.cli(&["client", "retire", GATEWAY, &old, "--force"]);
        assert!(ended.status.success(), "{ended:?}");
        load.goes_on(10);
        let drop = ["root-key", "drop", "main"];
        site.interrupted(&drop, look, &vec![format!("{to} active {new}")], &mut kills);
        load.goes_on(10);
        assert_eq!(live(&cloud), [new.as_str()], "none is left over at the cloud");
        old = new;
    }
    assert!(kills.early + kills.late >= 8, "each of eight steps was interrupted");
    load.settle(&site);
    // However often it was killed and said again, each step was taken once.
    let changes = site.changes("root.");
    let count = |action: &str| changes.get(action).copied().unwrap_or_default();
    let counts = ["root.stage", "root.promote", "root.rollback", "root.drop"].map(count);
    assert_eq!(counts, [3, 3, 2, 2], "{changes:?}");
    for number in 0..2 {
        // No question has ended for a key of ours; that the cloud was late is its own affair.
        let log = std::fs::read_to_string(site.log(number)).unwrap();
        let of_key = |line: &&str| {
            let refused = ["\"key_refused\"", "\"refused\"", "\"no_key\"", "\"wrong\""];
            line.contains("the cloud gave no credential") && refused.iter().any(|kind| line.contains(kind))
        };
        assert_eq!(log.lines().find(of_key), None, "node {number}");
    }
}

#[test]
fn a_root_key_is_replaced_at_two_nodes_across_kills_without_a_failed_request() {
    rotated(On::Sqlite);
}

#[test]
fn a_root_key_is_replaced_on_postgresql_across_kills_without_a_failed_request() {
    rotated(On::Postgres);
}
