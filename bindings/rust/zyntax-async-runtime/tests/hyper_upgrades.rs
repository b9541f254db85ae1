// SPDX-License-Identifier: Apache-2.0
//! Hyper's client against its server, both on this runtime, and a WebSocket (RFC 6455) over a connection that both
//! upgraded.

mod support;

use std::convert::Infallible;
use std::future::Future;

use futures::{AsyncReadExt, AsyncWriteExt};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper::{header, Method, Request, Response, StatusCode};
use support::{run, MS};
use zyntax_async_runtime::{spawn, timeout, TcpListener, TcpStream, ThreadBound};

/// The example of RFC 6455, section 1.3: a key, and the value that accepts it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

type Body = Full<Bytes>;

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    Response::builder().status(status).body(Full::new(body.into())).unwrap()
}

/// Greets, echoes, and makes a connection a WebSocket.
async fn answer(mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    Ok(match (request.method(), request.uri().path()) {
        (&Method::GET, "/hello") => text(StatusCode::OK, "hello"),
        (&Method::POST, "/echo") => text(StatusCode::OK, request.collect().await.unwrap().to_bytes()),
        (&Method::GET, "/socket") if request.headers().get("sec-websocket-key").is_some_and(|key| key == KEY) => {
            spawn(
                async move { serve_socket(Socket::new(hyper::upgrade::on(&mut request).await.unwrap(), false)).await },
            );
            let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
            let response = response.header(header::CONNECTION, "Upgrade").header(header::UPGRADE, "websocket");
            response.header("sec-websocket-accept", ACCEPT).body(Body::default()).unwrap()
        }
        _ => text(StatusCode::NOT_FOUND, "no"),
    })
}

/// Runs a client with a connection to a server.
fn with_connection<F: Future<Output = ()>>(client: impl FnOnce(SendRequest<Body>) -> F) {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.port().unwrap();
        let server = spawn(async move {
            let stream = ThreadBound::new(listener.accept().await.unwrap());
            let server = hyper::server::conn::http1::Builder::new();
            server.serve_connection(stream, service_fn(answer)).with_upgrades().await.unwrap();
        });
        let stream = ThreadBound::new(TcpStream::connect("127.0.0.1", port).await.unwrap());
        let (sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        let connection = spawn(async move { connection.with_upgrades().await.unwrap() });
        client(sender).await;
        connection.await.unwrap();
        server.await.unwrap();
    });
}

fn request(method: Method, path: &str, body: impl Into<Bytes>) -> Request<Body> {
    let request = Request::builder().method(method).uri(path).header(header::HOST, "localhost");
    request.body(Full::new(body.into())).unwrap()
}

#[test]
fn hypers_client_gets_and_posts_over_one_connection() {
    with_connection(|mut sender| async move {
        for _ in 0..3 {
            let response = sender.send_request(request(Method::GET, "/hello", "")).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.collect().await.unwrap().to_bytes(), "hello");
        }
        let body: Vec<u8> = (0..3_000_000u32).map(|i| (i / 3) as u8).collect();
        let response = sender.send_request(request(Method::POST, "/echo", body.clone())).await.unwrap();
        assert!(response.collect().await.unwrap().to_bytes() == body);
        let response = sender.send_request(request(Method::GET, "/no", "")).await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        response.collect().await.unwrap();
    });
}

#[test]
fn a_request_that_is_given_up_ends_its_connection() {
    with_connection(|mut sender| async move {
        let request = sender.send_request(request(Method::GET, "/hello", ""));
        drop(timeout(MS / 1000, request).await);
    });
}

// ---- WebSocket ----

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// One side of a WebSocket, on the stream that hyper gave back.
struct Socket {
    stream: ThreadBound<TcpStream>,
    /// The bytes that hyper has read from the stream already.
    early: Vec<u8>,
    is_client: bool,
}

impl Socket {
    fn new(upgraded: Upgraded, is_client: bool) -> Socket {
        let parts = upgraded.downcast::<ThreadBound<TcpStream>>().unwrap();
        Socket { stream: parts.io, early: parts.read_buf.to_vec(), is_client }
    }

