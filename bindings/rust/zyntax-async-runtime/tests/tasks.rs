// SPDX-License-Identifier: Apache-2.0
//! Sets of tasks, intervals, and channels as streams.

mod support;

use std::cell::Cell;
use std::future::pending;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::stream::{Stream, StreamExt};
use support::{panic_of, poll_once, run, Counted, MS};
use zyntax_async_runtime::*;

// ---- sets of tasks ----

#[test]
fn join_next_gives_results_in_the_order_in_which_tasks_end() {
    run(async {
        let mut set = JoinSet::new();
        let (sender, receiver) = channel(1).unwrap();
        set.spawn(async move { receiver.recv().await.unwrap() });
        set.spawn(async { 1 });
        assert_eq!(set.len(), 2);
        assert_eq!(set.join_next().await.unwrap().unwrap(), 1);
        assert!(set.try_join_next().is_none());
        sender.send(2).await.unwrap();
        assert_eq!(set.join_next().await.unwrap().unwrap(), 2);
        assert!(set.is_empty());
        assert!(set.join_next().await.is_none());
    });
}

#[test]
fn a_set_gives_each_of_many_results_once() {
    run(async {
        let mut set: JoinSet<u32> = (0..5000u32)
            .map(|i| async move {
                sleep(i % 7 * MS / 10).await;
                i
            })
            .collect();
        let mut got = vec![0; 5000];
        for round in 0..2 {
            while let Some(result) = set.join_next().await {
                got[result.unwrap() as usize] += 1;
            }
            if round == 0 {
                set.spawn(async { 0 }); // into a place that was used
            }
        }
        assert_eq!(got[0], 2);
        assert!(got[1..].iter().all(|&count| count == 1));
    });
}

#[test]
fn a_join_next_that_is_dropped_loses_no_result() {
    run(async {
        let mut set = JoinSet::new();
        set.spawn(async {
            yield_now().await;
            5
        });
        assert!(poll_once(set.join_next()).is_pending());
        for _ in 0..5 {
            yield_now().await;
        }
        assert!(matches!(poll_once(set.join_next()), Poll::Ready(Some(Ok(5)))));
    });
}

#[test]
fn a_set_tells_of_panics_and_aborts() {
    run(async {
        let mut set = JoinSet::new();
        set.spawn(async { panic!("on purpose") });
        let error = set.join_next().await.unwrap().unwrap_err();
        assert!(error.is_panic() && !error.is_cancelled());
        let abort = set.spawn(pending::<()>());
        yield_now().await;
        abort.abort();
        let error = set.join_next().await.unwrap().unwrap_err();
        assert!(error.is_cancelled() && !error.is_panic());
    });
}

#[test]
fn a_set_has_blocking_work_beside_tasks() {
    run(async {
        let mut set = JoinSet::new();
        let (sender, receiver) = mpsc::channel();
        set.spawn_blocking(move || receiver.recv().unwrap());
        set.spawn(async move {
            sender.send(1).unwrap();
            2
        });
        let mut all = set.join_all().await;
        all.sort_unstable();
        assert_eq!(all, [1, 2]);
    });
}

#[test]
fn a_set_that_is_dropped_aborts_its_tasks() {
    let drops = Rc::new(Cell::new(0));
    run(async {
        let mut set = JoinSet::new();
        for _ in 0..10 {
            let counted = Counted(drops.clone());
            set.spawn(async move {
                let _counted = counted;
                pending::<()>().await
            });
        }
        yield_now().await;
        drop(set);
        while drops.get() < 10 {
            sleep(MS).await;
        }
    });
}

#[test]
fn shutdown_aborts_all_tasks_and_waits_for_their_ends() {
    let drops = Rc::new(Cell::new(0));
    run(async {
        let mut set = JoinSet::new();
        for _ in 0..10 {
            let counted = Counted(drops.clone());
            set.spawn(async move {
                let _counted = counted;
                pending::<()>().await
            });
        }
        set.shutdown().await;
        assert_eq!((drops.get(), set.len()), (10, 0));
    });
}

