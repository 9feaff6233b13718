//! Captures: the records of the kernel side, through the same pipeline as live ones.

use std::{io::Read, sync::Arc};

use mop_wire::{
    Options,
    mopcap::{Decoder, Record},
};

use crate::{
    cli::ReportArguments,
    clock::Clock,
    connections::{Connections, Elsewhere, LibraryNames},
    failure::Failure,
    pipeline::{Pipeline, Reporter},
    summary::Totals,
};

pub(super) fn replay(
    file: &mut dyn Read,
    arguments: &ReportArguments,
    reporter: Reporter,
) -> Result<Totals, Failure> {
    let libraries = Arc::new(LibraryNames::default());
    let options = Options {
        digest_bodies: arguments.body_digest,
        excerpt: reporter.selection.excerpt(),
        ..Options::default()
    };
    let connections = Connections::new(Arc::clone(&libraries), Elsewhere);
    let mut pipeline = Pipeline::new(options, connections, reporter);
    let mut totals = Totals::default();
    let mut decoder = Decoder::new();
    let mut buffer = vec![0; super::READ_BYTES];
    let read = loop {
        let length = match file.read(&mut buffer) {
            Ok(0) => break decoder.finish().map_err(Failure::runtime),
            Ok(length) => length,
            Err(error) => break Err(Failure::runtime(error)),
        };
        decoder.push(buffer.get(..length).unwrap_or_default());
        if let Err(error) = take_records(&mut decoder, &mut pipeline, &libraries, &mut totals) {
            break Err(error);
        }
        pipeline.flush();
    };
    let finished = pipeline.finish();
    read?;
    totals.counts = finished.counts;
    totals.inspected = finished.inspected;
    totals.flows = finished.flows;
    totals.libraries = libraries.len();
    Ok(totals)
}

fn take_records(
    decoder: &mut Decoder,
    pipeline: &mut Pipeline<Elsewhere>,
    libraries: &LibraryNames,
    totals: &mut Totals,
) -> Result<(), Failure> {
    while let Some(record) = decoder.next_record().map_err(Failure::runtime)? {
        match record {
            Record::Segment { head, bytes } => {
                totals.received_segments += 1;
                totals.received_bytes += bytes.len() as u64;
                pipeline.segment(&head, &bytes);
            }
            Record::Control(event) => pipeline.control(&event),
            Record::Watermark { ktime_ns } => pipeline.watermark(ktime_ns),
            Record::Clock { utc_minus_monotonic_ns } => {
                pipeline.set_clock(Clock { offset_ns: utc_minus_monotonic_ns });
            }
            Record::Library { id, name } => libraries.insert(id, &name),
        }
    }
    Ok(())
}
