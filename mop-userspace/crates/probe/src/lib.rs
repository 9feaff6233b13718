//! What MOP needs of the kernel, from user space.
//!
//! [`Observer`] loads the kernel programs, attaches them to the node and to every TLS library on
//! it, and hands out the [`RingSources`] that, opened in this process or in another one, are the
//! [`Rings`] that carry segments and control events. The pieces stand on their own and can be tested without a kernel: [`btf`] finds structure offsets, [`elf`] finds
//! functions, [`site`] decides where in a function a probe costs least.
//!
//! Apart from the kernel programs themselves this is the only crate with `unsafe`.

pub mod attempt;
pub mod btf;
mod config;
mod control_ring;
pub mod elf;
pub mod environment;
mod error;
pub mod go;
mod lanes;
pub mod library;
mod observer;
mod offsets;
mod prober;
pub mod process;
mod program_load;
mod ring_sources;
mod rings;
pub mod scheduling;
mod shared_memory;
pub mod site;
pub mod sockets;

pub use config::{AttachChoice, DEFAULT_RING_BYTES, LoadOptions, ProbeSites};
pub use error::ProbeError;
pub use library::{LibraryId, SiteKind, TlsLibrary};
pub use observer::{Discovery, Observer};
pub use offsets::resolve_offsets;
pub use prober::{AttachMethod, AttachPlan, attach_plan};
pub use program_load::{Measurement, ProgramLoad};
pub use ring_sources::RingSources;
pub use rings::{Drained, RecordSink, Rings};

/// The kernel programs, as built by `cargo xtask build-ebpf`; empty in a build without them.
pub(crate) static KERNEL_PROGRAMS: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/mop.bpf.o"));
