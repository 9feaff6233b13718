//! Programs that speak HTTP over rustls, on loopback.
//!
//! Usage:
//!
//! - `rustls_peer both CERTIFICATE KEY AUTHORITY BYTES`: a server and a client in one process. Prints the
//!   port that it listens on. For every line on standard input it sends so many bytes to itself and as many
//!   back, over one connection, and says `done`.
//! - `rustls_peer PORT serve MODE CERTIFICATE KEY` and
//!   `rustls_peer PORT call MODE AUTHORITY PREFIX CONNECTIONS CALLS`: as `tls_peer.c`, which see. A mode is
//!   `THREADS`, one for each connection, or `TASKS` of an asynchronous runtime; then, with hyphens between,
//!   the version of TLS and the name of a cipher suite.

use std::{
    env,
    io::{self, BufRead as _, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{self, Poll},
    thread,
};

use anyhow::{Context as _, Result, bail, ensure};
use mop_tests::known_body;
use rustls::{
    ClientConfig, ClientConnection, ConfigBuilder, ConfigSide, RootCertStore, ServerConfig,
    ServerConnection, StreamOwned, SupportedCipherSuite, SupportedProtocolVersion, WantsVerifier,
    WantsVersions,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{
        AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf,
    },
    runtime::{Builder, Runtime},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["both", certificate, key, authority, bytes] => {
            both(certificate.as_ref(), key.as_ref(), authority.as_ref(), bytes.parse()?)
        }
        [port, "serve", mode, certificate, key] => {
            let mode = Mode::of(mode)?;
            let configuration = server(
                mode.builder(ServerConfig::builder_with_provider)?,
                certificate.as_ref(),
                key.as_ref(),
            )?;
            mode.serve(port.parse()?, &configuration)
        }
        [port, "call", mode, authority, prefix, connections, calls] => {
            let mode = Mode::of(mode)?;
            let configuration =
                client(mode.builder(ClientConfig::builder_with_provider)?, authority.as_ref())?;
            let plan = Plan { prefix, connections: connections.parse()?, calls: calls.parse()? };
            mode.call(port.parse()?, &configuration, &plan)
        }
        _ => bail!("see the beginning of its source"),
    }
}

fn server(
    builder: ConfigBuilder<ServerConfig, WantsVerifier>,
    certificate: &Path,
    key: &Path,
) -> Result<Arc<ServerConfig>> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    Ok(Arc::new(builder.with_no_client_auth().with_single_cert(chain, key)?))
}

fn client(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    authority: &Path,
) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority)?)?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

fn both(certificate: &Path, key: &Path, authority: &Path, bytes: usize) -> Result<()> {
    let server = server(ServerConfig::builder(), certificate, key)?;
    let client = client(ClientConfig::builder(), authority)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let _server = thread::spawn(move || answer_one(&listener, server, bytes));
    let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let connection = ClientConnection::new(client, name()?)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, socket));
    println!("{port}");
    for (count, line) in io::stdin().lines().enumerate() {
        let _any = line?;
        let head = format!(
            "POST /open-insurance/rustls/{port}/{count} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {bytes}\r\n\r\n"
        );
        stream.get_mut().write_all(&[head.as_bytes(), &vec![b'>'; bytes]].concat())?;
        take_message(&mut stream, bytes)?;
        println!("done");
    }
    Ok(())
}

fn answer_one(
    listener: &TcpListener,
    configuration: Arc<ServerConfig>,
    bytes: usize,
) -> Result<()> {
    let (socket, _) = listener.accept()?;
    let connection = ServerConnection::new(configuration)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, socket));
    loop {
        take_message(&mut stream, bytes)?;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n");
        stream.get_mut().write_all(&[head.as_bytes(), &vec![b'<'; bytes]].concat())?;
    }
}

/// Reads a head, and a body of this length.
fn take_message(stream: &mut BufReader<impl Read>, bytes: usize) -> Result<()> {
    let mut line = String::new();
    loop {
        line.clear();
        ensure!(stream.read_line(&mut line)? > 0, "the connection ended");
        if line == "\r\n" {
            break;
        }
    }
    Ok(stream.read_exact(&mut vec![0; bytes])?)
}

