//! What queries find, and what people are told who typed something else.

use proptest::prelude::*;

use super::*;
use crate::core::json::parse;

fn query(text: &str) -> JsonPath {
    JsonPath::parse(text).unwrap_or_else(|complaint| panic!("{complaint:?}"))
}

fn found(text: &str, document: &str) -> String {
    let document = parse(document.as_bytes()).expect("JSON");
    Json::array(query(text).select(&document).into_iter().cloned()).to_string()
}

fn complaint(text: &str) -> Complaint {
    JsonPath::parse(text).expect_err(text)
}

const SHOP: &str = r#"{"orders":[{"id":1,"open":true,"lines":[{"qty":1},{"qty":3}],"name":"ab\nc"},
    {"id":9007199254740993,"open":false,"lines":[],"price":1.10,"name":"xab"},{"id":9007199254740992,"a b":{"/~":null}}]}"#;

#[test]
fn queries_find_what_the_standard_says() {
    for (text, expected) in [
        ("$.orders[*].id", "[1,9007199254740993,9007199254740992]"),
        ("$.orders[-1].id", "[9007199254740992]"),
        ("$.orders[-4].id", "[]"),
        ("$.orders[0:2].id", "[1,9007199254740993]"),
        ("$.orders[::-1].id", "[9007199254740992,9007199254740993,1]"),
        ("$.orders[-1:0:-1].id", "[9007199254740992,9007199254740993]"),
        ("$.orders[5:0:-2].id", "[9007199254740992]"),
        ("$.orders[::0].id", "[]"),
        ("$..qty", "[1,3]"),
        ("$.orders[?@.open].id", "[1,9007199254740993]"),
        ("$.orders[?!@.open].id", "[9007199254740992]"),
        ("$.orders[?@.open == true].id", "[1]"),
        ("$.orders[?@.price == 1.1].id", "[9007199254740993]"),
        ("$.orders[?@.id == $.orders[1].id].id", "[9007199254740993]"),
        ("$.orders[?@.id > 9007199254740991].id", "[9007199254740993,9007199254740992]"),
        ("$.orders[?@.lines[?@.qty > 1]].id", "[1]"),
        ("$.orders[?length(@.lines) == 0 || @.id == 1].id", "[1,9007199254740993]"),
        ("$.orders[?count(@.lines[*]) >= 2 && @.open].id", "[1]"),
        ("$.orders[?value(@.lines[?@.qty == 3].qty) == 3].id", "[1]"),
        ("$.orders[?search(@.name, 'ab')].id", "[1,9007199254740993]"),
        ("$.orders[?match(@.name, 'ab.c')].id", "[]"),
        ("$.orders[?match(@.name, '.ab')].id", "[9007199254740993]"),
        ("$.orders[?@.missing == @.nothing].id", "[1,9007199254740993,9007199254740992]"),
        ("$.orders[0]['id', 'open']", "[1,true]"),
        ("$ .orders [0] .id", "[1]"),
        ("$.nothing[*]", "[]"),
    ] {
        assert_eq!(found(text, SHOP), expected, "{text}");
    }
}

