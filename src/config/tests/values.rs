//! What a good config comes to.

use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::config::{Problem, Severity, find_with};
use crate::core::auth::Auth;
use crate::core::config::Listen;
use crate::core::diff::Change;
use crate::core::job::{BodySpec, First, Job, ListKind};
use crate::core::path::JsonPath;
use crate::core::schedule::Schedule;
use crate::core::sign::{Algorithm, Encoding, Scheme};

/// One job over one vendor and one sink, with these lines in their tables.
fn job(vendor: &str, job: &str) -> Loaded {
    loaded(&with(&config(vendor, job)).variable("TOKEN", "t0ken"))
}

fn config(vendor: &str, job: &str) -> String {
    format!(
        "[vendor.v]\n{vendor}\n[job.j]\nvendor = \"v\"\nsend_to = [\"s\"]\n{job}\n[sink.s]\nurl = \"https://s.example\"\n"
    )
}

fn only(loaded: &Loaded) -> &Job {
    &loaded.config.jobs[0]
}

const BASE: &str = "base_url = \"https://a.example/v2/\"";
const REST: &str = "url = \"orders\"\nevery = \"30s\"";

#[test]
fn a_job_is_read_whole() {
    let loaded = job(
        BASE,
        "url = \"orders\"\nmethod = \"POST\"\nbody = { q = \"{{ job }}\", n = [1, 0x10, true] }\ncron = \"*/5 * * * *\"\n\
         timezone = \"Europe/Berlin\"\nitems = \"$.data[*]\"\nkey = [\"$.a\", \"$.b\"]\nlist = \"window\"\n\
         watch = [\"$.x\"]\nignore = [\"$.y\"]\nfirst = \"emit\"\non = [\"created\", \"deleted\"]\n\
         when = \"after.x == 1\"\nempty = true\ndeletes = { after = 5 }\ntype = \"o.{{ change }}\"\nenabled = false",
    );
    let job = only(&loaded);
    assert_eq!(job.request.method, http::Method::POST);
    assert!(matches!(job.request.body, Some(BodySpec::Json(_))));
    assert!(matches!(job.schedule, Schedule::Cron(_)));
    assert_eq!(job.items.as_ref().map(JsonPath::as_str), Some("$.data[*]"));
    assert_eq!(job.key.iter().map(JsonPath::as_str).collect::<Vec<_>>(), ["$.a", "$.b"]);
    assert_eq!((job.list, job.first, job.empty, job.enabled), (ListKind::Window, First::Emit, true, false));
    assert!(job.on.contains(Change::Deleted) && !job.on.contains(Change::Updated));
    assert_eq!((job.rules.watch.len(), job.rules.ignore.len(), job.deletes.after), (1, 1, 5));
    assert!(job.when.is_some() && job.event_type.is_some());
    assert_eq!(job.send_to.iter().map(|route| route.sink.as_str()).collect::<Vec<_>>(), ["s"]);
    assert!(loaded.warnings.is_empty());
}

#[test]
fn tables_merge_by_name_and_anything_else_replaces() {
    let vendor = format!(
        "{BASE}\nheaders = {{ Accept = \"a\", X-One = \"1\" }}\nquery = {{ a = 1, b = 2 }}\ntimeout = \"1s\"\nretries = 0\n\
         auth = {{ type = \"bearer\", token = \"${{env:TOKEN}}\" }}"
    );
    let own = format!(
        "{REST}\nheaders = {{ x-one = \"2\", X-Two = \"3\" }}\nquery = {{ b = [3, 4], c = \"\" }}\ntimeout = \"2s\"\n\
         auth = {{ type = \"api_key\", name = \"k\", value = \"v\", in = \"query\" }}"
    );
    let loaded = job(&vendor, &own);
    let request = &only(&loaded).request;
    let headers: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(headers, ["accept", "x-one", "x-two"]);
    let query: Vec<&str> = request.query.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(query, ["a", "b", "b", "c"]);
    assert_eq!((request.access.timeout, request.access.retries), (Duration::from_secs(2), 0));
    assert!(matches!(&request.auth, Some(Auth::ApiKeyQuery { name, .. }) if name == "k"));
}

