//! People log in by the passwords of a real directory (OpenLDAP): by `StartTLS` and LDAPS, bound as themselves or looked for,
//! and what they type is text and nothing else.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    notify::service,
    support::{Bench, Daemon, agent, free_port, run, wait_until},
    tls::Pair,
};

const PASSWORD: &str = "four words over tea";

/// The directory; it ends with the test.
struct Directory {
    child: Child,
    plain: u16,
    tls: u16,
    _dir: tempfile::TempDir,
    authority: Pair,
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Everybody in it, and their groups. Passwords are nobody's to read, and entries are the reader's and one's own.
const PEOPLE: &str = "dn: dc=example,dc=cn
objectClass: dcObject
objectClass: organization
o: example
dc: example

dn: cn=reader,dc=example,dc=cn
objectClass: person
cn: reader
sn: reader
userPassword: read only

dn: uid=wangfang,dc=example,dc=cn
objectClass: inetOrgPerson
uid: wangfang
cn: wang
sn: wang
userPassword: four words over tea

dn: uid=lilei,dc=example,dc=cn
objectClass: inetOrgPerson
uid: lilei
cn: li
sn: li
userPassword: four words over tea

dn: uid=local,dc=example,dc=cn
objectClass: inetOrgPerson
uid: local
cn: local
sn: local
userPassword: four words over tea

dn: cn=jiankong,dc=example,dc=cn
objectClass: groupOfNames
cn: jiankong
member: uid=wangfang,dc=example,dc=cn
member: uid=local,dc=example,dc=cn

dn: cn=shenji,dc=example,dc=cn
objectClass: groupOfNames
cn: shenji
member: cn=reader,dc=example,dc=cn
";

impl Directory {
    fn start() -> Option<Self> {
        let slapd = service(&["target/services/slapd/usr/sbin/slapd"])?;
        let root: PathBuf = slapd.ancestors().nth(3).unwrap().into();
        let dir = tempfile::tempdir().unwrap();
        let authority = Pair::new("authority", None);
        authority.write(dir.path(), "ca");
        Pair::new("localhost", Some(&authority)).write(dir.path(), "server");
        let (root_text, at) = (root.display(), dir.path().display());
        let config = format!(
            "include {root_text}/etc/ldap/schema/core.schema
include {root_text}/etc/ldap/schema/cosine.schema
include {root_text}/etc/ldap/schema/inetorgperson.schema
modulepath {root_text}/usr/lib/ldap
moduleload back_mdb
pidfile {at}/pid
TLSCertificateFile {at}/server.pem
TLSCertificateKeyFile {at}/server.key
TLSCACertificateFile {at}/ca.pem
database mdb
suffix \"dc=example,dc=cn\"
directory {at}/db
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact=\"cn=reader,dc=example,dc=cn\" read by self read by anonymous auth by * none
"
        );
        std::fs::create_dir(dir.path().join("db")).unwrap();
        std::fs::write(dir.path().join("slapd.conf"), config).unwrap();
        std::fs::write(dir.path().join("people"), PEOPLE).unwrap();
        let command = |args: &[&str]| {
            let mut command = Command::new(&slapd);
            command
                .env("LD_LIBRARY_PATH", root.join("usr/lib/x86_64-linux-gnu"))
                .current_dir(dir.path())
                .args(args)
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command
        };
        let added = command(&["-T", "add", "-f", "slapd.conf", "-l", "people"]).status().unwrap();
        assert!(added.success());
        let (plain, tls) = (free_port(), free_port());
        let addresses = format!("ldap://127.0.0.1:{plain} ldaps://127.0.0.1:{tls}");
        let child = command(&["-h", &addresses, "-f", "slapd.conf", "-d", "0"]).spawn().unwrap();
        wait_until(|| std::net::TcpStream::connect(("127.0.0.1", tls)).is_ok());
        Some(Self { child, plain, tls, _dir: dir, authority })
    }

