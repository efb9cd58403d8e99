//! Tokens and certificates that are no good.

use std::{sync::Arc, time::Duration};

use camino::Utf8Path;
use fs_err as fs;
use jiff::Timestamp;
use rustls::ClientConfig;
use secrecy::ExposeSecret as _;
use tokio::io::AsyncReadExt as _;
use waggoner_identity::{
    ApiToken, Ca, CaCertificate, Chain, Credentials, Csr, Identity, JoinToken, Key, TrustDomain,
    Validity, refusal, tls,
};
use waggoner_link::Dialler;
use waggoner_testkit::{Daemon, Site, eventually};

use crate::fixtures::assert_clear;

/// What an agent ends with when starting it again changes nothing.
const CONFIG: i32 = 78;
/// What it ends with when its peer is at fault.
const UNAVAILABLE: i32 = 69;

const HOUR: Duration = Duration::from_hours(1);

fn ca_certificate(site: &Site) -> CaCertificate {
    let pem = fs::read_to_string(site.data_dir().join("ca/ca.crt")).unwrap();
    CaCertificate::from_pem(&pem).unwrap()
}

fn token_file(site: &Site, token: &str) -> String {
    site.file("given.token", token).into_string()
}

/// A token that was made with these arguments.
fn made(site: &Site, args: &[&str]) -> serde_json::Value {
    site.wag().json(&[&["agents", "token", "create"], args].concat())
}

/// Starts an agent with a token, which has to end with this code; returns its last words.
fn ends(site: &mut Site, name: &str, token: &str, code: i32) -> String {
    let address = site.address().to_owned();
    let token = token_file(site, token);
    let args = ["--manager", &address, "--join", &token, "--name", name];
    last_words(site.start_agent(name, None, &args), code)
}

fn last_words(agent: &mut Daemon, code: i32) -> String {
    let status = agent.ended();
    assert_eq!(status.code(), Some(code), "{}", agent.log());
    let log = agent.log();
    let words = log.lines().rev().find(|line| line.starts_with("error: "));
    words.unwrap_or_else(|| panic!("it ended without a word: {log}")).to_owned()
}

