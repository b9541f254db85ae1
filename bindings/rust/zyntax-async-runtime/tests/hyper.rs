// SPDX-License-Identifier: Apache-2.0
//! Hyper's server on this runtime, asked by the standard library's sockets and, where they are, by curl and wrk.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{header, Request, Response, StatusCode};
use zyntax_async_runtime::{spawn, Error, Runtime, TcpListener, TcpStream as Stream, ThreadBound};

#[path = "../examples/hyper_server.rs"]
mod hyper_server;

/// Runs the example's server while `ask` runs with its port.
fn with_server(ask: impl FnOnce(u16)) {
    let (sender, receiver) = mpsc::channel();
    let server = thread::spawn(move || {
        let runtime = Runtime::new().unwrap();
        let end = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            sender.send((listener.port().unwrap(), runtime.remote())).unwrap();
            hyper_server::serve(listener).await
        });
        assert_eq!(end.unwrap_err(), Error::CANCELED);
    });
    let (port, remote) = receiver.recv().unwrap();
    ask(port);
    remote.stop().unwrap();
    server.join().unwrap();
}

/// The output of a program; none where it is not installed.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let Ok(output) = Command::new(program).args(arguments).output() else {
        println!("skipped: {program} is not installed");
        return None;
    };
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn requests_over_one_connection() {
    with_server(|port| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        for _ in 0..2 {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"Hello, World!\n") {
                let mut buf = [0; 1024];
                let read = stream.read(&mut buf).unwrap();
                assert_ne!(read, 0, "{}", String::from_utf8_lossy(&answer));
                answer.extend_from_slice(&buf[..read]);
            }
            assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
        }
        stream.write_all(b"GET /no HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    });
}

#[test]
fn curl_gets_and_posts() {
    with_server(|port| {
        let url = format!("http://127.0.0.1:{port}/");
        let Some(answer) = output("curl", &["-sS", "--max-time", "20", &url]) else { return };
        assert_eq!(answer, "Hello, World!\n");
        let body = "0123456789abcdef".repeat(60_000);
        let path = std::env::temp_dir().join(format!("zyntax-body-{}", std::process::id()));
        std::fs::write(&path, &body).unwrap();
        let data = format!("@{}", path.display());
        let echo = format!("{url}echo");
        let answer = output("curl", &["-sS", "--max-time", "20", "--data-binary", &data, &echo]);
        std::fs::remove_file(&path).unwrap();
        assert!(answer.unwrap() == body);
    });
}

#[test]
fn wrk_sees_no_errors() {
    with_server(|port| {
        let url = format!("http://127.0.0.1:{port}/");
        let Some(report) = output("wrk", &["-t1", "-c50", "-d1s", &url]) else { return };
        assert!(report.contains("Requests/sec"), "{report}");
        assert!(!report.contains("Socket errors") && !report.contains("Non-2xx"), "{report}");
    });
}

/// Answers 101 and then echoes in capital letters, on the connection that hyper gives back.
async fn upgrade(mut request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    spawn(async move {
        let upgraded = hyper::upgrade::on(&mut request).await.unwrap();
        let parts = upgraded.downcast::<ThreadBound<Stream>>().unwrap();
        let mut stream = parts.io.into_inner();
        let mut text = parts.read_buf.to_vec();
        let mut buf = [0; 64];
        while !text.ends_with(b"\n") {
            let read = stream.read(&mut buf).await.unwrap();
            text.extend_from_slice(&buf[..read]);
        }
        text.make_ascii_uppercase();
        stream.write_all(&text).await.unwrap();
    });
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(header::UPGRADE, header::HeaderValue::from_static("shout"));
    Ok(response)
}

#[test]
fn a_connection_is_upgraded() {
    let (sender, receiver) = mpsc::channel();
    let server = thread::spawn(move || {
        let runtime = Runtime::new().unwrap();
        let end = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            sender.send(listener.port().unwrap()).unwrap();
            let stream = ThreadBound::new(listener.accept().await.unwrap());
            let server = hyper::server::conn::http1::Builder::new();
            server.serve_connection(stream, service_fn(upgrade)).with_upgrades().await
        });
        end.unwrap().unwrap();
        runtime.run().unwrap(); // the task that has the connection
    });
    let mut stream = TcpStream::connect(("127.0.0.1", receiver.recv().unwrap())).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\nhello\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 101 ") && answer.ends_with("\r\n\r\nHELLO\n"), "{answer}");
    server.join().unwrap();
}
