//! Where traffic goes: each destination with the classes of its clients, their ladders and endpoints.
use std::collections::BTreeMap;

use mesh_lb::whatif::{Scenario, Survey, Surveyed, SurveyedClass, ladder};
use mesh_model::registry::Absences;

use super::html::{Cell, Page, Tag};
use crate::commands::plan::endpoint::{PlannedEndpoint, host_port};
use crate::commands::plan::service::{Mode, Plan};

/// Classes whose traffic goes the same ways, as one row.
struct Row<'s, 'm> {
    names: Vec<String>,
    proxies: usize,
    class: &'s SurveyedClass<'m>,
    ladder: [(u32, Vec<u32>); 5],
}

impl Row<'_, '_> {
    fn add(&mut self, name: String) {
        if !self.names.contains(&name) {
            self.names.push(name);
        }
    }
}

/// Where a class is, and in which cluster.
fn place(class: &SurveyedClass<'_>) -> String {
    let proxy = class.view.proxy();
    match proxy.locality.to_string().as_str() {
        "" => format!("cluster {}", proxy.cluster),
        locality => format!("{locality} ({})", proxy.cluster),
    }
}

pub(super) fn section(page: &mut Page, survey: &Survey<'_>) {
    page.section(
        "traffic",
        "Traffic and failover",
        "For each destination and each place that clients are in: the share of every priority now, and \
         as the nearest one loses health. Open a destination for its endpoints and the reasons.",
    );
    page.key();
    if survey.destinations().is_empty() {
        page.nothing("No proxy sees a service.");
    }
    let classes = survey.destinations().iter().flat_map(|surveyed| &surveyed.classes);
    let Some(absences) = classes.map(|class| class.view.mesh().absences()).next() else { return };
    for surveyed in survey.destinations() {
        destination(page, surveyed, &absences);
    }
}

fn destination(page: &mut Page, surveyed: &Surveyed<'_>, absences: &Absences<'_>) {
    let Some(first) = surveyed.classes.first() else { return };
    let destination = &surveyed.destination;
    let rows = rows(surveyed);
    let plan =
        Plan::new((&first.view, Mode::Own), destination.clone(), &Scenario::default(), absences);
    let lost = surveyed.classes.iter().filter(|class| class.before.is_unreachable());
    let lost: usize = lost.map(|class| class.n_proxies).sum();
    let mut tags = Vec::new();
    if lost > 0 {
        tags.push(Tag::new("error", &format!("unreachable for {lost} proxies")));
    }
    if rows.iter().any(|row| row.ladder[0].1.len() > 1) {
        tags.push(Tag::new("", "fails over"));
    }
    if plan.has_outlier_detection() {
        tags.push(Tag::new("", "outlier detection"));
    }
    tags.push(Tag::new("", plan.kind()));
    tags.push(Tag::new("", plan.lb()));
    let (host, port, _) = plan.key();
    let name = format!("{host}:{port}");
    page.card(|page| {
        page.details(("destination", &name, ""), &tags, |page| {
            ladders(page, &rows);
            for row in &rows {
                endpoints(page, (surveyed, row), absences);
            }
        });
    });
}

/// The classes, those with equal traffic together.
fn rows<'s, 'm>(surveyed: &'s Surveyed<'m>) -> Vec<Row<'s, 'm>> {
    let mut rows: Vec<Row<'s, 'm>> = Vec::new();
    for class in &surveyed.classes {
        let before = &class.before;
        let alike = rows.iter_mut().find(|row| {
            row.class.before.shares == before.shares
                && row.class.before.assignment.explain().to_string()
                    == before.assignment.explain().to_string()
        });
        match alike {
            Some(row) => {
                row.add(place(class));
                row.proxies += class.n_proxies;
            }
            None => rows.push(Row {
                names: vec![place(class)],
                proxies: class.n_proxies,
                class,
                ladder: ladder(&before.spread, &before.shares),
            }),
        }
    }
    rows
}

