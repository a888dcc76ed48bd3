//! The table of keys against the page that specifies the language, and against the example.

use std::collections::HashSet;

use toml::de::{DeTable, DeValue};

use super::*;
use crate::config::keys::{KEYS, Table, find, nearest};

/// Every key of the config language, table by table, as its specification lists them.
const PAGE: &[(Table, &str)] = &[
    (Table::Root, "daemon vendor job sink alerts"),
    (Table::Daemon, "state listen token include concurrency retention reload"),
    (
        Table::Vendor,
        "base_url headers query auth timeout connect_timeout rate concurrency budget max_body retries proxy tls \
         allow_hosts conditional respect_cache limited_when fail_when",
    ),
    (
        Table::Auth,
        "type token username password name value in token_url client_id client_secret scope audience grant \
         refresh_token client_auth params algorithm key claims headers url method body send ttl region service \
         access_key secret_key session_token header message encoding",
    ),
    (
        Table::Job,
        "vendor url method query headers body format every cron timezone items key list watch ignore tolerance arrays \
         unordered settle first on when empty deletes max_events type send_to enabled rename pages cursor detail each \
         csv array base_url auth timeout rate budget max_body retries proxy tls allow_hosts conditional respect_cache \
         limited_when fail_when",
    ),
    (Table::Deletes, "after hold_above confirm"),
    (Table::Every, "min max"),
    (Table::Csv, "delimiter header"),
    (Table::Pages, "style at param into start size size_param more max total until"),
    (Table::Cursor, "at from start overlap full_every"),
    (Table::Detail, "url version concurrency merge"),
    (Table::Each, "job at"),
    (Table::SendTo, "sink when format payload thin"),
    (
        Table::Sink,
        "url headers auth secret sign format payload when timeout retry concurrency rate order batch thin private \
         allow_cidr max_backlog max_age at_limit handshake tls proxy",
    ),
    (Table::Sign, "header algorithm encoding message value"),
    (Table::Batch, "max wait"),
    (Table::Tls, "ca cert key"),
    (Table::Alerts, "send_to after remind stale"),
];

#[test]
fn every_key_of_the_page_is_in_the_table() {
    for (table, names) in PAGE {
        for name in names.split_whitespace() {
            assert!(find(*table, name).is_some(), "{table:?} lacks `{name}`");
        }
    }
}

#[test]
fn every_key_of_the_table_is_on_the_page_and_there_once() {
    let mut seen = HashSet::new();
    for key in KEYS {
        assert!(seen.insert((key.table, key.name)), "{:?} has `{}` twice", key.table, key.name);
        let page = PAGE.iter().find(|(table, _)| *table == key.table);
        let names = page.map(|(_, names)| *names).unwrap_or_default();
        assert!(names.split_whitespace().any(|name| name == key.name), "`{}` of {:?}", key.name, key.table);
    }
}

#[test]
fn every_key_is_in_the_example() {
    // Certificates are shown in a comment: the example loads without any file beside it.
    let text = include_str!("../../../config.example.toml").replace("\n# tls = ", "\ntls = ");
    let tree = DeTable::parse(&text).expect("the example is TOML").into_inner();
    let mut found = HashSet::new();
    for (key, value) in &tree {
        found.insert((Table::Root, key.get_ref().to_string()));
        let Some(table) = value.get_ref().as_table() else { continue };
        let kind = match key.get_ref().as_ref() {
            "vendor" => Table::Vendor,
            "job" => Table::Job,
            "sink" => Table::Sink,
            "alerts" => Table::Alerts,
            _ => Table::Daemon,
        };
        let tables: Vec<&DeTable<'_>> = match kind {
            Table::Daemon | Table::Alerts => vec![table],
            _ => table.values().filter_map(|value| value.get_ref().as_table()).collect(),
        };
        tables.iter().for_each(|table| collect(kind, table, &mut found));
    }
    for key in KEYS {
        assert!(
            found.contains(&(key.table, key.name.to_owned())),
            "the example lacks `{}` of {:?}",
            key.name,
            key.table
        );
    }
}

