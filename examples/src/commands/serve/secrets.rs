//! Certificates: from an authority that lives as long as the program, or from a folder.
use std::path::{Path, PathBuf};

use mesh_envoy_proto::envoy::config::core::v3::{DataSource, data_source::Specifier};
use mesh_envoy_proto::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, Secret, TlsCertificate, secret::Type,
};
use mesh_model::registry::Mesh;
use mesh_model::view::Proxy;
use mesh_xds_gen::snapshot::{Resource, TypeUrl};
use prost::Message as _;

use self::authority::Authority;
use super::event::Event;
use crate::Failure;
use crate::commands::authz::identity;

mod authority;

/// The proxy's own certificate.
const OWN: &str = "default";
/// What it verifies others by.
const ROOT: &str = "ROOTCA";

/// Where certificates come from.
#[derive(Debug)]
pub(super) enum Secrets {
    /// Made for whoever asks.
    Authority(Box<Authority>),
    /// Kept in a folder.
    Directory(PathBuf),
}

/// A certificate chain and its key, both in PEM.
#[derive(Clone, Debug)]
struct Pair {
    chain: Vec<u8>,
    key: Vec<u8>,
}

impl Secrets {
    /// Makes an authority that nobody else will ever trust, and says so.
    pub(super) fn throw_away(trust_domain: &str) -> Result<Self, Failure> {
        let authority = Authority::new(trust_domain)?;
        Event::Authority { trust_domain }.tell();
        Ok(Self::Authority(Box::new(authority)))
    }

    /// Takes certificates from a folder.
    pub(super) fn of_directory(directory: &Path) -> Result<Self, Failure> {
        if directory.is_dir() {
            return Ok(Self::Directory(directory.to_owned()));
        }
        let path = directory.display();
        Err(Failure::Unanswered(format!("--secrets `{path}`: there is no such folder")))
    }

    /// The secrets that a proxy can ask for; what is not there is left out.
    pub(super) fn of(&self, mesh: &Mesh, proxy: &Proxy) -> Vec<Resource> {
        match self {
            Self::Authority(authority) => {
                let own = authority.issue(&identity(mesh, proxy));
                let own = own.map(|pair| certificate(OWN, pair));
                own.into_iter().chain([validation(ROOT, authority.root().to_vec())]).collect()
            }
            Self::Directory(directory) => of_directory(directory, proxy),
        }
    }
}

/// The files are read anew each time, so that renewed certificates need no restart.
fn of_directory(directory: &Path, proxy: &Proxy) -> Vec<Resource> {
    let Proxy { cluster, namespace, service_account, .. } = proxy;
    let workload = format!("{cluster}_{namespace}_{service_account}");
    let own = pair(directory, &workload).or_else(|| pair(directory, OWN));
    let own = own.map(|pair| certificate(OWN, pair));
    let root = std::fs::read(directory.join("root.pem")).ok();
    let root = root.map(|text| validation(ROOT, text));
    let named = names(directory).into_iter().filter_map(|name| {
        Some(certificate(&format!("kubernetes://{name}"), pair(directory, &name)?))
    });
    own.into_iter().chain(root).chain(named).collect()
}

/// The names of Kubernetes secrets that a folder has certificates of. The certificates of workloads
/// are not among them: their names have `_`, which no secret's has.
fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let name = name.strip_suffix(".crt")?;
        (name != OWN && !name.contains('_')).then(|| name.to_owned())
    });
    names.collect()
}

fn pair(directory: &Path, name: &str) -> Option<Pair> {
    let read = |extension| std::fs::read(directory.join(format!("{name}.{extension}"))).ok();
    Some(Pair { chain: read("crt")?, key: read("key")? })
}

fn certificate(name: &str, pair: Pair) -> Resource {
    let certificate = TlsCertificate {
        certificate_chain: Some(inline(pair.chain)),
        private_key: Some(inline(pair.key)),
        ..TlsCertificate::default()
    };
    resource(name, Type::TlsCertificate(certificate))
}

fn validation(name: &str, roots: Vec<u8>) -> Resource {
    let context = CertificateValidationContext {
        trusted_ca: Some(inline(roots)),
        ..CertificateValidationContext::default()
    };
    resource(name, Type::ValidationContext(context))
}

fn inline(bytes: Vec<u8>) -> DataSource {
    DataSource { specifier: Some(Specifier::InlineBytes(bytes)), ..DataSource::default() }
}

fn resource(name: &str, kind: Type) -> Resource {
    let secret = Secret { name: name.to_owned(), r#type: Some(kind) };
    Resource::new(TypeUrl::SECRET, name, secret.encode_to_vec())
}

#[cfg(test)]
mod tests {
    use mesh_model::Compat;

    use super::*;
    use crate::folder;

    fn names_of(secrets: &Secrets, pod: &str) -> Vec<(String, String)> {
        let mesh = folder::load(&folder::example().join("../loopback"), &Compat::default());
        let mesh = mesh.unwrap().mesh;
        let resources = secrets.of(&mesh, &mesh.proxy(pod).unwrap());
        let pair = |it: &Resource| (it.name().to_string(), it.version().to_string());
        resources.iter().map(pair).collect()
    }

    #[test]
    fn the_authority_gives_each_proxy_the_same_again() {
        let secrets = Secrets::throw_away("cluster.local").unwrap();
        let web = names_of(&secrets, "loop/shop/web-0");
        let ledger = names_of(&secrets, "loop/shop/ledger-0");
        assert_eq!(web, names_of(&secrets, "loop/shop/web-0"));
        assert_eq!(web.iter().map(|it| &*it.0).collect::<Vec<_>>(), [OWN, ROOT]);
        assert_ne!(web[0], ledger[0]);
        assert_eq!(web[1], ledger[1]);
    }

    #[test]
    fn a_folder_has_a_certificate_for_one_workload_and_one_for_all_others() {
        let directory = std::env::temp_dir().join(format!("mesh-secrets-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let write = |name: &str| std::fs::write(directory.join(name), name).unwrap();
        let files = ["default.crt", "default.key", "loop_shop_web.crt", "loop_shop_web.key"];
        files.into_iter().chain(["shop-tls.crt", "shop-tls.key", "half.crt"]).for_each(write);
        let secrets = Secrets::of_directory(&directory).unwrap();
        let web = names_of(&secrets, "loop/shop/web-0");
        let ledger = names_of(&secrets, "loop/shop/ledger-0");
        std::fs::remove_dir_all(&directory).unwrap();
        assert_eq!(web.iter().map(|it| &*it.0).collect::<Vec<_>>(), [OWN, "kubernetes://shop-tls"]);
        assert_ne!(web[0], ledger[0]);
        assert_eq!(web[1], ledger[1]);
    }
}
