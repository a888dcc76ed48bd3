//! What is found in answers shaped as real vendors shape them.

use super::*;
use crate::core::json::parse;

struct Answer<'t> {
    url: &'t str,
    headers: &'t [(&'t str, &'t str)],
    first: &'t str,
    again: &'t str,
}

fn look(answer: &Answer<'_>) -> Result<Survey, Puzzle> {
    let url = Url::parse(answer.url).unwrap();
    let headers: Vec<_> = answer.headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let (first, again) = (parse(answer.first.as_bytes()).unwrap(), parse(answer.again.as_bytes()).unwrap());
    let seen = |document| Seen { url: &url, headers: &headers, document };
    survey(&seen(&first), &seen(&again), &Wish::default())
}

fn of(url: &str, headers: &[(&str, &str)], body: &str) -> Survey {
    look(&Answer { url, headers, first: body, again: body }).unwrap_or_else(|puzzle| panic!("{puzzle:?} of {body}"))
}

/// Items, key and the settings of its pages, as one line.
fn line(survey: &Survey) -> String {
    let items = survey.items.as_ref().map_or("the document", |items| items.path.as_str());
    let key = survey.key.as_ref().map(|key| key.paths.join("+")).unwrap_or_default();
    let setting = |(name, value): &(&str, Setting)| match value {
        Setting::Text(text) => format!("{name}={text}"),
        Setting::Whole(number) => format!("{name}={number}"),
    };
    let pages = survey.pages.as_ref().map(|pages| pages.settings.iter().map(setting).collect::<Vec<_>>().join(" "));
    format!("{items} | {key} | {}", pages.unwrap_or_default())
}

/// Vendor, URL, headers, body, and the line that is made of what was found.
type Case<'t> = (&'t str, &'t str, &'t [(&'t str, &'t str)], &'t str, &'t str);

