//! The words of the domain, one file a word.
mod cidr;
mod cluster;
mod duration;
mod hostname;
mod identity;
mod labels;
mod locality;
mod nearest;
mod port;
mod protocol;
mod text;
mod texts;

pub use self::cidr::{Cidr, InvalidCidr};
pub use self::cluster::{ClusterId, Namespace, NetworkId};
pub use self::duration::{Duration, InvalidDuration};
pub use self::hostname::{
    Hostname, common_hosts, hosts_for_namespace, is_dns_label, most_specific,
};
pub use self::identity::{Identity, InvalidIdentity, TrustDomain};
pub use self::labels::{Labels, Selector};
pub(crate) use self::labels::{Layers, share_text};
pub use self::locality::Locality;
pub(crate) use self::nearest::hint;
pub use self::nearest::{closest_name, nearest_name};
pub use self::port::{InvalidPort, Port};
pub use self::protocol::Protocol;
pub use self::text::Text;
pub(crate) use self::texts::Texts;
