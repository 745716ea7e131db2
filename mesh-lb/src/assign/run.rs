//! Endpoints that are treated alike, named by where they are instead of one by one.
use std::sync::Arc;

use mesh_model::endpoint::{Cohort, CohortOf, Endpoint, HealthStatus, Kind, Shards};

use super::Transport;
use super::draft::{Batch, Reach, Which};

/// How an endpoint or gateway is used.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Form {
    pub(super) weight: u32,
    pub(super) health: HealthStatus,
    pub(super) reach: Reach,
    pub(super) transport: Transport,
}

/// Where an endpoint is: the number of its shard, and its index in that.
pub(crate) type Id = (u32, u32);

/// Some endpoints of a cohort, in its order, each kind in a form.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Run {
    pub(super) shard: u32,
    pub(super) cohort: u32,
    pub(super) content: Content,
}

/// Which endpoints of a cohort, and in which forms.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Content {
    /// All of a cohort that has one kind.
    All(Form),
    /// Some of its kinds; what is left out has no form.
    Kinds(Box<[Option<Form>]>),
    /// Those at some places.
    Places(Form, Box<[u32]>),
}

impl Content {
    fn form(&self, kind: impl FnOnce() -> usize) -> Option<Form> {
        match self {
            Self::All(form) | Self::Places(form, _) => Some(*form),
            Self::Kinds(forms) => forms.get(kind()).copied().flatten(),
        }
    }
}

impl Run {
    #[inline]
    pub(super) fn cohort_of<'s>(&self, shards: &'s Shards) -> Option<CohortOf<'s>> {
        shards.get(usize::try_from(self.shard).ok()?)?.cohort(usize::try_from(self.cohort).ok()?)
    }

    /// How many endpoints it names.
    pub(super) fn len(&self, shards: &Shards) -> usize {
        self.cohort_of(shards).map_or(0, |of| self.len_of(of))
    }

    /// The same of its cohort, once that is found.
    #[inline]
    pub(super) fn len_of(&self, of: CohortOf<'_>) -> usize {
        match &self.content {
            Content::All(_) => of.indices().len(),
            Content::Places(_, places) => places.len(),
            Content::Kinds(forms) => {
                let kinds =
                    of.cohort().kinds().iter().zip(forms).filter(|(_, form)| form.is_some());
                kinds.fold(0, |sum, (kind, _)| sum + usize::try_from(kind.len).unwrap_or_default())
            }
        }
    }

    /// The endpoints.
    pub(super) fn endpoints<'s>(
        &'s self,
        shards: &'s Shards,
    ) -> impl DoubleEndedIterator<Item = Found<'s>> + Clone {
        self.endpoints_of(self.cohort_of(shards))
    }

    /// The same of its cohort, once that is found.
    #[inline]
    pub(super) fn endpoints_of<'s>(
        &'s self,
        of: Option<CohortOf<'s>>,
    ) -> impl DoubleEndedIterator<Item = Found<'s>> + Clone {
        let kinds = of.map(|of| of.cohort().kinds()).unwrap_or_default();
        let count = match &self.content {
            Content::All(_) | Content::Kinds(_) => of.map_or(0, |of| of.indices().len()),
            Content::Places(_, places) => places.len(),
        };
        (0..count).filter_map(move |slot| {
            let of = of?;
            let place = match &self.content {
                Content::All(_) | Content::Kinds(_) => slot,
                Content::Places(_, places) => usize::try_from(*places.get(slot)?).ok()?,
            };
            let kind = of.cohort().kind_of(place);
            Some(Found {
                endpoint: of.endpoint(place)?,
                id: (self.shard, *of.indices().get(place)?),
                form: self.content.form(|| kind)?,
                kind: kinds.get(kind)?,
            })
        })
    }
}

/// An endpoint of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'s> {
    pub(super) endpoint: &'s Endpoint,
    pub(super) id: Id,
    pub(super) form: Form,
    pub(super) kind: &'s Kind,
}

