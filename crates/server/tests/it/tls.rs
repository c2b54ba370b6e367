//! TLS of the server's own, over real sockets.

use std::fs;
use std::io::ErrorKind::WouldBlock;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use attesto_server::{Environment, open};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use crate::fixture::{Folder, Live, Log};

const SETTINGS: &str = "tls_certificate = \"tls.crt\"\ntls_key = \"tls.key\"";
const REQUEST: &[u8] = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// The first of January 2031 and 2032.
const NEW_YEAR: [u64; 2] = [1_924_992_000, 1_956_528_000];

/// A certificate for `localhost`, and its key.
struct Pair {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    key_pem: String,
}

impl Pair {
    /// Good until that year begins.
    fn until(year: i32) -> Self {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            certificate_pem: certificate.pem(),
            certificate: certificate.der().clone(),
            key_pem: key.serialize_pem(),
        }
    }

    fn write(&self, folder: &Folder) {
        let files = folder.settings.tls.as_ref().unwrap();
        write_private(&files.key, &self.key_pem);
        fs::write(&files.certificate, &self.certificate_pem).unwrap();
    }
}

fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn it_serves_over_tls_and_tells_clients_to_come_back_by_it() {
    let (folder, pair) = (Folder::new(SETTINGS), Pair::until(2031));
    pair.write(&folder);
    let live = Live::serve(folder);
    for (version, protocols, chosen) in [
        (&TLS12, &["http/1.1"][..], "http/1.1"),
        (&TLS13, &["h2", "http/1.1"], "http/1.1"),
        (&TLS13, &[], ""),
    ] {
        let mut stream = connect(&live, &pair, version, protocols).unwrap();
        let protocol = stream.conn.alpn_protocol().map(String::from_utf8_lossy).unwrap_or_default();
        assert_eq!((stream.conn.protocol_version().unwrap(), &*protocol), (version.version, chosen));
        stream.write_all(REQUEST).unwrap();
        let answer = read(&mut stream).to_lowercase();
        assert!(answer.starts_with("http/1.1 200 ok\r\n"), "{answer}");
        assert!(answer.contains("\r\nstrict-transport-security: max-age=31536000\r\n"), "{answer}");
    }
    assert!(connect(&live, &Pair::until(2031), &TLS13, &[]).is_err(), "the test looks at the certificate");
}

#[test]
fn who_speaks_without_it_is_not_answered_and_not_kept() {
    let folder = Folder::new(SETTINGS);
    Pair::until(2031).write(&folder);
    let live = Live::serve(folder);
    let mut stream = live.connect();
    let begun = Instant::now();
    stream.write_all(REQUEST).unwrap();
    let mut answer = Vec::new();
    // The end may be a reset.
    let _ = stream.read_to_end(&mut answer);
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP"), "{answer:?}");
}

/// The library's own limit is 256 for each worker.
#[test]
fn connections_that_say_nothing_keep_nobody_out() {
    let (folder, pair) = (Folder::new(SETTINGS), Pair::until(2031));
    pair.write(&folder);
    let live = Live::serve(folder);
    let workers = available_parallelism().unwrap().get();
    let silent: Vec<_> = (0..300 * workers).map(|_| live.connect()).collect();
    connect(&live, &pair, &TLS13, &[]).unwrap();
    let first = &silent[0];
    first.set_nonblocking(true).unwrap();
    let read = first.peek(&mut [0]);
    assert!(read.is_err_and(|cause| cause.kind() == WouldBlock), "they are no longer waited for");
}

#[test]
fn without_it_nobody_is_told_to_come_by_it() {
    let answer = Live::start("").exchange(REQUEST);
    assert_eq!(answer.status, 200);
    assert!(
        answer.headers.iter().all(|(name, _)| name != "strict-transport-security"),
        "{:?}",
        answer.headers
    );
}

