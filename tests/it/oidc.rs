//! Tokens of an authorization server that nobody here wrote: `oidc-provider`, which takes a refresh token once and ends
//! the whole grant when it sees one again; and assertions, as `jose` believes them.
//!
//! Both come from npm by `make test-tools`. Without them these tests fail.

use serde_json::Value;

use crate::support::bridge::ORDERS;
use crate::support::program::Program;
use crate::support::{Bridge, Daemon, Receiver, http};

const GIVEN: &str = "POST /token 200";
const READ: &str = "GET /orders 200";
const REFUSED: &str = "GET /orders 401";

/// The server, with tokens that live so many seconds, and what it tells before it serves.
struct Provider {
    program: Program,
    facts: Value,
}

impl Provider {
    fn start(life: &str) -> Self {
        let program = Program::node("oidc_server.mjs", &[life]);
        program.wait_until("what it knows", |lines| !lines.is_empty());
        let facts = serde_json::from_str(&program.told()[0]).expect("it tells JSON");
        Self { program, facts }
    }

    fn url(&self) -> String {
        format!("http://{}", self.program.addr)
    }

    /// Takes back every access token.
    fn revoke(&self) {
        assert_eq!(http::ask(self.program.addr, "POST", "/revoke", &[], b"").expect("an answer").status, 200);
    }

    fn refresh_token(&self) -> &str {
        self.facts["refresh"].as_str().expect("a token is text")
    }

    /// How many requests for a token were not answered with one.
    fn refusals(&self) -> usize {
        self.program.told().iter().filter(|line| line.starts_with("POST /token ") && *line != GIVEN).count()
    }

    /// A config with so many jobs of one vendor with this `auth`.
    fn bridge(&self, receiver: &Receiver, auth: &str, jobs: usize) -> Bridge {
        let mut text = format!(
            "[daemon]\nstate = 'doorbell.db'\nlisten = '127.0.0.1:0'\n[sink.crm]\nurl = '{}'\n\
             [vendor.shop]\nbase_url = '{}'\nretries = 0\nauth = {auth}\n",
            receiver.url(),
            self.url()
        );
        for number in 0..jobs {
            text.push_str(&format!(
                "[job.j{number}]\nvendor = 'shop'\nurl = 'orders?j={number}'\nsend_to = ['crm']\n{ORDERS}\n"
            ));
        }
        Bridge::with(&text).with_env("REFRESH_TOKEN", self.refresh_token())
    }
}

fn all_well(daemon: &Daemon<'_>, jobs: usize) {
    for number in 0..jobs {
        daemon.job_until(&format!("j{number}"), "well", |job| job["health"] == "ok");
    }
}

/// RFC 6749, section 2.3.1: what stands in the header is form-encoded first, which only odd characters show.
const CLIENTS: [&str; 2] = [
    "client_id = 'in:header', client_secret = '50% +~/b:c'",
    "client_id = 'in-body', client_secret = '50% +~/b:c', client_auth = 'body'",
];

#[test]
fn a_real_server_gives_one_token_for_ten_jobs_and_another_after_a_401() {
    for client in CLIENTS {
        let (provider, receiver) = (Provider::start("3600"), Receiver::start());
        let auth = format!("{{ type = 'oauth2', token_url = 'token', scope = 'orders', {client} }}");
        let bridge = provider.bridge(&receiver, &auth, 10);
        let daemon = bridge.run();
        all_well(&daemon, 10);
        assert_eq!((provider.program.count(GIVEN), provider.refusals()), (1, 0), "{client}");
        provider.revoke();
        provider.program.wait_for(REFUSED, 1);
        provider.program.wait_for(GIVEN, 2);
        provider.program.wait_for_more(READ, 20);
        assert_eq!((provider.program.count(GIVEN), provider.refusals()), (2, 0), "{client}");
        assert!(!daemon.logs().contains("\"failed\""), "no poll has failed: {}", daemon.logs());
        daemon.terminate();
    }
}

