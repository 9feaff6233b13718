//! The store finds what a search through all indicators finds; readers bear any bytes.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use mop_insight::security::intelligence::{
    decay::Decay,
    indicator::{Indicator, Network, Value},
    read::{FeedReader, Manifest, PlainOptions, accepted::AcceptedTypes},
    store::{Match, Store, StoreBuilder, StoreOptions, texts::HashKey},
    value::{self, Form, refang},
    warninglist::WarninglistsBuilder,
};
use proptest::{collection::vec, prelude::*, sample::select};

const KEY: HashKey = HashKey::new([9; 16]);

/// Indicators that are given by their place: `source` is it.
fn store(values: &[Value]) -> Store {
    let options = StoreOptions { decay: Decay::default(), warned_percent: 50, key: KEY };
    let mut builder = StoreBuilder::new(options, WarninglistsBuilder::default().build(KEY));
    for (place, value) in values.iter().enumerate() {
        builder.add(&Indicator {
            value: value.clone(),
            source: place.to_string().into(),
            event: None,
            confidence: 100,
            last_seen: 0,
            expires: None,
        });
    }
    builder.build()
}

fn places(store: &Store, found: &[Match]) -> Vec<usize> {
    let place = |it: &Match| store.origin(it.id).unwrap().source.parse().unwrap();
    let mut places: Vec<usize> = found.iter().map(place).collect();
    places.sort_unstable();
    places
}

fn expected(values: &[Value], is_match: impl Fn(&Value) -> bool) -> Vec<usize> {
    (0..values.len()).filter(|place| is_match(&values[*place])).collect()
}

/// Each once: what a store leaves out of many equal ones is not tested here.
fn distinct(mut values: Vec<Value>) -> Vec<Value> {
    let mut seen = std::collections::HashSet::new();
    values.retain(|it| seen.insert(it.clone()));
    values
}

/// Addresses that are near each other, so that networks hold each other.
fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0_u32..64, 0_u32..4).prop_map(|(low, high)| {
            IpAddr::V4(Ipv4Addr::from_bits(high << 30 | low << 8 | low))
        }),
        (0_u128..64, 0_u128..4).prop_map(|(low, high)| {
            IpAddr::V6(Ipv6Addr::from_bits(high << 126 | low << 60 | low))
        }),
        any::<u32>().prop_map(|it| IpAddr::V4(Ipv4Addr::from_bits(it))),
        any::<u32>().prop_map(|it| IpAddr::V6(Ipv4Addr::from_bits(it).to_ipv6_mapped())),
    ]
}

fn network() -> impl Strategy<Value = Value> {
    (address(), 0_u8..=128).prop_filter_map("a prefix that is too long", |(address, prefix)| {
        Network::new(address, prefix).map(Value::Network)
    })
}

/// Bit by bit, on purpose unlike the store.
fn holds(network: Network, address: IpAddr) -> bool {
    let bits = |it: IpAddr| -> Vec<bool> {
        match it.to_canonical() {
            IpAddr::V4(it) => (0..32).map(|at| it.to_bits() >> (31 - at) & 1 == 1).collect(),
            IpAddr::V6(it) => (0..128).map(|at| it.to_bits() >> (127 - at) & 1 == 1).collect(),
        }
    };
    let (first, address) = (bits(network.first()), bits(address));
    first.len() == address.len()
        && first.iter().zip(&address).take(network.prefix().into()).all(|(a, b)| a == b)
}

fn host() -> impl Strategy<Value = String> {
    vec(select(vec!["a", "b", "ab", "c-d", "example", "com"]), 2..6).prop_map(|it| it.join("."))
}

fn target() -> impl Strategy<Value = String> {
    (vec(select(vec!["a", "b", "login", "x.php"]), 1..4), prop::option::of("[a-c]=[0-2]")).prop_map(
        |(path, query)| match query {
            Some(query) => format!("/{}?{query}", path.join("/")),
            None => format!("/{}", path.join("/")),
        },
    )
}

