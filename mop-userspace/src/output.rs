//! Where records go: a writer thread for the standard output and the outbox.

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use mop_outbox::Lane;
use serde::Serialize;

use crate::{
    cli::{OutputFormat, ReportArguments},
    drafts::{Drafts, Envelope},
    failure::Failure,
    pretty::Style,
    record::Payload,
    spool::Spool,
};

/// How records are printed and what they show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    output: OutputFormat,
    style: Style,
    payload: Payload,
    spooling: Spooling,
}

/// Which records go into the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spooling {
    /// There is no outbox.
    Nothing,
    /// What leaves the node.
    Forwarded,
    /// Also what stays on it: the outbox is the journal.
    Everything,
}

impl Spooling {
    fn takes(self, lane: Lane) -> bool {
        match self {
            Self::Nothing => false,
            Self::Forwarded => lane.is_forwarded(),
            Self::Everything => true,
        }
    }
}

impl Format {
    /// What the arguments ask for.
    pub(crate) fn of(arguments: &ReportArguments, spooling: Spooling) -> Result<Self, Failure> {
        let terminal = io::stdout().is_terminal();
        if arguments.show_payload && !terminal {
            return Err(Failure::usage(
                "--show-payload works only on a terminal: payloads must not end up in a file; \
                 leave it out, or run without redirection",
            ));
        }
        if arguments.show_payload && spooling != Spooling::Nothing {
            return Err(Failure::usage(
                "--show-payload and an outbox exclude each other: payloads must not end up in it",
            ));
        }
        Ok(Self {
            output: arguments.output,
            style: if terminal { Style::Coloured } else { Style::Plain },
            payload: if arguments.show_payload { Payload::Shown } else { Payload::Masked },
            spooling,
        })
    }

    /// What records show.
    pub(crate) fn payload(self) -> Payload {
        self.payload
    }

    /// True when nothing is written anywhere: records need not be made.
    pub(crate) fn is_silent(self) -> bool {
        self.output == OutputFormat::None && self.spooling == Spooling::Nothing
    }
}

/// Something that is reported: as JSON by its fields, and in words for people.
pub(crate) trait Record: Serialize {
    /// What the outbox has to know of it.
    fn envelope(&self) -> Envelope<'_>;

    /// Appends its lines, if it has any.
    fn write_pretty(&self, out: &mut String, style: Style);
}

/// Records on their way to the writer, as bytes.
#[derive(Debug, Default)]
struct Chunk {
    printed: Vec<u8>,
    drafts: Drafts,
}

/// A worker's end of the way to the writer.
pub(crate) struct Outlet {
    format: Format,
    chunk: Chunk,
    lines: String,
    queue: Sender<Chunk>,
    when_full: WhenFull,
    dropped: Arc<Dropped>,
}

/// What was dropped because the writer was behind.
#[derive(Debug, Default)]
pub(crate) struct Dropped {
    /// Bytes of records, printed and for the outbox.
    pub(crate) bytes: AtomicU64,
    /// Records for the outbox, by lane.
    pub(crate) records: [AtomicU64; Lane::ALL.len()],
}

impl Dropped {
    /// Records for the outbox, by lane.
    pub(crate) fn by_lane(&self) -> [u64; Lane::ALL.len()] {
        self.records.each_ref().map(|count| count.load(Ordering::Relaxed))
    }
}

/// What happens to a record when the writer is far behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WhenFull {
    /// It is dropped and counted: capture must not wait for a terminal.
    Drop,
    /// The worker waits: a file does not run away.
    Wait,
}

impl Outlet {
    /// Formats one record.
    pub(crate) fn push(&mut self, record: &impl Record) {
        let Self { format, chunk, lines, .. } = self;
        match format.output {
            OutputFormat::Pretty => {
                lines.clear();
                record.write_pretty(lines, format.style);
                chunk.printed.extend_from_slice(lines.as_bytes());
            }
            OutputFormat::Jsonl => push_json(&mut chunk.printed, record),
            OutputFormat::None => {}
        }
        let envelope = record.envelope();
        if format.spooling.takes(envelope.lane) {
            chunk.drafts.push(envelope, record);
        }
        if self.chunk.printed.len().max(self.chunk.drafts.bytes()) >= CHUNK_BYTES {
            self.flush();
        }
    }

