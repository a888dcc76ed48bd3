//! The header `Link` (RFC 8288, section 3): which of its links is the next page.
//!
//! Reads what vendors send: blanks where they like, links with commas and semicolons in them, several headers.

/// The target of the first link whose `rel` has `next` among its relation types.
pub(super) fn next<'h>(values: impl Iterator<Item = &'h str>) -> Option<&'h str> {
    values.flat_map(links).find(|link| is_next(link.params)).map(|link| link.target)
}

struct Link<'h> {
    target: &'h str,
    params: &'h str,
}

/// The links of one header: `<target>; name=value; name="value", <target>…`.
fn links(value: &str) -> Vec<Link<'_>> {
    let mut links = Vec::new();
    let mut rest = value;
    while let Some((_, after)) = rest.split_once('<') {
        let Some((target, after)) = after.split_once('>') else { break };
        let end = end_of_params(after);
        links.push(Link { target: target.trim(), params: &after[..end] });
        rest = &after[end..];
    }
    links
}

/// Where the parameters of a link end: at a comma that is not in quotes.
fn end_of_params(text: &str) -> usize {
    let mut quoted = false;
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => return at,
            _ => {}
        }
    }
    text.len()
}

fn is_next(params: &str) -> bool {
    params.split(';').filter_map(|param| param.split_once('=')).any(|(name, value)| {
        let relations = value.trim().trim_matches('"').split_ascii_whitespace();
        name.trim().eq_ignore_ascii_case("rel") && { relations }.any(|relation| relation.eq_ignore_ascii_case("next"))
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_next_link_is_found_as_vendors_write_it() {
        for (headers, expected) in [
            (&["<https://a/?page=2>; rel=\"next\", <https://a/?page=9>; rel=\"last\""][..], Some("https://a/?page=2")),
            (&["<https://a/?page=1>; rel=\"prev\"", "<?page=3>; rel=next"], Some("?page=3")),
            (&["<https://a/?ids=1,2;3>; title=\"a, <b>; rel=next\"; REL=\"last Next\""], Some("https://a/?ids=1,2;3")),
            (&["< /p/2 >;rel = \"next\""], Some("/p/2")),
            (&["<https://a/?page=9>; rel=\"last\""], None),
            (&["<https://a/?page=9>; rel=\"nextish\""], None),
            (&["", "nothing", "<unclosed; rel=next", "<a>", "<a>; rel"], None),
        ] {
            assert_eq!(super::next(headers.iter().copied()), expected, "{headers:?}");
        }
    }
}
