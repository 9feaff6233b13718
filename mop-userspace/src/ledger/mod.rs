//! The ledger: once a minute one record of what became of everything, each linked to the one before
//! by its hash, so that nothing can be taken out afterwards without a trace.
//!
//! All counts are since the outbox was opened (its epoch), so that a record that is missing hides
//! nothing. They obey two identities, which [`verify`] checks in every record:
//!
//! - `produced = accepted + refused + dropped`, by lane;
//! - for each sink, `spooled at the start + accepted for forwarding = delivered + parked + passed +
//!   spooled + dropped`.

mod account;
mod verify;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

pub(crate) use self::{
    account::{Account, CaptureAccount, OutboxAccount, RecordsAccount, SinkAccount},
    verify::{LedgerArguments, run},
};

/// Kind of its records.
pub(crate) const KIND: &str = "ops.ledger";

/// Writes the ledger of one node.
#[derive(Debug)]
pub(crate) struct Ledger {
    tip_file: PathBuf,
    node: String,
    epoch: u64,
    from: Timestamp,
    tip: Tip,
    due: Instant,
}

/// The last record that was written.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
struct Tip {
    number: u64,
    hash: String,
}

/// One record of the ledger.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct LedgerRecord {
    kind: String,
    schema_version: u32,
    id: String,
    node: String,
    epoch: u64,
    /// Counts up by one over all epochs of the node.
    number: u64,
    /// When the epoch began.
    from: Timestamp,
    /// The moment of the counts.
    to: Timestamp,
    /// True for the record that was written when the program ended in good order.
    last: bool,
    #[serde(flatten)]
    account: Account,
    /// Hash of the record before; empty in the first.
    previous: String,
    /// SHA-256, in hexadecimal, of this record without this member, as JSON with sorted keys and no
    /// blanks (RFC 8785).
    #[serde(default)]
    hash: String,
}

/// A record, ready to be put into the outbox.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) id: String,
    pub(crate) json: String,
}

impl Ledger {
    /// Goes on where the last run of the node ended; its state lies beside the outbox.
    pub(crate) fn open(folder: &Path, node: String, epoch: u64, now: Timestamp) -> Self {
        let tip_file = folder.join(TIP_FILE);
        let tip = match fs::read(&tip_file) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|_| {
                eprintln!("mop: {} is damaged: the ledger begins anew", tip_file.display());
                Tip::default()
            }),
            Err(_) => Tip::default(),
        };
        Self { tip_file, node, epoch, from: now, tip, due: Instant::now() + EVERY }
    }

    /// True when the next record is to be written.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.due <= now
    }

    /// Makes the next record.
    pub(crate) fn record(&mut self, account: Account, now: Timestamp, is_last: bool) -> Line {
        self.due = Instant::now() + EVERY;
        let number = self.tip.number + 1;
        let id = format!("{}/{}/ledger/{number}", self.node, self.epoch);
        let mut record = LedgerRecord {
            kind: KIND.to_owned(),
            schema_version: 1,
            id: id.clone(),
            node: self.node.clone(),
            epoch: self.epoch,
            number,
            from: self.from,
            to: now,
            last: is_last,
            account,
            previous: self.tip.hash.clone(),
            hash: String::new(),
        };
        record.hash = digest(&serde_json::to_value(&record).unwrap_or_default());
        self.tip = Tip { number, hash: record.hash.clone() };
        // A tip that cannot be written shows as a fork of the chain after the next start: the disk
        // is reported by the outbox itself.
        let _ = self.write_tip();
        let json = serde_json::to_string(&record).unwrap_or_default();
        Line { id, json }
    }

    fn write_tip(&self) -> io::Result<()> {
        let text = serde_json::to_string(&self.tip)?;
        let new = self.tip_file.with_extension("new");
        fs::write(&new, text)?;
        fs::rename(new, &self.tip_file)
    }
}

/// What the hash of a record must be.
fn digest(record: &Value) -> String {
    let mut text = String::new();
    match record {
        Value::Object(members) => {
            let mut members = members.clone();
            members.remove("hash");
            write_canonical(&Value::Object(members), &mut text);
        }
        other => write_canonical(other, &mut text),
    }
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// RFC 8785, for trees whose numbers are all whole.
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            out.push('{');
            for (number, (name, value)) in members.into_iter().enumerate() {
                if number > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write_canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (number, value) in items.iter().enumerate() {
                if number > 0 {
                    out.push(',');
                }
                write_canonical(value, out);
            }
            out.push(']');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

/// Beside the lanes of the outbox.
const TIP_FILE: &str = "ledger.tip";

/// One record a minute: small enough to be kept for years.
const EVERY: Duration = Duration::from_secs(60);
