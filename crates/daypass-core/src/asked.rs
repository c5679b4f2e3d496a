//! What a caller asked for, as its record keeps it: enough to say later why it got what it got, and to put the same
//! question to another configuration.

use crate::caller::Caller;
use crate::dialect::{Excess, Form, Issue, RoleChoice};
use crate::endpoint::Product;
use crate::policy::{Authorized, Cut, Policy, Warned};
use crate::triple::TripleKind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most bytes of JSON that an ask takes in a record.
///
/// Attack: a client that is refused again and again with the longest policy there is fills the disk with its own words.
pub const BYTES: usize = 2048;

/// What was asked for. Never a secret: the `ExternalId` stays out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Which role, in the protocol's way of saying so.
    pub role: AskedRole,
    /// The shape of the signing credential; none for an access token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<TripleKind>,
    /// Seconds, where they were named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<u32>,
    /// Values for the role's variables; of a grant, its own variables say the same.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
    /// The narrower policy.
    #[serde(default, skip_serializing_if = "AskedPolicy::is_none")]
    pub policy: AskedPolicy,
    /// What that policy asked for too much was to be cut off and not refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut_off: bool,
    /// The only app roles that were wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_roles: Option<Vec<String>>,
    /// It was to be in exchange for an access token, which is not kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exchange: bool,
    /// Who cut something off what the role gives, on the way to what was issued.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut: Vec<Cut>,
    /// What rules that are only tried would have done to what was issued.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warned: Vec<Warned>,
    /// The values and the app roles did not fit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shortened: bool,
}

/// A protocol's way of naming a role, with what it goes by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AskedRole {
    /// The role of the endpoint at this path.
    Endpoint(String),
    /// The client's default role.
    Default,
    /// The role of this name.
    Named(String),
    /// TOP's table.
    Product {
        /// The path of the endpoint.
        path: String,
        /// `product_code`.
        product_code: String,
        /// `scene_code`.
        scene_code: String,
        /// `usage_scene`.
        usage_scene: String,
    },
    /// This OAuth resource.
    Resource(String),
}

/// A narrower policy that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AskedPolicy {
    /// None was.
    #[default]
    None,
    /// The one that was issued, which the record has already.
    Issued,
    /// This one.
    Document(Policy),
    /// One that does not fit into a record.
    LeftOut,
}

impl AskedPolicy {
    /// Whether none was asked for.
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }

    fn of(asked: Option<&Policy>, issued: Option<&Policy>) -> Self {
        match asked {
            None => Self::None,
            Some(asked) if Some(asked) == issued => Self::Issued,
            Some(asked) => Self::Document(asked.clone()),
        }
    }
}

impl Asked {
    /// The ask that this was authorized for. Its variables stand in the record of the grant.
    pub(crate) fn of_grant(issue: &Issue, authorized: &Authorized) -> Self {
        let policy = AskedPolicy::of(issue.policy.as_ref(), authorized.policy());
        let exchange = authorized.behalf().is_some();
        let (cut, warned) = (authorized.cut().to_vec(), authorized.warned().to_vec());
        Self { policy, exchange, cut, warned, ..Self::plain(issue, authorized.endpoint()) }.fitted()
    }

    /// The ask of a refusal. Where someone trusted has said whom it is for, that fills the variables.
    pub(crate) fn of_refusal(caller: &Caller, issue: &Issue, path: &str) -> Self {
        let variables = match caller.subject() {
            Some(subject) => subject.variables.clone(),
            None => issue.variables.clone(),
        };
        let policy = AskedPolicy::of(issue.policy.as_ref(), None);
        Self { variables, policy, ..Self::plain(issue, path) }.fitted()
    }

