//! CSV.

use super::*;

#[test]
fn rows_are_objects_by_the_header_and_values_text() {
    for (body, expected) in [
        ("id,name\n1,Ann\n2,\"Bob, Jr.\"\n", r#"[{"id":"1","name":"Ann"},{"id":"2","name":"Bob, Jr."}]"#),
        ("\u{feff}id,v\r\n007, 1.50 \r\n", r#"[{"id":"007","v":" 1.50 "}]"#),
        ("id,v\n1,\"a \"\"quoted\"\" word\"", r#"[{"id":"1","v":"a \"quoted\" word"}]"#),
        ("id,v\n1,\"two\nlines\"\n", r#"[{"id":"1","v":"two\nlines"}]"#),
        ("id,v\n1,\n,\"\"\n", r#"[{"id":"1","v":""},{"id":"","v":""}]"#),
        ("id,size\n1,5\" disk\n", r#"[{"id":"1","size":"5\" disk"}]"#),
        ("id\r1\r2\r", r#"[{"id":"1"},{"id":"2"}]"#),
        ("id\n1\n\n2\n\n", r#"[{"id":"1"},{"id":"2"}]"#),
        ("id\n\"\"\n", r#"[{"id":""}]"#),
        ("id,v\n", "[]"),
        ("id,v", "[]"),
    ] {
        check(&spec(Format::Csv), body, expected);
    }
}

#[test]
fn columns_without_a_name_or_with_anothers_get_their_own() {
    check(
        &spec(Format::Csv),
        " id ,,v,v,\n1,2,3,4,5\n",
        r#"[{"id":"1","column_2":"2","v":"3","v_2":"4","column_5":"5"}]"#,
    );
}

#[test]
fn without_a_header_rows_are_arrays() {
    check(&csv(None, false), "1,Ann\n2,Bob\n", r#"[["1","Ann"],["2","Bob"]]"#);
    check(&csv(None, false), "", "[]");
}

#[test]
fn another_delimiter_is_taken_and_a_tab_where_the_vendor_says_so() {
    check(&csv(Some(b';'), true), "id;v\n1;a,b\n", r#"[{"id":"1","v":"a,b"}]"#);
    let tabbed = read(&spec(Format::Auto), Some("text/tab-separated-values"), b"id\tv\n1\ta,b\n");
    assert_eq!(tabbed.as_deref(), Ok(r#"[{"id":"1","v":"a,b"}]"#));
}

#[test]
fn what_would_shift_or_lose_data_is_refused_with_its_line() {
    let table = spec(Format::Csv);
    for (body, words) in [
        ("id,v\n1,2\n3\n", ["on line 3", "the row has 1 field, the header has 2", "`3`"]),
        ("id,v\n\"1\n\",2\n3,4,5\n", ["on line 4", "the row has 3 fields, the header has 2", "`3 4 5`"]),
        ("id,v\n1,2\n3,\"open\n4,5\n", ["on line 3", "never closed", "cut off"]),
        ("id,v\n1,\"a\" b\n", ["on line 2", "after the field `\"a\"` comes `b`", "written twice"]),
        ("id;v\n1;2\n", ["on line 1", "one column, `id;v`", "`csv = { delimiter = \";\" }`"]),
        ("id\tv\n1\t2\n", ["on line 1", "one column, `id v`", "delimiter = \"\\t\""]),
        ("", ["is empty", "names of the columns", "`empty = true`"]),
        ("<!DOCTYPE html><html>Please log in</html>", ["no CSV", "it is HTML", "Please log in"]),
    ] {
        refused(&table, None, body.as_bytes(), &words);
    }
    refused(&csv(None, false), None, b"1,2\n3\n", &["on line 2", "the row has 1 field, the rows before have 2"]);
    let error = b"{\"error\": \"quota\"}";
    refused(&table, Some("application/json"), error, &["its Content-Type is `application/json`", "quota"]);
}

#[test]
fn an_empty_answer_is_an_empty_list_where_the_job_allows_it() {
    assert_eq!(convert(&spec(Format::Csv), true, None, Bytes::new()), Ok(Bytes::from_static(b"[]")));
}

#[test]
fn too_many_columns_and_too_much_by_their_names_are_refused() {
    let wide = vec!["a"; super::super::NAMES_MAX + 1].join(",");
    refused(&spec(Format::Csv), None, wide.as_bytes(), &["on line 1", "more than 10000 fields"]);
    let long = format!("{}\n{}", "n".repeat(1024 * 1024), "1\n".repeat(70));
    refused(&spec(Format::Csv), None, long.as_bytes(), &["more than 64 MiB", "`csv = { header = false }`"]);
}
