//! One attempt at length: how long each phase took, and which headers were sent.
//!
//! What came back is not here; that stands with the attempt in its table.

use std::io;

use crate::cli::table::Screen;
use crate::core::view::{AttemptView, TimingView};

/// Prints an attempt's phases and headers, where any are kept.
///
/// # Errors
///
/// Nobody reads any more.
pub(super) fn show(attempt: &AttemptView, screen: &mut Screen<'_>) -> io::Result<()> {
    if attempt.timing.is_none() && attempt.request_headers.is_empty() {
        return Ok(());
    }
    screen.line("")?;
    screen.line(&format!("attempt {} to {}", attempt.number, attempt.sink))?;
    if let Some(timing) = &attempt.timing {
        screen.line(&format!("  {}", spell(timing)))?;
    }
    attempt.request_headers.iter().try_for_each(|(name, value)| screen.line(&format!("  {name}: {value}")))
}

/// The phases there were, as in `dns 1.2 ms, connect 0.3 ms, first byte 12 ms, total 13 ms`.
pub(super) fn spell(timing: &TimingView) -> String {
    let phases = [
        ("dns", timing.dns_ms),
        ("connect", timing.connect_ms),
        ("tls", timing.tls_ms),
        ("first byte", timing.first_byte_ms),
        ("total", Some(timing.total_ms)),
    ];
    let spelled: Vec<String> =
        phases.iter().filter_map(|(name, took)| Some(format!("{name} {} ms", round((*took)?)))).collect();
    spelled.join(", ")
}

/// One digit after the point below ten, none above.
fn round(millis: f64) -> String {
    if millis < 10.0 { format!("{millis:.1}") } else { format!("{millis:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::time::Timestamp;

    #[test]
    fn an_attempt_is_shown_with_its_phases_and_headers() {
        let timing = TimingView {
            dns_ms: Some(1.234),
            connect_ms: Some(0.04),
            tls_ms: None,
            first_byte_ms: Some(120.4),
            total_ms: 121.7,
        };
        let attempt = AttemptView {
            delivery: 1,
            sink: "crm".to_owned(),
            number: 2,
            at: Timestamp(0),
            took_ms: 121,
            status: Some(200),
            reason: None,
            answer: None,
            timing: Some(timing),
            request_headers: [("authorization".to_owned(), "Bearer ***".to_owned())].into(),
        };
        let mut out = Vec::new();
        show(&attempt, &mut Screen::plain(&mut out)).unwrap();
        let expected = "
attempt 2 to crm
  dns 1.2 ms, connect 0.0 ms, first byte 120 ms, total 122 ms
  authorization: Bearer ***
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
