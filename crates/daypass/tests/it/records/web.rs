//! A second place over HTTPS, which shows what certificates it likes, sends elsewhere and goes away.

use super::{Place, Running, soon};
use daypass_issuers::testing::hostile::{Act, Hostile, Reply};
use std::path::PathBuf;
use tokio::runtime::Runtime;

/// What takes a checkpoint.
fn taken() -> Act {
    Act::Answer(Reply::json("").status(204))
}

/// A server that speaks TLS, and an installation that hands its checkpoints to it and into a file.
struct Witnessed {
    runtime: Runtime,
    web: Hostile,
    place: Place,
}

impl Witnessed {
    fn new(act: Act) -> Self {
        let runtime = Runtime::new().unwrap();
        let web = runtime.block_on(Hostile::tls(act));
        let places = format!("[{{ file = \"copies\" }}, {{ http = \"{}\" }}]", web.url("/witness"));
        let place =
            Place::new("sqlite:daypass.db", &format!("checkpoint_every = \"1s\"\ncheckpoints_to = {places}"));
        Self { runtime, web, place }
    }

    /// The certificate of an authority, in a file.
    fn authority(&self, of: &Hostile) -> PathBuf {
        let file = self.place.file("authority.pem");
        std::fs::write(&file, of.authority().unwrap()).unwrap();
        file
    }

    /// A server that trusts whom this file names, with something to hand out.
    fn serve(&self, trusted: PathBuf) -> Running {
        let running = self.place.serve_with(&[("SSL_CERT_FILE", trusted)]);
        running.grant();
        soon("signed", || self.place.copies() >= 1);
        running
    }

    /// What was posted, each checkpoint once.
    fn posted(&self) -> Vec<String> {
        let mut posted: Vec<_> = self.web.asked().iter().map(|asked| asked.text().to_owned()).collect();
        posted.dedup();
        posted
    }

    fn copies(&self) -> Vec<String> {
        let copies = std::fs::read_to_string(self.place.file("copies")).unwrap();
        copies.lines().map(str::to_owned).collect()
    }
}

#[test]
fn over_tls_it_gets_every_checkpoint_and_after_an_outage_what_it_missed() {
    let witnessed = Witnessed::new(taken());
    let running = witnessed.serve(witnessed.authority(&witnessed.web));
    soon("posted", || !witnessed.posted().is_empty());
    witnessed.runtime.block_on(witnessed.web.leave());
    for _ in 0..2 {
        let copies = witnessed.place.copies();
        running.grant();
        soon("signed", || witnessed.place.copies() > copies);
    }
    let missing =
        format!("daypass_second_place_missing{{place=\"{}\",kind=\"http\"}}", witnessed.web.url("/witness"));
    soon("missed", || running.metric(&missing).is_some_and(|missing| missing >= 1.0));
    witnessed.runtime.block_on(witnessed.web.come_back());
    soon("caught up", || running.metric(&missing) == Some(0.0));
    running.stop();
    assert_eq!(witnessed.posted(), witnessed.copies(), "all of them, in order");
    let asked = witnessed.web.asked();
    assert!(asked.iter().all(|asked| asked.method == "POST" && asked.target == "/witness"), "{asked:?}");
    assert!(asked.iter().all(|asked| asked.header("content-type") == "application/jose"), "{asked:?}");
}

/// None of these has it: neither whoever shows a wrong certificate nor whoever sends elsewhere, and nothing is posted there.
#[test]
fn whoever_is_not_the_place_gets_nothing_and_is_tried_again() {
    let elsewhere = Runtime::new().unwrap();
    let other = elsewhere.block_on(Hostile::plain(taken()));
    let to = |status| Act::Answer(Reply::json("").status(status).header("location", &other.url("/witness")));
    let plain = Act::NoTls(Reply::json("").status(204));
    for (act, posts) in [
        (Act::Stranger, false),
        (Act::OtherName, false),
        (Act::Expired, false),
        (plain, false),
        (to(302), true),
        (to(307), true),
        (Act::Answer(Reply::json("{}").status(500)), true),
    ] {
        let witnessed = Witnessed::new(act.clone());
        let running = witnessed.serve(witnessed.authority(&witnessed.web));
        // The second time it must have been refused once.
        soon("tried again", || witnessed.web.connections() >= 2);
        assert_eq!(!witnessed.posted().is_empty(), posts, "{act:?}");
        witnessed.web.does(taken());
        soon("handed out", || witnessed.posted().len() >= witnessed.place.copies());
        let log = running.stop();
        assert!(log.iter().any(|line| line.contains("a second place does not take checkpoints")), "{log:#?}");
        assert_eq!(witnessed.posted(), witnessed.copies(), "{act:?}: all of them, in order");
    }
    assert_eq!(other.connections(), 0, "nobody was sent elsewhere");
}

/// An authority that is not the place's.
#[test]
fn a_place_that_nobody_trusted_has_signed_gets_nothing() {
    let witnessed = Witnessed::new(taken());
    let stranger = witnessed.runtime.block_on(Hostile::tls(taken()));
    let running = witnessed.serve(witnessed.authority(&stranger));
    soon("tried again", || witnessed.web.connections() >= 2);
    assert!(running.stop().iter().any(|line| line.contains("a second place does not take checkpoints")));
    assert!(witnessed.posted().is_empty());
}
