//! Where the agent joins, and comes back with its certificate.

use std::{future::pending, sync::Arc, time::Duration};

use jiff::Timestamp;
use tonic::{Request, Response, Status, service::Routes};
use waggoner_identity::{Ca, Csr, JoinToken, TokenHash, TrustDomain, Validity, tls};
use waggoner_link::{Accepted, Listener, client_over, serve_over};
use waggoner_proto::v1::{
    EnrolRequest, EnrolResponse,
    enrolment_service_server::{EnrolmentService, EnrolmentServiceServer},
};
use waggoner_types::{AgentName, TenantName};

use super::{Link, Place, TrialError};

/// The name of the agent.
const NAME: &str = "local";

/// How long certificates are good for: longer than any operation that somebody waits for.
const LIFETIME: Duration = Duration::from_hours(30 * 24);

/// A port on loopback that one agent may use.
pub(super) struct Door {
    listener: Listener,
    token: JoinToken,
    enrolment: Enrolment,
}

/// Gives the agent its certificate, for its token.
#[derive(Clone, Debug)]
struct Enrolment {
    ca: Arc<Ca>,
    token: TokenHash,
    tenant: TenantName,
    name: AgentName,
}

// === impl Door ===

impl Door {
    /// Makes a CA that nobody else knows, and takes a port.
    pub(super) async fn open(tenant: &TenantName) -> Result<Self, TrialError> {
        // Its files go at once: nobody believes this CA a second time.
        let scratch = camino_tempfile::tempdir().map_err(TrialError::Listen)?;
        let now = Timestamp::now();
        let ca = Ca::open_or_create(scratch.path(), &TrustDomain::default(), now);
        let ca = ca.map_err(TrialError::Ca)?;
        let identity = ca.issue_manager(&[], &[], Validity::new(now, LIFETIME));
        let credentials = identity.map_err(TrialError::Issue)?.credentials();
        let port = tls::manager_port(&credentials, ca.certificate());
        let listener = Listener::bind("127.0.0.1:0", port).await.map_err(TrialError::Listen)?;
        let token = JoinToken::mint(ca.certificate().pin());
        let enrolment = Enrolment {
            ca: Arc::new(ca),
            token: token.hash(),
            tenant: tenant.clone(),
            name: NAME.parse().expect("the constant is a name"),
        };
        Ok(Self { listener, token, enrolment })
    }

    pub(super) fn place(&self) -> Result<Place, TrialError> {
        let address = self.listener.address().map_err(TrialError::Listen)?;
        Ok(Place { address, token: self.token.reveal() })
    }

    /// Lets the agent join, and takes the link that it opens then. Cancel safe.
    pub(super) async fn link(&mut self) -> Result<Link, TrialError> {
        loop {
            match self.listener.next().await {
                Accepted::Agent { io, .. } => {
                    let (channel, life) = client_over(io).await.map_err(TrialError::Link)?;
                    return Ok(Link::new(channel, life));
                }
                Accepted::Grpc { io } => {
                    let service = EnrolmentServiceServer::new(self.enrolment.clone());
                    // It ends when the agent has what it came for.
                    serve_over(io, Routes::new(service), pending()).await;
                }
                Accepted::Http { .. } => {}
            }
        }
    }
}

// === impl Enrolment ===

#[tonic::async_trait]
impl EnrolmentService for Enrolment {
    async fn enrol(
        &self,
        request: Request<EnrolRequest>,
    ) -> Result<Response<EnrolResponse>, Status> {
        let EnrolRequest { token, csr_der, agent_name: _ } = request.into_inner();
        let is_ours = token.parse().is_ok_and(|token: JoinToken| token.hash() == self.token);
        if !is_ours {
            return Err(Status::permission_denied("the join token is not the one that was given"));
        }
        let invalid = |error: &dyn std::error::Error| Status::invalid_argument(error.to_string());
        let csr = Csr::from_der(&csr_der).map_err(|error| invalid(&error))?;
        let validity = Validity::new(Timestamp::now(), LIFETIME);
        let chain = self.ca.issue_agent(&csr, &self.tenant, &self.name, validity);
        let chain = chain.map_err(|error| invalid(&error))?;
        Ok(Response::new(EnrolResponse {
            certificate_chain_pem: chain.to_pem(),
            ca_pem: self.ca.certificate().to_pem(),
            agent_name: self.name.to_string(),
            tenant: self.tenant.to_string(),
        }))
    }
}