fn collect(kind: Table, table: &DeTable<'_>, found: &mut HashSet<(Table, String)>) {
    for (key, value) in table {
        found.insert((kind, key.get_ref().to_string()));
        let inner = match key.get_ref().as_ref() {
            "auth" => Table::Auth,
            "csv" => Table::Csv,
            "deletes" => Table::Deletes,
            "every" => Table::Every,
            "sign" => Table::Sign,
            "batch" => Table::Batch,
            "send_to" => Table::SendTo,
            "tls" => Table::Tls,
            "pages" => Table::Pages,
            "cursor" => Table::Cursor,
            "detail" => Table::Detail,
            "each" => Table::Each,
            _ => continue,
        };
        // The names in `each` are the user's own; the keys are those of the tables under them.
        let named = value.get_ref().as_table().filter(|_| inner == Table::Each).map(|table| table.values());
        for value in named.into_iter().flatten().filter_map(|value| value.get_ref().as_table()) {
            collect(inner, value, found);
        }
        let elements = value.get_ref().as_array().into_iter().flatten();
        for value in elements.chain([value]) {
            if let DeValue::Table(table) = value.get_ref() {
                collect(inner, table, found);
            }
        }
    }
}

#[test]
fn the_example_loads_and_states_the_defaults() {
    let text = include_str!("../../../config.example.toml");
    let names = [
        "DOORBELL_TOKEN",
        "SHOP_TOKEN",
        "LEDGER_PASSWORD",
        "WEATHER_KEY",
        "CRM_SECRET",
        "CRM_TOKEN",
        "BOOKS_SECRET",
        "BOOKS_REFRESH",
        "BANK_KEY",
        "TILL_PASSWORD",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "DOOR_PASSWORD",
        "EXCHANGE_KEY",
    ];
    let secret = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0";
    let machine = names.iter().fold(with(text), |machine, name| machine.variable(name, secret));
    let loaded = loaded(&machine);
    assert_eq!(loaded.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(), Vec::<String>::new());

    let bare = super::loaded(&with(
        "[job.orders]\nurl = \"https://a.example\"\nevery = \"30s\"\nsend_to = [\"crm\"]\n\
         [sink.crm]\nurl = \"https://crm.example\"\n",
    ));
    let (stated, default) = (&loaded.config, &bare.config);
    assert_eq!(stated.daemon.concurrency, default.daemon.concurrency);
    assert_eq!(stated.daemon.retention, default.daemon.retention);
    assert_eq!(stated.daemon.listen, default.daemon.listen);
    let alerts = |config: &crate::core::config::Config| {
        let alerts = &config.alerts;
        (alerts.after, alerts.remind, alerts.stale)
    };
    assert_eq!(alerts(stated), alerts(default));
    let (stated, default) = (stated.sink(&"crm".into()).unwrap(), &default.sinks[0]);
    assert_eq!(
        (stated.timeout, stated.concurrency, stated.order),
        (default.timeout, default.concurrency, default.order)
    );
    assert_eq!(stated.ladder, default.ladder);
    let (stated, default) = (loaded.config.job(&"orders".into()).unwrap(), &bare.config.jobs[0]);
    let access = |job: &crate::core::job::Job| {
        let access = &job.request.access;
        (access.timeout, access.max_body, access.retries, access.conditional)
    };
    assert_eq!(access(stated), access(default));
    assert_eq!(
        (stated.list, stated.first, stated.on, stated.empty),
        (default.list, default.first, default.on, default.empty)
    );
    let held = |job: &crate::core::job::Job| (job.deletes.after, job.deletes.hold_above, job.max_events, job.enabled);
    assert_eq!(held(stated), held(default));
    assert_eq!(stated.request.method, default.request.method);
}

#[test]
fn a_slip_finds_the_name_that_was_meant() {
    let names = ["every", "enabled", "url", "send_to"];
    for (got, meant) in [
        ("evry", Some("every")),
        ("Every", Some("every")),
        ("sendto", Some("send_to")),
        ("ulr", Some("url")),
        ("zzz", None),
        ("", None),
    ] {
        assert_eq!(nearest(got, names), meant, "{got}");
    }
}

/// The reference, whose text about problems is printed by this code and must stay so.
const REFERENCE: &str = include_str!("../../../docs/config.md");

#[test]
fn the_reference_shows_what_is_really_printed() {
    let block = |fence: &str| {
        let after = REFERENCE.split(fence).nth(1).unwrap_or_default();
        after.split("```").next().unwrap_or_default().trim_start_matches('\n').to_owned()
    };
    let text = printed(&with(&block("```toml")));
    assert_eq!(block("```text"), text, "docs/config.md shows something else:\n{text}");
}

#[test]
fn the_reference_names_every_key() {
    for key in KEYS
        .iter()
        .filter(|key| matches!(key.table, Table::Daemon | Table::Vendor | Table::Job | Table::Sink | Table::Alerts))
    {
        assert!(REFERENCE.contains(&format!("`{}`", key.name)), "docs/config.md lacks `{}`", key.name);
    }
}
