//! What only the SQLite store can get wrong: the file, the lock, the batch, the disk.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bytes::Bytes;

use crate::core::ledger::{Remembered, Row, RowWrite};
use crate::core::names::{Digest, JobName, Key, KeyDigest};
use crate::core::outcome::{Failure, FailureKind, PollOutcome};
use crate::core::time::Timestamp;
use crate::store::conformance::{Bench, conformance, run};
use crate::store::sqlite::writer::Durability;
use crate::store::sqlite::{Options, SqliteStore, jobs};
use crate::store::{OpenError, PollChanges, PollNote, Polls, Room, Store, StoreError, Upkeep};

mod plans;

fn options(path: &Path) -> Options {
    Options { path: path.to_owned(), uid_seed: 7, now: Timestamp(1_795_000_000_000) }
}

struct SqliteBench {
    directory: tempfile::TempDir,
    store: Option<SqliteStore>,
}

impl Bench for SqliteBench {
    fn store(&self) -> &dyn Store {
        self.store.as_ref().expect("open")
    }

    fn restart(&mut self) {
        self.store = None;
        self.store = Some(SqliteStore::open(&options(&self.directory.path().join("doorbell.db"))).expect("opened"));
    }

    fn expire(&self, job: &JobName) {
        self.store.as_ref().expect("open").jobs.expire(job);
    }
}

fn bench() -> SqliteBench {
    let mut bench = SqliteBench { directory: tempfile::tempdir().expect("a directory"), store: None };
    bench.restart();
    bench
}

conformance!(bench);

/// While the writer is busy what comes is queued, and so it becomes one batch. The first keeps it busy until the second
/// is awaited.
fn busy(store: &SqliteStore) -> (impl Future<Output = Result<(), StoreError>>, impl Future<Output = ()>) {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let busy = store.writer.write(0, move |_| wait.recv().map_err(|_| StoreError::Closed), |_| {});
    (busy, async move { go.send(()).unwrap() })
}

#[test]
fn a_second_process_is_told_who_has_the_state() {
    let bench = bench();
    let path = bench.directory.path().join("doorbell.db");
    let link = bench.directory.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for path in [path, link] {
        let Err(OpenError::Locked(sentence)) = SqliteStore::open(&options(&path)) else { panic!("not locked") };
        let who = format!("process {} since 2026-11-18T11:06:40.000Z", std::process::id());
        assert!(sentence.contains(&who), "{sentence}");
    }
}

#[test]
fn a_closed_state_can_be_opened_again() {
    let mut bench = bench();
    run(async { bench.store().close().await.unwrap() });
    let path = bench.directory.path().join("doorbell.db");
    assert!(!path.with_extension("db-wal").exists(), "the log was copied into the file");
    let again = SqliteStore::open(&options(&path)).expect("the lock is free");
    drop(again);
    bench.restart();
}

#[test]
fn only_the_owner_may_read_the_state() {
    let bench = bench();
    for file in fs::read_dir(bench.directory.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.file_name());
    }
}

/// Opens `bytes` as a state, which must be refused with a sentence that has `words`, and left as it was.
fn refused(bytes: &[u8], words: &str) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("doorbell.db");
    fs::write(&path, bytes).unwrap();
    match SqliteStore::open(&options(&path)) {
        Err(OpenError::Refused(sentence)) => {
            assert!(sentence.contains(words), "{sentence}");
            assert!(sentence.contains(&path.display().to_string()), "{sentence}");
        }
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("opened: {words}"),
    }
    assert!(fs::read(&path).unwrap() == bytes, "the file was changed: {words}");
}

/// A state with something in it, as bytes.
fn state() -> Vec<u8> {
    let bench = bench();
    let names: Vec<JobName> = (0..2000).map(|number| JobName::from(format!("job-{number}").as_str())).collect();
    run(async {
        bench.store().adopt(&names, &[], Timestamp(0)).await.unwrap();
        bench.store().close().await.unwrap();
    });
    fs::read(bench.directory.path().join("doorbell.db")).unwrap()
}

