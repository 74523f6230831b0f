//! The console: the files of `console/dist`, which are in the binary, and the paths of its screens. They hold no data, so
//! everybody may load them; what they show, they ask the API for.

use std::{io::Write, sync::LazyLock};

use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};

use super::{Problem, Served};
use crate::say;

/// A file of the console: its name, its media type and its bytes.
type File = (&'static str, &'static str, &'static [u8]);

/// The page of every screen.
const PAGE: File =
    ("index.html", "text/html; charset=utf-8", include_bytes!("../../console/dist/index.html"));

/// What is served at the root, because browsers ask for it there.
const AT_ROOT: &[File] = &[
    (
        "manifest.webmanifest",
        "application/manifest+json",
        include_bytes!("../../console/dist/manifest.webmanifest"),
    ),
    ("worker.js", "text/javascript; charset=utf-8", include_bytes!("../../console/dist/worker.js")),
];

/// What is served below `/assets/`.
const ASSETS: &[File] = &[
    ("app.css", "text/css; charset=utf-8", include_bytes!("../../console/dist/app.css")),
    ("app.js", "text/javascript; charset=utf-8", include_bytes!("../../console/dist/app.js")),
    ("icon.svg", "image/svg+xml", include_bytes!("../../console/dist/icon.svg")),
];

/// The screens. A path answers with the page, and its script shows the screen.
pub const SCREENS: &[&str] = &[
    "/",
    "/alerts",
    "/alerts/{id}",
    "/answer/{id}",
    "/ask",
    "/audit",
    "/budget",
    "/budget/{id}",
    "/notifications",
    "/payees/{id}",
    "/payments",
    "/payments/{id}",
    "/quarantine",
    "/reports",
    "/results",
    "/routes",
    "/rules",
    "/rules/{id}",
    "/rules/{id}/lab",
    "/sign-in",
    "/silences",
    "/sources",
    "/units/{id}",
    "/users",
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
    gzip: Bytes,
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
        for (name, _, bytes) in [page].iter().chain(at_root).chain(assets) {
            all.update(name.as_bytes()).update(bytes);
        }
        let digest = short(&all);
        // Files are named without the digest where they are written, and with it where they are read.
        let placed = |file: &File| Sent::new(*file, &replaced(file.2, &format!("/assets/{digest}/")));
        Self {
            page: placed(&page),
            at_root: at_root.iter().map(placed).collect(),
            assets: assets.iter().map(|file| Sent::new(*file, file.2)).collect(),
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
    fn new((name, kind, _): File, bytes: &[u8]) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Writing to memory does not fail; without it the file is sent as it is.
        let packed = encoder.write_all(bytes).and_then(|()| encoder.finish()).unwrap_or_default();
        let digest = short(blake3::Hasher::new().update(bytes));
        Self { name, kind, plain: Bytes::copy_from_slice(bytes), gzip: packed.into(), digest }
    }

    fn answer(&self, headers: &HeaderMap, keep: &'static str) -> Response {
        let said = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
        let is_packed = !self.gzip.is_empty() && takes_gzip(said(header::ACCEPT_ENCODING));
        let tag = format!("\"{}{}\"", self.digest, if is_packed { "-gzip" } else { "" });
        let about = [
            (header::ETAG, tag.as_str()),
            (header::CACHE_CONTROL, keep),
            (header::VARY, "accept-encoding"),
            (header::CONTENT_SECURITY_POLICY, POLICY),
        ];
        if said(header::IF_NONE_MATCH).split(',').any(|known| known.trim() == tag) {
            return (StatusCode::NOT_MODIFIED, about).into_response();
        }
        let kind = [(header::CONTENT_TYPE, self.kind)];
        match is_packed {
            true => (about, kind, [(header::CONTENT_ENCODING, "gzip")], self.gzip.clone()).into_response(),
            false => (about, kind, self.plain.clone()).into_response(),
        }
    }
}

/// Whether a client takes gzip; `gzip;q=0` says that it does not.
fn takes_gzip(accepted: &str) -> bool {
    accepted.split(',').any(|coding| {
        let (name, quality) = coding.split_once(';').unwrap_or((coding, ""));
        let refuses = quality.trim().strip_prefix("q=").is_some_and(|q| q.trim().parse() == Ok(0.0_f32));
        name.trim().eq_ignore_ascii_case("gzip") && !refuses
    })
}

/// Whether a path, as the router has it, is of the console. Everybody may load it.
pub fn is_console(path: &str) -> bool {
    path == ASSET
        || SCREENS.contains(&path)
        || path.strip_prefix('/').is_some_and(|name| AT_ROOT.iter().any(|file| file.0 == name))
}

/// The routes of the console.
pub fn routes() -> Router<Served> {
    let screens = SCREENS.iter().fold(Router::new(), |router, path| router.route(path, get(page)));
    let root = CONSOLE.at_root.iter().fold(screens, |router, file| {
        let send = move |headers: HeaderMap| async move { file.answer(&headers, "no-cache") };
        router.route(&format!("/{}", file.name), get(send))
    });
    root.route(ASSET, get(asset))
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

    const FILES: [File; 3] = [
        ("index.html", "text/html", b"<script src=\"/assets/app.js\"></script>"),
        ("worker.js", "text/javascript", b"cache('/assets/app.js')"),
        ("app.js", "text/javascript", b"let a = 1;"),
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
        let other = Console::new(page, &[worker], &[("app.js", "text/javascript", b"let a = 2;")]);
        assert_ne!(one.digest, other.digest);
        assert_ne!(one.page.digest, other.page.digest);
    }

    #[test]
    fn files_are_packed_and_sent_once() {
        let [page, worker, script] = FILES;
        let console = Console::new(page, &[worker], &[script]);
        let plain = console.assets[0].answer(&headers(&[]), "no-cache");
        assert!(plain.headers().get(header::CONTENT_ENCODING).is_none());
        let accepts = [(header::ACCEPT_ENCODING, "br, gzip;q=0.8")];
        let packed = console.assets[0].answer(&headers(&accepts), "no-cache");
        assert_eq!(packed.headers()[header::CONTENT_ENCODING], "gzip");
        let tags =
            [&plain, &packed].map(|answer| answer.headers()[header::ETAG].to_str().unwrap().to_owned());
        assert_ne!(tags[0], tags[1]);
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
}