#[test]
fn tasks_that_are_detached_continue_and_are_not_told() {
    run(async {
        let done = Rc::new(Cell::new(0));
        let mut set = JoinSet::new();
        let theirs = done.clone();
        set.spawn(async move {
            yield_now().await;
            theirs.set(theirs.get() + 1);
        });
        set.detach_all();
        assert!(set.join_next().await.is_none());
        set.spawn(pending());
        for _ in 0..5 {
            yield_now().await;
        }
        assert_eq!(done.get(), 1);
        assert!(set.try_join_next().is_none());
    });
}

#[test]
fn join_all_goes_on_with_the_panic_of_a_task() {
    let message = panic_of(|| {
        run(async {
            let mut set = JoinSet::new();
            set.spawn(async { panic!("on purpose") });
            set.join_all().await
        })
    });
    assert_eq!(message, "on purpose");
}

// ---- intervals ----

#[test]
fn the_first_tick_is_at_once_and_the_others_are_not_early() {
    run(async {
        let start = Instant::now();
        let mut interval = interval(10 * MS);
        let first = interval.tick().await;
        assert!(first >= start);
        for i in 1..5 {
            assert_eq!(interval.tick().await, first + i * 10 * MS);
            assert!(start.elapsed() >= i * 10 * MS);
        }
    });
}

/// The times, in periods of 40 ms, of the ticks after a tick that was late by 100 ms, up to the first tick that had to
/// wait.
async fn late(behavior: MissedTickBehavior) -> Vec<(u128, bool)> {
    let period = 40 * MS;
    let start = Instant::now() - 100 * MS; // ticks at -100, -60, -20, 20 …
    let mut interval = interval_at(start, period);
    interval.set_missed_tick_behavior(behavior);
    assert_eq!(interval.missed_tick_behavior(), behavior);
    let mut times = Vec::new();
    for _ in 0..4 {
        let before = Instant::now();
        let tick = interval.tick().await;
        times.push(((tick - start).as_millis(), tick > before));
    }
    times
}

#[test]
fn ticks_that_were_missed_follow_at_once_or_late_or_never() {
    run(async {
        assert_eq!(interval(MS).missed_tick_behavior(), MissedTickBehavior::Burst);
        let burst = late(MissedTickBehavior::Burst).await;
        assert_eq!(burst.iter().map(|tick| tick.0).collect::<Vec<_>>(), [0, 40, 80, 120]);
        let skip = late(MissedTickBehavior::Skip).await;
        assert_eq!(skip[0].0, 0);
        assert!(skip[1..].iter().all(|tick| tick.0 % 40 == 0 && tick.0 >= 120), "{skip:?}");
        assert!(skip[1].1);
        let delay = late(MissedTickBehavior::Delay).await;
        assert!(delay[0].0 == 0 && delay[1].0 >= 140 && delay[1].1, "{delay:?}");
    });
}

#[test]
fn a_tick_that_is_given_up_is_not_lost() {
    run(async {
        let mut interval = interval(20 * MS);
        let first = interval.tick().await;
        assert!(timeout(MS, interval.tick()).await.is_err());
        assert_eq!(interval.tick().await, first + 20 * MS);
    });
}

#[test]
fn an_interval_is_reset() {
    run(async {
        let mut interval = interval(Duration::from_secs(1000));
        interval.tick().await;
        assert!(timeout(MS, interval.tick()).await.is_err());
        interval.reset_immediately();
        interval.tick().await;
        let begin = Instant::now();
        interval.reset_after(5 * MS);
        assert!(interval.tick().await >= begin + 5 * MS);
        interval.reset();
        assert!(timeout(MS, interval.tick()).await.is_err());
        assert_eq!(interval.period(), Duration::from_secs(1000));
    });
}

#[test]
fn an_interval_of_zero_panics() {
    assert!(panic_of(|| interval(Duration::ZERO)).contains("zero"));
}

// ---- channels ----

#[test]
fn a_receiver_is_a_stream_that_ends_with_the_senders() {
    run(async {
        let (sender, receiver) = channel(2).unwrap();
        spawn(async move {
            for i in 0..100 {
                sender.send(i).await.unwrap();
            }
        });
        assert_eq!(receiver.collect::<Vec<_>>().await, (0..100).collect::<Vec<_>>());
    });
}

