//! Programs of Go, which bring their own TLS: what built them, where their functions are, and where
//! in those a probe may be.
//!
//! A Go program has no library that could be probed and mostly no symbol table either. Its runtime
//! needs a table of all functions though, for stack traces, which no stripping removes:
//! [`Program::functions`] reads that one. The runtime also moves stacks while functions run, which a
//! probe on a return address does not survive: [`plan`] finds every `ret` instruction instead.
//!
//! Executables and shared objects for x86-64 are understood, position-independent or not, linked by
//! Go's own linker or by the system's, with and without section headers, from Go 1.16 on. Those of
//! Go 1.15 and older are recognised only.

mod build_info;
mod image;
mod module;
mod sites;
mod table;

use image::Image;
use table::{Finding, Table};

pub use build_info::Version;
pub use sites::{Plan, plan};

use crate::elf;

/// What is known of a Go program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// The toolchain that built it. When the program does not say, which takes an unreleased
    /// toolchain or tampering, the oldest one that writes this kind of function table.
    pub version: Version,
    /// `None` when it is of a kind that is too old.
    table: Option<Table>,
}

/// Looks for what Go's linker puts into every program. `None` when the file is no Go program.
///
/// Takes some microseconds for a file that has section headers and is no Go program, else some
/// milliseconds for each hundred megabytes.
///
/// # Errors
///
/// A text that says what is wrong with the file: that it is no ELF file for x86-64, or that it is a
/// Go program whose function table is not where or what it should be.
pub fn inspect(file: &[u8]) -> Result<Option<Program>, String> {
    let image = Image::parse(file)?;
    if image.has_sections() && !SECTIONS.iter().any(|name| image.section(name).is_some()) {
        return Ok(None);
    }
    let build = build_info::find(&image);
    let (oldest, table) = match table::find(&image) {
        Finding::Known(table) => (table.oldest_version(), Some(table)),
        Finding::TooOld => (table::FIRST_VERSION, None),
        Finding::Missing if build.is_none() && !image.has_sections() => return Ok(None),
        Finding::Missing => return Err("no Go function table that can be read".to_owned()),
    };
    let version = build.and_then(|build| build.version).unwrap_or(oldest);
    Ok(Some(Program { version, table }))
}

impl Program {
    /// The named functions that the program has, in the order asked for, with all of their code and
    /// the padding behind it. Names are the linker's: `crypto/tls.(*Conn).Read`. A name that two
    /// functions have is not found, as it is not known which one is meant.
    ///
    /// `file` is the same file that [`inspect`] saw. Takes some milliseconds for each hundred
    /// thousand functions of the program, however few are asked for.
    ///
    /// # Errors
    ///
    /// A text that says what is wrong: the program is of Go 1.15 or older, or its function table is
    /// damaged.
    pub fn functions<'data>(
        &self,
        file: &'data [u8],
        names: &[&str],
    ) -> Result<Vec<Option<elf::Function<'data>>>, String> {
        let table = self.table.ok_or("its function table is that of Go 1.15 or older")?;
        table.functions(&Image::parse(file)?, names)
    }
}

/// One of them is in every Go program that has section headers; the linkers of `elf.go` in
/// <https://go.dev/src/cmd/link/internal/ld/elf.go>.
const SECTIONS: [&str; 3] = [build_info::SECTION, table::SECTIONS[0], table::SECTIONS[1]];

#[cfg(test)]
mod tests;
