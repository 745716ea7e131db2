//! What the matrix says always or never happens is what every data plane decides, whatever is asked for.
use mesh_authz::analysis::{Access, Caller, access};
use mesh_authz::compile::Environment;
use mesh_authz::select::Subject;
use mesh_authz::{Authorizer, BrokenPolicy, Policies, Reason, Traffic};
use mesh_model::compat::DataPlane;
use mesh_model::name::Namespace;
use mesh_model::resource::{Action, AuthorizationPolicy};
use mesh_testkit::oracle::authz as oracle;
use mesh_testkit::strategy::authz::{policies, request};
use proptest::prelude::*;

use super::decision::{environment, with, workload};

fn broken(action: Option<Action>) -> BrokenPolicy {
    BrokenPolicy {
        namespace: Namespace::from("a"),
        name: "shut".into(),
        selector: None,
        action,
        subject: Subject::Connections,
        workloads: None,
    }
}

fn authorizer(
    data_plane: DataPlane,
    understood: &[AuthorizationPolicy],
    broken: &[BrokenPolicy],
) -> Authorizer {
    let Environment { mut compat, .. } = environment();
    compat.data_plane = data_plane;
    let environment = Environment { compat, ..environment() };
    let policies =
        Policies { understood: understood.iter().collect(), broken: broken.iter().collect() };
    Authorizer::new(&policies, &workload(), &environment)
}

/// Who calls, as a row of the matrix has it: nobody, or by one name.
fn caller(request: &oracle::Request, port: Option<u16>) -> Option<Caller<'_>> {
    match request.peer.as_deref() {
        None => Some(Caller { identity: None, port }),
        Some([name]) => Some(Caller { identity: Some(name), port }),
        Some(_) => None,
    }
}

fn check(
    authorizer: &Authorizer,
    request: &oracle::Request,
) -> Result<Option<Access>, TestCaseError> {
    let traffic = if request.is_http { Traffic::Http } else { Traffic::Tcp };
    let mut found = None;
    for port in [Some(request.destination_port), None] {
        let Some(caller) = caller(request, port) else { return Ok(None) };
        let access = access(authorizer, traffic, caller);
        let (is_allowed, is_refused) = with(request, |request| {
            let decision = authorizer.decide(request);
            (decision.is_allowed(), matches!(decision.reason(), Reason::PathRejected(_)))
        });
        match access {
            Access::Always => prop_assert!(is_allowed || is_refused, "{request:?}"),
            Access::Never => prop_assert!(!is_allowed, "{request:?}"),
            Access::Depends => {}
        }
        found = Some(access);
    }
    Ok(found)
}

const PLANES: [DataPlane; 4] =
    [DataPlane::IstioProxy, DataPlane::Envoy, DataPlane::Grpc, DataPlane::Ztunnel];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_matrix_says_what_every_data_plane_decides(
        policies in policies(5),
        requests in prop::collection::vec(request(), 1..20),
        broken_action in prop::sample::select(vec![
            None, Some(None), Some(Some(Action::Allow)), Some(Some(Action::Audit)),
        ]),
    ) {
        let broken: Vec<BrokenPolicy> = broken_action.into_iter().map(broken).collect();
        for data_plane in PLANES {
            let authorizer = authorizer(data_plane, &policies, &broken);
            for request in &requests {
                check(&authorizer, request)?;
            }
        }
    }

    /// What cannot be understood may have denied everything, and the matrix says no less.
    #[test]
    fn what_is_broken_is_never_let_through(
        policies in policies(5),
        request in request(),
        action in prop::sample::select(vec![None, Some(Action::Deny)]),
    ) {
        for data_plane in PLANES {
            let authorizer = authorizer(data_plane, &policies, &[broken(action)]);
            let found = check(&authorizer, &request)?;
            prop_assert!(matches!(found, None | Some(Access::Never)), "{found:?} {data_plane:?}");
        }
    }
}
