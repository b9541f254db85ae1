// SPDX-License-Identifier: Apache-2.0
//! Child processes.
#![cfg(unix)]

mod support;

use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::time::Instant;

use futures::{AsyncReadExt, AsyncWriteExt};
use support::{kernel_waits, panic_of, poll_once, run, MS};
use zyntax_async_runtime::process::{Command, Stdio};
use zyntax_async_runtime::*;

fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(script);
    command
}

/// Whether there is a process, also a zombie.
fn exists(pid: u32) -> bool {
    std::process::Command::new("sh").arg("-c").arg(format!("kill -0 {pid} 2>/dev/null")).status().unwrap().success()
}

#[test]
fn status_tells_how_a_program_ended() {
    run(async {
        assert_eq!(sh("exit 0").status().await.unwrap().code(), Some(0));
        assert_eq!(sh("exit 7").status().await.unwrap().code(), Some(7));
        assert_eq!(sh("exit 255").status().await.unwrap().code(), Some(255));
        let killed = sh("kill -9 $$").status().await.unwrap();
        assert_eq!((killed.code(), killed.signal()), (None, Some(9)));
    });
}

#[test]
fn output_is_all_of_both_outputs() {
    run(async {
        let output = sh("head -c 300000 /dev/zero; echo err >&2; exit 3").output().await.unwrap();
        assert_eq!((output.stdout.len(), output.stderr.as_slice()), (300_000, &b"err\n"[..]));
        assert_eq!(output.status.code(), Some(3));
    });
}

