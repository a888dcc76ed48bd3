//! Asks the vendor twice, the way the daemon would, and says in a sentence what is in the way.
//!
//! What the answers mean is `core::survey`'s business.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::access::Access;
use super::{Stop, target};
use crate::cli::USAGE;
use crate::core::document::{self, Format};
use crate::core::job::Job;
use crate::core::json::{Json, parse};
use crate::core::outcome::{Failure, FailureKind};
use crate::core::survey::{self, Puzzle, Seen, Survey, Wish};
use crate::engine::clock::wall_clock;
use crate::net::auth::Credentialer;
use crate::source::{Answer, Fetcher as _, HttpFetcher, first_page};

/// Between the two fetches: long enough for a clock that counts seconds to go on.
const PAUSE: Duration = Duration::from_millis(1_100);

/// Characters of a page's title that are told.
const TITLE_MAX: usize = 80;

/// How far into a page its title is looked for, in bytes.
const TITLE_WITHIN: usize = 16 * 1024;

/// What an answer is, as far as that is worth a line.
#[derive(Clone, Copy, Default)]
pub(super) struct Shape {
    /// Where it is not JSON.
    format: Option<Format>,
    /// Between the fields of CSV, where it is not a comma.
    delimiter: Option<&'static str>,
}

impl Shape {
    /// Is a part of what there is all that an answer shows?
    pub(super) fn is_window(self) -> bool {
        self.format == Some(Format::Feed)
    }

    /// The lines of the job.
    pub(super) fn lines(self) -> String {
        let format = self.format.map(|format| format!("format = \"{}\"\n", format.as_str()));
        let csv = self.delimiter.map(|typed| format!("csv = {{ delimiter = \"{typed}\" }}\n"));
        [format, csv].into_iter().flatten().collect()
    }
}

/// Asks twice and looks at the answers, and at what they are.
pub(super) async fn survey(access: &Access, wish: &Wish) -> Result<(Survey, Shape), Stop> {
    let mut job = job(access, Shape::default())?;
    let fetcher = HttpFetcher::new(wall_clock, Arc::new(Credentialer::alone(wall_clock)));
    let answer = ask(&fetcher, &job, access).await?;
    let shape = shape(&job, &answer)?;
    if shape.format.is_some() {
        job = self::job(access, shape)?;
    }
    let first = read(&job, &answer)?;
    tokio::time::sleep(PAUSE).await;
    let again = read(&job, &ask(&fetcher, &job, access).await?)?;
    let first = Seen { url: &access.url, headers: &first.headers, document: &first.document };
    let again = Seen { url: &access.url, headers: &again.headers, document: &again.document };
    let survey = survey::survey(&first, &again, wish).map_err(|puzzle| puzzled(&puzzle))?;
    Ok((survey, shape))
}

/// A feed that is served as XML reads better as a feed.
fn shape(job: &Job, answer: &Answer) -> Result<Shape, Stop> {
    let (content_type, body) = (answer.content_type.as_deref(), bytes_of(answer));
    let format = match document::format_of(content_type, &body) {
        Format::Auto | Format::Json => return Ok(Shape::default()),
        Format::Xml => {
            let document = read(job, answer)?.document;
            let is_feed = ["rss", "feed", "rdf:RDF"].iter().any(|root| document.get(root).is_some());
            if is_feed { Format::Feed } else { Format::Xml }
        }
        format => format,
    };
    let delimiter = (format == Format::Csv).then(|| document::delimiter_of(content_type, &body)).flatten();
    Ok(Shape { format: Some(format), delimiter })
}

/// The job as it would be polled, as far as that can be said before anything is known.
fn job(access: &Access, shape: Shape) -> Result<Arc<Job>, Stop> {
    let (url, query, shape) = (super::access::quoted(&access.path), access.query_line(&[]), shape.lines());
    let text = format!(
        "{}\n[job.probe]\nvendor = \"vendor\"\nurl = {url}\n{query}{shape}every = \"1m\"\nretries = 1\n\
         conditional = false\nsend_to = [\"nobody\"]\n\n[sink.nobody]\nurl = \"http://127.0.0.1:9/\"\n",
        access.vendor_table("vendor")
    );
    let loaded = target::load(Path::new("the-command-line"), &text, USAGE)?;
    let job = loaded.config.jobs.first().map(Arc::clone);
    job.ok_or_else(|| Stop::usage("there is nothing to ask", "name a URL"))
}

/// What came, as far as it is looked at.
struct Read {
    headers: Vec<(String, String)>,
    document: Json,
}

async fn ask(fetcher: &HttpFetcher, job: &Job, access: &Access) -> Result<Answer, Stop> {
    let name = Json::from(job.name.as_str());
    let request = first_page(&job.request, None, &[("job", &name)]).map_err(|failure| refused(&failure, access))?;
    let fetched = fetcher.fetch(request).await;
    fetched.result.map_err(|failure| refused(&failure, access))
}

