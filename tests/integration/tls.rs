//! TLS of the listener: what it speaks, certificates that change under way, and clients that show one.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
    time::Duration,
};

use fiscwatch::{
    access::{Actor, Role, Roles},
    event::Instant,
    store::{Accounts, Store, TokenSpec},
};
use openssl::{
    asn1::Asn1Time,
    bn::BigNum,
    hash::MessageDigest,
    pkey::{PKey, Private},
    rsa::Rsa,
    ssl::{SslConnector, SslMethod, SslVersion},
    x509::{X509, X509NameBuilder, extension::BasicConstraints, extension::SubjectAlternativeName},
};

use crate::support::{Bench, Daemon, fiscwatch, run, wait_until};

const CONFIG: &str = "state: { dir: state }
http: { listen: '127.0.0.1:0', auth: true, tls: own, certificate: server.pem, key: server.key, client_ca: ca.pem }
log: { level: warn }
";

/// A certificate with its key.
pub struct Pair {
    certificate: X509,
    key: PKey<Private>,
}

impl Pair {
    /// Signed by an authority, or by itself.
    pub fn new(name: &str, authority: Option<&Self>) -> Self {
        Self::lasting(name, authority, (0, 90))
    }

    /// The same, good from one day from now to another.
    fn lasting(name: &str, authority: Option<&Self>, (from, to): (i64, i64)) -> Self {
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let mut subject = X509NameBuilder::new().unwrap();
        subject.append_entry_by_text("CN", name).unwrap();
        let subject = subject.build();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        let serial = BigNum::from_u32(rand::random()).unwrap().to_asn1_integer().unwrap();
        builder.set_serial_number(&serial).unwrap();
        builder.set_subject_name(&subject).unwrap();
        builder.set_issuer_name(authority.map_or(&*subject, |by| by.certificate.subject_name())).unwrap();
        let now = Asn1Time::days_from_now(0).unwrap();
        let since_1970 = Asn1Time::from_unix(0).unwrap().diff(&now).unwrap();
        let day = |n: i64| Asn1Time::from_unix((i64::from(since_1970.days) + n) * 86_400).unwrap();
        builder.set_not_before(&day(from)).unwrap();
        builder.set_not_after(&day(to)).unwrap();
        builder.set_pubkey(&key).unwrap();
        let mut basic = BasicConstraints::new();
        if authority.is_none() {
            basic.critical().ca();
        }
        builder.append_extension(basic.build().unwrap()).unwrap();
        if authority.is_some() {
            let context = builder.x509v3_context(None, None);
            let alternative = SubjectAlternativeName::new().dns("localhost").build(&context).unwrap();
            builder.append_extension(alternative).unwrap();
        }
        builder.sign(authority.map_or(&key, |by| &by.key), MessageDigest::sha256()).unwrap();
        Self { certificate: builder.build(), key }
    }

    pub fn write(&self, dir: &Path, name: &str) {
        std::fs::write(dir.join(format!("{name}.pem")), self.certificate.to_pem().unwrap()).unwrap();
        let key = self.key.private_key_to_pem_pkcs8().unwrap();
        std::fs::write(dir.join(format!("{name}.key")), key).unwrap();
    }
}

/// A bench with an authority and a server of it.
fn bench() -> (Bench, Pair) {
    let (bench, authority) = (Bench::new("", ""), Pair::new("authority", None));
    authority.write(bench.path(), "ca");
    Pair::new("localhost", Some(&authority)).write(bench.path(), "server");
    std::fs::write(bench.path().join("fiscwatch.yaml"), CONFIG).unwrap();
    drop(Store::open(&bench.path().join("state")).unwrap());
    (bench, authority)
}

