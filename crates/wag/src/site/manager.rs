//! The manager of a data directory: found, or started.

use std::{net::TcpListener, process::Stdio, time::Duration};

use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    time::{Instant, sleep, timeout},
};
use waggoner_proto::v1::GetStatusRequest;

use super::{
    Site, SiteError,
    daemon::{Daemon, Started},
};
use crate::{
    Ui,
    client::{ClientError, Manager, ask_once},
    profile::{Profile, Target},
};

/// How long a manager may take to be ready: it makes its CA on the first start.
const READY: Duration = Duration::from_secs(30);

/// How long a manager that runs may be silent: it may have been started a moment ago.
const SILENT: Duration = Duration::from_secs(10);

/// The line that says that the manager is ready, after the word `ready`.
#[derive(Debug, Deserialize)]
struct Ready {
    address: String,
}

impl Site {
    /// Connects to the manager, starting it if it does not run. `listen` is for one that is
    /// started.
    pub(crate) async fn manager(
        &self,
        ui: &mut Ui,
        listen: Option<std::net::SocketAddr>,
        tenant: Option<String>,
    ) -> Result<Manager, SiteError> {
        let daemon = Daemon::manager(self);
        match self.connect(tenant.clone()).await {
            Ok(manager) => return Ok(manager),
            Err(_) if daemon.process().is_none() => {}
            Err(_) => return self.patiently(tenant).await,
        }
        let listen = listen.map(|address| address.to_string());
        let listen = listen.or_else(|| self.former()).unwrap_or_else(|| "127.0.0.1:0".to_owned());
        let arguments = ["--data-dir", self.dir().as_str(), "--listen", &listen];
        let mut started = daemon.start(&arguments, Stdio::piped())?;
        let address = ready(&daemon, &mut started).await?;
        ui.step("Started", format!("the manager on {address}, data in {}", self.dir()));
        self.connect(tenant).await
    }

    /// Connects to the manager that runs here, if one does.
    pub(crate) async fn connect(&self, tenant: Option<String>) -> Result<Manager, SiteError> {
        let path = Target::DataDir(self.dir().to_owned()).profile();
        let profile = Profile::read(&path).map_err(SiteError::Profile)?;
        let manager = Manager::connect(profile, tenant).await.map_err(SiteError::Client)?;
        // With TLS 1.3 a connection stands before the other side has said a word.
        let call = async |request| manager.status().get_status(request).await;
        ask_once(GetStatusRequest {}, call).await.map_err(SiteError::Client)?;
        Ok(manager)
    }

    async fn patiently(&self, tenant: Option<String>) -> Result<Manager, SiteError> {
        let deadline = Instant::now() + SILENT;
        loop {
            match self.connect(tenant.clone()).await {
                Err(SiteError::Client(source))
                    if matches!(source, ClientError::Dial { .. } | ClientError::Unavailable(_))
                        && Instant::now() < deadline => {}
                Err(SiteError::Profile(_)) if Instant::now() < deadline => {}
                connected => return connected,
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// The address that the manager had before, if it is free: agents look for it there.
    fn former(&self) -> Option<String> {
        let path = Target::DataDir(self.dir().to_owned()).profile();
        let address = Profile::read(&path).ok()?.address;
        TcpListener::bind(&address).ok().map(|_| address)
    }
}

async fn ready(daemon: &Daemon, started: &mut Started) -> Result<String, SiteError> {
    let stdout = started.child.stdout.take().expect("it is a pipe");
    let mut lines = BufReader::new(stdout).lines();
    let waiting = async {
        while let Ok(Some(line)) = lines.next_line().await {
            let ready = line.strip_prefix("ready ").map(serde_json::from_str::<Ready>);
            if let Some(Ok(ready)) = ready {
                return Some(ready.address);
            }
        }
        None
    };
    match timeout(READY, waiting).await {
        Ok(Some(address)) => Ok(address),
        Ok(None) => Err(daemon.ended(started)),
        Err(_) => Err(daemon.late(started, READY)),
    }
}