/// Collects batches that follow each other, of one cohort into one run as far as that can be said.
pub(super) fn collect(
    batches: impl IntoIterator<Item = (Batch, Form)>,
    shards: &Shards,
) -> impl Iterator<Item = Run> {
    let mut batches = batches.into_iter().peekable();
    std::iter::from_fn(move || {
        let (first, form) = batches.next()?;
        let Batch { shard, cohort, which } = first;
        let is_of = |batch: &Batch| (batch.shard, batch.cohort) == (shard, cohort);
        let content = match which {
            Which::Kind(kind) => {
                let mut content = of_kind(first, kind, form, shards);
                while let Content::Kinds(forms) = &mut content
                    && let Some((batch, form)) = batches
                        .next_if(|(batch, _)| is_of(batch) && matches!(batch.which, Which::Kind(_)))
                {
                    if let Which::Kind(kind) = batch.which {
                        set(forms, kind, form);
                    }
                }
                content
            }
            Which::Place(place) => {
                let mut places = vec![place];
                while let Some((batch, _)) = batches.next_if(|(batch, other)| {
                    is_of(batch) && *other == form && matches!(batch.which, Which::Place(_))
                }) {
                    places.extend(match batch.which {
                        Which::Place(place) => Some(place),
                        Which::Kind(_) => None,
                    });
                }
                Content::Places(form, places.into())
            }
        };
        Some(Run { shard, cohort, content })
    })
}

/// The run of one batch.
pub(super) fn of_one(batch: Batch, form: Form, shards: &Shards) -> Run {
    let Batch { shard, cohort, which } = batch;
    let content = match which {
        Which::Kind(kind) => of_kind(batch, kind, form, shards),
        Which::Place(place) => Content::Places(form, [place].into()),
    };
    Run { shard, cohort, content }
}

/// A kind of a batch's cohort, where others may follow.
fn of_kind(batch: Batch, kind: u32, form: Form, shards: &Shards) -> Content {
    let n_kinds = batch.cohort_of(shards).map_or(1, |of| of.cohort().kinds().len());
    if n_kinds == 1 {
        return Content::All(form);
    }
    let mut forms: Box<[_]> = vec![None; n_kinds].into();
    set(&mut forms, kind, form);
    Content::Kinds(forms)
}

fn set(forms: &mut [Option<Form>], kind: u32, form: Form) {
    let slot = usize::try_from(kind).ok().and_then(|kind| forms.get_mut(kind));
    if let Some(slot) = slot {
        *slot = Some(form);
    }
}

/// Which endpoints of a service a part of a locality has, and in which form, where that is all of a cohort.
///
/// In assignments [of the same endpoints](super::Assignment::is_of_same_endpoints), parts that have an equal one
/// are of the same endpoints in the same form.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PartPlace {
    shard: u32,
    cohort: u32,
    form: Form,
}

impl PartPlace {
    pub(super) const fn new(run: &Run) -> Option<Self> {
        match run.content {
            Content::All(form) => Some(Self { shard: run.shard, cohort: run.cohort, form }),
            Content::Kinds(_) | Content::Places(..) => None,
        }
    }
}

/// What the endpoints of a part of a locality are, so that two parts can be told to be the same without
/// looking at any endpoint.
///
/// Equal identities are of the same endpoints in the same forms: whatever is made of the endpoints of the one, in
/// their order, holds for the other, in whatever assignment, of whatever revision of the mesh.
#[derive(Clone, Debug)]
pub struct PartIdentity {
    // Held, so that no other takes its address.
    cohort: Arc<Cohort>,
    content: Content,
}

impl PartIdentity {
    pub(super) fn new(run: &Run, of: CohortOf<'_>) -> Self {
        Self { cohort: of.cohort().clone(), content: run.content.clone() }
    }

    pub(super) fn is_of(&self, run: &Run, of: CohortOf<'_>) -> bool {
        Arc::ptr_eq(of.cohort(), &self.cohort) && run.content == self.content
    }
}

impl PartialEq for PartIdentity {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.cohort, &other.cohort) && self.content == other.content
    }
}

impl Eq for PartIdentity {}

impl std::hash::Hash for PartIdentity {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.cohort).hash(state);
        self.content.hash(state);
    }
}