fn name() -> Result<ServerName<'static>> {
    Ok(ServerName::try_from("localhost")?)
}

/// How a peer works.
#[derive(Clone, Copy)]
struct Mode {
    has_tasks: bool,
    version: &'static SupportedProtocolVersion,
    suite: SupportedCipherSuite,
}

/// What a client does.
struct Plan<'a> {
    prefix: &'a str,
    connections: usize,
    calls: usize,
}

impl Mode {
    fn of(text: &str) -> Result<Self> {
        let [runtime, version, suite] = *text.split('-').collect::<Vec<_>>() else {
            bail!("{text}: no mode")
        };
        let version = match version {
            "1.2" => &rustls::version::TLS12,
            "1.3" => &rustls::version::TLS13,
            _ => bail!("{version}: no version"),
        };
        let of_name = |one: &&SupportedCipherSuite| one.suite().as_str() == Some(suite);
        let suite = aws_lc_rs::ALL_CIPHER_SUITES.iter().find(of_name).context("no such suite")?;
        Ok(Self { has_tasks: runtime == "TASKS", version, suite: *suite })
    }

    fn builder<Side: ConfigSide>(
        self,
        begin: fn(Arc<CryptoProvider>) -> ConfigBuilder<Side, WantsVersions>,
    ) -> Result<ConfigBuilder<Side, WantsVerifier>> {
        let provider =
            CryptoProvider { cipher_suites: vec![self.suite], ..aws_lc_rs::default_provider() };
        Ok(begin(Arc::new(provider)).with_protocol_versions(&[self.version])?)
    }

    /// What runs tasks; `None` where threads do their work.
    fn runtime(self) -> Result<Option<Runtime>> {
        let mut builder = Builder::new_multi_thread();
        let builder = builder.worker_threads(TASK_THREADS).enable_io();
        Ok(self.has_tasks.then(|| builder.build()).transpose()?)
    }

    fn serve(self, port: u16, configuration: &Arc<ServerConfig>) -> Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let runtime = self.runtime()?;
        loop {
            let (socket, _) = listener.accept()?;
            socket.set_nodelay(true)?;
            let configuration = Arc::clone(configuration);
            // A client that goes away, or only looked whether somebody listens, ends its connection.
            if let Some(runtime) = &runtime {
                runtime.spawn(async move {
                    let stream = TlsAcceptor::from(configuration).accept(tasks(socket)?).await?;
                    answer(stream).await
                });
            } else {
                thread::spawn(move || {
                    let connection = ServerConnection::new(configuration)?;
                    ready(answer(Blocking(StreamOwned::new(connection, socket))))
                });
            }
        }
    }

    fn call(self, port: u16, configuration: &Arc<ClientConfig>, plan: &Plan<'_>) -> Result<()> {
        let mut ports = Vec::new();
        let mut sockets = Vec::new();
        for _ in 0..plan.connections {
            let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
            socket.set_nodelay(true)?;
            ports.push(socket.local_addr()?);
            sockets.push(socket);
        }
        let Some(runtime) = self.runtime()? else {
            let open = |socket| {
                let connection = ClientConnection::new(Arc::clone(configuration), name()?)?;
                Ok(tokio::io::BufReader::new(Blocking(StreamOwned::new(connection, socket))))
            };
            let mut streams = sockets.into_iter().map(open).collect::<Result<Vec<_>>>()?;
            for count in 0..plan.calls {
                for (number, stream) in streams.iter_mut().enumerate() {
                    ready(one_call(stream, plan.prefix, ports[number], (number, count)))?;
                }
            }
            return Ok(());
        };
        let tasks: Vec<_> = sockets
            .into_iter()
            .zip(ports)
            .enumerate()
            .map(|(number, (socket, port))| {
                let (prefix, calls) = (plan.prefix.to_owned(), plan.calls);
                let connector = TlsConnector::from(Arc::clone(configuration));
                runtime.spawn(async move {
                    let stream = connector.connect(name()?, tasks(socket)?).await?;
                    let mut stream = tokio::io::BufReader::new(stream);
                    for count in 0..calls {
                        one_call(&mut stream, &prefix, port, (number, count)).await?;
                    }
                    Ok::<_, anyhow::Error>(())
                })
            })
            .collect();
        tasks.into_iter().try_for_each(|task| runtime.block_on(task)?)
    }
}

