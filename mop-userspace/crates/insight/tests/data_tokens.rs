//! The store of tokens against a model that forgets nothing and has no order, and the queue of
//! those that wait.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use mop_insight::data::{
    consent::ConsentId,
    consent_join::JoinQueue,
    digest::{Digest, Key, Subject},
    tokens::{Belonging, Handle, Known, Lesson, Need, Source, Taught, TokenStore},
};
use proptest::prelude::*;

const DIGESTS: u8 = 12;

#[derive(Clone, Debug)]
enum Step {
    /// From, what it says, what is learnt.
    Learn(Vec<u8>, Option<u8>, Vec<(u8, u8, i64)>),
    Revoke(u8),
    Advance(i64),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let digest = 0..DIGESTS;
    let handle = (0..DIGESTS, 0_u8..3, 1_i64..100);
    let learn = (
        prop::collection::vec(digest.clone(), 0..3),
        prop::option::weighted(0.4, 0_u8..5),
        prop::collection::vec(handle, 1..4),
    );
    prop::collection::vec(
        prop_oneof![
            6 => learn.prop_map(|(from, says, handles)| Step::Learn(from, says, handles)),
            1 => digest.prop_map(Step::Revoke),
            2 => (1_i64..40).prop_map(Step::Advance),
            1 => Just(Step::Restart),
        ],
        1..60,
    )
}

fn key() -> Key {
    Key::new([3; 32])
}

fn digest(number: u8) -> Digest {
    key().digest(Subject::Token, &[number])
}

/// 0 is the client itself, 1 and 2 are consents, 3 and 4 the same ones as a hint.
fn belonging(number: u8) -> Belonging {
    let consent = |number: u8| ConsentId::parse(&format!("urn:a:{number}")).unwrap();
    match number {
        0 => Belonging::Client,
        1 | 2 => Belonging::Consent(consent(number), Source::Flow),
        hint => Belonging::Consent(consent(hint - 2), Source::Claims),
    }
}

fn need(number: u8) -> Need {
    [Need::Flow, Need::Access, Need::Refresh][usize::from(number)]
}

/// What the model knows of a digest: to what it belongs, unless several claim it, and its end.
type Model = BTreeMap<u8, (Option<u8>, i64)>;

fn same(one: u8, two: u8) -> bool {
    belonging(one).is_same(&belonging(two))
}

fn model_learn(
    model: &mut Model,
    from: &[u8],
    says: Option<u8>,
    handles: &[(u8, u8, i64)],
    now: i64,
) {
    let known: Vec<u8> = from
        .iter()
        .filter_map(|digest| model.get(digest))
        .filter(|(_, expires)| *expires > now)
        .filter_map(|(belonging, _)| *belonging)
        .collect();
    let learnt = match (says, known.first()) {
        (Some(says), _) => says,
        (None, Some(first)) if known.iter().all(|other| same(*first, *other)) => *first,
        _ => return,
    };
    for (digest, _, lasts) in handles {
        let is_hint = |number: u8| number > 2;
        let entry = model.entry(*digest).or_insert((Some(learnt), now + lasts));
        entry.1 = entry.1.max(now + lasts);
        entry.0 = match entry.0 {
            None => None,
            Some(old) if is_hint(old) => Some(learnt),
            Some(old) if is_hint(learnt) || same(old, learnt) => Some(old),
            Some(_) => None,
        };
    }
}

