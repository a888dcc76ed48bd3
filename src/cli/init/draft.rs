//! The job as text: tables with a comment above each line that was found out, saying why.
//!
//! Nothing is looked up here; what may be written depends only on which keys this version has.

use std::fmt::Write as _;

use super::access::{Access, quoted};
use super::probe::Shape;
use super::target::Target;
use crate::core::survey::{Setting, Survey, Volatile};

/// Where `doorbell listen` is.
pub(super) const LISTEN: &str = "http://127.0.0.1:7412/";

/// The longest line of a comment, in characters.
const WIDTH: usize = 110;

pub(super) struct Draft<'a> {
    pub(super) access: &'a Access,
    pub(super) survey: &'a Survey,
    pub(super) shape: Shape,
    pub(super) name: &'a str,
    pub(super) every: &'a str,
    pub(super) sink: Option<&'a str>,
}

impl Draft<'_> {
    /// What is added to the file.
    pub(super) fn text(&self, target: &Target) -> String {
        let (vendor, is_there) = target.vendor(&self.access.vendor_name(), self.access.base_url());
        let mut text =
            comment(&format!("Written by `doorbell init {}`; docs/config.md explains every key.", self.asked()));
        if !is_there {
            text.push('\n');
            text.push_str(&self.access.vendor_table(&vendor));
            text.push_str(&self.pace());
        }
        text.push('\n');
        let (sink, sink_table) = self.sink(target);
        text.push_str(&self.job(&vendor, is_there, &sink));
        text.push_str(&self.pages());
        text.push_str(&self.cursor());
        text.push_str(&sink_table);
        text
    }

    /// The URL as it was typed, in a comment: its secrets are references.
    fn asked(&self) -> String {
        self.access.typed.chars().filter(|c| !c.is_control()).collect()
    }

    fn job(&self, vendor: &str, shares: bool, sink: &str) -> String {
        let Self { access, survey, name, every, .. } = self;
        let mut text = format!("[job.{name}]\nvendor = {}\nurl = {}\n", quoted(vendor), quoted(&access.path));
        let replaced =
            survey.pages.as_ref().filter(|pages| !pages.settings.is_empty()).map(|pages| pages.replaces.clone());
        text.push_str(&access.query_line(&replaced.unwrap_or_default()));
        if shares {
            text.push_str(&access.credentials());
        }
        text.push_str(&self.shape.lines());
        let _ = writeln!(text, "every = {}", quoted(every));
        match (&survey.items, &survey.key) {
            (Some(items), Some(key)) => {
                text.push_str(&comment(&format!(
                    "{}; {} in it now.",
                    capital(&items.why),
                    count(survey.count, "item")
                )));
                let _ = writeln!(text, "items = {}", quoted(&items.path));
                text.push_str(&comment(&format!("{}.", capital(&key.why))));
                let paths: Vec<_> = key.paths.iter().map(|path| quoted(path)).collect();
                let paths = if paths.len() == 1 { paths.concat() } else { format!("[{}]", paths.join(", ")) };
                let _ = writeln!(text, "key = {paths}");
            }
            _ => text.push_str(&comment("No list of objects was found: the whole document is the one item.")),
        }
        if self.shape.is_window() {
            text.push_str(&comment("A feed shows its newest entries only: one that is in it no more was not deleted."));
            text.push_str("list = \"window\"\n");
        }
        text.push_str(&ignored(&survey.volatile));
        let _ = writeln!(text, "send_to = [{}]", quoted(sink));
        text
    }

    fn pages(&self) -> String {
        let Some(pages) = &self.survey.pages else { return String::new() };
        let mut text = format!("\n{}", comment(&format!("{}.", capital(&pages.why))));
        if pages.settings.is_empty() {
            return text;
        }
        let _ = writeln!(text, "[job.{}.pages]", self.name);
        for (name, setting) in &pages.settings {
            let _ = match setting {
                Setting::Text(value) => writeln!(text, "{name} = {}", quoted(value)),
                Setting::Whole(value) => writeln!(text, "{name} = {value}"),
            };
        }
        if let Some(total) = &pages.total {
            let _ = writeln!(
                text,
                "# total = {}    # when it is the number of all items: a poll that reads fewer is partial",
                quoted(total)
            );
        }
        text
    }

    fn cursor(&self) -> String {
        let Some(cursor) = &self.survey.cursor else { return String::new() };
        let why = format!(
            "{}: if the vendor takes it as a filter, each poll can ask for what is new only. Put the filter's name into \
             `query`, as in `updated_since = \"{{{{cursor}}}}\"`, and take the signs out:",
            capital(&cursor.why)
        );
        format!(
            "\n{}# [job.{}.cursor]\n# at = {}\n# full_every = \"24h\"\n",
            comment(&why),
            self.name,
            quoted(&cursor.path)
        )
    }

    fn pace(&self) -> String {
        let Some(pace) = &self.survey.pace else { return String::new() };
        match &pace.rate {
            Some(rate) => format!("# rate = {}    # {}\n", quoted(rate), pace.why),
            None => comment(&format!(
                "{}: `rate = \"1/s\"` here would keep all jobs of this vendor below it.",
                capital(&pace.why)
            )),
        }
    }

    /// The sink's name, and its table where it is new.
    fn sink(&self, target: &Target) -> (String, String) {
        if let (None, Some(there)) = (self.sink, target.sink()) {
            return (there.to_owned(), String::new());
        }
        let url = self.sink.unwrap_or(LISTEN);
        let name = target.free_sink(if url == LISTEN { "local" } else { "receiver" });
        let why = match url == LISTEN {
            true => "`doorbell listen` receives here: try it, then put your own receiver in its place.",
            false => "Signed when it has a secret: `secret = \"${env:NAME}\"`.",
        };
        let table = format!("\n{}[sink.{name}]\nurl = {}\n", comment(why), quoted(url));
        (name, table)
    }

    pub(super) fn next_steps(&self, target: &Target) -> String {
        let verb = if target.has_text() { "added to" } else { "written to" };
        let file = target.shown();
        let flag = if file == "doorbell.toml" { String::new() } else { format!("-c {file} ") };
        let listen = match self.sink.or(target.sink()) {
            None | Some(LISTEN) => "\n  doorbell listen                a receiver to try it with, in another terminal",
            Some(_) => "",
        };
        format!(
            "\nThe job `{name}` was {verb} {file}. Next:\n  doorbell {flag}check\n  doorbell {flag}poll {name}\
             {listen}\n  doorbell {flag}run",
            name = self.name
        )
    }
}

