//! A manager and its agents.

use std::{collections::BTreeMap, process::Command};

use camino::{Utf8Path, Utf8PathBuf};
use camino_tempfile::Utf8TempDir;
use fs_err as fs;
use serde_json::Value;

use crate::{Daemon, Host, Wag, eventually, program};

/// A manager with its agents in a temporary directory.
#[derive(Debug)]
pub struct Site {
    // Declared first: daemons end before their directory goes.
    agents: BTreeMap<String, Daemon>,
    manager: Daemon,
    address: String,
    host: Option<Host>,
    listen: String,
    manager_args: Vec<String>,
    folder: Utf8TempDir,
}

/// What the manager's directory and files are called.
const MANAGER: &str = "manager";

// === impl Site ===

impl Site {
    /// Starts a manager on loopback.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a manager on loopback with further arguments.
    pub fn start_with(args: &[&str]) -> Self {
        Self::open(None, "127.0.0.1:0", args)
    }

    /// Starts a manager on a host of its own.
    pub fn start_on(host: &Host, listen: &str, args: &[&str]) -> Self {
        Self::open(Some(host.clone()), listen, args)
    }

    fn open(host: Option<Host>, listen: &str, args: &[&str]) -> Self {
        let folder = camino_tempfile::tempdir().expect("there is room for a temporary directory");
        let manager_args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        let (manager, address) = manager(folder.path(), host.as_ref(), listen, &manager_args);
        Self {
            agents: BTreeMap::new(),
            manager,
            address,
            host,
            listen: listen.to_owned(),
            manager_args,
            folder,
        }
    }

    /// Where the manager listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The site's own directory.
    pub fn folder(&self) -> &Utf8Path {
        self.folder.path()
    }

    /// The manager's data directory.
    pub fn data_dir(&self) -> Utf8PathBuf {
        data_dir(self.folder.path())
    }

    /// The command line, with the profile that the manager wrote.
    pub fn wag(&self) -> Wag {
        Wag { profile: self.data_dir().join("profile.json"), host: self.host.clone() }
    }

    /// The manager's process.
    pub fn manager(&mut self) -> &mut Daemon {
        &mut self.manager
    }

    /// Kills the manager as a crash would, and starts it again where it was.
    pub fn crash_manager(&mut self) {
        self.manager.kill();
        let listen = self.address.clone();
        (self.manager, self.address) =
            manager(self.folder.path(), self.host.as_ref(), &listen, &self.manager_args);
    }

    /// Starts the manager again where it was, after it has ended, and does not wait for it.
    pub fn revive_manager(&mut self) {
        let command = manager_command(
            self.folder.path(),
            self.host.as_ref(),
            &self.listen,
            &self.manager_args,
        );
        self.manager = Daemon::start(command, self.folder.path(), MANAGER);
    }

    /// Stops the manager as asked, and starts it again.
    pub fn restart_manager(&mut self) {
        assert!(self.manager.stop().success(), "{}", self.manager.log());
        let listen = if self.host.is_some() { self.listen.clone() } else { self.address.clone() };
        (self.manager, self.address) =
            manager(self.folder.path(), self.host.as_ref(), &listen, &self.manager_args);
    }

    /// Makes a join token and puts it into a file.
    pub fn join_token(&self, name: &str, role: &str) -> Utf8PathBuf {
        let args = ["agents", "token", "create", "--name", name, "--role", role];
        let made = self.wag().json(&args);
        let path = self.folder.path().join(format!("{name}.token"));
        fs::write(&path, made["token"].as_str().expect("a token")).expect("the folder is ours");
        path
    }

    /// Starts an agent that dials, with this role (`host` or `central`), and waits for its link.
    pub fn agent(&mut self, name: &str, role: &str) -> &mut Daemon {
        self.agent_with(name, role, &[], &[])
    }

    /// The same with further arguments and environment variables.
    pub fn agent_with(
        &mut self,
        name: &str,
        role: &str,
        args: &[&str],
        env: &[(&str, &str)],
    ) -> &mut Daemon {
        let token = self.join_token(name, role);
        let address = self.address.clone();
        let usual = ["--manager", &address, "--join", token.as_str()];
        let mut command = self.agent_command(name, None);
        command.args(usual).args(args).envs(env.iter().copied());
        self.keep_agent(name, command);
        self.await_link(name);
        self.agent_daemon(name)
    }

