//! Matchers of the engine that rules name by `builtin`: what no pattern can tell.

use super::{
    event::{Event, Value},
    field::{Body, Field, Side},
    quiet::Quiet,
};
use crate::security::{
    detectors::{Clues, Detector, Subject},
    normalise::part::Place,
    personal::{self, Class, secrets},
};

/// A matcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Builtin {
    /// An attack in what the caller controls.
    Attack(Detector),
    /// What a response tells of the process that made it.
    Leak,
    /// Personal data in the body of an answer of 400 and more.
    PersonalDataInError,
    /// Personal data in path or query.
    PersonalDataInUrl,
    /// A private key, in any message; a token in the body of an answer of 400 and more.
    Secret,
    /// A token in path or query.
    SecretInUrl,
}

/// What matchers found in a call: each at most once, whatever the number of rules that ask.
#[derive(Debug, Default)]
pub(super) struct Detections {
    /// By place in [`Detector::ALL`].
    attacks: Option<[Option<Detection>; DETECTORS]>,
    leak: Option<Option<Detection>>,
    personal: Option<Personal>,
    secret: Option<Option<Detection>>,
    /// By numbers of values, those that the contract accounts for.
    trusted: Vec<bool>,
    /// Bytes of values that detectors did not read.
    unread_bytes: usize,
    /// Kept from call to call.
    quiet: Quiet,
}

/// A find: the value, and from which level of paranoia on it is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Detection {
    pub(super) paranoia: u8,
    pub(super) value: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Personal {
    in_error: Option<Detection>,
    in_url: Option<Detection>,
    secret_in_url: Option<Detection>,
}

impl Builtin {
    /// The matcher of a name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let of_data = OF_DATA.iter().find(|(known, _)| *known == name).map(|(_, it)| *it);
        of_data.or_else(|| Detector::of_name(name).map(Self::Attack))
    }

    /// All names, in their order.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Detector::ALL.iter().map(|it| it.name()).chain(OF_DATA.iter().map(|(name, _)| *name))
    }
}

impl Detections {
    pub(super) fn forget(&mut self) {
        let Self { attacks, leak, personal, secret, unread_bytes, trusted: _, quiet: _ } = self;
        (*attacks, *leak, *personal, *secret) = (None, None, None, None);
        *unread_bytes = 0;
    }

    /// Bytes of values that detectors did not read, since a call had too many.
    pub(super) fn unread_bytes(&self) -> usize {
        self.unread_bytes
    }

    /// What the contract accounts for, in the calls that follow.
    pub(super) fn trust(&mut self, is_trusted: impl Iterator<Item = bool>) {
        self.trusted.clear();
        self.trusted.extend(is_trusted);
    }

    /// What a matcher finds.
    pub(super) fn find(&mut self, builtin: Builtin, event: &Event) -> Option<Detection> {
        match builtin {
            Builtin::Attack(detector) => {
                let Self { attacks, quiet, trusted, unread_bytes, .. } = self;
                let look = || self::attacks(event, quiet, trusted, unread_bytes);
                let attacks = attacks.get_or_insert_with(look);
                attacks.get(detector as usize).copied().flatten()
            }
            Builtin::Leak => *self.leak.get_or_insert_with(|| leak(event)),
            Builtin::Secret => *self.secret.get_or_insert_with(|| secret(event)),
            Builtin::PersonalDataInError => self.personal(event).in_error,
            Builtin::PersonalDataInUrl => self.personal(event).in_url,
            Builtin::SecretInUrl => self.personal(event).secret_in_url,
        }
    }

    fn personal(&mut self, event: &Event) -> Personal {
        *self.personal.get_or_insert_with(|| Personal::of(event))
    }
}

/// Every detector over every input, in one pass.
fn attacks(
    event: &Event,
    quiet: &mut Quiet,
    trusted: &[bool],
    unread_bytes: &mut usize,
) -> [Option<Detection>; DETECTORS] {
    let mut attacks = [None; DETECTORS];
    let mut left = MAX_READ_BYTES;
    for (number, value) in event.values().enumerate() {
        let Some(place) = value.place.filter(|_| value.fields.has(&Field::Input)) else { continue };
        let is_trusted = trusted.get(number).copied().unwrap_or_default();
        if is_trusted || value.is_plain {
            continue;
        }
        if value.bytes.len() <= MAX_PLAIN_BYTES && Clues::of(value.bytes).is_within(PLAIN) {
            continue;
        }
        let digest = quiet.digest(&value);
        if digest.is_some_and(|digest| quiet.has(digest)) {
            continue;
        }
        // Only what detectors read costs something: identifiers and words of a large body do not keep
        // them from the rest.
        let read = value.bytes.get(..left).unwrap_or(value.bytes);
        left -= read.len();
        *unread_bytes = unread_bytes.saturating_add(value.bytes.len() - read.len());
        // What was read in part says nothing of the whole.
        let digest = digest.filter(|_| read.len() == value.bytes.len());
        let clues = Clues::of(read);
        let mut is_quiet = true;
        let name = std::str::from_utf8(value.name).ok().filter(|name| !name.is_empty());
        let subject = Subject { bytes: read, place, name, steps: value.steps, clues };
        for detector in Detector::that_may_find(&subject) {
            let Some(found) = attacks.get_mut(*detector as usize) else { continue };
            let Some(paranoia) = detector.suspicion(&subject) else { continue };
            is_quiet = false;
            if found.is_none_or(|known: Detection| paranoia < known.paranoia) {
                *found = Some(Detection { paranoia, value: number });
            }
        }
        if let Some(digest) = digest.filter(|_| is_quiet) {
            quiet.add(digest);
        }
    }
    attacks
}

