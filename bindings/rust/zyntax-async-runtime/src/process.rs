// SPDX-License-Identifier: Apache-2.0
//! Child processes.

use std::collections::BTreeMap;
use std::ffi::{c_char, c_void, CString, OsStr, OsString};
use std::fmt;
use std::future::{poll_fn, Future};
use std::io;
use std::mem::MaybeUninit;
#[cfg(unix)]
use std::os::fd::{AsRawFd, OwnedFd as OwnedDescriptor};
#[cfg(unix)]
use std::os::unix::process::ExitStatusExt;
#[cfg(windows)]
use std::os::windows::io::{AsRawHandle, OwnedHandle as OwnedDescriptor};
#[cfg(windows)]
use std::os::windows::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{ExitStatus, Output};
use std::ptr;
use std::task::{Context, Poll};

use crate::io::{text, Direction, Handle};
use crate::op::OpSlot;
use crate::runtime::current;
use crate::{sys, Error};

/// A child's input or output: the parent's, none, a pipe, or a descriptor.
///
/// The standard library's type does not reveal its kind, so this crate has its own type. The constructors have the same
/// names.
#[derive(Debug)]
pub struct Stdio(Kind);

#[derive(Debug)]
enum Kind {
    Inherit,
    Null,
    Piped,
    Descriptor(OwnedDescriptor),
}

impl Stdio {
    /// The parent's.
    pub fn inherit() -> Stdio {
        Stdio(Kind::Inherit)
    }

    /// Nothing: an input that is at its end, an output that is discarded.
    pub fn null() -> Stdio {
        Stdio(Kind::Null)
    }

    /// A pipe, whose other end the [`Child`] has.
    pub fn piped() -> Stdio {
        Stdio(Kind::Piped)
    }

    fn number(&self) -> isize {
        match &self.0 {
            Kind::Inherit => sys::ZYNTAX_STDIO_INHERIT,
            Kind::Null => sys::ZYNTAX_STDIO_NULL,
            Kind::Piped => sys::ZYNTAX_STDIO_PIPE,
            #[cfg(unix)]
            Kind::Descriptor(descriptor) => descriptor.as_raw_fd() as isize,
            #[cfg(windows)]
            Kind::Descriptor(descriptor) => descriptor.as_raw_handle() as isize,
        }
    }
}

impl<T: Into<OwnedDescriptor>> From<T> for Stdio {
    /// A file, a socket, or a pipe of the standard library. For a pipe of this crate see [`ChildStdout::into_stdio`].
    fn from(owner: T) -> Stdio {
        Stdio(Kind::Descriptor(owner.into()))
    }
}

/// A program to start, as Tokio's type of this name.
///
/// ```
/// use zyntax_async_runtime::process::Command;
/// use zyntax_async_runtime::Runtime;
///
/// # #[cfg(unix)]
/// Runtime::new()?.block_on(async {
///     let output = Command::new("echo").arg("hello").output().await?;
///     assert!(output.status.success());
///     assert_eq!(output.stdout, b"hello\n");
///     std::io::Result::Ok(())
/// })??;
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Command {
    program: OsString,
    name: Option<OsString>,
    args: Vec<OsString>,
    /// The changes to the environment: a value, or none for a name that is removed.
    env: BTreeMap<OsString, Option<OsString>>,
    clears_env: bool,
    directory: Option<PathBuf>,
    stdio: [Option<Stdio>; 3],
    flags: u32,
}

impl Command {
    /// A program without arguments. A name without a slash is searched in this process's PATH.
    pub fn new(program: impl AsRef<OsStr>) -> Command {
        Command {
            program: program.as_ref().to_os_string(),
            name: None,
            args: Vec::new(),
            env: BTreeMap::new(),
            clears_env: false,
            directory: None,
            stdio: [None, None, None],
            flags: 0,
        }
    }

