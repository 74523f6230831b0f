//! Which requests the server answers. A page of another site reaches it through the browser of somebody who may: by its
//! address, or under a name of its own that it lets point here (DNS rebinding). So the name that a request asks for must
//! be one of ours, browsers say what site a request is from, and answers say that no page may embed them.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    Problem,
    refused::{Cause, Refusals},
};
use crate::{config::clients::Clients, say, text::quoted};

/// The longest name of a host.
const NAME_MAX: usize = 255;

/// What every answer says to a browser.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

/// What requests are compared with.
#[derive(Debug)]
pub(crate) struct Guard {
    clients: Clients,
    refusals: Arc<Refusals>,
}

impl Guard {
    /// A guard by the configuration.
    #[must_use]
    pub(crate) fn new(clients: &Clients, refusals: &Arc<Refusals>) -> Self {
        Self { clients: clients.clone(), refusals: Arc::clone(refusals) }
    }

    fn check(&self, request: &Request) -> Result<(), Problem> {
        if let Err(problem) = self.check_host(request) {
            self.refusals.count(Cause::Host);
            return Err(problem);
        }
        let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        if is_from_elsewhere(request) || !(reads || self.is_own(request.headers())) {
            self.refusals.count(Cause::Site);
            let detail = say!("a page of another site sent this request; it is refused");
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        }
        Ok(())
    }

    /// Exactly one name, and one of ours; in the address too, if that has one.
    fn check_host(&self, request: &Request) -> Result<(), Problem> {
        let mut given = request.headers().get_all(header::HOST).iter();
        let (Some(host), None) = (given.next(), given.next()) else {
            return Err(Problem::bad_request(say!(
                "a request names the host that it is for exactly once (Host); this one does not"
            )));
        };
        let host = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
        let both = [host.as_ref(), request.uri().authority()];
        for authority in both.into_iter().enumerate().filter(|(at, a)| *at == 0 || a.is_some()) {
            let name = authority.1.filter(|a| !a.as_str().contains('@')).map(Authority::host);
            let Some(name) = name.filter(|name| !name.is_empty() && name.len() <= NAME_MAX) else {
                return Err(Problem::bad_request(say!(
                    "the host that the request is for cannot be read (Host)"
                )));
            };
            if !self.answers_to(name) {
                return Err(Problem::new(
                    StatusCode::MISDIRECTED_REQUEST,
                    say!(
                        "this server does not answer to the name {host}. If it is reached by that name, add it to http.hosts in its configuration and start it again; an IP address works without",
                        host = quoted(name)
                    ),
                ));
            }
        }
        Ok(())
    }

    /// An address is nobody's to point elsewhere, and nor are the names of this machine.
    fn answers_to(&self, host: &str) -> bool {
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        let address = name.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(&name);
        let is_loopback = name == "localhost" || name.ends_with(".localhost");
        let is_named = |known: &String| match known.strip_prefix('*') {
            Some(below) => name.len() > below.len() && name.ends_with(below),
            None => name == *known,
        };
        self.clients.any_host
            || is_loopback
            || address.parse::<IpAddr>().is_ok()
            || self.clients.hosts.iter().any(is_named)
    }

    /// Whether the page that asks for a change, if it was one, is of this server.
    fn is_own(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else {
            // No browser, or an old one, which sends no JSON to other sites either.
            return true;
        };
        let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        let Some(host) = origin.map(|(_, host)| host.to_ascii_lowercase()) else { return false };
        let asked = headers.get(header::HOST).and_then(|value| value.to_str().ok());
        asked.is_some_and(|asked| asked.eq_ignore_ascii_case(&host)) || self.clients.site == Some(host)
    }
}

/// Whether a browser says that a page of another site asks. A link that somebody follows is no page that asks.
fn is_from_elsewhere(request: &Request) -> bool {
    let said = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let follows = matches!(*request.method(), Method::GET | Method::HEAD)
        && said("sec-fetch-mode") == Some("navigate")
        && said("sec-fetch-dest") == Some("document");
    matches!(said("sec-fetch-site"), Some("cross-site" | "same-site")) && !follows
}

