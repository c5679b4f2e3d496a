//! The names under which the vendors' programs look for a credential in their environment.

use super::answer::{Credential, Vendor};
use super::shell::Variable;
use daypass_core::clock::{Timestamp, rfc3339};

/// When the credential ends, for scripts: no vendor has a name for it.
const EXPIRATION: &str = "DAYPASS_EXPIRATION";

/// The variables that hold a credential. Where a vendor's programs do not agree on a name, all of theirs:
///
/// - Tencent's key: every SDK (`EnvironmentVariableCredential`, `EnvProvider`) and tccli. The token: `TENCENTCLOUD_TOKEN`
///   tccli (cloud.tencent.com/document/product/440/96291), `TENCENTCLOUD_SESSION_TOKEN` the SDK for Node
///   (`tencentcloud/common/credential.js`), `TENCENTCLOUD_SECURITY_TOKEN` Terraform and Pulumi.
/// - Alibaba's key: the credentials libraries and the CLI (`ALIBABA_CLOUD_…`,
///   `alibabacloud_credentials/utils/auth_util.py`), and the OSS SDKs (`OSS_…`, `oss2/credentials.py`).
/// - Entra: no SDK of Microsoft's reads an access token from the environment. The name is the one that other tools agree
///   on.
pub(super) fn of(credential: &Credential, ends: Option<Timestamp>) -> Vec<Variable> {
    let values: Vec<(&str, &str)> = match credential {
        Credential::Tencent(key) => vec![
            ("TENCENTCLOUD_SECRET_ID", &key.id),
            ("TENCENTCLOUD_SECRET_KEY", key.secret.expose_str()),
            ("TENCENTCLOUD_TOKEN", key.token.expose_str()),
            ("TENCENTCLOUD_SESSION_TOKEN", key.token.expose_str()),
            ("TENCENTCLOUD_SECURITY_TOKEN", key.token.expose_str()),
        ],
        Credential::Alibaba(key) => vec![
            ("ALIBABA_CLOUD_ACCESS_KEY_ID", &key.id),
            ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", key.secret.expose_str()),
            ("ALIBABA_CLOUD_SECURITY_TOKEN", key.token.expose_str()),
            ("OSS_ACCESS_KEY_ID", &key.id),
            ("OSS_ACCESS_KEY_SECRET", key.secret.expose_str()),
            ("OSS_SESSION_TOKEN", key.token.expose_str()),
        ],
        Credential::Entra(token) => vec![("AZURE_ACCESS_TOKEN", token.expose_str())],
    };
    let mut all: Vec<_> =
        values.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    all.extend(ends.map(|ends| (EXPIRATION.to_owned(), rfc3339(ends))));
    all
}

