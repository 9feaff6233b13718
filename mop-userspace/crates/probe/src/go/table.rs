//! The runtime's table of functions, `runtime.pclntab`.
//!
//! ```text
//! header:    magic, 0, 0, 1, 8                      bytes: 4, 1, 1, 1, 1
//!            functions, files                       words
//!            start of the text                      word; not in Go 1.16 and 1.17, unused since 1.26
//!            offsets of: names, units, files,       words, from the header
//!              line tables, functions
//! functions: (start, offset of the record)…, end    1.16: words from 0, else 4 bytes from the text
//! record:    start, offset of the name, …           start as above, offset of 4 bytes
//! names:     each ended by a zero
//! ```
//!
//! Source: `pcHeader`, `functab` and `_func` in <https://go.dev/src/runtime/symtab.go> and
//! <https://go.dev/src/runtime/runtime2.go>, and <https://go.dev/src/debug/gosym/pclntab.go> for the
//! older forms.

use super::{
    Version,
    image::{Among, Image, WORD_BYTES, number, short_number},
    module,
};
use crate::elf;

/// Where the parts of a table are, all by address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Table {
    format: Format,
    /// `0 < count <= MAX_FUNCTIONS`.
    count: usize,
    names: u64,
    functions: u64,
    /// What starts of functions are relative to.
    text: u64,
}

/// What a search for the table came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Known(Table),
    Missing,
    TooOld,
}

/// A form of the table that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// Starts of functions are addresses.
    Go116,
    /// Starts of functions are offsets.
    Go118,
    /// Differs from the one before in what line tables say, and since Go 1.26 in a field of the
    /// header that is not read here.
    Go120,
}

/// Looks for the table in its section, else in everything that is loaded.
pub(super) fn find(image: &Image<'_>) -> Finding {
    let is_found = |finding: &Finding| *finding != Finding::Missing;
    let sections = SECTIONS.iter().filter_map(|name| image.section(name));
    if let Some(finding) = sections.map(|address| at(image, address)).find(is_found) {
        return finding;
    }
    let magics = Format::ALL.into_iter().map(Format::magic).chain([TOO_OLD_MAGIC]);
    let candidates = magics.flat_map(|magic| image.search(magic, WORD_BYTES, Among::AllSegments));
    let mut findings = candidates.take(MAX_CANDIDATES).map(|address| at(image, address));
    findings.find(is_found).unwrap_or(Finding::Missing)
}

/// Reads a header, and holds it against the first function's record and the module's description.
fn at(image: &Image<'_>, address: u64) -> Finding {
    let magic = image.from(address).and_then(|bytes| bytes.first_chunk().copied());
    if magic == Some(TOO_OLD_MAGIC) {
        return Finding::TooOld;
    }
    let format = Format::ALL.into_iter().find(|format| Some(format.magic()) == magic);
    format
        .and_then(|format| Table::read(image, address, format))
        .map_or(Finding::Missing, Finding::Known)
}

impl Table {
    fn read(image: &Image<'_>, header: u64, format: Format) -> Option<Self> {
        let word = |index: u64| {
            let offset = index.checked_mul(WORD_BYTES as u64)?;
            number(image.from(header.checked_add(offset)?)?)
        };
        let (names, functions) = match format {
            Format::Go116 => (word(3)?, word(7)?),
            Format::Go118 | Format::Go120 => (word(4)?, word(8)?),
        };
        let mut table = Self {
            format,
            count: usize::try_from(word(1)?).ok().filter(|it| (1..=MAX_FUNCTIONS).contains(it))?,
            names: header.checked_add(names)?,
            functions: header.checked_add(functions)?,
            text: 0,
        };
        let entries = table.entries(image)?;
        let first = table.entry(entries)?;
        let end = format.start(entries.get(table.count.checked_mul(format.entry_bytes())?..)?)?;
        if table.record(image.from(table.functions)?, first)?.start != first.start {
            return None;
        }
        table.text = match format {
            Format::Go116 => 0,
            Format::Go118 | Format::Go120 => module::Module {
                header,
                functions: table.functions,
                count: table.count,
                first: first.start,
                end,
            }
            .text_start(image)?,
        };
        Some(table)
    }

    pub(super) fn oldest_version(&self) -> Version {
        let minor = match self.format {
            Format::Go116 => 16,
            Format::Go118 => 18,
            Format::Go120 => 20,
        };
        Version { major: 1, minor }
    }

