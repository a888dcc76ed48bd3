//! Proxies as people write them, and what goes past them.

use super::*;

fn server(text: &str) -> Server {
    Server::parse(text).expect("a proxy")
}

fn url(text: &str) -> Url {
    Url::parse(text).expect("a URL")
}

#[test]
fn a_proxy_is_shown_without_its_password() {
    for (text, shown, resolves) in [
        ("http://proxy:3128", "http://proxy:3128", true),
        ("proxy:3128", "http://proxy:3128", true),
        ("https://me:s3cret@proxy.example/", "https://proxy.example", true),
        ("socks5://me:s3cret@proxy", "socks5://proxy:1080", false),
        ("socks5h://[::1]:9050", "socks5h://[::1]:9050", true),
    ] {
        let server = server(text);
        assert_eq!((server.shown(), server.resolves_names()), (shown, resolves), "{text}");
        assert!(!format!("{server:?}").contains("s3cret") && !server.host().contains('@'));
        assert_eq!(server.expose().contains("s3cret"), text.contains("s3cret"));
    }
}

#[test]
fn what_is_no_proxy_is_told_and_not_shown() {
    for text in ["ftp://s3cret@proxy", "http://s3cret:99999", "http://proxy/s3cret", "http://", "socks5://", ""] {
        let complaint = Server::parse(text).expect_err("a complaint");
        assert!(!complaint.problem.contains("s3cret") && complaint.hint.is_some(), "{text}: {}", complaint.problem);
    }
}

#[test]
fn no_proxy_names_what_goes_past() {
    let except = "example.com, .internal *.corp.example,10.0.0.0/8,[fd00::]/8,192.168.1.7 alone.example:8080";
    let proxy = Proxy::from_environment(Some(server("http://p:1")), Some(server("http://p:2")), except);
    let proxy = proxy.expect("a proxy");
    for past in [
        "http://example.com/",
        "https://api.EXAMPLE.com./x",
        "http://a.internal",
        "https://x.corp.example",
        "http://10.1.2.3",
        "http://192.168.1.7:9",
        "http://alone.example:8080/",
    ] {
        assert_eq!(proxy.server_for(&url(past)), None, "{past}");
    }
    for through in ["http://notexample.com", "http://11.0.0.1", "http://alone.example/", "http://192.168.1.8"] {
        assert_eq!(proxy.server_for(&url(through)).map(Server::shown), Some("http://p:1"), "{through}");
    }
    assert_eq!(proxy.server_for(&url("https://a.example")).map(Server::shown), Some("http://p:2"));
}

#[test]
fn the_environment_may_name_one_kind_or_none() {
    assert_eq!(Proxy::from_environment(None, None, "*"), None);
    let proxy = Proxy::from_environment(None, Some(server("p:1")), "").expect("a proxy");
    assert_eq!(proxy.server_for(&url("http://a.example")), None);
    assert!(proxy.server_for(&url("https://a.example")).is_some());
    let none = Proxy::from_environment(Some(server("p:1")), None, "*").expect("a proxy");
    assert_eq!(none.server_for(&url("http://a.example")), None);
    let all = Proxy::all(server("socks5://p"));
    assert_eq!(all.server_for(&url("https://a.example")).map(Server::shown), Some("socks5://p:1080"));
}
