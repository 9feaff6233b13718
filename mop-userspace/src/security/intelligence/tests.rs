//! Sources of every kind, generations, and what is fetched.
#![allow(clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use super::{
    configuration::{SourceFormat, SourceSection},
    load::load,
    *,
};
use crate::{
    configuration::Problem,
    sinks::http::{
        Client, Reach,
        stub::{Received, Stub},
    },
};

const NOW: i64 = 1_795_520_690;

fn source(name: &str, format: SourceFormat, path: &Path) -> SourceSection {
    SourceSection {
        name: name.to_owned(),
        path: Some(path.to_owned()),
        format,
        ..SourceSection::default()
    }
}

fn event(uuid: &str, address: &str) -> String {
    format!(
        r#"{{"Event":{{"uuid":"{uuid}","timestamp":"{NOW}","Attribute":[
        {{"type":"ip-src","value":"{address}","to_ids":true,"timestamp":"{NOW}"}}]}}}}"#
    )
}

const FIRST: &str = "00000000-0000-4000-8000-000000000001";
const SECOND: &str = "00000000-0000-4000-8000-000000000002";

#[test]
fn sources_of_every_format_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str| folder.path().join(name);
    fs::create_dir(place("feed")).expect("made");
    fs::write(place("feed/manifest.json"), "{}").expect("x");
    fs::write(place("feed/hashes.csv"), "").expect("x");
    fs::write(place(&format!("feed/{FIRST}.json")), event(FIRST, "198.51.100.1")).expect("x");
    fs::write(place("kunai.jsonl"), r#"{"value":"bad.example","severity":8}"#).expect("x");
    fs::write(place("list.csv"), "value,type\n198.51.100.3,ip-src\nx,sha512\n").expect("x");
    fs::write(place("list.txt"), "# names\nhxxp://evil[.]example/a\n\u{1}\n").expect("x");
    fs::create_dir_all(place("lists/cloud")).expect("made");
    let list = r#"{"type":"cidr","list":["198.51.100.0/24"]}"#;
    fs::write(place("lists/cloud/list.json"), list).expect("x");
    let configuration = IntelligenceConfiguration {
        warninglists: Some(place("lists")),
        sources: vec![
            source("feed", SourceFormat::Misp, &place("feed")),
            source("kunai", SourceFormat::Kunai, &place("kunai.jsonl")),
            source("csv", SourceFormat::Csv, &place("list.csv")),
            source("text", SourceFormat::Freetext, &place("list.txt")),
        ],
        ..IntelligenceConfiguration::default()
    };
    let mut problems: Vec<Problem> = Vec::new();
    configuration.check(&mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    let loaded = load(&configuration, NOW).expect("good sources");
    assert_eq!(loaded.store.counts().taken, 4);
    assert_eq!(loaded.store.counts().warned, 2);
    let known = |value: &str| commands::look_up(&loaded.store, value, NOW);
    let found = known("198.51.100.1");
    assert_eq!(found.len(), 1);
    let origin = loaded.store.origin(found[0].id).expect("there");
    assert_eq!(
        (origin.source, origin.event.expect("an event").to_string().as_str()),
        ("feed", FIRST)
    );
    assert_eq!(found[0].confidence, 35, "half of 70, since a list warns of it");
    assert_eq!(known("hxxps://www[.]bad.example/x").len(), 1, "a name below one that is known");
    assert_eq!(known("evil.example/a").len(), 1);
    assert!(known("good.example").is_empty() && known("203.0.113.9").is_empty());
    let of = |name: &str| loaded.sources.iter().find(|it| it.name == name).expect("there");
    assert_eq!(of("csv").unknown_types, 1);
    assert_eq!(of("text").first_unreadable.as_deref(), Some("list.txt:3"));
}

#[test]
fn a_bad_source_is_refused_with_its_place_and_without_its_values() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("feed.json");
    fs::write(&file, "{\"Event\": hunter2").expect("x");
    let configuration = IntelligenceConfiguration {
        sources: vec![source("feed", SourceFormat::Misp, &file)],
        ..IntelligenceConfiguration::default()
    };
    let failure = load(&configuration, NOW).err().expect("a bad source").to_string();
    assert!(failure.contains("feed.json: line 1") && !failure.contains("hunter2"), "{failure}");
    fs::remove_file(&file).expect("x");
    assert!(load(&configuration, NOW).is_err(), "a local source that is gone");
}