#[test]
fn limits_of_a_job_stand_beside_those_of_its_vendor() {
    let rate = |text| crate::core::units::parse_rate(text).ok();
    let loaded = job(
        &format!("{BASE}\nrate = \"4/s\"\nbudget = \"50000/mo\""),
        &format!("{REST}\nrate = \"1/m\"\nconcurrency = 2"),
    );
    let vendor = &loaded.config.vendors[0];
    assert_eq!((vendor.courtesy.rate, vendor.courtesy.budget), (rate("4/s"), rate("50000/mo")));
    let own = only(&loaded).courtesy;
    assert_eq!((own.rate, own.budget, own.concurrency), (rate("1/m"), None, Some(2)));
}

#[test]
fn jobs_with_equal_settings_share_them() {
    let text = config(BASE, REST) + "[job.k]\nvendor = \"v\"\nurl = \"x\"\nevery = \"1m\"\nsend_to = [\"s\"]\n";
    let loaded = loaded(&with(&text));
    assert!(std::sync::Arc::ptr_eq(&loaded.config.jobs[0].request.access, &loaded.config.jobs[1].request.access));
}

#[test]
fn a_sink_signs_as_it_says() {
    let sign = |lines: &str| {
        let text = config(BASE, REST) + lines;
        let loaded = loaded(&with(&text).variable("TOKEN", "t0ken"));
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        loaded.config.sinks[0].signer.clone()
    };
    assert!(sign("").is_none());
    for word in Scheme::WORDS {
        let secret = if word == "standard-ed25519" { SEED } else { "${env:TOKEN}" };
        let signer = sign(&format!("secret = \"{secret}\"\nsign = \"{word}\"\n")).expect("it signs");
        assert_eq!(signer.scheme().name(), word);
    }
    assert_eq!(sign("secret = [\"a\", \"b\"]\n").expect("it signs").scheme().name(), "standard");
    let whole = "{ header = \"X-Sig\", algorithm = \"hmac-sha1\", encoding = \"base64\", \
                 message = \"${env:TOKEN}{{ timestamp }}{{ body }}\", value = \"v={{ signature }}\" }";
    for (table, algorithm, encoding, timed) in [
        ("{ header = \"X-Sig\" }", Algorithm::HmacSha256, Encoding::Hex, false),
        ("{ header = \"X-Sig\", algorithm = \"sha512\" }", Algorithm::HmacSha512, Encoding::Hex, false),
        (whole, Algorithm::HmacSha1, Encoding::Base64, true),
    ] {
        let signer = sign(&format!("secret = \"a\"\nsign = {table}\n")).expect("it signs");
        assert!(!format!("{signer:?}").contains("t0ken"), "{signer:?}");
        let Scheme::Custom(custom) = signer.scheme() else { panic!("{signer:?}") };
        assert_eq!((custom.algorithm, custom.encoding, custom.timed), (algorithm, encoding, timed));
        assert_eq!(custom.header, "x-sig");
    }
}

/// An ed25519 key: 32 bytes of 1.
const SEED: &str = "whsk_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

#[test]
fn a_sink_is_shown_by_its_host_only_when_its_url_holds_a_secret() {
    for (url, shown) in [
        ("https://crm.example/hooks/${env:TOKEN}", "crm.example"),
        ("https://u:p@crm.example/hooks", "crm.example"),
        ("https://crm.example/hooks", "https://crm.example/hooks"),
    ] {
        let text = config(BASE, REST).replace("https://s.example", url);
        let loaded = loaded(&with(&text).variable("TOKEN", "t0ken"));
        assert_eq!(loaded.config.sinks[0].shown_url, shown);
        assert!(!format!("{:?}", loaded.config.sinks[0].shown_url).contains("t0ken"));
    }
}

#[test]
fn secrets_come_from_variables_files_and_credentials() {
    let token = |text: &str| {
        let machine = with(&format!("[daemon]\ntoken = \"{text}\"\n{}", config(BASE, REST)))
            .variable("TOKEN", "t0ken")
            .variable("CREDENTIALS_DIRECTORY", "/run/credentials")
            .file("/etc/token", "of a file\r\n")
            .file("token", "beside the config\n\n")
            .file("/run/credentials/admin", "of systemd\n");
        let loaded = loaded(&machine);
        assert!(!format!("{:?}", loaded.config.daemon).contains("t0ken"));
        loaded.config.daemon.token.map(|token| token.expose().to_owned()).unwrap_or_default()
    };
    assert_eq!(token("${env:TOKEN}"), "t0ken");
    assert_eq!(token("<${env:TOKEN}${env:TOKEN}>"), "<t0kent0ken>");
    assert_eq!(token("${file:/etc/token}"), "of a file");
    assert_eq!(token("${file:token}"), "beside the config\n");
    assert_eq!(token("${credential:admin}"), "of systemd");
    assert_eq!(token("$${env:TOKEN}"), "${env:TOKEN}");
}