#[test]
fn what_the_parsers_own_evaluation_gets_wrong_is_right_here() {
    assert_eq!(found("$[?@[?@>1]]", "[[1],[2],5]"), "[[2]]");
    assert_eq!(found("$..['a','d']", r#"[{"a":1,"d":2},{"a":3,"d":4}]"#), "[1,2,3,4]");
    assert_eq!(found("$[?@==1e-17]", "[1e-17,2e-17]"), "[1e-17]");
}

#[test]
fn places_are_json_pointers() {
    let document = parse(SHOP.as_bytes()).expect("JSON");
    assert_eq!(query("$").locate(&document), [""]);
    assert_eq!(query("$.orders[2]['a b'].*").locate(&document), ["/orders/2/a b/~1~0"]);
    assert_eq!(query("$..qty").locate(&document), ["/orders/0/lines/0/qty", "/orders/0/lines/1/qty"]);
    for pointer in query("$..*").locate(&document) {
        assert!(document.pointer(&pointer).is_some(), "{pointer}");
    }
}

#[test]
fn plain_queries_need_no_tree() {
    let member = |name: &str| Step::Member(name.to_owned());
    assert_eq!(query("$").plain_steps(), Some(&[][..]));
    assert_eq!(
        query("$.a['b c'][0][*]").plain_steps(),
        Some(&[member("a"), member("b c"), Step::Index(0), Step::All][..])
    );
    assert_eq!(query("$.a.*").plain_steps(), Some(&[member("a"), Step::All][..]));
    assert_eq!(query(r#"$["a\u0062"].é"#).plain_steps(), Some(&[member("ab"), member("é")][..]));
    for text in ["$.a[*].b", "$[-1]", "$..a", "$[0:1]", "$[?@.a]", "$['a','b']"] {
        assert_eq!(query(text).plain_steps(), None, "{text}");
    }
}

#[test]
fn a_list_lies_in_its_container() {
    for (text, container) in [
        ("$[*]", Some("$")),
        ("$.data[*]", Some("$.data")),
        ("$.data.*", Some("$.data")),
        ("$.data [?@['x]'] == ')[']", Some("$.data")),
        ("$..data[*]", Some("$..data")),
        ("$.a[?@.x].b['c.d'][*]", Some("$.a[?@.x].b['c.d']")),
        ("$.data", None),
        ("$..*", None),
        ("$..[?@.id]", None),
        ("$.data[?@.a, ?@.b]", None),
        ("$.data[0:3]", None),
    ] {
        let query = query(text);
        assert_eq!(query.container().map(JsonPath::as_str), container, "{text}");
        if let Some(container) = container {
            let again = JsonPath::parse(container).expect("a query");
            assert_eq!(
                format!("{:?}", again.0.segments),
                format!("{:?}", query.container().expect("there").0.segments)
            );
        }
    }
}

#[test]
fn people_are_told_what_to_type() {
    for (text, hint) in [
        ("", "`$` is the whole document"),
        ("data.items", "`$.data.items`"),
        (".data", "`$.data`"),
        ("[*]", "`$[*]`"),
        ("@.id", "`$.id`"),
        ("/data/items", "`$.data.items`"),
        (" $.a ", "`$.a`"),
        ("$.first-name", "`$['first-name']`"),
        ("$.a.first-name[*]", "`$.a['first-name'][*]`"),
        ("$.lines.0.id", "`$.lines['0'].id`, or `[0]` for an element of an array"),
        ("$.first name", "a name with a space in it stands in quotes: `$['first name']`"),
        ("$.orders[?@.id in [1]]", "`@.id == 1 || @.id == 2`"),
        ("$.orders[?@.a and @.b]", "the operators are `&&`, `||` and `!`"),
        ("$.orders[?@.a = 1]", "`==` compares"),
        ("$.orders[?@.a === 1]", "`==`"),
        ("$.orders[?@.a !== 1]", "`!=`"),
        ("$.orders[?@.a & @.b]", "`&&`"),
        ("$.orders[?@.a =~ 'x']", "`match(@.name, 'a.*')`"),
        ("$.orders[?@.a ~= 'x']", "`match(@.name, 'a.*')`"),
        ("$.orders.length()", "functions stand in filters: `$.orders[?length(@.lines) > 0]`"),
        ("$.orders[?in(@.id, $.ids)]", "the functions are `length()`, `count()`, `value()`, `match()` and `search()`"),
        ("$[?length(@.a)]", "`length(@.lines) > 0`"),
        ("$[?count(@..*)]", "`count(@.lines[*]) > 0`"),
        ("$[?value(@.a)]", "`value(@..state) == 'open'`"),
        ("$[?length(@.*)<3]", "`count(@.*)` counts places"),
        ("$[?length(@[1,2])<3]", "`count(@.*)` counts places"),
        ("$[?match(@.a, $.pattern)]", "`match(@.name, 'a.*')`"),
        ("$..a..b..c", "name the members on the way: `$.data.orders[*]`"),
        ("$.a[", "such as"),
    ] {
        let complaint = complaint(text);
        let told = complaint.hint.clone().unwrap_or_else(|| "such as".to_owned());
        assert!(told.starts_with(hint), "{text}: {complaint:?}");
        if let Some(span) = complaint.span {
            assert!(text.get(span.clone()).is_some(), "{text}: {span:?}");
        }
    }
}

#[test]
fn what_is_wrong_is_shown_where_it_is() {
    let complaint = complaint("$.orders[?@.id > ]");
    assert_eq!(complaint.problem, "`$.orders[?@.id > ]` is not a JSONPath (RFC 9535): unexpected `]`");
    assert_eq!(complaint.span, Some(17..18));
}

#[test]
fn what_is_no_query_is_refused() {
    let deep = format!("${}", "[?(".repeat(400));
    let long = format!("$.{}", "a".repeat(PATH_MAX));
    for text in [
        "$.",
        "$..",
        "$a",
        "$.a.",
        "$[a]",
        "$[01]",
        "$['a",
        "$[?]",
        "$.a[9007199254740992]",
        "$. a",
        "$[- 1]",
        "$[?@.a==1 .5]",
        "$[?@.a == 0.12345678901234567]",
        "$[?match(@.a, '(')]",
        "$[?@.a == 1e999]",
        "$.a\u{0}",
        "$.a$",
        &deep,
        &long,
    ] {
        complaint(text);
    }
}

#[test]
fn numbers_with_exponents_and_signs_are_taken() {
    assert_eq!(found("$[?@ == -1.5e-3 || @ == 1E+2 || @ < -2]", "[-0.0015, 100, -3, 4]"), "[-0.0015,100,-3]");
    assert_eq!(found("$[-2:-1]", "[1,2,3]"), "[2]");
}

#[test]
fn nothing_takes_the_parser_long() {
    // The parser tries a function's argument in three ways, each of which tries the functions inside it in three ways:
    // without the cap on functions this test takes hours.
    for depth in [3, 5, 20, 120] {
        for open in
            ["length(", "length((", "count(@[?", "!(", "(", "@[?", "@['a'][?(", "$[?@.a == 1 || (", "match(@.a, ("]
        {
            for inner in ["@.a", "@.a,", "@.a >", "'"] {
                let _ = JsonPath::parse(&format!("$[?{}{inner}{}", open.repeat(depth), ")".repeat(depth)));
            }
        }
    }
    let complaint = complaint("$[?length(length(length(length(length(@.a))))) == 1]");
    assert!(complaint.problem.ends_with("functions nest deeper than 4"), "{complaint:?}");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[$@.\\[\\]()?*'\"a-c0-9 =!<>&|,:\\\\\\-+~eé]{0,24}") {
        let _ = JsonPath::parse(&text);
        let _ = JsonPath::parse(&format!("$[?{text}]"));
        if let Ok(query) = JsonPath::parse(&format!("$.{text}")) {
            let document = parse(SHOP.as_bytes()).expect("JSON");
            prop_assert_eq!(query.select(&document).len(), query.locate(&document).len());
        }
    }
}
