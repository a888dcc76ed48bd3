//! Each recipe of the docs, run against a small stand-in of its vendor: its paging, its credentials, the shapes of its
//! answers. Only hosts are replaced; a stand-in refuses what its vendor would refuse.
//!
//! A stand-in is not the vendor: what a real one changes is not seen here.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::http::Request;
use crate::support::pages::{changes, outcome, query};
use crate::support::{Bridge, Receiver, Reply, Vendor};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A recipe and what is to be seen of it.
struct Recipe {
    file: &'static str,
    job: &'static str,
    /// What stands in the file for the vendor.
    origin: &'static str,
    env: &'static [(&'static str, &'static str)],
    /// Items of the baseline.
    items: u64,
    /// The changes that are told after the vendor's change.
    told: &'static [&'static str],
    /// Sinks that hear of each.
    sinks: usize,
}

impl Recipe {
    /// A baseline, a poll that finds nothing, the vendor's change, and the webhooks of it.
    fn run(&self, stand_in: impl Fn(&Request, &str, bool) -> Reply + Send + 'static) {
        let changed = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&changed);
        let vendor = Vendor::scripted(|_| Reply::Hang);
        let url = vendor.url();
        let own = url.clone();
        vendor.script(move |request| stand_in(request, &own, seen.load(Ordering::SeqCst)));
        let receiver = Receiver::start();
        let bridge = self
            .env
            .iter()
            .fold(Bridge::with(&self.config(&url, &receiver)), |bridge, (name, value)| bridge.with_env(name, value));
        bridge.cli(["check"]).ok();
        let report = self.poll(&bridge);
        assert_eq!((outcome(&report), report["items"].as_u64()), ("complete", Some(self.items)), "{report:#}");
        assert_eq!(changes(&report), [""; 0], "{report:#}");
        assert_eq!(outcome(&self.poll(&bridge)), "unchanged", "{}", self.file);
        changed.store(true, Ordering::SeqCst);
        let report = self.poll(&bridge);
        assert_eq!((outcome(&report), changes(&report)), ("complete", words(self.told)), "{report:#}");
        for hook in receiver.wait_for(self.told.len() * self.sinks) {
            assert!(hook.accepted && hook.request.header("webhook-signature").is_some(), "{hook:?}");
        }
    }

    /// The file as it stands, but for the hosts, of which Google has one for tokens.
    fn config(&self, vendor: &str, receiver: &Receiver) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recipes").join(self.file);
        let text = fs::read_to_string(&path).expect("a recipe can be read");
        assert!(text.contains(self.origin), "{} names {}", self.file, self.origin);
        text.replace(self.origin, vendor)
            .replace("https://oauth2.googleapis.com", vendor)
            .replace("https://hooks.example.com", &receiver.url())
    }

    fn poll(&self, bridge: &Bridge) -> Value {
        let done = bridge.cli(["poll", self.job, "--commit", "--json"]);
        serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"))
    }
}

fn words(told: &[&str]) -> Vec<String> {
    told.iter().map(ToString::to_string).collect()
}

/// The answer to whoever shows this, and 401 to everyone else.
fn known(request: &Request, name: &str, value: &str, answer: impl FnOnce() -> Reply) -> Reply {
    match request.header(name) == Some(value) {
        true => answer(),
        false => Reply::status(401),
    }
}

fn answer(document: &Value) -> Reply {
    Reply::json(document.to_string())
}

fn asked(request: &Request, name: &str) -> Option<String> {
    query(request).remove(name)
}

#[test]
fn stripe_is_read_by_the_last_id() {
    let recipe = Recipe {
        file: "stripe.toml",
        job: "subscriptions",
        origin: "https://api.stripe.com",
        env: &[("STRIPE_KEY", "rk_live_1"), ("HOOK_SECRET", SECRET)],
        items: 3,
        told: &["updated sub_2"],
        sinks: 1,
    };
    recipe.run(|request, _, changed| {
        known(request, "authorization", "Bearer rk_live_1", || {
            assert_eq!((request.path(), asked(request, "status").as_deref()), ("/v1/subscriptions", Some("all")));
            let of = |id: &str, status: &str, period: u32| {
                json!({"id": id, "object": "subscription", "status": status, "cancel_at_period_end": false,
                       "items": {"data": [{"price": {"id": "price_1"}, "quantity": 1}]}, "current_period_end": period})
            };
            let status = if changed { "past_due" } else { "active" };
            // The end of the period moves by itself, and isn't watched.
            let period = if changed { 2 } else { 1 };
            match asked(request, "starting_after").as_deref() {
                None => answer(&json!({"object": "list", "has_more": true,
                    "data": [of("sub_1", "active", period), of("sub_2", status, 1)]})),
                Some("sub_2") => {
                    answer(&json!({"object": "list", "has_more": false, "data": [of("sub_3", "trialing", 1)]}))
                }
                Some(_) => Reply::status(400),
            }
        })
    });
}