proptest! {
    /// With room for all, the store knows what the model knows.
    #[test]
    fn the_store_knows_what_the_model_knows(steps in steps()) {
        let mut store = TokenStore::new(1000);
        let mut model = Model::new();
        let mut now = 1_000;
        for step in steps {
            let at = Timestamp::from_second(now).unwrap();
            match step {
                Step::Learn(from, says, handles) => {
                    let lesson = Lesson {
                        from: from.iter().map(|number| digest(*number)).collect(),
                        says: says.map(belonging),
                        handles: handles
                            .iter()
                            .map(|(number, kind, lasts)| Handle {
                                digest: digest(*number),
                                need: need(*kind),
                                expires_s: now + lasts,
                            })
                            .collect(),
                        revoked: Vec::new(),
                    };
                    store.learn(&lesson, at);
                    model_learn(&mut model, &from, says, &handles, now);
                }
                Step::Revoke(number) => {
                    store.learn(&Lesson { revoked: vec![digest(number)], ..Lesson::default() }, at);
                    model.remove(&number);
                }
                Step::Advance(seconds) => {
                    now += seconds;
                    store.advance(Timestamp::from_second(now).unwrap());
                    model.retain(|_, (_, expires)| *expires > now);
                }
                Step::Restart => {
                    let bytes = store.snapshot(&key());
                    store = TokenStore::restore(&bytes, &key(), 1000, at).unwrap();
                    prop_assert_eq!(store.snapshot(&key()), bytes);
                }
            }
            let at = Timestamp::from_second(now).unwrap();
            for number in 0..DIGESTS {
                let expected = model.get(&number).filter(|(_, expires)| *expires > now);
                let found = store.find(digest(number), at);
                match expected {
                    None => prop_assert_eq!(found, Known::Unknown),
                    Some((None, _)) => prop_assert_eq!(found, Known::Ambiguous),
                    Some((Some(known), _)) => {
                        prop_assert_eq!(found, Known::Belongs(&belonging(*known)));
                    }
                }
            }
            prop_assert_eq!(store.len(), model.len());
        }
    }

    /// Without room, what is needed least goes: never a refresh token while there is an access
    /// token, and nothing that is learnt is not counted.
    #[test]
    fn what_is_needed_least_goes_first(
        handles in prop::collection::vec((0_u8..3, 1_i64..100), 1..60),
        limit in 1_usize..10,
    ) {
        let mut store = TokenStore::new(limit);
        let at = Timestamp::from_second(1_000).unwrap();
        let mut all: BTreeMap<Digest, (Need, i64)> = BTreeMap::new();
        for (number, (kind, lasts)) in handles.iter().enumerate() {
            let handle = Handle {
                digest: digest(number as u8),
                need: need(*kind),
                expires_s: 1_000 + lasts,
            };
            all.insert(handle.digest, (handle.need, handle.expires_s));
            let lesson = Lesson {
                says: Some(belonging(1)),
                handles: vec![handle],
                ..Lesson::default()
            };
            prop_assert_eq!(store.learn(&lesson, at), Taught::Learnt(vec![handle.digest]));
            prop_assert!(store.len() <= limit);
            // What was just learnt stays, even where it is the least.
            prop_assert!(store.find(handle.digest, at) != Known::Unknown);
        }
        prop_assert_eq!(store.counts.learnt, handles.len() as u64);
        prop_assert_eq!(store.counts.evicted as usize + store.len(), handles.len());
        let kept = |digest: &Digest| store.find(*digest, at) != Known::Unknown;
        let refresh = all.values().filter(|(need, _)| *need == Need::Refresh).count();
        let kept_refresh =
            all.iter().filter(|(digest, (need, _))| *need == Need::Refresh && kept(digest)).count();
        // One place may be taken by what came last.
        prop_assert!(kept_refresh + 1 >= refresh.min(limit), "{kept_refresh} of {refresh}");
    }

    /// The queue gives everything out once: released, due or displaced.
    #[test]
    fn the_queue_gives_everything_out_once(
        items in prop::collection::vec((prop::collection::vec(0_u8..4, 0..3), 0_i64..20), 1..30),
        released in prop::collection::vec(0_u8..4, 0..6),
        limit in 1_usize..40,
    ) {
        let mut queue = JoinQueue::new(limit);
        let mut out = BTreeSet::new();
        let second = |seconds| Timestamp::from_second(seconds).unwrap();
        for (number, (digests, due)) in items.iter().enumerate() {
            let digests = digests.iter().map(|number| digest(*number)).collect();
            if let Some(displaced) = queue.hold(number, digests, second(*due)) {
                prop_assert!(out.insert(displaced));
            }
            prop_assert!(queue.len() <= limit);
        }
        for number in released {
            for item in queue.release(digest(number)) {
                prop_assert!(items[item].0.contains(&number));
                prop_assert!(out.insert(item));
            }
            prop_assert!(queue.release(digest(number)).is_empty());
        }
        while let Some(item) = queue.take_due(second(10)) {
            prop_assert!(items[item].1 <= 10);
            prop_assert!(out.insert(item));
        }
        while let Some(item) = queue.take_first() {
            prop_assert!(items[item].1 > 10);
            prop_assert!(out.insert(item));
        }
        prop_assert_eq!(out.len(), items.len());
        prop_assert!(queue.is_empty());
    }
}