const VENDORS: &[Case<'_>] = &[
    (
        "Stripe",
        "https://api.stripe.com/v1/charges?limit=2",
        &[],
        r#"{"object":"list","url":"/v1/charges","has_more":true,"data":[
        {"id":"ch_1","object":"charge","amount":100,"created":1679090539,"metadata":{}},
        {"id":"ch_2","object":"charge","amount":100,"created":1679090539,"metadata":{}}]}"#,
        "$.data[*] | $.id | style=last_key at=$.id param=starting_after more=$.has_more",
    ),
    (
        "GitHub",
        "https://api.github.com/repos/rust-lang/rust/releases?per_page=2",
        &[("link", "<https://api.github.com/repositories/1/releases?page=2>; rel=\"next\", <https://x>; rel=\"last\"")],
        r#"[{"url":"u1","id":11,"author":{"id":5},"tag_name":"1"},{"url":"u2","id":12,"author":{"id":5},"tag_name":"2"}]"#,
        "$[*] | $.id | style=link",
    ),
    (
        "Shopify",
        "https://shop.example/admin/api/2026-01/orders.json?limit=2",
        &[("link", "<https://shop.example/admin/api/2026-01/orders.json?page_info=abc&limit=2>; rel=next")],
        r#"{"orders":[{"id":450789469,"name":"x1001","line_items":[{"id":1}]},{"id":450789470,"name":"x1002","line_items":[]}]}"#,
        "$.orders[*] | $.id | style=link",
    ),
    (
        "HubSpot",
        "https://api.hubapi.com/crm/v3/objects/contacts",
        &[],
        r#"{"results":[{"id":"1","properties":{"email":"a@x"},"updatedAt":"2026-01-01T00:00:00Z"}],
        "paging":{"next":{"after":"NTI1","link":"https://api.hubapi.com/crm/v3/objects/contacts?after=NTI1"}}}"#,
        "$.results[*] | $.id | style=next_url at=$.paging.next.link",
    ),
    (
        "Salesforce",
        "https://x.my.salesforce.com/services/data/v60.0/query?q=SELECT+Id+FROM+Account",
        &[],
        r#"{"totalSize":2,"done":true,"records":[
        {"attributes":{"type":"Account","url":"/services/1"},"Id":"001A","Name":"A"},
        {"attributes":{"type":"Account","url":"/services/2"},"Id":"001B","Name":"A"}]}"#,
        "$.records[*] | $.Id | style=next_url at=$.nextRecordsUrl",
    ),
    (
        "Salesforce with more",
        "https://x.my.salesforce.com/services/data/v60.0/query",
        &[],
        r#"{"totalSize":3,"done":false,"nextRecordsUrl":"/services/data/v60.0/query/01g-2000","records":[{"Id":"001A"}]}"#,
        "$.records[*] | $.Id | style=next_url at=$.nextRecordsUrl",
    ),
    (
        "Jira",
        "https://x.atlassian.net/rest/api/2/search?jql=project=A",
        &[],
        r#"{"expand":"schema","startAt":0,"maxResults":50,"total":2,"issues":[
        {"id":"10001","key":"A-1","fields":{"updated":"2026-01-01T00:00:00.000+0000"}},
        {"id":"10002","key":"A-2","fields":{"updated":"2026-01-01T00:00:00.000+0000"}}]}"#,
        "$.issues[*] | $.id | style=offset param=startAt size=50 size_param=maxResults",
    ),
    (
        "Notion",
        "https://api.notion.com/v1/users",
        &[],
        r#"{"object":"list","results":[{"object":"user","id":"6794"},{"object":"user","id":"92a6"}],
        "next_cursor":"fe2cc560","has_more":true,"type":"user"}"#,
        "$.results[*] | $.id | style=token at=$.next_cursor param=start_cursor more=$.has_more",
    ),
    (
        "Notion, the last page",
        "https://api.notion.com/v1/users",
        &[],
        r#"{"object":"list","results":[{"object":"user","id":"6794"}],"next_cursor":null,"has_more":false}"#,
        "$.results[*] | $.id | style=token at=$.next_cursor param=start_cursor more=$.has_more",
    ),
    (
        "Zendesk, by offset",
        "https://x.zendesk.com/api/v2/tickets.json",
        &[],
        r#"{"tickets":[{"id":35436,"url":"u","status":"open"},{"id":20057623,"url":"v","status":"open"}],
        "next_page":"https://x.zendesk.com/api/v2/tickets.json?page=2","previous_page":null,"count":2}"#,
        "$.tickets[*] | $.id | style=next_url at=$.next_page",
    ),
    (
        "Zendesk, by cursor",
        "https://x.zendesk.com/api/v2/tickets.json?page[size]=2",
        &[],
        r#"{"tickets":[{"id":35436},{"id":20057623}],"meta":{"has_more":true,"after_cursor":"xxx"},
        "links":{"prev":"https://x/p","next":"https://x.zendesk.com/api/v2/tickets.json?page[after]=xxx"}}"#,
        "$.tickets[*] | $.id | style=next_url at=$.links.next more=$.meta.has_more",
    ),
    (
        "Kinto",
        "https://kinto.example/v1/buckets/b/collections/c/records?_limit=2",
        &[("next-page", "https://kinto.example/v1/buckets/b/collections/c/records?_token=abc"), ("total-records", "5")],
        r#"{"data":[{"id":"a1","last_modified":1368273600004},{"id":"a2","last_modified":1368273600003}]}"#,
        "$.data[*] | $.id | style=next_url at=header:Next-Page",
    ),
    (
        "JSON:API",
        "https://api.example/articles",
        &[],
        r#"{"links":{"self":"http://api.example/articles","next":"http://api.example/articles?page[number]=2"},
        "data":[{"type":"articles","id":"1","attributes":{"title":"A"}},{"type":"articles","id":"2","attributes":{"title":"A"}}],
        "included":[{"type":"people","id":"9"},{"type":"people","id":"8"},{"type":"people","id":"7"}]}"#,
        "$.data[*] | $.id | style=next_url at=$.links.next",
    ),
    (
        "JSON:API of several types",
        "https://api.example/feed",
        &[],
        r#"{"data":[{"type":"articles","id":"1"},{"type":"people","id":"1"}],"links":{"next":{"href":"/feed?page=2"}}}"#,
        "$.data[*] | $.id+$.type | style=next_url at=$.links.next.href",
    ),
    (
        "HAL",
        "https://api.example/orders",
        &[],
        r#"{"_links":{"self":{"href":"/orders"},"next":{"href":"/orders?page=2"}},
        "_embedded":{"ea:order":[{"_links":{"self":{"href":"/orders/123"}},"total":30},{"_links":{"self":{"href":"/orders/124"}},"total":30}]},
        "currentlyProcessing":14}"#,
        "$._embedded['ea:order'][*] | $._links.self.href | style=next_url at=$._links.next.href",
    ),
    (
        "GraphQL",
        "https://api.example/graphql?query=x",
        &[],
        r#"{"data":{"viewer":{"orders":{"edges":[{"cursor":"a","node":{"id":"gid://1"}},{"cursor":"b","node":{"id":"gid://2"}}],
        "pageInfo":{"hasNextPage":false}}}}}"#,
        "$.data.viewer.orders.edges[*] | $.node.id | ",
    ),
    (
        "Slack",
        "https://slack.com/api/users.list",
        &[],
        r#"{"ok":true,"members":[{"id":"W1","team_id":"T"},{"id":"W2","team_id":"T"}],"response_metadata":{"next_cursor":"dGVhbTpD"}}"#,
        "$.members[*] | $.id | style=token at=$.response_metadata.next_cursor param=cursor",
    ),
    (
        "Google",
        "https://www.googleapis.com/calendar/v3/events",
        &[],
        r#"{"kind":"k","etag":"e","items":[{"kind":"k","id":"1","etag":"a"},{"kind":"k","id":"2","etag":"b"}],"nextPageToken":"t"}"#,
        "$.items[*] | $.id | style=token at=$.nextPageToken param=pageToken",
    ),
    (
        "Laravel",
        "https://api.example/orders",
        &[],
        r#"{"current_page":1,"data":[{"id":1},{"id":2}],"last_page":3,"next_page_url":"https://api.example/orders?page=2","per_page":2,"total":5}"#,
        "$.data[*] | $.id | style=next_url at=$.next_page_url",
    ),
    (
        "pages by number",
        "https://api.example/orders",
        &[],
        r#"{"page":1,"per_page":2,"total_pages":3,"orders":[{"id":1},{"id":2}]}"#,
        "$.orders[*] | $.id | style=page param=page start=1 size=2 size_param=per_page",
    ),
    (
        "OData",
        "https://graph.example/v1.0/users",
        &[],
        r#"{"@odata.context":"c","@odata.nextLink":"https://graph.example/v1.0/users?$skiptoken=X","value":[{"id":"1","displayName":"A"},{"id":"2","displayName":"A"}]}"#,
        "$.value[*] | $.id | style=next_url at=$['@odata.nextLink']",
    ),
    (
        "one thing with lists of its own",
        "https://api.example/orders/7",
        &[],
        r#"{"id":7,"status":"paid","lines":[{"sku":"a"},{"sku":"b"}]}"#,
        "the document |  | ",
    ),
    ("a document", "https://api.example/rates", &[], r#"{"base":"EUR","rates":{"USD":1.1}}"#, "the document |  | "),
    (
        "a list without a named identity",
        "https://api.example/stock",
        &[],
        r#"[{"item":"a","left":1},{"item":"b","left":1},{"item":"c","left":1}]"#,
        "$[*] | $.item | ",
    ),
    (
        "an identity that is another's",
        "https://api.example/orders",
        &[],
        r#"{"orders":[{"customer_id":1,"order_id":7},{"customer_id":2,"order_id":8}]}"#,
        "$.orders[*] | $.order_id | ",
    ),
    (
        "a composite key",
        "https://api.example/stock",
        &[],
        r#"{"stock":[{"shop_id":1,"item_id":1},{"shop_id":1,"item_id":2},{"shop_id":2,"item_id":1}]}"#,
        "$.stock[*] | $.shop_id+$.item_id | ",
    ),
];

