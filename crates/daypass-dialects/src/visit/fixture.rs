//! Endpoints for tests.

use daypass_core::endpoint::{CallerRule, Carrier, Endpoint, JwtRule, SessionRule, TicketRule, Whence};
use daypass_core::testing::World;

/// The world's endpoint, whose callers are known in these ways: `cookie` (named `sid`), `header` (named
/// `x-session`), `ticket`, `jwt` (of the provider `corp`), `anonymous` from pages, `originless` from
/// anywhere, and `near` from 192.0.2.0/24.
pub(crate) fn endpoint(ways: &str) -> Endpoint {
    let session = |carrier| {
        CallerRule::Session(SessionRule {
            carrier,
            whoami: "http://127.0.0.1:8000/whoami".into(),
            timeout_ms: 2000,
            cache: 5,
        })
    };
    let anonymous = |whence| CallerRule::Anonymous { reason: "a test".into(), whence };
    let rule = |way| match way {
        "cookie" => session(Carrier::Cookie("sid".into())),
        "header" => session(Carrier::Header("x-session".into())),
        "ticket" => CallerRule::Ticket(TicketRule { refreshes: 2, refresh_for: 3600 }),
        "jwt" => CallerRule::Jwt(JwtRule { provider: "corp".into() }),
        "anonymous" => anonymous(Whence::Pages),
        "originless" => anonymous(Whence::Anywhere),
        "near" => anonymous(Whence::Networks(vec!["192.0.2.0/24".parse().unwrap()])),
        other => panic!("no way {other}"),
    };
    let callers = ways.split_whitespace().map(rule).collect();
    Endpoint { callers, ..(*World::new().plan.endpoints[0]).clone() }
}
