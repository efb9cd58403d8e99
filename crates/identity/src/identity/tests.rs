use std::{os::unix::fs::PermissionsExt as _, time::Duration};

use camino_tempfile::tempdir;

use super::*;
use crate::{Ca, Csr, TrustDomain, Validity};

const DAY: Duration = Duration::from_hours(24);

fn now() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

fn ca(directory: &Utf8Path) -> Ca {
    Ca::open_or_create(directory, &TrustDomain::default(), now()).unwrap()
}

fn issue(ca: &Ca, key: &Key) -> Chain {
    let request = Csr::from_der(&key.request().unwrap()).unwrap();
    let (tenant, name) = ("default_tenant".parse().unwrap(), "web-1".parse().unwrap());
    ca.issue_agent(&request, &tenant, &name, Validity::new(now(), DAY)).unwrap()
}

#[test]
fn an_identity_is_found_as_it_was_kept() {
    let directory = tempdir().unwrap();
    let ca = ca(&directory.path().join("ca"));
    let home = directory.path().join("agent");
    assert!(Identity::load(&home).unwrap().is_none());

    let key = Key::open_or_generate(&home.join("agent.key")).unwrap();
    let again = Key::open_or_generate(&home.join("agent.key")).unwrap();
    assert_eq!(key.hash(), again.hash());
    let chain = issue(&ca, &key);
    let identity = Identity::new(key, chain.clone(), ca.certificate().clone(), now()).unwrap();
    identity.save(&home).unwrap();

    let found = Identity::load(&home).unwrap().unwrap();
    assert_eq!((found.chain(), found.ca()), (&chain, ca.certificate()));
    assert_eq!(found.key().hash(), again.hash());
    assert!(!found.is_expired(now()));
    assert!(found.is_expired(now() + DAY));
    let mode = fs_err::metadata(home.join("identity.pem")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let directory = tempdir().unwrap();
    let (ours, theirs) = (ca(&directory.path().join("ours")), ca(&directory.path().join("theirs")));
    let key = || Key::generate().unwrap();
    let mine = key();
    let chain = issue(&ours, &mine);

    let trust = ours.certificate();
    let refused = Identity::new(key(), chain.clone(), trust.clone(), now()).unwrap_err();
    assert!(matches!(refused, IdentityError::OtherKey));
    let refused = Identity::new(mine, chain, theirs.certificate().clone(), now()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the certificate is not to be trusted: the peer's certificate was issued by another CA"
    );
}

#[test]
fn a_broken_identity_is_refused_with_its_path() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("identity.pem");
    fs_err::write(&path, "nonsense").unwrap();
    let refused = Identity::load(directory.path()).unwrap_err();
    assert_eq!(refused.to_string(), format!("failed to read the private key in `{path}`"));

    let key = Key::generate().unwrap().to_pem();
    fs_err::write(&path, key.expose_secret()).unwrap();
    let refused = Identity::load(directory.path()).unwrap_err();
    assert!(matches!(refused, IdentityError::Certificate { .. }), "{refused}");
}
