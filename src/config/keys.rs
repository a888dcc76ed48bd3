//! Every key of the config language in one table: where it may stand and what it is.
//!
//! A new key gets its line here and is lifted in `lift/`. Nothing here reads a config.

use Table::{
    Alerts, Auth, Batch, Csv, Cursor, Daemon, Deletes, Detail, Each, Every, Job, Pages, Root, SendTo, Sign, Sink, Tls,
    Vendor,
};

/// A kind of table in the config.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    /// The file itself.
    Root,
    /// `[daemon]`
    Daemon,
    /// `[vendor.NAME]`
    Vendor,
    /// `[job.NAME]`; every key of a vendor may stand here too.
    Job,
    /// `[sink.NAME]`
    Sink,
    /// `[alerts]`
    Alerts,
    /// `auth = { … }`
    Auth,
    /// `deletes = { … }`
    Deletes,
    /// `every = { … }`
    Every,
    /// `csv = { … }`
    Csv,
    /// `[job.NAME.pages]`
    Pages,
    /// `[job.NAME.cursor]`
    Cursor,
    /// `[job.NAME.detail]`
    Detail,
    /// `[job.NAME.each]`
    Each,
    /// A table in `send_to`.
    SendTo,
    /// `sign = { … }`
    Sign,
    /// `batch = { … }`
    Batch,
    /// `tls = { … }`
    Tls,
}

impl Table {
    /// How a person finds it in the file.
    pub fn title(self) -> &'static str {
        match self {
            Root => "the file",
            Daemon => "`[daemon]`",
            Vendor => "`[vendor.NAME]`",
            Job => "`[job.NAME]`",
            Sink => "`[sink.NAME]`",
            Alerts => "`[alerts]`",
            Auth => "`auth`",
            Deletes => "`deletes`",
            Every => "`every`",
            Csv => "`csv`",
            Pages => "`[job.NAME.pages]`",
            Cursor => "`[job.NAME.cursor]`",
            Detail => "`[job.NAME.detail]`",
            Each => "`[job.NAME.each]`",
            SendTo => "`send_to`",
            Sign => "`sign`",
            Batch => "`batch`",
            Tls => "`tls`",
        }
    }
}

/// A key of the config language.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Where it stands.
    pub table: Table,
    /// Its name.
    pub name: &'static str,
    /// What it is, in a line.
    pub doc: &'static str,
}

const fn key(table: Table, name: &'static str, doc: &'static str) -> Key {
    Key { table, name, doc }
}