#[test]
fn a_file_that_is_no_state_is_refused_and_left_alone() {
    refused(b"id,name\n1,Ada\n", "is not a state of doorbell: it does not begin like an SQLite file");
    refused(b"SQLite format 3\0", "does not begin like");
    refused(&[0; 4096], "does not begin like");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("other.db");
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE mine (x); INSERT INTO mine VALUES (1)").unwrap();
    drop(other);
    refused(&fs::read(&path).unwrap(), "an SQLite file of another program");
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("PRAGMA application_id = 77").unwrap();
    drop(other);
    refused(&fs::read(&path).unwrap(), "an SQLite file of another program");
}

#[test]
fn a_newer_state_is_refused_and_left_alone() {
    let mut bytes = state();
    bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
    refused(&bytes, "newer doorbell: its format is 99, this one knows up to 1");
}

#[test]
fn a_damaged_state_is_refused_and_left_alone() {
    let bytes = state();
    refused(&bytes[..bytes.len() - 4096], "is damaged: it is shorter than it says it is");
    for page in 0..bytes.len() / 4096 {
        let mut torn = bytes.clone();
        let from = page * 4096 + if page == 0 { 100 } else { 0 };
        torn[from..(page + 1) * 4096].fill(0x5a);
        // A page that lists free pages, or where they point from, may be lost without harm to what is stored.
        if let Err(OpenError::Refused(sentence)) = open_bytes(&torn) {
            assert!(sentence.contains("is damaged"), "{sentence}");
            refused(&torn, "is damaged");
        } else {
            panic!("page {page} was torn, and nobody saw it");
        }
    }
}

fn open_bytes(bytes: &[u8]) -> Result<SqliteStore, OpenError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("doorbell.db");
    fs::write(&path, bytes).unwrap();
    SqliteStore::open(&options(&path))
}

#[test]
fn an_empty_file_is_a_new_state() {
    assert!(open_bytes(b"").is_ok());
}

#[test]
fn a_log_without_its_file_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("doorbell.db");
    let log = directory.path().join("doorbell.db-wal");
    fs::write(&log, b"what was committed last").unwrap();
    let Err(OpenError::Refused(sentence)) = SqliteStore::open(&options(&path)) else { panic!("opened") };
    assert!(sentence.contains("its log `-wal` is there"), "{sentence}");
    assert_eq!(fs::read(&log).unwrap(), b"what was committed last");
}

#[test]
fn a_commit_that_is_overtaken_in_the_queue_changes_nothing() {
    let bench = bench();
    let store = bench.store.as_ref().unwrap();
    let job = JobName::from("orders");
    let key = Key::from("a");
    let row = Row {
        key: key.digest(),
        raw: Digest::default(),
        canonical: Digest::default(),
        revision: 1,
        missed: 0,
        gone: None,
    };
    let changes = PollChanges { rows: vec![RowWrite { row, remembered: None }], ..PollChanges::default() };
    let (go, wait) = std::sync::mpsc::channel::<()>();
    run(async {
        store.adopt(std::slice::from_ref(&job), &[], Timestamp(0)).await.unwrap();
        let mut ticket = store.claim_poll(&job, Timestamp(0)).await.unwrap().unwrap();
        let busy = store.writer.write(0, move |_| wait.recv().map_err(|_| StoreError::Closed), |_| {});
        let room = Room::new();
        let late = store.commit_part(&mut ticket, changes, &room);
        let overtake = async {
            bench.expire(&job);
            let next = store.claim_poll(&job, Timestamp(0)).await.unwrap();
            go.send(()).unwrap();
            next
        };
        // In this order: the writer is busy, the commit is queued, and then the lease runs out.
        let (_, late, next) = tokio::join!(biased; busy, late, overtake);
        assert!(matches!(late, Err(StoreError::LeaseLost(_))), "{late:?}");
        assert!(next.is_some());
        assert_eq!(ask(store, "SELECT count(*) FROM item").await, 0);
    });
}