#[test]
fn github_is_read_as_a_window() {
    let recipe = Recipe {
        file: "github-releases.toml",
        job: "releases",
        origin: "https://api.github.com",
        env: &[("GITHUB_TOKEN", "ghp_1"), ("RELEASES_SECRET", SECRET)],
        items: 2,
        told: &["created 3"],
        sinks: 1,
    };
    recipe.run(|request, _, changed| {
        known(request, "authorization", "Bearer ghp_1", || {
            assert_eq!(request.header("x-github-api-version"), Some("2022-11-28"));
            let of = |id: u32, downloads: u32, prerelease: bool| {
                json!({"id": id, "tag_name": format!("1.{id}"), "name": "", "body": "", "draft": false,
                       "prerelease": prerelease, "assets": [{"name": "a.tar", "download_count": downloads}]})
            };
            let releases = match changed {
                false => json!([of(2, 10, false), of(1, 5, false)]),
                // A release, a pre-release that `when` keeps back, downloads, and one that fell off the end.
                true => json!([of(4, 0, true), of(3, 0, false), of(2, 11, false)]),
            };
            let etag = if changed { "W/\"b\"" } else { "W/\"a\"" };
            match request.header("if-none-match") == Some(etag) {
                true => Reply::status(304).with("etag", etag),
                false => answer(&releases).with("etag", etag),
            }
        })
    });
}

#[test]
fn shopify_is_read_by_links() {
    let recipe = Recipe {
        file: "shopify.toml",
        job: "products",
        origin: "https://your-shop.myshopify.com",
        env: &[("SHOPIFY_TOKEN", "shpat_1"), ("HOOK_SECRET", SECRET)],
        items: 3,
        told: &["updated 632910392"],
        sinks: 1,
    };
    recipe.run(|request, own, changed| {
        known(request, "x-shopify-access-token", "shpat_1", || {
            let variants = match changed {
                false => json!([{"id": 1, "price": "199.00", "inventory_quantity": 5}, {"id": 2, "price": "9.00", "inventory_quantity": 1}]),
                true => json!([{"id": 2, "price": "9.00", "inventory_quantity": 1}, {"id": 1, "price": "189.00", "inventory_quantity": 5}]),
            };
            let limit = "32/40";
            match asked(request, "page_info").as_deref() {
                None => answer(&json!({"products": [
                    {"id": 632_910_392_u32, "title": "IPod", "status": "active", "variants": variants},
                    {"id": 2, "title": "Bag", "status": "active", "variants": []}]}))
                    .with("link", &format!("<{own}/admin/api/2026-01/products.json?limit=250&page_info=p2>; rel=\"next\"")),
                // Shopify takes nothing beside page_info and limit.
                Some("p2") if asked(request, "fields").is_none() => {
                    answer(&json!({"products": [{"id": 3, "title": "Cap", "status": "draft", "variants": []}]}))
                        .with("link", &format!("<{own}/admin/api/2026-01/products.json?limit=250&page_info=p1>; rel=\"previous\""))
                }
                Some(_) => Reply::status(400),
            }
            .with("x-shopify-shop-api-call-limit", limit)
        })
    });
}

