//! The mesh as a drawing: networks with their clusters, and the gateways between them.
//!
//! ```text
//! ┌ network ───────┐ ┌ network ───────┐
//! │ cluster        │ │ cluster        │
//! │  zone  3       │ │  zone  2       │
//! └─────[gateway]──┘ └─────[gateway]──┘
//!           └──── mutual TLS ──┘
//! ```
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use mesh_model::registry::Mesh;

use super::html::escaped;

const WIDTH: usize = 340;
const GAP: usize = 28;
const PAD: usize = 16;
const LINE: usize = 20;
/// Networks side by side.
const COLUMNS: usize = 3;
/// Zones that a cluster shows; of more the rest is counted.
const ZONES: usize = 6;

/// A cluster, as it is drawn.
#[derive(Debug, Default)]
struct Drawn {
    about: String,
    is_lost: bool,
    zones: BTreeMap<String, BTreeSet<String>>,
}

impl Drawn {
    fn lines(&self) -> usize {
        self.zones.len().clamp(1, ZONES) + usize::from(self.zones.len() > ZONES)
    }

    fn height(&self) -> usize {
        PAD + LINE * (2 + self.lines()) + PAD / 2
    }
}

/// A network, as it is drawn.
#[derive(Debug, Default)]
struct Network {
    clusters: BTreeMap<String, Drawn>,
    gateways: BTreeSet<String>,
}

impl Network {
    fn gateway_lines(&self) -> usize {
        self.gateways.len().clamp(1, 3)
    }

    fn height(&self) -> usize {
        let clusters: usize = self.clusters.values().map(|cluster| cluster.height() + PAD).sum();
        let gateways = self.gateway_lines() * 30 + 8;
        PAD + LINE + clusters + gateways + PAD
    }
}

/// Draws the mesh.
pub(super) fn draw(mesh: &Mesh) -> String {
    let networks = networks(mesh);
    if let [(name, network)] = networks.iter().collect::<Vec<_>>().as_slice() {
        return draw_alone(name, network);
    }
    let list: Vec<(&String, &Network)> = networks.iter().collect();
    let rows: Vec<&[(&String, &Network)]> = list.chunks(COLUMNS).collect();
    let columns = list.len().clamp(1, COLUMNS);
    let width = columns * WIDTH + (columns - 1) * GAP + 12;
    let mut markup = String::new();
    let mut top = 1;
    let mut bus_before = None;
    for row in rows {
        let height = row.iter().map(|(_, network)| network.height()).max().unwrap_or(0);
        for (column, (name, network)) in row.iter().enumerate() {
            let left = 1 + column * (WIDTH + GAP);
            draw_network(&mut markup, (name, network), (left, top, height));
        }
        top += height + GAP;
        // Every row leads to a bus of its own; the buses meet at the right.
        let end = if list.len() > COLUMNS { width - 3 } else { width - 11 };
        let bus = top - 4;
        let _ = write!(markup, "<path class=\"wire\" d=\"M1 {bus}H{end}\"/>");
        if let Some(before) = bus_before.replace(bus) {
            let _ = write!(markup, "<path class=\"wire\" d=\"M{end} {before}V{bus}\"/>");
        }
        top += GAP / 2;
    }
    if !networks.is_empty() {
        text(&mut markup, (width / 2, top), ("d", "middle"), "mutual TLS between networks");
        top += 10;
    }
    framed(width, top, &markup)
}

/// Draws the only network: its clusters side by side.
fn draw_alone(name: &str, network: &Network) -> String {
    let clusters: Vec<(&String, &Drawn)> = network.clusters.iter().collect();
    let columns = clusters.len().clamp(1, COLUMNS);
    let width = columns * (WIDTH - PAD) + PAD;
    let mut markup = String::new();
    let mut y = PAD + LINE;
    for row in clusters.chunks(COLUMNS) {
        for (column, (id, drawn)) in row.iter().enumerate() {
            draw_cluster(&mut markup, (id, drawn), (1 + PAD + column * (WIDTH - PAD), y));
        }
        y += row.iter().map(|(_, drawn)| drawn.height()).max().unwrap_or(0) + PAD;
    }
    let title =
        if name.is_empty() { "one flat network".to_owned() } else { format!("network {name}") };
    text(&mut markup, (1 + PAD, PAD + 8), ("t", "start"), &title);
    let mut frame = String::new();
    rect(&mut frame, "net", (1, 1, width, y));
    framed(width + 2, y + 2, &format!("{frame}{markup}"))
}

fn framed(width: usize, height: usize, markup: &str) -> String {
    format!(
        "<svg role=\"img\" aria-label=\"clusters and networks\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" xmlns=\"http://www.w3.org/2000/svg\">{markup}</svg>"
    )
}

