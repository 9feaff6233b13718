//! What one call shows by itself, in a worker, where its bytes are: rules that it matches, what it
//! counts for, and indicators that it has to do with. Nothing of its values is in the result.

use std::{fmt, sync::Arc};

use mop_contract::{Contract, route::path_of};
use mop_wire::{Exchange, Role};

use super::{
    finding,
    handshake::Handshake,
    intelligence::{
        indicator::{JA4_BYTES, Kind},
        store::{Match, Store},
    },
    normalise::part,
    rules::{Event, Field, FieldSet, Occurrence, Reading, RuleSet, Scratch, Side, Value},
    trust::Trusted,
};
use crate::{
    data::{
        call::{Call, Observed},
        digest::{Key, Subject},
        endpoint::regulated_path,
    },
    short_text::ShortText,
};

/// Inspects calls one after the other; buffers are kept.
pub struct Inspector {
    rules: Arc<RuleSet>,
    /// Fields that its rules look at.
    wanted: FieldSet,
    key: Key,
    has_direct_clients: bool,
    paranoia: u8,
    reading: Reading,
    scratch: Scratch,
    matched: Vec<usize>,
}

/// What a call shows by itself.
#[derive(Clone, Debug, Default)]
pub struct Inspection {
    /// Rules up to the level of suspicion that it matches.
    pub hits: Vec<Hit>,
    /// What it counts for.
    pub occurrences: Vec<Occurrence>,
    /// Indicators that it has to do with.
    pub known_bad: Vec<KnownBad>,
    /// Template of its operation, where a contract has it.
    pub endpoint: Option<Arc<str>>,
    /// What was not looked at, or is not told.
    pub passed_over: PassedOver,
}

/// What of a call was not looked at, or is not told.
#[derive(Clone, Debug, Default)]
pub struct PassedOver {
    /// Bytes of it that were not looked at.
    pub unscanned_bytes: usize,
    /// Why something of it was not looked at at all, in a word each.
    pub unread: Vec<&'static str>,
    /// Rules above the level of suspicion that it matches.
    pub beyond_paranoia: u64,
}

/// A rule that a call matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Its number in the set.
    pub rule: usize,
    /// Where in the messages; of a rule that is only counted, nothing.
    pub places: Vec<finding::Place>,
}

/// An indicator that a call has to do with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownBad {
    /// What sort of thing it is.
    pub kind: Kind,
    /// Name of the list that has it.
    pub source: Arc<str>,
    /// How sure, from 1 to 100.
    pub confidence: u8,
    /// Where in the call.
    pub place: finding::Place,
}

/// What calls are held against beside rules, and what is known of their connections.
#[derive(Clone, Copy, Default)]
pub struct Against<'a> {
    /// What regulated paths are to be.
    pub contract: Option<&'a Contract>,
    /// What is known to be bad.
    pub indicators: Option<&'a Store>,
    /// What the connection said in its handshake.
    pub handshake: Handshake<'a>,
}

impl Inspector {
    /// With these rules. `key` is that of the digests by which calls are grouped; an address stands for
    /// a client only where clients are direct, and no balancer stands between. Of rules above `paranoia`,
    /// matches are counted, and what correlations count of them.
    #[must_use]
    pub fn new(rules: Arc<RuleSet>, key: Key, has_direct_clients: bool, paranoia: u8) -> Self {
        let wanted = rules.fields();
        Self {
            wanted,
            rules,
            key,
            has_direct_clients,
            paranoia,
            reading: Reading::of(wanted),
            scratch: Scratch::default(),
            matched: Vec::new(),
        }
    }

