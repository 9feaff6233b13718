//! Hello messages of TLS: made ones, in any split, and those of programs that are installed.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use mop_wire::tls::{
    CipherSuite, ClientHello, Hello, HelloError, ProtocolVersion, ServerHello, read_hello,
};
use proptest::prelude::*;

/// Extensions of a hello that the authors of JA4 describe, with their fingerprint of it.
const DESCRIBED: [u16; 16] = [
    0xff01, 0x0033, 0x002d, 0x0005, 0x4469, 0x000d, 0x0010, 0x0023, 0x001b, 0x002b, 0x0000, 0x0012,
    0x000a, 0x0017, 0x000b, 0x0015,
];
const DESCRIBED_CIPHERS: [u16; 15] = [
    0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c,
    0x009d, 0x002f, 0x0035,
];
const SIGNATURES: [u16; 8] = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601];
const DESCRIBED_JA4: &str = "t13d1516h2_8daaf6152771_e5627efa2ab1";

fn short(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).unwrap()][..], bytes].concat()
}

fn long(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

fn numbers(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind], &length[1..], body].concat()
}

/// A message in records of so many bytes.
fn records(message: &[u8], piece: usize) -> Vec<u8> {
    message.chunks(piece).flat_map(|piece| [&[22, 3, 1][..], &long(piece)].concat()).collect()
}

fn extension(kind: u16, protocols: &[&[u8]]) -> Vec<u8> {
    let content = match kind {
        0x0000 => long(&[&[0][..], &long(b"API.seguradora.example")].concat()),
        0x000a => long(&numbers(&[0x1a1a, 29, 23])),
        0x000b => short(&[0]),
        0x000d => long(&numbers(&SIGNATURES)),
        0x0010 => long(&protocols.iter().flat_map(|name| short(name)).collect::<Vec<_>>()),
        0x002b => short(&numbers(&[0x3a3a, 0x0304, 0x0303])),
        0xfe0d => vec![0, 0, 1],
        _ => vec![7; 3],
    };
    [kind.to_be_bytes().to_vec(), long(&content)].concat()
}

fn client_hello(ciphers: &[u16], kinds: &[u16], protocols: &[&[u8]]) -> Vec<u8> {
    let extensions: Vec<u8> = kinds.iter().flat_map(|kind| extension(*kind, protocols)).collect();
    let parts = [
        &[3, 3][..],
        &[9; 32],
        &short(&[5; 32]),
        &long(&numbers(ciphers)),
        &short(&[0]),
        &long(&extensions),
    ];
    message(1, &parts.concat())
}

fn server_hello(version: [u8; 2], cipher: u16, extensions: &[u8]) -> Vec<u8> {
    let head = [&version[..], &[8; 32], &short(&[]), &cipher.to_be_bytes(), &[0]].concat();
    message(2, &[head, long(extensions)].concat())
}

fn client(stream: &[u8]) -> ClientHello {
    match read_hello(stream) {
        Ok(Some(Hello::Client(hello))) => hello,
        other => panic!("no hello of a client: {other:?}"),
    }
}

fn server(stream: &[u8]) -> ServerHello {
    match read_hello(stream) {
        Ok(Some(Hello::Server(hello))) => hello,
        other => panic!("no hello of a server: {other:?}"),
    }
}

#[test]
fn the_described_fingerprint_is_made() {
    let stream = records(&client_hello(&DESCRIBED_CIPHERS, &DESCRIBED, &[b"h2"]), 16_000);
    let hello = client(&stream);
    assert_eq!(hello.ja4(), DESCRIBED_JA4);
    assert_eq!(hello.server_name.as_deref(), Some("api.seguradora.example"));
    assert_eq!(hello.highest_version(), Some(ProtocolVersion::TLS_1_3));
    assert!(!hello.has_encrypted_hello);
    // GREASE, and the order of ciphers and extensions, change nothing.
    let mut ciphers = DESCRIBED_CIPHERS.to_vec();
    ciphers.reverse();
    ciphers.insert(0, 0x5a5a);
    let mut kinds = DESCRIBED.to_vec();
    kinds.reverse();
    kinds.insert(3, 0xfafa);
    let again = client(&records(&client_hello(&ciphers, &kinds, &[b"h2"]), 16_000));
    assert_eq!(again.ja4(), DESCRIBED_JA4);
}

#[test]
fn the_first_protocol_is_told_by_its_ends() {
    for (protocols, ends) in [
        (&[&b"h2"[..], b"http/1.1"][..], "h2"),
        (&[b"http/1.1"], "h1"),
        (&[b"x"], "xx"),
        (&[b"\xab"], "ab"),
        (&[b"\xab\xcd"], "ad"),
        (&[b"0\xab"], "3b"),
        (&[b"01\xab\xcd"], "3d"),
        (&[b"0\xab\xcd1"], "01"),
        (&[b"\x0a\x0a", b"h2"], "0a"),
        (&[], "00"),
    ] {
        let hello = client(&records(&client_hello(&[0x1301], &[0x0010], protocols), 16_000));
        assert_eq!(hello.ja4().get(8..10), Some(ends), "{protocols:?}");
        // No name, and a version in front only.
        assert!(hello.ja4().starts_with("t12i0101"), "{}", hello.ja4());
    }
    let hello = client(&records(&client_hello(&[], &[], &[]), 16_000));
    assert_eq!(hello.ja4(), "t12i000000_000000000000_000000000000");
}