    /// See [`super::Program::functions`].
    pub(super) fn functions<'data>(
        &self,
        image: &Image<'data>,
        names: &[&str],
    ) -> Result<Vec<Option<elf::Function<'data>>>, String> {
        let mut found = vec![Match::None; names.len()];
        self.visit(image, |name, start, end| {
            for (wanted, slot) in names.iter().zip(&mut found) {
                if is_named(name, wanted) {
                    *slot = match slot {
                        Match::None => Match::One { start, end },
                        Match::One { .. } | Match::Many => Match::Many,
                    };
                }
            }
        })
        .ok_or("its table of functions is damaged")?;
        Ok(found.into_iter().map(|it| self.function(image, it)).collect())
    }

    fn function<'data>(&self, image: &Image<'data>, found: Match) -> Option<elf::Function<'data>> {
        let Match::One { start, end } = found else { return None };
        let (start, end) = (self.text.checked_add(start)?, self.text.checked_add(end)?);
        let (file_offset, code) = image.code(start, end)?;
        (!code.is_empty()).then_some(elf::Function { file_offset, code })
    }

    /// Calls `each` with what begins with a function's name, its start and the next one's. `None`
    /// when the table is not ordered or refers to something outside of itself.
    fn visit<'data>(
        &self,
        image: &Image<'data>,
        mut each: impl FnMut(&'data [u8], u64, u64),
    ) -> Option<()> {
        let names = image.from(self.names)?;
        let records = image.from(self.functions)?;
        let mut rest = self.entries(image)?;
        for _ in 0..self.count {
            let entry = self.entry(rest)?;
            rest = rest.get(self.format.entry_bytes()..)?;
            let end = self.format.start(rest)?;
            let record = self.record(records, entry)?;
            if record.start != entry.start || entry.start > end {
                return None;
            }
            each(names.get(usize::try_from(record.name).ok()?..)?, entry.start, end);
        }
        Some(())
    }

    /// The pairs of all functions and the end of the last one.
    fn entries<'data>(&self, image: &Image<'data>) -> Option<&'data [u8]> {
        let length = self.count.checked_mul(self.format.entry_bytes())?;
        let length = length.checked_add(self.format.start_bytes())?;
        image.from(self.functions)?.get(..length)
    }

    fn entry(&self, bytes: &[u8]) -> Option<Entry> {
        let start = self.format.start(bytes)?;
        let record = self.format.start(bytes.get(self.format.start_bytes()..)?)?;
        Some(Entry { start, record })
    }

    fn record(&self, records: &[u8], entry: Entry) -> Option<Record> {
        let bytes = records.get(usize::try_from(entry.record).ok()?..)?;
        let name = short_number(bytes.get(self.format.start_bytes()..)?)?;
        Some(Record { start: self.format.start(bytes)?, name })
    }
}

impl Format {
    const ALL: [Self; 3] = [Self::Go120, Self::Go118, Self::Go116];

    /// The first eight bytes of the header: besides the magic number the size of the shortest
    /// instruction and that of a pointer.
    fn magic(self) -> [u8; 8] {
        let first = match self {
            Self::Go116 => 0xfa,
            Self::Go118 => 0xf0,
            Self::Go120 => 0xf1,
        };
        [first, 0xff, 0xff, 0xff, 0, 0, 1, 8]
    }

    /// Size of a function's start, and of an offset of a record.
    fn start_bytes(self) -> usize {
        match self {
            Self::Go116 => WORD_BYTES,
            Self::Go118 | Self::Go120 => 4,
        }
    }

    fn entry_bytes(self) -> usize {
        2 * self.start_bytes()
    }

    fn start(self, bytes: &[u8]) -> Option<u64> {
        match self {
            Self::Go116 => number(bytes),
            Self::Go118 | Self::Go120 => short_number(bytes).map(u64::from),
        }
    }
}

#[derive(Clone, Copy)]
struct Entry {
    start: u64,
    record: u64,
}

#[derive(Clone, Copy)]
struct Record {
    start: u64,
    name: u32,
}

/// Functions of a wanted name.
#[derive(Clone, Copy)]
enum Match {
    Many,
    None,
    One { start: u64, end: u64 },
}

fn is_named(bytes: &[u8], name: &str) -> bool {
    bytes.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
}

/// Its section: the second one in position-independent programs that Go's own linker made.
pub(super) const SECTIONS: [&str; 2] = [".gopclntab", ".data.rel.ro.gopclntab"];

/// The first one with [`TOO_OLD_MAGIC`].
pub(super) const FIRST_VERSION: Version = Version { major: 1, minor: 2 };

const TOO_OLD_MAGIC: [u8; 8] = [0xfb, 0xff, 0xff, 0xff, 0, 0, 1, 8];

/// The largest programs have some hundred thousand.
const MAX_FUNCTIONS: usize = 4 << 20;

/// The tables of other programs may be in a program's data, but hardly many.
const MAX_CANDIDATES: usize = 16;
