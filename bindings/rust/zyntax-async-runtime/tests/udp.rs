// SPDX-License-Identifier: Apache-2.0
//! UDP sockets.

mod support;

use std::io::ErrorKind;
use std::net::{self, Ipv4Addr};
use std::rc::Rc;

use support::{kernel_waits, panic_of, poll_once, run, MS};
use zyntax_async_runtime::net::UdpSocket;
use zyntax_async_runtime::*;

async fn socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

#[test]
fn datagrams_keep_their_boundaries_and_name_their_sender() {
    run(async {
        let (one, other) = (socket().await, socket().await);
        let (to, from) = (other.local_addr().unwrap(), one.local_addr().unwrap());
        for text in [&b"first"[..], b"", b"third one"] {
            assert_eq!(one.send_to(text, to).await.unwrap(), text.len());
        }
        let mut buf = [0; 64];
        for text in [&b"first"[..], b"", b"third one"] {
            assert_eq!(other.recv_from(&mut buf).await.unwrap(), (text.len(), from));
            assert_eq!(&buf[..text.len()], text);
        }
    });
}

#[test]
fn a_datagram_that_does_not_fit_is_cut_off() {
    run(async {
        let (one, other) = (socket().await, socket().await);
        let to = other.local_addr().unwrap();
        one.send_to(b"hello", to).await.unwrap();
        one.send_to(b"next", to).await.unwrap();
        let mut buf = [0; 3];
        assert_eq!(other.recv(&mut buf).await.unwrap(), 3);
        assert_eq!(&buf, b"hel");
        assert_eq!(other.recv(&mut [0; 16]).await.unwrap(), 4);
    });
}

#[test]
fn a_receive_waits_for_a_datagram_and_sleeps_meanwhile() {
    run(async {
        let (one, other) = (socket().await, socket().await);
        let to = other.local_addr().unwrap();
        assert!(poll_once(other.recv(&mut [0; 8])).is_pending()); // given up
        spawn(async move {
            sleep(20 * MS).await;
            one.send_to(b"x", to).await.unwrap();
        });
        let waits = kernel_waits();
        assert_eq!(other.recv(&mut [0; 8]).await.unwrap(), 1);
        assert!(kernel_waits() - waits < 10);
    });
}

#[test]
fn two_tasks_share_a_socket_in_both_directions() {
    run(async {
        let (ours, theirs) = (Rc::new(socket().await), socket().await);
        ours.connect(theirs.local_addr().unwrap()).await.unwrap();
        theirs.connect(ours.local_addr().unwrap()).await.unwrap();
        let echo = spawn(async move {
            let mut buf = [0; 64];
            for _ in 0..100 {
                let length = theirs.recv(&mut buf).await.unwrap();
                theirs.send(&buf[..length]).await.unwrap();
            }
        });
        let receiver = ours.clone();
        let (sender, received) = channel(1).unwrap();
        let receive = spawn(async move {
            for i in 0..100u8 {
                let mut buf = [0; 64];
                assert_eq!(receiver.recv(&mut buf).await.unwrap(), 1);
                assert_eq!(buf[0], i);
                sender.send(()).await.unwrap();
            }
        });
        for i in 0..100 {
            ours.send(&[i]).await.unwrap();
            received.recv().await.unwrap(); // so that none is lost
        }
        echo.await.unwrap();
        receive.await.unwrap();
    });
}

#[test]
fn a_connected_socket_has_a_peer_and_hears_nobody_else() {
    run(async {
        let (ours, theirs, stranger) = (socket().await, socket().await, socket().await);
        assert_eq!(ours.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
        assert_eq!(ours.send(b"x").await.unwrap_err().kind(), ErrorKind::NotConnected);
        ours.connect(theirs.local_addr().unwrap()).await.unwrap();
        assert_eq!(ours.peer_addr().unwrap(), theirs.local_addr().unwrap());
        stranger.send_to(b"stranger", ours.local_addr().unwrap()).await.unwrap();
        theirs.send_to(b"peer", ours.local_addr().unwrap()).await.unwrap();
        assert_eq!(ours.recv(&mut [0; 64]).await.unwrap(), 4);
        assert!(timeout(20 * MS, ours.recv(&mut [0; 64])).await.is_err());
    });
}

#[test]
fn a_port_in_use_is_an_error_and_names_are_looked_up() {
    run(async {
        let one = UdpSocket::bind("localhost:0").await.unwrap();
        let address = one.local_addr().unwrap();
        assert_eq!(UdpSocket::bind(address).await.unwrap_err().kind(), ErrorKind::AddrInUse);
        assert!(UdpSocket::bind(&[] as &[net::SocketAddr]).await.is_err());
        let other = UdpSocket::bind((address.ip(), 0)).await.unwrap();
        other.send_to(b"x", ("localhost", address.port())).await.unwrap();
        assert_eq!(one.recv(&mut [0; 8]).await.unwrap(), 1);
    });
}

#[test]
fn options_of_a_udp_socket_are_set() {
    run(async {
        let socket = socket().await;
        assert!(!socket.broadcast().unwrap());
        socket.set_broadcast(true).unwrap();
        assert!(socket.broadcast().unwrap());
        socket.set_ttl(33).unwrap();
        assert_eq!(socket.ttl().unwrap(), 33);
    });
}

#[test]
fn a_multicast_group_is_joined_and_left() {
    run(async {
        let group = Ipv4Addr::new(239, 255, 77, 3);
        let receiver = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        if let Err(error) = receiver.join_multicast_v4(group, Ipv4Addr::LOCALHOST) {
            println!("skipped: no multicast on this machine: {error}");
            return;
        }
        let theirs = net::UdpSocket::bind("127.0.0.1:0").unwrap();
        theirs.set_multicast_loop_v4(true).unwrap();
        let sender = UdpSocket::from_std(theirs).unwrap();
        sender.set_multicast_ttl_v4(1).unwrap();
        sender.set_multicast_loop_v4(true).unwrap();
        sender.send_to(b"x", (group, receiver.local_addr().unwrap().port())).await.unwrap();
        assert_eq!(receiver.recv(&mut [0; 8]).await.unwrap(), 1);
        receiver.leave_multicast_v4(group, Ipv4Addr::LOCALHOST).unwrap();
        sender.send_to(b"x", (group, receiver.local_addr().unwrap().port())).await.unwrap();
        assert!(timeout(20 * MS, receiver.recv(&mut [0; 8])).await.is_err());
        assert!(receiver.leave_multicast_v4(group, Ipv4Addr::LOCALHOST).is_err());
    });
}

#[test]
fn a_udp_socket_of_the_standard_library_goes_in_and_comes_back() {
    let theirs = net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = theirs.local_addr().unwrap();
    let theirs = run(async {
        let ours = UdpSocket::from_std(theirs).unwrap();
        assert_eq!(ours.local_addr().unwrap(), address);
        assert!(poll_once(ours.recv(&mut [0; 8])).is_pending());
        socket().await.send_to(b"x", address).await.unwrap();
        assert_eq!(ours.recv(&mut [0; 8]).await.unwrap(), 1);
        ours.into_std().unwrap()
    });
    assert_eq!(theirs.local_addr().unwrap(), address);
    assert!(panic_of(|| UdpSocket::from_std(theirs)).starts_with("UdpSocket::from_std needs a runtime"));
    assert!(panic_of(|| poll_once(UdpSocket::bind("127.0.0.1:0"))).starts_with("UdpSocket::bind needs a runtime"));
}