/// The variables that a program must not find beside a credential: long-lived keys of the same vendor, and whatever
/// would have an SDK look elsewhere, or take another role on.
pub(super) fn hidden(vendor: Vendor) -> &'static [&'static str] {
    match vendor {
        Vendor::Tencent => &[
            "TENCENTCLOUD_SECRET_ID",
            "TENCENTCLOUD_SECRET_KEY",
            "TENCENTCLOUD_TOKEN",
            "TENCENTCLOUD_SESSION_TOKEN",
            "TENCENTCLOUD_SECURITY_TOKEN",
            "TENCENTCLOUD_ROLE_ARN",
            "TENCENTCLOUD_ROLE_SESSION_NAME",
            "TENCENTCLOUD_PROFILE",
            "TENCENT_SECRET_ID",
            "TENCENT_SECRET_KEY",
            "QCLOUD_SECRET_ID",
            "QCLOUD_SECRET_KEY",
            "QCLOUD_SECRET_TOKEN",
            "COS_SECRET_ID",
            "COS_SECRET_KEY",
            "COS_SECURITY_TOKEN",
            "TKE_PROVIDER_ID",
            "TKE_ROLE_ARN",
            "TKE_WEB_IDENTITY_TOKEN_FILE",
            "DAYPASS_TENCENT_URI",
        ],
        Vendor::Alibaba => &[
            "ALIBABA_CLOUD_ACCESS_KEY_ID",
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
            "ALIBABA_CLOUD_SECURITY_TOKEN",
            "ALIBABA_CLOUD_BEARER_TOKEN",
            "ALIBABA_CLOUD_PROFILE",
            "ALIBABA_CLOUD_CREDENTIALS_FILE",
            "ALIBABA_CLOUD_CREDENTIALS_URI",
            "ALIBABA_CLOUD_ROLE_ARN",
            "ALIBABA_CLOUD_OIDC_PROVIDER_ARN",
            "ALIBABA_CLOUD_OIDC_TOKEN_FILE",
            "ALIBABACLOUD_ACCESS_KEY_ID",
            "ALIBABACLOUD_ACCESS_KEY_SECRET",
            "ALIBABACLOUD_SECURITY_TOKEN",
            "ALICLOUD_ACCESS_KEY",
            "ALICLOUD_SECRET_KEY",
            "ALICLOUD_ACCESS_KEY_ID",
            "ALICLOUD_ACCESS_KEY_SECRET",
            "ALICLOUD_SECURITY_TOKEN",
            "ALICLOUD_PROFILE",
            "OSS_ACCESS_KEY_ID",
            "OSS_ACCESS_KEY_SECRET",
            "OSS_SESSION_TOKEN",
        ],
        Vendor::Entra => &[
            "AZURE_ACCESS_TOKEN",
            "AZURE_CLIENT_ID",
            "AZURE_CLIENT_SECRET",
            "AZURE_CLIENT_CERTIFICATE_PATH",
            "AZURE_CLIENT_CERTIFICATE_PASSWORD",
            "AZURE_USERNAME",
            "AZURE_PASSWORD",
            "AZURE_FEDERATED_TOKEN_FILE",
            "ARM_CLIENT_ID",
            "ARM_CLIENT_SECRET",
            "ARM_CLIENT_CERTIFICATE_PATH",
            "ARM_CLIENT_CERTIFICATE_PASSWORD",
            "IDENTITY_ENDPOINT",
            "IDENTITY_HEADER",
            "IDENTITY_SERVER_THUMBPRINT",
            "IMDS_ENDPOINT",
            "MSI_ENDPOINT",
            "MSI_SECRET",
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer::tests::{STS, TENCENT, TOKEN};
    use super::*;

    #[test]
    fn every_name_is_set_and_hidden_from_the_parent() {
        let ends = "2026-11-22T10:22:47Z".parse().ok();
        for (vendor, body, names) in [
            (
                Vendor::Tencent,
                TENCENT,
                "TENCENTCLOUD_SECRET_ID=AKIDx TENCENTCLOUD_SECRET_KEY=key TENCENTCLOUD_TOKEN=tok \
                 TENCENTCLOUD_SESSION_TOKEN=tok TENCENTCLOUD_SECURITY_TOKEN=tok",
            ),
            (
                Vendor::Alibaba,
                STS,
                "ALIBABA_CLOUD_ACCESS_KEY_ID=STS.x ALIBABA_CLOUD_ACCESS_KEY_SECRET=key \
                 ALIBABA_CLOUD_SECURITY_TOKEN=tok OSS_ACCESS_KEY_ID=STS.x OSS_ACCESS_KEY_SECRET=key \
                 OSS_SESSION_TOKEN=tok",
            ),
            (Vendor::Entra, TOKEN, "AZURE_ACCESS_TOKEN=a.b.c"),
        ] {
            let credential = vendor.credential(body.as_bytes()).unwrap();
            let all = of(&credential, ends);
            let (expiration, rest) = all.split_last().unwrap();
            assert_eq!((expiration.0.as_str(), expiration.1.as_str()), (EXPIRATION, "2026-11-22T10:22:47Z"));
            let text: Vec<_> = rest.iter().map(|(name, value)| format!("{name}={value}")).collect();
            assert_eq!(text.join(" "), names);
            for (name, _) in rest {
                assert!(hidden(vendor).contains(&name.as_str()), "{name}");
            }
        }
    }
}
