// SPDX-License-Identifier: Apache-2.0
//! Signals of the process. The tests use different signals, as they run at the same time.
#![cfg(unix)]

mod support;

use std::io::ErrorKind;
use std::process::Command;

use support::{panic_of, poll_once, run, MS};
use zyntax_async_runtime::signal::unix::{signal, SignalKind};
use zyntax_async_runtime::*;

/// Sends a signal to this process, from another one.
fn send(kind: SignalKind) {
    let (number, pid) = (kind.as_raw_value(), std::process::id());
    let status = Command::new("sh").arg("-c").arg(format!("kill -{number} {pid}")).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_task_waits_for_a_signal() {
    run(async {
        let mut usr1 = signal(SignalKind::user_defined1()).unwrap();
        assert!(poll_once(usr1.recv()).is_pending());
        let task = spawn(async move {
            usr1.recv().await.unwrap();
            usr1
        });
        yield_now().await;
        send(SignalKind::user_defined1());
        let mut usr1 = task.await.unwrap();
        assert!(timeout(20 * MS, usr1.recv()).await.is_err());
    });
}

#[test]
fn every_subscription_hears_of_a_signal_also_before_it_waits() {
    run(async {
        let mut all: Vec<_> = (0..3).map(|_| signal(SignalKind::user_defined2()).unwrap()).collect();
        send(SignalKind::user_defined2());
        for subscription in &mut all {
            assert_eq!(subscription.recv().await, Some(()));
        }
    });
}

#[test]
fn two_threads_hear_of_a_signal() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let sender = sender.clone();
            std::thread::spawn(move || {
                run(async {
                    let mut hangup = signal(SignalKind::hangup()).unwrap();
                    sender.send(()).unwrap();
                    assert_eq!(hangup.recv().await, Some(()));
                });
            })
        })
        .collect();
    receiver.recv().unwrap();
    receiver.recv().unwrap();
    send(SignalKind::hangup());
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_receive_that_is_given_up_loses_no_signal() {
    run(async {
        let mut window = signal(SignalKind::window_change()).unwrap();
        assert!(poll_once(window.recv()).is_pending());
        send(SignalKind::window_change());
        yield_now().await;
        assert_eq!(timeout(support::DEADLINE, window.recv()).await, Ok(Some(())));
    });
}

#[test]
fn ctrl_c_is_waited_for() {
    run(async {
        let task = spawn(signal::ctrl_c());
        yield_now().await; // from its first poll the process survives
        send(SignalKind::interrupt());
        task.await.unwrap().unwrap();
    });
}

#[test]
fn after_the_last_subscription_the_signal_has_its_old_effect() {
    // In another process, which is this program with one test.
    if std::env::var_os("ZYNTAX_SIGNAL_CHILD").is_some() {
        run(async {
            let mut terminate = signal(SignalKind::terminate()).unwrap();
            send(SignalKind::terminate());
            terminate.recv().await.unwrap();
            drop(terminate);
            send(SignalKind::terminate());
            sleep(support::DEADLINE).await;
        });
        return;
    }
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "after_the_last_subscription_the_signal_has_its_old_effect"])
        .env("ZYNTAX_SIGNAL_CHILD", "1")
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(15));
}

#[test]
fn a_signal_that_nobody_can_wait_for_is_refused() {
    run(async {
        for number in [9, 11, 0, -1, 100_000] {
            let error = signal(SignalKind::from_raw(number)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{number}");
        }
    });
    assert!(panic_of(|| signal(SignalKind::alarm())).starts_with("signal needs a runtime"));
}

#[test]
fn a_subscription_that_outlives_its_runtime_ends() {
    let runtime = Runtime::new().unwrap();
    let mut alarm = runtime.enter(|| signal(SignalKind::alarm()).unwrap());
    drop(runtime);
    assert_eq!(run(alarm.recv()), None);
}
