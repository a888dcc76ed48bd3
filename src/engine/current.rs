//! The config in force: one place, which a reload fills anew and everybody else only reads.
//!
//! A poll or an attempt that has begun keeps the job or the sink that it began with.

use std::sync::{Arc, PoisonError, RwLock};

use crate::core::config::Config;

/// The config in force. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(super) struct Current(Arc<RwLock<Arc<Config>>>);

impl Current {
    pub(super) fn new(config: Arc<Config>) -> Self {
        Self(Arc::new(RwLock::new(config)))
    }

    pub(super) fn get(&self) -> Arc<Config> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, config: Arc<Config>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = config;
    }
}
