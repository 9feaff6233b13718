use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
};

use axum::{body::Bytes, routing::post};

use super::*;
use crate::vitals::{OutboxVitals, SinkVitals};

#[test]
fn what_is_not_served_is_refused_cleanly() {
    let admin = started(Vitals::new(), Router::new());
    for (request, status) in [
        ("GET / HTTP/1.1", 404),
        ("GET /metrics/ HTTP/1.1", 404),
        ("GET /metrics?x=1 HTTP/1.1", 200),
        ("HEAD /metrics HTTP/1.1", 200),
        ("POST /metrics HTTP/1.1", 405),
        ("DELETE /healthz HTTP/1.1", 405),
        ("PRI * HTTP/2.0", 400),
        ("no request at all", 400),
    ] {
        let answer = asked(&admin, &format!("{request}\r\nHost: x\r\nConnection: close\r\n\r\n"));
        assert_eq!(status_of(&answer), status, "{request}: {answer}");
    }
    let long = format!("GET /metrics HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(64 << 10));
    assert_eq!(status_of(&asked(&admin, &long)), 431);
    admin.stop();
}

#[test]
fn readiness_says_what_is_missing_and_a_broker_is_not_part_of_it() {
    let vitals = Vitals::new();
    vitals.wants("probes", "they are not attached yet");
    let sink = SinkVitals::new("rabbitmq");
    sink.set_trouble(Some(crate::sinks::Trouble::passing("unreachable", "nobody is there")));
    vitals.set_sinks(vec![sink]);
    let admin = started(Arc::clone(&vitals), Router::new());
    let answer = asked(&admin, &get("/readyz"));
    assert_eq!(status_of(&answer), 503);
    assert!(answer.ends_with(
        "{\"status\":\"failing\",\"checks\":[{\"name\":\"probes\",\"status\":\"failing\",\
         \"reason\":\"they are not attached yet\"}]}"
    ));
    assert_eq!(status_of(&asked(&admin, &get("/healthz"))), 200, "it is alive all the same");
    vitals.has("probes");
    let answer = asked(&admin, &get("/readyz"));
    assert_eq!(status_of(&answer), 200, "{answer}");
    assert!(asked(&admin, &get("/metrics")).contains("\nmop_ready 1\n"));
    admin.stop();
}

#[test]
fn metrics_tell_what_was_counted() {
    let vitals = Vitals::new();
    let sink = SinkVitals::new("rabbitmq");
    sink.delivered.store(7, std::sync::atomic::Ordering::Relaxed);
    sink.set_trouble(Some(crate::sinks::Trouble::passing("lost", "the connection ended")));
    vitals.set_sinks(vec![sink]);
    vitals.set_outbox(|| OutboxVitals {
        stats: mop_outbox::Stats {
            appended: [0, 3, 0, 0, 0, 0],
            spooled: vec![5],
            oldest_ms: Some(1),
            ..mop_outbox::Stats::default()
        },
        ..OutboxVitals::default()
    });
    let admin = started(vitals, Router::new());
    let old = asked(&admin, &get("/metrics"));
    let open = asked(
        &admin,
        "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Accept: application/openmetrics-text\r\n\r\n",
    );
    for line in [
        "mop_records_total{lane=\"security\"} 3",
        "mop_sink_delivered_records_total{sink=\"rabbitmq\"} 7",
        "mop_sink_spooled_records{sink=\"rabbitmq\"} 5",
        "mop_sink_troubles_total{sink=\"rabbitmq\",reason=\"lost\"} 1",
        "mop_sink_connected{sink=\"rabbitmq\"} 0",
    ] {
        assert!(old.contains(&format!("\n{line}\n")), "{line}: {old}");
        assert!(open.contains(&format!("\n{line}\n")), "{line}: {open}");
    }
    assert!(old.contains("content-type: text/plain; version=0.0.4"));
    assert!(open.contains("content-type: application/openmetrics-text; version=1.0.0"));
    assert!(open.ends_with("# EOF\n") && !old.contains("# EOF"));
    admin.stop();
}

#[test]
fn other_modules_are_served_with_the_same_limits() {
    let extra = Router::new().route("/echo", post(async |body: Bytes| body));
    let admin = started(Vitals::new(), extra);
    let send = |bytes: usize| {
        let head = format!("Host: x\r\nConnection: close\r\nContent-Length: {bytes}");
        asked(&admin, &format!("POST /echo HTTP/1.1\r\n{head}\r\n\r\n{}", "x".repeat(bytes)))
    };
    assert!(send(3).ends_with("\r\n\r\nxxx"));
    assert_eq!(status_of(&send((1 << 20) + 1)), 413);
    assert_eq!(status_of(&asked(&admin, &get("/echo"))), 405);
    admin.stop();
}

#[test]
fn a_port_that_is_taken_is_an_error_of_configuration() {
    let admin = started(Vitals::new(), Router::new());
    let taken = AdminConfiguration { enabled: true, listen: admin.address(), door: false };
    let failure = Admin::start(&taken, Vitals::new(), Router::new()).err().expect("taken");
    assert!(failure.to_string().contains("[admin]"), "{failure}");
    admin.stop();
}

#[test]
fn it_stops_although_a_client_holds_its_connection() {
    let admin = started(Vitals::new(), Router::new());
    let silent = TcpStream::connect(admin.address()).expect("listening");
    let mut kept = TcpStream::connect(admin.address()).expect("listening");
    kept.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").expect("writable");
    let mut first = [0; 1];
    kept.read_exact(&mut first).expect("an answer");
    admin.stop();
    drop((silent, kept));
}

fn started(vitals: Arc<Vitals>, extra: Router) -> Admin {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let configuration = AdminConfiguration { enabled: true, listen, door: false };
    Admin::start(&configuration, vitals, extra).expect("a free port")
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
}

/// Sends a request and reads until the other side has nothing more to say.
fn asked(admin: &Admin, request: &str) -> String {
    let mut stream = TcpStream::connect(admin.address()).expect("listening");
    // Who is refused may be cut off while it still sends.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn status_of(answer: &str) -> u16 {
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.unwrap_or_default()
}
