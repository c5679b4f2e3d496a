//! What somebody could ask for, put together from words on a command line, from a test case or from a record.

use super::layers::Whose;
use daypass_core::caller::Way;
use daypass_core::client::Client;
use daypass_core::client::Tenant;
use daypass_core::dialect::{Form, Issue, RoleChoice};
use daypass_core::directory::Directory;
use daypass_core::endpoint::{DialectName, Endpoint, Product, Route};
use daypass_core::identity::Subject;
use daypass_core::policy::{Language, Part, Policy, Rehearsal, Template, rehearse};
use daypass_core::refusal::Refusal;
use daypass_core::role::Role;
use daypass_core::triple::TripleKind;
use daypass_dialects::{alibaba, tencent};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Somebody asks for something.
pub(in crate::cli) struct Question {
    pub(super) tenant: Arc<Tenant>,
    pub(super) part: Part,
    path: String,
    pub(super) issue: Issue,
}

/// What is asked for, in one of three ways.
#[derive(Clone, Copy)]
pub(in crate::cli) enum Target<'a> {
    /// Whatever an endpoint hands out.
    Endpoint(&'a str),
    /// A role, by name.
    Role(&'a str),
    /// An OAuth scope.
    Scope(&'a str),
}

/// A question in words.
pub(in crate::cli) struct Words<'a> {
    pub(in crate::cli) target: Target<'a>,
    /// Who asks, or who made the ticket of a visitor.
    pub(in crate::cli) client: Option<Arc<Client>>,
    /// Whom someone trusted says it is for.
    pub(in crate::cli) subject: Option<&'a str>,
    /// `product_code/scene_code/usage_scene` of TOP.
    pub(in crate::cli) product: Option<&'a str>,
    pub(in crate::cli) variables: BTreeMap<String, String>,
    pub(in crate::cli) lifetime: Option<u32>,
    /// A narrower policy, in the role's language.
    pub(in crate::cli) policy: Option<&'a str>,
}

impl Question {
    pub(super) fn new(tenant: Arc<Tenant>, part: Part, path: &str, issue: Issue) -> Self {
        Self { tenant, part, path: path.to_owned(), issue }
    }

    /// Understands the words; what is wrong with them is a sentence.
    pub(in crate::cli) fn of(directory: &Directory, words: &Words<'_>) -> Result<Self, String> {
        let mut question = match words.target {
            Target::Role(name) => of_role(directory, words, name)?,
            Target::Scope(scope) => of_scope(directory, words, scope)?,
            Target::Endpoint(path) => of_endpoint(directory, words, path)?,
        };
        question.issue.lifetime = words.lifetime;
        question.issue.policy = match words.policy {
            None => None,
            Some(text) => Some(parse(text, question.issue.form, &question.tenant.account)?),
        };
        Ok(question)
    }

    /// What would come of it.
    pub(in crate::cli) fn ask(&self, directory: &Directory) -> Result<Rehearsal, Refusal> {
        rehearse(directory, &self.tenant, &self.part, &self.path, &self.issue)
    }

    /// Whose it would be, and through which endpoint.
    pub(super) fn whose<'a>(&'a self, directory: &'a Directory) -> Whose<'a> {
        let endpoint = match (&self.part, &self.issue.role) {
            (Part::Visitor { endpoint, .. }, _) => Some(endpoint),
            (_, RoleChoice::Product { path, .. }) => directory
                .endpoints(DialectName::AlibabaTop, path)
                .find(|endpoint| endpoint.tenant == self.tenant.name),
            _ => None,
        };
        Whose { tenant: &self.tenant, client: self.client(), endpoint: endpoint.map(|endpoint| &**endpoint) }
    }

    /// The client whose rights are used.
    pub(super) fn client(&self) -> Option<&Client> {
        match &self.part {
            Part::Client(client) => Some(client),
            Part::Visitor { maker, .. } => maker.as_deref(),
            Part::Outside { .. } => None,
        }
    }
}

/// Where the vendors' STS are.
pub(super) const ROOT: &str = "/";

/// A client by name or id, in this tenant or in any.
pub(in crate::cli) fn client(
    clients: &[Client],
    wanted: &str,
    tenant: Option<&str>,
) -> Result<Arc<Client>, String> {
    let fits = |client: &&Client| {
        (client.name == wanted || client.guid.to_string().eq_ignore_ascii_case(wanted))
            && tenant.is_none_or(|tenant| client.tenant == tenant)
    };
    let mut found = clients.iter().filter(fits);
    match (found.next(), found.next()) {
        (Some(client), None) => Ok(Arc::new(client.clone())),
        (None, _) => Err(format!("there is no client `{}`", wanted.escape_debug())),
        (Some(_), Some(_)) => Err(format!("several tenants have a client `{wanted}`; name the tenant")),
    }
}

fn needs_client(words: &Words<'_>) -> Result<Arc<Client>, String> {
    words.client.clone().ok_or_else(|| "say which client asks".to_owned())
}

fn tenant_of(directory: &Directory, name: &str) -> Result<Arc<Tenant>, String> {
    directory.tenant(name).cloned().ok_or_else(|| format!("the configuration has no tenant `{name}`"))
}

fn of_role(directory: &Directory, words: &Words<'_>, name: &str) -> Result<Question, String> {
    let client = needs_client(words)?;
    let tenant = tenant_of(directory, &client.tenant)?;
    let role = directory.role(&tenant.name, name);
    let issue = match role.and_then(|role| role.audience.as_ref().zip(Some(role))) {
        Some((audience, role)) => Issue {
            app_roles: Some(role.app_roles.clone()),
            ..Issue::new(RoleChoice::Resource(audience.clone()), Form::Bearer)
        },
        None => Issue {
            variables: words.variables.clone(),
            // Whoever knows the role's value sends it; without it the answer would be about that alone.
            external_id: role.and_then(|role| role.external_id.clone()),
            ..Issue::new(RoleChoice::Named(name.to_owned()), form(role))
        },
    };
    Ok(Question::new(tenant, Part::Client(client), ROOT, issue))
}

fn of_scope(directory: &Directory, words: &Words<'_>, scope: &str) -> Result<Question, String> {
    let client = needs_client(words)?;
    let tenant = tenant_of(directory, &client.tenant)?;
    let (resource, wanted) = scope
        .rsplit_once('/')
        .filter(|(resource, wanted)| !resource.is_empty() && !wanted.is_empty())
        .ok_or_else(|| "a scope is RESOURCE/.default, or RESOURCE/ and the name of an app role".to_owned())?;
    let app_roles = (wanted != ".default").then(|| vec![wanted.to_owned()]);
    let issue = Issue { app_roles, ..Issue::new(RoleChoice::Resource(resource.to_owned()), Form::Bearer) };
    Ok(Question::new(tenant, Part::Client(client), ROOT, issue))
}

fn of_endpoint(directory: &Directory, words: &Words<'_>, path: &str) -> Result<Question, String> {
    if let Some(endpoint) = directory.visited(path) {
        return of_visit(directory, words, endpoint);
    }
    let top: Vec<_> = directory.endpoints(DialectName::AlibabaTop, path).collect();
    if top.is_empty() {
        return Err(format!(
            "no endpoint of the configuration is at `{}`; the vendors' STS and OAuth have none: name the role or the scope",
            path.escape_debug()
        ));
    }
    let client = needs_client(words)?;
    let tenant = tenant_of(directory, &client.tenant)?;
    let routes: Vec<_> =
        top.iter().filter(|one| one.tenant == tenant.name).flat_map(|one| &one.routes).collect();
    let route = route(&routes, words.product)?;
    let role = directory.role(&tenant.name, &route.role);
    let choice = RoleChoice::Product { path: path.to_owned(), product: route.product.clone() };
    let issue = Issue { variables: words.variables.clone(), ..Issue::new(choice, form(role)) };
    Ok(Question::new(tenant, Part::Client(client), path, issue))
}

fn route<'a>(routes: &[&'a Route], product: Option<&str>) -> Result<&'a Route, String> {
    let found = match (product, routes) {
        (None, [only]) => Some(*only),
        (None, _) => None,
        (Some(name), _) => routes.iter().copied().find(|route| words_of(&route.product) == name),
    };
    let all = || routes.iter().map(|route| words_of(&route.product)).collect::<Vec<_>>().join(", ");
    found.ok_or_else(|| {
        format!("name the product as product_code/scene_code/usage_scene; there are: {}", all())
    })
}

