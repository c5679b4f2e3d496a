//! `/livez` and `/readyz`: what whoever watches this process, or shares requests out among nodes, goes by.
//!
//! Live is a process that could do its work; one that is not is to be started anew. Ready is one that would grant something now,
//! as far as that depends on it ([`crate::app::Report`]).

use super::Server;
use super::http::plain;
use crate::app::{Check, Report, State};
use daypass_core::request::{Head, Response};
use http::header::ACCEPT;
use http::{Method, StatusCode};
use serde_json::json;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

impl Server {
    /// `/livez`: `ok`, unless what runs beside requests has ended. Then nobody hears of revocations any more, and only a new
    /// start helps.
    pub(super) fn live(&self, head: &Head) -> Response {
        if let Some(refused) = not_asked(head) {
            return refused;
        }
        if self.app.health().live() {
            plain(StatusCode::OK, TEXT, "ok\n")
        } else {
            let why = json!({ "error": "what runs beside requests has ended" });
            plain(StatusCode::SERVICE_UNAVAILABLE, JSON, why.to_string())
        }
    }

    /// `/readyz`: `ok`, and behind it what will need an operator soon. Whoever asks whether this node is ready looks at the
    /// status; whoever wants all of it says that it takes JSON.
    pub(super) fn ready(&self, head: &Head) -> Response {
        if let Some(refused) = not_asked(head) {
            return refused;
        }
        let report = self.app.report();
        let report = if self.draining() {
            report.led_by(Check { name: "service", state: State::Fault, text: "stopping".into() })
        } else {
            report
        };
        answer(&report, takes_json(head))
    }
}

fn answer(report: &Report, json: bool) -> Response {
    let fault = report.fault();
    let status = if fault.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    match fault {
        _ if json => plain(status, JSON, format!("{}\n", report.document())),
        Some(fault) => plain(status, JSON, json!({ "error": fault.text }).to_string()),
        None => {
            let lines = report.warnings().map(|warning| format!("warning: {}\n", warning.text));
            plain(status, TEXT, std::iter::once("ok\n".to_owned()).chain(lines).collect::<String>())
        }
    }
}

/// The refusal of whatever is no question.
fn not_asked(head: &Head) -> Option<Response> {
    if head.method == Method::GET || head.method == Method::HEAD {
        return None;
    }
    Some(plain(StatusCode::METHOD_NOT_ALLOWED, JSON, r#"{"error":"method_not_allowed"}"#))
}

/// Whether the asker says that it takes JSON; `*/*` says nothing.
fn takes_json(head: &Head) -> bool {
    let accepts = head.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepts
        .flat_map(|value| value.split(','))
        .any(|kind| kind.split(';').next().unwrap_or_default().trim() == JSON)
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::request;

    #[test]
    fn json_is_for_those_who_ask_for_it() {
        let takes = |accept: &str| takes_json(&request("GET", "/readyz", &[("accept", accept)], b"").head);
        assert!(takes("application/json") && takes("text/html, application/json;q=0.9"));
        assert!(!takes("*/*") && !takes("text/plain") && !takes("application/jsonp"));
        assert!(!takes_json(&request("GET", "/readyz", &[], b"").head));
    }
}
