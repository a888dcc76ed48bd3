//! A config that is wrong: where, what, what instead, all of it in one run, and never a secret.
//!
//! How a good config is understood is what the other files show.

use crate::support::Bridge;
use crate::support::bridge::{Done, finish};

const GOOD: &str = r#"[daemon]
listen = "127.0.0.1:0"

[vendor.shop]
base_url = "http://127.0.0.1:9/"

[job.orders]
vendor = "shop"
url = "orders"
every = "30s"
items = "$.orders[*]"
key = "$.id"
send_to = ["crm"]

[sink.crm]
url = "http://127.0.0.1:9/hook"
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"#;

fn check(config: &str) -> Done {
    Bridge::with(config).cli(["check"])
}

/// Puts `bad` where `good` stands, and says that `check` finds it in its first line, in these words.
#[track_caller]
fn found(good: &str, bad: &str, words: &[&str]) {
    found_in(bad.lines().next().unwrap_or_default(), good, bad, words);
}

/// Puts `bad` where `good` stands, and says that `check` finds `shown` in it, in these words.
#[track_caller]
fn found_in(shown: &str, good: &str, bad: &str, words: &[&str]) {
    assert!(GOOD.contains(good), "`{good}` is not in the config");
    let config = GOOD.replacen(good, bad, 1);
    let at = config.find(bad).unwrap_or_default() + bad.find(shown).unwrap_or_default();
    let line = config[..at].matches('\n').count() + 1;
    let done = check(&config);
    let output = done.output();
    assert_eq!(done.code, Some(2), "{output}");
    assert!(output.contains(&format!("doorbell.toml:{line}:")), "no `doorbell.toml:{line}:` in:\n{output}");
    assert!(output.contains(shown), "the line `{shown}` is not shown:\n{output}");
    for word in words {
        assert!(output.contains(word), "no `{word}` in:\n{output}");
    }
}

#[test]
fn a_good_config_is_good() {
    let done = check(GOOD).ok();
    assert!(done.stdout.contains("orders"), "{done:?}");
}

#[test]
fn bad_toml_is_found() {
    found("url = \"orders\"", "url = \"orders", &[]);
    found("url = \"orders\"", "url = orders", &[]);
    found("[sink.crm]", "[sink.crm", &[]);
}

#[test]
fn a_key_that_stands_twice_is_found() {
    found_in("every = \"1m\"", "every = \"30s\"", "every = \"30s\"\nevery = \"1m\"", &["every"]);
}

#[test]
fn an_unknown_key_is_found_and_the_nearest_is_named() {
    found("every =", "evry =", &["evry", "`every`"]);
    found("base_url =", "baseurl =", &["`base_url`"]);
    found("[sink.crm]", "[snik.crm]", &["`sink`"]);
    found("listen =", "lisen =", &["`listen`"]);
}

#[test]
fn a_value_of_a_later_version_says_so() {
    found("listen =", "state = \"postgres://db/x\"\nlisten =", &["this version"]);
}

#[test]
fn a_bad_detail_is_found() {
    for (detail, words) in [
        ("{ version = \"$.at\" }", "lacks its `url`"),
        ("{ url = \"orders/{{ itm.id }}\" }", "`itm`"),
        ("{ url = \"https://elsewhere.example/{{ key }}\" }", "allow_hosts"),
        ("{ url = \"https://{{ item.host }}/x\" }", "url"),
        ("{ url = \"orders/{{ key }}\", merge = \"no\" }", "true"),
        ("{ url = \"orders/{{ key }}\", concurrency = 0 }", "from 1 to 100"),
        ("{ url = \"orders/{{ key }}\", version = \"at\" }", "`at`"),
    ] {
        found("every = \"30s\"", &format!("detail = {detail}\nevery = \"30s\""), &["detail", words]);
    }
}

