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
    /// What the vendor's sample answers to a browser, with the cloud so far behind it.
    Sample(Peer, Delay),
    /// `getAuthorization` of a role whose credentials the cloud makes, so far behind us.
    Brokered(Whose, Delay),
    /// So many who ask at once for one thing that nobody has yet, with the cloud so far behind us.
    Crowd(Delay),
    /// [`Work::Top`] of a role that another gateway is asked for: one store's, kept.
    BrokeredTop,
    /// An OAuth token that another authority has made: one client's, kept.
    BrokeredToken,
    /// An API of one's own asks about a request that it got.
    Verify(Shown),
    /// A reverse proxy asks about a request with an access token.
    Forward,
    /// GetFederationToken for what the last statement of such a role allows.
    Narrow(Statements),
    /// [`Work::Verify`] of a signed request, where so many credentials were taken back.
    Revoked(Held),
}

/// How far away the cloud is that credentials are fetched from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Delay {
    /// On this machine.
    None,
    /// As far as a cloud is in life: 30 ms.
    Far,
}

impl Delay {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::None, Self::Far];

    /// How long the cloud takes, in milliseconds.
    pub(crate) fn millis(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Far => 30,
        }
    }
}

/// Who asks for a cloud's credentials, which decides whether the cloud is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Whose {
    /// No one in particular, as at the samples: the one credential of all of them is kept, and is handed out and durably
    /// recorded each time.
    Anyones,
    /// One user who has signed in: what the user has is given again, and nothing is recorded.
    Own,
    /// Each time another user who has signed in: the cloud is asked each time.
    New,
}

impl Whose {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Anyones, Self::Own, Self::New];

    /// Its name.
    fn name(self) -> &'static str {
        match self {
            Self::Anyones => "kept",
            Self::Own => "cached",
            Self::New => "cold",
        }
    }
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

    /// What it can be asked where the cloud is so far behind it. oidc-provider asks none.
    pub(crate) fn works(self, delay: Delay) -> Vec<Work> {
        match self {
            Self::Flask | Self::Express => vec![Work::Sample(self, delay)],
            Self::OidcProvider if delay == Delay::Far => Vec::new(),
            Self::OidcProvider => {
                let tokens = Algorithm::ALL.iter().map(|algorithm| Work::ProviderToken(*algorithm));
                tokens.chain([Work::ProviderIntrospect, Work::ProviderKeys]).collect()
            }
        }
    }
}

