//! A receiver of webhooks that can kill who calls it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::Arc,
};

use parking_lot::Mutex;
use serde_json::Value;

/// When the receiver kills the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kill {
    /// It never does.
    Never,
    /// With the request in hand, without an answer.
    BeforeAnswer,
    /// Right after the answer.
    AfterAnswer,
}

/// What was received: the path and the body of each request.
pub type Received = Arc<Mutex<Vec<(String, Value)>>>;
/// Whom to kill, and when.
pub type Order = Arc<Mutex<(Kill, u32)>>;

/// Starts a receiver, and gives its port, what it receives, and the order it obeys with the next request.
pub fn receiver() -> (u16, Received, Order) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (received, order) = (Received::default(), Order::new(Mutex::new((Kill::Never, 0))));
    let (got, orders) = (Arc::clone(&received), Arc::clone(&order));
    std::thread::spawn(move || {
        listener.incoming().flatten().for_each(|stream| take(&stream, &got, &orders));
    });
    (port, received, order)
}

fn take(mut stream: &TcpStream, received: &Received, order: &Order) {
    let mut reader = BufReader::new(stream);
    let (mut length, mut line, mut path) = (0, String::new(), None);
    while reader.read_line(&mut line).unwrap_or(0) > 2 {
        path.get_or_insert_with(|| line.split(' ').nth(1).unwrap_or_default().to_owned());
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; length];
    // A daemon that was killed has sent a part at most.
    if length == 0 || reader.read_exact(&mut body).is_err() {
        return;
    }
    let body = serde_json::from_slice(&body).unwrap();
    received.lock().push((path.unwrap_or_default(), body));
    let (kill, pid) = std::mem::replace(&mut *order.lock(), (Kill::Never, 0));
    let kill_now =
        || assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
    if kill == Kill::BeforeAnswer {
        return kill_now();
    }
    let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
    if kill == Kill::AfterAnswer {
        kill_now();
    }
}
