//! `detail`: what it comes to, and what is said of each mistake.

use super::cases::said;
use super::{loaded, with};

const SLIPS: &[(&str, &str)] = &[
    ("[job.j]\nitems = \"$[*]\"\n[job.j.detail]\nversion = \"$.at\"\n", "3:1: `detail` lacks its `url`; add `url ="),
    (
        "[job.j]\ndetail = { url = \"https://a.example/{{ item.id }}\" }\n",
        "2:10: `detail` is asked for each of the `items`",
    ),
    ("[job.j]\ndetail = { url = \"https://a.example/{{ itm.id }}\" }\n", "`itm`"),
    ("[job.j]\ndetail = { url = \"https://a.example/{{ cursor }}\" }\n", "`cursor`"),
    ("[job.j]\ndetail = { url = \"{{ item.url }}\" }\n", "2:18: this `url` is not a whole one"),
    (
        "[job.j]\ndetail = { url = \"https://{{ item.host }}/x\" }\n",
        "2:27: `https://{{ item.host }}/x` has an expression where",
    ),
    (
        "[job.j]\nurl = \"https://a.example\"\ndetail = { url = \"https://b.example/{{ key }}\" }\n",
        "3:18: `detail.url` leads to another host than the job's own; credentials don't go there",
    ),
    (
        "[job.j]\ndetail = { concurrency = 0 }\n",
        "2:26: `concurrency` can't be `0`; it must be a whole number from 1 to 100",
    ),
    ("[job.j]\ndetail = { concurrency = 101 }\n", "2:26: `concurrency` can't be `101`"),
    ("[job.j]\ndetail = { merge = \"yes\" }\n", "2:20: `merge` takes"),
    ("[job.j]\ndetail = { version = \"updated_at\" }\n", "`updated_at`"),
    ("[job.j]\ndetail = { versoin = \"$.at\" }\n", "2:12: unknown key `versoin` in `detail`; did you mean `version`?"),
    ("[job.j]\ndetail = \"orders\"\n", "2:10: `detail` takes a table"),
];

#[test]
fn each_mistake_is_named() {
    let missed = SLIPS.iter().filter(|(text, expected)| !said(&with(text)).iter().any(|line| line.contains(expected)));
    let missed: Vec<_> = missed.map(|(text, expected)| (text, expected, said(&with(text)))).collect();
    assert!(missed.is_empty(), "{missed:#?}");
}

/// A job with these lines, and its vendor.
fn job(lines: &str) -> String {
    let vendor = "[vendor.v]\nbase_url = \"https://a.example/v2\"\nquery = { api = \"1\" }\n";
    let sink = "[sink.s]\nurl = \"https://s.example\"\n";
    format!(
        "{vendor}{sink}[job.j]\nvendor = \"v\"\nurl = \"o\"\nquery = {{ limit = 5 }}\nevery = \"1m\"\nitems = \"$[*]\"\n\
         key = \"$.id\"\nsend_to = [\"s\"]\n{lines}\n"
    )
}

#[test]
fn a_detail_shares_what_every_request_to_the_vendor_has() {
    let text = job("each = { account = [\"eu\"] }\ndetail = { url = \"{{ account }}/o/{{ item.id }}\" }");
    let loaded = loaded(&with(&text));
    let detail = loaded.config.jobs[0].detail.as_deref().expect("a detail");
    assert_eq!((detail.concurrency, detail.merge, detail.version.is_some()), (4, false, false));
    assert_eq!(detail.request.url.source(), "https://a.example/v2/{{ account }}/o/{{ item.id }}");
    assert_eq!(detail.request.query.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["api"]);
}

#[test]
fn s5_what_is_asked_for_is_another_request_and_how_many_at_once_is_not() {
    let print = |lines: &str| loaded(&with(&job(lines))).config.jobs[0].fingerprints.clone();
    let (none, plain) = (print(""), print("detail = { url = \"o/{{ key }}\" }"));
    assert_eq!(none.edited(&plain), ["request"]);
    assert_eq!(print("detail = { url = \"o/{{ key }}\", concurrency = 9, merge = false }"), plain);
    for other in
        ["url = \"p/{{ key }}\"", "url = \"o/{{ key }}\", version = \"$.at\"", "url = \"o/{{ key }}\", merge = true"]
    {
        assert_eq!(print(&format!("detail = {{ {other} }}")).edited(&plain), ["request"], "{other}");
    }
}
