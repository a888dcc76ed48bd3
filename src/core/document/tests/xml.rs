//! XML.

use super::*;
use crate::core::document::{ATTRIBUTES_MAX, NAMES_MAX, XML_DEPTH_MAX};
use crate::core::json::DEPTH_MAX;

fn arrays(names: &[&str]) -> DocumentSpec {
    DocumentSpec { arrays: names.iter().map(|name| (*name).to_owned()).collect(), ..spec(Format::Xml) }
}

#[test]
fn elements_attributes_and_text_have_their_places() {
    for (body, expected) in [
        ("<a/>", r#"{"a":""}"#),
        ("<a></a>", r#"{"a":""}"#),
        ("<a>\n</a>", r#"{"a":""}"#),
        ("<a>1.10</a>", r#"{"a":"1.10"}"#),
        ("<a> x </a>", r#"{"a":" x "}"#),
        ("<a k='v'/>", r#"{"a":{"@k":"v"}}"#),
        ("<a k='v'>t</a>", r##"{"a":{"@k":"v","#text":"t"}}"##),
        ("<a><b>1</b><c/></a>", r#"{"a":{"b":"1","c":""}}"#),
        ("<a>\n <b>1</b>\n <b>2</b>\n</a>", r#"{"a":{"b":["1","2"]}}"#),
        ("<a><b>1</b><c>x</c><b k='2'/></a>", r#"{"a":{"b":["1",{"@k":"2"}],"c":"x"}}"#),
        ("<a>one <b>two</b> three</a>", r##"{"a":{"b":"two","#text":"one  three"}}"##),
        ("<a>&lt;&amp;&gt;&quot;&apos;&#65;&#x42;</a>", r#"{"a":"<&>\"'AB"}"#),
        ("<a k='&lt;&#10;x'/>", r#"{"a":{"@k":"<\nx"}}"#),
        ("<a><![CDATA[<b> & ]]>c</a>", r#"{"a":"<b> & c"}"#),
        ("<a>x\r\ny</a>", r#"{"a":"x\ny"}"#),
        ("<?xml version='1.0'?><!-- c --><!DOCTYPE a SYSTEM 'a.dtd'><a><!-- c -->t<?p i?></a>\n", r#"{"a":"t"}"#),
        ("<n:a xmlns:n='urn:x'><n:b>1</n:b></n:a>", r#"{"n:a":{"@xmlns:n":"urn:x","n:b":"1"}}"#),
    ] {
        check(&spec(Format::Xml), body, expected);
    }
}

#[test]
fn elements_that_are_named_are_always_an_array() {
    let named = arrays(&["o", "n:l"]);
    check(&named, "<r><o>1</o></r>", r#"{"r":{"o":["1"]}}"#);
    check(&named, "<r><o/></r>", r#"{"r":{"o":[""]}}"#);
    check(&named, "<r><o>1</o><o>2</o></r>", r#"{"r":{"o":["1","2"]}}"#);
    check(&named, "<r><x><o k='1'/></x></r>", r#"{"r":{"x":{"o":[{"@k":"1"}]}}}"#);
    check(&named, "<r xmlns:n='u'><n:l/></r>", r#"{"r":{"@xmlns:n":"u","n:l":[""]}}"#);
}

#[test]
fn many_names_in_one_element_keep_their_order() {
    let names: Vec<String> = (0..40).map(|at| format!("n{at}")).collect();
    let body: String = names.iter().chain(&names[..20]).map(|name| format!("<{name}>1</{name}>")).collect();
    let member = |(at, name): (usize, &String)| {
        if at < 20 { format!("\"{name}\":[\"1\",\"1\"]") } else { format!("\"{name}\":\"1\"") }
    };
    let members: Vec<String> = names.iter().enumerate().map(member).collect();
    check(&spec(Format::Xml), &format!("<r>{body}</r>"), &format!("{{\"r\":{{{}}}}}", members.join(",")));
}

#[test]
fn what_is_broken_is_told_with_its_line() {
    let xml = spec(Format::Xml);
    for (body, words) in [
        ("<a>\n<b></a>", ["on line 2", "expected `</b>`", "`</a>` was found"]),
        ("<a>\n<b>", ["on line 2", "the text ends inside `<b>`", "cut off"]),
        ("<a>\n<b", ["on line 2", "not closed", "`>`"]),
        ("<a/>\n<b/>", ["on line 2", "a second root element", "`<b>`"]),
        ("<a/>\nrest", ["on line 2", "`rest` stands outside", "root"]),
        ("oops", ["on line 1", "`oops` stands outside", "root"]),
        ("", ["there is no element", "XML", ""]),
        ("<a>\n&nbsp;</a>", ["on line 2", "`&nbsp;`", "XML's own five"]),
        ("<a>\n& b</a>", ["on line 2", "reference not closed", "`;`"]),
        ("<a k='1' k='2'/>", ["on line 1", "in `<a>`", "duplicated"]),
        ("<a k='&x;'/>", ["on line 1", "in `<a>`", "`x`"]),
        ("<a>&#0;</a>", ["on line 1", "character", ""]),
        ("<!doctype html><html><br></html>", ["no XML", "it is HTML", "<html>"]),
    ] {
        refused(&xml, None, body.as_bytes(), &words);
    }
}

#[test]
fn an_entity_bomb_is_refused_before_anything_is_expanded() {
    let bomb = "<?xml version=\"1.0\"?>\n<!DOCTYPE lolz [<!ENTITY a \"lol\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>\n<lolz>&b;</lolz>";
    refused(&spec(Format::Xml), None, bomb.as_bytes(), &["on line 2", "defines entities of its own", "never expanded"]);
    refused(&spec(Format::Feed), None, bomb.as_bytes(), &["defines entities of its own"]);
    let outside = "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>";
    refused(&spec(Format::Xml), None, outside.as_bytes(), &["defines entities of its own"]);
}

#[test]
fn nesting_names_and_attributes_have_limits() {
    let nested = |depth: usize| format!("{}x{}", "<a>".repeat(depth), "</a>".repeat(depth));
    let deepest = read(&arrays(&["a"]), None, nested(XML_DEPTH_MAX).as_bytes()).expect("it is not too deep");
    assert!(deepest.matches(['{', '[']).count() <= DEPTH_MAX);
    refused(&spec(Format::Xml), None, nested(XML_DEPTH_MAX + 1).as_bytes(), &["elements nest deeper than 60"]);
    let names: String = (0..=NAMES_MAX).map(|at| format!("<n{at}/>")).collect();
    refused(&spec(Format::Xml), None, format!("<r>{names}</r>").as_bytes(), &["more than 10000 different names"]);
    let attributes: String = (0..=ATTRIBUTES_MAX).map(|at| format!(" a{at}=''")).collect();
    refused(&spec(Format::Xml), None, format!("<r{attributes}/>").as_bytes(), &["`<r>` has more than 256 attributes"]);
}
