//! What a person typed of a vendor (its URL, headers, a variable with a token), as tables of the config.
//!
//! A secret that is written out is refused here: it would end in a file, and is in the shell's history already.

use std::fmt::Write as _;

use url::Url;

use super::Stop;
use crate::config::names_a_secret;

/// The longest name that a job or vendor may have, in characters.
const NAME_MAX: usize = 64;

/// How a vendor is asked.
pub(super) struct Access {
    /// As it was typed.
    pub(super) typed: String,
    /// The URL with its references in it: for what its parts are, not for asking.
    pub(super) url: Url,
    base_url: String,
    pub(super) path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    bearer_env: Option<String>,
}

impl Access {
    pub(super) fn new(typed: &str, headers: &[String], bearer_env: Option<&str>) -> Result<Self, Stop> {
        let url = parse(typed)?;
        let query: Vec<_> = url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        for (name, value) in &query {
            if names_a_secret(name) && !is_reference(value) && !is_about_pages(name) {
                let variable = variable(name);
                return Err(Stop::usage(
                    format!("the parameter `{name}` looks like a secret, and would stand in the config"),
                    format!(
                        "`export {variable}=…`, and write the URL in single quotes with `{name}=${{env:{variable}}}` in it"
                    ),
                ));
            }
        }
        let headers = headers.iter().map(|header| self::header(header)).collect::<Result<Vec<_>, _>>()?;
        let whole = &url[..url::Position::AfterPath];
        let trimmed = whole.trim_end_matches('/').len();
        let origin = url[..url::Position::BeforePath].len();
        // The reference in a path is for the config to read, so the text is taken and not what the parser made of it.
        let whole = whole.replace("%7B", "{").replace("%7D", "}");
        let cut = whole.get(..trimmed.min(whole.len())).and_then(|text| text.rfind('/')).filter(|at| *at >= origin);
        let (base_url, path) = match cut {
            Some(at) => (whole[..at].to_owned(), whole[at + 1..].to_owned()),
            None => (whole[..origin.min(whole.len())].to_owned(), "/".to_owned()),
        };
        let bearer_env = bearer_env.map(str::to_owned);
        if let Some(name) =
            bearer_env.as_deref().filter(|name| !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
        {
            return Err(Stop::usage(
                format!(
                    "`--bearer-env` takes the name of a variable, not its value ({} characters)",
                    name.chars().count()
                ),
                "`export API_TOKEN=…`, and then `--bearer-env API_TOKEN`",
            ));
        }
        Ok(Self { typed: typed.to_owned(), url, base_url, path, query, headers, bearer_env })
    }

    /// `[vendor.NAME]` of it.
    pub(super) fn vendor_table(&self, name: &str) -> String {
        let mut text = format!("[vendor.{name}]\nbase_url = {}\n", quoted(&self.base_url));
        text.push_str(&self.credentials());
        text
    }

    /// `headers` and `auth`, for a vendor's table or a job's.
    pub(super) fn credentials(&self) -> String {
        let mut text = String::new();
        if !self.headers.is_empty() {
            let _ = writeln!(text, "headers = {}", inline(&self.headers));
        }
        if let Some(name) = &self.bearer_env {
            let _ = writeln!(text, "auth = {{ type = \"bearer\", token = \"${{env:{name}}}\" }}");
        }
        text
    }

    /// `query` without what the paging puts there.
    pub(super) fn query_line(&self, without: &[String]) -> String {
        let kept: Vec<_> = self.query.iter().filter(|(name, _)| !without.contains(name)).cloned().collect();
        if kept.is_empty() { String::new() } else { format!("query = {}\n", inline(&kept)) }
    }

    pub(super) fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Was anything said about who asks?
    pub(super) fn has_credentials(&self) -> bool {
        !self.headers.is_empty() || self.bearer_env.is_some()
    }

    /// After what the URL is about.
    pub(super) fn job_name(&self) -> String {
        let parts = self.url.path_segments().map(Iterator::collect::<Vec<_>>).unwrap_or_default();
        let mut words = parts.iter().rev().map(|part| plain(part.split('.').next().unwrap_or(part)));
        let name = words.find(|word| word.chars().filter(char::is_ascii_alphabetic).count() > 1);
        match name.unwrap_or_else(|| self.vendor_name()) {
            name if name == "doorbell" => "doorbell_job".to_owned(),
            name => name,
        }
    }

    /// After the host.
    pub(super) fn vendor_name(&self) -> String {
        let Some(url::Host::Domain(host)) = self.url.host() else { return "vendor".to_owned() };
        let labels: Vec<&str> = host.split('.').collect();
        let at = match labels.len() {
            0 | 1 => 0,
            // `shop.co.uk` is about `shop`.
            length if length > 2 && labels[length - 2].len() <= 3 => length - 3,
            length => length - 2,
        };
        let name = plain(labels.get(at).copied().unwrap_or_default());
        if name.is_empty() { "vendor".to_owned() } else { name }
    }
}

fn parse(typed: &str) -> Result<Url, Stop> {
    let hint = "write it whole, as in `doorbell init https://api.shop.example/v2/orders`";
    let url = match Url::parse(typed) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.host().is_some() => url,
        Ok(url) => {
            return Err(Stop::usage(format!("`{}:` is not how an API is asked: `https://` is", url.scheme()), hint));
        }
        Err(url::ParseError::RelativeUrlWithoutBase) => {
            return Err(Stop::usage(
                format!("`{}` is not a whole URL: the `https://` is missing", typed.escape_debug()),
                hint,
            ));
        }
        Err(error) => return Err(Stop::usage(format!("`{}` is not a URL: {error}", typed.escape_debug()), hint)),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Stop::usage(
            "the URL holds a password, and would stand in the config",
            "take it out, and add `-H 'Authorization: Basic ${env:BASIC}'`, where `BASIC` holds the Base64 of `user:password`",
        ));
    }
    Ok(url)
}

