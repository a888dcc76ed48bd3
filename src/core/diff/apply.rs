//! Applying a patch (RFC 6902): how a difference is checked before it is sent.
//!
//! Only the operations we write: no `move`, `copy` or `test`.

use super::PatchOp;
use crate::core::json::{Json, pointer_index, pointer_tokens};

/// Applies a patch to a document.
///
/// # Errors
/// The sentence says which path leads nowhere; the operations before it have been applied.
pub fn apply(document: &mut Json, patch: &[PatchOp]) -> Result<(), String> {
    for op in patch {
        one(document, op).ok_or_else(|| format!("the path `{}` of a patch leads nowhere", op.path()))?;
    }
    Ok(())
}

fn one(document: &mut Json, op: &PatchOp) -> Option<()> {
    let tokens = pointer_tokens(op.path())?;
    let Some((last, way)) = tokens.split_last() else {
        *document = match op {
            PatchOp::Add { value, .. } | PatchOp::Replace { value, .. } => value.clone(),
            PatchOp::Remove { .. } => Json::Null,
        };
        return Some(());
    };
    match way.iter().try_fold(document, |json, token| child(json, token))? {
        Json::Object(members) => member(members, last, op),
        Json::Array(elements) => element(elements, last, op),
        _ => None,
    }
}

fn child<'a>(json: &'a mut Json, token: &str) -> Option<&'a mut Json> {
    match json {
        Json::Object(members) => members.iter_mut().find(|(name, _)| name == token).map(|(_, value)| value),
        Json::Array(elements) => elements.get_mut(pointer_index(token)?),
        _ => None,
    }
}

fn member(members: &mut Vec<(String, Json)>, name: &str, op: &PatchOp) -> Option<()> {
    let at = members.iter().position(|(own, _)| own == name);
    match (op, at) {
        (PatchOp::Add { value, .. }, None) => members.push((name.to_owned(), value.clone())),
        (PatchOp::Add { value, .. } | PatchOp::Replace { value, .. }, Some(at)) => members[at].1 = value.clone(),
        (PatchOp::Remove { .. }, Some(at)) => drop(members.remove(at)),
        (PatchOp::Remove { .. } | PatchOp::Replace { .. }, None) => return None,
    }
    Some(())
}

fn element(elements: &mut Vec<Json>, token: &str, op: &PatchOp) -> Option<()> {
    let at = if token == "-" { elements.len() } else { pointer_index(token)? };
    match op {
        PatchOp::Add { value, .. } if at <= elements.len() => elements.insert(at, value.clone()),
        PatchOp::Replace { value, .. } => *elements.get_mut(at)? = value.clone(),
        PatchOp::Remove { .. } if at < elements.len() => drop(elements.remove(at)),
        PatchOp::Add { .. } | PatchOp::Remove { .. } => return None,
    }
    Some(())
}
