//! What a reverse proxy asks before it lets a request through to an API: of which requests, and what each takes.
//!
//! The proxy routes a request by one reading of its address, the API by another, and this by a third. Where the three could
//! differ, whoever sends the request chooses which one is judged. So an address that has more than one reading is refused,
//! and there is no rule that says otherwise (decision 0032).

mod pattern;
mod target;

pub use pattern::{BadPattern, Pattern};
pub use target::Target;

use crate::refusal::{Reason, Refusal};
use crate::verification::Wanted;
use std::fmt;

/// The methods that a rule can name. `TRACE` and `CONNECT` are not for APIs.
pub const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// A path at which one kind of proxy asks about the requests to one API.
#[derive(Clone, Debug)]
pub struct ForwardAuth {
    /// Its path. For Envoy everything below it as well.
    pub path: String,
    /// The tenant of the API, by name.
    pub tenant: String,
    /// Who asks, and so where the request stands in the question.
    pub proxy: Proxy,
    /// How the requests prove who sent them.
    pub shows: Shows,
    /// The hosts under which the API is reached, in lower case and without ports.
    pub hosts: Vec<String>,
    rules: Vec<Rule>,
}

/// A kind of proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxy {
    /// nginx's `auth_request`: the request stands in the `X-Original-` headers that its configuration sets.
    Nginx,
    /// Caddy's `forward_auth`: the request stands in `X-Forwarded-` headers.
    Caddy,
    /// Traefik's `ForwardAuth`: the same.
    Traefik,
    /// Envoy's `ext_authz` over HTTP: the question is the request, with a path put before its own.
    Envoy,
}

impl Proxy {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Nginx, Self::Caddy, Self::Traefik, Self::Envoy];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Caddy => "caddy",
            Self::Traefik => "traefik",
            Self::Envoy => "envoy",
        }
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|proxy| proxy.name() == name)
    }

    /// Whether the question's own path holds the request's.
    pub fn appends_path(self) -> bool {
        self == Self::Envoy
    }
}

/// How the requests to an API prove who sent them. Signatures that cover a body are not among these: no proxy sends the
/// body along, and a signature that is checked over another one says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// By an access token in `Authorization`.
    AccessToken,
    /// By the signature in the address of a speech-evaluation web socket.
    SoeSignature,
}

impl Shows {
    /// Every way.
    pub const ALL: [Self; 2] = [Self::AccessToken, Self::SoeSignature];

    /// The name in the configuration: that of `scheme` in a question to `/v1/verify`.
    pub fn name(self) -> &'static str {
        match self {
            Self::AccessToken => "bearer",
            Self::SoeSignature => "tencent.soe",
        }
    }

    /// The way of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|shows| shows.name() == name)
    }
}

/// What the requests with these methods to these paths take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Of [`METHODS`].
    pub methods: Vec<String>,
    /// The paths.
    pub pattern: Pattern,
    /// What their sender must be allowed.
    pub wanted: Wanted,
}

/// Why two rules cannot stand beside each other. The numbers are their places in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// They name the same method of the same paths.
    Same(usize, usize),
    /// They differ in the case of letters alone, which some APIs do not tell apart.
    Case(usize, usize),
    /// Some paths belong to both, and neither says more about them than the other.
    Crossing(usize, usize),
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Same(..) => "another rule has the same path and one of the methods",
            Self::Case(..) => {
                "another rule has this path in other cases of letters, which some APIs do not tell apart"
            }
            Self::Crossing(..) => {
                "some paths belong to this rule and to another one, and neither is the closer one"
            }
        })
    }
}

impl Conflict {
    /// The two rules.
    pub fn rules(self) -> (usize, usize) {
        match self {
            Self::Same(one, other) | Self::Case(one, other) | Self::Crossing(one, other) => (one, other),
        }
    }
}

impl ForwardAuth {
    /// With rules whose order means nothing: of those that a path belongs to, one is the closest.
    pub fn new(
        (path, tenant): (String, String),
        proxy: Proxy,
        shows: Shows,
        hosts: Vec<String>,
        rules: Vec<Rule>,
    ) -> Result<Self, Conflict> {
        for (n, one) in rules.iter().enumerate() {
            for (before, other) in rules.iter().take(n).enumerate() {
                conflict(one, other).map_or(Ok(()), |of| Err(of(n, before)))?;
            }
        }
        Ok(Self { path, tenant, proxy, shows, hosts, rules })
    }

    /// Whether a question at this path is one of this proxy's.
    pub fn answers(&self, path: &str) -> bool {
        match path.strip_prefix(self.path.as_str()) {
            Some("") => !self.proxy.appends_path(),
            Some(rest) => self.proxy.appends_path() && rest.starts_with('/'),
            None => false,
        }
    }

