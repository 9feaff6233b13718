//! A program as the loader lays it out, read from its file.
//!
//! The tables of the Go runtime refer to each other by address. In a position-independent program
//! those addresses may be zero in the file, and come to be when the loader applies relocations.

use object::{
    Endianness, Object as _, ObjectSection as _,
    elf::{DT_RELA, DT_RELASZ, EM_X86_64, PF_W, PF_X, PT_LOAD, R_X86_64_RELATIVE},
    read::elf::{ElfFile64, FileHeader as _, ProgramHeader as _},
};

/// The parts of a file that are loaded into memory.
pub(super) struct Image<'data> {
    file: ElfFile64<'data, Endianness>,
    segments: Vec<Segment<'data>>,
    /// Contents of `DT_RELA`; empty when there is none.
    relocations: &'data [u8],
}

/// A loaded range of addresses; what follows `bytes` in memory is zero and of no interest.
struct Segment<'data> {
    address: u64,
    file_offset: u64,
    bytes: &'data [u8],
    flags: u32,
}

/// Where to look for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Among {
    AllSegments,
    WritableSegments,
}

impl<'data> Image<'data> {
    /// # Errors
    ///
    /// A text that says why this is no ELF file for x86-64, or not one that any linker makes.
    pub(super) fn parse(data: &'data [u8]) -> Result<Self, String> {
        let file = ElfFile64::<Endianness>::parse(data).map_err(|error| error.to_string())?;
        let endian = file.endian();
        let machine = file.elf_header().e_machine(endian);
        if machine != EM_X86_64 || endian != Endianness::Little {
            return Err(format!("its processor has the number {machine}, not that of x86-64"));
        }
        let mut image = Self { file, segments: Vec::new(), relocations: &[] };
        image.load(data)?;
        image.relocations = image.relocation_table(data).unwrap_or_default();
        Ok(image)
    }

    fn load(&mut self, data: &'data [u8]) -> Result<(), String> {
        let endian = self.file.endian();
        let mut left = data.len().saturating_mul(MAX_OVERLAP);
        for header in self.file.elf_program_headers() {
            if header.p_type(endian) != PT_LOAD {
                continue;
            }
            if self.segments.len() == MAX_SEGMENTS {
                return Err(format!("it has more than {MAX_SEGMENTS} loaded segments"));
            }
            // One that reaches beyond the end of the file belongs to a file that was cut off.
            let Ok(bytes) = header.data(endian, data) else { continue };
            left = left.checked_sub(bytes.len()).ok_or("its loaded segments overlap")?;
            self.segments.push(Segment {
                address: header.p_vaddr(endian),
                file_offset: header.p_offset(endian),
                bytes,
                flags: header.p_flags(endian),
            });
        }
        Ok(())
    }

    fn relocation_table(&self, data: &'data [u8]) -> Option<&'data [u8]> {
        let endian = self.file.endian();
        let headers = self.file.elf_program_headers();
        let dynamic = headers.iter().find_map(|header| header.dynamic(endian, data).ok()?)?;
        let value = |tag: i64| {
            let mut entries = dynamic.iter().take(MAX_DYNAMIC_ENTRIES);
            let entry = entries.find(|entry| entry.d_tag.get(endian) == tag)?;
            Some(entry.d_val.get(endian))
        };
        let length = usize::try_from(value(DT_RELASZ)?).ok()?;
        self.from(value(DT_RELA)?)?.get(..length)
    }

    /// False in a file from which all section headers were removed.
    pub(super) fn has_sections(&self) -> bool {
        self.file.sections().next().is_some()
    }

    /// Address of the section of that name.
    pub(super) fn section(&self, name: &str) -> Option<u64> {
        self.file.section_by_name(name).map(|section| section.address())
    }

    /// The bytes from an address up to the end of what the file holds of its segment.
    pub(super) fn from(&self, address: u64) -> Option<&'data [u8]> {
        self.segments.iter().find_map(|segment| segment.from(address))
    }

