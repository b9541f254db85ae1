// SPDX-License-Identifier: Apache-2.0
//! Files. Operations on regular files run on the blocking pool; pipes and terminals wait by readiness.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, SeekFrom};
use std::path::Path;
use std::ptr;
use std::task::{ready, Context, Poll};

use crate::io::text;
use crate::op::OpSlot;
use crate::runtime::current;
use crate::{sys, Error};

/// A handle that closes when it is dropped.
struct Handle(*mut sys::zyntax_file);

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: this is the handle's thread, as it is not `Send`; a stale one is fine.
        unsafe { sys::zyntax_file_close(self.0) };
    }
}

/// Where the next operation of a file is.
#[derive(Clone, Copy, Debug)]
enum Position {
    At(u64),
    /// Behind the bytes that were appended last, at the file's end.
    End,
    /// Nowhere: a pipe, a terminal.
    None,
}

/// The library's offset for "the current position".
const CURRENT: u64 = u64::MAX;

/// An open file, as Tokio's type of this name. Dropping it closes it.
///
/// Unlike with Tokio, a write that is awaited has reached the system: no flush is needed, and an error is told by the
/// write. A write that is given up may have happened, and does not move the position.
///
/// ```
/// use zyntax_async_runtime::fs::{self, File};
/// use zyntax_async_runtime::Runtime;
/// use std::io::SeekFrom;
///
/// let path = std::env::temp_dir().join(format!("zyntax-fs-example-{}", std::process::id()));
/// Runtime::new()?.block_on(async {
///     let mut file = File::options().read(true).write(true).create(true).truncate(true).open(&path).await?;
///     file.write_all(b"hello").await?;
///     file.seek(SeekFrom::Start(1)).await?;
///     let mut buffer = [0; 16];
///     assert_eq!(file.read(&mut buffer).await?, 4);
///     assert_eq!(fs::read(&path).await?, b"hello");
///     std::fs::remove_file(&path)
/// })??;
/// # std::io::Result::Ok(())
/// ```
///
/// ```compile_fail,E0277
/// fn sent<T: Send>() {}
/// sent::<zyntax_async_runtime::fs::File>();
/// ```
pub struct File {
    handle: Handle,
    position: Position,
    appends: bool,
}

impl File {
    /// Opens a file for reading.
    ///
    /// # Panics
    /// When the future is polled outside of a runtime, as for the other functions that open.
    pub async fn open(path: impl AsRef<Path>) -> io::Result<File> {
        OpenOptions::new().read(true).open(path).await
    }

    /// Opens a file for writing; makes it if it is missing, and empties it if it is not.
    pub async fn create(path: impl AsRef<Path>) -> io::Result<File> {
        OpenOptions::new().write(true).create(true).truncate(true).open(path).await
    }

