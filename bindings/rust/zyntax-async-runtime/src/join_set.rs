// SPDX-License-Identifier: Apache-2.0
//! A set of tasks whose results come in the order of their ends.

use std::collections::VecDeque;
use std::fmt;
use std::future::{poll_fn, Future};
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::{AbortHandle, BlockingHandle, JoinError, JoinHandle};

/// What the set and the wakers of its tasks share.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The places of the tasks that have ended, in that order.
    ended: VecDeque<usize>,
    waiting: Option<Waker>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Called when a task has ended.
struct Ended {
    shared: Arc<Shared>,
    place: usize,
}

impl Wake for Ended {
    fn wake(self: Arc<Self>) {
        let waiting = {
            let mut state = self.shared.lock();
            state.ended.push_back(self.place);
            state.waiting.take()
        };
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

enum Handle<T> {
    Task(JoinHandle<T>),
    Blocking(BlockingHandle<T>),
}

impl<T> Handle<T> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, JoinError>> {
        match self {
            Handle::Task(handle) => Pin::new(handle).poll(cx),
            Handle::Blocking(handle) => Pin::new(handle).poll(cx),
        }
    }

    fn abort_handle(&self) -> AbortHandle {
        match self {
            Handle::Task(handle) => handle.abort_handle(),
            Handle::Blocking(handle) => handle.abort_handle(),
        }
    }

    fn is_finished(&self) -> bool {
        match self {
            Handle::Task(handle) => handle.is_finished(),
            Handle::Blocking(handle) => handle.is_finished(),
        }
    }
}

struct Member<T> {
    handle: Handle<T>,
    waker: Waker,
}

/// A set of tasks with results of one type, as Tokio's type of this name. Results come in the order in which the tasks
/// end. Dropping the set aborts its tasks.
///
/// ```
/// use zyntax_async_runtime::{yield_now, JoinSet, Runtime};
///
/// Runtime::new()?.block_on(async {
///     let mut set = JoinSet::new();
///     for i in 0..10 {
///         set.spawn(async move {
///             yield_now().await;
///             i
///         });
///     }
///     let mut sum = 0;
///     while let Some(result) = set.join_next().await {
///         sum += result.unwrap();
///     }
///     assert_eq!(sum, 45);
/// })?;
/// # Ok::<(), zyntax_async_runtime::Error>(())
/// ```
///
/// ```compile_fail,E0277
/// fn sent<T: Send>() {}
/// sent::<zyntax_async_runtime::JoinSet<()>>();
/// ```
pub struct JoinSet<T> {
    members: Vec<Option<Member<T>>>,
    free: Vec<usize>,
    shared: Arc<Shared>,
}

impl<T> JoinSet<T> {
    /// A set without tasks.
    pub fn new() -> JoinSet<T> {
        JoinSet { members: Vec::new(), free: Vec::new(), shared: Arc::default() }
    }

    /// The number of tasks whose result was not taken.
    pub fn len(&self) -> usize {
        self.members.len() - self.free.len()
    }

    /// Whether there is no task whose result was not taken.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Starts a task on the current runtime. Its future need not be `Send`.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    pub fn spawn<F: Future<Output = T> + 'static>(&mut self, future: F) -> AbortHandle {
        self.insert(Handle::Task(crate::spawn(future)))
    }

    /// As [`crate::spawn_blocking`]. Aborting work that runs discards its result.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    pub fn spawn_blocking<F>(&mut self, work: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.insert(Handle::Blocking(crate::spawn_blocking(work)))
    }

    fn insert(&mut self, mut handle: Handle<T>) -> AbortHandle {
        let place = self.free.pop().unwrap_or_else(|| {
            self.members.push(None);
            self.members.len() - 1
        });
        let waker = Waker::from(Arc::new(Ended { shared: self.shared.clone(), place }));
        let abort = handle.abort_handle();
        // Of a task that is not running the handle is ready, and nothing calls the waker.
        if handle.is_finished() {
            self.shared.lock().ended.push_back(place);
        } else {
            let _pending = handle.poll(&mut Context::from_waker(&waker));
        }
        self.members[place] = Some(Member { handle, waker });
        abort
    }

    /// The result of the next task that ends; `None` when the set is empty. Dropping the future loses no result.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        poll_fn(|cx| self.poll_join_next(cx)).await
    }

    /// The result of a task that has ended; `None` if there is none now.
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        loop {
            let place = self.shared.lock().ended.pop_front()?;
            let Some(member) = self.members.get_mut(place).and_then(Option::as_mut) else { continue };
            if let Poll::Ready(result) = member.handle.poll(&mut Context::from_waker(&member.waker)) {
                self.members[place] = None;
                self.free.push(place);
                return Some(result);
            }
        }
    }

    /// As [`JoinSet::join_next`]. If no task has ended, the caller of the last call is woken when one does.
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        if let Some(result) = self.try_join_next() {
            return Poll::Ready(Some(result));
        }
        if self.is_empty() {
            return Poll::Ready(None);
        }
        // A waker's clone and drop are user code: not while the state is locked.
        let waker = cx.waker().clone();
        let old = self.shared.lock().waiting.replace(waker);
        drop(old);
        // It may have ended a task.
        self.try_join_next().map_or(Poll::Pending, |result| Poll::Ready(Some(result)))
    }

    /// The values of all tasks, in the order in which they end.
    ///
    /// # Panics
    /// When a task panicked, with its panic, or was aborted. The tasks that are left are aborted.
    pub async fn join_all(mut self) -> Vec<T> {
        let mut values = Vec::with_capacity(self.len());
        while let Some(result) = self.join_next().await {
            values.push(result.unwrap_or_else(|error| error.resume()));
        }
        values
    }

    /// Aborts all tasks; their results are still there to be taken.
    pub fn abort_all(&mut self) {
        for member in self.members.iter().flatten() {
            member.handle.abort_handle().abort();
        }
    }

    /// Aborts all tasks and waits for their ends.
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while self.join_next().await.is_some() {}
    }

    /// Removes all tasks, which continue.
    pub fn detach_all(&mut self) {
        self.shared = Arc::default();
        self.free.clear();
        let members = mem::take(&mut self.members);
        drop(members);
    }
}

impl<T> Default for JoinSet<T> {
    fn default() -> JoinSet<T> {
        JoinSet::new()
    }
}

impl<T, F: Future<Output = T> + 'static> FromIterator<F> for JoinSet<T> {
    /// Starts a task for each future.
    fn from_iter<I: IntoIterator<Item = F>>(futures: I) -> JoinSet<T> {
        let mut set = JoinSet::new();
        for future in futures {
            set.spawn(future);
        }
        set
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.abort_all();
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet").field("len", &self.len()).finish()
    }
}
