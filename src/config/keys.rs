//! Every key of the config language in one table: where it may stand, whether this version has it, what it is.
//!
//! A later version flips a key's status here and lifts it in `lift/`. Nothing here reads a config.

use Status::{Built, Later};
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

/// What this version makes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It has it.
    Built,
    /// It does not have it yet.
    Later,
}

/// A key of the config language.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Where it stands.
    pub table: Table,
    /// Its name.
    pub name: &'static str,
    /// What this version makes of it.
    pub status: Status,
    /// What it is, in a line.
    pub doc: &'static str,
}

const fn key(table: Table, name: &'static str, status: Status, doc: &'static str) -> Key {
    Key { table, name, status, doc }
}

/// Every key there is.
pub const KEYS: &[Key] = &[
    key(Root, "daemon", Built, "the daemon's own settings"),
    key(Root, "vendor", Built, "APIs that are polled"),
    key(Root, "job", Built, "what to poll, when, and how to see a change"),
    key(Root, "sink", Built, "where webhooks go"),
    key(Root, "alerts", Built, "where Doorbell's own events go"),
    key(Daemon, "state", Built, "the state file"),
    key(Daemon, "listen", Built, "where the API, the metrics and the health checks are"),
    key(Daemon, "token", Built, "what a caller of the API must show"),
    key(Daemon, "include", Built, "more config files"),
    key(Daemon, "concurrency", Built, "polls in flight"),
    key(Daemon, "retention", Built, "how long delivered events are kept"),
    key(Daemon, "reload", Built, "when the config is read again"),
    key(Vendor, "base_url", Built, "what a job's `url` is joined to"),
    key(Vendor, "headers", Built, "request headers"),
    key(Vendor, "query", Built, "query parameters"),
    key(Vendor, "auth", Built, "credentials"),
    key(Vendor, "timeout", Built, "for a whole exchange, body included"),
    key(Vendor, "connect_timeout", Built, "until the connection stands"),
    key(Vendor, "max_body", Built, "the largest answer, after decompression"),
    key(Vendor, "retries", Built, "quick retries inside one poll"),
    key(Vendor, "conditional", Built, "send If-None-Match and If-Modified-Since"),
    key(Vendor, "respect_cache", Built, "let max-age and Expires postpone a poll"),
    key(Vendor, "rate", Built, "requests per second, shared by all jobs"),
    key(Vendor, "concurrency", Built, "requests in flight to this vendor"),
    key(Vendor, "budget", Built, "requests per day, never exceeded"),
    key(Vendor, "proxy", Built, "a proxy to connect through"),
    key(Vendor, "tls", Built, "an added CA, a client certificate"),
    key(Vendor, "allow_hosts", Built, "other hosts that links may lead to"),
    key(Vendor, "limited_when", Built, "how a rate limit in disguise looks"),
    key(Vendor, "fail_when", Built, "how an error in a 200 looks"),
    key(Auth, "type", Built, "the kind of credentials"),
    key(Auth, "token", Built, "for `bearer`; for `session`: where the answer has it"),
    key(Auth, "username", Built, "for `basic` and `digest`"),
    key(Auth, "password", Built, "for `basic` and `digest`"),
    key(Auth, "name", Built, "for `api_key`: the header or parameter"),
    key(Auth, "value", Built, "for `api_key` and `hmac`: what is sent"),
    key(Auth, "in", Built, "for `api_key`: `header` or `query`"),
    key(Auth, "token_url", Built, "for `oauth2` and `jwt_bearer`: where a token is fetched"),
    key(Auth, "client_id", Built, "for `oauth2`: who asks"),
    key(Auth, "client_secret", Built, "for `oauth2`: what the client shows"),
    key(Auth, "scope", Built, "for `oauth2`: what the token is good for"),
    key(Auth, "audience", Built, "for `oauth2`: whom the token is for"),
    key(Auth, "grant", Built, "for `oauth2`: `client_credentials` or `refresh_token`"),
    key(Auth, "refresh_token", Built, "for `oauth2`: the first one"),
    key(Auth, "client_auth", Built, "for `oauth2`: `basic` or `body`"),
    key(Auth, "params", Built, "for `oauth2`: more members of the request"),
    key(Auth, "algorithm", Built, "for `jwt_bearer` and `hmac`: how it is signed"),
    key(Auth, "key", Built, "for `jwt_bearer` and `hmac`: what it is signed with"),
    key(Auth, "claims", Built, "for `jwt_bearer`: what the assertion says"),
    key(Auth, "headers", Built, "for `jwt_bearer`, `session` and `hmac`: more headers"),
    key(Auth, "url", Built, "for `session`: where one logs in"),
    key(Auth, "method", Built, "for `session`: the log-in's method"),
    key(Auth, "body", Built, "for `session`: the log-in's body"),
    key(Auth, "send", Built, "for `session`: what carries the token"),
    key(Auth, "ttl", Built, "for `session`: how long it is good"),
    key(Auth, "region", Built, "for `aws_sigv4`: as in `eu-central-1`"),
    key(Auth, "service", Built, "for `aws_sigv4`: as in `execute-api`"),
    key(Auth, "access_key", Built, "for `aws_sigv4`: the id of the key"),
    key(Auth, "secret_key", Built, "for `aws_sigv4`: the key"),
    key(Auth, "session_token", Built, "for `aws_sigv4`: with a temporary key"),
    key(Auth, "header", Built, "for `hmac`: what carries the signature"),
    key(Auth, "message", Built, "for `hmac`: what is signed"),
    key(Auth, "encoding", Built, "for `hmac`: `hex` or `base64`"),
    key(Job, "vendor", Built, "the vendor whose settings it shares"),
    key(Job, "url", Built, "joined to `base_url`, or absolute"),
    key(Job, "method", Built, "the request's method"),
    key(Job, "body", Built, "the request's body"),
    key(Job, "format", Built, "what an answer is"),
    key(Job, "every", Built, "the time between two polls"),
    key(Job, "cron", Built, "the times of the polls, by the calendar"),
    key(Job, "timezone", Built, "for `cron`"),
    key(Job, "items", Built, "where the items are in the document"),
    key(Job, "key", Built, "where an item's key is in the item"),
    key(Job, "list", Built, "what an item's absence means"),
    key(Job, "watch", Built, "only these count as change"),
    key(Job, "ignore", Built, "these never count as change"),
    key(Job, "tolerance", Built, "how far a number may drift"),
    key(Job, "arrays", Built, "arrays inside an item, compared by key"),
    key(Job, "unordered", Built, "arrays whose order does not count"),
    key(Job, "settle", Built, "polls a new value must persist"),
    key(Job, "first", Built, "what the first poll says"),
    key(Job, "on", Built, "which changes become events"),
    key(Job, "when", Built, "which of those become events"),
    key(Job, "empty", Built, "may the items query find nothing at all"),
    key(Job, "deletes", Built, "when an item counts as deleted"),
    key(Job, "max_events", Built, "events of one poll above which it is held"),
    key(Job, "type", Built, "the type of the events"),
    key(Job, "send_to", Built, "the sinks that get the events"),
    key(Job, "enabled", Built, "is it polled"),
    key(Job, "rename", Built, "the name that the job had before: its state is taken over"),
    key(Job, "pages", Built, "how to read a list of several pages"),
    key(Job, "cursor", Built, "how to fetch only what is new"),
    key(Job, "detail", Later, "one more request for each item"),
    key(Job, "each", Built, "one job, many scopes"),
    key(Job, "csv", Built, "how csv is read"),
    key(Job, "array", Built, "xml elements that are always an array"),
    key(Csv, "delimiter", Built, "what stands between fields"),
    key(Csv, "header", Built, "is the first row the columns' names"),
    key(Deletes, "after", Built, "complete polls without the item"),
    key(Deletes, "hold_above", Built, "the share of items above which deletions are held"),
    key(Deletes, "confirm", Built, "a request that must say 404 or 410"),
    key(Every, "min", Built, "the shortest time between two polls"),
    key(Every, "max", Built, "the longest time between two polls"),
    key(Pages, "style", Built, "how the next page is found"),
    key(Pages, "at", Built, "where the next page or token is"),
    key(Pages, "param", Built, "what carries it"),
    key(Pages, "into", Built, "where it is put"),
    key(Pages, "start", Built, "the first page's number"),
    key(Pages, "size", Built, "items on a page"),
    key(Pages, "size_param", Built, "what carries the size"),
    key(Pages, "more", Built, "whether there is another page"),
    key(Pages, "max", Built, "the most pages that are read"),
    key(Pages, "total", Built, "how many items there should be"),
    key(Pages, "until", Built, "where to stop"),
    key(Cursor, "at", Built, "where the cursor is in an item"),
    key(Cursor, "from", Built, "where the cursor is in the response"),
    key(Cursor, "start", Built, "the first poll's cursor"),
    key(Cursor, "overlap", Built, "how far back to read again"),
    key(Cursor, "full_every", Built, "how often to poll without it"),
    key(Detail, "url", Later, "the request for an item"),
    key(Detail, "version", Later, "fetch again only when this differs"),
    key(Detail, "concurrency", Later, "requests in flight"),
    key(Detail, "merge", Later, "lay the answer over the listed item"),
    key(Each, "job", Built, "the job whose items are the values"),
    key(Each, "at", Built, "where the value is in the item"),
    key(SendTo, "sink", Built, "the sink"),
    key(SendTo, "when", Built, "which events it gets from this job"),
    key(SendTo, "format", Built, "how an event of this job is written for it"),
    key(SendTo, "payload", Built, "a body of your own for this job's events"),
    key(SendTo, "thin", Built, "send it type, key and changed only"),
    key(Sink, "url", Built, "the receiver"),
    key(Sink, "headers", Built, "request headers"),
    key(Sink, "auth", Built, "credentials"),
    key(Sink, "secret", Built, "what deliveries are signed with"),
    key(Sink, "sign", Built, "how deliveries are signed"),
    key(Sink, "format", Built, "how an event is written"),
    key(Sink, "payload", Built, "a body of your own"),
    key(Sink, "when", Built, "which events it gets"),
    key(Sink, "timeout", Built, "for a whole attempt"),
    key(Sink, "retry", Built, "the waits after failed attempts"),
    key(Sink, "concurrency", Built, "attempts in flight"),
    key(Sink, "rate", Built, "deliveries per second"),
    key(Sink, "order", Built, "what is sent in order"),
    key(Sink, "batch", Built, "several events in one request"),
    key(Sink, "thin", Built, "send type, key and changed only"),
    key(Sink, "private", Built, "may the address be private"),
    key(Sink, "allow_cidr", Built, "addresses that are refused otherwise"),
    key(Sink, "max_backlog", Built, "the most deliveries that wait"),
    key(Sink, "max_age", Built, "the longest a delivery waits"),
    key(Sink, "at_limit", Built, "what happens at the limit"),
    key(Sink, "handshake", Built, "ask the receiver before the first delivery"),
    key(Sink, "tls", Built, "an added CA, a client certificate"),
    key(Sink, "proxy", Built, "a proxy to connect through"),
    key(Sign, "header", Built, "what carries the signature"),
    key(Sign, "algorithm", Built, "`hmac-sha256`, `hmac-sha1` or `hmac-sha512`"),
    key(Sign, "encoding", Built, "`hex` or `base64`"),
    key(Sign, "message", Built, "what is signed"),
    key(Sign, "value", Built, "what the header holds"),
    key(Batch, "max", Built, "events in a request"),
    key(Batch, "wait", Built, "how long to wait for more"),
    key(Tls, "ca", Built, "an added CA"),
    key(Tls, "cert", Built, "a client certificate"),
    key(Tls, "key", Built, "its key"),
    key(Alerts, "send_to", Built, "the sinks that get them"),
    key(Alerts, "after", Built, "failed polls in a row"),
    key(Alerts, "remind", Built, "how often it rings again"),
    key(Alerts, "stale", Built, "when a job rings as stale"),
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