impl Peer {
    /// Its name as a sample.
    fn sample(self) -> &'static str {
        match self {
            Self::Flask => "Flask sample",
            Self::Express => "Express sample",
            // It answers no browser.
            Self::OidcProvider => "oidc-provider sample",
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
    /// Another's server, with the cloud so far behind it.
    Peer(Peer, Delay),
    /// Daypass with clouds behind it.
    Brokered,
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
                Party::Peer(Peer::OidcProvider, Delay::None)
            }
            Self::Cached => Party::SignedIn,
            Self::Verify(_) | Self::Forward | Self::Narrow(_) => Party::Api,
            Self::Revoked(held) => Party::Held(held),
            Self::Sample(peer, delay) => Party::Peer(peer, delay),
            Self::Brokered(..) | Self::Crowd(_) | Self::BrokeredTop | Self::BrokeredToken => Party::Brokered,
        }
    }

    /// What an API, its proxy and its clients ask, where nothing was taken back.
    pub(crate) fn of_apis() -> impl Iterator<Item = Self> {
        let narrow = Statements::ALL.into_iter().map(Self::Narrow);
        [Self::Verify(Shown::Tc3), Self::Verify(Shown::Jwt), Self::Forward].into_iter().chain(narrow)
    }

    /// What is asked of Daypass with clouds behind it.
    pub(crate) fn of_brokered() -> impl Iterator<Item = Self> {
        let of = |delay| Whose::ALL.into_iter().map(move |whose| Self::Brokered(whose, delay));
        let crowds = Delay::ALL.into_iter().map(Self::Crowd);
        Delay::ALL.into_iter().flat_map(of).chain(crowds).chain([Self::BrokeredTop, Self::BrokeredToken])
    }

    /// How far away the cloud is that is asked for it; none where nobody asks one.
    pub(crate) fn cloud(self) -> Option<Delay> {
        match self {
            Self::Sample(_, delay) | Self::Brokered(_, delay) | Self::Crowd(delay) => Some(delay),
            Self::BrokeredTop | Self::BrokeredToken => Some(Delay::None),
            _ => None,
        }
    }

    /// Whether Daypass answers it.
    pub(crate) fn is_ours(self) -> bool {
        matches!(
            self.party(),
            Party::Daypass | Party::SignedIn | Party::Api | Party::Held(_) | Party::Brokered
        )
    }

    /// Whether another's server answers it.
    pub(crate) fn is_a_peers(self) -> bool {
        matches!(self.party(), Party::Peer(..))
    }

    /// Whether a sample answers it.
    pub(crate) fn is_a_samples(self) -> bool {
        matches!(self, Self::Sample(..))
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

    /// Which samples it is compared with, by how far their cloud is: it hands out a credential of Tencent's kind. What we
    /// make ourselves is compared with the samples whose cloud is near.
    pub(crate) fn peers(self) -> Option<Delay> {
        match self {
            Self::GetAuthorization | Self::Cached | Self::Tc3 => Some(Delay::None),
            Self::Brokered(_, delay) => Some(delay),
            _ => None,
        }
    }

    /// How many connections it is asked over in a closed loop, in slices of their own.
    ///
    /// A sample gets no more than the few. With hundreds it would answer each after a second, and say nothing new.
    pub(crate) fn connections(self) -> &'static [usize] {
        match self {
            Self::Sample(..) => &[ALONE, FEW],
            _ if self.is_a_peers() => &[FEW],
            // All at once, and once a round.
            Self::Crowd(_) => &[],
            // It waits for the cloud as the samples do.
            Self::Brokered(Whose::New, _) => &[ALONE, FEW],
            _ if self.peers().is_some() => &[ALONE, FEW, MANY],
            // They are compared with each other alone.
            Self::Narrow(_) | Self::Revoked(_) => &[FEW],
            _ => &[FEW, MANY],
        }
    }

    /// Whether it is asked in an open loop too. The loader never rests in one, and the clouds share its core.
    pub(crate) fn has_open_loop(self) -> bool {
        let closed = matches!(self, Self::Form | Self::Narrow(_) | Self::Revoked(_));
        !closed && !self.is_a_peers() && self.cloud().is_none()
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
            Self::Sample(peer, Delay::None) => f.pad(peer.sample()),
            Self::Sample(peer, delay) => f.pad(&format!("{}, {} ms", peer.sample(), delay.millis())),
            Self::Brokered(whose, delay) => {
                f.pad(&format!("brokered {}, {} ms", whose.name(), delay.millis()))
            }
            Self::Crowd(delay) => f.pad(&format!("brokered crowd, {} ms", delay.millis())),
            Self::BrokeredTop => f.pad("brokered TOP"),
            Self::BrokeredToken => f.pad("brokered token"),
            Self::Verify(Shown::Tc3) => f.pad("verify TC3"),
            Self::Verify(Shown::Jwt) => f.pad("verify JWT"),
            Self::Forward => f.pad("forward-auth JWT"),
            Self::Narrow(statements) => f.pad(&format!("role of {} statements", statements.count())),
            Self::Revoked(held) => f.pad(&format!("verify TC3, {} revoked", held.count())),
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
        let near = Work::Sample(Peer::Flask, Delay::None);
        assert_eq!(near.party(), Party::Peer(Peer::Flask, Delay::None));
        assert!(Work::Cached.is_ours() && Work::Top.is_ours() && Work::Acs3.is_ours());
        assert!(!Work::Hello.is_ours() && !near.is_ours() && near.is_a_samples());
        assert_eq!(Work::Revoked(Held::Million).party(), Party::Held(Held::Million));
        assert!(Work::of_apis().all(|work| work.party() == Party::Api && work.is_ours()));
    }

    #[test]
    fn every_row_has_a_name_of_its_own_and_an_open_loop_follows_a_closed_one() {
        let revoked = Held::ALL.into_iter().map(Work::Revoked);
        let samples =
            Peer::SAMPLES.into_iter().flat_map(|peer| Delay::ALL.map(|delay| Work::Sample(peer, delay)));
        let all: Vec<_> = Work::of_apis().chain(revoked).chain(Work::of_brokered()).chain(samples).collect();
        let names: std::collections::HashSet<_> = all.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), all.len());
        for work in all {
            assert!(!work.has_open_loop() || work.connections().contains(&MANY), "{work}");
        }
    }

    #[test]
    fn what_is_compared_is_asked_over_the_same_connections() {
        let made = [Work::GetAuthorization, Work::Cached, Work::Tc3];
        let fetched = Work::of_brokered().filter(|work| matches!(work, Work::Brokered(..)));
        for work in made.into_iter().chain(fetched) {
            let delay = work.peers().unwrap();
            for peer in Peer::SAMPLES {
                let sample = Work::Sample(peer, delay);
                assert!(
                    sample.connections().iter().all(|count| work.connections().contains(count)),
                    "{work}"
                );
                assert!(!sample.has_open_loop() && work.has_open_loop() == work.cloud().is_none());
            }
        }
        for work in [Work::Top, Work::TopMd5, Work::Acs3, Work::Sample(Peer::Flask, Delay::Far)] {
            assert!(work.peers().is_none(), "{work}");
        }
    }

    #[test]
    fn what_is_fetched_names_its_cloud_and_is_answered_by_us() {
        for work in Work::of_brokered() {
            assert!(work.is_ours() && work.party() == Party::Brokered && work.cloud().is_some(), "{work}");
        }
        for (work, name) in [
            (Work::Brokered(Whose::New, Delay::Far), "brokered cold, 30 ms"),
            (Work::Brokered(Whose::Anyones, Delay::None), "brokered kept, 0 ms"),
            (Work::Sample(Peer::Flask, Delay::None), "Flask sample"),
            (Work::Sample(Peer::Express, Delay::Far), "Express sample, 30 ms"),
        ] {
            assert_eq!(work.to_string(), name);
        }
        assert_eq!(Work::Crowd(Delay::Far).cloud(), Some(Delay::Far));
        assert!(Work::Tc3.cloud().is_none() && Work::Crowd(Delay::Far).connections().is_empty());
    }

    #[test]
    fn what_oidc_provider_does_too_is_asked_of_both() {
        let ours = [Work::Token(Algorithm::Es256), Work::Introspect, Work::Keys];
        for work in ours {
            let theirs = work.of_provider().unwrap();
            assert!(
                work.is_ours()
                    && theirs.is_a_peers()
                    && Peer::OidcProvider.works(Delay::None).contains(&theirs)
            );
            assert!(work.connections().contains(&FEW) && theirs.connections() == [FEW]);
            assert!(!theirs.has_open_loop() && theirs.peers().is_none());
            assert_eq!(work.shows_a_token(), theirs.shows_a_token());
        }
        assert!(
            Work::Tc3.of_provider().is_none() && Work::Keys.of_provider().unwrap().of_provider().is_none()
        );
    }

    #[test]
    fn words_choose_endpoints_and_never_yardsticks() {
        let wanted = Wanted::new(&["Sample".to_owned(), "tc3".to_owned()]);
        let samples = [Peer::Flask, Peer::Express].map(|peer| Work::Sample(peer, Delay::None));
        for work in [Work::Hello, Work::Tc3].into_iter().chain(samples) {
            assert!(wanted.has(work), "{work}");
        }
        assert!(!wanted.has(Work::Cached) && !wanted.has(Work::Top));
        assert!(Wanted::new(&[]).has(Work::Top));
        let wanted = Wanted::new(&["top".to_owned()]);
        assert!(wanted.has(Work::Top) && wanted.has(Work::TopMd5) && !wanted.has(Work::Acs3));
    }
}
