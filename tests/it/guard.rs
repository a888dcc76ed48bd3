//! Where a vendor may lead: a public one never to a private network, to this machine or to the link it is on, whatever its
//! next links and redirects say, and whatever `allow_hosts` lets it lead to by name.
//!
//! The vendor is public by its address, and is reached through a proxy that dials this machine whatever it is asked for.

use crate::support::proxy::Proxy;
use crate::support::{Bridge, Receiver, Reply, Vendor, pages};

/// Ways to write places that are not public.
const INSIDE: [(&str, &str); 10] = [
    ("10.0.0.5", "private"),
    ("192.168.1.1", "private"),
    ("[fd00::1]", "private"),
    ("127.0.0.1", "this machine"),
    ("2130706433", "this machine"),
    ("0x7f.1", "this machine"),
    ("[::ffff:127.0.0.1]", "this machine"),
    ("localhost", "this machine"),
    ("169.254.1.1", "link-local"),
    ("169.254.169.254", "metadata"),
];

/// A vendor at a public address that answers as scripted, and a job at it whose links may lead to these hosts.
fn public(vendor: &Vendor, proxy: &Proxy, receiver: &Receiver, hosts: &[&str]) -> Bridge {
    let port = vendor.url().rsplit(':').next().unwrap_or_default().to_owned();
    let hosts: Vec<String> = hosts.iter().map(|host| format!("'{host}:{port}'")).collect();
    Bridge::with(&format!(
        "[daemon]\nstate = 'doorbell.db'\nlisten = '127.0.0.1:0'\n\
         [vendor.shop]\nbase_url = 'http://8.8.8.8:{port}/'\nproxy = 'http://{}'\nretries = 0\n\
         auth = {{ type = 'bearer', token = 'for-the-shop' }}\nallow_hosts = [{}]\n\
         [job.orders]\nvendor = 'shop'\nurl = 'orders'\nsend_to = ['crm']\n{}\n\
         pages = {{ style = 'next_url', at = '$.next' }}\n\
         [sink.crm]\nurl = '{}'\n",
        proxy.addr,
        hosts.join(", "),
        pages::JOB,
        receiver.url(),
    ))
}

fn next(url: &str) -> Reply {
    Reply::json(pages::data(&pages::rows(&[(1, "new")]), &format!(r#","next":"{url}""#)))
}

#[test]
fn a_public_vendor_leads_nowhere_inside_by_a_link_or_by_a_redirect() {
    let (vendor, proxy, receiver) = (Vendor::scripted(|_| Reply::Hang), Proxy::http(false), Receiver::start());
    let port = vendor.url().rsplit(':').next().unwrap_or_default().to_owned();
    for (host, what) in INSIDE {
        let bridge = public(&vendor, &proxy, &receiver, &[host]);
        let url = format!("http://{host}:{port}/inside");
        for reply in [next(&url), Reply::status(302).with("location", &url)] {
            let before = vendor.count();
            vendor.reply(reply);
            let report = pages::poll(&bridge);
            let reason = report["reason"].as_str().unwrap_or_default();
            assert!(reason.contains(what) && reason.contains("is public"), "{host}: {report:#}");
            assert!(matches!(pages::outcome(&report), "partial" | "failed"), "{report:#}");
            assert_eq!(vendor.count() - before, 1, "{host}: only the vendor itself was asked");
        }
    }
    assert!(proxy.asked().iter().all(|line| line.contains("http://8.8.8.8:")), "{:?}", proxy.asked());
}

#[test]
fn a_public_vendor_may_lead_to_another_public_host_that_is_allowed_and_to_no_other() {
    let (vendor, proxy, receiver) = (Vendor::scripted(|_| Reply::Hang), Proxy::http(false), Receiver::start());
    let port = vendor.url().rsplit(':').next().unwrap_or_default().to_owned();
    let bridge = public(&vendor, &proxy, &receiver, &["1.1.1.1"]);
    let script = move |host: &'static str| {
        let url = format!("http://{host}:{port}/more");
        move |request: &crate::support::http::Request| match request.path() {
            "/more" => Reply::json(pages::data(&pages::rows(&[(2, "new")]), "")),
            _ => next(&url),
        }
    };
    vendor.script(script("1.1.1.1"));
    let report = pages::poll(&bridge);
    assert_eq!((pages::outcome(&report), &report["items"]), ("complete", &2.into()), "{report:#}");
    vendor.script(script("9.9.9.9"));
    pages::partial(&pages::poll(&bridge), "9.9.9.9");
    assert!(proxy.asked().iter().all(|line| !line.contains("9.9.9.9")), "{:?}", proxy.asked());
}

#[test]
fn a_vendor_inside_may_lead_to_its_neighbours() {
    let (vendor, receiver) = (Vendor::scripted(|_| Reply::Hang), Receiver::start());
    let port = vendor.url().rsplit(':').next().unwrap_or_default().to_owned();
    let url = format!("http://localhost:{port}/more");
    vendor.script(move |request| match request.path() {
        "/more" => Reply::json(pages::data(&pages::rows(&[(2, "new")]), "")),
        _ => next(&url),
    });
    let lines =
        format!("{}pages = {{ style = 'next_url', at = '$.next' }}\nallow_hosts = ['localhost:{port}']", pages::JOB);
    let report = pages::poll(&Bridge::between(&vendor, &receiver, &lines, ""));
    assert_eq!((pages::outcome(&report), &report["items"]), ("complete", &2.into()), "{report:#}");
}