    /// Other rules from now on.
    pub fn replace_rules(&mut self, rules: Arc<RuleSet>) {
        self.wanted = rules.fields();
        self.reading = Reading::of(self.wanted);
        self.scratch = Scratch::default();
        self.rules = rules;
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// Looks at a call.
    pub fn inspect(
        &mut self,
        exchange: &Exchange,
        call: &Call,
        observed: &Observed<'_>,
        against: Against<'_>,
    ) -> Inspection {
        let Against { contract, indicators, handshake } = against;
        let Self { rules, wanted, key, has_direct_clients, paranoia, reading, scratch, matched } =
            self;
        let (method, target) = match &exchange.request {
            Some(request) => (&*request.method, request.target.as_str()),
            None => ("", ""),
        };
        let route = contract.map(|contract| contract.route(method, target));
        let mut texts = Texts::of(exchange, call, observed, *wanted);
        texts.is_client_direct &= *has_direct_clients;
        let ja3 = handshake.ja3.filter(|_| wanted.has(&Field::Ja3));
        let ja3 = ja3.map(|digest| ShortText::hexadecimal(&digest)).unwrap_or_default();
        reading.begin();
        let mut note = |field: Field, text: &[u8]| {
            if wanted.has(&field) {
                reading.note(&field, text);
            }
        };
        texts.each(&mut note);
        handshake.each(ja3.as_str(), &mut note);
        match &route {
            Some(Ok((route, operation))) => {
                note(Field::ContractMatch, b"operation");
                note(Field::Route, operation.template.as_bytes());
                if let Some(id) = operation.operation_id.as_deref() {
                    note(Field::Operation, id.as_bytes());
                }
                for (_, value) in route.parameters.iter() {
                    note(Field::PathParameters, value.as_bytes());
                }
            }
            Some(Err(why)) if regulated_path(path_of(target)).is_some() => {
                note(Field::ContractMatch, why.name().as_bytes());
            }
            Some(Err(_)) | None => {}
        }
        reading.read(exchange);
        let (event, unread) = reading.last();
        matched.clear();
        scratch.trust(std::iter::empty());
        rules.evaluate(event, scratch, &mut |found| matched.push(found.number));
        if let (Some(contract), Some(Ok((route, operation)))) = (contract, &route)
            && matched.iter().any(|rule| rules.looks_for_attacks(*rule))
        {
            let trusted = Trusted::of(contract, operation, route, exchange);
            scratch.trust(trusted_values(&trusted, event).into_iter());
            matched.clear();
            rules.evaluate(event, scratch, &mut |found| matched.push(found.number));
        }
        let at_ns = u64::try_from(call.start.as_nanosecond()).unwrap_or_default();
        let endpoint = match &route {
            Some(Ok((_, operation))) => Some(Arc::clone(&operation.template)),
            Some(Err(_)) | None => None,
        };
        let mut inspection = Inspection {
            known_bad: indicators
                .map(|store| known_bad(store, exchange, call, observed, &handshake))
                .unwrap_or_default(),
            endpoint,
            passed_over: PassedOver {
                unscanned_bytes: event.unscanned_bytes() + scratch.unread_bytes(),
                unread: unread.collect(),
                beyond_paranoia: 0,
            },
            ..Inspection::default()
        };
        for rule in matched.drain(..) {
            let mut digest = |value: &[u8]| key.digest(Subject::Observed, value);
            rules.occurrences(rule, event, at_ns, &mut digest, &mut |_, occurrence| {
                inspection.occurrences.push(occurrence);
            });
            let Some(known) = rules.rule(rule) else { continue };
            if known.extension.paranoia() > *paranoia {
                inspection.passed_over.beyond_paranoia += 1;
                continue;
            }
            let is_told = !known.is_counted_only();
            let places = if is_told { places(rules, rule, event, scratch) } else { Vec::new() };
            inspection.hits.push(Hit { rule, places });
        }
        inspection
    }
}

impl fmt::Debug for Inspector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Inspector")
    }
}

