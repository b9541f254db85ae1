// SPDX-License-Identifier: Apache-2.0
//! The same hyper server on this runtime or on Tokio's current_thread: `hyper-bench zyntax|tokio`. It prints its port;
//! bench.sh asks it with wrk.

use std::convert::Infallible;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};

async fn answer(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(b"Hello, World!\n"))))
}

async fn serve(stream: impl hyper::rt::Read + hyper::rt::Write + Unpin) {
    // wrk closes its connections in the middle of things.
    let _ = http1::Builder::new().serve_connection(stream, service_fn(answer)).await;
}

fn zyntax() -> std::io::Result<()> {
    use zyntax_async_runtime::{spawn, Runtime, TcpListener};
    Runtime::new()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        println!("{}", listener.port()?);
        loop {
            let stream = listener.accept().await?;
            spawn(serve(stream));
        }
    })?
}

fn tokio() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?.port());
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?; // as the other accepts
            tokio::task::spawn_local(serve(hyper_util::rt::TokioIo::new(stream)));
        }
    })
}

fn main() -> std::io::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("zyntax") => zyntax(),
        Some("tokio") => tokio(),
        _ => panic!("hyper-bench zyntax|tokio"),
    }
}
