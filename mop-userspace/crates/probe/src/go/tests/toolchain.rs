//! Tests on what an installed toolchain builds, against its symbol tables and a disassembler.

use std::{
    collections::{HashMap, HashSet},
    env, fs,
    path::Path,
    process::Command,
};

use super::super::*;

const METHODS: [&str; 3] =
    ["crypto/tls.(*Conn).Read", "crypto/tls.(*Conn).Write", "crypto/tls.(*Conn).Close"];

const SOURCE: &str = r#"package main

import (
	"crypto/tls"
	"io"
	"os"
)

func main() {
	connection, err := tls.Dial("tcp", os.Args[1], nil)
	if err != nil {
		panic(err)
	}
	defer connection.Close()
	io.WriteString(connection, "hello")
	io.Copy(os.Stdout, connection)
}
"#;

/// Builds the program; `None`, with a line that says so, without toolchain.
fn build(test: &str, arguments: &[&str], uses_c: bool) -> Option<Vec<u8>> {
    let is_installed = |program: &str, argument: &str| {
        Command::new(program).arg(argument).output().is_ok_and(|it| it.status.success())
    };
    if !is_installed("go", "version") || uses_c && !is_installed("gcc", "--version") {
        eprintln!("SKIPPED {test}: no toolchain of Go, or no C compiler for it");
        return None;
    }
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("main.go"), SOURCE).expect("writable");
    fs::write(folder.path().join("go.mod"), "module sample\n\ngo 1.17\n").expect("writable");
    // The standard library takes a while to compile: it is kept where the test's own program is.
    let own = env::current_exe().expect("a path");
    let cache = own.ancestors().nth(2).expect("a folder").join("go-cache");
    let output = Command::new("go")
        .current_dir(folder.path())
        .env("CGO_ENABLED", if uses_c { "1" } else { "0" })
        .env("GOCACHE", cache)
        .env("GOFLAGS", "-mod=mod")
        .env("GOPATH", folder.path().join("path"))
        .env("GOPROXY", "off")
        .env("GOTOOLCHAIN", "local")
        .args(["build", "-o", "sample"])
        .args(arguments)
        .output()
        .expect("go starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(fs::read(folder.path().join("sample")).expect("built"))
}

/// Removes all section headers, and with them the symbol table.
fn without_sections(file: &[u8]) -> Vec<u8> {
    let mut file = file.to_vec();
    file[40..48].fill(0); // e_shoff
    file[58..64].fill(0); // e_shentsize, e_shnum, e_shstrndx
    file
}

/// Holds what is found in a file against the symbols of its twin, which has the same code.
fn check(file: &[u8], twin: &[u8]) {
    let program = inspect(file).expect("readable").expect("a Go program");
    assert!(program.version >= Version { major: 1, minor: 16 }, "{program:?}");
    let found = program.functions(file, &METHODS).expect("readable");
    let expected = elf::functions(twin, &METHODS).expect("readable");
    for ((name, found), expected) in METHODS.iter().zip(found).zip(expected) {
        let (found, expected) = (found.expect(name), expected.expect(name));
        assert_eq!(found.file_offset, expected.file_offset, "{name}");
        // Symbols do not count the padding.
        let padding = found.code.strip_prefix(expected.code).expect("the same code");
        assert!(padding.iter().all(|&byte| byte == 0xcc), "{name}");
        if program.version.has_register_abi() {
            let plan = plan(found.code, 3).expect(name);
            // The check of the stack comes first.
            assert!(plan.entry >= 10 && plan.returns.len() >= 3, "{name}: {plan:?}");
        }
    }
}

#[test]
fn functions_of_a_program_are_found_with_and_without_symbols() {
    let test = "functions_of_a_program_are_found_with_and_without_symbols";
    let Some(twin) = build(test, &[], false) else { return };
    check(&twin, &twin);
    check(&without_sections(&twin), &twin);
    let Some(stripped) = build(test, &["-ldflags=-s -w"], false) else { return };
    assert_eq!(elf::functions(&stripped, &METHODS), Ok(vec![None; METHODS.len()]));
    check(&stripped, &twin);
}

#[test]
fn functions_of_a_position_independent_program_are_found() {
    let test = "functions_of_a_position_independent_program_are_found";
    let Some(twin) = build(test, &["-buildmode=pie"], false) else { return };
    check(&twin, &twin);
    check(&without_sections(&twin), &twin);
}

#[test]
fn functions_behind_c_code_are_found() {
    let test = "functions_behind_c_code_are_found";
    let flags = "-ldflags=-linkmode=external";
    let Some(twin) = build(test, &["-buildmode=pie", flags], true) else { return };
    check(&twin, &twin);
    check(&without_sections(&twin), &twin);
}

#[test]
fn an_installed_stripped_program_is_understood() {
    let Ok(file) = fs::read("/usr/bin/caddy") else {
        eprintln!("SKIPPED an_installed_stripped_program_is_understood: no Caddy on this machine");
        return;
    };
    let program = inspect(&file).expect("readable").expect("a Go program");
    for found in program.functions(&file, &METHODS).expect("readable") {
        assert!(plan(found.expect("it serves TLS").code, 3).is_some());
    }
}

#[test]
fn sites_of_a_whole_program_are_where_a_disassembler_finds_returns() {
    let test = "sites_of_a_whole_program_are_where_a_disassembler_finds_returns";
    let Some(file) = build(test, &[], false) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sample");
    fs::write(&path, &file).expect("writable");
    let Some(listing) = disassemble(&path) else {
        eprintln!("SKIPPED {test}: no objdump on this machine");
        return;
    };
    let names: Vec<&str> = listing.keys().map(String::as_str).collect();
    let program = inspect(&file).expect("readable").expect("a Go program");
    let found = program.functions(&file, &names).expect("readable");
    let mut planned = 0;
    for (name, found) in names.iter().zip(&found) {
        let Some(found) = found else { continue };
        let Some(plan) = plan(found.code, 0) else { continue };
        let listed = &listing[*name];
        assert_eq!(plan.returns, listed.returns, "{name}");
        assert!(listed.instructions.contains(&plan.entry), "{name}");
        planned += 1;
    }
    // The others are those that jump by tables, end in other functions, or never return.
    assert!(planned * 10 > names.len() * 6, "{planned} of {}", names.len());
}

/// What a disassembler says of a function, by offset.
#[derive(Default)]
struct Listed {
    instructions: HashSet<u64>,
    returns: Vec<u64>,
}

/// All functions by name; `None` without disassembler.
fn disassemble(path: &Path) -> Option<HashMap<String, Listed>> {
    let output =
        Command::new("objdump").args(["-d", "--no-show-raw-insn"]).arg(path).output().ok()?;
    let mut functions = HashMap::<String, Listed>::new();
    let mut current = None;
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if let Some((address, name)) = line.strip_suffix(">:").and_then(|it| it.split_once(" <")) {
            let start = u64::from_str_radix(address, 16).expect("an address");
            current = Some((start, functions.entry(name.to_owned()).or_default()));
        } else if let Some((start, listed)) = &mut current
            && let Some((address, text)) = line.split_once(":\t")
        {
            let address = u64::from_str_radix(address.trim(), 16).expect("an address");
            listed.instructions.insert(address - *start);
            if text.trim() == "ret" {
                listed.returns.push(address - *start);
            }
        }
    }
    Some(functions)
}