    /// Adds an argument.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Command {
        self.args.push(arg.as_ref().to_os_string());
        self
    }

    /// Adds arguments.
    pub fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&mut self, args: I) -> &mut Command {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_os_string()));
        self
    }

    /// Sets the name that the program is told, its argument 0.
    pub fn arg0(&mut self, name: impl AsRef<OsStr>) -> &mut Command {
        self.name = Some(name.as_ref().to_os_string());
        self
    }

    /// Sets a variable of the environment.
    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Command {
        self.env.insert(name.as_ref().to_os_string(), Some(value.as_ref().to_os_string()));
        self
    }

    /// Sets variables of the environment.
    pub fn envs<I, K, V>(&mut self, variables: I) -> &mut Command
    where
        I: IntoIterator<Item = (K, V)>,
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        for (name, value) in variables {
            self.env(name, value);
        }
        self
    }

    /// Removes a variable of the environment.
    pub fn env_remove(&mut self, name: impl AsRef<OsStr>) -> &mut Command {
        self.env.insert(name.as_ref().to_os_string(), None);
        self
    }

    /// Removes all variables of the environment.
    pub fn env_clear(&mut self) -> &mut Command {
        self.env.clear();
        self.clears_env = true;
        self
    }

    /// Sets the working directory, in which a relative path of the program is found.
    pub fn current_dir(&mut self, directory: impl AsRef<Path>) -> &mut Command {
        self.directory = Some(directory.as_ref().to_path_buf());
        self
    }

    /// Sets the standard input; the parent's if this is not called.
    pub fn stdin(&mut self, stdio: impl Into<Stdio>) -> &mut Command {
        self.stdio[0] = Some(stdio.into());
        self
    }

    /// Sets the standard output; the parent's if this is not called.
    pub fn stdout(&mut self, stdio: impl Into<Stdio>) -> &mut Command {
        self.stdio[1] = Some(stdio.into());
        self
    }

    /// Sets the standard error; the parent's if this is not called.
    pub fn stderr(&mut self, stdio: impl Into<Stdio>) -> &mut Command {
        self.stdio[2] = Some(stdio.into());
        self
    }

    /// Kills the child when its [`Child`] is dropped, and when the runtime ends.
    pub fn kill_on_drop(&mut self, kill: bool) -> &mut Command {
        self.flag(sys::ZYNTAX_PROCESS_KILL_WITH_RUNTIME, kill)
    }

    /// Makes the child the leader of a group of processes; signals and kills then reach the group.
    pub fn group(&mut self, group: bool) -> &mut Command {
        self.flag(sys::ZYNTAX_PROCESS_GROUP, group)
    }

    /// Detaches the child from this process's terminal or console; on Unix it leads a session of its own.
    pub fn detached(&mut self, detached: bool) -> &mut Command {
        self.flag(sys::ZYNTAX_PROCESS_DETACHED, detached)
    }

    fn flag(&mut self, flag: u32, on: bool) -> &mut Command {
        self.flags = if on { self.flags | flag } else { self.flags & !flag };
        self
    }

    /// The environment as `NAME=value`; none if it is the parent's.
    fn environment(&self) -> io::Result<Option<Vec<CString>>> {
        if !self.clears_env && self.env.is_empty() {
            return Ok(None);
        }
        let mut all = self.env.clone();
        if !self.clears_env {
            for (name, value) in std::env::vars_os() {
                all.entry(name).or_insert(Some(value));
            }
        }
        let mut texts = Vec::with_capacity(all.len());
        for (name, value) in all {
            if let Some(value) = value {
                let mut variable = name;
                variable.push("=");
                variable.push(value);
                texts.push(text(&variable)?);
            }
        }
        Ok(Some(texts))
    }

    /// Starts the program. When the call returns, it has begun.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    pub fn spawn(&mut self) -> io::Result<Child> {
        let runtime = current("Command::spawn");
        let file = text(&self.program)?;
        let mut args = vec![text(self.name.as_ref().unwrap_or(&self.program))?];
        for arg in &self.args {
            args.push(text(arg)?);
        }
        let (args, environment) = (pointers(&args), self.environment()?);
        let environment = environment.as_deref().map(|texts| (pointers(texts), texts));
        let directory = self.directory.as_ref().map(|path| text(path.as_os_str())).transpose()?;
        // SAFETY: all its members may be zero.
        let mut options: sys::zyntax_process_options = unsafe { std::mem::zeroed() };
        options.size = std::mem::size_of_val(&options);
        options.file = file.as_ptr();
        options.args = args.0.as_ptr();
        options.env = environment.as_ref().map_or(ptr::null(), |(pointers, _)| pointers.0.as_ptr());
        options.directory = directory.as_ref().map_or(ptr::null(), |text| text.as_ptr());
        options.stdio = [0, 1, 2].map(|i| self.stdio[i].as_ref().unwrap_or(&Stdio(Kind::Inherit)).number());
        options.flags = self.flags;
        let (mut pipes, mut process) = ([ptr::null_mut(); 3], ptr::null_mut());
        // SAFETY: the runtime lives, this is its thread, and the pointers are valid for the call.
        let code = unsafe { sys::zyntax_process_spawn(runtime.as_ptr(), &options, pipes.as_mut_ptr(), &mut process) };
        Error::check(code.into())?;
        let [stdin, stdout, stderr] =
            pipes.map(|pipe| (!pipe.is_null()).then(|| Pipe { direction: Direction::new(), handle: Handle(pipe) }));
        Ok(Child {
            stdin: stdin.map(|pipe| ChildStdin(Some(pipe))),
            stdout: stdout.map(ChildStdout),
            stderr: stderr.map(ChildStderr),
            process: Process { slot: OpSlot::new(), raw: process },
            status: None,
            kills: self.flags & sys::ZYNTAX_PROCESS_KILL_WITH_RUNTIME != 0,
        })
    }

    /// Starts the program and waits for its end.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    pub fn status(&mut self) -> impl Future<Output = io::Result<ExitStatus>> {
        let child = self.spawn();
        async move {
            let mut child = child?;
            drop((child.stdout.take(), child.stderr.take()));
            child.wait().await
        }
    }

    /// Starts the program, with pipes as its standard output and error, and waits for its end and all of its output.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    pub fn output(&mut self) -> impl Future<Output = io::Result<Output>> {
        self.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = self.spawn();
        async move { child?.wait_with_output().await }
    }
}