    /// The 64-bit numbers at an address as they are when the loader is done.
    ///
    /// Numbers whose relocation refers to a symbol are those of the file: Go's tables have none.
    pub(super) fn words<const COUNT: usize>(&self, address: u64) -> Option<[u64; COUNT]> {
        let bytes = self.from(address)?.get(..COUNT.checked_mul(WORD_BYTES)?)?;
        let mut words = [0; COUNT];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(WORD_BYTES)) {
            *word = number(bytes)?;
        }
        for (place, value) in self.relocated() {
            if let Some(inside) = place.checked_sub(address)
                && inside % 8 == 0
                && let Ok(index) = usize::try_from(inside / 8)
                && let Some(word) = words.get_mut(index)
            {
                *word = value;
            }
        }
        Some(words)
    }

    /// Addresses of the writable numbers that have this value when the loader is done; an address
    /// may come twice.
    pub(super) fn holders_of(&self, value: u64) -> impl Iterator<Item = u64> {
        let relocated = self.relocated().filter(move |it| it.1 == value).map(|it| it.0);
        relocated.chain(self.search(value.to_le_bytes(), WORD_BYTES, Among::WritableSegments))
    }

    /// Addresses, multiples of `alignment`, at which the file has these bytes.
    pub(super) fn search<const LENGTH: usize>(
        &self,
        wanted: [u8; LENGTH],
        alignment: usize,
        among: Among,
    ) -> impl Iterator<Item = u64> {
        let segments = self.segments.iter().filter(move |segment| match among {
            Among::AllSegments => true,
            Among::WritableSegments => segment.flags & PF_W != 0,
        });
        segments.flat_map(move |segment| segment.search(wanted, alignment))
    }

    /// Offset in the file and contents of a range of code, which lies in one executable segment and
    /// wholly in the file.
    pub(super) fn code(&self, address: u64, end: u64) -> Option<(u64, &'data [u8])> {
        let length = usize::try_from(end.checked_sub(address)?).ok()?;
        let mut executable = self.segments.iter().filter(|segment| segment.flags & PF_X != 0);
        executable.find_map(|segment| {
            let code = segment.from(address)?.get(..length)?;
            let inside = address.checked_sub(segment.address)?;
            Some((segment.file_offset.checked_add(inside)?, code))
        })
    }

    /// Places of `R_X86_64_RELATIVE` relocations and the values that they get when the program is
    /// loaded where it asks to be.
    fn relocated(&self) -> impl Iterator<Item = (u64, u64)> {
        self.relocations.chunks_exact(RELOCATION_BYTES).filter_map(|entry| {
            let kind = number(entry.get(8..16)?)?;
            if kind != u64::from(R_X86_64_RELATIVE) {
                return None;
            }
            Some((number(entry.get(..8)?)?, number(entry.get(16..24)?)?))
        })
    }
}

impl<'data> Segment<'data> {
    fn from(&self, address: u64) -> Option<&'data [u8]> {
        let inside = usize::try_from(address.checked_sub(self.address)?).ok()?;
        self.bytes.get(inside..).filter(|rest| !rest.is_empty())
    }

    fn search<const LENGTH: usize>(
        &self,
        wanted: [u8; LENGTH],
        alignment: usize,
    ) -> impl Iterator<Item = u64> {
        let step = alignment.max(1);
        let first = self.address.checked_next_multiple_of(step as u64).unwrap_or(u64::MAX);
        let skipped = usize::try_from(first - self.address).unwrap_or(usize::MAX);
        let rest = self.bytes.get(skipped..).unwrap_or_default();
        let places = (0..rest.len()).step_by(step);
        let found = places
            .filter(move |&place| rest.get(place..place.saturating_add(LENGTH)) == Some(&wanted));
        found.filter_map(move |place| first.checked_add(place as u64))
    }
}

/// A little-endian number of eight bytes.
pub(super) fn number(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().copied().map(u64::from_le_bytes)
}

/// A little-endian number of four bytes.
pub(super) fn short_number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().copied().map(u32::from_le_bytes)
}

/// Size of a pointer.
pub(super) const WORD_BYTES: usize = 8;

/// `Elf64_Rela`.
const RELOCATION_BYTES: usize = 24;

/// Linkers make at most a dozen.
const MAX_SEGMENTS: usize = 64;

/// How often the whole file may be in segments, which bounds the time of a search. Linkers have
/// neighbouring segments share a page at most.
const MAX_OVERLAP: usize = 2;

/// Linkers write some thirty.
const MAX_DYNAMIC_ENTRIES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_program_itself_is_laid_out() {
        let data = std::fs::read("/proc/self/exe").expect("readable");
        let image = Image::parse(&data).expect("an ELF file");
        assert!(image.has_sections());
        let text = image.section(".text").expect("every program has one");
        let (_, code) = image.code(text, text + 16).expect("it is executable");
        assert_eq!(image.from(text).and_then(|rest| rest.get(..16)), Some(code));
        assert!(image.code(text, text).is_some_and(|(_, code)| code.is_empty()));
        assert_eq!(image.code(text + 1, text), None);
        assert_eq!(image.code(text, u64::MAX), None);
        assert_eq!(image.words::<2>(u64::MAX), None);
    }
}