fn agents(site: &Site) -> Vec<String> {
    let agents = site.wag().items(&["agents", "list"]);
    agents.iter().map(|agent| agent["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_join_token_that_is_no_good_lets_nobody_in() {
    let mut site = Site::start();
    let other = Site::start();

    let words = ends(&mut site, "a", "hello", CONFIG);
    assert_clear(&words, &["this is not a join token", "given.token"]);

    let unknown = JoinToken::mint(ca_certificate(&site).pin()).reveal();
    let words = ends(&mut site, "b", unknown.expose_secret(), CONFIG);
    assert_clear(&words, &["not known to this manager", "wag agents token create"]);

    let expired = made(&site, &["--ttl", "1s"]);
    let end: Timestamp = expired["expires_at"].as_str().unwrap().parse().unwrap();
    eventually("the token to expire", || (Timestamp::now() > end).then_some(()).ok_or(end));
    let words = ends(&mut site, "c", expired["token"].as_str().unwrap(), CONFIG);
    assert_clear(&words, &["expired at", "wag agents token create"]);

    let named = made(&site, &["--name", "somebody"]);
    let words = ends(&mut site, "else", named["token"].as_str().unwrap(), CONFIG);
    assert_clear(&words, &["`somebody`", "`else`"]);

    let foreign = made(&other, &[]);
    let words = ends(&mut site, "e", foreign["token"].as_str().unwrap(), UNAVAILABLE);
    assert_clear(&words, &["issued by another CA"]);

    assert_eq!(agents(&site), Vec::<String>::new());
    site.wag().ok(&["status"]);
    other.wag().ok(&["status"]);
}

#[test]
fn a_join_token_is_good_for_one_key_and_a_second_one_raises_the_alarm() {
    let mut site = Site::start();
    let token = made(&site, &[])["token"].as_str().unwrap().to_owned();
    let file = site.file("first.token", &token);
    let address = site.address().to_owned();
    let args = ["--manager", &address, "--join", file.as_str(), "--name", "first"];
    site.start_agent("first", None, &args);
    site.await_link("first");

    let words = ends(&mut site, "second", &token, CONFIG);
    assert_clear(&words, &["used before, with another key"]);
    site.manager().logged("ALARM");
    assert_eq!(agents(&site), ["first"]);
    site.await_link("first");
}

#[test]
fn an_agent_without_token_or_certificate_says_what_it_needs() {
    let mut site = Site::start();
    let address = site.address().to_owned();
    let words = last_words(site.start_agent("a", None, &["--manager", &address]), CONFIG);
    assert_clear(&words, &["wag agents token create", "--join"]);
}

#[test]
fn a_connection_without_the_right_certificate_is_refused_and_both_sides_say_why() {
    let mut site = Site::start();
    let ca = ca_certificate(&site);
    let domain: TrustDomain = "waggoner".parse().unwrap();
    let own = Ca::open_or_create(&site.data_dir().join("ca"), &domain, Timestamp::now()).unwrap();
    let folder = camino_tempfile::tempdir().unwrap();
    let foreign = Ca::open_or_create(folder.path(), &domain, Timestamp::now()).unwrap();
    let now = Timestamp::now();
    let expired = identity(&own, Validity::new(now - 2 * HOUR, HOUR));
    let early = identity(&own, Validity::new(now + HOUR, HOUR));
    let strange = identity(&foreign, Validity::new(now - HOUR, 2 * HOUR));

    let cases = [
        (
            "none",
            anonymous(&ca),
            "we presented no certificate",
            "the peer presented no certificate",
        ),
        (
            "another CA's",
            tls::agent_dialling(&strange, &ca),
            "issued by another CA",
            "issued by another CA",
        ),
        (
            "an expired one",
            tls::agent_dialling(&expired, &ca),
            "our certificate has expired",
            "the peer's certificate expired on",
        ),
        ("an early one", tls::agent_dialling(&early, &ca), "refused us", "compare the clocks"),
    ];
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (what, tls, told, logged) in cases {
        let why = runtime.block_on(refused(site.address(), tls));
        assert!(why.contains(told), "{what}: {why}");
        site.manager().logged(logged);
    }
    assert_eq!(agents(&site), Vec::<String>::new());
    site.wag().ok(&["status"]);
}

#[test]
fn an_agent_whose_certificate_has_expired_asks_for_a_new_token() {
    let mut site = Site::start();
    let domain: TrustDomain = "waggoner".parse().unwrap();
    let ca = Ca::open_or_create(&site.data_dir().join("ca"), &domain, Timestamp::now()).unwrap();
    let issued = Timestamp::now() - 2 * HOUR;
    let key = Key::generate().unwrap();
    let chain = issue(&ca, &key, Validity::new(issued, HOUR));
    let certificate = ca_certificate(&site);
    let identity = Identity::new(key, chain, certificate, issued + HOUR / 2).unwrap();
    let directory = site.agent_dir("late").join("identity");
    fs::create_dir_all(&directory).unwrap();
    identity.save(&directory).unwrap();

    let address = site.address().to_owned();
    let words = last_words(site.start_agent("late", None, &["--manager", &address]), CONFIG);
    assert_clear(&words, &["no certificate that is still good", "wag agents token create"]);
}

#[test]
fn a_tool_without_a_good_api_token_is_refused() {
    let site = Site::start();
    let profile = fs::read_to_string(site.data_dir().join("profile.json")).unwrap();
    let profile: serde_json::Value = serde_json::from_str(&profile).unwrap();
    let unknown = ApiToken::mint().reveal();
    for (token, words) in [
        ("nonsense".to_owned(), "not an API token"),
        (unknown.expose_secret().to_owned(), "not known to this manager"),
    ] {
        let mut changed = profile.clone();
        changed["token"] = token.into();
        let path = site.file("other-profile.json", &changed.to_string());
        let message = with_profile(&site, &path, 3);
        assert_clear(&message, &[words]);
    }
    let other = Site::start();
    let mut changed = profile;
    changed["ca_pem"] = ca_certificate(&other).to_pem().into();
    let path = site.file("other-profile.json", &changed.to_string());
    let message = with_profile(&site, &path, 69);
    assert_clear(&message, &["issued by another CA"]);
}

/// Runs `wag status` with a profile, which has to end with this code; returns what it says.
fn with_profile(site: &Site, profile: &Utf8Path, code: i32) -> String {
    let mut wag = site.wag();
    wag.set_profile(profile);
    wag.refused(code, &["status"])
}

fn issue(ca: &Ca, key: &Key, validity: Validity) -> Chain {
    let csr = Csr::from_der(&key.request().unwrap()).unwrap();
    let (tenant, name) = ("default_tenant".parse().unwrap(), "stranger".parse().unwrap());
    ca.issue_agent(&csr, &tenant, &name, validity).unwrap()
}

fn identity(ca: &Ca, validity: Validity) -> Arc<Credentials> {
    let key = Key::generate().unwrap();
    let chain = issue(ca, &key, validity);
    let during = validity.from + validity.lifetime / 2;
    Identity::new(key, chain, ca.certificate().clone(), during).unwrap().credentials()
}

/// Dials as an agent does, but shows no certificate.
fn anonymous(ca: &CaCertificate) -> Arc<ClientConfig> {
    let mut config = (*tls::people(ca)).clone();
    config.alpn_protocols = vec![tls::ALPN_AGENT.to_vec()];
    Arc::new(config)
}

/// Dials, and returns why nothing came of it.
async fn refused(address: &str, tls: Arc<ClientConfig>) -> String {
    match Dialler::new(tls).dial(address).await {
        Err(error) => error.to_string(),
        // The refusal shows at the first read.
        Ok(mut io) => {
            let mut heard = Vec::new();
            match io.read_to_end(&mut heard).await {
                Ok(_) => "the peer closed the connection".to_owned(),
                Err(error) => refusal(&error),
            }
        }
    }
}

#[test]
fn a_copied_certificate_gets_no_second_link() {
    let mut site = Site::start();
    site.agent("host", "host");
    let copy = site.agent_dir("copy").join("identity");
    fs::create_dir_all(&copy).unwrap();
    let identity = site.agent_dir("host").join("identity/identity.pem");
    fs::copy(identity, copy.join("identity.pem")).unwrap();

    let address = site.address().to_owned();
    site.start_agent("copy", None, &["--manager", &address]);
    site.manager().logged("has a link already");
    site.agent_daemon("copy").logged("the link to the manager has ended");
    assert!(site.agent_daemon("copy").stop().success());
    site.await_link("host");
}

#[test]
fn what_belongs_to_one_tenant_is_invisible_to_another() {
    let site = Site::start();
    let wag = site.wag();
    let text = "\
tosca_definitions_version: cloudify_dsl_1_4
imports: [cloudify/types/types.yaml]
node_templates: {a: {type: cloudify.nodes.Root}}
";
    let blueprint = site.file("own/blueprint.yaml", text);
    site.deploy("own", &blueprint, &[]);
    assert_eq!(wag.run_with(&["secrets", "put", "own"], "s3cr3t").code, 0);

    wag.ok(&["tenants", "create", "other"]);
    let token = wag.json(&["tokens", "create", "--tenant", "other"]);
    let profile = fs::read_to_string(site.data_dir().join("profile.json")).unwrap();
    let mut profile: serde_json::Value = serde_json::from_str(&profile).unwrap();
    profile["token"] = token["value"].clone();
    profile["tenant"] = "other".into();
    let mut other = site.wag();
    other.set_profile(&site.file("other-profile.json", &profile.to_string()));

    for list in ["blueprints", "deployments", "secrets", "agents", "plugins", "executions"] {
        assert!(other.items(&[list, "list"]).is_empty(), "{list}");
    }
    for get in
        [["blueprints", "get", "own"], ["deployments", "get", "own"], ["secrets", "get", "own"]]
    {
        assert_clear(&other.refused(4, &get), &["own"]);
    }
    let message = other.refused(3, &["deployments", "list", "--tenant", "default_tenant"]);
    assert_clear(&message, &["`other`", "`default_tenant`"]);
    let message = other.refused(3, &["tenants", "create", "third"]);
    assert_clear(&message, &["administrator"]);
    assert_eq!(wag.items(&["deployments", "list"]).len(), 1);
}
