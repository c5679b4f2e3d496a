//! What is shipped in `deploy/`: units, packages, images, charts, dashboards and rules name options, paths, ports and
//! metrics that exist. Nothing here needs a container, a cluster or a network; `deploy/check` runs the tools that know more.

mod chart;
mod guide;
mod metrics;
mod unit;

use crate::process::daypass;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The ports that everything agrees on: the service, clients' certificates, metrics.
const PORTS: [u16; 3] = [5050, 8443, 9464];

/// What stands between the first of `from` and the next `to`.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let rest = text.split_once(from).unwrap_or_else(|| panic!("there is no `{from}` in\n{text}")).1;
    rest.split(to).next().unwrap()
}

#[test]
fn the_ports_agree() {
    let [service, mutual, metrics] = PORTS;
    for (file, lines) in [
        (
            "crates/daypass/src/config/template.toml",
            vec![
                format!("listen = \"127.0.0.1:{service}\""),
                format!("#metrics = \"127.0.0.1:{metrics}\""),
                format!("listen = \"0.0.0.0:{mutual}\""),
            ],
        ),
        ("docs/metrics.md", vec![format!("targets: [\"127.0.0.1:{metrics}\"]")]),
        ("deploy/docker/Dockerfile", vec![format!("EXPOSE {service} {metrics}\n")]),
        (
            "deploy/docker/compose.yaml",
            vec![
                format!("DAYPASS__SERVER__LISTEN: \"0.0.0.0:{service}\""),
                format!("- \"443:{service}\""),
                format!("Port {metrics} is not published"),
            ],
        ),
        ("deploy/docker/prometheus.yml", vec![format!("targets: [\"daypass:{metrics}\"]")]),
        (
            "deploy/helm/daypass/values.yaml",
            vec![
                format!("ports:\n  service: {service}\n  mutualTls: {mutual}\n  metrics: {metrics}\n"),
                format!("mutualTlsPort: {mutual}"),
            ],
        ),
        ("docs/run-in-production.md", vec![format!("0.0.0.0:{metrics}"), format!("127.0.0.1:{service}")]),
    ] {
        let text = read(file);
        for line in lines {
            assert!(text.contains(&line), "{file} does not say {line}");
        }
    }
}

#[test]
fn the_image_starts_what_exists_and_nobody_in_it_is_root() {
    let file = read("deploy/docker/Dockerfile");
    let command: Vec<String> = serde_json::from_str(between(&file, "\nCMD ", "\n")).unwrap();
    assert_eq!(command, ["serve", "--config", "/etc/daypass/daypass.toml"]);
    let last = file.rsplit("\nFROM ").next().unwrap();
    assert!(last.starts_with("scratch\n"), "nothing but the program is in it");
    for line in ["USER 65532:65532", "WORKDIR /etc/daypass", "ENV CREDENTIALS_DIRECTORY=/run/secrets"] {
        assert!(last.lines().any(|found| found == line), "{line}");
    }
    let check: Vec<String> = serde_json::from_str(between(last, "    CMD ", "\n")).unwrap();
    assert!(last.contains("HEALTHCHECK --interval=") && check[0] == "/usr/bin/daypass", "{check:?}");
    assert_eq!(check[2..], command[1..], "it asks about the file that is served");
    let help = daypass().args([&check[1], "--help"]).output().unwrap();
    assert!(String::from_utf8(help.stdout).unwrap().contains("--config <FILE>"), "{check:?}");
    let profile = between(&file, "--profile ", " ");
    assert!(read("Cargo.toml").contains(&format!("[profile.{profile}]")));
    let compiler = between(&file, "\nARG BUILD_IMAGE=rust:", "-");
    assert!(read("rust-toolchain.toml").contains(&format!("channel = \"{compiler}\"")));

    for (name, secrets) in [("compose", "[seal.key]"), ("compose.nodes", "[seal.key, db-password]")] {
        let compose = read(&format!("deploy/docker/{name}.yaml"));
        let secrets = format!("secrets: {secrets}");
        let hard = ["read_only: true", "user: \"65532:65532\"", "cap_drop: [ALL]", &secrets];
        for line in hard.into_iter().chain(["tmpfs: [\"/run/daypass:", "./daypass:/etc/daypass:ro"]) {
            assert!(compose.contains(line), "{name}: {line}");
        }
        // Docker mounts a secret by its name; the configuration asks for it by the same.
        assert!(compose.contains("\nsecrets:\n  seal.key:\n"), "{name}");
        for path in compose.lines().filter_map(|line| line.trim().strip_prefix("- ./")) {
            let path = path.split(':').next().unwrap();
            assert!(path == "daypass" || root().join("deploy/docker").join(path).exists(), "{path}");
        }
        for path in compose.lines().filter_map(|line| line.trim().strip_prefix("- ../")) {
            let path = path.split(':').next().unwrap();
            assert!(root().join("deploy").join(path).exists(), "{path}");
        }
    }
}

/// A folder that the workspace needs and the image's build is not given ends that build at its first step.
#[test]
fn the_image_is_built_from_all_that_the_workspace_needs() {
    let given = read("deploy/docker/Dockerfile.dockerignore");
    let folder = tempfile::tempdir().unwrap();
    let names = given.lines().filter_map(|line| line.strip_prefix('!'));
    for name in names.filter(|name| root().join(name).exists()) {
        let to = folder.path().join(name);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        let copied = Command::new("cp").arg("-r").arg(root().join(name)).arg(&to).status().unwrap();
        assert!(copied.success(), "{name}");
    }
    let described = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--no-deps", "--format-version=1"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(described.status.success(), "{}", String::from_utf8_lossy(&described.stderr));
}

