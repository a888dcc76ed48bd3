//! The fields of a cron expression: text to sets of numbers, with the meaning of crontab(5).
//!
//! It knows no calendar and no zone: which dates a set of fields meets is the business of its neighbour.

use std::ops::Range;

use crate::core::path::Complaint;

/// What one field may hold.
struct Kind {
    name: &'static str,
    min: u32,
    max: u32,
    /// Names for the numbers, the first for `min`.
    names: &'static [&'static str],
    example: &'static str,
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const KINDS: [Kind; 6] = [
    Kind { name: "second", min: 0, max: 59, names: &[], example: "0" },
    Kind { name: "minute", min: 0, max: 59, names: &[], example: "*/5" },
    Kind { name: "hour", min: 0, max: 23, names: &[], example: "8-18" },
    Kind { name: "day of month", min: 1, max: 31, names: &[], example: "1,15" },
    Kind { name: "month", min: 1, max: 12, names: &MONTHS, example: "jan-mar" },
    // 0 and 7 are Sunday.
    Kind { name: "day of week", min: 0, max: 7, names: &WEEKDAYS, example: "mon-fri" },
];

const WEEKDAY: usize = 5;

/// The usual short names, and what they stand for.
const NICKNAMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

const SHAPE: &str = "write minute, hour, day of month, month and day of week, as in \"*/5 8-18 * * mon-fri\"; \
                     a sixth field in front is the second";

/// A cron expression taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fields {
    /// Second, minute, hour, day of month, month, day of week (0 is Sunday): bit n is set when n is in the set.
    pub(super) sets: [u64; 6],
    /// `*` or a step in the hour field: follows real time when the clock is changed.
    pub(super) every_hour: bool,
    /// Neither day field begins with `*`: a day meets either of them (crontab(5)).
    pub(super) either_day: bool,
}

impl Fields {
    /// Takes an expression of 5 fields, 6 with seconds first, or a nickname apart.
    pub(super) fn parse(text: &str) -> Result<Self, Complaint> {
        if text.trim_start().starts_with('@') {
            return nickname(text);
        }
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let words: [&str; 6] = match *words.as_slice() {
            [minute, hour, day, month, weekday] => ["0", minute, hour, day, month, weekday],
            [second, minute, hour, day, month, weekday] => [second, minute, hour, day, month, weekday],
            _ => return Err(wrong_count(text, &words)),
        };
        let mut sets = [0; 6];
        for ((set, kind), word) in sets.iter_mut().zip(&KINDS).zip(words) {
            *set = kind.parse(word).map_err(|complaint| Complaint { span: span_of(text, word), ..complaint })?;
        }
        Ok(Self {
            sets: fold_sunday(sets),
            every_hour: words[2].starts_with('*') || words[2].contains('/'),
            either_day: !words[3].starts_with('*') && !words[WEEKDAY].starts_with('*'),
        })
    }
}

fn fold_sunday(mut sets: [u64; 6]) -> [u64; 6] {
    let days = sets[WEEKDAY];
    sets[WEEKDAY] = (days | days >> 7) & 0x7f;
    sets
}

fn nickname(text: &str) -> Result<Fields, Complaint> {
    let word = text.trim().to_ascii_lowercase();
    if let Some((_, meaning)) = NICKNAMES.iter().find(|(name, _)| *name == word) {
        return Fields::parse(meaning);
    }
    let hint = match word.strip_prefix("@every ") {
        Some(every) => format!("write `every = \"{}\"` instead of `cron`", every.trim()),
        None => "there are @hourly, @daily, @weekly, @monthly and @yearly".to_owned(),
    };
    Err(Complaint { problem: format!("`{}` is not a schedule", text.trim()), hint: Some(hint), span: None })
}

fn wrong_count(text: &str, words: &[&str]) -> Complaint {
    let zone = words.first().is_some_and(|word| word.starts_with("TZ=") || word.starts_with("CRON_TZ="));
    let hint = match words.len() {
        _ if zone => "write the zone as `timezone = \"Europe/Berlin\"` beside `cron`",
        7 => "years can't be given: write 5 fields, or 6 with the second in front",
        _ => SHAPE,
    };
    let fields = if words.len() == 1 { "field" } else { "fields" };
    Complaint {
        problem: format!("`{text}` has {} {fields}, not 5 or 6", words.len()),
        hint: Some(hint.to_owned()),
        span: None,
    }
}

