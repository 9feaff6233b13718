//! Bits that flipped and files that were cut off.