    /// Makes a file, which must be missing, for reading and writing.
    pub async fn create_new(path: impl AsRef<Path>) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(path).await
    }

    /// Options for opening.
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Converts a file of the standard library, which may be a pipe or a terminal, too. Its position is kept. A file
    /// that was opened for appending has to be opened by this crate to read after a write.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    #[cfg(unix)]
    pub fn from_std(mut file: std::fs::File) -> io::Result<File> {
        use std::os::fd::{AsRawFd, IntoRawFd};
        let runtime = current("File::from_std");
        let position = io::Seek::stream_position(&mut file).map_or(Position::None, Position::At);
        let mut handle = ptr::null_mut();
        // SAFETY: the runtime lives, this is its thread, and the pointer is valid for the call.
        let code = unsafe { sys::zyntax_file_from(runtime.as_ptr(), file.as_raw_fd() as isize, &mut handle) };
        Error::check(code.into())?;
        let _ = file.into_raw_fd(); // the runtime's now
        Ok(File { handle: Handle(handle), position, appends: false })
    }

    /// Converts this into a file of the standard library, at the same position. An error of kind
    /// [`io::ErrorKind::ResourceBusy`] tells that an operation that was given up is still running.
    #[cfg(unix)]
    pub fn into_std(self) -> io::Result<std::fs::File> {
        use std::os::fd::FromRawFd;
        let mut descriptor = -1;
        // SAFETY: this is the handle's thread, and the pointer is valid for the call.
        Error::check(unsafe { sys::zyntax_file_detach(self.handle.0, &mut descriptor) }.into())?;
        // SAFETY: the library owned it, and has given it back.
        let mut file = unsafe { std::fs::File::from_raw_fd(descriptor as i32) };
        match self.position {
            Position::At(offset) => drop(io::Seek::seek(&mut file, SeekFrom::Start(offset))?),
            Position::End => drop(io::Seek::seek(&mut file, SeekFrom::End(0))?),
            Position::None => {}
        }
        Ok(file)
    }

    /// The offset for an operation.
    async fn offset(&mut self) -> io::Result<u64> {
        if let Position::End = self.position {
            self.position = Position::At(self.size().await?);
        }
        Ok(if let Position::At(offset) = self.position { offset } else { CURRENT })
    }

    fn moved(&mut self, by: usize) {
        if let Position::At(offset) = &mut self.position {
            *offset += by as u64;
        }
    }

    /// Reads up to the buffer's length; 0 at the end of the file. The position moves when the bytes are there: dropping
    /// the future loses none.
    pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut offset = self.offset().await?;
        loop {
            match self.read_at(buf, offset).await {
                Err(error) if error.code() == sys::ZYNTAX_ESPIPE && offset != CURRENT => {
                    (self.position, offset) = (Position::None, CURRENT);
                }
                result => {
                    self.moved(result.unwrap_or(0));
                    return Ok(result?);
                }
            }
        }
    }

    async fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize, Error> {
        let mut slot = OpSlot::new();
        poll_fn(|cx| {
            let (handle, mut result) = (self.handle.0, 0);
            ready!(slot.call(cx, |op, waker| {
                let data = buf.as_mut_ptr().cast();
                // SAFETY: this is the handle's thread; the buffer is the same in each call, and is only touched in it.
                unsafe { sys::zyntax_file_read(handle, op, data, buf.len(), offset, waker, &mut result) }
            }));
            Poll::Ready(Error::check(result).map(|read| read as usize))
        })
        .await
    }

    /// Reads until the buffer is full. The end of the file before that is [`io::ErrorKind::UnexpectedEof`].
    pub async fn read_exact(&mut self, mut buf: &mut [u8]) -> io::Result<usize> {
        let length = buf.len();
        while !buf.is_empty() {
            match self.read(buf).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => buf = &mut buf[read..],
            }
        }
        Ok(length)
    }

    /// Reads to the end of the file, and returns the number of bytes that were added.
    pub async fn read_to_end(&mut self, all: &mut Vec<u8>) -> io::Result<usize> {
        let before = all.len();
        // Of files whose size is not known in advance it is 0.
        let size = usize::try_from(self.size().await?).unwrap_or(0);
        let mut chunk = size.saturating_add(1).clamp(4096, 1 << 20);
        loop {
            let length = all.len();
            all.resize(length + chunk, 0);
            let read = self.read(&mut all[length..]).await;
            all.truncate(length + *read.as_ref().unwrap_or(&0));
            match read? {
                0 => return Ok(length - before),
                read if read == chunk => chunk = (2 * chunk).min(1 << 20),
                _ => {}
            }
        }
    }

    /// As [`File::read_to_end`], for text. Bytes that are not UTF-8 are [`io::ErrorKind::InvalidData`].
    pub async fn read_to_string(&mut self, text: &mut String) -> io::Result<usize> {
        let mut all = Vec::new();
        let read = self.read_to_end(&mut all).await?;
        text.push_str(std::str::from_utf8(&all).map_err(|_| io::ErrorKind::InvalidData)?);
        Ok(read)
    }

    /// Writes some bytes and returns their number.
    pub async fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut offset = if self.appends { CURRENT } else { self.offset().await? };
        loop {
            match self.write_at(buf, offset).await {
                Err(error) if error.code() == sys::ZYNTAX_ESPIPE && offset != CURRENT => {
                    (self.position, offset) = (Position::None, CURRENT);
                }
                result => {
                    match result {
                        Ok(1..) if self.appends => self.position = Position::End,
                        Ok(written) if !self.appends => self.moved(written),
                        _ => {}
                    }
                    return Ok(result?);
                }
            }
        }
    }

    async fn write_at(&self, buf: &[u8], offset: u64) -> Result<usize, Error> {
        let mut slot = OpSlot::new();
        poll_fn(|cx| {
            let (handle, mut result) = (self.handle.0, 0);
            ready!(slot.call(cx, |op, waker| {
                let data = buf.as_ptr().cast();
                // SAFETY: this is the handle's thread; the buffer is the same in each call, and is only read in it.
                unsafe { sys::zyntax_file_write(handle, op, data, buf.len(), offset, waker, &mut result) }
            }));
            Poll::Ready(Error::check(result).map(|written| written as usize))
        })
        .await
    }

    /// Writes the whole buffer.
    pub async fn write_all(&mut self, mut buf: &[u8]) -> io::Result<()> {
        while !buf.is_empty() {
            match self.write(buf).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => buf = &buf[written..],
            }
        }
        Ok(())
    }

    /// Does nothing: a write that was awaited has reached the system.
    pub async fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Moves the position, and returns the new one from the file's beginning.
    pub async fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, offset) = match to {
            SeekFrom::Start(offset) => (offset, 0),
            SeekFrom::Current(offset) => (self.offset().await?, offset),
            SeekFrom::End(offset) => (self.size().await?, offset),
        };
        if let Position::None = self.position {
            return Err(io::ErrorKind::NotSeekable.into());
        }
        let offset = base.checked_add_signed(offset).filter(|&offset| i64::try_from(offset).is_ok());
        let offset = offset.ok_or(Error::INVALID)?;
        self.position = Position::At(offset);
        Ok(offset)
    }

    /// Moves the position to the file's beginning.
    pub async fn rewind(&mut self) -> io::Result<()> {
        self.seek(SeekFrom::Start(0)).await.map(drop)
    }

    /// The position from the file's beginning.
    pub async fn stream_position(&mut self) -> io::Result<u64> {
        self.seek(SeekFrom::Current(0)).await
    }

    /// The size in bytes; 0 for devices, pipes and most files of `/proc`.
    pub async fn size(&self) -> io::Result<u64> {
        let mut slot = OpSlot::new();
        let size = poll_fn(|cx| {
            self.poll_call(&mut slot, cx, |file, op, waker, result| {
                // SAFETY: this is the handle's thread, and the pointers are valid for the call.
                unsafe { sys::zyntax_file_size(file, op, waker, result) }
            })
        });
        Ok(size.await? as u64)
    }

    /// Waits until the written data is on the disk.
    pub async fn sync_all(&self) -> io::Result<()> {
        let mut slot = OpSlot::new();
        let sync = poll_fn(|cx| {
            self.poll_call(&mut slot, cx, |file, op, waker, result| {
                // SAFETY: this is the handle's thread, and the pointers are valid for the call.
                unsafe { sys::zyntax_file_sync(file, op, waker, result) }
            })
        });
        sync.await?;
        Ok(())
    }

    /// As [`File::sync_all`].
    pub async fn sync_data(&self) -> io::Result<()> {
        self.sync_all().await
    }

    fn poll_call(
        &self,
        slot: &mut OpSlot,
        cx: &mut Context<'_>,
        call: impl FnOnce(*mut sys::zyntax_file, *mut sys::zyntax_op, *mut sys::Waker, *mut i64) -> sys::PollStatus,
    ) -> Poll<Result<i64, Error>> {
        let mut result = 0;
        ready!(slot.call(cx, |op, waker| call(self.handle.0, op, waker, &mut result)));
        Poll::Ready(Error::check(result))
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("handle", &self.handle.0).field("position", &self.position).finish()
    }
}

