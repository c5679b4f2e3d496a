//! Where a request comes from × what the browser says of it × what it shows × how the endpoint knows its callers.

use super::desk::{ASK, ticket, ticket_of};
use super::{endpoint, jwt, serving};
use daypass_core::record::{Event, Record};
use daypass_core::testing::request;
use std::fmt::Write as _;

const LISTED: &str = "http://127.0.0.1:88";
const OWN: &str = "http://127.0.0.1:5050";

/// What kind of request it is, whatever it shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Up to what it shows.
    Fair,
    /// A browser's, and no script of a listed page made it.
    NoFetch,
    /// Of a page that is not listed.
    Unlisted,
}
use Kind::{Fair, NoFetch, Unlisted};

type Headers = &'static [(&'static str, &'static str)];

/// What a request says of where it comes from and what it is for.
const PLACES: [(&str, Kind, Headers); 18] = [
    ("a server", Fair, &[]),
    ("Node's fetch", Fair, &[("sec-fetch-mode", "cors")]),
    ("listed, old browser", Fair, &[("origin", LISTED)]),
    ("listed, fetch", Fair, &[("origin", LISTED), SAME_SITE, CORS, EMPTY]),
    ("listed, module script", NoFetch, &[("origin", LISTED), SAME_SITE, CORS, ("sec-fetch-dest", "script")]),
    (
        "listed, crossorigin image",
        NoFetch,
        &[("origin", LISTED), SAME_SITE, CORS, ("sec-fetch-dest", "image")],
    ),
    ("listed, image", NoFetch, &[SAME_SITE, NO_CORS, ("sec-fetch-dest", "image")]),
    ("listed, no-cors fetch", NoFetch, &[SAME_SITE, NO_CORS, EMPTY]),
    ("listed, link", NoFetch, &[SAME_SITE, NAVIGATE, DOCUMENT]),
    ("own, fetch", Fair, &[SAME_ORIGIN, CORS, EMPTY]),
    ("own, with Origin", Fair, &[("origin", OWN), SAME_ORIGIN, CORS, EMPTY]),
    ("own, image", NoFetch, &[SAME_ORIGIN, NO_CORS, ("sec-fetch-dest", "image")]),
    ("own, link", NoFetch, &[SAME_ORIGIN, NAVIGATE, DOCUMENT]),
    ("unlisted, fetch", Unlisted, &[("origin", "https://evil.example"), CROSS_SITE, CORS, EMPTY]),
    ("sandboxed frame", Unlisted, &[("origin", "null"), CROSS_SITE, CORS, EMPTY]),
    ("another site, no Origin", NoFetch, &[CROSS_SITE, CORS, EMPTY]),
    ("another site, link", NoFetch, &[CROSS_SITE, NAVIGATE, DOCUMENT]),
    ("address bar", NoFetch, &[("sec-fetch-site", "none"), NAVIGATE, DOCUMENT]),
];
const SAME_SITE: (&str, &str) = ("sec-fetch-site", "same-site");
const SAME_ORIGIN: (&str, &str) = ("sec-fetch-site", "same-origin");
const CROSS_SITE: (&str, &str) = ("sec-fetch-site", "cross-site");
const CORS: (&str, &str) = ("sec-fetch-mode", "cors");
const NO_CORS: (&str, &str) = ("sec-fetch-mode", "no-cors");
const NAVIGATE: (&str, &str) = ("sec-fetch-mode", "navigate");
const EMPTY: (&str, &str) = ("sec-fetch-dest", "empty");
const DOCUMENT: (&str, &str) = ("sec-fetch-dest", "document");

/// What a request shows of its user: `{jwt}` is a good token, `{ticket}` a new ticket for the listed page.
const SHOWN: [(&str, Headers); 9] = [
    ("nothing", &[]),
    ("session", &[("cookie", "sid=the-session"), ("x-session", "the-session")]),
    ("wrong session", &[("cookie", "sid=guess"), ("x-session", "guess")]),
    ("jwt", &[("authorization", "Bearer {jwt}")]),
    ("wrong jwt", &[("authorization", "Bearer a.b.c")]),
    ("ticket", &[("authorization", "Ticket {ticket}")]),
    ("wrong ticket", &[("authorization", "Ticket dpt_guess")]),
    ("jwt + session", &[("authorization", "Bearer {jwt}"), ("cookie", "sid=the-session")]),
    ("wrong jwt + session", &[("authorization", "Bearer a.b.c"), ("cookie", "sid=the-session")]),
];

const RULES: [&str; 6] = ["cookie", "header jwt", "cookie ticket jwt", "anonymous", "originless", "near"];

/// How the request was known, or why it was refused.
async fn outcome(ways: &str, about: Headers, shown: Headers) -> String {
    let service = serving(endpoint(ways));
    let mut headers = about.to_vec();
    let mut filled = Vec::new();
    for (name, value) in shown {
        let ticket = if value.contains("{ticket}") && ways.contains("ticket") {
            ticket_of(&ticket(&service, ASK).await)
        } else {
            "dpt_none".to_owned()
        };
        filled.push((*name, value.replace("{jwt}", &jwt()).replace("{ticket}", &ticket)));
    }
    headers.extend(filled.iter().map(|(name, value)| (*name, value.as_str())));
    let answer = service.browse(request("GET", "/getAuthorization", &headers, b"")).await;
    let granted = |record: &Record| matches!(record.event, Event::Grant { .. });
    let grant = service.store.all().into_iter().find(granted);
    match answer.summary.result {
        Ok(_) => grant.and_then(|grant| grant.via).unwrap(),
        Err(refusal) => {
            assert!(grant.is_none());
            refusal.reason.label().to_owned()
        }
    }
}

#[tokio::test]
async fn who_is_served() {
    let mut table = String::new();
    for ways in RULES {
        write!(table, "# {ways}\n{:26}", "").unwrap();
        for (shown, _) in SHOWN {
            write!(table, " {shown:20}").unwrap();
        }
        for (place, _, about) in PLACES {
            write!(table, "\n{place:26}").unwrap();
            for (_, shown) in SHOWN {
                write!(table, " {:20}", outcome(ways, about, shown).await).unwrap();
            }
        }
        table.push_str("\n\n");
    }
    let table: Vec<_> = table.lines().map(str::trim_end).collect();
    insta::assert_snapshot!("who_is_served", table.join("\n"));
}

/// What must hold of the table, whatever the snapshot says.
#[tokio::test]
async fn no_browser_is_used_against_its_user() {
    for ways in RULES {
        for (place, kind, about) in PLACES {
            for (shown, evidence) in SHOWN {
                let outcome = outcome(ways, about, evidence).await;
                // Who serves anyone, even without a page, may be looked at.
                let looked_at = (ways, place, outcome.as_str()) == ("originless", "address bar", "anonymous");
                let what = format!("{ways}, {place}, {shown}: {outcome}");
                match kind {
                    Unlisted => assert_eq!(outcome, "origin_not_allowed", "{what}"),
                    NoFetch => assert!(outcome == "not_fetched" || looked_at, "{what}"),
                    Fair => assert!(outcome != "not_fetched", "{what}"),
                }
            }
        }
    }
}