proptest! {
    #[test]
    fn addresses_are_found_as_in_a_list(
        values in vec(network(), 0..60), wanted in vec(address(), 1..40),
    ) {
        let values = distinct(values);
        let store = store(&values);
        for wanted in wanted {
            let model = expected(&values, |it| {
                matches!(it, Value::Network(network) if holds(*network, wanted))
            });
            prop_assert_eq!(places(&store, &store.address(wanted, 0)), model);
        }
    }

    #[test]
    fn hosts_are_found_as_in_a_list(
        names in vec((host(), any::<bool>()), 0..60), wanted in vec(host(), 1..40),
    ) {
        let form = |is_domain| if is_domain { Form::Domain } else { Form::Hostname };
        let values = names.iter().map(|(name, it)| Value::parse(form(*it), name).unwrap());
        let values = distinct(values.collect());
        let store = store(&values);
        for wanted in wanted {
            let model = expected(&values, |it| match it {
                Value::Domain(name) => {
                    wanted == **name || wanted.ends_with(&format!(".{name}"))
                }
                Value::Hostname(name) => wanted == **name,
                _ => false,
            });
            prop_assert_eq!(places(&store, &store.host(&wanted.to_uppercase(), 0)), model);
        }
    }

    #[test]
    fn urls_and_paths_are_found_as_in_a_list(
        urls in vec((host(), target()), 0..40), paths in vec(target(), 0..40),
        wanted in vec((host(), target()), 1..20),
    ) {
        let url = |(host, target): &(String, String)| {
            Value::parse(Form::Url, &format!("https://{host}{target}")).unwrap()
        };
        let paths = paths.iter().filter_map(|it| Value::parse(Form::Path, it));
        let values = distinct(urls.iter().map(url).chain(paths).collect());
        let store = store(&values);
        for (host, target) in wanted.iter().chain(&urls) {
            let whole = format!("{host}{target}");
            let model = expected(&values, |it| matches!(it, Value::Url(url) if **url == *whole));
            prop_assert_eq!(places(&store, &store.url(host, target, 0)), model);
            let bare = target.split('?').next().unwrap();
            let model = expected(&values, |it| {
                matches!(it, Value::Path(path) if **path == **target || **path == *bare)
            });
            prop_assert_eq!(places(&store, &store.path(target, 0)), model);
        }
    }

    #[test]
    fn user_agents_are_found_as_in_a_list(
        agents in vec("[a-c]{4,6}|mozilla/[a-c]{1,3}|[ab]{33,34}", 0..40),
        wanted in vec("(mozilla/)?[A-Ca-c]{1,40}", 1..30),
    ) {
        let values = agents.iter().map(|it| Value::parse(Form::UserAgent, it).unwrap());
        let values = distinct(values.collect());
        let store = store(&values);
        for wanted in &wanted {
            let lower = wanted.to_lowercase();
            let model = expected(&values, |it| match it {
                Value::UserAgent(text) if text.len() > 32 || text.starts_with("mozilla/") => {
                    **text == *lower
                }
                Value::UserAgent(text) => lower.contains(&**text),
                _ => false,
            });
            prop_assert_eq!(places(&store, &store.user_agent(wanted, 0)), model);
        }
    }

    #[test]
    fn fingerprints_are_found_as_in_a_list(
        fingerprints in vec(vec(0_u8..2, 20), 0..80), wanted in vec(vec(0_u8..2, 20), 1..10),
    ) {
        let array = |bytes: &Vec<u8>| <[u8; 20]>::try_from(bytes.as_slice()).unwrap();
        let values = distinct(fingerprints.iter().map(|it| Value::X509Sha1(array(it))).collect());
        let store = store(&values);
        for wanted in wanted.iter().chain(&fingerprints) {
            let model = expected(&values, |it| *it == Value::X509Sha1(array(wanted)));
            prop_assert_eq!(places(&store, &store.certificate_sha1(&array(wanted), 0)), model);
        }
    }

    #[test]
    fn readers_bear_any_bytes(bytes in vec(any::<u8>(), 0..400)) {
        read_all(&bytes);
    }

    #[test]
    fn readers_bear_damaged_feeds(
        feed in select(FEEDS.to_vec()), at in any::<prop::sample::Index>(),
        byte in any::<u8>(), cut in any::<prop::sample::Index>(), is_cut in any::<bool>(),
    ) {
        let mut bytes = feed.as_bytes().to_vec();
        let place = at.index(bytes.len());
        bytes[place] = byte;
        if is_cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        read_all(&bytes);
    }

    #[test]
    fn texts_of_indicators_bear_anything(text in "(hxxp|http)?(s?://)?[\\PC]{0,80}", other in ".*") {
        for text in [&text, &other] {
            let plain = refang(text);
            let _ = value::url(&plain);
            if let Some(url) = value::url(text) {
                // The form in which it is compared stays as it is.
                prop_assert_eq!(value::url(&url), Some(url));
            }
            let _ = Value::infer(text);
            for form in FORMS {
                let _ = Value::parse(form, text);
            }
            let store = store(&[]);
            prop_assert_eq!(store.host(text, 0), []);
            prop_assert_eq!(store.user_agent(text, 0), []);
        }
    }
}

fn read_all(bytes: &[u8]) {
    let types = AcceptedTypes::published().unwrap();
    let plain = PlainOptions { form: None, confidence: 50 };
    let reader = FeedReader { types: &types, source: "x".into(), read_at: 0, plain };
    for batch in
        [reader.misp(bytes), reader.kunai(bytes), reader.csv(bytes), reader.freetext(bytes)]
    {
        let Ok(batch) = batch else { continue };
        assert_eq!(batch.unreadable == 0, batch.first_unreadable.is_none());
        assert!(batch.indicators.iter().all(|it| it.confidence <= 100));
    }
    let _ = Manifest::parse(bytes);
    let _ = WarninglistsBuilder::default().add(bytes);
}

const FEEDS: [&str; 5] = [
    r#"{"Event":{"uuid":"2ed6657d-e927-568b-95e1-2665a8aea6a2","timestamp":"1795520000","Attribute":[{"type":"domain|ip","value":"bad.example|198.51.100.7","to_ids":true}],"Object":[{"Attribute":[{"type":"text","object_relation":"ja4-fingerprint","value":"t13d1516h2_8daaf6152771_02713d6af862"}]}]}}"#,
    r#"{"response":{"Attribute":[{"type":"url","value":"hxxp://bad[.]example/","to_ids":"1","timestamp":5}]}}"#,
    "type,value,to_ids,date\nip-src,\"198.51.100.7\",0,2026-11-01\nurl,\"a\"\"b\",1,\n",
    "{\"uuid\":\"2ed6657d-e927-568b-95e1-2665a8aea6a2\",\"value\":\"bad.example\",\"severity\":7}\n",
    r#"{"2ed6657d-e927-568b-95e1-2665a8aea6a2":{"timestamp":"1795520000","info":"x"}}"#,
];

const FORMS: [Form; 10] = [
    Form::Address,
    Form::Domain,
    Form::Hostname,
    Form::Ja3,
    Form::Ja4,
    Form::Path,
    Form::Url,
    Form::UserAgent,
    Form::X509Sha1,
    Form::X509Sha256,
];