#[test]
fn listen_knows_tcp_unix_and_off() {
    for (text, listen) in [
        ("127.0.0.1:0", Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)))),
        ("unix:/run/d.sock", Listen::Unix("/run/d.sock".into())),
        ("off", Listen::Off),
    ] {
        let loaded = loaded(&with(&format!("[daemon]\nlisten = \"{text}\"\n{}", config(BASE, REST))));
        assert_eq!(loaded.config.daemon.listen, listen);
    }
}

#[test]
fn the_state_is_where_systemd_says() {
    let state = |machine: Machine| loaded(&machine).config.daemon.state;
    assert_eq!(state(with(&config(BASE, REST))), PathBuf::from("doorbell.db"));
    let machine = with(&config(BASE, REST)).variable("STATE_DIRECTORY", "/var/lib/doorbell:/var/lib/other");
    assert_eq!(state(machine), PathBuf::from("/var/lib/doorbell/doorbell.db"));
    let machine =
        with(&format!("[daemon]\nstate = \"/x.db\"\n{}", config(BASE, REST))).variable("STATE_DIRECTORY", "/y");
    assert_eq!(state(machine), PathBuf::from("/x.db"));
}

#[test]
fn included_files_are_read_in_order_and_once() {
    let main = "[daemon]\ninclude = [\"conf.d/*.toml\", \"sinks.toml\", \"conf.d/b.toml\", \"*.toml\"]\n";
    let job =
        |name: &str| format!("[job.{name}]\nurl = \"https://a.example/{name}\"\nevery = \"1s\"\nsend_to = [\"s\"]\n");
    let machine = Machine::default()
        .file("etc/doorbell.toml", main)
        .file("etc/conf.d/b.toml", job("b"))
        .file("etc/conf.d/a.toml", job("a"))
        .file("etc/conf.d/.hidden.toml", "not TOML")
        .file("etc/conf.d/c.txt", "not TOML")
        .file("etc/sinks.toml", "[sink.s]\nurl = \"https://s.example\"\n");
    let loaded = load(Path::new("etc/doorbell.toml"), &machine).unwrap_or_else(|problems| panic!("{problems}"));
    let files: Vec<&str> = loaded.files.iter().filter_map(|file| file.to_str()).collect();
    assert_eq!(files, ["etc/doorbell.toml", "etc/conf.d/a.toml", "etc/conf.d/b.toml", "etc/sinks.toml"]);
    assert_eq!(loaded.config.jobs.len(), 2);
}

#[test]
fn state_depends_on_what_is_asked_and_selected_and_on_nothing_else() {
    let prints = |vendor: &str, lines: &str| {
        let items = "items = \"$.d[*]\"\nkey = \"$.id\"\n";
        only(&job(vendor, &format!("{items}{lines}"))).fingerprints.clone()
    };
    let first = prints(BASE, REST);
    for same in [
        "url = \"orders\"\nevery = \"1h\"",
        "url = \"/orders\"\nevery = \"30s\"",
        "url = \"https://a.example/v2/orders\"\nevery = \"30s\"",
        "url = \"orders\"\nevery = \"30s\"\nheaders = { X-A = \"1\" }\nretries = 0\nempty = true\nlist = \"window\"",
        "url = \"orders\"\nevery = \"30s\"\nauth = { type = \"bearer\", token = \"x\" }\nfirst = \"emit\"\ntype = \"x\"",
    ] {
        assert_eq!(prints(BASE, same), first, "{same}");
    }
    for other in [
        "url = \"order\"\nevery = \"30s\"",
        "url = \"orders\"\nevery = \"30s\"\nmethod = \"POST\"",
        "url = \"orders\"\nevery = \"30s\"\nquery = { a = 1 }",
        "url = \"orders\"\nevery = \"30s\"\nbody = \"\"",
        "url = \"orders\"\nevery = \"30s\"\nbody = { a = \"1\" }",
    ] {
        assert_ne!(prints(BASE, other).request, first.request, "{other}");
        assert_eq!(prints(BASE, other).edited(&first), ["request"], "{other}");
    }
    let keyed = |lines: &str| only(&job(BASE, &format!("{REST}\n{lines}"))).fingerprints.clone();
    let kept = keyed("items = \"$.d[*]\"\nkey = \"$.id\"");
    assert_eq!(kept.edited(&keyed("items = \"$.d[*]\"\nkey = [\"$.id\", \"$.shop\"]")), ["identity"]);
    assert_eq!(kept.edited(&keyed("items = \"$.e[*]\"\nkey = \"$.id\"")), ["selection"]);
    let watched = keyed("items = \"$.d[*]\"\nkey = \"$.id\"\nwatch = [\"$.x\"]");
    assert_eq!((kept.edited(&watched).len(), kept == watched), (0, false), "rules need no new baseline");
    let secret = |value: &str| {
        let text = config("base_url = \"https://a.example\"", "url = \"x/${env:TOKEN}\"\nevery = \"1s\"");
        only(&loaded(&with(&text).variable("TOKEN", value))).fingerprints.clone()
    };
    assert_eq!(secret("one"), secret("two"), "a rotated secret keeps the state");
}

