//! The console: the files of `console/dist`, which are in the binary, and the paths of its screens. They hold no data, so
//! everybody may load them; what they show, they ask the API for.

use std::{
    io::Write,
    sync::{LazyLock, OnceLock},
};

use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};

use super::{Problem, Served};
use crate::say;

/// A file of the console.
#[derive(Clone, Copy)]
struct File {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
    /// The same as the build packed it by brotli, which takes its time; empty where it did not.
    brotli: &'static [u8],
}

/// A file of `console/dist`, with what the build packed.
macro_rules! file {
    ($name:literal, $kind:literal) => {
        File {
            name: $name,
            kind: $kind,
            bytes: include_bytes!(concat!("../../console/dist/", $name)),
            brotli: b"",
        }
    };
    ($name:literal, $kind:literal, packed) => {
        File { brotli: include_bytes!(concat!("../../console/dist/", $name, ".br")), ..file!($name, $kind) }
    };
}

/// The page of every screen.
const PAGE: File = file!("index.html", "text/html; charset=utf-8");

/// What is served at the root, because browsers ask for it there.
const AT_ROOT: &[File] = &[
    file!("manifest.webmanifest", "application/manifest+json"),
    file!("worker.js", "text/javascript; charset=utf-8"),
];

/// What is served below `/assets/`.
const ASSETS: &[File] = &[
    file!("app.css", "text/css; charset=utf-8", packed),
    file!("app.js", "text/javascript; charset=utf-8", packed),
    file!("curves.js", "text/javascript; charset=utf-8", packed),
    file!("en.js", "text/javascript; charset=utf-8", packed),
    file!("zh.js", "text/javascript; charset=utf-8", packed),
    file!("icon.svg", "image/svg+xml"),
];

/// The screens. A path answers with the page, and its script shows the screen.
pub const SCREENS: &[&str] = &[
    "/",
    "/alerts",
    "/alerts/{id}",
    "/approvals",
    "/ask",
    "/audit",
    "/budget",
    "/budget/{id}",
    "/decisions",
    "/decisions/{id}",
    "/notifications",
    "/payees",
    "/payees/{id}",
    "/payments",
    "/payments/{id}",
    "/quarantine",
    "/reports",
    "/results",
    "/routes",
    "/rule-sets",
    "/rules",
    "/rules/{id}",
    "/rules/{id}/lab",
    "/sign-in",
    "/silences",
    "/sources",
    "/sources/map",
    "/units/{id}",
    "/users",
    "/works",
];

/// Where assets are, with the digest of the whole console, so that their names never mean anything else.
const ASSET: &str = "/assets/{digest}/{name}";

/// What the page may load: its own files, and the API.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// A file as it is sent.
struct Sent {
    name: &'static str,
    kind: &'static str,
    plain: Bytes,
    brotli: Bytes,
    /// Packed when the first client asks that takes nothing better, which no browser does: it would make every start longer.
    gzip: OnceLock<Bytes>,
    digest: String,
}

/// All files, ready to be sent.
struct Console {
    /// Of all files together.
    digest: String,
    page: Sent,
    at_root: Vec<Sent>,
    assets: Vec<Sent>,
}

static CONSOLE: LazyLock<Console> = LazyLock::new(|| Console::new(PAGE, AT_ROOT, ASSETS));

impl Console {
    fn new(page: File, at_root: &[File], assets: &[File]) -> Self {
        let mut all = blake3::Hasher::new();
        for File { name, bytes, .. } in [page].iter().chain(at_root).chain(assets) {
            all.update(name.as_bytes()).update(bytes);
        }
        let digest = short(&all);
        // Files are named without the digest where they are written, and with it where they are read.
        let placed = |file: &File| Sent::new(*file, &replaced(file.bytes, &format!("/assets/{digest}/")));
        Self {
            page: placed(&page),
            at_root: at_root.iter().map(placed).collect(),
            assets: assets.iter().map(|file| Sent::new(*file, file.bytes)).collect(),
            digest,
        }
    }
}

fn replaced(bytes: &[u8], assets: &str) -> Vec<u8> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.replace("/assets/", assets).into_bytes(),
        Err(_) => bytes.to_vec(),
    }
}

fn short(hasher: &blake3::Hasher) -> String {
    hasher.finalize().to_hex()[..16].to_owned()
}

impl Sent {
    fn new(file: File, bytes: &[u8]) -> Self {
        Self {
            name: file.name,
            kind: file.kind,
            plain: Bytes::copy_from_slice(bytes),
            brotli: Bytes::from_static(file.brotli),
            gzip: OnceLock::new(),
            digest: short(blake3::Hasher::new().update(bytes)),
        }
    }

