// SPDX-License-Identifier: Apache-2.0
//! Sockets and descriptors.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net;

use futures::{AsyncReadExt, AsyncWriteExt};
use support::{panic_of, poll_once, run, MS};
use zyntax_async_runtime::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use zyntax_async_runtime::*;

/// Both ends of a connection.
async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect("127.0.0.1", listener.port().unwrap()).await.unwrap();
    (stream, listener.accept().await.unwrap())
}

async fn read_all(reading: &mut OwnedReadHalf) -> Vec<u8> {
    let (mut all, mut buf) = (Vec::new(), vec![0; 65536]);
    loop {
        match reading.read(&mut buf).await.unwrap() {
            0 => return all,
            n => all.extend_from_slice(&buf[..n]),
        }
    }
}

// ---- halves ----

#[test]
fn owned_halves_work_in_two_tasks() {
    run(async {
        let (ours, mut theirs) = connection().await;
        let data: Vec<u8> = (0..4_000_000u32).map(|i| (i / 7) as u8).collect();
        let expected = data.clone();
        let echo = spawn(async move {
            let mut buf = vec![0; 65536];
            while let read @ 1.. = theirs.read(&mut buf).await.unwrap() {
                theirs.write_all(&buf[..read]).await.unwrap();
            }
        });
        let (mut reading, mut writing) = ours.into_split();
        let write = spawn(async move { writing.write_all(&data).await.unwrap() });
        let read = spawn(async move { read_all(&mut reading).await });
        assert!(read.await.unwrap() == expected);
        write.await.unwrap();
        echo.await.unwrap();
    });
}

#[test]
fn a_writing_half_that_is_dropped_ends_the_sending_direction_only() {
    run(async {
        let (ours, mut theirs) = connection().await;
        let (mut reading, mut writing) = ours.into_split();
        writing.write_all(b"x").await.unwrap();
        drop(writing);
        let mut buf = [0; 8];
        assert_eq!(theirs.read(&mut buf).await.unwrap(), 1);
        assert_eq!(theirs.read(&mut buf).await.unwrap(), 0);
        theirs.write_all(b"still").await.unwrap();
        drop(theirs);
        assert_eq!(read_all(&mut reading).await, b"still");
    });
}

#[test]
fn a_writing_half_that_is_forgotten_ends_nothing() {
    run(async {
        let (ours, mut theirs) = connection().await;
        let (reading, writing) = ours.into_split();
        writing.forget();
        let mut buf = [0; 8];
        assert!(timeout(20 * MS, theirs.read(&mut buf)).await.is_err());
        drop(reading); // closes the connection
        assert_eq!(theirs.read(&mut buf).await.unwrap(), 0);
    });
}

#[test]
fn a_reading_half_that_is_dropped_while_it_waits_leaves_the_writing_half() {
    run(async {
        let (ours, mut theirs) = connection().await;
        let (mut reading, mut writing) = ours.into_split();
        assert!(poll_once(reading.read(&mut [0; 8])).is_pending());
        drop(reading);
        writing.write_all(b"hello").await.unwrap();
        drop(writing);
        let mut got = String::new();
        theirs.read_to_string(&mut got).await.unwrap();
        assert_eq!(got, "hello");
    });
}

#[test]
fn halves_of_one_connection_are_reunited_and_others_are_not() {
    run(async {
        let ((one, mut peer), (other, _peer)) = (connection().await, connection().await);
        let ((one_reading, one_writing), (other_reading, other_writing)) = (one.into_split(), other.into_split());
        let error = one_reading.reunite(other_writing).unwrap_err();
        assert!(error.to_string().contains("two connections"));
        let (one_reading, other_writing) = (error.0, error.1);
        let mut one = one_writing.reunite(one_reading).unwrap();
        one.write_all(b"a").await.unwrap(); // the sending direction has not ended
        drop(other_reading.reunite(other_writing).unwrap());
        assert_eq!(peer.read(&mut [0; 8]).await.unwrap(), 1);
        assert!(timeout(20 * MS, peer.read(&mut [0; 8])).await.is_err());
    });
}

