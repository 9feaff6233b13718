//! Classes that run something when they are read.

use super::{
    super::letters::{is_one_of, word_before},
    begins, is_word, least, marks,
};

/// Names of classes, whole or with their package, and elements of `XMLEncoder` and `XStream`.
pub(super) fn suspicion(text: &[u8]) -> Option<u8> {
    least(marks(text, |byte| matches!(byte, b'.' | b'<')).map(|(before, mark, rest)| {
        if mark == b'<' {
            return begins(rest, ELEMENTS).then_some(1);
        }
        if !rest.first().is_some_and(u8::is_ascii_alphabetic)
            || !before.last().is_some_and(|byte| is_word(*byte))
        {
            return None;
        }
        // Names of hosts have dots, too, and are many: both lists are read seldom.
        let is_class = rest.first().is_some_and(u8::is_ascii_uppercase) && begins(rest, CLASSES);
        let is_package = || is_one_of(word_before(before), ROOTS) && begins(rest, PACKAGES);
        (is_class || is_package()).then_some(1)
    }))
}

/// After the dot of their package.
const CLASSES: &[&str] = &[
    "TemplatesImpl",
    "JdbcRowSetImpl",
    "InvokerTransformer",
    "ChainedTransformer",
    "InstantiateTransformer",
    "ConstantTransformer",
    "BadAttributeValueExpException",
    "AnnotationInvocationHandler",
    "MethodClosure",
    "ConvertedClosure",
    "BeanComparator",
    "ClassPathXmlApplicationContext",
    "FileSystemXmlApplicationContext",
    "ObjectDataProvider",
    "PriorityQueue",
    "ScriptEngineManager",
    "URLClassLoader",
    "EventHandler",
    "XMLDecoder",
    "JndiRefForwardingDataSource",
    "WrapperConnectionPoolDataSource",
    "JNDIConnectionSource",
    "DriverManagerConnectionSource",
    "BasicDataSource",
    "WindowsIdentity",
    "TypeConfuseDelegate",
    "LosFormatter",
    "BinaryFormatter",
    "ObjectStateFormatter",
    "SessionSecurityToken",
    "ResourceDictionary",
    "AssemblyInstaller",
    "HikariConfig",
    "LazyMap",
    "TiedMapEntry",
    "XString",
    "ToStringBean",
    "EqualsBean",
    "SignedObject",
    "UnicastRef",
    "ProcessBuilder",
];

/// First parts of names of packages.
const ROOTS: &[&str] = &["org", "com", "ch", "System", "ysoserial"];

/// After the first part of their name.
const PACKAGES: &[&str] = &[
    "apache.commons.collections.functors",
    "apache.commons.collections4.functors",
    "apache.commons.collections.map",
    "apache.commons.collections.keyvalue",
    "apache.commons.beanutils.Bean",
    "apache.xalan.xsltc",
    "sun.org.apache.xalan",
    "sun.rowset.",
    "codehaus.groovy.runtime.",
    "mchange.v2.c3p0",
    "qos.logback.core.db",
    "payloads.CommonsCollections",
    "springframework.beans.factory.ObjectFactory",
    "rometools.rome",
    "mozilla.javascript.Native",
    "Windows.Data.",
    "Windows.Markup.Xaml",
    "Diagnostics.Process",
    "Configuration.Install",
    "Management.Automation",
    "jboss.interceptor",
    "hibernate.engine.spi.",
    "hibernate.tuple.component",
];

const ELEMENTS: &[&str] = &[
    "sorted-set>",
    "dynamic-proxy>",
    "java.util.PriorityQueue",
    "java version=",
    "jdk.nashorn",
    "java.beans.",
    "object class=\"java",
    "void method=",
    "linked-hash-set>",
    "javax.",
    "org.codehaus.groovy",
    "ObjectDataProvider",
    "tree-map>",
];
