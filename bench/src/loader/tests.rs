use super::*;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

const GOOD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

/// A server that gives the n-th request (from 0, over all connections) the answer of `answer`; none closes.
fn serve(answer: impl Fn(u64) -> Option<String> + Send + Sync + 'static) -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (count, answer) = (Arc::new(AtomicU64::new(0)), Arc::new(answer));
    let counted = count.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, count, answer) = (stream.unwrap(), count.clone(), answer.clone());
            stream.set_nodelay(true).unwrap();
            thread::spawn(move || {
                let (mut seen, mut buffer) = (Vec::new(), [0; 1024]);
                while let Ok(read @ 1..) = stream.read(&mut buffer) {
                    seen.extend_from_slice(&buffer[..read]);
                    if !seen.ends_with(b"\r\n\r\n") {
                        continue;
                    }
                    seen.clear();
                    match answer(count.fetch_add(1, Ordering::SeqCst)) {
                        // In two pieces, so that answers arrive in parts now and then.
                        Some(answer) => {
                            let (head, rest) = answer.split_at(answer.len().min(20));
                            stream.write_all(head.as_bytes()).unwrap();
                            stream.write_all(rest.as_bytes()).unwrap();
                        }
                        None => return,
                    }
                }
            });
        }
    });
    (address, counted)
}

fn shape() -> Shape {
    Shape::of(&[b"hello".to_vec()]).unwrap()
}

fn requests(count: usize) -> Requests {
    Requests::once((0..count).map(|n| format!("GET /{n} HTTP/1.1\r\nhost: h\r\n\r\n").into_bytes()))
}

fn closed(address: SocketAddr, requests: &mut Requests, connections: usize) -> anyhow::Result<Closed> {
    let meter = || Ok(Cpu::default());
    Loader::connect(address, connections)?.closed(
        &meter,
        requests,
        &shape(),
        connections,
        Duration::from_mins(1),
    )
}

#[test]
fn a_closed_loop_sends_every_request_once_and_counts_all_answers_after_the_first() {
    let (address, count) = serve(|_| Some(GOOD.to_owned()));
    let slice = closed(address, &mut requests(200), 4).unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 200);
    assert_eq!(slice.faults, Faults::default());
    // The first answers, one a connection, start the clock; the last ones may come after it has stopped.
    assert!((190..=196).contains(&slice.answers), "{}", slice.answers);
    assert_eq!(slice.latency.len(), slice.answers);
}

#[test]
fn a_prompt_loader_counts_the_same() {
    let (address, _) = serve(|_| Some(GOOD.to_owned()));
    let meter = || Ok(Cpu::default());
    let mut loader = Loader::connect(address, 2).unwrap().prompt();
    let slice = loader.closed(&meter, &mut requests(50), &shape(), 2, Duration::from_mins(1)).unwrap();
    assert_eq!(slice.faults, Faults::default());
    assert!((46..=48).contains(&slice.answers), "{}", slice.answers);
    loader.replace(0).unwrap();
    assert!(loader.prompt, "and so is what takes a broken connection's place");
}

#[test]
fn a_wrong_answer_is_a_fault() {
    for wrong in [
        "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\njello",
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhell",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello more",
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\n\r\n",
        "what?\r\n\r\n",
    ] {
        let (address, _) = serve(move |n| Some(if n == 50 { wrong } else { GOOD }.to_owned()));
        let slice = closed(address, &mut requests(100), 2).unwrap();
        assert_eq!(slice.faults.count, 1, "{wrong}: {:?}", slice.faults);
        assert!(slice.faults.first.is_some());
        assert!(slice.answers >= 90, "one bad answer does not end the slice: {}", slice.answers);
    }
}

#[test]
fn a_closed_connection_is_a_fault_and_is_replaced() {
    let (address, count) = serve(|n| (n != 50).then(|| GOOD.to_owned()));
    let slice = closed(address, &mut requests(100), 2).unwrap();
    assert_eq!(slice.faults.count, 1, "{:?}", slice.faults);
    assert_eq!(count.load(Ordering::SeqCst), 100);
}

#[test]
fn a_server_that_answers_nothing_right_gives_no_measurement() {
    let (address, _) = serve(|_| Some(GOOD.replace("200", "404")));
    let error = closed(address, &mut requests(20), 2).err().unwrap().to_string();
    assert!(error.contains("not the answer that was checked: status 404"), "{error}");
}

#[test]
fn an_open_loop_sends_the_whole_schedule() {
    let (address, count) = serve(|_| Some(GOOD.to_owned()));
    let mut loader = Loader::connect(address, 3).unwrap();
    let schedule = Schedule::new(2_000, Duration::from_millis(100));
    let slice = loader.open_loop(&mut requests(200), &shape(), schedule).unwrap();
    assert_eq!((slice.latency.len(), slice.faults), (200, Faults::default()));
    assert_eq!(count.load(Ordering::SeqCst), 200);
}

#[test]
fn an_open_loop_with_too_few_requests_says_so() {
    let (address, _) = serve(|_| Some(GOOD.to_owned()));
    let mut loader = Loader::connect(address, 2).unwrap();
    let schedule = Schedule::new(1_000, Duration::from_millis(10));
    let slice = loader.open_loop(&mut requests(9), &shape(), schedule).unwrap();
    assert_eq!((slice.latency.len(), slice.faults.count), (9, 1));
}

#[test]
fn a_stall_is_seen_by_every_request_that_was_due_in_it() {
    // One connection, and a server that rests once: all later requests wait for it, and their latency says so.
    let (address, _) = serve(|n| {
        if n == 0 {
            thread::sleep(Duration::from_millis(60));
        }
        Some(GOOD.to_owned())
    });
    let mut loader = Loader::connect(address, 1).unwrap();
    let schedule = Schedule::new(1_000, Duration::from_millis(30));
    let slice = loader.open_loop(&mut requests(30), &shape(), schedule).unwrap();
    assert_eq!((slice.latency.len(), slice.faults), (30, Faults::default()));
    // The last was due 29 ms after the start, so it waited for the rest of the 60. A bound from below: no test
    // here depends on how fast the machine is.
    assert!(slice.latency.min() >= 30_000_000, "{}", slice.latency.min());
}

#[test]
fn idle_connections_that_were_closed_are_opened_again_before_a_slice() {
    let (address, _) = serve(|n| (n != 3).then(|| GOOD.to_owned()));
    let mut loader = Loader::connect(address, 2).unwrap();
    let meter = || Ok(Cpu::default());
    let first = loader.closed(&meter, &mut requests(4), &shape(), 2, Duration::from_mins(1)).unwrap();
    assert_eq!(first.faults.count, 1);
    for connection in &loader.connections {
        connection.stream.shutdown(std::net::Shutdown::Both).unwrap();
    }
    let second = loader.closed(&meter, &mut requests(40), &shape(), 2, Duration::from_mins(1)).unwrap();
    assert_eq!(second.faults, Faults::default());
}

#[test]
fn faults_add_up_and_keep_the_first() {
    let mut faults = Faults::default();
    faults.merge(&Faults { count: 2, first: Some("a".into()) });
    faults.merge(&Faults { count: 1, first: Some("b".into()) });
    assert_eq!(faults, Faults { count: 3, first: Some("a".into()) });
}
