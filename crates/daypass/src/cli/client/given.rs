//! The options by which `client add` and `client rotate` say what kind of key to make, and of what.

use super::read;
use super::when::{When, parse_when};
use crate::cli::output::Failure;
use crate::cli::place::Place;
use crate::system::KeyEntropy;
use daypass_core::client::{CertificateRule, Client, Key, KeyKind, Material, NameRule};
use daypass_core::clock::{Timestamp, rfc3339};
use daypass_core::keys::{self, NewKey, Registration, SecretKind, Span};
use daypass_core::policy::Pattern;
use daypass_core::store::Change;
use std::net::IpAddr;
use std::path::PathBuf;

/// The longest name or subject, in bytes.
const NAME: usize = 1024;

/// What a key is for.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Kind {
    /// Tencent: `SecretId` and `SecretKey`.
    Tencent,
    /// TOP: `app_key` and `app_secret`.
    Top,
    /// Alibaba Cloud: `AccessKeyId` and `AccessKeySecret`.
    AccessKey,
    /// OAuth: `client_id` and `client_secret`.
    ClientSecret,
    /// One-time tickets: what a backend signs them with.
    Ticket,
    /// OAuth: assertions that the client signs with its own private key; see --public-key.
    PublicKey,
    /// OAuth: the client's TLS certificate; see --certificate, and --subject-dn and its like.
    Certificate,
    /// OAuth: tokens of an outside provider, so that the client keeps no secret; see --provider and --subject.
    Federated,
}

impl Kind {
    pub(super) fn of(kind: KeyKind) -> Self {
        match kind {
            KeyKind::Tencent => Self::Tencent,
            KeyKind::Top => Self::Top,
            KeyKind::AccessKey => Self::AccessKey,
            KeyKind::ClientSecret => Self::ClientSecret,
            KeyKind::Ticket => Self::Ticket,
            KeyKind::PublicKey => Self::PublicKey,
            KeyKind::Certificate => Self::Certificate,
            KeyKind::Federated => Self::Federated,
        }
    }
}

/// What the new keys are made of, and from when until when they work.
#[derive(clap::Args)]
pub(in crate::cli) struct Given {
    /// For `--kind public-key`: a file with a JWK, a key set with one key, or in PEM a public key or a certificate, by
    /// whose thumbprints the client may then name the key.
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
    /// For `--kind certificate`: a file with the certificate in PEM. It is known itself, whoever signed it.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// For `--kind certificate`, signed by the configured authority: its subject in the form of RFC 4514.
    #[arg(long, value_name = "NAME")]
    subject_dn: Option<String>,
    /// Likewise: a DNS name among its alternative names.
    #[arg(long, value_name = "NAME")]
    san_dns: Option<String>,
    /// Likewise: a URI, such as a SPIFFE id.
    #[arg(long, value_name = "URI")]
    san_uri: Option<String>,
    /// Likewise: an IP address.
    #[arg(long, value_name = "ADDRESS")]
    san_ip: Option<IpAddr>,
    /// Likewise: a mail address.
    #[arg(long, value_name = "ADDRESS")]
    san_email: Option<String>,
    /// For `--kind federated`: the outside provider, by its name in the configuration of the tenant.
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// For `--kind federated`: whom the provider must name; `*` stands for any text.
    #[arg(long, value_name = "TEXT")]
    subject: Option<String>,
    /// When the new key stops working: `180d`, `12h`, a date or a time in UTC [default: when its certificate ends, or
    /// never].
    #[arg(long, value_name = "WHEN", value_parser = parse_when)]
    expires: Option<When>,
    /// When it begins to work, likewise [default: at once].
    #[arg(long, value_name = "WHEN", value_parser = parse_when)]
    starts: Option<When>,
}

/// A new key: with a secret that is shown this once, or with nothing to hide.
pub(super) enum Made {
    Secret(NewKey),
    Registered(Key),
}

impl Made {
    pub(super) fn key(&self) -> &Key {
        match self {
            Self::Secret(new) => &new.key,
            Self::Registered(key) => key,
        }
    }

    pub(super) fn change(&self) -> Change {
        Change::PutKey(self.key().clone())
    }
}

fn usage<T>(text: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Usage(text.into()))
}

