//! One line of a selection: a field with its modifiers, and the values that it may have.

use super::{
    atom::{Atom, Comparison, Expression, Predicate},
    encoding,
    error::{Fault, Problem},
    field::FieldName,
    node::Node,
    pattern::Pattern,
    reference::Anchor,
};

/// What the modifiers of an item come to.
#[derive(Default)]
struct Modifiers {
    kind: Option<Kind>,
    place: Option<Place>,
    encoding: Option<Encoding>,
    flags: String,
    demands_all: bool,
    is_cased: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    Cidr,
    Compares(Comparison),
    Exists,
    NotEqual,
    Refers,
    Regex,
}

#[derive(Clone, Copy)]
enum Place {
    Contains,
    EndsWith,
    StartsWith,
}

#[derive(Clone, Copy)]
enum Encoding {
    Base64,
    Base64AtAnyOffset,
    Dashes,
}

/// Reads `field|modifier|…: value or values`.
pub(super) fn parse(key: &str, node: &Node<'_>) -> Result<Expression<Atom>, Fault> {
    let mut words = key.split('|');
    let field = FieldName::new(words.next().unwrap_or_default());
    let mut modifiers = Modifiers::default();
    for word in words {
        modifiers.add(word, node)?;
    }
    // A keyword is looked for inside values.
    if field == FieldName::new("") && modifiers.kind.is_none() && modifiers.place.is_none() {
        modifiers.place = Some(Place::Contains);
    }
    let values = node.one_or_more(MAX_VALUES)?;
    let mut alternatives = Vec::with_capacity(values.len());
    for value in &values {
        alternatives.push(modifiers.value(&field, value)?);
    }
    let joined = match (alternatives.pop(), alternatives.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            alternatives.extend(last);
            if modifiers.demands_all {
                Expression::All(alternatives)
            } else {
                Expression::Any(alternatives)
            }
        }
    };
    Ok(match modifiers.kind {
        // A field that is absent is not different from a value: what cannot be known is no match.
        Some(Kind::NotEqual) => Expression::All(vec![
            atom(&field, Predicate::Exists),
            Expression::Not(Box::new(joined)),
        ]),
        _ => joined,
    })
}

/// Reads one keyword: it is looked for in every part of a call.
pub(super) fn keyword(node: &Node<'_>) -> Result<Expression<Atom>, Fault> {
    parse("", node)
}

impl Modifiers {
    fn add(&mut self, word: &str, node: &Node<'_>) -> Result<(), Fault> {
        let refused =
            |reason| Err(node.fault(Problem::Modifier { modifier: word.to_owned(), reason }));
        let kind = match word {
            "all" => return set_flag(&mut self.demands_all, node, word),
            "cased" => return set_flag(&mut self.is_cased, node, word),
            "contains" => return set(&mut self.place, Place::Contains, node, word),
            "startswith" => return set(&mut self.place, Place::StartsWith, node, word),
            "endswith" => return set(&mut self.place, Place::EndsWith, node, word),
            "base64" => return set(&mut self.encoding, Encoding::Base64, node, word),
            "base64offset" => {
                return set(&mut self.encoding, Encoding::Base64AtAnyOffset, node, word);
            }
            "windash" => return set(&mut self.encoding, Encoding::Dashes, node, word),
            "i" | "m" | "s" if matches!(self.kind, Some(Kind::Regex)) => {
                self.flags.push_str(word);
                return Ok(());
            }
            "i" | "m" | "s" | "ignorecase" | "multiline" | "dotall" => {
                return refused("flags are i, m and s, and stand after `re`");
            }
            "cidr" => Kind::Cidr,
            "exists" => Kind::Exists,
            "fieldref" => Kind::Refers,
            "gt" => Kind::Compares(Comparison::Greater),
            "gte" => Kind::Compares(Comparison::GreaterOrEqual),
            "lt" => Kind::Compares(Comparison::Less),
            "lte" => Kind::Compares(Comparison::LessOrEqual),
            "neq" => Kind::NotEqual,
            "re" => Kind::Regex,
            "expand" => {
                return refused(
                    "lists of another system are not known here; write the values out, or use \
                     indicators",
                );
            }
            "wide" | "utf16" | "utf16le" | "utf16be" => {
                return refused("calls are searched for text as it is decoded; leave it out");
            }
            _ => return refused("it is not known; correct or remove it"),
        };
        set(&mut self.kind, kind, node, word)
    }

