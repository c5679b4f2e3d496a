//! Policy documents in a vendor's own language.

use super::diagnostic::Fault;
use super::lint;
use super::notes::Given;
use super::section::{Section, text};
use daypass_core::policy::{Effect, Pattern, Piece, Policy};
use daypass_dialects::{alibaba, tencent};

/// The languages, by their key.
pub(super) const KEYS: &[&str] = &["cam", "ram"];

/// Reads `{ cam = '…' }` or `{ ram = '…' }` of the tenant with this account; none where its own is wrong.
pub(super) fn read(section: Section<'_>, key: &str, account: Option<&str>) -> Option<Given<Policy>> {
    let notes = section.notes();
    let table = Section::of(notes, section.node(key)?, key, KEYS)?;
    let mut given = KEYS.iter().filter_map(|&language| Some((language, table.node(language)?)));
    let (Some((language, node)), None) = (given.next(), given.next()) else {
        let fault = Fault::new(format!(
            "`{key}` needs exactly one of `cam` (Tencent Cloud) and `ram` (Alibaba Cloud)"
        ));
        notes.error(table.place(), fault);
        return None;
    };
    let read = section.parsed(text(notes, language, node)?, |document| parse(language, document, account))?;
    lint::statements(notes, &read);
    Some(read)
}

fn parse(language: &str, document: &str, account: Option<&str>) -> Result<Policy, Fault> {
    let parsed = match language {
        "cam" => tencent::policy::parse(document)
            // Those of requests get it as well, so that the two can be compared.
            .map(|policy| match account {
                Some(account) => tencent::policy::with_account(policy, account),
                None => policy,
            })
            .map_err(|fault| fault.to_string()),
        _ => alibaba::policy::parse(document).map_err(|fault| fault.to_string()),
    };
    parsed.map_err(Fault::new)
}

/// What a policy allows without any bound, if it does: `action` or `resource`.
pub(super) fn unbounded(policy: &Policy) -> Option<&'static str> {
    let mut allows = policy.statements.iter().filter(|statement| statement.effect == Effect::Allow);
    allows.find_map(|statement| {
        if statement.actions.iter().any(is_everything) {
            Some("action")
        } else {
            statement.resources.iter().any(is_everything).then_some("resource")
        }
    })
}

/// Whether a pattern names nothing at all: `*`, `*:*`, `acs:*:*:*:*`, `qcs::*:*:*:*`. A longer way to write `*`
/// must not get round the written reason.
fn is_everything(pattern: &Pattern) -> bool {
    let pieces = pattern.pieces();
    let mut texts = pieces
        .iter()
        .filter_map(|piece| if let Piece::Text(text) = piece { Some(text.as_str()) } else { None });
    let first = texts.next().unwrap_or_default();
    let first = first.strip_prefix("acs").or_else(|| first.strip_prefix("qcs")).unwrap_or(first);
    pieces.contains(&Piece::Any)
        && std::iter::once(first).chain(texts).all(|text| text.bytes().all(|b| b":/".contains(&b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_everything_is_seen() {
        for all in ["*", "**", "*:*", "acs:*:*:*:*", "acs:*", "qcs::*:*:*:*", "qcs::*:*:*:*/*"] {
            assert!(is_everything(&Pattern::parse(all)), "{all}");
        }
        for some in ["acs:oss:*:*:*", "soe:*", "qcs::cos:*:*:*", "", "acs", "*Object", "acs:*:*:1:*"] {
            assert!(!is_everything(&Pattern::parse(some)), "{some}");
        }
    }
}