impl Given {
    /// Makes or registers a key of each of these kinds for the client, which has these others already.
    pub(super) fn make(
        &self,
        place: &Place,
        client: &Client,
        others: &[Key],
        kinds: &[Kind],
        now: Timestamp,
    ) -> Result<Vec<Made>, Failure> {
        self.refuse_idle(kinds)?;
        let mut made: Vec<Made> = Vec::new();
        for kind in kinds {
            let new = self.one(place, client, *kind, now)?;
            let kind = new.key().kind;
            let lasting = |key: &&Key| key.kind == kind && key.lasts(now);
            let same_kind: Vec<_> = others.iter().chain(made.iter().map(Made::key)).filter(lasting).collect();
            refuse_more(kind, &same_kind)?;
            if let Made::Registered(key) = &new
                && let Some(twin) = same_kind.iter().find(|other| is_same(&other.material, &key.material))
            {
                return Err(Failure::Refused(format!("{} has this already, as {}", client.name, twin.id)));
            }
            made.push(new);
        }
        Ok(made)
    }

    fn one(&self, place: &Place, client: &Client, kind: Kind, now: Timestamp) -> Result<Made, Failure> {
        let secret = |kind: SecretKind| {
            let span = self.span(now, None)?;
            let made = keys::make(&place.opened.ring, kind, client.guid, &KeyEntropy, span);
            Ok(Made::Secret(made.map_err(anyhow::Error::from)?))
        };
        let (registration, validity) = match kind {
            Kind::Tencent => return secret(SecretKind::Tencent),
            Kind::Top => return secret(SecretKind::Top),
            Kind::AccessKey => return secret(SecretKind::AccessKey),
            Kind::ClientSecret => return secret(SecretKind::ClientSecret),
            Kind::Ticket => return secret(SecretKind::Ticket),
            Kind::PublicKey => {
                let Some(file) = &self.public_key else {
                    return usage(
                        "say which key with --public-key FILE; the private half stays with the client",
                    );
                };
                let (public, validity) = read::public_key(file).map_err(Failure::Usage)?;
                (Registration::PublicKey(public), validity)
            }
            Kind::Certificate => self.certificate()?,
            Kind::Federated => (self.federated(place, client)?, None),
        };
        let span = self.span(now, validity)?;
        Ok(Made::Registered(keys::register(registration, client.guid, &KeyEntropy, span)))
    }

    /// An option that means nothing for what is made would be one that its user believes in.
    fn refuse_idle(&self, kinds: &[Kind]) -> Result<(), Failure> {
        let names = [
            ("--certificate", self.certificate.is_some(), Kind::Certificate, "certificate"),
            ("--subject-dn", self.subject_dn.is_some(), Kind::Certificate, "certificate"),
            ("--san-dns", self.san_dns.is_some(), Kind::Certificate, "certificate"),
            ("--san-uri", self.san_uri.is_some(), Kind::Certificate, "certificate"),
            ("--san-ip", self.san_ip.is_some(), Kind::Certificate, "certificate"),
            ("--san-email", self.san_email.is_some(), Kind::Certificate, "certificate"),
            ("--public-key", self.public_key.is_some(), Kind::PublicKey, "public-key"),
            ("--provider", self.provider.is_some(), Kind::Federated, "federated"),
            ("--subject", self.subject.is_some(), Kind::Federated, "federated"),
        ];
        match names.iter().find(|(_, given, kind, _)| *given && !kinds.contains(kind)) {
            Some((name, _, _, kind)) => usage(format!("{name} is for --kind {kind}")),
            None => Ok(()),
        }
    }

    fn certificate(&self) -> Result<(Registration, Option<read::Validity>), Failure> {
        let text = |text: &Option<String>| text.clone();
        let names = [
            text(&self.subject_dn).map(NameRule::SubjectDn),
            text(&self.san_dns).map(NameRule::SanDns),
            text(&self.san_uri).map(NameRule::SanUri),
            self.san_ip.map(|ip| NameRule::SanIp(ip.to_canonical().to_string())),
            text(&self.san_email).map(NameRule::SanEmail),
        ];
        let mut names = names.into_iter().flatten();
        match (&self.certificate, names.next(), names.next()) {
            (Some(file), None, None) => {
                let (x5t_s256, validity) = read::certificate(file).map_err(Failure::Usage)?;
                Ok((Registration::Certificate(CertificateRule::Pinned { x5t_s256 }), Some(validity)))
            }
            (None, Some(name), None) => {
                check_name(&name)?;
                Ok((Registration::Certificate(CertificateRule::Named(name)), None))
            }
            (None, None, _) => usage(
                "say how the certificate is known: --certificate FILE, or one of --subject-dn, --san-dns, --san-uri, \
                 --san-ip and --san-email",
            ),
            _ => usage(
                "a certificate is known in one way: by --certificate, or by one of --subject-dn, --san-dns, --san-uri, \
                 --san-ip and --san-email",
            ),
        }
    }