/// What a call has to do with that is known to be bad: the client and what it says of itself, or the
/// server that is called, and what is asked for.
fn known_bad(
    store: &Store,
    exchange: &Exchange,
    call: &Call,
    observed: &Observed<'_>,
    handshake: &Handshake<'_>,
) -> Vec<KnownBad> {
    let mut found = Vec::new();
    let now = call.start.as_second();
    let mut note = |matches: Vec<Match>, place: finding::Place| {
        for Match { id, kind, confidence } in matches {
            let Some(origin) = store.origin(id) else { continue };
            if found.len() < finding::MAX_ITEMS {
                let source = Arc::from(origin.source);
                found.push(KnownBad { kind, source, confidence, place: place.clone() });
            }
        }
    };
    let whole = finding::Place::whole;
    if let Some(remote) = call.ends.remote {
        note(store.address(remote.ip(), now), whole(finding::Part::Connection));
    }
    if let Some(sha256) = observed.peer_certificate.and_then(|it| it.fingerprint) {
        note(store.certificate_sha256(&sha256, now), whole(finding::Part::Certificate));
    }
    let ja4 = handshake.ja4.and_then(|text| <&[u8; JA4_BYTES]>::try_from(text.as_bytes()).ok());
    if let Some(ja4) = ja4 {
        note(store.ja4(ja4, now), finding::Place::field(finding::Part::Connection, "ja4"));
    }
    if let Some(ja3) = &handshake.ja3 {
        note(store.ja3(ja3, now), finding::Place::field(finding::Part::Connection, "ja3"));
    }
    let Some(request) = &exchange.request else { return found };
    let host = call.host.as_deref().unwrap_or_default();
    let header = |name| finding::Place::field(finding::Part::RequestHeader, name);
    if call.role == Role::Client {
        note(store.host(host, now), header("host"));
    }
    note(store.url(host, &request.target, now), whole(finding::Part::Path));
    note(store.path(&request.target, now), whole(finding::Part::Path));
    if let Some(agent) = request.headers.first("user-agent")
        && let Ok(agent) = std::str::from_utf8(agent)
    {
        note(store.user_agent(agent, now), header("user-agent"));
    }
    found
}

/// What is known of a call beside its messages, as text.
struct Texts<'a> {
    client_address: Option<ShortText>,
    client_certificate: Option<ShortText>,
    client_organisation: Option<&'a str>,
    consent: Option<&'a str>,
    duration_ms: Option<ShortText>,
    server_port: Option<ShortText>,
    request_bytes: Option<ShortText>,
    response_bytes: Option<ShortText>,
    /// The address is that of the client, as far as the call says.
    is_client_direct: bool,
}

impl<'a> Texts<'a> {
    /// Of fields that nobody wants, nothing.
    fn of(exchange: &Exchange, call: &'a Call, observed: &Observed<'_>, wanted: FieldSet) -> Self {
        let (client, server) = match call.role {
            Role::Server => (call.ends.remote, call.ends.local),
            Role::Client => (call.ends.local, call.ends.remote),
        };
        let certificate = match call.role {
            Role::Server => observed.peer_certificate,
            Role::Client => observed.own_certificate,
        };
        let fingerprint = certificate.and_then(|certificate| certificate.fingerprint);
        Self {
            client_address: client
                .filter(|_| wanted.has(&Field::Client) || wanted.has(&Field::ClientAddress))
                .map(|client| ShortText::address(client.ip())),
            client_certificate: fingerprint
                .filter(|_| wanted.has(&Field::Client) || wanted.has(&Field::ClientCertificate))
                .map(|bytes| ShortText::hexadecimal(&bytes)),
            // Who calls from here is this participant, and no caller to be told apart.
            is_client_direct: call.role == Role::Server && !is_forwarded(exchange),
            client_organisation: call.client.as_ref().ok().map(|it| it.organisation.as_str()),
            consent: call.named.as_ref().map(|(consent, _)| consent.as_str()),
            duration_ms: wanted
                .has(&Field::DurationMs)
                .then(|| ShortText::decimal(call.duration_ms())),
            server_port: server
                .filter(|_| wanted.has(&Field::ServerPort))
                .map(|server| ShortText::decimal(server.port().into())),
            request_bytes: exchange
                .request
                .as_ref()
                .filter(|_| wanted.has(&Field::Size(Side::Request)))
                .map(|it| ShortText::decimal(it.body.length)),
            response_bytes: exchange
                .response
                .as_ref()
                .filter(|_| wanted.has(&Field::Size(Side::Response)))
                .map(|it| ShortText::decimal(it.body.length)),
        }
    }

