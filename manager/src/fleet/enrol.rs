//! Enrolment: a join token and a key for a certificate.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tracing::{error, info, warn};
use waggoner_identity::{
    Csr, JoinToken, KeyHash, Validity,
    enrolment::{self, Decision},
};
use waggoner_store::{
    agent::{Agent, Certificate},
    join::{self, Claim},
};
use waggoner_types::{AgentName, Chain, Digest, Host, TenantName};
use waggoner_wire::{Reason, Refused};

use crate::{api::refused, home::Home};

/// How long an agent's certificate lives. It is renewed over the live link long before.
pub(crate) const CERTIFICATE: Duration = Duration::from_hours(30 * 24);

/// An agent that has joined.
#[derive(Clone, Debug)]
pub(crate) struct Enrolled {
    pub(crate) tenant: TenantName,
    pub(crate) name: AgentName,
    /// The chain, leaf first, PEM.
    pub(crate) certificate: String,
}

/// Judges a join token and issues the certificate it is good for.
pub(crate) async fn enrol(
    home: &Arc<Home>,
    token: &str,
    csr_der: &[u8],
    name: Option<AgentName>,
) -> Result<Enrolled, Refused> {
    let token: JoinToken = token.parse().map_err(|why| Refused::field("token", why))?;
    let csr = Csr::from_der(csr_der).map_err(|why| Refused::field("csr_der", why))?;
    let hash = Digest(*token.hash().as_bytes());
    let asked = name.clone();
    let at_home = Arc::clone(home);
    let claimed = home
        .store
        .claim_join_token(hash, asked, move |row, held| {
            let request = enrolment::Request { key: csr.key_hash(), name };
            decide(&at_home, row, held, &csr, &request, Timestamp::now())
        })
        .await
        .map_err(refused)?;
    match &claimed {
        Ok(Enrolled { tenant, name, .. }) => info!(%tenant, agent = %name, "agent enrolled"),
        Err(refusal) => warn!(why = refusal.message, "refused to enrol an agent"),
    }
    claimed
}

fn decide(
    home: &Home,
    row: Option<&join::JoinToken>,
    held: Option<&Agent>,
    csr: &Csr,
    request: &enrolment::Request,
    now: Timestamp,
) -> Claim<Result<Enrolled, Refused>> {
    match enrolment::decide(row.map(known).as_ref(), request, now) {
        Decision::Refuse(refusal) => {
            if refusal.is_alarm() {
                error!(why = %refusal, "ALARM: a join token was shown a second time, by another key");
            }
            Claim::Leave(Err(Refused::new(reason(&refusal), refusal.to_string())))
        }
        Decision::Repeat { tenant, name, certificate } => {
            Claim::Leave(Ok(Enrolled { tenant, name, certificate }))
        }
        Decision::Issue { tenant, name } => {
            let row = row.expect("only a token that is there is granted");
            let issued = home.ca.issue_agent(csr, &tenant, &name, Validity::new(now, CERTIFICATE));
            let chain = match issued {
                Ok(chain) => chain,
                Err(error) => {
                    let why = format!("failed to issue a certificate: {}", Chain(&error));
                    return Claim::Leave(Err(Refused::new(Reason::Internal, why)));
                }
            };
            let certificate = chain.to_pem();
            let used = join::Use {
                at: now,
                agent: name.clone(),
                key_hash: digest(csr.key_hash()),
                certificate: certificate.clone(),
            };
            let agent = Agent {
                tenant: tenant.clone(),
                name: name.clone(),
                role: row.role,
                address: held.and_then(|held| held.address.clone()),
                created_at: now,
                last_seen_at: None,
                version: String::new(),
                host: Host::default(),
                certificate: Some(Certificate {
                    serial: chain.serial().to_owned(),
                    expires_at: chain.expires(),
                    key_hash: digest(chain.key_hash()),
                }),
                drained_at: held.and_then(|held| held.drained_at),
                running: 0,
            };
            let answer = Ok(Enrolled { tenant, name, certificate });
            Claim::Grant { used, agent: Box::new(agent), answer }
        }
    }
}

fn known(row: &join::JoinToken) -> enrolment::Row {
    enrolment::Row {
        tenant: row.tenant.clone(),
        name: row.agent.clone(),
        expires: row.expires_at,
        used: row.used.as_ref().map(|used| enrolment::Use {
            key: KeyHash::from(used.key_hash.0),
            name: used.agent.clone(),
            certificate: used.certificate.clone(),
        }),
    }
}

fn reason(refusal: &enrolment::Refusal) -> Reason {
    use enrolment::Refusal;
    match refusal {
        Refusal::Unknown => Reason::TokenUnknown,
        Refusal::Expired(_) => Reason::TokenExpired,
        Refusal::UsedByAnotherKey => Reason::TokenUsed,
        Refusal::NameMismatch { .. } | Refusal::NameMissing => Reason::NameMismatch,
    }
}

pub(crate) fn digest(hash: KeyHash) -> Digest {
    Digest(*hash.as_bytes())
}
