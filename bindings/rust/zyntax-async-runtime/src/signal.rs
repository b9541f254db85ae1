// SPDX-License-Identifier: Apache-2.0
//! Signals of the process.
//!
//! While a subscription lives, its signal does not have its usual effect, such as ending the process. Unlike with
//! Tokio, the action that was there before is put back when the last subscription of the process is dropped.

use std::future::poll_fn;
use std::io;
use std::ptr;
use std::task::{Context, Poll};

use crate::op::OpSlot;
use crate::runtime::current;
use crate::{sys, Error};

/// SIGINT; on Windows the library's number of Ctrl-C.
const INTERRUPT: i32 = 2;

/// A handle that closes when it is dropped.
struct Handle(*mut sys::zyntax_signal);

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: this is the handle's thread, as it is not `Send`; a stale one is fine.
        unsafe { sys::zyntax_signal_close(self.0) };
    }
}

/// A subscription to one number.
struct Subscription {
    // Dropped in this order: pending waits are given up before the handle is closed.
    slot: OpSlot,
    handle: Handle,
}

impl Subscription {
    #[track_caller]
    fn new(number: i32, function: &str) -> io::Result<Subscription> {
        let (runtime, mut handle) = (current(function), ptr::null_mut());
        // SAFETY: the runtime lives, this is its thread, and the pointer is valid for the call.
        Error::check(unsafe { sys::zyntax_signal_open(runtime.as_ptr(), number, &mut handle) }.into())?;
        Ok(Subscription { slot: OpSlot::new(), handle: Handle(handle) })
    }

    /// How often the signal has come, at least once.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<i64, Error>> {
        let (handle, mut result) = (self.handle.0, 0);
        let poll = self.slot.call(cx, |op, waker| {
            // SAFETY: this is the handle's thread, and the pointers are valid for the call.
            unsafe { sys::zyntax_signal_wait(handle, op, waker, &mut result) }
        });
        poll.map(|()| Error::check(result))
    }
}

/// Waits for Ctrl-C: SIGINT on Unix. The subscription begins with the first poll and ends with the future.
///
/// After the future has ended, another Ctrl-C has the effect that it had before, which usually ends the process. A
/// program that waits for several keeps a `signal::unix::Signal` instead.
///
/// # Panics
/// When the future is polled outside of a runtime.
pub async fn ctrl_c() -> io::Result<()> {
    let mut subscription = Subscription::new(INTERRUPT, "ctrl_c")?;
    poll_fn(|cx| subscription.poll(cx)).await?;
    Ok(())
}

/// The methods of a subscription's public type.
macro_rules! subscription {
    ($type:ident) => {
        impl $type {
            /// Waits for the signal: `Some` when it has come since the subscription began or since the last result,
            /// however often. `None` when the runtime has ended. Dropping the future loses no signal.
            pub async fn recv(&mut self) -> Option<()> {
                std::future::poll_fn(|cx| self.poll_recv(cx)).await
            }

            /// As `recv`. If the signal has not come, the task is woken when it comes.
            pub fn poll_recv(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Option<()>> {
                self.0.poll(cx).map(|result| result.ok().map(drop))
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($type)).field(&self.0.handle.0).finish()
            }
        }
    };
}

/// Signals of Unix.
#[cfg(unix)]
pub mod unix {
    use std::io;

    use super::Subscription;

    /// The kind of a signal.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    pub struct SignalKind(i32);

    /// The systems with the numbers of System V, as Linux has on most processors.
    const LINUX: bool = cfg!(any(target_os = "linux", target_os = "android"));
    /// Linux on MIPS has numbers of its own.
    const MIPS: bool = LINUX && cfg!(any(target_arch = "mips", target_arch = "mips64"));
    const SUN: bool = cfg!(any(target_os = "illumos", target_os = "solaris"));
    const SPARC: bool = LINUX && cfg!(any(target_arch = "sparc", target_arch = "sparc64"));

