-- The first shape of the state. Moments are milliseconds since 1970 in UTC; digests are 16 bytes.
--
-- In tables that are written all the time a condition compares a value with each word by itself: for `IN` and more than
-- two words SQLite builds a table for every row that it checks.

-- What the state knows of itself: `epoch` grows by one with each opening, so a claim of an earlier one is void. `event`
-- and `delivery` are the last numbers that those had when some were last deleted: none is given twice, and to keep them
-- here, not in a table that every insert writes, saves each commit a page.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY NOT NULL,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta (name, value) VALUES ('epoch', 0), ('event', 0), ('delivery', 0);

-- A row outlives everything but the file: uid and sequences must never be used twice.
CREATE TABLE job (
    id           INTEGER PRIMARY KEY,
    uid          BLOB NOT NULL UNIQUE CHECK (length(uid) = 16),
    name         TEXT NOT NULL UNIQUE CHECK (name <> ''),
    failures     INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
    outcome      TEXT CHECK (outcome = 'complete' OR outcome = 'partial' OR outcome = 'unchanged' OR outcome = 'failed'),
    reason       TEXT,
    last_poll    INTEGER,
    last_success INTEGER,
    events       INTEGER NOT NULL DEFAULT 0 CHECK (events >= 0),
    -- Since when a person keeps it from being polled.
    paused       INTEGER,
    -- When it left the config.
    removed      INTEGER
) STRICT;
CREATE INDEX job_removed ON job (removed) WHERE removed IS NOT NULL;

CREATE TABLE scope (
    id            INTEGER PRIMARY KEY,
    job           INTEGER NOT NULL REFERENCES job (id),
    text          TEXT NOT NULL,
    sequence      INTEGER NOT NULL DEFAULT 0 CHECK (sequence >= 0),
    baseline      INTEGER NOT NULL DEFAULT 0 CHECK (baseline IN (0, 1)),
    items         INTEGER NOT NULL DEFAULT 0 CHECK (items >= 0),
    missing       INTEGER NOT NULL DEFAULT 0 CHECK (missing BETWEEN 0 AND items),
    seal_request  BLOB CHECK (length(seal_request) = 16),
    seal_etag     TEXT,
    seal_modified TEXT,
    seal_body     BLOB CHECK (length(seal_body) = 16),
    -- 1: rows were written since the last complete poll, so that no seal counts.
    gap           INTEGER NOT NULL DEFAULT 0 CHECK (gap IN (0, 1)),
    -- A part of this selection was read into items of another, or they were forgotten (then it is zeros): they are to be
    -- taken over anew.
    mixed         BLOB CHECK (length(mixed) = 16),
    -- How often its items began to be taken over anew: rows of an earlier edition are of another selection.
    edition       INTEGER NOT NULL DEFAULT 0 CHECK (edition >= 0),
    -- How far the job has read: of what, the value as JSON, and when all was last read.
    cursor_print  BLOB CHECK (length(cursor_print) = 16),
    cursor_value  TEXT,
    cursor_full   INTEGER,
    -- What of it waits for a person, as JSON.
    hold          TEXT,
    -- When its items were last taken over without a word.
    baselined     INTEGER,
    -- What its ledger was read under: the job's request, selection, identity and rules as they were.
    request       BLOB CHECK (length(request) = 16),
    selection     BLOB CHECK (length(selection) = 16),
    identity      BLOB CHECK (length(identity) = 16),
    rules         TEXT,
    UNIQUE (job, text),
    CHECK ((request IS NULL) = (selection IS NULL) AND (request IS NULL) = (identity IS NULL)
       AND (request IS NULL) = (rules IS NULL)),
    CHECK ((seal_request IS NULL) = (seal_body IS NULL)),
    CHECK ((cursor_print IS NULL) = (cursor_value IS NULL))
) STRICT;

-- What the pages of a list of several were in the last complete poll. `leaf` is JSON: what led to the next page. `keys`
-- are those of the page's items, 16 bytes each.
CREATE TABLE page (
    scope    INTEGER NOT NULL,
    request  BLOB NOT NULL CHECK (length(request) = 16),
    etag     TEXT,
    modified TEXT,
    body     BLOB NOT NULL CHECK (length(body) = 16),
    leaf     TEXT NOT NULL,
    keys     BLOB NOT NULL CHECK (length(keys) % 16 = 0),
    PRIMARY KEY (scope, request)
) STRICT, WITHOUT ROWID;

