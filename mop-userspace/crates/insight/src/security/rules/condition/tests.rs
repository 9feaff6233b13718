//! Conditions against a model, and what is refused.

use proptest::prelude::*;

use super::*;

/// Selections of the model, of which each is one atom: its place.
const NAMES: [&str; 5] = ["sel_a", "sel_b", "filter-main", "other", "_hidden"];

fn selections() -> Vec<(String, Expression<usize>)> {
    let numbered = NAMES.iter().enumerate();
    numbered.map(|(number, name)| ((*name).to_owned(), Expression::Atom(number))).collect()
}

/// Conditions, each with the truth that it must have for each of the 32 states of five atoms.
fn conditions() -> impl Strategy<Value = (String, u32)> {
    let table = |holds: fn(u32) -> bool| {
        (0..32).filter(|state| holds(*state)).fold(0_u32, |table, state| table | 1 << state)
    };
    let leaf = prop_oneof![
        (0..NAMES.len()).prop_map(|number| {
            let holds = (0..32_u32).filter(|state| state >> number & 1 == 1);
            (NAMES[number].to_owned(), holds.fold(0, |table, state| table | 1 << state))
        }),
        Just(("1 of sel_*".to_owned(), table(|state| state & 0b11 != 0))),
        Just(("all of sel*".to_owned(), table(|state| state & 0b11 == 0b11))),
        Just(("any of *a*".to_owned(), table(|state| state & 0b101 != 0))),
        Just(("all of them".to_owned(), table(|state| state & 0b1111 == 0b1111))),
        Just(("1 of THEM".to_owned(), table(|state| state & 0b1111 != 0))),
    ];
    // Loose texts are joined only within parentheses; so precedence is tested apart.
    leaf.prop_recursive(5, 48, 4, |inner| {
        let several = prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            inner.clone().prop_map(|(text, table)| (format!("not {text}"), !table)),
            inner.prop_map(|(text, table)| (format!("( {text} )"), table)),
            several.clone().prop_map(|parts| {
                let texts: Vec<_> = parts.iter().map(|(text, _)| format!("({text})")).collect();
                let table = parts.iter().fold(u32::MAX, |all, (_, table)| all & table);
                (format!("({})", texts.join(" and ")), table)
            }),
            several.prop_map(|parts| {
                let texts: Vec<_> = parts.iter().map(|(text, _)| format!("({text})")).collect();
                let table = parts.iter().fold(0, |any, (_, table)| any | table);
                (format!("({})", texts.join(" or ")), table)
            }),
        ]
    })
}

fn table_of(text: &str) -> u32 {
    let expression = parse(text).unwrap().expand(&selections()).unwrap();
    (0..32_u32)
        .filter(|state| expression.holds(&mut |atom: &usize| state >> atom & 1 == 1))
        .fold(0, |table, state| table | 1 << state)
}

proptest! {
    #[test]
    fn conditions_mean_what_the_model_says((text, table) in conditions()) {
        match parse(&text) {
            Ok(_) => prop_assert_eq!(table_of(&text), table, "{}", text),
            Err(problem) => prop_assert_eq!(problem, Problem::ConditionDepth),
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(sel_a|not |and |or |\\(|\\)|1 of |them|\\||\\PC){0,12}") {
        let _ = parse(&text);
    }
}

#[test]
fn precedence_is_not_then_and_then_or() {
    for (loose, strict) in [
        ("sel_a or sel_b and other", "sel_a or (sel_b and other)"),
        ("not sel_a and sel_b", "(not sel_a) and sel_b"),
        ("not not sel_a or other and not sel_b", "sel_a or (other and (not sel_b))"),
        ("NOT sel_a AND sel_b", "(not sel_a) and sel_b"),
        ("not 1 of sel* or other", "(not (1 of sel*)) or other"),
    ] {
        assert_eq!(table_of(loose), table_of(strict), "{loose}");
    }
    assert_ne!(table_of("sel_a or sel_b and other"), table_of("(sel_a or sel_b) and other"));
}

#[test]
fn what_is_refused_says_where() {
    let deep = format!("{}sel_a{}", "(".repeat(33), ")".repeat(33));
    for (text, expected) in [
        ("", "byte 0"),
        ("sel_a and", "byte 9"),
        ("sel_a sel_b", "byte 6"),
        ("(sel_a", "`)`"),
        ("sel_a)", "byte 5"),
        ("1 of", "them"),
        ("2 of sel*", "byte 2"),
        ("and", "byte 0"),
        ("sel_a | count() > 5", "correlation"),
        (&deep, "32 deep"),
        (&"a".repeat(MAX_CONDITION_BYTES + 1), "longer"),
        ("é", "byte 0"),
    ] {
        let told = parse(text).unwrap_err().to_string();
        assert!(told.contains(expected), "{text}: {told}");
    }
    for text in ["nothing", "1 of nothing*", "all of *x"] {
        let refused = parse(text).unwrap().expand(&selections());
        assert!(matches!(refused, Err(Problem::NoSelection(_))), "{text}");
    }
}
