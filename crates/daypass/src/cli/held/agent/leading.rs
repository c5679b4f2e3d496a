//! The variables that lead a vendor's SDK to the agent.

use super::super::answer::Vendor;
use super::super::shell::Variable;
use super::super::surroundings;
use std::path::Path;

/// The variables:
///
/// - Alibaba: the address that the credentials libraries fetch a key from (`ALIBABA_CLOUD_CREDENTIALS_URI`). Their default
///   chain looks at the command line's profile and at the metadata of a machine first, which would be another key, or a
///   wait of seconds for an address that does not answer.
/// - Entra: where an App Service offers its identity; `ManagedIdentityCredential` and `DefaultAzureCredential` ask there
///   (learn.microsoft.com/azure/app-service/overview-managed-identity, "REST endpoint reference").
/// - Tencent: no SDK reads such an address from the environment; a program sets it on its `CVMRoleCredential`.
/// - The address is on this machine: no proxy may see it, for it would see the token too.
pub(super) fn variables(vendor: Vendor, port: u16, token: &str, socket: &Path) -> Vec<Variable> {
    let base = format!("http://127.0.0.1:{port}");
    let mut all = match vendor {
        Vendor::Alibaba => vec![
            ("ALIBABA_CLOUD_CREDENTIALS_URI", format!("{base}/{token}/credentials")),
            ("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true".to_owned()),
            ("ALIBABA_CLOUD_CLI_PROFILE_DISABLED", "true".to_owned()),
        ],
        Vendor::Entra => {
            vec![("IDENTITY_ENDPOINT", format!("{base}/identity")), ("IDENTITY_HEADER", token.to_owned())]
        }
        Vendor::Tencent => vec![("DAYPASS_TENCENT_URI", format!("{base}/{token}/security-credentials/"))],
    };
    let exempt = surroundings::variable("no_proxy").or_else(|| surroundings::variable("NO_PROXY"));
    let exempt = without_proxy(exempt.as_deref().and_then(std::ffi::OsStr::to_str));
    all.push(("no_proxy", exempt.clone()));
    all.push(("NO_PROXY", exempt));
    all.push(("DAYPASS_AGENT_SOCKET", socket.display().to_string()));
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The addresses for which no proxy is used, this machine's among them.
fn without_proxy(exempt: Option<&str>) -> String {
    match exempt {
        Some(exempt) if exempt.split(',').any(|one| ["127.0.0.1", "*"].contains(&one.trim())) => {
            exempt.to_owned()
        }
        Some(exempt) => format!("{exempt},127.0.0.1"),
        None => "127.0.0.1".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_vendor_has_the_variables_that_its_sdk_reads() {
        let shown = |vendor| {
            let all = variables(vendor, 5051, "tok", Path::new("/run/x.sock"));
            assert!(all.contains(&("DAYPASS_AGENT_SOCKET".into(), "/run/x.sock".into())));
            let exempt: Vec<_> =
                all.iter().filter(|(name, _)| name.eq_ignore_ascii_case("no_proxy")).collect();
            assert!(exempt.len() == 2 && exempt.iter().all(|(_, value)| value.contains("127.0.0.1")));
            all.into_iter().take(2).map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
        };
        assert_eq!(
            shown(Vendor::Alibaba),
            [
                "ALIBABA_CLOUD_CREDENTIALS_URI=http://127.0.0.1:5051/tok/credentials",
                "ALIBABA_CLOUD_ECS_METADATA_DISABLED=true"
            ]
        );
        assert_eq!(
            shown(Vendor::Entra),
            ["IDENTITY_ENDPOINT=http://127.0.0.1:5051/identity", "IDENTITY_HEADER=tok"]
        );
        assert_eq!(
            shown(Vendor::Tencent)[0],
            "DAYPASS_TENCENT_URI=http://127.0.0.1:5051/tok/security-credentials/"
        );
    }

    #[test]
    fn no_proxy_is_between_a_program_and_the_agent() {
        for (before, after) in [
            (None, "127.0.0.1"),
            (Some("internal.example"), "internal.example,127.0.0.1"),
            (Some("a, 127.0.0.1"), "a, 127.0.0.1"),
            (Some("*"), "*"),
            (Some("10.127.0.0.1"), "10.127.0.0.1,127.0.0.1"),
        ] {
            assert_eq!(without_proxy(before), after);
        }
    }
}
