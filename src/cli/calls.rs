//! The calls of the API by which a person operates, and the same list from the state where no daemon runs.
//!
//! They are the client's; how a call is made is in `client.rs`.

use http::Method;

use crate::admin::{explain, unknown_name};
use crate::cli::client::{Client, ClientError, CommandError, Source};
use crate::core::hold::Answer;
use crate::core::operate::{
    AnswerReport, DeliveryFilter, DeliveryRow, DeliveryState, DropFilter, DropReport, PauseReport, ReplayFilter,
    ReplayHow, ReplayReport,
};
use crate::core::plan::Standings;
use crate::core::view::{EventFilter, EventView, Page};
use crate::core::why::WhyView;

impl Client {
    /// What the daemon's state remembers of all jobs and sinks.
    ///
    /// # Errors
    ///
    /// As every call: see [`ClientError`].
    pub(super) async fn standings(&self) -> Result<Standings, ClientError> {
        Ok(Standings { jobs: self.all(&["state", "jobs"]).await?, sinks: self.all(&["state", "sinks"]).await? })
    }

    /// A page of deliveries.
    ///
    /// # Errors
    ///
    /// As every call: see [`ClientError`].
    pub(super) async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Page<DeliveryRow>, ClientError> {
        let mut url = self.path(&["deliveries"]);
        let parameters = [
            ("sink", filter.sink.clone()),
            ("job", filter.job.clone()),
            ("state", words(&filter.states)),
            ("since", filter.since.map(|since| since.to_string())),
            ("until", filter.until.map(|until| until.to_string())),
            ("batch", filter.batch.clone()),
            ("after", filter.after.map(|after| after.to_string())),
            ("limit", filter.limit.map(|limit| limit.to_string())),
        ];
        append(&mut url, parameters);
        self.call(Method::GET, url).await
    }

    /// Sends again what has ended, or only counts it.
    ///
    /// # Errors
    ///
    /// As every call: see [`ClientError`].
    pub(super) async fn replay(&self, filter: &ReplayFilter, how: ReplayHow) -> Result<ReplayReport, ClientError> {
        let mut url = match &filter.event {
            Some(event) => self.path(&["events", event, "replay"]),
            None => self.path(&["replay"]),
        };
        let parameters = [
            ("job", filter.job.clone()),
            ("sink", filter.sink.clone()),
            ("state", words(&filter.states)),
            ("since", filter.since.map(|since| since.to_string())),
            ("until", filter.until.map(|until| until.to_string())),
            ("dry_run", Some(how.dry_run.to_string())),
            ("render", how.render.then(|| "true".to_owned())),
        ];
        append(&mut url, parameters);
        self.call(Method::POST, url).await
    }

    /// Ends what is held as dead, or only counts it.
    ///
    /// # Errors
    ///
    /// As every call: see [`ClientError`].
    pub(super) async fn drop_held(&self, filter: &DropFilter, dry_run: bool) -> Result<DropReport, ClientError> {
        let mut url = self.path(&["drop"]);
        let parameters = [
            ("job", filter.job.clone()),
            ("sink", filter.sink.clone()),
            ("since", filter.since.map(|since| since.to_string())),
            ("until", filter.until.map(|until| until.to_string())),
            ("dry_run", Some(dry_run.to_string())),
        ];
        append(&mut url, parameters);
        self.call(Method::POST, url).await
    }

    /// Approves or rejects what a job holds.
    ///
    /// # Errors
    ///
    /// As every call: see [`ClientError`].
    pub(super) async fn answer(&self, job: &str, answer: Answer) -> Result<AnswerReport, ClientError> {
        let verb = if answer == Answer::Approved { "approve" } else { "reject" };
        self.call(Method::POST, self.path(&["jobs", job, verb])).await
    }

    /// What was last seen of an item, said or not.
    ///
    /// # Errors
    ///
    /// As every call: see [`ClientError`].
    pub(super) async fn why(&self, job: &str, key: &str) -> Result<WhyView, ClientError> {
        self.call(Method::GET, self.path(&["jobs", job, "items", key, "why"])).await
    }

    /// Pauses or resumes; `kinds` is `jobs` or `sinks`.
    ///
    /// # Errors
    ///
    /// As every call: see [`ClientError`].
    pub(super) async fn pause(&self, kinds: &str, name: &str, paused: bool) -> Result<PauseReport, ClientError> {
        let verb = if paused { "pause" } else { "resume" };
        self.call(Method::POST, self.path(&[kinds, name, verb])).await
    }
}

/// States with commas between them; `None` for none.
fn words(states: &[DeliveryState]) -> Option<String> {
    let words: Vec<&str> = states.iter().map(|state| state.as_str()).collect();
    (!words.is_empty()).then(|| words.join(","))
}

fn append<const N: usize>(url: &mut url::Url, parameters: [(&str, Option<String>); N]) {
    let given = parameters.into_iter().filter_map(|(name, value)| Some((name, value?)));
    url.query_pairs_mut().extend_pairs(given);
}

impl Source {
    /// What was last seen of an item, said or not.
    ///
    /// # Errors
    ///
    /// The daemon or the state does not answer, or there is no such job or item.
    pub(super) async fn why(&self, job: &str, key: &str) -> Result<WhyView, CommandError> {
        match self {
            Self::Api(client) => Ok(client.why(job, key).await?),
            Self::State { archive, .. } => explain(&**archive, job, key).await?.map_err(CommandError::Asked),
        }
    }

    /// A page of events.
    ///
    /// # Errors
    ///
    /// The daemon or the state does not answer, or the filter's job is none.
    pub(super) async fn events(&self, filter: &EventFilter) -> Result<Page<EventView>, CommandError> {
        let archive = match self {
            Self::Api(client) => return Ok(client.events(filter).await?),
            Self::State { archive, .. } => archive,
        };
        let page = archive.events(filter).await?;
        if page.data.is_empty()
            && let Some(unknown) = unknown_name(&**archive, filter.job.as_deref(), None).await?
        {
            return Err(CommandError::Asked(unknown));
        }
        Ok(page)
    }

    /// A page of deliveries.
    ///
    /// # Errors
    ///
    /// The daemon or the state does not answer, or a name of the filter is none.
    pub(super) async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Page<DeliveryRow>, CommandError> {
        let archive = match self {
            Self::Api(client) => return Ok(client.deliveries(filter).await?),
            Self::State { archive, .. } => archive,
        };
        let page = archive.deliveries(filter).await?;
        if page.data.is_empty()
            && let Some(unknown) = unknown_name(&**archive, filter.job.as_deref(), filter.sink.as_deref()).await?
        {
            return Err(CommandError::Asked(unknown));
        }
        Ok(page)
    }
}