/// An array of C strings that ends with a null. It must not outlive the strings.
struct Pointers<'a>(Vec<*const c_char>, std::marker::PhantomData<&'a CString>);

fn pointers(texts: &[CString]) -> Pointers<'_> {
    Pointers(texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect(), std::marker::PhantomData)
}

/// A handle that closes when it is dropped; the child is still reaped.
struct Process {
    slot: OpSlot,
    raw: *mut sys::zyntax_process,
}

impl Process {
    /// The wait's result: an exit status, or 256 and a signal's number.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<i64>> {
        let (raw, mut result) = (self.raw, 0);
        let poll = self.slot.call(cx, |op, waker| {
            // SAFETY: this is the handle's thread, as it is not `Send`, and the pointers are valid for the call.
            unsafe { sys::zyntax_process_wait(raw, op, waker, &mut result) }
        });
        poll.map(|()| Ok(Error::check(result)?))
    }

    fn signal(&self, number: i32) -> Result<(), Error> {
        // SAFETY: this is the handle's thread; a stale one is an error.
        Error::check(unsafe { sys::zyntax_process_signal(self.raw, number) }.into()).map(drop)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.slot = OpSlot::new();
        // SAFETY: as before.
        unsafe { sys::zyntax_process_close(self.raw) };
    }
}

#[cfg(unix)]
fn exit_status(result: i64) -> ExitStatus {
    ExitStatus::from_raw(if result < 256 { (result as i32) << 8 } else { result as i32 - 256 })
}

