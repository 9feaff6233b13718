//! Each effect on a small document, and the errors of overlays.
