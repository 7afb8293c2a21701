//! TLS to the server: rustls over aws-lc, with as much proof as `sslmode` asks for.

use crate::base::trust::{roots_of, system_roots};
use crate::config::{DatabaseUrl, Tls};
use crate::db::Error;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::path::Path;
use std::sync::Arc;
use tokio_postgres_rustls::MakeRustlsConnect;

/// What makes TLS connections to a server.
pub(super) fn connector(url: &DatabaseUrl) -> Result<MakeRustlsConnect, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match url.tls {
        Tls::Unverified => Arc::new(Lenient { provider: provider.clone(), roots: None }),
        Tls::Issuer => {
            let roots = Some(roots(url.roots.as_deref())?);
            Arc::new(Lenient { provider: provider.clone(), roots })
        }
        Tls::IssuerAndHost => {
            let roots = Arc::new(roots(url.roots.as_deref())?);
            WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build().map_err(refused)?
        }
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(refused)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn refused(why: impl std::fmt::Display) -> Error {
    Error::Refused(format!("TLS to the database cannot be set up: {why}"))
}

/// The certificates of a file, or the system's.
fn roots(file: Option<&Path>) -> Result<RootCertStore, Error> {
    let roots = match file {
        Some(path) => CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect)
            .map(roots_of)
            .map_err(|why| refused(format!("the certificates in {}: {why}", path.display())))?,
        None => system_roots(),
    };
    let place = || file.map_or_else(|| "the system".to_owned(), |path| path.display().to_string());
    let none = || refused(format!("{} has no certificates to trust. Name a file with sslrootcert=", place()));
    roots.ok_or_else(none)
}

/// Asks for less than the host's name: `sslmode=verify-ca` wants an issuer, `require` nothing. That the other
/// side has the certificate's key is checked in any case.
#[derive(Debug)]
struct Lenient {
    provider: Arc<CryptoProvider>,
    roots: Option<RootCertStore>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(roots) = &self.roots {
            let certificate = ParsedCertificate::try_from(certificate)?;
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&certificate, roots, between, now, algorithms)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
