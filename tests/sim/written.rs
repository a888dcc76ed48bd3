//! A history's config, as a user would write it.

use std::sync::Arc;

use doorbell::core::config::Config;

use crate::fold::TOLERANCE;
use crate::house::config;
use crate::plan::{KEPT_BACK, Manner, On, Plan, Rules, Style};

/// What of a history's config is edited.
#[derive(Clone, Debug)]
pub(crate) struct Wording {
    pub(crate) rules: Rules,
    pub(crate) every: u32,
    pub(crate) by_name: bool,
    pub(crate) asked_anew: u32,
    /// Of each account, whether it is one of the scopes.
    pub(crate) listed: Vec<bool>,
}

impl Wording {
    /// Before the first edit.
    pub(crate) fn first(plan: &Plan) -> Self {
        let listed = vec![true; usize::from(plan.manner.accounts)];
        Self { rules: plan.rules, every: 30, by_name: false, asked_anew: 0, listed }
    }
}

/// The config of a history.
pub(crate) fn written(plan: &Plan, name: &str, wording: &Wording) -> Arc<Config> {
    let Wording { rules, every, by_name, asked_anew, listed } = wording;
    let mut text = format!(
        "[job.{name}]\nurl = 'http://shop.example/orders'\nevery = '{every}d'\nitems = '$.data[*]'\nkey = '$.{}'\n\
         send_to = []\n{}",
        if *by_name { "name" } else { "id" },
        manner(&plan.manner, plan.after, listed)
    );
    let (size, total) = (plan.size, if plan.total { ", total = '$.total'" } else { "" });
    let style = match plan.style {
        Style::Single => None,
        Style::Page => Some(format!("style = 'page', param = 'page', start = 1, size = {size}")),
        Style::Offset => Some(format!("style = 'offset', param = 'from', size = {size}")),
        Style::Token => Some("style = 'token', at = '$.next', param = 'from'".to_owned()),
        Style::NextUrl => Some("style = 'next_url', at = '$.next'".to_owned()),
        Style::Link => Some("style = 'link'".to_owned()),
        Style::LastKey => Some(format!("style = 'last_key', at = '$.id', param = 'after', size = {size}")),
    };
    text.extend(style.map(|style| format!("pages = {{ {style}{total} }}\n")));
    let mut query = vec![format!("v = '{asked_anew}'")];
    if plan.cursor {
        let full = if plan.after == 1 { "5m" } else { "1d" };
        text.push_str(&format!("cursor = {{ at = '$.at', start = '0', overlap = 8, full_every = '{full}' }}\n"));
        query.push("since = '{{ cursor }}'".to_owned());
    }
    if plan.manner.accounts > 1 {
        query.push("account = '{{ account }}'".to_owned());
    }
    text.push_str(&format!("query = {{ {} }}\n", query.join(", ")));
    if plan.detail {
        let version = if plan.total { ", version = '$.edited'" } else { "" };
        let url = "url = 'http://shop.example/details/{{ item.id }}'";
        text.push_str(&format!("detail = {{ {url}, concurrency = {}{version} }}\n", 1 + plan.size));
    }
    let tolerance = format!("tolerance = {{ '$.price' = {TOLERANCE} }}\n");
    let lines = [
        (plan.emit, "first = 'emit'\n"),
        (rules.ignore, "ignore = ['$.noise']\n"),
        (rules.watch, "watch = ['$.id', '$.name', '$.v', '$.price', '$.tags', '$.lines']\n"),
        (rules.tolerance, &tolerance),
        (rules.unordered, "unordered = ['$.tags']\n"),
        (rules.arrays, "arrays = { '$.lines' = '$.sku' }\n"),
    ];
    text.extend(lines.iter().filter(|(is_on, _)| *is_on).map(|(_, line)| *line));
    config(&text)
}

/// What it says, and when.
fn manner(manner: &Manner, after: u32, listed: &[bool]) -> String {
    let Manner { settle, on, when, confirm, max_events, accounts } = manner;
    let confirm = if *confirm { ", confirm = 'http://shop.example/orders/{{ key }}'" } else { "" };
    let mut text = format!("settle = {settle}\ndeletes = {{ after = {after}{confirm} }}\n");
    if *on != On::ALL {
        text.push_str(&format!("on = {:?}\n", on.names()));
    }
    if *when {
        text.push_str(&format!("when = 'after.v != {KEPT_BACK}'\n"));
    }
    text.extend(max_events.map(|most| format!("max_events = {most}\n")));
    if *accounts > 1 {
        let numbered = listed.iter().enumerate().filter(|(_, listed)| **listed);
        let all: Vec<String> = numbered.map(|(account, _)| account.to_string()).collect();
        text.push_str(&format!("each = {{ account = [{}] }}\n", all.join(", ")));
    }
    text
}
