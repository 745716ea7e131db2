//! The examples that tell what happens: the same every time.

#[path = "../examples/mtls.rs"]
#[expect(dead_code, reason = "the story is told here without its program")]
mod mtls;

#[path = "../examples/token.rs"]
#[expect(dead_code, reason = "the story is told here without its program")]
mod token;

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
        "batch /items/7: 403 Forbidden",
        "now the policy says batch",
        "web /items/7: 403 Forbidden",
        "batch /items/7: 200 OK",
    ];
    assert_eq!(told, expected);
}