#[test]
fn halves_have_the_traits_of_futures_io() {
    async fn shout(mut reading: OwnedReadHalf, mut writing: OwnedWriteHalf) {
        let mut text = String::new();
        reading.read_to_string(&mut text).await.unwrap();
        AsyncWriteExt::write_all(&mut writing, text.to_uppercase().as_bytes()).await.unwrap();
        writing.close().await.unwrap();
    }
    run(async {
        let (mut ours, theirs) = connection().await;
        let (reading, writing) = theirs.into_split();
        let task = spawn(shout(reading, writing));
        {
            let (mut reading, mut writing) = ours.halves();
            AsyncWriteExt::write_all(&mut writing, b"hello").await.unwrap();
            writing.close().await.unwrap();
            let mut text = String::new();
            reading.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "HELLO");
        }
        task.await.unwrap();
    });
}

// ---- sockets of the standard library ----

#[test]
fn a_listener_of_the_standard_library_accepts_and_goes_back() {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let listener = run(async {
        let listener = TcpListener::from_std(listener).unwrap();
        assert_eq!(listener.port().unwrap(), address.port());
        assert!(poll_once(listener.accept()).is_pending());
        let mut client = net::TcpStream::connect(address).unwrap();
        let mut server = listener.accept().await.unwrap();
        server.write_all(b"hello").await.unwrap();
        drop(server);
        let mut got = String::new();
        client.read_to_string(&mut got).unwrap();
        assert_eq!(got, "hello");
        listener.into_std().unwrap()
    });
    listener.set_nonblocking(false).unwrap();
    let _client = net::TcpStream::connect(address).unwrap();
    listener.accept().unwrap();
}

#[test]
fn a_stream_goes_back_to_the_standard_library() {
    let (mut ours, theirs) = run(async {
        let (ours, theirs) = connection().await;
        (ours.into_std().unwrap(), theirs.into_std().unwrap())
    });
    ours.set_nonblocking(false).unwrap();
    ours.write_all(b"x").unwrap();
    drop(ours);
    let mut got = Vec::new();
    theirs.set_nonblocking(false).unwrap();
    { theirs }.read_to_end(&mut got).unwrap();
    assert_eq!(got, b"x");
}

#[test]
fn outside_of_a_runtime_from_std_panics_and_names_the_function() {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    assert!(panic_of(|| TcpListener::from_std(listener)).starts_with("TcpListener::from_std needs"));
}

// ---- addresses and options ----

#[test]
fn both_ends_know_both_addresses() {
    for ip in ["127.0.0.1", "::1"] {
        if net::TcpListener::bind((ip, 0)).is_err() {
            println!("skipped: this machine has no {ip}");
            continue;
        }
        run(async {
            let listener = TcpListener::bind((ip, 0)).unwrap();
            let address = listener.local_addr().unwrap();
            assert_eq!((address.ip(), address.port()), (ip.parse().unwrap(), listener.port().unwrap()));
            let client = TcpStream::connect_to(address).await.unwrap();
            let server = listener.accept().await.unwrap();
            assert_eq!(client.peer_addr().unwrap(), address);
            assert_eq!(server.local_addr().unwrap(), address);
            assert_eq!(server.peer_addr().unwrap(), client.local_addr().unwrap());
            let local = client.local_addr().unwrap();
            let (reading, writing) = client.into_split();
            assert_eq!((reading.local_addr().unwrap(), writing.peer_addr().unwrap()), (local, address));
            assert_eq!((writing.local_addr().unwrap(), reading.peer_addr().unwrap()), (local, address));
        });
    }
}

#[test]
fn options_of_a_connection_are_set() {
    run(async {
        let (ours, theirs) = connection().await;
        assert!(ours.nodelay().unwrap() && theirs.nodelay().unwrap());
        ours.set_nodelay(false).unwrap();
        assert!(!ours.nodelay().unwrap());
        ours.set_nodelay(true).unwrap();
        assert!(ours.nodelay().unwrap());
        ours.set_ttl(33).unwrap();
        assert_eq!(ours.ttl().unwrap(), 33);
    });
}