/// A client that trusts an authority, shows a certificate if it has one, and speaks one version if it is named.
fn get(
    daemon: &Daemon,
    authority: &Pair,
    own: Option<&Pair>,
    version: Option<SslVersion>,
    head: &str,
) -> Result<(String, Vec<u8>), String> {
    let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
    builder.cert_store_mut().add_cert(authority.certificate.clone()).unwrap();
    if let Some(own) = own {
        builder.set_certificate(&own.certificate).unwrap();
        builder.set_private_key(&own.key).unwrap();
    }
    builder.set_min_proto_version(version).unwrap();
    builder.set_max_proto_version(version).unwrap();
    let stream = TcpStream::connect(daemon.address.rsplit('/').next().unwrap()).map_err(|e| e.to_string())?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut stream = builder.build().connect("localhost", stream).map_err(|e| e.to_string())?;
    let request = format!("GET {head}\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(|e| e.to_string())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|e| e.to_string())?;
    let shown = stream.ssl().peer_certificate().unwrap().to_der().unwrap();
    Ok((answer, shown))
}

fn start(bench: &Bench, authority: &Pair) -> Daemon {
    let daemon = Daemon::begin(bench.path(), "");
    wait_until(|| {
        let ready = get(&daemon, authority, None, None, "/-/ready HTTP/1.1");
        ready.is_ok_and(|(answer, _)| answer.starts_with("HTTP/1.1 200"))
    });
    daemon
}

#[test]
fn the_listener_speaks_tls_and_reads_its_certificate_again() {
    let (bench, authority) = bench();
    let metrics = TokenSpec {
        name: String::from("scrape"),
        owner: None,
        roles: Roles::of_program([Role::Metrics]).unwrap(),
        expires_at: fiscwatch::event::Instant::MAX,
    };
    let by = Actor { who: String::from("test"), place: String::from("test") };
    let token = Accounts::open(&bench.path().join("state"))
        .unwrap()
        .add_token(&metrics, &by, Instant::from_micros(1))
        .unwrap();
    let daemon = start(&bench, &authority);
    let health = |version| get(&daemon, &authority, None, version, "/-/healthy HTTP/1.1");
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        assert!(health(Some(version)).unwrap().0.contains("fiscwatch is running"));
    }
    assert!(health(Some(SslVersion::TLS1_1)).is_err());
    assert_eq!(daemon.get("/-/healthy").0, 0, "nothing is said without TLS");
    assert!(get(&daemon, &Pair::new("authority", None), None, None, "/-/healthy HTTP/1.1").is_err());
    let head = format!("/metrics HTTP/1.1\r\nAuthorization: Bearer {}", token.text);
    let (text, before) = get(&daemon, &authority, None, None, &head).unwrap();
    let number = |name: &str| -> f64 {
        text.lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_else(|| panic!("{text}"))
            .parse()
            .unwrap()
    };
    assert!(number("fiscwatch_http_refused_total{cause=\"tls\"} ") >= 2.0);
    assert!(number("fiscwatch_tls_not_after_timestamp_seconds ") > 1.7e9);

    // A key that is not the certificate's leaves the old pair in use; the whole new one is taken.
    let hang_up = || {
        let pid = daemon.child.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    };
    let new = Pair::new("localhost", Some(&authority));
    std::fs::write(bench.path().join("server.pem"), new.certificate.to_pem().unwrap()).unwrap();
    hang_up();
    let told = daemon.log.iter().find(|line| line.contains("the certificate of before stays"));
    assert!(told.unwrap().contains("it is not the key of the certificate"));
    assert_eq!(health(None).unwrap().1, before);
    new.write(bench.path(), "server");
    hang_up();
    let der = new.certificate.to_der().unwrap();
    wait_until(|| health(None).is_ok_and(|(_, shown)| shown == der));
}

#[test]
fn whoever_shows_a_certificate_of_the_authority_is_its_user() {
    let (bench, authority) = bench();
    let by = Actor { who: String::from("test"), place: String::from("test") };
    let mut accounts = Accounts::open(&bench.path().join("state")).unwrap();
    accounts
        .add_user("wang.fang", &Roles::of_person([Role::Officer]).unwrap(), &by, Instant::from_micros(1))
        .unwrap();
    let daemon = start(&bench, &authority);
    let alerts = |own: Option<&Pair>| {
        let answer = get(&daemon, &authority, own, None, "/api/v1/alerts HTTP/1.1").map(|(answer, _)| answer);
        answer.map(|answer| answer.split(' ').nth(1).unwrap().to_owned())
    };
    let own = Pair::new("wang.fang", Some(&authority));
    assert_eq!(alerts(Some(&own)).unwrap(), "200");
    assert_eq!(alerts(None).unwrap(), "401");
    assert_eq!(alerts(Some(&Pair::new("nobody", Some(&authority)))).unwrap(), "401");
    let other = Pair::new("authority", None);
    assert!(
        alerts(Some(&Pair::new("wang.fang", Some(&other)))).is_err(),
        "another authority of the same name"
    );
    assert!(alerts(Some(&Pair::new("wang.fang", None))).is_err(), "signed by itself");
    accounts.set_enabled("wang.fang", false, &by, Instant::from_micros(2)).unwrap();
    assert_eq!(alerts(Some(&own)).unwrap(), "401");
}

