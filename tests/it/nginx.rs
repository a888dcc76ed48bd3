//! What stands in front of many an API, in its most common make: nginx asks for a password or a certificate, compresses,
//! tells what it knows of a file's age, caches, and answers in the place of a vendor that is down.

use crate::support::bridge::ORDERS;
use crate::support::nginx::Nginx;
use crate::support::pki::Ca;
use crate::support::signature::SECRET;
use crate::support::{Bridge, Daemon, Receiver, Vendor, pages};

const PAID: &str = r#"{"orders":[{"id":1,"status":"paid"}]}"#;
const SENT: &str = r#"{"orders":[{"id":1,"status":"sent"}]}"#;

/// A folder with a job that polls `/orders` there; `vendor` and `job` are more lines of their tables.
fn bridge(base: &str, receiver: &Receiver, vendor: &str, job: &str) -> Bridge {
    Bridge::with(&format!(
        "[daemon]\nstate = 'doorbell.db'\nlisten = '127.0.0.1:0'\n[sink.crm]\nurl = '{}'\nsecret = '{SECRET}'\n\
         [vendor.shop]\nbase_url = '{base}'\nretries = 0\n{vendor}\n\
         [job.orders]\nvendor = 'shop'\nurl = 'orders'\nsend_to = ['crm']\n{job}\n",
        receiver.url(),
    ))
}

fn http(nginx: &Nginx) -> String {
    format!("http://{}", nginx.addr())
}

fn baseline(daemon: &Daemon<'_>) {
    daemon.job_until("orders", "the baseline", |job| job["last_success"].is_string());
}

#[test]
fn a_password_opens_the_gate_and_a_wrong_one_is_said() {
    // `open-sesame`, as `openssl passwd -apr1` has it.
    let users = [("users", "shop:$apr1$doorbell$mvRlEc1Ttnr.yersaVhs0.\n"), ("orders", PAID)];
    let gate = "auth_basic 'the shop'; auth_basic_user_file users;";
    let nginx = Nginx::start("", gate, false, &users);
    let receiver = Receiver::start();
    let with = |auth: &str| bridge(&http(&nginx), &receiver, auth, ORDERS).cli(["poll", "orders"]);
    let done = with("auth = { type = 'basic', username = 'shop', password = 'open-sesame' }").ok();
    assert!(done.output().contains("complete: 1 item"), "{done:#?}");
    for auth in ["auth = { type = 'basic', username = 'shop', password = 'open' }", ""] {
        let done = with(auth);
        assert_eq!(done.code, Some(1), "{done:#?}");
        assert!(done.output().contains("answered 401") && done.output().contains("auth"), "{done:#?}");
    }
}

#[test]
fn a_certificate_opens_the_gate_and_without_it_is_said_what_is_missing() {
    let (ca, strangers) = (Ca::new("ours"), Ca::new("another"));
    let leaf = ca.sign(&["localhost"]);
    let files = [("ca.pem", &*ca.pem), ("cert.pem", &*leaf.cert), ("key.pem", &*leaf.key), ("orders", PAID)];
    let gate =
        "ssl_certificate cert.pem; ssl_certificate_key key.pem; ssl_client_certificate ca.pem; ssl_verify_client on;";
    let nginx = Nginx::start("", gate, true, &files);
    let (base, receiver) = (format!("https://localhost:{}", nginx.addr().port()), Receiver::start());
    let poll = |tls: &str, client: &crate::support::pki::Leaf| {
        let bridge = bridge(&base, &receiver, tls, ORDERS);
        bridge.write_file("ca.pem", &ca.pem);
        bridge.write_file("client.pem", &client.cert);
        bridge.write_file("client.key", &client.key);
        bridge.cli(["poll", "orders"])
    };
    let (ours, theirs) = (ca.sign(&["doorbell"]), strangers.sign(&["doorbell"]));
    let with = "tls = { ca = 'ca.pem', cert = 'client.pem', key = 'client.key' }";
    let done = poll(with, &ours).ok();
    assert!(done.output().contains("complete: 1 item"), "{done:#?}");
    for (tls, client, words) in [
        ("tls = { ca = 'ca.pem' }", &ours, "No required SSL certificate was sent"),
        (with, &theirs, "The SSL certificate error"),
    ] {
        let done = poll(tls, client);
        let said = done.output();
        assert!(done.code == Some(1) && said.contains("answered 400") && said.contains(words), "{said}");
        assert!(said.contains("tls = { cert"), "it says what to write: {said}");
    }
}

