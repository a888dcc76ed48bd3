//! The client against a served API.

use super::*;
use crate::admin::fake::{Fake, loopback, start};

fn at(listen: &Listen) -> Client {
    Client::new(&Reach::default(), listen, None).unwrap()
}

#[tokio::test]
async fn a_daemon_is_found_where_the_config_says() {
    let served = start(&loopback(), Fake::usual(), None).await;
    let client = at(&Listen::Tcp(served.address.unwrap()));
    assert_eq!(client.jobs().await.unwrap().len(), 2);
    assert_eq!(client.sinks().await.unwrap()[0].name, "shop");
    let event = client.event("evt_2").await.unwrap().unwrap();
    assert!(event.body.get().contains("9007199254740993,\"total\":1.10"), "{}", event.body);
    assert_eq!(event.event.deliveries[0].state, "delivered");
    assert!(client.event("evt_99").await.unwrap().is_none());
    assert!(client.poll("orders", PollWish { commit: true, record: false }).await.unwrap().committed);
    assert!(client.test("shop").await.unwrap().delivered);
}

#[tokio::test]
async fn a_daemon_is_found_on_its_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let listen = Listen::Unix(folder.path().join("bell.sock"));
    let _served = start(&listen, Fake::usual(), None).await;
    assert_eq!(at(&listen).jobs().await.unwrap().len(), 2);
}

#[tokio::test]
async fn every_page_of_a_list_is_read() {
    let jobs = (0..2500).map(|number| crate::admin::fake::job(&format!("job-{number:04}"))).collect();
    let served = start(&loopback(), Arc::new(Fake { jobs, ..Fake::default() }), None).await;
    let jobs = at(&Listen::Tcp(served.address.unwrap())).jobs().await.unwrap();
    assert_eq!((jobs.len(), &*jobs[2499].name), (2500, "job-2499"));
}

#[tokio::test]
async fn no_daemon_is_told_apart_from_one_that_refuses() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = at(&Listen::Tcp(free)).jobs().await.unwrap_err();
    assert!(error.is_no_daemon(), "{error:?}");
    let folder = tempfile::tempdir().unwrap();
    let error = at(&Listen::Unix(folder.path().join("none.sock"))).jobs().await.unwrap_err();
    assert!(error.is_no_daemon(), "{error:?}");
    let served = start(&loopback(), Fake::usual(), None).await;
    let error = at(&Listen::Tcp(served.address.unwrap())).poll("busy", PollWish::default()).await.unwrap_err();
    assert_eq!(error, ClientError::Refused { status: 409, detail: "`busy` is being polled".to_owned() });
}

#[tokio::test]
async fn a_name_cannot_leave_its_segment() {
    let served = start(&loopback(), Fake::usual(), None).await;
    let client = at(&Listen::Tcp(served.address.unwrap()));
    client.poll("../a b/ü?x#y%", PollWish::default()).await.unwrap();
    assert_eq!(*served.fake.calls.lock().unwrap(), ["poll ../a b/ü?x#y% false"]);
}

#[tokio::test]
async fn the_token_is_shown_where_it_is_needed_and_never_printed() {
    let any = Listen::Tcp(SocketAddr::from(([0, 0, 0, 0], 0)));
    let served = start(&any, Fake::usual(), Some("s3cret")).await;
    let listen = Listen::Tcp(served.address.unwrap());
    let client = Client::new(&Reach::default(), &listen, Some(&Secret::new("s3cret"))).unwrap();
    assert_eq!(client.jobs().await.unwrap().len(), 2);
    assert!(!format!("{client:?}").contains("s3cret"));
    let error = Client::new(&Reach::default(), &listen, Some(&Secret::new("other"))).unwrap().jobs().await.unwrap_err();
    assert!(matches!(error, ClientError::Refused { status: 401, .. }), "{error:?}");
    assert!(!error.to_string().contains("other"), "{error}");
}

#[test]
fn an_address_that_is_none_is_refused_before_anything_is_sent() {
    for url in ["7411", "ftp://localhost", "localhost:7411", "http://", "unix:/run/x"] {
        let reach = Reach { url: Some(url.to_owned()) };
        assert_eq!(Client::new(&reach, &Listen::Off, None).unwrap_err(), ClientError::BadUrl(url.to_owned()));
    }
    assert_eq!(Client::new(&Reach::default(), &Listen::Off, None).unwrap_err(), ClientError::Off);
}

#[test]
fn a_daemon_on_every_address_is_called_on_loopback() {
    let dial = |text: &str| dialled(text.parse().unwrap()).to_string();
    assert_eq!(dial("0.0.0.0:7411"), "127.0.0.1:7411");
    assert_eq!(dial("[::]:7411"), "[::1]:7411");
    assert_eq!(dial("10.1.2.3:7411"), "10.1.2.3:7411");
}

#[tokio::test]
async fn an_https_address_has_certificates_to_check_against() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let reach = Reach { url: Some(format!("https://{free}/behind/a/proxy/")) };
    let client = Client::new(&reach, &Listen::Off, None).unwrap();
    assert_eq!(client.path(&["jobs", "a/b"]).path(), "/behind/a/proxy/api/v1/jobs/a%2Fb");
    assert!(client.jobs().await.unwrap_err().is_no_daemon());
    with_own_roots().build().unwrap();
}

#[tokio::test]
async fn what_is_no_doorbell_is_told() {
    let app = axum::Router::new().fallback(|| async { "<html>" });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = Listen::Tcp(listener.local_addr().unwrap());
    let client = at(&listen);
    let error = tokio::select! {
        answer = client.jobs() => answer.unwrap_err(),
        ended = axum::serve(listener, app).into_future() => panic!("{ended:?}"),
    };
    assert!(matches!(error, ClientError::NotUs { .. }), "{error:?}");
}
