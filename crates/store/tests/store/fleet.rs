use waggoner_store::{
    Deletion, Error, PageRequest,
    agent::{Agent, Certificate, Greeting},
    installation::{InstallState, Installation, Told},
    join::{Claim, JoinToken, Use},
};
use waggoner_types::{AgentName, AgentRole, Host};

use crate::scene::{Scene, at, digest, plugin, tenant};

fn name(text: &str) -> AgentName {
    text.parse().unwrap()
}

fn certificate(serial: &str, ends: i64) -> Certificate {
    Certificate { serial: serial.to_owned(), expires_at: at(ends), key_hash: digest(7) }
}

fn agent(text: &str, serial: &str) -> Agent {
    Agent {
        tenant: tenant(),
        name: name(text),
        role: AgentRole::Host,
        address: None,
        created_at: at(1),
        last_seen_at: None,
        version: String::new(),
        host: Host::default(),
        certificate: Some(certificate(serial, 1000)),
        drained_at: None,
        running: 0,
    }
}

fn token() -> JoinToken {
    JoinToken {
        hash: digest(1),
        tenant: tenant(),
        agent: None,
        role: AgentRole::Host,
        created_at: at(1),
        expires_at: at(900),
        used: None,
    }
}

/// What enrolment decides: the first key gets a certificate, a repeat the same, others nothing.
fn decide(
    key: u8,
    serial: &'static str,
) -> impl FnOnce(Option<&JoinToken>, Option<&Agent>) -> Claim<Option<String>> + Send + 'static {
    move |token, _| {
        let Some(token) = token else { return Claim::Leave(None) };
        match &token.used {
            Some(used) if used.key_hash == digest(key) => {
                Claim::Leave(Some(used.certificate.clone()))
            }
            Some(_) => Claim::Leave(None),
            None => {
                let used = Use {
                    at: at(5),
                    agent: name("a"),
                    key_hash: digest(key),
                    certificate: serial.to_owned(),
                };
                let agent = Box::new(agent("a", serial));
                Claim::Grant { used, agent, answer: Some(serial.to_owned()) }
            }
        }
    }
}

#[tokio::test]
async fn a_join_token_is_claimed_by_one_key_alone_whoever_comes_at_once() {
    let scene = Scene::new().await;
    let store = &scene.store;
    store.create_join_token(token()).await.unwrap();
    let asked = || Some(name("a"));
    let claim = |key, serial| store.claim_join_token(digest(1), asked(), decide(key, serial));

    let (first, second) = tokio::join!(claim(1, "s1"), claim(2, "s2"));
    let answers = [first.unwrap(), second.unwrap()];
    assert_eq!(answers.iter().flatten().count(), 1, "{answers:?}");

    let (key, winner) = if answers[0].is_some() { (1, "s1") } else { (2, "s2") };
    assert_eq!(claim(key, "again").await.unwrap().as_deref(), Some(winner));
    assert_eq!(claim(9, "other").await.unwrap(), None);
    assert_eq!(store.agent(tenant(), name("a")).await.unwrap(), agent("a", winner));

    let unknown = store.claim_join_token(digest(8), asked(), decide(1, "s1")).await.unwrap();
    assert_eq!(unknown, None);
}

#[tokio::test]
async fn an_agent_that_is_there_is_shown_to_who_decides() {
    let scene = Scene::new().await;
    let store = &scene.store;
    store.create_agent(agent("a", "s1")).await.unwrap();
    store.create_join_token(JoinToken { agent: Some(name("a")), ..token() }).await.unwrap();
    let seen = store.claim_join_token(digest(1), Some(name("b")), |_, present| {
        Claim::Leave(present.map(|agent| agent.name.clone()))
    });
    assert_eq!(seen.await.unwrap(), Some(name("a")));
}

#[tokio::test]
async fn a_removed_agent_is_denied_with_every_certificate_that_may_still_be_good() {
    let scene = Scene::new().await;
    let store = &scene.store;
    store.create_agent(agent("a", "s1")).await.unwrap();
    store.create_agent(agent("b", "other")).await.unwrap();
    store.certify_agent(tenant(), name("a"), certificate("s2", 2000)).await.unwrap();
    let renewed = store.agent(tenant(), name("a")).await.unwrap();
    assert_eq!(renewed.certificate, Some(certificate("s2", 2000)));
    assert!(store.denied_serials(at(1)).await.unwrap().is_empty());

    let removed = store.remove_agent(tenant(), name("a"), at(10)).await.unwrap();
    assert_eq!(removed, renewed);
    let mut denied = store.denied_serials(at(10)).await.unwrap();
    denied.sort();
    assert_eq!(denied, ["s1", "s2"]);
    assert_eq!(store.denied_serials(at(1500)).await.unwrap(), ["s2"]);
    let again = store.remove_agent(tenant(), name("a"), at(11)).await;
    assert!(matches!(again, Err(Error::Missing(_))));

    let scene = scene.reopened().await;
    assert_eq!(scene.store.denied_serials(at(10)).await.unwrap().len(), 2);
}