fn ladders(page: &mut Page, rows: &[Row<'_, '_>]) {
    let heads = ["clients in", "proxies", "sent to", "100 %", "75 %", "50 %", "25 %", "0 %"];
    let cells = rows.iter().map(|row| {
        let mut cells = vec![
            Cell::lines(&row.names),
            Cell::number(&row.proxies.to_string()),
            Cell::prose(&places(row.class)),
        ];
        let has_endpoints = row.class.before.assignment.endpoints().next().is_some();
        cells.extend(row.ladder.iter().map(|(_, loads)| match has_endpoints {
            true => Cell::bar(loads),
            false => Cell::text("–"),
        }));
        cells
    });
    page.table(&heads, &cells.collect::<Vec<_>>());
}

/// The shares by cluster now.
fn places(class: &SurveyedClass<'_>) -> String {
    let mut shares: BTreeMap<String, f64> = BTreeMap::new();
    for cell in class.before.cells() {
        let cluster = match cell.cluster.as_str() {
            "" => "elsewhere".to_owned(),
            cluster => cluster.to_owned(),
        };
        *shares.entry(cluster).or_default() += cell.share;
    }
    let used = shares.into_iter().filter(|(_, share)| *share > 0.0);
    let texts = used.map(|(cluster, share)| format!("{cluster} {share:.1}\u{a0}%"));
    let texts: Vec<String> = texts.collect();
    if texts.is_empty() { "nowhere".to_owned() } else { texts.join(", ") }
}

/// The endpoints of one row.
fn endpoints(
    page: &mut Page,
    (surveyed, row): (&Surveyed<'_>, &Row<'_, '_>),
    absences: &Absences<'_>,
) {
    let view = &row.class.view;
    let plan =
        Plan::new((view, Mode::Own), surveyed.destination.clone(), &Scenario::default(), absences);
    let (used, left_out) = (plan.endpoints.len(), plan.dropped.len());
    let name = format!("endpoints for {}", row.names.first().map_or("", String::as_str));
    let counts =
        [Tag::new("", &format!("{used} used")), Tag::new("", &format!("{left_out} left out"))];
    page.details(("endpoints", &name, ""), &counts, |page| {
        if let Some((_, text)) = plan.emptiness() {
            page.nothing(&text);
        }
        if !plan.endpoints.is_empty() {
            page.table(
                &["priority", "share", "weight", "address", "cluster", "locality", "why"],
                &used_rows(&plan),
            );
        }
        let dropped: Vec<Vec<Cell>> = plan
            .dropped
            .iter()
            .map(|one| {
                vec![Cell::key(&one.address), Cell::name(&one.cluster), Cell::prose(&one.text)]
            })
            .collect();
        if !dropped.is_empty() {
            page.table(&["left out", "cluster", "why"], &dropped);
        }
    });
}

/// A dash for what is not known.
fn known(text: &str) -> &str {
    if text.is_empty() { "–" } else { text }
}

fn used_rows(plan: &Plan<'_>) -> Vec<Vec<Cell>> {
    let row = |endpoint: &PlannedEndpoint| {
        let reasons = endpoint.reasons.iter().filter(|reason| !reason.is_about_weight());
        let reasons: Vec<&str> = reasons.map(|reason| reason.text.as_str()).collect();
        let health = match endpoint.health_word() {
            "healthy" => String::new(),
            word => format!(" ({word})"),
        };
        vec![
            Cell::name(&format!("P{}", endpoint.priority)),
            Cell::number(&format!("{:.2} %", endpoint.share)),
            Cell::number(&endpoint.weight.to_string()),
            Cell::key(&format!("{}{health}", host_port(&endpoint.address, endpoint.port))),
            Cell::name(known(&endpoint.cluster)),
            Cell::name(known(&endpoint.locality.to_string())),
            Cell::prose(&reasons.join("; ")),
        ]
    };
    plan.endpoints.iter().map(row).collect()
}