#[test]
fn a_secret_can_not_become_a_template() {
    let text = config(
        BASE,
        &format!("{REST}\ntype = \"${{env:TOKEN}}.{{{{ change }}}}\"\nheaders = {{ A = \"${{env:TOKEN}}\" }}"),
    );
    let machine = with(&text).variable("TOKEN", "{{ nonsense }}");
    assert!(machine.load().is_ok(), "{}", printed(&machine));
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    let loaded = loaded(&with(
        "[job.j]\nurl = \"https://a.example\"\nevery = \"1s\"\ncursor = { from = \"$.c\" }\n\
         [job.k]\nurl = \"https://a.example/{{ cursor }}\"\nevery = \"1s\"\ncursor = { from = \"$.c\" }\nsend_to = [\"s\"]\n\
         [sink.s]\nurl = \"http://s.example.com/x\"\n[sink.local]\nurl = \"http://10.0.0.1/x\"\n",
    ));
    let said: Vec<&str> = loaded.warnings.iter().map(Problem::message).collect();
    assert_eq!(
        said,
        [
            "`[job.j]` sends its events to no sink",
            "nothing of the request holds `{{ cursor }}`: all is read each time, and yet only full polls see deletions",
            "events go to this sink unencrypted: anyone on the way can read them"
        ]
    );
    assert!(loaded.warnings.iter().all(|warning| warning.severity() == Severity::Warning));
}

#[test]
fn a_config_is_found_in_the_promised_order() {
    let machine = || {
        Machine::default()
            .variable("DOORBELL_CONFIG", "of-the-variable.toml")
            .file("doorbell.toml", "")
            .file("/etc/doorbell/doorbell.toml", "")
    };
    let find = |explicit: Option<&str>, machine: &Machine| {
        find_with(explicit.map(Path::new), machine).map(|path| path.display().to_string()).map_err(|p| p.to_string())
    };
    let mut machine = machine();
    assert_eq!(find(Some("of-the-flag.toml"), &machine).as_deref(), Ok("of-the-flag.toml"));
    assert_eq!(find(None, &machine).as_deref(), Ok("of-the-variable.toml"));
    machine.variables.clear();
    assert_eq!(find(None, &machine).as_deref(), Ok("doorbell.toml"));
    machine.files.remove(Path::new("doorbell.toml"));
    assert_eq!(find(None, &machine).as_deref(), Ok("/etc/doorbell/doorbell.toml"));
    machine.files.clear();
    assert_eq!(
        find(None, &machine).unwrap_err(),
        "there is no config: neither `doorbell.toml` nor `/etc/doorbell/doorbell.toml` exists; \
         name one with `-c FILE` or `DOORBELL_CONFIG=FILE`"
    );
}

#[test]
fn a_hundred_thousand_jobs_load() {
    let mut text = format!(
        "[vendor.v]\n{BASE}\nheaders = {{ Accept = \"application/json\" }}\n[sink.s]\nurl = \"https://s.example\"\n"
    );
    for number in 0..100_000 {
        text.push_str(&format!(
            "[job.j{number}]\nvendor = \"v\"\nurl = \"o/{number}\"\nevery = \"1m\"\nitems = \"$.d[*]\"\nkey = \"$.id\"\nsend_to = [\"s\"]\n"
        ));
    }
    let machine = with(&text);
    let loaded = loaded(&machine);
    assert_eq!(loaded.config.jobs.len(), 100_000);
}
