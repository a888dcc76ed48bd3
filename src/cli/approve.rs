//! `doorbell approve JOB`, `doorbell reject JOB`: what waits for a person.
//!
//! The answer is kept in the state and taken by the job's next poll; a running daemon makes that at once for an approval.

use std::path::Path;

use clap::Args;

use crate::cli::act::{Hands, act};
use crate::cli::client::{CommandError, Reach};
use crate::cli::daemon::unknown;
use crate::cli::{DONE, USAGE, say};
use crate::core::hold::{Answer, Hold};
use crate::core::operate::AnswerReport;

/// Approve or reject what a job holds
#[derive(Debug, Args)]
#[command(after_help = "\
A poll that misses many items at once (`deletes.hold_above`), or has more events than `max_events`, is held until a
person says what to do; `doorbell status` shows what and since when.

`approve` releases as much as was shown and no more: when more is found by then, it is held again. `reject` keeps the
items: they count as missing anew, from the next poll on; a poll with too many events stays held, without reminders,
until it has more. A baseline that no poll reads whole is accepted as it is by `approve`.

Examples:
  doorbell approve orders
  doorbell reject orders --json")]
pub(super) struct ApproveArgs {
    /// The job's name
    job: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

pub(super) async fn run(config: Option<&Path>, args: &ApproveArgs, answer: Answer) -> u8 {
    act(config, &args.reach, async |hands: &Hands| set(hands, args, answer).await).await
}

async fn set(hands: &Hands, args: &ApproveArgs, answer: Answer) -> Result<u8, CommandError> {
    let names = hands.names().await?;
    if !names.jobs.contains(&args.job) {
        say::problem(&unknown("job", &args.job, names.jobs.iter().map(String::as_str)), None);
        return Ok(USAGE);
    }
    let report = hands.answer(&args.job, answer).await?;
    match args.json {
        true => say::result(&serde_json::to_string(&report).map_err(std::io::Error::from)?),
        false => say::result(&sentence(&report, hands.at_once())),
    }
    Ok(DONE)
}

fn sentence(report: &AnswerReport, at_once: bool) -> String {
    let AnswerReport { job, held } = report;
    let what = held.what();
    match held.answer {
        Some(Answer::Rejected) => format!("job {job}: rejected {what}; {}", kept(held)),
        _ if at_once => format!("job {job}: approved {what}; it is polled now"),
        _ => format!("job {job}: approved {what}; the next poll takes it"),
    }
}

fn kept(held: &Hold) -> &'static str {
    match (held.deletions > 0, held.events > 0) {
        (true, false) => "the items stay, and count as missing anew",
        (false, _) => "nothing is said of them until there are more",
        (true, true) => "the items stay, and nothing is said of the events until there are more",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_answered_is_said_with_what_follows() {
        let said = |deletions, events, answer, at_once| {
            let held = Hold { deletions, events, of: 20, answer: Some(answer), ..Hold::default() };
            sentence(&AnswerReport { job: "orders".to_owned(), held }, at_once)
        };
        let approved = said(12, 0, Answer::Approved, true);
        assert_eq!(approved, "job orders: approved 12 deletions of 20 items; it is polled now");
        let approved = said(0, 1, Answer::Approved, false);
        assert_eq!(approved, "job orders: approved 1 event; the next poll takes it");
        let rejected = said(12, 0, Answer::Rejected, true);
        assert!(rejected.ends_with("; the items stay, and count as missing anew"), "{rejected}");
        let rejected = said(0, 2000, Answer::Rejected, true);
        assert!(rejected.ends_with("2000 events; nothing is said of them until there are more"), "{rejected}");
    }
}