#[cfg(windows)]
fn exit_status(result: i64) -> ExitStatus {
    ExitStatus::from_raw(result as u32)
}

/// The number of SIGKILL.
const KILL: i32 = 9;

/// A child process. If it is dropped, the child continues, unless [`Command::kill_on_drop`] was called. The runtime
/// reaps it in any case.
///
/// ```compile_fail,E0277
/// fn sent<T: Send>() {}
/// sent::<zyntax_async_runtime::process::Child>();
/// ```
pub struct Child {
    /// The pipe to its standard input, if there is one.
    pub stdin: Option<ChildStdin>,
    /// The pipe from its standard output, if there is one.
    pub stdout: Option<ChildStdout>,
    /// The pipe from its standard error, if there is one.
    pub stderr: Option<ChildStderr>,
    process: Process,
    status: Option<ExitStatus>,
    kills: bool,
}

impl Child {
    /// Its number in the system; `None` when its end was waited for, as the number may be another process's then.
    pub fn id(&self) -> Option<u32> {
        if self.status.is_some() {
            return None;
        }
        // SAFETY: this is the handle's thread; a stale one is an error.
        u32::try_from(unsafe { sys::zyntax_process_id(self.process.raw) }).ok()
    }

    /// Closes the pipe to its standard input, and waits for its end. Dropping the future loses nothing.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        poll_fn(|cx| self.poll_wait(cx)).await
    }

    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<ExitStatus>> {
        if let Some(status) = self.status {
            return Poll::Ready(Ok(status));
        }
        self.process.poll(cx).map_ok(|result| *self.status.insert(exit_status(result)))
    }

    /// The status if it has ended; `None` if it runs.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        unsafe extern "C" fn nothing(_: *mut c_void) {}
        if self.status.is_none() {
            let (mut op, mut result) = (0, 0);
            let mut waker = sys::Waker { data: ptr::null_mut(), wake: Some(nothing) };
            // SAFETY: this is the handle's thread, and the pointers are valid for the calls.
            unsafe {
                if sys::zyntax_process_wait(self.process.raw, &mut op, &mut waker, &mut result) == sys::POLL_PENDING {
                    sys::zyntax_op_cancel(&mut op);
                    return Ok(None);
                }
            }
            self.status = Some(exit_status(Error::check(result)?));
        }
        Ok(self.status)
    }

    /// Sends a signal. [`io::ErrorKind::InvalidInput`] when its end was waited for. On Windows 9 ends the process.
    pub fn signal(&self, number: i32) -> io::Result<()> {
        if self.status.is_some() {
            return Err(Error::INVALID.into());
        }
        match self.process.signal(number) {
            Err(error) if error.code() == sys::ZYNTAX_ESRCH => Ok(()), // it has ended, and was not waited for
            result => Ok(result?),
        }
    }

    /// Kills it, without waiting for its end.
    pub fn start_kill(&mut self) -> io::Result<()> {
        self.signal(KILL)
    }

    /// Kills it and waits for its end.
    pub async fn kill(&mut self) -> io::Result<()> {
        self.start_kill()?;
        self.wait().await.map(drop)
    }

    /// Waits for its end and for all of its output.
    pub async fn wait_with_output(mut self) -> io::Result<Output> {
        async fn read_all(pipe: Option<Pipe>) -> io::Result<Vec<u8>> {
            let mut all = Vec::new();
            let Some(mut pipe) = pipe else { return Ok(all) };
            loop {
                if all.capacity() - all.len() < 4096 {
                    all.reserve(all.len().max(4096));
                }
                let read = poll_fn(|cx| pipe.poll_read_into(cx, all.spare_capacity_mut())).await?;
                if read == 0 {
                    return Ok(all);
                }
                // SAFETY: as many bytes were written behind the vector's length.
                unsafe { all.set_len(all.len() + read) };
            }
        }
        let mut stdout = pin!(read_all(self.stdout.take().map(|pipe| pipe.0)));
        let mut stderr = pin!(read_all(self.stderr.take().map(|pipe| pipe.0)));
        let mut wait = pin!(self.wait());
        let (mut out, mut err, mut status) = (None, None, None);
        poll_fn(|cx| {
            if out.is_none() {
                if let Poll::Ready(all) = stdout.as_mut().poll(cx) {
                    out = Some(all?);
                }
            }
            if err.is_none() {
                if let Poll::Ready(all) = stderr.as_mut().poll(cx) {
                    err = Some(all?);
                }
            }
            if status.is_none() {
                if let Poll::Ready(end) = wait.as_mut().poll(cx) {
                    status = Some(end?);
                }
            }
            match (&mut out, &mut err, status) {
                (Some(stdout), Some(stderr), Some(status)) => {
                    let (stdout, stderr) = (std::mem::take(stdout), std::mem::take(stderr));
                    Poll::Ready(Ok(Output { status, stdout, stderr }))
                }
                _ => Poll::Pending,
            }
        })
        .await
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.kills && self.status.is_none() {
            let _ = self.process.signal(KILL);
        }
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child").field("id", &self.id()).field("status", &self.status).finish()
    }
}

