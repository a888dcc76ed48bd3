//! Questions to a person at a terminal, each with an answer that Enter gives.
//!
//! Whether there is a person is decided by whoever asks.

use std::io::{self, BufRead as _, Write as _};

use super::Stop;
use crate::cli::{FAILED, say};

/// Asks, and takes Enter for `default`.
pub(super) fn once(question: &str, default: &str) -> Result<String, Stop> {
    let mut out = io::stderr().lock();
    // When nobody can be asked, reading says so.
    let _ = write!(out, "{question} [{default}] ");
    let _ = out.flush();
    let mut line = String::new();
    match io::stdin().lock().read_line(&mut line) {
        Ok(0) | Err(_) => Err(Stop { code: FAILED, said: Some(("nothing was written".to_owned(), None)) }),
        Ok(_) if line.trim().is_empty() => Ok(default.to_owned()),
        Ok(_) => Ok(line.trim().to_owned()),
    }
}

/// Asks until the answer will do.
pub(super) fn until(question: &str, default: &str, check: impl Fn(&str) -> Result<(), Stop>) -> Result<String, Stop> {
    loop {
        let answer = once(question, default)?;
        match check(&answer) {
            Ok(()) => return Ok(answer),
            Err(stop) => {
                if let Some((problem, _)) = stop.said {
                    say::problem(&problem, None);
                }
            }
        }
    }
}
