#![allow(clippy::unwrap_used, reason = "temporary")]
mod common;
use common::*;
use mop_wire::*;
#[test]
fn bench() {
    let req = "POST /open-insurance/consents/v3/consents HTTP/1.1\r\nHost: api.seguradora.example\r\nUser-Agent: java-http/1\r\nAccept: application/json\r\nContent-Type: application/json\r\nAuthorization: Bearer eyJhbGciOiJQUzI1NiIsInR5cCI6IkpXVCJ9.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\nx-fapi-interaction-id: 6ba7b810-9dad-11d1-80b4-00c04fd430c8\r\nContent-Length: 300\r\n\r\n".to_owned() + &"x".repeat(300);
    let resp = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nx-fapi-interaction-id: 6ba7b810-9dad-11d1-80b4-00c04fd430c8\r\nDate: Mon, 01 Jan 2026 00:00:00 GMT\r\nServer: nginx\r\nContent-Length: 900\r\n\r\n".to_owned() + &"y".repeat(900);
    let mut table = FlowTable::new(Options::default());
    let mut n = 0u64;
    let out = &mut |e: Exchange| n += e.sequence & 1;
    let conns = 64u64;
    let mut script = Script::default();
    script.read(&req).write(&resp);
    for c in 0..conns { table.open(c, [0;2], true, out); }
    let rounds = 400_000 / conns;
    let mut pos = [0u64;2];
    let t = std::time::Instant::now();
    let mut clock = 0;
    for _ in 0..rounds {
        for c in 0..conns {
            for s in &script.segments {
                let mut h = s.head; h.connection = c; clock += 1; h.ktime_ns = clock;
                h.position = pos[h.direction as usize];
                table.segment(&h, &s.bytes, out);
            }
        }
        pos[0] += req.len() as u64; pos[1] += resp.len() as u64;
        table.watermark(clock, out);
    }
    let el = t.elapsed();
    let ex = table.stats().exchanges;
    eprintln!("{ex} exchanges {:?} each, {:.0}/s, {:.0} MB/s", el / ex as u32, ex as f64 / el.as_secs_f64(), (ex * (req.len()+resp.len()) as u64) as f64 / el.as_secs_f64()/1e6);
    // plain httparse
    let t = std::time::Instant::now();
    let mut k = 0;
    for _ in 0..400_000 {
        let mut hs = [httparse::EMPTY_HEADER; 64];
        let mut r = httparse::Request::new(&mut hs); r.parse(std::hint::black_box(req.as_bytes())).unwrap(); k += r.headers.len();
        let mut hs = [httparse::EMPTY_HEADER; 64];
        let mut r = httparse::Response::new(&mut hs); r.parse(std::hint::black_box(resp.as_bytes())).unwrap(); k += r.headers.len();
    }
    eprintln!("httparse alone {:?} each ({k})", t.elapsed() / 400_000);
}
