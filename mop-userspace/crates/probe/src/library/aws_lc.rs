//! AWS-LC inside a program of Rust: the functions that seal and open the records of rustls.
//!
//! Their names carry the version of AWS-LC (`aws_lc_0_47_0_EVP_AEAD_CTX_open`), so that a program may
//! have several side by side. They are there unless the program was stripped. What uses the same functions
//! for something else is told apart by what they are given, call by call.

use mop_common::cookie;
use object::{Object as _, ObjectSymbol as _};

use super::{Probe, Sites};
use crate::elf;

/// The probes of a program with AWS-LC inside; none when there is none, or it has no names.
pub(super) fn probes(data: &[u8]) -> Vec<Probe> {
    let Ok(file) = object::File::parse(data) else { return Vec::new() };
    if file.architecture() != object::Architecture::X86_64 {
        return Vec::new();
    }
    let mut copies: Vec<(&str, Vec<Probe>)> = Vec::new();
    for symbol in file.symbols() {
        // An undefined symbol has address 0: it lives in another file.
        if symbol.is_undefined() || symbol.address() == 0 {
            continue;
        }
        let Some((version, function)) = symbol.name().ok().and_then(split) else { continue };
        let Some(found) = elf::locate(&file, symbol.address(), symbol.size()) else { continue };
        let probe = function.probe(found.file_offset);
        match copies.iter_mut().find(|(known, _)| *known == version) {
            Some((_, probes)) if probes.contains(&probe) => {}
            Some((_, probes)) => probes.push(probe),
            None => copies.push((version, vec![probe])),
        }
    }
    // Of a copy that has not all of them, half a conversation would be seen.
    copies.retain(|(_, probes)| probes.len() == FUNCTIONS.len());
    copies.into_iter().flat_map(|(_, probes)| probes).collect()
}

/// The version of AWS-LC in front of the name of a function that is probed.
fn split(name: &str) -> Option<(&str, &'static AeadFunction)> {
    let (version, own) = name.strip_prefix(PREFIX)?.split_once("_EVP_AEAD_CTX_")?;
    let function = FUNCTIONS
        .iter()
        .find(|function| function.name.strip_prefix("EVP_AEAD_CTX_") == Some(own))?;
    Some((version, function))
}

struct AeadFunction {
    name: &'static str,
    role: Role,
    cookie: u64,
}

#[derive(Clone, Copy)]
enum Role {
    /// It makes a key.
    Key,
    /// It seals a record.
    Seal,
    /// It opens one.
    Open,
}

impl AeadFunction {
    /// Arguments on the stack are looked for where they are on the first instruction.
    fn probe(&self, start: u64) -> Probe {
        let sites = match self.role {
            Role::Key => Sites::AeadKey(start),
            Role::Seal => Sites::AeadSeal(start),
            Role::Open => Sites::AeadOpen(start),
        };
        Probe { function: self.name, cookie: self.cookie, sites }
    }
}

/// `openssl/aead.h` of AWS-LC: those that rustls uses by way of `aws-lc-rs`.
const FUNCTIONS: [AeadFunction; 5] = [
    AeadFunction { name: "EVP_AEAD_CTX_init", role: Role::Key, cookie: 0 },
    AeadFunction {
        name: "EVP_AEAD_CTX_init_with_direction",
        role: Role::Key,
        cookie: cookie::PASSED_ON,
    },
    AeadFunction { name: "EVP_AEAD_CTX_seal", role: Role::Seal, cookie: 0 },
    AeadFunction { name: "EVP_AEAD_CTX_seal_scatter", role: Role::Seal, cookie: cookie::SCATTER },
    AeadFunction { name: "EVP_AEAD_CTX_open", role: Role::Open, cookie: 0 },
];

/// Also of the variant `aws_lc_fips_…`.
const PREFIX: &str = "aws_lc_";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_a_version() {
        let of = |name| split(name).map(|(version, function)| (version, function.name));
        assert_eq!(of("aws_lc_0_47_0_EVP_AEAD_CTX_open"), Some(("0_47_0", "EVP_AEAD_CTX_open")));
        assert_eq!(
            of("aws_lc_fips_0_13_7_EVP_AEAD_CTX_seal_scatter"),
            Some(("fips_0_13_7", "EVP_AEAD_CTX_seal_scatter"))
        );
        for other in
            ["EVP_AEAD_CTX_open", "aws_lc_0_47_0_EVP_AEAD_CTX_free", "aws_lc_0_47_0_SSL_read"]
        {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
