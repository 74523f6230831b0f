//! A store of S3's protocol that refuses, or that does not do what it says: what is wrong is said in our words, and nobody has
//! the state.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
};

use super::Machines;
use crate::support::run;

/// What a server answers.
#[derive(Debug, Clone, Copy)]
enum Answers {
    /// Always the same status, with a code.
    With(u16, &'static str),
    /// Everything is there that was asked for, and nothing was before; it takes what is put, whatever is there.
    ToAll,
}

/// A server that answers until the test ends.
fn serve(answers: Answers) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || while answer(&stream, answers).is_some() {});
        }
    });
    port
}

/// Answers one request of a connection; `None` when it has ended.
fn answer(stream: &TcpStream, answers: Answers) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.to_lowercase());
    }
    let length = lines.iter().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    reader.take(length.unwrap_or(0)).read_to_end(&mut Vec::new()).ok()?;
    let (status, body) = match answers {
        Answers::With(status, code) => (status, format!("<Error><Code>{code}</Code></Error>")),
        Answers::ToAll if lines[0].contains("list-type") => (
            200,
            String::from(
                "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>treasury</Name><KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>",
            ),
        ),
        Answers::ToAll if lines[0].starts_with("get") => {
            (404, String::from("<Error><Code>NoSuchKey</Code></Error>"))
        }
        Answers::ToAll => (200, String::new()),
    };
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {status} .\r\ncontent-length: {}\r\n\r\n{body}", body.len()).ok()
}

#[test]
fn a_store_that_cannot_be_used_is_refused_in_our_words() {
    let machines = Machines::new("wait");
    for (answers, said) in [
        (Answers::With(403, "RequestTimeTooSkewed"), "differ by more than a quarter of an hour"),
        (
            Answers::With(400, "AuthorizationHeaderMalformed"),
            "the bucket is in another region (state.replicate.region)",
        ),
        (Answers::With(301, "PermanentRedirect"), "the bucket is in another region (state.replicate.region)"),
        (Answers::With(403, "AccessDenied"), "the key may not do that here: AccessDenied"),
        (
            Answers::With(501, "NotImplemented"),
            "cannot keep a state: it does not know conditional writes (If-None-Match)",
        ),
        (
            Answers::ToAll,
            "cannot keep a state: it overwrites an object that it was asked to keep (If-None-Match)",
        ),
    ] {
        let store = format!(
            "to: 's3://treasury/state', endpoint: 'http://127.0.0.1:{}', key_id: officer, secret: a-secret-key, when_away: wait, takeover_after: 5s",
            serve(answers)
        );
        let machine = machines.machine_with("m", &store);
        let (code, out, err) = run(&machine, &["run", "--once", "--config", "fiscwatch.yaml"]);
        assert_eq!(code, Some(1), "{answers:?}: {out}{err}");
        assert!(err.contains(said), "{answers:?}: {err}");
        assert!(!err.contains("a-secret-key") && !err.contains("<Code>"), "{err}");
    }
}
