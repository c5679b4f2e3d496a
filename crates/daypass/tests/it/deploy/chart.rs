//! The chart: what its templates ask for stands in its values, and what it renders is taken by `daypass check`.
//!
//! `deploy/helm/rendered` is what Helm made of the values in `ci/`. Where there is a Helm, it is made again here and compared;
//! `deploy/check` insists on one.

use super::{PORTS, between, read, root};
use crate::process::daypass;
use crate::tls::{pair, put};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
use std::collections::BTreeSet;
use std::process::Command;

const CHART: &str = "deploy/helm/daypass";

/// The paths of all keys of the values, those of maps in one line included.
fn keys() -> BTreeSet<String> {
    let text = read(&format!("{CHART}/values.yaml"));
    let mut above: Vec<(usize, &str)> = Vec::new();
    let mut found = BTreeSet::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with(['#', '-']) && !line.is_empty()) {
        let (key, value) = line.split_once(':').unwrap_or_else(|| panic!("{line}"));
        let depth = key.len() - key.trim_start().len();
        above.retain(|(other, _)| *other < depth);
        above.push((depth, key.trim_start()));
        let path: Vec<_> = above.iter().map(|(_, key)| *key).collect();
        let path = path.join(".");
        for inner in value.split([',', '{']).filter_map(|part| Some(part.split_once(':')?.0.trim())) {
            found.insert(format!("{path}.{inner}"));
        }
        found.insert(path);
    }
    found
}

/// All templates in one text.
fn templates() -> String {
    let files = std::fs::read_dir(root().join(CHART).join("templates")).unwrap();
    files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect()
}

/// The paths of values that the templates name, from `.Values` or from what stands for it.
fn asked() -> BTreeSet<String> {
    let text = templates();
    let starts = [".Values.", "$v."];
    let rests = starts.iter().flat_map(|start| text.split(start).skip(1));
    let path = |rest: &str| -> String {
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '.').collect()
    };
    rests.map(path).map(|path| path.trim_end_matches('.').to_owned()).collect()
}

#[test]
fn every_value_is_there_and_is_used() {
    let (keys, asked) = (keys(), asked());
    assert!(keys.len() > 50 && asked.len() > 30, "{keys:?}\n{asked:?}");
    let missing: Vec<_> = asked.iter().filter(|path| !keys.contains(*path)).collect();
    assert!(missing.is_empty(), "templates ask for values that are not there: {missing:?}");
    let first = |path: &str| path.split('.').next().unwrap().to_owned();
    let used: BTreeSet<_> = asked.iter().map(|path| first(path)).collect();
    let idle: Vec<_> = keys.iter().filter(|path| !used.contains(&first(path))).collect();
    assert!(idle.is_empty(), "no template asks for {idle:?}");

    let schema: serde_json::Value =
        serde_json::from_str(&read(&format!("{CHART}/values.schema.json"))).unwrap();
    let known: BTreeSet<_> = schema["properties"].as_object().unwrap().keys().cloned().collect();
    let said: BTreeSet<_> = keys.iter().map(|path| first(path)).chain(["global".to_owned()]).collect();
    assert_eq!(known, said, "the schema and the values know the same");
}

/// The configuration of a rendered chart, with its files in this folder.
fn config(rendered: &str, folder: &std::path::Path) -> String {
    let block = between(rendered, "\n  daypass.toml: |\n", "\n---\n");
    let lines: Vec<_> = block.lines().map(|line| line.strip_prefix("    ").unwrap_or(line)).collect();
    let here = |name: &str| folder.join(name).display().to_string();
    lines
        .join("\n")
        .replace("/run/daypass/tls/tls.crt", &here("chain.pem"))
        .replace("/run/daypass/tls/tls.key", &here("key.pem"))
        .replace("/run/daypass/clients-ca/ca.crt", &here("ca.pem"))
        .replace("/run/daypass/database-ca/ca.crt", &here("ca.pem"))
        .replace("/var/lib/daypass/", &here(""))
}

/// The certificate of an authority that vouches for clients.
fn authority() -> String {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(2100, 1, 1));
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
}

