//! Blocking work that is never started twice.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, watch};

/// Runs blocking jobs by key. While a job runs, whoever asks for the same key joins it.
///
/// A blocking job cannot be cancelled: whoever gives up waiting leaves its thread behind. Joining
/// it keeps that at one thread per key, and `limit` at so many threads in all.
pub(super) struct Joined<T> {
    running: Running<T>,
    threads: Arc<Semaphore>,
}

type Running<T> = Arc<Mutex<HashMap<String, watch::Receiver<Option<T>>>>>;

impl<T: Clone + Send + Sync + 'static> Joined<T> {
    /// No jobs yet, and never more than `limit` at once.
    pub(super) fn new(limit: usize) -> Self {
        Self { running: Arc::default(), threads: Arc::new(Semaphore::new(limit)) }
    }

    /// The result of `work`, or of the job with this key that is already running. `None` when the
    /// job ended without a result: it panicked, or its runtime was shut down.
    pub(super) async fn run(
        &self,
        key: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let already = lock(&self.running).get(key).cloned();
        let mut result = if let Some(result) = already {
            result
        } else {
            // Waited for here and not in the job, so that who gives up leaves the queue.
            let thread = Arc::clone(&self.threads).acquire_owned().await.ok()?;
            self.start(key, move || {
                let result = work();
                drop(thread);
                result
            })
        };
        result.wait_for(Option::is_some).await.ok()?.clone()
    }

    /// Starts the job, unless somebody else did while this caller waited for a thread.
    fn start(
        &self,
        key: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> watch::Receiver<Option<T>> {
        let mut running = lock(&self.running);
        if let Some(result) = running.get(key) {
            return result.clone();
        }
        let (sender, result) = watch::channel(None);
        running.insert(key.to_owned(), result.clone());
        let job =
            Job { key: key.to_owned(), running: Arc::clone(&self.running), sender: Some(sender) };
        tokio::task::spawn_blocking(move || {
            let value = work();
            job.publish(value);
        });
        result
    }
}

impl<T> fmt::Debug for Joined<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Joined")
            .field("running", &lock(&self.running).len())
            .finish_non_exhaustive()
    }
}

/// A job's place in the table: given up with its result, or without one, however its thread ends.
struct Job<T> {
    key: String,
    running: Running<T>,
    sender: Option<watch::Sender<Option<T>>>,
}

impl<T> Job<T> {
    fn publish(mut self, value: T) {
        if let Some(sender) = self.sender.take() {
            // In one step, so that who asks after the result is out starts anew.
            let mut running = lock(&self.running);
            running.remove(&self.key);
            sender.send_replace(Some(value));
        }
    }
}

impl<T> Drop for Job<T> {
    fn drop(&mut self) {
        if self.sender.is_some() {
            lock(&self.running).remove(&self.key);
        }
    }
}

/// No step under the lock can panic halfway, so a poisoned table is a whole one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn who_comes_while_a_job_runs_joins_it() {
        let jobs = Joined::new(64);
        let (finish, finished) = mpsc::channel();
        let first = jobs.run("a", move || finished.recv().unwrap());
        // The first caller gives up; its thread stays.
        assert!(timeout(Duration::from_millis(1), first).await.is_err());
        let second = jobs.run("a", || panic!("the first job still runs"));
        let other = jobs.run("b", || 2);
        assert_eq!(other.await, Some(2));
        let (result, ()) = tokio::join!(biased; second, async { finish.send(1).unwrap() });
        assert_eq!(result, Some(1));
        assert_eq!(jobs.run("a", || 3).await, Some(3));
    }

    #[tokio::test]
    async fn a_job_that_panics_is_no_result_and_no_hindrance() {
        let jobs = Joined::new(1);
        assert_eq!(jobs.run("a", || panic!("as intended")).await, None::<u8>);
        assert_eq!(jobs.run("a", || 1).await, Some(1));
    }

    #[tokio::test]
    async fn no_more_threads_than_allowed() {
        let jobs = Joined::new(1);
        let (finish, finished) = mpsc::channel();
        let first = jobs.run("a", move || finished.recv().unwrap());
        assert!(timeout(Duration::from_millis(1), first).await.is_err());
        let started = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&started);
        let waiting = jobs.run("b", move || counter.fetch_add(1, Ordering::SeqCst));
        assert!(timeout(Duration::from_millis(1), waiting).await.is_err());
        finish.send(0).unwrap();
        assert_eq!(jobs.run("c", || 7).await, Some(7));
        assert_eq!(started.load(Ordering::SeqCst), 0, "who gave up left the queue");
    }

    #[test]
    fn a_job_outlives_its_runtime_and_can_still_be_joined() {
        let runtime =
            || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let jobs = Joined::new(1);
        let (finish, finished) = mpsc::channel();
        let first = runtime();
        first.block_on(async {
            let job = jobs.run("a", move || finished.recv().unwrap());
            assert!(timeout(Duration::from_millis(1), job).await.is_err());
        });
        first.shutdown_background();
        let joined = jobs.run("a", || panic!("the first job still runs"));
        let (result, ()) = runtime()
            .block_on(async { tokio::join!(biased; joined, async { finish.send(1).unwrap() }) });
        assert_eq!(result, Some(1));
    }
}