    /// What the sender of a request must be allowed. Without a rule the request is refused.
    ///
    /// The closest path decides before the method is looked at. Attack: a path of its own rule, asked for with a method
    /// that only a wider rule names.
    pub fn wanted(&self, method: &str, target: &Target) -> Result<&Wanted, Refusal> {
        let nothing = |detail: &'static str| Refusal::new(Reason::UnknownResource, detail);
        if !self.hosts.contains(&target.host) {
            return Err(nothing("no rule is about this host"));
        }
        let closest = |fold: bool| {
            let matching = self.rules.iter().filter(|rule| rule.pattern.matches(&target.segments, fold));
            matching.map(|rule| &rule.pattern).min_by_key(|pattern| pattern.width())
        };
        let pattern = closest(false).ok_or_else(|| nothing("no rule is about this path"))?;
        if closest(true) != Some(pattern) {
            // Attack: `/orders/ADMIN`, to an API that does not tell cases apart, by the rule for `/orders/*`.
            return Err(Refusal::new(
                Reason::Malformed,
                "in other cases of letters, another rule would be about this path",
            ));
        }
        let same = self.rules.iter().filter(|rule| rule.pattern == *pattern);
        let rule = same.into_iter().find(|rule| rule.methods.iter().any(|one| one == method));
        rule.map(|rule| &rule.wanted).ok_or_else(|| nothing("no rule is about this method of the path"))
    }
}

