// SPDX-License-Identifier: Apache-2.0
//! Unix-domain sockets.
#![cfg(unix)]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net;
use std::path::PathBuf;
use std::rc::Rc;

use futures::AsyncReadExt;
use support::{kernel_waits, panic_of, poll_once, run, MS};
use zyntax_async_runtime::net::{UnixDatagram, UnixListener, UnixStream};
use zyntax_async_runtime::*;

/// A path of a file that is removed at the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let path = std::env::temp_dir().join(format!("zyntax-{}-{name}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        Place(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_listener_accepts_connections_to_its_path() {
    let place = Place::new("accepts");
    run(async {
        let listener = UnixListener::bind(&place.0).unwrap();
        assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(&*place.0));
        let mut client = UnixStream::connect(&place.0).await.unwrap();
        let (mut server, address) = listener.accept().await.unwrap();
        assert!(address.is_unnamed());
        assert_eq!(client.peer_addr().unwrap().as_pathname(), Some(&*place.0));
        assert_eq!(server.local_addr().unwrap().as_pathname(), Some(&*place.0));
        client.write_all(b"hello").await.unwrap();
        client.shutdown().unwrap();
        let mut text = String::new();
        server.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "hello");
    });
}

#[test]
fn a_path_that_exists_is_in_use_and_stays_when_the_listener_is_dropped() {
    let place = Place::new("exists");
    run(async {
        let listener = UnixListener::bind(&place.0).unwrap();
        assert_eq!(UnixListener::bind(&place.0).unwrap_err().kind(), ErrorKind::AddrInUse);
        drop(listener);
        assert_eq!(UnixListener::bind(&place.0).unwrap_err().kind(), ErrorKind::AddrInUse);
        let refused = UnixStream::connect(&place.0).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        let missing = UnixStream::connect(place.0.with_extension("missing")).await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        assert_eq!(UnixStream::connect("a\0b").await.unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

#[test]
#[cfg(target_os = "linux")]
fn abstract_names_have_no_file() {
    run(async {
        let name = format!("\0zyntax-{}", std::process::id());
        let listener = UnixListener::bind(&name).unwrap();
        let _client = UnixStream::connect(&name).await.unwrap();
        listener.accept().await.unwrap();
    });
}

#[test]
fn a_connect_waits_while_the_queue_is_full() {
    let place = Place::new("full");
    run(async {
        let listener = net::UnixListener::bind(&place.0).unwrap();
        let listener = UnixListener::from_std(listener).unwrap();
        let mut clients = Vec::new();
        // The standard library's queue has at most 4096 places, which a test need not fill.
        while clients.len() < 200 {
            match timeout(20 * MS, UnixStream::connect(&place.0)).await {
                Ok(client) => clients.push(client.unwrap()),
                Err(Elapsed) => break,
            }
        }
        let waiting = spawn(UnixStream::connect(place.0.clone()));
        for _ in 0..=clients.len() {
            listener.accept().await.unwrap();
        }
        waiting.await.unwrap().unwrap();
    });
}

#[test]
fn a_pair_is_split_among_two_tasks() {
    run(async {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (mut reading, mut writing) = ours.into_split();
        let (mut their_reading, mut their_writing) = theirs.into_split();
        let data = vec![7; 2_000_000];
        let write = spawn(async move { writing.write_all(&data).await.unwrap() });
        let echo = spawn(async move {
            let mut buf = vec![0; 65536];
            while let read @ 1.. = their_reading.read(&mut buf).await.unwrap() {
                their_writing.write_all(&buf[..read]).await.unwrap();
            }
        });
        let mut got = Vec::new();
        reading.read_to_end(&mut got).await.unwrap();
        assert!(got == vec![7; 2_000_000]);
        write.await.unwrap();
        echo.await.unwrap();
    });
}

#[test]
fn a_unix_stream_of_the_standard_library_goes_in_and_comes_back() {
    let (one, mut other) = net::UnixStream::pair().unwrap();
    let mut one = run(async {
        let mut one = UnixStream::from_std(one).unwrap();
        assert!(poll_once(one.read(&mut [0; 8])).is_pending());
        other.write_all(b"hello").unwrap();
        assert_eq!(one.read(&mut [0; 8]).await.unwrap(), 5);
        one.into_std().unwrap()
    });
    one.set_nonblocking(false).unwrap();
    other.write_all(b"again").unwrap();
    assert_eq!(one.read(&mut [0; 8]).unwrap(), 5);
    assert!(panic_of(|| UnixStream::from_std(one)).starts_with("UnixStream::from_std needs a runtime"));
}

#[test]
fn descriptors_are_passed() {
    run(async {
        let (mut one, other) = UnixStream::pair().unwrap();
        let (passed, mut peer) = net::UnixStream::pair().unwrap();
        one.send_fd(passed.as_fd()).await.unwrap();
        drop(passed);
        let mut got = net::UnixStream::from(other.recv_fd().await.unwrap().unwrap());
        got.write_all(b"x").unwrap();
        assert_eq!(peer.read(&mut [0; 8]).unwrap(), 1);
        one.write_all(b"y").await.unwrap();
        assert!(other.recv_fd().await.is_err()); // a byte without a descriptor
        drop(one);
        assert!(other.recv_fd().await.unwrap().is_none());
    });
}

#[test]
fn datagrams_are_sent_to_paths() {
    let (here, there) = (Place::new("here"), Place::new("there"));
    run(async {
        let (ours, theirs) = (UnixDatagram::bind(&here.0).unwrap(), UnixDatagram::bind(&there.0).unwrap());
        assert_eq!(ours.send_to(b"hello", &there.0).await.unwrap(), 5);
        let mut buf = [0; 3];
        let (length, from) = theirs.recv_from(&mut buf).await.unwrap();
        assert_eq!((length, from.as_pathname()), (3, Some(&*here.0)));
        theirs.connect(&here.0).unwrap();
        theirs.send(b"back").await.unwrap();
        assert_eq!(ours.recv(&mut [0; 8]).await.unwrap(), 4);
        assert_eq!(theirs.peer_addr().unwrap().as_pathname(), Some(&*here.0));
        let missing = ours.send_to(b"x", here.0.with_extension("missing")).await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn a_datagram_receive_waits_and_a_flood_lets_other_tasks_run() {
    run(async {
        let (one, other) = UnixDatagram::pair().unwrap();
        let waits = kernel_waits();
        let receive = spawn(async move {
            let mut buf = [0; 8];
            for i in 0..1000u32 {
                assert_eq!(other.recv(&mut buf).await.unwrap(), 4);
                assert_eq!(buf[..4], i.to_le_bytes());
            }
        });
        sleep(20 * MS).await;
        assert!(kernel_waits() - waits < 10);
        for i in 0..1000u32 {
            one.send(&i.to_le_bytes()).await.unwrap();
        }
        receive.await.unwrap();

        // Two that never wait: a third task still has its turns.
        let (one, other) = UnixDatagram::pair().unwrap();
        let flood = spawn(async move {
            loop {
                one.send(b"x").await.unwrap();
                other.recv(&mut [0; 8]).await.unwrap();
            }
        });
        sleep(5 * MS).await;
        flood.abort();
    });
}

#[test]
fn a_send_waits_while_the_receivers_queue_is_full_and_does_not_spin() {
    let there = Place::new("queue");
    run(async {
        let (ours, theirs) = (Rc::new(UnixDatagram::unbound().unwrap()), UnixDatagram::bind(&there.0).unwrap());
        let mut sent = 0;
        while timeout(50 * MS, ours.send_to(&[1; 1024], &there.0)).await.is_ok() {
            sent += 1;
            assert!(sent < 1_000_000);
        }
        let (path, sender) = (there.0.clone(), ours.clone());
        let waiting = spawn(async move { sender.send_to(b"last", path).await.unwrap() });
        let waits = kernel_waits();
        sleep(200 * MS).await;
        assert!(kernel_waits() - waits < 60, "{}", kernel_waits() - waits);
        for _ in 0..sent {
            assert_eq!(theirs.recv(&mut [0; 2048]).await.unwrap(), 1024);
        }
        assert_eq!(theirs.recv(&mut [0; 2048]).await.unwrap(), 4);
        waiting.await.unwrap();
    });
}
