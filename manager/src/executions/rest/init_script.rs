//! `POST /waggoner/init-script`: the script that brings an agent onto a new host.
//!
//! ```text
//!  ctx.agent.init_script()                  the script itself, for a machine's user data
//!  ctx.agent.install_script_download_link() a page that nobody guesses, for an hour
//!
//!  https://MANAGER/install/SECRET.sh ─────▶ the script
//!  https://MANAGER/install/SECRET/waggoner-agent-MACHINE ─▶ the agent's program
//! ```
//!
//! A script is good for one agent of one name in the operation's tenant: its join token is.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use uuid::Uuid;
use waggoner_identity::JoinToken;
use waggoner_store::{instance::NodeInstance, join};
use waggoner_types::{AgentName, AgentRole, Digest};

use crate::{
    executions::{
        answers::Unanswered,
        prepare::named_agent,
        rest::{
            deployments::Seen,
            reply::{Answered, Reply},
            request::Call,
        },
    },
    home::Home,
};

/// How long a script is good: a machine has to be made and started in the meantime.
const LIFE: Duration = Duration::from_hours(1);

const SCRIPT: &str = include_str!("init_script/install.sh");

pub(super) async fn answer(call: &Call<'_>) -> Answered {
    let ("POST", ["init-script"]) = (call.method, call.path) else {
        return call.unknown("waggoner");
    };
    call.require_tenant("bring agents onto hosts")?;
    let instance = call.answers.stored(&call.required("node_instance_id")?).await?;
    let name = name(call, &instance).await?;
    let token = token(call, name.clone()).await?;
    let home = call.home();
    let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let url = format!("https://{}/install/{secret}", home.address);
    let script = SCRIPT
        .replace("@NAME@", name.as_str())
        .replace("@MANAGER@", &home.address)
        .replace("@URL@", &url)
        .replace("@CA@", home.ca.certificate().to_pem().trim_end())
        .replace("@TOKEN@", &token);
    let path = folder(home).join(format!("{secret}.sh"));
    let (text, to) = (script.clone(), path.clone());
    let kept = spawn_blocking(move || keep(&to, &text)).await;
    kept.map_err(std::io::Error::other).flatten().map_err(|error| Unanswered::broken(&error))?;
    if call.flag("link") {
        return Reply::ok(json!({
            "name": name.as_str(), "path": path.as_str(), "url": format!("{url}.sh"),
        }));
    }
    Reply::ok(json!({ "name": name.as_str(), "script": script }))
}

/// The name of the agent: what the operation asks for, else what its host is looked for by.
async fn name(call: &Call<'_>, instance: &NodeInstance) -> Result<AgentName, Unanswered> {
    let asked = call.field("cloudify_agent");
    let asked = asked["name"].as_str().or(asked["service_name"].as_str());
    let name = if let Some(name) = asked.filter(|name| !name.is_empty()) {
        name.to_owned()
    } else {
        let seen = Seen::load(call, instance.deployment_id.as_str()).await?;
        let mut nodes = seen.plan["nodes"].as_array().into_iter().flatten();
        let (own, nothing) = (nodes.find(|node| node["id"] == instance.node_id), Value::Null);
        let properties = own.map_or(&nothing, |node| &node["properties"]);
        named_agent(instance, properties).to_owned()
    };
    let name: AgentName = name.parse().map_err(|why| Unanswered::invalid(&format!("{why}")))?;
    match call.home().store.agent(call.tenant(), name.clone()).await {
        Ok(agent) if agent.role == AgentRole::Central => Err(Unanswered::conflict(format!(
            "agent `{name}` is a central one: give the new one another name"
        ))),
        Ok(_) | Err(waggoner_store::Error::Missing(_)) => Ok(name),
        Err(error) => Err(error.into()),
    }
}

/// Makes the token with which one agent of this name joins, once.
async fn token(call: &Call<'_>, name: AgentName) -> Result<String, Unanswered> {
    let home = call.home();
    let token = JoinToken::mint(home.ca.certificate().pin());
    let now = Timestamp::now();
    let life = SignedDuration::try_from(LIFE).unwrap_or(SignedDuration::ZERO);
    let row = join::JoinToken {
        hash: Digest(*token.hash().as_bytes()),
        tenant: call.tenant(),
        agent: Some(name),
        role: AgentRole::Host,
        created_at: now,
        expires_at: now.saturating_add(life).unwrap_or(Timestamp::MAX),
        used: None,
    };
    home.store.create_join_token(row).await?;
    Ok(token.reveal().expose_secret().to_owned())
}

fn folder(home: &Home) -> Utf8PathBuf {
    home.data_dir.join("install")
}

/// Keeps a script where its page finds it, and lets those go whose time is over. Blocks.
fn keep(path: &Utf8Path, script: &str) -> std::io::Result<()> {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)?;
    for entry in folder.read_dir_utf8()? {
        let entry = entry?;
        if !is_fresh(entry.path()) {
            drop(fs::remove_file(entry.path()));
        }
    }
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(script.as_bytes())
}

fn is_fresh(path: &Utf8Path) -> bool {
    let age = fs::metadata(path).and_then(|found| found.modified()).map(|made| made.elapsed());
    // A clock that went back makes a file younger than none.
    age.is_ok_and(|age| age.is_ok_and(|age| age < LIFE))
}

/// Returns the file that a page of `/install/` shows, as long as its script is good.
pub(crate) fn page(home: &Home, path: &str) -> Option<Utf8PathBuf> {
    let (secret, program) = match path.split_once('/') {
        Some((secret, program)) => (secret, Some(program)),
        None => (path.strip_suffix(".sh")?, None),
    };
    if secret.len() != 64 || !secret.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let script = folder(home).join(format!("{secret}.sh"));
    if !is_fresh(&script) {
        return None;
    }
    let Some(program) = program else { return Some(script) };
    let machine = program.strip_prefix("waggoner-agent-")?;
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if machine.is_empty() || !machine.bytes().all(is_word) {
        return None;
    }
    let given = home.data_dir.join("resources/agents").join(program);
    if given.is_file() {
        return Some(given);
    }
    // The one that was installed beside the manager runs on the same machine.
    let own = std::env::current_exe().ok()?.with_file_name("waggoner-agent");
    let own = Utf8PathBuf::try_from(own).ok()?;
    (machine == std::env::consts::ARCH && own.is_file()).then_some(own)
}
