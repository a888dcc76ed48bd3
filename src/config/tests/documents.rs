//! What a job's answers are: `format`, `csv` and `array`.

use super::*;
use crate::core::document::{CsvSpec, DocumentSpec, Format};
use crate::core::job::Job;

fn text(lines: &str) -> String {
    format!("[job.a]\nurl = \"https://a.example\"\nevery = \"1s\"\n{lines}\n")
}

/// What a job with these lines makes of its answers, and what it asks for.
fn document(lines: &str) -> (DocumentSpec, Option<String>) {
    let loaded = loaded(&with(&text(lines)));
    let job: &Job = &loaded.config.jobs[0];
    let accept = job.request.headers.iter().find(|(name, _)| name == http::header::ACCEPT);
    (job.document.clone(), accept.map(|(_, value)| value.source().to_owned()))
}

#[test]
fn every_format_has_its_word_and_asks_for_what_it_reads() {
    for (word, format) in Format::WORDS {
        let (document, accept) = document(&format!("format = \"{word}\""));
        assert_eq!((document.format, accept.as_deref()), (format, format.accept()), "{word}");
    }
    assert_eq!(document("").0, DocumentSpec::default());
    let own = document("format = \"csv\"\nheaders = { accept = \"text/x-export\" }").1;
    assert_eq!(own.as_deref(), Some("text/x-export"));
}

#[test]
fn csv_and_array_say_more() {
    let csv = |lines| document(lines).0.csv;
    assert_eq!(csv("csv = { delimiter = \";\" }"), CsvSpec { delimiter: Some(b';'), header: true });
    assert_eq!(
        csv("format = \"csv\"\ncsv = { delimiter = \"\\t\", header = false }"),
        CsvSpec { delimiter: Some(b'\t'), header: false }
    );
    let (xml, _) = document("format = \"xml\"\narray = [\"order\", \"n:line-item\"]");
    assert_eq!(xml.arrays, ["order", "n:line-item"]);
}

#[test]
fn another_document_is_another_selection() {
    let print = |lines| loaded(&with(&text(lines))).config.jobs[0].fingerprints.selection;
    assert_eq!(print(""), print("format = \"auto\""));
    let all = [
        "",
        "format = \"xml\"",
        "format = \"xml\"\narray = [\"o\"]",
        "csv = { delimiter = \";\" }",
        "csv = { header = false }",
    ];
    for (at, one) in all.iter().enumerate() {
        assert!(all[..at].iter().all(|other| print(other) != print(one)), "{one}");
    }
}

#[test]
fn what_can_not_be_is_told_with_its_place() {
    for (lines, message, hint) in [
        ("format = \"jsonl\"", "`format` can't be `jsonl`", "it is one of `auto`, `json`, `ndjson`, `csv`,"),
        (
            "format = \"xml\"\ncsv = { delimiter = \";\" }",
            "`csv` says nothing of the format `xml`",
            "`format = \"csv\"`",
        ),
        ("format = \"json\"\narray = [\"o\"]", "`array` says nothing of the format `json`", "`format = \"xml\"`"),
        ("csv = { delimiter = \";;\" }", "`delimiter` can't be `;;`", "it is one character"),
        ("csv = { delimiter = \"\" }", "`delimiter` can't be ``", "it is one character"),
        ("csv = { delimiter = \"§\" }", "`delimiter` can't be `§`", "it is one character"),
        ("csv = { delimiter = \"\\\"\" }", "`delimiter` can't be `\\\"`", "it is one character"),
        ("csv = { delimiter = \"tab\" }", "`delimiter` can't be `tab`", "`\"\\t\"`"),
        ("csv = { header = \"yes\" }", "`header` takes `true` or `false`, not text", "without the quotes"),
        ("csv = { delimeter = \";\" }", "unknown key `delimeter` in `csv`", "did you mean `delimiter`?"),
        ("csv = \";\"", "`csv` takes a table, not text", ""),
        ("array = \"order\"", "`array` takes a list in brackets, not text", "`array = [\"…\"]`"),
        ("array = [\"$.orders.order[*]\"]", "it names elements", "`array = [\"order\"]`"),
        ("array = [\"\"]", "it names elements", "`array = [\"order\"]`"),
        ("array = [7]", "takes text in quotes", ""),
    ] {
        let printed = printed(&with(&text(lines)));
        assert!(printed.contains(message) && printed.contains(hint), "{lines}:\n{printed}");
    }
}
