//! Text that must not be shown, and text of which a part must not be.
//!
//! Neither type can be printed with what it hides: `Debug` and `Display` show `***`.

use std::fmt;
use std::sync::Arc;

/// A value that came from the environment, a file or a systemd credential. Never printed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Takes a value in.
    pub fn new(value: &str) -> Self {
        Self(Arc::from(value))
    }

    /// The value itself, for the one place that sends or signs with it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Text in two spellings: as it is sent, and as it may be shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Masked {
    plain: String,
    /// Only where it differs: most texts hide nothing.
    shown: Option<String>,
}

impl Masked {
    /// Text with nothing to hide.
    pub fn open(text: impl Into<String>) -> Self {
        Self { plain: text.into(), shown: None }
    }

    /// Text that holds secrets: `plain` is sent, `shown` (each secret as `***`) may be printed.
    pub fn new(plain: String, shown: String) -> Self {
        Self { shown: (shown != plain).then_some(shown), plain }
    }

    /// The text with its secrets, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.plain
    }

    /// The text as it may be shown.
    pub fn shown(&self) -> &str {
        self.shown.as_deref().unwrap_or(&self.plain)
    }

    /// True when the text holds a secret.
    pub fn hides(&self) -> bool {
        self.shown.is_some()
    }
}

impl fmt::Debug for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.shown())
    }
}

impl fmt::Display for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown())
    }
}
