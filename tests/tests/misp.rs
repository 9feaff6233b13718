//! Events for MISP, held against MISP's own library.

use std::{fs, net::Ipv4Addr, path::Path, sync::LazyLock};

use anyhow::{Context, Result, ensure};
use mop_insight::data::digest::Key;
use mop_insight::security::{
    finding::{Finding, FindingFacts, Owasp, Reason, Severity},
    misp::{
        event::Organisation,
        feed::{Feed, FeedOptions, Network},
        marking::Marking,
        object::Templates,
        scalar::Distribution,
        tag::{Pap, Rsit, Tlp},
        vocabulary::Vocabulary,
    },
    pseudonym::{Class, Epoch, Pseudonym, Pseudonymiser},
    uuid::Uuid,
};
use mop_tests::{misp_feed_problems, misp_table_problems, skip};

#[test]
fn every_sort_of_event_is_one_for_misp() -> Result<()> {
    const TEST: &str = "every_sort_of_event_is_one_for_misp";
    let folder = tempfile::tempdir()?;
    let mut feed = feed()?;
    for (number, rsit) in (0..).zip(Rsit::ALL) {
        for (tlp, count) in [(None, 1), (Some(Tlp::Red), 20), (Some(Tlp::AmberStrict), 7)] {
            let marking = Marking { rsit: Some(rsit), tlp, ..Marking::default() };
            let finding = finding(&format!("rule_{number}_{count}"), count)?;
            feed.add(&finding, &network(number), &marking, NOW)?;
            feed.add(&finding, &Network::default(), &marking, NOW)?;
            feed.add(&finding, &network(number + 1), &marking, NOW)?;
        }
    }
    write(&feed, folder.path())?;
    let Some(problems) = misp_feed_problems(folder.path())? else {
        skip(TEST, "Python has no pymisp or no jsonschema (cargo xtask setup --with-tests)");
        return Ok(());
    };
    ensure!(problems.is_empty(), "{problems}");
    Ok(())
}

#[test]
fn a_feed_that_is_none_is_told_from_one() -> Result<()> {
    const TEST: &str = "a_feed_that_is_none_is_told_from_one";
    let mut feed = feed()?;
    feed.add(&finding("rule", 1)?, &network(1), &Marking::default(), NOW)?;
    for (from, to, words) in [
        ("\"category\":\"Network activity\"", "\"category\":\"Person\"", "in Person"),
        ("\"template_version\":\"4\"", "\"template_version\":\"3\"", "template_version"),
        ("\"object_relation\":\"ja4-type\"", "\"object_relation\":\"ja4\"", "is not of it"),
        ("\"type\":\"anonymised\"", "\"type\":\"full-name\"", "is personal"),
        ("\"deleted\":false", "\"deleted\":\"0\"", "strict schema"),
        ("\"value\":\"POST\"", "\"value\":\"PUT\"", "missing"),
    ] {
        let folder = tempfile::tempdir()?;
        write(&feed, folder.path())?;
        let event = feed.events().next().context("an event")?.uuid();
        let file = folder.path().join(format!("{event}.json"));
        let written = fs::read_to_string(&file)?;
        ensure!(written.contains(from), "{from}");
        fs::write(&file, written.replacen(from, to, 1))?;
        let Some(problems) = misp_feed_problems(folder.path())? else {
            skip(TEST, "Python has no pymisp or no jsonschema (cargo xtask setup --with-tests)");
            return Ok(());
        };
        ensure!(problems.contains(words), "{to}: {problems}");
    }
    Ok(())
}

#[test]
fn the_tables_say_what_misp_says() -> Result<()> {
    let tables = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/security");
    let Some(problems) = misp_table_problems(&tables)? else {
        skip(
            "the_tables_say_what_misp_says",
            "Python has no pymisp or no jsonschema (cargo xtask setup --with-tests)",
        );
        return Ok(());
    };
    ensure!(problems.is_empty(), "{problems}");
    Ok(())
}

fn feed() -> Result<Feed> {
    let vocabulary = Vocabulary::published()?;
    let templates = Templates::published(&vocabulary)?;
    let organisation = Organisation {
        name: "Seguradora Exemplo".to_owned(),
        uuid: Uuid::parse("2ed6657d-e927-568b-95e1-2665a8aea6a2").context("an identifier")?,
    };
    let options = FeedOptions {
        organisation,
        tlp: Tlp::Amber,
        pap: Pap::Green,
        distribution: Distribution::Community,
    };
    Ok(Feed::new(options, vocabulary, templates))
}

fn finding(rule: &str, count: u64) -> Result<Finding> {
    let facts = FindingFacts {
        rule: rule.to_owned(),
        title: "Códigos são tentados, \"um a um\"".to_owned(),
        severity: Severity::High,
        paranoia: 1,
        owasp: vec![Owasp::Api1, Owasp::Api10],
        fapi: vec!["token-lifetime".to_owned()],
        organisation: Some("00000000-0000-4000-8000-000000000001".to_owned()),
        client_organisation: Some("00000000-0000-4000-8000-000000000002".to_owned()),
        side: None,
        method: Some("POST".to_owned()),
        endpoint: Some("/open-insurance/consents/v3/consents/{consentId}".to_owned()),
        exchange: None,
        places: Vec::new(),
        count,
        first_seen: "2026-11-24T10:00:00.25Z".parse()?,
        last_seen: "2026-11-24T23:59:59Z".parse()?,
        reason: Reason {
            en: "Many are refused.".to_owned(),
            pt: "Muitos são recusados.".to_owned(),
        },
    };
    Ok(Finding::new(facts)?)
}

fn network(number: u8) -> Network<'static> {
    Network {
        client: Some(Ipv4Addr::new(198, 51, 100, number).into()),
        server_port: Some(443),
        ja3: Some([number; 16]),
        ja4: Some("t13d1516h2_8daaf6152771_02713d6af862"),
        certificate: Some([number; 32]),
        user_agent: Some("curl/8.11.0 (x|y)"),
        pseudonyms: PSEUDONYM.as_slice(),
    }
}

fn write(feed: &Feed, folder: &Path) -> Result<()> {
    for file in feed.files() {
        fs::write(folder.join(&file.name), &file.content)?;
    }
    Ok(())
}

static PSEUDONYM: LazyLock<Option<Pseudonym>> = LazyLock::new(|| {
    let epoch = Epoch::of("2026-11-24T10:00:00Z".parse().ok()?);
    Pseudonymiser::new(Key::new([5; 32])).pseudonym(Class::Consent, "urn:mop:c", epoch)
});

/// 2026-11-25.
const NOW: i64 = 1_795_600_000;
