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
    /// All that there may be is there, with this value.
    Fill {
        value: u8,
    },
    /// All of an account but the first so many are gone.
    Sweep {
        account: u8,
        kept: u8,
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

/// What a job says of what it finds, and when: of a plain job, everything at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Manner {
    pub(crate) settle: u32,
    pub(crate) on: On,
    /// `when` keeps back what has the value [`KEPT_BACK`].
    pub(crate) when: bool,
    /// The vendor is asked for what is missing.
    pub(crate) confirm: bool,
    pub(crate) max_events: Option<u64>,
    /// Scopes (`each`), each with items of its own; 1: none.
    pub(crate) accounts: u8,
}

impl Manner {
    /// Says everything at once, and holds nothing but what every job does.
    pub(crate) const PLAIN: Self =
        Self { settle: 1, on: On::ALL, when: false, confirm: false, max_events: None, accounts: 1 };

    /// Everything is said, sooner or later.
    pub(crate) fn says_all(&self) -> bool {
        self.on == On::ALL && !self.when
    }
}

/// The value of an item of which `when` is not true.
pub(crate) const KEPT_BACK: u8 = 2;

/// The changes that `on` names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct On {
    pub(crate) created: bool,
    pub(crate) updated: bool,
    pub(crate) deleted: bool,
    pub(crate) restored: bool,
}

impl On {
    pub(crate) const ALL: Self = Self { created: true, updated: true, deleted: true, restored: true };

    /// The names.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let all = [
            (self.created, "created"),
            (self.updated, "updated"),
            (self.deleted, "deleted"),
            (self.restored, "restored"),
        ];
        all.into_iter().filter(|(is_on, _)| *is_on).map(|(_, name)| name).collect()
    }
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
    /// The daemon ends, or dies, and another one opens the file.
    Reopen {
        dies: bool,
    },
    Revise(Revision),
    /// The keys, or the request, are edited, a poll is made, and the edit is taken back.
    Detour {
        by_key: bool,
        faults: Vec<(usize, Fault)>,
    },
    /// The keys, or the request, are edited, and a person accepts as the baseline what two polls have read of it, each as
    /// far as a page that fails.
    Accept {
        by_key: bool,
        failing: [usize; 2],
    },
    /// Other accounts are scopes from now on: of each, whether it is one.
    Scopes(Vec<bool>),
    /// A person answers what is held.
    Answer {
        approve: bool,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) style: Style,
    pub(crate) order: Order,
    pub(crate) size: usize,
    pub(crate) etags: bool,
    pub(crate) total: bool,
    pub(crate) cursor: bool,
    /// The list holds summaries, and each item is asked for.
    pub(crate) detail: bool,
    pub(crate) emit: bool,
    pub(crate) after: u32,
    pub(crate) ids: u8,
    pub(crate) rules: Rules,
    pub(crate) manner: Manner,
    pub(crate) at_first: Vec<Edit>,
    pub(crate) steps: Vec<Step>,
}

/// What histories of one kind have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) styles: &'static [Style],
    pub(crate) cursor: bool,
    /// The list holds summaries, and each item is asked for.
    pub(crate) detail: bool,
    /// The config is edited.
    pub(crate) revised: bool,
    /// Items that an account may have. More than ten can vanish at once, and are held.
    pub(crate) ids: u8,
    /// Which manners a job may have.
    pub(crate) manners: fn() -> BoxedStrategy<Manner>,
}

impl Kind {
    /// Seven items, and a job that says everything at once.
    pub(crate) const fn of(styles: &'static [Style]) -> Self {
        Self { styles, cursor: false, detail: false, revised: false, ids: 7, manners: plain }
    }
}

fn plain() -> BoxedStrategy<Manner> {
    Just(Manner::PLAIN).boxed()
}

/// Something has to be answered by a person now and then.
pub(crate) fn holding() -> BoxedStrategy<Manner> {
    (prop::option::of(1..12_u64), 1..3_u32, any::<bool>())
        .prop_map(|(max_events, settle, confirm)| Manner { max_events, settle, confirm, ..Manner::PLAIN })
        .boxed()
}

/// Something is kept back.
pub(crate) fn reserved() -> BoxedStrategy<Manner> {
    let on = any::<[bool; 4]>().prop_map(|[created, updated, deleted, restored]| {
        let is_some = created || updated || deleted || restored;
        if is_some { On { created, updated, deleted, restored } } else { On::ALL }
    });
    (1..4_u32, prop_oneof![Just(On::ALL), on], any::<[bool; 2]>())
        .prop_map(|(settle, on, [when, confirm])| Manner { settle, on, when, confirm, ..Manner::PLAIN })
        .boxed()
}

