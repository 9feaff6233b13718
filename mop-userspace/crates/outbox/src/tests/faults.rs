//! Disks that refuse, one way at a time.
