use proptest::prelude::*;

use crate::security::{
    detectors::{Clues, Detector, Subject, trial},
    normalise::{part::Place, step::Steps},
};

#[test]
fn attacks_are_told_from_ordinary_text() {
    trial::check(Detector::RequestForgery, ATTACKS, ORDINARY);
}

#[test]
fn where_an_address_stands_decides() {
    let level = |place, name, value: &str| {
        trial::level(Detector::RequestForgery, place, Some(name), value.as_bytes())
    };
    assert_eq!(level(Place::HeaderValue, "host", "localhost:8080"), None);
    assert_eq!(level(Place::HeaderValue, "Origin", "http://10.0.0.1"), None);
    assert_eq!(level(Place::HeaderValue, "referer", "http://localhost/x"), None);
    assert_eq!(level(Place::HeaderValue, "x-callback", "http://10.0.0.1"), Some(1));
    assert_eq!(level(Place::QueryValue, "redirect_uri", "http://127.0.0.1:5000/cb"), Some(2));
    assert_eq!(level(Place::JsonString, "ip", "10.0.0.5"), Some(3));
    assert_eq!(level(Place::JsonString, "host", "10.0.0.5:22"), Some(2));
    assert_eq!(level(Place::HeaderValue, "user-agent", "http://10.0.0.1"), Some(1));
    assert_eq!(level(Place::PathSegment, "", "http%3A%2F%2F10.0.0.5%2F"), Some(1));
    assert_eq!(level(Place::PathSegment, "", "10.0.0.5"), Some(3));
    assert_eq!(level(Place::Path, "", "http://10.0.0.5/"), None);
}

#[test]
fn what_development_and_texts_have_is_for_the_strict_levels() {
    let level = |value: &str| {
        trial::level(Detector::RequestForgery, Place::JsonString, Some("value"), value.as_bytes())
    };
    for address in [
        "http://localhost/",
        "http://localhost:8080/admin",
        "HTTP://LOCALHOST/",
        "http://localhost./",
        "ftp://ftp.example.com/pub/manual.pdf",
    ] {
        assert_eq!(level(address), Some(2), "{address}");
    }
    for text in [
        "http://localhost:3000/callback is our return address",
        "http://10.0.0.1/ does not open",
        "ftp://10.0.0.1/x is too slow",
    ] {
        assert_eq!(level(text), Some(3), "{text}");
    }
    assert_eq!(level("gopher://127.0.0.1:6379/_set a b"), Some(1));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "(http)?:?//[\\[\\]0-9a-fx.:@/%\\\\]{0,60}") {
        for bytes in [&bytes[..], text.as_bytes()] {
            let _level = Detector::RequestForgery.suspicion(&Subject {
                bytes,
                place: Place::JsonString,
                name: None,
                steps: Steps::default(),
                clues: Clues::of(bytes),
            });
        }
    }
}

const ATTACKS: &[&str] = &[
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.169.254/computeMetadata/v1/",
    "http://169.254.169.254",
    "169.254.169.254",
    "169.254.169.254/latest/meta-data",
    "//169.254.169.254/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://0xa9.0xfe.0xa9.0xfe/",
    "http://0251.0376.0251.0376/",
    "http://169.254.43518/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[fd00:ec2::254]/latest/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "metadata.google.internal",
    "http://metadata/",
    "http://instance-data/latest/",
    "http://100.100.100.200/latest/meta-data/",
    "http://192.0.0.192/latest/",
    "http://127.0.0.1/",
    "http://127.0.0.1:22",
    "https://127.0.0.1:8443/admin",
    "http://127.1/",
    "http://127.127.127.127/",
    "http://0/",
    "http://0.0.0.0:80",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://017700000001/",
    "http://0177.0.0.1/",
    "http://localhost:6379/",
    "http://sub.localhost/",
    "http://[::1]/",
    "http://[::]:80/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]/",
    "http://x@127.0.0.1/",
    "http://example.com@127.0.0.1/",
    "http:\\\\127.0.0.1\\",
    "http:///127.0.0.1/",
    "http://127.0.0.1#@example.com/",
    "http://example.com:80#@127.0.0.1/",
    "http://example.com?@10.0.0.1:80",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:6379/",
    "http://127。0。0。1/",
    "http://127.0.0.1.nip.io/",
    "http://localtest.me/",
    "http://10.0.0.1/",
    "http://172.16.0.1/admin",
    "http://192.168.0.1/",
    "http://192.168.1.1:8080",
    "http%3A%2F%2F127.0.0.1%2F",
    "http://kubernetes.default.svc/api",
    "http://x.default.svc.cluster.local/",
    "http://db.internal/",
    "//127.0.0.1/",
    "gopher://127.0.0.1:6379/_INFO",
    "gopher://evil.example/",
    "dict://127.0.0.1:11211/stat",
    "ftp://10.0.0.1/x",
    "ftp://anonymous:x@example.com/x.txt",
    "file:///etc/passwd",
    "file:/etc/passwd",
    "ldap://127.0.0.1:389/",
    "tftp://evil.example/x",
    "sftp://evil.example/x",
    "jar:http://evil.example/x.jar!/",
    "netdoc:///etc/passwd",
    "url:http://127.0.0.1/",
    "aHR0cDovLzE2OS4yNTQuMTY5LjI1NC8=",
];

const ORDINARY: &[&str] = &[
    "https://example.com/",
    "https://www.example.com.br/callback?code=1",
    "http://example.com:8080/",
    "https://8.8.8.8/",
    "https://api.example.com/open-insurance/consents/v3",
    "https://example.com/?next=http://localhost/",
    "https://example.com#@ana",
    "https://example.com/?@127.0.0.1",
    "ver http://localhost/ para teste",
    "//example.com/",
    "example.com",
    "www.example.com/a",
    "8.8.8.8",
    "1.2.3.4",
    "10.5",
    "10.5.2",
    "10.000",
    "127",
    "127.50",
    "0",
    "0.5",
    "0.0",
    "192.168",
    "10/10/2026",
    "0/10",
    "10.10.2026",
    "2130706433",
    "12:30",
    "a:b",
    "C:\\x",
    "mailto:ana@example.com",
    "tel:+5511987654321",
    "urn:ietf:params:oauth:request_uri:abc",
    "urn:example:C1DD33123",
    "data:text/plain,x",
    "com.example.app://callback",
    "app://open",
    "about:blank",
    "localhost",
    "local",
    "internal",
    "metadados",
    "file.pdf",
    "file: x.pdf",
    "ftp.example.com",
    "1.0.0",
    "v1.0.0/x",
    "172.16",
    "12.345.678/0001-95",
    "http",
    "http:",
    "http://",
    "https://[2001:db8::1]/",
];