    async fn bytes(&mut self, count: usize) -> Vec<u8> {
        let early = count.min(self.early.len());
        let mut bytes: Vec<u8> = self.early.drain(..early).collect();
        bytes.resize(count, 0);
        AsyncReadExt::read_exact(&mut self.stream, &mut bytes[early..]).await.unwrap();
        bytes
    }

    /// Sends a frame; a client's is masked.
    async fn send(&mut self, opcode: u8, is_last: bool, payload: &[u8]) {
        let mut frame = vec![opcode | u8::from(is_last) << 7];
        let mask_bit = u8::from(self.is_client) << 7;
        match payload.len() {
            length @ ..126 => frame.push(mask_bit | length as u8),
            length @ ..65536 => {
                frame.push(mask_bit | 126);
                frame.extend_from_slice(&(length as u16).to_be_bytes());
            }
            length => {
                frame.push(mask_bit | 127);
                frame.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        let mask = if self.is_client { [0x37, 0xfa, 0x21, 0x3d] } else { [0; 4] };
        if self.is_client {
            frame.extend_from_slice(&mask);
        }
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        AsyncWriteExt::write_all(&mut self.stream, &frame).await.unwrap();
    }

    /// The next frame: its opcode, whether it is a message's last one, its payload.
    async fn receive(&mut self) -> (u8, bool, Vec<u8>) {
        let head = self.bytes(2).await;
        assert_eq!(head[1] >> 7 == 0, self.is_client, "clients mask, servers do not");
        let length = match head[1] & 127 {
            126 => u16::from_be_bytes(self.bytes(2).await.try_into().unwrap()).into(),
            127 => u64::from_be_bytes(self.bytes(8).await.try_into().unwrap()),
            length => length.into(),
        };
        let mask = if self.is_client { vec![0; 4] } else { self.bytes(4).await };
        let payload = self.bytes(length.try_into().unwrap()).await;
        let payload = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        (head[0] & 15, head[0] >> 7 == 1, payload)
    }
}

/// Echoes messages, which may come in fragments, answers pings, and closes when the client does.
async fn serve_socket(mut socket: Socket) {
    let (mut kind, mut message) = (0, Vec::new());
    loop {
        let (opcode, is_last, payload) = socket.receive().await;
        match opcode {
            PING => socket.send(PONG, true, &payload).await,
            CLOSE => return socket.send(CLOSE, true, &payload).await,
            _ => {
                kind |= opcode; // 0 in all fragments but the first
                message.extend_from_slice(&payload);
                if is_last {
                    socket.send(kind, true, &message).await;
                    (kind, message) = (0, Vec::new());
                }
            }
        }
    }
}

#[test]
fn a_websocket_works_over_a_connection_that_hyper_upgraded_on_both_sides() {
    with_connection(|mut sender| async move {
        let mut request = request(Method::GET, "/socket", "");
        for (name, value) in [
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", KEY),
        ] {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(response.headers()["sec-websocket-accept"], ACCEPT);
        let mut socket = Socket::new(hyper::upgrade::on(response).await.unwrap(), true);

        socket.send(TEXT, true, b"hello").await;
        assert_eq!(socket.receive().await, (TEXT, true, b"hello".to_vec()));
        for length in [0, 125, 126, 65535, 65536, 1_000_000] {
            let payload: Vec<u8> = (0..length).map(|i: u32| i as u8).collect();
            socket.send(BINARY, true, &payload).await;
            assert!(socket.receive().await == (BINARY, true, payload));
        }
        socket.send(TEXT, false, b"in ").await;
        socket.send(PING, true, b"between").await;
        socket.send(0, true, b"two").await;
        assert_eq!(socket.receive().await, (PONG, true, b"between".to_vec()));
        assert_eq!(socket.receive().await, (TEXT, true, b"in two".to_vec()));
        socket.send(CLOSE, true, &1000u16.to_be_bytes()).await;
        assert_eq!(socket.receive().await, (CLOSE, true, 1000u16.to_be_bytes().to_vec()));
        assert_eq!(socket.stream.read(&mut [0; 8]).await.unwrap(), 0);
    });
}