    fn value(&self, field: &FieldName, node: &Node<'_>) -> Result<Expression<Atom>, Fault> {
        if node.value.is_null() && self.kind.is_none() {
            return Ok(Expression::Not(Box::new(atom(field, Predicate::Exists))));
        }
        let plain = self.place.is_none() && self.encoding.is_none() && !self.is_cased;
        let is_text = matches!(self.kind, None | Some(Kind::NotEqual));
        let is_reference = matches!(self.kind, Some(Kind::Refers)) && self.encoding.is_none();
        if !(plain || is_text || is_reference) {
            return Err(node.fault(Problem::Modifier {
                modifier: "re, cidr, exists, gt, gte, lt, lte".to_owned(),
                reason: "it does not go together with modifiers of texts; remove those",
            }));
        }
        match self.kind {
            None | Some(Kind::NotEqual) => self.text(field, node),
            Some(Kind::Cidr) => {
                let Ok(network) = node.text(MAX_VALUE_BYTES)?.parse() else {
                    return Err(node.fault(Problem::AddressRange));
                };
                Ok(atom(field, Predicate::Network(network)))
            }
            Some(Kind::Compares(comparison)) => {
                let written = match node.value.as_str() {
                    Some(text) => text.parse().ok(),
                    None => node.value.as_f64(),
                };
                let bound = written.filter(|bound| bound.is_finite());
                let bound = bound.ok_or_else(|| node.fault(Problem::WrongType("a number")))?;
                Ok(atom(field, Predicate::Compares(comparison, bound)))
            }
            Some(Kind::Exists) => {
                let exists = atom(field, Predicate::Exists);
                Ok(if node.truth()? { exists } else { Expression::Not(Box::new(exists)) })
            }
            Some(Kind::Refers) => {
                let anchor = match self.place {
                    None => Anchor::Whole,
                    Some(Place::StartsWith) => Anchor::Start,
                    Some(Place::EndsWith) => Anchor::End,
                    Some(Place::Contains) => {
                        return Err(node.fault(Problem::Modifier {
                            modifier: "contains".to_owned(),
                            reason: "with `fieldref` it takes more than linear time; use \
                                     startswith or endswith",
                        }));
                    }
                };
                let to = FieldName::new(&node.text(MAX_VALUE_BYTES)?);
                Ok(atom(field, Predicate::Refers { to, anchor, is_cased: self.is_cased }))
            }
            Some(Kind::Regex) => {
                let regex = node.text(MAX_VALUE_BYTES)?;
                let regex = if self.flags.is_empty() {
                    regex
                } else {
                    format!("(?{}:{regex})", self.flags)
                };
                let compiled =
                    regex::bytes::RegexBuilder::new(&regex).size_limit(MAX_REGEX_BYTES).build();
                match compiled {
                    Ok(_) => Ok(atom(field, Predicate::Matches(regex))),
                    Err(error) => {
                        let told = error.to_string();
                        let told = told.lines().last().unwrap_or_default();
                        Err(node.fault(Problem::Regex(told.to_owned())))
                    }
                }
            }
        }
    }

    fn text(&self, field: &FieldName, node: &Node<'_>) -> Result<Expression<Atom>, Fault> {
        let text = match node.value.as_str() {
            Some("") if self.place.is_none() && self.encoding.is_none() => String::new(),
            _ => node.text(MAX_VALUE_BYTES)?,
        };
        let whole = Pattern::parse(&text);
        let literal = || {
            whole.as_literal().ok_or_else(|| {
                node.fault(Problem::Modifier {
                    modifier: "base64".to_owned(),
                    reason: "what is encoded has no wildcards; escape them or write them out",
                })
            })
        };
        // What is encoded is a text of capitals and small letters that differ.
        let (forms, is_cased) = match self.encoding {
            None => (vec![whole], self.is_cased),
            Some(Encoding::Base64) => (vec![Pattern::literal(&encoding::base64(literal()?))], true),
            Some(Encoding::Base64AtAnyOffset) => {
                let forms = encoding::base64_at_any_offset(literal()?);
                (forms.iter().map(|form| Pattern::literal(form)).collect(), true)
            }
            Some(Encoding::Dashes) => {
                let forms = encoding::dashes(&text).ok_or_else(|| {
                    node.fault(Problem::Modifier {
                        modifier: "windash".to_owned(),
                        reason: "a text with more than three options has too many forms; split it",
                    })
                })?;
                (forms.iter().map(|form| Pattern::parse(form)).collect(), self.is_cased)
            }
        };
        if forms.is_empty() {
            return Err(node.fault(Problem::Empty));
        }
        let (before, after) = match self.place {
            None => (false, false),
            Some(Place::Contains) => (true, true),
            Some(Place::EndsWith) => (true, false),
            Some(Place::StartsWith) => (false, true),
        };
        let mut atoms: Vec<_> = forms
            .into_iter()
            .map(|form| {
                let pattern = form.within(before, after);
                atom(field, Predicate::Text { pattern, is_cased })
            })
            .collect();
        Ok(match (atoms.pop(), atoms.is_empty()) {
            (Some(only), true) => only,
            (last, _) => {
                atoms.extend(last);
                Expression::Any(atoms)
            }
        })
    }
}

fn atom(field: &FieldName, predicate: Predicate) -> Expression<Atom> {
    Expression::Atom(Atom { field: field.clone(), predicate })
}

fn set<T>(slot: &mut Option<T>, value: T, node: &Node<'_>, word: &str) -> Result<(), Fault> {
    if slot.replace(value).is_some() {
        return Err(contradiction(node, word));
    }
    Ok(())
}

fn set_flag(slot: &mut bool, node: &Node<'_>, word: &str) -> Result<(), Fault> {
    if std::mem::replace(slot, true) {
        return Err(contradiction(node, word));
    }
    Ok(())
}

fn contradiction(node: &Node<'_>, word: &str) -> Fault {
    node.fault(Problem::Modifier {
        modifier: word.to_owned(),
        reason: "it repeats or contradicts another one; keep one of them",
    })
}

/// The longest lists of public web rules have a few hundred values.
const MAX_VALUES: usize = 4096;

/// Texts of rules are words, paths and regular expressions.
const MAX_VALUE_BYTES: usize = 2048;

/// One regular expression, compiled; large classes of Unicode need some of it.
const MAX_REGEX_BYTES: usize = 1 << 20;