pub(super) fn words_of(product: &Product) -> String {
    format!("{}/{}/{}", product.product_code, product.scene_code, product.usage_scene)
}

/// A visitor is known by the best way of the endpoint that the words have something for.
fn of_visit(directory: &Directory, words: &Words<'_>, endpoint: &Arc<Endpoint>) -> Result<Question, String> {
    let tenant = tenant_of(directory, &endpoint.tenant)?;
    let subject =
        words.subject.map(|name| Subject { name: name.to_owned(), variables: words.variables.clone() });
    let known = |way: &Way| endpoint.callers.iter().any(|rule| rule.way() == *way);
    let way = match (&words.client, &subject) {
        (Some(client), _) if client.tenant != tenant.name => {
            return Err(format!("the endpoint is of the tenant `{}`, and the client is not", tenant.name));
        }
        (Some(_), Some(_)) => Way::Ticket,
        (Some(_), None) => return Err("say whom the ticket of this client is for, by --subject".to_owned()),
        (None, Some(_)) => {
            let named = [Way::Session, Way::Jwt].into_iter().find(known);
            named.ok_or_else(|| {
                "this endpoint knows nobody by name without a client that makes tickets".to_owned()
            })?
        }
        (None, None) => Way::Anonymous,
    };
    let role = endpoint.role.as_deref().and_then(|name| directory.role(&tenant.name, name));
    let issue = Issue::new(RoleChoice::Endpoint, form(role));
    let (endpoint, maker) = (endpoint.clone(), words.client.clone());
    let path = endpoint.path.clone();
    Ok(Question::new(tenant, Part::Visitor { endpoint, way, subject, maker }, &path, issue))
}

