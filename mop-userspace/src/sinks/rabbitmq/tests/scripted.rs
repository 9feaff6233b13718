//! A broker that follows a script, for what depends on the order of frames.
//!
//! The client library hangs a returned message on whichever confirm it handles next. When a real
//! broker sends its frames so that this is another message's is a matter of its load.

use std::{
    io::{self, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
};

use anyhow::{Result, ensure};

use super::{Driver, entry};
use crate::sinks::Verdict;

#[test]
fn a_return_belongs_to_its_message_whichever_confirm_follows_it() -> Result<()> {
    for confirming in [Confirming::OldestFirst, Confirming::NewestFirst, Confirming::AllAtOnce] {
        let folder = tempfile::tempdir()?;
        let password = folder.path().join("password");
        std::fs::write(&password, "any")?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let broker = std::thread::spawn(move || serve(&listener, confirming));
        let mut driver = Driver::new(&format!(
            "url = \"amqp://127.0.0.1:{port}/%2f\"\nusername = \"u\"\npassword_file = {password:?}\n\
             queues = []\nwindow = {WINDOW}"
        ))?;
        driver.reconnect()?;
        for round in 0..ROUNDS {
            let first = round * WINDOW as u64;
            // A round's last but one comes back, and others, different ones in each round.
            let comes_back = |number: u64| {
                number % WINDOW as u64 == WINDOW as u64 - 2 || number % (3 + round % 5) == 1
            };
            let entries: Vec<_> = (first..first + WINDOW as u64)
                .map(|number| {
                    let kind = if comes_back(number) { "nobody.wants" } else { "quality.report" };
                    entry(number, kind, 200)
                })
                .collect();
            let (verdicts, trouble) = driver.send(&entries);
            ensure!(trouble.is_none(), "{confirming:?}, round {round}: {trouble:?}");
            for (entry, verdict) in entries.iter().zip(verdicts) {
                let expected = match comes_back(entry.sequence) {
                    true => Verdict::Parked("unroutable"),
                    false => Verdict::Delivered,
                };
                ensure!(verdict == expected, "{confirming:?}: {} is {verdict:?}", entry.id);
            }
        }
        drop(driver);
        ensure!(broker.join().is_ok(), "the scripted broker panicked");
    }
    Ok(())
}

/// How a round of messages is confirmed, after all its returns.
#[derive(Clone, Copy, Debug)]
enum Confirming {
    AllAtOnce,
    NewestFirst,
    OldestFirst,
}

/// A message as it was published.
#[derive(Default)]
struct Published {
    routing_key: Vec<u8>,
    header: Vec<u8>,
    body: Vec<u8>,
}

/// One connection of AMQP 0-9-1, as far as the sink goes. Ends with it.
fn serve(listener: &TcpListener, confirming: Confirming) -> io::Result<()> {
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    let mut input = BufReader::new(stream.try_clone()?);
    let mut output = stream;
    input.read_exact(&mut [0; 8])?; // "AMQP" and the version
    let start = [&[0, 9][..], &long(b""), &long(b"PLAIN"), &long(b"en_US")].concat();
    method(&mut output, 0, (10, 10), &start)?;
    let mut round: Vec<Published> = Vec::new();
    let mut confirmed = 0_u64;
    loop {
        let (kind, channel, payload) = frame(&mut input)?;
        match (kind, payload.as_slice()) {
            (METHOD, [0, class, 0, method_id, arguments @ ..]) => {
                let answer: (u8, u8, Vec<u8>) = match (class, method_id) {
                    (10, 11) => (10, 30, [&[0, 0][..], &[0, 2, 0, 0], &[0, 0]].concat()), // tune
                    (10, 40) => (10, 41, vec![0]),                                        // open
                    (10, 50) => (10, 51, vec![]),                                         // close
                    (20, 10) => (20, 11, long(b"")),
                    (20, 40) => (20, 41, vec![]),
                    (40, 10) => (40, 11, vec![]), // exchange
                    (85, 10) => (85, 11, vec![]), // confirm.select
                    (60, 40) => {
                        // Two reserved bytes, the exchange and the routing key.
                        let key = 3 + usize::from(arguments[2]);
                        let length = usize::from(arguments[key]);
                        let routing_key = arguments[key + 1..=key + length].to_vec();
                        round.push(Published { routing_key, ..Published::default() });
                        continue;
                    }
                    _ => continue,
                };
                method(&mut output, channel, (answer.0, answer.1), &answer.2)?;
            }
            (HEADER, _) => {
                if let Some(last) = round.last_mut() {
                    last.header = payload;
                }
            }
            (BODY, _) => {
                if let Some(last) = round.last_mut() {
                    last.body = payload;
                }
                if round.len() == WINDOW {
                    confirm(&mut output, channel, &round, confirmed, confirming)?;
                    confirmed += WINDOW as u64;
                    round.clear();
                }
            }
            _ => {}
        }
    }
}

/// All returns of a round, then its confirms.
fn confirm(
    output: &mut TcpStream,
    channel: u16,
    round: &[Published],
    confirmed: u64,
    confirming: Confirming,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    for published in round {
        let Published { routing_key, header, body } = published;
        if routing_key.starts_with(b"mop.nobody") {
            let code = 312_u16.to_be_bytes();
            let arguments = [&code[..], &short(b"NO_ROUTE"), &short(b"mop"), &short(routing_key)];
            method(&mut bytes, channel, (60, 50), &arguments.concat())?;
            write_frame(&mut bytes, HEADER, channel, header)?;
            write_frame(&mut bytes, BODY, channel, body)?;
        }
    }
    let mut ack = |tag: u64, multiple: u8| {
        method(&mut bytes, channel, (60, 80), &[&tag.to_be_bytes()[..], &[multiple]].concat())
    };
    let last = confirmed + WINDOW as u64;
    match confirming {
        Confirming::AllAtOnce => ack(last, 1)?,
        Confirming::NewestFirst => (confirmed + 1..=last).rev().try_for_each(|tag| ack(tag, 0))?,
        Confirming::OldestFirst => (confirmed + 1..=last).try_for_each(|tag| ack(tag, 0))?,
    }
    output.write_all(&bytes)
}

fn frame(input: &mut impl Read) -> io::Result<(u8, u16, Vec<u8>)> {
    let mut head = [0; 7];
    input.read_exact(&mut head)?;
    let [kind, channel @ .., s0, s1, s2, s3] = head;
    let mut payload = vec![0; u32::from_be_bytes([s0, s1, s2, s3]) as usize];
    input.read_exact(&mut payload)?;
    input.read_exact(&mut [0])?;
    Ok((kind, u16::from_be_bytes(channel), payload))
}

fn method(
    output: &mut impl Write,
    channel: u16,
    (class, id): (u8, u8),
    arguments: &[u8],
) -> io::Result<()> {
    write_frame(output, METHOD, channel, &[&[0, class, 0, id][..], arguments].concat())
}

fn write_frame(output: &mut impl Write, kind: u8, channel: u16, payload: &[u8]) -> io::Result<()> {
    let [c0, c1] = channel.to_be_bytes();
    let size = u32::try_from(payload.len()).map_err(io::Error::other)?.to_be_bytes();
    let frame = [&[kind, c0, c1][..], &size, payload, &[0xCE]].concat();
    output.write_all(&frame)
}

fn short(text: &[u8]) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap_or(u8::MAX)][..], text].concat()
}

fn long(text: &[u8]) -> Vec<u8> {
    [&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes()[..], text].concat()
}

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
/// Messages that are confirmed together.
const WINDOW: usize = 64;
/// The library handles frames on a thread of its own: one round could be lucky.
const ROUNDS: u64 = 200;
