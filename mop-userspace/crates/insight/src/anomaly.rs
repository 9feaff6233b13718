//! Series of numbers, and where they are unlike themselves.