#[test]
fn a_program_that_is_missing_is_an_error_of_spawn() {
    run(async {
        assert_eq!(Command::new("zyntax-no-such-program").spawn().unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(sh("").current_dir("/no/such/directory").spawn().unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(Command::new("/").spawn().unwrap_err().kind(), ErrorKind::PermissionDenied);
        assert_eq!(Command::new("a\0b").spawn().unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(Command::new("zyntax-no-such-program").output().await.unwrap_err().kind(), ErrorKind::NotFound);
    });
    assert!(panic_of(|| sh("").spawn()).starts_with("Command::spawn needs a runtime"));
}

#[test]
fn pipes_carry_input_and_output() {
    run(async {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        assert!(child.stderr.is_none());
        let mut stdin = child.stdin.take().unwrap();
        let data: Vec<u8> = (0..2_000_000u32).map(|i| (i / 5) as u8).collect();
        let expected = data.clone();
        let write = spawn(async move { stdin.write_all(&data).await.unwrap() }); // ends the input
        let mut got = Vec::new();
        child.stdout.take().unwrap().read_to_end(&mut got).await.unwrap();
        write.await.unwrap();
        assert!(got == expected);
        assert!(child.wait().await.unwrap().success());
    });
}

#[test]
fn closing_the_input_ends_it_and_waiting_closes_it() {
    run(async {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let stdin = child.stdin.as_mut().unwrap();
        AsyncWriteExt::write_all(stdin, b"x").await.unwrap();
        stdin.close().await.unwrap();
        assert_eq!(stdin.write(b"y").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert!(child.wait().await.unwrap().success());
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        assert!(child.wait().await.unwrap().success());
        assert!(child.stdin.is_none());
    });
}

#[test]
fn a_wait_may_be_given_up_and_repeated_and_sleeps_meanwhile() {
    run(async {
        let mut child = sh("sleep 0.1; exit 5").spawn().unwrap();
        let id = child.id().unwrap();
        assert!(exists(id));
        assert!(child.try_wait().unwrap().is_none());
        assert!(timeout(MS, child.wait()).await.is_err());
        let waits = kernel_waits();
        assert_eq!(child.wait().await.unwrap().code(), Some(5));
        let waits = kernel_waits() - waits;
        assert!(waits < 50, "{waits}"); // a spin would be thousands
        assert_eq!(child.wait().await.unwrap().code(), Some(5));
        assert_eq!(child.try_wait().unwrap().unwrap().code(), Some(5));
        assert_eq!(child.id(), None);
        assert_eq!(child.start_kill().unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn try_wait_sees_the_end() {
    run(async {
        let mut child = sh("exit 4").spawn().unwrap();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                assert_eq!(status.code(), Some(4));
                return;
            }
            sleep(MS).await;
        }
    });
}

#[test]
fn a_child_is_killed_and_hears_other_signals() {
    run(async {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        child.kill().await.unwrap();
        assert_eq!(child.wait().await.unwrap().signal(), Some(9));
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        child.signal(15).unwrap();
        assert_eq!(child.wait().await.unwrap().signal(), Some(15));
        // A child that has ended, and whose end was not reported yet.
        let mut child = sh("exit 6").stdout(Stdio::piped()).spawn().unwrap();
        assert_eq!(child.stdout.as_mut().unwrap().read(&mut [0; 8]).await.unwrap(), 0);
        sleep(20 * MS).await;
        child.start_kill().unwrap();
        assert!(child.wait().await.is_ok());
    });
}

#[test]
fn kill_on_drop_kills_and_without_it_the_child_continues() {
    run(async {
        let child = Command::new("sleep").arg("1000").kill_on_drop(true).spawn().unwrap();
        let id = child.id().unwrap();
        drop(child);
        while exists(id) {
            sleep(MS).await; // until the runtime has reaped it
        }
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let id = child.id().unwrap();
        drop(child);
        stdin.write_all(b"hello").await.unwrap();
        drop(stdin);
        let mut text = String::new();
        stdout.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "hello");
        while exists(id) {
            sleep(MS).await;
        }
    });
}

#[test]
fn a_status_that_is_given_up_kills_the_child_with_kill_on_drop() {
    run(async {
        let begin = Instant::now();
        let mut command = sh("echo $$; exec sleep 1000");
        command.kill_on_drop(true).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut text = String::new();
        let mut buf = [0; 32];
        while !text.ends_with('\n') {
            let read = child.stdout.as_mut().unwrap().read(&mut buf).await.unwrap();
            text.push_str(std::str::from_utf8(&buf[..read]).unwrap());
        }
        let id: u32 = text.trim().parse().unwrap();
        assert_eq!(child.id(), Some(id));
        let task = spawn(async move { child.wait_with_output().await });
        yield_now().await;
        task.abort();
        while exists(id) {
            sleep(MS).await;
        }
        assert!(begin.elapsed() < support::DEADLINE);
    });
}

#[test]
fn a_runtime_that_ends_kills_with_kill_on_drop() {
    let runtime = Runtime::new().unwrap();
    let child = runtime.enter(|| Command::new("sleep").arg("1000").kill_on_drop(true).spawn().unwrap());
    let id = child.id().unwrap();
    drop(runtime);
    assert!(!exists(id)); // killed and reaped
    drop(child);
}

#[test]
fn arguments_environment_and_directory_reach_the_child() {
    run(async {
        let output =
            Command::new("sh").arg0("name").args(["-c", "echo $0 \"$1\"", "zero", "a b"]).output().await.unwrap();
        assert_eq!(output.stdout, b"zero a b\n");
        let output =
            sh("echo $ONE-$TWO-${HOME-none}").env("ONE", "1").env("TWO", "2").env_remove("HOME").output().await;
        assert_eq!(output.unwrap().stdout, b"1-2-none\n");
        let output = sh("echo ${PATH+path}").env("ONE", "1").output().await.unwrap();
        assert_eq!(output.stdout, b"path\n");
        let output = Command::new("env").env_clear().envs([("A", "x"), ("B", "y")]).output().await.unwrap();
        assert_eq!(output.stdout, b"A=x\nB=y\n");
        let output = sh("pwd").current_dir("/").output().await.unwrap();
        assert_eq!(output.stdout, b"/\n");
    });
}

#[test]
fn children_are_joined_by_a_pipe() {
    run(async {
        let mut first = sh("echo one; echo two").stdout(Stdio::piped()).spawn().unwrap();
        let pipe = first.stdout.take().unwrap().into_stdio().unwrap();
        let second = Command::new("wc").arg("-l").stdin(pipe).output().await.unwrap();
        assert_eq!(String::from_utf8(second.stdout).unwrap().trim(), "2");
        assert!(first.wait().await.unwrap().success());
    });
}

#[test]
fn a_file_is_a_childs_output() {
    let path = std::env::temp_dir().join(format!("zyntax-process-{}", std::process::id()));
    run(async {
        let file = std::fs::File::create(&path).unwrap();
        assert!(sh("echo hello").stdout(file).status().await.unwrap().success());
        assert_eq!(std::fs::read(&path).unwrap(), b"hello\n");
        std::fs::remove_file(&path).unwrap();
    });
}

#[test]
fn a_group_is_killed_as_a_whole() {
    run(async {
        let mut child = sh("sleep 1000 & echo $!; wait").group(true).stdout(Stdio::piped()).spawn().unwrap();
        let mut buf = [0; 32];
        let read = child.stdout.as_mut().unwrap().read(&mut buf).await.unwrap();
        assert!(read > 1);
        child.kill().await.unwrap();
        // The pipe ends when the last process that has it ends.
        assert_eq!(child.stdout.as_mut().unwrap().read(&mut buf).await.unwrap(), 0);
    });
}

#[test]
fn a_hundred_children_at_once() {
    run(async {
        let mut set = JoinSet::new();
        for i in 0..100 {
            let end = sh(&format!("exit {i}")).status();
            set.spawn(async move { (i, end.await.unwrap().code()) });
        }
        for (i, code) in set.join_all().await {
            assert_eq!(code, Some(i));
        }
        assert!(poll_once(async {}).is_ready());
    });
}