#[test]
fn a_token_of_a_real_server_is_renewed_before_its_end() {
    // The server counts in whole seconds, so a life of 12 s may be one of 11: a tenth ahead is before both.
    let (provider, receiver) = (Provider::start("12"), Receiver::start());
    let auth = format!("{{ type = 'oauth2', token_url = 'token', scope = 'orders', {} }}", CLIENTS[0]);
    let bridge = provider.bridge(&receiver, &auth, 3);
    let daemon = bridge.run();
    provider.program.wait_for(GIVEN, 2);
    provider.program.wait_for_more(READ, 3);
    assert_eq!((provider.program.count(REFUSED), provider.refusals()), (0, 0));
    daemon.terminate();
}

#[test]
fn s1_a_chain_of_refresh_tokens_outlives_kills_restarts_and_revocations() {
    let (provider, receiver) = (Provider::start("3600"), Receiver::start());
    let auth = "{ type = 'oauth2', token_url = 'token', client_id = 'rotating', client_secret = 's3cret', \
                refresh_token = '${env:REFRESH_TOKEN}' }";
    let bridge = provider.bridge(&receiver, auth, 5);
    // The server ends the grant when it sees a refresh token a second time: from then on nothing would be given. The
    // moment of each kill is the first request with a new token, which was committed before.
    for start in 1..=4 {
        let daemon = bridge.run();
        provider.program.wait_for(&format!("token {start} is used"), 1);
        daemon.kill9();
    }
    let daemon = bridge.run();
    all_well(&daemon, 5);
    provider.revoke();
    provider.program.wait_for(GIVEN, 6);
    provider.program.wait_for_more(READ, 10);
    all_well(&daemon, 5);
    daemon.terminate();
    let daemon = bridge.run();
    provider.program.wait_for(GIVEN, 7);
    provider.program.wait_for_more(READ, 10);
    assert_eq!((provider.program.count(GIVEN), provider.refusals()), (7, 0), "one for each start, one for the 401");
    // Nothing of it can be read where it is kept.
    let state = std::fs::read(bridge.state()).expect("a state");
    let first = provider.refresh_token().as_bytes();
    assert!(!state.windows(first.len()).any(|part| part == first));
    daemon.terminate();
}

#[test]
fn assertions_of_every_algorithm_are_believed_by_a_library_that_is_not_ours() {
    let (provider, receiver) = (Provider::start("3600"), Receiver::start());
    for algorithm in ["RS256", "ES256", "HS256", "EdDSA"] {
        let auth = format!(
            "{{ type = 'jwt_bearer', token_url = 'assertion/{algorithm}', algorithm = '{algorithm}', \
             key = '${{env:KEY}}', headers = {{ kid = 'k1' }}, claims = {{ iss = 'me@shop.example', sub = 'zoe' }} }}"
        );
        let key = provider.facts["keys"][algorithm].as_str().expect("a key");
        let bridge = provider.bridge(&receiver, &auth, 3).with_env("KEY", key);
        let daemon = bridge.run();
        all_well(&daemon, 3);
        let given = format!("POST /assertion/{algorithm} 200");
        assert_eq!(provider.program.count(&given), 1, "{algorithm}: one for three jobs");
        provider.revoke();
        provider.program.wait_for(&given, 2);
        provider.program.wait_for_more(READ, 6);
        all_well(&daemon, 3);
        let refused = provider.program.told().iter().filter(|line| line.ends_with(" 400")).count();
        assert_eq!(refused, 0, "{algorithm}: a new assertion each time");
        daemon.terminate();
    }
}

#[test]
fn what_a_real_server_refuses_is_said_in_its_words() {
    let (provider, receiver) = (Provider::start("3600"), Receiver::start());
    for (auth, words) in [
        (
            "{ type = 'oauth2', token_url = 'token', client_id = 'in-body', client_secret = 'wrong', client_auth = 'body' }",
            "answered 401: `invalid_client`",
        ),
        (
            "{ type = 'oauth2', token_url = 'token', client_id = 'rotating', client_secret = 's3cret', refresh_token = 'spent' }",
            "answered 400: `invalid_grant`",
        ),
        (
            "{ type = 'oauth2', token_url = 'token', client_id = 'rotating', client_secret = 's3cret' }",
            "requested grant type is not allowed for this client",
        ),
    ] {
        let bridge = provider.bridge(&receiver, auth, 1);
        let done = bridge.cli(["poll", "j0"]);
        assert!(done.code == Some(1) && done.output().contains(words), "{done:#?}");
    }
}
