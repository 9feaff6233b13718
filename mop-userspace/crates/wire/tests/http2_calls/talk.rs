//! Calls between the client and the server of the `h2` crate, and every byte that either wrote.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bytes::Bytes;
use h2::{RecvStream, SendStream, client, server};
use http::{HeaderMap, HeaderValue, Request, Response};
use mop_common::Direction;
use mop_corpus::Random;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// One call, as both ends know it.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) request: Message,
    pub(crate) status: u16,
    pub(crate) response: Message,
    /// The server gives it up after its head.
    pub(crate) is_reset: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    pub(crate) fields: Vec<(&'static str, String)>,
    pub(crate) content: Vec<u8>,
    pub(crate) trailers: Vec<(&'static str, String)>,
}

/// What was written, in its order.
pub(crate) type Log = Vec<(Direction, Vec<u8>)>;

/// Has the calls made, some at once, over one connection.
pub(crate) fn talk(calls: &[Call], at_once: usize) -> Log {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let log = Arc::new(Mutex::new(Log::new()));
    let (near, far) = tokio::io::duplex(8 << 10);
    // The observed process is the server.
    let near = Tap { stream: near, direction: Direction::Read, log: Arc::clone(&log) };
    let far = Tap { stream: far, direction: Direction::Write, log: Arc::clone(&log) };
    let all: Arc<[Call]> = calls.into();
    runtime.block_on(async {
        let serving = tokio::spawn(serve(far, Arc::clone(&all)));
        let (client, connection) = client::handshake(near).await.unwrap();
        let driver = tokio::spawn(connection);
        for batch in (0..all.len()).collect::<Vec<_>>().chunks(at_once) {
            let mut running = Vec::new();
            for number in batch {
                let client = client.clone().ready().await.unwrap();
                running.push(tokio::spawn(ask(client, all[*number].clone())));
            }
            for call in running {
                call.await.unwrap();
            }
        }
        drop(client);
        let _closed = driver.await.unwrap();
        serving.await.unwrap();
    });
    Arc::into_inner(log).unwrap().into_inner().unwrap()
}

async fn ask(mut client: client::SendRequest<Bytes>, call: Call) {
    let mut request = Request::builder()
        .method(call.method)
        .uri(format!("https://api.example.com{}", call.path))
        .body(())
        .unwrap();
    *request.headers_mut() = header_map(&call.request.fields);
    let has_content = !call.request.content.is_empty() || !call.request.trailers.is_empty();
    let (response, sender) = client.send_request(request, !has_content).unwrap();
    if has_content {
        send(sender, &call.request).await;
    }
    if let Ok(response) = response.await {
        read(response.into_body()).await;
    }
}

async fn serve(stream: Tap, calls: Arc<[Call]>) {
    let mut connection = server::handshake(stream).await.unwrap();
    while let Some(accepted) = connection.accept().await {
        let (request, mut respond) = accepted.unwrap();
        let path = request.uri().path_and_query().unwrap().as_str();
        let call = calls.iter().find(|call| call.path == path).unwrap().clone();
        tokio::spawn(async move {
            read(request.into_body()).await;
            let mut response = Response::builder().status(call.status).body(()).unwrap();
            *response.headers_mut() = header_map(&call.response.fields);
            let has_content = call.is_reset
                || !call.response.content.is_empty()
                || !call.response.trailers.is_empty();
            let mut sender = respond.send_response(response, !has_content).unwrap();
            if call.is_reset {
                sender.send_reset(h2::Reason::INTERNAL_ERROR);
            } else if has_content {
                send(sender, &call.response).await;
            }
        });
    }
}

async fn send(mut sender: SendStream<Bytes>, message: &Message) {
    let mut rest = Bytes::from(message.content.clone());
    let has_trailers = !message.trailers.is_empty();
    while !rest.is_empty() {
        sender.reserve_capacity(rest.len());
        let room = std::future::poll_fn(|cx| sender.poll_capacity(cx)).await.unwrap().unwrap();
        let now = rest.split_to(room.min(rest.len()));
        sender.send_data(now, rest.is_empty() && !has_trailers).unwrap();
    }
    if has_trailers {
        sender.send_trailers(header_map(&message.trailers)).unwrap();
    }
}

async fn read(mut body: RecvStream) {
    while let Some(Ok(content)) = body.data().await {
        body.flow_control().release_capacity(content.len()).unwrap();
    }
    let _trailers = body.trailers().await;
}

fn header_map(fields: &[(&'static str, String)]) -> HeaderMap {
    let value = |value: &String| HeaderValue::from_str(value).unwrap();
    fields.iter().map(|(name, text)| (name.parse().unwrap(), value(text))).collect()
}

/// A stream whose writes are noted.
struct Tap {
    stream: DuplexStream,
    direction: Direction,
    log: Arc<Mutex<Log>>,
}

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = written {
            self.log.lock().unwrap().push((self.direction, bytes[..count].to_vec()));
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Calls of which no two are the same.
pub(crate) fn calls(count: usize, random: &mut Random) -> Vec<Call> {
    (0..count).map(|number| call(number, random)).collect()
}

fn call(number: usize, random: &mut Random) -> Call {
    let method = *random.pick(&["GET", "POST", "PATCH", "DELETE", "PUT"]);
    let has_content = matches!(method, "POST" | "PATCH" | "PUT");
    let mut request = Message {
        fields: vec![
            ("user-agent", format!("client/{}", random.below(3))),
            ("x-fapi-interaction-id", format!("d78fc4e5-37ca-4da3-adf2-{number:012}")),
            ("authorization", format!("Bearer {}", "ab".repeat(20 + random.below(3)))),
        ],
        content: if has_content { content(number, random) } else { Vec::new() },
        trailers: Vec::new(),
    };
    let mut response = Message {
        fields: vec![
            ("content-type", (*random.pick(&["application/json", "text/plain"])).to_owned()),
            ("x-fapi-interaction-id", format!("d78fc4e5-37ca-4da3-adf2-{number:012}")),
        ],
        content: content(number, random),
        trailers: Vec::new(),
    };
    for message in [&mut request, &mut response] {
        for _ in 0..random.below(3) {
            let value = format!("v{}", random.below(6));
            message.fields.push((*random.pick(&["x-a", "x-b", "x-c"]), value));
        }
        if !message.content.is_empty() && random.below(5) == 0 {
            message.trailers.push(("x-checksum", format!("{number:08x}")));
        }
    }
    Call {
        method,
        path: format!("/n/{number}?page={}", random.below(4)),
        request,
        status: *random.pick(&[200, 200, 201, 204, 404, 422, 500]),
        response,
        is_reset: random.below(12) == 0,
    }
}

fn content(number: usize, random: &mut Random) -> Vec<u8> {
    let most = *random.pick(&[1, 40, 900, 40_000]);
    let bytes = random.below(most);
    format!("{{\"call\":{number}}}").bytes().cycle().take(bytes).collect()
}
