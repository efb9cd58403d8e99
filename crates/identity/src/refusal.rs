//! Why TLS came to nothing, in words.

use std::{error::Error as StdError, io};

use jiff::Timestamp;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};
use rustls_pki_types::UnixTime;

/// Says in one clause why a connection was refused or lost.
///
/// Looks through the causes of an error for one of rustls, also where an [`io::Error`] hides it.
/// "The peer" is who is at the other end; "our certificate" is the one of this end.
pub fn refusal(error: &(dyn StdError + 'static)) -> String {
    let mut lost = None;
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(error) = cause.downcast_ref::<Error>() {
            return of_tls(error);
        }
        let io = cause.downcast_ref::<io::Error>();
        lost = lost.or_else(|| io.and_then(of_io));
        // An `io::Error` steps over what it wraps when it is asked for its source.
        next = match io.and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => cause.source(),
        };
    }
    lost.map_or_else(|| error.to_string(), str::to_owned)
}

fn of_tls(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => of_certificate(error),
        Error::AlertReceived(alert) => of_alert(*alert),
        Error::NoCertificatesPresented => "the peer presented no certificate".to_owned(),
        Error::NoApplicationProtocol => {
            "the peer wants to speak none of the protocols offered here (ALPN)".to_owned()
        }
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        ) => "the peer does not speak TLS".to_owned(),
        Error::PeerIncompatible(_) => format!("the peer does not speak TLS 1.3 as we do: {error}"),
        _ => error.to_string(),
    }
}

fn of_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the peer's certificate was issued by another CA".to_owned()
        }
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("the peer's certificate expired on {}", date(*not_after))
        }
        CertificateError::Expired => "the peer's certificate has expired".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            let from = date(*not_before);
            format!("the peer's certificate is good from {from} only: compare the clocks")
        }
        CertificateError::Revoked => "the peer's certificate was revoked".to_owned(),
        CertificateError::Other(error) => {
            format!("the peer's certificate is not the right one: {}", error.0)
        }
        _ => format!("the peer's certificate is not to be believed: {error}"),
    }
}

fn of_alert(alert: AlertDescription) -> String {
    let why = match alert {
        AlertDescription::UnknownCA | AlertDescription::DecryptError => {
            "our certificate was issued by another CA than the peer's"
        }
        AlertDescription::CertificateExpired => "our certificate has expired",
        AlertDescription::CertificateRequired => "we presented no certificate",
        AlertDescription::CertificateRevoked => "our certificate was revoked",
        AlertDescription::CertificateUnknown => "our certificate is not the one expected there",
        AlertDescription::NoApplicationProtocol => {
            "it speaks none of the protocols we offer (ALPN)"
        }
        AlertDescription::ProtocolVersion => "it does not speak TLS 1.3",
        _ => return format!("the peer refused us: TLS alert {alert:?}"),
    };
    format!("the peer refused us: {why}")
}

fn of_io(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Some("the peer closed the connection without a word"),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            Some("the peer dropped the connection without a word")
        }
        _ => None,
    }
}

fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(|| "an unknown day".to_owned(), |time| time.strftime("%F %T UTC").to_string())
}
