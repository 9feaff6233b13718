//! A node whose calls and programs a test plays.

use std::sync::Arc;

use jiff::Timestamp;
use mop_contract::json::Reader;
use mop_insight::data::{
    funnel::{
        ConsentDigest, Funnel, FunnelOptions, FunnelRecord, FunnelRules, HookRefusal, HookStep,
        Side, Step, info::AdditionalInfo, prevalidate::prevalidate, snapshot::Snapshot,
    },
    signal::{Act, Grant, Parties, Signal, TokenKind},
};
use mop_wire::Role;

pub(crate) const START: i64 = 1_767_600_000;
pub(crate) const CONSENT: &str = "urn:insurer:C1DD33123";
pub(crate) const DATA: &[&str] = &["CUSTOMERS_PERSONAL_IDENTIFICATIONS_READ", "RESOURCES_READ"];
pub(crate) const POST_SALE: &[&str] = &["ENDORSEMENT_REQUEST_CREATE"];
pub(crate) const QUOTE: &[&str] = &["QUOTE_AUTO_READ", "QUOTE_AUTO_CREATE", "QUOTE_AUTO_UPDATE"];

pub(crate) struct World {
    pub(crate) funnel: Funnel,
    pub(crate) records: Vec<FunnelRecord>,
    exchanges: u32,
}

impl World {
    pub(crate) fn new(options: FunnelOptions) -> Self {
        let rules = Arc::new(FunnelRules::published().unwrap());
        let funnel = Funnel::new(rules, options, Box::new(digest));
        Self { funnel, records: Vec::new(), exchanges: 0 }
    }

    /// A call at a second after the start.
    pub(crate) fn call(&mut self, role: Role, at: i64, act: Act) {
        self.exchanges += 1;
        let exchange = format!("exchange-{}", self.exchanges);
        self.funnel.observe(&signal(CONSENT, role, at, &exchange, act));
    }

    pub(crate) fn told(&mut self, side: Side, at: i64, step: Step) -> Result<(), HookRefusal> {
        self.told_with(side, at, step, AdditionalInfo::default())
    }

    pub(crate) fn told_with(
        &mut self,
        side: Side,
        at: i64,
        step: Step,
        info: AdditionalInfo,
    ) -> Result<(), HookRefusal> {
        let (consent, at) = (CONSENT.to_owned(), time(at));
        self.funnel.hook(HookStep { consent, side, step, at, info })
    }

    pub(crate) fn advance(&mut self, at: i64) {
        self.records.extend(self.funnel.advance(time(at)));
    }

    /// Names and seconds after the start of what one side reported.
    pub(crate) fn reported(&self, side: Side) -> Vec<(&'static str, i64)> {
        let mine = self.records.iter().filter(|record| record.side == side);
        mine.map(|record| (record.event.step.name(), second(record) - START)).collect()
    }

    pub(crate) fn names(&self, side: Side) -> Vec<&'static str> {
        self.reported(side).into_iter().map(|(name, _)| name).collect()
    }

    /// Stops the program and starts it again.
    pub(crate) fn restart(&mut self, options: FunnelOptions) {
        let bytes = self.funnel.snapshot().write().unwrap();
        let rules = Arc::new(FunnelRules::published().unwrap());
        let snapshot = Snapshot::parse(&bytes).unwrap();
        self.funnel = Funnel::restore(rules, options, Box::new(digest), snapshot).unwrap();
    }

    /// `proposed = reported + known + unreported + held`.
    pub(crate) fn check_books(&self) {
        let counts = self.funnel.counts();
        let unreported: u64 = counts.unreported.values().sum();
        let sum = counts.reported + counts.known + unreported + self.funnel.held() as u64;
        assert_eq!(counts.proposed, sum, "{counts:?}");
        assert_eq!(counts.reported, self.records.len() as u64);
        assert_eq!(counts.reported, counts.by_step.values().sum::<u64>());
        let rules = FunnelRules::published().unwrap();
        for record in &self.records {
            let bytes = serde_json::to_vec(&record.event).unwrap();
            let mut reader = Reader::default();
            let event = reader.read(&bytes).unwrap();
            let breaches = prevalidate(event.root(), record.funnel, record.side, &rules);
            assert_eq!(breaches, [], "{:?}", record.event);
        }
    }
}

pub(crate) fn signal(consent: &str, role: Role, at: i64, exchange: &str, act: Act) -> Signal {
    Signal {
        consent: consent.to_owned(),
        at: time(at),
        role,
        exchange: exchange.into(),
        parties: Parties {
            client_organisation: Some("1fb79963-4bff-4204-9370-93aceb8a2f0d".into()),
            client_software_statement: Some("2a59c2a3-529f-41c6-97e3-77395e9951ca".into()),
            server_organisation: Some("ff66b95a-d817-4fbe-949a-c5912e240189".into()),
            server_authorisation_server: Some("f8cd7b48-197d-419b-8680-f42226111b6f".into()),
        },
        act,
    }
}

pub(crate) fn created(permissions: &[&str]) -> Act {
    let permissions = permissions.iter().map(|name| (*name).to_owned()).collect();
    Act::ConsentCreated { permissions, expires: Some(time(1_000_000)), version: 3 }
}

pub(crate) fn read(status: &str, rejected_by: Option<&str>, code: Option<&str>) -> Act {
    Act::ConsentRead {
        status: status.to_owned(),
        permissions: DATA.iter().map(|name| (*name).to_owned()).collect(),
        expires: None,
        rejected_by: rejected_by.map(str::to_owned),
        rejection_code: code.map(str::to_owned),
    }
}

pub(crate) const TOKEN: Act = Act::TokenIssued(Grant::AuthorizationCode);
pub(crate) const REFRESH: Act = Act::TokenIssued(Grant::RefreshToken);
pub(crate) const ACCESS: Act = Act::ResourceAccessed { token: TokenKind::Consent };

/// A time, in seconds after the start.
pub(crate) fn time(at: i64) -> Timestamp {
    Timestamp::from_second(START + at).unwrap()
}

pub(crate) fn second(record: &FunnelRecord) -> i64 {
    record.event.timestamp.parse::<Timestamp>().unwrap().as_second()
}

/// No secret is needed here: FNV-1a.
pub(crate) fn digest(consent: &str) -> ConsentDigest {
    let hash = consent.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&hash.to_be_bytes());
    bytes[8..].copy_from_slice(&hash.rotate_left(32).to_be_bytes());
    ConsentDigest(bytes)
}
