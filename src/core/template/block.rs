//! Writes the statements of a template anew: `if`, `for`, `set` and `with`, and the text between them.
//!
//! Everything else that Jinja has (macros, blocks, includes, autoescape) has no place in a config and is refused.

use minijinja::machinery::Span;
use minijinja::machinery::ast::{Expr, ForLoop, Stmt};

use super::lower::{Local, Lower, Mode};
use crate::core::path::Complaint;

/// How deeply statements may nest.
const DEPTH: usize = 20;

impl<'s> Lower<'s> {
    /// Writes statements anew. With `url`, what an expression yields is percent-encoded.
    pub(super) fn block(&mut self, stmts: &[Stmt<'s>], url: bool, depth: usize) -> Result<String, Complaint> {
        let mut text = String::new();
        for stmt in stmts {
            if depth > DEPTH {
                return Err(self.complain("the template is nested too deeply", "split it up", span_of(stmt)));
            }
            text.push_str(&self.stmt(stmt, url, depth)?);
        }
        Ok(text)
    }

    fn stmt(&mut self, stmt: &Stmt<'s>, url: bool, depth: usize) -> Result<String, Complaint> {
        match stmt {
            Stmt::EmitRaw(raw) => Ok(format!("{{{{ {} }}}}", self.text(raw.raw))),
            Stmt::EmitExpr(emit) => {
                let put_out = if url { "__enc" } else { "__out" };
                Ok(format!("{{{{ {put_out}({}) }}}}", self.expr(&emit.expr, Mode::Keep)?))
            }
            Stmt::IfCond(choice) => {
                let test = self.expr(&choice.expr, Mode::Compute)?;
                let yes = self.block(&choice.true_body, url, depth + 1)?;
                let no = self.block(&choice.false_body, url, depth + 1)?;
                Ok(format!("{{% if {test} %}}{yes}{{% else %}}{no}{{% endif %}}"))
            }
            Stmt::ForLoop(each) => self.each(each, each.span(), url, depth),
            Stmt::Set(set) => {
                let value = self.expr(&set.expr, Mode::Keep)?;
                let name = self.target(&set.target, true)?;
                Ok(format!("{{% set {name} = {value} %}}"))
            }
            Stmt::SetBlock(set) if set.filter.is_none() => {
                let body = self.scoped(|lower| lower.block(&set.body, url, depth + 1))?;
                let name = self.target(&set.target, false)?;
                Ok(format!("{{% set {name} %}}{body}{{% endset %}}"))
            }
            Stmt::WithBlock(with) => self.scoped(|lower| {
                let mut assignments = Vec::new();
                for (target, value) in &with.assignments {
                    let value = lower.expr(value, Mode::Keep)?;
                    assignments.push(format!("{} = {value}", lower.target(target, true)?));
                }
                let body = lower.block(&with.body, url, depth + 1)?;
                Ok(format!("{{% with {} %}}{body}{{% endwith %}}", assignments.join(", ")))
            }),
            Stmt::Continue(_) => Ok("{% continue %}".to_owned()),
            Stmt::Break(_) => Ok("{% break %}".to_owned()),
            other => Err(self.complain(
                &format!("{} has no place", what(other)),
                "there are `if`, `for`, `set` and `with`",
                span_of(other),
            )),
        }
    }

    fn each(&mut self, each: &ForLoop<'s>, span: Span, url: bool, depth: usize) -> Result<String, Complaint> {
        if each.recursive {
            return Err(self.complain("a recursive loop has no place", "write one loop inside another", span));
        }
        let over = self.expr(&each.iter, Mode::Compute)?;
        let (target, filter, body) = self.scoped(|lower| {
            let single = matches!(each.target, Expr::Var(_));
            let target = lower.target(&each.target, single)?;
            let filter = match &each.filter_expr {
                Some(filter) => format!(" if {}", lower.expr(filter, Mode::Compute)?),
                None => String::new(),
            };
            lower.name("loop", false);
            Ok((target, filter, lower.block(&each.body, url, depth + 1)?))
        })?;
        let otherwise = self.block(&each.else_body, url, depth + 1)?;
        Ok(format!("{{% for {target} in __each({over}){filter} %}}{body}{{% else %}}{otherwise}{{% endfor %}}"))
    }

    /// The name, or names, that a statement sets.
    fn target(&mut self, target: &Expr<'s>, raw: bool) -> Result<String, Complaint> {
        let items = match target {
            Expr::Var(var) if var.id.starts_with("__") || var.id == "loop" => {
                let problem = format!("`{}` can't be set", var.id);
                return Err(self.complain(&problem, "choose another name", var.span()));
            }
            Expr::Var(var) => {
                self.name(var.id, raw);
                return Ok(var.id.to_owned());
            }
            Expr::List(list) => &list.items,
            Expr::Tuple(tuple) => &tuple.items,
            other => return Err(self.complain("only a name can be set", "write one name", other.span())),
        };
        let names: Result<Vec<String>, Complaint> = items.iter().map(|item| self.target(item, raw)).collect();
        Ok(format!("({})", names?.join(", ")))
    }

    fn name(&mut self, name: &'s str, raw: bool) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.push(Local { name, raw });
        }
    }

    fn scoped<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Complaint>) -> Result<T, Complaint> {
        self.scopes.push(Vec::new());
        let result = work(self);
        self.scopes.pop();
        result
    }
}

fn what(stmt: &Stmt<'_>) -> &'static str {
    match stmt {
        Stmt::AutoEscape(_) => "`autoescape`",
        Stmt::FilterBlock(_) => "`filter`",
        Stmt::Block(_) => "`block`",
        Stmt::Import(_) | Stmt::FromImport(_) => "`import`",
        Stmt::Extends(_) => "`extends`",
        Stmt::Include(_) => "`include`",
        Stmt::Macro(_) => "`macro`",
        Stmt::CallBlock(_) => "`call`",
        Stmt::Do(_) => "`do`",
        _ => "this statement",
    }
}

fn span_of(stmt: &Stmt<'_>) -> Span {
    match stmt {
        Stmt::Template(node) => node.span(),
        Stmt::EmitExpr(node) => node.span(),
        Stmt::EmitRaw(node) => node.span(),
        Stmt::ForLoop(node) => node.span(),
        Stmt::IfCond(node) => node.span(),
        Stmt::WithBlock(node) => node.span(),
        Stmt::Set(node) => node.span(),
        Stmt::SetBlock(node) => node.span(),
        Stmt::AutoEscape(node) => node.span(),
        Stmt::FilterBlock(node) => node.span(),
        Stmt::Block(node) => node.span(),
        Stmt::Import(node) => node.span(),
        Stmt::FromImport(node) => node.span(),
        Stmt::Extends(node) => node.span(),
        Stmt::Include(node) => node.span(),
        Stmt::Macro(node) => node.span(),
        Stmt::CallBlock(node) => node.span(),
        Stmt::Continue(node) => node.span(),
        Stmt::Break(node) => node.span(),
        Stmt::Do(node) => node.span(),
    }
}