#[test]
fn a_cursor_that_the_job_does_not_have_is_found() {
    let words = ["asks for `{{ cursor }}`, and the job has no `cursor`", "cursor = { at = \"$.updated_at\" }"];
    for asked in [
        "query = { since = \"{{ cursor }}\" }",
        "headers = { X-Since = \"from {{ cursor }}\" }",
        "method = \"POST\"\nbody = { since = \"{{ cursor }}\" }",
        "method = \"POST\"\nbody = \"{{ cursor | default(0) }}\"",
    ] {
        let shown = asked.lines().last().unwrap_or_default();
        found_in(shown, "every = \"30s\"", &format!("{asked}\nevery = \"30s\""), &words);
    }
    found("url = \"orders\"", "url = \"orders/{{ cursor }}\"", &words);
    check(&GOOD.replace("every", "query = { since = \"{{ cursor }}\" }\ncursor = { at = \"$.at\" }\nevery")).ok();
    // A vendor's stands for all of its jobs, with a cursor and without.
    check(&GOOD.replace("base_url", "query = { since = \"{{ cursor }}\" }\nbase_url")).ok();
}

#[test]
fn a_bad_limit_of_a_vendor_is_found() {
    found("base_url", "rate = \"4/sec\"\nbase_url", &["`4/sec` is not a rate", "4/s"]);
    found("base_url", "budget = \"0/d\"\nbase_url", &["`0/d` allows nothing", "1/d"]);
    found("base_url", "concurrency = 0\nbase_url", &["concurrency", "from 1 to 1000"]);
}

#[test]
fn a_wrong_type_is_found() {
    found("every = \"30s\"", "every = 30", &["\"30s\""]);
    found("send_to = [\"crm\"]", "send_to = \"crm\"", &["send_to"]);
    found("url = \"orders\"", "url = 7", &["url"]);
}

#[test]
fn a_bad_duration_is_found() {
    for bad in ["30", "30 sec", "5 minutes", "", "-5s", "1y"] {
        found("every = \"30s\"", &format!("every = \"{bad}\""), &[]);
    }
    found("every = \"30s\"", "every = \"10ms\"", &["50ms"]);
}

#[test]
fn a_bad_size_is_found() {
    found("every = \"30s\"", "max_body = \"32 parsecs\"\nevery = \"30s\"", &["32 MiB"]);
}

#[test]
fn a_bad_path_is_found() {
    found("items = \"$.orders[*]\"", "items = \"$.orders[*\"", &[]);
    found("items = \"$.orders[*]\"", "items = \"orders\"", &["$"]);
    found("key = \"$.id\"", "key = \"id\"", &["`$.id`"]);
}

#[test]
fn a_bad_cron_expression_or_time_zone_is_found() {
    found("every = \"30s\"", "cron = \"61 * * * *\"", &["61"]);
    found("every = \"30s\"", "cron = \"* * *\"", &[]);
    found("every = \"30s\"", "cron = \"0 8 * * fry\"", &[]);
    found("every = \"30s\"", "timezone = \"Europe/Berln\"\ncron = \"0 8 * * *\"", &["Europe/Berlin"]);
}

#[test]
fn a_bad_template_is_found() {
    found("url = \"orders\"", "url = \"orders/{{ nope }}\"", &["nope"]);
    found("every = \"30s\"", "type = \"{{ change\"\nevery = \"30s\"", &[]);
    found("every = \"30s\"", "when = \"after.total >\"\nevery = \"30s\"", &[]);
    found("every = \"30s\"", "when = \"aftr.total > 1\"\nevery = \"30s\"", &["after"]);
}

#[test]
fn a_bad_url_is_found() {
    found("base_url = \"http://127.0.0.1:9/\"", "base_url = \"not a url\"", &[]);
    found("url = \"http://127.0.0.1:9/hook\"", "url = \"ftp://127.0.0.1/hook\"", &["http"]);
    found("url = \"http://127.0.0.1:9/hook\"", "url = \"/hook\"", &[]);
}

#[test]
fn a_missing_reference_is_found_and_the_nearest_is_named() {
    found("vendor = \"shop\"", "vendor = \"shpo\"", &["`shop`"]);
    found("send_to = [\"crm\"]", "send_to = [\"crn\"]", &["`crm`"]);
}

#[test]
fn a_missing_secret_is_found_and_named() {
    let secret = "secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"";
    found(secret, "secret = \"${env:DOORBELL_IT_NOT_SET}\"", &["DOORBELL_IT_NOT_SET"]);
    found(secret, "secret = \"${file:/nonexistent/secret}\"", &["/nonexistent/secret"]);
    found(secret, "secret = \"${credential:crm}\"", &["crm"]);
}

