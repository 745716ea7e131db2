//! The examples that tell what happens: the same every time.

#[path = "../examples/mtls.rs"]
#[expect(dead_code, reason = "the story is told here without its program")]
mod mtls;

#[path = "../examples/token.rs"]
#[expect(dead_code, reason = "the story is told here without its program")]
mod token;

#[path = "../examples/tower.rs"]
#[expect(dead_code, reason = "the story is told here without its program")]
mod tower;

#[tokio::test]
async fn requests_go_to_the_near_endpoints_and_spill_when_one_is_ejected() {
    let told = tower::story().await.expect("it ends well");
    // 70 percent stay near, drawn by a seed.
    assert_eq!(
        told,
        ["all healthy: near 500 and 500, far 0", "one ejected: near 0 and 672, far 328"]
    );
}

#[test]
fn the_bearer_of_a_token_may_do_what_its_claims_say() {
    let told = token::story().expect("it ends well");
    let expected = [
        "nobody GET: 403",
        "nobody DELETE: 403",
        "a shopper GET: 200",
        "a shopper DELETE: 403",
        "a clerk GET: 200",
        "a clerk DELETE: 200",
        "a forger GET: 401",
        "a forger DELETE: 401",
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_caller_is_denied_until_the_policies_change_and_its_connection_stays() {
    let told = mtls::story().await.expect("it ends well");
    let expected = [
        "web /items/7: 200 OK",
        "web /admin: 403 Forbidden",
        "web http://a.shop/items/7: 403 Forbidden",
        "batch /items/7: 403 Forbidden",
        "now the policy says batch",
        "web /items/7: 403 Forbidden",
        "batch /items/7: 200 OK",
        "now another policy denies",
        "now it is gone",
        "now another folder says web",
        "batch /items/7: 403 Forbidden",
        "and its policy says batch",
        "web /items/7: 403 Forbidden",
    ];
    assert_eq!(told, expected);
}