    /// A bench whose users are there, found this way.
    fn bench(&self, way: &str) -> Bench {
        let bench = Bench::new("", "");
        let config = format!(
            "state: {{ dir: state }}
http:
  listen: '127.0.0.1:0'
  auth: true
  ldap:
    ca_file: ca.pem
    {way}
    group_base: 'dc=example,dc=cn'
    roles: {{ 'CN=Jiankong, dc=example,dc=cn': [officer], 'cn=shenji,dc=example,dc=cn': [auditor] }}
"
        );
        self.authority.write(bench.path(), "ca");
        std::fs::write(bench.path().join("fiscwatch.yaml"), config).unwrap();
        std::fs::write(bench.path().join("reader"), "read only\n").unwrap();
        std::fs::write(bench.path().join("password"), "a ship that nobody sees\n").unwrap();
        let args = ["user", "add", "local", "--role", "officer", "--password-file", "password"];
        let (code, out, err) = run(bench.path(), &[&args[..], &["--config", "fiscwatch.yaml"]].concat());
        assert_eq!(code, Some(0), "{out}{err}");
        bench
    }
}

/// What logging in is answered.
fn log_in(daemon: &Daemon, user: &str, password: &str) -> (u16, Value) {
    let request = agent().post(format!("{}/api/v1/session", daemon.address));
    let body = json!({ "user": user, "password": password }).to_string();
    let mut answer = request.header("content-type", "application/json").send(body).unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    (answer.status().as_u16(), serde_json::from_str(&text).unwrap())
}

const SEARCH: &str =
    "base: 'dc=example,dc=cn', bind_dn: 'cn=reader,dc=example,dc=cn', bind_password_file: reader";

fn keys(way: &str) -> String {
    way.replace("', ", "'\n    ")
}

#[test]
fn a_password_that_the_directory_takes_is_right() {
    let Some(directory) = Directory::start() else { return };
    let (plain, tls) = (directory.plain, directory.tls);
    let search = keys(SEARCH);
    for way in [
        format!("url: 'ldaps://localhost:{tls}'\n    {search}"),
        format!("url: 'ldap://localhost:{plain}'\n    start_tls: true\n    {search}"),
        format!("url: 'ldap://127.0.0.1:{plain}'\n    {search}"),
    ] {
        let bench = directory.bench(&way);
        let daemon = Daemon::start(bench.path());
        let (status, own) = log_in(&daemon, "wangfang", PASSWORD);
        assert_eq!(
            (status, &own["user"], &own["roles"]),
            (200, &"wangfang".into(), &json!(["officer"])),
            "{own}"
        );
        // The same person, however they write their name.
        assert_eq!(log_in(&daemon, "WangFang", PASSWORD).1["user"], "wangfang");
        for (user, password, status) in [
            ("wangfang", "another", 401),
            ("wangfang", "", 401),
            ("nobody", PASSWORD, 401),
            // Whoever is in no group with a role, and whoever has a password here.
            ("lilei", PASSWORD, 403),
            ("local", PASSWORD, 401),
            ("local", "a ship that nobody sees", 200),
            // What is typed is no filter and no name of an entry.
            ("*", PASSWORD, 401),
            ("wang*", PASSWORD, 401),
            ("wangfang)(uid=*", PASSWORD, 401),
            ("wangfang)(|(uid=*)", PASSWORD, 401),
            ("wangfang,dc=example,dc=cn", PASSWORD, 401),
        ] {
            assert_eq!(log_in(&daemon, user, password).0, status, "{user} {password:?}");
        }
        daemon.stop("-TERM");
    }
}

#[test]
fn people_bind_as_themselves_where_their_entry_follows_from_their_name() {
    let Some(directory) = Directory::start() else { return };
    let url = format!("url: 'ldaps://localhost:{}'", directory.tls);
    let bench = directory.bench(&format!("{url}\n    user_dn: 'uid={{user}},dc=example,dc=cn'"));
    let daemon = Daemon::start(bench.path());
    // Groups are not theirs to read here: the directory says who they are, and nothing that they may.
    let (status, said) = log_in(&daemon, "wangfang", PASSWORD);
    assert!(status == 403 && said["detail"].as_str().unwrap().contains("none of their groups"), "{said}");
    for user in ["wangfang,dc=example,dc=cn", "x+uid=wangfang", "wangfang\\", "\u{0}"] {
        assert_eq!(log_in(&daemon, user, PASSWORD).0, 401, "{user:?}");
    }
    let (code, log, _) = run(bench.path(), &["audit", "export", "--config", "fiscwatch.yaml"]);
    assert!(code == Some(0) && log.contains("\"who\":\"ldap\"") && log.contains("\"refused\""), "{log}");
    assert!(!log.contains(PASSWORD));
}

#[test]
fn a_directory_that_cannot_be_believed_or_asked_is_told_and_holds_nobody_up() {
    let Some(directory) = Directory::start() else { return };
    let search = keys(SEARCH);
    // A certificate of another authority; a reader who is refused; nobody there.
    let of = |url: &str| directory.bench(&format!("url: '{url}'\n    {search}"));
    let stranger = of(&format!("ldaps://localhost:{}", directory.tls));
    Pair::new("authority", None).write(stranger.path(), "ca");
    let refused = of(&format!("ldap://127.0.0.1:{}", directory.plain));
    std::fs::write(refused.path().join("reader"), "wrong\n").unwrap();
    let away = of("ldap://127.0.0.1:1");
    for bench in [stranger, refused, away] {
        let daemon = Daemon::start(bench.path());
        let (status, said) = log_in(&daemon, "wangfang", PASSWORD);
        assert_eq!((status, &said["status"]), (503, &503.into()), "{said}");
        // Users of ours do not need it.
        assert_eq!(log_in(&daemon, "local", "a ship that nobody sees").0, 200);
        let (_, said) = daemon.end("-TERM");
        assert!(said.contains("the directory cannot be asked") && !said.contains(PASSWORD), "{said}");
    }
    // Whoever guesses waits, without the directory being asked.
    let bench = of(&format!("ldap://127.0.0.1:{}", directory.plain));
    let daemon = Daemon::start(bench.path());
    let tries: Vec<u16> = (0..6).map(|_| log_in(&daemon, "wangfang", "wrong").0).collect();
    assert_eq!(tries, [401, 401, 401, 401, 401, 429]);
    assert_eq!(log_in(&daemon, "WANGFANG", PASSWORD).0, 429);
}
