//! What answers become: a table per format, what is refused with which sentence, and that no bytes make it panic.

mod bytes;
mod csv;
mod feed;
mod media;
mod xml;

use ::bytes::Bytes;

use super::{CsvSpec, DocumentSpec, Format, convert};
use crate::core::json::{Json, parse};

/// How a format is read when nothing more is said.
fn spec(format: Format) -> DocumentSpec {
    DocumentSpec { format, ..DocumentSpec::default() }
}

/// CSV with this delimiter and header.
fn csv(delimiter: Option<u8>, header: bool) -> DocumentSpec {
    DocumentSpec { csv: CsvSpec { delimiter, header }, ..spec(Format::Csv) }
}

/// What an answer becomes, as compact JSON, or the sentence why not.
fn read(spec: &DocumentSpec, content_type: Option<&str>, body: &[u8]) -> Result<String, String> {
    let document =
        convert(spec, false, content_type, Bytes::copy_from_slice(body)).map_err(|failure| failure.sentence)?;
    Ok(parse(&document).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&document))).to_string())
}

/// It becomes this document, which is given in any spelling.
#[track_caller]
fn check(spec: &DocumentSpec, body: &str, expected: &str) {
    let expected: Json = parse(expected.as_bytes()).expect("the expected document is JSON");
    assert_eq!(read(spec, None, body.as_bytes()).as_deref(), Ok(expected.to_string().as_str()), "{body}");
}

/// It is refused with a sentence in which all of these stand.
#[track_caller]
fn refused(spec: &DocumentSpec, content_type: Option<&str>, body: &[u8], words: &[&str]) {
    let sentence = read(spec, content_type, body).expect_err(&String::from_utf8_lossy(body));
    for word in words {
        assert!(sentence.contains(word), "`{word}` is not in: {sentence}");
    }
}

#[test]
fn lines_of_json_are_an_array_as_they_were_written() {
    let ndjson = spec(Format::Ndjson);
    check(&ndjson, "{\"id\":1}\n{\"id\":1.10}\n", r#"[{"id":1},{"id":1.10}]"#);
    check(&ndjson, "\u{feff}{\"id\":1}\r\n\r\n  \n [1, 2]\r\n\"x\"", r#"[{"id":1},[1,2],"x"]"#);
    check(&ndjson, "", "[]");
    check(&ndjson, "\n\n", "[]");
}

#[test]
fn a_line_that_is_no_document_is_named() {
    let ndjson = spec(Format::Ndjson);
    for (body, words) in [
        ("{\"id\":1}\n{\"id\":", ["on line 2", "but the text ends", "`{\"id\":`"]),
        ("{\"id\":1}\n\n1,2\n", ["on line 3", "expected the end", "`1,2`"]),
        ("{\"id\":1}{\"id\":2}\n", ["on line 1", "expected the end", "`{`"]),
        ("oops\n", ["on line 1", "expected a value", "`oops`"]),
    ] {
        refused(&ndjson, None, body.as_bytes(), &words);
    }
}

#[test]
fn a_text_is_one_string() {
    let text = spec(Format::Text);
    check(&text, "up \"and\" running\n", r#""up \"and\" running\n""#);
    check(&text, "", r#""""#);
    check(&text, "<html>ok</html>", r#""<html>ok</html>""#);
}

#[test]
fn json_is_passed_on_as_it_came() {
    for format in [Format::Json, Format::Auto] {
        let body = Bytes::from_static(b" {\"a\": 1.10}\n");
        assert_eq!(convert(&spec(format), false, None, body.clone()), Ok(body));
        // Whoever reads it says that it is none.
        let html = Bytes::from_static(b"<!doctype html><html>log in</html>");
        assert_eq!(convert(&spec(format), false, Some("text/html"), html.clone()), Ok(html));
    }
}
