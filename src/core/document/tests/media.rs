//! What an answer is by its Content-Type, and in which charset it is written.

use super::*;

#[test]
fn the_content_type_says_what_an_answer_is() {
    for (content_type, body, expected) in [
        ("application/json", "{\"a\":1}", r#"{"a":1}"#),
        ("application/vnd.shop.v2+json; charset=utf-8", "{\"a\":1}", r#"{"a":1}"#),
        ("text/html", "{\"a\":1}", r#"{"a":1}"#),
        ("", "[1]", "[1]"),
        ("application/octet-stream", "[1]", "[1]"),
        ("application/x-ndjson", "1\n2", "[1,2]"),
        ("application/jsonl", "1\n2", "[1,2]"),
        ("Text/CSV; header=present", "a\n1", r#"[{"a":"1"}]"#),
        ("application/xml", "<a>1</a>", r#"{"a":"1"}"#),
        ("text/xml", "{\"a\":1}", r#"{"a":1}"#),
        ("application/soap+xml;action=x", "<a>1</a>", r#"{"a":"1"}"#),
        ("", "<?xml version='1.0'?><a>1</a>", r#"{"a":"1"}"#),
        ("text/plain", "v1.2.3", r#""v1.2.3""#),
        ("text/plain", " {\"a\":1}", r#"{"a":1}"#),
        ("application/rss+xml", "<rss><channel/></rss>", r#"{"title":null,"link":null,"updated":null,"entries":[]}"#),
        ("application/atom+xml", "<feed/>", r#"{"title":null,"link":null,"updated":null,"entries":[]}"#),
        ("application/feed+json", "{\"items\":[]}", r#"{"title":null,"link":null,"updated":null,"entries":[]}"#),
    ] {
        let document = read(&spec(Format::Auto), Some(content_type), body.as_bytes());
        assert_eq!(document.as_deref(), Ok(expected), "{content_type} {body}");
    }
}

#[test]
fn the_charset_is_that_of_the_mark_the_header_or_the_declaration() {
    let utf16 = |text: &str, mark: bool| -> Vec<u8> {
        let units = mark.then_some(0xfeff).into_iter().chain(text.encode_utf16());
        units.flat_map(u16::to_le_bytes).collect()
    };
    let declared = b"<?xml version=\"1.0\" encoding='ISO-8859-1'?><a>caf\xe9</a>";
    for (format, content_type, body) in [
        (Format::Csv, "text/csv; charset=ISO-8859-1", b"a\ncaf\xe9".to_vec()),
        (Format::Csv, "text/csv; charset=\"windows-1252\"", b"a\ncaf\xe9".to_vec()),
        (Format::Csv, "text/csv; charset=us-ascii", "a\ncafé".as_bytes().to_vec()),
        (Format::Csv, "text/csv; charset=utf8mb4", "a\ncafé".as_bytes().to_vec()),
        (Format::Csv, "text/csv; charset=latin1", "\u{feff}a\ncafé".as_bytes().to_vec()),
        (Format::Csv, "text/csv", utf16("a\ncafé", true)),
        (Format::Csv, "text/csv; charset=utf-16le", utf16("a\ncafé", false)),
        (Format::Xml, "application/xml", declared.to_vec()),
        (Format::Xml, "application/xml; charset=utf-8", declared.to_vec()),
        (Format::Xml, "text/xml; charset=iso-8859-1", b"<a>caf\xe9</a>".to_vec()),
        (Format::Xml, "", utf16("<?xml version=\"1.0\" encoding='UTF-16'?><a>café</a>", false)),
        (Format::Xml, "", "<?xml version=\"1.0\" encoding='UTF-16'?><a>café</a>".as_bytes().to_vec()),
        (Format::Json, "application/json; charset=iso-8859-1", b"{\"a\":\"caf\xe9\"}".to_vec()),
        (Format::Json, "application/json; charset=iso-8859-1", "{\"a\":\"café\"}".as_bytes().to_vec()),
        (Format::Json, "application/json", utf16("{\"a\":\"café\"}", true)),
        (Format::Text, "text/plain; charset=latin1", b"caf\xe9".to_vec()),
    ] {
        let document =
            read(&spec(format), Some(content_type), &body).unwrap_or_else(|why| panic!("{content_type}: {why}"));
        assert!(document.contains("café"), "{content_type}: {document}");
    }
}

#[test]
fn bytes_that_are_none_of_the_charsets_are_told_and_never_replaced() {
    for (format, content_type, body, words) in [
        (Format::Csv, "text/csv", b"a\nb\nc\xe9\n".to_vec(), ["on line 3", "not UTF-8", "byte 5 is `0xe9`"]),
        (
            Format::Csv,
            "text/csv; charset=utf-8",
            b"\xe9".to_vec(),
            ["on line 1", "its Content-Type says", "charset=windows-1252"],
        ),
        (Format::Text, "text/plain; charset=x-klingon", b"\xe9".to_vec(), ["`x-klingon`", "none we know", "no UTF-8"]),
        (Format::Text, "text/plain; charset=shift_jis", b"ab\x81".to_vec(), ["Shift_JIS", "on line 1", "byte 2"]),
        (Format::Xml, "", b"\xef\xbb\xbf<a>\xe9</a>".to_vec(), ["byte order mark", "UTF-8", "byte 3"]),
        (
            Format::Xml,
            "",
            b"<?xml version='1.0' encoding='utf-8'?>\n<a>\xe9</a>".to_vec(),
            ["XML declaration", "on line 2", "UTF-8"],
        ),
    ] {
        refused(&spec(format), Some(content_type), &body, &words);
    }
}