#[test]
fn what_is_compressed_is_read_and_its_weak_etag_is_sent_back() {
    let long = |status: &str| {
        let rows: Vec<_> =
            (0..2000).map(|id| (id, if id == 1999 { status } else { "a status that repeats" })).collect();
        format!(r#"{{"orders":[{}]}}"#, pages::rows(&rows))
    };
    let gzip = "gzip on; gzip_types application/json;";
    let nginx = Nginx::start("", gzip, false, &[("orders", &long("paid"))]);
    let receiver = Receiver::start();
    let bridge = bridge(&http(&nginx), &receiver, "", ORDERS);
    let daemon = bridge.run();
    nginx.wait_for_more("GET /orders 304", 3);
    nginx.serve("orders", &long("sent"));
    assert_eq!(receiver.wait_for(1)[0].key(), "1999");
    nginx.wait_for_more("GET /orders 304", 3);
    let told = nginx.program.told();
    let read: Vec<_> = told.iter().filter(|line| line.starts_with("GET /orders 200 ")).collect();
    let ratio = |line: &&String| line.split(' ').nth(3).and_then(|ratio| ratio.parse::<f64>().ok());
    assert!(read.iter().all(|line| ratio(line).is_some_and(|ratio| ratio > 5.0)), "it was compressed: {read:?}");
    daemon.terminate();
}

#[test]
fn each_kind_of_validator_spares_what_it_can_and_no_change_is_missed() {
    for (headers, spared) in [
        ("", true),
        ("add_header Last-Modified '';", true),
        ("etag off;", true),
        ("etag off; if_modified_since before;", true),
        ("etag off; add_header Last-Modified '';", false),
        ("add_header Cache-Control 'no-cache, no-store, must-revalidate';", true),
        ("expires -1;", true),
        ("expires 10y;", true),
    ] {
        let nginx = Nginx::start("", headers, false, &[("orders", PAID)]);
        let receiver = Receiver::start();
        let bridge = bridge(&http(&nginx), &receiver, "", ORDERS);
        let daemon = bridge.run();
        baseline(&daemon);
        // Both bodies have one size, and may be of one second: nginx's own validators can't tell them apart then.
        nginx.wait_for_more(if spared { "GET /orders 304" } else { "GET /orders 200" }, 2);
        nginx.serve("orders", SENT);
        let hook = receiver.wait_for(1).remove(0);
        assert_eq!(hook.data()["after"]["status"], "sent", "{headers}");
        nginx.wait_for_more("GET /orders", 2);
        assert_eq!(nginx.count("GET /orders 304") > 0, spared, "{headers}");
        daemon.terminate();
        assert_eq!(receiver.wait_for(1).len(), 1, "{headers}: once");
    }
}

#[test]
fn freshness_postpones_a_poll_only_where_the_config_says_so() {
    let every = "every = { min = '50ms', max = '1h' }\nitems = '$.orders[*]'\nkey = '$.id'\n";
    for header in ["expires 1h;", "add_header Cache-Control 'public, max-age=3600';"] {
        let nginx = Nginx::start("", header, false, &[("orders", PAID)]);
        let receiver = Receiver::start();
        let heeding = bridge(&http(&nginx), &receiver, "respect_cache = true", every);
        let daemon = heeding.run();
        baseline(&daemon);
        let job = daemon.job("orders");
        let (last, next) = (job["last_poll"].as_str().expect("a poll"), job["next_run"].as_str().expect("a next run"));
        assert_ne!(last[..13], next[..13], "{header}: an hour later: {job}");
        daemon.terminate();
        assert_eq!(nginx.count("GET /orders"), 1, "{header}");
        let other = bridge(&http(&nginx), &receiver, "", every);
        let daemon = other.run();
        nginx.wait_for_more("GET /orders", 4);
        daemon.terminate();
    }
}

#[test]
fn behind_a_proxy_that_caches_changes_come_late_but_come_and_its_own_errors_are_no_answers() {
    let vendor = Vendor::of(PAID);
    let cache = "proxy_cache_path cache keys_zone=cache:1m;";
    let proxy = format!(
        "location / {{ proxy_pass {}; proxy_cache cache; proxy_cache_valid 200 1s; \
         add_header X-Cache $upstream_cache_status; }}",
        vendor.url()
    );
    let nginx = Nginx::start(cache, &proxy, false, &[]);
    let receiver = Receiver::start();
    let bridge = bridge(&http(&nginx), &receiver, "", ORDERS);
    let daemon = bridge.run();
    baseline(&daemon);
    let asked = vendor.count();
    nginx.wait_for_more("GET /orders 200", 6);
    assert!(vendor.count() - asked < 6, "the cache answers");
    vendor.serve(SENT);
    assert_eq!(receiver.wait_for(1)[0].change(), "updated");
    // The vendor is down: the proxy's page of HTML is a failure with a status, and nothing is gone.
    vendor.reset_connections(true);
    let job = daemon.job_until("orders", "failing", |job| job["health"] == "failing");
    assert!(job["reason"].as_str().is_some_and(|reason| reason.contains("answered 502")), "{job}");
    vendor.reset_connections(false);
    daemon.job_until("orders", "well", |job| job["health"] == "ok");
    vendor.serve(PAID);
    let hooks = receiver.wait_for(2);
    assert_eq!((hooks.len(), hooks[1].change()), (2, "updated"));
    daemon.terminate();
}
