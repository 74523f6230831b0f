//! A mail server that does what a script says: a fault for each phase, once, and otherwise all is well.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// When a fault happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Greeting,
    Ehlo,
    Starttls,
    Mail,
    Rcpt,
    Data,
    /// In the middle of the mail.
    Content,
    /// After the mail, instead of its acceptance.
    End,
}

/// What happens.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// Something else is said.
    Say(&'static str),
    /// Nothing is said, and the connection stays.
    Silence,
    /// The connection is closed.
    Close,
}

/// A mail that the server has taken in, whether or not it could say so.
#[derive(Debug, Clone)]
pub struct Received {
    pub to: String,
    pub text: String,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        let head = self.text.split("\r\n\r\n").next()?;
        head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

#[derive(Default)]
struct State {
    faults: Mutex<VecDeque<(Phase, Fault)>>,
    mails: Mutex<Vec<Received>>,
    commands: Mutex<Vec<String>>,
    connections: AtomicUsize,
    starttls: bool,
}

pub struct Smtp {
    pub address: String,
    state: Arc<State>,
}

impl Smtp {
    pub async fn start() -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").await.unwrap(), false)
    }

    /// A server that says it can STARTTLS.
    pub async fn start_with_starttls() -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").await.unwrap(), true)
    }

    pub fn listen(listener: TcpListener, starttls: bool) -> Self {
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State { starttls, ..State::default() });
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = shared.clone();
                state.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move { serve(stream, &state).await });
            }
        });
        Self { address, state }
    }

    /// The next time that this phase comes, this happens.
    pub fn fault(&self, phase: Phase, fault: Fault) {
        self.state.faults.lock().push_back((phase, fault));
    }

    /// Takes back the faults that nobody met.
    pub fn forget_faults(&self) {
        self.state.faults.lock().clear();
    }

    pub fn mails(&self) -> Vec<Received> {
        self.state.mails.lock().clone()
    }

    pub fn commands(&self) -> Vec<String> {
        self.state.commands.lock().clone()
    }

    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }
}

/// `None` ends the connection.
async fn serve(stream: TcpStream, state: &State) -> Option<()> {
    let mut stream = BufReader::new(stream);
    answer(&mut stream, state, Phase::Greeting, "220 localhost ready").await?;
    let mut to = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        state.commands.lock().push(line.trim().to_owned());
        match line.to_uppercase().split([' ', '\r']).next()? {
            "EHLO" => {
                let extensions = if state.starttls { "250-STARTTLS\r\n250 8BITMIME" } else { "250 8BITMIME" };
                answer(&mut stream, state, Phase::Ehlo, &format!("250-localhost\r\n{extensions}")).await?;
            }
            "STARTTLS" => answer(&mut stream, state, Phase::Starttls, "220 go ahead").await?,
            "MAIL" => answer(&mut stream, state, Phase::Mail, "250 sender ok").await?,
            "RCPT" => {
                line.trim().trim_start_matches("RCPT TO:").trim_matches(['<', '>']).clone_into(&mut to);
                let known = if to.starts_with("unknown") { "550 no such user" } else { "250 recipient ok" };
                answer(&mut stream, state, Phase::Rcpt, known).await?;
            }
            "DATA" => {
                if let Some(fault) = take(state, Phase::Data) {
                    act(&mut stream, fault).await?;
                    continue;
                }
                say(&mut stream, "354 go on").await?;
                if let Some(fault) = take(state, Phase::Content) {
                    stream.read_exact(&mut [0; 200]).await.ok()?;
                    act(&mut stream, fault).await?;
                }
                let text = content(&mut stream).await?;
                // A refused mail is not taken in; one whose acceptance gets lost is.
                let fault = take(state, Phase::End);
                let refused = matches!(fault, Some(Fault::Say(text)) if !text.starts_with("250"));
                if !refused {
                    state.mails.lock().push(Received { to: to.clone(), text });
                }
                match fault {
                    Some(fault) => act(&mut stream, fault).await?,
                    None => say(&mut stream, "250 queued").await?,
                }
            }
            "QUIT" => {
                say(&mut stream, "221 bye").await?;
                return None;
            }
            _ => say(&mut stream, "502 what?").await?,
        }
    }
}

async fn content(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut text = String::new();
    loop {
        let start = text.len();
        if stream.read_line(&mut text).await.ok()? == 0 {
            return None;
        }
        match &text[start..] {
            ".\r\n" => {
                text.truncate(start);
                return Some(text);
            }
            line if line.starts_with("..") => {
                text.remove(start);
            }
            _ => {}
        }
    }
}

fn take(state: &State, phase: Phase) -> Option<Fault> {
    let mut faults = state.faults.lock();
    let at = faults.iter().position(|(of, _)| *of == phase)?;
    faults.remove(at).map(|(_, fault)| fault)
}

async fn answer(stream: &mut BufReader<TcpStream>, state: &State, phase: Phase, good: &str) -> Option<()> {
    match take(state, phase) {
        Some(fault) => act(stream, fault).await,
        None => say(stream, good).await,
    }
}

async fn act(stream: &mut BufReader<TcpStream>, fault: Fault) -> Option<()> {
    match fault {
        Fault::Say(text) => say(stream, text).await,
        Fault::Close => None,
        // Until the client goes.
        Fault::Silence => {
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            None
        }
    }
}

async fn say(stream: &mut BufReader<TcpStream>, text: &str) -> Option<()> {
    stream.get_mut().write_all(format!("{text}\r\n").as_bytes()).await.ok()
}
