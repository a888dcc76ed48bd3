//! The API over a real socket.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::{Method, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::admin::fake::{Fake, Served, before, job, loopback, start};
use crate::core::config::Listen;

/// A bare HTTP client, without what our own adds.
fn browser() -> reqwest::Client {
    // An `Err` means that another test installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().tls_certs_only(std::iter::empty()).build().unwrap()
}

struct Got {
    status: StatusCode,
    kind: String,
    headers: http::HeaderMap,
    text: String,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

async fn call(served: &Served, method: Method, path: &str, headers: &[(&str, &str)]) -> Got {
    let mut request = browser().request(method, served.url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    let headers = response.headers().clone();
    let kind = headers.get("content-type").map(|kind| kind.to_str().unwrap().to_owned()).unwrap_or_default();
    Got { status: response.status(), kind, headers, text: response.text().await.unwrap() }
}

async fn get(served: &Served, path: &str) -> Got {
    call(served, Method::GET, path, &[]).await
}

async fn usual() -> Served {
    start(&loopback(), Fake::usual(), None).await
}

#[tokio::test]
async fn jobs_and_sinks_are_listed_and_shown() {
    let served = usual().await;
    let jobs = get(&served, "/api/v1/jobs").await;
    assert_eq!((jobs.status, &*jobs.kind), (StatusCode::OK, "application/json"));
    assert_eq!(jobs.json()["data"][0]["name"], "orders");
    assert_eq!(jobs.json()["data"][0]["last_success"], "2026-11-20T15:03:53.000Z");
    assert_eq!(jobs.json()["next"], Value::Null);
    assert_eq!(get(&served, "/api/v1/jobs/stock").await.json()["items"], 7);
    assert_eq!(get(&served, "/api/v1/sinks").await.json()["data"][0]["backlog"], 4);
    assert_eq!(get(&served, "/api/v1/sinks/shop").await.json()["dead"], 1);
    assert_eq!(get(&served, "/api/v1/vendors").await.json()["data"][0]["budget_left"], 12);
    assert_eq!(get(&served, "/api/v1/state/jobs?limit=1").await.json()["data"][0]["in_config"], false);
    assert_eq!(get(&served, "/api/v1/state/sinks").await.json()["data"][0]["waiting"], 4);
}

#[tokio::test]
async fn a_list_is_paged_by_name() {
    let fake = Fake { jobs: ["a", "b", "c"].map(job).to_vec(), ..Fake::default() };
    let served = start(&loopback(), Arc::new(fake), None).await;
    let first = get(&served, "/api/v1/jobs?limit=2").await.json();
    assert_eq!((first["data"].as_array().unwrap().len(), &first["next"]), (2, &Value::from("b")));
    let second = get(&served, "/api/v1/jobs?limit=2&after=b").await.json();
    assert_eq!((&second["data"][0]["name"], &second["next"]), (&Value::from("c"), &Value::Null));
}

#[tokio::test]
async fn an_events_body_keeps_its_digits() {
    let served = usual().await;
    let event = get(&served, "/api/v1/events/evt_2").await;
    assert!(event.text.contains(r#""id":9007199254740993,"total":1.10"#), "{}", event.text);
    assert_eq!(event.json()["attempts"][0]["status"], 204);
    assert_eq!(event.json()["type"], "orders.updated");
}

#[tokio::test]
async fn events_are_listed_by_filter() {
    let served = usual().await;
    let page = get(&served, "/api/v1/events?job=orders&limit=2&since=2026-11-20T00:00:00Z").await.json();
    assert_eq!((&page["data"][0]["id"], &page["next"]), (&Value::from("evt_3"), &Value::from(2)));
    let page = get(&served, "/api/v1/events?order=oldest&after=2").await.json();
    assert_eq!((&page["data"][0]["id"], &page["next"]), (&Value::from("evt_3"), &Value::Null));
    let asked = served.fake.calls.lock().unwrap()[0].clone();
    assert!(asked.contains(r#""job":"orders""#) && asked.contains("2026-11-20T00:00:00.000Z"), "{asked}");
}

#[tokio::test]
async fn every_error_is_problem_details() {
    let served = usual().await;
    for (method, path, status, detail) in [
        (Method::GET, "/nowhere", 404, "there is nothing at `/nowhere`"),
        (Method::GET, "/api/v1/jobs/ordrs", 404, "did you mean `orders`?"),
        (Method::GET, "/api/v1/sinks/shopp", 404, "did you mean `shop`?"),
        (Method::GET, "/api/v1/events/evt_9", 404, "there is no event `evt_9`"),
        (Method::GET, "/api/v1/events?jbo=1", 400, "did you mean `job`?"),
        (Method::GET, "/api/v1/jobs/%ff", 400, "not UTF-8"),
        (Method::GET, "/api/v1/jobs/orders/poll", 405, "is not for `GET`"),
        (Method::DELETE, "/api/v1/jobs/orders", 405, "is not for `DELETE`"),
        (Method::POST, "/api/v1/jobs/orders/poll?commit=maybe", 400, "`true` or `false`"),
        (Method::POST, "/api/v1/jobs/busy/poll", 409, "is being polled"),
    ] {
        let got = call(&served, method.clone(), path, &[]).await;
        assert_eq!((got.status.as_u16(), &*got.kind), (status, "application/problem+json"), "{method} {path}");
        let problem = got.json();
        assert_eq!((&problem["type"], &problem["status"]), (&Value::from("about:blank"), &Value::from(status)));
        assert_eq!(problem["title"], got.status.canonical_reason().unwrap());
        assert!(problem["detail"].as_str().unwrap().contains(detail), "{problem}");
        assert_eq!(got.headers.contains_key("allow"), status == 405, "{method} {path}");
    }
}

#[tokio::test]
async fn deliveries_are_listed_by_filter_and_a_name_that_is_none_is_told() {
    let served = usual().await;
    let query = "sink=shop&job=orders&state=dead,held&since=2026-11-20T00:00:00Z&until=2026-11-21T00:00:00Z&limit=2";
    let page = get(&served, &format!("/api/v1/deliveries?{query}")).await.json();
    let row = &page["data"][0];
    assert_eq!((&row["id"], &row["event"], &row["state"]), (&3.into(), &"evt_3".into(), &"delivered".into()), "{row}");
    assert_eq!(page["next"], 2);
    let asked = served.fake.calls.lock().unwrap()[0].clone();
    for part in [r#""sink":"shop","job":"orders","states":["dead","held"]"#, "2026-11-21T00:00:00.000Z", r#""limit":2"#]
    {
        assert!(asked.contains(part), "{asked}");
    }
    let none = get(&served, "/api/v1/deliveries?job=ordrs").await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    assert!(none.text.contains("did you mean `orders`?"), "{}", none.text);
    let empty = get(&served, "/api/v1/deliveries?job=stock").await.json();
    assert_eq!(empty, serde_json::json!({ "data": [], "next": null }));
}

#[tokio::test]
async fn what_a_person_does_is_handed_on_whole() {
    let served = usual().await;
    for path in [
        "/api/v1/replay?job=orders&sink=shop&state=dead&since=2026-11-20T00:00:00Z&dry_run=true",
        "/api/v1/events/evt_2/replay?sink=shop",
        "/api/v1/deliveries/3/retry",
        "/api/v1/jobs/orders/pause",
        "/api/v1/sinks/shop/resume",
        "/api/v1/events/evt_2/replay?render=true",
        "/api/v1/drop?sink=shop&until=2026-11-20T00:00:00Z&dry_run=true",
    ] {
        assert_eq!(call(&served, Method::POST, path, &[]).await.status, StatusCode::OK, "{path}");
        assert_eq!(get(&served, path).await.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
    }
    let calls = served.fake.calls.lock().unwrap().clone();
    let filter = r#"{"event":null,"job":"orders","sink":"shop","states":["dead"],"since":"2026-11-20T00:00:00.000Z","until":null}"#;
    assert_eq!(calls[0], format!("replay true {filter}"));
    assert!(calls[1].starts_with(r#"replay false {"event":"evt_2","job":null,"sink":"shop""#), "{calls:?}");
    assert_eq!(calls[2..5], ["retry 3", "pause job orders", "resume sink shop"]);
    assert!(calls[5].starts_with(r#"replay render false {"event":"evt_2""#), "{calls:?}");
    let held = r#"{"sink":"shop","job":null,"since":null,"until":"2026-11-20T00:00:00.000Z"}"#;
    assert_eq!(calls[6], format!("drop true {held}"));
    for (path, status, detail) in [
        ("/api/v1/replay", 400, "say what to replay"),
        ("/api/v1/drop", 400, "say whose held deliveries to drop"),
        ("/api/v1/drop?state=held", 400, "there is no parameter `state`"),
        ("/api/v1/replay?state=due", 400, "have not ended"),
        ("/api/v1/replay?state=lost", 400, "but must be `delivered` or `dead`"),
        ("/api/v1/deliveries/x/retry", 404, "its id is a number"),
        ("/api/v1/deliveries/7/retry", 409, "is on its way"),
    ] {
        let got = call(&served, Method::POST, path, &[]).await;
        assert_eq!((got.status.as_u16(), &*got.kind), (status, "application/problem+json"), "{path}");
        assert!(got.text.contains(detail), "{}", got.text);
    }
}

#[tokio::test]
async fn a_poll_is_dry_unless_it_is_asked_to_commit() {
    let served = usual().await;
    for (query, commit) in [("", false), ("?commit=false", false), ("?commit=true", true)] {
        let path = format!("/api/v1/jobs/orders/poll{query}");
        assert_eq!(call(&served, Method::POST, &path, &[]).await.json()["committed"], commit, "{query}");
    }
    assert_eq!(*served.fake.calls.lock().unwrap(), ["poll orders false", "poll orders false", "poll orders true"]);
}

#[tokio::test]
async fn a_sink_is_tested() {
    let served = usual().await;
    let report = call(&served, Method::POST, "/api/v1/sinks/shop/test", &[]).await.json();
    assert_eq!((&report["delivered"], &report["attempt"]["status"]), (&Value::from(true), &Value::from(204)));
}

#[tokio::test]
async fn a_foreign_page_reaches_nothing() {
    let served = usual().await;
    let poll = "/api/v1/jobs/orders/poll?commit=true";
    let foreign = call(&served, Method::POST, poll, &[("origin", "https://evil.example")]).await;
    assert_eq!((foreign.status, &*foreign.kind), (StatusCode::FORBIDDEN, "application/problem+json"));
    let site = call(&served, Method::POST, poll, &[("sec-fetch-site", "cross-site")]).await;
    assert_eq!(site.status, StatusCode::FORBIDDEN);
    for path in ["/api/v1/jobs", "/metrics", "/healthz", "/nowhere"] {
        let rebound = call(&served, Method::GET, path, &[("host", "evil.example")]).await;
        assert_eq!(rebound.status, StatusCode::MISDIRECTED_REQUEST, "{path}");
    }
    assert!(served.fake.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_wrong_token_is_refused() {
    let any = Listen::Tcp(std::net::SocketAddr::from(([0, 0, 0, 0], 0)));
    let served = start(&any, Fake::usual(), Some("s3cret")).await;
    for path in ["/api/v1/jobs", "/metrics", "/nowhere"] {
        let refused = call(&served, Method::GET, path, &[("authorization", "Bearer wrong")]).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{path}");
        assert!(refused.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
        assert!(!refused.text.contains("s3cret"));
        assert_eq!(get(&served, path).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    let right = call(&served, Method::GET, "/api/v1/jobs", &[("authorization", "Bearer s3cret")]).await;
    assert_eq!(right.status, StatusCode::OK);
    assert_eq!(get(&served, "/healthz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_open_listener_without_a_token_is_not_served() {
    let any = Listen::Tcp(std::net::SocketAddr::from(([0, 0, 0, 0], 0)));
    let served = start(&any, Fake::usual(), None).await;
    let error = served.task.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("`daemon.token` is needed"), "{error}");
}

#[tokio::test]
async fn health_follows_progress() {
    let served = usual().await;
    assert_eq!(get(&served, "/healthz").await.text, "ok\n");
    served.clock.store(before(-60).0, Ordering::Relaxed);
    let stuck = get(&served, "/healthz").await;
    assert_eq!(stuck.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(stuck.json()["detail"], "the scheduler has made no progress for 65 s");
    assert_eq!(get(&served, "/api/v1/status").await.json()["stuck"], stuck.json()["detail"]);
    served.pulse.scheduler_beat(before(-60));
    served.pulse.store_beat(before(-60));
    assert_eq!(get(&served, "/healthz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn readiness_is_said_only_between_start_and_drain() {
    let served = usual().await;
    let starting = get(&served, "/readyz").await;
    assert_eq!(starting.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(starting.json()["detail"], "the daemon is starting");
    served.readiness.set_ready();
    assert_eq!(get(&served, "/readyz").await.status, StatusCode::OK);
    served.readiness.set_draining();
    assert_eq!(get(&served, "/readyz").await.json()["detail"], "the daemon is draining");
}

#[tokio::test]
async fn metrics_are_scraped() {
    let served = usual().await;
    let got = get(&served, "/metrics").await;
    assert!(got.kind.starts_with("application/openmetrics-text"), "{}", got.kind);
    assert!(got.text.contains("doorbell_delivery_queue{sink=\"shop\",state=\"waiting\"} 4"), "{}", got.text);
}

#[tokio::test]
async fn no_answer_may_be_cached_or_framed() {
    let served = usual().await;
    let got = get(&served, "/api/v1/jobs").await;
    assert_eq!(got.headers["cache-control"], "no-store");
    assert_eq!(got.headers["x-content-type-options"], "nosniff");
    assert!(!got.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn a_shutdown_ends_the_server_with_a_connection_open() {
    let served = usual().await;
    let _idle = tokio::net::TcpStream::connect(served.address.unwrap()).await.unwrap();
    assert_eq!(get(&served, "/healthz").await.status, StatusCode::OK);
    served.shutdown.cancel();
    served.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_shutdown_lets_what_is_under_way_finish() {
    let served = usual().await;
    let poll = call(&served, Method::POST, "/api/v1/jobs/slow/poll", &[]);
    let stop = async {
        served.fake.begun.notified().await;
        served.shutdown.cancel();
        let refused = || async { tokio::net::TcpStream::connect(served.address.unwrap()).await.is_err() };
        while !refused().await {
            tokio::task::yield_now().await;
        }
        served.fake.go.notify_one();
    };
    let (polled, ()) = tokio::join!(poll, stop);
    assert_eq!(polled.status, StatusCode::OK);
    served.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_body_that_nobody_asked_for_is_refused_and_not_read() {
    let served = usual().await;
    let mut stream = tokio::net::TcpStream::connect(served.address.unwrap()).await.unwrap();
    let head = "POST /api/v1/jobs/orders/poll HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 400 Bad Request"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn the_parameters_of_an_action_may_stand_in_its_body() {
    let served = usual().await;
    let act = |body: &'static str| browser().post(served.url("/api/v1/replay?sink=crm")).body(body).send();
    for (body, dry_run) in
        [(r#"{"dry_run":true,"job":null}"#, true), (r#"{"dry_run":"true"}"#, true), ("", false), (" {}\n", false)]
    {
        let answer = act(body).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{body:?}");
        assert!(answer.text().await.unwrap().contains(&format!("\"dry_run\":{dry_run}")), "{body:?}");
    }
    for (body, why) in [
        ("dry_run=true", "nothing was done"),
        ("[true]", "nothing was done"),
        (r#"{"dry_run":{}}"#, "nothing was done"),
        (r#"{"dry-run":true}"#, "dry-run"),
        (r#"{"sink":"other"}"#, "sink"),
    ] {
        let refused = act(body).await.unwrap();
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{body}");
        let detail = refused.text().await.unwrap();
        assert!(detail.contains(why), "{body}: {detail}");
    }
}

#[tokio::test]
async fn what_is_not_http_is_answered_and_cut_off() {
    let served = usual().await;
    for garbage in ["\0\0\0\0\r\n\r\n".to_owned(), format!("GET / HTTP/1.1\r\nx: {}", "a".repeat(1_000_000))] {
        let mut stream = tokio::net::TcpStream::connect(served.address.unwrap()).await.unwrap();
        // The answer may come, and the connection be cut, before all is written.
        let _ = stream.write_all(garbage.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(get(&served, "/healthz").await.status, StatusCode::OK);
}
