//! A server and a client in one process that speak HTTP with each other over rustls, on loopback.
//!
//! Usage: `rustls_peer CERTIFICATE KEY AUTHORITY BYTES`
//!
//! Prints the port that it listens on. For every line on standard input it sends so many bytes to
//! itself and as many back, over one connection, and says `done`.

use std::{
    env,
    io::{self, BufRead as _, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::PathBuf,
    sync::Arc,
    thread,
};

use anyhow::{Context as _, Result, ensure};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};

fn main() -> Result<()> {
    let mut arguments = env::args_os().skip(1);
    let mut argument = || arguments.next().context("CERTIFICATE KEY AUTHORITY BYTES");
    let [certificate, key, authority] = [argument()?, argument()?, argument()?].map(PathBuf::from);
    let bytes = argument()?.to_str().context("BYTES")?.parse()?;

    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<_, _>>()?;
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority)?)?;
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let _server = thread::spawn(move || serve(&listener, &Arc::new(server), bytes));
    let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let name = ServerName::try_from("localhost")?;
    let connection = ClientConnection::new(Arc::new(client), name)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, socket));
    println!("{port}");
    for line in io::stdin().lines() {
        let _any = line?;
        let head =
            format!("POST /rustls HTTP/1.1\r\nHost: localhost\r\nContent-Length: {bytes}\r\n\r\n");
        stream.get_mut().write_all(&[head.as_bytes(), &vec![b'>'; bytes]].concat())?;
        take_message(&mut stream, bytes)?;
        println!("done");
    }
    Ok(())
}

fn serve(listener: &TcpListener, configuration: &Arc<ServerConfig>, bytes: usize) -> Result<()> {
    let (socket, _) = listener.accept()?;
    let connection = ServerConnection::new(Arc::clone(configuration))?;
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
