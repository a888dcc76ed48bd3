//! From the parser's syntax tree to the query we run: typed as RFC 9535 section 2.4.3 asks, its patterns compiled.
//!
//! What the parser lets through though the standard forbids it is refused here.

use jsonpath_rust::parser::errors::JsonPathError;
use jsonpath_rust::parser::{model, parse_json_path};
use regex::{Regex, RegexBuilder};

use super::Complaint;
use crate::core::json::{Json, Number};

/// How many `..` a query may have. Each can multiply the work by the depth of the document.
const DESCENDANTS_MAX: usize = 2;

/// Bytes that a compiled pattern may take.
const PATTERN_SIZE_MAX: usize = 1 << 20;

/// RFC 9535, section 2.5.
#[derive(Clone, Debug)]
pub(super) enum Segment {
    /// Of a node's children.
    Child(Vec<Selector>),
    /// Of the node and all that is below it.
    Descendant(Vec<Selector>),
}

/// RFC 9535, section 2.3.
#[derive(Clone, Debug)]
pub(super) enum Selector {
    Name(String),
    Wildcard,
    Index(i64),
    Slice { start: Option<i64>, end: Option<i64>, step: i64 },
    Filter(Filter),
}

/// RFC 9535, section 2.3.5.
#[derive(Clone, Debug)]
pub(super) enum Filter {
    Or(Vec<Filter>),
    And(Vec<Filter>),
    Not(Box<Filter>),
    /// Does the query find anything?
    Exists(Query),
    Compare(Comparable, Order, Comparable),
    /// `match()` and `search()`.
    Pattern(Comparable, Regex),
}

/// What a query in a filter starts from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Origin {
    /// `@`
    Current,
    /// `$`
    Root,
}

/// A query in a filter.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) origin: Origin,
    pub(super) segments: Vec<Segment>,
}

/// One side of a comparison.
#[derive(Clone, Debug)]
pub(super) enum Comparable {
    Literal(Json),
    /// A query that finds at most one node.
    Node(Query),
    Length(Box<Comparable>),
    Count(Query),
    Value(Query),
}

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Order {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Compiles a query.
pub(super) fn compile(text: &str) -> Result<Vec<Segment>, Complaint> {
    let query = parse_json_path(text).map_err(|error| syntax(text, &error))?;
    let segments = Compiler { text }.segments(&query.segments)?;
    let descendants = segments.iter().filter(|segment| matches!(segment, Segment::Descendant(_))).count();
    if descendants > DESCENDANTS_MAX {
        return Err(Complaint::new(format!("`{text}` has more than {DESCENDANTS_MAX} `..`"))
            .hint("name the members on the way: `$.data.orders[*]`"));
    }
    Ok(segments)
}

/// The parser's error as a sentence of ours.
fn syntax(text: &str, error: &JsonPathError) -> Complaint {
    let complaint = match error {
        JsonPathError::InvalidNumber(_) => Complaint::new(format!("`{text}` holds a number that is out of range")),
        JsonPathError::MaxNestingDepthExceeded(most) => {
            Complaint::new(format!("`{text}` nests brackets deeper than {most}"))
        }
        _ => Complaint::new(format!("`{text}` is not a JSONPath (RFC 9535)")),
    };
    match place(text, &error.to_string()) {
        Some(at) if at < text.len() => {
            let end = text[at..].chars().next().map_or(at, |letter| at + letter.len_utf8());
            let got = format!("{}: unexpected `{}`", complaint.problem, &text[at..end]);
            Complaint::new(got).hint("such as `$.data.orders[*]`, `$['a b']`, `$.list[?@.open == true]`").at(at..end)
        }
        Some(at) => {
            let got = format!("{}: it breaks off", complaint.problem);
            Complaint::new(got).at(at..at)
        }
        None => complaint,
    }
}

/// The byte that a parser's message means: it shows `--> LINE:COLUMN`.
fn place(text: &str, message: &str) -> Option<usize> {
    let (_, rest) = message.split_once("--> 1:")?;
    let column: usize = rest.split_whitespace().next()?.parse().ok()?;
    let at = text.char_indices().map(|(at, _)| at).nth(column.checked_sub(1)?);
    Some(at.unwrap_or(text.len()))
}

struct Compiler<'a> {
    text: &'a str,
}

