//! The first certificate of an agent that dials.

use tokio::time::{sleep, timeout};
use tonic::{Code, Status};
use tracing::{info, warn};
use waggoner_identity::tls;
use waggoner_link::{DialError, Dialler, LinkError, client_over, settings};
use waggoner_proto::v1::{EnrolRequest, enrolment_service_client::EnrolmentServiceClient};
use waggoner_task::Backoff;
use waggoner_types::Chain;

use crate::identity::{InstallError, Keeper};

/// Why a manager gave no certificate.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    #[error("failed to reach the manager to join it")]
    Dial(#[source] DialError),

    #[error("failed to speak with the manager to join it")]
    Link(#[source] LinkError),

    #[error("failed to make a request for a certificate")]
    Request(#[source] waggoner_identity::KeyError),

    #[error("the manager refused to let this agent join: {}", .0.message())]
    Refused(Box<Status>),

    #[error("the manager did not answer: {0}")]
    Silent(String),

    #[error(transparent)]
    Install(#[from] InstallError),
}

// === impl EnrolError ===

impl EnrolError {
    /// Says whether the same try may work later.
    fn is_passing(&self) -> bool {
        match self {
            Self::Dial(DialError::Connect { .. } | DialError::Timeout { .. })
            | Self::Link(_)
            | Self::Silent(_) => true,
            Self::Dial(DialError::Tls { .. } | DialError::Stranger { .. })
            | Self::Request(_)
            | Self::Refused(_)
            | Self::Install(_) => false,
        }
    }
}

/// Joins the manager at `address`, and tries again for as long as it is only out of reach.
///
/// A try whose answer got lost is repeated with the same key, which gets the same answer.
pub(crate) async fn enrol(keeper: &Keeper, address: &str) -> Result<(), EnrolError> {
    let mut backoff = Backoff::new(settings::REDIAL_BASE, settings::REDIAL_CAP);
    loop {
        match once(keeper, address).await {
            Err(error) if error.is_passing() => {
                warn!(why = %Chain(&error), "not joined yet");
                sleep(backoff.next()).await;
            }
            ended => return ended,
        }
    }
}

async fn once(keeper: &Keeper, address: &str) -> Result<(), EnrolError> {
    info!(address, "joining the manager");
    let dialler = Dialler::new(tls::bootstrap(keeper.ca()));
    let io = dialler.dial(address).await.map_err(EnrolError::Dial)?;
    let (channel, life) = client_over(io).await.map_err(EnrolError::Link)?;
    let _guard = life.close_on_drop("the agent has said what it had to say");
    let application = keeper.apply().map_err(EnrolError::Request)?;
    let request = EnrolRequest {
        token: application.token(),
        agent_name: application.name(),
        csr_der: application.csr_der,
    };
    let mut client = EnrolmentServiceClient::new(channel);
    let answer = timeout(settings::HANDSHAKE_TIMEOUT, client.enrol(request)).await;
    let answer = match answer {
        Ok(Ok(answer)) => answer.into_inner(),
        Ok(Err(status)) if status.code() == Code::Unavailable || status.code() == Code::Unknown => {
            let why = life.why().unwrap_or(status.message());
            return Err(EnrolError::Silent(why.to_owned()));
        }
        Ok(Err(status)) => return Err(EnrolError::Refused(Box::new(status))),
        Err(_) => return Err(EnrolError::Silent("its time is over".to_owned())),
    };
    Ok(keeper.install(&answer.certificate_chain_pem, &answer.ca_pem)?)
}
