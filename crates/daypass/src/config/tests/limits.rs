//! What is said of limits, and whose word is whose.

use super::bad_endpoints::browser;
use super::*;
use daypass_core::quota::{Bounds, Limit, Rate};

/// A file with this table of the service, and this one of its tenant.
fn file(service: &str, tenant: &str) -> String {
    let tenant = TENANT.replacen("account =", &format!("limits = {tenant}\naccount ="), 1);
    with(&format!("[limits]\n{service}\n{tenant}"))
}

fn limit(rate: &str, burst: Option<u32>, daily: Option<u64>) -> Limit {
    Limit { rate: Some(Rate::parse(rate, burst).unwrap()), daily }
}

#[test]
fn each_place_says_its_own() {
    let plan = production(&file(
        "in_flight = 100\ntenant = { rate = 1000, burst = 2000, daily = 50 }\nsubject = { daily = 7 }",
        "{ client = { rate = \"600/m\" }, network = { rate = \"90/h\", burst = 3 } }",
    ));
    let plan = plan.unwrap_or_else(|errors| panic!("{errors}")).plan("");
    assert_eq!(plan.in_flight, Some(100));
    let expected = Bounds {
        tenant: limit("1000", Some(2000), Some(50)),
        subject: Limit { rate: None, daily: Some(7) },
        ..Bounds::default()
    };
    assert_eq!(plan.limits, expected);
    let expected = Bounds {
        client: limit("600/m", None, None),
        network: limit("90/h", Some(3), None),
        ..Bounds::default()
    };
    assert_eq!(plan.tenants[0].limits, expected);
}

#[test]
fn without_a_word_nothing_is_bounded_but_what_is_under_way() {
    let plan = production(&with_tenant("")).unwrap().plan("");
    assert_eq!((plan.in_flight, plan.limits), (Some(2048), Bounds::default()));
    assert_eq!(plan.tenants[0].limits, Bounds::default());
}

#[test]
fn what_is_no_limit_is_refused_where_it_stands() {
    for (table, fault) in [
        ("in_flight = 15", "daypass.toml:8:13: `in_flight` is 16 to 16384"),
        ("in_flight = \"many\"", "`in_flight` must be an integer"),
        ("client = { rate = 0 }", "daypass.toml:8:19: the number of a rate is 1 to 1000000"),
        ("client = { rate = \"5/d\" }", "a rate is a number for each second, or one with a time behind it"),
        ("client = { rate = true }", "a rate is a number for each second"),
        ("client = { rate = 5, burst = 0 }", "daypass.toml:8:30: a burst is 1 to 1000000"),
        ("client = { rate = 5, burst = -1 }", "a burst is 1 to 1000000"),
        ("client = { burst = 5 }", "`burst` is how many of a `rate` go at once, and there is no `rate`"),
        ("client = { daily = 0 }", "a daily quota is 1 to 1000000000000 credentials"),
        ("client = {}", "`client` bounds nothing"),
        ("client = 50", "`client` must be a table"),
        ("clients = { rate = 5 }", "unknown key `clients` in `limits`; did you mean `client`?"),
        ("client = { rates = 5 }", "unknown key `rates` in `client`; did you mean `rate`?"),
    ] {
        let said = refused(&with(&format!("[limits]\n{table}\n{TENANT}")));
        assert!(said.contains(fault), "{table}: {said}");
    }
    let said = refused(&file("", "{ in_flight = 100 }"));
    assert!(said.contains("unknown key `in_flight` in `limits`"), "{said}");
}

#[test]
fn an_endpoint_says_a_rate_once() {
    let said =
        browser("role", "role = \"soe\"\nquota = { address = 60 }\nlimits = { network = { rate = 5 } }");
    assert!(said.contains("`limits` says at what rate already, in `network`"), "{said}");
    let said = browser("role", "role = \"soe\"\nlimits = { client = { rate = 5 } }");
    assert!(said.contains("unknown key `client` in `limits`"), "{said}");
}

#[test]
fn an_endpoint_s_own_rate_takes_the_place_of_the_standard() {
    let endpoint = r#"[[endpoint]]
dialect = "tencent.getAuthorization"
path = "/getAuthorization"
tenant = "acme"
role = "soe"
origins = ["https://lesson.example.com"]
LIMITS
caller = { anonymous = { reason = "a public page" } }
"#;
    let short =
        TENANT.replace("max = \"2h\"", "max = \"15m\"").replace("default = \"30m\"", "default = \"15m\"");
    let text = |limits: &str| with(&format!("{short}{}", endpoint.replace("LIMITS", limits)));
    let both = "limits = { network = { rate = \"60/m\", daily = 9 }, endpoint = { rate = 100 } }";
    let plan = production(&text(both)).unwrap_or_else(|errors| panic!("{errors}")).plan("");
    let endpoint = &plan.endpoints[0];
    assert_eq!((endpoint.quota.subject, endpoint.quota.address), (Some(60), None));
    assert_eq!(endpoint.limits.network, limit("60/m", None, Some(9)));
    let said = refused(&text("limits = { network = { daily = 9 }, endpoint = { rate = 100 } }"));
    assert!(said.contains("anonymous use must be rationed") && said.contains("lacks `address`"), "{said}");
}

#[test]
fn a_part_that_may_have_more_than_the_whole_is_pointed_out() {
    let said = |tenant: &str| warned(&file("", tenant));
    let rate = said("{ tenant = { rate = 10 }, client = { rate = \"601/m\" } }");
    assert!(rate.contains("the `rate` of one client is more than that of the whole tenant"), "{rate}");
    let daily = said("{ tenant = { daily = 10 }, endpoint = { daily = 11 } }");
    assert!(daily.contains("the `daily` of one endpoint is more than"), "{daily}");
    let fine = said("{ tenant = { rate = 10, daily = 10 }, client = { rate = \"600/m\", daily = 10 } }");
    assert!(!fine.contains("whole tenant"), "{fine}");
}