impl Compiler<'_> {
    fn complaint(&self, problem: &str) -> Complaint {
        Complaint::new(format!("`{}`: {problem}", self.text))
    }

    fn segments(&self, segments: &[model::Segment]) -> Result<Vec<Segment>, Complaint> {
        segments.iter().map(|segment| self.segment(segment)).collect()
    }

    fn segment(&self, segment: &model::Segment) -> Result<Segment, Complaint> {
        Ok(match segment {
            model::Segment::Selector(selector) => Segment::Child(vec![self.selector(selector)?]),
            model::Segment::Selectors(selectors) => {
                Segment::Child(selectors.iter().map(|selector| self.selector(selector)).collect::<Result<_, _>>()?)
            }
            model::Segment::Descendant(inner) => match self.segment(inner)? {
                Segment::Child(selectors) | Segment::Descendant(selectors) => Segment::Descendant(selectors),
            },
        })
    }

    fn selector(&self, selector: &model::Selector) -> Result<Selector, Complaint> {
        Ok(match selector {
            model::Selector::Name(name) => Selector::Name(name.clone()),
            model::Selector::Wildcard => Selector::Wildcard,
            model::Selector::Index(index) => Selector::Index(*index),
            model::Selector::Slice(start, end, step) => {
                Selector::Slice { start: *start, end: *end, step: step.unwrap_or(1) }
            }
            model::Selector::Filter(filter) => Selector::Filter(self.filter(filter)?),
        })
    }

    fn filter(&self, filter: &model::Filter) -> Result<Filter, Complaint> {
        let all =
            |filters: &[model::Filter]| filters.iter().map(|filter| self.filter(filter)).collect::<Result<Vec<_>, _>>();
        match filter {
            model::Filter::Or(filters) => Ok(Filter::Or(all(filters)?)),
            model::Filter::And(filters) => Ok(Filter::And(all(filters)?)),
            model::Filter::Atom(model::FilterAtom::Filter { expr, not }) => Ok(negated(self.filter(expr)?, *not)),
            model::Filter::Atom(model::FilterAtom::Test { expr, not }) => Ok(negated(self.test(expr)?, *not)),
            model::Filter::Atom(model::FilterAtom::Comparison(comparison)) => self.comparison(comparison),
        }
    }

    fn test(&self, test: &model::Test) -> Result<Filter, Complaint> {
        match test {
            model::Test::Function(function) => self.condition(function),
            query => self.query(query).map(Filter::Exists),
        }
    }

    fn query(&self, test: &model::Test) -> Result<Query, Complaint> {
        match test {
            model::Test::RelQuery(segments) => {
                Ok(Query { origin: Origin::Current, segments: self.segments(segments)? })
            }
            model::Test::AbsQuery(query) => {
                Ok(Query { origin: Origin::Root, segments: self.segments(&query.segments)? })
            }
            model::Test::Function(_) => Err(self.complaint("a function's result is not a path")),
        }
    }

    /// A function that is true or false.
    fn condition(&self, function: &model::TestFunction) -> Result<Filter, Complaint> {
        use model::TestFunction::{Count, Custom, Length, Match, Search, Value};
        match function {
            Match(value, pattern) => Ok(Filter::Pattern(self.value(value)?, self.pattern(pattern, true)?)),
            Search(value, pattern) => Ok(Filter::Pattern(self.value(value)?, self.pattern(pattern, false)?)),
            Custom(name, _) => Err(self.unknown(name)),
            Length(_) => Err(self.complaint("`length()` is a number to compare").hint("`length(@.lines) > 0`")),
            Count(_) => Err(self.complaint("`count()` is a number to compare").hint("`count(@.lines[*]) > 0`")),
            Value(_) => Err(self.complaint("`value()` is a value to compare").hint("`value(@..state) == 'open'`")),
        }
    }

    fn unknown(&self, name: &str) -> Complaint {
        self.complaint(&format!("`{name}()` is not a function of JSONPath"))
            .hint("the functions are `length()`, `count()`, `value()`, `match()` and `search()`")
    }

    fn comparison(&self, comparison: &model::Comparison) -> Result<Filter, Complaint> {
        use model::Comparison::{Eq, Gt, Gte, Lt, Lte, Ne};
        let order = match comparison {
            Eq(..) => Order::Equal,
            Ne(..) => Order::Unequal,
            Lt(..) => Order::Less,
            Lte(..) => Order::LessOrEqual,
            Gt(..) => Order::Greater,
            Gte(..) => Order::GreaterOrEqual,
        };
        let (left, right) = comparison.vals();
        Ok(Filter::Compare(self.comparable(left)?, order, self.comparable(right)?))
    }

    fn comparable(&self, comparable: &model::Comparable) -> Result<Comparable, Complaint> {
        match comparable {
            model::Comparable::Literal(literal) => self.literal(literal).map(Comparable::Literal),
            model::Comparable::Function(function) => self.function(function),
            model::Comparable::SingularQuery(model::SingularQuery::Current(segments)) => {
                Ok(singular(Origin::Current, segments))
            }
            model::Comparable::SingularQuery(model::SingularQuery::Root(segments)) => {
                Ok(singular(Origin::Root, segments))
            }
        }
    }

    /// A function that is a value.
    fn function(&self, function: &model::TestFunction) -> Result<Comparable, Complaint> {
        use model::TestFunction::{Count, Custom, Length, Match, Search, Value};
        match function {
            Length(argument) => Ok(Comparable::Length(Box::new(self.value(argument)?))),
            Count(argument) => self.nodes("count", argument).map(Comparable::Count),
            Value(argument) => self.nodes("value", argument).map(Comparable::Value),
            Custom(name, _) => Err(self.unknown(name)),
            Match(..) | Search(..) => Err(self.complaint("`match()` and `search()` are true or false by themselves")),
        }
    }

    /// An argument that is a value: a literal, a function, or a path that leads to at most one place.
    fn value(&self, argument: &model::FnArg) -> Result<Comparable, Complaint> {
        match argument {
            model::FnArg::Literal(literal) => self.literal(literal).map(Comparable::Literal),
            model::FnArg::Test(test) => match test.as_ref() {
                model::Test::Function(function) => self.function(function),
                query => {
                    let query = self.query(query)?;
                    let one = query.segments.iter().all(is_singular);
                    one.then_some(Comparable::Node(query)).ok_or_else(|| {
                        self.complaint("a function takes one value, and the path can lead to several")
                            .hint("`count(@.*)` counts places")
                    })
                }
            },
            model::FnArg::Filter(_) => Err(self.complaint("a function can't take a condition")),
        }
    }

    /// An argument that is a path.
    fn nodes(&self, name: &str, argument: &model::FnArg) -> Result<Query, Complaint> {
        match argument {
            model::FnArg::Test(test) => self.query(test),
            _ => Err(self.complaint(&format!("`{name}()` takes a path")).hint(format!("`{name}(@.lines[*])`"))),
        }
    }

    fn literal(&self, literal: &model::Literal) -> Result<Json, Complaint> {
        Ok(match literal {
            model::Literal::Null => Json::Null,
            model::Literal::Bool(value) => Json::from(*value),
            model::Literal::String(text) => Json::from(text.as_str()),
            model::Literal::Int(value) => Json::from(*value),
            model::Literal::Float(value) => {
                let number = Number::from_f64(*value);
                number.ok_or_else(|| self.complaint("a number in it is out of range"))?.into()
            }
        })
    }

    /// A pattern (RFC 9485), which we take only as a literal, so that it is compiled once and not by the vendor's data.
    fn pattern(&self, argument: &model::FnArg, whole: bool) -> Result<Regex, Complaint> {
        let model::FnArg::Literal(model::Literal::String(pattern)) = argument else {
            return Err(self.complaint("the pattern must be a text in quotes").hint("`match(@.name, 'a.*')`"));
        };
        let translated = dots(pattern);
        let translated = if whole { format!("^(?:{translated})$") } else { translated };
        RegexBuilder::new(&translated).size_limit(PATTERN_SIZE_MAX).build().map_err(|_| {
            self.complaint(&format!("the pattern `{pattern}` is not a regular expression, or too large a one"))
        })
    }
}