/// Several scopes, and all the rest.
pub(crate) fn scoped() -> BoxedStrategy<Manner> {
    (2..4_u8, 1..3_u32, prop::option::of(1..8_u64), any::<bool>())
        .prop_map(|(accounts, settle, max_events, when)| Manner { accounts, settle, max_events, when, ..Manner::PLAIN })
        .boxed()
}

fn edit(ids: u8, accounts: u8) -> impl Strategy<Value = Edit> {
    let all = ids * accounts;
    let is_crowd = u32::from(ids > 10);
    prop_oneof![
        6 => (0..all, 0..4_u8, any::<bool>()).prop_map(|(id, value, late)| Edit::Put { id, value, late }),
        3 => (0..all).prop_map(|id| Edit::Remove { id }),
        1 => (0..all).prop_map(|id| Edit::Noise { id }),
        2 => (0..all, -4..5_i8).prop_map(|(id, by)| Edit::Price { id, by }),
        1 => (0..all).prop_map(|id| Edit::Shuffle { id }),
        3 * is_crowd => (0..4_u8).prop_map(|value| Edit::Fill { value }),
        3 * is_crowd => (0..accounts, 0..12_u8).prop_map(|(account, kept)| Edit::Sweep { account, kept }),
    ]
}

fn fault(ids: u8, accounts: u8) -> impl Strategy<Value = Fault> {
    prop_oneof![
        3 => Just(Fault::Refused),
        1 => Just(Fault::Garbage),
        1 => Just(Fault::Empty),
        1 => Just(Fault::Death),
        4 => edit(ids, accounts).prop_map(Fault::Edited),
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

fn step(kind: Kind, manner: Manner) -> impl Strategy<Value = Step> {
    let (ids, accounts) = (kind.ids, manner.accounts);
    let polled = prop::collection::vec((0..5_usize, fault(ids, accounts)), 0..3).prop_map(Step::Poll);
    let faults = prop::collection::vec((0..3_usize, fault(ids, accounts)), 0..2);
    let detour = (any::<bool>(), faults).prop_map(|(by_key, faults)| Step::Detour { by_key, faults });
    let accept = (any::<bool>(), any::<[bool; 2]>())
        .prop_map(|(by_key, later)| Step::Accept { by_key, failing: later.map(|later| 1 + usize::from(later)) });
    let some = |listed: Vec<bool>| if listed.contains(&true) { listed } else { vec![true; listed.len()] };
    let scopes =
        prop::collection::vec(any::<bool>(), usize::from(accounts)).prop_map(move |listed| Step::Scopes(some(listed)));
    let ended = prop_oneof![1 => Just(Step::Restart), 2 => any::<bool>().prop_map(|dies| Step::Reopen { dies })];
    let holds = kind.ids > 10 || manner.max_events.is_some();
    prop_oneof![
        12 => prop::collection::vec(edit(ids, accounts), 1..4).prop_map(Step::Edits),
        8 => Just(Step::Poll(Vec::new())),
        8 => polled,
        2 => Just(Step::Look),
        3 => ended,
        if kind.revised { 6 } else { 0 } => revision().prop_map(Step::Revise),
        if kind.revised { 3 } else { 0 } => detour,
        // Which details a part lacks is not in its report.
        if kind.revised && !kind.detail { 3 } else { 0 } => accept,
        if accounts > 1 { 3 } else { 0 } => scopes,
        if holds { 6 } else { 0 } => prop::bool::weighted(0.6).prop_map(|approve| Step::Answer { approve }),
    ]
}

/// Histories of this kind.
pub(crate) fn plan(kind: Kind) -> impl Strategy<Value = Plan> {
    let order = prop::sample::select(vec![Order::Id, Order::Newest, Order::Oldest]);
    let listing = (prop::sample::select(kind.styles), order, 1..4_usize, any::<[bool; 3]>(), 1..3_u32);
    let history = (kind.manners)().prop_flat_map(move |manner| {
        let at_first = prop::collection::vec(edit(kind.ids, manner.accounts), 0..8);
        (Just(manner), at_first, prop::collection::vec(step(kind, manner), 1..14))
    });
    (listing, rules(), history).prop_map(
        move |((style, order, size, flags, after), rules, (manner, at_first, steps))| {
            let [etags, total, emit] = flags;
            // The value of the last item leads on: it has to grow.
            let order = if style == Style::LastKey { Order::Id } else { order };
            // A crowd has no more pages than a few.
            let size = if kind.ids > 10 { size * 4 } else { size };
            // Which scopes were read whole is not in a report: where there are some, the first poll is told.
            let emit = emit || manner.accounts > 1;
            let ids = kind.ids;
            let Kind { cursor, detail, .. } = kind;
            Plan { style, order, size, etags, total, cursor, detail, emit, after, ids, rules, manner, at_first, steps }
        },
    )
}