/// What form a role gives. One that does not exist is refused in any.
fn form(role: Option<&Arc<Role>>) -> Form {
    match role.and_then(|role| role.policy.as_ref()).map(Template::language) {
        Some(Language::Cam) => Form::Triple(TripleKind::Tencent),
        Some(Language::Ram) => Form::Triple(TripleKind::Alibaba),
        None => Form::Bearer,
    }
}

/// A policy as a client sends it.
fn parse(text: &str, form: Form, account: &str) -> Result<Policy, String> {
    match form {
        Form::Triple(TripleKind::Tencent) => tencent::policy::parse(text)
            .map(|policy| tencent::policy::with_account(policy, account))
            .map_err(|bad| format!("the policy is no CAM policy: {bad}")),
        Form::Triple(TripleKind::Alibaba) => {
            alibaba::policy::parse(text).map_err(|bad| format!("the policy is no RAM policy: {bad}"))
        }
        Form::Bearer => Err("an access token carries no policy".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::client::Grant;
    use daypass_core::refusal::Reason;
    use daypass_core::testing::{RESOURCE, World};

    fn words<'a>(world: &World, target: Target<'a>) -> Words<'a> {
        Words {
            target,
            client: Some(Arc::new(world.client.clone())),
            subject: None,
            product: None,
            variables: BTreeMap::new(),
            lifetime: None,
            policy: None,
        }
    }

    fn store() -> BTreeMap<String, String> {
        [("tenant_code", "hema"), ("poi_id", "8005")].map(|(k, v)| (k.to_owned(), v.to_owned())).into()
    }

    fn answer(world: &World, words: &Words<'_>) -> Result<Result<Rehearsal, Reason>, String> {
        let directory = world.directory();
        Ok(Question::of(&directory, words)?.ask(&directory).map_err(|refusal| refusal.reason))
    }

    #[test]
    fn every_kind_of_role_is_asked_for_in_its_own_way() {
        let world = World::new();
        let role = |name| answer(&world, &words(&world, Target::Role(name))).unwrap();
        assert_eq!(role("soe").unwrap().lifetime(), 1800);
        assert_eq!(role("devcenter").unwrap().audience(), Some(RESOURCE));
        assert_eq!(role("nothing").err(), Some(Reason::RoleNotGranted));
        assert_eq!(role("store-upload").err(), Some(Reason::MissingParameter));
        let bound = Words { variables: store(), ..words(&world, Target::Role("store-upload")) };
        assert_eq!(answer(&world, &bound).unwrap().unwrap().variables(), &store());
    }

    #[test]
    fn a_scope_is_a_resource_and_what_is_wanted_of_it() {
        let world = World::new();
        let scope = |text: &str| answer(&world, &words(&world, Target::Scope(text)));
        let all = scope(&format!("{RESOURCE}/.default")).unwrap().unwrap();
        let one = format!("{RESOURCE}/{}", all.app_roles().first().unwrap());
        assert_eq!(scope(&one).unwrap().unwrap().app_roles(), all.app_roles());
        assert_eq!(scope(&format!("{RESOURCE}/none")).unwrap().err(), Some(Reason::InvalidScope));
        assert_eq!(scope("api://other/.default").unwrap().err(), Some(Reason::UnknownResource));
        for bad in ["openid", "/.default", "x/"] {
            assert!(scope(bad).err().unwrap().contains(".default"), "{bad}");
        }
    }

    #[test]
    fn an_endpoint_is_visited_or_has_a_table_of_products() {
        let world = World::new();
        let visit = Words { client: None, ..words(&world, Target::Endpoint("/getAuthorization")) };
        assert_eq!(answer(&world, &visit).unwrap().unwrap().role(), "soe");
        let top = || Words { variables: store(), ..words(&world, Target::Endpoint("/router/rest")) };
        assert_eq!(
            answer(&world, &top()).unwrap().unwrap().role(),
            "store-upload",
            "there is but one product"
        );
        let named = Words { product: Some("oss/app-upload/upload"), ..top() };
        assert_eq!(answer(&world, &named).unwrap().unwrap().role(), "store-upload");
        let wrong = answer(&world, &Words { product: Some("oss/x/y"), ..top() }).err().unwrap();
        assert!(wrong.contains("oss/app-upload/upload"), "{wrong}");
        let none = answer(&world, &words(&world, Target::Endpoint("/nowhere"))).err().unwrap();
        assert!(none.contains("/nowhere"), "{none}");
    }

    #[test]
    fn words_that_do_not_go_together_are_refused() {
        let world = World::new();
        let nobody = Words { client: None, ..words(&world, Target::Role("soe")) };
        assert!(answer(&world, &nobody).err().unwrap().contains("which client"));
        let unnamed = words(&world, Target::Endpoint("/getAuthorization"));
        assert!(answer(&world, &unnamed).err().unwrap().contains("--subject"));
        let token = Words { policy: Some("{}"), ..words(&world, Target::Role("devcenter")) };
        assert!(answer(&world, &token).err().unwrap().contains("no policy"));
        let broken = Words { policy: Some("{}"), ..words(&world, Target::Role("soe")) };
        assert!(answer(&world, &broken).err().unwrap().contains("CAM"));
    }

    #[test]
    fn a_client_is_found_by_name_or_id_and_never_guessed() {
        let world = World::new();
        let other = Client { tenant: "other".into(), guid: uuid::Uuid::from_u128(9), ..world.client.clone() };
        let both = [world.client.clone(), other];
        let found = |name: &str, tenant| client(&both, name, tenant).map(|client| client.tenant.clone());
        assert!(found("app", None).unwrap_err().contains("several"));
        assert_eq!(found("app", Some("other")), Ok("other".to_owned()));
        assert_eq!(found(&world.client.guid.to_string().to_uppercase(), None), Ok("acme".to_owned()));
        assert!(found("none", None).unwrap_err().contains("none"));
    }

    #[test]
    fn a_policy_is_read_in_the_language_of_the_role() {
        let mut world = World::new();
        world.client.grants = vec![Grant::of("soe")];
        let text = r#"{"version":"2.0","statement":[{"effect":"allow","action":["soe:TransmitOralProcessWithInit"],"resource":["*"]}]}"#;
        let asked = Words { policy: Some(text), lifetime: Some(60), ..words(&world, Target::Role("soe")) };
        assert_eq!(answer(&world, &asked).unwrap().unwrap().lifetime(), 60);
        let wide = text.replace("soe:TransmitOralProcessWithInit", "cos:GetObject");
        let asked = Words { policy: Some(&wide), ..words(&world, Target::Role("soe")) };
        assert_eq!(answer(&world, &asked).unwrap().err(), Some(Reason::PolicyTooWide));
    }
}