    fn plain(issue: &Issue, path: &str) -> Self {
        Self {
            role: AskedRole::of(&issue.role, path),
            form: match issue.form {
                Form::Triple(kind) => Some(kind),
                Form::Bearer => None,
            },
            lifetime: issue.lifetime,
            variables: BTreeMap::new(),
            policy: AskedPolicy::None,
            cut_off: issue.excess == Excess::CutOff && issue.policy.is_some(),
            app_roles: issue.app_roles.clone(),
            exchange: false,
            cut: Vec::new(),
            warned: Vec::new(),
            shortened: false,
        }
    }

    /// Leaves out what is too long: first the policy, then all that is not the role.
    fn fitted(mut self) -> Self {
        if self.fits() {
            return self;
        }
        if !self.policy.is_none() {
            self.policy = AskedPolicy::LeftOut;
        }
        if !self.fits() {
            (self.variables, self.app_roles, self.shortened) = (BTreeMap::new(), None, true);
        }
        if !self.fits() {
            self.role.shorten();
        }
        self
    }

    fn fits(&self) -> bool {
        serde_json::to_vec(self).is_ok_and(|text| text.len() <= BYTES)
    }

    /// The same question again, with these values for the variables.
    pub fn issue(&self, variables: BTreeMap<String, String>, policy: Option<Policy>) -> Issue {
        let form = self.form.map_or(Form::Bearer, Form::Triple);
        Issue {
            variables,
            policy,
            lifetime: self.lifetime,
            excess: if self.cut_off { Excess::CutOff } else { Excess::Refused },
            app_roles: self.app_roles.clone(),
            ..Issue::new(self.role.choice(), form)
        }
    }
}

impl AskedRole {
    fn of(choice: &RoleChoice, path: &str) -> Self {
        match choice {
            RoleChoice::Endpoint => Self::Endpoint(path.to_owned()),
            RoleChoice::Default => Self::Default,
            RoleChoice::Named(name) => Self::Named(name.clone()),
            RoleChoice::Product { path, product } => Self::Product {
                path: path.clone(),
                product_code: product.product_code.clone(),
                scene_code: product.scene_code.clone(),
                usage_scene: product.usage_scene.clone(),
            },
            RoleChoice::Resource(name) => Self::Resource(name.clone()),
        }
    }

    /// Names that are so long exist nowhere: their beginning is enough to see what it was.
    fn shorten(&mut self) {
        let cut = |text: &mut String| *text = text.chars().take(64).collect();
        match self {
            Self::Default => {}
            Self::Endpoint(text) | Self::Named(text) | Self::Resource(text) => cut(text),
            Self::Product { path, product_code, scene_code, usage_scene } => {
                [path, product_code, scene_code, usage_scene].into_iter().for_each(cut);
            }
        }
    }

