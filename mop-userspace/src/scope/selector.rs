//! Label selectors, in the words of Kubernetes: `app=api,tier in (web, edge),!canary`.
//!
//! | requirement | holds for labels with |
//! |---|---|
//! | `key` | the key |
//! | `!key` | not the key |
//! | `key=value`, `key==value` | the key with this value |
//! | `key!=value` | not that |
//! | `key in (a,b)` | the key with one of these values |
//! | `key notin (a,b)` | not that |
//!
//! All requirements, which commas separate, must hold. `!=` and `notin` hold also where the key is
//! missing. The comparisons `<` and `>` are left out: nothing here is told apart by numbers.

use std::collections::{BTreeMap, BTreeSet};

use crate::workloads::{is_label_key, is_label_value};

/// Requirements that must all hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selector {
    requirements: Vec<Requirement>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: Box<str>,
    operator: Operator,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Operator {
    Exists,
    ExistsNot,
    In(BTreeSet<Box<str>>),
    NotIn(BTreeSet<Box<str>>),
}

impl Selector {
    /// Reads one.
    ///
    /// # Errors
    ///
    /// What would be right.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("at most {MAX_BYTES} bytes are wanted"));
        }
        let requirements: Vec<Requirement> =
            parts(text).map(Requirement::parse).collect::<Result<_, _>>()?;
        Ok(Self { requirements })
    }

    /// Whether labels are such.
    pub(super) fn matches(&self, labels: &BTreeMap<Box<str>, Box<str>>) -> bool {
        self.requirements.iter().all(|Requirement { key, operator }| {
            let value = labels.get(key);
            let is_one_of =
                |values: &BTreeSet<Box<str>>| value.is_some_and(|value| values.contains(value));
            match operator {
                Operator::Exists => value.is_some(),
                Operator::ExistsNot => value.is_none(),
                Operator::In(values) => is_one_of(values),
                Operator::NotIn(values) => !is_one_of(values),
            }
        })
    }
}

impl Requirement {
    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (key, operator) = if let Some(key) = text.strip_prefix('!') {
            (key, Operator::ExistsNot)
        } else if let Some((key, value)) = text.split_once("!=") {
            (key, Operator::NotIn(one(value)?))
        } else if let Some((key, value)) = text.split_once('=') {
            (key, Operator::In(one(value.strip_prefix('=').unwrap_or(value))?))
        } else if let Some((before, values)) = text.split_once('(') {
            let values = values.trim_end().strip_suffix(')').ok_or_else(wanted)?;
            match before.trim_end().rsplit_once(char::is_whitespace) {
                Some((key, "in")) => (key, Operator::In(several(values)?)),
                Some((key, "notin")) => (key, Operator::NotIn(several(values)?)),
                _ => return Err(wanted()),
            }
        } else {
            (text, Operator::Exists)
        };
        let key = key.trim();
        if !is_label_key(key) {
            return Err(wanted());
        }
        Ok(Self { key: key.into(), operator })
    }
}

/// What commas separate that stand in no parentheses.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut is_inside = false;
    text.split(move |letter| {
        match letter {
            '(' => is_inside = true,
            ')' => is_inside = false,
            _ => {}
        }
        letter == ',' && !is_inside
    })
}

fn one(text: &str) -> Result<BTreeSet<Box<str>>, String> {
    let value = text.trim();
    if is_label_value(value) { Ok(BTreeSet::from([value.into()])) } else { Err(wanted()) }
}

fn several(text: &str) -> Result<BTreeSet<Box<str>>, String> {
    text.split(',')
        .map(str::trim)
        .map(|value| {
            // An empty one is written so by mistake.
            let is_good = is_label_value(value) && !value.is_empty();
            if is_good { Ok(Box::from(value)) } else { Err(wanted()) }
        })
        .collect()
}

fn wanted() -> String {
    "requirements with commas between them are wanted: key, !key, key=value, key!=value, key in (a,b) or \
     key notin (a,b)"
        .to_owned()
}

/// Room for a dozen requirements.
const MAX_BYTES: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;

    fn labels(text: &str) -> BTreeMap<Box<str>, Box<str>> {
        let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        pairs.map(|(key, value)| (key.into(), value.into())).collect()
    }

    #[test]
    fn selectors_mean_what_they_mean_to_kubernetes() {
        for (selector, labels_text, expected) in [
            ("app=api", "app=api", true),
            ("app==api", "app=api,x=y", true),
            ("app = api", "app=api", true),
            ("app=api", "app=web", false),
            ("app=api", "", false),
            ("app=", "app=", true),
            ("app!=api", "app=web", true),
            ("app!=api", "", true),
            ("app!=api", "app=api", false),
            ("app", "app=x", true),
            ("app", "", false),
            ("!app", "", true),
            ("! app", "app=x", false),
            ("tier in (web, edge)", "tier=edge", true),
            ("tier in (web,edge)", "", false),
            ("tier notin (web,edge)", "tier=edge", false),
            ("tier notin(web,edge)", "", true),
            ("app=api,tier in (web,edge),!canary", "app=api,tier=web", true),
            ("app=api,tier in (web,edge),!canary", "app=api,tier=web,canary=1", false),
            ("app.kubernetes.io/name=api", "app.kubernetes.io/name=api", true),
            ("in in (in)", "in=in", true),
        ] {
            let parsed = Selector::parse(selector).expect(selector);
            assert_eq!(parsed.matches(&labels(labels_text)), expected, "{selector}: {labels_text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for wrong in [
            "",
            ",",
            "app=api,",
            "=api",
            "app in",
            "app in ()",
            "app in (a,)",
            "app in (a",
            "app)",
            "app of (a)",
            "app>1",
            "app<1",
            "a b",
            "!",
            "!app=api",
            "app=a b",
            "app=a/b",
            "app=(a)",
            "-app=x",
            "app in (a) x",
            "a,,b",
            "é=1",
        ] {
            assert!(Selector::parse(wrong).is_err(), "{wrong}: {:?}", Selector::parse(wrong));
        }
        assert!(Selector::parse(&"a,".repeat(4 << 10)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(
            text in any::<String>(),
            pieces in prop::collection::vec(
                select(vec!["app", "in", "notin", "(", ")", ",", "=", "!", " ", "a", "é"]), 0..30,
            ),
        ) {
            let _ = Selector::parse(&text);
            let _ = Selector::parse(&pieces.concat());
        }

        #[test]
        fn a_requirement_and_its_opposite_never_both_hold(
            key in "[ab]", value in "[xy]", label in "[ab]", with in "[xy]",
        ) {
            let labels = labels(&format!("{label}={with}"));
            let holds = |text: String| Selector::parse(&text).expect("right").matches(&labels);
            for (one, other) in [("=", "!="), (" in (", " notin (")] {
                let end = if one == "=" { "" } else { ")" };
                let one = holds(format!("{key}{one}{value}{end}"));
                prop_assert_ne!(one, holds(format!("{key}{other}{value}{end}")));
            }
            prop_assert_ne!(holds(key.clone()), holds(format!("!{key}")));
        }
    }
}
