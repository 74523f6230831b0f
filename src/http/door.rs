//! Who comes in: a bounded number of connections, of which half at most have a request under way. Health and metrics are
//! always answered: a connection that only waits makes room for a new one.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::refused::{Cause, Refusals};
use crate::{config::clients::Clients, telemetry::Metrics};

/// Paths that are answered however many requests are under way; what they ask for is small.
const ALWAYS: [&str; 3] = ["/-/healthy", "/-/ready", "/metrics"];

/// The connections that there are.
#[derive(Debug)]
pub(crate) struct Door {
    /// What clients are granted.
    pub clients: Clients,
    pub refusals: Arc<Refusals>,
    metrics: Arc<Metrics>,
    seats: Mutex<Seats>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Seats {
    next: u64,
    taken: BTreeMap<u64, Seat>,
    requests: usize,
    /// What the gauges have of this door: connections and requests.
    gauged: (i64, i64),
}

#[derive(Debug)]
struct Seat {
    /// Since when it has waited for its client; `None` while a request is under way.
    waits_since: Option<std::time::Instant>,
    /// Whether something of the next request is there.
    begun: bool,
    /// The answer is made and not yet written; whether its request counts.
    unwritten: Option<bool>,
    close: CancellationToken,
}

impl Door {
    /// A door that nobody came through yet.
    #[must_use]
    pub(crate) fn new(clients: &Clients, metrics: &Arc<Metrics>) -> Self {
        Self {
            clients: clients.clone(),
            refusals: Arc::new(Refusals::new(metrics)),
            metrics: Arc::clone(metrics),
            seats: Mutex::default(),
            freed: Notify::new(),
        }
    }

    /// Another one with places of its own, whose refusals are counted together with those of this one.
    #[must_use]
    pub(crate) fn beside(&self) -> Self {
        Self {
            clients: self.clients.clone(),
            refusals: Arc::clone(&self.refusals),
            metrics: Arc::clone(&self.metrics),
            seats: Mutex::default(),
            freed: Notify::new(),
        }
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock()
    }

    /// A place for a new connection, as soon as there is one.
    pub(crate) async fn enter(self: &Arc<Self>) -> ConnectionPlace {
        loop {
            let freed = self.freed.notified();
            if let Some(place) = self.try_enter() {
                return place;
            }
            freed.await;
        }
    }

    fn try_enter(self: &Arc<Self>) -> Option<ConnectionPlace> {
        let mut seats = self.seats();
        if seats.taken.len() >= self.clients.connections {
            let waiting = seats.taken.iter().filter_map(|(number, seat)| Some((seat.waits_since?, *number)));
            let (_, longest) = waiting.min()?;
            if let Some(seat) = seats.taken.remove(&longest) {
                seat.close.cancel();
                self.refusals.count(Cause::Connections);
            }
        }
        let (number, close) = (seats.next, CancellationToken::new());
        seats.next += 1;
        let seat = Seat {
            waits_since: Some(std::time::Instant::now()),
            begun: false,
            unwritten: None,
            close: close.clone(),
        };
        seats.taken.insert(number, seat);
        self.gauge(&mut seats);
        Some(ConnectionPlace { door: Arc::clone(self), number, close })
    }

    /// The gauges are the sums of all doors.
    fn gauge(&self, seats: &mut Seats) {
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let now = (count(seats.taken.len()), count(seats.requests));
        self.metrics.http_connections.with_label_values(&["open"]).add(now.0 - seats.gauged.0);
        self.metrics.http_connections.with_label_values(&["requests"]).add(now.1 - seats.gauged.1);
        seats.gauged = now;
    }
}

/// The place of a connection.
#[derive(Debug)]
pub(crate) struct ConnectionPlace {
    door: Arc<Door>,
    number: u64,
    /// Cancelled when somebody else needs the place more.
    pub close: CancellationToken,
}

impl ConnectionPlace {
    /// Something of the next request is there.
    pub(crate) fn reads(&self) {
        if let Some(seat) = self.door.seats().taken.get_mut(&self.number) {
            seat.begun = true;
        }
    }

