//! `mesh snapshot`: what a proxy is sent, as files.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use mesh_envoy_proto::json as proto_json;
use mesh_model::Compat;
use mesh_model::compat::DataPlane;
use mesh_xds_gen::Resources;
use mesh_xds_gen::snapshot::Snapshot;
use mesh_xds_gen::workload::Ambient;
use prost::Name;
use serde_json::{Map, Value, json};

use crate::node::node;
use crate::say::say;
use crate::{Failure, Output, data_plane, folder};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The proxy.
    #[arg(long, value_name = "CLUSTER/NS/POD", required_unless_present = "ztunnel")]
    proxy: Option<String>,
    /// Instead of a proxy: the ztunnels of a cluster.
    #[arg(long, value_name = "CLUSTER", conflicts_with_all = ["proxy", "data_plane"])]
    ztunnel: Option<String>,
    /// The folder that the files are written to; it is made if it does not exist.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The program that will read them.
    #[arg(long, value_parser = data_plane::with_node(), value_name = "NAME", default_value = "istio-proxy")]
    data_plane: DataPlane,
}

pub(crate) fn run(folder: &Path, arguments: &Arguments, output: Output) -> Result<(), Failure> {
    match (&arguments.ztunnel, &arguments.proxy) {
        (Some(cluster), _) => of_ztunnel(folder, cluster, arguments, output),
        (None, Some(proxy)) => of_proxy(folder, proxy, arguments, output),
        (None, None) => Err(Failure::Unanswered("whose snapshot is not said".to_owned())),
    }
}

fn of_proxy(
    folder: &Path,
    reference: &str,
    arguments: &Arguments,
    output: Output,
) -> Result<(), Failure> {
    let mesh = folder::load_and_tell(folder, &Compat::default())?;
    let mut proxy = mesh.proxy(reference)?;
    proxy.data_plane = arguments.data_plane;
    let Some(view) = mesh.view(&proxy) else {
        let sentence = format!("no control plane serves cluster `{}`", proxy.cluster);
        return Err(Failure::Unanswered(sentence));
    };
    let resources = Resources::new(&view);
    let files = [
        ("clusters.json", list(&resources.clusters)?),
        ("endpoints.json", list(&resources.endpoints)?),
        ("listeners.json", list(&resources.listeners)?),
        ("routes.json", list(&resources.routes)?),
        ("nametable.json", proto_json::to_value(&resources.names)?),
        ("secrets.json", json!([])),
        ("extension_configs.json", json!([])),
        ("node.json", proto_json::to_value(&node(&proxy, mesh.config(), arguments.data_plane))?),
    ];
    let snapshot = Snapshot::new(resources.into_resources());
    let versions = versions(&snapshot);
    let out = &arguments.out;
    write(out, files.iter().chain([&("versions.json", versions)]))?;
    tell(output, snapshot.len(), reference, out);
    Ok(())
}

/// What the ztunnels of a cluster are sent by the control plane that serves it.
fn of_ztunnel(
    folder: &Path,
    cluster: &str,
    arguments: &Arguments,
    output: Output,
) -> Result<(), Failure> {
    let mesh = folder::load_and_tell(folder, &Compat::default())?;
    let Some(plane) = mesh.control_plane_of(cluster) else {
        let sentence = format!("no control plane serves cluster `{cluster}`");
        return Err(Failure::Unanswered(sentence));
    };
    let ambient = Ambient::new(&mesh, plane);
    let files = [
        ("addresses.json", named(&ambient.addresses)?),
        ("authorizations.json", named(&ambient.authorizations)?),
    ];
    write(&arguments.out, &files)?;
    let resources = ambient.addresses.len() + ambient.authorizations.len();
    tell(output, resources, &format!("ztunnels of {cluster}"), &arguments.out);
    Ok(())
}

fn write<'f>(
    out: &Path,
    files: impl IntoIterator<Item = &'f (&'static str, Value)>,
) -> Result<(), Failure> {
    let unwritable = |error: std::io::Error| {
        Failure::Unanswered(format!("cannot write to `{}`: {error}", out.display()))
    };
    std::fs::create_dir_all(out).map_err(unwritable)?;
    for (name, value) in files {
        std::fs::write(out.join(name), format!("{value:#}\n")).map_err(unwritable)?;
    }
    Ok(())
}

fn tell(output: Output, resources: usize, client: &str, out: &Path) {
    if output == Output::Table {
        say!("{resources} resources for {client} in {}", out.display());
    } else {
        crate::json::print(&json!({"resources": resources, "out": out.display().to_string()}));
    }
}

fn named<M: Name>(messages: &BTreeMap<String, M>) -> Result<Value, Failure> {
    let entries = messages.iter().map(|(name, message)| {
        Ok(json!({"name": name, "resource": proto_json::to_value(message)?}))
    });
    entries.collect()
}

fn list<M: Name>(messages: &[M]) -> Result<Value, Failure> {
    let values = messages.iter().map(proto_json::to_value);
    Ok(Value::Array(values.collect::<Result<_, _>>()?))
}

fn versions(snapshot: &Snapshot) -> Value {
    let of_type = |collection: &mesh_xds_gen::snapshot::Collection| -> Map<String, Value> {
        let entries = collection.iter();
        entries.map(|r| (r.name().to_string(), Value::from(r.version().to_string()))).collect()
    };
    let types = snapshot.types();
    let types = types.map(|(url, found)| (url.as_str().to_owned(), of_type(found).into()));
    Value::Object(types.collect())
}