#[test]
fn the_balancer_has_a_place_for_each_node_and_asks_what_they_answer() {
    let (compose, balancer) = (read("deploy/docker/compose.nodes.yaml"), read("deploy/docker/haproxy.cfg"));
    let nodes = between(&compose, "replicas: ", "\n");
    assert!(balancer.contains(&format!("server-template node {nodes} daypass:{}\n", PORTS[0])), "{balancer}");
    assert!(balancer.contains("option httpchk GET /readyz") && balancer.contains("mode tcp"));
    assert!(compose.contains(&format!("DAYPASS__SERVER__LISTEN: \"0.0.0.0:{}\"", PORTS[0])));
    // A node takes 10,000 connections, and no more are let in than all of them take.
    let number =
        |before: &str, behind: &str| between(&balancer, before, behind).trim().parse::<usize>().unwrap();
    let (each, all) =
        (number("default-server maxconn ", "\n"), number("has a tenth of it:\n    maxconn ", "\n"));
    assert!(each < 10_000 && all < each * nodes.parse::<usize>().unwrap(), "{each} {all}");
    // Both sides know the same network, and nobody else is on it.
    let subnet = between(&compose, "subnet: ", " ");
    assert!(
        balancer.contains("default-server send-proxy-v2 check check-send-proxy check-ssl")
            && balancer.contains(subnet)
    );
    for guide in ["docs/run-in-production.md", "docs/run-in-production.zh-CN.md"] {
        assert!(read(guide).contains(&format!("proxy_protocol = [\"{subnet}\"]")), "{guide}");
    }
    let on_it =
        compose.lines().filter(|line| line.trim().starts_with("networks: [") && line.contains("front"));
    assert_eq!(on_it.count(), 2);
    assert!(number("{ sc0_conn_cur gt ", " }") <= all / 4, "one address leaves room for others");
    let metrics = read("deploy/docker/prometheus.nodes.yml");
    assert!(metrics.contains("names: [daypass]") && metrics.contains(&format!("port: {}", PORTS[2])));
    let url = between(&compose, "DAYPASS__STORE__URL: \"", "\"");
    assert_eq!(daypass_stores::understand(url), Ok(()));
    for named in ["POSTGRES_USER: daypass", "POSTGRES_DB: daypass", "\n  database:\n    image: postgres:"] {
        assert!(compose.contains(named) && url.contains("daypass@database/daypass"), "{named}");
    }
}

#[test]
fn the_package_holds_files_that_exist_in_its_own_version() {
    let manifest: toml::Table = read("crates/daypass/Cargo.toml").parse().unwrap();
    let deb = &manifest["package"]["metadata"]["deb"];
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let assets = deb["assets"].as_array().unwrap();
    for asset in assets {
        let (from, to) = (asset[0].as_str().unwrap(), asset[1].as_str().unwrap());
        assert!(from == "target/release/daypass" || crate_folder.join(from).is_file(), "{from}");
        let mode = if to.ends_with("bin/") { "755" } else { "644" };
        assert_eq!(asset[2].as_str(), Some(mode), "{from}");
    }
    assert!(assets.len() >= 8);
    let scripts = crate_folder.join(deb["maintainer-scripts"].as_str().unwrap());
    for script in ["postinst", "prerm", "postrm"] {
        let text = std::fs::read_to_string(scripts.join(script)).unwrap();
        // Without the mark nothing would stop, restart or forget the service.
        assert!(text.starts_with("#!/bin/sh\n") && text.contains("\nset -e\n"), "{script}");
        assert!(text.lines().any(|line| line == "#DEBHELPER#"), "{script}");
    }
    let units = crate_folder.join(deb["systemd-units"]["unit-scripts"].as_str().unwrap());
    assert!(units.join("daypass.service").is_file());

    let workspace: toml::Table = read("Cargo.toml").parse().unwrap();
    let version = workspace["workspace"]["package"]["version"].as_str().unwrap();
    assert!(read("deploy/debian/changelog").starts_with(&format!("daypass ({version}-1) ")));
    let chart = read("deploy/helm/daypass/Chart.yaml");
    assert!(chart.contains(&format!("\nversion: {version}\nappVersion: \"{version}\"\n")), "{chart}");
}

/// What the installation of the package does, without being root.
#[test]
fn the_package_makes_a_configuration_that_the_service_can_take() {
    let script = read("deploy/debian/postinst");
    let init = between(&script, "        daypass init ", " >/dev/null");
    assert_eq!(init, "\"$config\" --data \"$data\" --as-credential");
    let folder = tempfile::tempdir().unwrap();
    let (config, data) = (folder.path().join("etc"), folder.path().join("lib"));
    let made =
        daypass().arg("init").arg(&config).arg("--data").arg(&data).arg("--as-credential").output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let text = std::fs::read_to_string(config.join("daypass.toml")).unwrap();
    assert!(text.contains(&format!("\"sqlite:{}\"", data.join("daypass.db").display())), "{text}");
    assert!(text.contains("\nkey = { credential = \"seal.key\" }\n"), "{text}");
    assert!(!config.join("data").exists(), "one folder of data is enough");

    let list = || {
        let mut command = daypass();
        command.args(["client", "list", "--config"]).arg(config.join("daypass.toml"));
        command
    };
    let without = list().env_remove("CREDENTIALS_DIRECTORY").output().unwrap();
    assert_eq!(without.status.code(), Some(2));
    let said = String::from_utf8(without.stderr).unwrap();
    assert!(said.contains("add LoadCredential=seal.key:/path to the unit"), "{said}");
    let with = list().env("CREDENTIALS_DIRECTORY", &config).output().unwrap();
    assert!(with.status.success(), "{with:?}");
    assert!(data.join("daypass.db").exists());
}
