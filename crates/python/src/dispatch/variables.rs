//! The environment variables of an operation's process.

use std::collections::BTreeMap;

use camino::Utf8Path;

use crate::{Environment, Runtime};

/// Everything that decides the environment variables of an operation's process.
///
/// The process gets these and nothing of the agent's own.
#[derive(Clone, Debug)]
pub struct Variables<'a> {
    /// Where it runs.
    pub environment: &'a Environment,
    /// Our part of it.
    pub runtime: &'a Runtime,
    /// The directories that are searched for programs after the operation's own: the host's `PATH`.
    pub path: &'a str,
    /// The directory of the native `ctx` command, before all others.
    pub commands: Option<&'a Utf8Path>,
    /// The agent's socket for this attempt.
    pub socket: &'a Utf8Path,
    /// The agent's name.
    pub agent_name: &'a str,
    /// The agent's working directory, in which plugins keep theirs.
    pub work_directory: &'a Utf8Path,
    /// The operation's private directory for temporary files, on a file system that allows
    /// programs.
    pub temporary_directory: &'a Utf8Path,
    /// The home of the user that it runs as.
    pub home: &'a str,
    /// The name of that user.
    pub user: &'a str,
    /// Where Cloudify's REST API is served, for what opens a client of its own.
    pub rest: Option<Rest<'a>>,
    /// The context's `execution_env`, and whatever else the operation is to see. It wins, except
    /// over what leads to the agent.
    pub further: &'a BTreeMap<String, String>,
}

/// Where Cloudify's REST API is served.
#[derive(Clone, Copy, Debug)]
pub struct Rest<'a> {
    /// Its host.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// `http` or `https`.
    pub protocol: &'a str,
    /// The certificates to trust. It has to exist even without TLS: plugins ask for it.
    pub certificate: &'a Utf8Path,
}

// === impl Variables ===

impl Variables<'_> {
    /// Returns the variables.
    pub fn to_map(&self) -> BTreeMap<String, String> {
        let bin = self.environment.prefix.join("bin");
        let path = [self.commands.map(Utf8Path::as_str), Some(bin.as_str()), Some(self.path)];
        let path: Vec<_> = path.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        let mut variables: BTreeMap<String, String> = BTreeMap::new();
        let mut set = |name: &str, value: &str| {
            variables.insert(name.to_owned(), value.to_owned());
        };
        set("HOME", self.home);
        set("USER", self.user);
        set("LOGNAME", self.user);
        set("LANG", "C.UTF-8");
        set("PATH", &path.join(":"));
        set("TMPDIR", self.temporary_directory.as_str());
        set("CFY_EXEC_TEMP", self.temporary_directory.as_str());
        set("PYTHONUNBUFFERED", "1");
        set("PYTHONNOUSERSITE", "1");
        set("PYTHONIOENCODING", "utf-8:backslashreplace");
        set("CLOUDIFY_DISPATCH", "true");
        set("CLOUDIFY_DAEMON_USER", self.user);
        set("AGENT_NAME", self.agent_name);
        set("AGENT_WORK_DIR", self.work_directory.as_str());
        // The stock default is DEBUG, which fills stdout with what HTTP libraries think.
        set("AGENT_LOG_LEVEL", "INFO");
        for (name, value) in self.further {
            set(name, value);
        }
        set("PYTHONPATH", self.runtime.directory().as_str());
        set("WAGGONER_SOCKET", self.socket.as_str());
        if let Some(rest) = &self.rest {
            set("REST_HOST", rest.host);
            set("REST_PORT", &rest.port.to_string());
            set("REST_PROTOCOL", rest.protocol);
            set("MANAGER_FILE_SERVER_SCHEME", rest.protocol);
            set("LOCAL_REST_CERT_FILE", rest.certificate.as_str());
        }
        variables
    }
}
