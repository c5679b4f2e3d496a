//! `kind` of an issuer, and the keys that only some kinds have.

use super::super::diagnostic::Fault;
use super::super::notes::Given;
use super::super::section::{Section, list, no_such, text};
use super::super::tree::Value;
use daypass_core::upstream::{Cloud, TokenCall, TokenCarrier};
use std::collections::BTreeMap;

/// The clouds that can stand behind Daypass, with the keys that each has beside those of all.
const KINDS: &[(&str, &[&str])] = &[
    ("tencent", &["region", "unsigned_payload"]),
    ("alibaba", &[]),
    ("top", &[]),
    ("entra", &["tenant"]),
    ("oauth", &["send", "id", "secret", "parameters", "one_live"]),
];

/// Reads which cloud it is.
pub(super) fn read(section: Section<'_>) -> Option<Cloud> {
    let names: Vec<_> = KINDS.iter().map(|(name, _)| *name).collect();
    let known = |kind: &str| {
        KINDS.iter().find(|(name, _)| *name == kind).ok_or_else(|| no_such("kind of issuer", kind, &names))
    };
    let (kind, own) = section.need_parsed("kind", known)?.value;
    refuse_others(section, kind, own);
    match *kind {
        "tencent" => {
            let region = section.need_parsed("region", region);
            let unsigned_payload = flag(section, "unsigned_payload");
            Some(Cloud::Tencent { region: region?.value, unsigned_payload: unsigned_payload? })
        }
        "alibaba" => Some(Cloud::Alibaba),
        "top" => Some(Cloud::Top),
        "entra" => Some(Cloud::Entra { tenant: section.need_parsed("tenant", tenant)?.value }),
        _ => token_call(section).map(Cloud::OAuth),
    }
}

/// A key of another kind of issuer would be believed to do something.
fn refuse_others(section: Section<'_>, kind: &str, own: &[&str]) {
    for (other, keys) in KINDS.iter().filter(|(name, _)| *name != kind) {
        for key in keys.iter().filter(|key| !own.contains(key)) {
            if let Some(place) = section.key(key) {
                let message = format!("`{key}` belongs to an issuer of kind `{other}`");
                section.notes().error(place, Fault::new(message));
            }
        }
    }
}

/// Where a cloud answers when nothing is said: TOP's and any other OAuth endpoint have no such place.
pub(super) fn standard_url(cloud: &Cloud) -> Option<&'static str> {
    match cloud {
        Cloud::Tencent { .. } => Some("https://sts.tencentcloudapi.com"),
        Cloud::Alibaba => Some("https://sts.aliyuncs.com"),
        Cloud::Entra { .. } => Some("https://login.partner.microsoftonline.cn"),
        Cloud::Top | Cloud::OAuth(_) => None,
    }
}

fn flag(section: Section<'_>, key: &str) -> Option<bool> {
    match section.node(key).map(|node| (&node.value, node.place)) {
        None => Some(false),
        Some((Value::Flag(value), _)) => Some(*value),
        Some((other, place)) => {
            let message = format!("`{key}` must be true or false, and is {}", other.kind());
            section.notes().error(place, Fault::new(message));
            None
        }
    }
}

/// `ap-guangzhou` and its like. It goes into a header.
fn region(text: &str) -> Result<String, Fault> {
    if (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("`{text}` is no region")).hint("such as region = \"ap-guangzhou\""))
}

/// A GUID or a domain. It is a part of the path.
fn tenant(text: &str) -> Result<String, Fault> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-.".contains(&b);
    if (1..=255).contains(&text.len()) && !text.starts_with('.') && text.bytes().all(plain) {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("`{text}` is neither the GUID of a tenant nor a domain")))
}

fn token_call(section: Section<'_>) -> Option<TokenCall> {
    let carrier = match section.node("send") {
        None => Some(TokenCarrier::Form),
        Some(_) => section.need_parsed("send", carrier).map(|given| given.value),
    };
    let named = |key: &str, standard: &str| match section.node(key) {
        None => Some(standard.to_owned()),
        Some(_) => section.need_parsed(key, parameter).map(|given| given.value),
    };
    let (id, secret) = (named("id", "client_id"), named("secret", "client_secret"));
    let parameters = parameters(section);
    let one_live = flag(section, "one_live");
    Some(TokenCall {
        carrier: carrier?,
        id: id?,
        secret: secret?,
        parameters: parameters?,
        one_live: one_live?,
    })
}

const CARRIERS: &[(&str, TokenCarrier)] = &[
    ("query", TokenCarrier::Query),
    ("form", TokenCarrier::Form),
    ("json", TokenCarrier::Json),
    ("basic", TokenCarrier::Basic),
];

fn carrier(name: &str) -> Result<TokenCarrier, Fault> {
    let names: Vec<_> = CARRIERS.iter().map(|(name, _)| *name).collect();
    CARRIERS.iter().find(|(known, _)| *known == name).map(|(_, carrier)| *carrier).ok_or_else(|| {
        Fault::new(format!("there is no way `{name}` to send parameters"))
            .hint(format!("there is {}", list(&names)))
    })
}

fn parameter(text: &str) -> Result<String, Fault> {
    if (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
    {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("`{text}` is no name of a parameter")))
}

fn parameters(section: Section<'_>) -> Option<BTreeMap<String, String>> {
    let Some(node) = section.node("parameters") else {
        return Some([("grant_type".to_owned(), "client_credentials".to_owned())].into());
    };
    let table = Section::free(section.notes(), node, "parameters")?;
    let one = |(name, node)| {
        let name: Given<&str> = name;
        let value = text(table.notes(), name.value, node)?;
        Some((table.parsed(name, parameter)?.value, value.value.to_owned()))
    };
    table.entries().map(one).collect()
}