/// Traces and messages before names of products: most servers tell their version, which is known and
/// seldom changed, and a trace behind that must not be missed.
fn leak(event: &Event) -> Option<Detection> {
    let mut values = event.values().enumerate();
    let trace = values.find(|(_, value)| {
        let mut leaks = false;
        if value.fields.has(&RESPONSE_BODY) {
            // Names and versions of products stand in ordinary texts as well.
            secrets::leaks(value.bytes, &mut |found| {
                leaks |= found.leak != secrets::Leak::Banner;
            });
        }
        leaks
    });
    if let Some((value, _)) = trace {
        return Some(Detection { paranoia: 1, value });
    }
    let banner = event.values().position(|value| {
        value.header == Some(Side::Response)
            && std::str::from_utf8(value.name)
                .is_ok_and(|name| secrets::is_banner(name, value.bytes))
    });
    banner.map(|value| Detection { paranoia: 2, value })
}

impl Personal {
    fn of(event: &Event) -> Self {
        let mut personal = Self::default();
        let is_error = event.is_error();
        for (number, value) in event.values().enumerate() {
            let is_url =
                matches!(value.place, Some(Place::Path | Place::PathSegment | Place::QueryValue));
            if !(is_url || is_error && value.fields.has(&RESPONSE_BODY)) {
                continue;
            }
            scan(value, &mut |class| {
                let place = match (class, is_url) {
                    (Class::PrivateKey, _) | (Class::JsonWebToken | Class::BearerToken, false) => {
                        return;
                    }
                    (Class::JsonWebToken | Class::BearerToken, true) => &mut personal.secret_in_url,
                    // A company is no person, and its number stands in paths by contract.
                    (Class::Cnpj, _) => return,
                    (_, true) => &mut personal.in_url,
                    (_, false) => &mut personal.in_error,
                };
                // Those of companies are told on purpose: `call us at …`.
                let is_contact = matches!(class, Class::Email | Class::Phone);
                let paranoia = if is_contact { 2 } else { 1 };
                if place.is_none_or(|known| paranoia < known.paranoia) {
                    *place = Some(Detection { paranoia, value: number });
                }
            });
        }
        personal
    }
}

fn secret(event: &Event) -> Option<Detection> {
    let is_error = event.is_error();
    // Nearly no call has what a key begins with.
    if !is_error && !event.has_run_of_hyphens() {
        return None;
    }
    let found = event.values().enumerate().find(|(_, value)| {
        let is_error = is_error && value.fields.has(&RESPONSE_BODY);
        let mut is_secret = false;
        scan(*value, &mut |class| {
            let is_token = matches!(class, Class::JsonWebToken | Class::BearerToken);
            is_secret |= class == Class::PrivateKey || is_token && is_error;
        });
        is_secret
    });
    found.map(|(value, _)| Detection { paranoia: 1, value })
}

fn scan(value: Value<'_>, each: &mut dyn FnMut(Class)) {
    let name = std::str::from_utf8(value.name).ok().filter(|name| !name.is_empty());
    personal::scan(value.bytes, name, &mut |found| each(found.class));
}

const RESPONSE_BODY: Field = Field::Body(Side::Response, Body::Content);

/// What identifiers, dates, numbers and words are of: no attack is, unless it is long.
const PLAIN: Clues = Clues::these(b"-0");

/// Bytes of all values of a call that detectors read, each form counted: some milliseconds, whatever an
/// enemy sends. What stands behind is found by the literals of rules only, and is counted.
const MAX_READ_BYTES: usize = 64 << 10;

/// Serialised objects and scripts in base64 are longer.
const MAX_PLAIN_BYTES: usize = 40;

const DETECTORS: usize = Detector::ALL.len();

const OF_DATA: &[(&str, Builtin)] = &[
    ("leak", Builtin::Leak),
    ("personal_data_in_error", Builtin::PersonalDataInError),
    ("personal_data_in_url", Builtin::PersonalDataInUrl),
    ("secret", Builtin::Secret),
    ("secret_in_url", Builtin::SecretInUrl),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_leads_to_its_matcher() {
        for name in Builtin::names() {
            assert!(Builtin::of_name(name).is_some(), "{name}");
        }
        assert_eq!(Builtin::of_name("sql"), None);
        for (place, detector) in Detector::ALL.iter().enumerate() {
            assert_eq!(*detector as usize, place, "attacks are found by the places of detectors");
        }
    }
}