#[test]
fn the_older_fingerprint_is_the_digest_of_its_text() {
    let hello = client(&records(&client_hello(&[0x0a0a, 0xc02f], &[0, 10, 11], &[]), 16_000));
    // MD5 of "771,49199,0-10-11,29-23,0".
    let digest = hello.ja3().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(digest, md5_of("771,49199,0-10-11,29-23,0"));
}

#[test]
fn the_version_is_the_one_that_was_chosen() {
    let chosen = [&[0, 43][..], &long(&[3, 4])].concat();
    let protocol = [&[0, 16][..], &long(&long(&short(b"h2")))].concat();
    let hello = server(&records(&server_hello([3, 3], 0x1302, &chosen), 16_000));
    assert_eq!(hello.version, ProtocolVersion::TLS_1_3);
    assert_eq!(hello.cipher_suite.name(), Some("TLS_AES_256_GCM_SHA384"));
    let hello = server(&records(&server_hello([3, 2], 0xc014, &protocol), 16_000));
    assert_eq!(hello.version.name(), Some("TLS 1.1"));
    assert_eq!(hello.alpn.as_deref(), Some("h2"));
    for (version, extensions) in [([3, 4], &[][..]), ([2, 0], &[]), ([3, 3], &[0, 43, 0, 2, 3, 3])]
    {
        let stream = records(&server_hello(version, 0x1301, extensions), 16_000);
        assert_eq!(read_hello(&stream), Err(HelloError::Malformed), "{version:?}");
    }
}

#[test]
fn an_encrypted_hello_is_told() {
    let hello = client(&records(&client_hello(&[0x1301], &[0, 0xfe0d], &[]), 16_000));
    assert!(hello.has_encrypted_hello);
}

#[test]
fn what_contradicts_the_format_is_refused() {
    let twice = client_hello(&[0x1301], &[23, 23], &[]);
    assert_eq!(read_hello(&records(&twice, 16_000)), Err(HelloError::Malformed));
    let other = records(&message(16, &[0; 33]), 16_000);
    assert_eq!(read_hello(&other), Err(HelloError::NotHello));
    // In the form of SSL 2.0.
    assert_eq!(read_hello(&[0x80, 46, 1, 3, 1, 0, 3]), Err(HelloError::NotHandshake));
    let mut longer = client_hello(&[0x1301], &[43], &[]);
    longer[3] += 1;
    longer.push(0);
    assert_eq!(read_hello(&records(&longer, 16_000)), Err(HelloError::Malformed));
}

proptest! {
    #[test]
    fn any_split_reads_the_same(
        ciphers in prop::collection::vec(any::<u16>(), 0..40),
        mut kinds in prop::collection::vec(0_u16..64, 0..20),
        piece in 1_usize..200,
        cut in any::<prop::sample::Index>(),
    ) {
        kinds.sort_unstable();
        kinds.dedup();
        let message = client_hello(&ciphers, &kinds, &[b"h2", b"http/1.1"]);
        let whole = read_hello(&records(&message, 16_000));
        prop_assert!(matches!(whole, Ok(Some(Hello::Client(_)))));
        let mut stream = records(&message, piece);
        prop_assert_eq!(&read_hello(&stream), &whole);
        prop_assert_eq!(read_hello(&stream[..cut.index(stream.len())]), Ok(None));
        stream.extend_from_slice(b"what follows");
        prop_assert_eq!(&read_hello(&stream), &whole);
    }

    #[test]
    fn no_bytes_are_too_much(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _read = read_hello(&bytes);
        let _read = read_hello(&records(&message(1, &bytes), 100));
        let _read = read_hello(&records(&message(2, &bytes), 100));
    }
}

/// What a client sent and a server answered, with a relay between them.
struct Heard {
    client: Vec<u8>,
    server: Vec<u8>,
}

/// Relays one connection to `port`, with `talk` as the client, and keeps how both sides began.
fn overhear(port: u16, talk: impl FnOnce(u16)) -> Heard {
    let relay = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = relay.local_addr().unwrap().port();
    let heard = thread::spawn(move || {
        let (inward, _) = relay.accept().unwrap();
        let outward = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let back = pass(outward.try_clone().unwrap(), inward.try_clone().unwrap());
        let client = pass(inward, outward).join().unwrap();
        Heard { client, server: back.join().unwrap() }
    });
    talk(at);
    heard.join().unwrap()
}

fn pass(mut from: TcpStream, mut to: TcpStream) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            all.extend_from_slice(&buffer[..count]);
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _closed = to.shutdown(Shutdown::Write);
        all
    })
}

