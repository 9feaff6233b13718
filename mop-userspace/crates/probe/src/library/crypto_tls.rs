//! Go's `crypto/tls`: which functions of a program are probed, and where.
//!
//! It is compiled into every program that uses it, so the program itself is the library. All of the
//! methods that it has are probed or none: half of them would report half a conversation.

use mop_common::cookie;

use super::{Probe, Probes, Sites};
use crate::{elf, go};

/// The probes of a Go program; none when the file is no Go program, or one without TLS.
///
/// # Errors
///
/// Why a Go program that may use TLS cannot be observed.
pub(super) fn probes(file: &[u8]) -> Result<Probes, String> {
    let Some(program) = go::inspect(file)? else { return Ok(Probes::default()) };
    let found = program.functions(file, &FUNCTIONS.map(|function| function.name))?;
    let [Some(_), Some(_), ..] = found.as_slice() else { return Ok(Probes::default()) };
    if !program.version.has_register_abi() {
        return Err(format!(
            "it was built with {}; its TLS is seen from Go 1.17 on",
            program.version
        ));
    }
    let mut probes = Probes::default();
    for (function, found) in FUNCTIONS.iter().zip(&found) {
        // The linker leaves out what a program never calls: one that only serves has no client's
        // handshake.
        let Some(found) = found else { continue };
        let list = match function.role {
            Role::Certificate => &mut probes.certificates,
            Role::Transfer | Role::Begin | Role::Forget => &mut probes.tls,
        };
        list.push(function.probe(found)?);
    }
    Ok(probes)
}

struct GoFunction {
    name: &'static str,
    role: Role,
    cookie: u64,
    /// How many registers of arguments are needed at its entry, the receiver's included.
    arguments: usize,
}

impl GoFunction {
    fn probe(&self, found: &elf::Function<'_>) -> Result<Probe, String> {
        let plan = go::plan(found.code, self.arguments)
            .ok_or_else(|| format!("its {} has no safe place for a probe", self.name))?;
        let entry = found.file_offset + plan.entry;
        let sites = match self.role {
            Role::Transfer => Sites::Go {
                entry,
                returns: plan.returns.iter().map(|it| found.file_offset + it).collect(),
            },
            Role::Begin => Sites::GoBegin(entry),
            Role::Forget => Sites::GoForget(entry),
            Role::Certificate => Sites::GoCertificate(entry),
        };
        Ok(Probe { function: self.name, cookie: self.cookie, sites })
    }
}

enum Role {
    /// It moves bytes.
    Transfer,
    /// It begins a conversation.
    Begin,
    /// It ends one.
    Forget,
    /// It reads a certificate.
    Certificate,
}

/// So named, with these arguments, from Go 1.17 at least to 1.27. The first two say that a program
/// uses TLS.
const FUNCTIONS: [GoFunction; 8] = [
    GoFunction { name: "crypto/tls.(*Conn).Read", role: Role::Transfer, cookie: 0, arguments: 3 },
    GoFunction {
        name: "crypto/tls.(*Conn).Write",
        role: Role::Transfer,
        cookie: cookie::WRITES,
        arguments: 3,
    },
    GoFunction {
        name: "crypto/tls.(*Conn).clientHandshake",
        role: Role::Begin,
        cookie: 0,
        arguments: 1,
    },
    GoFunction {
        name: "crypto/tls.(*Conn).serverHandshake",
        role: Role::Begin,
        cookie: 0,
        arguments: 1,
    },
    GoFunction { name: "crypto/tls.(*Conn).Close", role: Role::Forget, cookie: 0, arguments: 1 },
    GoFunction {
        name: "crypto/x509.ParseCertificate",
        role: Role::Certificate,
        cookie: 0,
        arguments: 2,
    },
    // From Go 1.20 on, a cache stands in front of it; later it got another name.
    GoFunction {
        name: "crypto/tls.(*certCache).newCert",
        role: Role::Certificate,
        cookie: cookie::METHOD,
        arguments: 3,
    },
    GoFunction {
        name: "crypto/tls.(*weakCertCache).newCert",
        role: Role::Certificate,
        cookie: cookie::METHOD,
        arguments: 3,
    },
];
