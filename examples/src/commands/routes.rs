//! `mesh routes`: what a proxy does with a request.
//!
//! The request is one JSON object (`port`, `method`, `host`, `path`, `headers`, `sni`, and
//! `destination_ip` where the host's own address is not meant); a list of them gets a list of answers.
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use mesh_model::Compat;
use mesh_model::compat::DataPlane;
use mesh_model::view::ProxyView;
use mesh_xds_gen::Resources;
use mesh_xds_gen::resolve::{self, Configuration, Request, Resolution};
use serde::Deserialize;
use serde_json::Value;

use crate::{Failure, Output, data_plane, folder, json};

mod print;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The proxy that gets the request.
    #[arg(long, value_name = "CLUSTER/NS/POD")]
    proxy: String,
    /// The request as JSON; `-` is stdin.
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// The program that the proxy is.
    #[arg(long, value_parser = data_plane::with_node(), value_name = "NAME", default_value = "istio-proxy")]
    data_plane: DataPlane,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestFile {
    port: u16,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    host: String,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    sni: Option<String>,
    #[serde(default)]
    destination_ip: Option<IpAddr>,
}

#[derive(Debug)]
enum RequestFiles {
    One(RequestFile),
    Many(Vec<RequestFile>),
}

impl RequestFile {
    fn request(&self, view: &ProxyView<'_>) -> Request {
        let address = || resolve::address_of(view, &self.host, self.port);
        Request {
            port: self.port,
            address: self.destination_ip.or_else(address),
            method: self.method.clone().unwrap_or_else(|| "GET".to_owned()),
            host: self.host.clone(),
            path: self.path.clone().unwrap_or_else(|| "/".to_owned()),
            headers: self.headers.clone(),
            sni: self.sni.clone().unwrap_or_default(),
        }
    }
}

pub(crate) fn run(folder: &Path, arguments: &Arguments, output: Output) -> Result<(), Failure> {
    if arguments.data_plane == DataPlane::Grpc {
        let sentence = "a gRPC client without a proxy chooses by itself".to_owned();
        return Err(Failure::Unanswered(sentence));
    }
    let requests = read(&arguments.request)?;
    let mesh = folder::load_and_tell(folder, &Compat::default())?;
    let mut proxy = mesh.proxy(&arguments.proxy)?;
    proxy.data_plane = arguments.data_plane;
    let Some(view) = mesh.view(&proxy) else {
        let sentence = format!("no control plane serves cluster `{}`", proxy.cluster);
        return Err(Failure::Unanswered(sentence));
    };
    let resources = Resources::new(&view);
    let configuration = Configuration {
        listeners: &resources.listeners,
        routes: &resources.routes,
        clusters: &resources.clusters,
        envoy: mesh.compat().envoy,
    };
    let answer = |file: &RequestFile| resolve::resolve(&configuration, &file.request(&view));
    let (answers, is_list): (Vec<Resolution>, bool) = match &requests {
        RequestFiles::One(file) => (vec![answer(file)], false),
        RequestFiles::Many(files) => (files.iter().map(answer).collect(), true),
    };
    match output {
        Output::Table => answers.iter().for_each(print::table),
        Output::Json if is_list => {
            json::print(&Value::Array(answers.iter().map(print::json).collect()));
        }
        Output::Json => answers.iter().for_each(|answer| json::print(&print::json(answer))),
    }
    Ok(())
}

fn read(path: &Path) -> Result<RequestFiles, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::Unanswered(format!("cannot read the request `{}`: {error}", path.display()))
    };
    let text = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(unreadable)?;
        text
    } else {
        std::fs::read_to_string(path).map_err(unreadable)?
    };
    let wrong = |error: serde_json::Error| {
        Failure::Unanswered(format!("`{}` is not a request: {error}", path.display()))
    };
    // Read as what it looks like, so that the message is about the field that is wrong.
    if text.trim_start().starts_with('[') {
        serde_json::from_str(&text).map(RequestFiles::Many).map_err(wrong)
    } else {
        serde_json::from_str(&text).map(RequestFiles::One).map_err(wrong)
    }
}