fn negated(filter: Filter, not: bool) -> Filter {
    if not { Filter::Not(Box::new(filter)) } else { filter }
}

fn is_singular(segment: &Segment) -> bool {
    matches!(segment, Segment::Child(selectors) if matches!(selectors.as_slice(), [Selector::Name(_) | Selector::Index(_)]))
}

fn singular(origin: Origin, segments: &[model::SingularQuerySegment]) -> Comparable {
    let segment = |segment: &model::SingularQuerySegment| {
        Segment::Child(vec![match segment {
            model::SingularQuerySegment::Index(index) => Selector::Index(*index),
            model::SingularQuerySegment::Name(name) => Selector::Name(name.clone()),
        }])
    };
    Comparable::Node(Query { origin, segments: segments.iter().map(segment).collect() })
}

/// A dot matches neither kind of line end (RFC 9485, section 5.3).
fn dots(pattern: &str) -> String {
    let mut translated = String::with_capacity(pattern.len());
    let mut letters = pattern.chars();
    let mut in_class = false;
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => {
                translated.push(letter);
                translated.extend(letters.next());
                continue;
            }
            '[' => in_class = true,
            ']' => in_class = false,
            '.' if !in_class => {
                translated.push_str(r"[^\n\r]");
                continue;
            }
            _ => {}
        }
        translated.push(letter);
    }
    translated
}