#[test]
fn hubspot_is_read_by_tokens_in_the_query() {
    let recipe = Recipe {
        file: "hubspot.toml",
        job: "deals",
        origin: "https://api.hubapi.com",
        env: &[("HUBSPOT_TOKEN", "pat-1"), ("HOOK_SECRET", SECRET)],
        items: 3,
        told: &["created 4", "updated 1"],
        sinks: 1,
    };
    recipe.run(|request, _, changed| {
        known(request, "authorization", "Bearer pat-1", || {
            assert_eq!(request.path(), "/crm/v3/objects/deals");
            let deal = |id: u32, stage: &str| {
                let at = if changed { "2026-11-22T10:00:00Z" } else { "2026-11-21T10:00:00Z" };
                json!({"id": id.to_string(), "archived": false, "updatedAt": at, "properties":
                    {"dealname": "D", "dealstage": stage, "amount": "100.00", "closedate": null, "hs_lastmodifieddate": at}})
            };
            let stage = if changed { "closedwon" } else { "qualified" };
            match asked(request, "after").as_deref() {
                None => answer(&json!({"results": [deal(1, stage), deal(2, "new")],
                    "paging": {"next": {"after": "NTI1", "link": "https://api.hubapi.com/?after=NTI1"}}})),
                Some("NTI1") if changed => answer(&json!({"results": [deal(3, "new"), deal(4, "new")]})),
                Some("NTI1") => answer(&json!({"results": [deal(3, "new")]})),
                Some(_) => Reply::status(400),
            }
        })
    });
}

#[test]
fn salesforce_is_read_with_a_token_that_was_fetched() {
    let recipe = Recipe {
        file: "salesforce.toml",
        job: "opportunities",
        origin: "https://your-domain.my.salesforce.com",
        env: &[("SALESFORCE_ID", "id"), ("SALESFORCE_SECRET", "s3cret"), ("HOOK_SECRET", SECRET)],
        items: 3,
        told: &["updated 006B"],
        sinks: 1,
    };
    recipe.run(|request, _, changed| {
        if request.path() == "/services/oauth2/token" {
            let form = String::from_utf8_lossy(&request.body).into_owned();
            let shown = ["grant_type=client_credentials", "client_id=id", "client_secret=s3cret"];
            return match shown.iter().all(|part| form.contains(part)) {
                true => answer(&json!({"access_token": "00D!1", "token_type": "Bearer"})),
                false => Reply::status(400),
            };
        }
        known(request, "authorization", "Bearer 00D!1", || {
            let record = |id: &str, stage: &str| {
                json!({"attributes": {"type": "Opportunity"}, "Id": id, "Name": id, "StageName": stage, "Amount": 1000.0,
                       "SystemModstamp": changed.to_string()})
            };
            let stage = if changed { "Closed Won" } else { "Prospecting" };
            match request.path() {
                "/services/data/v62.0/query" => answer(&json!({"totalSize": 3, "done": false,
                    "nextRecordsUrl": "/services/data/v62.0/query/01g-2000",
                    "records": [record("006A", "Prospecting"), record("006B", stage)]})),
                "/services/data/v62.0/query/01g-2000" => {
                    answer(&json!({"totalSize": 3, "done": true, "records": [record("006C", "Prospecting")]}))
                }
                _ => Reply::status(404),
            }
        })
    });
}

#[test]
fn gmail_lists_ids_and_each_new_mail_is_asked_for_once() {
    let recipe = Recipe {
        file: "gmail.toml",
        job: "inbox",
        origin: "https://gmail.googleapis.com",
        env: &[("GMAIL_CLIENT", "c"), ("GMAIL_SECRET", "s"), ("GMAIL_REFRESH", "r"), ("HOOK_SECRET", SECRET)],
        items: 3,
        told: &["created 18c4"],
        sinks: 1,
    };
    let asked = std::sync::Mutex::new(std::collections::BTreeSet::new());
    recipe.run(move |request, _, changed| {
        if request.path() == "/token" {
            assert!(String::from_utf8_lossy(&request.body).contains("refresh_token=r"), "{request:?}");
            return answer(&json!({"access_token": "ya29.a", "token_type": "Bearer", "expires_in": 3599}));
        }
        known(request, "authorization", "Bearer ya29.a", || {
            let id = |id: &str| json!({"id": id, "threadId": id});
            match (request.path(), query(request).get("pageToken").map(String::as_str)) {
                ("/gmail/v1/users/me/messages", None) => {
                    let new = if changed { "18c4" } else { "18c3" };
                    answer(&json!({"messages": [id(new), id("18c3"), id("18c2")], "nextPageToken": "p2"}))
                }
                ("/gmail/v1/users/me/messages", _) => answer(&json!({"messages": [id("18c1")]})),
                (path, _) => match path.strip_prefix("/gmail/v1/users/me/messages/") {
                    Some(id) if asked.lock().expect("no panic").insert(id.to_owned()) => {
                        answer(&json!({"snippet": id}))
                    }
                    _ => Reply::status(404),
                },
            }
        })
    });
}

