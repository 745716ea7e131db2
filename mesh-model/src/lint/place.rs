//! Where the fields stand that findings are about.
//!
//! The index knows where objects begin, not where their fields stand: that would cost memory for every one
//! of them. So a finding names a field, and the text of the few files with findings is read once more.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::sort;
use crate::manifest::{Diagnostic, Document, Limits, Place, documents_at};

/// Points findings that name a field at the field, or at the nearest part of it that is written; until
/// then they point at the beginning of its object. Sorts them again.
///
/// `text_of` returns what a file held when it was loaded, by the name that it was loaded under; findings
/// about files that it has no text of stay as they are. One text is held at a time.
///
/// # Examples
///
/// ```
/// use mesh_model::Compat;
/// use mesh_model::lint::{lint, point_at_fields};
/// use mesh_model::manifest::Limits;
/// use mesh_model::registry::{Origin, Registry, Source};
///
/// let text = "apiVersion: networking.istio.io/v1
/// kind: DestinationRule
/// metadata: {name: cart, namespace: shop}
/// spec:
///   host: nobody.shop.svc.cluster.local
/// ";
/// let source = Source { origin: Origin::Config, name: "cart.yaml".into(), text: text.into() };
/// let shop = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";
/// let cluster = Source { origin: Origin::Cluster("c1".into()), name: "c1.yaml".into(), text: shop.into() };
/// let mut registry = Registry::new(Compat::default());
/// registry.load([source, cluster]);
/// let mut found = lint(&registry.mesh());
/// point_at_fields(&mut found, &Limits::default(), |_| Some(text.into()));
/// assert_eq!((found[0].place.line, found[0].place.column), (5, 3));
/// ```
pub fn point_at_fields(
    found: &mut Vec<Diagnostic>,
    limits: &Limits,
    mut text_of: impl FnMut(&str) -> Option<Vec<u8>>,
) {
    let mut files: BTreeMap<Arc<str>, BTreeMap<Place, Vec<&mut Diagnostic>>> = BTreeMap::new();
    for finding in found.iter_mut().filter(|finding| names_field(finding)) {
        let of_file = files.entry(finding.file.clone()).or_default();
        of_file.entry(finding.place).or_default().push(finding);
    }
    for (file, mut objects) in files {
        let Some(text) = text_of(&file) else { continue };
        let lines: BTreeSet<u32> = objects.keys().map(|place| place.line).collect();
        for Document { node, .. } in documents_at(&file, &text, limits, &lines) {
            for finding in objects.remove(&node.place).unwrap_or_default() {
                finding.place = node.locate(&finding.field);
            }
        }
    }
    sort(found);
}

fn names_field(finding: &Diagnostic) -> bool {
    !finding.field.is_empty() && finding.place.line > 0
}
