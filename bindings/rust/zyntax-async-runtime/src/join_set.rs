// SPDX-License-Identifier: Apache-2.0
//! A set of tasks whose results come in the order of their ends.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::{poll_fn, Future};
use std::mem;
use std::task::{Context, Poll, Waker};

use crate::blocking::spawn_blocking_in;
use crate::op::OpSlot;
use crate::runtime::{current, RawRuntime};
use crate::task::{spawn_in, spawn_on, Place};
use crate::{AbortHandle, BlockingHandle, Error, JoinError, JoinHandle, Scope, TaskId};

enum Handle<T> {
    Task(JoinHandle<T>),
    Blocking(BlockingHandle<T>),
}

impl<T> Handle<T> {
    fn id(&self) -> TaskId {
        match self {
            Handle::Task(handle) => handle.id(),
            Handle::Blocking(handle) => handle.id(),
        }
    }

    fn result(&mut self) -> Option<Result<T, JoinError>> {
        match self {
            Handle::Task(handle) => handle.result(),
            Handle::Blocking(handle) => handle.result(),
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

/// A set of tasks with results of one type, as Tokio's type of this name. Results come in the order in which the tasks
/// end. Dropping the set aborts its tasks. They belong to a [`Scope`].
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
    /// Of the runtime that has the tasks; made by the first spawn.
    scope: Option<Scope>,
    /// Tasks that the scope has not told.
    members: HashMap<TaskId, Handle<T>>,
    /// Tasks that were told, or never began.
    ended: VecDeque<Handle<T>>,
    /// The op of `poll_join_next`, and the waker of its last call that was pending.
    slot: OpSlot,
    waiting: Option<Waker>,
}

impl<T> JoinSet<T> {
    /// A set without tasks.
    pub fn new() -> JoinSet<T> {
        JoinSet { scope: None, members: HashMap::new(), ended: VecDeque::new(), slot: OpSlot::new(), waiting: None }
    }

    /// The number of tasks whose result was not taken.
    pub fn len(&self) -> usize {
        self.members.len() + self.ended.len()
    }

    /// Whether there is no task whose result was not taken.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Starts a task on the current runtime. Its future need not be `Send`.
    ///
    /// # Panics
    /// Outside of a runtime, and when tasks of another runtime in this set have not ended.
    #[track_caller]
    pub fn spawn<F: Future<Output = T> + 'static>(&mut self, future: F) -> AbortHandle {
        let place = self.place_on(current("JoinSet::spawn"));
        self.insert(Handle::Task(spawn_in(place, future)))
    }

    /// As [`JoinSet::spawn`], with a name: see [`JoinHandle::set_name`].
    #[track_caller]
    pub fn spawn_named<F: Future<Output = T> + 'static>(&mut self, name: &str, future: F) -> AbortHandle {
        let abort = self.spawn(future);
        if let Some(Handle::Task(handle)) = self.members.get(&abort.id()) {
            let _without_memory = handle.set_name(name);
        }
        abort
    }

    /// As [`crate::spawn_blocking`]. Aborting work that runs discards its result.
    ///
    /// # Panics
    /// As [`JoinSet::spawn`].
    #[track_caller]
    pub fn spawn_blocking<F>(&mut self, work: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let runtime = current("JoinSet::spawn_blocking");
        let place = self.place_on(runtime);
        self.insert(Handle::Blocking(spawn_blocking_in(runtime, place, work)))
    }

    /// The place of a new task: the set's scope on this runtime, or nowhere without memory. The present scope may
    /// belong to another runtime, or to an ended runtime. If its tasks have all ended, a new scope takes its place.
    #[track_caller]
    fn place_on(&mut self, runtime: RawRuntime) -> Place {
        let may_be_stale = self.members.values().next().map_or(true, Handle::is_finished);
        let is_usable = |scope: &Scope| scope.is_on(runtime) && (!may_be_stale || scope.is_alive());
        if !self.scope.as_ref().is_some_and(is_usable) {
            self.take_finished();
            assert!(self.members.is_empty(), "a JoinSet has tasks of another runtime");
            self.slot = OpSlot::new();
            self.scope = Scope::on(runtime).ok();
        }
        self.scope.as_ref().map_or(Place::NOWHERE, Scope::place)
    }

