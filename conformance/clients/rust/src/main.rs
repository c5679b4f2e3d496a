//! Rust's OAuth clients as their documentation shows them: `clients LIBRARY HOW`. The settings are environment
//! variables; what the library made of the answer is printed as `name value` lines, an error as its own members say.

use azure_core::credentials::{Secret, TokenCredential};
use azure_core::error::ErrorKind;
use azure_core::http::ClientMethodOptions;
use azure_identity::{
    ClientAssertion, ClientAssertionCredential, ClientSecretCredential, WorkloadIdentityCredential,
};
use oauth2::basic::{BasicClient, BasicRequestTokenError, BasicTokenResponse};
use oauth2::{
    AccessToken, AuthType, ClientId, ClientSecret, IntrospectionUrl, ResourceOwnerPassword,
    ResourceOwnerUsername, RevocationUrl, Scope, StandardRevocableToken, TokenIntrospectionResponse,
    TokenResponse, TokenUrl,
};
use std::error::Error;
use std::sync::Arc;
use std::{env, fmt, fs};

type Failure = Box<dyn Error>;

fn setting(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

fn say(name: &str, value: impl fmt::Display) {
    println!("{name} {}", value.to_string().replace('\n', " "));
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match (arguments[0].as_str(), arguments[1].as_str()) {
        ("azure-identity", how) => azure(how).await,
        ("oauth2", how) => standard(how).await,
        (other, _) => Err(format!("there is no {other}").into()),
    }
}

/// An assertion that was made elsewhere.
#[derive(Debug)]
struct Given;

#[async_trait::async_trait]
impl ClientAssertion for Given {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        Ok(setting("ASSERTION"))
    }
}

/// `azure_identity`, which takes the host from AZURE_AUTHORITY_HOST; its second token is the first one.
async fn azure(how: &str) -> Result<(), Failure> {
    let (tenant, client) = (setting("TENANT"), setting("CLIENT_ID"));
    let credential: azure_core::Result<Arc<dyn TokenCredential>> = match how {
        "secret" => ClientSecretCredential::new(&tenant, client, Secret::new(setting("CLIENT_SECRET")), None)
            .map(|made| made as Arc<dyn TokenCredential>),
        "assertion" => ClientAssertionCredential::new(tenant, client, Given, None)
            .map(|made| made as Arc<dyn TokenCredential>),
        // This one takes everything from the environment: AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_FEDERATED_TOKEN_FILE.
        "workload" => WorkloadIdentityCredential::new(None).map(|made| made as Arc<dyn TokenCredential>),
        other => return Err(format!("there is no {other}").into()),
    };
    let scope = setting("SCOPE");
    for _ in 0..2 {
        let asked = match &credential {
            Ok(credential) => credential.get_token(&[&scope], None).await,
            Err(error) => {
                say("message", error);
                break;
            }
        };
        match asked {
            Ok(token) => say("token", token.token.secret()),
            Err(error) => {
                say("message", &error);
                say_cause(&error);
                break;
            }
        }
    }
    Ok(())
}

/// What the credential's error is about: the answer that it got.
fn say_cause(error: &azure_core::Error) {
    let cause = error.source().and_then(|source| source.downcast_ref::<azure_core::Error>());
    if let Some(cause) = cause {
        say("description", cause);
        if let ErrorKind::HttpResponse { status, error_code, .. } = cause.kind() {
            say("status", u16::from(*status));
            say("codes", error_code.as_deref().unwrap_or_default());
        }
    }
}

/// `oauth2`, with a client that does not follow redirects, as it asks for, and trusts the authority in CA_FILE.
async fn standard(how: &str) -> Result<(), Failure> {
    let mut http = oauth2::reqwest::ClientBuilder::new().redirect(oauth2::reqwest::redirect::Policy::none());
    if let Ok(file) = env::var("CA_FILE") {
        http = http.add_root_certificate(oauth2::reqwest::Certificate::from_pem(&fs::read(file)?)?);
    }
    let http = http.build()?;
    let endpoint = |name: &str| format!("{}/{}/oauth2/v2.0/{name}", setting("BASE"), setting("TENANT"));
    let method = if how == "body" { AuthType::RequestBody } else { AuthType::BasicAuth };
    let client = BasicClient::new(ClientId::new(setting("CLIENT_ID")))
        .set_client_secret(ClientSecret::new(setting("CLIENT_SECRET")))
        .set_token_uri(TokenUrl::new(endpoint("token"))?)
        .set_introspection_url(IntrospectionUrl::new(endpoint("introspect"))?)
        .set_revocation_url(RevocationUrl::new(endpoint("revoke"))?)
        .set_auth_type(method);
    let scope = Scope::new(setting("SCOPE"));
    match how {
        "basic" | "body" => {
            say_token(client.exchange_client_credentials().add_scope(scope).request_async(&http).await);
        }
        "password" => {
            let (name, password) =
                (ResourceOwnerUsername::new("ada".into()), ResourceOwnerPassword::new("x".into()));
            say_token(client.exchange_password(&name, &password).add_scope(scope).request_async(&http).await);
        }
        "introspect" => {
            match client.introspect(&AccessToken::new(setting("TOKEN"))).request_async(&http).await {
                Ok(answer) => {
                    say("active", answer.active());
                    say("client", answer.client_id().map_or("", |id| id.as_str()));
                }
                Err(error) => say("message", error),
            }
        }
        "revoke" => {
            let token = StandardRevocableToken::from(AccessToken::new(setting("TOKEN")));
            match client.revoke_token(token)?.request_async(&http).await {
                Ok(()) => say("revoked", true),
                Err(error) => say("message", error),
            }
        }
        other => return Err(format!("there is no {other}").into()),
    }
    Ok(())
}

fn say_token<E: Error + 'static>(asked: Result<BasicTokenResponse, BasicRequestTokenError<E>>) {
    match asked {
        Ok(token) => {
            say("token", token.access_token().secret());
            say("expires", token.expires_in().map_or(0, |left| left.as_secs()));
        }
        Err(error) => {
            say("message", &error);
            if let BasicRequestTokenError::ServerResponse(said) = &error {
                say("error", said.error());
                say("description", said.error_description().map_or("", String::as_str));
            }
        }
    }
}
