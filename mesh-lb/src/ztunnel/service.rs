//! Which service an address belongs to.

/// Who may see a service.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has these two")]
pub enum Visibility {
    /// Everybody.
    #[default]
    Mesh,
    /// Its own namespace only.
    Namespace,
}

/// A service that carries the address in question.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value of the protocol")]
pub struct ServiceMatch<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Whether it is the service of its host name: a Kubernetes Service.
    pub canonical: bool,
    /// Who may see it.
    pub visibility: Visibility,
    /// The length of the prefix by which it carries the address; none if it has just this one.
    pub prefix_length: Option<u8>,
}

/// Returns the index of the service that a client of this namespace means by an address that all of
/// these carry, given in the order in which they were added.
///
/// A service with exactly this address: of the client's namespace, else the last canonical one, else
/// the first. If none is visible, services with a range: of the client's namespace, then the longest
/// prefix, then canonical; the first of equals.
///
/// # Upstream
///
/// ztunnel `src/state/service.rs`, `ServiceStore::get_best_by_vip` and `find_best_match`.
pub fn best_by_address(services: &[ServiceMatch<'_>], client_namespace: &str) -> Option<usize> {
    let visible = || {
        let all = services.iter().enumerate();
        all.filter(|(_, service)| {
            service.visibility == Visibility::Mesh || service.namespace == client_namespace
        })
    };
    let exact = || visible().filter(|(_, service)| service.prefix_length.is_none());
    let by_range = || {
        let ranked = visible().filter_map(|(index, service)| {
            let own = service.namespace == client_namespace;
            Some(((own, service.prefix_length?, service.canonical), index))
        });
        let first_of_equals = |(rank, index)| (rank, std::cmp::Reverse(index));
        ranked.max_by_key(|&found| first_of_equals(found)).map(|(_, index)| index)
    };
    exact()
        .find(|(_, service)| service.namespace == client_namespace)
        .or_else(|| exact().rfind(|(_, service)| service.canonical))
        .or_else(|| exact().next())
        .map(|(index, _)| index)
        .or_else(by_range)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: ServiceMatch<'_> = ServiceMatch {
        namespace: "other",
        canonical: false,
        visibility: Visibility::Mesh,
        prefix_length: None,
    };

    fn check(services: &[ServiceMatch<'_>], expected: Option<usize>) {
        assert_eq!(best_by_address(services, "mine"), expected);
    }

    #[test]
    fn the_clients_namespace_goes_first_then_the_last_canonical_service() {
        let mine = ServiceMatch { namespace: "mine", ..SERVICE };
        let canonical = ServiceMatch { canonical: true, ..SERVICE };
        check(&[SERVICE, canonical, mine, canonical], Some(2));
        check(&[SERVICE, canonical, canonical, SERVICE], Some(2));
        check(&[SERVICE, SERVICE], Some(0));
    }

    #[test]
    fn ranges_count_where_no_exact_address_is_visible() {
        let hidden = ServiceMatch { visibility: Visibility::Namespace, ..SERVICE };
        let range = |length| ServiceMatch { prefix_length: Some(length), ..SERVICE };
        let mine = ServiceMatch { namespace: "mine", ..range(8) };
        check(&[hidden, range(16), range(24), range(24)], Some(2));
        check(&[range(24), mine], Some(1));
        check(&[range(24), SERVICE], Some(1));
        check(&[hidden], None);
    }
}
