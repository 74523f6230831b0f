//! Connections: accepted, served request by request, and closed when they are slow or somebody else needs their place.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Request, Response, StatusCode},
    response::IntoResponse,
};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
};
use tokio_openssl::SslStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Problem,
    answers::HoldingBody,
    door::{ConnectionPlace, Door},
    entrance::Entrance,
    local::Local,
    pace::{PacedBody, PacedIo},
    refused::Cause,
    tls::ServerTls,
};
use crate::say;

/// What one connection buffers of heads and answers.
const BUFFER: usize = 64 << 10;
/// The pause after a connection could not be accepted: there are no descriptors left.
const TROUBLE: Duration = Duration::from_millis(100);

/// Where a request comes from.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub entrance: Entrance,
    /// The address; that of this machine for who comes through the socket.
    pub peer: IpAddr,
    /// The name in the certificate that a client showed, and that our authority signed.
    pub certified: Option<String>,
    /// Who comes through the socket.
    pub local: Option<Local>,
}

/// Where connections are accepted.
#[derive(Debug)]
pub(crate) enum Port {
    /// At an address, with TLS or without.
    Tcp(TcpListener, Entrance, Option<Arc<ServerTls>>),
    /// At a socket of this machine.
    Local(UnixListener),
}

enum Accepted {
    Tcp(TcpStream, Origin, Option<Arc<ServerTls>>),
    Local(UnixStream, Origin),
}

impl Port {
    /// Where its connections come in.
    pub(crate) fn entrance(&self) -> Entrance {
        match self {
            Self::Tcp(_, entrance, _) => *entrance,
            Self::Local(_) => Entrance::Local,
        }
    }

    async fn accept(&self) -> io::Result<Accepted> {
        let origin = |peer, local| Origin { entrance: self.entrance(), peer, certified: None, local };
        match self {
            Self::Tcp(listener, _, tls) => {
                let (stream, peer) = listener.accept().await?;
                // An answer is written at once.
                let _ = stream.set_nodelay(true);
                Ok(Accepted::Tcp(stream, origin(peer.ip().to_canonical(), None), tls.clone()))
            }
            Self::Local(listener) => {
                let (stream, _) = listener.accept().await?;
                let local = Local::of(stream.peer_cred()?.uid());
                Ok(Accepted::Local(stream, origin(IpAddr::from([127, 0, 0, 1]), local)))
            }
        }
    }
}

/// Serves connections until asked to stop, and then lets those end that have a request under way.
pub(crate) async fn serve(port: Port, router: Router, door: Arc<Door>, stop: CancellationToken) {
    let (service, connections) = (TowerToHyperService::new(router), TaskTracker::new());
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = port.accept() => accepted,
        };
        let accepted = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("a connection could not be accepted: {error}");
                tokio::time::sleep(TROUBLE).await;
                continue;
            }
        };
        let place = tokio::select! {
            () = stop.cancelled() => break,
            place = door.enter() => place,
        };
        let (service, door, stop) = (service.clone(), Arc::clone(&door), stop.clone());
        match accepted {
            Accepted::Local(stream, origin) => {
                connections.spawn(connection((stream, origin), place, service, door, stop))
            }
            Accepted::Tcp(stream, origin, None) => {
                connections.spawn(connection((stream, origin), place, service, door, stop))
            }
            Accepted::Tcp(stream, origin, Some(tls)) => connections.spawn(async move {
                let shaken = shake_hands((stream, &*tls), &place, &door, &stop).await;
                if let Some((stream, certified)) = shaken {
                    let origin = Origin { certified, ..origin };
                    connection((stream, origin), place, service, door, stop).await;
                }
            }),
        };
    }
    connections.close();
    connections.wait().await;
}

/// Begins TLS with a client, which has as long for it as for the head of a request.
async fn shake_hands(
    (stream, tls): (TcpStream, &ServerTls),
    place: &ConnectionPlace,
    door: &Door,
    stop: &CancellationToken,
) -> Option<(SslStream<TcpStream>, Option<String>)> {
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(door.clients.head_time, tls.accept(stream)) => shaken,
        () = place.close.cancelled() => return None,
        () = stop.cancelled() => return None,
    };
    let Ok(Ok(accepted)) = shaken else {
        door.refusals.count(Cause::Tls);
        return None;
    };
    Some(accepted)
}

async fn connection<S: AsyncRead + AsyncWrite + Unpin>(
    (stream, origin): (S, Origin),
    place: ConnectionPlace,
    router: TowerToHyperService<Router>,
    door: Arc<Door>,
    stop: CancellationToken,
) {
    let (place, clients) = (Arc::new(place), &door.clients);
    let io = PacedIo::new(stream, clients.body_time, &door.refusals, Arc::clone(&place));
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(origin.clone());
        let turn = place.begin(request.uri().path());
        let body_time = clients.body_time;
        let request = request.map(|body| Body::new(PacedBody::new(body, body_time, &door.refusals)));
        let answer = turn.is_some().then(|| router.call(request));
        async move {
            let Some(answer) = answer else { return Ok(too_many()) };
            answer.await.map(|response| response.map(|body| Body::new(HoldingBody { body, held: turn })))
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(clients.head_time)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(io), service);
    tokio::pin!(serving);
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = serving.as_mut() => {
                if ended.is_err_and(|error| error.is_timeout()) && place.is_slow() {
                    door.refusals.count(Cause::Head);
                }
                return;
            }
            () = place.close.cancelled() => return,
            () = stop.cancelled(), if !stopping => {
                serving.as_mut().graceful_shutdown();
                stopping = true;
            }
        }
    }
}

fn too_many() -> Response<Body> {
    let detail = say!("too many requests are under way (http.connections); send this one again in a second");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).again_after(1).into_response()
}
