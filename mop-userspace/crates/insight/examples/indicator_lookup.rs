//! What a million indicators weigh and what a lookup of each kind costs.
//!
//! ```text
//! cargo run --release -p mop-insight --example indicator_lookup -- 1000000
//! ```
//!
//! The bar is 200 MiB and 1 µs.
#![expect(clippy::unwrap_used, reason = "a measurement reports by panicking")]

use std::{hint::black_box, net::Ipv4Addr, sync::Arc, time::Instant};

use mop_insight::security::{
    intelligence::{
        decay::Decay,
        indicator::{Indicator, Network, Value},
        store::{Match, Store, StoreBuilder, StoreOptions, texts::HashKey},
        value::Form,
        warninglist::WarninglistsBuilder,
    },
    uuid::Uuid,
};

fn main() {
    let count = std::env::args().nth(1).map_or(1_000_000, |it| it.parse().unwrap());
    let key = HashKey::new([5; 16]);
    let options = StoreOptions { decay: Decay::default(), warned_percent: 25, key };
    let mut builder = StoreBuilder::new(options, WarninglistsBuilder::default().build(key));
    let source: Arc<str> = "example".into();
    let before = resident_kib();
    let begin = Instant::now();
    for number in 0..count {
        builder.add(&Indicator {
            value: value(number),
            source: Arc::clone(&source),
            event: Some(Uuid::from_bytes((u128::from(number) / 100).to_be_bytes())),
            confidence: 80,
            last_seen: 0,
            expires: None,
        });
    }
    let store = builder.build();
    let taken = store.counts().taken;
    println!("indicators: {taken}, built in {:.2?}", begin.elapsed());
    println!("tables: {:.1} MiB", store.bytes() as f64 / f64::from(1 << 20));
    if let (Some(before), Some(after)) = (before, resident_kib()) {
        println!("resident: +{:.1} MiB", after.saturating_sub(before) as f64 / 1024.0);
    }
    let mut order = Order(0x696e_7369_6768_7421);
    let numbers: Vec<u64> = (0..LOOKUPS).map(|_| order.below(count * 2)).collect();
    let hosts: Vec<_> = numbers.iter().map(|it| format!("www.{}", domain(*it))).collect();
    let targets: Vec<_> = numbers.iter().map(|it| target(*it)).collect();
    let agents: Vec<_> =
        numbers.iter().map(|it| format!("Mozilla/5.0 (X11; Linux x86_64) bot{it}x/1.0")).collect();
    let addresses: Vec<_> = numbers.iter().map(|it| address(*it)).collect();
    measure("address", &store, |store, at| store.address(addresses[at].into(), 0));
    measure("host", &store, |store, at| store.host(&hosts[at], 0));
    measure("url", &store, |store, at| store.url(&hosts[at], &targets[at], 0));
    measure("path", &store, |store, at| store.path(&targets[at], 0));
    measure("user agent", &store, |store, at| store.user_agent(&agents[at], 0));
    measure("certificate", &store, |store, at| store.certificate_sha256(&digest(numbers[at]), 0));
}

fn measure(name: &str, store: &Store, look_up: impl Fn(&Store, usize) -> Vec<Match>) {
    let (begin, mut found) = (Instant::now(), 0);
    for at in 0..LOOKUPS {
        found += usize::from(!black_box(look_up(store, at)).is_empty());
    }
    let nanoseconds = begin.elapsed().as_secs_f64() * 1e9 / LOOKUPS as f64;
    println!("{name}: {nanoseconds:.0} ns a lookup, {found} of {LOOKUPS} found");
}

/// A third addresses, a third names, the rest URLs, paths, fingerprints and a few user agents.
fn value(number: u64) -> Value {
    match number % 9 {
        0..3 => Value::Network(Network::new(address(number).into(), 32).unwrap()),
        3..6 => Value::Domain(domain(number).into()),
        6 => Value::parse(Form::Url, &format!("www.{}{}", domain(number), target(number))).unwrap(),
        7 => Value::X509Sha256(digest(number)),
        _ if number < 10_000 => Value::UserAgent(format!("bot{number}x").into()),
        _ => Value::Path(target(number).into()),
    }
}

fn address(number: u64) -> Ipv4Addr {
    Ipv4Addr::from_bits((number as u32).wrapping_mul(2_654_435_761))
}

fn domain(number: u64) -> String {
    format!("host-{number:x}.bad-{:x}.example", number % 1000)
}

fn target(number: u64) -> String {
    format!("/some/path/{number}/login.php")
}

fn digest(number: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    bytes
}

/// Memory that the process has, where the kernel says so.
fn resident_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// xorshift64: only an order in which nothing is near what was before.
struct Order(u64);

impl Order {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound.max(1)
    }
}

const LOOKUPS: usize = 1_000_000;
