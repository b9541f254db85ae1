// SPDX-License-Identifier: Apache-2.0
//! Bounded channels between tasks of one runtime. The library's channel does the counting and ordering; the items stay
//! here, so that Rust drops them.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::{poll_fn, Future};
#[cfg(feature = "futures-core")]
use std::pin::Pin;
use std::ptr;
use std::rc::Rc;
use std::task::{ready, Context, Poll, Waker};

use crate::op::OpSlot;
use crate::runtime::current;
use crate::{sys, Error};

struct Channel<T> {
    number: *mut sys::zyntax_channel,
    items: RefCell<VecDeque<T>>,
    senders: Cell<usize>,
    receivers: Cell<usize>,
}

impl<T> Channel<T> {
    fn close(&self) {
        // SAFETY: this is the channel's thread; a stale one is fine.
        unsafe { sys::zyntax_channel_close(self.number) };
    }
}

impl<T> Drop for Channel<T> {
    fn drop(&mut self) {
        // SAFETY: as before.
        unsafe { sys::zyntax_channel_destroy(self.number) };
    }
}

/// A channel for `capacity` items with many senders and many receivers. Each item reaches one receiver. First come,
/// first served.
///
/// ```
/// use zyntax_async_runtime::{channel, spawn, Runtime};
/// let runtime = Runtime::new()?;
/// runtime.block_on(async {
///     let (sender, receiver) = channel(1).unwrap();
///     spawn(async move {
///         for text in ["a", "b"] {
///             sender.send(text).await.unwrap();
///         }
///     });
///     assert_eq!(receiver.recv().await, Some("a"));
///     assert_eq!(receiver.recv().await, Some("b"));
///     assert_eq!(receiver.recv().await, None);
/// })
/// # ?;
/// # Ok::<(), zyntax_async_runtime::Error>(())
/// ```
///
/// # Errors
/// The capacity is 0 or too large, or there is no memory.
///
/// # Panics
/// Outside of a runtime.
#[track_caller]
pub fn channel<T>(capacity: usize) -> Result<(Sender<T>, Receiver<T>), Error> {
    let runtime = current("channel");
    let mut number = ptr::null_mut();
    // SAFETY: the runtime lives and this is its thread.
    Error::check(unsafe { sys::zyntax_channel_create(runtime.as_ptr(), capacity, 0, &mut number) }.into())?;
    let channel = Rc::new(Channel {
        number,
        items: RefCell::new(VecDeque::with_capacity(capacity.min(1024))),
        senders: Cell::new(1),
        receivers: Cell::new(1),
    });
    Ok((Sender(channel.clone()), Receiver { channel, waiting: Cell::new(None) }))
}

/// The item could not be sent: no receiver, runtime or memory is left. Contains the item.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendError")
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the channel is closed")
    }
}

impl<T> std::error::Error for SendError<T> {}

/// The item could not be sent now. Contains the item.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// The channel is full, or its free places are reserved for senders that wait.
    Full(T),
    /// No receiver or runtime is left.
    Closed(T),
}

impl<T> TrySendError<T> {
    /// The item.
    pub fn into_inner(self) -> T {
        match self {
            TrySendError::Full(item) | TrySendError::Closed(item) => item,
        }
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if let TrySendError::Full(_) = self { "Full(..)" } else { "Closed(..)" })
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if let TrySendError::Full(_) = self { "the channel is full" } else { "the channel is closed" })
    }
}

impl<T> std::error::Error for TrySendError<T> {}

/// There is no item now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// The channel is empty, or its items are reserved for receivers that wait.
    Empty,
    /// The channel is empty, and no sender or runtime is left.
    Disconnected,
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if let TryRecvError::Empty = self { "the channel is empty" } else { "the channel has ended" })
    }
}

impl std::error::Error for TryRecvError {}

/// The sending side of a channel. The channel ends when all senders are dropped.
///
/// ```compile_fail,E0277
/// fn sent<T: Send>() {}
/// sent::<zyntax_async_runtime::Sender<u8>>();
/// ```
pub struct Sender<T>(Rc<Channel<T>>);

