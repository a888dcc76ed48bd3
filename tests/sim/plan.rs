//! What a history is made of: how the vendor lists, what the config says, and what happens to both.
//!
//! It only draws them; what they do is said by [`crate::vendor`] and [`crate::house`].

use proptest::prelude::*;

/// What leads from one page to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Style {
    Single,
    Page,
    Offset,
    Token,
    NextUrl,
    Link,
    LastKey,
}

/// In which order a vendor lists its items.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Order {
    Id,
    /// What was edited last comes first: an edit moves an item to another page.
    Newest,
    Oldest,
}

/// Something that happens to an item.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    /// It is there with this value. `late`: its time is not quite that of now.
    Put {
        id: u8,
        value: u8,
        late: bool,
    },
    Remove {
        id: u8,
    },
    /// What some rules leave out.
    Noise {
        id: u8,
    },
    Price {
        id: u8,
        by: i8,
    },
    Shuffle {
        id: u8,
    },
}

/// What happens to one request of a poll.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    Refused,
    Garbage,
    /// A list of nothing, as if all were well.
    Empty,
    /// The daemon dies while it waits.
    Death,
    /// The list is edited after the pages before were read.
    Edited(Edit),
    /// An item of the first page stands on this one, too; `stale`: as something that it never was.
    Again {
        stale: bool,
    },
}

/// What counts as change.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rules {
    pub(crate) ignore: bool,
    pub(crate) watch: bool,
    pub(crate) tolerance: bool,
    pub(crate) unordered: bool,
    pub(crate) arrays: bool,
}

/// An edit of the config.
#[derive(Clone, Debug)]
pub(crate) enum Revision {
    Rules(Rules),
    /// Nothing that the state depends on.
    Schedule,
    /// The items have other keys from now on.
    Key,
    /// The request has another query from now on.
    Request,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Edits(Vec<Edit>),
    /// A poll, with what happens to its requests by their number, counted from 0.
    Poll(Vec<(usize, Fault)>),
    /// Two looks and a poll: all three find the same.
    Look,
    Restart,
    Revise(Revision),
}

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) style: Style,
    pub(crate) order: Order,
    pub(crate) size: usize,
    pub(crate) etags: bool,
    pub(crate) total: bool,
    pub(crate) cursor: bool,
    pub(crate) emit: bool,
    pub(crate) after: u32,
    pub(crate) rules: Rules,
    pub(crate) at_first: Vec<Edit>,
    pub(crate) steps: Vec<Step>,
}

/// Items that a vendor may have.
const IDS: u8 = 7;

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        6 => (0..IDS, 0..4_u8, any::<bool>()).prop_map(|(id, value, late)| Edit::Put { id, value, late }),
        3 => (0..IDS).prop_map(|id| Edit::Remove { id }),
        1 => (0..IDS).prop_map(|id| Edit::Noise { id }),
        2 => (0..IDS, -4..5_i8).prop_map(|(id, by)| Edit::Price { id, by }),
        1 => (0..IDS).prop_map(|id| Edit::Shuffle { id }),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        3 => Just(Fault::Refused),
        1 => Just(Fault::Garbage),
        1 => Just(Fault::Empty),
        1 => Just(Fault::Death),
        4 => edit().prop_map(Fault::Edited),
        2 => any::<bool>().prop_map(|stale| Fault::Again { stale }),
    ]
}

fn rules() -> impl Strategy<Value = Rules> {
    any::<[bool; 5]>().prop_map(|[ignore, watch, tolerance, unordered, arrays]| Rules {
        ignore,
        watch,
        tolerance,
        unordered,
        arrays,
    })
}

fn revision() -> impl Strategy<Value = Revision> {
    prop_oneof![
        4 => rules().prop_map(Revision::Rules),
        1 => Just(Revision::Schedule),
        1 => Just(Revision::Key),
        1 => Just(Revision::Request),
    ]
}

fn step(revised: bool) -> impl Strategy<Value = Step> {
    let polled = prop::collection::vec((0..5_usize, fault()), 0..3).prop_map(Step::Poll);
    prop_oneof![
        6 => prop::collection::vec(edit(), 1..4).prop_map(Step::Edits),
        4 => Just(Step::Poll(Vec::new())),
        4 => polled,
        1 => Just(Step::Look),
        1 => Just(Step::Restart),
        if revised { 3 } else { 0 } => revision().prop_map(Step::Revise),
    ]
}

/// Histories of a vendor that lists in one of these styles.
pub(crate) fn plan(styles: &'static [Style], cursor: bool, revised: bool) -> impl Strategy<Value = Plan> {
    let order = prop::sample::select(vec![Order::Id, Order::Newest, Order::Oldest]);
    let listing = (prop::sample::select(styles), order, 1..4_usize, any::<[bool; 3]>(), 1..3_u32);
    let history = (prop::collection::vec(edit(), 0..8), prop::collection::vec(step(revised), 1..14));
    (listing, rules(), history).prop_map(move |((style, order, size, flags, after), rules, (at_first, steps))| {
        let [etags, total, emit] = flags;
        // The value of the last item leads on: it has to grow.
        let order = if style == Style::LastKey { Order::Id } else { order };
        Plan { style, order, size, etags, total, cursor, emit, after, rules, at_first, steps }
    })
}