fn header(typed: &str) -> Result<(String, String), Stop> {
    let Some((name, value)) = typed.split_once(':').map(|(name, value)| (name.trim(), value.trim())) else {
        return Err(Stop::usage(
            "`-H` takes a name, a colon and a value",
            "write it as in `-H 'X-Api-Key: ${env:API_KEY}'`",
        ));
    };
    if names_a_secret(name) && !is_reference(value) {
        let variable = variable(name);
        let scheme =
            ["Bearer ", "Basic ", "Token "].into_iter().find(|scheme| value.starts_with(scheme)).unwrap_or_default();
        return Err(Stop::usage(
            format!("the header `{}` looks like a secret, and would stand in the config", name.escape_debug()),
            format!("`export {variable}=…`, and then `-H '{}: {scheme}${{env:{variable}}}'`", name.escape_debug()),
        ));
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// Does all that is secret in it come from elsewhere?
fn is_reference(value: &str) -> bool {
    value.contains("${")
}

/// `page_token` is no secret.
fn is_about_pages(name: &str) -> bool {
    ["page", "next", "cursor", "continuation", "sort"].iter().any(|word| name.to_lowercase().contains(word))
}

/// `X-Api-Key` as a variable: `X_API_KEY`.
fn variable(name: &str) -> String {
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    if name == "AUTHORIZATION" { "API_TOKEN".to_owned() } else { name.trim_matches('_').to_owned() }
}

/// What a name may be made of.
fn plain(text: &str) -> String {
    let text = text.to_ascii_lowercase();
    let name: String = text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    name.trim_matches(['_', '-']).chars().take(NAME_MAX).collect()
}

/// A TOML string.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// An inline table of texts; a name that stands twice becomes a list.
fn inline(pairs: &[(String, String)]) -> String {
    let mut seen: Vec<&str> = Vec::new();
    let mut members = Vec::new();
    for (name, _) in pairs {
        if seen.contains(&name.as_str()) {
            continue;
        }
        seen.push(name);
        let values: Vec<_> = pairs.iter().filter(|(other, _)| other == name).map(|(_, value)| scalar(value)).collect();
        let value = if values.len() == 1 { values.concat() } else { format!("[{}]", values.join(", ")) };
        members.push(format!("{} = {value}", key(name)));
    }
    format!("{{ {} }}", members.join(", "))
}

/// A number stays one where it is written the way numbers are.
fn scalar(value: &str) -> String {
    match value.parse::<u32>() {
        Ok(number) if number.to_string() == value => value.to_owned(),
        _ => quoted(value),
    }
}

/// A TOML key.
fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare { name.to_owned() } else { quoted(name) }
}