#[test]
fn a_secret_that_was_pasted_wrong_is_found_and_not_shown() {
    let good = "secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"";
    for bad in ["v1,whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_not-base64!"] {
        let bridge = Bridge::with(&GOOD.replace(good, "secret = \"${env:PASTED}\""));
        let mut command = bridge.executable();
        command.args(["check", "-c", "doorbell.toml"]).env("PASTED", bad);
        let done = finish(command);
        assert_eq!(done.code, Some(2), "{done:?}");
        assert!(done.output().contains("doorbell.toml:17:"), "{done:?}");
        assert!(!done.output().contains(bad), "the secret is printed: {done:?}");
    }
}

#[test]
fn a_missing_include_is_found() {
    found("listen =", "include = [\"missing.toml\"]\nlisten =", &["missing.toml"]);
}

#[test]
fn an_included_file_is_part_of_the_config_and_its_problems_name_it() {
    let bridge = Bridge::with(&GOOD.replace("listen", "include = [\"conf.d/*.toml\"]\nlisten"));
    std::fs::create_dir(bridge.path().join("conf.d")).expect("a folder can be made");
    bridge.write_file(
        "conf.d/users.toml",
        "[job.users]\nvendor = \"shop\"\nurl = \"users\"\nevery = \"1m\"\nsend_to = [\"crm\"]\n",
    );
    assert!(bridge.cli(["check"]).ok().stdout.contains("users"));
    bridge.write_file("conf.d/users.toml", "[job.users]\nvendor = \"shop\"\nurl = \"users\"\nevery = \"1x\"\n");
    let done = bridge.cli(["check"]);
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.output().contains("users.toml:4:"), "{done:?}");
}

#[test]
fn listening_to_the_world_needs_a_token() {
    found("listen = \"127.0.0.1:0\"", "listen = \"0.0.0.0:0\"", &["token"]);
}

#[test]
fn all_problems_are_shown_in_one_run() {
    let config = GOOD
        .replace("every = \"30s\"", "every = \"30\"")
        .replace("key = \"$.id\"", "key = \"id\"")
        .replace("send_to = [\"crm\"]", "send_to = [\"crn\"]")
        .replace("base_url =", "baseurl =")
        .replace("http://127.0.0.1:9/hook", "hook");
    let output = check(&config).output();
    for line in [5, 10, 12, 13, 16] {
        assert!(output.contains(&format!("doorbell.toml:{line}:")), "no line {line} in:\n{output}");
    }
}

#[test]
fn a_config_that_is_not_there_is_said() {
    let done = Bridge::with(GOOD).cli_raw(["check", "-c", "elsewhere.toml"]);
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.output().contains("elsewhere.toml"), "{done:?}");
}

#[test]
fn run_refuses_what_check_refuses() {
    let done = Bridge::with(&GOOD.replace("30s", "30")).cli(["run"]);
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.output().contains("doorbell.toml:10:"), "{done:?}");
}

#[test]
fn the_config_is_found_before_and_after_the_command_and_by_the_environment() {
    let bridge = Bridge::with("");
    bridge.write_file("good.toml", GOOD);
    bridge.cli_raw(["-c", "good.toml", "check"]).ok();
    bridge.cli_raw(["check", "-c", "good.toml"]).ok();
    let mut command = bridge.executable();
    command.arg("check").env("DOORBELL_CONFIG", "good.toml");
    finish(command).ok();
    bridge.write(GOOD);
    bridge.cli_raw(["check"]).ok();
}

#[test]
fn no_secret_is_printed_whatever_is_wrong() {
    let config = GOOD
        .replace("http://127.0.0.1:9/\"", "http://127.0.0.1:9/?token=${env:LEAK}\"")
        .replace("every = \"30s\"", "every = \"${env:LEAK}\"\nheaders = { X-Key = \"${env:LEAK} {{ nope }}\" }")
        .replace("/hook\"", "/hook/${env:LEAK}\"")
        .replace("send_to = [\"crm\"]", "send_to = [\"${env:LEAK}\"]");
    for config in [config.as_str(), &GOOD.replace("/hook\"", "/hook/${env:LEAK}\"")] {
        let bridge = Bridge::with(config);
        let mut command = bridge.executable();
        command.args(["-c", "doorbell.toml", "check"]).env("LEAK", "very-s3cret-value");
        let done = finish(command);
        assert!(!done.output().contains("s3cret"), "{done:?}");
    }
}
