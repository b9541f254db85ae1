// SPDX-License-Identifier: Apache-2.0
//! Tasks, timers, channels, blocking work, TCP and foreign wakers, as a user of the crate sees them.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn, Future};
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{mpsc, Arc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures::future::{join_all, select, Either};
use futures::stream::{FuturesUnordered, StreamExt};
use futures::{AsyncReadExt, AsyncWriteExt};
use zyntax_async_runtime::*;

const MS: Duration = Duration::from_millis(1);

fn run<F: Future>(future: F) -> F::Output {
    let runtime = Builder::new().detect_stall(true).build().expect("a runtime");
    runtime.block_on(future).expect("the future's end")
}

/// Counts its drops.
struct Counted(Rc<Cell<usize>>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

// ---- tasks ----

#[test]
fn tasks_are_joined() {
    let sum: i32 = run(async {
        let tasks: Vec<_> = (0..100)
            .map(|i| {
                spawn(async move {
                    yield_now().await;
                    i
                })
            })
            .collect();
        let mut sum = 0;
        for task in tasks {
            sum += task.await.unwrap();
        }
        sum
    });
    assert_eq!(sum, 4950);
}

#[test]
fn a_future_of_block_on_may_borrow() {
    let mut text = String::from("a");
    run(async {
        yield_now().await;
        text.push('b');
    });
    assert_eq!(text, "ab");
}

#[test]
fn a_panic_reaches_the_handle_and_nobody_else() {
    run(async {
        let bad = spawn(async { panic!("on purpose") });
        let good = spawn(async { 1 });
        let Err(JoinError::Panicked(panic)) = bad.await else { panic!("no panic") };
        assert_eq!(*panic.downcast_ref::<&str>().unwrap(), "on purpose");
        assert_eq!(good.await.unwrap(), 1);
    });
}

#[test]
fn a_panic_of_block_on_goes_on() {
    let runtime = Runtime::new().unwrap();
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = runtime.block_on(async { panic!("on purpose") });
    }));
    assert!(panic.is_err());
    assert_eq!(runtime.block_on(async { 2 }), Ok(2));
}

#[test]
fn abort_drops_the_future_and_tells_the_handle() {
    let drops = Rc::new(Cell::new(0));
    run(async {
        let counted = Counted(drops.clone());
        let task = spawn(async move {
            let _counted = counted;
            pending::<()>().await
        });
        yield_now().await;
        let from_elsewhere = task.abort_handle();
        assert!(!from_elsewhere.is_finished());
        thread::spawn(move || from_elsewhere.abort()).join().unwrap();
        assert!(matches!(task.await, Err(JoinError::Canceled)));
        assert!(from_elsewhere.is_finished());
    });
    assert_eq!(drops.get(), 1);
}

#[test]
fn a_runtime_that_ends_drops_its_tasks() {
    let drops = Rc::new(Cell::new(0));
    let runtime = Runtime::new().unwrap();
    let counted = Counted(drops.clone());
    let task = runtime.spawn(async move {
        let _counted = counted;
        sleep(Duration::from_secs(1000)).await;
    });
    assert!(runtime.turn(Some(Duration::ZERO)).unwrap() == 1);
    drop(runtime);
    assert_eq!(drops.get(), 1);
    let other = Runtime::new().unwrap();
    assert!(matches!(other.block_on(task), Ok(Err(JoinError::Canceled))));
}

/// Spawns another task when it is dropped.
struct SpawnsInDrop(Rc<RefCell<Option<JoinHandle<()>>>>);

impl Drop for SpawnsInDrop {
    fn drop(&mut self) {
        *self.0.borrow_mut() = Some(spawn(async {}));
    }
}

#[test]
fn a_spawn_while_the_runtime_ends_is_canceled() {
    let place = Rc::new(RefCell::new(None));
    let runtime = Runtime::new().unwrap();
    let spawns = SpawnsInDrop(place.clone());
    runtime.spawn(async move {
        let _spawns = spawns;
        pending::<()>().await
    });
    runtime.turn(Some(Duration::ZERO)).unwrap();
    drop(runtime);
    let task = place.borrow_mut().take().unwrap();
    assert!(matches!(run(task), Err(JoinError::Canceled)));
}

#[test]
fn misuse_is_an_error() {
    let runtime = Rc::new(Runtime::new().unwrap());
    let inner = runtime.clone();
    let nested = runtime.block_on(async move {
        assert!(channel::<u8>(0).is_err());
        let nested = inner.block_on(async {});
        assert_eq!(inner.run(), Err(Error::BUSY));
        nested
    });
    assert_eq!(nested, Ok(Err(Error::BUSY)));
}

/// The message of a panic.
fn panic_of<T>(work: impl FnOnce() -> T) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(work)) else { panic!("no panic") };
    panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|&text| text.into())).unwrap()
}

fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(futures::task::noop_waker_ref()))
}