/// One end of a pipe.
struct Pipe {
    // Dropped in this order: pending waits are given up before the handle is closed.
    direction: Direction,
    handle: Handle,
}

impl Pipe {
    fn poll_read_into(&mut self, cx: &mut Context<'_>, buf: &mut [MaybeUninit<u8>]) -> Poll<io::Result<usize>> {
        self.direction.poll_read(&self.handle, cx, buf)
    }

    /// Deregisters the pipe, for another process, which expects that it is blocking.
    #[cfg(unix)]
    fn into_stdio(self) -> io::Result<Stdio> {
        let socket = std::os::unix::net::UnixStream::from(self.handle.into_owned()?);
        socket.set_nonblocking(false)?; // one call for all kinds of descriptors
        Ok(OwnedDescriptor::from(socket).into())
    }
}

/// The pipe to a child's standard input. Dropping it, or closing it as an `AsyncWrite`, ends that input.
pub struct ChildStdin(Option<Pipe>);

impl ChildStdin {
    fn poll_write_from(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Some(pipe) => pipe.direction.poll_write(&pipe.handle, cx, buf),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    #[cfg(feature = "futures-io")]
    fn end(&mut self) -> io::Result<()> {
        self.0 = None;
        Ok(())
    }

    /// The pipe as the standard output or error of another child.
    #[cfg(unix)]
    pub fn into_stdio(self) -> io::Result<Stdio> {
        self.0.ok_or(io::ErrorKind::BrokenPipe)?.into_stdio()
    }
}

crate::io::writes!(ChildStdin);
crate::io::async_write!(ChildStdin);

impl fmt::Debug for ChildStdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ChildStdin").field(&self.0.as_ref().map(|pipe| pipe.handle.0)).finish()
    }
}

/// A pipe that is read.
macro_rules! output {
    ($type:ident) => {
        impl $type {
            fn poll_read_into(&mut self, cx: &mut Context<'_>, buf: &mut [MaybeUninit<u8>]) -> Poll<io::Result<usize>> {
                self.0.poll_read_into(cx, buf)
            }

            /// The pipe as the standard input of another child.
            #[cfg(unix)]
            pub fn into_stdio(self) -> io::Result<Stdio> {
                self.0.into_stdio()
            }
        }

        crate::io::reads!($type);
        crate::io::async_read!($type);

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($type)).field(&self.0.handle.0).finish()
            }
        }
    };
}

/// The pipe from a child's standard output.
pub struct ChildStdout(Pipe);

output!(ChildStdout);

/// The pipe from a child's standard error.
pub struct ChildStderr(Pipe);

output!(ChildStderr);
