// SPDX-License-Identifier: Apache-2.0
//! The common code of TCP and Unix-domain connections: both directions, halves that borrow, halves that own.

/// Everything of a connection type but how it is made and its addresses.
macro_rules! stream {
    ($stream:ident, $std:ty, $path:literal) => {
        impl $stream {
            pub(crate) fn new(handle: Handle) -> $stream {
                $stream { reading: Direction::new(), writing: Direction::new(), handle }
            }

            /// Converts a connection of the standard library, which becomes non-blocking.
            ///
            /// # Panics
            /// Outside of a runtime.
            #[track_caller]
            #[cfg(any(unix, windows))]
            pub fn from_std(stream: $std) -> io::Result<$stream> {
                Handle::open(stream, concat!(stringify!($stream), "::from_std")).map($stream::new)
            }

            /// Converts this into a connection of the standard library. It may be non-blocking:
            /// `set_nonblocking(false)` changes that.
            #[cfg(any(unix, windows))]
            pub fn into_std(self) -> io::Result<$std> {
                self.handle.into_owned().map(Into::into)
            }

            /// Both directions, for simultaneous use in one task.
            pub fn halves(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
                let handle = &self.handle;
                (ReadHalf { direction: &mut self.reading, handle }, WriteHalf { direction: &mut self.writing, handle })
            }

            /// Both directions, for two tasks. Dropping the writing half ends the sending direction.
            pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
                let handle = Rc::new(self.handle);
                let reading = OwnedReadHalf { direction: self.reading, handle: handle.clone() };
                (reading, OwnedWriteHalf { direction: self.writing, handle, ends: true })
            }

            /// Ends the sending direction; reading still works.
            pub fn shutdown(&self) -> io::Result<()> {
                self.handle.shutdown()
            }

            #[cfg(any(feature = "futures-io", feature = "hyper"))]
            fn end(&self) -> io::Result<()> {
                self.shutdown()
            }

            fn poll_read_into(&mut self, cx: &mut Context<'_>, buf: &mut [MaybeUninit<u8>]) -> Poll<io::Result<usize>> {
                self.reading.poll_read(&self.handle, cx, buf)
            }

            fn poll_write_from(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                self.writing.poll_write(&self.handle, cx, buf)
            }
        }

        impl fmt::Debug for $stream {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($stream)).field(&self.handle.0).finish()
            }
        }

        crate::io::reads!($stream);
        crate::io::writes!($stream);
        crate::io::async_read!($stream);
        crate::io::async_write!($stream);
        crate::io::hyper_io!($stream);

        #[doc = concat!("The reading direction of a [`", stringify!($stream), "`], borrowed.")]
        pub struct ReadHalf<'a> {
            direction: &'a mut Direction,
            handle: &'a Handle,
        }

        impl ReadHalf<'_> {
            fn poll_read_into(&mut self, cx: &mut Context<'_>, buf: &mut [MaybeUninit<u8>]) -> Poll<io::Result<usize>> {
                self.direction.poll_read(self.handle, cx, buf)
            }
        }

        impl fmt::Debug for ReadHalf<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple("ReadHalf").field(&self.handle.0).finish()
            }
        }

        crate::io::reads!(ReadHalf<'_>);
        crate::io::async_read!(ReadHalf<'_>);

        #[doc = concat!("The writing direction of a [`", stringify!($stream), "`], borrowed.")]
        pub struct WriteHalf<'a> {
            direction: &'a mut Direction,
            handle: &'a Handle,
        }

        impl WriteHalf<'_> {
            #[doc = concat!("As [`", stringify!($stream), "::shutdown`].")]
            pub fn shutdown(&self) -> io::Result<()> {
                self.handle.shutdown()
            }

            #[cfg(feature = "futures-io")]
            fn end(&self) -> io::Result<()> {
                self.shutdown()
            }

            fn poll_write_from(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                self.direction.poll_write(self.handle, cx, buf)
            }
        }

        impl fmt::Debug for WriteHalf<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple("WriteHalf").field(&self.handle.0).finish()
            }
        }

        crate::io::writes!(WriteHalf<'_>);
        crate::io::async_write!(WriteHalf<'_>);

        #[doc = concat!("The reading direction of a [`", stringify!($stream), "`], owned; see")]
        #[doc = concat!("[`", stringify!($stream), "::into_split`].")]
        ///
        /// The connection is closed when both halves are dropped.
        ///
        /// ```compile_fail,E0277
        /// fn sent<T: Send>() {}
        #[doc = concat!("sent::<", $path, "::OwnedReadHalf>();")]
        /// ```
        pub struct OwnedReadHalf {
            // Dropped in this order: pending waits are given up before the handle is closed.
            direction: Direction,
            handle: Rc<Handle>,
        }

        impl OwnedReadHalf {
            /// The whole connection, if `other` is its other half.
            pub fn reunite(self, other: OwnedWriteHalf) -> Result<$stream, ReuniteError> {
                other.reunite(self)
            }

            fn poll_read_into(&mut self, cx: &mut Context<'_>, buf: &mut [MaybeUninit<u8>]) -> Poll<io::Result<usize>> {
                self.direction.poll_read(&self.handle, cx, buf)
            }
        }

        impl fmt::Debug for OwnedReadHalf {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple("OwnedReadHalf").field(&self.handle.0).finish()
            }
        }

        crate::io::reads!(OwnedReadHalf);
        crate::io::async_read!(OwnedReadHalf);

        #[doc = concat!("The writing direction of a [`", stringify!($stream), "`], owned; see")]
        #[doc = concat!("[`", stringify!($stream), "::into_split`]. Dropping it ends the sending direction.")]
        pub struct OwnedWriteHalf {
            direction: Direction,
            handle: Rc<Handle>,
            /// Whether dropping it ends the sending direction.
            ends: bool,
        }

        impl OwnedWriteHalf {
            /// The whole connection, if `other` is its other half.
            pub fn reunite(mut self, other: OwnedReadHalf) -> Result<$stream, ReuniteError> {
                if !Rc::ptr_eq(&self.handle, &other.handle) {
                    return Err(ReuniteError(other, self));
                }
                self.ends = false;
                let writing = std::mem::replace(&mut self.direction, Direction::new());
                drop(self);
                let OwnedReadHalf { direction: reading, handle } = other;
                let handle = Rc::into_inner(handle).expect("a connection has two halves");
                Ok($stream { reading, writing, handle })
            }

            /// Drops this half without ending the sending direction.
            pub fn forget(mut self) {
                self.ends = false;
            }

            #[doc = concat!("As [`", stringify!($stream), "::shutdown`].")]
            pub fn shutdown(&mut self) -> io::Result<()> {
                self.ends = false;
                self.handle.shutdown()
            }

            #[cfg(feature = "futures-io")]
            fn end(&mut self) -> io::Result<()> {
                self.shutdown()
            }

            fn poll_write_from(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                self.direction.poll_write(&self.handle, cx, buf)
            }
        }

        impl Drop for OwnedWriteHalf {
            fn drop(&mut self) {
                if self.ends {
                    let _ = self.handle.shutdown();
                }
            }
        }

        impl fmt::Debug for OwnedWriteHalf {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple("OwnedWriteHalf").field(&self.handle.0).finish()
            }
        }

        crate::io::writes!(OwnedWriteHalf);
        crate::io::async_write!(OwnedWriteHalf);

        /// The halves are those of two connections. Contains both.
        #[derive(Debug)]
        pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

        impl fmt::Display for ReuniteError {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the halves are those of two connections")
            }
        }

        impl std::error::Error for ReuniteError {}
    };
}
