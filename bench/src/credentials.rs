//! What `daypass dev` tells a script: who may ask, and for what.

use anyhow::Context as _;
use daypass_core::role::Algorithm;
use serde::Deserialize;
use std::path::Path;
use std::process::Command;

/// The file that `daypass dev --credentials FILE` writes. It names the demo clients of a throw-away data folder.
#[derive(Clone, Deserialize)]
pub(crate) struct Credentials {
    pub(crate) get_authorization: GetAuthorization,
    pub(crate) tencent: Tencent,
    pub(crate) alibaba: Alibaba,
    pub(crate) entra: Entra,
}

/// The browser's endpoint.
#[derive(Clone, Deserialize)]
pub(crate) struct GetAuthorization {
    pub(crate) path: String,
    pub(crate) origin: String,
}

/// A client of Tencent's STS.
#[derive(Clone, Deserialize)]
pub(crate) struct Tencent {
    pub(crate) secret_id: String,
    pub(crate) secret_key: String,
}

/// A client of the TOP gateway and of Alibaba Cloud's STS.
#[derive(Clone, Deserialize)]
pub(crate) struct Alibaba {
    pub(crate) app_key: String,
    pub(crate) app_secret: String,
    pub(crate) access_key_id: String,
    pub(crate) access_key_secret: String,
    pub(crate) role_arn: String,
    pub(crate) product_code: String,
    pub(crate) scene_code: String,
    pub(crate) usage_scene: String,
    pub(crate) tenant_code: String,
    pub(crate) poi_ids: Vec<String>,
}

/// A client of the OAuth endpoint.
#[derive(Clone, Deserialize)]
pub(crate) struct Entra {
    pub(crate) tenant: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
}

impl Credentials {
    /// Reads the file.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("`{}` is no credentials file", path.display()))
    }
}

/// An OAuth resource of the demo configuration and what its tokens are signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) audience: String,
    pub(crate) algorithm: Algorithm,
}

/// The configuration, as far as it concerns tokens.
#[derive(Deserialize)]
struct Demo {
    tenant: Vec<DemoTenant>,
}

#[derive(Deserialize)]
struct DemoTenant {
    #[serde(default)]
    role: Vec<DemoRole>,
}

#[derive(Deserialize)]
struct DemoRole {
    audience: Option<String>,
    #[serde(default)]
    algorithm: Algorithm,
}

/// The resources that the demo client may ask tokens for: the first of each algorithm.
pub(crate) fn resources(daypass: &Path) -> anyhow::Result<Vec<Resource>> {
    let printed =
        Command::new(daypass).args(["init", "--demo"]).output().context("cannot run daypass init")?;
    resources_in(std::str::from_utf8(&printed.stdout)?)
        .context("`daypass init --demo` prints no configuration")
}

fn resources_in(config: &str) -> anyhow::Result<Vec<Resource>> {
    let demo: Demo = toml::from_str(config)?;
    let mut found: Vec<Resource> = Vec::new();
    for role in demo.tenant.into_iter().flat_map(|tenant| tenant.role) {
        let Some(audience) = role.audience else { continue };
        if found.iter().all(|resource| resource.algorithm != role.algorithm) {
            found.push(Resource { audience, algorithm: role.algorithm });
        }
    }
    Ok(found)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Invented credentials in the form of the contract.
    pub(crate) fn sample() -> Credentials {
        serde_json::from_str(
            r#"{"url": "http://127.0.0.1:5050",
              "get_authorization": {"path": "/getAuthorization", "origin": "http://127.0.0.1:88"},
              "tencent": {"secret_id": "AKIDexample", "secret_key": "tencent-secret"},
              "alibaba": {"app_key": "12345678", "app_secret": "top-secret", "access_key_id": "x",
                "access_key_secret": "y", "role_arn": "acs:ram::1:role/z", "product_code": "oss",
                "scene_code": "app-upload", "usage_scene": "upload", "tenant_code": "hema", "poi_ids": ["8005", "8006"]},
              "entra": {"tenant": "387c56a8-cf86-45de-b9f5-b4de88cac054", "client_id": "c", "client_secret": "s~1",
                "scope": "d6b7c858-55fa-4d04-85a6-131af690abd4/.default"}}"#,
        )
        .unwrap()
    }

    #[test]
    fn the_file_is_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{}").unwrap();
        assert!(Credentials::read(file.path()).is_err());
        assert_eq!(sample().alibaba.poi_ids, ["8005", "8006"]);
    }

    #[test]
    fn one_resource_of_each_algorithm_is_found() {
        let config = r#"
            [server]
            listen = "127.0.0.1:5050"
            [[tenant]]
            name = "demo"
            [[tenant.role]]
            name = "soe"
            [[tenant.role]]
            name = "a"
            audience = "first"
            [[tenant.role]]
            name = "b"
            audience = "second"
            algorithm = "RS256"
            [[tenant.role]]
            name = "c"
            audience = "third"
            algorithm = "ES256"
        "#;
        let found = resources_in(config).unwrap();
        let expected = [("first", Algorithm::Rs256), ("third", Algorithm::Es256)];
        let resource =
            |(audience, algorithm): (&str, Algorithm)| Resource { audience: audience.to_owned(), algorithm };
        assert_eq!(found, expected.map(resource));
        assert!(resources_in("not a configuration").is_err());
    }
}
