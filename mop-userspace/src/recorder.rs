//! `mop record`: what the kernel side sees, into a file.

use std::{
    collections::BTreeSet,
    fs::OpenOptions,
    io::{self, BufRead as _, BufWriter, IsTerminal as _, Write},
    os::unix::fs::OpenOptionsExt as _,
    process::ExitCode,
    sync::Arc,
    thread::JoinHandle,
};

use crossbeam_channel::{Receiver, Sender};
use mop_common::{ControlEvent, ControlKind, Layer};
use mop_wire::mopcap::Encoder;

use crate::{
    batch::{Batch, Entry},
    cli::{KernelArguments, RecordArguments},
    clock::Clock,
    connections::LibraryNames,
    failure::Failure,
    observe::spawn,
    privileges::Probing,
    protection::ProtectionConfiguration,
    session::{Known, Session, Start},
    signals::StopRequest,
};

/// Records until told to stop.
pub(crate) fn run(arguments: &RecordArguments) -> Result<ExitCode, Failure> {
    confirm(arguments)?;
    let stop = StopRequest::listen()?;
    let file =
        OpenOptions::new().create_new(true).write(true).mode(0o600).open(&arguments.out).map_err(
            |error| Failure::runtime(format!("cannot create {}: {error}", arguments.out.display())),
        )?;
    let kernel = KernelArguments {
        certificates: true,
        switch: ProtectionConfiguration::default().switch,
        ..arguments.kernel.clone()
    };
    let mut session = match Session::start(Probing::here(&kernel), 1, None, &Known::default())? {
        Start::Session(session) => session,
        Start::SwitchedOff(_) => {
            let path = kernel.switch.display();
            return Err(Failure::runtime(format!("nothing is observed while {path} is there")));
        }
    };
    let batches = std::mem::take(&mut session.batches)
        .pop()
        .ok_or_else(|| Failure::runtime("no queue was made"))?;
    let mut writer = CaptureWriter {
        encoder: Encoder::new(),
        buffer: Vec::new(),
        file: BufWriter::new(file),
        written: 0,
        limit: u64::from(arguments.max_mib) << 20,
        libraries: Arc::clone(&session.libraries),
        named: BTreeSet::new(),
    };
    let empties = session.empties.clone();
    let worker = spawn("mop-recorder", move || {
        writer.begin()?;
        write(writer, &batches, &empties)
    })?;
    eprintln!("Recording {} TLS libraries and all TCP sockets.", session.libraries.len());
    stop.wait(arguments.duration, || worker.is_finished() || session.is_over());
    session.stop()?;
    let written = join(worker)?;
    eprintln!("{written} bytes in {}.", arguments.out.display());
    Ok(ExitCode::SUCCESS)
}

/// Asks before payloads are stored.
fn confirm(arguments: &RecordArguments) -> Result<(), Failure> {
    if arguments.yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(
            "a capture holds payloads in clear, personal data included; confirm with --yes",
        ));
    }
    eprint!("The capture will hold payloads in clear, personal data included. Record? [y/N] ");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(Failure::runtime)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        Err(Failure::usage("nothing was recorded"))
    }
}

fn join(worker: JoinHandle<io::Result<u64>>) -> Result<u64, Failure> {
    match worker.join() {
        Ok(Ok(written)) => Ok(written),
        Ok(Err(error)) => Err(Failure::runtime(format!("cannot write the capture: {error}"))),
        Err(_) => Err(Failure::runtime("the recorder thread panicked")),
    }
}

fn write<W: Write>(
    mut writer: CaptureWriter<W>,
    batches: &Receiver<Batch>,
    empties: &Sender<Batch>,
) -> io::Result<u64> {
    for mut batch in batches {
        for entry in batch.entries() {
            writer.entry(&entry)?;
        }
        writer.flush()?;
        if writer.written >= writer.limit {
            eprintln!("mop: the capture has reached its size limit");
            break;
        }
        batch.clear();
        let _ = empties.try_send(batch);
    }
    writer.file.flush()?;
    Ok(writer.written)
}

struct CaptureWriter<W> {
    encoder: Encoder,
    buffer: Vec<u8>,
    file: W,
    written: u64,
    limit: u64,
    libraries: Arc<LibraryNames>,
    /// Libraries whose names are in the capture.
    named: BTreeSet<u64>,
}

impl<W: Write> CaptureWriter<W> {
    fn begin(&mut self) -> io::Result<()> {
        let offset_ns = Clock::now().offset_ns;
        self.encoder.clock(offset_ns, &mut self.buffer).map_err(io::Error::other)
    }

    fn entry(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        let result = match entry {
            Entry::Segment(head, bytes) => self.encoder.segment(head, bytes, &mut self.buffer),
            Entry::Control(event) => {
                self.name_library(event)?;
                self.encoder.control(event, &mut self.buffer)
            }
            Entry::Watermark(ktime_ns) => self.encoder.watermark(*ktime_ns, &mut self.buffer),
        };
        result.map_err(io::Error::other)
    }

    /// Writes the name of a library before the first connection through it.
    fn name_library(&mut self, event: &ControlEvent) -> io::Result<()> {
        let opens_tls = event.kind == ControlKind::Open as u8 && event.layer == Layer::Tls as u8;
        if opens_tls
            && let Some(name) = self.libraries.name(event.library)
            && self.named.insert(event.library)
        {
            self.encoder
                .library(event.library, &name, &mut self.buffer)
                .map_err(io::Error::other)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all(&self.buffer)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}