#[test]
fn what_makes_no_sense_is_said() {
    let problems = |change: fn(&mut IntelligenceConfiguration)| {
        let mut configuration = IntelligenceConfiguration {
            sources: vec![source("feed", SourceFormat::Misp, Path::new("/feed"))],
            ..IntelligenceConfiguration::default()
        };
        change(&mut configuration);
        let mut problems = Vec::new();
        configuration.check(&mut problems);
        problems.len()
    };
    assert_eq!(problems(|_| {}), 0);
    assert_eq!(problems(|it| it.refresh = std::time::Duration::from_secs(1)), 1);
    assert_eq!(problems(|it| it.warned_percent = 101), 1);
    assert_eq!(problems(|it| it.decay.speed = 0.0), 1);
    assert_eq!(problems(|it| it.sources[0].name = "../x".to_owned()), 1);
    assert_eq!(problems(|it| it.sources.push(it.sources[0].clone())), 1);
    assert_eq!(problems(|it| it.sources[0].path = None), 1);
    let remote = |it: &mut IntelligenceConfiguration, url: &str| {
        it.sources[0].path = None;
        it.sources[0].url = Some(url.to_owned());
    };
    assert_eq!(remote_problems(remote, "https://feed.example/manifest.json", true), 0);
    assert_eq!(remote_problems(remote, "https://feed.example/manifest.json", false), 1);
    assert_eq!(remote_problems(remote, "http://feed.example/manifest.json", true), 1);
}

fn remote_problems(
    remote: impl Fn(&mut IntelligenceConfiguration, &str),
    url: &str,
    has_folder: bool,
) -> usize {
    let mut configuration = IntelligenceConfiguration {
        folder: has_folder.then(|| "/var/lib/mop/indicators".into()),
        sources: vec![source("feed", SourceFormat::Misp, Path::new("/feed"))],
        ..IntelligenceConfiguration::default()
    };
    remote(&mut configuration, url);
    let mut problems = Vec::new();
    configuration.check(&mut problems);
    problems.len()
}

#[test]
fn a_generation_replaces_another_and_a_bad_one_does_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("list.txt");
    fs::write(&file, "198.51.100.1\n").expect("x");
    let configuration = IntelligenceConfiguration {
        sources: vec![source("list", SourceFormat::Freetext, &file)],
        ..IntelligenceConfiguration::default()
    };
    let mut indicators = Indicators::open(&configuration).expect("good");
    indicators.watch().expect("a thread");
    let stores = indicators.stores();
    let first = stores.current();
    let until = |is_so: &dyn Fn() -> bool| {
        let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !is_so() && std::time::Instant::now() < end {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        assert!(is_so());
    };
    fs::write(&file, "198.51.100.1\n198.51.100.2\n").expect("x");
    until(&|| stores.generation() == 1);
    assert_eq!((first.counts().taken, stores.current().counts().taken), (1, 2));
    fs::write(&file, [0xff, 0xfe, 0x00]).expect("x");
    until(&|| stores.refusals() == 1);
    assert_eq!((stores.generation(), stores.current().counts().taken), (1, 2));
    indicators.stop().expect("it ends");
}

/// A feed of MISP on loopback: files by path, each with its tag.
struct Remote {
    files: Mutex<Vec<(String, String)>>,
}

impl Remote {
    fn put(&self, path: &str, content: &str) {
        let mut files = self.files.lock().expect("not poisoned");
        files.retain(|(it, _)| it != path);
        files.push((path.to_owned(), content.to_owned()));
    }

