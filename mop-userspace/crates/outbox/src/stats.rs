//! The books of an outbox.

/// What an outbox holds and counted.
///
/// For every sink: `opened_with` + what was appended to lanes that are forwarded = `acknowledged` +
/// `spooled` + `undelivered_drops` + `undelivered_damage`. A record that was dropped while it was on
/// its way counts as dropped, whatever the sink says of it later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes of all segments, and of damaged ones that were set aside.
    pub disk_bytes: u64,
    /// Bytes of records that are not synced to disk yet: few, unless the disk refuses them.
    pub memory_bytes: u64,
    /// Records offered since it was opened, by lane; those refused are among them.
    pub appended: [u64; 6],
    /// Records that lie in it, by lane.
    pub held: [u64; 6],
    /// Records refused or dropped since it was opened because there was no room, by lane.
    pub shed: [u64; 6],
    /// Records dropped since it was opened because they were too old, by lane.
    pub expired: [u64; 6],
    /// Of those shed or expired, by sink in the order of the options, how many it had not got.
    pub undelivered_drops: Vec<u64>,
    /// Of those damaged, by sink, how many it had not got.
    pub undelivered_damage: Vec<u64>,
    /// Records that each sink had not acknowledged when the outbox was opened.
    pub opened_with: Vec<u64>,
    /// Records that each sink has acknowledged since.
    pub acknowledged: Vec<u64>,
    /// Per sink, records that lie in the outbox and are not acknowledged yet.
    pub spooled: Vec<u64>,
    /// Per sink, records that were set aside.
    pub parked: Vec<u64>,
    /// Per sink, records that were set aside and dropped since it was opened, to keep them bounded.
    pub parked_dropped: Vec<u64>,
    /// Records found to be damaged at opening and since.
    pub damaged: u64,
    /// Time of the oldest record not yet delivered to every sink, in milliseconds since 1970; some
    /// records too early rather than too late.
    pub oldest_ms: Option<u64>,
    /// Why the disk is not used at the moment.
    pub degraded: Option<String>,
    /// This opening.
    pub epoch: u64,
}
