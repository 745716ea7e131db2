//! Certificates: any bytes become names or are refused, as a peer's and as a root; an identity is the only
//! URI name.
#![cfg_attr(fuzzing, no_main)]

use mesh_authz::identity::tls::{PeerNames, TrustStore};
use mesh_model::name::TrustDomain;

mesh_fuzz::target!(|der| {
    if let Ok(names) = PeerNames::of_certificate(der)
        && let Some((identity, trust_domain)) = names.identity()
    {
        assert_eq!(names.uri_sans.len(), 1);
        assert!(identity.starts_with(&format!("spiffe://{trust_domain}/")));
    }
    let mut store = TrustStore::default();
    let is_root = store.add(TrustDomain::from("td"), der).is_ok();
    assert_eq!(store.trust_domains().count(), usize::from(is_root));
});