// ---- descriptors ----

#[cfg(unix)]
mod descriptors {
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::support::{kernel_waits, run_in};

    fn pair() -> (AsyncFd<UnixStream>, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (AsyncFd::new(ours).unwrap(), theirs)
    }

    /// Reads the available bytes, once there are any.
    async fn read(fd: &AsyncFd<UnixStream>) -> std::io::Result<Vec<u8>> {
        let mut buf = [0; 64];
        loop {
            let mut guard = fd.readable().await?;
            assert!(guard.ready().is_readable());
            match guard.try_io(|fd| fd.get_ref().read(&mut buf)) {
                Ok(read) => return read.map(|read| buf[..read].to_vec()),
                Err(_) => assert!(guard.ready().is_empty()),
            }
        }
    }

    #[test]
    fn a_task_waits_until_a_descriptor_is_readable() {
        run(async {
            let (ours, mut theirs) = pair();
            assert!(poll_once(ours.readable()).is_pending());
            spawn(async move {
                sleep(5 * MS).await;
                theirs.write_all(b"hello").unwrap();
                sleep(5 * MS).await;
            });
            let waits = kernel_waits();
            assert_eq!(read(&ours).await.unwrap(), b"hello");
            assert_eq!(read(&ours).await.unwrap(), b"");
            assert!(kernel_waits() - waits < 10);
        });
    }

    #[test]
    fn a_descriptor_that_was_not_read_stays_readable() {
        run(async {
            let (ours, mut theirs) = pair();
            theirs.write_all(b"hello").unwrap();
            ours.readable().await.unwrap().clear_ready(); // too early
            ours.readable().await.unwrap().retain_ready();
            assert_eq!(read(&ours).await.unwrap(), b"hello");
            let mut guard = ours.writable().await.unwrap();
            assert!(guard.ready().is_writable() && !guard.ready().is_readable());
            guard.clear_ready_matching(Ready::WRITABLE);
            assert!(guard.ready().is_empty());
            assert!(poll_once(ours.readable()).is_pending());
        });
    }

    #[test]
    fn a_task_waits_until_a_descriptor_is_writable() {
        run(async {
            let (ours, mut theirs) = pair();
            let data = vec![7; 4_000_000];
            let write = async {
                let mut left = &data[..];
                while !left.is_empty() {
                    let written = ours.async_io(Interest::WRITABLE, |mut stream| stream.write(left)).await.unwrap();
                    left = &left[written..];
                }
                ours.get_ref().shutdown(net::Shutdown::Write).unwrap();
            };
            let read = spawn_blocking(move || {
                let mut got = Vec::new();
                theirs.read_to_end(&mut got).unwrap();
                got
            });
            write.await;
            assert!(read.await.unwrap() == vec![7; 4_000_000]);
        });
    }

    #[test]
    fn several_tasks_wait_for_one_descriptor_in_both_directions() {
        run(async {
            let (ours, mut theirs) = pair();
            let ours = std::rc::Rc::new(ours);
            let tasks: Vec<_> = (0..10)
                .map(|i| {
                    let ours = ours.clone();
                    spawn(async move {
                        let interest = if i % 2 == 0 { Interest::READABLE } else { Interest::WRITABLE };
                        ours.ready(interest).await.unwrap().ready()
                    })
                })
                .collect();
            yield_now().await;
            theirs.write_all(b"x").unwrap();
            for (i, task) in tasks.into_iter().enumerate() {
                let ready = task.await.unwrap();
                assert_eq!(ready, if i % 2 == 0 { Ready::READABLE } else { Ready::WRITABLE });
            }
            let both = ours.ready(Interest::READABLE | Interest::WRITABLE).await.unwrap().ready();
            assert_eq!(both, Ready::ALL);
        });
    }

