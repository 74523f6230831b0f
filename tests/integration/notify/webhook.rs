//! The webhook against a receiver that answers in every way.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use fiscwatch::{
    alert::Reason,
    clock::ManualClock,
    config::sinks::Secret,
    notify::{SendError, webhook::signature},
};
use parking_lot::Mutex;
use serde_json::Value;

use super::{notification, permanent, setup, setup_at, sink, temporary};
use crate::support::NOBODY;

type Answer = Arc<dyn Fn() -> Response + Send + Sync>;

#[derive(Clone)]
struct Receiver {
    got: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
    answer: Arc<Mutex<Answer>>,
}

impl Receiver {
    async fn start() -> (Self, SocketAddr) {
        let receiver = Self {
            got: Arc::default(),
            answer: Arc::new(Mutex::new(Arc::new(|| StatusCode::NO_CONTENT.into_response()))),
        };
        let take = async |State(receiver): State<Self>, headers: HeaderMap, body: Bytes| {
            receiver.got.lock().push((headers, body));
            let answer = receiver.answer.lock().clone();
            answer()
        };
        let app = Router::new().route("/hook", post(take)).with_state(receiver.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        (receiver, address)
    }

    fn answers(&self, answer: impl Fn() -> Response + Send + Sync + 'static) {
        *self.answer.lock() = Arc::new(answer);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_body_and_its_signature_are_what_the_documentation_says() {
    let (receiver, address) = Receiver::start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    std::fs::write(&file, "topsecret\n").unwrap();
    let setup =
        setup_at(Arc::new(ManualClock::at(fiscwatch::event::Instant::from_micros(1_772_589_600_000_000))));
    let spec = format!(
        "webhook: {{ url: 'http://{address}/hook?token=x', secret_file: '{}', bearer_token: tok }}",
        file.display()
    );
    let sink = sink(&spec, &setup);
    let notification = notification(Reason::SomeEnded, "");
    sink.send(&notification).await.unwrap();

    let (headers, body) = receiver.got.lock()[0].clone();
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("authorization"), "Bearer tok");
    assert_eq!(header("x-fiscwatch-id"), notification.id);
    assert_eq!(header("idempotency-key"), notification.id);
    assert_eq!(header("x-fiscwatch-timestamp"), "1772589600");
    let expected = signature(&Secret::new("topsecret"), "1772589600", &body);
    assert_eq!(header("x-fiscwatch-signature"), expected);
    verify_with_python(&body, &expected);

    let body: Value = serde_json::from_slice(&body).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&body).unwrap());
}

/// An independent opinion, as docs/notifications.md gives it to receivers.
fn verify_with_python(body: &[u8], expected: &str) {
    use std::io::Write;
    let program = "import hashlib, hmac, sys\nprint('sha256=' + hmac.new(b'topsecret', b'1772589600.' + sys.stdin.buffer.read(), hashlib.sha256).hexdigest())";
    let mut command = std::process::Command::new("python3");
    let command = command
        .args(["-c", program])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        eprintln!("skipped: there is no python3 to verify the signature with");
        return;
    };
    child.stdin.take().unwrap().write_all(body).unwrap();
    let said = child.wait_with_output().unwrap().stdout;
    assert_eq!(String::from_utf8(said).unwrap().trim(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_told_apart() {
    let (receiver, address) = Receiver::start().await;
    let sink = sink(&format!("webhook: {{ url: 'http://{address}/hook' }}"), &setup());
    let notification = notification(Reason::First, "");
    for code in [200, 201, 202, 204] {
        receiver.answers(move || StatusCode::from_u16(code).unwrap().into_response());
        sink.send(&notification).await.unwrap();
    }
    for code in [408, 425, 429, 500, 502, 503, 504] {
        receiver.answers(move || {
            (StatusCode::from_u16(code).unwrap(), [("retry-after", "30")], "busy").into_response()
        });
        let Err(SendError::Later(text, wait)) = sink.send(&notification).await else { panic!("{code}") };
        assert_eq!(wait, Duration::from_secs(30));
        assert!(
            text.contains(&code.to_string()) && text.contains("Retry-After: 30") && text.contains("busy"),
            "{text}"
        );
    }
    let (now, then) = ("Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:30:05 GMT");
    for (date, asked, wait) in [(now, then, Some(125)), (then, now, Some(0)), (now, "soon", None)] {
        receiver.answers(move || {
            (StatusCode::SERVICE_UNAVAILABLE, [("date", date), ("retry-after", asked)]).into_response()
        });
        match sink.send(&notification).await {
            Err(SendError::Later(_, told)) => assert_eq!(wait, Some(told.as_secs()), "{asked}"),
            other => assert!(wait.is_none() && matches!(other, Err(SendError::Temporary(_))), "{other:?}"),
        }
    }
    for code in [400, 401, 403, 404, 410, 413, 422] {
        receiver.answers(move || (StatusCode::from_u16(code).unwrap(), "no\r\nway").into_response());
        let text = permanent(sink.send(&notification).await);
        assert!(text.contains(&code.to_string()) && text.contains("no way"), "{text}");
    }
    let before = receiver.got.lock().len();
    let to = format!("http://{address}/hook?again");
    receiver.answers(move || (StatusCode::TEMPORARY_REDIRECT, [("location", to.clone())]).into_response());
    let text = permanent(sink.send(&notification).await);
    assert!(text.contains("redirects are not followed"), "{text}");
    assert_eq!(receiver.got.lock().len(), before + 1);
    receiver.answers(|| (StatusCode::BAD_REQUEST, "x".repeat(10 << 20)).into_response());
    let text = permanent(sink.send(&notification).await);
    assert!(text.len() < 700, "{}", text.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_not_there_or_says_nothing_is_tried_later() {
    let notification = notification(Reason::First, "");
    let sink_to = |url: &str, more: &str| sink(&format!("webhook: {{ url: '{url}', {more} }}"), &setup());
    let text = temporary(sink_to(&format!("http://{NOBODY}/?token=hunter2"), "").send(&notification).await);
    assert!(text.contains("nobody listens there") && !text.contains("hunter2"), "{text}");
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let text = temporary(
        sink_to(&format!("http://{address}/?token=hunter2"), "timeout: 300ms").send(&notification).await,
    );
    assert!(text.contains("no answer in time") && !text.contains("hunter2"), "{text}");
}
