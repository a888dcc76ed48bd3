//! The name a person probably meant.
//!
//! It only suggests; nothing is ever done with a name that was guessed.

/// The candidate that is fewest slips (insertions, deletions, replacements, swaps) away from `name`, when that are few.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// One slip in every so many characters is a slip; more is another word.
    const CHARACTERS_PER_SLIP: usize = 3;
    let near = |candidate: &&'a str| {
        let length = name.chars().count().max(candidate.chars().count());
        let slips = strsim::damerau_levenshtein(name, candidate);
        (slips <= length.div_ceil(CHARACTERS_PER_SLIP) && slips < length).then_some(slips)
    };
    // A name of any length comes from outside, and comparing takes the product of both lengths.
    let candidates = candidates.into_iter().filter(|candidate| name.len() <= 4 * candidate.len());
    candidates
        .filter_map(|candidate| Some((near(&candidate)?, candidate)))
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

/// `there is no KIND NAME`, with the nearest where there is one.
pub(super) fn unknown<'a>(kind: &str, name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    match nearest(name, candidates) {
        Some(near) => format!("there is no {kind} `{name}`; did you mean `{near}`?"),
        None => format!("there is no {kind} `{name}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_name_and_nonsense_finds_none() {
        let names = ["orders", "order-lines", "stock"];
        assert_eq!(nearest("ordres", names), Some("orders"));
        assert_eq!(nearest("jbo", ["job", "key"]), Some("job"));
        assert_eq!(nearest("zzz", names), None);
        assert_eq!(nearest("a", ["b"]), None);
        assert_eq!(nearest(&"x".repeat(1_000_000), names), None);
        assert_eq!(unknown("job", "stok", names), "there is no job `stok`; did you mean `stock`?");
        assert_eq!(unknown("job", "q", names), "there is no job `q`");
    }
}
