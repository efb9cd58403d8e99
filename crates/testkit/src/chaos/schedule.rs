//! When which fault begins and ends, from a seed.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

use crate::{Weather, chaos::random::Random};

/// An agent of the site, by the side from which its connection comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Agent {
    Dialling,
    Dialled,
}

/// A daemon of the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whom {
    Manager,
    Agent(Agent),
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The daemon is killed and started again, its host goes on.
    Kill(Whom),
    /// The manager and an agent are killed at once and started again together.
    KillBoth(Agent),
    /// Nothing comes through the agent's cable.
    Cut(Agent),
    Weather(Agent, Weather),
    /// The file system of the agent's journal is full.
    Fill(Agent),
    /// The daemon is stopped where it is (SIGSTOP).
    Pause(Whom),
}

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    KillManager,
    KillAgent,
    KillBoth,
    Cut,
    Weather,
    Fill,
    Pause,
}

/// A fault with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// After the beginning of the run.
    pub at: Duration,
    pub lasting: Duration,
    pub fault: Fault,
}

/// The text names no kind of fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no fault `{0}`: choose among {names}", names = names())]
pub struct UnknownKind(String);

/// What two faults must not meddle with at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Thing {
    Process(Whom),
    Cable(Agent),
    Disk(Agent),
}

/// How long the faults of a kind last, in milliseconds.
const LASTING: [(Kind, (u64, u64)); 7] = [
    (Kind::KillManager, (0, 1000)),
    (Kind::KillAgent, (0, 1000)),
    (Kind::KillBoth, (0, 1000)),
    (Kind::Cut, (200, 5000)),
    (Kind::Weather, (1000, 5000)),
    (Kind::Fill, (1000, 3000)),
    (Kind::Pause, (100, 2000)),
];

/// How long a killed daemon is left alone after its start: else it would do nothing but start.
const RECOVERY: Duration = Duration::from_millis(1500);

/// By how much a fault is late that finds nothing to meddle with.
const LATER: Duration = Duration::from_millis(50);

const AGENTS: [Agent; 2] = [Agent::Dialling, Agent::Dialled];

/// Returns so many faults of these kinds within about `within`, in the order of their times.
///
/// The same arguments give the same faults. Faults of different things overlap.
///
/// # Panics
///
/// If there are no kinds.
pub fn schedule(seed: u64, faults: u32, within: Duration, kinds: &[Kind]) -> Vec<Planned> {
    assert!(!kinds.is_empty(), "no faults without kinds of faults");
    let mut random = Random::new(seed);
    let mut busy = BTreeMap::new();
    let mut planned = Vec::new();
    let mut at = Duration::ZERO;
    for number in 0..faults {
        // One in each slice of the time, anywhere in it.
        let slice = within / faults;
        at = at.max(slice * number + random.time((0, 1000)) * millis(slice) / 1000);
        let fault = loop {
            if let Some(fault) = draw(&mut random, &busy, at, kinds) {
                break fault;
            }
            at += LATER;
        };
        let lasting = random.time(fault.kind().lasting());
        for thing in fault.things() {
            let recovery = if fault.is_kill() { RECOVERY } else { Duration::ZERO };
            busy.insert(thing, at + lasting + recovery);
        }
        planned.push(Planned { at, lasting, fault });
    }
    planned
}

/// Draws a fault whose things are left alone at this time.
fn draw(
    random: &mut Random,
    busy: &BTreeMap<Thing, Duration>,
    at: Duration,
    kinds: &[Kind],
) -> Option<Fault> {
    let is_free = |thing: &Thing| busy.get(thing).is_none_or(|until| *until <= at);
    let mut candidates: Vec<_> = kinds.iter().flat_map(|kind| kind.faults()).collect();
    candidates.retain(|(_, fault)| fault.things().iter().all(is_free));
    let sum: u64 = candidates.iter().map(|(weight, _)| weight).sum();
    if sum == 0 {
        return None;
    }
    let mut drawn = random.below(sum);
    let (_, fault) = candidates.into_iter().find(|(weight, _)| {
        let is_it = drawn < *weight;
        drawn = drawn.saturating_sub(*weight);
        is_it
    })?;
    Some(match fault {
        Fault::Weather(agent, _) => Fault::Weather(agent, weather(random)),
        fault => fault,
    })
}

fn weather(random: &mut Random) -> Weather {
    Weather {
        delay: random.time((5, 150)),
        jitter: random.time((0, 80)),
        overtaking: random.percent((0, 30)),
        lost: random.percent((0, 10)),
    }
}

fn millis(time: Duration) -> u32 {
    time.as_millis().try_into().unwrap_or(u32::MAX)
}

// === impl Agent ===

impl Agent {
    pub fn name(self) -> &'static str {
        match self {
            Self::Dialling => "dialling",
            Self::Dialled => "dialled",
        }
    }
}

// === impl Whom ===

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Manager => "manager",
            Self::Agent(agent) => agent.name(),
        })
    }
}

// === impl Fault ===

