// SPDX-License-Identifier: Apache-2.0
//! Nothing is allocated when a waker is cloned, woken or dropped, when a task is polled, and at an await point.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::{poll_fn, Future};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use zyntax_async_runtime::{channel, sleep, spawn, sys, yield_now, Runtime, TcpListener, TcpStream};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: the system's allocator, and a count.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations() -> usize {
    ALLOCATIONS.with(Cell::get)
}

/// The bytes that the C side has taken from its allocator.
fn bytes_reserved(runtime: *mut sys::zyntax_runtime) -> u64 {
    // SAFETY: all its members may be zero; the runtime lives and this is its thread.
    unsafe {
        let mut stats: sys::zyntax_runtime_stats = std::mem::zeroed();
        stats.size = std::mem::size_of_val(&stats);
        assert_eq!(sys::zyntax_runtime_get_stats(runtime, &mut stats), 0);
        stats.bytes_reserved
    }
}

/// Runs the rounds once to warm up and once more, in which nothing may be allocated.
async fn steady<F: Future<Output = ()>>(what: &str, mut round: impl FnMut() -> F) {
    // SAFETY: inside a task.
    let runtime = unsafe { sys::zyntax_current_runtime() };
    let mut before = (0, 0);
    for repeat in 0..2 {
        if repeat == 1 {
            before = (allocations(), bytes_reserved(runtime));
        }
        for _ in 0..200 {
            round().await;
        }
    }
    assert_eq!((allocations(), bytes_reserved(runtime)), before, "{what}");
}

/// A waker that is not the library's.
struct Through(Waker);

impl Wake for Through {
    fn wake(self: Arc<Self>) {
        self.0.wake_by_ref();
    }
}

#[test]
fn nothing_is_allocated_in_the_long_run() {
    let runtime = Runtime::new().unwrap();
    let end = runtime.block_on(async {
        let wake = || {
            let mut polls = 0;
            poll_fn(move |cx: &mut Context<'_>| {
                polls += 1;
                let wakers = [cx.waker().clone(), cx.waker().clone()];
                assert!(wakers[0].will_wake(cx.waker()));
                if polls == 3 {
                    return Poll::Ready(());
                }
                wakers.into_iter().for_each(Waker::wake);
                cx.waker().wake_by_ref();
                Poll::Pending
            })
        };
        steady("clone, wake, poll", wake).await;
        steady("yield", yield_now).await;
        steady("sleep", || sleep(Duration::from_micros(10))).await;

        let (sender, receiver) = channel::<u64>(4).unwrap();
        let (back, answers) = channel::<u64>(4).unwrap();
        spawn(async move {
            while let Some(item) = receiver.recv().await {
                back.send(item).await.unwrap();
            }
        });
        let ask = || async {
            sender.send(5).await.unwrap();
            assert_eq!(answers.recv().await, Some(5));
        };
        steady("channels", ask).await;

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.port().unwrap();
        spawn(async move {
            let mut stream = listener.accept().await.unwrap();
            let mut buf = [0; 64];
            while let Ok(read @ 1..) = stream.read(&mut buf).await {
                stream.write_all(&buf[..read]).await.unwrap();
            }
        });
        let mut stream = TcpStream::connect("127.0.0.1", port).await.unwrap();
        for repeat in 0..2 {
            let before = allocations();
            for _ in 0..200 {
                stream.write_all(b"hello").await.unwrap();
                assert_eq!(stream.read(&mut [0; 64]).await.unwrap(), 5);
            }
            assert!(repeat == 0 || allocations() == before, "TCP");
        }

        // A foreign waker costs its await point one allocation, once.
        let own = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        let foreign = Waker::from(Arc::new(Through(own)));
        let mut cx = Context::from_waker(&foreign);
        let before = allocations();
        let mut waiting = pin!(sleep(Duration::from_secs(1000)));
        for _ in 0..200 {
            assert!(waiting.as_mut().poll(&mut cx).is_pending());
        }
        assert_eq!(allocations() - before, 1);
    });
    end.unwrap();
}