    fn answer(&self, headers: &HeaderMap, keep: &'static str) -> Response {
        let tag = self.tag(self.coded(headers).map(|(coding, _)| coding));
        let known = said(headers, &header::IF_NONE_MATCH);
        match known.split(',').any(|known| known.trim() == tag) {
            true => (StatusCode::NOT_MODIFIED, about(&tag, keep)).into_response(),
            false => self.whole(headers, keep),
        }
    }

    /// The file itself, whatever the client has already.
    fn whole(&self, headers: &HeaderMap, keep: &'static str) -> Response {
        let coded = self.coded(headers);
        let (tag, kind) = (self.tag(coded.map(|(coding, _)| coding)), [(header::CONTENT_TYPE, self.kind)]);
        match coded {
            Some((coding, bytes)) => {
                (about(&tag, keep), kind, [(header::CONTENT_ENCODING, coding)], bytes.clone()).into_response()
            }
            None => (about(&tag, keep), kind, self.plain.clone()).into_response(),
        }
    }

    /// The best coding that a client takes.
    fn coded(&self, headers: &HeaderMap) -> Option<(&'static str, &Bytes)> {
        let accepted = said(headers, &header::ACCEPT_ENCODING);
        if !self.brotli.is_empty() && takes(accepted, "br") {
            return Some(("br", &self.brotli));
        }
        // Without its packed form the file is sent as it is.
        takes(accepted, "gzip").then(|| ("gzip", self.gzip())).filter(|(_, bytes)| !bytes.is_empty())
    }

    fn gzip(&self) -> &Bytes {
        self.gzip.get_or_init(|| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            // Writing to memory does not fail.
            encoder.write_all(&self.plain).and_then(|()| encoder.finish()).unwrap_or_default().into()
        })
    }

    fn tag(&self, coding: Option<&str>) -> String {
        let coding = coding.map_or(String::new(), |coding| format!("-{coding}"));
        format!("\"{}{coding}\"", self.digest)
    }
}

/// What a file says of itself.
fn about<'t>(tag: &'t str, keep: &'t str) -> [(HeaderName, &'t str); 4] {
    [
        (header::ETAG, tag),
        (header::CACHE_CONTROL, keep),
        (header::VARY, "accept-encoding"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ]
}

fn said<'h>(headers: &'h HeaderMap, name: &HeaderName) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}

/// Whether a client takes a coding; `gzip;q=0` says that it does not.
fn takes(accepted: &str, wanted: &str) -> bool {
    accepted.split(',').any(|coding| {
        let (name, quality) = coding.split_once(';').unwrap_or((coding, ""));
        let refuses = quality.trim().strip_prefix("q=").is_some_and(|q| q.trim().parse() == Ok(0.0_f32));
        name.trim().eq_ignore_ascii_case(wanted) && !refuses
    })
}

/// Whether a path, as the router has it, is of the console. Everybody may load it.
pub(crate) fn is_console(path: &str) -> bool {
    path == ASSET
        || SCREENS.contains(&path)
        || path.strip_prefix('/').is_some_and(|name| AT_ROOT.iter().any(|file| file.name == name))
}

/// The routes of the console.
pub(crate) fn routes() -> Router<Served> {
    let screens = SCREENS.iter().fold(Router::new(), |router, path| router.route(path, get(page)));
    let root = AT_ROOT.iter().enumerate().fold(screens, |router, (at, file)| {
        let send = move |headers: HeaderMap| async move { CONSOLE.at_root[at].answer(&headers, "no-cache") };
        router.route(&format!("/{}", file.name), get(send))
    });
    root.route(ASSET, get(asset))
}

/// Where nothing is: people are told so by the console, programs by a problem.
pub(crate) async fn nothing(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    match is_asked_by_a_person(&method, uri.path(), &headers) {
        true => (StatusCode::NOT_FOUND, CONSOLE.page.whole(&headers, "no-store")).into_response(),
        false => Problem::new(StatusCode::NOT_FOUND, say!("there is nothing at this path")).into_response(),
    }
}

/// Whether somebody has opened an address in a browser that is none of the API.
pub(crate) fn is_asked_by_a_person(method: &Method, path: &str, headers: &HeaderMap) -> bool {
    let accepts = said(headers, &header::ACCEPT);
    let is_of_programs = ["/api/", "/-/", "/assets/"].iter().any(|start| path.starts_with(start));
    matches!(*method, Method::GET | Method::HEAD) && accepts.contains("text/html") && !is_of_programs
}