#[test]
fn a_transition_is_written_without_being_asked_for() {
    let mut bench = bench();
    let job = JobName::from("orders");
    run(async {
        let store = bench.store.as_ref().unwrap();
        store.adopt(std::slice::from_ref(&job), &[], Timestamp(0)).await.unwrap();
        let ticket = store.claim_poll(&job, Timestamp(0)).await.unwrap().unwrap();
        let failure = Failure::new(FailureKind::Dns, "no such host");
        let note = PollNote {
            outcome: PollOutcome::Failed(failure),
            at: Timestamp(5),
            seals: Vec::new(),
            observations: Vec::new(),
        };
        store.note_poll(ticket, note).await.unwrap();
        bench.restart();
        let store = bench.store.as_ref().unwrap();
        let ticket = store.claim_poll(&job, Timestamp(0)).await.unwrap().unwrap();
        assert_eq!((ticket.record.failures, ticket.record.last_poll), (1, Some(Timestamp(5))));
    });
}

#[test]
fn a_job_in_memory_is_small() {
    // There may be 100,000 of them.
    assert!(size_of::<(JobName, jobs::Known)>() <= 208, "{}", size_of::<(JobName, jobs::Known)>());
    assert!(size_of::<jobs::KnownScope>() <= 240, "{}", size_of::<jobs::KnownScope>());
}

#[test]
fn what_is_in_the_way_is_said_with_the_words_to_type() {
    let directory = tempfile::tempdir().unwrap();
    let sentence = |path: &Path| match SqliteStore::open(&options(path)) {
        Err(OpenError::Refused(sentence)) => sentence,
        _ => panic!("not refused"),
    };
    let missing = directory.path().join("var").join("lib");
    assert!(sentence(&missing.join("doorbell.db")).contains(&format!("mkdir -p {}", missing.display())));
    assert!(!missing.exists());
    assert!(sentence(directory.path()).contains("is a directory"));
}

#[test]
fn a_crash_leaves_what_was_committed() {
    let bench = bench();
    run(async { bench.store().adopt(&[JobName::from("orders")], &[], Timestamp(0)).await.unwrap() });
    // The files as they lie on the disk while the process is killed: most of it is in the log.
    let copy = tempfile::tempdir().unwrap();
    for name in ["doorbell.db", "doorbell.db-wal"] {
        fs::copy(bench.directory.path().join(name), copy.path().join(name)).unwrap();
    }
    let store = SqliteStore::open(&options(&copy.path().join("doorbell.db"))).unwrap();
    run(async {
        let ticket = crate::store::Polls::claim_poll(&store, &JobName::from("orders"), Timestamp(0)).await;
        assert!(ticket.unwrap().is_some());
    });
}

#[test]
fn work_that_fails_takes_nothing_of_its_neighbours_with_it() {
    let bench = bench();
    let store = bench.store.as_ref().unwrap();
    let insert = |name: &'static str, uid: u8| {
        store.writer.write(
            0,
            move |db| {
                db.execute("INSERT INTO job (name, uid) VALUES (?1, ?2)", rusqlite::params![name, [uid; 16]])?;
                // The second statement of one breaks a CHECK: its first must be taken back with it.
                db.execute(
                    "UPDATE job SET failures = ?2 WHERE name = ?1",
                    rusqlite::params![name, if uid == 2 { -1 } else { 1 }],
                )?;
                Ok(())
            },
            |_| {},
        )
    };
    run(async {
        let (first, second, third) = tokio::join!(insert("a", 1), insert("b", 2), insert("c", 3));
        assert!(first.is_ok() && third.is_ok());
        assert!(matches!(second, Err(StoreError::Refused(_))), "{second:?}");
        let jobs = crate::store::Archive::jobs(store).await.unwrap();
        assert_eq!(jobs.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "c"]);
    });
}