    fn each<'t>(&'t self, give: &mut dyn FnMut(Field, &'t [u8])) {
        let text = |text: &'t Option<ShortText>| text.as_ref().map(ShortText::as_str);
        let address = text(&self.client_address).filter(|_| self.is_client_direct);
        let client = self.client_organisation.or(text(&self.client_certificate)).or(address);
        for (field, text) in [
            (Field::Client, client),
            (Field::ClientAddress, text(&self.client_address)),
            (Field::ClientCertificate, text(&self.client_certificate)),
            (Field::ClientOrganisation, self.client_organisation),
            (Field::Consent, self.consent),
            (Field::DurationMs, text(&self.duration_ms)),
            (Field::ServerPort, text(&self.server_port)),
            (Field::Size(Side::Request), text(&self.request_bytes)),
            (Field::Size(Side::Response), text(&self.response_bytes)),
        ] {
            if let Some(text) = text {
                give(field, text.as_bytes());
            }
        }
    }
}

/// Whether a proxy says that it passes the call on for somebody else.
#[must_use]
pub fn is_forwarded(exchange: &Exchange) -> bool {
    exchange
        .request
        .as_ref()
        .is_some_and(|request| FORWARDED.iter().any(|name| request.headers.first(name).is_some()))
}

/// For each value of an event, whether the contract accounts for what was sent.
fn trusted_values(trusted: &Trusted, event: &Event) -> Vec<bool> {
    let (mut part, mut is_trusted) = (0, false);
    let of_value = event.values().map(|value| {
        if value.part != part {
            part = value.part;
            is_trusted = match value.place {
                Some(part::Place::Path | part::Place::PathSegment) => trusted.has_path(),
                // Only the value as it was sent is what the schema was held against.
                Some(_) => value.steps.is_empty() && trusted.has(value.bytes),
                None => false,
            };
        }
        is_trusted
    });
    of_value.collect()
}

/// Where a rule matched, each place once.
fn places(
    rules: &RuleSet,
    rule: usize,
    event: &Event,
    scratch: &mut Scratch,
) -> Vec<finding::Place> {
    let mut places = Vec::new();
    rules.matched_values(rule, event, scratch, &mut |number| {
        let place = event.get(number).and_then(place_of);
        if let Some(place) = place
            && places.len() < finding::MAX_ITEMS
            && !places.contains(&place)
        {
            places.push(place);
        }
    });
    places
}

fn place_of(value: Value<'_>) -> Option<finding::Place> {
    use part::Place;
    let part = match value.place? {
        Place::Method | Place::Status => return None,
        Place::Body => finding::Part::ResponseBody,
        Place::CookieName | Place::CookieValue => finding::Part::Cookie,
        Place::HeaderName => finding::Part::RequestHeader,
        Place::HeaderValue => match value.header {
            Some(Side::Response) => finding::Part::ResponseHeader,
            Some(Side::Request) | None => finding::Part::RequestHeader,
        },
        Place::FormName
        | Place::FormValue
        | Place::JsonName
        | Place::JsonNumber
        | Place::JsonString
        | Place::MultipartFileName
        | Place::MultipartName
        | Place::MultipartValue
        | Place::Text
        | Place::XmlAttribute
        | Place::XmlMarkup
        | Place::XmlText => finding::Part::RequestBody,
        Place::Path | Place::PathSegment => finding::Part::Path,
        Place::Query | Place::QueryName | Place::QueryValue => finding::Part::Query,
    };
    let name = std::str::from_utf8(value.name).unwrap_or_default();
    Some(match name {
        "" => finding::Place::whole(part),
        name => finding::Place::field(part, name),
    })
}

/// RFC 7239, and what is used beside it.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "true-client-ip"];