    fn answer(&self, asked: &Received) -> (u16, Vec<(&'static str, String)>, String) {
        let files = self.files.lock().expect("not poisoned");
        let Some((_, content)) = files.iter().find(|(path, _)| *path == asked.path) else {
            return (404, Vec::new(), String::new());
        };
        let etag = format!("\"{}\"", content.len());
        let is_known = asked.headers.get("if-none-match").is_some_and(|it| it == etag.as_str());
        match is_known {
            true => (304, Vec::new(), String::new()),
            false => (200, vec![("etag", etag)], content.clone()),
        }
    }
}

#[tokio::test]
async fn a_remote_feed_is_copied_once_and_then_by_what_is_new() {
    let remote = Arc::new(Remote { files: Mutex::default() });
    let served = Arc::clone(&remote);
    let stub = Stub::start(Box::new(move |asked| Some(served.answer(asked)))).await;
    let folder = tempfile::tempdir().expect("a folder");
    let configuration = IntelligenceConfiguration {
        folder: Some(folder.path().to_owned()),
        sources: vec![SourceSection {
            name: "remote".to_owned(),
            url: Some(stub.url("/feed/manifest.json")),
            ..SourceSection::default()
        }],
        ..IntelligenceConfiguration::default()
    };
    let source = &configuration.sources[0];
    let second = std::time::Duration::from_secs(5);
    let reach =
        Reach { ca_file: None, proxy: None, connect_timeout: second, request_timeout: second };
    let client = Client::new(reach).expect("a client");
    let types = mop_insight::security::intelligence::read::accepted::AcceptedTypes::published();
    let types = types.expect("a table");
    let reader = load::reader(source, &types, NOW);
    let copies = copies::Copies::of(folder.path(), "remote");
    let look = || copies.refresh(source, &client, &reader);
    let taken = || load(&configuration, NOW).expect("good copies").store.counts().taken;

    assert!(look().await.is_err(), "there is none yet");
    assert_eq!(taken(), 0);
    let index = |events: &[(&str, i64)]| {
        let events = events.iter().map(|(it, at)| format!(r#""{it}":{{"timestamp":"{at}"}}"#));
        format!("{{{}}}", events.collect::<Vec<_>>().join(","))
    };
    remote.put("/feed/manifest.json", &index(&[(FIRST, NOW)]));
    remote.put(&format!("/feed/{FIRST}.json"), &event(FIRST, "198.51.100.1"));
    assert_eq!(look().await, Ok(stores::Look::Fetched));
    assert_eq!(taken(), 1);
    let asked = stub.received().len();
    assert_eq!(look().await, Ok(stores::Look::Unchanged));
    assert_eq!(stub.received().len(), asked + 1, "the index alone is asked for");

    // One that the index names and that is not there: nothing is given up, and it is wanted again.
    remote.put("/feed/manifest.json", &index(&[(FIRST, NOW), (SECOND, NOW + 1)]));
    assert!(look().await.is_err());
    assert_eq!(taken(), 1);
    remote.put(&format!("/feed/{SECOND}.json"), &event(SECOND, "198.51.100.2"));
    assert_eq!(look().await, Ok(stores::Look::Fetched));
    assert_eq!(taken(), 2);
    let paths = stub.received().iter().filter(|it| it.path.contains(FIRST)).count();
    assert_eq!(paths, 1, "what has not changed is fetched once");

    // A bad event costs itself alone; one that is no more named goes.
    remote.put("/feed/manifest.json", &index(&[(SECOND, NOW + 20)]));
    remote.put(&format!("/feed/{SECOND}.json"), "{");
    assert_eq!(look().await, Ok(stores::Look::Fetched));
    assert_eq!(taken(), 1);
    assert!(!folder.path().join(format!("remote/{FIRST}.json")).exists());
    remote.put("/feed/manifest.json", "no index at all");
    assert!(look().await.is_err());
    assert_eq!(taken(), 1, "what was there is still there");
}
