//! Checks an expression or template, and writes it down once more in a form that means what the contract says.
//!
//! minijinja orders anything against anything, and takes a missing field of null for an error. So each parsed
//! expression is written anew: plain paths become variables that are filled from the document itself, comparisons,
//! member access and concatenation become calls of our own functions. What has no place in a config (macros, includes,
//! unknown names, filters, tests and functions) is refused here. Nothing is evaluated.

use minijinja::machinery::Span;
use minijinja::machinery::ast::{BinOpKind, Call, CallArg, CompareOpKind, Expr, Filter, Test, UnaryOpKind};
use minijinja::value::{Value, ValueKind};

use super::engine::{FILTERS, FUNCTIONS, TESTS};
use super::place::{Place, Step};
use super::source::Source;
use crate::core::path::Complaint;

/// How deeply an expression may nest.
const DEPTH: usize = 40;

/// Bytes that an expression may have when it is written anew.
const SIZE: usize = 64 * 1024;

/// Does a number keep its spelling, or is something computed with it?
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// It is put out as it is.
    Keep,
    /// It becomes a machine number.
    Compute,
}

/// A plain path as a variable `__dN`, N being where it stands in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) place: Place,
    pub(super) keep: bool,
}

/// A name that a template sets for itself.
pub(super) struct Local<'s> {
    pub(super) name: &'s str,
    /// It may hold digits, and must be made a number before anything is computed with it.
    pub(super) raw: bool,
}

/// The state of one rewriting.
pub(super) struct Lower<'s> {
    pub(super) source: &'s Source,
    pub(super) names: &'s [&'s str],
    pub(super) slots: Vec<Slot>,
    /// Texts and numbers that are written out, as variables `__cN`: code that differs in them only is shared.
    pub(super) constants: Vec<Value>,
    /// Which secrets occur inside expressions.
    pub(super) secrets: Vec<usize>,
    /// What the template's own loops and `set` have named, the innermost scope last.
    pub(super) scopes: Vec<Vec<Local<'s>>>,
    depth: usize,
}

type Lowered = Result<String, Complaint>;

impl<'s> Lower<'s> {
    pub(super) fn new(source: &'s Source, names: &'s [&'s str]) -> Self {
        Self {
            source,
            names,
            slots: Vec::new(),
            constants: Vec::new(),
            secrets: Vec::new(),
            scopes: vec![Vec::new()],
            depth: 0,
        }
    }

    /// Writes one expression anew.
    pub(super) fn expr(&mut self, expr: &Expr<'s>, mode: Mode) -> Lowered {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.complain("the expression is nested too deeply", "split it up", expr.span()));
        }
        let text = match self.place(expr)? {
            Some(place) => self.slot(place, mode),
            None => self.node(expr, mode)?,
        };
        self.depth -= 1;
        if text.len() > SIZE {
            return Err(self.complain("the expression is too long", "split it up", expr.span()));
        }
        Ok(text)
    }

    /// The plain path that `expr` is, if it is one.
    pub(super) fn place(&self, expr: &Expr<'s>) -> Result<Option<Place>, Complaint> {
        let mut steps = Vec::new();
        let mut at = expr;
        loop {
            let step = match at {
                Expr::Var(var) if self.local(var.id).is_some() => return Ok(None),
                Expr::Var(var) => {
                    self.known(var.id, var.span())?;
                    steps.reverse();
                    return Ok(Some(Place { name: var.id.into(), steps: steps.into() }));
                }
                Expr::GetAttr(get) => {
                    at = &get.expr;
                    Some(Step::Member(get.name.into()))
                }
                Expr::GetItem(get) => {
                    at = &get.expr;
                    self.subscript(&get.subscript_expr)
                }
                _ => None,
            };
            match step {
                Some(step) => steps.push(step),
                None => return Ok(None),
            }
        }
    }

    fn subscript(&self, expr: &Expr<'s>) -> Option<Step> {
        match (expr, expr.as_const()?) {
            (Expr::Const(_), value) if value.as_str().is_some_and(|name| !self.source.hides_in(name)) => {
                value.as_str().map(|name| Step::Member(name.into()))
            }
            (Expr::Const(_) | Expr::UnaryOp(_), value) if value.is_integer() => value.as_i64().map(Step::Element),
            _ => None,
        }
    }

    fn slot(&mut self, place: Place, mode: Mode) -> String {
        let slot = Slot { place, keep: mode == Mode::Keep };
        let at = self.slots.iter().position(|other| *other == slot).unwrap_or_else(|| {
            self.slots.push(slot);
            self.slots.len() - 1
        });
        format!("__d{at}")
    }

