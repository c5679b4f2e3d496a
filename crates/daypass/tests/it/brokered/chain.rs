//! Daypass behind Daypass behind Daypass: each believes the next one as little as a cloud, and what the last one allows is what the
//! first one hands out.

use super::{ACCOUNT, Emulated, Shop, caller, private};
use serde_json::{Value, json};

/// A shop whose one role is brokered to this address with this key.
fn shop(url: &str, key: &Value, action: &str) -> Shop {
    let issuer = |folder: &std::path::Path| {
        let path = folder.join("root.key");
        let text = |name: &str| key[name].as_str().unwrap();
        private(&path, &format!("{}:{}\n", text("secret_id"), text("secret_key")));
        format!(
            "[[issuer]]\nname = \"next\"\nkind = \"tencent\"\nregion = \"ap-guangzhou\"\nurl = \"{url}\"\n\
             root_key = {{ file = \"{}\" }}\n",
            path.display()
        )
    };
    let tenant = format!(
        r#"
[[tenant]]
name = "shop"
guid = "59a5e07e-4147-4d2e-a808-dca76ac5b3fd"
account = "{ACCOUNT}"
[[tenant.role]]
name = "soe"
issuer = "next"
lifetime = {{ default = "20m", max = "20m" }}
policy = {{ cam = '{{"version":"2.0","statement":{{"effect":"allow","action":{action},"resource":"*"}}}}' }}
wildcard_reason = "SOE has no resource-level rights"
"#
    );
    Shop::new(issuer, &tenant)
}

#[test]
fn the_last_cloud_makes_what_the_first_daypass_hands_out() {
    let cloud = Emulated::start(&[]);
    let any = r#"["soe:*"]"#;
    let one = r#"["soe:TransmitOralProcessWithInit"]"#;
    let inner = shop(cloud.url(), &cloud.credentials["tencent"], any);
    let inner_node = inner.serve();
    let middle = shop(&format!("http://{}", inner_node.serve.host), &inner.clients["tencent"], any);
    let middle_node = middle.serve();
    let outer = shop(&format!("http://{}", middle_node.serve.host), &middle.clients["tencent"], one);
    let outer_node = outer.serve();

    let answer = outer_node.federation("tencent", "lesson");
    let credentials = answer.json()["Response"]["Credentials"].clone();
    assert!(credentials.is_object(), "{answer:?}");
    let who = caller(cloud.host(), &credentials).json();
    assert_eq!(who["Response"]["AccountId"], ACCOUNT, "{who}");
    for (node, shop) in [(&inner_node, &inner), (&middle_node, &middle), (&outer_node, &outer)] {
        assert!(
            caller(&node.serve.host, &credentials).json()["Response"]["Error"].is_object(),
            "none of them made it"
        );
        let records = shop.records();
        let grant = records.iter().rfind(|record| record["event"]["upstream"].is_object()).unwrap();
        assert_eq!(grant["event"]["upstream"]["issuer"], "next", "{grant}");
    }
    assert_eq!(cloud.calls("tencent GetFederationToken ok"), 1);

    // A cut-off in the middle stops what comes after it, and the asker at the front gets its own dialect's words.
    middle.cli(&["client", "disable", "video"]);
    let refused = super::soon("the cut-off", || {
        let answer = outer_node.federation("tencent", &format!("lesson-{}", uuid()));
        let code = answer.json()["Response"]["Error"]["Code"].clone();
        code.is_string().then_some((answer.status, code))
    });
    assert_eq!(refused, (200, json!("InternalError.SystemError")));
    outer_node.serve.logs("AuthFailure.UnauthorizedOperation");
}

fn uuid() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos()
}
