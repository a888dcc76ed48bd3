//! What a job sends: URLs, bodies, and the templates in them.
//!
//! Says whether they make sense; renders nothing.

use toml::Spanned;
use toml::de::DeValue;
use url::Url;

use super::vendor::{Layer, QueryValue};
use crate::config::problem::{Place, Problem};
use crate::config::reader::{Field, Reader};
use crate::config::written::Written;
use crate::core::homes::Homes;
use crate::core::job::{BodySpec, RequestSpec};
use crate::core::json;
use crate::core::path::Complaint;
use crate::core::template::{JsonTemplate, Text};

/// The top-level names that `url`, `query`, `headers` and `body` see.
pub(super) const REQUEST_NAMES: &[&str] = &["job", "cursor"];

/// What only the request for one item can see.
const ITEM: &str = "item";

/// What only a job with a table of that name has.
pub(super) const CURSOR: &str = "cursor";

/// Compiles a text with templates.
pub(super) fn compile(field: &Field<'_>, written: &Written, names: &[&str], reader: &mut Reader<'_>) -> Option<Text> {
    match Text::compile(&written.parts(), names) {
        Ok(text) => Some(text),
        Err(complaint) => {
            complain(field, written, complaint, names, reader, &|names| Text::compile(&written.parts(), names).is_ok());
            None
        }
    }
}

/// Compiles a URL with templates, of which scheme and host are literal.
pub(super) fn compile_url(
    field: &Field<'_>,
    written: &Written,
    names: &[&str],
    reader: &mut Reader<'_>,
) -> Option<Text> {
    match Text::compile_url(&written.parts(), names) {
        Ok(text) => Some(text),
        Err(complaint) => {
            complain(field, written, complaint, names, reader, &|names| {
                Text::compile_url(&written.parts(), names).is_ok()
            });
            None
        }
    }
}

/// Notes what a template is blamed for. The compiler saw no secret, so its words can be shown.
fn complain(
    field: &Field<'_>,
    written: &Written,
    complaint: Complaint,
    names: &[&str],
    reader: &mut Reader<'_>,
    compiles: &dyn Fn(&[&str]) -> bool,
) {
    let lacks =
        |name: &str| !names.contains(&name) && compiles(&names.iter().copied().chain([name]).collect::<Vec<_>>());
    let is_list = names.contains(&"job") && !names.contains(&"key");
    if is_list && lacks(CURSOR) {
        let problem = Problem::error(
            field.place(),
            format!("`{}` asks for `{{{{ cursor }}}}`, and the job has no `cursor`", field.name),
        );
        let hint = "say where its value is found, as in `cursor = { at = \"$.updated_at\" }`, or take it out";
        return reader.note(problem.hint(hint));
    }
    if lacks(ITEM) {
        let problem =
            Problem::error(field.place(), format!("`{}` does not see `item`: only `detail.url` does", field.name));
        let hint = "for one more request for each item, add `detail = { url = \"orders/{{ item.id }}\" }`";
        return reader.note(problem.hint(hint));
    }
    if written.hides() {
        return reader.note(Problem::error(field.place(), complaint.problem).maybe_hint(complaint.hint));
    }
    reader.complain(field, written, complaint);
}

/// Checks that a text is a URL that can be asked, and gives it with its templates as `x`.
pub(super) fn check_url(field: &Field<'_>, written: &Written, reader: &mut Reader<'_>) -> Option<Url> {
    let complaint = match Url::parse(&written.probe()) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") => (
            format!("`{}` asks by another protocol than HTTP", field.name),
            "write a URL that begins with `https://` or `http://`",
        ),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => (
            format!("`{}` holds a user name or password", field.name),
            "take it out, and write `auth = { type = \"basic\", username = \"…\", password = \"${env:…}\" }`",
        ),
        Ok(url) => return Some(url),
        Err(url::ParseError::RelativeUrlWithoutBase) => {
            (format!("`{}` is not a whole URL", field.name), "write it whole, as in `https://api.example.com/v2/`")
        }
        Err(error) => {
            (format!("`{}` is not a URL: {error}", field.name), "write it as in `https://api.example.com/v2/`")
        }
    };
    reader.note(Problem::error(field.place(), complaint.0).hint(complaint.1));
    None
}

/// Is it a URL of its own, which replaces the prefix?
fn is_absolute(text: &str) -> bool {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| {
        !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    })
}

/// A whole URL of a job, as it is written and compiled with these names. `None` also where `base_url` is bad, which has
/// been noted.
pub(super) fn url(
    field: &Field<'_>,
    layer: &Layer,
    names: &[&str],
    reader: &mut Reader<'_>,
) -> Option<(Written, Text)> {
    let own = reader.text(field)?;
    let whole = if is_absolute(&own.resolved()) {
        own
    } else if let Some(base) = &layer.base_url {
        base.join(&own)
    } else if layer.has_base_url {
        return None;
    } else {
        let problem = Problem::error(
            field.place(),
            format!("this `{}` is not a whole one, and there is no `base_url`", field.name),
        );
        reader.note(
            problem.hint("write it whole, as in `https://api.example.com/orders`, or add `base_url`").of_absence(),
        );
        return None;
    };
    let text = compile_url(field, &whole, names, reader)?;
    check_url(field, &whole, reader)?;
    Some((whole, text))
}

