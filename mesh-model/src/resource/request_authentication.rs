//! Which tokens of requests are believed.
mod validate;

use super::Meta;
use super::selector::{PolicyTargetReference, WorkloadSelector};
use crate::manifest::decode::{choice, message};
use crate::name::Duration;

message! {
    /// `security.istio.io` `RequestAuthentication`.
    ///
    /// # Upstream
    ///
    /// istio/api `security/v1beta1/request_authentication.proto`.
    pub struct RequestAuthentication ignoring unknown {
        /// Name, namespace, age.
        meta: Meta = (elsewhere),
        /// What the policy says.
        spec: RequestAuthenticationSpec = "spec",
    }
}

message! {
    /// The fields of a [`RequestAuthentication`].
    pub struct RequestAuthenticationSpec {
        /// The workloads concerned; absent: all of the namespace (all of the mesh in the root one).
        selector: Option<WorkloadSelector> = "selector",
        /// Used only where `target_refs` is empty.
        target_ref: Option<PolicyTargetReference> = "targetRef",
        /// The objects that the policy is attached to instead of workloads.
        target_refs: Vec<PolicyTargetReference> = "targetRefs",
        /// Who issues tokens; a request with a token of none of them is refused.
        jwt_rules: Vec<JwtRule> = "jwtRules" | "jwt_rules",
    }
}

message! {
    /// An issuer of tokens.
    pub struct JwtRule {
        /// The claim `iss`; empty: any.
        issuer: Box<str> = "issuer",
        /// Values of claim `aud` of which one must be there; empty: not checked.
        audiences: Vec<Box<str>> = "audiences",
        /// Where the keys are fetched.
        jwks_uri: Box<str> = "jwksUri" | "jwks_uri",
        /// The keys.
        jwks: Box<str> = "jwks",
        /// Headers that hold a token; with the two lists below empty: `Authorization: Bearer` and
        /// parameter `access_token`.
        from_headers: Vec<JwtHeader> = "fromHeaders" | "from_headers",
        /// Parameters of the query that hold a token.
        from_params: Vec<Box<str>> = "fromParams" | "from_params",
        /// Cookies that hold a token.
        from_cookies: Vec<Box<str>> = "fromCookies" | "from_cookies",
        /// A header in which the application gets the claims, in base64; empty: none.
        output_payload_to_header: Box<str> =
            "outputPayloadToHeader" | "output_payload_to_header",
        /// Claims that the application gets in headers.
        output_claim_to_headers: Vec<ClaimToHeader> =
            "outputClaimToHeaders" | "output_claim_to_headers",
        /// Whether the application gets the token.
        forward_original_token: bool = "forwardOriginalToken" | "forward_original_token",
        /// How long fetching keys may take; absent: 5 s.
        timeout: Option<Duration> = "timeout",
        /// More claims, beside `scope` and `permission`, that are lists separated by spaces.
        space_delimited_claims: Vec<Box<str>> =
            "spaceDelimitedClaims" | "space_delimited_claims",
        /// Whether requests without a token are refused. In istio/api since 1.32; istiod does not use
        /// it yet.
        presence: JwtRequirement = "presence",
    }
}

choice! {
    /// Whether requests without a token are refused.
    pub enum JwtRequirement default Optional {
        /// They pass.
        Optional = 0 | "OPTIONAL",
        /// They are refused with status 401.
        Required = 1 | "REQUIRED",
    }
}

message! {
    /// A header that holds a token.
    pub struct JwtHeader {
        /// The header.
        name: Box<str> = "name",
        /// What stands before the token, such as `Bearer `.
        prefix: Box<str> = "prefix",
    }
}

message! {
    /// A claim that the application gets in a header.
    pub struct ClaimToHeader {
        /// The header.
        header: Box<str> = "header",
        /// The claim, `.` between levels.
        claim: Box<str> = "claim",
    }
}
