//! What is asked for: one credential of one server, with one key.

use super::answer::Vendor;
use crate::cli::output::Failure;
use crate::cli::token::{Format, alibaba, entra, tencent};
use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use http::Response;
use std::fmt::Write as _;

/// One credential to ask for.
pub(in crate::cli) enum Question {
    /// A key of Tencent Cloud.
    Tencent(Box<tencent::Ask>),
    /// A key of Alibaba Cloud, and the form of the answer.
    Alibaba(Box<alibaba::Ask>, Format),
    /// An access token.
    Entra(Box<entra::Ask>),
}

/// Which credential, on a command line, and what else the verb wants to know.
#[derive(clap::Subcommand)]
pub(in crate::cli) enum Wanted<X: clap::Args> {
    /// A temporary key of Tencent Cloud.
    Tencent {
        #[command(flatten)]
        ask: Box<tencent::Ask>,
        #[command(flatten)]
        more: X,
    },
    /// A temporary key of Alibaba Cloud: of the TOP gateway for one store or, with --sts, of Alibaba Cloud STS.
    Alibaba {
        #[command(flatten)]
        ask: Box<alibaba::Ask>,
        #[command(flatten)]
        more: X,
    },
    /// An access token in the shape of Microsoft Entra's.
    Entra {
        #[command(flatten)]
        ask: Box<entra::Ask>,
        #[command(flatten)]
        more: X,
    },
}

impl<X: clap::Args> Wanted<X> {
    /// The question and the rest. A program reads JSON.
    pub(super) fn parts(self) -> (Question, X) {
        match self {
            Self::Tencent { ask, more } => (Question::Tencent(ask), more),
            Self::Alibaba { ask, more } => (Question::Alibaba(ask, Format::Json), more),
            Self::Entra { ask, more } => (Question::Entra(ask), more),
        }
    }
}

impl Question {
    /// Whose credential.
    pub(super) fn vendor(&self) -> Vendor {
        match self {
            Self::Tencent(_) => Vendor::Tencent,
            Self::Alibaba(..) => Vendor::Alibaba,
            Self::Entra(_) => Vendor::Entra,
        }
    }

    /// The name under which the answer is kept: a hash over everything that decides it. Another server, another key (a
    /// rotated secret as well) or anything else that is asked is another name.
    pub(super) fn name(&self) -> Result<String, Failure> {
        let (vendor, parts) = match self {
            Self::Tencent(ask) => ("tencent", ask.parts()?),
            Self::Alibaba(ask, format) => ("alibaba", ask.parts(*format)?),
            Self::Entra(ask) => ("entra", ask.parts()?),
        };
        Ok(hash(vendor, &parts))
    }

    /// Asks the server.
    pub(super) async fn send(&self) -> Result<Response<Bytes>, Failure> {
        match self {
            Self::Tencent(ask) => ask.send().await,
            Self::Alibaba(ask, format) => ask.send(*format).await,
            Self::Entra(ask) => ask.send().await,
        }
    }

    /// The tenant and the resource, where it is an access token.
    pub(super) fn resource(&self) -> Result<Option<(String, String)>, Failure> {
        match self {
            Self::Entra(ask) => Ok(Some((ask.tenant()?, ask.resource()?))),
            Self::Tencent(_) | Self::Alibaba(..) => Ok(None),
        }
    }
}

/// Each part with its length before it, so that no two lists of parts make one text.
fn hash(vendor: &str, parts: &[String]) -> String {
    let mut context = Context::new(&SHA256);
    for part in ["daypass client cache 1", vendor].into_iter().chain(parts.iter().map(String::as_str)) {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut name = String::new();
    for byte in context.finish().as_ref() {
        let _ = write!(name, "{byte:02x}");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_by_every_part_and_by_where_one_ends() {
        let names = [
            hash("tencent", &["a".into(), "b".into()]),
            hash("tencent", &["ab".into(), String::new()]),
            hash("tencent", &["ab".into()]),
            hash("entra", &["a".into(), "b".into()]),
        ];
        for (n, name) in names.iter().enumerate() {
            assert!(name.len() == 64 && !names[..n].contains(name), "{name}");
        }
        assert_eq!(names[0], hash("tencent", &["a".into(), "b".into()]));
    }
}
