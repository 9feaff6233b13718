//! What a response tells of the process that made it: stack traces, messages of databases, names
//! and versions of products.
//!
//! Words that such output always has are looked for in one reading; each is confirmed by the shape
//! of the few bytes around it, since documentation and names may hold the words. At most one find of
//! each class is given, and at most [`MAX_LEAK_BYTES`] of a text are read.

use std::{ops::Range, sync::LazyLock};

use aho_corasick::{AhoCorasick, Input, MatchKind};

/// What leaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Leak {
    /// Name and version of a product.
    Banner,
    /// A stack trace of .NET.
    DotNetTrace,
    /// A panic of Go.
    GoPanic,
    /// A stack trace of Java.
    JavaTrace,
    /// A stack trace of Node.js.
    NodeTrace,
    /// An error of PHP with its file and line.
    PhpTrace,
    /// A stack trace of Python.
    PythonTrace,
    /// A message of a database, or of its driver.
    SqlError,
}

/// What was found, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundLeak {
    /// Its class.
    pub leak: Leak,
    /// The bytes of the words that told it.
    pub range: Range<usize>,
}

impl Leak {
    /// Every class.
    pub const ALL: [Self; 8] = [
        Self::Banner,
        Self::DotNetTrace,
        Self::GoPanic,
        Self::JavaTrace,
        Self::NodeTrace,
        Self::PhpTrace,
        Self::PythonTrace,
        Self::SqlError,
    ];

    /// The name that rules and records use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Banner => "banner",
            Self::DotNetTrace => "dot_net_trace",
            Self::GoPanic => "go_panic",
            Self::JavaTrace => "java_trace",
            Self::NodeTrace => "node_trace",
            Self::PhpTrace => "php_trace",
            Self::PythonTrace => "python_trace",
            Self::SqlError => "sql_error",
        }
    }
}

/// Finds what a body tells, the first of each class, from left to right. Line ends may be as JSON
/// strings write them.
pub fn leaks(text: &[u8], find: &mut dyn FnMut(FoundLeak)) {
    let Some(words) = &*AUTOMATON else { return };
    let text = text.get(..MAX_LEAK_BYTES).unwrap_or(text);
    let mut found = 0_u8;
    let mut from = 0;
    // No word is the beginning of another one, so that one at most begins at each place.
    while let Some(one) = words.find(Input::new(text).range(from..)) {
        from = one.start() + 1;
        let Some(word) = WORDS.get(one.pattern().as_usize()) else { continue };
        let class = 1 << word.leak as u8;
        let before = text.get(..one.start()).unwrap_or_default();
        let after = text.get(one.end()..).unwrap_or_default();
        if found & class == 0 && word.shape.fits(before, after) {
            found |= class;
            find(FoundLeak { leak: word.leak, range: one.range() });
        }
    }
}

/// Whether a field of a response names a product with its version.
#[must_use]
pub fn is_banner(name: &str, value: &[u8]) -> bool {
    let is_banner = BANNER_FIELDS.iter().any(|known| name.eq_ignore_ascii_case(known));
    is_banner && value.iter().any(u8::is_ascii_digit)
}

struct LeakWord {
    text: &'static str,
    leak: Leak,
    shape: Shape,
}

/// What must stand around a word.
#[derive(Clone, Copy)]
enum Shape {
    /// Nothing: the word says it all.
    Alone,
    /// A digit after it.
    Digit,
    /// `at ` in the line before it, and a digit after it.
    Frame,
    /// The same, with a colon and another digit after the number.
    FrameAndColumn,
    /// A name with dots and capitals after it, as exceptions have: `a.b.CException`.
    QualifiedName,
    /// Digits, and then this.
    DigitsThen(&'static str),
}

impl Shape {
    fn fits(self, before: &[u8], after: &[u8]) -> bool {
        let starts_with_digit = after.first().is_some_and(u8::is_ascii_digit);
        match self {
            Self::Alone => true,
            Self::Digit => starts_with_digit,
            Self::Frame => starts_with_digit && is_frame(before),
            Self::QualifiedName => is_qualified_name(after),
            Self::FrameAndColumn => {
                matches!(after_digits(after), Some([b':', b'0'..=b'9', ..])) && is_frame(before)
            }
            Self::DigitsThen(end) => {
                after_digits(after).is_some_and(|rest| rest.starts_with(end.as_bytes()))
            }
        }
    }
}

/// What follows at least one digit.
fn after_digits(text: &[u8]) -> Option<&[u8]> {
    let length = text.iter().take(MAX_NUMBER_DIGITS).take_while(|it| it.is_ascii_digit()).count();
    if length == 0 { None } else { text.get(length..) }
}

/// Whether a line that says `at` or `in` is under way.
fn is_frame(before: &[u8]) -> bool {
    let start = before.len().saturating_sub(MAX_FRAME_BYTES);
    let near = before.get(start..).unwrap_or_default();
    let line = near.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    line.windows(3).any(|word| word == b"at " || word == b"in ")
}

fn is_qualified_name(after: &[u8]) -> bool {
    let length = after
        .iter()
        .take(MAX_FRAME_BYTES)
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'$'))
        .count();
    let name = after.get(..length).unwrap_or_default();
    name.iter().filter(|byte| **byte == b'.').count() >= 2
        && name.iter().any(u8::is_ascii_uppercase)
}

