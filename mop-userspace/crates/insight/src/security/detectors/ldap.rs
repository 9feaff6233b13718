//! LDAP: a filter (RFC 4515) that is closed, and another that is begun.

use super::{
    Clues, Subject,
    reading::{is_one_of, word},
};

pub(super) fn suspicion(subject: &Subject<'_>) -> Option<u8> {
    let Subject { bytes, place: _, name: _, steps: _, clues } = subject;
    if !clues.any(NEEDED) {
        return None;
    }
    let mut least: Option<u8> = None;
    let mut depth = 0_usize;
    let mut rest = *bytes;
    let mut last = 0;
    while let [byte, after @ ..] = rest {
        let found = match byte {
            b')' => {
                let is_broken = depth == 0;
                depth = depth.saturating_sub(1);
                if is_broken { closed(last, after) } else { None }
            }
            b'(' => {
                depth += 1;
                opened(last, after)
            }
            _ => None,
        };
        least = match (least, found) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        if least == Some(1) {
            break;
        }
        (last, rest) = (*byte, after);
    }
    least
}

/// Behind a parenthesis that closes what the value did not open.
fn closed(before: u8, after: &[u8]) -> Option<u8> {
    let closes = after.iter().take(MAX_CLOSES).take_while(|byte| **byte == b')').count();
    let after = after.get(closes..).unwrap_or_default();
    match after {
        [b'(', inside @ ..] => match inside {
            [] | [b'&' | b'|', ..] | [b'(', b'&' | b'|', ..] => Some(1),
            [b'!'] | [b'!', b'(' | b')', ..] => Some(1),
            _ => comparison(inside).map(|_| 1),
        },
        // The rest of the filter is behind the end of the text.
        [0, ..] | [b'%', b'0', b'0', ..] if before == b'*' || closes > 0 => Some(1),
        [] if before == b'*' => Some(if closes > 0 { 1 } else { 2 }),
        [b'&' | b'|', rest @ ..] => {
            let is_filter = matches!(rest.trim_ascii_start(), [b'(' | b')', ..]);
            (is_filter && before == b'*').then_some(1)
        }
        _ => None,
    }
}

/// Behind a parenthesis that opens.
fn opened(before: u8, inside: &[u8]) -> Option<u8> {
    match inside {
        [b'&' | b'|', b'(', inside @ ..] => {
            let inside = match inside {
                [b'!', b'(', inside @ ..] | [b'&' | b'|', b'(', inside @ ..] | inside => inside,
            };
            match comparison(inside) {
                Some(_) => Some(1),
                None => (before == b'*').then_some(1),
            }
        }
        [b'!', b'(', inside @ ..] => {
            let (attribute, _) = comparison(inside)?;
            Some(if is_one_of(attribute, ATTRIBUTES) || before == b'(' { 1 } else { 3 })
        }
        _ => {
            let (attribute, value) = comparison(inside)?;
            let is_known = is_one_of(attribute, ATTRIBUTES);
            let is_any = value.first() == Some(&b'*');
            match (is_known, is_any) {
                (true, _) => Some(1),
                (false, true) => Some(2),
                (false, false) => None,
            }
        }
    }
}

/// An attribute, and the value that it is compared with.
fn comparison(inside: &[u8]) -> Option<(&[u8], &[u8])> {
    let (attribute, rest) = word(inside, b"-.:_");
    let value = match rest {
        // Two of them are of a programming language.
        [b'=', b'=', ..] => return None,
        [b'=', value @ ..] | [b'~' | b'<' | b'>', b'=', value @ ..] => value,
        _ => return None,
    };
    let is_attribute = attribute.first().is_some_and(u8::is_ascii_alphanumeric);
    is_attribute.then_some((attribute, value))
}

/// Parentheses that are closed at once; filters are hardly deeper.
const MAX_CLOSES: usize = 8;

const NEEDED: Clues = Clues::these(b"()");

/// Those of users and groups that directories have.
const ATTRIBUTES: &[&[u8]] = &[
    b"cn",
    b"dc",
    b"gidnumber",
    b"givenname",
    b"homedirectory",
    b"mail",
    b"member",
    b"memberof",
    b"objectcategory",
    b"objectclass",
    b"ou",
    b"samaccountname",
    b"sn",
    b"uid",
    b"uidnumber",
    b"userpassword",
    b"userprincipalname",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::security::{
        detectors::{Detector, trial},
        normalise::part::Place,
    };

    fn level(value: &[u8]) -> Option<u8> {
        trial::level_as_it_is(Detector::LdapInjection, Place::QueryValue, value)
    }

    #[test]
    fn attacks_are_sure() {
        for value in [
            "*)(uid=*",
            "*)(uid=*))(|(uid=*",
            "*)(|(uid=*",
            "admin)(&)",
            "admin)(!(&(1=0",
            "admin)(!(&(1=0)))",
            "*)(&",
            "*)(&)",
            "*)(|(&",
            "*)(objectClass=*",
            "*)(objectClass=*))(&(objectClass=void",
            "x)(|(cn=*",
            "x)(cn=*))(|(cn=*",
            "*))%00\0",
            "*))\0",
            "*))",
            "*)\0",
            "admin))(|(password=*",
            "admin*)((|userPassword=*)",
            "x)(userPassword=a*",
            "x)(mail=*",
            "x)(role~=admin",
            "x)(age>=1",
            "*(|(mail=*))",
            "*(|(objectclass=*))",
            "(&(uid=admin)(userPassword=x))",
            "(|(cn=a)(cn=b))",
            "(objectClass=*)",
            "(uid=*)",
            "(&(objectCategory=person)(!(sn=x)))",
            "*)|(|(cn=*)",
            "(!(uid=root))",
            "a)(memberOf=cn=admins",
            "*)(sAMAccountName=*",
        ] {
            assert_eq!(level(value.as_bytes()), Some(1), "{value:?}");
        }
    }

    #[test]
    fn ordinary_texts_are_nothing() {
        for value in [
            "Maria (mãe)",
            "a) (b) c",
            "1) first 2) second",
            "a) (optional) b",
            "f(x)(y)",
            "f(x = 1)(y)",
            "(a=b)",
            "if (!(a == b)) {}",
            "if (!(a)) {}",
            "(a && b) || (c && d)",
            "(|x| x + 1)",
            "(x) => (y)",
            "f(a=1, b=2)",
            "Cobertura (a) incêndio; (b) raio",
            ":) (-:",
            ":-)",
            "(11) 91234-5678",
            "x)(y",
            "*important* (very)",
            "SUM(A1:A10)*(1+B2)",
            "(2*3)*(4+5)",
            "see note 1)",
            "Mozilla/5.0 (X11; Linux x86_64) (KHTML)",
            "(a >= b)",
            "Seguro (vida)(auto)",
            "))((",
            "D'Ávila (filho)",
        ] {
            assert_eq!(level(value.as_bytes()), None, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _level = level(&bytes);
        }
    }
}
