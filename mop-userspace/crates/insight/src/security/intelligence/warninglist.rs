//! Warninglists (MISP): what is known to be good, or shared by many: resolvers, clouds, banks.
//!
//! An indicator that is on one is still looked for, with less confidence: a feed may know more than
//! a list.

use serde::Deserialize;
use thiserror::Error;

use super::{
    indicator::{Network, Value},
    store::{
        addresses::{Addresses, AddressesBuilder},
        texts::{HashKey, TextTable, TextTableBuilder, suffixes},
    },
    value::{any_network, domain},
};

/// Lists that are being collected.
#[derive(Default)]
pub struct WarninglistsBuilder {
    networks: AddressesBuilder,
    hostnames: TextTableBuilder,
    strings: TextTableBuilder,
    entries: usize,
}

/// Lists, ready to be searched.
pub struct Warninglists {
    networks: Addresses,
    hostnames: TextTable,
    strings: TextTable,
    entries: usize,
}

/// What was taken of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Entries that are looked for.
    pub entries: usize,
    /// Entries that are not what the list is of.
    pub unreadable: usize,
}

/// Why a file is no list.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum WarninglistError {
    /// More entries than [`MAX_ENTRIES`] in all lists.
    #[error("the lists have more than {MAX_ENTRIES} entries")]
    Full,
    /// Not the JSON that is wanted.
    #[error("line {line}, column {column}: not a warninglist")]
    Syntax {
        /// From 1 on.
        line: usize,
        /// From 1 on.
        column: usize,
    },
    /// Longer than [`MAX_FILE_BYTES`].
    #[error("it is longer than {MAX_FILE_BYTES} bytes")]
    TooLong,
    /// A list of `regex` or `substring`: a search through all of them for each indicator.
    #[error("lists of this type are not read")]
    Type,
}

#[derive(Deserialize)]
struct File {
    r#type: String,
    list: Vec<String>,
}

impl WarninglistsBuilder {
    /// Adds a list of type `cidr`, `hostname` or `string`. Its `matching_attributes` are not asked:
    /// a value can be on a list of its own kind only.
    ///
    /// # Errors
    ///
    /// Every [`WarninglistError`]; nothing was added then.
    pub fn add(&mut self, bytes: &[u8]) -> Result<Taken, WarninglistError> {
        if bytes.len() > MAX_FILE_BYTES {
            return Err(WarninglistError::TooLong);
        }
        let file: File = serde_json::from_slice(bytes).map_err(|error| {
            WarninglistError::Syntax { line: error.line(), column: error.column() }
        })?;
        if self.entries.saturating_add(file.list.len()) > MAX_ENTRIES {
            return Err(WarninglistError::Full);
        }
        let add: fn(&mut Self, &str) -> Option<()> = match file.r#type.as_str() {
            "cidr" => Self::add_network,
            "hostname" => Self::add_hostname,
            "string" => Self::add_string,
            _ => return Err(WarninglistError::Type),
        };
        let entries = file.list.iter().filter_map(|entry| add(self, entry.trim())).count();
        self.entries += entries;
        Ok(Taken { entries, unreadable: file.list.len() - entries })
    }

    /// Makes them searchable; the key is that of the store.
    #[must_use]
    pub fn build(self, key: HashKey) -> Warninglists {
        let Self { networks, hostnames, strings, entries } = self;
        Warninglists {
            networks: networks.build(),
            hostnames: hostnames.build(key).0,
            strings: strings.build(key).0,
            entries,
        }
    }

    fn add_network(&mut self, text: &str) -> Option<()> {
        let network = any_network(text)?;
        // Which one it is does not matter, how wide it is does.
        self.networks.add(network, network.prefix().into());
        Some(())
    }

    fn add_hostname(&mut self, text: &str) -> Option<()> {
        let name = domain(text.trim_start_matches('.'))?;
        self.hostnames.add(&name, 0)
    }

    fn add_string(&mut self, text: &str) -> Option<()> {
        (!text.is_empty()).then(|| self.strings.add(&text.to_ascii_lowercase(), 0))?
    }
}

impl Warninglists {
    /// Whether a value is on a list: a network inside one of a list, a name at or below one, a text
    /// that is one.
    #[must_use]
    pub fn warn_of(&self, value: &Value) -> bool {
        match value {
            Value::Domain(name) | Value::Hostname(name) => {
                self.has_host(name) || self.has_string(name)
            }
            Value::Network(network) => self.has_network(*network),
            Value::Url(url) => {
                let host = url.split(['/', '?', ':']).next().unwrap_or_default();
                self.has_host(host) || self.has_string(url)
            }
            Value::Path(text) | Value::UserAgent(text) => self.has_string(text),
            Value::Ja3(_) | Value::Ja4(_) | Value::X509Sha1(_) | Value::X509Sha256(_) => false,
        }
    }

    /// How many entries they have.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries
    }

    fn has_network(&self, network: Network) -> bool {
        let mut is_inside = false;
        self.networks.find(network.first(), |prefix| {
            is_inside |= prefix <= u32::from(network.prefix());
        });
        is_inside
    }

    fn has_host(&self, name: &str) -> bool {
        let mut is_there = false;
        for (suffix, _) in suffixes(name) {
            self.hostnames.find(suffix, |_| is_there = true);
        }
        is_there
    }

    fn has_string(&self, text: &str) -> bool {
        let mut is_there = false;
        self.strings.find(&text.to_ascii_lowercase(), |_| is_there = true);
        is_there
    }
}

/// The largest published list has about two megabytes.
pub const MAX_FILE_BYTES: usize = 32 << 20;
/// All published lists together have some hundred thousand.
pub const MAX_ENTRIES: usize = 2_000_000;