#[test]
fn a_new_pair_is_taken_and_one_that_is_of_no_use_is_not() {
    let folder = Folder::new(SETTINGS);
    let files = folder.settings.tls.clone().unwrap();
    let pairs = [Pair::until(2031), Pair::until(2032)];
    pairs[0].write(&folder);
    let live = Live::serve(folder);
    let not_after = |pair: &Pair| figure(&live, pair, "not_after_timestamp_seconds");
    let is_behind = |pair: &Pair| figure(&live, pair, "is_behind");
    assert_eq!((not_after(&pairs[0]), is_behind(&pairs[0])), (Some(NEW_YEAR[0]), Some(0)));

    write_private(&files.key, &pairs[1].key_pem);
    until("the half of a pair is noticed", || is_behind(&pairs[0]) == Some(1));
    fs::write(&files.certificate, &pairs[1].certificate_pem).unwrap();
    until("the new pair is shown", || is_behind(&pairs[1]) == Some(0));
    assert_eq!(not_after(&pairs[1]), Some(NEW_YEAR[1]));
    assert!(connect(&live, &pairs[0], &TLS13, &[]).is_err());

    for garbage in ["", "garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        fs::write(&files.certificate, garbage).unwrap();
        until("garbage is noticed", || is_behind(&pairs[1]) == Some(1));
        assert_eq!(not_after(&pairs[1]), Some(NEW_YEAR[1]), "{garbage:?}");
        fs::write(&files.certificate, &pairs[1].certificate_pem).unwrap();
        until("it was put right", || is_behind(&pairs[1]) == Some(0));
    }
}

/// A test that looks at the log of all: nobody else has a certificate of that year.
#[test]
fn a_certificate_that_has_expired_is_shown_and_told_of() {
    let log = Log::capture();
    let folder = Folder::new(SETTINGS);
    Pair::until(2020).write(&folder);
    let _live = Live::serve(folder);
    let told = || log.lines_with("the certificate has expired");
    until("it is told", || !told().is_empty());
    assert!(told()[0].contains("ERROR") && told()[0].contains("not_after=1577836800"), "{:?}", told());
}

#[actix_web::test]
async fn a_start_without_a_pair_names_the_setting_and_the_file() {
    let folder = Folder::new(SETTINGS);
    let files = folder.settings.tls.clone().unwrap();
    let (pair, other) = (Pair::until(2031), Pair::until(2031));
    let refusal = async || {
        let refused = open(&folder.settings, Environment::system()).await.err().expect("it does not start");
        assert!(refused.is_configuration(), "{refused}");
        let shown = format!("{}/", files.key.parent().unwrap().display());
        refused.to_string().replace(&shown, "")
    };
    assert!(refusal().await.starts_with("tls_certificate: tls.crt: cannot be read (No such file"));
    fs::write(&files.certificate, &pair.certificate_pem).unwrap();
    assert!(refusal().await.starts_with("tls_key: tls.key: cannot be read (No such file"));
    write_private(&files.key, &other.key_pem);
    assert_eq!(
        refusal().await,
        "tls_key: tls.key: is not the key of the first certificate in tls_certificate"
    );
    write_private(&files.key, "x");
    assert!(
        refusal().await.starts_with("tls_key: tls.key: holds no private key in PEM that is of use for TLS (")
    );
    write_private(&files.key, &pair.key_pem);
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(refusal().await.starts_with("tls_key: tls.key: is open to other users (mode 0644); "));
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&files.certificate, &pair.key_pem).unwrap();
    assert!(refusal().await.starts_with("tls_certificate: tls.crt: holds no certificate in PEM ("));
    pair.write(&folder);
    assert!(open(&folder.settings, Environment::system()).await.is_ok());
}

/// What the metrics say of the certificate, asked by one who trusts `pair` alone.
fn figure(live: &Live, pair: &Pair, name: &str) -> Option<u64> {
    let mut stream = connect(live, pair, &TLS13, &[]).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let sample = format!("attesto_tls_certificate_{name} ");
    read(&mut stream).lines().find_map(|line| line.strip_prefix(&sample)?.parse().ok())
}

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// A connection to `localhost` of one who trusts `pair` alone, after the handshake.
fn connect(
    live: &Live,
    pair: &Pair,
    version: &'static SupportedProtocolVersion,
    protocols: &[&str],
) -> std::io::Result<Stream> {
    let mut roots = RootCertStore::empty();
    roots.add(pair.certificate.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), live.connect());
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

fn read(stream: &mut Stream) -> String {
    let mut bytes = Vec::new();
    // A server may close the connection without saying so in TLS.
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
