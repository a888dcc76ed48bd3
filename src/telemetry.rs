//! Logs: where they go, in which shape, and how much of them.
//!
//! It writes to standard error and nowhere else, and it is the only file that knows how: others just use `tracing`.

use std::fmt::{self, Debug};
use std::io::IsTerminal;

use tracing::field::Field;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::{EnvFilter, FilterExt, LevelFilter, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// The environment variable that sets the level where no flag does.
pub const LEVEL_VARIABLE: &str = "DOORBELL_LOG";

/// The shape of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For a person: time, level, message, fields
    #[default]
    Text,
    /// For a collector: one JSON object a line
    Json,
}

/// How logs are written; part of the commands that run for long.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct LogArgs {
    /// The shape of log lines
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub log: LogFormat,
    /// How much is logged: error, warn, info, debug, trace, or directives such as `info,doorbell::engine=debug`
    /// [default: $DOORBELL_LOG, else info]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
}

/// Starts logging for the whole process.
///
/// # Errors
///
/// The level is none (the sentence says what one looks like), or logging was started before.
pub fn init(args: &LogArgs) -> Result<(), String> {
    let level = args.log_level.clone().or_else(|| std::env::var(LEVEL_VARIABLE).ok());
    let filter = parse(level.as_deref().unwrap_or_default())?;
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colour = !plain && std::io::stderr().is_terminal();
    let subscriber = subscriber(args.log, filter, colour, std::io::stderr);
    subscriber.try_init().map_err(|_| "logging was started before".to_owned())
}

fn parse(level: &str) -> Result<EnvFilter, String> {
    let default = LevelFilter::INFO.into();
    EnvFilter::builder().with_default_directive(default).parse(level).map_err(|error| {
        let hint =
            "write `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,doorbell::engine=debug`";
        format!("`{level}` is not a log level: {error}; {hint}")
    })
}

/// Libraries below `info` tell headers and URLs, secrets among them: whatever the level, they are not heard.
fn is_safe(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    let ours = target == "doorbell" || target.starts_with("doorbell::");
    ours || *metadata.level() <= Level::INFO
}

/// Writes a field of a text line. What a vendor or a receiver sent is in some of them: control characters are shown,
/// so that none of them ends the line, forges another or steers a terminal.
fn write_field(out: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> fmt::Result {
    if field.name() != "message" {
        write!(out, "{}=", field.name())?;
    }
    fmt::Write::write_fmt(&mut Shown(out), format_args!("{value:?}"))
}

/// Writes text with its control characters shown.
struct Shown<'a, 'w>(&'a mut Writer<'w>);

impl fmt::Write for Shown<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        for piece in text.split(char::is_control) {
            self.0.write_str(piece)?;
            rest = &rest[piece.len()..];
            if let Some(control) = rest.chars().next() {
                write!(self.0, "{}", control.escape_default())?;
                rest = &rest[control.len_utf8()..];
            }
        }
        Ok(())
    }
}

/// Times are RFC 3339 in UTC: that is what `SystemTime` prints.
fn subscriber<W>(format: LogFormat, filter: EnvFilter, colour: bool, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_timer(SystemTime).with_ansi(colour);
    let layer = match format {
        LogFormat::Text => layer.with_target(false).fmt_fields(debug_fn(write_field).delimited(" ")).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
    };
    Box::new(tracing_subscriber::registry().with(layer.with_filter(filter.and(filter_fn(is_safe)))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, level: &str, log: impl FnOnce()) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = subscriber(format, parse(level).unwrap(), false, move || writer.clone());
        tracing::subscriber::with_default(subscriber, log);
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn text_has_time_level_message_and_fields() {
        let line = logged(LogFormat::Text, "", || tracing::info!(job = "orders", events = 2, "poll changed"));
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(time.ends_with('Z') && crate::core::time::Timestamp::parse(time).is_some(), "{line}");
        assert_eq!(rest.trim(), "INFO poll changed job=\"orders\" events=2");
    }

    #[test]
    fn json_is_one_flat_object_a_line() {
        let line = logged(LogFormat::Json, "info", || tracing::warn!(job = "orders", "poll failed\nbadly"));
        assert_eq!(line.lines().count(), 1);
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&object["level"], &object["job"]), (&"WARN".into(), &"orders".into()));
        assert_eq!(object["message"], "poll failed\nbadly");
    }

    #[test]
    fn the_level_is_info_unless_it_is_set() {
        let log = || {
            tracing::debug!("quiet");
            tracing::info!("loud");
        };
        assert!(!logged(LogFormat::Text, "", log).contains("quiet"));
        assert!(logged(LogFormat::Text, "", log).contains("loud"));
        assert!(logged(LogFormat::Text, "debug", log).contains("quiet"));
        assert_eq!(logged(LogFormat::Text, "warn", log), "");
    }

    #[test]
    fn a_library_cannot_tell_secrets_whatever_the_level() {
        let log = || {
            tracing::trace!(target: "h2::codec", "authorization: Bearer s3cret");
            tracing::debug!(target: "doorbellish", "s3cret");
            tracing::warn!(target: "hyper", "loud");
        };
        for level in ["trace", "h2=trace,hyper=trace", "h2::codec=trace,doorbellish=trace,hyper=info"] {
            let text = logged(LogFormat::Text, level, log);
            assert!(!text.contains("s3cret") && text.contains("loud"), "{level}: {text}");
        }
    }

    #[test]
    fn a_control_character_cannot_steer_the_terminal() {
        let text =
            logged(LogFormat::Text, "", || tracing::info!(reason = %"\u{1b}[2J\n2026", "poll failed \u{1b}[31m"));
        assert!(text.ends_with("poll failed \\u{1b}[31m reason=\\u{1b}[2J\\n2026\n"), "{text:?}");
    }

    #[test]
    fn a_level_that_is_none_is_told() {
        let error = parse("doorbell=lod").unwrap_err();
        assert!(error.contains("`doorbell=lod` is not a log level") && error.contains("`debug`"), "{error}");
    }
}
