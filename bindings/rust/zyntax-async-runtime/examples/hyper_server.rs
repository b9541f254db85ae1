// SPDX-License-Identifier: Apache-2.0
//! Hyper's HTTP/1.1 server, unchanged, on this runtime: `hyper_server [PORT]`, then `curl http://127.0.0.1:PORT/`.

use std::convert::Infallible;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use zyntax_async_runtime::{spawn, HyperTimer, Runtime, TcpListener};

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::default());
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/") => *response.body_mut() = Full::from("Hello, World!\n"),
        (&Method::POST, "/echo") => match request.into_body().collect().await {
            Ok(body) => *response.body_mut() = Full::from(body.to_bytes()),
            Err(_) => *response.status_mut() = StatusCode::BAD_REQUEST,
        },
        _ => *response.status_mut() = StatusCode::NOT_FOUND,
    }
    Ok(response)
}

/// Serves every connection, for ever.
pub async fn serve(listener: TcpListener) -> std::io::Result<()> {
    loop {
        let stream = listener.accept().await?;
        spawn(async move {
            let mut server = http1::Builder::new();
            server.timer(HyperTimer).header_read_timeout(Duration::from_secs(30));
            if let Err(error) = server.serve_connection(stream, service_fn(answer)).await {
                eprintln!("connection: {error}");
            }
        });
    }
}

#[allow(dead_code)] // the test has a main of its own
fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).map_or(Ok(0), |port| port.parse()).expect("a port number");
    Runtime::new()?.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        println!("listening on port {}", listener.port()?);
        serve(listener).await
    })?
}