fn conflict(one: &Rule, other: &Rule) -> Option<fn(usize, usize) -> Conflict> {
    let (mine, others) = (&one.pattern, &other.pattern);
    if mine == others {
        let common = one.methods.iter().any(|method| other.methods.contains(method));
        return common.then_some(Conflict::Same);
    }
    if mine.is_but_for_case(others) {
        return Some(Conflict::Case);
    }
    let ordered = mine.covers(others) || others.covers(mine);
    (mine.overlaps(others) && !ordered).then_some(Conflict::Crossing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(methods: &[&str], path: &str, action: &str) -> Rule {
        Rule {
            methods: methods.iter().map(|&method| method.to_owned()).collect(),
            pattern: path.parse().unwrap(),
            wanted: Wanted { action: action.into(), resource: "*".into() },
        }
    }

    fn gate(proxy: Proxy, rules: Vec<Rule>) -> Result<ForwardAuth, Conflict> {
        let names = ("/v1/forward-auth".into(), "acme".into());
        ForwardAuth::new(names, proxy, Shows::AccessToken, vec!["api.example.com".into()], rules)
    }

    fn orders() -> ForwardAuth {
        gate(
            Proxy::Nginx,
            vec![
                rule(&["GET", "POST"], "/orders/**", "any"),
                rule(&["GET"], "/orders/*", "one"),
                rule(&["GET"], "/orders/admin", "admin"),
                rule(&["DELETE"], "/orders/admin", "root"),
            ],
        )
        .unwrap()
    }

    fn wanted(method: &str, path: &str) -> Result<String, Reason> {
        let target = Target::read("api.example.com", path).map_err(|refusal| refusal.reason)?;
        let gate = orders();
        gate.wanted(method, &target).map(|wanted| wanted.action.clone()).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn the_closest_path_decides_and_its_methods_alone() {
        for (method, path, action) in [
            ("GET", "/orders", "any"),
            ("GET", "/orders/", "any"),
            ("GET", "/orders/7", "one"),
            ("GET", "/orders/7/", "one"),
            ("GET", "/orders/7?x=/orders/admin", "one"),
            ("GET", "/orders/7/lines", "any"),
            ("GET", "/orders/admin", "admin"),
            ("GET", "/orders/admin/", "admin"),
            ("DELETE", "/orders/admin", "root"),
            ("GET", "/orders/admin/x", "any"),
        ] {
            assert_eq!(wanted(method, path).as_deref(), Ok(action), "{method} {path}");
        }
        for (method, path) in [
            ("POST", "/orders/admin"),
            ("POST", "/orders/7"),
            ("get", "/orders"),
            ("PROPFIND", "/orders"),
            ("GET", "/"),
            ("GET", "/order"),
            ("GET", "/ordersx"),
        ] {
            assert_eq!(wanted(method, path), Err(Reason::UnknownResource), "{method} {path}");
        }
    }

    #[test]
    fn a_path_that_another_rule_is_about_in_other_letters_is_refused() {
        for path in ["/orders/ADMIN", "/orders/Admin", "/orders/aDMIN/"] {
            assert_eq!(wanted("GET", path), Err(Reason::Malformed), "{path}");
        }
        assert_eq!(wanted("GET", "/ORDERS/7"), Err(Reason::UnknownResource));
        assert_eq!(wanted("GET", "/orders/ADMINS").as_deref(), Ok("one"));
    }

    #[test]
    fn a_host_that_is_not_listed_is_refused() {
        for host in ["other.example.com", "api.example.com.evil.com", "xapi.example.com"] {
            let target = Target::read(host, "/orders/7").unwrap();
            assert!(orders().wanted("GET", &target).is_err(), "{host}");
        }
        let target = Target::read("API.example.com:8443", "/orders/7").unwrap();
        assert!(orders().wanted("GET", &target).is_ok(), "a host has no case, and a port is not part of it");
    }

    #[test]
    fn rules_of_which_none_is_closer_cannot_stand_beside_each_other() {
        let get = |one: &str, other: &str| {
            let rules = vec![rule(&["GET"], one, "a"), rule(&["GET", "POST"], other, "b")];
            gate(Proxy::Nginx, rules).err()
        };
        assert_eq!(get("/a", "/a"), Some(Conflict::Same(1, 0)));
        assert_eq!(get("/a/*", "/a/*"), Some(Conflict::Same(1, 0)));
        assert_eq!(get("/a/b", "/a/B"), Some(Conflict::Case(1, 0)));
        assert_eq!(get("/a/*", "/*/b"), Some(Conflict::Crossing(1, 0)));
        assert_eq!(get("/a/**", "/*/b"), Some(Conflict::Crossing(1, 0)));
        assert_eq!(get("/A/**", "/*/b"), Some(Conflict::Crossing(1, 0)));
        for (one, other) in [
            ("/a", "/b"),
            ("/a", "/a/*"),
            ("/a/**", "/a/*"),
            ("/**", "/*/b"),
            ("/a/*", "/a/b"),
            ("/a", "/a/**"),
        ] {
            assert_eq!((get(one, other), get(other, one)), (None, None), "{one} {other}");
        }
        let two = vec![rule(&["GET"], "/a", "x"), rule(&["POST"], "/a", "y")];
        assert!(gate(Proxy::Nginx, two).is_ok());
    }

    #[test]
    fn envoys_question_holds_the_path_and_the_others_do_not() {
        let paths =
            ["/v1/forward-auth", "/v1/forward-auth/", "/v1/forward-auth/x", "/v1/forward-authx", "/v1"];
        let answered = |proxy| paths.map(|path| gate(proxy, vec![]).unwrap().answers(path));
        assert_eq!(answered(Proxy::Envoy), [false, true, true, false, false]);
        for proxy in [Proxy::Nginx, Proxy::Caddy, Proxy::Traefik] {
            assert_eq!(answered(proxy), [true, false, false, false, false]);
        }
    }

    #[test]
    fn names_are_distinct_and_lead_back() {
        for proxy in Proxy::ALL {
            assert_eq!(Proxy::named(proxy.name()), Some(proxy));
        }
        for shows in Shows::ALL {
            assert_eq!(Shows::named(shows.name()), Some(shows));
        }
        assert_eq!((Proxy::named("apache"), Shows::named("tencent.tc3")), (None, None));
    }

    fn patterns() -> impl Strategy<Value = Pattern> {
        let segment = prop_oneof![Just("a"), Just("b"), Just("B"), Just("*")];
        (prop::collection::vec(segment, 0..4), any::<bool>()).prop_map(|(mut segments, open)| {
            if open {
                segments.push("**");
            }
            format!("/{}", segments.join("/")).parse().unwrap()
        })
    }

    fn paths() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec("[abB]", 0..5)
    }

    proptest! {
        /// What is decided about two patterns holds for the paths of both.
        #[test]
        fn patterns_are_compared_as_they_match(one in patterns(), other in patterns(), path in paths()) {
            let (mine, others) = (one.matches(&path, false), other.matches(&path, false));
            if one.covers(&other) {
                prop_assert!(mine || !others);
            }
            if mine && others {
                prop_assert!(one.overlaps(&other));
            }
            prop_assert_eq!(one.overlaps(&other), other.overlaps(&one));
            if one.covers(&other) && other.covers(&one) {
                prop_assert_eq!(one, other);
            }
        }

        /// The order of rules that may stand together changes nothing, and a path that several match goes to the one
        /// that all the others cover.
        #[test]
        fn the_order_of_rules_means_nothing(all in prop::collection::vec(patterns(), 1..5), path in paths()) {
            let rules: Vec<_> = all.iter().enumerate().map(|(n, pattern)| Rule {
                pattern: pattern.clone(),
                ..rule(&["GET"], "/", &n.to_string())
            }).collect();
            let Ok(there) = gate(Proxy::Caddy, rules.clone()) else { return Ok(()) };
            let back = gate(Proxy::Caddy, rules.into_iter().rev().collect()).unwrap();
            let target = Target { host: "api.example.com".into(), segments: path.clone() };
            let found = there.wanted("GET", &target).ok();
            prop_assert_eq!(found, back.wanted("GET", &target).ok());
            if let Some(found) = found {
                let chosen = &all[found.action.parse::<usize>().unwrap()];
                prop_assert!(chosen.matches(&path, false));
                let others = all.iter().filter(|other| other.matches(&path, true));
                prop_assert!(others.into_iter().all(|other| other.covers(chosen)));
            }
        }
    }
}
