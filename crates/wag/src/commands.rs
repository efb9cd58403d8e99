//! What each command does: one module for each noun.

use clap::CommandFactory as _;

use crate::{
    Cli, Error, Ui,
    cli::{Blueprints, Command, Global, Plugins, Shell},
    client::Manager,
    profile::{Profile, Target},
};

pub(crate) mod agents;
mod blueprints;
mod deployments;
pub(crate) mod down;
mod events;
mod executions;
pub(crate) mod node_instances;
mod pack;
pub(crate) mod plugins;
mod secrets;
mod status;
mod tenants;
mod tokens;
mod up;

/// What every command needs.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub global: Global,
    pub ui: &'a mut Ui,
    manager: Option<Manager>,
}

/// Does what was typed.
pub async fn run(cli: Cli, ui: &mut Ui) -> Result<(), Error> {
    let Cli { global, command } = cli;
    let mut context = Context { global, ui, manager: None };
    if let Command::Plugins(Plugins::Test(_)) = command {
        // It takes the orders to stop itself: an agent has to end with it.
        return context.run(command).await;
    }
    tokio::select! {
        biased; // The command first: it may have more to say about being interrupted.
        done = context.run(command) => done,
        _ = tokio::signal::ctrl_c() => Err(Error::Interrupted),
    }
}

// === impl Context ===

impl Context<'_> {
    pub(crate) async fn run(&mut self, command: Command) -> Result<(), Error> {
        let draws = matches!(command, Command::Blueprints(Blueprints::Graph { .. }));
        if self.ui.is_svg() && !draws {
            return Err(Error::NoPicture);
        }
        match command {
            Command::Up(up) => up::run(self, up).await,
            Command::Down(down) => down::run(self, down).await,
            Command::Plugins(command) => plugins::run(self, command).await,
            Command::Blueprints(command) => blueprints::run(self, command).await,
            Command::Deployments(command) => deployments::run(self, command).await,
            Command::Executions(command) => executions::run(self, command).await,
            Command::Events(events) => events::run(self, events).await,
            Command::NodeInstances(command) => node_instances::run(self, command).await,
            Command::Agents(command) => agents::run(self, command).await,
            Command::Tenants(command) => tenants::run(self, command).await,
            Command::Secrets(command) => secrets::run(self, command).await,
            Command::Tokens(command) => tokens::run(self, command).await,
            Command::Status => status::run(self).await,
            Command::Completion { shell } => self.completion(shell),
            Command::Detach { command } => Err(crate::site::detach(&command)),
        }
    }

    /// The manager that is meant.
    pub(crate) async fn manager(&mut self) -> Result<Manager, Error> {
        if let Some(manager) = &self.manager {
            return Ok(manager.clone());
        }
        let profile = Profile::read(&self.target()?.profile())?;
        let manager = Manager::connect(profile, self.global.tenant.clone()).await?;
        self.manager = Some(manager.clone());
        Ok(manager)
    }

    /// Where the manager that is meant is found.
    pub(crate) fn target(&self) -> Result<Target, Error> {
        Ok(Target::choose(&self.global, |name| std::env::var(name).ok())?)
    }

    fn completion(&mut self, shell: Shell) -> Result<(), Error> {
        let shell = match shell {
            Shell::Bash => clap_complete::Shell::Bash,
            Shell::Zsh => clap_complete::Shell::Zsh,
            Shell::Fish => clap_complete::Shell::Fish,
        };
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "wag", &mut script);
        self.ui.bytes(&script)
    }
}

#[cfg(test)]
impl<'a> Context<'a> {
    /// Uses a connection that stands.
    pub(crate) fn over(global: Global, ui: &'a mut Ui, manager: Manager) -> Self {
        Self { global, ui, manager: Some(manager) }
    }
}