#[test]
fn outside_of_a_runtime_everything_panics_and_names_the_function() {
    let drops = Rc::new(Cell::new(0));
    let counted = Counted(drops.clone());
    let theirs = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = std::net::TcpStream::connect(theirs.local_addr().unwrap()).unwrap();
    let messages = [
        ("spawn ", panic_of(|| spawn(async move { drop(counted) }))),
        ("spawn_blocking ", panic_of(|| spawn_blocking(|| ()))),
        ("channel ", panic_of(|| channel::<u8>(1))),
        ("sleep ", panic_of(|| poll_once(sleep(MS)))),
        ("sleep ", panic_of(|| poll_once(timeout(MS, pending::<()>())))),
        ("TcpListener::bind ", panic_of(|| TcpListener::bind("127.0.0.1:0"))),
        ("TcpListener::bind ", panic_of(|| TcpListener::bind_shared("127.0.0.1:0"))),
        ("TcpStream::connect ", panic_of(|| poll_once(TcpStream::connect("127.0.0.1", 1)))),
        ("TcpStream::connect ", panic_of(|| poll_once(TcpStream::connect_to(([127, 0, 0, 1], 1).into())))),
        ("TcpStream::from_std ", panic_of(|| TcpStream::from_std(stream))),
    ];
    for (function, message) in messages {
        assert!(message.starts_with(function) && message.contains("needs a runtime"), "{message}");
    }
    assert_eq!(drops.get(), 1);
    // Inside one the same calls work, and also in a Runtime::enter.
    let runtime = Runtime::new().unwrap();
    let task = runtime.enter(|| spawn(async { 1 }));
    assert_eq!(runtime.block_on(task).unwrap().unwrap(), 1);
}

#[test]
fn another_runtime_may_be_driven_in_a_task() {
    let value = run(async {
        let other = Runtime::new().unwrap();
        let inner = other
            .block_on(async {
                sleep(MS).await;
                spawn(async { 3 }).await.unwrap()
            })
            .unwrap();
        let entered = other.enter(|| spawn(async { 4 }));
        inner + other.block_on(entered).unwrap().unwrap() + spawn(async { 5 }).await.unwrap()
    });
    assert_eq!(value, 12);
}

#[test]
fn a_stall_is_an_error_and_the_borrowed_future_is_dropped() {
    let drops = Rc::new(Cell::new(0));
    let runtime = Builder::new().detect_stall(true).build().unwrap();
    let counted = Counted(drops.clone());
    let result = runtime.block_on(async {
        let _counted = &counted;
        pending::<()>().await
    });
    assert_eq!(result, Err(Error::STALLED));
    drop(counted);
    assert_eq!(drops.get(), 1);
    assert_eq!(runtime.block_on(async { 7 }), Ok(7));
    assert_eq!(runtime.run(), Ok(()));
}

// ---- other threads ----

#[test]
fn a_stop_ends_block_on_and_it_may_go_on() {
    let runtime = Runtime::new().unwrap();
    let remote = runtime.remote();
    let mut future = pin!(async {
        sleep(20 * MS).await;
        8
    });
    let thread = thread::spawn({
        let remote = remote.clone();
        move || remote.stop().unwrap()
    });
    thread.join().unwrap();
    assert_eq!(runtime.block_on(future.as_mut()), Err(Error::CANCELED));
    assert_eq!(runtime.block_on(future.as_mut()), Ok(8));
    drop(runtime);
    assert_eq!(remote.stop(), Err(Error::NO_RUNTIME));
    assert_eq!(remote.post(|| ()), Err(Error::NO_RUNTIME));
}

#[test]
fn posts_run_in_the_runtimes_thread() {
    let runtime = Runtime::new().unwrap();
    let remote = runtime.remote();
    let (sender, receiver) = mpsc::channel();
    let thread = thread::spawn(move || {
        for i in 0..10 {
            let sender = sender.clone();
            remote.spawn(move || async move { sender.send((i, thread::current().id())).unwrap() }).unwrap();
        }
    });
    thread.join().unwrap();
    runtime.run().unwrap();
    let got: Vec<_> = receiver.iter().collect();
    assert_eq!(got, (0..10).map(|i| (i, thread::current().id())).collect::<Vec<_>>());
}

#[test]
fn wakers_work_from_other_threads_and_for_ever() {
    let kept = Arc::new(std::sync::Mutex::new(None));
    let count = Rc::new(Cell::new(0));
    let runtime = Runtime::new().unwrap();
    let future = poll_fn(|cx| {
        count.set(count.get() + 1);
        if count.get() == 3 {
            return Poll::Ready(());
        }
        *kept.lock().unwrap() = Some(cx.waker().clone());
        let waker = cx.waker().clone();
        thread::spawn(move || waker.wake());
        Poll::Pending
    });
    runtime.block_on(future).unwrap();
    drop(runtime);
    let waker = kept.lock().unwrap().take().unwrap();
    waker.wake_by_ref();
    let copy = waker.clone();
    thread::spawn(move || copy.wake()).join().unwrap();
}

// ---- time ----

#[test]
fn sleeps_end_in_order_and_not_early() {
    let start = Instant::now();
    let order = run(async {
        let order = Rc::new(RefCell::new(Vec::new()));
        let tasks = [30u32, 10, 20].map(|ms| {
            let order = order.clone();
            spawn(async move {
                sleep(ms * MS).await;
                order.borrow_mut().push(ms);
            })
        });
        join_all(tasks).await;
        order.take()
    });
    assert_eq!(order, [10, 20, 30]);
    assert!(start.elapsed() >= 30 * MS);
}

