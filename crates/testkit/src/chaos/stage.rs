//! The site of a chaos run, and what is done to it.

use std::{
    collections::BTreeMap,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use camino::{Utf8Path, Utf8PathBuf};
use nix::sys::signal::Signal;

use crate::{
    Disk, Host, Network, Process, Site, Wag, Weather,
    chaos::{
        diary::Diary,
        schedule::{Agent, Fault, Whom},
    },
    processes_of,
};

/// A manager and two agents, each on a host of its own; the agents' state lies on small disks.
#[derive(Debug)]
pub(super) struct Stage {
    // Declared first: daemons end before their disks and their network go.
    site: Site,
    agents: BTreeMap<Agent, Place>,
    gone: BTreeMap<Whom, Gone>,
    middle: Host,
    _network: Network,
}

/// Where an agent is.
#[derive(Debug)]
struct Place {
    host: Host,
    args: Vec<String>,
    disk: Disk,
    is_full: bool,
}

/// Why a daemon does not run.
#[derive(Clone, Copy, Debug)]
enum Gone {
    Killed,
    /// It ended by itself, and is started again at this time.
    Until(Instant),
}

/// Where the manager and the dialled agent listen.
const PORTS: (u16, u16) = (7600, 7700);

/// The size of an agent's disk, in MiB: some segments of its journal and what it keeps besides.
const DISK: u32 = 192;

/// How soon a daemon is started again that ended by itself, as a service manager would.
const RESTART: Duration = Duration::from_millis(500);

/// How long processes may take to end after the daemons have ended, in the second place when they
/// were asked to.
const LEAVING: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(20));

/// What a daemon's exit says that may be started again (`EX_UNAVAILABLE`).
const UNAVAILABLE: i32 = 69;

// === impl Stage ===

impl Stage {
    /// Starts all of it.
    pub(super) fn open(seed: u64) -> Self {
        let mut network = Network::new();
        let (dialling, manager) = network.host_with_weather(seed);
        let (dialled, _) = network.host_with_weather(seed.wrapping_add(1));
        let middle = network.middle().clone();
        let address = format!("{}:{}", dialled.address(), PORTS.1);
        let listen = format!("0.0.0.0:{}", PORTS.0);
        let settings = ["--heartbeat-secs", "1", "--task-retry-interval-secs", "1"];
        let mut site = Site::start_on(&middle, &listen, &settings);
        let mut agents = BTreeMap::new();
        for (agent, host, role, args) in [
            (Agent::Dialling, dialling, "host", ["--manager", &format!("{manager}:{}", PORTS.0)]),
            (Agent::Dialled, dialled, "central", ["--listen", &format!("0.0.0.0:{}", PORTS.1)]),
        ] {
            let disk = Disk::mount(&site.agent_dir(agent.name()), DISK);
            let token = site.join_token(agent.name(), role);
            let joining = [&args[..], &["--join", token.as_str()]].concat();
            site.start_agent(agent.name(), Some(&host), &joining);
            let args = args.map(str::to_owned).to_vec();
            agents.insert(agent, Place { host, args, disk, is_full: false });
        }
        site.wag().ok(&["agents", "add", Agent::Dialled.name(), "--address", &address]);
        for agent in agents.keys() {
            site.await_link(agent.name());
        }
        Self { site, agents, gone: BTreeMap::new(), middle, _network: network }
    }

    pub(super) fn folder(&self) -> &Utf8Path {
        self.site.folder()
    }

    pub(super) fn wag(&self) -> Wag {
        self.site.wag()
    }

    /// Writes a file below the site's directory and returns its path.
    pub(super) fn file(&self, path: &str, text: &str) -> Utf8PathBuf {
        self.site.file(path, text)
    }

    pub(super) fn begin(&mut self, fault: &Fault) {
        match fault {
            Fault::Kill(whom) => self.kill(*whom),
            Fault::KillBoth(agent) => {
                self.kill(Whom::Manager);
                self.kill(Whom::Agent(*agent));
            }
            Fault::Cut(agent) => self.agents[agent].host.cut(),
            Fault::Weather(agent, weather) => self.agents[agent].host.weather(weather),
            Fault::Fill(agent) => self.place(*agent).is_full = true,
            Fault::Pause(whom) => self.daemon(*whom).pause(),
        }
    }