    const fn number(linux: i32, mips: i32, bsd: i32, sun: i32) -> SignalKind {
        SignalKind(match (LINUX, MIPS, SPARC, SUN) {
            (_, true, ..) => mips,
            (_, _, true, _) => bsd,
            (true, ..) => linux,
            (.., true) => sun,
            _ => bsd,
        })
    }

    impl SignalKind {
        /// A signal by the system's number.
        pub const fn from_raw(number: i32) -> SignalKind {
            SignalKind(number)
        }

        /// The system's number.
        pub const fn as_raw_value(&self) -> i32 {
            self.0
        }

        /// SIGALRM.
        pub const fn alarm() -> SignalKind {
            SignalKind(14)
        }

        /// SIGCHLD.
        pub const fn child() -> SignalKind {
            number(17, 18, 20, 18)
        }

        /// SIGHUP.
        pub const fn hangup() -> SignalKind {
            SignalKind(1)
        }

        /// SIGINT, sent by Ctrl-C.
        pub const fn interrupt() -> SignalKind {
            SignalKind(2)
        }

        /// SIGIO.
        pub const fn io() -> SignalKind {
            number(29, 22, 23, 22)
        }

        /// SIGPIPE.
        pub const fn pipe() -> SignalKind {
            SignalKind(13)
        }

        /// SIGQUIT.
        pub const fn quit() -> SignalKind {
            SignalKind(3)
        }

        /// SIGTERM.
        pub const fn terminate() -> SignalKind {
            SignalKind(15)
        }

        /// SIGUSR1.
        pub const fn user_defined1() -> SignalKind {
            number(10, 16, 30, 16)
        }

        /// SIGUSR2.
        pub const fn user_defined2() -> SignalKind {
            number(12, 17, 31, 17)
        }

        /// SIGWINCH.
        pub const fn window_change() -> SignalKind {
            number(28, 20, 28, 20)
        }
    }

    impl From<i32> for SignalKind {
        fn from(number: i32) -> SignalKind {
            SignalKind(number)
        }
    }

    impl From<SignalKind> for i32 {
        fn from(kind: SignalKind) -> i32 {
            kind.0
        }
    }

    /// A subscription to a signal; see [`signal`].
    ///
    /// ```compile_fail,E0277
    /// fn sent<T: Send>() {}
    /// sent::<zyntax_async_runtime::signal::unix::Signal>();
    /// ```
    pub struct Signal(Subscription);

    subscription!(Signal);

    /// Subscribes to a signal. Any number of subscriptions may have the same kind, in any threads; each hears of every
    /// signal.
    ///
    /// # Errors
    /// Invalid input for SIGKILL, SIGSTOP and faults such as SIGSEGV.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    pub fn signal(kind: SignalKind) -> io::Result<Signal> {
        Subscription::new(kind.0, "signal").map(Signal)
    }
}

/// Signals of a console of Windows.
#[cfg(windows)]
pub mod windows {
    use std::io;

    use super::Subscription;

    /// Ctrl-C; see [`ctrl_c`].
    pub struct CtrlC(Subscription);

    subscription!(CtrlC);

    /// Subscribes to Ctrl-C.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    pub fn ctrl_c() -> io::Result<CtrlC> {
        Subscription::new(2, "ctrl_c").map(CtrlC)
    }

    /// Ctrl-Break; see [`ctrl_break`].
    pub struct CtrlBreak(Subscription);

    subscription!(CtrlBreak);

    /// Subscribes to Ctrl-Break.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    pub fn ctrl_break() -> io::Result<CtrlBreak> {
        Subscription::new(15, "ctrl_break").map(CtrlBreak)
    }

    /// The console is closed; see [`ctrl_close`].
    pub struct CtrlClose(Subscription);

    subscription!(CtrlClose);

    /// Subscribes to the closing of the console, after which the process has a few seconds.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    pub fn ctrl_close() -> io::Result<CtrlClose> {
        Subscription::new(1, "ctrl_close").map(CtrlClose)
    }
}