#[test]
fn a_sleep_may_move_between_tasks_and_runtimes() {
    let start = Instant::now();
    let mut sleep = sleep(30 * MS);
    for _ in 0..2 {
        let task = async {
            poll_fn(|cx| {
                assert!(std::pin::Pin::new(&mut sleep).poll(cx).is_pending());
                Poll::Ready(())
            })
            .await
        };
        run(task);
    }
    run(sleep);
    assert!(start.elapsed() >= 30 * MS);
}

#[test]
fn timeouts() {
    run(async {
        assert_eq!(timeout(1000 * MS, async { 1 }).await, Ok(1));
        assert_eq!(timeout(MS, pending::<()>()).await, Err(Elapsed));
        assert_eq!(timeout(Duration::MAX, sleep(MS)).await, Ok(()));
    });
}

// ---- channels ----

#[test]
fn a_full_channel_holds_the_sender_up() {
    run(async {
        let (sender, receiver) = channel(2).unwrap();
        let producer = spawn(async move {
            for i in 0..100 {
                sender.send(Box::new(i)).await.unwrap();
            }
        });
        for i in 0..100 {
            assert_eq!(receiver.recv().await, Some(Box::new(i)));
        }
        assert_eq!(receiver.recv().await, None);
        producer.await.unwrap();
    });
}

#[test]
fn a_closed_channel_gives_the_item_back_and_drops_what_is_queued() {
    let drops = Rc::new(Cell::new(0));
    run(async {
        let (sender, receiver) = channel(1).unwrap();
        assert!(sender.send(Counted(drops.clone())).await.is_ok());
        let waiting = spawn({
            let sender = sender.clone();
            let counted = Counted(drops.clone());
            async move { sender.send(counted).await.is_err() }
        });
        yield_now().await;
        drop(receiver);
        assert!(waiting.await.unwrap());
        assert_eq!(drops.get(), 2);
        assert!(sender.send(Counted(drops.clone())).await.is_err());
    });
    assert_eq!(drops.get(), 3);
}

#[test]
fn a_channel_outlives_its_runtime() {
    let drops = Rc::new(Cell::new(0));
    let (sender, receiver) = run(async {
        let (sender, receiver) = channel(4).unwrap();
        sender.send(Counted(drops.clone())).await.unwrap_or(());
        (sender, receiver)
    });
    run(async {
        assert!(sender.send(Counted(drops.clone())).await.is_err());
        assert!(receiver.recv().await.is_some());
        assert!(receiver.recv().await.is_none());
    });
    assert_eq!(drops.get(), 2);
}

#[test]
fn a_send_that_is_polled_after_it_was_ready_sends_nothing() {
    run(async {
        let (sender, receiver) = channel(4).unwrap();
        let mut send = Box::pin(sender.send(1));
        assert!(poll_once(send.as_mut()).is_ready());
        panic_of(|| poll_once(send.as_mut()));
        sender.send(2).await.unwrap();
        assert_eq!((receiver.recv().await, receiver.recv().await), (Some(1), Some(2)));
        assert!(poll_once(receiver.recv()).is_pending());
    });
}

#[test]
fn an_item_is_kept_for_the_receive_that_it_woke_until_that_is_polled_or_dropped() {
    run(async {
        let (sender, receiver) = channel(2).unwrap();
        let mut first = Box::pin(receiver.recv());
        assert!(poll_once(first.as_mut()).is_pending());
        let mut second = Box::pin(receiver.recv());
        assert!(poll_once(second.as_mut()).is_pending());
        sender.send(1).await.unwrap();
        yield_now().await;
        // The item is the first one's, which is not polled.
        assert!(poll_once(second.as_mut()).is_pending());
        assert!(poll_once(receiver.recv()).is_pending());
        drop(first);
        assert_eq!(second.await, Some(1));
        // A receive that was never polled keeps nothing.
        let unpolled = receiver.recv();
        sender.send(2).await.unwrap();
        assert_eq!(poll_once(receiver.recv()), Poll::Ready(Some(2)));
        drop(unpolled);
    });
}

// ---- blocking work ----

#[test]
fn blocking_work_gives_values_and_panics() {
    run(async {
        let thread = spawn_blocking(|| thread::current().id()).await.unwrap();
        assert_ne!(thread, thread::current().id());
        let panic = spawn_blocking(|| panic!("on purpose")).await;
        assert!(matches!(panic, Err(JoinError::Panicked(_))));
        let tasks = (0..20).map(|i| spawn_blocking(move || i * i));
        let sum: u64 = join_all(tasks).await.into_iter().map(|value| value.unwrap()).sum();
        assert_eq!(sum, 2470);
    });
}

/// Counts its drops, in any thread.
struct SharedCounted(Arc<AtomicUsize>);