#[tokio::test]
async fn an_agent_keeps_what_it_said_of_itself() {
    let scene = Scene::new().await;
    let store = &scene.store;
    let dialled = Agent { address: Some("10.0.0.1:7700".to_owned()), ..agent("b", "s2") };
    store.create_agent(agent("a", "s1")).await.unwrap();
    store.create_agent(dialled.clone()).await.unwrap();
    assert!(matches!(store.create_agent(agent("a", "s3")).await, Err(Error::Exists(_))));
    assert_eq!(store.listening_agents().await.unwrap(), [dialled]);

    let host = Host { hostname: "h".to_owned(), system: "linux".to_owned(), ..Host::default() };
    let greeting = Greeting { version: "0.1.0".to_owned(), host: host.clone(), at: at(30) };
    store.greet_agent(tenant(), name("a"), greeting).await.unwrap();
    store.saw_agent(tenant(), name("a"), at(40)).await.unwrap();
    let stored = store.agent(tenant(), name("a")).await.unwrap();
    assert_eq!((stored.host, stored.last_seen_at), (host, Some(at(40))));
    assert_eq!(stored.certificate, Some(certificate("s1", 1000)));
    assert!(store.saw_agent(tenant(), name("c"), at(1)).await.is_err());

    let page = store.agents(tenant(), &PageRequest::new(1, "")).await.unwrap();
    assert_eq!((page.items[0].name.clone(), page.next.is_some()), (name("a"), true));
    assert_eq!(store.agents_of_role(tenant(), AgentRole::Host).await.unwrap().len(), 2);
    assert!(store.agents_of_role(tenant(), AgentRole::Central).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_agent_tells_how_its_plugins_stand() {
    use InstallState::{Error, Installed, PendingInstall, Uninstalled};

    let scene = Scene::new().await;
    let store = &scene.store;
    store.create_agent(agent("a", "s1")).await.unwrap();
    let (one, two) = (
        plugin(1, "1.0"),
        waggoner_store::plugin::Plugin { digest: digest(3), ..plugin(2, "2.0") },
    );
    for plugin in [&one, &two] {
        store.create_plugin(plugin.clone()).await.unwrap();
    }
    let told = |wagon, state| Told { wagon, state, error: String::new() };
    let hear = async |told: Vec<Told>, second| {
        store.hear_installations(tenant(), name("a"), told, at(second)).await.unwrap();
        let known = store.installations(tenant(), vec![one.id, two.id]).await.unwrap();
        known.into_iter().map(|it| (it.plugin, it.state, it.updated_at)).collect::<Vec<_>>()
    };
    // What is no plugin of ours is nobody's business.
    let known = hear(vec![told(one.digest, Installed), told(digest(9), Installed)], 1).await;
    assert_eq!(known, [(one.id, Installed, at(1))]);
    let waiting = Installation {
        plugin: two.id,
        agent: name("a"),
        state: PendingInstall,
        error: String::new(),
        updated_at: at(2),
    };
    store.note_installation(tenant(), waiting.clone()).await.unwrap();
    let nobody = Installation { agent: name("nobody"), ..waiting };
    store.note_installation(tenant(), nobody).await.unwrap();
    assert_eq!(store.pending_installations(tenant(), name("a")).await.unwrap(), [two.id]);
    // The same again changes nothing, what waits goes on waiting.
    let known = hear(vec![told(one.digest, Installed)], 3).await;
    assert_eq!(known, [(one.id, Installed, at(1)), (two.id, PendingInstall, at(2))]);
    // What is not told of any more is gone.
    let known = hear(vec![told(two.digest, Error)], 4).await;
    assert_eq!(known, [(one.id, Uninstalled, at(4)), (two.id, Error, at(4))]);
    store.delete_plugin(tenant(), one.id, Deletion::IfUnused).await.unwrap();
    assert_eq!(hear(Vec::new(), 5).await, [(two.id, Error, at(4))]);
}