    pub(super) fn end(&mut self, fault: &Fault) {
        match fault {
            Fault::Kill(whom) => self.start(*whom),
            Fault::KillBoth(agent) => {
                self.start(Whom::Manager);
                self.start(Whom::Agent(*agent));
            }
            Fault::Cut(agent) => self.agents[agent].host.mend(),
            Fault::Weather(agent, _) => self.agents[agent].host.weather(&Weather::CALM),
            Fault::Fill(agent) => {
                let place = self.place(*agent);
                place.is_full = false;
                place.disk.clear();
            }
            Fault::Pause(whom) => self.daemon(*whom).go_on(),
        }
    }

    /// Keeps full disks full, and starts daemons again that ended by themselves.
    pub(super) fn tend(&mut self, diary: &mut Diary) {
        self.agents.values().filter(|place| place.is_full).for_each(|place| place.disk.fill());
        for whom in [Whom::Manager, Whom::Agent(Agent::Dialling), Whom::Agent(Agent::Dialled)] {
            match self.gone.get(&whom) {
                Some(Gone::Until(at)) if *at <= Instant::now() => self.start(whom),
                Some(_) => {}
                None => {
                    if let Some(status) = self.daemon(whom).has_ended() {
                        self.gone.insert(whom, Gone::Until(Instant::now() + RESTART));
                        let line = format!("{whom} ended by itself: {status}");
                        if status.code() == Some(UNAVAILABLE) {
                            diary.note(&line);
                        } else {
                            diary.find(line);
                        }
                    }
                }
            }
        }
    }

    /// Counts the operations that run.
    pub(super) fn running(&self) -> usize {
        let hosts = self.agents.values().map(|place| &place.host);
        let is_operation = |process: &Process| {
            let command = &process.command;
            command.starts_with("/bin/sh /") && command.ends_with("work.sh")
        };
        hosts.flat_map(Host::processes).filter(is_operation).count()
    }

    /// Ends the daemons as asked, then their supervisors; returns the processes that are left, and
    /// ends them too.
    pub(super) fn close(&mut self) -> Vec<Process> {
        for agent in [Agent::Dialling, Agent::Dialled] {
            self.daemon(Whom::Agent(agent)).end();
        }
        self.daemon(Whom::Manager).end();
        let mut left = self.left_after(LEAVING.0, |process| !process.is_supervisor());
        for process in self.processes().iter().filter(|process| process.is_supervisor()) {
            process.signal(Signal::SIGTERM);
        }
        left.extend(self.left_after(LEAVING.1, |_| true));
        left.sort();
        left.dedup();
        for process in &left {
            process.signal(Signal::SIGKILL);
        }
        left
    }

    fn left_after(&self, patience: Duration, counts: impl Fn(&Process) -> bool) -> Vec<Process> {
        let deadline = Instant::now() + patience;
        loop {
            let mut left = self.processes();
            left.retain(&counts);
            if left.is_empty() || Instant::now() >= deadline {
                return left;
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// The processes on the site's hosts, and those that name its directory.
    fn processes(&self) -> Vec<Process> {
        let hosts = self.agents.values().map(|place| &place.host).chain([&self.middle]);
        let mut all: Vec<_> = hosts.flat_map(Host::processes).collect();
        all.extend(processes_of(self.folder()));
        all.sort();
        all.dedup();
        all
    }

    /// Copies all that daemons have written to a directory.
    pub(super) fn keep(&self, directory: &Utf8Path) {
        let mut command = Command::new("cp");
        command.args(["-a", &format!("{}/.", self.folder()), directory.as_str()]);
        // What could not be copied is said by `cp`.
        drop(command.status());
    }

    fn kill(&mut self, whom: Whom) {
        self.daemon(whom).kill();
        self.gone.insert(whom, Gone::Killed);
    }

    fn start(&mut self, whom: Whom) {
        self.gone.remove(&whom);
        match whom {
            Whom::Manager => self.site.revive_manager(),
            Whom::Agent(agent) => {
                let Place { host, args, .. } = &self.agents[&agent];
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                self.site.start_agent(agent.name(), Some(host), &args);
            }
        }
    }

    fn daemon(&mut self, whom: Whom) -> &mut crate::Daemon {
        match whom {
            Whom::Manager => self.site.manager(),
            Whom::Agent(agent) => self.site.agent_daemon(agent.name()),
        }
    }

    fn place(&mut self, agent: Agent) -> &mut Place {
        self.agents.get_mut(&agent).expect("each agent has a place")
    }
}