/// Where a job's requests may go: the origins of `base_url` and of its own `url`, and what `allow_hosts` names.
pub(super) fn homes(own: Option<&Written>, layer: &Layer) -> Homes {
    let written = layer.base_url.iter().chain(own);
    let own: Vec<Url> = written.filter_map(|written| Url::parse(&written.probe()).ok()).collect();
    Homes::new(&own, layer.allow_hosts.clone().unwrap_or_default())
}

/// A request for one item, beside the job's own for the list: with its credentials and headers, and of the query only
/// what every request to the vendor has, since the job's own asks for a list.
pub(super) struct Beside {
    place: Place,
    url: Text,
    whole: Option<Url>,
    query: Vec<(String, Text)>,
}

impl Beside {
    /// For the URL of this field; `vendor` is what the job shares.
    pub(super) fn new(field: &Field<'_>, url: Text, spelled: &Written, vendor: &Layer) -> Self {
        let pair = |(name, values): (&String, &Vec<QueryValue>)| -> Vec<(String, Text)> {
            values.iter().map(|value| (name.clone(), value.text.clone())).collect()
        };
        let query = vendor.query.iter().flat_map(pair).collect();
        Self { place: field.place(), url, whole: Url::parse(&spelled.probe()).ok(), query }
    }

    /// What it comes to beside this request; `what` it is called in a complaint.
    pub(super) fn with(self, what: &str, request: &RequestSpec, reader: &mut Reader<'_>) -> RequestSpec {
        let Self { place, url, whole, query } = self;
        if let Some(whole) = whole.filter(|whole| !request.access.homes.admits(whole)) {
            let host = whole.host_str().unwrap_or_default();
            let problem = Problem::error(place, format!("{what} leads to another host than the job's own"));
            reader.note(
                problem.hint(format!("credentials don't go there, unless you write `allow_hosts = [\"{host}\"]`")),
            );
        }
        RequestSpec { method: http::Method::GET, url, query, body: None, ..request.clone() }
    }
}

/// A body, and its spelling before secrets are put in.
pub(super) fn body(field: &Field<'_>, names: &[&str], reader: &mut Reader<'_>) -> Option<(BodySpec, String)> {
    let mut spelled = String::new();
    let spec = match field.value.get_ref() {
        DeValue::Table(_) | DeValue::Array(_) => {
            let compile =
                |field: &Field<'_>, written: &Written, reader: &mut Reader<'_>| compile(field, written, names, reader);
            BodySpec::Json(tree(field, &mut spelled, reader, &compile)?)
        }
        _ => {
            let written = reader.text(field)?;
            spelled = written.spelled();
            BodySpec::Text(compile(field, &written, names, reader)?)
        }
    };
    Some((spec, spelled))
}

/// Compiles one string of a tree, or notes what is wrong with it.
pub(super) type Compile<'c> = &'c dyn Fn(&Field<'_>, &Written, &mut Reader<'_>) -> Option<Text>;

/// A value of the config as JSON, each string a template; appends its spelling to `spelled`.
pub(super) fn tree(
    field: &Field<'_>,
    spelled: &mut String,
    reader: &mut Reader<'_>,
    compile: Compile<'_>,
) -> Option<JsonTemplate> {
    match field.value.get_ref() {
        DeValue::String(_) => {
            let written = reader.text(field)?;
            spelled.push_str(&format!("{:?}", written.spelled()));
            compile(field, &written, reader).map(JsonTemplate::Text)
        }
        DeValue::Array(array) => {
            spelled.push('[');
            let elements: Vec<_> = array.iter().map(|value| member(field, value, spelled, reader, compile)).collect();
            spelled.push(']');
            Some(JsonTemplate::Array(elements.into_iter().collect::<Option<_>>()?))
        }
        DeValue::Table(table) => {
            spelled.push('{');
            let mut members = Vec::new();
            for (name, value) in table {
                spelled.push_str(&format!("{:?}:", name.get_ref()));
                let value = member(field, value, spelled, reader, compile);
                members.push(value.map(|value| (name.get_ref().to_string(), value)));
            }
            spelled.push('}');
            Some(JsonTemplate::Object(members.into_iter().collect::<Option<_>>()?))
        }
        scalar => {
            let text = literal(scalar);
            let Some(value) = text.as_ref().and_then(|text| json::parse(text.as_bytes()).ok()) else {
                let problem = Problem::error(field.place(), "JSON has no such value");
                reader.note(problem.hint("write a finite number, `true`, `false` or text in quotes"));
                return None;
            };
            spelled.push_str(text.as_deref().unwrap_or_default());
            Some(JsonTemplate::Literal(value))
        }
    }
}

fn member(
    field: &Field<'_>,
    value: &Spanned<DeValue<'_>>,
    spelled: &mut String,
    reader: &mut Reader<'_>,
    compile: Compile<'_>,
) -> Option<JsonTemplate> {
    let value = tree(&Field { name: field.name, file: field.file, value }, spelled, reader, compile);
    spelled.push(',');
    value
}

/// A scalar as JSON text; `None` where JSON has no such value.
fn literal(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::Integer(number) => {
            i128::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
        }
        DeValue::Float(number) => Some(number.as_str().trim_start_matches('+').to_owned()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Datetime(date) => Some(format!("\"{date}\"")),
        DeValue::String(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}