#[test]
fn checked_work_that_refuses_does_no_harm_and_one_that_breaks_takes_its_batch_back() {
    let bench = bench();
    let store = bench.store.as_ref().unwrap();
    let insert = |name: &'static str, uid: u8, failure: Option<bool>| {
        store.writer.write_checked(
            0,
            Durability::AtOnce,
            move |db| {
                let refused = || StoreError::Refused("as it was asked to".to_owned());
                if failure == Some(false) {
                    return Err(refused());
                }
                db.execute("INSERT INTO job (name, uid) VALUES (?1, ?2)", rusqlite::params![name, [uid; 16]])?;
                if failure == Some(true) { Err(refused()) } else { Ok(()) }
            },
            |_| {},
        )
    };
    let names = || async {
        let jobs = crate::store::Archive::jobs(store).await.unwrap();
        jobs.into_iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>()
    };
    run(async {
        let (first_busy, go) = busy(store);
        let (_, first, second, third, ()) = tokio::join!(biased; first_busy, insert("a", 1, None), insert("b", 2, Some(false)), insert("c", 3, None), go);
        assert!(first.is_ok() && third.is_ok() && second.is_err());
        assert_eq!(names().await, ["a", "c"]);

        let (second_busy, go) = busy(store);
        let (_, first, second, third, ()) = tokio::join!(biased; second_busy, insert("d", 4, None), insert("e", 5, Some(true)), insert("f", 6, None), go);
        assert!(matches!(second, Err(StoreError::Refused(_))), "{second:?}");
        for neighbour in [first, third] {
            assert!(matches!(neighbour, Err(StoreError::Unwritable(_))), "{neighbour:?}");
        }
        assert_eq!(names().await, ["a", "c"]);
    });
}

#[test]
fn only_a_batch_that_may_be_taken_back_does_not_wait_for_the_disk() {
    let bench = bench();
    let store = bench.store.as_ref().unwrap();
    let level = |durability| {
        store.writer.write_checked(
            0,
            durability,
            |db| Ok(db.pragma_query_value(None, "synchronous", |row| row.get::<_, i64>(0))?),
            |_| {},
        )
    };
    let (normal, full) = (1, 2);
    run(async {
        assert_eq!(level(Durability::WithTheNext).await.unwrap(), normal);
        assert_eq!(level(Durability::AtOnce).await.unwrap(), full);
        let (busy, go) = busy(store);
        let (_, first, second, ()) =
            tokio::join!(biased; busy, level(Durability::WithTheNext), level(Durability::AtOnce), go);
        assert_eq!((first.unwrap(), second.unwrap()), (full, full));
    });
}

#[test]
fn a_long_log_is_copied_into_the_file_once_its_commit_was_answered() {
    let bench = bench();
    let store = bench.store.as_ref().unwrap();
    let size = || fs::metadata(bench.directory.path().join("doorbell.db")).unwrap().len();
    let bytes = 20 << 20;
    run(async {
        let insert = move |db: &rusqlite::Connection| {
            db.execute("CREATE TABLE long (body BLOB)", [])?;
            Ok(db.execute("INSERT INTO long VALUES (zeroblob(?1))", [bytes])?)
        };
        store.writer.write(0, insert, |_| {}).await.unwrap();
        // The thread comes to this when the copy is there.
        store.writer.write(0, |_| Ok(()), |_| {}).await.unwrap();
        assert!(size() > bytes as u64, "{}", size());
    });
}

#[test]
fn a_full_disk_loses_nothing_and_passes() {
    let bench = bench();
    let store = bench.store.as_ref().unwrap();
    let limit = |pages: i64| {
        store.writer.write(
            0,
            move |db| Ok(db.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?),
            |_| {},
        )
    };
    let names: Vec<JobName> = (0..5000).map(|number| JobName::from(format!("job-{number}").as_str())).collect();
    run(async {
        limit(1).await.unwrap();
        let full = store.adopt(&names, &[], Timestamp(0)).await;
        let Err(StoreError::Unwritable(sentence)) = full else { panic!("{full:?}") };
        assert!(sentence.contains("disk is full"), "{sentence}");
        assert!(crate::store::Archive::jobs(store).await.unwrap().is_empty());
        limit(i64::from(u32::MAX) - 1).await.unwrap();
        store.adopt(&names, &[], Timestamp(0)).await.unwrap();
        assert_eq!(crate::store::Archive::jobs(store).await.unwrap().len(), 5000);
    });
}

