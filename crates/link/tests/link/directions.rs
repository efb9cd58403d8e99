//! Whoever dials, the manager is the client.

use std::future;

use tonic::Code;
use waggoner_identity::{Who, tls};
use waggoner_link::{Accepted, DialError, Dialler, Life, client_over, serve_over};
use waggoner_task::Tasks;

use crate::house::{House, call, listen, routes};

#[tokio::test]
async fn an_agent_that_dials_is_called_by_its_manager() {
    let (house, tasks) = (House::new(), Tasks::default());
    let (address, mut accepted) = house.open(&tasks).await;
    let agent = house.agent("web-1");
    let dialler = Dialler::new(tls::agent_dialling(&agent.credentials(), agent.ca()));
    let io = dialler.dial_for(&address, &Who::Manager).await.unwrap();
    tasks.spawn("agent", async move {
        serve_over(io, routes(), future::pending()).await;
    });

    let Some(Accepted::Agent { io, tenant, name }) = accepted.recv().await else {
        panic!("not an agent")
    };
    assert_eq!((tenant.as_str(), name.as_str()), ("default_tenant", "web-1"));
    let (channel, _life) = client_over(io).await.unwrap();
    call(&channel).await.unwrap();
    call(&channel).await.unwrap();
}

#[tokio::test]
async fn an_agent_that_listens_is_called_by_its_manager() {
    let (house, tasks) = (House::new(), Tasks::default());
    let agent = house.agent("web-1");
    let (address, mut accepted) =
        listen(tls::agent_listening(&agent.credentials(), agent.ca()), &tasks).await;
    tasks.spawn("agent", async move {
        let io = accepted.recv().await.unwrap();
        assert_eq!(io.caller().id.as_ref().unwrap().who, Who::Manager);
        serve_over(io, routes(), future::pending()).await;
    });

    let manager = house.manager();
    let dialler = Dialler::new(tls::manager_dialling(&manager.credentials(), manager.ca()));
    let io = dialler.dial_for(&address, &agent.id().who).await.unwrap();
    let (channel, _life) = client_over(io).await.unwrap();
    call(&channel).await.unwrap();
}

#[tokio::test]
async fn another_agent_than_the_wanted_one_is_no_link() {
    let (house, tasks) = (House::new(), Tasks::default());
    let agent = house.agent("web-1");
    let (address, _accepted) =
        listen(tls::agent_listening(&agent.credentials(), agent.ca()), &tasks).await;

    let manager = house.manager();
    let dialler = Dialler::new(tls::manager_dialling(&manager.credentials(), manager.ca()));
    let wanted = house.agent("web-2").id().who.clone();
    let error = dialler.dial_for(&address, &wanted).await.unwrap_err();
    assert!(matches!(error, DialError::Stranger { .. }));
    assert_eq!(
        error.to_string(),
        format!(
            "`{address}` is agent `web-1` of tenant `default_tenant`, \
             not agent `web-2` of tenant `default_tenant`"
        )
    );
}

#[tokio::test]
async fn a_channel_does_not_outlive_its_connection() {
    let (house, tasks) = (House::new(), Tasks::default());
    let (address, mut accepted) = house.open(&tasks).await;
    let agent = house.agent("web-1");
    let dialler = Dialler::new(tls::agent_dialling(&agent.credentials(), agent.ca()));
    let io = dialler.dial(&address).await.unwrap();
    let serving = Tasks::default();
    serving.spawn("agent", async move {
        serve_over(io, routes(), future::pending()).await;
    });
    let Some(Accepted::Agent { io, .. }) = accepted.recv().await else { panic!("not an agent") };
    let (channel, life): (_, Life) = client_over(io).await.unwrap();
    call(&channel).await.unwrap();
    assert_eq!(life.why(), None);

    drop(serving);
    assert_eq!(life.ended().await, "the peer closed the connection without a word");
    assert_eq!(call(&channel).await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(call(&channel).await.unwrap_err().code(), Code::Unavailable);
}
