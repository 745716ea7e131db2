//! Which virtual host has a host.
//!
//! # Upstream
//!
//! envoyproxy/envoy `source/common/router/config_impl.cc` `RouteMatcher::findVirtualHost`,
//! `findWildcardVirtualHost`.
use mesh_envoy_proto::envoy::config::route::v3::{RouteConfiguration, VirtualHost};

/// Finds the virtual host: by the whole name, then by the longest `*.suffix` or `*-suffix`, then by
/// the longest `prefix.*`, then the one for `*`.
pub(super) fn virtual_host<'r>(
    routes: &'r RouteConfiguration,
    host: &str,
) -> Option<&'r VirtualHost> {
    let host = host.to_ascii_lowercase();
    let host = if routes.ignore_port_in_host_matching { without_port(&host) } else { &host };
    let by = |rank: fn(&str, &str) -> Option<usize>| {
        let mut best: Option<(usize, &VirtualHost)> = None;
        for candidate in &routes.virtual_hosts {
            for domain in &candidate.domains {
                let Some(length) = rank(&domain.to_ascii_lowercase(), host) else { continue };
                if best.is_none_or(|(longest, _)| length > longest) {
                    best = Some((length, candidate));
                }
            }
        }
        best.map(|(_, found)| found)
    };
    by(exact).or_else(|| by(suffix)).or_else(|| by(prefix)).or_else(|| by(anything))
}

fn exact(domain: &str, host: &str) -> Option<usize> {
    (domain == host).then_some(domain.len())
}

/// The star stands for at least one character.
fn suffix(domain: &str, host: &str) -> Option<usize> {
    let rest = domain.strip_prefix('*').filter(|rest| !rest.is_empty())?;
    (host.len() > rest.len() && host.ends_with(rest)).then_some(rest.len())
}

fn prefix(domain: &str, host: &str) -> Option<usize> {
    let rest = domain.strip_suffix('*').filter(|rest| !rest.is_empty())?;
    (host.len() > rest.len() && host.starts_with(rest)).then_some(rest.len())
}

fn anything(domain: &str, _host: &str) -> Option<usize> {
    (domain == "*").then_some(0)
}

/// A host without its port.
pub(super) fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) => {
            let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) && !port.is_empty();
            let is_bare_v6 = name.contains(':') && !name.ends_with(']');
            if is_port && !is_bare_v6 { name } else { host }
        }
        None => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(domains: &[&str], host: &str, expected: Option<&str>) {
        let hosts = domains.iter().map(|domain| VirtualHost {
            name: (*domain).to_owned(),
            domains: vec![(*domain).to_owned()],
            ..VirtualHost::default()
        });
        let routes = RouteConfiguration {
            virtual_hosts: hosts.collect(),
            ignore_port_in_host_matching: true,
            ..RouteConfiguration::default()
        };
        let found = virtual_host(&routes, host).map(|found| &*found.name);
        assert_eq!(found, expected, "{host}");
    }

    const DOMAINS: [&str; 6] = ["*", "*.com", "*.shop.com", "cart.shop.com", "cart.*", "[::1]"];

    #[test]
    fn the_whole_name_wins_then_the_longest_end_then_the_longest_start() {
        check(&DOMAINS, "cart.shop.com", Some("cart.shop.com"));
        check(&DOMAINS, "web.shop.com", Some("*.shop.com"));
        check(&DOMAINS, "cart.com", Some("*.com"));
        check(&DOMAINS, "cart.org", Some("cart.*"));
        check(&DOMAINS, "org", Some("*"));
        check(&DOMAINS[1..], "org", None);
    }

    #[test]
    fn a_star_is_at_least_one_character() {
        check(&DOMAINS, ".shop.com", Some("*.com"));
        check(&DOMAINS, "cart.", Some("*"));
    }

    #[test]
    fn case_and_port_do_not_count() {
        check(&DOMAINS, "CART.shop.com:8080", Some("cart.shop.com"));
        check(&DOMAINS, "[::1]:80", Some("[::1]"));
        check(&DOMAINS, "[::1]", Some("[::1]"));
    }
}
