//! Boundaries of tenants and endpoints, and rules that are only tried.

use super::bad_endpoints::{BROWSER, TOP};
use super::*;
use daypass_core::directory::Plan;

const CAM: &str =
    r#"{ cam = '{"version":"2.0","statement":{"effect":"allow","action":"soe:*","resource":"*"}}' }"#;
const RAM: &str = r#"{ ram = '{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:*","Resource":"acs:oss:*:*:b/*"}]}' }"#;
/// Where the line behind an endpoint begins: the head and the tenant have 29 lines.
const BEHIND_BROWSER: usize = 29 + 8;
const BEHIND_TOP: usize = 29 + 6;

fn with_endpoint(endpoint: &str, lines: &str) -> String {
    with_tenant(&format!("{endpoint}{lines}\n"))
}

fn plan(text: &str) -> Plan {
    production(text).unwrap_or_else(|errors| panic!("{errors}")).plan("")
}

/// The tenant's role `upload` with a line more.
fn with_upload(line: &str) -> String {
    with(&TENANT.replace("name = \"upload\"\n", &format!("name = \"upload\"\n{line}\n")))
}

fn ram(action: &str, resource: &str) -> String {
    format!(
        r#"{{ ram = '{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"{action}","Resource":"{resource}"}}]}}' }}"#
    )
}

#[test]
fn an_endpoint_has_a_boundary_and_one_that_is_tried() {
    for (endpoint, policy) in [(BROWSER, CAM), (TOP, RAM)] {
        let text = with_endpoint(endpoint, &format!("boundary = {policy}\nboundary_warn = {policy}"));
        let plan = plan(&text);
        let [endpoint] = plan.endpoints.as_slice() else { panic!("one endpoint") };
        assert!(endpoint.boundary.is_some());
        assert_eq!(endpoint.boundary, endpoint.boundary_warn);
        let said = warned(&text);
        assert_eq!(said.matches("is tried, and cuts nothing").count(), 1, "{said}");
        assert!(said.contains("call it `boundary`"), "{said}");
    }
}

#[test]
fn the_boundary_of_an_endpoint_is_in_the_language_of_its_roles() {
    for (endpoint, line, wrong, right) in
        [(BROWSER, BEHIND_BROWSER, RAM, "cam"), (TOP, BEHIND_TOP, CAM, "ram")]
    {
        for key in ["boundary", "boundary_warn"] {
            let said = refused(&with_endpoint(endpoint, &format!("{key} = {wrong}")));
            assert!(said.starts_with(&format!("daypass.toml:{line}:")), "{said}");
            assert!(said.contains(&format!("`{key}` is in the other language")), "{said}");
            assert!(said.contains(&format!("hint: {key} = {{ {right} = '…' }}")), "{said}");
        }
    }
}

#[test]
fn a_boundary_that_cannot_be_read_is_no_missing_boundary() {
    let variable = RAM.replace("b/*", "b/{poi_id}/*");
    for (bad, why) in [
        (variable.as_str(), "a boundary has no variables"),
        ("{ ram = '{' }", "Policy"),
        ("{}", "needs exactly one"),
    ] {
        let said = refused(&with_endpoint(TOP, &format!("boundary = {bad}")));
        assert!(said.contains(why) || said.to_lowercase().contains(&why.to_lowercase()), "{said}");
        assert!(said.contains(&format!("daypass.toml:{BEHIND_TOP}:")), "{said}");
    }
}

#[test]
fn where_a_boundary_would_bound_nothing_it_is_refused_with_the_reason() {
    for (dialect, why, instead) in [
        ("entra", "an access token carries no policy", "client ungrant"),
        (
            "tencent.sts",
            "the STS of every tenant is at `/`, and no endpoint is configured there",
            "daypass client boundary",
        ),
        (
            "alibaba.sts",
            "the STS of every tenant is at `/`, and no endpoint is configured there",
            "daypass client boundary",
        ),
        ("verify", "nothing is issued here", "of a client"),
    ] {
        let endpoint = format!("[[endpoint]]\ndialect = \"{dialect}\"\npath = \"/x\"\ntenant = \"acme\"\n");
        let said = refused(&with_endpoint(&endpoint, &format!("boundary = {CAM}\nboundary_warn = {CAM}")));
        for key in ["`boundary`: ", "`boundary_warn`: "] {
            assert!(said.contains(&format!("{key}{why}")), "{said}");
        }
        assert!(said.contains(instead) && said.contains("daypass.toml:34:"), "{said}");
        let without = refused(&with_endpoint(&endpoint, ""));
        assert!(!without.contains(why), "{without}");
    }
}

#[test]
fn what_a_tenant_tries_is_in_the_language_of_its_roles_too() {
    let said = refused(&with(&TENANT.replace("account = ", &format!("boundary_warn = {RAM}\naccount = "))));
    assert_eq!(said.matches("the tenant's boundary_warn is in the other language").count(), 2, "{said}");
    let only_ram: String = TENANT
        .split("[[tenant.role]]")
        .filter(|part| !part.contains("cam = "))
        .collect::<Vec<_>>()
        .join("[[tenant.role]]");
    let plan = plan(&with(&only_ram.replace("account = ", &format!("boundary_warn = {RAM}\naccount = "))));
    assert!(plan.tenants[0].boundary_warn.is_some() && plan.tenants[0].boundary.is_none());
}

#[test]
fn a_role_tries_the_policy_that_it_is_to_have() {
    let good = ram("oss:PutObject", "acs:oss:*:*:b/{tenant_code}/{poi_id}/new/*");
    let text = with_upload(&format!("policy_warn = {good}"));
    let plan = plan(&text);
    let role = plan.roles.iter().find(|role| role.name == "upload").unwrap();
    assert!(role.policy_warn.is_some());
    let said = warned(&text);
    assert!(said.contains("`policy_warn` is tried, and cuts nothing"), "{said}");
    assert!(said.contains("call it `policy`") && !said.contains("which `policy` does not"), "{said}");
    let others = plan.roles.iter().filter(|role| role.name != "upload");
    assert!(others.into_iter().all(|role| role.policy_warn.is_none()));
}

#[test]
fn a_policy_that_is_to_come_holds_together_with_its_role() {
    let wide = ram("oss:*", "acs:oss:*:*:b/{tenant_code}/{poi_id}/*");
    let said = warned(&with_upload(&format!("policy_warn = {wide}")));
    assert!(said.contains("statement 1 of `policy_warn` gives oss:* on"), "{said}");
    for (coming, why) in [
        (CAM.to_owned(), "in another language than `policy`"),
        (
            ram("oss:PutObject", "acs:oss:*:*:b/{tenant_code}/*"),
            "`poi_id` is declared, but the policy does not use it",
        ),
        (ram("oss:PutObject", "acs:oss:*:*:b/{tenant_code}/{poi_id}/{dir}/*"), "`dir`"),
        ("{ ram = '{}' }".to_owned(), "Version must be there"),
    ] {
        let said = refused(&with_upload(&format!("policy_warn = {coming}")));
        assert!(said.contains(why) && said.contains("daypass.toml:18:"), "{why}: {said}");
    }
    let token = TENANT
        .replace("roles = [\"orders.read\"]", &format!("roles = [\"orders.read\"]\npolicy_warn = {RAM}"));
    assert!(refused(&with(&token)).contains("`policy_warn` belongs to a role with a `policy`"));
}