/// Answers requests that are for this server, and says what browsers may do with the answer.
pub(crate) async fn guard(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let mut response = match guard.check(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;
    use crate::{config::Config, telemetry::Metrics};

    const CONFIG: &str = "
external_url: https://fiscwatch.example.gov.cn:8443/watch
http: { hosts: [fiscwatch, '*.monitoring.svc'] }
";

    fn checked(config: &str, method: &str, uri: &str, headers: &[(&str, &str)]) -> u16 {
        let config = Config::parse("test", config, std::path::Path::new(""), std::iter::empty()).unwrap();
        let guard = Guard::new(&config.clients, &Arc::new(Refusals::new(&Arc::new(Metrics::new().unwrap()))));
        let mut request = axum::http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let checked = guard.check(&request.body(Body::empty()).unwrap());
        checked.map_or_else(|problem| problem.into_response().status().as_u16(), |()| 200)
    }

    #[test]
    fn only_names_of_ours_are_answered_to() {
        for (host, status) in [
            ("127.0.0.1:9464", 200),
            ("10.1.2.3", 200),
            ("[::1]:9464", 200),
            ("localhost:9464", 200),
            ("LOCALHOST.", 200),
            ("a.localhost", 200),
            ("fiscwatch:9464", 200),
            ("fiscwatch.example.gov.cn", 200),
            ("Fiscwatch.Monitoring.svc:80", 200),
            ("monitoring.svc", 421),
            ("evilmonitoring.svc", 421),
            ("rebound.example.com:9464", 421),
            ("fiscwatch.example.gov.cn.evil.com", 421),
            ("localhost.evil.com", 421),
            ("127.0.0.1.evil.com", 421),
            ("user@localhost", 400),
            ("", 400),
            ("a b", 400),
        ] {
            assert_eq!(checked(CONFIG, "GET", "/metrics", &[("host", host)]), status, "{host}");
        }
        assert_eq!(checked("{}", "GET", "/", &[("host", "fiscwatch:9464")]), 421);
        assert_eq!(checked("http: { hosts: ['*'] }", "GET", "/", &[("host", "anything.at.all")]), 200);
        assert_eq!(checked(CONFIG, "GET", "/", &[]), 400);
        assert_eq!(checked(CONFIG, "GET", "/", &[("host", "localhost"), ("host", "localhost")]), 400);
        assert_eq!(checked(CONFIG, "GET", "http://evil.com/", &[("host", "localhost")]), 421);
        assert_eq!(checked(CONFIG, "GET", "http://localhost/", &[("host", "evil.com")]), 421);
        assert_eq!(checked(CONFIG, "GET", "http://localhost/", &[("host", "localhost")]), 200);
    }

    #[test]
    fn pages_of_other_sites_get_nothing_and_links_lead_here() {
        let from = |method, headers: &[(&str, &str)]| {
            checked(CONFIG, method, "/api/v1/alerts", &[&[("host", "localhost:9464")], headers].concat())
        };
        let site = |site| ("sec-fetch-site", site);
        let link = [site("cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
        let frame = [site("cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")];
        assert_eq!(from("GET", &link), 200);
        assert_eq!(from("POST", &link), 403);
        assert_eq!(from("GET", &frame), 403);
        for (given, status) in [("same-origin", 200), ("none", 200), ("same-site", 403), ("cross-site", 403)]
        {
            assert_eq!(from("GET", &[site(given)]), status, "{given}");
            assert_eq!(from("POST", &[site(given)]), status, "{given}");
        }
        for (origin, status) in [
            ("http://localhost:9464", 200),
            ("https://FISCWATCH.example.gov.cn:8443", 200),
            ("https://fiscwatch.example.gov.cn", 403),
            ("http://localhost:8080", 403),
            ("null", 403),
        ] {
            assert_eq!(from("POST", &[("origin", origin)]), status, "{origin}");
        }
        assert_eq!(from("POST", &[]), 200);
    }
}
