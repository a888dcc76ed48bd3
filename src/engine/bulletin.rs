//! What is told of a sink when it turns from one state into another: once, never again while it lasts.
//!
//! Every turn goes through [`tell`], so that whatever else shall hear of them has one place to listen at.

use crate::core::names::SinkName;
use crate::core::time::Timestamp;

/// A turn in the life of a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Its breaker has opened: only a probe goes from now on.
    Opened {
        /// How its last attempt failed.
        reason: String,
        /// Failed attempts in a row.
        failures: u32,
        /// When the first probe goes.
        probe_at: Timestamp,
    },
    /// Its breaker has closed: everything goes again.
    Recovered {
        /// Failed attempts in a row before the 2xx.
        failures: u32,
    },
    /// It is disabled: what waits is held until a person enables it.
    Disabled {
        /// Why.
        reason: String,
    },
    /// It was enabled again.
    Enabled,
    /// More waits for it than may: the jobs that feed it are paused.
    Full {
        /// What waits.
        reason: String,
    },
    /// Less waits again: the jobs that feed it go on.
    Relieved,
    /// More waited for it than may: the oldest were ended as dead.
    Dropped {
        /// How many since this was last told.
        count: u64,
        /// Why.
        reason: String,
    },
}

/// Says so in the log: ERROR where someone must act, WARN where it may come right by itself.
pub(super) fn tell(sink: &SinkName, turn: &Turn) {
    match turn {
        Turn::Opened { reason, failures, probe_at } => {
            tracing::warn!(%sink, reason, failures, %probe_at, "sink is failing; one delivery at a time tries it");
        }
        Turn::Recovered { failures } => tracing::info!(%sink, failures, "sink recovered"),
        Turn::Disabled { reason } => tracing::error!(%sink, reason, "sink disabled; what waits for it is held"),
        Turn::Enabled => tracing::info!(%sink, "sink enabled"),
        Turn::Full { reason } => {
            tracing::error!(%sink, reason, "backlog at its limit; the jobs that feed the sink are paused");
        }
        Turn::Relieved => tracing::info!(%sink, "backlog below its limit; the jobs that feed the sink go on"),
        Turn::Dropped { count, reason } => {
            tracing::error!(%sink, count, reason, "backlog at its limit; the oldest deliveries were dropped");
        }
    }
}
