//! How a running service is reached, read from whatever its file says now.
//!
//! A command that speaks to a service must reach it while its file is half written or wrong: that is when it is needed. So
//! nothing is judged here; what cannot be understood is as if it did not stand there.

use super::environment;
use super::notes::Notes;
use super::source::Source;
use super::tree::{self, Node, Table, Value};
use daypass_core::net::IpNet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What could be understood.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Glimpse {
    /// Where it listens.
    pub(crate) listen: Option<SocketAddr>,
    /// Whether it speaks TLS there.
    pub(crate) tls: bool,
    /// The networks from which it wants to hear by the PROXY protocol for whom they connect.
    pub(crate) proxy_protocol: Vec<IpNet>,
    /// Where its control socket is, if the file says so.
    pub(crate) control: Option<PathBuf>,
    /// The file of its store, if that is one.
    pub(crate) database: Option<PathBuf>,
}

/// Looks into a file, with the overrides of the process's environment.
pub(crate) fn glimpse(path: &Path) -> Glimpse {
    let bytes = std::fs::read(path).unwrap_or_default();
    look(path, &String::from_utf8_lossy(&bytes), &environment::overrides())
}

fn look(path: &Path, text: &str, overrides: &[environment::Variable]) -> Glimpse {
    let name = path.display().to_string();
    let notes = Notes::new(Source::new(&name, text), vec![String::new(); overrides.len()]);
    let mut table = tree::read(text, &notes);
    environment::apply(overrides, &mut table, &notes);
    let base = path.parent().unwrap_or(Path::new(""));
    let text = |section, key| match get(&table, section, key) {
        Some(Node { value: Value::Text(text), .. }) => Some(text.as_str()),
        _ => None,
    };
    Glimpse {
        listen: text("server", "listen").and_then(|listen| listen.parse().ok()),
        tls: get(&table, "server", "tls").is_some(),
        proxy_protocol: match get(&table, "server", "proxy_protocol") {
            Some(Node { value: Value::List(list), .. }) => list.iter().filter_map(network).collect(),
            _ => Vec::new(),
        },
        control: text("server", "control").map(|control| base.join(control)),
        database: text("store", "url")
            .and_then(|url| url.strip_prefix("sqlite:"))
            .map(|file| base.join(file)),
    }
}

fn network(node: &Node) -> Option<IpNet> {
    match &node.value {
        Value::Text(text) => text.parse().ok(),
        _ => None,
    }
}

fn get<'a>(table: &'a Table, section: &str, key: &str) -> Option<&'a Node> {
    let entry = |table: &'a Table, key: &str| table.iter().find(|entry| entry.key == key);
    match &entry(table, section)?.node.value {
        Value::Table(section) => entry(section, key).map(|entry| &entry.node),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Glimpse {
        look(Path::new("/etc/daypass/daypass.toml"), text, &[])
    }

    #[test]
    fn a_whole_file_says_all_of_it() {
        let whole = "[server]\nlisten = \"0.0.0.0:443\"\ntls = { certificate = \"c\", key = \"k\" }\n\
                     proxy_protocol = [\"10.1.0.0/16\", 5, \"ten\"]\n\
                     control = \"control.sock\"\n[store]\nurl = \"sqlite:/var/lib/daypass/daypass.db\"\n";
        let expected = Glimpse {
            listen: Some("0.0.0.0:443".parse().unwrap()),
            tls: true,
            proxy_protocol: vec!["10.1.0.0/16".parse().unwrap()],
            control: Some("/etc/daypass/control.sock".into()),
            database: Some("/var/lib/daypass/daypass.db".into()),
        };
        assert_eq!(of(whole), expected);
        let wrong = format!("{whole}[[tenant]]\nname = 5\nno_such = [\n");
        assert_eq!(of(&wrong), expected, "what is wrong elsewhere does not matter");
    }

    #[test]
    fn what_is_not_understood_is_as_if_it_were_not_there() {
        assert_eq!(of(""), Glimpse::default());
        assert_eq!(of("server = 5\n[store]\nurl = 7\n"), Glimpse::default());
        assert_eq!(
            of("[server]\nlisten = \"here\"\n[store]\nurl = \"postgres://d@db/d\"\n"),
            Glimpse::default()
        );
    }

    #[test]
    fn an_override_is_what_the_service_sees_too() {
        let variable = ("DAYPASS__SERVER__LISTEN".to_owned(), "0.0.0.0:5050".into());
        let seen = look(Path::new("d.toml"), "[server]\nlisten = \"127.0.0.1:1\"\n", &[variable]);
        assert_eq!(seen.listen, Some("0.0.0.0:5050".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn any_text_can_be_looked_into(text: String, cut in 0..300_usize) {
            let _ = of(&text);
            let whole = "[server]\nlisten = \"127.0.0.1:5050\"\n[store]\nurl = \"sqlite:d.db\"\n";
            let _ = of(whole.get(..cut).unwrap_or(whole));
        }
    }
}
