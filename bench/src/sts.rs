//! A stand-in for the vendor's STS, for the samples to ask: always the same answer, at once, and no look at the
//! signature. What a sample costs is then its own.

use anyhow::Context as _;
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::post;
use daypass_core::clock::{Timestamp, unix};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// The temporary SecretId of every answer.
pub(crate) const SECRET_ID: &str = "AKIDstandInForTheVendorsServiceStandInForTheVendorsServiceStandIn";
/// How long its credentials are said to last: the vendor's default for this action.
const LIFETIME: i64 = 1_800;
/// As tokens of this kind have, which hold their policy: some hundreds of characters.
const TOKEN_LENGTH: usize = 332;

/// What GetFederationToken answers at this time.
fn answer(now: Timestamp) -> anyhow::Result<Value> {
    let expired = unix(now) + LIFETIME;
    let expiration = Timestamp::from_second(expired).context("the clock is far off")?;
    Ok(json!({"Response": {
        "Credentials": {
            "Token": "t".repeat(TOKEN_LENGTH),
            "TmpSecretId": SECRET_ID,
            "TmpSecretKey": "c3RhbmQtaW4gZm9yIHRoZSB2ZW5kb3IncyBzZXJ2aWM=",
        },
        "ExpiredTime": expired,
        "Expiration": expiration.to_string(),
        "RequestId": "0b8d2f6e-93c1-4a57-8e40-6f1d7c25ba39",
    }}))
}

/// Serves until it is killed. One thread is many times as fast as any sample.
pub(crate) fn serve(address: SocketAddr, now: Timestamp) -> anyhow::Result<()> {
    let body: &'static str = answer(now)?.to_string().leak();
    let router =
        Router::new().route("/", post(move || async move { ([(CONTENT_TYPE, "application/json")], body) }));
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await?;
        Ok(axum::serve(listener, router).await?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_one_of_the_vendors_and_both_times_are_the_same_instant() {
        let now: Timestamp = "2026-11-22T03:00:00.9Z".parse().unwrap();
        let answer = answer(now).unwrap();
        let response = &answer["Response"];
        assert_eq!(response["Expiration"], "2026-11-22T03:30:00Z");
        assert_eq!(response["ExpiredTime"], unix(now) + 1_800);
        assert_eq!(response["Credentials"]["TmpSecretId"], SECRET_ID);
        assert_eq!(response["Credentials"]["Token"].as_str().map(str::len), Some(TOKEN_LENGTH));
    }
}
