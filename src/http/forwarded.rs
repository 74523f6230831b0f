//! Where a client really is: behind a proxy that is believed, the proxy says so.

use std::net::IpAddr;

use axum::http::HeaderMap;

use crate::config::clients::Clients;

const HEADER: &str = "x-forwarded-for";

/// The address of a client whose connection comes from `peer`. Each proxy adds whom it heard from at the end, so the last
/// one that is no proxy of ours is the client; what stands before, anybody may have written.
pub(crate) fn client(peer: IpAddr, headers: &HeaderMap, clients: &Clients) -> IpAddr {
    if !clients.behind_proxy || !clients.is_proxy(peer) {
        return peer;
    }
    let mut client = peer;
    let named = headers.get_all(HEADER).iter().rev().filter_map(|value| value.to_str().ok());
    for name in named.flat_map(|value| value.rsplit(',')) {
        let Some(address) = address(name.trim()) else { break };
        client = address;
        if !clients.is_proxy(client) {
            break;
        }
    }
    client
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse().ok().or_else(with_port).or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    #[test]
    fn the_last_address_that_is_no_proxy_is_the_clients() {
        let of = |http: &str, peer: &str, named: &[&str]| {
            let config =
                Config::parse("test", &format!("http: {{ {http} }}"), Path::new(""), std::iter::empty());
            let mut headers = HeaderMap::new();
            named.iter().for_each(|value| {
                headers.append(HEADER, value.parse().unwrap());
            });
            client(peer.parse().unwrap(), &headers, &config.unwrap().clients).to_string()
        };
        let (here, proxy) = ("127.0.0.1", "tls: proxy");
        assert_eq!(of(proxy, here, &["10.0.0.7"]), "10.0.0.7");
        assert_eq!(of(proxy, here, &["6.6.6.6, 10.0.0.7"]), "10.0.0.7", "the client wrote the first one");
        assert_eq!(of(proxy, here, &["6.6.6.6", "10.0.0.7:4711"]), "10.0.0.7");
        assert_eq!(of(proxy, here, &["6.6.6.6, nonsense"]), here);
        assert_eq!(of(proxy, here, &[]), here);
        assert_eq!(
            of("tls: proxy, proxies: ['10.1.1.1', '10.1.1.2']", "10.1.1.1", &["6.6.6.6, 10.0.0.7, 10.1.1.2"]),
            "10.0.0.7"
        );
        assert_eq!(of(proxy, here, &["[2001:db8::1]:80"]), "2001:db8::1");
        // Nobody else is believed, nor anybody where there is no proxy.
        assert_eq!(of(proxy, "10.9.9.9", &["10.0.0.7"]), "10.9.9.9");
        assert_eq!(of("", here, &["10.0.0.7"]), here);
    }
}
