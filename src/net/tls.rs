//! TLS for all clients: a configuration for each distinct setting, whose roots are read when the first certificate is
//! checked.
//!
//! A daemon that speaks plain HTTP only never reads them.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::core::transport::{Identity, Tls};
use crate::net::phases::Sessions;

/// What a client is built with: TLS 1.2 and 1.3, HTTP/2 where the server offers it. Cloning it shares the roots and the
/// sessions to resume; so do all clients without certificates of their own.
pub(super) fn config(tls: Option<&Tls>) -> Result<ClientConfig, Error> {
    static SHARED: OnceLock<Result<ClientConfig, Error>> = OnceLock::new();
    match tls {
        None => SHARED.get_or_init(|| build(&[], None)).clone(),
        Some(tls) => build(&tls.roots, tls.identity.as_ref()),
    }
}

fn build(added: &[Arc<[u8]>], identity: Option<&Identity>) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = LazyRoots { provider: Arc::clone(&provider), added: added.into(), inner: OnceLock::new() };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match identity {
        Some(identity) => builder.with_client_auth_cert(chain(identity), key(identity)?)?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.resumption = Resumption::store(Arc::new(Sessions::new()));
    Ok(config)
}

fn chain(identity: &Identity) -> Vec<CertificateDer<'static>> {
    identity.chain.iter().map(|certificate| CertificateDer::from(certificate.to_vec())).collect()
}

fn key(identity: &Identity) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_slice(identity.key.expose().as_bytes())
        .map_err(|_| Error::General("the client's key can't be read".to_owned()))
}

/// The checks of webpki, against roots that are read on first use.
#[derive(Debug)]
struct LazyRoots {
    provider: Arc<CryptoProvider>,
    added: Vec<Arc<[u8]>>,
    inner: OnceLock<Result<Arc<WebPkiServerVerifier>, Error>>,
}

impl LazyRoots {
    fn inner(&self) -> Result<&WebPkiServerVerifier, Error> {
        let made = self.inner.get_or_init(|| {
            let mut roots = roots();
            let added = self.added.iter().map(|root| CertificateDer::from(root.to_vec()));
            roots.add_parsable_certificates(added);
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
                .build()
                .map_err(|error| Error::General(error.to_string()))
        });
        made.as_deref().map_err(Clone::clone)
    }
}
/// The platform's roots (or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name); where it has none, Mozilla's, which
/// are part of this binary.
fn roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    let (_, unreadable) = store.add_parsable_certificates(found.certs);
    if unreadable > 0 {
        tracing::debug!(unreadable, "root certificates of the platform that can't be read are left out");
    }
    if store.is_empty() {
        tracing::info!("the platform has no root certificates: those built in are used");
        store.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
    }
    store
}

impl ServerCertVerifier for LazyRoots {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.inner()?.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_roots_wherever_we_run() {
        assert!(roots().len() > 10);
        let mut built_in = RootCertStore::empty();
        let (good, bad) = built_in.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
        assert!(good > 100 && bad == 0);
    }

    #[test]
    fn the_roots_are_not_read_before_a_certificate_is_checked() {
        let lazy =
            LazyRoots { provider: Arc::new(ring::default_provider()), added: Vec::new(), inner: OnceLock::new() };
        assert!(!lazy.supported_verify_schemes().is_empty());
        assert!(lazy.inner.get().is_none());
        assert!(lazy.inner().is_ok() && lazy.inner.get().is_some());
    }
}
