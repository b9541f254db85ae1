// SPDX-License-Identifier: Apache-2.0
//! A single-threaded async runtime: any `std::future::Future` on the Zyntax async runtime's reactor and executor.
//!
//! A task's waker is two plain words: cloning, waking and polling allocate nothing and count no references. Free
//! functions such as [`spawn`] and [`sleep`] use the runtime whose task is being polled. Without one they panic, as
//! Tokio's do.
//!
//! # Threads
//!
//! A runtime and its tasks stay in one thread, and the compiler checks this. The following types are neither `Send` nor
//! `Sync`, and neither is a future that holds one across an `.await`: [`Runtime`], [`JoinHandle`], [`BlockingHandle`],
//! [`JoinSet`], [`Scope`], [`Sleep`], [`Interval`], [`Timeout`], [`Sender`], [`Receiver`], `AsyncFd`, the sockets of
//! [`net`] with their halves, the handles of [`signal`], `fs` and `process`, and the futures of their methods. Other
//! threads may use [`Remote`], [`Hold`], [`AbortHandle`], [`ScopeCanceller`] and wakers. A spawned future need not be
//! `Send`; the work for [`spawn_blocking`] must be. Where an interface requires `Send` although one thread does all the
//! work, [`ThreadBound`] makes a value `Send` and checks its thread at run time.
//!
//! # Hyper and axum
//!
//! Hyper's connections accept a [`TcpStream`]. `with_upgrades` requires `Send`: serve `ThreadBound::new(stream)`, and
//! get the stream back with `upgraded.downcast::<ThreadBound<TcpStream>>()`. HTTP/2 and timeouts need `HyperExecutor`
//! and `HyperTimer`. `axum::serve` needs Tokio; hyper serves an axum `Router` with hyper-util's `TowerToHyperService`.
//! A handler's future must be `Send`: it awaits futures of this crate as
//! `ThreadBound::new(Box::pin(async { … })).await`.
//!
//! # Other crates
//!
//! Futures of other crates work unchanged, including those with their own wakers (`FuturesUnordered`, `select!`).
//! Features:
//!
//! - `futures-core` (default): [`Receiver`] implements that crate's `Stream`.
//! - `futures-io` (default): byte streams such as [`TcpStream`] implement that crate's traits.
//! - `hyper`: [`TcpStream`] implements hyper's traits, and hyper's HTTP/1.1 server and client run unchanged
//!   (`examples/hyper_server.rs`).
//! - `zyntax-host`: registration of functions and an executor of promises for a host of Zyntax.
//!
//! The crate is empty on `wasm32-unknown-unknown`.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//! use zyntax_async_runtime::{sleep, spawn, spawn_blocking, timeout, Runtime, TcpListener, TcpStream};
//!
//! fn main() -> std::io::Result<()> {
//!     let runtime = Runtime::new()?;
//!     runtime.block_on(async {
//!         let listener = TcpListener::bind("127.0.0.1:0")?;
//!         let port = listener.port()?;
//!         let server = spawn(async move {
//!             let mut stream = listener.accept().await?;
//!             sleep(Duration::from_millis(1)).await;
//!             stream.write_all(b"hello").await
//!         });
//!
//!         let mut stream = TcpStream::connect("localhost", port).await?;
//!         let mut buffer = [0; 5];
//!         let read = timeout(Duration::from_secs(5), stream.read(&mut buffer)).await??;
//!         assert_eq!(&buffer[..read], b"hello");
//!
//!         server.await.expect("no panic")?;
//!         let sum: u64 = spawn_blocking(|| (1..=1000).sum()).await.expect("no panic");
//!         println!("{sum}");
//!         Ok(())
//!     })?
//! }
//! ```
#![cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
#![warn(missing_docs)]
#![deny(unsafe_op_in_unsafe_fn)]

use std::future::{poll_fn, Future};
use std::task::Poll;

#[cfg(unix)]
mod async_fd;
mod blocking;
mod channel;
mod error;
#[cfg(any(unix, windows))]
pub mod fs;
#[cfg(feature = "hyper")]
mod hyper;
mod interval;
mod io;
mod join_set;
pub mod net;
mod op;
#[cfg(any(unix, windows))]
pub mod process;
mod runtime;
mod scope;
pub mod signal;
mod task;
mod thread_bound;
mod time;
#[cfg(feature = "zyntax-host")]
pub mod zyntax;

pub use zyntax_async_runtime_sys as sys;

#[cfg(unix)]
pub use crate::async_fd::{AsyncFd, AsyncFdReadyGuard, AsyncFdReadyMutGuard, Interest, Ready, TryIoError};
pub use crate::blocking::{spawn_blocking, BlockingHandle};
pub use crate::channel::{channel, Receiver, SendError, Sender, TryRecvError, TrySendError};
pub use crate::error::Error;
#[cfg(feature = "hyper")]
pub use crate::hyper::{HyperExecutor, HyperTimer};
pub use crate::interval::{interval, interval_at, Interval, MissedTickBehavior};
pub use crate::join_set::JoinSet;
pub use crate::net::tcp::{ReadHalf, WriteHalf};
pub use crate::net::{TcpListener, TcpStream};
pub use crate::runtime::{Builder, Hold, Remote, Runtime};
pub use crate::scope::{Scope, ScopeCanceller};
pub use crate::task::{AbortHandle, JoinError, JoinHandle, TaskId};
pub use crate::thread_bound::ThreadBound;
pub use crate::time::{sleep, sleep_until, timeout, Elapsed, Sleep, Timeout};

/// Starts a task on the current runtime.
///
/// # Panics
/// Outside of a runtime.
#[track_caller]
pub fn spawn<F: Future + 'static>(future: F) -> JoinHandle<F::Output> {
    task::spawn_on(runtime::current("spawn"), future)
}

/// Lets every other ready task run first.
pub fn yield_now() -> impl Future<Output = ()> {
    let mut yielded = false;
    poll_fn(move |cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}
