//! TLS to the issuer as its callers have it, and to the server itself by its certificate, with a look at the certificate
//! whether it is believed or not.

use crate::base::time::Timestamp;
use crate::base::trust::system_roots;
use crate::doctor::facts::{Fault, Looked, Refused};
use crate::server::tls::ends;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_rustls::TlsConnector;

/// What was seen of a certificate.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// When it ends.
    pub(super) ends: Option<Timestamp>,
    /// Why it was not believed.
    pub(super) refused: Option<Refused>,
}

/// Whose certificate is believed.
#[derive(Clone, Debug)]
pub(super) enum Trust {
    /// Whom these vouch for.
    Roots(Arc<RootCertStore>),
    /// This one alone, whatever name it bears and however old it is.
    Exactly(CertificateDer<'static>),
}

/// Believes what it trusts, and remembers what it saw.
#[derive(Debug)]
pub(super) struct Witness {
    judge: Judge,
    provider: Arc<CryptoProvider>,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
enum Judge {
    Roots(Arc<WebPkiServerVerifier>),
    Exactly(CertificateDer<'static>),
}

/// The first certificate of a file: the server's own.
pub(super) fn certificate(file: &Path) -> Looked<CertificateDer<'static>> {
    CertificateDer::from_pem_file(file).map_err(|error| format!("{}: {error}", file.display()))
}

/// The system's certificates.
pub(super) fn roots() -> Looked<Trust> {
    let none = || "this system has no certificates to trust: install ca-certificates".to_owned();
    system_roots().map(|roots| Trust::Roots(Arc::new(roots))).ok_or_else(none)
}

/// What makes one connection, and sees its certificate.
pub(super) fn connector(trust: Trust) -> Looked<(TlsConnector, Arc<Witness>)> {
    let failed = |error: &dyn std::fmt::Display| format!("TLS cannot be set up: {error}");
    let provider = Arc::new(aws_lc_rs::default_provider());
    let judge = match trust {
        Trust::Roots(roots) => {
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build();
            Judge::Roots(verifier.map_err(|error| failed(&error))?)
        }
        Trust::Exactly(certificate) => Judge::Exactly(certificate),
    };
    let witness = Arc::new(Witness { judge, provider: provider.clone(), seen: Mutex::default() });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?
        .dangerous()
        .with_custom_certificate_verifier(witness.clone())
        .with_no_client_auth();
    Ok((TlsConnector::from(Arc::new(config)), witness))
}

impl Witness {
    pub(super) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What is wrong with a certificate that came alone or with others.
fn fault(error: &rustls::Error, is_alone: bool) -> Fault {
    let rustls::Error::InvalidCertificate(error) = error else { return Fault::Other };
    match error {
        // Of another authority, or of another of the same name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Fault::Issuer { is_alone },
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Fault::Name,
        // Of an error of its own parts only the name can be had here.
        CertificateError::Other(other) if other.0.to_string() == "CaUsedAsEndEntity" => Fault::Authority,
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Fault::Ended,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Fault::Early,
        _ => Fault::Other,
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        status: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = match &self.judge {
            Judge::Roots(verifier) => verifier.verify_server_cert(certificate, between, name, status, now),
            Judge::Exactly(own) if own == certificate => Ok(ServerCertVerified::assertion()),
            Judge::Exactly(_) => Err(rustls::Error::General("it is not the configured certificate".into())),
        };
        let refused = verified
            .as_ref()
            .err()
            .map(|error| Refused { why: error.to_string(), fault: fault(error, between.is_empty()) });
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Seen { ends: ends(certificate), refused };
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    fn self_signed(is_ca: IsCa) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(["auth.example.org".to_owned()]).unwrap();
        params.is_ca = is_ca;
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().into()
    }

    #[test]
    fn a_certificate_that_somebody_made_himself_is_known_by_its_kind() {
        let authority = || IsCa::Ca(BasicConstraints::Unconstrained);
        let mut roots = RootCertStore::empty();
        roots.add(self_signed(authority())).unwrap();
        let (_, witness) = connector(Trust::Roots(Arc::new(roots))).unwrap();
        let name = ServerName::try_from("auth.example.org").unwrap();
        for (is_ca, fault) in [
            (authority(), Fault::Authority),
            (IsCa::ExplicitNoCa, Fault::Issuer { is_alone: true }),
            (IsCa::NoCa, Fault::Issuer { is_alone: true }),
        ] {
            let shown = self_signed(is_ca);
            assert!(witness.verify_server_cert(&shown, &[], &name, &[], UnixTime::now()).is_err());
            assert_eq!(witness.seen().refused.unwrap().fault, fault);
        }
    }
}
