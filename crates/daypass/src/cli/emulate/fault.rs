//! Faults that are injected on purpose: which, how often, and which question gets one.

use super::sight::Cloud;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

/// What goes wrong. Each is told in the words of the cloud that is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Harm {
    /// Too many requests: the cloud's own code for it.
    Busy,
    /// The cloud is broken: the cloud's own code for it.
    Down,
    /// No answer at all.
    Hang,
    /// The connection is reset.
    Reset,
    /// The right answer, a byte at a time.
    Slow,
    /// Status and type are right, and the document is none.
    Garbage,
    /// A page, as a captive portal or a broken gateway gives it.
    Html,
    /// A redirect to another host.
    Redirect,
    /// A few kilobytes that unpack to 64 MiB.
    Gzip,
    /// 64 MiB, of which no length was announced.
    Huge,
    /// A credential that has run out.
    Expired,
    /// A credential that lives for ten seconds.
    Short,
    /// A credential, or an identity, of another account.
    WrongAccount,
}

const NAMES: [(&str, Harm); 13] = [
    ("429", Harm::Busy),
    ("500", Harm::Down),
    ("hang", Harm::Hang),
    ("reset", Harm::Reset),
    ("slow", Harm::Slow),
    ("garbage", Harm::Garbage),
    ("html", Harm::Html),
    ("redirect", Harm::Redirect),
    ("gzip", Harm::Gzip),
    ("huge", Harm::Huge),
    ("expired", Harm::Expired),
    ("short", Harm::Short),
    ("wrong-account", Harm::WrongAccount),
];

impl Harm {
    /// Its name on the command line.
    pub(super) fn name(self) -> &'static str {
        NAMES.iter().find(|(_, harm)| *harm == self).map_or("", |(name, _)| name)
    }
}

/// One fault that is injected: `tencent:429:0.3`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fault {
    cloud: Cloud,
    harm: Harm,
    /// How likely a question gets it, 0 to 1.
    chance: f64,
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let (cloud, harm, chance) = (parts.next(), parts.next(), parts.next());
        let (Some(cloud), Some(harm), None) = (cloud, harm, parts.next()) else {
            return Err("write CLOUD:FAULT or CLOUD:FAULT:CHANCE, such as tencent:429:0.3".to_owned());
        };
        let found = Cloud::ALL.into_iter().find(|known| known.name() == cloud).ok_or_else(|| {
            format!("there is no cloud `{cloud}`; there is {}", Cloud::ALL.map(Cloud::name).join(", "))
        })?;
        let (_, harm) = NAMES.iter().find(|(name, _)| *name == harm).ok_or_else(|| {
            format!("there is no fault `{harm}`; there is {}", NAMES.map(|(name, _)| name).join(", "))
        })?;
        let chance = match chance {
            None => 1.0,
            Some(text) => text
                .parse()
                .ok()
                .filter(|chance| (0.0..=1.0).contains(chance))
                .ok_or_else(|| format!("`{text}` is no chance; write 0 to 1"))?,
        };
        Ok(Self { cloud: found, harm: *harm, chance })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.cloud.name(), self.harm.name(), self.chance)
    }
}

/// The faults that are injected now. Which question gets one follows from the seed and from how many questions that cloud
/// was asked before, so that a run can be repeated.
pub(super) struct Faults {
    seed: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    all: Vec<Fault>,
    asked: HashMap<Cloud, u64>,
}

impl Faults {
    /// These faults, drawn by this seed.
    pub(super) fn new(all: Vec<Fault>, seed: u64) -> Self {
        Self { seed, state: Mutex::new(State { all, asked: HashMap::new() }) }
    }

    /// Injects these from now on, and no others.
    pub(super) fn replace(&self, all: Vec<Fault>) {
        self.state.lock().all = all;
    }

    /// Those that are injected now, as they are written.
    pub(super) fn shown(&self) -> Vec<String> {
        self.state.lock().all.iter().map(ToString::to_string).collect()
    }

    /// What the next question of this cloud gets. The chances of one cloud's faults add up.
    pub(super) fn draw(&self, cloud: Cloud) -> Option<Harm> {
        let mut state = self.state.lock();
        let asked = state.asked.entry(cloud).or_default();
        *asked += 1;
        let drawn = fraction(self.seed ^ cloud.salt(), *asked);
        let mut reach = 0.0;
        state.all.iter().filter(|fault| fault.cloud == cloud).find_map(|fault| {
            reach += fault.chance;
            (drawn < reach).then_some(fault.harm)
        })
    }
}

/// The nth number of a series between 0 and 1 (`SplitMix64`).
fn fraction(seed: u64, n: u64) -> f64 {
    let mut z = seed.wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    // 32 bits are finer than any chance that is written, and fit into a float without loss.
    f64::from(u32::try_from(z >> 32).unwrap_or_default()) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_read_as_it_is_written() {
        let fault: Fault = "tencent:429:0.3".parse().unwrap();
        assert_eq!(fault, Fault { cloud: Cloud::Tencent, harm: Harm::Busy, chance: 0.3 });
        assert_eq!("alibaba:500".parse::<Fault>().unwrap().to_string(), "alibaba:500:1");
        for (_, harm) in NAMES {
            let text = format!("entra:{}:0.5", harm.name());
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
        }
        for (bad, said) in [
            ("tencent", "write CLOUD:FAULT"),
            ("tencent:429:0.3:x", "write CLOUD:FAULT"),
            ("aws:429", "there is no cloud `aws`; there is tencent, alibaba, top, entra, oauth"),
            ("tencent:418", "there is no fault `418`; there is 429, 500, hang"),
            ("tencent:429:1.1", "no chance"),
            ("tencent:429:NaN", "no chance"),
            ("tencent:429:-0.1", "no chance"),
        ] {
            let error = bad.parse::<Fault>().unwrap_err();
            assert!(error.contains(said), "{bad}: {error}");
        }
    }

    #[test]
    fn chances_are_kept_and_a_seed_repeats_them() {
        let drawn = |seed| {
            let faults: Vec<Fault> =
                ["tencent:429:0.3", "tencent:500:0.2"].map(|f| f.parse().unwrap()).into();
            let faults = Faults::new(faults, seed);
            (0..10_000).map(|_| faults.draw(Cloud::Tencent)).collect::<Vec<_>>()
        };
        let first = drawn(7);
        let count = |harm| first.iter().filter(|drawn| **drawn == harm).count();
        assert!((2_850..3_150).contains(&count(Some(Harm::Busy))), "{}", count(Some(Harm::Busy)));
        assert!((1_850..2_150).contains(&count(Some(Harm::Down))), "{}", count(Some(Harm::Down)));
        assert_eq!(first, drawn(7));
        assert_ne!(first, drawn(8));
    }

    #[test]
    fn a_fault_is_of_one_cloud_and_ends_when_it_is_lifted() {
        let faults = Faults::new(vec!["alibaba:hang".parse().unwrap()], 0);
        assert_eq!(faults.draw(Cloud::Alibaba), Some(Harm::Hang));
        assert_eq!(faults.draw(Cloud::Tencent), None);
        faults.replace(Vec::new());
        assert_eq!((faults.draw(Cloud::Alibaba), faults.shown().len()), (None, 0));
        let never = Faults::new(vec!["alibaba:hang:0".parse().unwrap()], 0);
        assert!((0..1_000).all(|_| never.draw(Cloud::Alibaba).is_none()));
    }
}
