//! Every way in which HTTP/1 ends a message, through real servers where they can do it.

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Result, ensure};
use mop_tests::{
    Body, Certificates, Exchange, Marker, Nginx, Observer, Script, carried, complete, curl,
    curl_options, observing, run, seen_at, sha256_hex,
};

#[test]
fn messages_without_a_body() -> Result<()> {
    if !observing("messages_without_a_body") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let body = Body::write(folder.path(), "5000.bin", 5000)?;
    let nginx = Nginx::builder(folder.path())
        .tls(&certificates)
        .location("~ /none$", "return 204;")
        .location("~ /([^/]+)$", &format!("alias {}/$1;", folder.path().display()))
        .start()?;
    let marker = Marker::new("no-body");
    let url =
        |resource: &str| format!("https://localhost:{}{}", nginx.port(), marker.path(resource));

    let observer = Observer::start()?;
    // All on one connection: a length that is misread would shift what follows.
    let mut command = curl(&certificates);
    command.args(["--head", &url("file/5000.bin"), "--next"]);
    let options = curl_options(&certificates);
    command.args(&options).arg(url("none")).arg("--next");
    command
        .args(&options)
        .args(["--header", "if-modified-since: Fri, 31 Dec 2099 00:00:00 GMT"])
        .arg(url("cached/5000.bin"))
        .arg("--next");
    command.args(&options).arg("--output").arg(folder.path().join("got"));
    command.arg(url("whole/5000.bin"));
    run(&mut command, CALL_LIMIT)?;
    let exchanges = reported(observer, &marker, 8)?;

    for (resource, status) in
        [("file/5000.bin", 200), ("none", 204), ("cached/5000.bin", 304), ("whole/5000.bin", 200)]
    {
        for exchange in seen_at(&of(&exchanges, &marker.path(resource)), &TLS)? {
            complete(exchange)?;
            ensure!(exchange.status() == status, "status {}", exchange.record());
            if resource.starts_with("whole") {
                carried(exchange, exchange.response(), &body)?;
            } else {
                ensure!(exchange.response().body_bytes() == 0, "a body: {}", exchange.record());
            }
        }
    }
    Ok(())
}

#[test]
fn expect_100_continue_is_one_exchange() -> Result<()> {
    if !observing("expect_100_continue_is_one_exchange") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let body = Body::write(folder.path(), "70000.bin", 70_000)?;
    let server = Script::serve(
        "http_server.py",
        [folder.path(), &certificates.server(), &certificates.key()],
    )?;
    let marker = Marker::new("continue");
    let observer = Observer::start()?;
    let url = format!("https://localhost:{}{}", server.port(), marker.path("upload"));
    let mut command = curl(&certificates);
    command.args(["--verbose", "--header", "expect: 100-continue", "--upload-file"]);
    let output = run(command.arg(&body.path).arg(url), CALL_LIMIT)?;
    ensure!(
        String::from_utf8_lossy(&output.stderr).contains("100 Continue"),
        "the server sent no interim response, so this tests nothing"
    );
    for exchange in seen_at(&reported(observer, &marker, 2)?, &TLS)? {
        carried(exchange, exchange.request(), &body)?;
        ensure!(exchange.status() == 200, "the interim response was taken for the final one");
    }
    Ok(())
}

#[test]
fn chunked_bodies_may_end_with_trailers() -> Result<()> {
    if !observing("chunked_bodies_may_end_with_trailers") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let body = Body::write(folder.path(), "200000.bin", 200_000)?;
    let server = Script::serve("http_server.py", [folder.path()])?;
    let marker = Marker::new("trailers");
    let observer = Observer::start()?;
    let url = |number: u32| {
        format!(
            "http://localhost:{}{}",
            server.port(),
            marker.path(&format!("{number}/trailers/200000.bin"))
        )
    };
    let mut command = curl(&certificates);
    // Two on one connection: trailers that are left over would spoil the second.
    command.arg("--output").arg(folder.path().join("one")).arg(url(1));
    command.arg("--output").arg(folder.path().join("two")).arg(url(2));
    run(&mut command, CALL_LIMIT)?;
    let exchanges = reported(observer, &marker, 4)?;
    for number in [1, 2] {
        let target = marker.path(&format!("{number}/trailers/200000.bin"));
        for exchange in seen_at(&of(&exchanges, &target), &PLAIN)? {
            carried(exchange, exchange.response(), &body)?;
        }
    }
    Ok(())
}

