//! Where records go: a writer thread for the standard output and the journal.

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use crossbeam_channel::{Receiver, Sender};
use serde::Serialize;

use crate::{
    cli::{OutputFormat, ReportArguments},
    failure::Failure,
    journal::Journal,
    pretty::Style,
    record::Payload,
};

/// How records are printed and what they show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    output: OutputFormat,
    style: Style,
    payload: Payload,
    journals: bool,
}

impl Format {
    /// What the arguments ask for.
    pub(crate) fn of(arguments: &ReportArguments, journals: bool) -> Result<Self, Failure> {
        let terminal = io::stdout().is_terminal();
        if arguments.show_payload && !terminal {
            return Err(Failure::usage(
                "--show-payload works only on a terminal: payloads must not end up in a file; \
                 leave it out, or run without redirection",
            ));
        }
        if arguments.show_payload && journals {
            return Err(Failure::usage("--show-payload and --journal exclude each other"));
        }
        Ok(Self {
            output: arguments.output,
            style: if terminal { Style::Coloured } else { Style::Plain },
            payload: if arguments.show_payload { Payload::Shown } else { Payload::Masked },
            journals,
        })
    }

    /// What records show.
    pub(crate) fn payload(self) -> Payload {
        self.payload
    }

    /// True when nothing is written anywhere: records need not be made.
    pub(crate) fn is_silent(self) -> bool {
        self.output == OutputFormat::None && !self.journals
    }
}

/// Something that is reported: as JSON by its fields, and in words for people.
pub(crate) trait Record: Serialize {
    /// Appends its lines, if it has any.
    fn write_pretty(&self, out: &mut String, style: Style);
}

/// Records on their way to the writer, as bytes.
#[derive(Debug, Default)]
struct Chunk {
    printed: Vec<u8>,
    journalled: Vec<u8>,
}

/// A worker's end of the way to the writer.
pub(crate) struct Outlet {
    format: Format,
    chunk: Chunk,
    lines: String,
    queue: Sender<Chunk>,
    when_full: WhenFull,
    dropped_bytes: Arc<AtomicU64>,
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
        if format.journals {
            push_json(&mut chunk.journalled, record);
        }
        if self.chunk.printed.len().max(self.chunk.journalled.len()) >= CHUNK_BYTES {
            self.flush();
        }
    }

    /// Hands what is there to the writer.
    pub(crate) fn flush(&mut self) {
        let chunk = std::mem::take(&mut self.chunk);
        let bytes = chunk.printed.len() + chunk.journalled.len();
        if bytes == 0 {
            return;
        }
        let is_sent = match self.when_full {
            WhenFull::Drop => self.queue.try_send(chunk).is_ok(),
            WhenFull::Wait => self.queue.send(chunk).is_ok(),
        };
        if !is_sent {
            self.dropped_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
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
    dropped_bytes: Arc<AtomicU64>,
    writer: JoinHandle<io::Result<()>>,
}

impl Output {
    /// Starts the writer.
    pub(crate) fn start(format: Format, journal: Option<PathBuf>) -> Result<Self, Failure> {
        let journal = journal.map(Journal::open).transpose()?;
        let (queue, chunks) = crossbeam_channel::bounded(QUEUE_CHUNKS);
        let writer = std::thread::Builder::new()
            .name("mop-output".to_owned())
            .spawn(move || write(&chunks, journal))
            .map_err(|error| Failure::runtime(format!("cannot start a thread: {error}")))?;
        Ok(Self { format, queue, dropped_bytes: Arc::default(), writer })
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
            dropped_bytes: Arc::clone(&self.dropped_bytes),
        }
    }

    /// True when the writer gave up: its reader went away, or the disk is full.
    pub(crate) fn is_finished(&self) -> bool {
        self.writer.is_finished()
    }

    /// Waits until everything is written; all outlets must be gone. Gives the bytes that were
    /// dropped.
    pub(crate) fn finish(self) -> Result<u64, Failure> {
        let Self { format: _, queue, dropped_bytes, writer } = self;
        drop(queue);
        match writer.join() {
            Ok(Ok(())) => Ok(dropped_bytes.load(Ordering::Relaxed)),
            // The reader of a pipe went away: it has what it wanted.
            Ok(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                Ok(dropped_bytes.load(Ordering::Relaxed))
            }
            Ok(Err(error)) => Err(Failure::runtime(format!("cannot write records: {error}"))),
            Err(_) => Err(Failure::runtime("the writer thread panicked")),
        }
    }
}

fn write(chunks: &Receiver<Chunk>, mut journal: Option<Journal>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    for Chunk { printed, journalled } in chunks {
        if !printed.is_empty() {
            stdout.write_all(&printed)?;
            stdout.flush()?;
        }
        if let Some(journal) = &mut journal {
            journal.append(&journalled)?;
        }
    }
    Ok(())
}

/// Large enough that a hand-over costs nothing per record.
const CHUNK_BYTES: usize = 64 << 10;

/// 64 MiB of formatted records may wait for a slow reader.
const QUEUE_CHUNKS: usize = 1024;