const fn word(text: &'static str, leak: Leak, shape: Shape) -> LeakWord {
    LeakWord { text, leak, shape }
}

/// Never fails: there are few words, and they are short. Only the first of several words is looked for
/// with vector instructions, which read many times as much in the same time.
static AUTOMATON: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let mut builder = AhoCorasick::builder();
    builder.match_kind(MatchKind::LeftmostFirst);
    builder.build(WORDS.iter().map(|word| word.text)).ok()
});

/// Words as the products write them.
const WORDS: [LeakWord; 49] = [
    word(".java:", Leak::JavaTrace, Shape::DigitsThen(")")),
    word(".kt:", Leak::JavaTrace, Shape::DigitsThen(")")),
    word("Caused by: ", Leak::JavaTrace, Shape::QualifiedName),
    word("Exception in thread \"", Leak::JavaTrace, Shape::Alone),
    word("(Native Method)", Leak::JavaTrace, Shape::Alone),
    word(".cs:line ", Leak::DotNetTrace, Shape::Frame),
    word(".vb:line ", Leak::DotNetTrace, Shape::Frame),
    word("--- End of inner exception stack trace ---", Leak::DotNetTrace, Shape::Alone),
    word("--- End of stack trace from previous location", Leak::DotNetTrace, Shape::Alone),
    word("Server Error in '/", Leak::DotNetTrace, Shape::Alone),
    word("Traceback (most recent call last)", Leak::PythonTrace, Shape::Alone),
    word(".py\", line ", Leak::PythonTrace, Shape::Digit),
    word(".py\\\", line ", Leak::PythonTrace, Shape::Digit),
    word(".php on line ", Leak::PhpTrace, Shape::Digit),
    word(".php</b> on line <b>", Leak::PhpTrace, Shape::Digit),
    word(".php(", Leak::PhpTrace, Shape::DigitsThen("): ")),
    word("PHP Fatal error:", Leak::PhpTrace, Shape::Alone),
    word(".js:", Leak::NodeTrace, Shape::FrameAndColumn),
    word(".mjs:", Leak::NodeTrace, Shape::FrameAndColumn),
    word(".cjs:", Leak::NodeTrace, Shape::FrameAndColumn),
    word(".ts:", Leak::NodeTrace, Shape::FrameAndColumn),
    word("(node:internal/", Leak::NodeTrace, Shape::Alone),
    word("goroutine ", Leak::GoPanic, Shape::DigitsThen(" [")),
    word("panic: runtime error: ", Leak::GoPanic, Shape::Alone),
    word("You have an error in your SQL syntax", Leak::SqlError, Shape::Alone),
    word("ORA-", Leak::SqlError, Shape::DigitsThen(": ")),
    word("PLS-", Leak::SqlError, Shape::DigitsThen(": ")),
    word("SQLSTATE[", Leak::SqlError, Shape::Alone),
    word("SQLSTATE: ", Leak::SqlError, Shape::Digit),
    word("DB2 SQL Error: SQLCODE=", Leak::SqlError, Shape::Alone),
    word("Unclosed quotation mark after the character string", Leak::SqlError, Shape::Alone),
    word("Incorrect syntax near '", Leak::SqlError, Shape::Alone),
    word("ERROR: syntax error at or near \"", Leak::SqlError, Shape::Alone),
    word("ERROR: syntax error at or near \\\"", Leak::SqlError, Shape::Alone),
    word("quoted string not properly terminated", Leak::SqlError, Shape::Alone),
    word("unterminated quoted string at or near", Leak::SqlError, Shape::Alone),
    word("org.postgresql.util.PSQLException", Leak::SqlError, Shape::Alone),
    word("com.mysql.cj.jdbc", Leak::SqlError, Shape::Alone),
    word("java.sql.SQL", Leak::SqlError, Shape::Alone),
    word("System.Data.SqlClient.SqlException", Leak::SqlError, Shape::Alone),
    word("Microsoft.Data.SqlClient.SqlException", Leak::SqlError, Shape::Alone),
    word("sqlite3.OperationalError", Leak::SqlError, Shape::Alone),
    word("psycopg2.errors.", Leak::SqlError, Shape::Alone),
    word("[ODBC SQL Server Driver]", Leak::SqlError, Shape::Alone),
    word("<center>nginx/", Leak::Banner, Shape::Digit),
    word("<address>Apache/", Leak::Banner, Shape::Digit),
    word("Apache Tomcat/", Leak::Banner, Shape::Digit),
    word("Powered by Jetty:// ", Leak::Banner, Shape::Digit),
    word("Werkzeug/", Leak::Banner, Shape::Digit),
];

