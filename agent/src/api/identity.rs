//! `waggoner.agent.v1.IdentityService`: how a manager that dialled gives this agent its certificate,
//! and how every manager renews it.

use std::{error::Error, sync::Arc};

use tokio::sync::watch;
use tonic::{Request, Response, Status, async_trait};
use tracing::{error, warn};
use waggoner_proto::agent::v1::{self as pb, identity_service_server::IdentityService};
use waggoner_types::Chain;
use waggoner_wire::{Reason, Refused};

use crate::identity::{InstallError, Keeper};

/// Answers a manager that wants to give this agent a certificate.
#[derive(Clone, Debug)]
pub(crate) struct IdentityApi {
    keeper: Arc<Keeper>,
    /// Counts the certificates that were installed.
    installed: watch::Sender<u64>,
}

// === impl IdentityApi ===

impl IdentityApi {
    pub(crate) fn new(keeper: Arc<Keeper>) -> Self {
        Self { keeper, installed: watch::Sender::new(0) }
    }

    /// Follows the count of certificates that were installed.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.installed.subscribe()
    }
}

#[async_trait]
impl IdentityService for IdentityApi {
    async fn request_certificate(
        &self,
        _: Request<pb::RequestCertificateRequest>,
    ) -> Result<Response<pb::RequestCertificateResponse>, Status> {
        let application = self.keeper.apply().map_err(|error| {
            error!(error = &error as &dyn Error, "a request for a certificate cannot be made");
            Refused::new(Reason::Internal, error.to_string())
        })?;
        Ok(Response::new(pb::RequestCertificateResponse {
            join_token: application.token(),
            agent_name: application.name(),
            csr_der: application.csr_der,
        }))
    }

    async fn install_certificate(
        &self,
        request: Request<pb::InstallCertificateRequest>,
    ) -> Result<Response<pb::InstallCertificateResponse>, Status> {
        let pb::InstallCertificateRequest { certificate_chain_pem, ca_pem } = request.into_inner();
        self.keeper.install(&certificate_chain_pem, &ca_pem).map_err(|error| {
            warn!(error = &error as &dyn Error, "a certificate was refused");
            refuse(&error)
        })?;
        self.installed.send_modify(|count| *count += 1);
        Ok(Response::new(pb::InstallCertificateResponse {}))
    }
}

fn refuse(error: &InstallError) -> Refused {
    let field = match error {
        InstallError::Certificate(_) | InstallError::Identity(_) => "certificate_chain_pem",
        InstallError::OtherCa => "ca_pem",
        InstallError::Key(_) => return Refused::new(Reason::Internal, Chain(error).to_string()),
    };
    Refused::field(field, Chain(error))
}
