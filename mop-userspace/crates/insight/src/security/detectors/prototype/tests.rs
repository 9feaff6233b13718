use proptest::prelude::*;

use crate::security::{
    detectors::{Clues, Detector, Subject, trial},
    normalise::{part::Place, step::Steps},
};

#[test]
fn attacks_are_told_from_ordinary_text() {
    trial::check(Detector::PrototypePollution, ATTACKS, ORDINARY);
}

#[test]
fn names_are_surer_than_words() {
    let level = |place, value: &str| {
        trial::level(Detector::PrototypePollution, place, None, value.as_bytes())
    };
    assert_eq!(level(Place::JsonName, "prototype"), Some(1));
    assert_eq!(level(Place::JsonName, "constructor"), Some(2));
    assert_eq!(level(Place::JsonString, "prototype"), None);
    assert_eq!(level(Place::JsonString, "constructor"), None);
    let named = trial::level(
        Detector::PrototypePollution,
        Place::QueryValue,
        Some("a[__proto__][b]"),
        b"1",
    );
    assert_eq!(named, Some(1));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "(__|proto|constructor|prototype|[.\\[\\]\"']){0,40}") {
        for bytes in [&bytes[..], text.as_bytes()] {
            let _level = Detector::PrototypePollution.suspicion(&Subject {
                bytes,
                place: Place::JsonName,
                name: None,
                steps: Steps::default(),
                clues: Clues::of(bytes),
            });
        }
    }
}

const ATTACKS: &[&str] = &[
    "__proto__",
    "__PROTO__",
    "__proto__.isAdmin",
    "__proto__[isAdmin]",
    "a[__proto__][b]",
    "a.__proto__.b",
    "x[y][__proto__][z]",
    "[\"__proto__\"]",
    "['__proto__']",
    "{\"__proto__\":{\"isAdmin\":true}}",
    "{\"a\":{\"__proto__\":{\"b\":1}}}",
    "__proto__[test]=1",
    "a=1&__proto__[b]=2",
    "__proto__%5Bb%5D",
    "%5F%5Fproto%5F%5F",
    "%255F%255Fproto%255F%255F",
    "\\u005f\\u005fproto\\u005f\\u005f",
    "__pro__proto__to__",
    "__proto__.__proto__",
    "__proto__.toString",
    "__proto__[toString]",
    "__proto__.polluted",
    "#__proto__[x]=y",
    "?__proto__[x]=y",
    "constructor.prototype",
    "constructor.prototype.isAdmin",
    "constructor[prototype]",
    "constructor[prototype][isAdmin]",
    "[constructor][prototype]",
    "a[constructor][prototype][b]",
    "a.constructor.prototype.b",
    "constructor['prototype']",
    "constructor[\"prototype\"]",
    "{\"constructor\":{\"prototype\":{\"a\":1}}}",
    "{\"constructor\": {\"prototype\": {\"a\":1}}}",
    "Object.prototype",
    "Object.prototype.toString",
    "Array.prototype.map",
    "__defineGetter__",
    "__defineSetter__",
    "__lookupGetter__",
    "__lookupSetter__",
    "a.__defineGetter__('x')",
    "CONSTRUCTOR.PROTOTYPE",
    "X19wcm90b19fW2lzQWRtaW5d",
];

const ORDINARY: &[&str] = &[
    "proto",
    "_proto_",
    "__typename",
    "__v",
    "__id__",
    "prototype",
    "prototypes",
    "The prototype of the car",
    "protótipo",
    "constructor",
    "Constructora S.A.",
    "constructor.name",
    "constructor of the building",
    "constructor: Ana",
    "design.prototype",
    "a.prototype",
    "my[prototype]",
    "\"prototype\"",
    "object",
    "Object",
    "object.type",
    "objects.prototypes",
    "a_b",
    "_",
    "__",
    "___",
    "____proto",
    "snake_case",
    "_links",
    "_id",
    "a[b][c]",
    "filter[name]=x",
    "sort[0]=a",
    "items[0].name",
    "data.items.0",
    "[\"a\",\"b\"]",
    "{\"a\":{\"b\":1}}",
    "array.length",
    "this.is.it",
    "protocol: http",
];