    #[test]
    fn poll_read_ready_wakes_the_task_of_the_last_call() {
        run(async {
            let (ours, mut theirs) = pair();
            assert!(poll_once(std::future::poll_fn(|cx| ours.poll_read_ready(cx).map(drop))).is_pending());
            let task = spawn(async move {
                let ready = std::future::poll_fn(|cx| ours.poll_read_ready(cx).map_ok(|guard| guard.ready()));
                let ready = ready.await.unwrap();
                std::future::poll_fn(|cx| ours.poll_write_ready(cx).map(drop)).await;
                ready
            });
            yield_now().await;
            theirs.write_all(b"x").unwrap();
            assert_eq!(task.await.unwrap(), Ready::READABLE);
        });
    }

    #[test]
    fn a_guard_may_have_the_object_mutably() {
        run(async {
            let (mut ours, mut theirs) = pair();
            theirs.write_all(b"x").unwrap();
            let mut guard = ours.readable_mut().await.unwrap();
            assert_eq!(guard.try_io(|fd| fd.get_mut().read(&mut [0; 8])).unwrap().unwrap(), 1);
            assert!(guard.try_io(|fd| fd.get_mut().read(&mut [0; 8])).is_err());
            guard.get_inner_mut().write_all(b"y").unwrap();
            assert_eq!(ours.writable_mut().await.unwrap().get_inner().as_raw_fd(), ours.as_raw_fd());
        });
    }

    #[test]
    fn the_object_is_given_back_open_and_blocking_as_it_was() {
        run(async {
            let (ours, mut theirs) = pair();
            assert_eq!(ours.get_ref().try_clone().unwrap().read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
            let mut ours = ours.into_inner();
            let read = spawn_blocking(move || {
                let mut buf = [0; 8];
                let read = ours.read(&mut buf).unwrap();
                buf[..read].to_vec()
            });
            theirs.write_all(b"hello").unwrap();
            assert_eq!(read.await.unwrap(), b"hello");
        });
    }

    #[test]
    fn a_descriptor_outlives_its_runtime_and_is_closed_once() {
        let runtime = Runtime::new().unwrap();
        let (ours, mut theirs) = runtime.enter(pair);
        theirs.write_all(b"x").unwrap();
        drop(runtime);
        run(async { assert!(ours.readable().await.is_err()) });
        // The library has closed its duplicate. A number that was reused meanwhile is not touched.
        let others: Vec<_> = (0..20).map(|_| UnixStream::pair().unwrap()).collect();
        assert_eq!(ours.get_ref().read(&mut [0; 8]).unwrap(), 1);
        drop(ours);
        assert_eq!(theirs.read(&mut [0; 8]).unwrap(), 0);
        for (mut one, mut other) in others {
            one.write_all(b"y").unwrap();
            assert_eq!(other.read(&mut [0; 8]).unwrap(), 1);
        }
    }

    #[test]
    fn a_descriptor_that_is_dropped_closes_the_file_and_wakes_nobody() {
        let runtime = Runtime::new().unwrap();
        run_in(&runtime, async {
            let (ours, mut theirs) = pair();
            let mut waits = Box::pin(ours.readable());
            assert!(poll_once(waits.as_mut()).is_pending());
            drop(waits);
            drop(ours);
            assert_eq!(theirs.read(&mut [0; 8]).unwrap(), 0);
        });
    }

    #[test]
    fn what_is_not_pollable_is_refused() {
        run(async {
            let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
            assert_eq!(AsyncFd::new(file).unwrap_err().kind(), ErrorKind::PermissionDenied);
            assert_eq!(AsyncFd::new(-1).unwrap_err().kind(), ErrorKind::InvalidInput);
        });
        let (one, _other) = UnixStream::pair().unwrap();
        assert!(panic_of(|| AsyncFd::new(OwnedFd::from(one))).starts_with("AsyncFd::new needs a runtime"));
    }

    #[test]
    fn a_wait_ends_when_the_peer_closes() {
        run(async {
            let (ours, theirs) = pair();
            let wait = async { ours.readable().await.map(|guard| guard.ready()) };
            let close = async {
                yield_now().await;
                drop(theirs);
            };
            let (ready, ()) = futures::join!(wait, close);
            assert!(ready.unwrap().is_readable());
            assert_eq!(read(&ours).await.unwrap(), b"");
        });
    }
}
