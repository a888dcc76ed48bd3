//! What `doorbell schema` prints, held against real configs and real webhooks by a validator that nobody here wrote.
//!
//! Whether a config is right is `check`'s business, and has `bad_config.rs`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::bridge::{ORDERS, config};
use crate::support::signature::SECRET;
use crate::support::{Bridge, Receiver, Reply, Vendor};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn schema(args: &[&str]) -> Value {
    Bridge::with("").cli_raw(["schema"].iter().chain(args)).ok().json()
}

/// What is wrong with each of some documents, as the `jsonschema` package sees it.
fn errors(schema: &Value, cases: &[Value]) -> Vec<Vec<String>> {
    let python = root().join(".test-tools/venv/bin/python");
    assert!(python.exists(), "no {}: run `make test-tools`", python.display());
    let mut child = Command::new(python)
        .arg(root().join("tests/python/schema.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin.write_all(json!({ "schema": schema, "cases": cases }).to_string().as_bytes()).expect("Python reads");
    drop(stdin);
    let output = child.wait_with_output().expect("Python ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the script prints JSON")
}

/// The example of the whole language, and the recipes.
fn configs() -> Vec<PathBuf> {
    let recipes = fs::read_dir(root().join("docs/recipes")).expect("there are recipes");
    let recipes = recipes.map(|entry| entry.expect("a folder can be read").path());
    let mut files: Vec<_> = recipes.filter(|path| path.extension().is_some_and(|ending| ending == "toml")).collect();
    files.push(root().join("config.example.toml"));
    files
}

#[test]
fn the_example_and_every_recipe_fit_the_schema() {
    let files = configs();
    let cases: Vec<_> =
        files.iter().map(|file| json!({ "toml": fs::read_to_string(file).expect("a config can be read") })).collect();
    assert!(cases.len() > 3);
    for (file, errors) in files.iter().zip(errors(&schema(&[]), &cases)) {
        assert!(errors.is_empty(), "{}: {errors:#?}", file.display());
    }
}

#[test]
fn a_config_that_an_editor_should_mark_does_not_fit() {
    let job = |lines: &str| format!("[job.orders]\nurl = 'https://a.example'\n{lines}");
    let sink = |lines: &str| format!("[sink.crm]\nurl = 'https://a.example'\n{lines}");
    let bad = [
        "[jobs.orders]\nurl = 'https://a.example'\nevery = '5s'".to_owned(),
        "[job.orders]\nevery = '5s'".to_owned(),
        job(""),
        job("every = 30"),
        job("every = '30'"),
        job("every = '30 s'"),
        job("every = '5s'\ncron = '* * * * *'"),
        job("every = '5s'\nevry = '5s'"),
        job("every = '5s'\nitems = 'data[*]'\nkey = '$.id'"),
        job("every = '5s'\nitems = '$.data[*]'"),
        job("every = '5s'\ntimezone = 'Europe/Berlin'"),
        job("every = '5s'\nlist = 'open'"),
        job("every = '5s'\non = ['changed']"),
        job("every = '5s'\non = []"),
        job("every = '5s'\nmethod = 'get'"),
        job("every = '5s'\nenabled = 'yes'"),
        job("every = '5s'\nsend_to = 'crm'"),
        job("every = '5s'\nsend_to = [{ when = 'true' }]"),
        job("every = '5s'\nmax_body = '32 megabytes'"),
        job("every = '5s'\nretries = 11"),
        job("every = '5s'\nauth = { token = 'x' }"),
        job("every = '5s'\nauth = { type = 'bearer' }"),
        job("every = '5s'\nauth = { type = 'bearer', tokn = 'x' }"),
        job("every = '5s'\ndeletes = { after = 0 }"),
        "[sink.crm]\nsecret = 'x'".to_owned(),
        sink("format = 'xml'"),
        sink("sign = 'md5'\nsecret = 'x'"),
        sink("sign = 'github'"),
        sink("retry = ['5s', 60]"),
        sink("order = 'strict'"),
        sink("rate = '50 per second'"),
        "[daemon]\nconcurrency = 0".to_owned(),
        "[daemon]\nretention = 'a month'".to_owned(),
        "[alerts]\nstale = 3".to_owned(),
    ];
    let good = [
        job("every = '${env:EVERY}'\nlist = '${env:LIST}'"),
        job("every = '1h30m'\nkey = ['$.a', '$.b']\nitems = '$[*]'\nquery = { a = [1, 'b'], c = true }"),
        sink("secret = ['a', 'b']\nsign = { header = 'X' }\npayload = { a = [1, { b = '{{ key }}' }] }"),
    ];
    let cases: Vec<_> = bad.iter().chain(&good).map(|text| json!({ "toml": text })).collect();
    let found = errors(&schema(&[]), &cases);
    for (text, errors) in bad.iter().zip(&found) {
        assert!(!errors.is_empty(), "an editor would say nothing of\n{text}");
    }
    for (text, errors) in good.iter().zip(&found[bad.len()..]) {
        assert!(errors.is_empty(), "{errors:#?} of\n{text}");
    }
}

#[test]
fn every_kind_of_webhook_fits_the_schema_of_events() {
    let (vendor, crm, ops) = (Vendor::in_lockstep(), Receiver::start(), Receiver::start());
    let ops_table = format!("[sink.ops]\nurl = '{}'\nsecret = '{SECRET}'\n[alerts]\nsend_to = ['ops']\n", ops.url());
    let bridge = Bridge::with(&format!("{}\n{ops_table}", config(&vendor, &crm, ORDERS, "retry = []")));
    let _daemon = bridge.run();
    crm.script(|hook| Reply::status(if hook.change() == "restored" { 413 } else { 200 }));
    let one = r#"{"orders":[{"id":1,"a/b~c":1.10}]}"#;
    let two = r#"{"orders":[{"id":1,"a/b~c":1.10},{"id":2,"tags":["x"]}]}"#;
    let other = r#"{"orders":[{"id":1,"a/b~c":1.10},{"id":2,"tags":["y","z"],"new":null}]}"#;
    for document in [one, two, other, one, one, two] {
        vendor.step_json(document);
    }
    for _ in 0..3 {
        vendor.step(Reply::status(500));
    }
    vendor.step_json(two);
    let changes = crm.wait_until("four events", |hooks| hooks.len() >= 4);
    let system = ops.wait_until("alerts", |hooks| hooks.len() >= 3);

    let bodies: Vec<Value> = changes.iter().chain(&system).map(|hook| hook.json.clone()).collect();
    let mut kinds: Vec<_> = bodies.iter().filter_map(|body| body["type"].as_str()).collect();
    kinds.sort_unstable();
    let expected = ["doorbell.delivery.dead", "doorbell.job.failing", "doorbell.job.recovered"];
    let of_items = ["orders.created", "orders.deleted", "orders.restored", "orders.updated"];
    assert_eq!(kinds, [&expected[..], &of_items[..]].concat());

    let schema = schema(&["--event"]);
    let cases: Vec<_> = bodies.iter().map(|body| json!({ "json": body })).collect();
    for (body, errors) in bodies.iter().zip(errors(&schema, &cases)) {
        assert!(errors.is_empty(), "{errors:#?} of {body:#}");
    }
    // Each member that is missing or too many is seen: the schema is not one that takes anything.
    let broken = bodies.iter().flat_map(|body| {
        let members = body["data"].as_object().expect("data is an object").keys().cloned();
        let without = members.filter(|name| !matches!(name.as_str(), "before" | "after" | "patch")).map(|name| {
            let mut body = body.clone();
            body["data"].as_object_mut().expect("data is an object").remove(&name);
            body
        });
        without.collect::<Vec<_>>()
    });
    let broken: Vec<_> = broken.map(|body| json!({ "json": body })).collect();
    for (case, errors) in broken.iter().zip(errors(&schema, &broken)) {
        assert!(!errors.is_empty(), "{case:#}");
    }
}

#[test]
fn shells_and_manuals_get_theirs() {
    let bridge = Bridge::with("");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(bridge.cli_raw(["completions", shell]).ok().stdout.contains("replay"), "{shell}");
    }
    assert!(bridge.cli_raw(["man"]).ok().stdout.contains(".TH doorbell"));
    assert!(bridge.cli_raw(["man", "poll"]).ok().stdout.contains("commit"));
    let done = bridge.cli_raw(["man", "pol"]);
    assert_eq!(done.code, Some(2));
    assert!(done.stderr.contains("did you mean `poll`?"), "{done:?}");
}
