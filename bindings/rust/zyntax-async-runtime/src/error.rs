// SPDX-License-Identifier: Apache-2.0
//! The library's error codes as Rust errors.

use std::ffi::CStr;
use std::{fmt, io};

use crate::sys;

/// An error of the library: Linux's errno numbers, negative, on every platform.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Error(i32);

impl Error {
    /// [`crate::Remote::stop`] was called, or the operation was cancelled.
    pub const CANCELED: Error = Error(sys::ZYNTAX_ECANCELED);
    /// A task tried to drive its own runtime.
    pub const BUSY: Error = Error(sys::ZYNTAX_EBUSY);
    /// Deadlock: nothing can end the wait ([`crate::Builder::detect_stall`]).
    pub const STALLED: Error = Error(sys::ZYNTAX_EDEADLK);
    /// The runtime has ended.
    pub const NO_RUNTIME: Error = Error(sys::ZYNTAX_ESTALE);

    /// The `ZYNTAX_E…` code.
    pub fn code(self) -> i32 {
        self.0
    }

    /// The code's name, such as `"ETIMEDOUT"`.
    pub fn name(self) -> &'static str {
        // SAFETY: the library returns a static string, never null, for any code.
        unsafe { CStr::from_ptr(sys::zyntax_error_name(self.0.into())) }.to_str().unwrap_or("E?")
    }

    /// `Ok` for 0 and above, else the error.
    pub(crate) fn check(code: i64) -> Result<i64, Error> {
        match i32::try_from(code) {
            _ if code >= 0 => Ok(code),
            Ok(code) => Err(Error(code)),
            Err(_) => Err(Error(sys::ZYNTAX_EIO)),
        }
    }

    pub(crate) const NO_MEMORY: Error = Error(sys::ZYNTAX_ENOMEM);
    pub(crate) const INVALID: Error = Error(sys::ZYNTAX_EINVAL);

    /// The corresponding kind of the standard library.
    pub fn kind(self) -> io::ErrorKind {
        use io::ErrorKind::*;
        match self.0 {
            sys::ZYNTAX_EPERM | sys::ZYNTAX_EACCES => PermissionDenied,
            sys::ZYNTAX_ENOENT => NotFound,
            sys::ZYNTAX_EINTR => Interrupted,
            sys::ZYNTAX_E2BIG => ArgumentListTooLong,
            sys::ZYNTAX_EAGAIN => WouldBlock,
            sys::ZYNTAX_ENOMEM => OutOfMemory,
            sys::ZYNTAX_EBUSY => ResourceBusy,
            sys::ZYNTAX_EEXIST => AlreadyExists,
            sys::ZYNTAX_ENOTDIR => NotADirectory,
            sys::ZYNTAX_EISDIR => IsADirectory,
            sys::ZYNTAX_EFBIG => FileTooLarge,
            sys::ZYNTAX_ENOSPC => StorageFull,
            sys::ZYNTAX_ESPIPE => NotSeekable,
            sys::ZYNTAX_EROFS => ReadOnlyFilesystem,
            sys::ZYNTAX_EINVAL => InvalidInput,
            sys::ZYNTAX_EPIPE => BrokenPipe,
            sys::ZYNTAX_EDEADLK => Deadlock,
            sys::ZYNTAX_ENOSYS | sys::ZYNTAX_EOPNOTSUPP | sys::ZYNTAX_EAFNOSUPPORT => Unsupported,
            sys::ZYNTAX_EADDRINUSE => AddrInUse,
            sys::ZYNTAX_EADDRNOTAVAIL => AddrNotAvailable,
            sys::ZYNTAX_ENETDOWN => NetworkDown,
            sys::ZYNTAX_ENETUNREACH => NetworkUnreachable,
            sys::ZYNTAX_ECONNABORTED => ConnectionAborted,
            sys::ZYNTAX_ECONNRESET => ConnectionReset,
            sys::ZYNTAX_ENOTCONN => NotConnected,
            sys::ZYNTAX_ETIMEDOUT => TimedOut,
            sys::ZYNTAX_ECONNREFUSED => ConnectionRefused,
            sys::ZYNTAX_EHOSTUNREACH => HostUnreachable,
            _ => Other,
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({}, {})", self.name(), self.0)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: the library returns a static string, never null, for any code.
        let text = unsafe { CStr::from_ptr(sys::zyntax_strerror(self.0.into())) };
        f.write_str(text.to_str().unwrap_or("unknown error"))
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        io::Error::new(error.kind(), error)
    }
}
