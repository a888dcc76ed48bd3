//! Items and keys, and what people are told when there are none.

use proptest::prelude::*;

use super::*;
use crate::core::job::plain;
use crate::core::json::samples::{document as any_document, spaced};

struct Case {
    items: Option<JsonPath>,
    key: Vec<JsonPath>,
    empty: bool,
}

fn path(text: &str) -> JsonPath {
    JsonPath::parse(text).expect("a query")
}

fn list(items: &str, key: &[&str]) -> Case {
    Case { items: Some(path(items)), key: key.iter().map(|key| path(key)).collect(), empty: false }
}

fn document(key: &[&str]) -> Case {
    Case { items: None, key: key.iter().map(|key| path(key)).collect(), empty: false }
}

impl Case {
    fn or_empty(mut self) -> Self {
        self.empty = true;
        self
    }

    fn read(&self, body: &str) -> Result<Vec<Item>, Failure> {
        let selection = Selection { items: self.items.as_ref(), key: &self.key, empty: self.empty };
        selection.read(&Bytes::copy_from_slice(body.as_bytes())).map(|(items, _)| items)
    }

    /// Keys and bytes, as `KEY=BYTES`.
    fn items(&self, body: &str) -> Vec<String> {
        let items = self.read(body).unwrap_or_else(|failure| panic!("{failure}"));
        items.iter().map(|item| format!("{}={}", item.key, String::from_utf8_lossy(&item.raw))).collect()
    }

    #[track_caller]
    fn refuses(&self, body: &str, kind: FailureKind, sentence: &str) {
        let failure = self.read(body).expect_err(body);
        assert_eq!((failure.kind, failure.sentence.as_str()), (kind, sentence));
    }
}