    /// Hands what is there to the writer.
    pub(crate) fn flush(&mut self) {
        let chunk = std::mem::take(&mut self.chunk);
        let bytes = chunk.printed.len() + chunk.drafts.bytes();
        if bytes == 0 {
            return;
        }
        let unsent = match self.when_full {
            WhenFull::Drop => self.queue.try_send(chunk).map_err(|error| error.into_inner()),
            WhenFull::Wait => self.queue.send(chunk).map_err(|error| error.into_inner()),
        };
        if let Err(chunk) = unsent {
            self.dropped.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
            for (sum, count) in self.dropped.records.iter().zip(chunk.drafts.by_lane()) {
                sum.fetch_add(count, Ordering::Relaxed);
            }
        }
    }
}

fn push_json(out: &mut Vec<u8>, record: &impl Serialize) {
    let start = out.len();
    match serde_json::to_writer(&mut *out, record) {
        Ok(()) => out.push(b'\n'),
        // Writing into memory fails only when a value cannot be JSON, which none of ours is.
        Err(_) => out.truncate(start),
    }
}

/// The writer thread and the way to it.
pub(crate) struct Output {
    format: Format,
    queue: Sender<Chunk>,
    dropped: Arc<Dropped>,
    writer: JoinHandle<io::Result<Option<Spool>>>,
}

impl Output {
    /// Starts the writer.
    pub(crate) fn start(
        format: Format,
        spool: Option<Spool>,
        dropped: Arc<Dropped>,
    ) -> Result<Self, Failure> {
        let (queue, chunks) = crossbeam_channel::bounded(QUEUE_CHUNKS);
        let writer = std::thread::Builder::new()
            .name("mop-output".to_owned())
            .spawn(move || write(&chunks, spool))
            .map_err(|error| Failure::runtime(format!("cannot start a thread: {error}")))?;
        Ok(Self { format, queue, dropped, writer })
    }

    /// An end for one more worker, which drops records rather than wait.
    pub(crate) fn outlet(&self) -> Outlet {
        self.outlet_when_full(WhenFull::Drop)
    }

    /// An end for a reader of files, which waits for the writer.
    pub(crate) fn outlet_that_waits(&self) -> Outlet {
        self.outlet_when_full(WhenFull::Wait)
    }

    fn outlet_when_full(&self, when_full: WhenFull) -> Outlet {
        Outlet {
            format: self.format,
            chunk: Chunk::default(),
            lines: String::new(),
            queue: self.queue.clone(),
            when_full,
            dropped: Arc::clone(&self.dropped),
        }
    }

    /// True when the writer gave up: its reader went away, or what it writes to is full.
    pub(crate) fn is_finished(&self) -> bool {
        self.writer.is_finished()
    }

    /// Waits until everything is written; all outlets must be gone. Gives the spool back.
    pub(crate) fn finish(self) -> Result<Option<Spool>, Failure> {
        let Self { format: _, queue, dropped: _, writer } = self;
        drop(queue);
        match writer.join() {
            Ok(Ok(spool)) => Ok(spool),
            // The reader of a pipe went away: it has what it wanted.
            Ok(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(None),
            Ok(Err(error)) => Err(Failure::runtime(format!("cannot write records: {error}"))),
            Err(_) => Err(Failure::runtime("the writer thread panicked")),
        }
    }
}

fn write(chunks: &Receiver<Chunk>, mut spool: Option<Spool>) -> io::Result<Option<Spool>> {
    let mut printer = Some(io::stdout().lock());
    loop {
        let next = match &mut spool {
            None => chunks.recv().map_err(|_disconnected| RecvTimeoutError::Disconnected),
            Some(spool) => chunks.recv_timeout(spool.tend()),
        };
        match next {
            Ok(Chunk { printed, drafts }) => {
                if let Some(stdout) = printer.as_mut().filter(|_| !printed.is_empty())
                    && let Err(error) = stdout.write_all(&printed).and_then(|()| stdout.flush())
                {
                    if spool.is_none() {
                        return Err(error);
                    }
                    // Who reads along is gone or full; the outbox goes on.
                    printer = None;
                }
                if let Some(spool) = &mut spool {
                    spool.put(&drafts);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    if let Some(spool) = &mut spool {
        spool.commit();
    }
    Ok(spool)
}

/// Large enough that a hand-over costs nothing per record.
const CHUNK_BYTES: usize = 64 << 10;

/// 64 MiB of formatted records may wait for a slow reader.
const QUEUE_CHUNKS: usize = 1024;
