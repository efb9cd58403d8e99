//! Agents, tenants, secrets and tokens.

use camino::Utf8PathBuf;
use clap::{Subcommand, ValueEnum};
use jiff::SignedDuration;

#[derive(Debug, Subcommand)]
pub enum Agents {
    /// List agents
    List,
    /// Show an agent
    Get {
        /// The agent's name
        agent: String,
    },
    /// Add an agent that listens, so that the manager dials it
    Add {
        /// The agent's name
        agent: String,

        /// Where it listens
        #[arg(long, value_name = "HOST:PORT")]
        address: String,

        /// What it runs
        #[arg(long, value_enum, default_value_t)]
        role: Role,
    },
    /// Let an agent have no new operations: they wait, or go to another central agent
    Drain {
        /// The agent's name
        agent: String,

        /// Wait until nothing runs on it any more
        #[arg(long)]
        wait: bool,

        /// How long to wait at the most: 10m, 1h [default: as long as it takes]
        #[arg(long, value_name = "DURATION", requires = "wait")]
        timeout: Option<SignedDuration>,
    },
    /// Let an agent have operations again
    Undrain {
        /// The agent's name
        agent: String,
    },
    /// Remove an agent: its link is closed and its certificate refused from now on
    Remove {
        /// The agent's name
        agent: String,
    },
    /// Join tokens: how an agent without a certificate gets one
    #[command(subcommand)]
    Token(JoinTokens),
}

#[derive(Debug, Subcommand)]
pub enum JoinTokens {
    /// Make a token with which one agent may join, once. It is shown this once
    Create {
        /// The only name that the token is good for [default: the agent chooses]
        #[arg(long)]
        name: Option<String>,

        /// What the agent will run
        #[arg(long, value_enum, default_value_t)]
        role: Role,

        /// How long the token lives, a day at the most: 10m, 1h
        #[arg(long, value_name = "DURATION", default_value = "15m")]
        ttl: SignedDuration,
    },
}

/// What an agent runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// The operations of its own host
    #[default]
    Host,
    /// Also the tenant's central operations
    Central,
}

#[derive(Debug, Subcommand)]
pub enum Tenants {
    /// List tenants
    List,
    /// Create a tenant
    Create {
        /// Its name
        name: String,
    },
    /// Delete an empty tenant
    Delete {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum Secrets {
    /// List secrets, without their values
    List,
    /// Show a secret with its value
    Get {
        /// The secret's key
        key: String,
    },
    /// Store a secret; the value is read from standard input, without the newline at its end
    Put {
        /// The secret's key
        key: String,

        /// Read the value from this file instead, to the byte
        #[arg(long, value_name = "FILE")]
        file: Option<Utf8PathBuf>,

        /// Change the secret if it is there already
        #[arg(long)]
        update: bool,
    },
    /// Delete a secret
    Delete {
        /// The secret's key
        key: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum Tokens {
    /// List API tokens, without their values
    List,
    /// Make an API token. It is shown this once
    Create {
        /// What it is for
        #[arg(long, default_value = "")]
        description: String,
    },
    /// Delete an API token: it is refused from now on
    Delete {
        /// The token's id
        token: String,
    },
}