/// A list of the authority in which these certificates are revoked.
fn revoke(dir: &Path, revoked: &[&Pair]) {
    let config = "[ca]\ndefault_ca = own\n[own]\ndatabase = index\ncertificate = ca.pem\nprivate_key = ca.key\ndefault_md = sha256\ndefault_crl_days = 30\nunique_subject = no\ncrlnumber = number\n";
    for (name, text) in [("openssl.cnf", config), ("index", ""), ("number", "01\n")] {
        std::fs::write(dir.join(name), text).unwrap();
    }
    let openssl = |args: &[&str]| {
        let done = Command::new("openssl").current_dir(dir).args(args).output().unwrap();
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    for pair in revoked {
        pair.write(dir, "revoked");
        openssl(&["ca", "-config", "openssl.cnf", "-revoke", "revoked.pem"]);
    }
    openssl(&["ca", "-config", "openssl.cnf", "-gencrl", "-out", "crl.pem"]);
}

#[test]
fn a_program_comes_by_its_certificate_as_long_as_its_token_is_good() {
    let (bench, authority) = bench();
    let config = CONFIG.replace("ca.pem }", "ca.pem, client_crl: crl.pem }");
    std::fs::write(bench.path().join("fiscwatch.yaml"), config).unwrap();
    let [feeder, again, lost] = [(); 3].map(|()| Pair::new("feeder", Some(&authority)));
    revoke(bench.path(), &[&lost]);
    let by = Actor { who: String::from("test"), place: String::from("test") };
    let mut accounts = Accounts::open(&bench.path().join("state")).unwrap();
    let mut token = |name: &str, role: Role, expires_at: i64| {
        let roles = Roles::of_program([role]).unwrap();
        let spec = TokenSpec {
            name: name.to_owned(),
            owner: None,
            roles,
            expires_at: Instant::from_micros(expires_at),
        };
        accounts.add_token(&spec, &by, Instant::from_micros(1)).unwrap().id
    };
    let good = token("feeder", Role::Metrics, i64::MAX);
    token("late", Role::Metrics, 2);
    token("reader", Role::Read, i64::MAX);
    let daemon = start(&bench, &authority);
    let metrics = |own: &Pair| {
        let answer = get(&daemon, &authority, Some(own), None, "/metrics HTTP/1.1").map(|(answer, _)| answer);
        answer.map(|answer| answer.split(' ').nth(1).unwrap().to_owned())
    };
    let of = |name: &str| Pair::new(name, Some(&authority));
    assert_eq!(metrics(&feeder).unwrap(), "200");
    assert_eq!(metrics(&of("reader")).unwrap(), "403", "another role");
    assert_eq!(metrics(&of("late")).unwrap(), "401", "its token has expired");
    assert_eq!(metrics(&of("nobody")).unwrap(), "401");
    // What the authority does not stand for (any more) is no connection.
    assert!(metrics(&Pair::lasting("feeder", Some(&authority), (-90, -1))).is_err(), "expired");
    assert!(metrics(&Pair::lasting("feeder", Some(&authority), (2, 90))).is_err(), "not good yet");
    assert!(metrics(&lost).is_err(), "revoked before the start");
    // One more is revoked, and the list is read again.
    revoke(bench.path(), &[&lost, &again]);
    assert_eq!(metrics(&again).unwrap(), "200");
    let pid = daemon.child.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    wait_until(|| metrics(&again).is_err());
    assert_eq!(metrics(&feeder).unwrap(), "200");
    Accounts::open(&bench.path().join("state")).unwrap().revoke(&good, &by, Instant::from_micros(3)).unwrap();
    assert_eq!(metrics(&feeder).unwrap(), "401", "its token is revoked");
}

#[test]
fn files_that_cannot_be_used_are_named_before_the_start() {
    let (bench, _) = bench();
    for (change, says) in [
        ("rm server.pem", "http.certificate"),
        ("echo nothing > server.pem", "there is no certificate (PEM) in it"),
        ("cp ca.key server.key", "it is not the key of the certificate in http.certificate"),
        ("echo nothing > server.key", "there is no private key (PEM, without a password) in it"),
        ("echo nothing > ca.pem", "there is no certificate (PEM) in it"),
        (
            "sed -i 's/key: server.key, //' fiscwatch.yaml",
            "http.tls: own needs http.certificate and http.key",
        ),
        ("sed -i 's/tls: own/tls: proxy/' fiscwatch.yaml", "need http.tls: own"),
    ] {
        let copy = tempfile::tempdir().unwrap();
        let script = format!("cp -r {}/. . && {change}", bench.path().display());
        assert!(
            Command::new("sh").current_dir(copy.path()).args(["-c", &script]).status().unwrap().success()
        );
        for command in [&["check"][..], &["run", "--once"]] {
            let (code, _, err) = run(copy.path(), &[command, &["--config", "fiscwatch.yaml"]].concat());
            assert!(code == Some(1) && err.contains(says), "{change} {command:?}: {err}");
        }
    }
    let checked =
        fiscwatch().current_dir(bench.path()).args(["check", "--config", "fiscwatch.yaml"]).output();
    assert!(checked.unwrap().status.success());
}
