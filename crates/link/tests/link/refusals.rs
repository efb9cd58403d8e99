//! Who is not let in, and what both ends say about it.

use std::{future, sync::Arc};

use jiff::Timestamp;
use rustls::ClientConfig;
use waggoner_identity::{CaCertificate, Identity, tls};
use waggoner_link::{DialError, Dialler, client_over, serve_over};
use waggoner_task::Tasks;

use crate::house::{DAY, House, Log, call, listen, routes};

/// What the one who dialled and the one who was dialled say.
#[derive(Debug, PartialEq, Eq)]
struct Words {
    dialling: String,
    dialled: String,
}

/// Dials a manager as an agent does.
async fn to_manager(house: &House, tls: Arc<ClientConfig>) -> Words {
    let (log, tasks) = (Log::default(), Tasks::default());
    let _guard = log.keep();
    let (address, _accepted) = house.open(&tasks).await;
    let dialling = match Dialler::new(tls).dial(&address).await {
        Ok(io) => serve_over(io, routes(), future::pending()).await,
        Err(error) => unconnected(error),
    };
    Words { dialling, dialled: log.refusal().await }
}

/// Dials an agent as a manager does.
async fn to_agent(agent: &Identity, tls: Arc<ClientConfig>) -> Words {
    let (log, tasks) = (Log::default(), Tasks::default());
    let _guard = log.keep();
    let (address, _accepted) =
        listen(tls::agent_listening(&agent.credentials(), agent.ca()), &tasks).await;
    let dialling = match Dialler::new(tls).dial(&address).await {
        Ok(io) => {
            let (channel, life) = client_over(io).await.unwrap();
            call(&channel).await.unwrap_err();
            life.ended().await.to_owned()
        }
        Err(error) => unconnected(error),
    };
    Words { dialling, dialled: log.refusal().await }
}

fn unconnected(error: DialError) -> String {
    match error {
        DialError::Tls { why, .. } => format!("not connected: {why}"),
        other => panic!("{other}"),
    }
}

fn as_agent(identity: &Identity, trust: &CaCertificate) -> Arc<ClientConfig> {
    tls::agent_dialling(&identity.credentials(), trust)
}

fn as_manager(identity: &Identity, trust: &CaCertificate) -> Arc<ClientConfig> {
    tls::manager_dialling(&identity.credentials(), trust)
}

fn words(dialling: &str, dialled: &str) -> Words {
    Words { dialling: dialling.to_owned(), dialled: dialled.to_owned() }
}

#[tokio::test]
async fn an_agent_of_another_ca_is_refused() {
    let (ours, theirs) = (House::new(), House::new());
    // It believes our manager, so that the manager has to be the one who refuses.
    let tls = as_agent(&theirs.agent("web-1"), ours.trust());
    assert_eq!(
        to_manager(&ours, tls).await,
        words(
            "the peer refused us: our certificate was issued by another CA than the peer's",
            "the peer's certificate was issued by another CA"
        )
    );
}

#[tokio::test]
async fn a_manager_of_another_ca_is_refused_by_an_agent_that_dials() {
    let (ours, theirs) = (House::new(), House::new());
    let agent = ours.agent("web-1");
    assert_eq!(
        to_manager(&theirs, as_agent(&agent, agent.ca())).await,
        words(
            "not connected: the peer's certificate was issued by another CA",
            "the peer refused us: our certificate was issued by another CA than the peer's"
        )
    );
}

#[tokio::test]
async fn a_manager_of_another_ca_is_refused_by_an_agent_that_listens() {
    let (ours, theirs) = (House::new(), House::new());
    let tls = as_manager(&theirs.manager(), ours.trust());
    assert_eq!(
        to_agent(&ours.agent("web-1"), tls).await,
        words(
            "the peer refused us: our certificate was issued by another CA than the peer's",
            "the peer's certificate was issued by another CA"
        )
    );
}

#[tokio::test]
async fn an_agent_of_another_ca_is_refused_by_a_manager_that_dials() {
    let (ours, theirs) = (House::new(), House::new());
    let manager = ours.manager();
    assert_eq!(
        to_agent(&theirs.agent("web-1"), as_manager(&manager, manager.ca())).await,
        words(
            "not connected: the peer's certificate was issued by another CA",
            "the peer refused us: our certificate was issued by another CA than the peer's"
        )
    );
}

#[tokio::test]
async fn an_expired_certificate_is_refused_with_its_end() {
    let house = House::new();
    let then = Timestamp::now() - 3 * DAY;
    let agent = house.agent_since("web-1", then);
    let end = (then + DAY).strftime("%F %T UTC");
    assert_eq!(
        to_manager(&house, as_agent(&agent, agent.ca())).await,
        words(
            "the peer refused us: our certificate has expired",
            &format!("the peer's certificate expired on {end}")
        )
    );
}

#[tokio::test]
async fn an_agent_without_a_certificate_is_refused() {
    let house = House::new();
    let mut tls = ClientConfig::clone(&tls::people(house.trust()));
    tls.alpn_protocols = vec![tls::ALPN_AGENT.to_vec()];
    assert_eq!(
        to_manager(&house, Arc::new(tls)).await,
        words(
            "the peer refused us: we presented no certificate",
            "the peer presented no certificate"
        )
    );
}

#[tokio::test]
async fn an_agent_cannot_give_orders_to_another() {
    let house = House::new();
    let intruder = house.agent("intruder");
    // Were it to dial as the manager does, the agent's own certificate would pass.
    assert_eq!(
        to_agent(&house.agent("web-1"), as_manager(&intruder, intruder.ca())).await,
        words(
            "the peer refused us: our certificate is not the one expected there",
            "the peer's certificate is not the right one: it names agent `intruder` of tenant \
             `default_tenant`, where the manager was expected"
        )
    );
}

#[tokio::test]
async fn an_agent_cannot_pose_as_the_manager() {
    let house = House::new();
    let (victim, intruder) = (house.agent("web-1"), house.agent("intruder"));
    let mut tls = ClientConfig::clone(&as_agent(&victim, victim.ca()));
    tls.alpn_protocols = vec![tls::ALPN_AGENT.to_vec()];
    assert_eq!(
        to_agent(&intruder, Arc::new(tls)).await,
        words(
            "not connected: the peer's certificate is not the right one: it names agent `intruder` \
             of tenant `default_tenant`, where the manager was expected",
            "the peer refused us: our certificate is not the one expected there"
        )
    );
}

#[tokio::test]
async fn people_do_not_believe_another_ca() {
    let (ours, theirs) = (House::new(), House::new());
    assert_eq!(
        to_manager(&theirs, tls::people(ours.trust())).await,
        words(
            "not connected: the peer's certificate was issued by another CA",
            "the peer refused us: our certificate was issued by another CA than the peer's"
        )
    );
}
