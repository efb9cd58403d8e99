use std::os::unix::fs::PermissionsExt as _;

use camino_tempfile::{Utf8TempDir, tempdir};

use super::*;
use crate::{BadRequest, certificate::unix_time};

const DAY: Duration = Duration::from_hours(24);

fn now() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

fn ca() -> (Utf8TempDir, Ca) {
    let directory = tempdir().unwrap();
    let ca = open(directory.path()).unwrap();
    (directory, ca)
}

fn open(directory: &Utf8Path) -> Result<Ca, CaError> {
    Ca::open_or_create(&directory.join("ca"), &TrustDomain::default(), now())
}

fn agent(ca: &Ca, key: &Key) -> Chain {
    let request = Csr::from_der(&key.request().unwrap()).unwrap();
    let (tenant, name) = ("default_tenant".parse().unwrap(), "web-1".parse().unwrap());
    ca.issue_agent(&request, &tenant, &name, Validity::new(now(), DAY)).unwrap()
}

#[test]
fn a_ca_is_made_once_and_found_again() {
    let (directory, made) = ca();
    let found = open(directory.path()).unwrap();
    assert_eq!(found.certificate(), made.certificate());
    assert_eq!(found.certificate().trust_domain().as_str(), "waggoner");

    let chain = agent(&found, &Key::generate().unwrap());
    made.certificate().verify(chain.leaf(), unix_time(now())).unwrap();
}

#[test]
fn the_private_key_is_for_its_owner_alone() {
    let (directory, _ca) = ca();
    let mode = |file| {
        let path = directory.path().join("ca").join(file);
        fs_err::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode("ca.key"), 0o600);
    assert_eq!(fs_err::read_dir(directory.path().join("ca")).unwrap().count(), 2);
}

#[test]
fn half_a_ca_is_refused_with_a_reason() {
    let (directory, _ca) = ca();
    let (other, _other_ca) = ca();
    let key = |directory: &Utf8TempDir| directory.path().join("ca/ca.key");

    fs_err::copy(key(&other), key(&directory)).unwrap();
    assert!(matches!(open(directory.path()), Err(CaError::Mismatch { .. })));
    fs_err::write(key(&directory), "-----BEGIN").unwrap();
    assert!(matches!(open(directory.path()), Err(CaError::Key { .. })));
    fs_err::remove_file(key(&directory)).unwrap();
    assert!(matches!(open(directory.path()), Err(CaError::NoKey { .. })));
    fs_err::write(directory.path().join("ca/ca.crt"), "nothing").unwrap();
    assert!(matches!(open(directory.path()), Err(CaError::Certificate { .. })));
}

#[test]
fn another_trust_domain_is_refused() {
    let (directory, _ca) = ca();
    let other = "other".parse().unwrap();
    let refused = Ca::open_or_create(&directory.path().join("ca"), &other, now()).unwrap_err();
    assert!(refused.to_string().ends_with("is for the trust domain `waggoner`, not `other`"));
}

#[test]
fn an_agent_is_named_by_the_manager_and_not_by_its_request() {
    let (_directory, ca) = ca();
    let key = Key::generate().unwrap();
    let mut asks = CertificateParams::new(vec!["manager.waggoner".to_owned()]).unwrap();
    asks.distinguished_name.push(DnType::CommonName, "root");
    asks.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let request = asks.serialize_request(key.pair()).unwrap();
    let request = Csr::from_der(request.der()).unwrap();
    assert_eq!(request.key_hash(), key.hash());

    let (tenant, name) = ("t".parse().unwrap(), "a".parse().unwrap());
    let chain = ca.issue_agent(&request, &tenant, &name, Validity::new(now(), DAY)).unwrap();
    assert_eq!(chain.id().to_string(), "spiffe://waggoner/tenant/t/agent/a");
    assert_eq!(chain.key_hash(), key.hash());
    assert_eq!(chain.expires(), now() + DAY);
    assert!(CaCertificate::from_der(chain.leaf().clone()).is_err());

    let (_, leaf) = x509_parser::parse_x509_certificate(chain.leaf()).unwrap();
    let names = leaf.subject_alternative_name().unwrap().unwrap();
    let names: Vec<_> = names.value.general_names.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["URI(spiffe://waggoner/tenant/t/agent/a)", "DNSName(agent.waggoner)"]);
    assert_eq!(leaf.subject().to_string(), "O=Waggoner, CN=Waggoner agent");
}

#[test]
fn a_manager_is_reachable_under_its_names() {
    let (_directory, ca) = ca();
    let names = ["localhost".to_owned()];
    let addresses = ["127.0.0.1".parse().unwrap()];
    let identity = ca.issue_manager(&names, &addresses, Validity::new(now(), DAY)).unwrap();
    assert_eq!(identity.id().to_string(), "spiffe://waggoner/manager");
    let (_, leaf) = x509_parser::parse_x509_certificate(identity.chain().leaf()).unwrap();
    let names = leaf.subject_alternative_name().unwrap().unwrap();
    assert_eq!(names.value.general_names.len(), 4);
}

#[test]
fn no_two_certificates_have_the_same_serial_number() {
    let (_directory, ca) = ca();
    let key = Key::generate().unwrap();
    assert_ne!(agent(&ca, &key).serial(), agent(&ca, &key).serial());
}

#[test]
fn a_chain_is_read_as_it_is_written() {
    let (_directory, ca) = ca();
    let chain = agent(&ca, &Key::generate().unwrap());
    assert_eq!(Chain::from_pem(&chain.to_pem()).unwrap(), chain);
    assert_eq!(
        CaCertificate::pinned(chain.ders(), ca.certificate().pin()).as_ref(),
        Some(ca.certificate())
    );
    assert_eq!(Chain::from_pem("").unwrap_err(), BadCertificate::Empty);
    assert_eq!(
        Chain::from_pem("-----BEGIN CERTIFICATE-----\n???").unwrap_err(),
        BadCertificate::Parse
    );
}

#[test]
fn a_certificate_is_believed_in_its_time_and_from_its_ca_only() {
    let (_directory, ca) = ca();
    let (_other_directory, other) = self::ca();
    let chain = agent(&ca, &Key::generate().unwrap());
    let refused = |ca: &Ca, at: Timestamp| {
        ca.certificate().verify(chain.leaf(), unix_time(at)).map_err(|error| crate::refusal(&error))
    };
    assert_eq!(refused(&ca, now()), Ok(()));
    assert_eq!(
        refused(&other, now()).unwrap_err(),
        "the peer's certificate was issued by another CA"
    );
    assert_eq!(
        refused(&ca, now() + 2 * DAY).unwrap_err(),
        "the peer's certificate expired on 2026-11-23 10:00:00 UTC"
    );
    assert_eq!(
        refused(&ca, now() - DAY).unwrap_err(),
        "the peer's certificate is good from 2026-11-22 09:55:00 UTC only: compare the clocks"
    );
}

#[test]
fn a_request_that_is_none_is_refused() {
    let good = Key::generate().unwrap().request().unwrap();
    let mut forged = good.clone();
    *forged.last_mut().unwrap() ^= 1;
    for bytes in [&b""[..], b"nonsense", &good[..good.len() - 1], &forged] {
        assert!(matches!(Csr::from_der(bytes), Err(BadRequest::Parse(_))), "{bytes:?}");
    }
    assert_eq!(Csr::from_der(&vec![0; 16385]).unwrap_err(), BadRequest::Size(16385));

    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let request = CertificateParams::default().serialize_request(&p384).unwrap();
    assert_eq!(Csr::from_der(request.der()).unwrap_err(), BadRequest::Algorithm);
}