    fn federated(&self, place: &Place, client: &Client) -> Result<Registration, Failure> {
        let (Some(provider), Some(subject)) = (&self.provider, &self.subject) else {
            return usage("say whose tokens they are with --provider NAME and --subject TEXT");
        };
        let plan = place.config.plan("");
        let known: Vec<_> =
            plan.providers.iter().filter(|known| known.tenant == client.tenant).map(|p| &*p.name).collect();
        if !known.contains(&provider.as_str()) {
            let known = match known[..] {
                [] => "it has none".to_owned(),
                _ => format!("it has {}", known.join(", ")),
            };
            return usage(format!(
                "the tenant `{}` has no provider `{provider}` in the configuration; {known}",
                client.tenant
            ));
        }
        if subject.is_empty() || subject.len() > NAME {
            return usage(format!("a subject has 1 to {NAME} bytes"));
        }
        // Attack: whoever can get any token of a public provider (a workflow of another repository) is the client.
        if Pattern::parse(subject).is_any() {
            return usage(format!(
                "`{subject}` would let everyone whom the provider knows be this client; write what the right ones have \
                 in common, such as \"repo:acme/*\""
            ));
        }
        Ok(Registration::Federated { provider: provider.clone(), subject: subject.clone() })
    }

    /// From when until when the key works. A key of a certificate works no longer than the certificate.
    fn span(&self, now: Timestamp, validity: Option<read::Validity>) -> Result<Span, Failure> {
        let starts = self.starts.map(|when| when.at(now));
        let asked = self.expires.map(|when| when.at(now));
        let expires = match (asked, validity.map(|validity| validity.ends)) {
            (Some(asked), Some(end)) => Some(asked.min(end)),
            (asked, end) => asked.or(end),
        };
        if let Some(end) = expires.filter(|end| *end <= now) {
            return usage(format!("the key would have ended at {}", rfc3339(end)));
        }
        if let (Some(start), Some(end)) = (starts, expires)
            && end <= start
        {
            let (start, end) = (rfc3339(start), rfc3339(end));
            return usage(format!("the key would end at {end}, before it begins at {start}"));
        }
        Ok(Span { created: now, starts: starts.filter(|start| *start > now), expires })
    }
}

fn check_name(rule: &NameRule) -> Result<(), Failure> {
    let value = rule.value();
    let fits = match rule {
        NameRule::SubjectDn(name) => name.contains('='),
        NameRule::SanDns(name) => !name.contains(['/', '@', ' ']),
        NameRule::SanUri(name) => name.contains(':'),
        NameRule::SanIp(_) => true,
        NameRule::SanEmail(name) => name.contains('@'),
    };
    if fits && (1..=NAME).contains(&value.len()) && !value.contains('*') {
        return Ok(());
    }
    let example = match rule {
        NameRule::SubjectDn(_) => "CN=reports,O=Acme,C=CN",
        NameRule::SanDns(_) => "reports.example.com",
        NameRule::SanUri(_) => "spiffe://example.com/reports",
        NameRule::SanIp(_) => "192.0.2.7",
        NameRule::SanEmail(_) => "reports@example.com",
    };
    let option = rule.name().replace('_', "-");
    usage(format!("--{option} is one whole name, such as \"{example}\""))
}

/// Refuses a further key where there are as many as a rotation needs.
pub(super) fn refuse_more(kind: KeyKind, lasting: &[&Key]) -> Result<(), Failure> {
    if lasting.len() < keys::most_live(kind) {
        return Ok(());
    }
    let ids: Vec<_> = lasting.iter().map(|key| key.id.as_str()).collect();
    Err(Failure::Refused(format!(
        "it has {} live {} keys already ({}); retire one first with `daypass client retire`",
        ids.len(),
        kind.name(),
        ids.join(", ")
    )))
}

/// Whether two keys are the same one: of a public key, whatever its document says beside it.
fn is_same(one: &Material, other: &Material) -> bool {
    match (one, other) {
        (Material::Public(one), Material::Public(other)) => one.thumbprint() == other.thumbprint(),
        _ => one == other,
    }
}
