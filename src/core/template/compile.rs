//! From a source to the pieces of a text, or to a complaint.
//!
//! Nothing here renders.

use minijinja::Error;
use minijinja::machinery::ast::{Expr, Stmt};
use minijinja::machinery::{Token, parse, parse_expr, tokenize};
use minijinja::syntax::SyntaxConfig;

use super::lower::{Lower, Mode};
use super::place::Place;
use super::program::Program;
use super::source::Source;
use crate::core::path::Complaint;
use crate::core::secret::Secret;

/// Words and signs that one `{{ }}` or `{% %}` may hold. What nests without brackets nests no deeper.
const TOKENS_MAX: usize = 1000;

/// A piece of a text.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// As written.
    Raw(Box<str>),
    /// Put in as it is.
    Secret(Secret),
    /// What is at a place of the document, in its own spelling.
    Place(Place),
    /// What is computed.
    Program(Program),
}

impl Piece {
    pub(super) fn is_constant(&self) -> bool {
        matches!(self, Self::Raw(_) | Self::Secret(_))
    }

    /// Does a secret stand in it?
    pub(super) fn hides(&self) -> bool {
        match self {
            Self::Secret(_) => true,
            Self::Program(program) => program.hides(),
            Self::Raw(_) | Self::Place(_) => false,
        }
    }
}

/// The pieces of a text, and whether they are one whole expression.
pub(super) fn pieces(source: &Source, names: &[&str], url: bool) -> Result<(Vec<Piece>, bool), Complaint> {
    let text = &source.text;
    if !text.contains("{{") && !text.contains("{%") {
        return Ok((raw(source, text), false));
    }
    let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build().unwrap_or_default();
    count_tokens(source, false, &syntax)?;
    let parsed = parse(text, "template", syntax).map_err(|error| syntax_error(source, &error))?;
    let Stmt::Template(template) = &parsed else { return Ok((raw(source, text), false)) };
    let stmts = &template.children;
    let leading = stmts.iter().take_while(|stmt| matches!(stmt, Stmt::EmitRaw(_))).count();
    if stmts.iter().all(|stmt| matches!(stmt, Stmt::EmitRaw(_) | Stmt::EmitExpr(_))) {
        let mut pieces = Vec::new();
        for stmt in stmts {
            pieces.extend(piece(source, names, stmt)?);
        }
        return Ok((pieces, matches!(stmts.as_slice(), [Stmt::EmitExpr(_)])));
    }
    let mut pieces = Vec::new();
    for stmt in &stmts[..leading] {
        pieces.extend(piece(source, names, stmt)?);
    }
    let mut lower = Lower::new(source, names);
    let lowered = lower.block(&stmts[leading..], url, 0)?;
    let program =
        Program::block(&lower, &lowered, &source.written(), url).map_err(|error| own_error(source, &error))?;
    pieces.push(Piece::Program(program));
    Ok((pieces, false))
}

/// A bare expression.
pub(super) fn condition(source: &Source, names: &[&str]) -> Result<Piece, Complaint> {
    count_tokens(source, true, &SyntaxConfig::default())?;
    let parsed = parse_expr(&source.text).map_err(|error| syntax_error(source, &error))?;
    expression(source, names, &parsed, &source.written())
}

fn piece(source: &Source, names: &[&str], stmt: &Stmt<'_>) -> Result<Vec<Piece>, Complaint> {
    match stmt {
        Stmt::EmitRaw(text) => Ok(raw(source, text.raw)),
        Stmt::EmitExpr(emit) => {
            let span = emit.expr.span();
            let part = source.text.get(span.start_offset as usize..span.end_offset as usize);
            let written = part.map_or_else(|| source.written(), |part| source.show(part));
            expression(source, names, &emit.expr, &written).map(|piece| vec![piece])
        }
        _ => Ok(Vec::new()),
    }
}

fn raw(source: &Source, text: &str) -> Vec<Piece> {
    let piece = |piece: Result<&str, usize>| match piece {
        Ok(text) => Piece::Raw(text.into()),
        Err(secret) => Piece::Secret(source.secrets[secret].0.clone()),
    };
    source.split(text).into_iter().map(piece).collect()
}

fn expression(source: &Source, names: &[&str], expr: &Expr<'_>, written: &str) -> Result<Piece, Complaint> {
    let mut lower = Lower::new(source, names);
    if let Some(place) = lower.place(expr)? {
        return Ok(Piece::Place(place));
    }
    let lowered = lower.expr(expr, Mode::Keep)?;
    let program = Program::expression(&lower, &lowered, written).map_err(|error| own_error(source, &error))?;
    Ok(Piece::Program(program))
}

fn count_tokens(source: &Source, bare: bool, syntax: &SyntaxConfig) -> Result<(), Complaint> {
    let mut count = 0;
    for token in tokenize(&source.text, bare, syntax.clone()) {
        // What the lexer can't read, the parser complains about.
        let Ok((token, _)) = token else { return Ok(()) };
        count = if matches!(token, Token::VariableStart | Token::BlockStart) { 0 } else { count + 1 };
        if count > TOKENS_MAX {
            return Err(Complaint {
                problem: format!("`{}` holds more than {TOKENS_MAX} words and signs", source.excerpt()),
                hint: Some("split it up".to_owned()),
                span: None,
            });
        }
    }
    Ok(())
}

/// A complaint about what the user wrote.
fn syntax_error(source: &Source, error: &Error) -> Complaint {
    let text = &source.text;
    let reason = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    let has = |sign: &str| text.contains(sign);
    let hint = if has("&&") {
        "write `and` for `&&`"
    } else if has("||") {
        "write `or` for `||`"
    } else if has("===") || has("!==") {
        "write `==` or `!=`"
    } else if reason.contains("`=`") {
        "write `==` to compare"
    } else if reason.contains("end of variable block")
        || reason.contains("end of block")
        || reason.contains("end of input")
    {
        "close what is open: quotes, brackets, `}}`, `{% endif %}`, `{% endfor %}`"
    } else if source.secrets.is_empty() {
        "write an expression as Jinja has it, as in `after.status == 'paid'`; `{% raw %}` keeps braces as they are"
    } else {
        "write an expression as Jinja has it; a secret may stand in the text, or in quotes inside an expression"
    };
    let span = error.range().filter(|range| range.end <= text.len()).map(|range| source.span(range));
    let reason = source.show(&reason);
    Complaint { problem: format!("`{}` can't be read: {reason}", source.excerpt()), hint: Some(hint.to_owned()), span }
}

/// A complaint about what we made of it.
fn own_error(source: &Source, error: &Error) -> Complaint {
    let reason = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    Complaint {
        problem: format!("`{}` can't be compiled: {reason}", source.excerpt()),
        hint: Some("write it in a simpler way".to_owned()),
        span: None,
    }
}