#[test]
fn pipelined_requests_get_their_own_responses() -> Result<()> {
    if !observing("pipelined_requests_get_their_own_responses") {
        return Ok(());
    }
    const REQUESTS: usize = 20;
    let folder = tempfile::tempdir()?;
    let nginx = Nginx::builder(folder.path())
        .location("~ /echo/([0-9]+)$", "return 200 \"this is the answer to $1\";")
        .start()?;
    let marker = Marker::new("pipelined");
    let observer = Observer::start()?;
    let requests: String = (0..REQUESTS)
        .map(|number| {
            let last = if number + 1 == REQUESTS { "Connection: close\r\n" } else { "" };
            let target = marker.path(&format!("echo/{number}"));
            format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{last}\r\n")
        })
        .collect();
    let mut connection = TcpStream::connect(("127.0.0.1", nginx.port()))?;
    connection.write_all(requests.as_bytes())?;
    let mut answers = String::new();
    connection.read_to_string(&mut answers)?;
    drop(connection);
    ensure!(answers.matches("this is the answer to").count() == REQUESTS);

    let exchanges = reported(observer, &marker, 2 * REQUESTS)?;
    for number in 0..REQUESTS {
        let answer = format!("this is the answer to {number}");
        for exchange in seen_at(&of(&exchanges, &marker.path(&format!("echo/{number}"))), &PLAIN)? {
            complete(exchange)?;
            ensure!(
                exchange.response().sha256() == sha256_hex(answer.as_bytes()),
                "the response to another request: {}",
                exchange.record()
            );
        }
    }
    Ok(())
}

#[test]
fn sendfile_is_a_hole_of_known_length() -> Result<()> {
    if !observing("sendfile_is_a_hole_of_known_length") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let body = Body::write(folder.path(), "300000.bin", 300_000)?;
    let nginx = Nginx::builder(folder.path())
        .location(
            "~ /file/([^/]+)$",
            &format!("sendfile on; alias {}/$1;", folder.path().display()),
        )
        .location("~ /after$", "return 200 after;")
        .start()?;
    let script = Script::serve("http_server.py", [folder.path()])?;

    for (name, port, resource) in [
        ("sendfile-nginx", nginx.port(), "file/300000.bin"),
        ("sendfile-python", script.port(), "sendfile/300000.bin"),
    ] {
        let marker = Marker::new(name);
        let observer = Observer::start()?;
        let base = format!("http://localhost:{port}");
        let mut command = curl(&certificates);
        command.arg("--output").arg(folder.path().join("got"));
        command.arg(format!("{base}{}", marker.path(resource)));
        if port == nginx.port() {
            command.arg("--output").arg(folder.path().join("after"));
            command.arg(format!("{base}{}", marker.path("after")));
        }
        run(&mut command, CALL_LIMIT)?;
        let expected = if port == nginx.port() { 4 } else { 2 };
        let exchanges = reported(observer, &marker, expected)?;

        let through = of(&exchanges, &marker.path(resource));
        let [client, server] = *seen_at(&through, &PLAIN)?.as_slice() else {
            unreachable!("two views were asked for")
        };
        carried(client, client.response(), &body)?;
        ensure!(!server.complete(), "a body that was not seen: {}", server.record());
        ensure!(
            server.response().body_bytes() == body.bytes
                && server.response().missing_bytes() == body.bytes,
            "not a hole of {} bytes: {}",
            body.bytes,
            server.record()
        );
        if port == nginx.port() {
            for exchange in seen_at(&of(&exchanges, &marker.path("after")), &PLAIN)? {
                complete(exchange)?;
            }
        }
    }
    Ok(())
}

#[test]
fn an_upgrade_ends_the_observation_of_the_connection_cleanly() -> Result<()> {
    if !observing("an_upgrade_ends_the_observation_of_the_connection_cleanly") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let server = Script::serve("node_server.js", [folder.path()])?;
    let marker = Marker::new("upgrade");
    let observer = Observer::start()?;
    let target = marker.path("echo");
    let mut connection = TcpStream::connect(("127.0.0.1", server.port()))?;
    write!(
        connection,
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
    )?;
    let mut head = [0; 512];
    let read = connection.read(&mut head)?;
    ensure!(head[..read].starts_with(b"HTTP/1.1 101"));
    // What looks like HTTP inside the new protocol is none.
    write!(connection, "GET {}/inside HTTP/1.1\r\nHost: localhost\r\n\r\n", marker)?;
    let mut echoed = [0; 16];
    connection.read_exact(&mut echoed)?;
    connection.shutdown(Shutdown::Both)?;
    drop(connection);

    for exchange in seen_at(&reported(observer, &marker, 2)?, &PLAIN)? {
        ensure!(
            exchange.ending() == "upgraded" && exchange.status() == 101,
            "{}",
            exchange.record()
        );
    }
    Ok(())
}