impl Drop for SharedCounted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn jobs_that_are_aborted_are_freed_while_another_one_runs() {
    let drops = Arc::new(AtomicUsize::new(0));
    let runtime = Builder::new().blocking_threads(1).build().unwrap();
    runtime
        .block_on(async {
            let (release, released) = mpsc::channel::<()>();
            let long = spawn_blocking(move || released.recv());
            yield_now().await;
            for round in 1..=200 {
                let jobs = (0..100).map(|_| {
                    let (counted, data) = (SharedCounted(drops.clone()), [1u8; 4096]);
                    spawn_blocking(move || (data, counted))
                });
                let jobs: Vec<_> = jobs.collect();
                yield_now().await;
                jobs.iter().for_each(BlockingHandle::abort);
                for job in jobs {
                    assert!(matches!(job.await, Err(JoinError::Canceled)));
                }
                yield_now().await;
                yield_now().await;
                assert_eq!(drops.load(Ordering::Relaxed), round * 100);
            }
            let live = runtime_bytes(&runtime);
            assert!(live < 1 << 20, "{live} bytes are in use");
            assert!(!long.is_finished());
            release.send(()).unwrap();
            long.await.unwrap().unwrap();
        })
        .unwrap();
}

/// The bytes that the C side has in use.
fn runtime_bytes(runtime: &Runtime) -> u64 {
    // SAFETY: all its members may be zero; the runtime lives and this is its thread.
    unsafe {
        let mut stats: sys::zyntax_runtime_stats = std::mem::zeroed();
        stats.size = std::mem::size_of_val(&stats);
        assert_eq!(sys::zyntax_runtime_get_stats(runtime.as_raw(), &mut stats), 0);
        stats.bytes_in_use
    }
}

#[test]
fn a_job_that_is_aborted_while_it_runs_finishes_unheard_and_its_result_is_dropped_once() {
    let drops = Arc::new(AtomicUsize::new(0));
    let runtime = Runtime::new().unwrap();
    let (begins, begun) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let counted = SharedCounted(drops.clone());
    let job = runtime.enter(|| {
        spawn_blocking(move || {
            begins.send(()).unwrap();
            released.recv().unwrap();
            counted
        })
    });
    runtime.turn(Some(Duration::ZERO)).unwrap();
    begun.recv().unwrap();
    job.abort();
    assert!(matches!(runtime.block_on(job), Ok(Err(JoinError::Canceled))));
    assert_eq!(drops.load(Ordering::Relaxed), 0);
    release.send(()).unwrap();
    drop(runtime);
    assert_eq!(drops.load(Ordering::Relaxed), 1);
}

#[test]
fn blocking_work_that_is_given_up_is_dropped_once() {
    let (ran, drops) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    for round in 0..40 {
        let runtime = Builder::new().blocking_threads(1).build().unwrap();
        runtime
            .block_on(async {
                let tasks: Vec<_> = (0..10)
                    .map(|_| {
                        let (ran, counted) = (ran.clone(), SharedCounted(drops.clone()));
                        spawn_blocking(move || {
                            let _counted = &counted;
                            ran.fetch_add(1, Ordering::Relaxed);
                            thread::sleep(MS / 10);
                        })
                    })
                    .collect();
                yield_now().await;
                tasks.iter().skip(5).for_each(BlockingHandle::abort);
                if round % 2 == 0 {
                    for task in tasks {
                        let _ = task.await;
                    }
                    spawn_blocking(|| ()).await.unwrap();
                }
            })
            .unwrap();
    }
    assert_eq!(drops.load(Ordering::Relaxed), 400);
    assert!(ran.load(Ordering::Relaxed) < 400);
}