-- The narrow half of the ledger, clustered by scope: one range read tells what did not change. `body` points into
-- the table of that name; there is no foreign key, because its check would need an index of its own on every row.
CREATE TABLE item (
    scope     INTEGER NOT NULL,
    key       BLOB NOT NULL CHECK (length(key) = 16),
    raw       BLOB NOT NULL CHECK (length(raw) = 16),
    canonical BLOB NOT NULL CHECK (length(canonical) = 16),
    revision  INTEGER NOT NULL CHECK (revision >= 0),
    missed    INTEGER NOT NULL DEFAULT 0 CHECK (missed >= 0),
    edition   INTEGER NOT NULL DEFAULT 0 CHECK (edition >= 0),
    gone      INTEGER,
    body      INTEGER,
    PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX item_missing ON item (scope, key) WHERE missed > 0 AND gone IS NULL;
CREATE INDEX item_gone ON item (gone) WHERE gone IS NOT NULL;

-- The wide half: the key's text and the body last reported. Encoding 0 is plain; 1 is kept for zstd.
CREATE TABLE body (
    id       INTEGER PRIMARY KEY,
    key      TEXT NOT NULL,
    encoding INTEGER NOT NULL DEFAULT 0 CHECK (encoding IN (0, 1)),
    bytes    BLOB NOT NULL
) STRICT;

-- New values that have to persist before they are said: in how many polls in a row each was seen, the key's text, and the
-- value. An item that was never reported has a row here and none in `item`.
CREATE TABLE settling (
    id    INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL,
    key   BLOB NOT NULL CHECK (length(key) = 16),
    polls INTEGER NOT NULL CHECK (polls > 0),
    name  TEXT NOT NULL,
    body  BLOB NOT NULL,
    UNIQUE (scope, key)
) STRICT;

-- Listed items whose details could not be had: asked for again by the next poll, which may not list them. `version` is
-- the digest by which the listed item is known, `since` the poll since which its detail is lacking.
CREATE TABLE dirty (
    id      INTEGER PRIMARY KEY,
    scope   INTEGER NOT NULL,
    key     BLOB NOT NULL CHECK (length(key) = 16),
    version BLOB NOT NULL CHECK (length(version) = 16),
    since   INTEGER NOT NULL,
    name    TEXT NOT NULL,
    listed  BLOB NOT NULL,
    UNIQUE (scope, key)
) STRICT;

-- What was seen of an item and not said, so that a person can ask why: at most 20 an item, and of what may be so in
-- every poll only the last. `seen` is JSON: pointers to what differed. An item may be forgotten before they are.
CREATE TABLE observation (
    scope   INTEGER NOT NULL,
    key     BLOB NOT NULL CHECK (length(key) = 16),
    at      INTEGER NOT NULL,
    silence TEXT NOT NULL CHECK (silence = 'on' OR silence = 'when' OR silence = 'settle' OR silence = 'detail' OR
                 silence = 'missing' OR silence = 'ignored' OR silence = 'edited' OR silence = 'held' OR
                 silence = 'rejected'),
    change  TEXT CHECK (change = 'created' OR change = 'updated' OR change = 'deleted' OR change = 'restored'),
    seen    TEXT NOT NULL,
    polls   INTEGER CHECK (polls > 0),
    of      INTEGER CHECK (of > 0),
    PRIMARY KEY (scope, key, at, silence),
    CHECK ((polls IS NULL) = (of IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX observation_at ON observation (at);

-- The last eight kinds of change are those of system events, which belong to the job `doorbell` and its one scope.
-- Numbers grow in the order of the commits, and so, but for a clock that was set back, do the moments: what is old or
-- new is found by its number.
CREATE TABLE event (
    id       INTEGER PRIMARY KEY,
    uid      TEXT NOT NULL UNIQUE,
    job      INTEGER NOT NULL REFERENCES job (id),
    scope    INTEGER NOT NULL REFERENCES scope (id),
    key      TEXT NOT NULL,
    change   TEXT NOT NULL CHECK (change = 'created' OR change = 'updated' OR change = 'deleted' OR change = 'restored' OR
                 change = 'failing' OR change = 'recovered' OR change = 'stale' OR change = 'held' OR
                 change = 'rebaselined' OR change = 'disabled' OR change = 'backlog' OR change = 'dead'),
    sequence INTEGER NOT NULL CHECK (sequence > 0),
    at       INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    body     BLOB NOT NULL
) STRICT;
CREATE INDEX event_key ON event (job, key);

-- While `disabled` or `paused` is set, or `adopted` is 0 (not in the config), everything of the sink that has not ended
-- is held: one row says it for all of them. `backlog`, `held` and `dead` count its deliveries in states waiting and due,
-- held, and dead without those that were replayed.
CREATE TABLE sink (
    id            INTEGER PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE CHECK (name <> ''),
    adopted       INTEGER NOT NULL DEFAULT 0 CHECK (adopted IN (0, 1)),
    -- The order that the lanes of its deliveries are made for.
    lanes         TEXT CHECK (lanes = 'key' OR lanes = 'none' OR lanes = 'job'),
    disabled      TEXT,
    -- Since when a person keeps it from being sent to.
    paused        INTEGER,
    not_before    INTEGER,
    failures      INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
    failing_since INTEGER,
    last_success  INTEGER,
    last_failure  TEXT,
    -- Of its breaker, while that is open: probes that have failed, and when the next one may go.
    probes        INTEGER CHECK (probes >= 0),
    probe_at      INTEGER,
    -- How often a person has resumed or enabled it: who knows of fewer knows nothing of its breaker.
    resumes       INTEGER NOT NULL DEFAULT 0 CHECK (resumes >= 0),
    -- The last delivery that there was when it was let go again: no limit drops what was held.
    kept          INTEGER NOT NULL DEFAULT 0,
    backlog       INTEGER NOT NULL DEFAULT 0 CHECK (backlog >= 0),
    held          INTEGER NOT NULL DEFAULT 0 CHECK (held >= 0),
    dead          INTEGER NOT NULL DEFAULT 0 CHECK (dead >= 0),
    CHECK ((probes IS NULL) = (probe_at IS NULL))
) STRICT;

-- Deliveries that go to their sink in one request, for good: the same bytes under the same id on every attempt. Its
-- members point at it; of those the first stands for the others, which wait with it.
CREATE TABLE batch (
    id  INTEGER PRIMARY KEY AUTOINCREMENT,
    uid TEXT NOT NULL
) STRICT;
CREATE INDEX batch_uid ON batch (uid);

-- `waiting`: behind another of its lane, or in a batch with another. `due`: may go from `due` on, unless `epoch` is the current one, which means
-- that it is claimed. `held`: its job left the config. `body` is set only where it differs from its event's, and empty
-- where nothing could be written (then the delivery is dead). `wire`: what it is sent with, where that is not an envelope.
-- `rang` is the moment of its death of which a system event tells.
-- `sendable` is 0 for one that was born dead: there is nothing to send. A delivery that has ended is never opened again:
-- a replay is a row of its own with `replay` 1, and the row before it says in `replayed` when that was.
-- `told`: it is dead, and a later one of its lane that was delivered has said so.
CREATE TABLE delivery (
    id       INTEGER PRIMARY KEY,
    event    INTEGER NOT NULL REFERENCES event (id) ON DELETE CASCADE,
    sink     INTEGER NOT NULL REFERENCES sink (id),
    lane     BLOB CHECK (length(lane) = 16),
    state    TEXT NOT NULL CHECK (state = 'waiting' OR state = 'due' OR state = 'held' OR state = 'delivered' OR
                 state = 'dead'),
    attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    due      INTEGER,
    epoch    INTEGER NOT NULL DEFAULT 0,
    ended    INTEGER,
    reason   TEXT,
    told     INTEGER NOT NULL DEFAULT 0 CHECK (told IN (0, 1)),
    body     BLOB,
    rang     INTEGER,
    wire     TEXT CHECK (wire = 'own' OR wire = 'cloudevents' OR wire = 'cloudevents-binary'),
    sendable INTEGER NOT NULL DEFAULT 1 CHECK (sendable IN (0, 1)),
    replay   INTEGER NOT NULL DEFAULT 0 CHECK (replay IN (0, 1)),
    replayed INTEGER,
    batch    INTEGER REFERENCES batch (id),
    CHECK (replayed IS NULL OR ended IS NOT NULL),
    CHECK (state = 'dead' OR body IS NULL OR length(body) > 0),
    CHECK ((state = 'due') = (due IS NOT NULL)),
    CHECK ((state IN ('delivered', 'dead')) = (ended IS NOT NULL)),
    CHECK (state <> 'dead' OR reason IS NOT NULL)
) STRICT;
CREATE INDEX delivery_event ON delivery (event);
CREATE INDEX delivery_batch ON delivery (batch) WHERE batch IS NOT NULL;
CREATE INDEX delivery_due ON delivery (sink, attempts, due) WHERE state = 'due';
CREATE INDEX delivery_lane ON delivery (sink, lane) WHERE ended IS NULL AND lane IS NOT NULL;
CREATE INDEX delivery_untold ON delivery (sink, lane) WHERE state = 'dead' AND told = 0 AND lane IS NOT NULL;
CREATE INDEX delivery_open ON delivery (sink) WHERE ended IS NULL;
CREATE INDEX delivery_dead ON delivery (sink) WHERE state = 'dead' AND replayed IS NULL;

CREATE INDEX delivery_unrung ON delivery (id) WHERE state = 'dead' AND rang IS NOT ended;

-- A trouble that was told and is not over.
CREATE TABLE bell (
    trouble TEXT NOT NULL CHECK (trouble IN ('failing', 'stale', 'held', 'disabled', 'backlog', 'expression')),
    subject TEXT NOT NULL CHECK (subject <> ''),
    since   INTEGER NOT NULL,
    rang    INTEGER NOT NULL,
    rings   INTEGER NOT NULL CHECK (rings > 0),
    reason  TEXT NOT NULL,
    PRIMARY KEY (trouble, subject)
) STRICT, WITHOUT ROWID;

-- Secrets that must survive, such as a refresh token that took the place of the one in the config. Sealed under a key
-- that is made of the configured secret, and kept under a name that is: nothing in this file opens them.
CREATE TABLE secret (
    slot   BLOB PRIMARY KEY CHECK (length(slot) = 16),
    sealed BLOB NOT NULL
) WITHOUT ROWID;

-- How far the limits of a vendor, or of a job that has its own, are used up: credits are millionths of a request, and
-- what is written here is ahead of what was asked.
CREATE TABLE pace (
    kind          TEXT NOT NULL CHECK (kind IN ('vendor', 'job')),
    name          TEXT NOT NULL CHECK (name <> ''),
    not_before    INTEGER,
    rate_credit   INTEGER,
    rate_at       INTEGER,
    budget_start  INTEGER,
    budget_used   INTEGER CHECK (budget_used >= 0),
    budget_credit INTEGER,
    budget_at     INTEGER,
    PRIMARY KEY (kind, name),
    CHECK ((rate_credit IS NULL) = (rate_at IS NULL)),
    CHECK ((budget_start IS NULL) = (budget_used IS NULL) AND (budget_start IS NULL) = (budget_credit IS NULL)
       AND (budget_start IS NULL) = (budget_at IS NULL))
) STRICT, WITHOUT ROWID;

-- `phases` and `headers` (those of the request, without secrets) are JSON; NULL where nothing is known.
CREATE TABLE attempt (
    delivery INTEGER NOT NULL REFERENCES delivery (id) ON DELETE CASCADE,
    number   INTEGER NOT NULL CHECK (number > 0),
    at       INTEGER NOT NULL,
    took_ms  INTEGER NOT NULL CHECK (took_ms >= 0),
    status   INTEGER CHECK (status BETWEEN 0 AND 65535),
    kind     TEXT,
    reason   TEXT,
    answer   TEXT,
    phases   TEXT,
    headers  TEXT,
    PRIMARY KEY (delivery, number)
) STRICT, WITHOUT ROWID;