#[test]
fn an_answer_that_nobody_waits_for_is_written_all_the_same() {
    let bench = bench();
    let store = bench.store.as_ref().unwrap();
    run(async {
        {
            let sinks = [crate::core::names::SinkName::from("crm")];
            let adopt = store.adopt(&[], &sinks, Timestamp(0));
            tokio::select! { biased; _ = adopt => {} () = std::future::ready(()) => {} }
        }
        store.ping().await.unwrap();
        assert_eq!(crate::store::Archive::sinks(store).await.unwrap().len(), 1);
    });
}

/// How many rows a statement gives.
async fn ask(store: &SqliteStore, sql: &'static str) -> i64 {
    store.readers.read(move |db| Ok(db.query_one(sql, [], |row| row.get(0))?)).await.unwrap()
}

#[test]
fn no_body_outlives_its_row() {
    let bench = bench();
    let store = bench.store.as_ref().unwrap();
    let job = JobName::from("orders");
    let row = |number: u8, body: Option<&'static [u8]>, gone: bool| {
        let key = Key::from(number.to_string().as_str());
        let row = Row {
            key: key.digest(),
            raw: Digest::default(),
            canonical: Digest::default(),
            revision: 1,
            missed: 0,
            gone: gone.then_some(Timestamp(1)),
        };
        RowWrite { row, remembered: body.map(|body| Remembered { key, body: Bytes::from_static(body) }) }
    };
    let commit = async |rows: Vec<RowWrite>, remove: Vec<KeyDigest>| {
        let mut ticket = store.claim_poll(&job, Timestamp(0)).await.unwrap().unwrap();
        let changes = PollChanges { rows, remove, ..PollChanges::default() };
        store.commit_part(&mut ticket, changes, &Room::new()).await.unwrap();
    };
    run(async {
        store.adopt(std::slice::from_ref(&job), &[], Timestamp(0)).await.unwrap();
        commit((0..6).map(|number| row(number, Some(b"{}"), false)).collect(), vec![]).await;
        commit(vec![row(0, Some(b"{\"a\":1}"), false), row(1, None, true), row(2, Some(b"[]"), true)], vec![]).await;
        commit(vec![row(9, None, false)], vec![Key::from("3").digest()]).await;
        assert_eq!(ask(store, "SELECT count(*) FROM body").await, 5);
        assert_eq!(store.prune(Timestamp(2), 100).await.unwrap(), 2);
        assert_eq!(ask(store, "SELECT count(*) FROM item").await, 4);
        assert_eq!(ask(store, "SELECT count(*) FROM body").await, 3);
        assert_eq!(ask(store, "SELECT count(*) FROM item WHERE body IS NOT NULL").await, 3);
        let strays = "SELECT count(*) FROM body WHERE id NOT IN (SELECT body FROM item WHERE body IS NOT NULL)";
        assert_eq!(ask(store, strays).await, 0);
    });
}

#[test]
fn pruning_gives_the_disk_back() {
    let bench = bench();
    let store = bench.store.as_ref().unwrap();
    let job = JobName::from("orders");
    let rows = (0..400_u32).map(|number| {
        let key = Key::from(number.to_string().as_str());
        let (raw, canonical) = (Digest::default(), Digest::default());
        let row = Row { key: key.digest(), raw, canonical, revision: 1, missed: 0, gone: Some(Timestamp(1)) };
        RowWrite { row, remembered: Some(Remembered { key, body: Bytes::from(vec![b'1'; 3000]) }) }
    });
    let changes = PollChanges { rows: rows.collect(), ..PollChanges::default() };
    run(async {
        store.adopt(std::slice::from_ref(&job), &[], Timestamp(0)).await.unwrap();
        let mut ticket = store.claim_poll(&job, Timestamp(0)).await.unwrap().unwrap();
        store.commit_part(&mut ticket, changes, &Room::new()).await.unwrap();
        drop(ticket);
        assert!(ask(store, "SELECT page_count FROM pragma_page_count").await > 400);
        while store.prune(Timestamp(2), 150).await.unwrap() > 0 {}
        assert!(ask(store, "SELECT page_count FROM pragma_page_count").await < 100);
        assert_eq!(ask(store, "SELECT freelist_count FROM pragma_freelist_count").await, 0);
    });
}