    /// The way of naming a role that it was.
    pub fn choice(&self) -> RoleChoice {
        match self {
            Self::Endpoint(_) => RoleChoice::Endpoint,
            Self::Default => RoleChoice::Default,
            Self::Named(name) => RoleChoice::Named(name.clone()),
            Self::Product { path, product_code, scene_code, usage_scene } => RoleChoice::Product {
                path: path.clone(),
                product: Product {
                    product_code: product_code.clone(),
                    scene_code: scene_code.clone(),
                    usage_scene: usage_scene.clone(),
                },
            },
            Self::Resource(name) => RoleChoice::Resource(name.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Language, authorize};
    use crate::testing::{World, allow};

    fn issue(role: RoleChoice) -> Issue {
        Issue { lifetime: Some(60), ..Issue::new(role, Form::Triple(TripleKind::Alibaba)) }
    }

    #[test]
    fn an_ask_can_be_asked_again() {
        let product =
            Product { product_code: "oss".into(), scene_code: "app".into(), usage_scene: "up".into() };
        let choices = [
            RoleChoice::Endpoint,
            RoleChoice::Default,
            RoleChoice::Named("soe".into()),
            RoleChoice::Product { path: "/router/rest".into(), product },
            RoleChoice::Resource("api://orders".into()),
        ];
        let caller = World::new().caller("AKIDworld");
        for choice in choices {
            for form in [Form::Bearer, Form::Triple(TripleKind::Tencent)] {
                let asked = Issue {
                    form,
                    policy: Some(allow(Language::Ram, "oss:Get*", "*")),
                    excess: Excess::CutOff,
                    variables: [("poi_id".to_owned(), "8005".to_owned())].into(),
                    app_roles: Some(vec!["orders.read".into()]),
                    ..issue(choice.clone())
                };
                let kept = Asked::of_refusal(&caller, &asked, "/router/rest");
                let text = serde_json::to_string(&kept).unwrap();
                let read: Asked = serde_json::from_str(&text).unwrap();
                let AskedPolicy::Document(policy) = read.policy.clone() else { panic!("{text}") };
                assert_eq!(read.issue(read.variables.clone(), Some(policy)), asked, "{text}");
            }
        }
    }

    #[test]
    fn a_grant_repeats_nothing_that_its_record_has() {
        let mut world = World::new();
        let policy = allow(Language::Cam, "soe:TransmitOralProcessWithInit", "*");
        let plain = Issue {
            lifetime: Some(60),
            ..Issue::new(RoleChoice::Default, Form::Triple(TripleKind::Tencent))
        };
        let asked = Issue { policy: Some(policy.clone()), ..plain.clone() };
        let kept = |world: &World, issue: &Issue| {
            let caller = world.caller("AKIDworld");
            Asked::of_grant(issue, &authorize(&world.directory(), &caller, "/", issue).unwrap())
        };
        let same = kept(&world, &asked);
        assert_eq!(
            serde_json::to_string(&same).unwrap(),
            r#"{"role":"default","form":"tencent","lifetime":60,"policy":"issued"}"#
        );
        assert!(kept(&world, &plain).policy.is_none());
        world.client.boundary = Some(allow(Language::Cam, "*", "qcs::soe:*:*:app/*"));
        assert_eq!(kept(&world, &plain).cut, [Cut::Client]);
        let smaller = allow(Language::Cam, "soe:*", "qcs::soe:*:*:app/1");
        let cut_off = Issue { policy: Some(smaller.clone()), excess: Excess::CutOff, ..plain };
        let cut = kept(&world, &cut_off);
        assert_eq!((cut.policy, cut.cut), (AskedPolicy::Document(smaller), vec![Cut::Client, Cut::Ask]));
    }

    #[test]
    fn a_long_ask_takes_no_more_room_than_there_is() {
        let caller = World::new().caller("AKIDworld");
        let long = "x".repeat(100_000);
        let size = |asked: &Asked| serde_json::to_vec(asked).unwrap().len();
        let policy = Issue {
            policy: Some(allow(Language::Ram, "oss:Get*", &long)),
            variables: [("poi_id".to_owned(), "8005".to_owned())].into(),
            ..issue(RoleChoice::Default)
        };
        let kept = Asked::of_refusal(&caller, &policy, "/");
        assert_eq!(
            (&kept.policy, kept.shortened, size(&kept) <= BYTES),
            (&AskedPolicy::LeftOut, false, true)
        );
        assert_eq!(kept.variables["poi_id"], "8005", "what fits stays");
        let all = Issue {
            variables: [("poi_id".to_owned(), long.clone())].into(),
            app_roles: Some(vec![long.clone()]),
            ..Issue { role: RoleChoice::Named(long.clone()), ..policy }
        };
        let kept = Asked::of_refusal(&caller, &all, &long);
        assert!(kept.shortened && size(&kept) <= BYTES, "{}", size(&kept));
        let AskedRole::Named(name) = kept.role else { panic!("another role") };
        assert_eq!(name.len(), 64);
    }

    #[test]
    fn whom_it_is_for_fills_the_variables_of_a_refusal() {
        let world = World::new();
        let own = Asked::of_refusal(&world.caller("AKIDworld"), &issue(RoleChoice::Endpoint), "/a");
        assert!(own.variables.is_empty());
        assert_eq!(own.role, AskedRole::Endpoint("/a".into()));
    }
}
