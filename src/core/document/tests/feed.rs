//! Feeds.

use super::*;

#[test]
fn rss_2_has_the_one_shape() {
    let body = r#"<?xml version="1.0"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:atom="http://www.w3.org/2005/Atom"
  xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:media="http://search.yahoo.com/mrss/">
<channel><title>News</title><atom:link href="https://n.example/rss" rel="self"/><link>https://n.example/</link>
<lastBuildDate>Mon, 02 Nov 2026 15:04:05 GMT</lastBuildDate>
<image><title>logo</title><link>https://n.example/logo</link></image>
<item><media:title>not this</media:title><title>A &amp; B</title><link>https://n.example/1</link>
<guid isPermaLink="false">urn:1</guid><pubDate>Sun, 1 Nov 2026 08:00:00 +0200</pubDate>
<description>&lt;p&gt;short&lt;/p&gt;</description><content:encoded><![CDATA[<p>long</p>]]></content:encoded>
<author>ann@n.example (Ann)</author><dc:creator>Bob</dc:creator><category>x</category><category domain="d">y</category></item>
<item><guid>https://n.example/2</guid><pubDate>soon</pubDate></item>
</channel></rss>"#;
    let expected = r#"{"title":"News","link":"https://n.example/","updated":"2026-11-02T15:04:05Z","entries":[
{"id":"urn:1","title":"A & B","link":"https://n.example/1","published":"2026-11-01T08:00:00+02:00","updated":null,
"summary":"<p>short</p>","content":"<p>long</p>","authors":["ann@n.example (Ann)","Bob"],"categories":["x","y"]},
{"id":"https://n.example/2","title":null,"link":"https://n.example/2","published":"soon","updated":null,
"summary":null,"content":null,"authors":[],"categories":[]}]}"#;
    check(&spec(Format::Feed), body, expected);
}

#[test]
fn rss_1_has_the_one_shape() {
    let body = r#"<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
 xmlns:dc="http://purl.org/dc/elements/1.1/"><channel rdf:about="https://n.example/"><title>News</title>
<link>https://n.example/</link><dc:date>2026-11-02T15:04+01:00</dc:date><items><rdf:Seq/></items></channel>
<item rdf:about="urn:1"><title>One</title><link>https://n.example/1</link><description>d</description>
<dc:creator>Ann</dc:creator><dc:date>2026-11-01</dc:date><dc:subject>s</dc:subject></item></rdf:RDF>"#;
    let expected = r#"{"title":"News","link":"https://n.example/","updated":"2026-11-02T15:04:00+01:00","entries":[
{"id":"urn:1","title":"One","link":"https://n.example/1","published":"2026-11-01T00:00:00Z","updated":null,
"summary":"d","content":null,"authors":["Ann"],"categories":["s"]}]}"#;
    check(&spec(Format::Feed), body, expected);
}

#[test]
fn atom_has_the_one_shape_with_a_prefix_or_without() {
    let body = r#"<feed xmlns="http://www.w3.org/2005/Atom"><title>News</title><link rel="self" href="https://n.example/atom"/>
<link href="https://n.example/"/><updated>2026-11-02T15:04:05.120Z</updated>
<entry><id>urn:1</id><title type="html">A &lt;b&gt;</title><link rel="edit" href="https://n.example/e"/>
<link rel="alternate" href="https://n.example/1"/><published>2026-11-01T08:00:00+02:00</published>
<updated>2026-11-01T09:00:00+00:00</updated><author><name>Ann</name><email>a@n.example</email></author>
<author><email>b@n.example</email></author><category term="x" label="X"/><summary>s</summary>
<source><title>elsewhere</title></source>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">long <b>text</b></div></content></entry></feed>"#;
    let expected = r#"{"title":"News","link":"https://n.example/","updated":"2026-11-02T15:04:05.120Z","entries":[
{"id":"urn:1","title":"A <b>","link":"https://n.example/1","published":"2026-11-01T08:00:00+02:00",
"updated":"2026-11-01T09:00:00Z","summary":"s",
"content":"<div xmlns=\"http://www.w3.org/1999/xhtml\">long <b>text</b></div>",
"authors":["Ann","b@n.example"],"categories":["x"]}]}"#;
    check(&spec(Format::Feed), body, expected);
    let prefixed = r#"<a:feed xmlns:a="http://www.w3.org/2005/Atom"><a:entry><a:id>1</a:id></a:entry></a:feed>"#;
    let read = read(&spec(Format::Feed), None, prefixed.as_bytes()).expect("it is a feed");
    assert!(read.contains(r#""entries":[{"id":"1","title":null"#), "{read}");
}

#[test]
fn json_feed_has_the_one_shape() {
    let body = r#"{"version":"https://jsonfeed.org/version/1.1","title":"News","home_page_url":"https://n.example/",
"items":[{"id":7,"url":"https://n.example/7","title":"T","content_html":"<p>","summary":"s","tags":["x"],
"date_published":"2026-11-01T08:00:00-00:00","date_modified":"2026-11-02T08:00:00Z","authors":[{"name":"Ann"}]},
{"url":"https://n.example/8","content_text":"t","author":{"name":"Bob"}}]}"#;
    let expected = r#"{"title":"News","link":"https://n.example/","updated":null,"entries":[
{"id":"7","title":"T","link":"https://n.example/7","published":"2026-11-01T08:00:00Z","updated":"2026-11-02T08:00:00Z",
"summary":"s","content":"<p>","authors":["Ann"],"categories":["x"]},
{"id":"https://n.example/8","title":null,"link":"https://n.example/8","published":null,"updated":null,"summary":null,
"content":"t","authors":["Bob"],"categories":[]}]}"#;
    check(&spec(Format::Feed), body, expected);
}

#[test]
fn dates_are_rfc_3339_where_they_can_be_read() {
    for (written, expected) in [
        ("Mon, 02 Nov 2026 15:04:05 GMT", "2026-11-02T15:04:05Z"),
        ("Fri, 02 Nov 2026 15:04:05 +0000", "2026-11-02T15:04:05Z"),
        ("2 Nov 2026 15:04 EST", "2026-11-02T15:04:00-05:00"),
        ("Mon, 2 Nov 26 15:04:05 UTC", "2026-11-02T15:04:05Z"),
        ("2026-11-02T15:04:05+0100", "2026-11-02T15:04:05+01:00"),
        ("2026-11-02T15:04:05", "2026-11-02T15:04:05Z"),
        ("2026-11-02", "2026-11-02T00:00:00Z"),
        ("gestern", "gestern"),
    ] {
        let body = format!("<feed><updated> {written} </updated></feed>");
        let read = read(&spec(Format::Feed), None, body.as_bytes()).expect("it is a feed");
        assert!(read.contains(&format!(r#""updated":"{expected}""#)), "{written}: {read}");
    }
}

#[test]
fn what_is_no_feed_is_told() {
    let feed = spec(Format::Feed);
    for (body, words) in [
        ("<orders><o/></orders>", ["it is XML, but no feed", "`<orders>`"]),
        ("{\"data\":[]}", ["no JSON Feed", "no list `items`"]),
        ("{\"items\":[", ["begins as a JSON Feed", "the text ends"]),
        ("<rss><channel>\n<item></channel></rss>", ["on line 2", "expected `</item>`"]),
        ("<!DOCTYPE html><html><body>log in<br></html>", ["it is HTML", "log in"]),
        ("plain", ["`plain` stands outside", "on line 1"]),
    ] {
        refused(&feed, None, body.as_bytes(), &words);
    }
}