fn read(job: &Job, answer: &Answer) -> Result<Read, Stop> {
    let text = |value: &http::HeaderValue| value.to_str().ok().map(str::to_owned);
    let headers = answer.headers.iter().filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?)));
    Ok(Read { headers: headers.collect(), document: document_of(job, answer)? })
}

/// The body, which is held: this fetcher puts nothing on disk.
fn bytes_of(answer: &Answer) -> Bytes {
    answer.body.as_ref().and_then(|body| body.bytes().ok()).unwrap_or_default()
}

fn document_of(job: &Job, answer: &Answer) -> Result<Json, Stop> {
    let body = bytes_of(answer);
    let content_type = answer.content_type.as_deref().unwrap_or_default().to_ascii_lowercase();
    let beginning = String::from_utf8_lossy(&body[..body.len().min(TITLE_WITHIN)]).into_owned();
    let lower = beginning.trim_start().to_ascii_lowercase();
    if content_type.starts_with("text/html") || lower.starts_with("<!doctype html") || lower.starts_with("<html") {
        return Err(web_page(&beginning));
    }
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Stop::failed("the vendor answers nothing: the body is empty", "is that the URL of the data?"));
    }
    let hint = "is that the URL of the data, and not of a page about it?";
    let json = document::to_json(job, answer.content_type.as_deref(), body);
    let json = json.map_err(|failure| Stop::failed(failure.sentence, hint))?;
    parse(&json).map_err(|error| {
        let told = if content_type.is_empty() { String::new() } else { format!(", though it says `{content_type}`") };
        Stop::failed(format!("the answer can't be read: {error}{told}"), hint)
    })
}

fn web_page(beginning: &str) -> Stop {
    let lower = beginning.to_ascii_lowercase();
    let title = lower.find("<title").and_then(|at| {
        let start = at + lower[at..].find('>')? + 1;
        let end = start + lower[start..].find('<')?;
        beginning.get(start..end)
    });
    let title = title.map(|title| title.split_whitespace().collect::<Vec<_>>().join(" ")).unwrap_or_default();
    let title: String = title.chars().filter(|c| !c.is_control()).take(TITLE_MAX).collect();
    let titled = if title.is_empty() { String::new() } else { format!(", titled `{title}`") };
    Stop::failed(
        format!("the answer is a web page{titled}, and no data"),
        "look for the API's own URL in the vendor's documentation (often `api.` or `/api/`); a page to log in means that \
         credentials are missing: `--bearer-env NAME`, or `-H 'X-Api-Key: ${env:NAME}'`",
    )
}

/// What a failure means for somebody who has just typed the URL.
fn refused(failure: &Failure, access: &Access) -> Stop {
    let hint = match (failure.status, failure.kind) {
        (Some(401 | 403), _) if access.has_credentials() => {
            "the vendor does not take these credentials for this URL: is the variable the right one, and does the token \
             have the right to read this?"
        }
        (Some(401 | 403), _) => {
            "it wants to know who asks: `--bearer-env NAME` sends `Authorization: Bearer` with that variable's value, and \
             `-H 'X-Api-Key: ${env:NAME}'` a header of its own"
        }
        (Some(404 | 410), _) => "look for the URL in the vendor's documentation, version and all, as in `/v2/orders`",
        (Some(429), _) => "wait a moment, and try again",
        (_, FailureKind::Redirect) => {
            "a redirect to another host is often a page to log in: add `--bearer-env NAME`; else ask that URL itself"
        }
        (_, FailureKind::Dns) => "is the host spelled right, and is this machine online?",
        (_, FailureKind::TooLarge) => "ask for a smaller page, as in `?limit=100`",
        (_, FailureKind::Tls) => "`curl -v` on the URL shows the vendor's certificate",
        _ => "try the URL with `curl -i`; nothing was written",
    };
    Stop::failed(failure.sentence.clone(), hint)
}

fn puzzled(puzzle: &Puzzle) -> Stop {
    match puzzle {
        Puzzle::Empty { path } => Stop::failed(
            format!("the list `{path}` is empty, so there is nothing to learn from"),
            "ask when it holds something, take a filter out of the URL, or say what you know: `--items PATH --key PATH`",
        ),
        Puzzle::NoItems { path } => Stop::failed(
            format!("`{path}` finds no objects in the answer"),
            "`--items` takes a JSONPath such as `$.data[*]`",
        ),
        Puzzle::NoKey { items, count, fields } => {
            let told = match fields.is_empty() {
                true => "no field is in each of them".to_owned(),
                false => format!("looked at were `{}`", fields.join("`, `")),
            };
            Stop::failed(
                format!("nothing tells the {count} items at `{items}` apart: {told}"),
                format!("say it yourself: `--items '{items}' --key PATH`, and `--key` again for a composite key"),
            )
        }
    }
}
