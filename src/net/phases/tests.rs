//! What is taken of real requests: the phases there were, and none that there were not.

use url::Url;

use super::*;
use crate::core::outcome::FailureKind;
use crate::core::transport::{Tls, Transport};
use crate::net::client::{Clients, Setting};
use crate::net::testing::pki::{Ca, serve};
use crate::net::testing::{Act, Server, answer};
use crate::net::trouble::Target;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

async fn timed(clients: &Clients, transport: &Transport, url: &str) -> (Phases, Result<u16, FailureKind>) {
    let url = Url::parse(url).expect("a URL");
    let setting = Setting::new(transport, &url, Duration::from_secs(10), false, 1);
    let client = clients.get(&setting, &url).expect("a client");
    let watch = Stopwatch::start();
    let result = watch.around(client.get(url.clone()).send()).await;
    if result.is_ok() {
        watch.answered();
    }
    let (took, phases) = watch.stop();
    assert!(phases.total <= u64::try_from(took.as_micros()).expect("short") + 1000);
    let explain = |error| Target::of(url.as_str()).explain(&error, setting.connect_timeout).kind;
    (phases, result.map(|response| response.status().as_u16()).map_err(explain))
}

fn which(phases: Phases) -> [bool; 4] {
    [phases.dns.is_some(), phases.connect.is_some(), phases.tls.is_some(), phases.first_byte.is_some()]
}

#[tokio::test]
async fn a_name_over_tls_has_every_phase() {
    let ca = Ca::new("phases");
    let port = serve(&ca.sign(&["localhost"]), None, |_| OK.to_owned()).port();
    let root = rustls::pki_types::pem::PemObject::from_pem_slice(ca.pem.as_bytes());
    let root: rustls::pki_types::CertificateDer<'_> = root.expect("PEM");
    let tls = Some(Arc::new(Tls::new(vec![Arc::from(root.as_ref())], None)));
    let transport = Transport { tls, ..Transport::default() };
    let (phases, status) = timed(&Clients::default(), &transport, &format!("https://localhost:{port}/")).await;
    assert_eq!((status, which(phases)), (Ok(200), [true; 4]));
    let parts = [phases.dns, phases.connect, phases.tls, phases.first_byte].map(Option::unwrap_or_default);
    assert!(parts.iter().sum::<u64>() <= phases.total, "{phases:?}");
    assert!(phases.tls.is_some_and(|tls| tls > 0), "{phases:?}");
}

#[tokio::test]
async fn an_address_has_no_dns_and_a_kept_connection_no_phase_but_the_answer() {
    let server = Server::always(Act::Reply(answer("200 OK", "", b""))).await;
    let clients = Clients::default();
    let (first, _) = timed(&clients, &Transport::default(), &server.url("/")).await;
    assert_eq!(which(first), [false, true, false, true]);
    let (again, _) = timed(&clients, &Transport::default(), &server.url("/")).await;
    assert_eq!((which(again), server.connections()), ([false, false, false, true], 1));
}

#[tokio::test]
async fn a_request_that_fails_has_the_phases_it_came_to() {
    let (phases, failed) = timed(&Clients::default(), &Transport::default(), "http://nowhere.invalid/").await;
    assert_eq!((which(phases), failed), ([true, false, false, false], Err(FailureKind::Dns)));
    let ca = Ca::new("phases");
    let port = serve(&ca.sign(&["localhost"]), None, |_| OK.to_owned()).port();
    let (phases, failed) =
        timed(&Clients::default(), &Transport::default(), &format!("https://127.0.0.1:{port}/")).await;
    assert_eq!((which(phases), failed), ([false, true, true, false], Err(FailureKind::Tls)));
}