#[test]
fn jira_is_searched_with_jql() {
    let recipe = Recipe {
        file: "jira.toml",
        job: "issues",
        origin: "https://your-site.atlassian.net",
        env: &[("JIRA_EMAIL", "a@example.com"), ("JIRA_TOKEN", "t"), ("HOOK_SECRET", SECRET)],
        items: 3,
        told: &["updated OPS-3"],
        sinks: 1,
    };
    recipe.run(|request, _, changed| {
        // a@example.com:t
        known(request, "authorization", "Basic YUBleGFtcGxlLmNvbTp0", || {
            assert_eq!(request.path(), "/rest/api/3/search/jql");
            assert!(asked(request, "jql").is_some_and(|jql| jql.contains("project")));
            let issue = |number: u32, status: &str| {
                json!({"id": format!("1000{number}"), "key": format!("OPS-{number}"), "fields":
                    {"summary": "S", "status": {"name": status}, "assignee": null}})
            };
            let status = if changed { "Done" } else { "To Do" };
            match asked(request, "nextPageToken").as_deref() {
                None => answer(&json!({"issues": [issue(1, "To Do"), issue(2, "To Do")], "nextPageToken": "CAEaAggC", "isLast": false})),
                Some("CAEaAggC") => answer(&json!({"issues": [issue(3, status)], "isLast": true})),
                Some(_) => Reply::status(400),
            }
        })
    });
}

#[test]
fn notion_is_asked_by_post_with_the_token_in_the_body() {
    let recipe = Recipe {
        file: "notion.toml",
        job: "tasks",
        origin: "https://api.notion.com",
        env: &[("NOTION_TOKEN", "ntn_1"), ("HOOK_SECRET", SECRET)],
        items: 2,
        told: &["updated b"],
        sinks: 1,
    };
    recipe.run(|request, _, changed| {
        known(request, "authorization", "Bearer ntn_1", || {
            assert_eq!((request.method.as_str(), request.header("notion-version")), ("POST", Some("2022-06-28")));
            let asked: Value = serde_json::from_slice(&request.body).expect("JSON");
            assert_eq!(asked["page_size"], 100);
            let page = |id: &str, done: bool| {
                json!({"object": "page", "id": id, "archived": false, "last_edited_time": changed.to_string(),
                       "properties": {"Done": {"checkbox": done}}})
            };
            match asked["start_cursor"].as_str() {
                None => answer(
                    &json!({"object": "list", "results": [page("a", false)], "next_cursor": "c2", "has_more": true}),
                ),
                Some("c2") => answer(
                    &json!({"object": "list", "results": [page("b", changed)], "next_cursor": null, "has_more": false}),
                ),
                Some(_) => Reply::status(400),
            }
        })
    });
}

#[test]
fn zendesk_is_read_by_whole_addresses() {
    let recipe = Recipe {
        file: "zendesk.toml",
        job: "tickets",
        origin: "https://your-subdomain.zendesk.com",
        env: &[("ZENDESK_USER", "a@example.com/token"), ("ZENDESK_TOKEN", "t"), ("HOOK_SECRET", SECRET)],
        items: 3,
        told: &["updated 35436"],
        sinks: 1,
    };
    recipe.run(|request, own, changed| {
        // a@example.com/token:t
        known(request, "authorization", "Basic YUBleGFtcGxlLmNvbS90b2tlbjp0", || {
            let ticket = |id: u32, status: &str, tags: Value| {
                json!({"id": id, "status": status, "priority": "normal", "assignee_id": null, "subject": "S", "tags": tags})
            };
            let status = if changed { "solved" } else { "open" };
            let tags = if changed { json!(["b", "a"]) } else { json!(["a", "b"]) };
            // A link that Zendesk still gives on the last page, where nothing more comes.
            let next = |after: &str| format!("{own}/api/v2/tickets.json?page%5Bsize%5D=100&page%5Bafter%5D={after}");
            match request.target.contains("after%5D=x1") || request.target.contains("after]=x1") {
                false => answer(&json!({"tickets": [ticket(35436, status, json!([])), ticket(2, "new", tags)],
                    "meta": {"has_more": true}, "links": {"next": next("x1")}})),
                true => answer(&json!({"tickets": [ticket(3, "new", json!([]))],
                    "meta": {"has_more": false}, "links": {"next": next("x2")}})),
            }
        })
    });
}