/// Fields whose only use is to name the product.
const BANNER_FIELDS: [&str; 7] = [
    "server",
    "x-aspnet-version",
    "x-aspnetmvc-version",
    "x-generator",
    "x-powered-by",
    "x-runtime-version",
    "x-server",
];

/// Traces stand at the start of what they are in; a body of megabytes is data.
pub const MAX_LEAK_BYTES: usize = 256 << 10;

/// A frame has name, arguments and file in one line.
const MAX_FRAME_BYTES: usize = 256;

/// Of lines, goroutines and codes.
const MAX_NUMBER_DIGITS: usize = 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(text: &str) -> Vec<Leak> {
        let mut found = Vec::new();
        leaks(text.as_bytes(), &mut |one| found.push(one.leak));
        found.sort_unstable();
        found
    }

    #[test]
    fn traces_and_messages_are_found() {
        for (text, leak) in [
            (
                "java.lang.NullPointerException\n\tat br.example.Policy.read(Policy.java:42)",
                Leak::JavaTrace,
            ),
            ("Caused by: br.example.policy.MissingException: none", Leak::JavaTrace),
            (
                "   at Example.Policy.Read(Int32 id) in C:\\src\\Policy.cs:line 12",
                Leak::DotNetTrace,
            ),
            ("  File \"/srv/app/policy.py\", line 7, in read", Leak::PythonTrace),
            (r#"{"detail":"File \"/srv/app/policy.py\", line 7"}"#, Leak::PythonTrace),
            ("Warning: Undefined index in /var/www/policy.php on line 3", Leak::PhpTrace),
            ("#0 /var/www/index.php(12): read()", Leak::PhpTrace),
            ("TypeError: x\n    at read (/srv/app/policy.js:10:5)", Leak::NodeTrace),
            (r#"{"stack":"TypeError: x\n    at read (/srv/app/policy.js:10:5)"}"#, Leak::NodeTrace),
            ("goroutine 17 [running]:\nmain.main()", Leak::GoPanic),
            ("ORA-00933: SQL command not properly ended", Leak::SqlError),
            ("SQLSTATE[42000]: Syntax error", Leak::SqlError),
            ("<hr><center>nginx/1.18.0</center>", Leak::Banner),
        ] {
            assert_eq!(found(text), [leak], "{text}");
        }
    }

    #[test]
    fn ordinary_texts_tell_nothing() {
        for text in [
            "Caused by: chuva de granizo",
            "Veja https://cdn.example/app.js:8080",
            "SELECT Seguros S.A. - quem seleciona, protege",
            "Look at https://cdn.example/app.js:8080",
            "goroutine pools explained",
            "Código ORA-ACRE, vigência 2026",
            "O arquivo policy.java: exemplo",
            "nginx",
            "apólice no. 12 em line 3",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }

    #[test]
    fn no_word_begins_with_another() {
        for one in &WORDS {
            let begins = WORDS.iter().filter(|other| other.text.starts_with(one.text));
            assert_eq!(begins.count(), 1, "{}", one.text);
        }
    }

    #[test]
    fn a_word_within_one_that_does_not_fit_is_found() {
        assert_eq!(found("Caused by: java.sql.SQL"), [Leak::JavaTrace, Leak::SqlError]);
        assert_eq!(found("goroutine java.sql.SQL"), [Leak::SqlError]);
    }

    #[test]
    fn banners_have_a_version() {
        assert!(is_banner("Server", b"Apache/2.4.41 (Ubuntu)"));
        assert!(is_banner("x-powered-by", b"PHP/8.1.2"));
        assert!(!is_banner("Server", b"nginx"));
        assert!(!is_banner("Content-Length", b"12"));
    }

    #[test]
    fn each_class_is_given_once() {
        let text = "goroutine 1 [running]\n".repeat(50);
        assert_eq!(found(&text), [Leak::GoPanic]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(text in any::<Vec<u8>>(), word in 0..WORDS.len(), after in "[0-9 ():A-Z.]{0,8}") {
            let text = [&text[..], WORDS[word].text.as_bytes(), after.as_bytes()].concat();
            leaks(&text, &mut |one| assert!(one.range.end <= text.len()));
        }
    }
}