struct OpenSsl {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl OpenSsl {
    fn serve(options: &[&str]) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let [key, certificate] =
            ["key.pem", "certificate.pem"].map(|name| folder.path().join(name));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .stderr(Stdio::null())
            .status();
        if !made.is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: there is no openssl");
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new("openssl")
            .args(["s_server", "-www", "-quiet", "-port", &port.to_string()])
            .arg("-key")
            .arg(&key)
            .arg("-cert")
            .arg(&certificate)
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { process, port, _folder: folder };
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(server);
            }
            thread::sleep(Duration::from_millis(25));
        }
        panic!("openssl s_server does not listen");
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _killed = self.process.kill();
        let _waited = self.process.wait();
    }
}

/// Runs a client against the port of the relay; what it printed.
fn client_says(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    Some(
        [output.stdout, output.stderr]
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .concat(),
    )
}

#[test]
fn hellos_of_openssl_say_what_it_says_itself() {
    for (option, version, suite) in [
        ("-tls1_3", "TLS 1.3", None),
        ("-tls1_2", "TLS 1.2", Some("ECDHE-RSA-AES128-GCM-SHA256")),
        ("-tls1_1", "TLS 1.1", Some("ECDHE-RSA-AES256-SHA")),
    ] {
        let Some(server) = OpenSsl::serve(&["-alpn", "http/1.1", "-cipher", "ALL:@SECLEVEL=0"])
        else {
            return;
        };
        let mut said = String::new();
        let heard = overhear(server.port, |port| {
            let cipher = format!("{}:@SECLEVEL=0", suite.unwrap_or("ALL"));
            let at = format!("127.0.0.1:{port}");
            let mut arguments = vec!["s_client", "-connect", &at, option, "-cipher", &cipher];
            arguments.extend(["-servername", "api.seguradora.example", "-alpn", "h2,http/1.1"]);
            said = client_says("openssl", &arguments).unwrap();
        });
        let (client, server) = (client(&heard.client), self::server(&heard.server));
        assert_eq!(server.version.name(), Some(version));
        let reported = said.lines().find(|line| line.contains("Cipher is ")).unwrap();
        let reported = reported.rsplit(' ').next().unwrap();
        assert_eq!(openssl_name(server.cipher_suite), reported, "{said}");
        assert_eq!(client.server_name.as_deref(), Some("api.seguradora.example"));
        assert_eq!(client.alpn, ["h2", "http/1.1"]);
        let is_clear = version != "TLS 1.3";
        assert_eq!(server.alpn.as_deref(), is_clear.then_some("http/1.1"));
        assert_eq!(client.highest_version(), Some(server.version));
        assert_eq!(client.ja4().len(), 36);
    }
}

/// The name that OpenSSL gives a suite.
fn openssl_name(suite: CipherSuite) -> String {
    let name = suite.name().unwrap();
    let table = client_says("openssl", &["ciphers", "-stdname", "ALL:@SECLEVEL=0"]).unwrap();
    let line = table.lines().find(|line| line.split_whitespace().next() == Some(name)).unwrap();
    line.split_whitespace().nth(2).unwrap().to_owned()
}

#[test]
fn hellos_of_other_programs_are_read() {
    let Some(server) = OpenSsl::serve(&["-alpn", "http/1.1"]) else { return };
    let python = "import socket, ssl, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.set_alpn_protocols(['http/1.1'])
plain = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
tls = context.wrap_socket(plain, server_hostname='localhost')
print(tls.version(), tls.cipher()[0])";
    for program in ["curl", "gnutls-cli", "python3"] {
        let mut said = None;
        let heard = overhear(server.port, |port| {
            let (url, port) = (format!("https://localhost:{port}/"), port.to_string());
            said = match program {
                "curl" => client_says("curl", &["-skv", "--noproxy", "*", "--http1.1", &url]),
                "gnutls-cli" => client_says(
                    "gnutls-cli",
                    &["--insecure", "--alpn=http/1.1", "-p", &port, "localhost"],
                ),
                _ => client_says("python3", &["-c", python, &port]),
            };
            if said.is_none() {
                eprintln!("SKIPPED: there is no {program}");
                // The relay waits for somebody.
                drop(TcpStream::connect(("127.0.0.1", port.parse::<u16>().unwrap())));
            }
        });
        let Some(said) = said else { continue };
        let (client, server) = (client(&heard.client), self::server(&heard.server));
        assert_eq!(server.version, ProtocolVersion::TLS_1_3, "{program}");
        assert_eq!(client.server_name.as_deref(), Some("localhost"), "{program}");
        assert_eq!(client.alpn, ["http/1.1"], "{program}");
        let suite = server.cipher_suite.name().unwrap();
        match program {
            "gnutls-cli" => assert!(said.contains("TLS1.3"), "{said}"),
            "python3" => assert!(said.contains(&format!("TLSv1.3 {suite}")), "{said} {suite}"),
            _ => assert!(said.contains(suite), "{suite}: {said}"),
        }
        assert!(client.cipher_suites.contains(&server.cipher_suite.0), "{program}");
    }
}

fn md5_of(text: &str) -> String {
    use md5::{Digest as _, Md5};
    Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}