    /// All that was answered is written: a request whose answer was made is over.
    pub(crate) fn is_written(&self) {
        let mut seats = self.door.seats();
        let Some(seat) = seats.taken.get_mut(&self.number) else { return };
        let Some(counts) = seat.unwritten.take() else { return };
        (seat.waits_since, seat.begun) = (Some(std::time::Instant::now()), false);
        seats.requests -= usize::from(counts);
        self.door.gauge(&mut seats);
        drop(seats);
        self.door.freed.notify_one();
    }

    /// Whether something of a request is there, and it is not whole.
    #[must_use]
    pub(crate) fn is_slow(&self) -> bool {
        let seats = self.door.seats();
        seats.taken.get(&self.number).is_some_and(|seat| seat.begun && seat.waits_since.is_some())
    }

    /// Begins a request to a path; `None` if there are too many.
    pub(crate) fn begin(self: &Arc<Self>, path: &str) -> Option<ActiveRequest> {
        let counts = !ALWAYS.contains(&path);
        let mut seats = self.door.seats();
        if counts && seats.requests >= self.door.clients.connections / 2 {
            drop(seats);
            self.door.refusals.count(Cause::Requests);
            return None;
        }
        seats.requests += usize::from(counts);
        if let Some(seat) = seats.taken.get_mut(&self.number) {
            seat.waits_since = None;
        }
        self.door.gauge(&mut seats);
        Some(ActiveRequest { place: Arc::clone(self), counts })
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        let mut seats = self.door.seats();
        let seat = seats.taken.remove(&self.number);
        seats.requests -= usize::from(seat.and_then(|seat| seat.unwritten).unwrap_or(false));
        self.door.gauge(&mut seats);
        drop(seats);
        self.door.freed.notify_one();
    }
}

/// A request that is under way, until its answer is made. It is over when that is written.
#[derive(Debug)]
pub(crate) struct ActiveRequest {
    place: Arc<ConnectionPlace>,
    counts: bool,
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        let mut seats = self.place.door.seats();
        match seats.taken.get_mut(&self.place.number) {
            Some(seat) => seat.unwritten = Some(self.counts),
            None => seats.requests -= usize::from(self.counts),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door() -> Arc<Door> {
        let config = "http: { connections: 16 }";
        let config =
            crate::config::Config::parse("test", config, std::path::Path::new(""), std::iter::empty());
        Arc::new(Door::new(&config.unwrap().clients, &Arc::new(Metrics::new().unwrap())))
    }

    #[test]
    fn who_waits_longest_makes_room_and_health_is_always_answered() {
        let door = door();
        let enter = || door.try_enter().map(Arc::new);
        let places: Vec<_> = (0..16).map(|_| enter().unwrap()).collect();
        let requests: Vec<_> =
            places[..8].iter().map(|place| place.begin("/api/v1/alerts").unwrap()).collect();
        assert!(places[8].begin("/api/v1/alerts").is_none(), "half of the connections have a request");
        let health = places[8].begin("/-/healthy").unwrap();
        let new = enter().unwrap();
        assert!(places[9].close.is_cancelled() && !places[8].close.is_cancelled());
        assert!(new.begin("/metrics").is_some());
        drop(requests);
        assert!(places[10].begin("/api/v1/alerts").is_none(), "their answers are not written");
        let _another = enter().unwrap();
        assert!(places[10].close.is_cancelled() && !places[0].close.is_cancelled());
        places[..7].iter().for_each(|place| place.is_written());
        assert_eq!(door.seats().requests, 1);
        assert!(places[11].begin("/api/v1/alerts").is_some());
        drop(health);
        drop(places);
        let seats = door.seats();
        assert_eq!((seats.taken.len(), seats.requests), (2, 0));
    }

    #[test]
    fn nobody_makes_room_while_all_are_answered() {
        let door = door();
        let places: Vec<_> = (0..16).map(|_| Arc::new(door.try_enter().unwrap())).collect();
        let turns: Vec<_> = places.iter().map(|place| place.begin("/metrics").unwrap()).collect();
        assert!(door.try_enter().is_none());
        drop(turns);
        assert!(door.try_enter().is_none(), "nor while their answers are written");
        places[0].is_written();
        assert!(door.try_enter().is_some());
        assert!(places[0].close.is_cancelled() && !places[1].close.is_cancelled());
    }
}
