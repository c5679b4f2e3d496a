//! What a running service cannot take up is named, and nothing else.

use super::*;
use insta::assert_snapshot;

const TLS: &str = "public_url = \"https://localhost\"\ntls = { certificate = \"c.pem\", key = \"k.pem\" }\n";

fn refused(before: &str, after: &str) -> String {
    let (before, after) = (production(before).unwrap(), production(after).unwrap());
    after.fixed.refuse_changed(&before.fixed).map_or_else(|errors| errors.to_string(), |()| String::new())
}

#[test]
fn what_requests_are_judged_by_may_change() {
    let before = with("");
    assert_eq!(refused(&before, &before), "");
    let tenant = "\n[[tenant]]\nname = \"more\"\nguid = \"11111111-2222-4333-8444-555555555555\"\n\
                  account = \"100000000009\"\n";
    assert_eq!(refused(&before, &format!("{before}{tenant}")), "");
    let spaced = before.replace("[store]", "# a remark\n\n[store]").replace(" = ", "=");
    assert_eq!(refused(&before, &spaced), "", "words count, not blanks");
}

#[test]
fn other_files_of_a_certificate_may_be_named() {
    let tls = with("").replace("[store]", &format!("{TLS}[store]"));
    assert_eq!(refused(&tls, &tls.replace("c.pem", "d.pem")), "");
}

#[test]
fn what_is_bound_and_open_is_named_with_its_place() {
    let before = with("");
    let after = before.replace("127.0.0.1:5050", "127.0.0.1:5051").replace("/d.db", "/other.db");
    let told = refused(&before, &after);
    assert!(told.contains("`server.listen` cannot change while the service runs"), "{told}");
    assert!(told.contains("`store` cannot change while the service runs"), "{told}");
    let first = told.lines().next().unwrap();
    assert!(first.starts_with("daypass.toml:2:10: "), "{first}");
}

#[test]
fn a_listener_that_comes_or_goes_is_one_finding() {
    let before = with("");
    let after = before.replace("[store]", &format!("{TLS}[store]"));
    assert_snapshot!(refused(&before, &after).lines().next().unwrap(), @"daypass.toml:4:7: `server.tls` cannot change while the service runs");
    let gone = refused(&after, &before);
    assert!(gone.starts_with("daypass.toml:1:1: `server.tls` cannot change"), "{gone}");
    let asking = "mutual_tls = { listen = \"127.0.0.1:8443\", public_url = \"https://m.localhost\", ca = \"ca.pem\" }\n";
    let asks = after.replace("[store]", &format!("{asking}[store]"));
    assert_eq!(refused(&after, &asks).matches("cannot change").count(), 1);
    let moved = asks.replace("127.0.0.1:8443", "127.0.0.1:8444");
    assert!(refused(&asks, &moved).contains("`server.mutual_tls.listen` cannot change"));
    let without = asks.replace(", ca = \"ca.pem\"", "");
    assert!(refused(&asks, &without).contains("`server.mutual_tls.ca` cannot change"));
}