#[test]
fn real_vendors_are_recognised() {
    for (vendor, url, headers, body, expected) in VENDORS {
        assert_eq!(line(&of(url, headers, body)), *expected, "{vendor}");
    }
}

#[test]
fn a_field_that_differs_in_most_items_is_volatile_and_a_change_is_not() {
    let items = |served: &[u32], status: &str| {
        let item = |(at, served): (usize, &u32)| {
            let status = if at == 0 { status } else { "new" };
            format!(r#"{{"id":{at},"status":"{status}","meta":{{"served":{served}}},"links":[{{"sig":"{served}"}}]}}"#)
        };
        format!("[{}]", served.iter().enumerate().map(item).collect::<Vec<_>>().join(","))
    };
    let (first, again) = (items(&[1, 2, 3], "new"), items(&[4, 5, 6], "paid"));
    let survey = look(&Answer { url: "https://a.example/", headers: &[], first: &first, again: &again }).unwrap();
    let found: Vec<_> = survey.volatile.iter().map(|found| (found.path.as_str(), found.sure)).collect();
    assert_eq!(found, [("$.links[*].sig", true), ("$.meta.served", true)]);
}

#[test]
fn in_one_document_only_what_flickers_by_name_is_sure() {
    let answer = Answer {
        url: "https://a.example/weather",
        headers: &[],
        first: r#"{"temperature":1.5,"generationtime_ms":0.1,"place":"x"}"#,
        again: r#"{"temperature":1.6,"generationtime_ms":0.2,"place":"x"}"#,
    };
    let found: Vec<_> = look(&answer).unwrap().volatile.iter().map(|found| (found.path.clone(), found.sure)).collect();
    assert_eq!(found, [("$.generationtime_ms".to_owned(), true), ("$.temperature".to_owned(), false)]);
}

#[test]
fn a_key_that_changes_between_two_fetches_is_none() {
    let first = r#"{"data":[{"id":"r1","code":"a"},{"id":"r2","code":"b"}]}"#;
    let again = r#"{"data":[{"id":"r3","code":"a"},{"id":"r4","code":"b"}]}"#;
    let survey = look(&Answer { url: "https://a.example/", headers: &[], first, again }).unwrap();
    assert_eq!(survey.key.unwrap().paths, ["$.code"]);
}

#[test]
fn a_time_of_the_last_change_could_be_a_cursor() {
    let with = |member: &str| of("https://a.example/", &[], &format!(r#"[{{"id":1,{member}}},{{"id":2,{member}}}]"#));
    let path = |member: &str| with(member).cursor.map(|found| found.path);
    assert_eq!(path(r#""updated_at":"2026-01-01T00:00:00Z""#).as_deref(), Some("$.updated_at"));
    assert_eq!(path(r#""lastModified":1767225600000"#).as_deref(), Some("$.lastModified"));
    assert_eq!(path(r#""attributes":{"modified":"2026-01-01"}"#).as_deref(), Some("$.attributes.modified"));
    assert_eq!(path(r#""updated_at":null"#), None);
    assert_eq!(path(r#""updated":true"#), None);
}

#[test]
fn what_is_missing_is_said() {
    let puzzle = |body: &str| look(&Answer { url: "https://a.example/orders", headers: &[], first: body, again: body });
    let empty = |body: &str| matches!(puzzle(body), Err(Puzzle::Empty { .. }));
    assert!(empty("[]") && empty(r#"{"data":[],"has_more":false}"#) && empty(r#"{"orders":[]}"#));
    assert!(empty(r#"{"data":[],"links":[{"rel":"self"}]}"#), "what is beside an empty list is not the list");
    let no_key = puzzle(r#"[{"total":1},{"total":1}]"#);
    assert!(matches!(no_key, Err(Puzzle::NoKey { ref items, count: 2, .. }) if items == "$[*]"), "{no_key:?}");
    let twice = puzzle(r#"[{"id":1},{"id":1}]"#);
    assert!(matches!(twice, Err(Puzzle::NoKey { .. })), "{twice:?}");
}

#[test]
fn what_the_user_says_counts() {
    let body = parse(br#"{"data":[{"id":1}],"orders":[{"id":1,"n":"a"},{"id":2,"n":"b"}],"none":[1]}"#).unwrap();
    let url = Url::parse("https://a.example/").unwrap();
    let seen = Seen { url: &url, headers: &[], document: &body };
    let wish = |items: &str, key: &str| Wish {
        items: Some(JsonPath::parse(items).unwrap()),
        key: vec![JsonPath::parse(key).unwrap()],
    };
    let survey = survey(&seen, &seen, &wish("$.orders[*]", "$.n")).unwrap();
    assert_eq!(line(&survey), "$.orders[*] | $.n | ");
    let none = super::survey(&seen, &seen, &wish("$.none[*]", "$.n"));
    assert_eq!(none.unwrap_err(), Puzzle::NoItems { path: "$.none[*]".into() });
}

#[test]
fn a_stated_policy_becomes_a_rate() {
    let pace =
        |headers: &[(&str, &str)]| of("https://a.example/", headers, r#"{"a":1}"#).pace.and_then(|pace| pace.rate);
    assert_eq!(pace(&[("ratelimit-policy", "100;w=60")]).as_deref(), Some("100/m"));
    assert_eq!(pace(&[("ratelimit-policy", "\"burst\";q=100;w=10")]).as_deref(), Some("600/m"));
    assert_eq!(pace(&[("x-shopify-shop-api-call-limit", "1/40")]).as_deref(), Some("2/s"));
    assert_eq!(pace(&[("x-ratelimit-limit", "60")]), None);
    assert_eq!(pace(&[("ratelimit-policy", "nonsense;w=0")]), None);
}

#[test]
fn a_round_number_without_a_sign_of_pages_is_suspicious() {
    let items =
        |count: u32| format!("[{}]", (0..count).map(|id| format!(r#"{{"id":{id}}}"#)).collect::<Vec<_>>().join(","));
    let pages = |count: u32| of("https://a.example/", &[], &items(count)).pages;
    assert_eq!(pages(99), None);
    assert!(pages(100).is_some_and(|pages| pages.settings.is_empty() && pages.why.contains("100")));
}
