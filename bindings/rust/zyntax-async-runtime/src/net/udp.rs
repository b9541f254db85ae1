// SPDX-License-Identifier: Apache-2.0
//! UDP.

use std::fmt;
use std::future::{poll_fn, Future};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, ToSocketAddrs};
use std::ptr;
use std::task::{ready, Poll};

use super::{from_library, to_library, NO_ADDRESS};
use crate::io::Handle;
use crate::op::OpSlot;
use crate::runtime::current;
use crate::{sys, Error};

/// A UDP socket. Dropping it closes it. Any number of tasks may send and receive at the same time: share it with `Rc`.
///
/// ```
/// use zyntax_async_runtime::net::UdpSocket;
/// use zyntax_async_runtime::Runtime;
///
/// Runtime::new()?.block_on(async {
///     let (one, other) = (UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?);
///     one.send_to(b"hello", other.local_addr()?).await?;
///     let mut buffer = [0; 16];
///     let (length, from) = other.recv_from(&mut buffer).await?;
///     assert_eq!((&buffer[..length], from), (&b"hello"[..], one.local_addr()?));
///     std::io::Result::Ok(())
/// })??;
/// # std::io::Result::Ok(())
/// ```
///
/// ```compile_fail,E0277
/// fn sent<T: Send>() {}
/// sent::<zyntax_async_runtime::net::UdpSocket>();
/// ```
pub struct UdpSocket(Handle);

/// Calls a function with each address until it succeeds.
fn each<T>(addresses: impl ToSocketAddrs, mut work: impl FnMut(SocketAddr) -> io::Result<T>) -> io::Result<T> {
    let mut error = Error::INVALID.into();
    for address in addresses.to_socket_addrs()? {
        match work(address) {
            Ok(value) => return Ok(value),
            Err(why) => error = why,
        }
    }
    Err(error)
}

