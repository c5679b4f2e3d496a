//! `[server] proxy_protocol`: balancers that say for whom they connect.

use super::*;
use insta::assert_snapshot;

/// A file with these lines in `[server]`; they begin on line 3.
fn file(lines: &str) -> String {
    with("").replace("[store]", &format!("{lines}\n[store]"))
}

const URL: &str = "public_url = \"https://pass.example.com\"";

/// What is warned of, without what is warned of in every such file.
fn warned(lines: &str) -> String {
    let loaded = production(&file(lines)).unwrap();
    let warnings = loaded.warnings.iter().map(ToString::to_string);
    warnings.filter(|text| text.contains("proxy")).collect::<Vec<_>>().join("\n")
}

#[test]
fn balancers_are_networks_beside_those_of_proxies() {
    let none = production(&file("")).unwrap();
    assert!(none.proxy_protocol.is_empty() && none.behind_proxy.is_empty());
    let lines =
        format!("{URL}\nproxy_protocol = [\"10.1.0.0/16\", \"fd00::1\"]\nbehind_proxy = [\"10.2.0.0/16\"]");
    let both = production(&file(&lines)).unwrap();
    assert_eq!(both.proxy_protocol, ["10.1.0.0/16", "fd00::1/128"].map(|net| net.parse().unwrap()));
    assert_eq!(both.behind_proxy, ["10.2.0.0/16".parse().unwrap()]);
    assert_eq!(warned(&lines), "");
}

#[test]
fn one_that_ends_tls_lets_the_listener_be_anywhere() {
    let anywhere = |lines: &str| file(lines).replace("127.0.0.1:5050", "0.0.0.0:5050");
    assert!(refused(&anywhere(URL)).contains("is reached from other machines"));
    let lines = format!("{URL}\nproxy_protocol = [\"10.1.0.0/16\"]");
    assert!(production(&anywhere(&lines)).is_ok());
    assert!(
        refused(&anywhere(&format!("{URL}\nproxy_protocol = []"))).contains("is reached from other machines")
    );
}

#[test]
fn nobody_can_be_anybody() {
    let text = file("proxy_protocol = [\"0.0.0.0/0\", \"::/0\", \"10.1.2.3/8\", 5]");
    assert_snapshot!(refused(&text), @r#"
    daypass.toml:3:1: behind a proxy, `public_url` must say the address that clients use
    3 | proxy_protocol = ["0.0.0.0/0", "::/0", "10.1.2.3/8", 5]
      | ^^^^^^^^^^^^^^
      hint: public_url = "https://pass.example.com"

    daypass.toml:3:19: `0.0.0.0/0` would believe anyone about where they come from
    3 | proxy_protocol = ["0.0.0.0/0", "::/0", "10.1.2.3/8", 5]
      |                   ^^^^^^^^^^^
      hint: list only the proxy's own addresses

    daypass.toml:3:32: `::/0` would believe anyone about where they come from
    3 | proxy_protocol = ["0.0.0.0/0", "::/0", "10.1.2.3/8", 5]
      |                                ^^^^^^
      hint: list only the proxy's own addresses

    daypass.toml:3:40: `10.1.2.3/8` has bits beyond its prefix
    3 | proxy_protocol = ["0.0.0.0/0", "::/0", "10.1.2.3/8", 5]
      |                                        ^^^^^^^^^^^^
      hint: did you mean "10.0.0.0/8"?

    daypass.toml:3:54: `proxy_protocol` must be a list of strings, and holds an integer
    3 | proxy_protocol = ["0.0.0.0/0", "::/0", "10.1.2.3/8", 5]
      |                                                      ^
    "#);
}

#[test]
fn a_network_of_both_kinds_is_pointed_out() {
    let lines = format!("{URL}\nproxy_protocol = [\"10.1.0.0/16\"]\nbehind_proxy = [\"10.0.0.0/8\"]");
    assert_snapshot!(warned(&lines), @r#"
    daypass.toml:4:19: warning: 10.1.0.0/16 is in `behind_proxy` as well (10.0.0.0/8): visitors from there whom the balancer passes on can name any address
    4 | proxy_protocol = ["10.1.0.0/16"]
      |                   ^^^^^^^^^^^^^
      hint: a balancer that passes TCP on belongs into `proxy_protocol` alone; name single addresses where both are in one network
    "#);
}