/// Where `word`, a part of `text`, stands in it. The seconds that a 5-field expression leaves out stand nowhere.
fn span_of(text: &str, word: &str) -> Option<Range<usize>> {
    let start = (word.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    (start + word.len() <= text.len()).then(|| start..start + word.len())
}

impl Kind {
    /// A field: terms with commas between them.
    fn parse(&self, text: &str) -> Result<u64, Complaint> {
        text.split(',').try_fold(0, |set, term| Ok(set | self.term(term, text)?))
    }

    /// One term: `*`, a number or name, or a range, and then perhaps a step.
    fn term(&self, term: &str, field: &str) -> Result<u64, Complaint> {
        if term.is_empty() {
            return Err(self.complain(
                format!("`{field}` has an empty place in its list"),
                "write a list with commas and without blanks, as in \"1,15\"".to_owned(),
            ));
        }
        if let Some(complaint) = self.foreign(term) {
            return Err(complaint);
        }
        let (range, step) = match term.split_once('/') {
            Some((range, step)) => (range, Some(self.step(step, term)?)),
            None => (term, None),
        };
        let (first, last) = if range == "*" {
            (self.min, if self.is_weekday() { 6 } else { self.max })
        } else if let Some((first, last)) = range.split_once('-') {
            (self.number(first, field)?, self.number(last, field)?)
        } else if step.is_some() {
            return Err(self.complain(
                format!("`{term}` has a step but no range to step over"),
                format!("write \"{range}-{}/{}\"", self.max.min(59), step.unwrap_or(1)),
            ));
        } else {
            let number = self.number(range, field)?;
            (number, number)
        };
        Ok(self.walk(first, last, step.unwrap_or(1)))
    }

    /// From `first` to `last`, round the end when `last` is less.
    fn walk(&self, first: u32, last: u32, step: u32) -> u64 {
        let first = if self.is_weekday() && first == 7 && last != 7 { 0 } else { first };
        let cycle = if self.is_weekday() { 7 } else { self.max - self.min + 1 };
        let length = if first <= last { last - first } else { last + cycle - first };
        let numbers = (0..=length).step_by(step as usize).map(|distance| first + distance);
        numbers.fold(0, |set, number| {
            let wrapped = if number > self.max { number - cycle } else { number };
            set | 1 << wrapped
        })
    }

    fn is_weekday(&self) -> bool {
        self.max == 7
    }

    fn number(&self, word: &str, field: &str) -> Result<u32, Complaint> {
        let named = self.names.iter().zip(self.min..).find(|(name, _)| name.eq_ignore_ascii_case(word));
        if let Some((_, number)) = named {
            return Ok(number);
        }
        let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        let number = word.parse().ok().filter(|number| digits && (self.min..=self.max).contains(number));
        number.ok_or_else(|| {
            let got = if word.is_empty() { field } else { word };
            let article = if self.name == "hour" { "an" } else { "a" };
            self.complain(format!("`{got}` is not {article} {}", self.name), self.takes())
        })
    }

    fn step(&self, step: &str, term: &str) -> Result<u32, Complaint> {
        let span = self.max - self.min;
        let digits = !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit());
        step.parse().ok().filter(|step| digits && (1..=span).contains(step)).ok_or_else(|| {
            self.complain(format!("`{term}` has the step `{step}`"), format!("a step is a number from 1 to {span}"))
        })
    }

    /// Signs that other crons know and crontab(5) does not.
    fn foreign(&self, term: &str) -> Option<Complaint> {
        let upper = term.to_ascii_uppercase();
        let hint = if upper == "?" {
            "write \"*\" where any day will do"
        } else if term.contains('#') {
            "a week of the month can't be given here: write the days, as \"8-14\", or poll on every such weekday"
        } else if self.is_day() && (upper.starts_with('L') || upper.ends_with('L')) {
            "the last day can't be given here: write the days, as \"28-31\", or the first day of the month"
        } else if self.name == "day of month" && upper.ends_with('W') {
            "the nearest working day can't be given here: restrict the weekday, as in \"mon-fri\""
        } else {
            return None;
        };
        Some(self.complain(format!("`{term}` is not known in the {} field", self.name), hint.to_owned()))
    }

    fn is_day(&self) -> bool {
        self.is_weekday() || self.name == "day of month"
    }

    fn takes(&self) -> String {
        let names = match (self.names.first(), self.names.last()) {
            (Some(first), Some(last)) => format!(" or {first} to {last}"),
            _ => String::new(),
        };
        format!("the {} field takes {} to {}{names}, as in \"{}\"", self.name, self.min, self.max, self.example)
    }

    fn complain(&self, problem: String, hint: String) -> Complaint {
        Complaint { problem, hint: Some(hint), span: None }
    }
}
