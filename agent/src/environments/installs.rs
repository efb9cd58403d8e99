//! Which plugins are on this agent, for the manager to hear.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use tokio::sync::watch;
use waggoner_proto::agent::v1 as pb;
use waggoner_python::Environments;
use waggoner_types::Digest;

use crate::start;

/// What is known of the plugins on this agent, by their wagons or the archives of their sources.
#[derive(Debug)]
pub(crate) struct Installs {
    states: Mutex<BTreeMap<Digest, State>>,
    /// Counts the changes.
    changes: watch::Sender<u64>,
}

/// How a plugin stands on this agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Installing,
    Installed,
    /// Why it is not, a sentence.
    Failed(String),
}

/// An installation that somebody waits for. Dropped unsettled, it was given up.
#[derive(Debug)]
pub(crate) struct Told<'a> {
    installs: &'a Installs,
    wagon: Digest,
    before: Option<State>,
    is_settled: bool,
}

// === impl Installs ===

impl Installs {
    /// Begins with the environments that are ready.
    pub(crate) fn of(environments: &Environments) -> Self {
        let ready = environments.list().unwrap_or_default().into_iter();
        let states = ready.map(|installed| (installed.wagon, State::Installed)).collect();
        Self { states: Mutex::new(states), changes: watch::Sender::new(0) }
    }

    /// Notes how a plugin stands.
    pub(crate) fn note(&self, plugin: &start::Environment, state: State) {
        self.set(plugin.artifact, Some(state));
    }

    /// Notes that an installation begins.
    pub(crate) fn begin(&self, plugin: &start::Environment) -> Told<'_> {
        let before = self.states().get(&plugin.artifact).cloned();
        self.note(plugin, State::Installing);
        let before = before.filter(|before| *before != State::Installing);
        Told { installs: self, wagon: plugin.artifact, before, is_settled: false }
    }

    /// Notes that a plugin is not here any more.
    pub(crate) fn forget(&self, wagon: Digest) {
        self.set(wagon, None);
    }

    /// Says whether a plugin is being installed.
    pub(crate) fn is_installing(&self, wagon: Digest) -> bool {
        self.states().get(&wagon) == Some(&State::Installing)
    }

    /// Follows the changes.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What the manager is told.
    pub(crate) fn message(&self) -> pb::Plugins {
        let states = self.states();
        let plugins = states.iter().map(|(wagon, state)| {
            let (state, error) = match state {
                State::Installing => (pb::PluginState::Installing, ""),
                State::Installed => (pb::PluginState::Installed, ""),
                State::Failed(why) => (pb::PluginState::Error, why.as_str()),
            };
            let (wagon_digest, error) = (wagon.to_string(), error.to_owned());
            pb::Plugin { wagon_digest, state: state.into(), error }
        });
        pb::Plugins { plugins: plugins.collect() }
    }

    fn set(&self, wagon: Digest, state: Option<State>) {
        let mut states = self.states();
        if states.get(&wagon) == state.as_ref() {
            return;
        }
        match state {
            Some(state) => states.insert(wagon, state),
            None => states.remove(&wagon),
        };
        drop(states);
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn states(&self) -> MutexGuard<'_, BTreeMap<Digest, State>> {
        self.states.lock().expect("nothing panics while it holds the states")
    }
}

// === impl Told ===

impl Told<'_> {
    /// Notes what came of it.
    pub(crate) fn settle(&mut self, state: State) {
        self.is_settled = true;
        self.installs.set(self.wagon, Some(state));
    }
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if !self.is_settled {
            self.installs.set(self.wagon, self.before.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use waggoner_python::Form;

    use super::*;

    fn plugin() -> start::Environment {
        start::Environment {
            package_name: "web".to_owned(),
            package_version: "1.0".to_owned(),
            artifact: Digest([7; 32]),
            form: Form::Wagon,
            extra_wagons: Vec::new(),
            install_arguments: String::new(),
        }
    }

    fn told(installs: &Installs) -> Vec<(pb::PluginState, String)> {
        let plugins = installs.message().plugins;
        plugins.into_iter().map(|plugin| (plugin.state(), plugin.error)).collect()
    }

    #[test]
    fn an_installation_that_is_given_up_leaves_what_was_before() {
        let installs = Installs::of(&Environments::with_tools("/nowhere", None, Vec::new()));
        let changes = installs.watch();
        drop(installs.begin(&plugin()));
        assert_eq!(told(&installs), []);
        installs.begin(&plugin()).settle(State::Failed("no room".to_owned()));
        assert_eq!(told(&installs), [(pb::PluginState::Error, "no room".to_owned())]);
        let again = installs.begin(&plugin());
        assert!(installs.is_installing(plugin().artifact));
        assert_eq!(told(&installs), [(pb::PluginState::Installing, String::new())]);
        drop(again);
        assert_eq!(told(&installs), [(pb::PluginState::Error, "no room".to_owned())]);
        installs.note(&plugin(), State::Installed);
        let seen = *changes.borrow();
        installs.note(&plugin(), State::Installed);
        assert_eq!(*changes.borrow(), seen, "nothing changed");
        installs.forget(plugin().artifact);
        assert_eq!(told(&installs), []);
    }
}