#[test]
fn items_are_slices_of_the_body() {
    let body = Bytes::from_static(br#"{"data": [ {"id": 1.0, "a": [1 ]}, {"id":"x"} ] }"#);
    let Case { items, key, .. } = list("$.data[*]", &["$.id"]);
    let (items, count) = extract_counted(&Job { items, key, ..plain("orders") }, &body).expect("items");
    assert_eq!((items.len(), count), (2, 2));
    assert_eq!(&items[0].raw[..], br#"{"id": 1.0, "a": [1 ]}"#);
    assert!(body.as_ptr_range().contains(&items[0].raw.as_ptr()), "no copy");
    assert_eq!(items[0].raw_digest, Digest::of(&items[0].raw));
    assert_eq!((items[0].key.as_str(), items[1].key.as_str()), ("1", "x"));
    assert_eq!(items[0].key_digest, items[0].key.digest());
}

#[test]
fn a_document_is_one_item() {
    assert_eq!(document(&[]).items(" {\"a\": 1}\n"), ["={\"a\": 1}"]);
    assert_eq!(document(&["$.a"]).items("\u{feff}{\"a\": 1}"), ["1={\"a\": 1}"]);
    assert_eq!(document(&[]).items("null"), ["=null"]);
}

#[test]
fn keys_are_texts_and_values() {
    let case = list("$[*]", &["$.k"]);
    for (key, text) in [
        ("\"a b\"", "a b"),
        ("\"\"", ""),
        ("\"\\u00e9\"", "é"),
        ("1.0", "1"),
        ("1e2", "100"),
        ("-0", "0"),
        ("9007199254740993", "9007199254740993"),
        ("18446744073709551616", "18446744073709551616"),
        ("1E999999999999", "1e999999999999"),
        ("true", "true"),
    ] {
        assert_eq!(case.read(&format!("[{{\"k\":{key}}}]")).expect("a key")[0].key.as_str(), text);
    }
    let composite = list("$[*]", &["$.a", "$.b.c"]);
    assert_eq!(composite.items(r#"[{"a":"x\"","b":{"c":1.50}}]"#), [r#"["x\"",1.5]={"a":"x\"","b":{"c":1.50}}"#]);
    assert_eq!(list("$[*]", &["$"]).items(r#"["a",1]"#), ["a=\"a\"", "1=1"]);
    assert_eq!(list("$.*", &["$.k"]).items(r#"{"x":{"k":1},"y":{"k":2}}"#), [r#"1={"k":1}"#, r#"2={"k":2}"#]);
}

#[test]
fn queries_that_need_a_tree_find_the_same_items() {
    assert_eq!(
        list("$.d[?@.on == true]", &["$.k"]).items(r#"{"d":[{"k":1,"on":true},{"k":2}]}"#),
        [r#"1={"k":1,"on":true}"#]
    );
    assert_eq!(list("$.d[*]", &["$..k"]).items(r#"{"d":[{"a":{ "k":1.10}}]}"#), [r#"1.1={"a":{ "k":1.10}}"#]);
    assert_eq!(
        list("$..o[*]", &["$.k"]).items(r#"[{"o":[{"k": 1}]},{"o":[{"k": 2}]}]"#),
        [r#"1={"k":1}"#, r#"2={"k":2}"#]
    );
}

#[test]
fn an_empty_list_is_told_from_a_wrong_answer() {
    for (items, body) in [
        ("$.d[*]", r#"{"d":[]}"#),
        ("$.d[*]", r#"{"d":{}}"#),
        ("$[*]", "[]"),
        ("$.d[?@.on]", r#"{"d":[{"k":1}]}"#),
        ("$.d[?@.on]", r#"{"d":[]}"#),
    ] {
        assert_eq!(list(items, &["$.k"]).items(body), [""; 0], "{items} {body}");
    }
    for (items, body, sentence) in [
        (
            "$.data[*]",
            r#"{"orders":[{"id":1}],"next":null}"#,
            "`$.data[*]` found nothing: the answer is an object with the members `orders`, `next`; hint: try `items = \"$.orders[*]\"`",
        ),
        (
            "$.data[*]",
            r#"{"error":"denied"}"#,
            "`$.data[*]` found nothing: the answer is an object with the member `error`",
        ),
        (
            "$.data[*]",
            r#"{"data":null}"#,
            "`$.data[*]` found nothing: `$.data` is null; hint: `empty = true` if that means an empty list",
        ),
        ("$.data[*]", r#"{"data":"none"}"#, "`$.data[*]` found nothing: `$.data` is a string"),
        (
            "$.a.b[*]",
            r#"{"a":{"c d":[1]}}"#,
            "`$.a.b[*]` found nothing: `$.a` is an object with the member `c d`; hint: try `items = \"$.a['c d'][*]\"`",
        ),
        (
            "$.a[*]",
            "[{\"a\":1},2]",
            "`$.a[*]` found nothing: the answer is an array of 2 elements; hint: try `items = \"$[*]\"`",
        ),
        (
            "$[*]",
            r#"{"message":"x","d":[]}"#,
            "`$[*]` must find an array: the answer is an object with the members `message`, `d`; hint: try `items = \"$.d[*]\"`",
        ),
        ("$.d[?@.on]", r#"{"e":1}"#, "`$.d[?@.on]` found nothing: the answer is an object with the member `e`"),
        ("$..id", "{}", "`$..id` found nothing: the answer is an empty object"),
        ("$.one", "{}", "`$.one` found nothing: the answer is an empty object"),
    ] {
        list(items, &["$.id"]).refuses(body, FailureKind::SelectorEmpty, sentence);
    }
}

#[test]
fn a_job_may_allow_nothing_at_all() {
    for (items, body) in [
        ("$.d[*]", "{}"),
        ("$.d[*]", r#"{"d":null}"#),
        ("$.a.d[*]", r#"{"a":null}"#),
        ("$.d[?@.on]", "{}"),
        ("$..id", "{}"),
        ("$.one", "{}"),
        ("$.d[0:5]", r#"{"d":[]}"#),
    ] {
        assert_eq!(list(items, &["$.id"]).or_empty().items(body), [""; 0], "{items} {body}");
    }
    for (items, body) in [("$[*]", "{}"), ("$[*]", "null"), ("$.d[*]", r#"{"d":"down"}"#), ("$.d[?@.on]", r#"{"d":1}"#)]
    {
        let failure = list(items, &["$.id"]).or_empty().read(body).expect_err(body);
        assert_eq!(failure.kind, FailureKind::SelectorEmpty);
    }
}

#[test]
fn what_is_not_json_is_shown() {
    let case = list("$.data[*]", &["$.id"]);
    for (body, sentence) in [
        (
            "\n<!DOCTYPE html>\n<html><head>",
            "the answer is HTML, not JSON: it begins with `<!DOCTYPE html> <html><head>`; \
          hint: is the URL that of the API, and are the credentials right?",
        ),
        (
            "<?xml version=\"1.0\"?><a/>",
            "the answer is XML or HTML, not JSON: it begins with `<?xml version=\"1.0\"?><a/>`",
        ),
        (" ", "the answer is empty, not JSON"),
        ("Bad gateway", "the answer is not JSON: expected a value, got `B` at byte 0; it begins with `Bad gateway`"),
        (
            r#"{"data":[{"id":1}"#,
            "the answer is not JSON we can take: expected a `,` or `]`, but the text ends at byte 17",
        ),
        (
            r#"{"data":[],"data":[]}"#,
            "the answer is not JSON we can take: the member `data` stands twice in the object that begins at byte 0",
        ),
        (
            r#"{"data":[{"id":1},{"id":1,"id":2}]}"#,
            "the item at position 1 (counting from 0) is not JSON we can take: \
          the member `id` stands twice in the object that begins at byte 0 of it",
        ),
    ] {
        case.refuses(body, FailureKind::NotJson, sentence);
        assert_eq!(list("$..data[?@.id]", &["$.id"]).read(body).expect_err(body).kind, FailureKind::NotJson);
    }
    let selection = Selection { items: None, key: &[], empty: false };
    assert_eq!(selection.read(&Bytes::from_static(b"[\"\xff\"]")).expect_err("bytes").kind, FailureKind::NotJson);
}

#[test]
fn an_item_without_a_key_is_shown() {
    for (key, item, sentence) in [
        (
            "$.id",
            r#"{"name":"a","order_id":7}"#,
            "the item at position 1 (counting from 0) has no `$.id`: it is an object with the members `name`, `order_id`; \
          hint: `key = \"$.order_id\"`",
        ),
        (
            "$.orderId",
            r#"{"OrderID":1}"#,
            "the item at position 1 (counting from 0) has no `$.orderId`: it is an object with the member `OrderID`; \
          hint: `key = \"$.OrderID\"`",
        ),
        ("$.id", "{}", "the item at position 1 (counting from 0) has no `$.id`: it is an empty object"),
        (
            "$.id",
            "5",
            "the item at position 1 (counting from 0) has no `$.id`: it is a number; hint: `key = \"$\"` takes it as its own key",
        ),
        ("$.id", r#"{"id":null}"#, "the key `$.id` of the item at position 1 (counting from 0) is null"),
        (
            "$.id",
            r#"{"id":{"a":1}}"#,
            "the key `$.id` of the item at position 1 (counting from 0) is an object: a key is a text, a number or a truth value",
        ),
    ] {
        let body = format!(r#"[{{"id":0,"orderId":0}},{item}]"#);
        list("$[*]", &[key]).refuses(&body, FailureKind::KeyMissing, sentence);
        list("$[0:9]", &[key]).refuses(&body, FailureKind::KeyMissing, sentence);
    }
    list("$[*]", &["$..id"]).refuses(
        r#"[{"id":1,"a":{"id":2}}]"#,
        FailureKind::KeyMissing,
        "the key `$..id` finds 2 values in the item at position 0 (counting from 0): a key is one value",
    );
    document(&["$.id"]).refuses(
        r#"{"a":[]}"#,
        FailureKind::KeyMissing,
        "the answer has no `$.id`: it is an object with the member `a`",
    );
    list("$.orders.order[*]", &["$.id"]).refuses(
        r#"{"orders":{"order":{"id":"1"}}}"#,
        FailureKind::KeyMissing,
        "the item at position 0 (counting from 0) has no `$.id`: it is a string; hint: `key = \"$\"` takes it as its own \
         key; `$.orders.order` is an object, so its members were taken for items; in XML, `array = [\"order\"]` makes it a list",
    );
}

#[test]
fn equal_items_with_one_key_are_one_and_different_ones_are_refused() {
    let case = list("$[*]", &["$.id"]);
    assert_eq!(case.items(r#"[{"id":1,"a":1},{"a":1.0,"id":1e0},{"id":2}]"#), [r#"1={"id":1,"a":1}"#, r#"2={"id":2}"#]);
    case.refuses(
        r#"[{"id":1,"a":1},{"id":2},{"id":1.0,"a":2}]"#,
        FailureKind::KeyTwice,
        "the item at position 2 (counting from 0) has the same key `1` (`$.id`) as an item before it, but is another item: \
         they differ in `/a`; hint: make the key unique, such as `key = [\"$.id\", \"$.line\"]`",
    );
}

#[test]
fn a_key_that_is_text_and_one_that_is_a_number_are_one_key() {
    let failure = list("$[*]", &["$"]).read(r#"["1", 1]"#).expect_err("one key");
    assert_eq!(failure.kind, FailureKind::KeyTwice);
}

proptest! {
    #[test]
    fn a_key_that_is_taken_as_it_is_written_is_the_one_that_a_tree_gives(value in any_document()) {
        if let Some(taken) = key::of_value(&value.to_bytes()) {
            prop_assert_eq!(Some(Key::from(taken)), key::of_tree(&[path("$")], &value, Place::Item(0)).ok());
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..24), cut in 0_usize..60, json in any_document()) {
        let mut text = spaced(&json).into_bytes();
        text.truncate(cut);
        let mixed = [text.as_slice(), &bytes].concat();
        for case in [document(&[]), document(&["$.a"]), list("$[*]", &["$.a"]), list("$.a[*]", &["$"]), list("$..*", &["$.a", "$..b"])] {
            for body in [&bytes, &text, &mixed] {
                let selection = Selection { items: case.items.as_ref(), key: &case.key, empty: case.empty };
                if let Err(failure) = selection.read(&Bytes::copy_from_slice(body)) {
                    prop_assert!(!failure.sentence.contains(char::is_control), "{}", failure.sentence);
                }
            }
        }
    }

    #[test]
    fn with_a_tree_and_without_the_items_are_the_same(json in any_document()) {
        let body = json.to_string();
        let keys = |items: &str, key: &[&str]| {
            let items = list(items, key).read(&body).map_err(|failure| failure.kind)?;
            Ok::<_, FailureKind>(items.into_iter().map(|item| (item.key, item.raw_digest)).collect::<Vec<_>>())
        };
        for key in [["$.a"], ["$"], ["$.b.a"]] {
            prop_assert_eq!(keys("$.*", &key), keys("$[?@ == @]", &key), "{}", body);
            prop_assert_eq!(keys("$.a[*]", &key), keys("$['a'][?@ == @]", &key), "{}", body);
        }
    }
}