    fn insert(&mut self, handle: Handle<T>) -> AbortHandle {
        let abort = handle.abort_handle();
        if handle.is_finished() {
            self.ended.push_back(handle);
        } else {
            self.members.insert(handle.id(), handle);
        }
        abort
    }

    /// The result of the next task that ends; `None` when the set is empty. Dropping the future loses no result.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        poll_fn(|cx| self.poll_join_next(cx)).await
    }

    /// The result of a task that has ended; `None` if there is none now.
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        // A task may be reserved for a `poll_join_next` of this set.
        if let Some(waker) = self.waiting.take() {
            return match self.poll_join_next(&mut Context::from_waker(&waker)) {
                Poll::Ready(result) => result,
                Poll::Pending => None,
            };
        }
        loop {
            if let Some(result) = self.ended.pop_front().and_then(|mut handle| handle.result()) {
                return Some(result);
            }
            match self.scope.as_ref().filter(|_| !self.members.is_empty())?.try_next() {
                Poll::Pending => return None,
                Poll::Ready(told) => self.note(told),
            }
            if self.ended.is_empty() {
                return None;
            }
        }
    }

    /// As [`JoinSet::join_next`]. If no task has ended, the caller of the last call is woken when one does.
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        loop {
            if let Some(result) = self.ended.pop_front().and_then(|mut handle| handle.result()) {
                return Poll::Ready(Some(result));
            }
            let Some(scope) = self.scope.as_ref().filter(|_| !self.members.is_empty()) else {
                return Poll::Ready(None);
            };
            let poll = scope.poll_next(&mut self.slot, cx);
            let old = self.waiting.take_if(|old| poll.is_ready() || !old.will_wake(cx.waker()));
            drop(old);
            let Poll::Ready(told) = poll else {
                self.waiting.get_or_insert_with(|| cx.waker().clone());
                return Poll::Pending;
            };
            let is_interrupted = told.is_err_and(|error| error.code() == crate::sys::ZYNTAX_EINTR);
            self.note(told);
            // A task of the set that is alone in it waits for itself.
            if self.ended.is_empty() && !is_interrupted {
                return Poll::Pending;
            }
        }
    }

    /// Notes the scope's report. After an error (its runtime has ended), each task that has ended counts as reported.
    fn note(&mut self, told: Result<Option<TaskId>, Error>) {
        assert_ne!(told, Err(Error::NO_MEMORY), "no memory for JoinSet::join_next");
        match told {
            Ok(Some(id)) => self.ended.extend(self.members.remove(&id)),
            _ => self.take_finished(),
        }
    }

    fn take_finished(&mut self) {
        let (finished, others) = mem::take(&mut self.members).into_iter().partition(|(_, handle)| handle.is_finished());
        self.members = others;
        let finished: HashMap<_, _> = finished;
        self.ended.extend(finished.into_values());
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
        for handle in self.members.values() {
            handle.abort_handle().abort();
        }
    }

    /// Aborts all tasks and waits for their ends.
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while self.join_next().await.is_some() {}
    }

    /// Removes all tasks, which continue.
    pub fn detach_all(&mut self) {
        self.slot = OpSlot::new();
        self.waiting = None;
        self.ended.clear();
        let is_running = self.members.values().any(|handle| !handle.is_finished());
        self.members.clear();
        let Some(scope) = self.scope.take().filter(|_| is_running) else { return };
        // Dropping the scope would abort its tasks. While one runs, the runtime lives.
        let (runtime, scope) = (scope.runtime(), mem::ManuallyDrop::new(scope));
        drop(spawn_on(runtime, async move {
            let _all_ended = scope.join().await;
            drop(mem::ManuallyDrop::into_inner(scope));
        }));
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

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet").field("len", &self.len()).finish()
    }
}