/// A socket for tasks.
fn tasks(socket: TcpStream) -> Result<tokio::net::TcpStream> {
    socket.set_nonblocking(true)?;
    Ok(tokio::net::TcpStream::from_std(socket)?)
}

/// What never waits but blocks.
fn ready<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let future = std::pin::pin!(future);
    match future.poll(&mut task::Context::from_waker(task::Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => bail!("it waits"),
    }
}

/// A stream whose every use blocks, in the place of one that would have to be waited for.
struct Blocking<T>(T);

impl<T: Read + Unpin> AsyncRead for Blocking<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut task::Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = self.0.read(buffer.initialize_unfilled())?;
        buffer.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl<T: Write + Unpin> AsyncWrite for Blocking<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _cx: &mut task::Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.0.write(bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _cx: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.flush())
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<()> {
    let mut stream = tokio::io::BufReader::new(stream);
    loop {
        let line = take_head(&mut stream).await?;
        let target = line.split(' ').nth(1).context("no target")?;
        let mut parts = target.rsplit('/');
        let mut part = || parts.next().context("a part of the target");
        let (received, sent, name) = (part()?.parse()?, part()?.parse()?, part()?.to_owned());
        let mut body = vec![0; sent];
        stream.read_exact(&mut body).await?;
        ensure!(body == known_body(&name, 1, sent), "not the request that was sent");
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {received}\r\n\r\n");
        send(&mut stream, &head, &known_body(&name, 2, received)).await?;
    }
}

async fn one_call<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut tokio::io::BufReader<S>,
    prefix: &str,
    port: SocketAddr,
    (connection, count): (usize, usize),
) -> Result<()> {
    let letters = [connection / 26, connection % 26, count / 26, count % 26];
    let name: String = letters.iter().map(|&letter| char::from(b'a' + letter as u8)).collect();
    let (sent, received) =
        (LENGTHS[count % LENGTHS.len()], LENGTHS[(count * 5 + 2) % LENGTHS.len()]);
    let target = format!("{prefix}/{name}/{sent}/{received}");
    let head =
        format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {sent}\r\n\r\n");
    send(stream, &head, &known_body(&name, 1, sent)).await?;
    take_head(stream).await?;
    let mut body = vec![0; received];
    stream.read_exact(&mut body).await?;
    ensure!(body == known_body(&name, 2, received), "not the response that was sent");
    println!("{} {target}", port.port());
    Ok(())
}

/// In parts of lengths that fit neither records nor anything else.
async fn send(stream: &mut (impl AsyncWrite + Unpin), head: &str, body: &[u8]) -> Result<()> {
    for bytes in [head.as_bytes(), body] {
        let (mut rest, mut part) = (bytes, 1 + bytes.len() / 3);
        while !rest.is_empty() {
            let (now, later) = rest.split_at(part.min(rest.len()));
            stream.write_all(now).await?;
            (rest, part) = (later, part * 2 + 1);
        }
    }
    Ok(stream.flush().await?)
}

/// Reads a head; its first line.
async fn take_head<S: AsyncRead + Unpin>(stream: &mut tokio::io::BufReader<S>) -> Result<String> {
    let mut first = String::new();
    loop {
        let mut line = String::new();
        ensure!(stream.read_line(&mut line).await? > 0, "the connection ended");
        if line == "\r\n" {
            return Ok(first);
        }
        if first.is_empty() {
            first = line;
        }
    }
}

const LENGTHS: [usize; 9] = [0, 1, 100, 100, 100, 5000, 16_384, 70_001, 300_000];

/// A connection goes from one to the other.
const TASK_THREADS: usize = 2;