    /// Starts an agent with these arguments, on a host of its own if one is given.
    pub fn start_agent(&mut self, name: &str, host: Option<&Host>, args: &[&str]) -> &mut Daemon {
        let mut command = self.agent_command(name, host);
        command.args(args);
        self.keep_agent(name, command);
        self.agent_daemon(name)
    }

    /// The command of an agent with its state directory, to be run by hand.
    pub fn agent_command(&self, name: &str, host: Option<&Host>) -> Command {
        let agent = program("waggoner-agent");
        let mut command = match host {
            Some(host) => host.command(&agent),
            None => Command::new(agent),
        };
        command.arg("--state-dir").arg(self.agent_dir(name));
        command
    }

    fn keep_agent(&mut self, name: &str, command: Command) {
        // One that runs under this name ends first: the state directory serves one at a time.
        if let Some(before) = self.agents.remove(name) {
            before.leave();
        }
        let daemon = Daemon::start(command, self.folder.path(), &format!("agent-{name}"));
        self.agents.insert(name.to_owned(), daemon);
    }

    /// The state directory of an agent.
    pub fn agent_dir(&self, name: &str) -> Utf8PathBuf {
        self.folder.path().join(format!("agent-{name}"))
    }

    /// An agent's process.
    pub fn agent_daemon(&mut self, name: &str) -> &mut Daemon {
        self.agents.get_mut(name).expect("the agent was started")
    }

    /// Waits until an agent has a link.
    #[track_caller]
    pub fn await_link(&self, name: &str) {
        eventually(&format!("agent `{name}` to have a link"), || {
            // One that joins for the first time is not known yet.
            let said = self.wag().run(&["agents", "get", name, "--output", "json"]);
            let agent: Value = serde_json::from_str(&said.stdout).unwrap_or_default();
            if agent["connected"] == Value::Bool(true) { Ok(()) } else { Err(said) }
        });
    }

    /// Writes a file below the site's directory and returns its path.
    pub fn file(&self, path: &str, text: &str) -> Utf8PathBuf {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().expect("it lies in the folder")).expect("it is ours");
        fs::write(&path, text).expect("the folder is ours");
        path
    }

    /// Uploads a blueprint, creates a deployment of it and runs `install`.
    #[track_caller]
    pub fn install(&self, id: &str, blueprint: &Utf8Path, inputs: &[&str]) {
        let wag = self.wag();
        self.deploy(id, blueprint, inputs);
        wag.ok(&["executions", "start", "install", "--deployment-id", id]);
    }

    /// Uploads a blueprint and creates a deployment of it, both under this id.
    #[track_caller]
    pub fn deploy(&self, id: &str, blueprint: &Utf8Path, inputs: &[&str]) {
        let wag = self.wag();
        wag.ok(&["blueprints", "upload", blueprint.as_str(), "--blueprint-id", id]);
        let mut create = vec!["deployments", "create", id, "--blueprint-id", id];
        for input in inputs {
            create.extend(["-i", input]);
        }
        wag.ok(&create);
    }
}

fn data_dir(folder: &Utf8Path) -> Utf8PathBuf {
    folder.join(MANAGER)
}

fn manager_command(
    folder: &Utf8Path,
    host: Option<&Host>,
    listen: &str,
    args: &[String],
) -> Command {
    let program = program("waggoner-manager");
    let mut command = match host {
        Some(host) => host.command(&program),
        None => Command::new(program),
    };
    command.arg("--data-dir").arg(data_dir(folder)).arg("--listen").arg(listen).args(args);
    command
}

fn manager(
    folder: &Utf8Path,
    host: Option<&Host>,
    listen: &str,
    args: &[String],
) -> (Daemon, String) {
    let mut daemon = Daemon::start(manager_command(folder, host, listen, args), folder, MANAGER);
    let ready: Value =
        serde_json::from_str(&daemon.line("ready ")).expect("readiness is told as JSON");
    let address = ready["address"].as_str().expect("with the address").to_owned();
    (daemon, address)
}
