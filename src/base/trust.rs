//! Whom to believe that a TLS server is who it says.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

/// The system's certificates; `SSL_CERT_FILE` names others. `None` if it has none.
pub fn system_roots() -> Option<RootCertStore> {
    roots_of(rustls_native_certs::load_native_certs().certs)
}

/// Those certificates that can be used; `None` if none can.
pub fn roots_of(certificates: Vec<CertificateDer<'_>>) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(certificates);
    (usable > 0).then_some(roots)
}
