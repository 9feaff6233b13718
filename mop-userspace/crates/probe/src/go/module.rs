//! The runtime's description of a program, `runtime.firstmoduledata`.
//!
//! Starts of functions are relative to `runtime.text`, which is not where the section `.text`
//! begins when the system's linker put C code in front. The header of the function table had it too
//! up to Go 1.25. The description has it in all versions, and also what it is proven by.
//!
//! Source: `moduledata` and `moduledataverify1` in <https://go.dev/src/runtime/symtab.go>; the part
//! that is read here has been the same from Go 1.16 to 1.27.

use super::image::Image;

/// What the function table says about itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Module {
    /// Address of the table's header.
    pub(super) header: u64,
    /// Address of the first function's entry.
    pub(super) functions: u64,
    /// Number of functions.
    pub(super) count: usize,
    /// Start of the first function, relative to the text.
    pub(super) first: u64,
    /// End of the last function, relative to the text.
    pub(super) end: u64,
}

impl Module {
    /// Address of `runtime.text`, from the description that fits the table.
    pub(super) fn text_start(&self, image: &Image<'_>) -> Option<u64> {
        let mut candidates = image.holders_of(self.header).take(MAX_CANDIDATES);
        candidates.find_map(|candidate| self.text_start_at(image, candidate))
    }

    fn text_start_at(&self, image: &Image<'_>, candidate: u64) -> Option<u64> {
        let [entries, entry_count, _, _, lowest, highest, text, text_end] =
            image.words(candidate.checked_add(ENTRIES_OFFSET)?)?;
        // The end of the last function has an entry too.
        let fits = entries == self.functions
            && entry_count == (self.count as u64).checked_add(1)?
            && lowest == text.checked_add(self.first)?
            && highest == text.checked_add(self.end)?
            && highest <= text_end
            && image.code(lowest, highest).is_some();
        fits.then_some(text)
    }
}

/// Offset of `ftab`, which `findfunctab`, `minpc`, `maxpc`, `text` and `etext` follow. In front of it
/// are the pointer to the header and five slices.
const ENTRIES_OFFSET: u64 = 8 + 5 * 24;

/// Nothing else refers to the header, but a number may happen to have its value.
const MAX_CANDIDATES: usize = 8;
