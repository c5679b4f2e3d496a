//! What somebody would get, without giving or recording anything.

use super::Snapshot;
use super::layers::{self, Layer, Probe};
use super::question::{self, Question, Target, Words};
use crate::cli::output::{Failure, Output};
use crate::config;
use daypass_core::directory::Directory;
use daypass_core::policy::{Cut, Rehearsal, Verdict};
use daypass_core::refusal::Refusal;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Who asks, and for what beside the role.
#[derive(clap::Args, Default)]
pub(in crate::cli) struct Ask {
    /// Who asks: a client by its name or id; at an endpoint for visitors, the one that makes their tickets.
    #[arg(long = "as", value_name = "CLIENT")]
    client: Option<String>,
    /// The tenant of the client, where several have one of this name.
    #[arg(long)]
    tenant: Option<String>,
    /// Whom a session, a ticket or a JWT is for, at an endpoint for visitors.
    #[arg(long)]
    subject: Option<String>,
    /// What is asked for at a TOP endpoint: `product_code/scene_code/usage_scene`.
    #[arg(long, value_name = "WORDS")]
    product: Option<String>,
    /// A variable of the role; may be given several times.
    #[arg(long = "variable", value_name = "NAME=VALUE", value_parser = crate::cli::token::pair)]
    variables: Vec<(String, String)>,
    /// How long it should live, such as `30m` [default: what the role says].
    #[arg(long, value_name = "DURATION", value_parser = config::seconds_of)]
    lifetime: Option<u32>,
    /// A file with a narrower policy, in the language of the role.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// An action that the credential is to be used for.
    #[arg(long, requires = "resource")]
    action: Option<String>,
    /// The resource of that action, as its vendor writes it.
    #[arg(long, requires = "action")]
    resource: Option<String>,
}

impl Ask {
    /// The action that is asked about.
    pub(super) fn probe(&self) -> Option<Probe<'_>> {
        Some(Probe { action: self.action.as_deref()?, resource: self.resource.as_deref()? })
    }

    /// Whether anything but an action is said.
    pub(super) fn says_who(&self) -> bool {
        self.client.is_some()
            || self.subject.is_some()
            || self.product.is_some()
            || self.policy.is_some()
            || self.lifetime.is_some()
            || !self.variables.is_empty()
    }
}

/// Asks, prints what would come of it, and fails if that is nothing.
pub(in crate::cli) fn run(
    snapshot: &Snapshot,
    directory: &Directory,
    target: Target<'_>,
    ask: &Ask,
    output: &Output,
) -> Result<(), Failure> {
    let policy = ask.policy.as_ref().map(|path| {
        std::fs::read_to_string(path)
            .map_err(|error| Failure::Usage(format!("cannot read `{}`: {error}", path.display())))
    });
    let policy = policy.transpose()?;
    let named = ask.client.as_deref();
    let client =
        named.map(|name| question::client(&snapshot.clients, name, ask.tenant.as_deref())).transpose();
    let words = Words {
        target,
        client: client.map_err(Failure::Refused)?,
        subject: ask.subject.as_deref(),
        product: ask.product.as_deref(),
        variables: ask.variables.iter().cloned().collect(),
        lifetime: ask.lifetime,
        policy: policy.as_deref(),
    };
    let question = Question::of(directory, &words).map_err(Failure::Usage)?;
    let answer = question.ask(directory);
    print(directory, &question, &answer, ask.probe().as_ref(), output)
}

fn print(
    directory: &Directory,
    question: &Question,
    answer: &Result<Rehearsal, Refusal>,
    probe: Option<&Probe<'_>>,
    output: &Output,
) -> Result<(), Failure> {
    let documents = match answer {
        Ok(given) => documents(directory, question, given),
        Err(_) => Vec::new(),
    };
    let verdict = answer.as_ref().ok().and_then(Rehearsal::policy).zip(probe);
    let verdict = verdict.map(|(policy, probe)| probe.verdict(policy));
    let mut text = said(answer);
    if let (Some(verdict), Some(probe)) = (&verdict, probe) {
        text.push(format!("{}: {} on {}", layers::word(verdict), probe.action, probe.resource));
    }
    text.push("nothing was issued or recorded".to_owned());
    text.push(layers::text(&documents, probe));
    output.show(text.join("\n").trim_end(), || document(answer, &documents, verdict.as_ref(), probe));
    match (answer, probe, verdict) {
        (Ok(_), None, _) | (Ok(_), Some(_), Some(Verdict::Allowed(_))) => Ok(()),
        _ => Err(Failure::Said(1)),
    }
}

/// The issued document first, and then what it is the intersection of.
fn documents(directory: &Directory, question: &Question, given: &Rehearsal) -> Vec<Layer> {
    let issued = given.policy().map(|policy| Layer { whose: "issued".to_owned(), policy: policy.clone() });
    let bounds = layers::layers(directory, question.whose(directory), given.role(), given.variables());
    let asked = question.issue.policy.clone().map(|policy| Layer { whose: "ask".to_owned(), policy });
    issued.into_iter().chain(bounds).chain(asked).collect()
}

fn said(answer: &Result<Rehearsal, Refusal>) -> Vec<String> {
    match answer {
        Err(refusal) => {
            let mut lines = vec![format!("refused {}: {}", refusal.reason.label(), refusal.detail)];
            lines.extend(
                super::needed(refusal.reason.label()).map(|needed| format!("it would need {needed}")),
            );
            lines
        }
        Ok(given) => {
            let mut lines = vec![format!("granted: role {} for {} seconds", given.role(), given.lifetime())];
            lines.extend(given.audience().map(|audience| {
                format!("resource {audience} with the app roles {}", given.app_roles().join(", "))
            }));
            lines.extend(given.variables().iter().map(|(name, value)| format!("{name} = {value}")));
            lines.extend(given.cut().iter().map(|cut| format!("cut by {}", cut.name())));
            lines.extend(given.warned().iter().map(|warned| format!("tried: {warned}")));
            lines
        }
    }
}

fn document(
    answer: &Result<Rehearsal, Refusal>,
    documents: &[Layer],
    verdict: Option<&Verdict>,
    probe: Option<&Probe<'_>>,
) -> Value {
    match answer {
        Err(refusal) => json!({
            "granted": false,
            "reason": refusal.reason.label(),
            "detail": refusal.detail,
            "parameter": refusal.parameter,
            "needed": super::needed(refusal.reason.label()),
        }),
        Ok(given) => json!({
            "granted": true,
            "role": given.role(),
            "lifetime": given.lifetime(),
            "variables": given.variables(),
            "audience": given.audience(),
            "app_roles": given.app_roles(),
            "cut": given.cut().iter().map(|cut: &Cut| cut.name()).collect::<Vec<_>>(),
            "warned": given.warned(),
            "verdict": verdict.map(layers::word),
            "documents": layers::document(documents, probe),
        }),
    }
}
