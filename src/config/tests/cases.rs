//! What is said of a bad config: the place, the words and the hint, and that all of it comes in one run.

use proptest::prelude::*;

use super::*;

/// Problems of a config as `LINE:COLUMN message; hint`.
pub(super) fn said(machine: &Machine) -> Vec<String> {
    let problems: Vec<_> = machine.load().err().map(|problems| problems.iter().cloned().collect()).unwrap_or_default();
    problems.iter().map(|problem| problem.to_string().replacen("doorbell.toml:", "", 1)).collect()
}

#[test]
fn a_problem_is_printed_with_its_place_its_line_and_a_hint() {
    let text = "[job.orders]\nurl = \"https://api.example.com/orders\"\nevry = \"30s\"\nsend_to = [\"crmm\"]\n\
                [sink.crm]\nurl = \"https://crm.example\"\ntimeout = 20\n";
    let expected = "\
error: unknown key `evry` in `[job.orders]`
 --> doorbell.toml:3:1
  |
3 | evry = \"30s\"
  | ^^^^
  |
  = help: did you mean `every`?

error: there is no sink `crmm`
 --> doorbell.toml:4:12
  |
4 | send_to = [\"crmm\"]
  |            ^^^^^^
  |
  = help: did you mean `crm`?

error: `timeout` takes a duration with its unit, not a bare number
 --> doorbell.toml:7:11
  |
7 | timeout = 20
  |           ^^
  |
  = help: write `timeout = \"20s\"`; the units are ms, s, m, h, d, w

3 problems in doorbell.toml
";
    assert_eq!(printed(&with(text)), expected);
    let colored = with(text).load().unwrap_err().render(true);
    assert!(colored.contains("\u{1b}["), "{colored}");
}

/// A config, and a part of what is said of it.
const SLIPS: &[(&str, &str)] = &[
    ("[jobs.a]\n", "1:2: unknown key `jobs` in the file; did you mean `job`?"),
    ("[daemon]\nitems = 1\n", "2:1: unknown key `items` in `[daemon]`; `items` belongs in `[job.NAME]`"),
    ("[daemon]\nlisten = \"localhost\"\n", "2:10: `localhost` is not an address to listen on; write an IP address"),
    (
        "[daemon]\nlisten = \"0.0.0.0:80\"\n",
        "2:10: this address can be reached from outside, and there is no `token`; add `token",
    ),
    ("[daemon]\nlisten = \"unix:\"\n", "2:10: `unix:` lacks a path"),
    ("[daemon]\ntoken = \"\"\n", "2:9: `token` is empty"),
    ("[daemon]\nstate = \"postgres://db/x\"\n", "2:9: this version does not have PostgreSQL as `state` yet"),
    ("[daemon]\nconcurrency = 0\n", "2:15: `concurrency` can't be `0`; it must be a whole number from 1 to 1000"),
    ("[daemon]\nconcurrency = \"9\"\n", "2:15: `concurrency` takes a whole number, not text; write it without"),
    ("[daemon]\nretention = \"1s\"\n", "2:13: `retention` can't be `1s`; it must be at least 1m"),
    ("[daemon]\nreload = \"sometimes\"\n", "2:10: `reload` can't be `sometimes`; it is one of `signal`, `watch`"),
    ("[daemon]\ninclude = [\"x.toml\"]\n", "2:12: `include`: the file `x.toml` does not exist"),
    ("[daemon]\ninclude = \"x.toml\"\n", "2:11: `include` takes a list in brackets, not text; put it in brackets"),
    ("[daemon]\ninclude = [\"*/x.toml\"]\n", "2:12: `*` may stand in the last part of an included name only"),
    ("[vendor.v]\nbase_url = \"api.example\"\n", "2:12: `base_url` is not a whole URL; write it whole"),
    ("[vendor.v]\nbase_url = \"ftp://a.example\"\n", "2:12: `base_url` asks by another protocol than HTTP"),
    ("[vendor.v]\nbase_url = \"https://a.example?x=1\"\n", "2:12: `base_url` is a prefix: it can't have a `?`"),
    ("[vendor.v]\nauth = { token = \"x\" }\n", "2:8: `auth` lacks its `type`; write `auth = { type = \"bearer\""),
    (
        "[vendor.v]\nauth = { type = \"oauth2\", client_id = \"x\" }\n",
        "2:8: `auth` of type `oauth2` lacks its `token_url`; add `token_url = ",
    ),
    (
        "[vendor.v]\nauth = { type = \"oauth2\", token_url = \"token\", client_id = \"x\" }\n",
        "`token_url` is not a whole URL",
    ),
    (
        "[vendor.v]\nauth = { type = \"oauth2\", scop = \"x\" }\n",
        "unknown key `scop` in `auth` of type `oauth2`; did you mean `scope`?",
    ),
    (
        "[vendor.v]\nauth = { type = \"oauth2\", token_url = \"https://a.example\", client_id = \"x\", grant = \"refresh_token\" }\n",
        "needs a `refresh_token`; add `refresh_token = ",
    ),
    (
        "[vendor.v]\nauth = { type = \"oauth2\", token_url = \"https://a.example\", client_id = \"x\", grant = \"password\" }\n",
        "`grant` can't be `password`; it is one of `client_credentials`, `refresh_token`",
    ),
    (
        "[vendor.v]\nauth = { type = \"oauth2\", token_url = \"https://a.example\", client_id = \"x\", params = { scope = \"a\" } }\n",
        "`scope` can't stand in `params`; write it as `scope`",
    ),
    (
        "[vendor.v]\nauth = { type = \"oauth2\", token_url = \"https://a.example\", client_id = \"x\", client_auth = \"basic\" }\n",
        "`client_auth = \"basic\"` needs a `client_secret`",
    ),
    (
        "[vendor.v]\nauth = { type = \"jwt_bearer\", token_url = \"https://a.example\", algorithm = \"HS256\", key = \"short\" }\n",
        "lacks its `claims`; add `claims = { iss",
    ),
    (
        "[vendor.v]\nauth = { type = \"jwt_bearer\", token_url = \"https://a.example\", algorithm = \"RS256\", key = \"/etc/k.pem\", \
         claims = {} }\n",
        "to read it from a file, write `key = \"${file:",
    ),
    (
        "[vendor.v]\nauth = { type = \"session\", url = \"https://a.example\", send = { head = \"x\" } }\n",
        "unknown key `head` in `send`; write it as in `send = { header",
    ),
    (
        "[vendor.v]\nauth = { type = \"session\", url = \"https://a.example\", send = { header = \"x\", value = \"y\" } }\n",
        "`value` lacks the token",
    ),
    (
        "[vendor.v]\nauth = { type = \"session\", url = \"https://a.example\", token = { cookie = \"a=b\" } }\n",
        "is not the name of a cookie",
    ),
    (
        "[vendor.v]\nauth = { type = \"aws_sigv4\", region = \"EU West\", service = \"s3\", access_key = \"a\", secret_key = \"b\" }\n",
        "`region` is not what AWS calls one; write it as AWS does, as in `eu-central-1`",
    ),
    (
        "[vendor.v]\nauth = { type = \"oauth2\", token_url = \"https://a.example\", client_id = \"x\" }\n",
        "2:8: `auth` of type `oauth2` lacks its `client_secret`: a client without one is given no token; add `client_secret",
    ),
    (
        "[vendor.v]\nauth = { type = \"oauth2\", token_url = \"https://a.example\", client_id = \"x\", client_auth = \"body\" }\n",
        "2:8: `auth` of type `oauth2` lacks its `client_secret`",
    ),
    (
        "[vendor.v]\nauth = { type = \"jwt_bearer\", token_url = \"https://a.example\", algorithm = \"HS256\", key = \"k\", \
         claims = { iss = \"me\", exp = \"soon\" } }\n",
        "`exp` is a time in seconds, not text; leave it out, or write `exp = \"{{ timestamp + 120 }}\"`",
    ),
    (
        "[vendor.v]\nauth = { type = \"jwt_bearer\", token_url = \"https://a.example\", algorithm = \"HS256\", key = \"k\", \
         claims = { iss = \"me\" }, headers = { alg = \"none\" } }\n",
        "`alg` follows from `algorithm`; take it out",
    ),
    (
        "[vendor.v]\nauth = { type = \"bearer\", token = \"Bearer abc\" }\n",
        "2:35: `token` begins with `Bearer `, which is put before it; write the token alone",
    ),
    (
        "[vendor.v]\nauth = { type = \"basic\", username = \"me:x\", password = \"y\" }\n",
        "2:37: `username` has a colon, which ends it; write the password in `password`",
    ),
    (
        "[vendor.v]\nauth = { type = \"api_key\", name = \"\", value = \"y\", in = \"query\" }\n",
        "2:35: `name` is empty",
    ),
    (
        "[vendor.v]\nquery = { key = \"z\" }\nauth = { type = \"api_key\", name = \"key\", value = \"y\", in = \"query\" }\n",
        "3:8: `auth` and `key` in `query` are two answers to one question",
    ),
    (
        "[vendor.v]\nbase_url = \"https://a.example\"\nauth = { type = \"bearer\", token = \"{{ account }}\" }\n\
         [job.a]\nvendor = \"v\"\nurl = \"x\"\nevery = \"1m\"\neach = { account = [\"eu\"] }\n\
         [job.b]\nvendor = \"v\"\nurl = \"x\"\nevery = \"1m\"\n",
        "9:6: `auth.token` of the vendor `v` needs a name that `[job.b]` does not have; add it to the job's `each`",
    ),
    (
        "[job.a]\nurl = \"https://a.example\"\nevery = \"1m\"\nformat = \"csv\"\nitems = \"$.rows[*]\"\nkey = \"$.id\"\n",
        "5:9: `$.rows[*]` finds nothing: an answer in `csv` is an array; write `items = \"$[*]\"`",
    ),
    (
        "[job.a]\nurl = \"https://a.example\"\nevery = \"1m\"\nformat = \"csv\"\ncsv = { header = false }\n\
         items = \"$[*]\"\nkey = \"$.id\"\n",
        "7:7: `$.id` finds nothing: without a header, a row is an array; write its column",
    ),
    (
        "[job.a]\nurl = \"https://a.example\"\nevery = \"1m\"\nformat = \"csv\"\nitems = \"$[*]\"\nkey = \"$[0]\"\n",
        "6:7: `$[0]` finds nothing: a row is an object",
    ),
    (
        "[job.a]\nurl = \"https://a.example\"\nevery = \"1m\"\nformat = \"text\"\nitems = \"$[*]\"\nkey = \"$.id\"\n",
        "5:9: `$[*]` finds nothing: an answer in `text` is one text",
    ),
    (
        "[job.a]\nurl = \"https://a.example\"\nevery = \"1m\"\nformat = \"feed\"\nitems = \"$.items[*]\"\nkey = \"$.id\"\n",
        "5:9: `$.items[*]` finds nothing: every feed is read as `title`",
    ),
    (
        "[job.a]\nurl = \"https://a.example\"\nevery = \"1m\"\nformat = \"ndjson\"\nitems = \"$[*]\"\nkey = \"$.id\"\n\
         pages = { style = \"next_url\", at = \"$.next\" }\n",
        "7:9: `at = \"$.next\"` finds nothing: an answer in `ndjson` has no members beside its items; take it from a header",
    ),
    (
        "[job.a]\nurl = \"https://a.example\"\nevery = \"1m\"\npages = { style = \"link\" }\n",
        "4:9: `pages` are those of a list, and the job has no `items`: each page would be the one item; add `items",
    ),
    ("[vendor.v]\nauth = { type = \"digest\", username = \"x\" }\n", "`auth` of type `digest` lacks its `password`"),
    ("[vendor.v]\nauth = { type = \"hmac\", header = \"X-Sig\", key = \"k\", message = \"{{ when }}\" }\n", "when"),
    (
        "[vendor.v]\nheaders = { X-Sig = \"1\" }\nauth = { type = \"hmac\", header = \"X-Sig\", key = \"k\", message = \"{{ body }}\" }\n",
        "two answers to one question",
    ),
    ("[vendor.v]\nauth = { type = \"beerer\" }\n", "2:17: `type` can't be `beerer`; it is one of `bearer`, `basic`"),
    ("[vendor.v]\nauth = { type = \"bearer\", user = \"x\" }\n", "2:27: unknown key `user` in `auth` of type `bearer`"),
    ("[vendor.v]\nauth = { type = \"basic\", username = \"x\" }\n", "2:8: `auth` of type `basic` lacks its `password`"),
    ("[vendor.v]\nheaders = { \"a b\" = \"x\" }\n", "2:13: `a b` is not the name of a header"),
    ("[vendor.v]\nheaders = { Accept-Encoding = \"x\" }\n", "2:13: the header `Accept-Encoding` can't be set"),
    ("[vendor.v]\nheaders = { a = \"x\\ny\" }\n", "2:17: the header `a` can't hold its value: there is a line break"),
    ("[vendor.v]\nheaders = { a = \"1\", A = \"2\" }\n", "is there twice; upper and lower case are the same"),
    ("[vendor.v]\nmax_body = \"32 XB\"\n", "2:12: `32 XB`"),
    ("[vendor.v]\nrate = \"4/sec\"\n", "2:8: `4/sec` is not a rate; write \"4/s\""),
    ("[vendor.v]\nrate = 4\n", "2:8: `rate` takes text"),
    ("[vendor.v]\nbudget = \"10000\"\n", "2:10: `10000` is not a rate; write a number, a slash"),
    ("[vendor.v]\nconcurrency = 0\n", "2:15: `concurrency` can't be `0`; it must be a whole number from 1 to 1000"),
    ("[vendor.v]\nretries = 11\n", "2:11: `retries` can't be `11`; it must be a whole number from 0 to 10"),
    ("[vendor.v]\nconditional = \"yes\"\n", "2:15: `conditional` takes `true` or `false`, not text"),
    ("[vendor.v]\ntimeout = \"0s\"\n", "2:11: `timeout` can't be `0s`"),
    ("[job]\nurl = \"x\"\n", "2:1: `url` is not a job: a job is a table; give the job a name: `[job.name]`"),
    ("[job.\"a b\"]\n", "1:6: `a b` can't be a name; a name is at most 64 letters"),
    ("[job.j]\nevery = \"1s\"\n", "1:6: `[job.j]` lacks its `url`"),
    ("[job.j]\nurl = \"x\"\n", "2:7: this `url` is not a whole one, and there is no `base_url`"),
    ("[job.j]\nurl = \"https://a\"\n", "1:6: `[job.j]` does not say when to poll; add `every = \"30s\"`"),
    ("[job.j]\nevery = \"49ms\"\n", "2:9: `every` can't be `49ms`; it must be at least 50ms"),
    ("[job.j]\nevery = \"1s\"\ncron = \"* * * * *\"\n", "3:8: `[job.j]` has both `every` and `cron`; keep one"),
    ("[job.j]\nevery = \"1s\"\ncron = \"soon\"\n", "3:8: `soon` has 1 field, not 5 or 6"),
    ("[job.j]\nevery = \"1ms\"\ncron = \"* * * * *\"\n", "2:9: `every` can't be `1ms`"),
    ("[job.j]\nevery = { min = \"1s\" }\n", "2:9: `every` lacks its `max`; write `every = { min = \"10s\""),
    ("[job.j]\nevery = { min = \"1m\", max = \"1s\" }\n", "2:29: `max` is shorter than `min`; swap the two"),
    ("[job.j]\nevery = { min = \"1s\", mx = \"1m\" }\n", "unknown key `mx`"),
    ("[job.j]\nevery = { min = \"1ms\", max = \"1m\" }\n", "2:17: `min` can't be `1ms`; it must be at least 50ms"),
    ("[vendor.v]\nlimited_when = \"stauts == 429\"\n", "stauts"),
    ("[vendor.v]\nfail_when = \"{{ body.ok }}\"\n", "is a template, not a bare expression"),
    ("[vendor.v]\nfail_when = \"body.ok =\"\n", "2:"),
    ("[vendor.v]\nrespect_cache = \"yes\"\n", "2:17: `respect_cache` takes `true` or `false`, not text"),
    ("[job.j]\nevery = \"1s\"\ntimezone = \"UTC\"\n", "3:12: `timezone` is for `cron`: `every` knows no hours"),
    ("[job.j]\ncron = \"* * * *\"\n", "2:8: "),
    ("[job.j]\ncron = \"* * * * *\"\ntimezone = \"Berlin\"\n", "3:12: `Berlin` is not a time zone"),
    ("[job.j]\nitems = \"$[*]\"\n", "2:9: `items` needs a `key`, to know an item again; add `key = \"$.id\"`"),
    ("[job.j]\nitems = \"data[*]\"\nkey = \"$.id\"\n", "`data[*]`"),
    ("[job.j]\nkey = []\n", "2:7: `key` is an empty list"),
    ("[job.j]\non = []\n", "2:6: `on` is an empty list"),
    ("[job.j]\non = [\"create\"]\n", "2:7: `on` can't be `create`; it is one of `created`, `updated`"),
    ("[job.j]\nlist = \"all\"\n", "2:8: `list` can't be `all`; it is one of `complete`, `window`"),
    ("[job.j]\nmethod = \"get\"\n", "2:10: `get` is not a method that a poll can use; write it in upper case: `GET`"),
    ("[job.j]\ndeletes = { after = 0 }\n", "2:21: `after` can't be `0`"),
    ("[job.j]\ndeletes = { hold_above = \"120%\" }\n", "2:26: `120%` is more than the whole"),
    ("[job.j]\ndeletes = { hold_above = 20 }\n", "2:26: `hold_above` takes text in quotes"),
    ("[job.j]\nmax_events = 0\n", "2:14: `max_events` can't be `0`"),
    ("[job.j]\ndeletes = { confirm = \"o/{{ item }}\" }\n", "this `confirm` is not a whole one"),
    ("[job.j]\nbase_url = \"https://a.example\"\ndeletes = { confirm = \"o/{{ kez }}\" }\n", "`kez`"),
    (
        "[job.j]\nurl = \"https://a.example\"\ndeletes = { confirm = \"https://b.example/{{ key }}\" }\n",
        "3:23: `confirm` leads to another host than the job's own",
    ),
    ("[job.j]\nvendor = \"v\"\n", "2:10: there is no vendor `v`; add its table: `[vendor.v]`"),
    ("[job.j]\nsend_to = [{ sink = \"s\" }]\n", "2:21: there is no sink `s`; add its table: `[sink.s]`"),
    ("[job.j]\nwhen = \"nonsense == 1\"\n", "nonsense"),
    ("[job.j]\ntype = \"{{ nonsense }}\"\n", "nonsense"),
    (
        "[job.j]\nurl = \"https://a/{{ item.id }}\"\n",
        "2:7: `url` does not see `item`: only `detail.url` does; for one more request for each item",
    ),
    ("[job.j]\nurl = \"https://{{ job }}.example\"\n", "2:"),
    ("[job.j]\nurl = \"https://u:p@a.example\"\n", "2:7: `url` holds a user name or password; take it out"),
    ("[job.j]\nbody = { a = inf }\n", "2:14: JSON has no such value"),
    ("[sink.s]\n", "1:7: `[sink.s]` lacks its `url`"),
    ("[sink.s]\nurl = \"crm.example\"\n", "2:7: a sink's `url` must be a whole URL"),
    ("[sink.s]\nurl = \"ws://a.example\"\n", "2:7: a sink's `url` must begin with `https://`"),
    ("[sink.s]\nurl = \"https://a/{{ key }}\"\n", "2:7: a sink's `url` takes no template"),
    (
        "[sink.s]\nheaders = { webhook-id = \"x\" }\n",
        "2:13: the header `webhook-id` can't be set: it is the event's id",
    ),
    ("[sink.s]\nsecret = []\n", "2:10: `secret` is an empty list"),
    ("[sink.s]\nsign = \"standard\"\n", "2:8: `sign` needs a `secret` to sign with"),
    (
        "[sink.s]\nsign = \"githb\"\n",
        "2:8: `sign` can't be `githb`; it is one of `standard`, `standard-ed25519`, `github`",
    ),
    ("[sink.s]\nsign = 5\n", "2:8: `sign` takes text in quotes, not a number"),
    (
        "[sink.s]\nsecret = \"not a key\"\nsign = \"standard-ed25519\"\n",
        "2:10: `standard-ed25519` signs with an ed25519 key, and this secret is none; `openssl genpkey",
    ),
    (
        "[sink.s]\nsecret = [\"a\", \"b\"]\nsign = \"slack\"\n",
        "2:10: `sign = \"slack\"` has room for one signature, and there are 2 secrets; keep the secret",
    ),
    (
        "[sink.s]\nsecret = [\"a\", \"whsec_?\"]\n",
        "2:16: the secret begins with `whsec_`, but what follows is not base64",
    ),
    (
        "[sink.s]\nheaders = { X-Slack-Signature = \"x\" }\nsecret = \"a\"\nsign = \"slack\"\n",
        "2:13: the header `X-Slack-Signature` can't be set: it carries the signature; take it out",
    ),
    (
        "[sink.s]\nsecret = \"a\"\nsign = { message = \"{{ body }}\" }\n",
        "3:8: `sign` lacks its `header`; add `header = \"X-Signature\"`",
    ),
    (
        "[sink.s]\nsecret = \"a\"\nsign = { header = \"X\", algorithm = \"md5\" }\n",
        "3:36: `algorithm` can't be `md5`; it is one of `hmac-sha256`, `hmac-sha1`, `hmac-sha512`",
    ),
    (
        "[sink.s]\nsecret = \"a\"\nsign = { header = \"X\", encoding = \"b64\" }\n",
        "3:35: `encoding` can't be `b64`; it is one of `hex`, `base64`",
    ),
    (
        "[sink.s]\nsecret = \"a\"\nsign = { header = \"Webhook-Id\" }\n",
        "3:19: the header `Webhook-Id` can't be set: it is the event's id",
    ),
    (
        "[sink.s]\nsecret = \"a\"\nsign = { header = \"X\", mesage = \"\" }\n",
        "3:24: unknown key `mesage` in `sign`; did you mean `message`?",
    ),
    ("[sink.s]\nsecret = \"a\"\nsign = { header = \"X\", message = \"{{ bdy }}\" }\n", "`bdy`"),
    (
        "[sink.s]\nsecret = \"a\"\nsign = { header = \"X\", message = \"{{ timestamp }}\" }\n",
        "3:34: `message` says nothing of the body, so anyone on the way can change it; put the body into it",
    ),
    (
        "[sink.s]\nsecret = \"a\"\nsign = { header = \"X\", value = \"sha256=\" }\n",
        "3:32: `value` lacks the signature: `sha256=` has no `{{ signature }}` in it; write it as in",
    ),
    ("[sink.s]\nsecret = \"a\"\nsign = { header = \"X\", value = \"{{ body }}{{ signature }}\" }\n", "`body`"),
    (
        "[sink.s]\nsecret = \"whsec_AAAA\"\nsign = \"github\"\n",
        "2:10: receivers of `github` take a secret as text, and this one is decoded after `whsec_`; use a secret",
    ),
    ("[sink.s]\nretry = [\"5s\", 5]\n", "2:16: `retry` takes a duration with its unit"),
    ("[sink.s]\norder = \"strict\"\n", "2:9: `order` can't be `strict`; it is one of `key`, `none`, `job`"),
    ("[daemon]\ntoken = \"${env:NOPE}\"\n", "2:10: the environment variable `NOPE` is not set; set it"),
    ("[daemon]\ntoken = \"${file:/nope}\"\n", "2:10: the file `/nope` does not exist"),
    (
        "[daemon]\ntoken = \"${credential:nope}\"\n",
        "2:10: the credential `nope` is not there: `$CREDENTIALS_DIRECTORY`",
    ),
    ("[daemon]\ntoken = \"${credential:../x}\"\n", "2:10: `../x` is not the name of a systemd credential"),
    ("[daemon]\ntoken = \"${NOPE}\"\n", "2:10: `${NOPE}` is not a reference to a secret; write `${env:NAME}`"),
    ("[daemon]\ntoken = \"a${env:NOPE\"\n", "2:11: `token` has a `${` that is never closed"),
];

#[test]
fn each_slip_is_named_at_its_place_with_what_to_type() {
    for (text, expected) in SLIPS {
        let said = said(&with(text));
        assert!(said.iter().any(|line| line.contains(expected)), "{text}\nexpected {expected}\ngot {said:#?}");
    }
}

#[test]
fn what_is_not_toml_is_said_line_by_line_along_with_the_rest() {
    let text = "[job.a]\nevery = 30s\nurl = \"https://a.example\nfrist = \"emit\"\n[sink.b]\nurl 'x'\n";
    assert_eq!(
        said(&with(text)),
        [
            "2:9: not TOML: string values must be quoted, expected literal string; put the value in quotes: `name = \"value\"`",
            "3:25: not TOML: invalid basic string, expected `\"`; close the string with `\"` on the same line",
            "4:1: unknown key `frist` in `[job.a]`; did you mean `first`?",
            "6:5: not TOML: key with no value, expected `=`; write `name = value`",
        ]
    );
}

#[test]
fn a_file_that_is_no_text_or_not_there_is_said() {
    assert_eq!(
        said(&Machine::default().file("doorbell.toml", b"a = 1\nb = \"\xff\"\n")),
        ["2:6: not TOML: this is not UTF-8 text; save the file as UTF-8"]
    );
    let text = printed(&Machine::default());
    assert!(text.starts_with("error: the config `doorbell.toml` does not exist\n"), "{text}");
    assert!(text.ends_with("1 problem with doorbell.toml\n"), "{text}");
}

#[test]
fn a_name_in_two_files_is_an_error_that_shows_both() {
    let sink = "[sink.s]\nurl = \"https://s.example\"\n";
    let text =
        printed(&with(&format!("[daemon]\ninclude = [\"more.toml\"]\n{sink}")).file("more.toml", format!("\n{sink}")));
    let expected = "\
error: `[sink.s]` is there twice
 --> more.toml:2:7
  |
2 | [sink.s]
  |       ^
  |
  = help: rename one of the two, or take it out
note: the first one is here
 --> doorbell.toml:3:7
  |
3 | [sink.s]
  |       ^
";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn problems_of_all_files_come_in_one_run() {
    let machine = with("[daemon]\ninclude = [\"a.toml\", \"b.toml\", \"none.toml\"]\nx = 1\n")
        .file("a.toml", "[daemon]\n[sink.a]\nurl = 1\n")
        .file("b.toml", "[job.b]\nevery = soon\n");
    let text = printed(&machine);
    for place in ["doorbell.toml:2:32", "doorbell.toml:3:1", "a.toml:1:", "a.toml:3:7", "b.toml:2:9"] {
        assert!(text.contains(place), "{place}\n{text}");
    }
    assert!(text.contains("`[daemon]` can't stand in an included file"), "{text}");
    assert!(text.ends_with(" problems in 3 files\n"), "{text}");
}

#[test]
fn a_missing_folder_of_a_pattern_is_a_warning() {
    let text = "[daemon]\ninclude = [\"conf.d/*.toml\"]\n[job.j]\nurl = \"https://a\"\nevery = \"1s\"\nsend_to = [\"s\"]\n\
                [sink.s]\nurl = \"https://s.example\"\n";
    let loaded = loaded(&with(text));
    assert_eq!(loaded.warnings.len(), 1);
    assert!(loaded.warnings[0].message().starts_with("`include`: the folder of this pattern can't be read"));
}

#[test]
fn literal_secrets_are_masked_in_the_lines_that_are_shown() {
    let secret = "s3cr3t-l1teral";
    for text in [
        format!("[daemon]\ntoken = \"{secret}\" # x\nlisten = \"x\"\n[job.j]\ntokn = \"{secret}\""),
        format!("[vendor.v]\nauth = {{ type = \"bearer\", tok = \"{secret}\" }}"),
        format!("[vendor.v]\nauth = {{ type = \"bearr\", token = \"{secret}\" }}"),
        format!("[vendor.v]\nauth = {{ type = \"basic\", password = \"{secret}\" }}"),
        format!("[vendor.v]\nauth = {{ type = \"api_key\", value = '''{secret}''' }}"),
        format!("[vendor.v]\nauth = {{ type = \"oauth2\", client_secret = \"{secret}\" }}"),
        format!("[vendor.v]\nheaders = {{ Authorization = \"Bearer {secret}\", \"a b\" = \"x\" }}"),
        format!("[vendor.v]\nheaders = {{ X-Api-Key = \"{secret}\\n\" }}"),
        format!("[vendor.v]\nquery = {{ api_key = \"{secret}\", b = {{}} }}"),
        format!("[vendor.v]\nbase_url = \"https://me:{secret}@a.example\""),
        format!("[vendor.v]\nbase_url = \"https://a.example/?access_token={secret}\""),
        format!("[sink.s]\nsecret = [\n  \"v1,whsec_{secret}\",\n  3, \"{secret}\"]"),
        format!("[sink.s]\nsecret = {{ a = \"{secret}\" }}"),
        format!("[sink.s]\nsecrt = \"{secret}\""),
        format!("[vendor.v]\nauth = {{ type = \"bearer\", token = \"{secret} {{{{ {secret} \" }}"),
        format!("[vendor.v]\nheaders = {{ Authorization = \"{secret} {{{{ a.{secret} }}}}\" }}"),
        format!("[sink.s]\nsecret = \"{secret}"),
        format!("[sink.s]\nsecret = {secret}"),
        format!("[sink.s]\nsecret = [\n\"{secret}\n]"),
        format!("[sink.s]\nurl = \"https://u:{secret}@a.example"),
    ] {
        let problems = with(&text).load().expect_err(&text);
        assert!(!problems.render(false).contains(secret), "{text}\n{}", problems.render(false));
        assert!(!format!("{problems:?}").contains(secret), "{text}\n{problems:?}");
    }
}

/// Places where a string may stand, each with something else that is wrong.
const HOLES: &[&str] = &[
    "[daemon]\nstate = HOLE\nx = 1\n",
    "[daemon]\nlisten = HOLE\nretention = HOLE\n",
    "[daemon]\ntoken = HOLE\ninclude = [HOLE]\nx = 1\n",
    "[vendor.v]\nbase_url = HOLE\ntimeout = HOLE\nmax_body = HOLE\n",
    "[vendor.v]\nheaders = { A = HOLE }\nquery = { a = HOLE }\nauth = { type = HOLE }\n",
    "[vendor.v]\nauth = { type = \"bearer\", token = HOLE }\nx = HOLE\n",
    "[vendor.v]\nauth = { type = \"api_key\", name = HOLE, value = HOLE, in = HOLE }\n",
    "[job.j]\nurl = HOLE\nmethod = HOLE\nbody = { a = [HOLE] }\nevery = HOLE\n",
    "[job.j]\ncron = HOLE\ntimezone = HOLE\nitems = HOLE\nkey = [HOLE]\nlist = HOLE\nfirst = HOLE\n",
    "[sink.s]\nformat = HOLE\npayload = { a = HOLE, b = [HOLE] }\nthin = HOLE\n",
    "[job.j]\nsend_to = [{ sink = HOLE, when = HOLE, payload = { a = HOLE } }]\n",
    "[job.j]\nwatch = [HOLE]\nignore = [HOLE]\non = [HOLE]\nwhen = HOLE\ntype = HOLE\nsend_to = [HOLE]\nvendor = HOLE\n",
    "[sink.s]\nurl = HOLE\nheaders = { A = HOLE }\nsecret = [HOLE]\nwhen = HOLE\n",
    "[sink.s]\ntimeout = HOLE\nretry = [HOLE]\norder = HOLE\nsettle = HOLE\n",
];

proptest! {
    #[test]
    fn what_a_reference_yields_is_never_printed(
        hole in 0..HOLES.len(),
        before in "[a-z:/{}$. ]{0,6}",
        value in "(\\$|https?://|unix:|v1,|whsec_|\\{\\{ |\n)?[A-Z]{2}(marker)[0-9a-z.:/\n{}]{0,4}",
    ) {
        let text = HOLES[hole].replace("HOLE", &format!("\"{}${{env:SECRET}}\"", before.replace('$', "")));
        let machine = with(&text).variable("SECRET", &value);
        match machine.load() {
            Ok(loaded) => prop_assert!(!format!("{:?}", loaded.warnings).contains("marker"), "in a warning"),
            Err(problems) => {
                prop_assert!(!problems.render(false).contains("marker"), "{}", problems.render(false));
                let debug = format!("{problems:?}");
                prop_assert!(!debug.contains("marker"), "{}", debug);
            }
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "(\\[(job|sink|vendor|daemon)?[.a\\]\n]{0,4}|[a-z_]{1,5} ?=|\"|'|\\$\\{|\\{\\{|[{}\\[\\],.0-9é\n ]){0,40}") {
        let _ = printed(&with(&text));
    }
}