impl UdpSocket {
    /// Opens a socket with the first address that works. Port 0 takes a free port. This call looks up a name, which may
    /// block; a numeric address needs no look-up.
    ///
    /// # Panics
    /// When the future is polled outside of a runtime.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<UdpSocket> {
        let runtime = current("UdpSocket::bind");
        each(address, |address| {
            let (local, mut handle) = (to_library(&address), ptr::null_mut());
            // SAFETY: the runtime lives, this is its thread, and the pointers are valid for the call.
            Error::check(unsafe { sys::zyntax_udp_open(runtime.as_ptr(), &local, 0, &mut handle) }.into())?;
            Ok(UdpSocket(Handle(handle)))
        })
    }

    /// Converts a socket of the standard library, which becomes non-blocking.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    #[cfg(any(unix, windows))]
    pub fn from_std(socket: std::net::UdpSocket) -> io::Result<UdpSocket> {
        Handle::open(socket, "UdpSocket::from_std").map(UdpSocket)
    }

    /// Converts this into a socket of the standard library. It may be non-blocking: `set_nonblocking(false)` changes
    /// that.
    #[cfg(any(unix, windows))]
    pub fn into_std(self) -> io::Result<std::net::UdpSocket> {
        self.0.into_owned().map(Into::into)
    }

    /// Sets the peer: the first address that works. [`UdpSocket::send`] sends to it, and only its datagrams are
    /// received.
    pub async fn connect(&self, address: impl ToSocketAddrs) -> io::Result<()> {
        each(address, |address| {
            let peer = to_library(&address);
            // SAFETY: this is the handle's thread, and the address is valid for the call.
            Ok(Error::check(unsafe { sys::zyntax_udp_connect(self.0 .0, &peer) }.into()).map(drop)?)
        })
    }

    fn send_raw<'a>(
        &'a self,
        buf: &'a [u8],
        to: Option<sys::zyntax_address>,
    ) -> impl Future<Output = io::Result<usize>> + 'a {
        let mut slot = OpSlot::new();
        poll_fn(move |cx| {
            let to = to.as_ref().map_or(ptr::null(), ptr::from_ref);
            let (handle, mut result) = (self.0 .0, 0);
            ready!(slot.call(cx, |op, waker| {
                // SAFETY: this is the handle's thread; the buffer and the address are only read in this call.
                unsafe { sys::zyntax_udp_send(handle, op, buf.as_ptr().cast(), buf.len(), to, waker, &mut result) }
            }));
            Poll::Ready(Ok(Error::check(result)? as usize))
        })
    }

    fn recv_raw<'a>(
        &'a self,
        buf: &'a mut [u8],
    ) -> impl Future<Output = io::Result<(usize, sys::zyntax_address)>> + 'a {
        let mut slot = OpSlot::new();
        poll_fn(move |cx| {
            let (handle, mut from, mut result) = (self.0 .0, NO_ADDRESS, 0);
            ready!(slot.call(cx, |op, waker| {
                let data = buf.as_mut_ptr().cast();
                // SAFETY: this is the handle's thread; the buffer and the address are only written in this call.
                unsafe { sys::zyntax_udp_recv(handle, op, data, buf.len(), &mut from, waker, &mut result) }
            }));
            let length = Error::check(result)? as usize;
            Poll::Ready(Ok((length.min(buf.len()), from)))
        })
    }

    /// Sends a datagram to the peer of [`UdpSocket::connect`] and returns its length.
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.send_raw(buf, None).await
    }

    /// Sends a datagram to the first of the addresses. A name is looked up in this call, which may block.
    pub async fn send_to(&self, buf: &[u8], target: impl ToSocketAddrs) -> io::Result<usize> {
        let target = target.to_socket_addrs()?.next().ok_or(Error::INVALID)?;
        self.send_raw(buf, Some(to_library(&target))).await
    }

    /// Receives a datagram and returns its length. Bytes that do not fit into the buffer are lost.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.recv_raw(buf).await?.0)
    }

    /// As [`UdpSocket::recv`], with the sender's address.
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (length, from) = self.recv_raw(buf).await?;
        Ok((length, from_library(&from)?))
    }

    /// The local address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// The peer's address.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.peer_addr()
    }

    /// Allows sending to broadcast addresses.
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.0.set(sys::ZYNTAX_BROADCAST, on.into())
    }

    /// Whether sending to broadcast addresses is allowed.
    #[cfg(any(unix, windows))]
    pub fn broadcast(&self) -> io::Result<bool> {
        self.0.as_std(|socket: &std::net::UdpSocket| socket.broadcast())
    }

    /// Sets the number of hops that a datagram may take.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.0.set(sys::ZYNTAX_TTL, ttl.into())
    }

    /// The number of hops that a datagram may take.
    #[cfg(any(unix, windows))]
    pub fn ttl(&self) -> io::Result<u32> {
        self.0.as_std(|socket: &std::net::UdpSocket| socket.ttl())
    }

    /// Sets whether this machine receives its own datagrams to multicast groups.
    pub fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()> {
        self.0.set(sys::ZYNTAX_MULTICAST_LOOP, on.into())
    }

    /// Sets the number of hops that a datagram to a multicast group may take.
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        self.0.set(sys::ZYNTAX_MULTICAST_TTL, ttl.into())
    }

    fn member(&self, group: SocketAddr, interface: u32, join: bool) -> io::Result<()> {
        let group = to_library(&group);
        // SAFETY: this is the handle's thread, and the address is valid for the call.
        Ok(Error::check(unsafe { sys::zyntax_udp_member(self.0 .0, &group, interface, join.into()) }.into())
            .map(drop)?)
    }

    /// Joins a multicast group on the interface with this address; unspecified: on the system's choice.
    #[cfg(any(unix, windows))]
    pub fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        if interface.is_unspecified() {
            return self.member((group, 0).into(), 0, true);
        }
        self.0.as_std(|socket: &std::net::UdpSocket| socket.join_multicast_v4(&group, &interface))
    }

    /// Leaves a multicast group; see [`UdpSocket::join_multicast_v4`].
    #[cfg(any(unix, windows))]
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        if interface.is_unspecified() {
            return self.member((group, 0).into(), 0, false);
        }
        self.0.as_std(|socket: &std::net::UdpSocket| socket.leave_multicast_v4(&group, &interface))
    }

    /// Joins a multicast group on the interface with this number; 0: on the system's choice.
    pub fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.member(SocketAddrV6::new(*group, 0, 0, 0).into(), interface, true)
    }

    /// Leaves a multicast group; see [`UdpSocket::join_multicast_v6`].
    pub fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.member(SocketAddrV6::new(*group, 0, 0, 0).into(), interface, false)
    }
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UdpSocket").field(&self.0 .0).finish()
    }
}