#[test]
fn a_stream_that_is_given_up_leaves_its_item_to_the_same_receiver() {
    run(async {
        let (sender, mut receiver) = channel(4).unwrap();
        let other = receiver.clone();
        assert!(poll_once(receiver.next()).is_pending());
        let mut after = Box::pin(other.recv());
        assert!(poll_once(after.as_mut()).is_pending());
        sender.send(1).await.unwrap();
        yield_now().await;
        assert!(poll_once(after.as_mut()).is_pending()); // the item is the stream's
        assert_eq!(poll_once(receiver.recv()), Poll::Ready(Some(1)));
        sender.send(2).await.unwrap();
        assert_eq!(after.await, Some(2));

        assert!(poll_once(receiver.next()).is_pending());
        sender.send(3).await.unwrap();
        yield_now().await;
        drop(receiver);
        assert_eq!(other.recv().await, Some(3));
    });
}

#[test]
fn a_stream_goes_on_in_another_task() {
    run(async {
        let (sender, mut receiver) = channel(1).unwrap();
        assert!(poll_once(receiver.next()).is_pending());
        let task = spawn(async move { Pin::new(&mut receiver).next().await });
        yield_now().await;
        sender.send(7).await.unwrap();
        assert_eq!(task.await.unwrap(), Some(7));
        fn stream<T: Stream + Unpin>() {}
        stream::<Receiver<u8>>();
    });
}

#[test]
fn try_send_and_try_recv_do_not_wait() {
    run(async {
        let (sender, receiver) = channel(2).unwrap();
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(sender.try_send(1), Ok(()));
        assert_eq!(sender.try_send(2), Ok(()));
        assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
        assert_eq!((receiver.try_recv(), receiver.recv().await), (Ok(1), Some(2)));
        sender.try_send(4).unwrap();
        drop(sender);
        assert_eq!(receiver.try_recv(), Ok(4));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
        let (sender, receiver) = channel(2).unwrap();
        drop(receiver);
        assert_eq!(sender.try_send(5), Err(TrySendError::Closed(5)));
    });
}

#[test]
fn try_send_and_try_recv_overtake_nobody() {
    run(async {
        let (sender, receiver) = channel(1).unwrap();
        let mut waiting = Box::pin(receiver.recv());
        assert!(poll_once(waiting.as_mut()).is_pending());
        sender.try_send(1).unwrap();
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty)); // the item is the first one's
        assert_eq!(waiting.await, Some(1));
        sender.try_send(2).unwrap();
        let mut waiting = Box::pin(sender.send(3));
        assert!(poll_once(waiting.as_mut()).is_pending());
        assert_eq!(receiver.try_recv(), Ok(2));
        assert_eq!(sender.try_send(4), Err(TrySendError::Full(4))); // the place is the first one's
        waiting.await.unwrap();
        assert_eq!(receiver.try_recv(), Ok(3));
    });
}

#[test]
fn try_recv_gets_the_item_that_is_reserved_for_the_same_stream() {
    run(async {
        let (sender, mut receiver) = channel(2).unwrap();
        assert!(poll_once(receiver.next()).is_pending());
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        sender.try_send(1).unwrap();
        assert_eq!(receiver.try_recv(), Ok(1));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        // A try that finds nothing leaves the stream's task its wake.
        let task = spawn(async move {
            std::future::poll_fn(|cx| {
                let poll = receiver.poll_next_unpin(cx);
                assert!(poll.is_ready() || receiver.try_recv() == Err(TryRecvError::Empty));
                poll
            })
            .await
        });
        yield_now().await;
        sender.try_send(2).unwrap();
        assert_eq!(task.await.unwrap(), Some(2));
    });
}

#[test]
fn what_is_left_in_a_channel_is_tried_for_after_its_runtime_has_ended() {
    let (sender, receiver) = run(async {
        let (sender, receiver) = channel(4).unwrap();
        sender.try_send(1).unwrap();
        (sender, receiver)
    });
    assert_eq!(sender.try_send(2), Err(TrySendError::Closed(2)));
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
}