#[test]
fn the_ecbs_xml_is_read_and_small_moves_are_tolerated() {
    let recipe = Recipe {
        file: "ecb-rates.toml",
        job: "rates",
        origin: "https://www.ecb.europa.eu",
        env: &[("HOOK_SECRET", SECRET)],
        items: 3,
        told: &["updated JPY"],
        sinks: 1,
    };
    recipe.run(|_, _, changed| {
        // The dollar moves by a tenth of a percent, the yen by one.
        let (day, dollar, yen) = if changed { ("20", "1.0968", "165.86") } else { ("19", "1.0957", "164.20") };
        Reply::body(
            "text/xml",
            format!(
                r#"<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
	<gesmes:subject>Reference rates</gesmes:subject>
	<gesmes:Sender><gesmes:name>European Central Bank</gesmes:name></gesmes:Sender>
	<Cube><Cube time='2026-11-{day}'>
		<Cube currency='USD' rate='{dollar}'/><Cube currency='JPY' rate='{yen}'/><Cube currency='CZK' rate='24.3'/>
	</Cube></Cube>
</gesmes:Envelope>"#
            ),
        )
    });
}

#[test]
fn the_usgs_export_is_read_as_csv() {
    let recipe = Recipe {
        file: "usgs-earthquakes.toml",
        job: "earthquakes",
        origin: "https://earthquake.usgs.gov",
        env: &[("HOOK_SECRET", SECRET)],
        items: 2,
        told: &["created us3", "updated us2"],
        sinks: 1,
    };
    recipe.run(|_, _, changed| {
        let header = "time,latitude,longitude,depth,mag,place,id,updated,status\n";
        let rows = match changed {
            false => "2026-11-21T01:00:00Z,1,2,10,4.5,\"10 km W of A, B\",us2,t1,automatic\n2026-11-20T02:00:00Z,1,2,10,3.0,C,us1,t1,reviewed\n",
            // One is new, one was corrected, one is a day old.
            true => "2026-11-21T02:00:00Z,1,2,10,2.6,D,us3,t2,automatic\n2026-11-21T01:00:00Z,1,2,10,4.7,\"10 km W of A, B\",us2,t2,reviewed\n",
        };
        Reply::body("text/csv; charset=utf-8", format!("{header}{rows}"))
    });
}

#[test]
fn a_status_page_tells_two_sinks() {
    let recipe = Recipe {
        file: "statuspage.toml",
        job: "components",
        origin: "https://www.githubstatus.com",
        env: &[("STATUS_SECRET", SECRET)],
        items: 2,
        told: &["updated a"],
        sinks: 2,
    };
    recipe.run(|_, _, changed| {
        let status = if changed { "major_outage" } else { "operational" };
        answer(&json!({"page": {"updated_at": changed.to_string()}, "components": [
            {"id": "a", "name": "Git", "status": status, "position": 1},
            {"id": "b", "name": "API", "status": "operational", "position": 2}]}))
    });
}

#[test]
fn the_weather_is_one_document() {
    let recipe = Recipe {
        file: "open-meteo.toml",
        job: "weather",
        origin: "https://api.open-meteo.com",
        env: &[("WEATHER_SECRET", SECRET)],
        items: 1,
        told: &["updated "],
        sinks: 1,
    };
    recipe.run(|_, _, changed| {
        let code = if changed { 61 } else { 0 };
        answer(&json!({"latitude": 52.52, "current": {"temperature_2m": 11.2, "weather_code": code}}))
    });
}

#[test]
fn every_recipe_is_run_and_listed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recipes");
    let own = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/recipes.rs")).expect("this file");
    let page = fs::read_to_string(folder.join("README.md")).expect("the page of the recipes");
    let mut files = 0;
    for entry in fs::read_dir(folder).expect("a folder") {
        let name = entry.expect("a file").file_name().into_string().expect("a name");
        if name.ends_with(".toml") {
            files += 1;
            assert!(own.contains(&format!("\"{name}\"")), "no test runs {name}");
            assert!(page.contains(&format!("({name})")), "{name} is not listed in docs/recipes/README.md");
        }
    }
    assert!(files >= 10, "{files} recipes");
}
