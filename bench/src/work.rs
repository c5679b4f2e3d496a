//! What is measured, and who answers it.

use crate::run::{ALONE, FEW, MANY};
use daypass_core::role::Algorithm;
use std::fmt;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Work {
    /// The fixed answer of bare axum.
    Hello,
    /// The form of bare axum.
    Form,
    /// The browser's endpoint, asked by no one in particular: every answer is a new credential, durably recorded.
    GetAuthorization,
    /// The same asked by one user who has signed in: all answers but the first are a credential that exists.
    Cached,
    /// GetFederationToken, signed by TC3-HMAC-SHA256.
    Tc3,
    /// The TOP call, signed by hmac-sha256, answered in JSON.
    Top,
    /// The same signed by md5, as the older clients sign.
    TopMd5,
    /// AssumeRole of Alibaba Cloud, signed by ACS3-HMAC-SHA256.
    Acs3,
    /// An OAuth token by client credentials.
    Token(Algorithm),
    /// The same of npm oidc-provider.
    ProviderToken(Algorithm),
    /// What a token is, asked by the client that has it: the same token each time.
    Introspect,
    /// The same of npm oidc-provider, of an opaque token: it does not introspect JWTs.
    ProviderIntrospect,
    /// The public keys.
    Keys,
    /// The same of npm oidc-provider.
    ProviderKeys,
    /// What the vendor's sample answers to a browser.
    Sample(Peer),
    /// An API of one's own asks about a request that it got.
    Verify(Shown),
    /// A reverse proxy asks about a request with an access token.
    Forward,
    /// GetFederationToken for what the last statement of such a role allows.
    Narrow(Statements),
    /// [`Work::Verify`] of a signed request, where so many credentials were taken back.
    Revoked(Held),
}

/// What an API is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Shown {
    /// A request that was signed with a temporary key.
    Tc3,
    /// One with an access token, signed ES256.
    Jwt,
}

/// How many statements a role has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Statements {
    /// One.
    One,
    /// Ten.
    Ten,
    /// A hundred.
    Hundred,
}

impl Statements {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::One, Self::Ten, Self::Hundred];

    /// The number.
    pub(crate) fn count(self) -> usize {
        match self {
            Self::One => 1,
            Self::Ten => 10,
            Self::Hundred => 100,
        }
    }

    /// The name of the role that has so many.
    pub(crate) fn role(self) -> String {
        format!("statements-{}", self.count())
    }
}

/// How many credentials were taken back that could still be alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Held {
    /// None, on a server of its own: what the others are compared with.
    None,
    /// A thousand.
    Thousand,
    /// A million.
    Million,
}

impl Held {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::None, Self::Thousand, Self::Million];

    /// The number.
    pub(crate) fn count(self) -> usize {
        match self {
            Self::None => 0,
            Self::Thousand => 1_000,
            Self::Million => 1_000_000,
        }
    }
}

/// Servers of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Peer {
    /// Python, Flask on gevent's server.
    Flask,
    /// JavaScript, Express on Node.
    Express,
    /// npm oidc-provider on Node, which keeps everything in memory.
    OidcProvider,
}

impl Peer {
    /// The vendor's samples for the browser's endpoint.
    #[cfg(test)]
    pub(crate) const SAMPLES: [Self; 2] = [Self::Flask, Self::Express];
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Flask, Self::Express, Self::OidcProvider];

    /// What it can be asked.
    pub(crate) fn works(self) -> Vec<Work> {
        match self {
            Self::Flask | Self::Express => vec![Work::Sample(self)],
            Self::OidcProvider => {
                let tokens = Algorithm::ALL.iter().map(|algorithm| Work::ProviderToken(*algorithm));
                tokens.chain([Work::ProviderIntrospect, Work::ProviderKeys]).collect()
            }
        }
    }
}

/// The servers of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Party {
    /// Bare axum.
    Axum,
    /// `daypass dev`.
    Daypass,
    /// Daypass with a browser endpoint for users of an OIDC provider.
    SignedIn,
    /// A sample.
    Peer(Peer),
    /// Daypass with an API that asks it about requests.
    Api,
    /// The same, with so many cut-offs in its store.
    Held(Held),
}

