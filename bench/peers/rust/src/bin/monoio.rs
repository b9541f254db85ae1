// SPDX-License-Identifier: Apache-2.0
//! monoio on io_uring: servers only.

use monoio::buf::IoBufMut;
use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::{TcpListener, TcpStream};
use monoio::{IoUringDriver, RuntimeBuilder};
use peers::*;

async fn echo(mut stream: TcpStream) {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let (read, filled) = stream.read(buffer).await;
        let Ok(read @ 1..) = read else { break };
        let (written, slice) = stream.write_all(filled.slice_mut(..read)).await;
        if written.is_err() {
            break;
        }
        buffer = slice.into_inner();
    }
}

async fn http(mut stream: TcpStream) {
    let (mut buffer, mut requests) = (vec![0; BUFFER_BYTES], Requests::default());
    loop {
        let (read, filled) = stream.read(buffer).await;
        let Ok(read @ 1..) = read else { break };
        if stream.write_all(requests.answer(&filled[..read])).await.0.is_err() {
            break;
        }
        buffer = filled;
    }
}

fn serve(kind: Server) {
    let mut runtime = RuntimeBuilder::<IoUringDriver>::new().build().expect("the kernel has io_uring");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        print_port(listener.local_addr().expect("it has a port"));
        loop {
            let (stream, _) = listener.accept().await.expect("a connection can be accepted");
            stream.set_nodelay(true).expect("a connection has the option");
            match kind {
                Server::Echo => monoio::spawn(echo(stream)),
                Server::Http => monoio::spawn(http(stream)),
            };
        }
    });
}

fn main() {
    Peer { crates: &["monoio"], workloads: Vec::new(), serve }.main();
}