#[test]
fn shutdown_timeout_leaves_a_job_that_runs_behind_and_drops_all_else() {
    let (dropped, ran) = (Rc::new(Cell::new(0)), Arc::new(AtomicUsize::new(0)));
    let runtime = Builder::new().blocking_threads(1).build().unwrap();
    let (begins, begun) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let (result, queued) = (SharedCounted(ran.clone()), SharedCounted(ran.clone()));
    let (running, waiting, task, stream) = runtime.enter(|| {
        let counted = Counted(dropped.clone());
        let running = spawn_blocking(move || {
            begins.send(()).unwrap();
            released.recv().unwrap();
            result
        });
        let task = spawn(async move {
            let _counted = counted;
            pending::<()>().await
        });
        (running, spawn_blocking(move || drop(queued)), task, TcpListener::bind("127.0.0.1:0").unwrap())
    });
    let remote = runtime.remote();
    remote.post(|| ()).unwrap();
    runtime.turn(Some(Duration::ZERO)).unwrap();
    begun.recv().unwrap();
    runtime.shutdown_timeout(20 * MS);
    assert_eq!(dropped.get(), 1);
    assert_eq!(ran.load(Ordering::SeqCst), 1); // what was queued
    assert_eq!(remote.stop(), Err(Error::NO_RUNTIME));
    drop(stream);
    run(async {
        assert!(matches!(running.await, Err(JoinError::Canceled)));
        assert!(matches!(waiting.await, Err(JoinError::Canceled)));
        assert!(matches!(task.await, Err(JoinError::Canceled)));
    });
    release.send(()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while ran.load(Ordering::SeqCst) < 2 {
        assert!(Instant::now() < deadline, "what the job left is never dropped");
        run(sleep(MS)); // makes and ends a runtime
    }
}

#[test]
fn shutdown_timeout_waits_for_what_ends_in_time() {
    Runtime::new().unwrap().shutdown_timeout(Duration::MAX);
    let drops = Arc::new(AtomicUsize::new(0));
    let runtime = Runtime::new().unwrap();
    let counted = SharedCounted(drops.clone());
    let (begins, begun) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    runtime.enter(|| {
        drop(spawn_blocking(move || {
            begins.send(()).unwrap();
            released.recv().unwrap();
            counted
        }))
    });
    runtime.turn(Some(Duration::ZERO)).unwrap();
    begun.recv().unwrap();
    let thread = thread::spawn(move || {
        thread::sleep(20 * MS);
        release.send(()).unwrap();
    });
    runtime.shutdown_timeout(Duration::MAX);
    assert_eq!(drops.load(Ordering::SeqCst), 1);
    thread.join().unwrap();
}

/// Spawns its like whenever it is dropped, so often.
struct Respawns(usize, Rc<Cell<usize>>);

impl Drop for Respawns {
    fn drop(&mut self) {
        self.1.set(self.1.get() + 1);
        if self.0 > 0 {
            let next = Respawns(self.0 - 1, self.1.clone());
            spawn(async move {
                let _next = next;
                pending::<()>().await
            });
        }
    }
}

#[test]
fn shutdown_timeout_drops_what_drops_spawn() {
    let drops = Rc::new(Cell::new(0));
    let runtime = Runtime::new().unwrap();
    let first = Respawns(10, drops.clone());
    runtime.spawn(async move {
        let _first = first;
        pending::<()>().await
    });
    runtime.turn(Some(Duration::ZERO)).unwrap();
    runtime.shutdown_timeout(Duration::from_secs(60));
    assert_eq!(drops.get(), 11);
}

// ---- TCP ----

async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buf = [0; 1024];
    loop {
        match stream.read(&mut buf).await? {
            0 => return Ok(()),
            n => stream.write_all(&buf[..n]).await?,
        }
    }
}

#[test]
fn tcp_echo() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.port().unwrap();
        let server = spawn(async move {
            for _ in 0..3 {
                let stream = listener.accept().await.unwrap();
                spawn(async move { echo(stream).await.unwrap() });
            }
        });
        // As it is, with both halves at once, and with the traits of futures-io.
        let mut stream = TcpStream::connect("127.0.0.1", port).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        let mut buf = [0; 5];
        stream.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"hello");

        let mut stream = TcpStream::connect("localhost", port).await.unwrap();
        let data: Vec<u8> = (0..4_000_000u32).map(|i| i as u8).collect();
        let (mut reading, mut writing) = stream.halves();
        let write = async {
            writing.write_all(&data).await.unwrap();
            writing.shutdown().unwrap();
        };
        let read = async {
            let (mut got, mut buf) = (Vec::new(), vec![0; 65536]);
            loop {
                match reading.read(&mut buf).await.unwrap() {
                    0 => return got,
                    n => got.extend_from_slice(&buf[..n]),
                }
            }
        };
        let ((), got) = futures::join!(write, read);
        assert!(got == data);

        let stream = TcpStream::connect("127.0.0.1", port).await.unwrap();
        let (mut reading, mut writing) = AsyncReadExt::split(stream);
        let mut got = String::new();
        let write = async {
            writing.write_all(b"in two halves").await.unwrap();
            writing.close().await.unwrap();
        };
        let (_, read) = futures::join!(write, reading.read_to_string(&mut got));
        assert_eq!((read.unwrap(), got.as_str()), (13, "in two halves"));
        server.await.unwrap();
    });
}

#[test]
fn tcp_errors_have_their_kinds() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.port().unwrap();
        let second = TcpListener::bind(("127.0.0.1", port)).unwrap_err();
        assert_eq!(second.kind(), std::io::ErrorKind::AddrInUse);
        drop(listener);
        let refused = TcpStream::connect("127.0.0.1", port).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        assert_eq!(TcpStream::connect("a\0b", 1).await.unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    });
}

#[test]
fn addresses_mean_what_they_mean_to_the_standard_library() {
    let scoped = |text: &str, flow, scope| SocketAddr::V6(SocketAddrV6::new(text.parse().unwrap(), 0, flow, scope));
    // Without its scope a link-local address is invalid, and with it the address is not one of this machine's.
    for address in [
        "127.0.0.1:0".parse().unwrap(),
        "[::1]:0".parse().unwrap(),
        "[fe80::1%1]:0".parse().unwrap(),
        scoped("fe80::1", 0, 0),
        scoped("fe80::1", 5, 1),
        scoped("::1", 5, 0),
        scoped("::1", 0, 1),
        scoped("2001:db8::1", 0, 1),
    ] {
        let theirs = std::net::TcpListener::bind(address).map(drop).map_err(|error| error.kind());
        let ours = run(async { TcpListener::bind(address).map(drop).map_err(|error| error.kind()) });
        assert_eq!(ours, theirs, "{address}");
    }
    // The same for a connection to a port without a listener.
    let listener = std::net::TcpListener::bind("[::1]:0").or_else(|_| std::net::TcpListener::bind("127.0.0.1:0"));
    let port = listener.unwrap().local_addr().unwrap().port();
    for (ip, scope) in [("::1", 0), ("fe80::1", 0), ("::1", 1)] {
        let address = SocketAddr::V6(SocketAddrV6::new(ip.parse().unwrap(), port, 0, scope));
        let theirs = std::net::TcpStream::connect(address).map(drop).map_err(|error| error.kind());
        let ours = run(TcpStream::connect_to(address)).map(drop).map_err(|error| error.kind());
        assert_eq!(ours, theirs, "{address}");
    }
}

