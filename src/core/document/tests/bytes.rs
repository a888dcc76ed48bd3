//! Any bytes: nothing panics, what comes out is JSON, and what goes in as text comes out as that text.

use proptest::prelude::*;

use super::*;
use crate::core::json;

/// Pieces that the formats are made of, so that broken ones are met.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "<",
        ">",
        "</",
        "/>",
        "<a",
        "</a>",
        "<a>",
        "<?xml version='1.0' encoding='latin1'?>",
        "<!DOCTYPE",
        "<![CDATA[",
        "]]>",
        "<!--",
        "-->",
        "&amp;",
        "&#1;",
        "&",
        ";",
        " k='",
        "'",
        "\"",
        ",",
        "\t",
        "\n",
        "\r\n",
        "{",
        "}",
        "[",
        "]",
        ":",
        "1",
        "<rss>",
        "<channel>",
        "<item>",
        "</item>",
        "<feed>",
        "<entry>",
        "</entry>",
        "xmlns='u'",
        "{\"items\":[",
        "é",
        "\u{feff}",
    ]);
    let some = prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes());
    prop_oneof![some, prop::collection::vec(any::<u8>(), 0..64)]
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_and_what_comes_out_is_json(
        body in pieces(),
        at in 0..Format::WORDS.len(),
        header in any::<bool>(),
        content_type in prop::sample::select(vec!["", "text/xml; charset=utf-16", "text/csv; charset=shift_jis", "application/atom+xml"]),
    ) {
        let spec = DocumentSpec { csv: CsvSpec { delimiter: None, header }, arrays: vec!["a".to_owned()], format: Format::WORDS[at].1 };
        if let Ok(document) = convert(&spec, false, Some(content_type), Bytes::from(body))
            && !matches!(spec.format, Format::Auto | Format::Json)
        {
            prop_assert!(parse(&document).is_ok(), "{}", String::from_utf8_lossy(&document));
        }
    }

    #[test]
    fn a_field_of_csv_comes_out_as_it_went_in(
        rows in prop::collection::vec(prop::collection::vec("[a-z \",;\n\ré0-9]{0,8}", 3), 1..5),
    ) {
        let quoted = |field: &String| format!("\"{}\"", field.replace('"', "\"\""));
        let line = |row: &Vec<String>| row.iter().map(quoted).collect::<Vec<_>>().join(",");
        let body = rows.iter().map(line).collect::<Vec<_>>().join("\r\n");
        let expected = Json::Array(rows.into_iter().map(Json::array).collect());
        prop_assert_eq!(read(&csv(None, false), None, body.as_bytes()), Ok(expected.to_string()));
    }

    #[test]
    fn a_text_of_xml_comes_out_as_it_went_in(text in "[a-z <>&'\"é0-9]{0,12}", value in "[a-z <>&'\"é0-9]{0,12}") {
        let escape = |text: &str| {
            text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&apos;")
        };
        let body = format!("<r><t k='{}'>{}</t></r>", escape(&value), escape(&text));
        let mut inner = vec![("@k", Json::from(value))];
        if !text.trim().is_empty() {
            inner.push(("#text", Json::from(text)));
        }
        let expected = Json::object([("r", Json::object([("t", Json::object(inner))]))]);
        prop_assert_eq!(read(&spec(Format::Xml), None, body.as_bytes()), Ok(expected.to_string()));
    }

    #[test]
    fn lines_come_out_as_they_went_in(documents in prop::collection::vec(json::samples::document(), 0..5)) {
        let body: String = documents.iter().map(|document| format!("{document}\n")).collect();
        prop_assert_eq!(read(&spec(Format::Ndjson), None, body.as_bytes()), Ok(Json::Array(documents).to_string()));
    }
}