/// How a file is opened, as the standard library's type of this name.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    read: bool,
    write: bool,
    append: bool,
    truncate: bool,
    create: bool,
    create_new: bool,
}

/// One option of [`OpenOptions`].
macro_rules! option {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub fn $name(&mut self, $name: bool) -> &mut OpenOptions {
            self.$name = $name;
            self
        }
    };
}

impl OpenOptions {
    /// Nothing is set.
    pub fn new() -> OpenOptions {
        OpenOptions::default()
    }

    option! {
        /// For reading.
        read
    }

    option! {
        /// For writing.
        write
    }

    option! {
        /// For writing, always at the end of the file, even while other processes write.
        append
    }

    option! {
        /// Empties the file. Needs `write`.
        truncate
    }

    option! {
        /// Makes a file that is missing. Needs `write` or `append`.
        create
    }

    option! {
        /// Makes the file, which must be missing. Needs `write` or `append`.
        create_new
    }

    /// Opens a file.
    ///
    /// # Panics
    /// When the future is polled outside of a runtime.
    pub async fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        let writes = self.write || self.append;
        let needs_write = self.truncate || self.create || self.create_new;
        let empties = !self.create_new && self.truncate && self.append;
        if (needs_write || !self.read) && !writes || empties {
            return Err(Error::INVALID.into());
        }
        let flag = |is_set: bool, flag| if is_set { flag } else { 0 };
        let flags = flag(self.read, sys::ZYNTAX_FILE_READ)
            | flag(writes, sys::ZYNTAX_FILE_WRITE)
            | flag(self.append, sys::ZYNTAX_FILE_APPEND)
            | flag(self.truncate && !self.create_new, sys::ZYNTAX_FILE_TRUNCATE)
            | flag(self.create || self.create_new, sys::ZYNTAX_FILE_CREATE)
            | flag(self.create_new, sys::ZYNTAX_FILE_NEW);
        let path = text(path.as_ref().as_os_str())?;
        let mut slot = OpSlot::new();
        let open = poll_fn(|cx| {
            let (runtime, mut handle, mut result) = (current("File::open").as_ptr(), ptr::null_mut(), 0);
            ready!(slot.call(cx, |op, waker| {
                // SAFETY: the runtime lives, this is its thread, and the pointers are valid for the call.
                unsafe { sys::zyntax_file_open(runtime, op, path.as_ptr(), flags, waker, &mut handle, &mut result) }
            }));
            Poll::Ready(Error::check(result).map(|_| Handle(handle)))
        });
        Ok(File { handle: open.await?, position: Position::At(0), appends: self.append })
    }
}

/// Reads a whole file.
///
/// # Panics
/// When the future is polled outside of a runtime.
pub async fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    File::open(path).await?.read_to_end(&mut all).await?;
    Ok(all)
}

/// Reads a whole file, which must be UTF-8.
///
/// # Panics
/// When the future is polled outside of a runtime.
pub async fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    String::from_utf8(read(path).await?).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Makes a file with these contents, or replaces its contents.
///
/// # Panics
/// When the future is polled outside of a runtime.
pub async fn write(path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> io::Result<()> {
    File::create(path).await?.write_all(contents.as_ref()).await
}
