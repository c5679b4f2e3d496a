//! Limits on the real server: each protocol's own words for too many, a day that outlives restarts and is shared by nodes,
//! and one tenant's flood that takes nothing from another.

use crate::patience::{PATIENCE, not_at_midnight, soon as eventually};
use crate::process::{Answer, Dev, Node, json_of, send, token};
use crate::serve::{Installation, Serve};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

fn entra<'a>(dev: &'a Dev, name: &str) -> &'a str {
    dev.credentials["entra"][name].as_str().unwrap()
}

fn ask_for_token(dev: &Dev, host: &str) -> Answer {
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", entra(dev, "client_id"))
        .append_pair("client_secret", entra(dev, "client_secret"))
        .append_pair("grant_type", "client_credentials")
        .append_pair("scope", entra(dev, "scope"))
        .finish();
    let target = format!("/{}/oauth2/v2.0/token", entra(dev, "tenant"));
    send(host, "POST", &target, &[("content-type", "application/x-www-form-urlencoded")], form.as_bytes())
}

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// Asks until the answer has this in it, for as long as a change may take to be in force, and as often as one may have to.
fn soon(what: &str, mut ask: impl FnMut() -> String) -> String {
    let begun = Instant::now();
    loop {
        let answer = ask();
        if answer.contains(what) {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "no {what} in {answer}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn records(dev: &Dev) -> Vec<Value> {
    let text = String::from_utf8(dev.cli(&["audit", "tail", "-n", "500", "--json"]).stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_client_above_its_rate_is_told_so_in_its_protocols_words() {
    let dev = Dev::start();
    for client in ["soe-server", "store-box", "devcenter-app"] {
        let said = json_of(&dev.cli(&["client", "limit", client, "--rate", "2/h", "--json"]));
        assert_eq!(
            (&said["changed"], &said["client"]["limit"]["rate"]["rate"]),
            (&json!(true), &json!("2/h"))
        );
    }
    let tencent = soon("RequestLimitExceeded", || said(&token(&["tencent"], &dev.file())));
    assert!(tencent.contains("the rate of this client is used up"), "{tencent}");
    let top = soon("App Call Limited", || said(&token(&["alibaba"], &dev.file())));
    assert!(top.contains("accesscontrol.limited-by-app-api-access-count"), "{top}");
    soon("Throttling.User", || said(&token(&["alibaba", "--sts"], &dev.file())));
    let limited = soon("temporarily_unavailable", || {
        let answer = ask_for_token(&dev, &dev.host());
        format!("{} {} {}", answer.status, answer.head, answer.body)
    });
    assert!(limited.starts_with("429 ") && limited.contains("90055"), "{limited}");
    // The half hour stands in the sentence alone: the Azure SDKs would wait for it inside the call.
    assert!(limited.contains("ask again in 1") && !limited.contains("retry-after: "), "{limited}");

    let shown = String::from_utf8(dev.cli(&["client", "show", "soe-server"]).stdout).unwrap();
    assert!(shown.contains("soe-server is limited to 2/h"), "{shown}");
    let changes = records(&dev);
    let change = changes.iter().find(|record| record["event"]["action"] == "client.limit").unwrap();
    assert_eq!(change["event"]["object"], "soe-server: 2/h");
    json_of(&dev.cli(&["client", "limit", "soe-server", "--none", "--json"]));
    soon("TmpSecretId", || said(&token(&["tencent"], &dev.file())));
    let bad = dev.cli(&["client", "limit", "soe-server", "--rate", "many"]);
    assert_eq!(bad.status.code(), Some(2), "{bad:?}");
}

/// How many of so many requests get a token; all others must be told that the day is over.
fn tokens(dev: &Dev, host: &str, tries: usize) -> usize {
    let answers = (0..tries).map(|_| ask_for_token(dev, host));
    let granted = answers.filter(|answer| {
        let over = answer.status == 429 && answer.body.contains("he daily quota of this client is used up");
        assert!(answer.status == 200 || over, "{answer:?}");
        answer.status == 200
    });
    granted.count()
}

#[test]
fn a_day_is_shared_by_nodes_and_outlives_restarts() {
    not_at_midnight();
    let dev = Dev::start();
    json_of(&dev.cli(&["client", "limit", "devcenter-app", "--daily", "12", "--json"]));
    // A server that starts knows it; one that runs would have two seconds, and what it hands out before counts for no day.
    let dev = Dev::start_in(dev.stop().0, &[]);
    let limited = || {
        let shown = json_of(&dev.cli(&["client", "show", "devcenter-app", "--json"]));
        shown["today"].as_u64().unwrap_or_default()
    };
    assert_eq!(tokens(&dev, &dev.host(), 5), 5);
    eventually("five are written", || limited() == 5);
    let other = Node::beside(&dev, &[]);
    assert_eq!(tokens(&dev, &other.host(), 4), 4, "a node that starts knows what the day has had");
    eventually("nine are written", || limited() == 9);
    // Neither has heard of the other since it last asked itself: each may hand out what the other has used up, until it next
    // writes. That is a second's worth, and no more than is left as far as it knows.
    let (first, second) = (tokens(&dev, &dev.host(), 10), tokens(&dev, &other.host(), 10));
    assert!((3..=10).contains(&(first + second)), "{first} and {second}, where three are left");
    eventually("both have heard", || {
        (tokens(&dev, &dev.host(), 1), tokens(&dev, &other.host(), 1)) == (0, 0)
    });
    drop(other);
    let (folder, _) = dev.stop();
    let dev = Dev::start_in(folder, &[]);
    assert_eq!(tokens(&dev, &dev.host(), 5), 0, "a restart makes nothing free");
    let shown = String::from_utf8(dev.cli(&["client", "show", "devcenter-app"]).stdout).unwrap();
    assert!(shown.contains("is limited to 12 a day") && shown.contains("credentials today (UTC)"), "{shown}");
}

/// An application that answers nothing until it is told to, and counts who waits.
struct Slow {
    address: String,
    waiting: Arc<AtomicUsize>,
    released: Arc<AtomicBool>,
}

impl Slow {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/whoami", listener.local_addr().unwrap());
        let (waiting, released) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, go) = (waiting.clone(), released.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map(Result::unwrap) {
                let (count, go) = (count.clone(), go.clone());
                std::thread::spawn(move || answer(stream, &count, &go));
            }
        });
        Self { address, waiting, released }
    }
}

fn answer(mut stream: TcpStream, waiting: &AtomicUsize, released: &AtomicBool) {
    let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
    waiting.fetch_add(1, Ordering::SeqCst);
    while !released.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let sid = head.iter().find_map(|line| line.split_once("sid=")).map_or("nobody", |(_, sid)| sid);
    let body = format!(r#"{{"subject":"{sid}"}}"#);
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
}

/// Two tenants: pages of the one are known by a slow application, the other has a backend.
struct Service {
    _installation: Installation,
    serve: Serve,
    keys: Value,
}

const IN_FLIGHT: usize = 16;
const SECOND: &str = "11111111-1111-4111-8111-111111111111";
const AUDIENCE: &str = "d6b7c858-55fa-4d04-85a6-131af690abd4";

impl Service {
    fn start(application: &str) -> Self {
        let config = format!(
            r#"[server]
listen = "127.0.0.1:0"
metrics = "127.0.0.1:0"
[store]
url = "sqlite:daypass.db"
[seal]
key = {{ file = "seal.key" }}
[limits]
in_flight = {IN_FLIGHT}
[[tenant]]
name = "first"
guid = "387c56a8-cf86-45de-b9f5-b4de88cac054"
account = "100000000001"
[[tenant.role]]
name = "soe"
policy = {{ cam = '{{"version":"2.0","statement":{{"effect":"allow","action":["soe:TransmitOralProcessWithInit"],"resource":"*"}}}}' }}
wildcard_reason = "SOE has no resource-level rights"
[[tenant]]
name = "second"
guid = "{SECOND}"
account = "100000000002"
[[tenant.role]]
name = "orders"
audience = "{AUDIENCE}"
roles = ["orders.read"]
[[endpoint]]
dialect = "tencent.getAuthorization"
path = "/getAuthorization"
tenant = "first"
role = "soe"
origins = ["https://lesson.example.com"]
limits = {{ network = {{ rate = 100000 }} }}
caller = {{ session = {{ cookie = "sid", whoami = "{application}", timeout = "10s" }} }}
"#
        );
        let installation = Installation::new(&config);
        let client = ["app", "--tenant", "second", "--role", "orders", "--kind", "client-secret"];
        let keys = installation.add(&client)["keys"][0].clone();
        let serve = installation.serve();
        Self { _installation: installation, serve, keys }
    }

    /// A page of the first tenant. No two have one session.
    fn page(&self, number: usize) -> Answer {
        let cookie = format!("sid=user-{number}");
        let headers = [("cookie", cookie.as_str()), ("origin", "https://lesson.example.com")];
        send(&self.serve.host, "GET", "/getAuthorization", &headers, b"")
    }

    /// The backend of the second tenant.
    fn backend(&self) -> Answer {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", self.keys["client_id"].as_str().unwrap())
            .append_pair("client_secret", self.keys["client_secret"].as_str().unwrap())
            .append_pair("grant_type", "client_credentials")
            .append_pair("scope", &format!("{AUDIENCE}/.default"))
            .finish();
        let form_type = [("content-type", "application/x-www-form-urlencoded")];
        send(&self.serve.host, "POST", &format!("/{SECOND}/oauth2/v2.0/token"), &form_type, form.as_bytes())
    }

    /// A sample of the metrics.
    fn sample(&self, name: &str) -> usize {
        self.serve.metric(name).unwrap_or_default()
    }
}

/// Ten times as many of one tenant's as may be under way at once: those above are turned away in their protocol's words,
/// another tenant gets everything that it asks for, and whoever watches gets through. When there is room again, all are
/// served.
#[test]
fn a_flood_of_one_tenant_takes_nothing_from_another() {
    let slow = Slow::start();
    let service = Arc::new(Service::start(&slow.address));
    let (flood, begin) = (10 * IN_FLIGHT, Arc::new(Barrier::new(10 * IN_FLIGHT + 1)));
    let pages: Vec<_> = (0..flood)
        .map(|number| {
            let (service, begin) = (service.clone(), begin.clone());
            std::thread::spawn(move || {
                begin.wait();
                service.page(number)
            })
        })
        .collect();
    begin.wait();
    let begun = Instant::now();
    let turned_away = "daypass_requests_total{dialect=\"tencent.getAuthorization\",result=\"overloaded\"}";
    while slow.waiting.load(Ordering::SeqCst) < IN_FLIGHT || service.sample(turned_away) < flood - IN_FLIGHT {
        assert!(begun.elapsed() < PATIENCE, "{} wait", slow.waiting.load(Ordering::SeqCst));
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(slow.waiting.load(Ordering::SeqCst), IN_FLIGHT, "and no more were asked about");
    assert_eq!(service.sample("daypass_in_flight"), IN_FLIGHT);

    let got = (0..25).filter(|_| service.backend().status == 200).count();
    assert_eq!(got, 25, "the other tenant's");
    for probe in ["/livez", "/readyz"] {
        assert_eq!(send(&service.serve.host, "GET", probe, &[], b"").status, 200, "{probe}");
    }
    let refused = service.page(flood);
    assert_eq!((refused.status, &refused.json()["Error"]["Code"]), (503, &json!("ServiceUnavailable")));
    assert!(refused.head.contains("retry-after: "), "{refused:?}");
    assert!(refused.head.contains("access-control-allow-origin: https://lesson.example.com"), "{refused:?}");

    // The application may take ten seconds; on a machine that needs as long for all of this, it has.
    let in_time = begun.elapsed() < Duration::from_secs(8);
    slow.released.store(true, Ordering::SeqCst);
    let answers: Vec<_> = pages.into_iter().map(|page| page.join().unwrap()).collect();
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    if in_time {
        assert_eq!((count(200), count(503)), (IN_FLIGHT, flood - IN_FLIGHT));
    }
    for number in 0..20 {
        assert_eq!(service.page(1000 + number).status, 200, "there is room again");
    }
    assert_eq!(service.sample("daypass_in_flight"), 0);
    assert_eq!(service.sample(turned_away), flood - IN_FLIGHT + 1);
}

/// What a page that is turned away has sent is read, so that its connection is good for the next request.
#[test]
fn a_connection_outlives_being_turned_away() {
    let slow = Slow::start();
    let service = Arc::new(Service::start(&slow.address));
    let waiting: Vec<_> = (0..IN_FLIGHT)
        .map(|number| {
            let service = service.clone();
            std::thread::spawn(move || service.page(number))
        })
        .collect();
    while slow.waiting.load(Ordering::SeqCst) < IN_FLIGHT {
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut stream = TcpStream::connect(&service.serve.host).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let mut ask = |released: &str| {
        let request = format!(
            "GET /getAuthorization HTTP/1.1\r\nhost: h\r\norigin: https://lesson.example.com\r\ncookie: sid={released}\r\n\
             content-length: 5\r\n\r\nhello"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(lines.read_line(&mut head).unwrap() > 0, "closed after {head:?}");
        }
        let length = head
            .to_ascii_lowercase()
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap()];
        lines.read_exact(&mut body).unwrap();
        head.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!([ask("a"), ask("b"), ask("c")], ["503", "503", "503"]);
    // Nobody waits for a body that nobody would look at: it might take ten seconds to come.
    let mut without = TcpStream::connect(&service.serve.host).unwrap();
    without.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
    let head = "GET /getAuthorization HTTP/1.1\r\nhost: h\r\norigin: https://lesson.example.com\r\ncookie: sid=e\r\n\
                content-length: 1000\r\n\r\n";
    without.write_all(head.as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(without).read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 503 "), "{line}");
    slow.released.store(true, Ordering::SeqCst);
    for page in waiting {
        assert_eq!(page.join().unwrap().status, 200);
    }
    assert_eq!(ask("d"), "200");
}