/// Every key there is.
pub const KEYS: &[Key] = &[
    key(Root, "daemon", "the daemon's own settings"),
    key(Root, "vendor", "APIs that are polled"),
    key(Root, "job", "what to poll, when, and how to see a change"),
    key(Root, "sink", "where webhooks go"),
    key(Root, "alerts", "where Doorbell's own events go"),
    key(Daemon, "state", "the state file"),
    key(Daemon, "listen", "where the API, the metrics and the health checks are"),
    key(Daemon, "token", "what a caller of the API must show"),
    key(Daemon, "include", "more config files"),
    key(Daemon, "concurrency", "polls in flight"),
    key(Daemon, "retention", "how long delivered events are kept"),
    key(Daemon, "reload", "when the config is read again"),
    key(Vendor, "base_url", "what a job's `url` is joined to"),
    key(Vendor, "headers", "request headers"),
    key(Vendor, "query", "query parameters"),
    key(Vendor, "auth", "credentials"),
    key(Vendor, "timeout", "for a whole exchange, body included"),
    key(Vendor, "connect_timeout", "until the connection stands"),
    key(Vendor, "max_body", "the largest answer, after decompression"),
    key(Vendor, "retries", "quick retries inside one poll"),
    key(Vendor, "conditional", "send If-None-Match and If-Modified-Since"),
    key(Vendor, "respect_cache", "let max-age and Expires postpone a poll"),
    key(Vendor, "rate", "requests per second, shared by all jobs"),
    key(Vendor, "concurrency", "requests in flight to this vendor"),
    key(Vendor, "budget", "requests per day, never exceeded"),
    key(Vendor, "proxy", "a proxy to connect through"),
    key(Vendor, "tls", "an added CA, a client certificate"),
    key(Vendor, "allow_hosts", "other hosts that links may lead to"),
    key(Vendor, "limited_when", "how a rate limit in disguise looks"),
    key(Vendor, "fail_when", "how an error in a 200 looks"),
    key(Auth, "type", "the kind of credentials"),
    key(Auth, "token", "for `bearer`; for `session`: where the answer has it"),
    key(Auth, "username", "for `basic` and `digest`"),
    key(Auth, "password", "for `basic` and `digest`"),
    key(Auth, "name", "for `api_key`: the header or parameter"),
    key(Auth, "value", "for `api_key` and `hmac`: what is sent"),
    key(Auth, "in", "for `api_key`: `header` or `query`"),
    key(Auth, "token_url", "for `oauth2` and `jwt_bearer`: where a token is fetched"),
    key(Auth, "client_id", "for `oauth2`: who asks"),
    key(Auth, "client_secret", "for `oauth2`: what the client shows"),
    key(Auth, "scope", "for `oauth2`: what the token is good for"),
    key(Auth, "audience", "for `oauth2`: whom the token is for"),
    key(Auth, "grant", "for `oauth2`: `client_credentials` or `refresh_token`"),
    key(Auth, "refresh_token", "for `oauth2`: the first one"),
    key(Auth, "client_auth", "for `oauth2`: `basic` or `body`"),
    key(Auth, "params", "for `oauth2`: more members of the request"),
    key(Auth, "algorithm", "for `jwt_bearer` and `hmac`: how it is signed"),
    key(Auth, "key", "for `jwt_bearer` and `hmac`: what it is signed with"),
    key(Auth, "claims", "for `jwt_bearer`: what the assertion says"),
    key(Auth, "headers", "for `jwt_bearer`, `session` and `hmac`: more headers"),
    key(Auth, "url", "for `session`: where one logs in"),
    key(Auth, "method", "for `session`: the log-in's method"),
    key(Auth, "body", "for `session`: the log-in's body"),
    key(Auth, "send", "for `session`: what carries the token"),
    key(Auth, "ttl", "for `session`: how long it is good"),
    key(Auth, "region", "for `aws_sigv4`: as in `eu-central-1`"),
    key(Auth, "service", "for `aws_sigv4`: as in `execute-api`"),
    key(Auth, "access_key", "for `aws_sigv4`: the id of the key"),
    key(Auth, "secret_key", "for `aws_sigv4`: the key"),
    key(Auth, "session_token", "for `aws_sigv4`: with a temporary key"),
    key(Auth, "header", "for `hmac`: what carries the signature"),
    key(Auth, "message", "for `hmac`: what is signed"),
    key(Auth, "encoding", "for `hmac`: `hex` or `base64`"),
    key(Job, "vendor", "the vendor whose settings it shares"),
    key(Job, "url", "joined to `base_url`, or absolute"),
    key(Job, "method", "the request's method"),
    key(Job, "body", "the request's body"),
    key(Job, "format", "what an answer is"),
    key(Job, "every", "the time between two polls"),
    key(Job, "cron", "the times of the polls, by the calendar"),
    key(Job, "timezone", "for `cron`"),
    key(Job, "items", "where the items are in the document"),
    key(Job, "key", "where an item's key is in the item"),
    key(Job, "list", "what an item's absence means"),
    key(Job, "watch", "only these count as change"),
    key(Job, "ignore", "these never count as change"),
    key(Job, "tolerance", "how far a number may drift"),
    key(Job, "arrays", "arrays inside an item, compared by key"),
    key(Job, "unordered", "arrays whose order does not count"),
    key(Job, "settle", "polls a new value must persist"),
    key(Job, "first", "what the first poll says"),
    key(Job, "on", "which changes become events"),
    key(Job, "when", "which of those become events"),
    key(Job, "empty", "may the items query find nothing at all"),
    key(Job, "deletes", "when an item counts as deleted"),
    key(Job, "max_events", "events of one poll above which it is held"),
    key(Job, "type", "the type of the events"),
    key(Job, "send_to", "the sinks that get the events"),
    key(Job, "enabled", "is it polled"),
    key(Job, "rename", "the name that the job had before: its state is taken over"),
    key(Job, "pages", "how to read a list of several pages"),
    key(Job, "cursor", "how to fetch only what is new"),
    key(Job, "detail", "one more request for each item"),
    key(Job, "each", "one job, many scopes"),
    key(Job, "csv", "how csv is read"),
    key(Job, "array", "xml elements that are always an array"),
    key(Csv, "delimiter", "what stands between fields"),
    key(Csv, "header", "is the first row the columns' names"),
    key(Deletes, "after", "complete polls without the item"),
    key(Deletes, "hold_above", "the share of items above which deletions are held"),
    key(Deletes, "confirm", "a request that must say 404 or 410"),
    key(Every, "min", "the shortest time between two polls"),
    key(Every, "max", "the longest time between two polls"),
    key(Pages, "style", "how the next page is found"),
    key(Pages, "at", "where the next page or token is"),
    key(Pages, "param", "what carries it"),
    key(Pages, "into", "where it is put"),
    key(Pages, "start", "the first page's number"),
    key(Pages, "size", "items on a page"),
    key(Pages, "size_param", "what carries the size"),
    key(Pages, "more", "whether there is another page"),
    key(Pages, "max", "the most pages that are read"),
    key(Pages, "total", "how many items there should be"),
    key(Pages, "until", "where to stop"),
    key(Cursor, "at", "where the cursor is in an item"),
    key(Cursor, "from", "where the cursor is in the response"),
    key(Cursor, "start", "the first poll's cursor"),
    key(Cursor, "overlap", "how far back to read again"),
    key(Cursor, "full_every", "how often to poll without it"),
    key(Detail, "url", "the request for an item"),
    key(Detail, "version", "fetch again only when this differs"),
    key(Detail, "concurrency", "requests in flight"),
    key(Detail, "merge", "lay the answer over the listed item"),
    key(Each, "job", "the job whose items are the values"),
    key(Each, "at", "where the value is in the item"),
    key(SendTo, "sink", "the sink"),
    key(SendTo, "when", "which events it gets from this job"),
    key(SendTo, "format", "how an event of this job is written for it"),
    key(SendTo, "payload", "a body of your own for this job's events"),
    key(SendTo, "thin", "send it type, key and changed only"),
    key(Sink, "url", "the receiver"),
    key(Sink, "headers", "request headers"),
    key(Sink, "auth", "credentials"),
    key(Sink, "secret", "what deliveries are signed with"),
    key(Sink, "sign", "how deliveries are signed"),
    key(Sink, "format", "how an event is written"),
    key(Sink, "payload", "a body of your own"),
    key(Sink, "when", "which events it gets"),
    key(Sink, "timeout", "for a whole attempt"),
    key(Sink, "retry", "the waits after failed attempts"),
    key(Sink, "concurrency", "attempts in flight"),
    key(Sink, "rate", "deliveries per second"),
    key(Sink, "order", "what is sent in order"),
    key(Sink, "batch", "several events in one request"),
    key(Sink, "thin", "send type, key and changed only"),
    key(Sink, "private", "may the address be private"),
    key(Sink, "allow_cidr", "addresses that are refused otherwise"),
    key(Sink, "max_backlog", "the most deliveries that wait"),
    key(Sink, "max_age", "the longest a delivery waits"),
    key(Sink, "at_limit", "what happens at the limit"),
    key(Sink, "handshake", "ask the receiver before the first delivery"),
    key(Sink, "tls", "an added CA, a client certificate"),
    key(Sink, "proxy", "a proxy to connect through"),
    key(Sign, "header", "what carries the signature"),
    key(Sign, "algorithm", "`hmac-sha256`, `hmac-sha1` or `hmac-sha512`"),
    key(Sign, "encoding", "`hex` or `base64`"),
    key(Sign, "message", "what is signed"),
    key(Sign, "value", "what the header holds"),
    key(Batch, "max", "events in a request"),
    key(Batch, "wait", "how long to wait for more"),
    key(Tls, "ca", "an added CA"),
    key(Tls, "cert", "a client certificate"),
    key(Tls, "key", "its key"),
    key(Alerts, "send_to", "the sinks that get them"),
    key(Alerts, "after", "failed polls in a row"),
    key(Alerts, "remind", "how often it rings again"),
    key(Alerts, "stale", "when a job rings as stale"),
];

/// The keys that may stand in a table.
pub fn of(table: Table) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.table == table || (table == Job && key.table == Vendor))
}

/// The key of this name in a table.
pub fn find(table: Table, name: &str) -> Option<&'static Key> {
    of(table).find(|key| key.name == name)
}

/// A table in which this name is a key, where that is one of the tables a person writes a header for.
pub fn elsewhere(name: &str) -> Option<Table> {
    let headed = |table: &Table| matches!(table, Daemon | Vendor | Job | Sink | Alerts);
    KEYS.iter().filter(|key| key.name == name).map(|key| key.table).find(headed)
}

/// The name most like `got`, when one is like it at all.
pub fn nearest<'a>(got: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |name: &&str| strsim::damerau_levenshtein(&got.to_lowercase(), &name.to_lowercase());
    let best = names.into_iter().min_by_key(distance)?;
    let allowed = (got.chars().count().max(best.chars().count()) / 3).max(1);
    (distance(&best) <= allowed).then_some(best)
}