/// The networks with the clusters whose workloads are in them, and how each is entered.
fn networks(mesh: &Mesh) -> BTreeMap<String, Network> {
    let mut found: BTreeMap<String, Network> = BTreeMap::new();
    let mut homeless: BTreeSet<String> = mesh.clusters().map(ToString::to_string).collect();
    let proxies = mesh.proxies().filter_map(|reference| mesh.proxy(&reference).ok());
    for proxy in proxies {
        let (network, cluster) = (proxy.network.to_string(), proxy.cluster.to_string());
        homeless.remove(&cluster);
        let drawn = found.entry(network).or_default().clusters.entry(cluster).or_default();
        let zone = proxy.locality.to_string();
        drawn.zones.entry(zone).or_default().insert(proxy.reference());
    }
    for cluster in homeless {
        let says = mesh.description(&cluster);
        let network = says.map(|says| says.network.to_string()).unwrap_or_default();
        found.entry(network).or_default().clusters.entry(cluster).or_default();
    }
    for gateway in mesh.control_planes().flat_map(|plane| plane.named_gateways.iter()) {
        let address = format!("{}:{}", gateway.address, gateway.port);
        if let Some(network) = found.get_mut(gateway.network.as_str()) {
            network.gateways.insert(address);
        }
    }
    for network in found.values_mut() {
        for (id, drawn) in &mut network.clusters {
            describe(mesh, id, drawn);
        }
    }
    found
}

fn describe(mesh: &Mesh, id: &str, drawn: &mut Drawn) {
    let says = mesh.description(id);
    let plane = mesh.control_plane_of(id).map(|plane| plane.id.to_string());
    let role = match plane {
        Some(plane) if plane == id => "runs its control plane".to_owned(),
        Some(plane) => format!("served by {plane}"),
        None => "no control plane".to_owned(),
    };
    drawn.is_lost = says.is_some_and(|says| !says.reachable);
    let lost = if drawn.is_lost { "API server lost, " } else { "" };
    let region = says.map(|says| says.region.to_string()).filter(|region| !region.is_empty());
    drawn.about = format!("{lost}{role}{}", region.map(|r| format!(", {r}")).unwrap_or_default());
}

fn draw_network(
    markup: &mut String,
    (name, network): (&str, &Network),
    (left, top, height): (usize, usize, usize),
) {
    rect(markup, "net", (left, top, WIDTH, height));
    let title = match name {
        "" => "no network".to_owned(),
        name => format!("network {name}"),
    };
    text(markup, (left + PAD, top + PAD + 10), ("t", "start"), &title);
    let mut y = top + PAD + LINE;
    for (id, drawn) in &network.clusters {
        draw_cluster(markup, (id, drawn), (left + PAD, y));
        y += drawn.height() + PAD;
    }
    let bottom = top + height;
    let x = left + WIDTH / 2;
    if network.gateways.is_empty() {
        text(markup, (x, bottom - 14), ("bad", "middle"), "no gateway leads in");
        let _ = write!(markup, "<path class=\"cut\" d=\"M{x} {bottom}V{}\"/>", bottom + GAP - 4);
        return;
    }
    let shown = network.gateways.iter().take(3).enumerate();
    for (index, gateway) in shown {
        let more = network.gateways.len().saturating_sub(3);
        let label = match (index, more) {
            (2, more) if more > 0 => format!("gateway {gateway} and {more} more"),
            _ => format!("gateway {gateway}"),
        };
        let y = bottom - 8 - 30 * (network.gateway_lines() - index) + 4;
        rect(markup, "gw", (left + PAD, y, WIDTH - 2 * PAD, 24));
        text(markup, (x, y + 16), ("d", "middle"), &label);
    }
    let _ =
        write!(markup, "<path class=\"wire\" d=\"M{x} {}V{}\"/>", bottom - 10, bottom + GAP - 4);
}

fn draw_cluster(markup: &mut String, (id, drawn): (&str, &Drawn), (left, top): (usize, usize)) {
    let class = if drawn.is_lost { "clu lost" } else { "clu" };
    let width = WIDTH - 2 * PAD;
    rect(markup, class, (left, top, width, drawn.height()));
    text(markup, (left + 12, top + PAD + 6), ("t", "start"), id);
    text(markup, (left + 12, top + PAD + LINE + 4), ("d", "start"), &drawn.about);
    let mut y = top + PAD + 2 * LINE + 4;
    if drawn.zones.is_empty() {
        text(markup, (left + 12, y), ("d", "start"), "no workload");
    }
    for (zone, pods) in drawn.zones.iter().take(ZONES) {
        let zone = if zone.is_empty() { "unknown place" } else { zone };
        let _ =
            write!(markup, "<circle class=\"dot\" cx=\"{}\" cy=\"{}\" r=\"4\"/>", left + 16, y - 4);
        text(markup, (left + 28, y), ("", "start"), zone);
        text(markup, (left + width - 12, y), ("d", "end"), &pods.len().to_string());
        y += LINE;
    }
    let more = drawn.zones.len().saturating_sub(ZONES);
    if more > 0 {
        text(markup, (left + 28, y), ("d", "start"), &format!("and {more} other places"));
    }
}

fn rect(markup: &mut String, class: &str, (x, y, width, height): (usize, usize, usize, usize)) {
    let _ = write!(
        markup,
        "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>"
    );
}

/// A text; one that would be wider than a box is cut, and shown whole when it is pointed at.
fn text(markup: &mut String, (x, y): (usize, usize), (class, anchor): (&str, &str), content: &str) {
    const LONGEST: usize = 40;
    let cut: String = if content.chars().count() > LONGEST {
        content.chars().take(LONGEST - 1).chain(['…']).collect()
    } else {
        content.to_owned()
    };
    let _ = write!(
        markup,
        "<text class=\"{class}\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{}<title>{}</title></text>",
        escaped(&cut),
        escaped(content)
    );
}
