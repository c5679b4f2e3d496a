//! `daypass client refuse`.

use super::document::{client_document, refused};
use super::{Which, find, put};
use crate::cli::output::{Failure, Output};
use crate::cli::place::Place;
use daypass_core::client::{Client, Refuses};
use serde_json::json;

/// A weak but documented proof.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Weak {
    /// TC3 with UNSIGNED-PAYLOAD: whoever sees such a request can use its signature with another body.
    UnsignedPayload,
    /// Tencent's older signature over the parameters, `HmacSHA1` and `HmacSHA256`.
    V1,
    /// TOP's md5 and hmac.
    Md5,
}

/// The weak proofs to refuse, one switch for each.
#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[group(required = true, multiple = true)]
pub(in crate::cli) struct Proofs {
    /// TC3 with UNSIGNED-PAYLOAD: whoever sees such a request can use its signature with another body.
    #[arg(long)]
    unsigned_payload: bool,
    /// Tencent's older signature over the parameters, `HmacSHA1` and `HmacSHA256`.
    #[arg(long)]
    v1: bool,
    /// TOP's md5 and hmac.
    #[arg(long)]
    md5: bool,
    /// None of them.
    #[arg(long, conflicts_with_all = ["unsigned_payload", "v1", "md5"])]
    nothing: bool,
}

impl From<&Proofs> for Refuses {
    fn from(proofs: &Proofs) -> Self {
        Self { unsigned_payload: proofs.unsigned_payload, v1: proofs.v1, md5: proofs.md5 }
    }
}

/// What a list of weak proofs refuses.
pub(super) fn refuses(list: &[Weak]) -> Refuses {
    Refuses {
        unsigned_payload: list.contains(&Weak::UnsignedPayload),
        v1: list.contains(&Weak::V1),
        md5: list.contains(&Weak::Md5),
    }
}

/// Sets which weak proofs are refused in a client's name, in place of what was set before.
pub(super) async fn refuse(
    place: &Place,
    which: &Which,
    proofs: &Proofs,
    output: &Output,
) -> Result<(), Failure> {
    let before = find(place, which).await?;
    let client = Client { refuses: proofs.into(), ..before.clone() };
    let names = match refused(client.refuses) {
        names if names.is_empty() => "nothing".to_owned(),
        names => names.join(","),
    };
    put(place, &before, &client, "client.refuse", &format!("{} {names}", client.name)).await?;
    output.show(format!("{} refuses {names}", client.name), || json!({ "client": client_document(&client) }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_refuses_its_own_proof() {
        for (weak, name) in
            [(Weak::UnsignedPayload, "unsigned-payload"), (Weak::V1, "v1"), (Weak::Md5, "md5")]
        {
            assert_eq!(refused(refuses(&[weak])), [name]);
        }
        assert_eq!(refuses(&[]), Refuses::default());
    }
}