impl<T> Sender<T> {
    /// Sends an item; waits while the channel is full. The item is sent when the future is ready; dropping the future
    /// before that drops the item. A place that became free for a future is reserved for it until it is polled or
    /// dropped (see [`Receiver::recv`]).
    pub fn send(&self, item: T) -> impl Future<Output = Result<(), SendError<T>>> + '_ {
        let mut item = Some(item);
        let mut slot = OpSlot::new();
        poll_fn(move |cx| {
            // Asked first: the library would count an item that is not there.
            assert!(item.is_some(), "a send future was polled after it was ready");
            let (signal, mut result) = (0u8, 0);
            ready!(slot.call(cx, |op, waker| {
                let signal = ptr::from_ref(&signal).cast();
                // SAFETY: this is the channel's thread; an item of no bytes is not looked at.
                unsafe { sys::zyntax_channel_send(self.0.number, op, signal, waker, &mut result) }
            }));
            match item.take() {
                Some(item) if result < 0 => return Poll::Ready(Err(SendError(item))),
                item => self.0.items.borrow_mut().extend(item),
            }
            Poll::Ready(Ok(()))
        })
    }

    /// Sends an item if there is a place now.
    pub fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        let signal = 0u8;
        // SAFETY: this is the channel's thread; an item of no bytes is not looked at.
        match unsafe { sys::zyntax_channel_try_send(self.0.number, ptr::from_ref(&signal).cast()) } {
            0 => self.0.items.borrow_mut().push_back(item),
            sys::ZYNTAX_EAGAIN => return Err(TrySendError::Full(item)),
            _ => return Err(TrySendError::Closed(item)),
        }
        Ok(())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        self.0.senders.set(self.0.senders.get() + 1);
        Sender(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.senders.set(self.0.senders.get() - 1);
        if self.0.senders.get() == 0 {
            self.0.close();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

/// The receiving side of a channel. When all receivers are dropped, sending fails and queued items are dropped.
///
/// With the feature `futures-core` it is a `Stream` of the items. From a poll that was pending to the next item it has
/// a place in the order of the receivers; every method of this receiver goes on from that place.
pub struct Receiver<T> {
    channel: Rc<Channel<T>>,
    /// The place of `poll_recv`.
    waiting: Cell<Option<Waiting>>,
}

struct Waiting {
    slot: OpSlot,
    waker: Waker,
}

impl<T> Channel<T> {
    fn poll_recv(&self, slot: &mut OpSlot, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let (mut signal, mut result) = (0u8, 0);
        ready!(slot.call(cx, |op, waker| {
            let signal = ptr::from_mut(&mut signal).cast();
            // SAFETY: this is the channel's thread; an item of no bytes is not looked at.
            unsafe { sys::zyntax_channel_recv(self.number, op, signal, waker, &mut result) }
        }));
        assert_ne!(result, sys::ZYNTAX_ENOMEM.into(), "no memory for Receiver::recv");
        // Other errors are those of a runtime that has ended, where each receiver takes the remaining items.
        Poll::Ready(self.items.borrow_mut().pop_front())
    }
}

impl<T> Receiver<T> {
    /// The next item; `None` when the channel is empty and no sender or no runtime is left.
    ///
    /// A waiting future has a place in the order of the receivers. The item that arrives for it is reserved for it,
    /// even if it is not polled: no other receiver gets that item until the future is dropped. Poll it or drop it; a
    /// future that is set aside in a loop over `select!` delays its item. Dropping it loses no item. A future that was
    /// never polled has no place and reserves nothing.
    pub fn recv(&self) -> impl Future<Output = Option<T>> + '_ {
        let mut slot = None;
        poll_fn(move |cx| {
            let slot = slot.get_or_insert_with(|| self.waiting.take().map(|old| old.slot).unwrap_or_default());
            self.channel.poll_recv(slot, cx)
        })
    }

    /// The next item, or `None` at the end. If it is pending, the task is woken when an item has arrived, which is
    /// reserved for the next call of a method of this receiver.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut slot = self.waiting.take().map(|old| old.slot).unwrap_or_default();
        let poll = self.channel.poll_recv(&mut slot, cx);
        if poll.is_pending() {
            self.waiting.set(Some(Waiting { slot, waker: cx.waker().clone() }));
        }
        poll
    }

    /// The next item, if there is one now.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        // An item may be reserved for a `poll_recv` of this receiver.
        if let Some(mut waiting) = self.waiting.take() {
            match self.channel.poll_recv(&mut waiting.slot, &mut Context::from_waker(&waiting.waker)) {
                Poll::Ready(item) => return item.ok_or(TryRecvError::Disconnected),
                Poll::Pending => self.waiting.set(Some(waiting)),
            }
            return Err(TryRecvError::Empty);
        }
        let mut signal = 0u8;
        // SAFETY: this is the channel's thread; an item of no bytes is not looked at.
        match unsafe { sys::zyntax_channel_try_recv(self.channel.number, ptr::from_mut(&mut signal).cast()) } {
            sys::ZYNTAX_EAGAIN => Err(TryRecvError::Empty),
            // After the end of the runtime each receiver takes the remaining items.
            _ => self.channel.items.borrow_mut().pop_front().ok_or(TryRecvError::Disconnected),
        }
    }
}

#[cfg(feature = "futures-core")]
impl<T> futures_core::Stream for Receiver<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.get_mut().poll_recv(cx)
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Receiver<T> {
        self.channel.receivers.set(self.channel.receivers.get() + 1);
        Receiver { channel: self.channel.clone(), waiting: Cell::new(None) }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        drop(self.waiting.take());
        self.channel.receivers.set(self.channel.receivers.get() - 1);
        if self.channel.receivers.get() == 0 {
            self.channel.close();
            let items = std::mem::take(&mut *self.channel.items.borrow_mut());
            drop(items);
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receiver")
    }
}