/// What was found, for a person.
pub(super) fn findings(survey: &Survey) -> String {
    let mut lines = Vec::new();
    match (&survey.items, &survey.key) {
        (Some(items), Some(key)) => {
            lines.push(format!("items   {} ({}): {}", items.path, count(survey.count, "item"), items.why));
            lines.push(format!("key     {}: {}", key.paths.join(" and "), key.why));
        }
        _ => lines.push("items   none: no list of objects was found, so the whole document is the one item".to_owned()),
    }
    if let Some(pages) = &survey.pages {
        let style = pages.settings.first().map(|(_, setting)| match setting {
            Setting::Text(style) => style.clone(),
            Setting::Whole(number) => number.to_string(),
        });
        lines.push(format!("pages   {}: {}", style.unwrap_or_else(|| "perhaps".to_owned()), pages.why));
    }
    for field in &survey.volatile {
        let what = if field.sure { "ignore" } else { "differs" };
        lines.push(format!("{what:<7} {}: {}", field.path, field.why));
    }
    lines.extend(survey.cursor.iter().map(|cursor| format!("cursor  {}, perhaps: {}", cursor.path, cursor.why)));
    lines.extend(survey.pace.iter().map(|pace| format!("pace    {}", pace.why)));
    lines.iter().map(|line| crate::cli::table::clean(line).into_owned()).collect::<Vec<_>>().join("\n")
}

fn ignored(volatile: &[Volatile]) -> String {
    let (sure, doubtful): (Vec<_>, Vec<_>) = volatile.iter().partition(|field| field.sure);
    let mut text = String::new();
    if let Some(first) = sure.first() {
        let paths: Vec<_> = sure.iter().map(|field| quoted(&field.path)).collect();
        text.push_str(&comment(&format!("No news, since {}.", first.why)));
        let _ = writeln!(text, "ignore = [{}]", paths.join(", "));
    }
    if !doubtful.is_empty() {
        let paths: Vec<_> = doubtful.iter().map(|field| field.path.as_str()).collect();
        let told = format!("Differs too, and may be what you poll for; else add it to `ignore`: {}", paths.join(", "));
        text.push_str(&comment(&told));
    }
    text
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// A comment of as many lines as it takes; nothing in it can end it.
fn comment(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace().map(|word| word.chars().filter(|c| !c.is_control()).collect::<String>()) {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(format!("# {word}")),
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}