    fn local(&self, name: &str) -> Option<&Local<'s>> {
        self.scopes.iter().rev().flat_map(|scope| scope.iter().rev()).find(|local| local.name == name)
    }

    fn node(&mut self, expr: &Expr<'s>, mode: Mode) -> Lowered {
        match expr {
            Expr::Var(var) => Ok(match self.local(var.id) {
                Some(local) if local.raw => as_mode(var.id, mode),
                _ => var.id.to_owned(),
            }),
            Expr::Const(value) => self.literal(&value.value, value.span()),
            Expr::Slice(slice) => {
                let of = self.expr(&slice.expr, Mode::Compute)?;
                let bounds = [&slice.start, &slice.stop, &slice.step]
                    .map(|bound| bound.as_ref().map_or(Ok(String::new()), |bound| self.expr(bound, Mode::Compute)));
                let [start, stop, step] = bounds;
                let step = step?;
                let step = if step.is_empty() { step } else { format!(":{step}") };
                Ok(format!("(__given({of})[{}:{}{step}])", start?, stop?))
            }
            Expr::UnaryOp(unary) => {
                let of = self.expr(&unary.expr, Mode::Compute)?;
                Ok(match unary.op {
                    UnaryOpKind::Not => format!("(not {of})"),
                    UnaryOpKind::Neg => format!("(-{of})"),
                })
            }
            Expr::BinOp(_) => self.binary(expr, mode),
            Expr::Compare(compare) => {
                let mut left = &compare.expr;
                let mut parts = Vec::new();
                for op in &compare.ops {
                    parts.push(self.compare(op.op, left, &op.expr)?);
                    left = &op.expr;
                }
                Ok(format!("({})", parts.join(" and ")))
            }
            Expr::IfExpr(choice) => {
                let test = self.expr(&choice.test_expr, Mode::Compute)?;
                let yes = self.expr(&choice.true_expr, mode)?;
                let no = choice.false_expr.as_ref().map_or(Ok("none".to_owned()), |no| self.expr(no, mode))?;
                Ok(format!("({yes} if {test} else {no})"))
            }
            Expr::Filter(filter) => self.filter(filter, filter.span(), mode),
            Expr::Test(test) => self.test(test, test.span()),
            Expr::GetAttr(get) => {
                let name = self.constant(Value::from(get.name));
                self.member(&get.expr, &name, mode)
            }
            Expr::GetItem(get) => {
                let key = self.expr(&get.subscript_expr, Mode::Compute)?;
                self.member(&get.expr, &key, mode)
            }
            Expr::Call(call) => self.call(call, call.span()),
            Expr::List(list) => Ok(format!("__list({})", self.list(&list.items)?)),
            Expr::Tuple(tuple) => Ok(format!("__list({})", self.list(&tuple.items)?)),
            Expr::Map(map) => {
                let mut pairs = Vec::new();
                for (key, value) in map.keys.iter().zip(&map.values) {
                    pairs.push(format!("{}, {}", self.expr(key, Mode::Compute)?, self.expr(value, Mode::Keep)?));
                }
                Ok(format!("__map({})", pairs.join(", ")))
            }
        }
    }

    fn member(&mut self, of: &Expr<'s>, key: &str, mode: Mode) -> Lowered {
        let of = self.expr(of, Mode::Compute)?;
        Ok(format!("{}({of}, {key})", if mode == Mode::Keep { "__raw" } else { "__at" }))
    }

    fn list(&mut self, items: &[Expr<'s>]) -> Lowered {
        let items: Result<Vec<String>, Complaint> = items.iter().map(|item| self.expr(item, Mode::Keep)).collect();
        Ok(items?.join(", "))
    }

    fn binary(&mut self, expr: &Expr<'s>, mode: Mode) -> Lowered {
        let Expr::BinOp(binary) = expr else { return self.node(expr, mode) };
        let sign = match binary.op {
            BinOpKind::Eq => return self.compare(CompareOpKind::Eq, &binary.left, &binary.right),
            BinOpKind::Ne => return self.compare(CompareOpKind::Ne, &binary.left, &binary.right),
            BinOpKind::Lt => return self.compare(CompareOpKind::Lt, &binary.left, &binary.right),
            BinOpKind::Lte => return self.compare(CompareOpKind::Lte, &binary.left, &binary.right),
            BinOpKind::Gt => return self.compare(CompareOpKind::Gt, &binary.left, &binary.right),
            BinOpKind::Gte => return self.compare(CompareOpKind::Gte, &binary.left, &binary.right),
            BinOpKind::In => return self.compare(CompareOpKind::In, &binary.left, &binary.right),
            BinOpKind::ScAnd => "and",
            BinOpKind::ScOr => "or",
            BinOpKind::Add => "+",
            BinOpKind::Sub => "-",
            BinOpKind::Mul => return self.product(&binary.left, &binary.right),
            BinOpKind::Div => "/",
            BinOpKind::FloorDiv => "//",
            BinOpKind::Rem => "%",
            BinOpKind::Pow => "**",
            BinOpKind::Concat => ",",
        };
        // A chain of one operator is one level, however long it is.
        let chain = chain_of(expr);
        let mode = match binary.op {
            BinOpKind::Concat => Mode::Keep,
            BinOpKind::ScAnd | BinOpKind::ScOr => mode,
            _ => Mode::Compute,
        };
        let parts: Result<Vec<String>, Complaint> = chain.into_iter().map(|part| self.expr(part, mode)).collect();
        let text = parts?.join(&format!(" {sign} "));
        Ok(match binary.op {
            BinOpKind::Concat => format!("__cat({text})"),
            BinOpKind::Add => format!("__small({text})"),
            _ => format!("({text})"),
        })
    }

    fn product(&mut self, left: &Expr<'s>, right: &Expr<'s>) -> Lowered {
        let (left, right) = (self.expr(left, Mode::Compute)?, self.expr(right, Mode::Compute)?);
        Ok(format!("(__mul({left}, {right}) * {right})"))
    }

    fn compare(&mut self, op: CompareOpKind, left: &Expr<'s>, right: &Expr<'s>) -> Lowered {
        let function = match op {
            CompareOpKind::Eq => "__eq",
            CompareOpKind::Ne => "__ne",
            CompareOpKind::Lt => "__lt",
            CompareOpKind::Lte => "__le",
            CompareOpKind::Gt => "__gt",
            CompareOpKind::Gte => "__ge",
            CompareOpKind::In => "__in",
            CompareOpKind::NotIn => "not __in",
        };
        let (left, right) = (self.expr(left, Mode::Keep)?, self.expr(right, Mode::Keep)?);
        Ok(format!("({function}({left}, {right}))"))
    }

    fn filter(&mut self, filter: &Filter<'s>, span: Span, mode: Mode) -> Lowered {
        let name = filter.name;
        if !FILTERS.contains(&name) {
            return Err(self.complain(
                &format!("there is no filter `{name}`"),
                &nearest("filters", name, FILTERS),
                span,
            ));
        }
        let Some(of) = &filter.expr else {
            return Err(self.complain("a filter without a value", "write `{{ value | filter }}`", span));
        };
        let keeps = matches!(name, "default" | "d" | "string" | "tojson" | "join");
        let (keep, bounded) =
            (if keeps { Mode::Keep } else { Mode::Compute }, matches!(name, "indent" | "batch" | "slice"));
        let of = self.expr(of, keep)?;
        let of = match name {
            _ if keeps => of,
            "format" => format!("__fmt({of})"),
            _ => format!("__given({of})"),
        };
        let arguments = self.arguments(&filter.args, keep, bounded, span)?;
        let text = format!("__small({of}|{name}({arguments}))");
        Ok(if matches!(name, "default" | "d") { as_mode(&text, mode) } else { text })
    }

    fn test(&mut self, test: &Test<'s>, span: Span) -> Lowered {
        if !TESTS.contains(&test.name) {
            let hint = nearest("tests", test.name, TESTS);
            return Err(self.complain(&format!("there is no test `{}`", test.name), &hint, span));
        }
        // For these a missing value is none, and none is a value.
        let of = self.expr(&test.expr, Mode::Compute)?;
        let arguments = self.arguments(&test.args, Mode::Compute, false, span)?;
        Ok(format!("({of} is {}({arguments}))", test.name))
    }

    fn call(&mut self, call: &Call<'s>, span: Span) -> Lowered {
        let arguments = self.arguments(&call.args, Mode::Compute, false, span)?;
        match &call.expr {
            Expr::Var(var) if self.local(var.id).is_none() && FUNCTIONS.contains(&var.id) => {
                Ok(format!("{}({arguments})", var.id))
            }
            Expr::Var(var) => {
                let hint = match FILTERS.iter().find(|filter| **filter == var.id) {
                    Some(filter) => format!("`{filter}` is a filter: write `value | {filter}`"),
                    None => nearest("functions", var.id, FUNCTIONS),
                };
                Err(self.complain(&format!("there is no function `{}`", var.id), &hint, span))
            }
            Expr::GetAttr(get)
                if matches!(&get.expr, Expr::Var(var) if var.id == "loop")
                    && self.local("loop").is_some()
                    && matches!(get.name, "cycle" | "changed") =>
            {
                Ok(format!("loop.{}({arguments})", get.name))
            }
            Expr::GetAttr(get) => {
                let hint = format!(
                    "use a filter, as in `value | {}`",
                    if FILTERS.contains(&get.name) { get.name } else { "upper" }
                );
                Err(self.complain(&format!("values have no methods such as `{}`", get.name), &hint, span))
            }
            _ => Err(self.complain("this can't be called", "the functions are dict and range", span)),
        }
    }

    fn arguments(&mut self, args: &[CallArg<'s>], mode: Mode, bounded: bool, span: Span) -> Lowered {
        let mut parts = Vec::new();
        for arg in args {
            let (name, value) = match arg {
                CallArg::Pos(value) => (String::new(), value),
                CallArg::Kwarg(name, value) => (format!("{name}="), value),
                CallArg::PosSplat(_) | CallArg::KwargSplat(_) => {
                    return Err(self.complain("`*` can't spread arguments here", "write each argument", span));
                }
            };
            let value = self.expr(value, mode)?;
            parts.push(if bounded { format!("{name}__few({value})") } else { format!("{name}{value}") });
        }
        Ok(parts.join(", "))
    }

    fn literal(&mut self, value: &Value, span: Span) -> Lowered {
        if let Some(text) = value.as_str() {
            return Ok(self.text(text));
        }
        let finite = |value: &Value| f64::try_from(value.clone()).is_ok_and(f64::is_finite);
        match value.kind() {
            ValueKind::None => Ok("none".to_owned()),
            ValueKind::Bool => Ok(value.is_true().to_string()),
            ValueKind::Number if value.is_integer() || finite(value) => Ok(self.constant(value.clone())),
            ValueKind::Number => Err(self.complain("the number is too large", "write a smaller one", span)),
            _ => Err(self.complain("this is not a value", "write text in quotes, a number, true, false or none", span)),
        }
    }

    fn constant(&mut self, value: Value) -> String {
        self.constants.push(value);
        format!("__c{}", self.constants.len() - 1)
    }

    /// Text in which secrets may stand, as an expression.
    pub(super) fn text(&mut self, text: &str) -> String {
        let mut parts = Vec::new();
        for piece in self.source.split(text) {
            parts.push(match piece {
                Ok(text) => self.constant(Value::from(text)),
                Err(secret) => {
                    self.secrets.push(secret);
                    format!("__s{secret}")
                }
            });
        }
        if parts.len() == 1 { parts.concat() } else { format!("__cat({})", parts.join(", ")) }
    }

    fn known(&self, name: &str, span: Span) -> Result<(), Complaint> {
        if self.names.contains(&name) {
            return Ok(());
        }
        let hint = match name {
            "null" | "nil" | "NULL" | "undefined" => "write `none`".to_owned(),
            "TRUE" | "FALSE" => format!("write `{}`", name.to_ascii_lowercase()),
            "loop" => "`loop` is known inside `{% for %}` only".to_owned(),
            _ if self.names.is_empty() => "there are no names here; write text in quotes".to_owned(),
            _ => nearest("names", name, self.names),
        };
        Err(self.complain(&format!("there is no `{name}` here"), &hint, span))
    }

    pub(super) fn complain(&self, problem: &str, hint: &str, span: Span) -> Complaint {
        Complaint {
            problem: format!("{problem} in `{}`", self.source.excerpt()),
            hint: Some(hint.to_owned()),
            span: Some(self.source.span(span.start_offset as usize..span.end_offset as usize)),
        }
    }
}

fn as_mode(text: &str, mode: Mode) -> String {
    if mode == Mode::Keep { text.to_owned() } else { format!("__num({text})") }
}

/// The operands of a chain such as `a ~ b ~ c`, which minijinja nests to the left.
fn chain_of<'e, 's>(expr: &'e Expr<'s>) -> Vec<&'e Expr<'s>> {
    let Expr::BinOp(last) = expr else { return vec![expr] };
    let (mut parts, mut left) = (vec![&last.right], &last.left);
    while let Expr::BinOp(more) = left
        && std::mem::discriminant(&more.op) == std::mem::discriminant(&last.op)
        && !matches!(last.op, BinOpKind::Pow)
    {
        parts.push(&more.right);
        left = &more.left;
    }
    parts.push(left);
    parts.reverse();
    parts
}

/// A hint that names the nearest known word, and the others when there are few.
pub(super) fn nearest(what: &str, word: &str, known: &[&str]) -> String {
    let likeness = |other: &&&str| (strsim::jaro_winkler(word, other) * 1000.0) as u32;
    let best = known.iter().max_by_key(likeness).filter(|best| likeness(best) >= 750);
    let list = if known.len() <= 12 { format!("the {what} are {}", known.join(", ")) } else { String::new() };
    match best {
        Some(best) if list.is_empty() => format!("did you mean `{best}`?"),
        Some(best) => format!("did you mean `{best}`? {list}"),
        None if list.is_empty() => format!("the {what} are {}", known.join(", ")),
        None => list,
    }
}
