//! When an endpoint is left out for a while.
use crate::manifest::decode::message;
use crate::name::Duration;

message! {
    /// When an endpoint is left out for a while. The mere presence of the block turns failover by
    /// locality on.
    pub struct OutlierDetection {
        /// Gateway errors in a row; deprecated, `consecutive_gateway_errors` and
        /// `consecutive_5xx_errors` replace it.
        consecutive_errors: i32 = "consecutiveErrors" | "consecutive_errors",
        /// Whether failures of the connection count apart from answers of the endpoint.
        split_external_local_origin_errors: bool =
            "splitExternalLocalOriginErrors" | "split_external_local_origin_errors",
        /// Failures of the connection in a row, with the split only; absent: 5.
        consecutive_local_origin_failures: Option<u32> =
            "consecutiveLocalOriginFailures" | "consecutive_local_origin_failures",
        /// Answers 502, 503, 504 in a row; absent or 0: they do not count apart.
        consecutive_gateway_errors: Option<u32> =
            "consecutiveGatewayErrors" | "consecutive_gateway_errors",
        /// Answers 5xx in a row; absent: 5; 0: they do not count.
        consecutive_5xx_errors: Option<u32> = "consecutive5xxErrors" | "consecutive_5xx_errors",
        /// The time between looks at the counts; absent: 10 s.
        interval: Option<Duration> = "interval",
        /// The time out, times how often it happened; absent: 30 s.
        base_ejection_time: Option<Duration> = "baseEjectionTime" | "base_ejection_time",
        /// The most endpoints left out, percent; 0: 10.
        max_ejection_percent: i32 = "maxEjectionPercent" | "max_ejection_percent",
        /// Below this share of healthy endpoints all are used, percent; 0: never.
        min_health_percent: i32 = "minHealthPercent" | "min_health_percent",
        /// Statuses that count as errors, instead of 5xx; empty: 5xx.
        outlier_detection_http_error_codes: Vec<u32> =
            "outlierDetectionHttpErrorCodes" | "outlier_detection_http_error_codes",
    }
}
