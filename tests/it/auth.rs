//! Credentials that are made as a request goes: tokens, sessions, challenges and signatures, as the other side sees them.
//!
//! What is signed is computed here once more, from the standards and from nothing of the product.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use sha2::{Digest as _, Sha256};

use crate::support::bridge::{BY_HAND, ORDERS};
use crate::support::http::Request;
use crate::support::signature::SECRET as SIGNED;
use crate::support::{Bridge, Daemon, Receiver, Reply, Vendor};

const LIST: &str = r#"{"orders":[{"id":1}]}"#;
const SECRET: &str = "cl1ent-s3cret";

fn form(request: &Request) -> String {
    String::from_utf8_lossy(&request.body).into_owned()
}

fn bearer(request: &Request) -> Option<String> {
    request.header("authorization")?.strip_prefix("Bearer ").map(str::to_owned)
}

fn unauthorized() -> Reply {
    Reply::status(401)
}

fn issued(token: &str, more: &str) -> Reply {
    Reply::json(format!(r#"{{"access_token":"{token}","token_type":"Bearer"{more}}}"#))
}

/// A config with `jobs` jobs of one vendor with this `auth`, and a sink that takes everything.
fn bridge(vendor: &Vendor, receiver: &Receiver, auth: &str, jobs: usize) -> Bridge {
    let mut text = format!(
        "[daemon]\nstate = 'doorbell.db'\nlisten = '127.0.0.1:0'\n[sink.crm]\nurl = '{}'\n\
         [vendor.shop]\nbase_url = '{}'\nretries = 0\nauth = {auth}\n",
        receiver.url(),
        vendor.url()
    );
    for number in 0..jobs {
        text.push_str(&format!(
            "[job.j{number}]\nvendor = 'shop'\nurl = 'orders?j={number}'\nsend_to = ['crm']\n{ORDERS}\n"
        ));
    }
    Bridge::with(&text).with_env("CLIENT_SECRET", SECRET)
}

const OAUTH2: &str = "{ type = 'oauth2', token_url = 'token', client_id = 'me', client_secret = '${env:CLIENT_SECRET}', scope = ['a', 'b'] }";

/// Requests to a path so far.
fn count(vendor: &Vendor, path: &str) -> usize {
    vendor.requests().iter().filter(|request| request.path() == path).count()
}

/// Waits until the only job has had a good poll.
fn well(daemon: &Daemon<'_>) {
    daemon.job_until("j0", "well", |job| job["health"] == "ok");
}

/// Why the only job fails, once it does.
fn reason(daemon: &Daemon<'_>) -> String {
    let job = daemon.job_until("j0", "failing", |job| job["health"] == "failing");
    job["reason"].as_str().unwrap_or_default().to_owned()
}

/// Nobody has heard of a secret: not the logs, not the state.
fn silent(bridge: &Bridge, logs: &str, secrets: &[&str]) {
    let mut files = vec![("the logs".to_owned(), logs.as_bytes().to_vec())];
    for name in ["doorbell.db", "doorbell.db-wal"] {
        files.push((name.to_owned(), std::fs::read(bridge.path().join(name)).unwrap_or_default()));
    }
    for (name, bytes) in files {
        for secret in secrets {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{name} holds `{secret}`");
        }
    }
}

#[test]
fn fifty_jobs_ask_for_one_token() {
    let vendor = Vendor::scripted(|request| match (request.path(), bearer(request).as_deref()) {
        ("/token", _) => issued("t0ken-of-all", ",\"expires_in\":3600"),
        (_, Some("t0ken-of-all")) => Reply::json(LIST),
        _ => unauthorized(),
    });
    let receiver = Receiver::start();
    let bridge = bridge(&vendor, &receiver, OAUTH2, 50);
    let daemon = bridge.run();
    for number in 0..50 {
        daemon.job_until(&format!("j{number}"), "well", |job| job["health"] == "ok");
    }
    let asked: Vec<_> = vendor.requests().into_iter().filter(|request| request.path() == "/token").collect();
    assert_eq!(asked.len(), 1);
    assert_eq!(form(&asked[0]), "grant_type=client_credentials&scope=a+b");
    assert_eq!(asked[0].header("authorization"), Some("Basic bWU6Y2wxZW50LXMzY3JldA=="));
    silent(&bridge, &daemon.logs(), &["t0ken-of-all", SECRET]);
}

#[test]
fn a_token_is_renewed_before_its_end_and_once_after_a_401() {
    let given = Arc::new(AtomicUsize::new(0));
    let (last, revoked) = (Arc::clone(&given), Arc::new(AtomicUsize::new(0)));
    let gone = Arc::clone(&revoked);
    let vendor = Vendor::scripted(move |request| {
        if request.path() == "/token" {
            let number = last.fetch_add(1, Ordering::SeqCst) + 1;
            // The third one lives for ever.
            return issued(&format!("t{number}"), if number < 3 { ",\"expires_in\":2" } else { "" });
        }
        let number: usize = bearer(request).and_then(|token| token[1..].parse().ok()).unwrap_or_default();
        if number > gone.load(Ordering::SeqCst) { Reply::json(LIST) } else { unauthorized() }
    });
    let receiver = Receiver::start();
    let bridge = bridge(&vendor, &receiver, OAUTH2, 1);
    let daemon = bridge.run();
    crate::support::signal::ask_until("the third token", || (given.load(Ordering::SeqCst) >= 3).then_some(()));
    well(&daemon);
    assert!(vendor.requests().iter().all(|request| bearer(request).as_deref() != Some("t0")));
    assert!(!daemon.logs().contains("answered 401"), "none was used past its end");
    // The vendor takes it back: the poll that notices gets another one, and has not failed.
    revoked.store(3, Ordering::SeqCst);
    crate::support::signal::ask_until("the fourth token", || (given.load(Ordering::SeqCst) >= 4).then_some(()));
    vendor.wait_for_more(3);
    assert_eq!((given.load(Ordering::SeqCst), &daemon.job("j0")["health"]), (4, &"ok".into()));
    // It lets nobody in any more: one more try, and then the job fails for what it is.
    revoked.store(usize::MAX, Ordering::SeqCst);
    assert!(reason(&daemon).contains("answered 401"));
    assert_eq!(given.load(Ordering::SeqCst), 5);
}

/// An endpoint whose refresh tokens are each good once: `r0` comes from the config.
fn rotating(next: Arc<AtomicUsize>) -> Vendor {
    Vendor::scripted(move |request| {
        if request.path() != "/token" {
            return if bearer(request).is_some() { Reply::json(LIST) } else { unauthorized() };
        }
        let number = next.load(Ordering::SeqCst);
        if form(request) != format!("grant_type=refresh_token&refresh_token=refr3sh-{number}&client_id=me") {
            let error = r#"{"error":"invalid_grant"}"#;
            return Reply::Full { status: 400, headers: Vec::new(), body: error.into() };
        }
        next.store(number + 1, Ordering::SeqCst);
        issued(
            &format!("acc3ss-{number}"),
            &format!(",\"expires_in\":3600,\"refresh_token\":\"refr3sh-{}\"", number + 1),
        )
    })
}

#[test]
fn a_rotated_refresh_token_survives_restarts_and_crashes() {
    let next = Arc::new(AtomicUsize::new(0));
    let vendor = rotating(Arc::clone(&next));
    let receiver = Receiver::start();
    let auth = "{ type = 'oauth2', token_url = 'token', client_id = 'me', refresh_token = 'refr3sh-0' }";
    let bridge = bridge(&vendor, &receiver, auth, 1);
    let until = |wanted: usize| {
        crate::support::signal::ask_until("rotations", || (next.load(Ordering::SeqCst) >= wanted).then_some(()));
    };
    // Each start asks for an access token: those are not kept.
    let daemon = bridge.run();
    until(1);
    well(&daemon);
    let logs = daemon.logs();
    daemon.terminate();
    silent(&bridge, &logs, &["refr3sh-1", "acc3ss"]);
    // A token that is used came after its refresh token was written: a crash right then loses nothing.
    for start in 1..4 {
        let daemon = bridge.run();
        let token = format!("acc3ss-{start}");
        crate::support::signal::ask_until("a poll with it", || {
            vendor.requests().iter().any(|request| bearer(request).as_deref() == Some(&*token)).then_some(())
        });
        daemon.kill9();
    }
    let daemon = bridge.run();
    until(5);
    well(&daemon);
    silent(&bridge, &daemon.logs(), &["refr3sh-4", "refr3sh-5", "acc3ss"]);
}

#[test]
fn an_endpoint_without_a_token_is_said_and_spared() {
    let html = Reply::body("text/html", "<html><title>Login</title></html>");
    let refusal = r#"{"error":"invalid_client","error_description":"no cl1ent-s3cret here"}"#;
    let refusal = Reply::Full { status: 401, headers: Vec::new(), body: refusal.into() };
    let huge = Reply::Endless { headers: Vec::new(), piece: vec![b'x'; 65_536] };
    for (reply, words) in [
        (html, "answered 200 with a page of HTML, not with a token; check `token_url`"),
        (refusal, "answered 401: `invalid_client`; check `client_id` and `client_secret`"),
        (huge, "with more than 256 KiB"),
        (Reply::json("{}"), "without an `access_token`"),
        (Reply::Cut, "broke the connection off"),
    ] {
        let vendor = Vendor::scripted(move |_| reply.clone());
        let receiver = Receiver::start();
        let bridge = bridge(&vendor, &receiver, OAUTH2, 3);
        let daemon = bridge.run();
        let said = reason(&daemon);
        assert!(said.contains(words) && said.starts_with("there is no token: `"), "{said}");
        assert_eq!(count(&vendor, "/orders"), 0, "nothing is asked without a token");
        silent(&bridge, &(daemon.logs() + &said), &[SECRET]);
        if words.contains("invalid_client") {
            assert_eq!(count(&vendor, "/token"), 1, "a refusal is not repeated");
        }
    }
}

#[test]
fn a_poll_by_hand_asks_an_endpoint_that_is_spared_but_not_one_that_has_named_a_time() {
    let good = Arc::new(AtomicUsize::new(0));
    let open = Arc::clone(&good);
    let refusal = || Reply::Full { status: 400, headers: Vec::new(), body: r#"{"error":"invalid_client"}"#.into() };
    let vendor = Vendor::scripted(move |request| match (request.path(), open.load(Ordering::SeqCst)) {
        ("/token", 0) => refusal(),
        ("/token", 1) => refusal().with("retry-after", "1000"),
        ("/token", _) => issued("t", ""),
        _ => Reply::json(LIST),
    });
    let receiver = Receiver::start();
    let bridge = bridge(&vendor, &receiver, OAUTH2, 1);
    let daemon = bridge.run();
    assert!(reason(&daemon).contains("invalid_client"));
    assert_eq!(count(&vendor, "/token"), 1, "a refusal is not repeated by itself");
    good.store(1, Ordering::SeqCst);
    let said = daemon.cli(["poll", "j0"]).output();
    assert!(said.contains("invalid_client") && !said.contains("left alone"), "{said}");
    assert_eq!(count(&vendor, "/token"), 2, "a person may have mended it: {said}");
    good.store(2, Ordering::SeqCst);
    let said = daemon.cli(["poll", "j0"]).output();
    assert!(said.contains("it asked to be left alone, and is not asked again before 20"), "{said}");
    assert_eq!(count(&vendor, "/token"), 2, "D5 holds for it, too");
}

#[test]
fn a_report_says_whose_status_it_is_where_there_is_no_token() {
    for (reply, words, status) in [
        (Reply::status(404), "no token, for its endpoint answered 404, 0 bytes", 404.into()),
        (Reply::Cut, "no token, 0 bytes", serde_json::Value::Null),
    ] {
        let vendor = Vendor::scripted(move |_| reply.clone());
        let receiver = Receiver::start();
        let bridge = bridge(&vendor, &receiver, OAUTH2, 1);
        let said = bridge.cli(["poll", "j0"]).stdout;
        assert!(said.lines().next().is_some_and(|line| line.contains("/orders?j=0") && line.contains(words)), "{said}");
        let asked = bridge.cli(["poll", "j0", "--json"]).json()["requests"][0].clone();
        assert_eq!((&asked["status"], &asked["no_token"]), (&serde_json::Value::Null, &true.into()), "{asked}");
        assert_eq!(asked["token_status"], status, "{asked}");
    }
}

#[test]
fn s4_an_endpoint_of_tokens_that_is_gone_is_no_item_that_is_gone() {
    let (tokens, listed) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(2)));
    let shown = Arc::clone(&listed);
    let vendor = Vendor::scripted(move |request| match request.path() {
        "/token" if tokens.fetch_add(1, Ordering::SeqCst) < 2 => issued("t", ""),
        "/token" => Reply::status(404),
        "/orders" if shown.load(Ordering::SeqCst) == 2 => Reply::json(r#"{"orders":[{"id":1},{"id":2}]}"#),
        "/orders" => Reply::json(r#"{"orders":[{"id":1}]}"#),
        _ => unauthorized(),
    });
    let receiver = Receiver::start();
    let job = format!("{BY_HAND}auth = {OAUTH2}\ndeletes = {{ after = 1, confirm = 'orders/{{{{ key }}}}' }}");
    let bridge = Bridge::between(&vendor, &receiver, &job, "").with_env("CLIENT_SECRET", SECRET);
    bridge.cli(["poll", "orders", "--commit"]).ok();
    listed.store(1, Ordering::SeqCst);
    let report = bridge.cli(["poll", "orders", "--commit", "--json"]).ok().json();
    assert_eq!(report["events_total"], 0, "nobody has said that the order is gone: {report}");
    assert_eq!(count(&vendor, "/token"), 3);
}

#[test]
fn a_poll_by_hand_mends_a_job_whose_endpoint_is_well_again() {
    let good = Arc::new(AtomicUsize::new(0));
    let open = Arc::clone(&good);
    let vendor = Vendor::scripted(move |request| match (request.path(), open.load(Ordering::SeqCst)) {
        ("/token", 0) => Reply::Full { status: 401, headers: Vec::new(), body: "{}".into() },
        ("/token", _) => issued("t", ""),
        _ => Reply::json(LIST),
    });
    let receiver = Receiver::start();
    let bridge = bridge(&vendor, &receiver, OAUTH2, 1);
    let daemon = bridge.run();
    reason(&daemon);
    good.store(1, Ordering::SeqCst);
    daemon.cli(["poll", "j0", "--commit"]).ok();
    well(&daemon);
    assert_eq!(count(&vendor, "/token"), 2);
}

#[test]
fn a_session_is_a_log_in_by_token_or_by_cookie_and_is_renewed() {
    for (auth, header, value) in [
        (
            "{ type = 'session', url = 'login', body = { user = 'me', pw = '${env:CLIENT_SECRET}' }, \
          token = '$.data.sid', send = { header = 'X-Session', value = 'S {{ token }}' } }",
            "x-session",
            "S sid-",
        ),
        (
            "{ type = 'session', url = 'login', body = { user = 'me', pw = '${env:CLIENT_SECRET}' } }",
            "cookie",
            "sid=sid-",
        ),
    ] {
        let sessions = Arc::new(AtomicUsize::new(0));
        let (opened, used) = (Arc::clone(&sessions), Arc::new(AtomicUsize::new(0)));
        let vendor = Vendor::scripted(move |request| {
            if request.path() == "/login" {
                assert_eq!(form(request), r#"{"pw":"cl1ent-s3cret","user":"me"}"#);
                let sid = format!("sid-{}", opened.fetch_add(1, Ordering::SeqCst) + 1);
                return Reply::json(format!(r#"{{"data":{{"sid":"{sid}"}}}}"#))
                    .with("set-cookie", &format!("sid={sid}; Path=/; HttpOnly"));
            }
            let good = format!("{value}{}", opened.load(Ordering::SeqCst));
            // Each session is good for three requests.
            if request.header(header) != Some(&*good) || used.fetch_add(1, Ordering::SeqCst) % 4 == 3 {
                return unauthorized();
            }
            Reply::json(LIST)
        });
        let receiver = Receiver::start();
        let bridge = bridge(&vendor, &receiver, auth, 1);
        let daemon = bridge.run();
        crate::support::signal::ask_until("three sessions", || (sessions.load(Ordering::SeqCst) >= 3).then_some(()));
        well(&daemon);
        silent(&bridge, &daemon.logs(), &["sid-1", "sid-2", SECRET]);
    }
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key will do");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// A parameter of an `authorization` header.
fn param<'a>(header: &'a str, name: &str) -> &'a str {
    let start = header.find(&format!("{name}=")).map_or(header.len(), |at| at + name.len() + 1);
    header[start..].split([',', ' ']).next().unwrap_or_default().trim_matches('"')
}

#[test]
fn a_digest_is_answered_and_a_stale_nonce_is_followed() {
    let nonces = Arc::new(AtomicUsize::new(1));
    let current = Arc::clone(&nonces);
    let vendor = Vendor::scripted(move |request| {
        let nonce = format!("n{}", current.load(Ordering::SeqCst));
        let challenge = |stale: &str| {
            let text = format!("Digest realm=\"door\", qop=\"auth\", nonce=\"{nonce}\"{stale}");
            unauthorized().with("www-authenticate", &text)
        };
        let Some(answer) = request.header("authorization") else { return challenge("") };
        if param(answer, "nonce") != nonce {
            return challenge(", stale=true");
        }
        let (nc, cnonce) = (param(answer, "nc"), param(answer, "cnonce"));
        let a1 = hex(Md5::digest(format!("me:door:{SECRET}")));
        let a2 = hex(Md5::digest(format!("GET:{}", request.target)));
        let expected = hex(Md5::digest(format!("{a1}:{nonce}:{nc}:{cnonce}:auth:{a2}")));
        assert_eq!(param(answer, "response"), expected);
        // Each nonce is good for two requests.
        if u32::from_str_radix(nc, 16) == Ok(2) {
            current.fetch_add(1, Ordering::SeqCst);
        }
        Reply::json(LIST)
    });
    let receiver = Receiver::start();
    let auth = "{ type = 'digest', username = 'me', password = '${env:CLIENT_SECRET}' }";
    let bridge = bridge(&vendor, &receiver, auth, 1);
    let daemon = bridge.run();
    crate::support::signal::ask_until("three nonces", || (nonces.load(Ordering::SeqCst) >= 3).then_some(()));
    well(&daemon);
    let unanswered = vendor.requests().iter().filter(|request| request.header("authorization").is_none()).count();
    assert_eq!(unanswered, 1, "a challenge is remembered");
}

/// Says that AWS would take a request, by its own account of how it checks.
fn check_sigv4(request: &Request, service: &str) {
    let header = |name: &str| request.header(name).unwrap_or_else(|| panic!("no `{name}`"));
    let authorization = header("authorization");
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let mut pairs: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    pairs.sort_unstable();
    let names = param(authorization, "SignedHeaders");
    assert!(names.contains("host") && names.contains("x-amz-date"), "{names}");
    let headers: String = names.split(';').map(|name| format!("{name}:{}\n", header(name).trim())).collect();
    let body = hex(Sha256::digest(&request.body));
    let canonical = format!("{}\n{path}\n{}\n{headers}\n{names}\n{body}", request.method, pairs.join("&"));
    let stamp = header("x-amz-date");
    let scope = format!("{}/eu-central-1/{service}/aws4_request", &stamp[..8]);
    assert_eq!(param(authorization, "Credential"), format!("AKID/{scope}"));
    let key = [&stamp[..8], "eu-central-1", service, "aws4_request"]
        .iter()
        .fold(format!("AWS4{SECRET}").into_bytes(), |key, text| hmac(&key, text));
    let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hex(Sha256::digest(canonical)));
    assert_eq!(param(authorization, "Signature"), hex(hmac(&key, &to_sign)));
}

#[test]
fn aws_takes_what_is_signed_from_vendors_and_to_sinks() {
    let vendor = Vendor::scripted(|_| Reply::json(LIST));
    let receiver = Receiver::start();
    let auth = |service: &str| {
        format!(
            "{{ type = 'aws_sigv4', region = 'eu-central-1', service = '{service}', access_key = 'AKID', \
             secret_key = '${{env:CLIENT_SECRET}}' }}"
        )
    };
    let text = format!(
        "[daemon]\nstate = 'doorbell.db'\nlisten = '127.0.0.1:0'\n[sink.crm]\nurl = '{}'\nsecret = '{SIGNED}'\nauth = {}\n\
         [job.j0]\nurl = '{}/orders?b=2&a=1'\nauth = {}\nfirst = 'emit'\nsend_to = ['crm']\n{ORDERS}",
        receiver.url(),
        auth("events"),
        vendor.url(),
        auth("execute-api"),
    );
    let bridge = Bridge::with(&text).with_env("CLIENT_SECRET", SECRET);
    let daemon = bridge.run();
    let hooks = receiver.wait_for(1);
    check_sigv4(&hooks[0].request, "events");
    check_sigv4(&vendor.requests()[0], "execute-api");
    silent(
        &bridge,
        &daemon.logs(),
        &[SECRET, param(hooks[0].request.header("authorization").unwrap_or(""), "Signature")],
    );
}

#[test]
fn an_hmac_is_over_what_the_vendor_says() {
    let vendor = Vendor::scripted(|_| Reply::json(LIST));
    let receiver = Receiver::start();
    let auth = "{ type = 'hmac', header = 'X-Sig', key = '${env:CLIENT_SECRET}', \
                message = '{{ timestamp }}{{ method }}{{ path }}?{{ query }}', value = 'v1={{ signature }}', \
                headers = { X-Time = '{{ timestamp }}' } }";
    let bridge = bridge(&vendor, &receiver, auth, 1);
    let daemon = bridge.run();
    well(&daemon);
    let request = vendor.requests().remove(0);
    let time = request.header("x-time").expect("a time");
    let expected = hex(hmac(SECRET.as_bytes(), &format!("{time}GET{}", request.target)));
    assert_eq!(request.header("x-sig"), Some(&*format!("v1={expected}")));
}

#[test]
fn a_sink_gets_a_token_too_and_another_one_after_a_401() {
    let tokens = Vendor::scripted(|request| match request.path() {
        "/token" if form(request).contains("client_secret=cl1ent-s3cret") => issued("s1nk-token", ""),
        "/token" => Reply::status(500),
        _ => Reply::json(LIST),
    });
    let turned_away = Arc::new(AtomicUsize::new(0));
    let times = Arc::clone(&turned_away);
    let receiver = Receiver::scripted(move |hook| {
        assert_eq!(bearer(&hook.request).as_deref(), Some("s1nk-token"));
        if times.fetch_add(1, Ordering::SeqCst) == 0 { unauthorized() } else { Reply::status(204) }
    });
    let text = format!(
        "[daemon]\nstate = 'doorbell.db'\nlisten = '127.0.0.1:0'\n[sink.crm]\nurl = '{}'\nsecret = '{SIGNED}'\nauth = {{ type = 'oauth2', \
         token_url = '{}/token', client_id = 'me', client_secret = '${{env:CLIENT_SECRET}}', client_auth = 'body' }}\n\
         [job.j0]\nurl = '{}/orders'\nfirst = 'emit'\nsend_to = ['crm']\n{ORDERS}",
        receiver.url(),
        tokens.url(),
        tokens.url(),
    );
    let bridge = Bridge::with(&text).with_env("CLIENT_SECRET", SECRET);
    let daemon = bridge.run();
    let hooks = receiver.wait_for(1);
    assert_eq!((hooks[0].attempt, count(&tokens, "/token")), (1, 2), "the same attempt, with another token");
    let told = daemon.cli(["event", &hooks[0].id, "--json"]).ok().output();
    silent(&bridge, &(daemon.logs() + &told), &["s1nk-token", SECRET]);
}