impl Work {
    /// Who answers it.
    pub(crate) fn party(self) -> Party {
        match self {
            Self::Hello | Self::Form => Party::Axum,
            Self::GetAuthorization
            | Self::Tc3
            | Self::Top
            | Self::TopMd5
            | Self::Acs3
            | Self::Token(_)
            | Self::Introspect
            | Self::Keys => Party::Daypass,
            Self::ProviderToken(_) | Self::ProviderIntrospect | Self::ProviderKeys => {
                Party::Peer(Peer::OidcProvider)
            }
            Self::Cached => Party::SignedIn,
            Self::Verify(_) | Self::Forward | Self::Narrow(_) => Party::Api,
            Self::Revoked(held) => Party::Held(held),
            Self::Sample(peer) => Party::Peer(peer),
        }
    }

    /// What an API, its proxy and its clients ask, where nothing was taken back.
    pub(crate) fn of_apis() -> impl Iterator<Item = Self> {
        let narrow = Statements::ALL.into_iter().map(Self::Narrow);
        [Self::Verify(Shown::Tc3), Self::Verify(Shown::Jwt), Self::Forward].into_iter().chain(narrow)
    }

    /// Whether Daypass answers it.
    pub(crate) fn is_ours(self) -> bool {
        matches!(self.party(), Party::Daypass | Party::SignedIn | Party::Api | Party::Held(_))
    }

    /// Whether another's server answers it.
    pub(crate) fn is_a_peers(self) -> bool {
        matches!(self.party(), Party::Peer(_))
    }

    /// What oidc-provider is asked that is the same.
    pub(crate) fn of_provider(self) -> Option<Self> {
        match self {
            Self::Token(algorithm) => Some(Self::ProviderToken(algorithm)),
            Self::Introspect => Some(Self::ProviderIntrospect),
            Self::Keys => Some(Self::ProviderKeys),
            _ => None,
        }
    }

    /// Whether a token is shown in it, which must be had first.
    pub(crate) fn shows_a_token(self) -> bool {
        matches!(self, Self::Introspect | Self::ProviderIntrospect)
    }

    /// Whether it is compared with the samples: it hands out a credential of Tencent's kind.
    pub(crate) fn has_peers(self) -> bool {
        matches!(self, Self::GetAuthorization | Self::Cached | Self::Tc3)
    }

    /// How many connections it is asked over in a closed loop, in slices of their own.
    ///
    /// A sample gets no more than the few. With hundreds it would answer each after a second, and say nothing new.
    pub(crate) fn connections(self) -> &'static [usize] {
        match self {
            Self::Sample(_) => &[ALONE, FEW],
            _ if self.is_a_peers() => &[FEW],
            _ if self.has_peers() => &[ALONE, FEW, MANY],
            // They are compared with each other alone.
            Self::Narrow(_) | Self::Revoked(_) => &[FEW],
            _ => &[FEW, MANY],
        }
    }

    /// Whether it is asked in an open loop too. The loader never rests in one, and a sample's STS shares its core.
    pub(crate) fn has_open_loop(self) -> bool {
        !matches!(self, Self::Form | Self::Narrow(_) | Self::Revoked(_)) && !self.is_a_peers()
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hello => f.pad("axum GET"),
            Self::Form => f.pad("axum POST form"),
            Self::GetAuthorization => f.pad("getAuthorization"),
            Self::Cached => f.pad("getAuthorization cached"),
            Self::Tc3 => f.pad("GetFederationToken TC3"),
            Self::Top => f.pad("TOP hmac-sha256"),
            Self::TopMd5 => f.pad("TOP md5"),
            Self::Acs3 => f.pad("AssumeRole ACS3"),
            Self::Token(algorithm) => f.pad(&format!("token {}", algorithm.name())),
            Self::ProviderToken(algorithm) => f.pad(&format!("oidc-provider token {}", algorithm.name())),
            Self::Introspect => f.pad("introspection"),
            Self::ProviderIntrospect => f.pad("oidc-provider introspection"),
            Self::Keys => f.pad("public keys"),
            Self::ProviderKeys => f.pad("oidc-provider public keys"),
            Self::Sample(Peer::Flask) => f.pad("Flask sample"),
            Self::Sample(Peer::Express) => f.pad("Express sample"),
            Self::Verify(Shown::Tc3) => f.pad("verify TC3"),
            Self::Verify(Shown::Jwt) => f.pad("verify JWT"),
            Self::Forward => f.pad("forward-auth JWT"),
            Self::Narrow(statements) => f.pad(&format!("role of {} statements", statements.count())),
            Self::Revoked(held) => f.pad(&format!("verify TC3, {} revoked", held.count())),
            // It answers no browser.
            Self::Sample(Peer::OidcProvider) => f.pad("oidc-provider sample"),
        }
    }
}

