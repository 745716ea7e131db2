//! Whether a workload that is no pod takes traffic.
use crate::manifest::decode::{message, oneof};

message! {
    /// How the agent beside a machine finds out whether the machine takes traffic. Of numbers 0 means
    /// the default.
    pub struct ReadinessProbe {
        /// Seconds before the first look; 0: none.
        initial_delay_seconds: i32 = "initialDelaySeconds" | "initial_delay_seconds",
        /// Seconds that an answer may take; 0: 1.
        timeout_seconds: i32 = "timeoutSeconds" | "timeout_seconds",
        /// Seconds between looks; 0: 10.
        period_seconds: i32 = "periodSeconds" | "period_seconds",
        /// Good answers in a row that make it ready; 0: 1.
        success_threshold: i32 = "successThreshold" | "success_threshold",
        /// Bad answers in a row that make it unready; 0: 3.
        failure_threshold: i32 = "failureThreshold" | "failure_threshold",
        /// How it is asked.
        method: Option<HealthCheckMethod> = (oneof HealthCheckMethod),
    }
}

oneof! {
    /// How a workload is asked.
    pub enum HealthCheckMethod {
        /// By an HTTP request.
        HttpGet(HttpHealthCheck) = "httpGet" | "http_get",
        /// By connecting.
        TcpSocket(TcpHealthCheck) = "tcpSocket" | "tcp_socket",
        /// By running a command.
        Exec(ExecHealthCheck) = "exec",
        /// By the health service of gRPC.
        Grpc(GrpcHealthCheck) = "grpc",
    }
}

message! {
    /// An HTTP request; an answer of 200 to 399 is good.
    pub struct HttpHealthCheck {
        /// The path.
        path: Box<str> = "path",
        /// The port.
        port: u32 = "port",
        /// The host to connect to, empty for `localhost`.
        host: Box<str> = "host",
        /// The scheme, empty for `http`.
        scheme: Box<str> = "scheme",
        /// Headers.
        http_headers: Vec<HttpHeader> = "httpHeaders" | "http_headers",
    }
}

message! {
    /// A header.
    pub struct HttpHeader {
        /// The name.
        name: Box<str> = "name",
        /// The value.
        value: Box<str> = "value",
    }
}

message! {
    /// A connection.
    pub struct TcpHealthCheck {
        /// The host, empty for `localhost`.
        host: Box<str> = "host",
        /// The port.
        port: u32 = "port",
    }
}

message! {
    /// A command; exit code 0 is good.
    pub struct ExecHealthCheck {
        /// The command with its arguments.
        command: Vec<Box<str>> = "command",
    }
}

message! {
    /// A call of the health service of gRPC.
    pub struct GrpcHealthCheck {
        /// The port.
        port: u32 = "port",
        /// The service that is asked for, empty for the whole server.
        service: Box<str> = "service",
    }
}