impl Fault {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Kill(Whom::Manager) => Kind::KillManager,
            Self::Kill(Whom::Agent(_)) => Kind::KillAgent,
            Self::KillBoth(_) => Kind::KillBoth,
            Self::Cut(_) => Kind::Cut,
            Self::Weather(..) => Kind::Weather,
            Self::Fill(_) => Kind::Fill,
            Self::Pause(_) => Kind::Pause,
        }
    }

    fn is_kill(&self) -> bool {
        matches!(self, Self::Kill(_) | Self::KillBoth(_))
    }

    fn things(&self) -> Vec<Thing> {
        match *self {
            Self::Kill(whom) | Self::Pause(whom) => vec![Thing::Process(whom)],
            Self::KillBoth(agent) => {
                vec![Thing::Process(Whom::Manager), Thing::Process(Whom::Agent(agent))]
            }
            Self::Cut(agent) | Self::Weather(agent, _) => vec![Thing::Cable(agent)],
            Self::Fill(agent) => vec![Thing::Disk(agent)],
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Self::Kill(Whom::Manager) => write!(f, "{kind}"),
            Self::Kill(whom) | Self::Pause(whom) => write!(f, "{kind} {whom}"),
            Self::KillBoth(agent) | Self::Cut(agent) | Self::Fill(agent) => {
                write!(f, "{kind} {}", agent.name())
            }
            Self::Weather(agent, Weather { delay, jitter, overtaking, lost }) => write!(
                f,
                "{kind} {}: {delay:?} ± {jitter:?}, {overtaking} % overtake, {lost} % lost",
                agent.name()
            ),
        }
    }
}

// === impl Kind ===

impl Kind {
    pub const ALL: [Self; 7] = [
        Self::KillManager,
        Self::KillAgent,
        Self::KillBoth,
        Self::Cut,
        Self::Weather,
        Self::Fill,
        Self::Pause,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::KillManager => "kill-manager",
            Self::KillAgent => "kill-agent",
            Self::KillBoth => "kill-both",
            Self::Cut => "cut",
            Self::Weather => "weather",
            Self::Fill => "fill",
            Self::Pause => "pause",
        }
    }

    fn lasting(self) -> (u64, u64) {
        let row = LASTING.iter().find(|(kind, _)| *kind == self);
        row.expect("each kind has a row").1
    }

    /// The faults of this kind, and how likely each is beside others.
    fn faults(self) -> Vec<(u64, Fault)> {
        let each =
            |weight, fault: fn(Agent) -> Fault| AGENTS.map(|agent| (weight, fault(agent))).to_vec();
        match self {
            Self::KillManager => vec![(4, Fault::Kill(Whom::Manager))],
            Self::KillAgent => each(3, |agent| Fault::Kill(Whom::Agent(agent))),
            Self::KillBoth => each(1, Fault::KillBoth),
            Self::Cut => each(3, Fault::Cut),
            Self::Weather => each(3, |agent| Fault::Weather(agent, Weather::CALM)),
            Self::Fill => each(2, Fault::Fill),
            Self::Pause => {
                let mut faults = each(1, |agent| Fault::Pause(Whom::Agent(agent)));
                faults.push((1, Fault::Pause(Whom::Manager)));
                faults
            }
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let named = Self::ALL.into_iter().find(|kind| kind.name() == text);
        named.ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

fn names() -> String {
    Kind::ALL.map(Kind::name).join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_long_run_has_faults_of_all_kinds_and_some_overlap() {
        let planned = schedule(1, 300, Duration::from_mins(5), &Kind::ALL);
        let kinds: BTreeSet<_> = planned.iter().map(|one| one.fault.kind()).collect();
        assert_eq!(kinds.into_iter().collect::<Vec<_>>(), Kind::ALL);
        let overlapping =
            planned.windows(2).filter(|pair| pair[1].at < pair[0].at + pair[0].lasting).count();
        assert!(overlapping > 50, "{overlapping}");
    }

    #[test]
    fn another_seed_gives_another_schedule() {
        let of = |seed| schedule(seed, 10, Duration::from_secs(10), &Kind::ALL);
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn a_kind_is_read_as_it_is_written() {
        for kind in Kind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        let error = "rain".parse::<Kind>().unwrap_err().to_string();
        assert!(error.contains("`rain`") && error.contains("weather"), "{error}");
    }

    proptest! {
        /// The same seed gives the same faults, in order, as many as asked for, each as long as
        /// its kind may last, and none meddles with what another one has in hand.
        #[test]
        fn a_schedule_can_be_carried_out(
            seed: u64,
            faults in 1..200_u32,
            seconds in 1..200_u64,
            kinds in prop::sample::subsequence(Kind::ALL.to_vec(), 1..=Kind::ALL.len()),
        ) {
            let within = Duration::from_secs(seconds);
            let planned = schedule(seed, faults, within, &kinds);
            prop_assert_eq!(&planned, &schedule(seed, faults, within, &kinds));
            prop_assert_eq!(planned.len(), faults as usize);
            prop_assert!(planned.is_sorted_by_key(|one| one.at));
            for (number, one) in planned.iter().enumerate() {
                prop_assert!(kinds.contains(&one.fault.kind()));
                let (first, last) = one.fault.kind().lasting();
                let lasting = one.lasting.as_millis();
                prop_assert!(u128::from(first) <= lasting && lasting <= u128::from(last));
                for other in &planned[..number] {
                    let is_over = other.at + other.lasting <= one.at;
                    let things = other.fault.things();
                    prop_assert!(
                        is_over || one.fault.things().iter().all(|thing| !things.contains(thing)),
                        "{:?} while {:?}", one, other
                    );
                }
            }
        }
    }
}