/// Which endpoints a run is for.
pub(crate) struct Wanted(Vec<String>);

impl Wanted {
    /// Those whose name holds one of these words, or all if there is none. The yardsticks always are.
    pub(crate) fn new(words: &[String]) -> Self {
        Self(words.iter().map(|word| word.to_lowercase()).collect())
    }

    /// Whether this one is wanted.
    pub(crate) fn has(&self, work: Work) -> bool {
        let name = work.to_string().to_lowercase();
        work.party() == Party::Axum || self.0.is_empty() || self.0.iter().any(|word| name.contains(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_answers_their_own() {
        assert_eq!(Work::Form.party(), Party::Axum);
        assert_eq!(Work::Token(Algorithm::Es256).party(), Party::Daypass);
        assert_eq!(Work::Sample(Peer::Flask).party(), Party::Peer(Peer::Flask));
        assert!(Work::Cached.is_ours() && Work::Top.is_ours() && Work::Acs3.is_ours());
        assert!(!Work::Hello.is_ours() && !Work::Sample(Peer::Express).is_ours());
        assert_eq!(Work::Revoked(Held::Million).party(), Party::Held(Held::Million));
        assert!(Work::of_apis().all(|work| work.party() == Party::Api && work.is_ours()));
    }

    #[test]
    fn every_row_has_a_name_of_its_own_and_an_open_loop_follows_a_closed_one() {
        let revoked = Held::ALL.into_iter().map(Work::Revoked);
        let all: Vec<_> = Work::of_apis().chain(revoked).collect();
        let names: std::collections::HashSet<_> = all.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), all.len());
        for work in all {
            assert!(!work.has_open_loop() || work.connections().contains(&MANY), "{work}");
        }
    }

    #[test]
    fn what_is_compared_is_asked_over_the_same_connections() {
        for work in [Work::GetAuthorization, Work::Cached, Work::Tc3] {
            assert!(work.has_peers());
            for peer in Peer::SAMPLES {
                let sample = Work::Sample(peer);
                assert!(
                    sample.connections().iter().all(|count| work.connections().contains(count)),
                    "{work}"
                );
                assert!(!sample.has_open_loop() && work.has_open_loop());
            }
        }
        for work in [Work::Top, Work::TopMd5, Work::Acs3, Work::Sample(Peer::Flask)] {
            assert!(!work.has_peers(), "{work}");
        }
    }

    #[test]
    fn what_oidc_provider_does_too_is_asked_of_both() {
        let ours = [Work::Token(Algorithm::Es256), Work::Introspect, Work::Keys];
        for work in ours {
            let theirs = work.of_provider().unwrap();
            assert!(work.is_ours() && theirs.is_a_peers() && Peer::OidcProvider.works().contains(&theirs));
            assert!(work.connections().contains(&FEW) && theirs.connections() == [FEW]);
            assert!(!theirs.has_open_loop() && !theirs.has_peers());
            assert_eq!(work.shows_a_token(), theirs.shows_a_token());
        }
        assert!(
            Work::Tc3.of_provider().is_none() && Work::Keys.of_provider().unwrap().of_provider().is_none()
        );
    }

    #[test]
    fn words_choose_endpoints_and_never_yardsticks() {
        let wanted = Wanted::new(&["Sample".to_owned(), "tc3".to_owned()]);
        for work in [Work::Hello, Work::Tc3, Work::Sample(Peer::Flask), Work::Sample(Peer::Express)] {
            assert!(wanted.has(work), "{work}");
        }
        assert!(!wanted.has(Work::Cached) && !wanted.has(Work::Top));
        assert!(Wanted::new(&[]).has(Work::Top));
        let wanted = Wanted::new(&["top".to_owned()]);
        assert!(wanted.has(Work::Top) && wanted.has(Work::TopMd5) && !wanted.has(Work::Acs3));
    }
}
