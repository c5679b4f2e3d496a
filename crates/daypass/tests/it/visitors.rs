//! A configured service whose pages are known: by a ticket that a backend signs, which is good once, and by a session
//! of the operator's own application.

use crate::patience::promised;
use crate::process::{daypass, json_of, parse};
use crate::serve::{Installation, Serve};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Output;

const CONFIG: &str = r#"[server]
listen = "127.0.0.1:0"
[store]
url = "sqlite:daypass.db"
[seal]
key = { file = "seal.key" }
[[tenant]]
name = "main"
guid = "387c56a8-cf86-45de-b9f5-b4de88cac054"
account = "100000000001"
[[tenant.role]]
name = "uploads"
variables = { subject = "slug", class = "slug" }
policy = { cam = '{"version":"2.0","statement":{"effect":"allow","action":["cos:PutObject"],"resource":["qcs::cos:ap-guangzhou:uid/1250000000:pics-1250000000/{class}/{subject}/*"]}}' }
[[endpoint]]
dialect = "tencent.getAuthorization"
path = "/getAuthorization"
tenant = "main"
role = "uploads"
origins = ["https://lesson.example.com"]
shape = "cos"
caller = { ticket = { refreshes = 1, refresh_for = "8h" } }
"#;
const ORIGIN: &str = "https://lesson.example.com";

/// A running `daypass serve` with a client that signs tickets.
struct Service {
    installation: Installation,
    serve: Serve,
    url: String,
}

impl Service {
    fn start() -> Self {
        Self::start_with(CONFIG)
    }

    fn start_with(config: &str) -> Self {
        let installation = Installation::new(config);
        let web = ["web", "--kind", "ticket", "--role", "uploads", "--any", "subject,class"];
        std::fs::write(installation.file("key.json"), installation.add(&web).to_string()).unwrap();
        let serve = installation.serve();
        let url = format!("http://{}", serve.host);
        let page =
            json!({ "url": url, "get_authorization": { "path": "/getAuthorization", "origin": ORIGIN } });
        std::fs::write(installation.file("page.json"), page.to_string()).unwrap();
        Self { installation, serve, url }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.installation.file(name)
    }

    /// Signs a ticket for this page, user and class.
    fn sign(&self, key: &[&str], origin: &str, subject: &str, class: &str) -> Output {
        let endpoint = format!("{}/getAuthorization", self.url);
        let class = format!("class={class}");
        let ask =
            ["ticket", "--endpoint", &endpoint, "--origin", origin, "--subject", subject, "--var", &class];
        daypass().args(ask).args(key).current_dir(self.installation.folder.path()).output().unwrap()
    }

    fn ticket_for(&self, origin: &str, subject: &str, class: &str) -> String {
        let signed = self.sign(&["--client-key", "key.json"], origin, subject, class);
        assert!(signed.status.success(), "{signed:?}");
        String::from_utf8(signed.stdout).unwrap().trim().to_owned()
    }

    fn ticket(&self) -> String {
        self.ticket_for(ORIGIN, "ann", "7b")
    }

    /// Asks as a page would.
    fn page(&self, evidence: &[&str]) -> Output {
        daypass()
            .args(["token", "browser"])
            .args(evidence)
            .arg("--from")
            .arg(self.file("page.json"))
            .output()
            .unwrap()
    }
}

/// The ticket for the next time, which is said beside the answer.
fn next(answer: &Output) -> Option<String> {
    let said = String::from_utf8(answer.stderr.clone()).unwrap();
    said.lines().find_map(|line| line.strip_prefix("ticket for the next time: ")).map(str::to_owned)
}

#[test]
fn a_ticket_is_good_once_and_its_refresh_once_more() {
    let service = Service::start();
    let ticket = service.ticket();
    let first = service.page(&["--ticket", &ticket]);
    let credentials = json_of(&first);
    assert!(credentials["credentials"]["sessionToken"].is_string(), "{credentials}");
    let refresh = next(&first).unwrap();

    let again = service.page(&["--ticket", &ticket]);
    assert_eq!(again.status.code(), Some(1), "{again:?}");

    let second = service.page(&["--ticket", &refresh]);
    assert!(json_of(&second)["credentials"]["tmpSecretId"].is_string());
    assert_eq!(next(&second), None, "one refresh was allowed");
    assert_eq!(service.page(&["--ticket", &refresh]).status.code(), Some(1));

    let records = service.installation.cli(&["audit", "tail", "-n", "20"]);
    let records = String::from_utf8(records.stdout).unwrap();
    assert!(records.contains("ticket_spent"), "{records}");
}

#[test]
fn a_page_without_a_good_ticket_gets_nothing() {
    let service = Service::start();
    let evil = "https://evil.example";
    let refused = |evidence: &[&str], why: &str| {
        let answer = service.page(evidence);
        assert_eq!(answer.status.code(), Some(1), "{answer:?}");
        let said = String::from_utf8(answer.stdout).unwrap();
        assert!(said.contains(why), "{evidence:?}: {said}");
    };
    refused(&[], "asks for a ticket");
    refused(&["--ticket", "nonsense"], "the ticket is not authentic");
    refused(&["--origin", evil, "--ticket", &service.ticket()], "not one that the endpoint serves");
    refused(&["--ticket", &service.ticket_for(evil, "ann", "7b")], "this ticket is for another page");
    refused(&["--ticket", &service.ticket_for(ORIGIN, "a/b", "7b")], "subject must be letters");
    refused(&["--ticket", &service.ticket_for(ORIGIN, "ann", "*")], "class must be letters");
}

