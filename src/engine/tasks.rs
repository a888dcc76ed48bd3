//! The only place where work is set going beside other work, so that all of it has an owner and an end.
//!
//! It holds no queue: whoever spawns has taken a permit first.

use std::future::Future;

use tokio_util::task::TaskTracker;

/// Where work runs.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
}

/// From how many bytes on, reading a body is put where it can't hold up other work.
pub const HEAVY_BYTES: usize = 64 * 1024;

impl Tasks {
    /// Runs `work` beside everything else until it ends. It is boxed, for a runtime moves what it is given several times,
    /// and a poll's future is large.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(Box::pin(work));
    }

    /// Runs a computation over `bytes` bytes: at once when it is light, else on a thread for such work.
    pub async fn compute<T: Send + 'static>(&self, bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
        if bytes < HEAVY_BYTES {
            return work();
        }
        match self.tracker.spawn_blocking(work).await {
            Ok(value) => value,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is going down: this task goes with it.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Ends when all that was spawned has ended. Nothing more should be spawned by then.
    pub async fn wait(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}