#[test]
fn what_it_renders_is_a_configuration_without_faults() {
    let [service, mutual, metrics] = PORTS;
    for (name, lines) in [
        ("tls", vec![format!("listen = \"0.0.0.0:{mutual}\""), "refuse = [\"v1\", \"md5\"]".to_owned()]),
        ("proxy", vec!["behind_proxy = [\"10.0.0.0/8\"]".to_owned()]),
        ("balancer", vec!["proxy_protocol = [\"10.1.0.0/16\",\"10.2.0.0/16\"]".to_owned()]),
        (
            "nodes",
            vec![
                "url = \"postgres://daypass@db.example.com:5432/daypass?connections=8&sslrootcert="
                    .to_owned(),
                "password = { credential = \"database-password\" }".to_owned(),
            ],
        ),
    ] {
        let rendered = read(&format!("deploy/helm/rendered/{name}.yaml"));
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), &pair(&["pass.example.com", "mtls.pass.example.com"], 2000, 2100));
        std::fs::write(folder.path().join("ca.pem"), authority()).unwrap();
        let text = config(&rendered, folder.path());
        for line in lines.iter().chain(&[
            format!("listen = \"0.0.0.0:{service}\""),
            format!("metrics = \"0.0.0.0:{metrics}\""),
            "key = { credential = \"seal.key\" }".to_owned(),
        ]) {
            assert!(text.contains(line), "{name}: {line}\n{text}");
        }
        let file = folder.path().join("daypass.toml");
        std::fs::write(&file, &text).unwrap();
        std::fs::write(folder.path().join("seal.key"), "00".repeat(32)).unwrap();
        std::fs::write(folder.path().join("tencent-root"), "AKIDexample:secret").unwrap();
        std::fs::write(folder.path().join("database-password"), "secret").unwrap();
        let check = || {
            let mut command = daypass();
            command.args(["check", "--config"]).arg(&file).env("CREDENTIALS_DIRECTORY", folder.path());
            command.output().unwrap()
        };
        let checked = check();
        assert!(checked.status.success(), "{name}: {checked:?}\n{text}");
        // The same, with a key that is misspelt: `check` does look.
        std::fs::write(&file, text.replace("metrics_reason", "metrics_reasons")).unwrap();
        let checked = check();
        assert_eq!(checked.status.code(), Some(2), "{checked:?}");

        assert!(rendered.contains("{ name: CREDENTIALS_DIRECTORY, value: /run/secrets/daypass }"), "{name}");
        assert!(rendered.contains("{ name: credentials, mountPath: /run/secrets/daypass, readOnly: true }"));
        assert!(rendered.contains("args: [serve, --config, /etc/daypass/daypass.toml]"), "{name}");
        assert!(rendered.contains("path: seal.key }]"), "{name}");
        for port in [service, metrics] {
            assert!(rendered.contains(&format!("containerPort: {port} }}")), "{name}: {port}");
        }
        assert!(rendered.contains("{ name: RUNTIME_DIRECTORY, value: /run/daypass/control }"), "{name}");
        assert!(rendered.contains("{ name: control, mountPath: /run/daypass/control }"), "{name}");
        let many = name == "nodes";
        let set = between(&rendered, if many { "kind: Deployment" } else { "kind: StatefulSet" }, "\n---\n");
        let own: &[_] = if many {
            &["replicas: 3", "maxUnavailable: 0, maxSurge: 1", "topologyKey: kubernetes.io/hostname"]
        } else {
            &["replicas: 1", "whenDeleted: Retain", "mountPath: /var/lib/daypass"]
        };
        assert_eq!(rendered.contains("kind: PodDisruptionBudget"), many);
        assert_eq!(rendered.contains("port: 5432"), many, "it reaches its database");
        assert_eq!(rendered.contains("volumeClaimTemplates"), !many);
        for line in own.iter().copied().chain([
            "runAsNonRoot: true",
            "readOnlyRootFilesystem: true",
            "allowPrivilegeEscalation: false",
            "automountServiceAccountToken: false",
            "type: RuntimeDefault",
        ]) {
            assert!(set.contains(line), "{name}: {line}");
        }
        let probes: Vec<_> = set.split("path: /").skip(1).map(|rest| rest.lines().next().unwrap()).collect();
        if name == "balancer" {
            // The kubelet cannot say whose its connections are.
            let asks =
                "exec:\n              command: [/usr/bin/daypass, probe, --config, /etc/daypass/daypass.toml";
            assert_eq!((probes.len(), set.matches(asks).count()), (0, 3));
            let readiness = between(set, "readinessProbe:", "resources:");
            assert!(readiness.contains(&format!("{asks}, --ready]")), "{readiness}");
        } else {
            assert_eq!(probes, ["livez", "livez", "readyz"], "{name}");
        }
    }
}

#[test]
fn the_rendered_files_are_what_helm_makes_of_the_chart() {
    let helm = |name: &str| {
        let mut command = Command::new("helm");
        command.args([
            "template",
            "daypass",
            CHART,
            "--namespace",
            "security",
            "--kube-version",
            "1.30.0",
            "-f",
        ]);
        command.arg(format!("{CHART}/ci/{name}-values.yaml")).current_dir(root()).output()
    };
    for name in ["tls", "proxy", "balancer", "nodes"] {
        let rendered = read(&format!("deploy/helm/rendered/{name}.yaml"));
        match helm(name) {
            Ok(made) => {
                assert!(made.status.success(), "{made:?}");
                assert_eq!(String::from_utf8(made.stdout).unwrap(), rendered, "{name}: see deploy/README.md");
            }
            Err(_) => eprintln!("there is no helm: {name}.yaml was not made again"),
        }
        // Without Helm at least this: it was made of these templates.
        let files = rendered.lines().filter_map(|line| line.strip_prefix("# Source: daypass/"));
        let files: BTreeSet<_> = files.collect();
        assert!(files.len() >= 5, "{files:?}");
        for file in files {
            assert!(root().join(CHART).join(file).is_file(), "{file}");
        }
    }
}
