//! How many connections and requests there may be.
use crate::manifest::decode::{choice, message};
use crate::name::Duration;

message! {
    /// Limits of connections and requests, of each client proxy on its own.
    pub struct ConnectionPoolSettings {
        /// What holds for all connections.
        tcp: Option<TcpSettings> = "tcp",
        /// What holds for requests.
        http: Option<HttpSettings> = "http",
    }
}

message! {
    /// Limits of connections. Of numbers 0 is the same as absent.
    pub struct TcpSettings {
        /// The most connections; 0: 2^32 - 1.
        max_connections: i32 = "maxConnections" | "max_connections",
        /// How long connecting may take; absent: the mesh's `connectTimeout`, 10 s.
        connect_timeout: Option<Duration> = "connectTimeout" | "connect_timeout",
        /// TCP keepalive; absent: the mesh's, if any.
        tcp_keepalive: Option<TcpKeepalive> = "tcpKeepalive" | "tcp_keepalive",
        /// How long a connection may live; absent: no limit.
        max_connection_duration: Option<Duration> =
            "maxConnectionDuration" | "max_connection_duration",
        /// How long a connection may be without a byte; absent: 1 h; zero: no limit.
        idle_timeout: Option<Duration> = "idleTimeout" | "idle_timeout",
    }
}

message! {
    /// TCP keepalive; what is absent is the operating system's.
    pub struct TcpKeepalive {
        /// Probes without an answer before a connection is dead; 0: 9 on Linux.
        probes: u32 = "probes",
        /// Idle time before the first probe; absent: 2 h on Linux.
        time: Option<Duration> = "time",
        /// Time between probes; absent: 75 s on Linux.
        interval: Option<Duration> = "interval",
    }
}

message! {
    /// Limits of requests. Of numbers 0 is the same as absent.
    pub struct HttpSettings {
        /// The most requests that wait for a connection; 0: 2^32 - 1.
        http1_max_pending_requests: i32 =
            "http1MaxPendingRequests" | "http1_max_pending_requests",
        /// The most active requests, HTTP/1.1 included; 0: 2^32 - 1.
        http2_max_requests: i32 = "http2MaxRequests" | "http2_max_requests",
        /// The most requests of one connection, 1 without keep-alive; 0: 2^29.
        max_requests_per_connection: i32 =
            "maxRequestsPerConnection" | "max_requests_per_connection",
        /// The most retries at once; 0: 2^32 - 1.
        max_retries: i32 = "maxRetries" | "max_retries",
        /// How long a connection may be without a request; absent: 1 h.
        idle_timeout: Option<Duration> = "idleTimeout" | "idle_timeout",
        /// Whether HTTP/1.1 is carried as HTTP/2.
        h2_upgrade_policy: H2UpgradePolicy = "h2UpgradePolicy" | "h2_upgrade_policy",
        /// Whether the client's protocol is kept.
        use_client_protocol: bool = "useClientProtocol" | "use_client_protocol",
        /// The most streams of one HTTP/2 connection; 0: 2^31 - 1.
        max_concurrent_streams: i32 = "maxConcurrentStreams" | "max_concurrent_streams",
        /// HTTP/2 pings; absent: none.
        http2_keep_alive: Option<ConnectionKeepalive> = "http2KeepAlive" | "http2_keep_alive",
    }
}

choice! {
    /// Whether HTTP/1.1 is carried as HTTP/2.
    pub enum H2UpgradePolicy default Default {
        /// As the mesh says.
        Default = 0 | "DEFAULT",
        /// No.
        DoNotUpgrade = 1 | "DO_NOT_UPGRADE",
        /// Yes.
        Upgrade = 2 | "UPGRADE",
    }
}

message! {
    /// HTTP/2 pings.
    pub struct ConnectionKeepalive {
        /// The time between pings; absent: none are sent.
        interval: Option<Duration> = "interval",
        /// How long an answer may take.
        timeout: Option<Duration> = "timeout",
    }
}
