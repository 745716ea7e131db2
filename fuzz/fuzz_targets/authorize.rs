//! Requests against policies: the authorizer decides as the specification typed out, by the same rule,
//! and its explanation tells the same. The bytes are the seed that the strategies draw from: drawn from directly,
//! the zeros behind their end would keep a strategy that refuses a value asking for ever.
#![cfg_attr(fuzzing, no_main)]

use mesh_testkit::strategy::authz::{policies, request};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

#[path = "../../mesh-authz/tests/law/decision.rs"]
mod decision;

mesh_fuzz::target!(|bytes| {
    let mut seed = [0_u8; 32];
    for (index, byte) in bytes.iter().enumerate() {
        let place = &mut seed[index % 32];
        *place = place.rotate_left(3) ^ byte;
    }
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let (Ok(policies), Ok(request)) =
        (policies(8).new_tree(&mut runner), request().new_tree(&mut runner))
    else {
        return;
    };
    let (policies, request) = (policies.current(), request.current());
    let authorizer = decision::authorizer(&policies);
    let told = decision::agree(&policies, &authorizer, &request)
        .and_then(|()| decision::explains(&authorizer, &request));
    assert_eq!(told, Ok(()));
});
