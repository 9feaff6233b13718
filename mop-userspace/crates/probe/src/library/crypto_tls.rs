//! Go's `crypto/tls`: which methods of a program are probed, and where.
//!
//! It is compiled into every program that uses it, so the program itself is the library. All of the
//! methods that it has are probed or none: half of them would report half a conversation.

use mop_common::cookie;

use super::{Probe, Sites};
use crate::{elf, go};

/// The probes of a Go program; none when the file is no Go program, or one without TLS.
///
/// # Errors
///
/// Why a Go program that may use TLS cannot be observed.
pub(super) fn probes(file: &[u8]) -> Result<Vec<Probe>, String> {
    let Some(program) = go::inspect(file)? else { return Ok(Vec::new()) };
    let found = program.functions(file, &METHODS.map(|method| method.name))?;
    let [Some(_), Some(_), ..] = found.as_slice() else { return Ok(Vec::new()) };
    if !program.version.has_register_abi() {
        return Err(format!(
            "it was built with {}; its TLS is seen from Go 1.17 on",
            program.version
        ));
    }
    // The linker leaves out what a program never calls: one that only serves has no client's handshake.
    METHODS
        .iter()
        .zip(&found)
        .filter_map(|(method, found)| Some((method, found.as_ref()?)))
        .map(|(method, found)| method.probe(found))
        .collect()
}

struct Method {
    name: &'static str,
    role: Role,
    cookie: u64,
    /// How many registers of arguments are needed at its entry, the receiver's included.
    arguments: usize,
}

impl Method {
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
}

/// Methods of `crypto/tls.(*Conn)`: so named, with these arguments, from Go 1.17 at least to 1.27. The
/// first two say that a program uses TLS.
const METHODS: [Method; 5] = [
    Method { name: "crypto/tls.(*Conn).Read", role: Role::Transfer, cookie: 0, arguments: 3 },
    Method {
        name: "crypto/tls.(*Conn).Write",
        role: Role::Transfer,
        cookie: cookie::WRITES,
        arguments: 3,
    },
    Method {
        name: "crypto/tls.(*Conn).clientHandshake",
        role: Role::Begin,
        cookie: 0,
        arguments: 1,
    },
    Method {
        name: "crypto/tls.(*Conn).serverHandshake",
        role: Role::Begin,
        cookie: 0,
        arguments: 1,
    },
    Method { name: "crypto/tls.(*Conn).Close", role: Role::Forget, cookie: 0, arguments: 1 },
];