/// The link-local addresses of this machine: those of Linux's /proc.
fn link_local() -> Vec<(Ipv6Addr, u32)> {
    let table = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let addresses = table.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let ip = Ipv6Addr::from(u128::from_str_radix(words.next()?, 16).ok()?);
        Some((ip, u32::from_str_radix(words.next()?, 16).ok()?))
    });
    addresses.filter(|(ip, _)| ip.segments()[0] == 0xfe80).collect()
}

#[test]
fn a_link_local_address_is_listened_on_and_connected_to() {
    let all = link_local();
    if all.is_empty() {
        println!("skipped: this machine has no link-local address");
    }
    for (ip, scope) in all {
        run(async {
            let listener = TcpListener::bind(SocketAddrV6::new(ip, 0, 0, scope)).unwrap();
            let port = listener.port().unwrap();
            let text = format!("{ip}%{scope}");
            for future in [TcpStream::connect(&text, port).await, {
                TcpStream::connect_to(SocketAddrV6::new(ip, port, 0, scope).into()).await
            }] {
                future.unwrap();
                listener.accept().await.unwrap();
            }
        });
    }
}

#[test]
fn a_stream_of_the_standard_library_and_one_that_outlives_its_runtime() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut left = run(async {
        let theirs = std::net::TcpStream::connect(address).unwrap();
        let mut ours = TcpStream::from_std(listener.accept().unwrap().0).unwrap();
        let mut theirs = TcpStream::from_std(theirs).unwrap();
        ours.write_all(b"x").await.unwrap();
        assert_eq!(theirs.read(&mut [0; 8]).await.unwrap(), 1);
        assert!(timeout(MS, theirs.read(&mut [0; 8])).await.is_err());
        theirs
    });
    let error = run(async { left.read(&mut [0; 8]).await.unwrap_err() });
    assert!(error.get_ref().is_some_and(|error| error.is::<Error>()));
}

// ---- wakers that are not ours ----

#[test]
fn foreign_wakers() {
    run(async {
        let (sender, receiver) = channel(1).unwrap();
        spawn(async move {
            for i in 0..50u64 {
                sender.send(i).await.unwrap();
            }
        });
        let mut all = FuturesUnordered::new();
        for i in 0..50u32 {
            let receiver = receiver.clone();
            all.push(async move {
                sleep(i % 5 * MS).await;
                receiver.recv().await.unwrap()
            });
        }
        let mut got = Vec::new();
        while let Some(i) = all.next().await {
            got.push(i);
        }
        got.sort_unstable();
        assert_eq!(got, (0..50).collect::<Vec<_>>());
    });
}

#[test]
fn foreign_wakers_are_let_go_in_time() {
    run(async {
        // The loser is dropped while it waits, and its waker is not called any more.
        for _ in 0..100 {
            let mut all: FuturesUnordered<_> = (1..20u32).map(|i| sleep(i * MS / 10)).collect();
            all.next().await;
            drop(all);
            yield_now().await;
        }
        let slow = pin!(sleep(1000 * MS));
        let Either::Right(_) = select(slow, pin!(sleep(MS))).await else { panic!("the slow one was first") };
    });
}

#[test]
fn a_stop_in_the_roots_last_poll_keeps_the_value_and_stops_what_is_driven_next() {
    let runtime = Runtime::new().unwrap();
    let remote = runtime.remote();
    assert_eq!(
        runtime.block_on(async move {
            remote.stop().unwrap();
            8
        }),
        Ok(8)
    );
    assert_eq!(runtime.run(), Err(Error::CANCELED));
    assert_eq!(runtime.run(), Ok(()));
}

#[test]
fn a_root_that_is_dropped_after_a_stop_may_spawn() {
    struct Spawns(Rc<Cell<bool>>);
    impl Drop for Spawns {
        fn drop(&mut self) {
            let ran = self.0.clone();
            drop(spawn(async move { ran.set(true) }));
        }
    }
    let runtime = Runtime::new().unwrap();
    let (remote, ran) = (runtime.remote(), Rc::new(Cell::new(false)));
    let spawns = Spawns(ran.clone());
    let root = async move {
        let _spawns = spawns;
        remote.stop().unwrap();
        std::future::pending::<()>().await
    };
    assert_eq!(runtime.block_on(root), Err(Error::CANCELED));
    runtime.run().unwrap();
    assert!(ran.get());
}

