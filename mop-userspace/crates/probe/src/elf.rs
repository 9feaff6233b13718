//! Functions in ELF files: where they are in the file, and their code.

use object::{Object as _, ObjectSegment, ObjectSymbol as _, SegmentFlags, elf::PF_X};

/// A function of a library or executable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function<'data> {
    /// Offset of its first byte in the file: what a uprobe is attached to.
    pub file_offset: u64,
    /// Its machine code, when the symbol says how long it is.
    pub code: &'data [u8],
}

/// Whether a program compares its own code with what it was built as, and ends when it differs: a
/// breakpoint in it is such a difference (`ClickHouse` does).
#[must_use]
pub fn checks_itself(data: &[u8]) -> bool {
    let file = object::File::parse(data);
    file.is_ok_and(|file| file.section_by_name(HASH_SECTION).is_some())
}

/// The named functions that a file defines, in the order asked for.
///
/// The dynamic symbol table is looked at first: it survives stripping and is shorter.
///
/// # Errors
///
/// A text that says what is wrong with the file.
pub fn functions<'data>(
    data: &'data [u8],
    names: &[&'static str],
) -> Result<Vec<Option<Function<'data>>>, String> {
    let file = object::File::parse(data).map_err(|error| error.to_string())?;
    if file.architecture() != object::Architecture::X86_64 {
        return Err(format!("its processor is {:?}, not x86-64", file.architecture()));
    }
    let mut found: Vec<Option<Function<'data>>> = vec![None; names.len()];
    let mut missing = names.len();
    for symbol in file.dynamic_symbols().chain(file.symbols()) {
        if missing == 0 {
            break;
        }
        // An undefined symbol has address 0: it lives in another file.
        if symbol.is_undefined() || symbol.address() == 0 {
            continue;
        }
        let Ok(name) = symbol.name_bytes() else { continue };
        // Most symbols differ in their first byte; names are compared only when it fits.
        let Some(number) = names.iter().position(|wanted| wanted.as_bytes() == name) else {
            continue;
        };
        let Some(slot) = found.get_mut(number) else { continue };
        if slot.is_none()
            && let Some(function) = locate(&file, symbol.address(), symbol.size())
        {
            *slot = Some(function);
            missing -= 1;
        }
    }
    Ok(found)
}

/// Maps an address to the file by the loadable segment that holds it. Only executable segments
/// count: a data symbol of the same name is not a function.
pub(crate) fn locate<'data>(
    file: &object::File<'data>,
    address: u64,
    size: u64,
) -> Option<Function<'data>> {
    let segment = file.segments().find(|segment| {
        is_executable(segment)
            && address.checked_sub(segment.address()).is_some_and(|inside| inside < segment.size())
    })?;
    let inside = address - segment.address();
    let (start, in_file) = segment.file_range();
    if inside >= in_file {
        return None;
    }
    let code = usize::try_from(inside)
        .ok()
        .zip(usize::try_from(size).ok())
        .and_then(|(from, length)| segment.data().ok()?.get(from..from.checked_add(length)?));
    Some(Function { file_offset: start.checked_add(inside)?, code: code.unwrap_or_default() })
}

fn is_executable<'data>(segment: &impl ObjectSegment<'data>) -> bool {
    match segment.flags() {
        SegmentFlags::Elf { p_flags } => p_flags & PF_X != 0,
        _ => false,
    }
}

/// Where `ClickHouse` keeps the hash of its code.
const HASH_SECTION: &str = ".clickhouse.hash";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_program_itself_is_readable() {
        let data = std::fs::read("/proc/self/exe").expect("readable");
        let found = functions(&data, &["no_such_function_anywhere"]).expect("an ELF file");
        assert_eq!(found, vec![None]);
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic() {
        assert!(functions(b"", &["SSL_read"]).is_err());
        assert!(functions(b"\x7fELF\x02\x01\x01", &["SSL_read"]).is_err());
        let mut data = std::fs::read("/proc/self/exe").expect("readable");
        data.truncate(4096);
        let _ = functions(&data, &["SSL_read"]);
    }
}
