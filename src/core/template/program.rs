//! A compiled expression or template block, and its evaluation within limits.
//!
//! Programs that do the same with different paths, texts and numbers share their code, so that a hundred thousand jobs with one condition
//! hold it once. What they refer to is asked of the document at each evaluation; nothing is remembered.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind, Expression};

use super::engine::ENGINE;
use super::lower::{Lower, Slot};
use super::source::excerpt;
use super::value::{computed, from_json};
use super::{Names, OUTPUT_MAX, Side};
use crate::core::secret::Secret;

/// Code that all programs share that do the same.
static SHARED: LazyLock<Mutex<HashMap<String, Weak<Code>>>> = LazyLock::new(Mutex::default);

/// The name of a template in its environment; it has no other.
const NAME: &str = "template";

/// What minijinja compiled.
enum Code {
    Expression(Expression<'static, 'static>),
    Block(Environment<'static>),
}

/// A compiled expression or template block.
#[derive(Clone)]
pub(super) struct Program {
    code: Arc<Code>,
    slots: Arc<[Slot]>,
    constants: Arc<[Value]>,
    secrets: Box<[(usize, Secret)]>,
    /// As written, for errors.
    written: Box<str>,
    /// What its expressions yield is percent-encoded already.
    pub(super) encoded: bool,
}

impl Program {
    /// Compiles a lowered expression.
    pub(super) fn expression(lower: &Lower<'_>, lowered: &str, written: &str) -> Result<Self, Error> {
        let compile = || ENGINE.compile_expression_owned(lowered.to_owned()).map(Code::Expression);
        Ok(Self::new(lower, shared(format!("e{lowered}"), compile)?, written, false))
    }

    /// Compiles a lowered template.
    pub(super) fn block(lower: &Lower<'_>, lowered: &str, written: &str, encoded: bool) -> Result<Self, Error> {
        let compile = || {
            let mut engine = ENGINE.clone();
            engine.add_template_owned(NAME, lowered.to_owned())?;
            Ok(Code::Block(engine))
        };
        Ok(Self::new(lower, shared(format!("b{lowered}"), compile)?, written, encoded))
    }

    fn new(lower: &Lower<'_>, code: Arc<Code>, written: &str, encoded: bool) -> Self {
        let mut secrets: Vec<usize> = lower.secrets.clone();
        secrets.sort_unstable();
        secrets.dedup();
        let secrets = secrets.into_iter().map(|at| (at, lower.source.secrets[at].0.clone())).collect();
        let (slots, constants) = (lower.slots.as_slice().into(), lower.constants.as_slice().into());
        Self { code, slots, constants, secrets, written: excerpt(written).into(), encoded }
    }

    /// Does a secret stand in it?
    pub(super) fn hides(&self) -> bool {
        !self.secrets.is_empty()
    }

    /// Do both run the same code?
    #[cfg(test)]
    pub(super) fn shares_code_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.code, &other.code)
    }

    /// Evaluates; the error is a sentence. A block yields a text.
    pub(super) fn run(&self, names: &Names<'_>, side: Side) -> Result<Value, String> {
        let context = self.context(names, side);
        let result = match &*self.code {
            Code::Expression(expression) => expression.eval(context),
            Code::Block(engine) => render(engine, context).map(Value::from),
        };
        result.map_err(|error| self.sentence(&error))
    }

    fn context(&self, names: &Names<'_>, side: Side) -> Value {
        let mut context: BTreeMap<Arc<str>, Value> = BTreeMap::new();
        for (at, slot) in self.slots.iter().enumerate() {
            let value = from_json(slot.place.find(names));
            context.insert(format!("__d{at}").into(), if slot.keep { value } else { computed(value) });
        }
        for (at, constant) in self.constants.iter().enumerate() {
            context.insert(format!("__c{at}").into(), constant.clone());
        }
        for (at, secret) in &self.secrets {
            let text = if side == Side::Sent { secret.expose() } else { "***" };
            context.insert(format!("__s{at}").into(), Value::from(text));
        }
        Value::from_object(context)
    }

    fn sentence(&self, error: &Error) -> String {
        let mut reason = match error.kind() {
            ErrorKind::OutOfFuel => "it takes too many steps".to_owned(),
            ErrorKind::WriteFailure => "the result is larger than 4 MiB".to_owned(),
            kind => error.detail().map_or_else(|| kind.to_string(), str::to_owned),
        };
        for (_, secret) in self.secrets.iter().filter(|(_, secret)| !secret.expose().is_empty()) {
            reason = reason.replace(secret.expose(), "***");
        }
        format!("`{}` failed: {reason}", self.written)
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Program({})", self.written)
    }
}

/// The code for `key` that a living program has, or else what `compile` makes.
fn shared(key: String, compile: impl FnOnce() -> Result<Code, Error>) -> Result<Arc<Code>, Error> {
    let mut codes = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(code) = codes.get(&key).and_then(Weak::upgrade) {
        return Ok(code);
    }
    if codes.len() == codes.capacity() {
        codes.retain(|_, code| code.strong_count() > 0);
    }
    let code = Arc::new(compile()?);
    codes.insert(key, Arc::downgrade(&code));
    Ok(code)
}

fn render(engine: &Environment<'static>, context: Value) -> Result<String, Error> {
    let mut output = Bounded(Vec::new());
    engine.get_template(NAME)?.render_captured_to(context, &mut output)?;
    Ok(String::from_utf8_lossy(&output.0).into_owned())
}

/// Output up to a limit.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > OUTPUT_MAX {
            return Err(io::Error::other("too large"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