#[test]
fn a_hold_says_that_another_thread_will_wake_somebody() {
    let runtime = Builder::new().detect_stall(true).build().unwrap();
    let hold = runtime.remote().hold().unwrap();
    let (mut sent, woken) = (None, Arc::new(AtomicUsize::new(0)));
    let seen = woken.clone();
    let waits = poll_fn(move |cx| {
        if seen.load(Ordering::SeqCst) == 1 {
            return Poll::Ready(());
        }
        let (waker, woken) = (cx.waker().clone(), seen.clone());
        sent.get_or_insert_with(|| {
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(20));
                woken.store(1, Ordering::SeqCst);
                waker.wake();
            })
        });
        Poll::Pending
    });
    assert_eq!(runtime.block_on(waits), Ok(()));
    drop(hold);
    assert_eq!(runtime.block_on(pending::<()>()), Err(Error::STALLED));
    let remote = runtime.remote();
    let hold = remote.hold().unwrap();
    drop(runtime);
    drop(hold); // of a runtime that is gone
    assert!(remote.hold().is_err());
}

// ---- values of one thread ----

#[test]
fn a_thread_bound_value_panics_elsewhere_and_is_dropped_in_its_thread_only() {
    let drops = Arc::new(AtomicUsize::new(0));
    let bound = ThreadBound::new((SharedCounted(drops.clone()), Cell::new(5)));
    assert_eq!(bound.1.get(), 5);
    let bound = thread::spawn(move || {
        assert!(!bound.is_here());
        assert!(panic_of(|| bound.1.get()).contains("outside of its thread"));
        bound
    });
    let bound = bound.join().unwrap();
    assert!(bound.is_here());
    assert_eq!(bound.into_inner().1.get(), 5);
    assert_eq!(drops.load(Ordering::Relaxed), 1);

    static DROPS: AtomicUsize = AtomicUsize::new(0);
    struct CountedOnce;
    impl Drop for CountedOnce {
        fn drop(&mut self) {
            DROPS.fetch_add(1, Ordering::Relaxed);
        }
    }
    let bound = ThreadBound::new(CountedOnce);
    thread::spawn(move || drop(bound)).join().unwrap();
    assert_eq!(DROPS.load(Ordering::Relaxed), 0);
    drop(ThreadBound::new(CountedOnce));
    assert_eq!(DROPS.load(Ordering::Relaxed), 1);
}

#[test]
fn a_thread_bound_future_is_polled_in_its_thread_only() {
    fn send<T: Send>(value: T) -> T {
        value
    }
    let future = || ThreadBound::new(Box::pin(async { sleep(MS).await }));
    run(send(future()));
    let mut elsewhere = send(future());
    let thread = thread::spawn(move || (panic_of(|| run(&mut elsewhere)), elsewhere));
    let (message, again) = thread.join().unwrap();
    assert!(message.contains("outside of its thread"), "{message}");
    run(again);
}

#[test]
fn a_thread_bound_stream_has_the_traits_of_its_stream() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect("127.0.0.1", listener.port().unwrap()).await.unwrap();
        let mut ours = ThreadBound::new(listener.accept().await.unwrap());
        let mut theirs = ThreadBound::new(stream);
        AsyncWriteExt::write_all(&mut ours, b"hello").await.unwrap();
        AsyncWriteExt::close(&mut ours).await.unwrap();
        let mut got = String::new();
        theirs.read_to_string(&mut got).await.unwrap();
        assert_eq!(got, "hello");
    });
}

// ---- code that comes back from where it is not expected ----

/// A waker that drives a runtime when it is dropped.
struct DrivesInDrop(ThreadBound<Rc<Runtime>>);

impl Wake for DrivesInDrop {
    fn wake(self: Arc<Self>) {}
}

impl Drop for DrivesInDrop {
    fn drop(&mut self) {
        self.0.run().unwrap();
    }
}

#[test]
fn a_task_may_end_while_the_waker_of_its_handle_is_replaced() {
    let runtime = Rc::new(Runtime::new().unwrap());
    let mut handle = runtime.spawn(async {
        yield_now().await;
        1
    });
    let waker = Waker::from(Arc::new(DrivesInDrop(ThreadBound::new(runtime.clone()))));
    assert!(pin!(&mut handle).poll(&mut Context::from_waker(&waker)).is_pending());
    drop(waker); // the handle's task has the last one
    let Poll::Ready(value) = poll_once(&mut handle) else { panic!("it has ended") };
    assert_eq!(value.unwrap(), 1);
}

/// Panics when it is dropped.
struct PanicsInDrop(Arc<AtomicUsize>);

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
        std::panic::panic_any(()); // nothing that could leak
    }
}

