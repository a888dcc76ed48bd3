//! How a vendor is spared: what the config allows, and what is left of it.
//!
//! Pure: it is told what time it is. Who waits, and how, is the engine's business.

use crate::core::names::{JobName, VendorName};
use crate::core::units::Rate;

mod allowance;
mod pacer;
mod signs;

pub use allowance::{Allowance, Spent};
pub use pacer::{Kept, Pacer, Parts, Ready, Why};
pub use signs::{Sign, Signs, compile as compile_sign};

/// What the config allows of a vendor, or of a job for itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Courtesy {
    /// Requests in a short time.
    pub rate: Option<Rate>,
    /// Requests in a window, never exceeded.
    pub budget: Option<Rate>,
    /// Requests in flight.
    pub concurrency: Option<u32>,
}

/// A vendor of the config, as far as its jobs share it.
#[derive(Clone, Debug)]
pub struct Vendor {
    /// Its table's name.
    pub name: VendorName,
    /// What it allows.
    pub courtesy: Courtesy,
}

/// Whose requests are counted together: those of a vendor's jobs, or of one job by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// All jobs of a vendor.
    Vendor(VendorName),
    /// One job.
    Job(JobName),
}

impl Owner {
    /// `vendor` or `job`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Vendor(_) => "vendor",
            Self::Job(_) => "job",
        }
    }

    /// The name in the config.
    pub fn name(&self) -> &str {
        match self {
            Self::Vendor(name) => name.as_str(),
            Self::Job(name) => name.as_str(),
        }
    }

    /// The owner of a kind and a name; `None` for a kind that is none.
    pub fn of(kind: &str, name: &str) -> Option<Self> {
        match kind {
            "vendor" => Some(Self::Vendor(VendorName::from(name))),
            "job" => Some(Self::Job(JobName::from(name))),
            _ => None,
        }
    }
}

/// As in ``vendor `shop` ``.
impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} `{}`", self.kind(), self.name())
    }
}
