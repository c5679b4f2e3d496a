//! The arrows between the crates, and what a crate may not contain.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Normal (not dev, not build) dependencies of our crates on our crates.
fn arrows() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap();
    let dependencies = |package: &Value| {
        let all = package["dependencies"].as_array().unwrap().iter();
        all.filter(|d| d["kind"].is_null()).map(name).collect::<BTreeSet<_>>()
    };
    packages.iter().map(|package| (name(package), dependencies(package))).collect()
}

#[test]
fn crates_depend_only_downwards() {
    let arrows = arrows();
    let ours = |from: &str| -> Vec<&str> {
        arrows[from].iter().filter(|name| name.starts_with("daypass")).map(String::as_str).collect()
    };
    assert_eq!(ours("daypass-core"), [""; 0]);
    assert_eq!(ours("daypass-dialects"), ["daypass-core"]);
    assert_eq!(ours("daypass-issuers"), ["daypass-core", "daypass-dialects"]);
    assert_eq!(ours("daypass-stores"), ["daypass-core"]);
    // What others build their APIs with needs none of ours, and none of ours needs it.
    assert_eq!(ours("daypass-verify"), [""; 0]);
    assert_eq!(ours("daypass"), ["daypass-core", "daypass-dialects", "daypass-issuers", "daypass-stores"]);
}

#[test]
fn the_core_and_the_dialects_do_no_input_or_output() {
    let arrows = arrows();
    for name in ["daypass-core", "daypass-dialects"] {
        for banned in ["tokio", "hyper", "rusqlite", "reqwest", "axum", "tracing", "rand"] {
            assert!(!arrows[name].contains(banned), "{name} depends on {banned}");
        }
        for (file, text) in sources(name) {
            for banned in ["std::fs", "std::net::Tcp", "std::net::Udp", "std::process", "std::thread"] {
                assert!(!text.contains(banned), "{} uses {banned}", file.display());
            }
        }
    }
}

#[test]
fn issuers_use_only_wire_types_and_signatures_of_the_dialects() {
    for (file, text) in sources("daypass-issuers") {
        for path in text.split("daypass_dialects::").skip(1) {
            let path: String =
                path.chars().take_while(|c| c.is_alphanumeric() || "_:".contains(*c)).collect();
            let module = path.split("::").nth(1).unwrap_or_default();
            assert!(["wire", "sign"].contains(&module), "{} uses daypass_dialects::{path}", file.display());
        }
    }
}

#[test]
fn stores_and_the_binary_keep_to_their_rooms() {
    for (file, text) in sources("daypass") {
        for sql in ["SELECT ", "INSERT ", "UPDATE ", "rusqlite"] {
            assert!(!text.contains(sql), "{} contains {sql}", file.display());
        }
    }
    let arrows = arrows();
    assert!(!arrows["daypass-stores"].contains("http"));
    assert!(!arrows["daypass"].contains("rusqlite"));
}

/// What is shipped has no OpenTelemetry in it, and what is built with it has no second way of sending.
#[test]
fn open_telemetry_is_in_the_program_only_where_it_is_asked_for() {
    let tree = |more: &[&str]| {
        let output = std::process::Command::new(env!("CARGO"))
            .args(["tree", "--package=daypass", "--edges=normal", "--prefix=none", "--offline"])
            .args(more)
            .current_dir(root())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(!tree(&[]).contains("opentelemetry"));
    let with = tree(&["--features=otel"]);
    assert!(with.contains("opentelemetry-otlp") && !with.contains("tonic") && !with.contains("openssl-sys"));
}

/// Every source file of a crate but its tests.
fn sources(name: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("crates").join(name).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            // What stands behind `#[cfg(test)] mod tests;`.
            if path.file_stem().is_some_and(|stem| stem == "tests") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]").next().unwrap().to_owned();
                found.push((path, code));
            }
        }
    }
    assert!(!found.is_empty());
    found
}
