//! `EnrolmentService`: the one service without an API token; the join token is the proof.

use tonic::{Request, Response, Status};
use waggoner_proto::v1::{EnrolRequest, EnrolResponse, enrolment_service_server::EnrolmentService};
use waggoner_wire::At as _;

use crate::{api::Api, fleet::enrol};

#[tonic::async_trait]
impl EnrolmentService for Api {
    async fn enrol(
        &self,
        request: Request<EnrolRequest>,
    ) -> Result<Response<EnrolResponse>, Status> {
        let EnrolRequest { token, csr_der, agent_name } = request.into_inner();
        let name = match agent_name.as_str() {
            "" => None,
            name => Some(name.parse().at("agent_name")?),
        };
        let enrolled = enrol::enrol(&self.home, &token, &csr_der, name).await?;
        Ok(Response::new(EnrolResponse {
            certificate_chain_pem: enrolled.certificate,
            ca_pem: self.home.ca.certificate().to_pem(),
            agent_name: enrolled.name.into(),
            tenant: enrolled.tenant.into(),
        }))
    }
}
