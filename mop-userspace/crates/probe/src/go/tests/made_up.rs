//! Tests on programs that are put together here, which have what no installed toolchain makes.

use super::super::*;

/// What differs between made-up programs.
#[derive(Clone, Copy)]
struct Recipe {
    /// First byte of the table's magic number.
    magic: u8,
    /// Whether addresses come to be when the program is loaded.
    is_relocated: bool,
    version: &'static str,
    /// Names of its three functions.
    names: [&'static str; 3],
}

const RECIPE: Recipe = Recipe {
    magic: 0xf1,
    is_relocated: false,
    version: "go1.26.1",
    names: ["runtime.first", READ, "main.main"],
};

const READ: &str = "crypto/tls.(*Conn).Read";

/// Offsets in the file; each address is [`BASE`] higher.
const CODE: usize = 0x400;
const FUNCTION_BYTES: usize = 0x20;
const DATA: usize = 0x800;
const BUILD_INFO: usize = DATA;
const VERSION: usize = DATA + 0x80;
const VERSION_HEADER: usize = DATA + 0xc0;
const MODULE: usize = DATA + 0x100;
const HEADER: usize = DATA + 0x200;
const NAMES: usize = DATA + 0x280;
const FUNCTIONS: usize = DATA + 0x300;
const RECORDS: usize = DATA + 0x380;
const RELOCATIONS: usize = DATA + 0x400;
const DYNAMIC: usize = DATA + 0x600;
const END: usize = DATA + 0x680;
const BASE: u64 = 0x10_0000;

/// `runtime.text` is in front of the first function, as with C code that is linked in.
const TEXT: u64 = BASE + CODE as u64 - 0x40;

struct Builder {
    file: Vec<u8>,
    relocations: usize,
    recipe: Recipe,
}

impl Builder {
    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.file[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn put_words(&mut self, at: usize, words: &[u64]) {
        for (index, word) in words.iter().enumerate() {
            self.put(at + index * 8, &word.to_le_bytes());
        }
    }

    fn put_address(&mut self, at: usize, address: u64) {
        if self.recipe.is_relocated {
            self.put_words(RELOCATIONS + self.relocations * 24, &[BASE + at as u64, 8, address]);
            self.relocations += 1;
        } else {
            self.put_words(at, &[address]);
        }
    }

    /// A number whose size is that of functions' starts.
    fn put_start(&mut self, at: usize, index: usize, value: u64) {
        match self.recipe.magic {
            0xfa => self.put_words(at + index * 8, &[value]),
            _ => self.put(at + index * 4, &u32::try_from(value).expect("small").to_le_bytes()),
        }
    }

    fn put_segments(&mut self) {
        self.put(0, b"\x7fELF\x02\x01\x01");
        self.put(16, &[3, 0, 62, 0, 1]);
        self.put_words(32, &[64]);
        self.put(52, &[64, 0, 56, 0, 3, 0]);
        let segments = [(1u32, 5u32, CODE, DATA), (1, 6, DATA, END), (2, 6, DYNAMIC, END)];
        for (index, (kind, flags, start, end)) in segments.into_iter().enumerate() {
            let at = 64 + index * 56;
            self.put(at, &kind.to_le_bytes());
            self.put(at + 4, &flags.to_le_bytes());
            let (address, length) = (BASE + start as u64, (end - start) as u64);
            self.put_words(at + 8, &[start as u64, address, address, length, length, 8]);
        }
    }

    fn put_build_info(&mut self) {
        let version = self.recipe.version.as_bytes();
        self.put(BUILD_INFO, b"\xff Go buildinf:\x08");
        if self.recipe.magic == 0xfa {
            self.put(VERSION, version);
            self.put_address(BUILD_INFO + 16, BASE + VERSION_HEADER as u64);
            self.put_address(VERSION_HEADER, BASE + VERSION as u64);
            self.put_words(VERSION_HEADER + 8, &[version.len() as u64]);
        } else {
            self.put(BUILD_INFO + 15, &[2]);
            self.put(BUILD_INFO + 32, &[u8::try_from(version.len()).expect("short")]);
            self.put(BUILD_INFO + 33, version);
        }
    }

    fn put_table(&mut self) {
        self.put(HEADER, &[self.recipe.magic, 0xff, 0xff, 0xff, 0, 0, 1, 8]);
        let (names, functions) = ((NAMES - HEADER) as u64, (FUNCTIONS - HEADER) as u64);
        match self.recipe.magic {
            0xfa => self.put_words(HEADER + 8, &[3, 0, names, 0, 0, 0, functions]),
            _ => self.put_words(HEADER + 8, &[3, 0, 0, names, 0, 0, 0, functions]),
        }
        let from = if self.recipe.magic == 0xfa { 0 } else { TEXT };
        let mut name_at = NAMES;
        for (index, name) in self.recipe.names.into_iter().enumerate() {
            let start = BASE + (CODE + index * FUNCTION_BYTES) as u64 - from;
            let record = RECORDS + index * 0x20;
            self.put_start(FUNCTIONS, index * 2, start);
            self.put_start(FUNCTIONS, index * 2 + 1, (record - FUNCTIONS) as u64);
            self.put_start(record, 0, start);
            self.put_start(record, 1, (name_at - NAMES) as u64);
            self.put(name_at, name.as_bytes());
            name_at += name.len() + 1;
        }
        let end = BASE + (CODE + 3 * FUNCTION_BYTES) as u64;
        self.put_start(FUNCTIONS, 6, end - from);
        self.put_address(MODULE, BASE + HEADER as u64);
        self.put_address(MODULE + 128, BASE + FUNCTIONS as u64);
        self.put_words(MODULE + 136, &[4, 4, 0]);
        for (index, address) in [BASE + CODE as u64, end, TEXT, end].into_iter().enumerate() {
            self.put_address(MODULE + 160 + index * 8, address);
        }
    }
}

fn program(recipe: Recipe) -> Vec<u8> {
    let mut builder = Builder { file: vec![0; END], relocations: 0, recipe };
    builder.put_segments();
    for (index, byte) in [1, 2, 3].into_iter().enumerate() {
        builder.put(CODE + index * FUNCTION_BYTES, &[byte; FUNCTION_BYTES]);
    }
    builder.put_build_info();
    builder.put_table();
    let length = (builder.relocations * 24) as u64;
    builder.put_words(DYNAMIC, &[7, BASE + RELOCATIONS as u64, 8, length, 0, 0]);
    builder.file
}

/// What is found in a program that has one function of the name.
fn read_code(file: &[u8]) -> Result<Option<(u64, &[u8])>, String> {
    let program = inspect(file)?.expect("a Go program");
    let found = program.functions(file, &["no.such", READ])?;
    assert_eq!((found.len(), &found[0]), (2, &None));
    Ok(found[1].as_ref().map(|function| (function.file_offset, function.code)))
}

const EXPECTED: (u64, &[u8]) = ((CODE + FUNCTION_BYTES) as u64, &[2; FUNCTION_BYTES]);

#[test]
fn functions_are_found_in_tables_of_all_forms() {
    for (magic, version, minor) in
        [(0xfa, "go1.17.2", 17), (0xf0, "go1.19.8", 19), (0xf1, "devel go1.28-ab", 28)]
    {
        for is_relocated in [false, true] {
            let file = program(Recipe { magic, is_relocated, version, ..RECIPE });
            let found = inspect(&file).expect("readable").expect("a Go program");
            assert_eq!(found.version, Version { major: 1, minor });
            assert_eq!(read_code(&file), Ok(Some(EXPECTED)), "{version} {is_relocated}");
        }
    }
}

#[test]
fn the_table_tells_an_unknown_version() {
    for (magic, minor) in [(0xfa, 16), (0xf0, 18), (0xf1, 20)] {
        let file = program(Recipe { magic, version: "devel +ab12cd", ..RECIPE });
        let found = inspect(&file).expect("readable").expect("a Go program");
        assert_eq!(found.version, Version { major: 1, minor });
    }
}

#[test]
fn a_program_of_go_1_15_is_recognised_only() {
    let file = program(Recipe { magic: 0xfb, version: "go1.15.15", ..RECIPE });
    let found = inspect(&file).expect("readable").expect("a Go program");
    assert_eq!(found.version, Version { major: 1, minor: 15 });
    assert!(found.functions(&file, &[READ]).is_err());
}

#[test]
fn a_name_that_two_functions_have_is_not_found() {
    let file = program(Recipe { names: [READ, READ, "main.main"], ..RECIPE });
    assert_eq!(read_code(&file), Ok(None));
}

#[test]
fn a_name_is_compared_as_a_whole() {
    let names = ["crypto/tls.(*Conn).Read1", READ, "crypto/tls.(*Conn).Rea"];
    assert_eq!(read_code(&program(Recipe { names, ..RECIPE })), Ok(Some(EXPECTED)));
}

#[test]
fn a_description_that_does_not_fit_the_table_is_not_believed() {
    for offset in [0, 128, 136, 160, 168, 176] {
        let mut file = program(RECIPE);
        file[MODULE + offset] ^= 1;
        assert!(inspect(&file).is_err(), "{offset}");
    }
}

#[test]
fn a_table_that_is_not_ordered_is_not_believed() {
    let mut file = program(RECIPE);
    let program = inspect(&file).expect("readable").expect("a Go program");
    // The second function is said to start behind the third one, by its record too.
    for at in [FUNCTIONS + 8, RECORDS + 0x20] {
        file[at] += 0x30;
    }
    assert!(program.functions(&file, &["no.such"]).is_err());
}

#[test]
fn a_record_of_another_function_is_not_believed() {
    let mut file = program(RECIPE);
    file[FUNCTIONS + 12] += 0x20;
    assert!(read_code(&file).is_err());
}

#[test]
fn code_must_be_executable() {
    let mut file = program(RECIPE);
    file[64 + 4] = 4; // flags of the first segment
    assert!(inspect(&file).is_err());
}

#[test]
fn what_is_no_go_program_has_none() {
    let mut file = program(RECIPE);
    file[DATA..].fill(0);
    assert_eq!(inspect(&file), Ok(None));
    let own = std::fs::read("/proc/self/exe").expect("readable");
    assert_eq!(inspect(&own), Ok(None));
}

#[test]
fn what_is_no_program_for_this_processor_is_an_error() {
    assert!(inspect(b"").is_err());
    assert!(inspect(b"#!/bin/sh\n").is_err());
    let mut file = program(RECIPE);
    file[18] = 183; // AArch64
    assert!(inspect(&file).is_err());
}

#[test]
fn no_bytes_make_it_panic() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random >> 16).expect("fits")
    };
    for (magic, is_relocated) in [(0xfa, true), (0xf0, false), (0xf1, true), (0xfb, false)] {
        let good = program(Recipe { magic, is_relocated, ..RECIPE });
        let intact = inspect(&good).expect("readable").expect("a Go program");
        for cut in 0..good.len() {
            read_anything(&good[..cut], intact);
        }
        for _ in 0..MUTATIONS {
            let mut bad = good.clone();
            for _ in 0..=next() % 4 {
                let at = next() % bad.len();
                let extreme = [0, 1, 0x7f, 0x80, 0xff, u8::try_from(next() % 256).expect("a byte")];
                bad[at] = extreme[next() % extreme.len()];
            }
            read_anything(&bad, intact);
        }
    }
}

/// Also with what was learnt from the file before it was damaged, as it may change meanwhile.
fn read_anything(file: &[u8], intact: Program) {
    for program in [inspect(file).ok().flatten(), Some(intact)].into_iter().flatten() {
        for function in program.functions(file, &[READ, ""]).into_iter().flatten().flatten() {
            let start = usize::try_from(function.file_offset).expect("inside");
            assert_eq!(file.get(start..start + function.code.len()), Some(function.code));
        }
    }
}

const MUTATIONS: usize = 20_000;
