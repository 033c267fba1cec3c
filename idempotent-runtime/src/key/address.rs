//! The client's address, which others may only vouch for if the application trusts them.

use std::net::{IpAddr, SocketAddr};

use actix_web::HttpRequest;
use ipnet::IpNet;

/// The address that the nearest hop outside the named proxies has: the peer itself, or behind a named proxy the
/// right-most address of `X-Forwarded-For` that is no named proxy. Whatever stands left of it, anyone may have written.
pub(super) fn client_address(request: &HttpRequest, proxies: &[IpNet]) -> Option<IpAddr> {
    let named = |address: &IpAddr| proxies.iter().any(|network| network.contains(address));
    let mut address = request.peer_addr()?.ip().to_canonical();
    if !named(&address) {
        return Some(address);
    }
    let mut hops = hops(request);
    while named(&address) {
        match hops.next().and_then(parse) {
            Some(next) => address = next,
            None => break,
        }
    }
    Some(address)
}

/// The entries of `X-Forwarded-For`, nearest hop first.
fn hops(request: &HttpRequest) -> impl Iterator<Item = &[u8]> {
    request
        .headers()
        .get_all("x-forwarded-for")
        .rev()
        .flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','))
}

/// `1.2.3.4`, `2001:db8::1`, and with a port as some gateways write it, `1.2.3.4:56`, `[2001:db8::1]:56`.
fn parse(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim();
    let address = text
        .parse()
        .or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn address(peer: &str, lines: &[&str]) -> String {
        let proxies = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let mut request =
            TestRequest::default().peer_addr(SocketAddr::new(peer.parse().unwrap(), 443));
        for line in lines {
            request = request.append_header(("X-Forwarded-For", *line));
        }
        let address = client_address(&request.to_http_request(), &proxies);
        address.unwrap().to_string()
    }

    #[test]
    fn h43_a_forwarded_address_counts_for_nothing_behind_a_stranger() {
        assert_eq!(address("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(
            address("192.0.2.1", &["198.51.100.7, 10.0.0.1"]),
            "192.0.2.1"
        );
    }

    #[test]
    fn behind_a_named_proxy_the_forwarded_address_counts() {
        assert_eq!(address("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(address("fd00::1", &["2001:db8::7"]), "2001:db8::7");
    }

    #[test]
    fn h43_what_the_client_wrote_left_of_its_own_address_counts_for_nothing() {
        assert_eq!(
            address("10.0.0.1", &["203.0.113.9, 198.51.100.7"]),
            "198.51.100.7"
        );
        assert_eq!(
            address("10.0.0.1", &["10.0.0.9, 198.51.100.7, 10.0.0.2"]),
            "198.51.100.7"
        );
        assert_eq!(
            address("10.0.0.1", &["203.0.113.9", "198.51.100.7", "10.0.0.2"]),
            "198.51.100.7"
        );
    }

    #[test]
    fn h43_a_malformed_entry_ends_the_chain() {
        assert_eq!(address("10.0.0.1", &["198.51.100.7, unknown"]), "10.0.0.1");
        assert_eq!(
            address("10.0.0.1", &["198.51.100.7,, 10.0.0.2"]),
            "10.0.0.2"
        );
        assert_eq!(address("10.0.0.1", &[""]), "10.0.0.1");
    }

    #[test]
    fn a_chain_of_named_proxies_only_ends_at_the_farthest() {
        assert_eq!(address("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(address("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
    }

    #[test]
    fn a_port_in_an_entry_does_not_count() {
        assert_eq!(address("10.0.0.1", &["198.51.100.7:1234"]), "198.51.100.7");
        assert_eq!(address("10.0.0.1", &["[2001:db8::7]:1234"]), "2001:db8::7");
    }

    #[test]
    fn an_address_mapped_into_ipv6_is_itself() {
        assert_eq!(address("::ffff:192.0.2.1", &[]), "192.0.2.1");
        assert_eq!(
            address("::ffff:10.0.0.1", &["::ffff:198.51.100.7"]),
            "198.51.100.7"
        );
    }
}
