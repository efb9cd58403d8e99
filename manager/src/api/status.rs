//! `ManagerService`.

use jiff::Timestamp;
use tonic::{Request, Response, Status};
use waggoner_link::settings;
use waggoner_proto::v1::{
    GetStatusRequest, GetStatusResponse, Limits, manager_service_server::ManagerService,
};
use waggoner_wire::timestamp;

use crate::{
    api::{Api, refused},
    catalog,
    fleet::session::{CAPABILITIES, PROTOCOL},
};

/// The largest page of a list.
const PAGE_SIZE: u32 = 500;

/// How long a request id is remembered: a day.
const REQUEST_ID_SECONDS: u64 = 24 * 60 * 60;

#[tonic::async_trait]
impl ManagerService for Api {
    async fn get_status(
        &self,
        request: Request<GetStatusRequest>,
    ) -> Result<Response<GetStatusResponse>, Status> {
        let caller = self.caller(request.metadata()).await?;
        let open = self.home.store.open_executions().await.map_err(refused)?;
        let running = open.iter().filter(|execution| execution.tenant == caller.tenant).count();
        Ok(Response::new(GetStatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol_min: *PROTOCOL.start(),
            protocol_max: *PROTOCOL.end(),
            capabilities: CAPABILITIES.iter().map(|&capability| capability.to_owned()).collect(),
            now: Some(timestamp(Timestamp::now())),
            started_at: Some(timestamp(self.home.started_at)),
            agents_connected: count(self.home.fleet.links_of(&caller.tenant).len()),
            executions_running: count(running),
            tenant: caller.tenant.into(),
            limits: Some(Limits {
                message_bytes: settings::MAX_MESSAGE as u64,
                plugin_bytes: catalog::plugins::LARGEST,
                blueprint_bytes: catalog::blueprints::LARGEST,
                page_size: PAGE_SIZE,
                request_id_seconds: REQUEST_ID_SECONDS,
            }),
        }))
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