/// The page, for people; a program that asks for something else is told that there is nothing.
async fn page(headers: HeaderMap) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*");
    match ["text/html", "text/*", "*/*"].iter().any(|kind| accepts.contains(kind)) {
        true => CONSOLE.page.answer(&headers, "no-cache"),
        false => Problem::new(
            StatusCode::NOT_FOUND,
            say!("this is a screen of the console, for browsers; the API is under /api/v1"),
        )
        .into_response(),
    }
}

async fn asset(Path((digest, name)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let file = CONSOLE.assets.iter().find(|file| file.name == name).filter(|_| digest == CONSOLE.digest);
    match file {
        Some(file) => file.answer(&headers, "public, max-age=31536000, immutable"),
        None => Problem::new(
            StatusCode::NOT_FOUND,
            say!(
                "the console does not have this file; load the page again, it may be from before an upgrade"
            ),
        )
        .into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn file(name: &'static str, bytes: &'static [u8]) -> File {
        File { name, kind: "text/plain", bytes, brotli: b"" }
    }

    const FILES: [File; 3] = [
        file("index.html", b"<script src=\"/assets/app.js\"></script>"),
        file("worker.js", b"cache('/assets/app.js')"),
        file("app.js", b"let a = 1;"),
    ];

    fn headers(given: &[(HeaderName, &str)]) -> HeaderMap {
        given.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_changed_file_changes_the_names_of_all_assets() {
        let [page, worker, script] = FILES;
        let one = Console::new(page, &[worker], &[script]);
        let text = String::from_utf8(one.page.plain.to_vec()).unwrap();
        assert_eq!(text, format!("<script src=\"/assets/{}/app.js\"></script>", one.digest));
        assert!(one.at_root[0].plain.starts_with(format!("cache('/assets/{}/", one.digest).as_bytes()));
        let other = Console::new(page, &[worker], &[file("app.js", b"let a = 2;")]);
        assert_ne!(one.digest, other.digest);
        assert_ne!(one.page.digest, other.page.digest);
    }

    #[test]
    fn files_are_packed_and_sent_once() {
        let [page, worker, script] = FILES;
        let console = Console::new(page, &[worker], &[File { brotli: b"packed", ..script }]);
        let is_packed = || console.assets[0].gzip.get().is_some();
        let plain = console.assets[0].answer(&headers(&[]), "no-cache");
        assert!(plain.headers().get(header::CONTENT_ENCODING).is_none());
        let accepts = [(header::ACCEPT_ENCODING, "br;q=0, gzip;q=0.8")];
        let best = console.assets[0].answer(&headers(&[(header::ACCEPT_ENCODING, "gzip, deflate, br")]), "");
        assert_eq!(best.headers()[header::CONTENT_ENCODING], "br");
        assert!(!is_packed(), "nobody has asked for it");
        let packed = console.assets[0].answer(&headers(&accepts), "no-cache");
        assert!(is_packed());
        assert_eq!(packed.headers()[header::CONTENT_ENCODING], "gzip");
        let tags = [&plain, &packed, &best]
            .map(|answer| answer.headers()[header::ETAG].to_str().unwrap().to_owned());
        assert!(tags[0] != tags[1] && tags[1] != tags[2], "{tags:?}");
        let known = format!("\"x\", {}", tags[1]);
        let again = [accepts[0].clone(), (header::IF_NONE_MATCH, known.as_str())];
        assert_eq!(console.assets[0].answer(&headers(&again), "no-cache").status(), 304);
        let refuses = [(header::ACCEPT_ENCODING, "gzip;q=0")];
        assert!(
            console.assets[0]
                .answer(&headers(&refuses), "")
                .headers()
                .get(header::CONTENT_ENCODING)
                .is_none()
        );
    }

    #[test]
    fn people_are_told_by_the_console_and_programs_by_a_problem() {
        let asked = |method, path, accepts: &str| {
            is_asked_by_a_person(&method, path, &headers(&[(header::ACCEPT, accepts)]))
        };
        assert!(asked(Method::GET, "/nonsense", "text/html,application/xhtml+xml"));
        assert!(!asked(Method::GET, "/nonsense", "*/*"));
        assert!(!asked(Method::POST, "/nonsense", "text/html"));
        assert!(!asked(Method::GET, "/api/v1/nonsense", "text/html"));
    }
}
