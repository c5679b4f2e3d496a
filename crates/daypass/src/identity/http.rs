//! How this room asks: for JSON, and there are two ways to fail.

use daypass_issuers::fault::{Fault as Cause, FaultKind};
use daypass_issuers::http::{Ask, JSON};
use http::{HeaderName, HeaderValue};
use std::time::Duration;

pub(super) use daypass_issuers::http::{Address, Answer, Http, Trust};

/// A question.
pub(super) struct Get<'a> {
    /// Where to.
    pub(super) address: &'a Address,
    /// What is sent beside the usual.
    pub(super) header: Option<(HeaderName, HeaderValue)>,
    /// How long it may take from beginning to end.
    pub(super) limit: Duration,
    /// The most bytes of the answer.
    pub(super) most: usize,
}

/// Why there is no answer that can be used. The text is for the log; it holds neither what was sent nor what came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// Whoever was asked does not work now.
    #[error("{0}")]
    Down(String),
    /// It works, and answers with something else than was agreed.
    #[error("{0}")]
    Wrong(String),
}

impl From<Cause> for Fault {
    fn from(cause: Cause) -> Self {
        match cause.kind {
            FaultKind::Unreached | FaultKind::Tls | FaultKind::Late | FaultKind::Broken => {
                Self::Down(cause.why)
            }
            _ => Self::Wrong(cause.why),
        }
    }
}

/// Asks, and waits for the whole answer.
pub(super) async fn get(http: &Http, get: Get<'_>) -> Result<Answer, Fault> {
    let Get { address, header, limit, most } = get;
    let headers = header.into_iter().collect();
    Ok(http.ask(Ask { address, body: None, headers, accept: JSON, limit, most }).await?)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fake, Say};
    use super::*;

    async fn told(fake: &Fake, limit: Duration) -> Result<Answer, Fault> {
        let address = Address::parse(&fake.url("/asked?with=a-query")).unwrap();
        let most = 1_000;
        get(&Http::new(Trust::Nobody).unwrap(), Get { address: &address, header: None, limit, most }).await
    }

    #[tokio::test]
    async fn who_does_not_work_is_told_from_who_answers_wrongly() {
        let down = Fault::Down("no answer within 300 ms".into());
        for hung in [Say::nothing(), Say::json("{}").unannounced().and_then_hang()] {
            let told = told(&Fake::saying(hung).await, Duration::from_millis(300)).await;
            assert_eq!(told.unwrap_err(), down);
        }
        // Longer than an answer takes on any machine that does other things as well.
        let patience = Duration::from_mins(1);
        for (fake, expected) in [
            (
                Fake::saying(Say::json(&"x".repeat(1_001))).await,
                Fault::Wrong("the answer is larger than 1000 bytes".into()),
            ),
            (
                Fake::saying(Say::json("{}").header("content-type", "text/html")).await,
                Fault::Wrong("the content type of the answer is not JSON".into()),
            ),
        ] {
            assert_eq!(told(&fake, patience).await.unwrap_err(), expected);
        }
        for fake in [Fake::gone().await, Fake::raw(b"SSH-2.0-x\r\n").await] {
            assert!(matches!(told(&fake, patience).await, Err(Fault::Down(_))));
        }
        let wrong = Fault::from(Address::parse("http://example.com/").unwrap_err());
        assert!(matches!(wrong, Fault::Wrong(_)));
    }
}
