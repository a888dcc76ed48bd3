//! Recorded polls: without secrets, and the same events when they are replayed offline.

use std::fs;

use serde_json::{Value, json};

use crate::support::bridge::{BY_HAND, Done, finish};
use crate::support::pages::{self, Orders, linked};
use crate::support::{Bridge, Receiver, Reply, Vendor};

const TOKEN: &str = "tok-4711-secret";

fn orders(total: u32) -> String {
    format!(r#"{{"orders":[{{"id":1,"total":{total}}},{{"id":2,"total":7}}]}}"#)
}

fn record(bridge: &Bridge, file: &str) -> Value {
    let done = bridge.cli(["poll", "orders", "--commit", "--json", "--record", file]).ok();
    assert!(done.json()["recording"].is_null(), "it is for the file");
    done.json()
}

/// Two polls, of which the second one finds a change.
fn recorded() -> (Vendor, Receiver, Bridge, Value) {
    let (vendor, receiver) = (Vendor::of(&orders(5)), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, BY_HAND, "");
    record(&bridge, "1.json");
    vendor.serve(&orders(6));
    let report = record(&bridge, "2.json");
    (vendor, receiver, bridge, report)
}

fn replay(bridge: &Bridge, args: &[&str]) -> Done {
    bridge.cli([&["replay-poll", "1.json", "2.json"], args].concat())
}

fn fails(done: &Done, part: &str) {
    assert_eq!(done.code, Some(1), "{done:#?}");
    assert!(done.stderr.contains(part), "{part}: {done:#?}");
}

#[test]
fn a_replay_makes_the_events_of_the_recorded_polls_and_asks_and_keeps_nothing() {
    let (vendor, receiver, bridge, report) = recorded();
    let (asked, state) = (vendor.count(), fs::read(bridge.state()).expect("a state"));
    receiver.wait_for(1);
    let replayed = replay(&bridge, &["--json"]).ok().json();
    assert_eq!(replayed["polls"][0]["baseline"], true);
    let (was, is) = (&report["events"][0], &replayed["polls"][1]["events"][0]);
    for part in ["change", "key", "sinks"] {
        assert_eq!(was[part], is[part], "{replayed:#}");
    }
    assert_eq!(was["body"]["data"]["before"], is["body"]["data"]["before"]);
    assert_eq!(was["body"]["data"]["after"], is["body"]["data"]["after"]);
    // The clock is the recording's, whose milliseconds are whole ones.
    let recording: Value =
        serde_json::from_str(&fs::read_to_string(bridge.path().join("2.json")).expect("a file")).expect("JSON");
    let time = |value: &Value| value.as_str().expect("a time").to_owned();
    let (began, told) = (time(&recording["at"]), time(&is["body"]["timestamp"]));
    assert!(began <= told && told <= time(&was["body"]["timestamp"]), "{began} {told}");
    assert_eq!(replay(&bridge, &["--json"]).json(), replayed, "the same each time");
    assert_eq!(vendor.count(), asked);
    assert_eq!(fs::read(bridge.state()).expect("a state"), state);
    assert_eq!(receiver.attempts().len(), 1);
    let shown = replay(&bridge, &[]).ok().stdout;
    assert!(shown.contains("2.json, recorded ") && shown.contains("~ updated 1  to crm"), "{shown}");
}

#[test]
fn what_is_expected_passes_and_an_edited_config_is_told_how_it_differs() {
    let (_vendor, _receiver, bridge, _) = recorded();
    bridge.write_file("expected.json", &replay(&bridge, &["--json"]).ok().stdout);
    let same = replay(&bridge, &["--expect", "expected.json"]).ok();
    assert_eq!(same.stdout, "as expected: 2 polls, 1 events\n");
    let config = fs::read_to_string(bridge.path().join("doorbell.toml")).expect("a config");
    bridge.write(&config.replace("key = '$.id'", "key = '$.id'\nignore = ['$.total']"));
    let done = replay(&bridge, &["--expect", "expected.json"]);
    fails(&done, "poll 2, updated 1: was expected and did not come");
    bridge.write(&config.replace("key = '$.id'", "key = '$.id'\ntype = 'other'"));
    fails(&replay(&bridge, &["--expect", "expected.json"]), "/body/type: expected \"orders.updated\", got \"other\"");
    bridge.write_file("expected.json", "{}");
    fails(&replay(&bridge, &["--expect", "expected.json"]), "`expected.json` says nothing of polls");
}

#[test]
fn s10_a_recording_holds_no_secret_and_is_replayed_without_any() {
    let echo = format!(r#"{{"orders":[{{"id":1,"echo":"Bearer {TOKEN}"}}],"q":"qu-4712-ery","other":"hook-4713-s"}}"#);
    let reply = Reply::json(&*echo).with("set-cookie", "sid=cookie-4714").with("x-echo", TOKEN);
    let (vendor, receiver) = (Vendor::of(""), Receiver::start());
    vendor.reply(reply);
    let job = format!(
        "{BY_HAND}query = {{ k = '${{env:QUERY}}' }}\nauth = {{ type = 'bearer', token = '${{env:TOKEN}}' }}\n\
         headers = {{ x-literal = 'plain' }}\n"
    );
    let bridge = Bridge::between(&vendor, &receiver, &job, "headers = { x-hook = '${env:HOOK}' }");
    let secrets = [("TOKEN", TOKEN), ("QUERY", "qu-4712-ery"), ("HOOK", "hook-4713-s")];
    let bridge = secrets.iter().fold(bridge, |bridge, (name, value)| bridge.with_env(name, value));
    record(&bridge, "1.json");
    let daemon = bridge.run();
    daemon.cli(["poll", "orders", "--record", "2.json"]).ok();
    for file in ["1.json", "2.json"] {
        let text = fs::read_to_string(bridge.path().join(file)).expect("a recording");
        for secret in secrets.iter().map(|(_, value)| *value).chain(["cookie-4714"]) {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        assert!(text.contains("Bearer ***") && text.contains("plain"), "{text}");
    }
    let replayed = bare(&bridge, &["1.json", "2.json"], &secrets.map(|(name, _)| name));
    assert_eq!(replayed["polls"][1]["events_total"], 0, "{replayed:#}");
    assert_eq!(replayed["polls"][0]["items"], 1);
}

#[test]
fn every_page_is_recorded_and_a_page_that_is_not_there_is_named_with_the_nearest() {
    let orders = Orders::of(5);
    let (vendor, receiver) = (linked(&orders), Receiver::start());
    let bridge = pages::bridge(&vendor, &receiver, "style = 'link'");
    record(&bridge, "1.json");
    orders.set(4, "paid");
    let report = record(&bridge, "2.json");
    let replayed = replay(&bridge, &["--json"]).ok().json();
    assert_eq!(pages::changes(&replayed["polls"][1]), pages::changes(&report));
    assert_eq!(pages::changes(&report).len(), 1, "{report:#}");
    let path = bridge.path().join("2.json");
    let mut cut: Value = serde_json::from_str(&fs::read_to_string(&path).expect("a file")).expect("JSON");
    let exchanges = cut["exchanges"].as_array_mut().expect("exchanges");
    assert!(exchanges.len() > 1);
    exchanges.truncate(1);
    bridge.write_file("2.json", &cut.to_string());
    let done = replay(&bridge, &[]);
    fails(&done, "the recording holds no answer to `GET http");
    assert!(done.stderr.contains("the nearest that it holds is `GET http"), "{done:#?}");
}

#[test]
fn files_that_are_no_recordings_are_refused_with_a_reason() {
    let (_vendor, _receiver, bridge, _) = recorded();
    let good: Value =
        serde_json::from_str(&fs::read_to_string(bridge.path().join("1.json")).expect("a file")).expect("JSON");
    let with = |name: &str, value: Value| {
        let mut other = good.clone();
        other[name] = value;
        other.to_string()
    };
    for (text, why) in [
        (String::new(), "`2.json` is empty"),
        ("{".to_owned(), "`2.json` is damaged, or no recording"),
        ("{}".to_owned(), "`2.json` is no recording of a poll"),
        (with("doorbell_recording", json!(9)), "`2.json` is a recording of version `9`"),
        (with("exchanges", json!([])), "`2.json` holds no request"),
        (with("exchanges", json!([{"at": 5}])), "`2.json` is damaged"),
        (with("job", json!("ordres")), "`2.json` is a recording of the job `ordres`, and `1.json` of `orders`"),
    ] {
        bridge.write_file("2.json", &text);
        fails(&replay(&bridge, &[]), why);
    }
    let done = bridge.cli(["replay-poll", "none.json"]);
    fails(&done, "`none.json` can't be read");
    bridge.write_file("2.json", &with("job", json!("ordres")));
    fails(&bridge.cli(["replay-poll", "2.json"]), "the job `ordres`: there is no job `ordres`; did you mean `orders`?");
}

#[test]
fn a_file_that_is_there_is_not_written_over_and_nothing_is_asked() {
    let (vendor, _receiver, bridge, _) = recorded();
    let asked = vendor.count();
    let before = fs::read(bridge.path().join("1.json")).expect("a file");
    fails(
        &bridge.cli(["poll", "orders", "--commit", "--record", "1.json"]),
        "`1.json` can't be written: it is there already",
    );
    assert_eq!(vendor.count(), asked);
    assert_eq!(fs::read(bridge.path().join("1.json")).expect("a file"), before);
    let done = bridge.cli(["poll", "ordres", "--record", "3.json"]);
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(!bridge.path().join("3.json").exists());
}

#[test]
fn a_failed_poll_is_recorded_with_its_reason_and_an_error_that_the_config_knows_is_judged_anew() {
    let (vendor, receiver) = (Vendor::of(""), Receiver::start());
    vendor.reply(Reply::status(500));
    let bridge = Bridge::between(&vendor, &receiver, BY_HAND, "");
    assert_eq!(bridge.cli(["poll", "orders", "--record", "1.json"]).code, Some(1));
    vendor.serve(&orders(5));
    record(&bridge, "2.json");
    let replayed = replay(&bridge, &["--json"]).ok().json();
    assert_eq!(replayed["polls"][0]["outcome"], "failed");
    assert!(replayed["polls"][0]["reason"].as_str().is_some_and(|reason| reason.contains("500")), "{replayed:#}");
    assert_eq!(replayed["polls"][1]["outcome"], "complete");
}

/// Replays without these variables.
fn bare(bridge: &Bridge, files: &[&str], without: &[&str]) -> Value {
    let mut command = bridge.executable();
    for name in without {
        command.env_remove(name);
    }
    command.args(["-c", "doorbell.toml", "replay-poll", "--json"]).args(files);
    finish(command).ok().json()
}

fn file(bridge: &Bridge, name: &str) -> String {
    fs::read_to_string(bridge.path().join(name)).expect("a recording")
}

#[test]
fn s10_a_secret_of_digits_leaves_a_recording_that_can_be_read() {
    // It is a number of an item, a string, a part of a key, a link's parameter, and the port's digits may be in it.
    let vendor = Vendor::scripted(|request| match request.target.contains("page=2") {
        true => Reply::json(r#"{"orders":[{"id":3,"pin":99887766}]}"#),
        false => Reply::json(
            r#"{"orders":[{"id":1,"pin":99887766,"of":-1.99887766e2},{"id":2,"99887766":"99887766"}],
                "next":"orders?k=99887766&page=2"}"#,
        ),
    });
    let receiver = Receiver::start();
    let port = vendor.url().rsplit_once(':').expect("a port").1.to_owned();
    let job = format!(
        "{BY_HAND}query = {{ k = '${{env:PIN}}', port = '${{env:PORT}}' }}\n\
         pages = {{ style = 'next_url', at = '$.next' }}"
    );
    let bridge = Bridge::between(&vendor, &receiver, &job, "").with_env("PIN", "99887766").with_env("PORT", &port);
    record(&bridge, "1.json");
    record(&bridge, "2.json");
    let text = file(&bridge, "1.json");
    assert!(!text.contains("99887766"), "{text}");
    assert!(text.contains(r#"\"pin\":99999999"#) && text.contains(r#"\"***\":\"***\""#), "{text}");
    let replayed = bare(&bridge, &["1.json", "2.json"], &["PIN", "PORT"]);
    for poll in replayed["polls"].as_array().expect("polls") {
        assert_eq!((&poll["items"], &poll["events_total"]), (&3.into(), &0.into()), "{replayed:#}");
        assert_eq!(poll["reason"], Value::Null, "{replayed:#}");
    }
}

#[test]
fn s10_a_secret_of_digits_is_taken_out_of_ndjson_and_csv_too() {
    for (format, body, items) in [
        ("ndjson", "{\"id\":1,\"pin\":99887766}\n{\"id\":2}\n", "$[*]"),
        ("csv", "id,pin\n1,99887766\n2,5\n", "$[*]"),
        ("xml", "<all><o id='1'>99887766</o><o id='2'/></all>", "$.all.o[*]"),
    ] {
        let (vendor, receiver) = (Vendor::of(""), Receiver::start());
        vendor.reply(Reply::body("text/plain", body));
        let key = if format == "xml" { "$['@id']" } else { "$.id" };
        let job = BY_HAND.replace("$.orders[*]", items).replace("$.id", key);
        let job = job.replace("'$['@id']'", "\"$['@id']\"");
        let job = format!("{job}format = '{format}'\nheaders = {{ x-pin = '${{env:PIN}}' }}");
        let bridge = Bridge::between(&vendor, &receiver, &job, "").with_env("PIN", "99887766");
        record(&bridge, "1.json");
        assert!(!file(&bridge, "1.json").contains("99887766"), "{format}");
        let replayed = bare(&bridge, &["1.json"], &["PIN"]);
        assert_eq!(replayed["polls"][0]["items"], 2, "{format}: {replayed:#}");
    }
}

/// A vendor that gives tokens, sessions and challenges, and says in each answer all that it was sent.
fn indiscreet() -> Vendor {
    Vendor::scripted(|request| match request.path() {
        "/token" => Reply::json(r#"{"access_token":"acc3ss-t0ken","token_type":"Bearer","expires_in":3600}"#),
        "/login" => Reply::json(r#"{"token":"s3ssion-token"}"#).with("set-cookie", "sid=s3ssion-cookie; Path=/"),
        _ if request.target.contains("digest") && request.header("authorization").is_none() => {
            Reply::status(401).with("www-authenticate", "Digest realm=\"r\", qop=\"auth\", nonce=\"n0nce\"")
        }
        _ => {
            let sent: Vec<_> = request.headers.iter().map(|(name, value)| json!([name, value])).collect();
            let echo = request.header("authorization").or(request.header("x-session")).unwrap_or("-").to_owned();
            let body = json!({ "orders": [{ "id": 1 }], "sent": sent, "target": request.target });
            Reply::json(body.to_string()).with("x-you-sent", &echo)
        }
    })
}

#[test]
fn s10_a_recording_of_a_live_login_holds_no_token_and_is_replayed_without_any_secret() {
    const SECRET: &str = "cl1ent-s3cret";
    let secret = "'${env:CLIENT_SECRET}'";
    for (name, auth) in [
        ("oauth2", format!("token_url = 'token', client_id = 'me', client_secret = {secret}")),
        (
            "session",
            format!(
                "url = 'login', body = {{ pw = {secret} }}, token = '$.token', send = {{ header = 'X-Session', value = '{{{{ token }}}}' }}"
            ),
        ),
        ("session", format!("url = 'login', body = {{ pw = {secret} }}")),
        ("digest", format!("username = 'me', password = {secret}")),
        ("hmac", format!("header = 'X-Sig', key = {secret}, message = '{{{{ timestamp }}}}{{{{ path }}}}'")),
        (
            "aws_sigv4",
            format!(
                "region = 'eu', service = 'x', access_key = 'AKID', secret_key = {secret}, session_token = '${{env:STS}}'"
            ),
        ),
    ] {
        let (vendor, receiver) = (indiscreet(), Receiver::start());
        let job = format!("{BY_HAND}query = {{ how = '{name}' }}\nauth = {{ type = '{name}', {auth} }}");
        let bridge = Bridge::between(&vendor, &receiver, &job, "");
        let bridge = bridge.with_env("CLIENT_SECRET", SECRET).with_env("STS", "sts-t0ken");
        record(&bridge, "1.json");
        let daemon = bridge.run();
        daemon.cli(["poll", "orders", "--record", "2.json"]).ok();
        let asked = vendor.requests().into_iter().rfind(|request| request.path() == "/orders").expect("a poll");
        let sent =
            asked.headers.iter().find(|(name, _)| ["authorization", "x-session", "x-sig", "cookie"].contains(&&**name));
        let (header, value) = sent.unwrap_or_else(|| panic!("{name}: it logged in: {asked:?}"));
        for file_name in ["1.json", "2.json"] {
            let text = file(&bridge, file_name);
            for secret in [SECRET, "acc3ss-t0ken", "s3ssion-token", "s3ssion-cookie", "sts-t0ken"] {
                assert!(!text.contains(secret), "{name}: {secret}: {text}");
            }
            assert!(!text.contains(value.as_str()), "{name}: {header}: {text}");
        }
        let replayed = bare(&bridge, &["1.json", "2.json"], &["CLIENT_SECRET", "STS"]);
        for poll in replayed["polls"].as_array().expect("polls") {
            assert_eq!((&poll["items"], &poll["reason"]), (&1.into(), &Value::Null), "{name}: {replayed:#}");
        }
    }
}

#[test]
fn a_damaged_recording_is_refused_whole_wherever_it_is_damaged() {
    let (vendor, receiver, bridge, _) = recorded();
    receiver.wait_for(1);
    let whole = file(&bridge, "1.json");
    let state = fs::read(bridge.state()).expect("a state");
    let asked = vendor.count();
    let good: Value = serde_json::from_str(&whole).expect("JSON");
    let answer = |change: &dyn Fn(&mut Value)| {
        let mut other = good.clone();
        change(&mut other["exchanges"][0]["result"]["answer"]);
        other.to_string().into_bytes()
    };
    let cut = |share: usize| whole.as_bytes()[..whole.len() * share / 10].to_vec();
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (cut(9), "is damaged"),
        (cut(5), "is damaged"),
        (cut(1), "is damaged"),
        ([whole.as_bytes(), b"}"].concat(), "is damaged"),
        ([b"\xff\xfe", whole.as_bytes()].concat(), "it is not UTF-8"),
        (vec![0; 4096], "is damaged"),
        (answer(&|answer| answer["status"] = 7.into()), "of exchange 1 the status `7` is none"),
        (answer(&|answer| answer["headers"] = json!([["no name", "x"]])), "the name of the header `no name` is none"),
        (answer(&|answer| answer["headers"] = json!([["x", "a\nb"]])), "the value of the header `x` is none"),
        (answer(&|answer| answer["body"] = Value::Null), "the answer has no body"),
        (answer(&|answer| answer["body_base64"] = "eHg=".into()), "the answer has two bodies"),
        (
            answer(&|answer| (answer["body"], answer["body_base64"]) = (Value::Null, "?".into())),
            "`body_base64` is no base64",
        ),
    ];
    for (bytes, why) in cases {
        fs::write(bridge.path().join("2.json"), &bytes).expect("written");
        let done = replay(&bridge, &[]);
        fails(&done, why);
        assert!(done.stderr.starts_with("error: `2.json` ") && done.stdout.is_empty(), "{done:#?}");
        assert_eq!(done.stderr.matches("panicked").count(), 0, "{done:#?}");
    }
    fs::create_dir(bridge.path().join("3.json")).expect("a folder");
    fails(&bridge.cli(["replay-poll", "3.json"]), "`3.json` can't be read");
    assert_eq!((vendor.count(), receiver.attempts().len()), (asked, 1), "nobody was asked or told");
    assert_eq!(fs::read(bridge.state()).expect("a state"), state, "nothing changed");
}