#[test]
fn panics_in_drops_harm_nobody() {
    let drops = Arc::new(AtomicUsize::new(0));
    let bad = || PanicsInDrop(drops.clone());
    let runtime = Runtime::new().unwrap();
    let remote = runtime.remote();
    let (ended, aborted, left, unheard) = runtime.enter(|| {
        let (first, second, third, fourth, fifth) = (bad(), bad(), bad(), bad(), bad());
        drop(spawn(async move { first })); // a result that nobody has
        let aborted = spawn(async move {
            let _second = second;
            pending::<()>().await
        });
        let left = spawn(async move {
            let _third = third;
            pending::<()>().await
        });
        let ended = spawn(poll_fn(move |_| {
            let _fourth = &fourth;
            Poll::Ready(4)
        }));
        let unheard = spawn_blocking(move || fifth);
        (ended, aborted, left, unheard)
    });
    aborted.abort();
    let sixth = bad();
    remote.post(move || drop(sixth)).unwrap();
    assert_eq!(runtime.block_on(ended).unwrap().unwrap(), 4);
    assert!(matches!(runtime.block_on(aborted).unwrap(), Err(JoinError::Canceled)));
    drop(unheard);
    drop(runtime);
    assert!(matches!(run(left), Err(JoinError::Canceled)));
    assert_eq!(drops.load(Ordering::SeqCst), 6);
}

#[test]
fn a_panic_whose_payload_panics_in_its_drop_harms_nobody() {
    let drops = Arc::new(AtomicUsize::new(0));
    let payload = || PanicsInDrop(drops.clone());
    let runtime = Runtime::new().unwrap();
    let (first, second, third) = (payload(), payload(), payload());
    runtime.enter(|| {
        drop(spawn(async move { std::panic::panic_any(first) }));
        drop(spawn_blocking(move || std::panic::panic_any(second)));
    });
    runtime.remote().post(move || std::panic::panic_any(third)).unwrap();
    runtime.run().unwrap();
    assert_eq!(runtime.block_on(async { 1 }), Ok(1));
    drop(runtime);
    assert_eq!(drops.load(Ordering::SeqCst), 3);
}

#[test]
fn a_task_may_abort_itself_and_own_its_handle() {
    run(async {
        let drops = Rc::new(Cell::new(0));
        let place: Rc<RefCell<Option<JoinHandle<()>>>> = Rc::default();
        let (counted, own) = (Counted(drops.clone()), place.clone());
        let task = spawn(async move {
            let _counted = counted;
            yield_now().await;
            let own = own.borrow_mut().take().unwrap();
            own.abort();
            let mut own = own;
            assert!(poll_once(&mut own).is_pending());
            pending::<()>().await;
            drop(own);
        });
        let abort = task.abort_handle();
        *place.borrow_mut() = Some(task);
        while !abort.is_finished() {
            yield_now().await;
        }
        assert_eq!(drops.get(), 1);
    });
}

#[test]
fn a_job_of_a_runtime_that_is_dropped_may_use_its_remote() {
    let drops = Arc::new(AtomicUsize::new(0));
    let runtime = Runtime::new().unwrap();
    let (remote, counted) = (runtime.remote(), SharedCounted(drops.clone()));
    let (begins, begun) = mpsc::channel();
    let job = runtime.enter(|| {
        spawn_blocking(move || {
            begins.send(()).unwrap();
            while remote.post(|| ()).is_ok() {
                thread::yield_now();
            }
            assert!(remote.spawn(|| async {}).is_err());
            counted
        })
    });
    runtime.turn(Some(Duration::ZERO)).unwrap();
    begun.recv().unwrap();
    drop(runtime);
    assert_eq!(drops.load(Ordering::SeqCst), 1);
    assert!(matches!(run(job), Err(JoinError::Canceled)));
}

#[test]
fn handles_work_across_the_runtimes_of_a_thread() {
    let (one, other) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let (sender, receiver) = one.enter(|| channel(1).unwrap());
    let task = one.spawn(async move {
        sleep(MS).await;
        sender.send(5).await.unwrap();
        6
    });
    let joins = other.spawn(async move { (receiver.recv().await, task.await.unwrap()) });
    assert_eq!(other.turn(Some(Duration::ZERO)), Ok(1));
    one.run().unwrap();
    assert_eq!(other.block_on(joins).unwrap().unwrap(), (Some(5), 6));
    // A runtime that ends in a task of another, whose task joins one of it.
    let task = one.spawn(pending::<()>());
    let end = other.block_on(async move {
        let join = spawn(task);
        yield_now().await;
        drop(one);
        join.await.unwrap()
    });
    assert!(matches!(end, Ok(Err(JoinError::Canceled))));
}

#[test]
fn tasks_and_jobs_that_a_drop_begins_while_the_runtime_ends_are_dropped() {
    struct Begins(Arc<AtomicUsize>);
    impl Drop for Begins {
        fn drop(&mut self) {
            let (task, job) = (SharedCounted(self.0.clone()), SharedCounted(self.0.clone()));
            drop(spawn(async move { drop(task) }));
            drop(spawn_blocking(move || drop(job)));
            assert!(channel::<u8>(1).is_err());
            assert!(TcpListener::bind("127.0.0.1:0").is_err());
            assert!(poll_once(sleep(MS)).is_pending());
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let runtime = Runtime::new().unwrap();
    let (begins, result) = (Begins(drops.clone()), Begins(drops.clone()));
    runtime.spawn(async move {
        let _begins = begins;
        pending::<()>().await
    });
    runtime.enter(|| drop(spawn_blocking(move || result)));
    runtime.turn(Some(Duration::ZERO)).unwrap();
    drop(runtime);
    assert_eq!(drops.load(Ordering::SeqCst), 4);
}