#[test]
fn a_key_may_also_stand_in_a_file_of_its_own() {
    let service = Service::start();
    let key: Value = serde_json::from_slice(&std::fs::read(service.file("key.json")).unwrap()).unwrap();
    let (id, secret) = (&key["keys"][0]["key_id"], &key["keys"][0]["key_secret"]);
    std::fs::write(service.file("secret"), format!("{}\n", secret.as_str().unwrap())).unwrap();
    let signed = service.sign(
        &["--json", "--key-id", id.as_str().unwrap(), "--key-file", "secret"],
        ORIGIN,
        "ann",
        "7b",
    );
    let signed = json_of(&signed);
    assert_eq!(signed["expires_in"], 120);
    json_of(&service.page(&["--ticket", signed["ticket"].as_str().unwrap()]));
    assert_eq!(service.sign(&["--client-key", "page.json"], ORIGIN, "ann", "7b").status.code(), Some(2));
}

#[test]
fn a_disabled_client_s_tickets_are_worth_nothing() {
    let service = Service::start();
    json_of(&service.page(&["--ticket", &service.ticket()]));
    assert!(service.installation.cli(&["client", "disable", "web"]).status.success());
    promised("the disabling", || service.page(&["--ticket", &service.ticket()]).status.code() == Some(1));
}

/// An application that knows one session, and answers everything else with 401.
fn application() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map(Result::unwrap) {
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
            let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
            let known = head.iter().any(|line| line.eq_ignore_ascii_case("cookie: sid=right"));
            let body = r#"{"subject":"ann","variables":{"class":"7b"}}"#;
            let (status, body) = if known { ("200 OK", body) } else { ("401 Unauthorized", "") };
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    format!("http://{address}/whoami")
}

#[test]
fn a_session_is_what_the_application_says_it_is() {
    let session = format!("session = {{ cookie = \"sid\", whoami = \"{}\" }}", application());
    let service =
        Service::start_with(&CONFIG.replace("ticket = { refreshes = 1, refresh_for = \"8h\" }", &session));
    let first = json_of(&service.page(&["--cookie", "sid=right"]));
    assert!(first["credentials"]["sessionToken"].is_string(), "{first}");
    let again = json_of(&service.page(&["--cookie", "sid=right"]));
    assert_eq!(again["credentials"], first["credentials"], "one subject, one credential");
    assert_eq!(service.page(&["--cookie", "sid=wrong"]).status.code(), Some(1));
    assert_eq!(service.page(&["--ticket", &service.ticket()]).status.code(), Some(1), "not one of the ways");
}

/// A role for the agents of this host, and the URL that their SDKs are configured with.
const AGENTS: &str = r#"[[tenant.role]]
name = "agent"
policy = { ram = '{"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:PutObject"],"Resource":["acs:oss:*:*:b/backup/*"]}]}' }
[[endpoint]]
dialect = "alibaba.credentials"
path = "/credentials"
tenant = "main"
role = "agent"
quota = { address = 1, endpoint = 6000 }
caller = { anonymous = { reason = "agents on this host", networks = ["127.0.0.1"] } }
"#;

#[test]
fn an_sdk_on_this_host_fetches_credentials_until_its_quota_is_used_up() {
    let service = Service::start_with(&CONFIG.replacen("[[endpoint]]", &format!("{AGENTS}[[endpoint]]"), 1));
    let host = &*service.serve.host;
    let get = |host_header: &str, more: &str| {
        let mut stream = TcpStream::connect(host).unwrap();
        let head =
            format!("GET /credentials HTTP/1.1\r\nhost: {host_header}\r\nconnection: close\r\n{more}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        parse(&answer)
    };
    // alibabacloud-credentials leaves the port out of its Host header.
    let answer = get("127.0.0.1", "accept: */*\r\n");
    let (status, credential) = (answer.status, answer.json());
    assert_eq!((status, credential["Code"].as_str()), (200, Some("Success")), "{credential}");
    assert!(credential["SecurityToken"].is_string());

    let rebound = get("evil.example:5050", "");
    assert_eq!((rebound.status, rebound.json()["Code"].as_str()), (403, Some("NoPermission")));
    let passed_on = get(host, "x-forwarded-for: 127.0.0.1\r\n");
    assert_eq!((passed_on.status, passed_on.json()["Code"].as_str()), (403, Some("NoPermission")));

    let limited = get(host, "");
    assert_eq!((limited.status, limited.json()["Code"].as_str()), (429, Some("Throttling")));
    assert!(limited.head.contains("retry-after: "), "{}", limited.head);
    let records = service.installation.cli(&["audit", "tail", "-n", "20", "--json"]);
    let records = String::from_utf8(records.stdout).unwrap();
    assert_eq!(records.matches("alibaba.credentials").count(), 1, "{records}");
    assert!(!records.contains(credential["AccessKeySecret"].as_str().unwrap()));
}