#[test]
fn a_slow_client_sends_one_byte_a_call() -> Result<()> {
    if !observing("a_slow_client_sends_one_byte_a_call") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let server = Script::serve("http_server.py", [folder.path()])?;
    let body = Body::write(folder.path(), "300.bin", 300)?;
    let marker = Marker::new("slow");
    let observer = Observer::start()?;
    let mut connection = TcpStream::connect(("127.0.0.1", server.port()))?;
    connection.set_nodelay(true)?;
    let mut request = format!(
        "POST {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 300\r\n\r\n",
        marker.path("slow")
    )
    .into_bytes();
    request.extend(fs::read(&body.path)?);
    for byte in request {
        connection.write_all(&[byte])?;
        // Each byte has to be a segment of its own on the other side as well.
        thread::sleep(Duration::from_micros(300));
    }
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    ensure!(answer.contains(&body.sha256));
    drop(connection);
    for exchange in seen_at(&reported(observer, &marker, 2)?, &PLAIN)? {
        carried(exchange, exchange.request(), &body)?;
    }
    Ok(())
}

#[test]
fn malformed_and_foreign_bytes_harm_nothing_else() -> Result<()> {
    if !observing("malformed_and_foreign_bytes_harm_nothing_else") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let plain = Nginx::builder(folder.path()).location("/", "return 200 fine;").start()?;
    let tls = Nginx::builder(folder.path())
        .tls(&certificates)
        .location("/", "return 200 fine;")
        .start()?;
    let marker = Marker::new("malformed");
    let target = marker.path("bad");
    let observer = Observer::builder().arg("--all").start()?;

    let noise = fs::read(Body::write(folder.path(), "noise.bin", 100_000)?.path)?;
    let bad: Vec<Vec<u8>> = vec![
        noise.clone(),
        b"\r\n\r\n\r\n\r\n".to_vec(),
        b"GET".to_vec(),
        format!("GET {target}").into_bytes(),
        format!("GET {target} HTTP/9.9\r\n\r\n").into_bytes(),
        format!("GET {target} HTTP/1.1\r\nno colon here\r\n\r\n").into_bytes(),
        format!("GET {target} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").into_bytes(),
        format!(
            "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345"
        )
        .into_bytes(),
        format!(
            "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: \
             chunked\r\n\r\n0\r\n\r\n"
        )
        .into_bytes(),
        format!(
            "POST {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nbody"
        )
        .into_bytes(),
        format!(
            "POST {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
             ffffffffffffffff1\r\nbody"
        )
        .into_bytes(),
        [b"GET /".as_slice(), &[b'a'; 60_000], b" HTTP/1.1\r\n\r\n"].concat(),
        [format!("GET {target} HTTP/1.1\r\n").as_bytes(), noise.as_slice()].concat(),
        format!("GET {target} HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(5_000)).into_bytes(),
    ];
    for bytes in &bad {
        send_and_close(plain.port(), bytes)?;
        send_over_tls(&certificates, folder.path(), tls.port(), bytes)?;
    }

    let good = marker.path("good");
    for (scheme, port) in [("http", plain.port()), ("https", tls.port())] {
        run(curl(&certificates).arg(format!("{scheme}://localhost:{port}{good}")), CALL_LIMIT)?;
    }
    observer.wait_for(4, REPORT_LIMIT, |exchange| exchange.target() == good)?;
    let observation = observer.stop()?;
    let after = observation.exchanges(&good);
    for exchange in
        seen_at(&after, &["client/socket", "server/socket", "client/tls", "server/tls"])?
    {
        complete(exchange)?;
    }
    Ok(())
}

/// The server may close before all is sent, or reset: both are part of the test.
fn send_and_close(port: u16, bytes: &[u8]) -> Result<()> {
    let mut connection = TcpStream::connect(("127.0.0.1", port))?;
    connection.set_read_timeout(Some(CALL_LIMIT))?;
    let _sent = connection.write_all(bytes);
    let _closed = connection.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _read = connection.read_to_end(&mut answer);
    Ok(())
}

fn send_over_tls(
    certificates: &Certificates,
    folder: &Path,
    port: u16,
    bytes: &[u8],
) -> Result<()> {
    let file = folder.join("bad");
    fs::write(&file, bytes)?;
    let script = format!(
        "timeout 5 openssl s_client -quiet -no_ign_eof -connect 127.0.0.1:{port} -CAfile {} < {} \
         > /dev/null 2>&1 || true",
        certificates.authority().display(),
        file.display()
    );
    run(Command::new("sh").args(["-c", &script]), CALL_LIMIT)?;
    Ok(())
}

/// Waits for this many exchanges below the marker, then stops and returns all of them.
fn reported(observer: Observer, marker: &Marker, count: usize) -> Result<Vec<Exchange>> {
    let prefix = marker.to_string();
    observer.wait_for(count, REPORT_LIMIT, |one| one.target().starts_with(&prefix))?;
    Ok(observer.stop()?.exchanges(&prefix))
}

fn of(exchanges: &[Exchange], target: &str) -> Vec<Exchange> {
    exchanges.iter().filter(|exchange| exchange.target() == target).cloned().collect()
}

const TLS: [&str; 2] = ["client/tls", "server/tls"];
const PLAIN: [&str; 2] = ["client/socket", "server/socket"];
const CALL_LIMIT: Duration = Duration::from_secs(30);
const REPORT_LIMIT: Duration = Duration::from_secs(10);
