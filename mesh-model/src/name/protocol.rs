//! What a port speaks.
use std::fmt;

/// The protocol of a port, as its name or `appProtocol` says.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "generators act on every protocol")]
pub enum Protocol {
    /// gRPC over HTTP/2.
    Grpc,
    /// gRPC-Web.
    GrpcWeb,
    /// HTTP/1.1.
    Http,
    /// A forward proxy for HTTP.
    HttpProxy,
    /// HTTP/2.
    Http2,
    /// HTTP over TLS that is not terminated here.
    Https,
    /// TLS that is not terminated here.
    Tls,
    /// Plain TCP.
    Tcp,
    /// UDP, which the mesh does not carry.
    Udp,
    /// `MongoDB`'s protocol.
    Mongo,
    /// Redis' protocol.
    Redis,
    /// `MySQL`'s protocol.
    Mysql,
    /// Not declared: the proxy detects whether it is HTTP.
    Unsupported,
}

impl Protocol {
    /// Reads a protocol text whole, in any case; anything unknown is [`Protocol::Unsupported`].
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/config/protocol/instance.go` `Parse`.
    pub fn parse(text: &str) -> Self {
        match text.to_ascii_lowercase().as_str() {
            "tcp" => Self::Tcp,
            "udp" => Self::Udp,
            "grpc" => Self::Grpc,
            "grpc-web" => Self::GrpcWeb,
            "http" => Self::Http,
            "http_proxy" => Self::HttpProxy,
            "http2" => Self::Http2,
            "https" => Self::Https,
            "tls" => Self::Tls,
            "mongo" => Self::Mongo,
            "redis" => Self::Redis,
            "mysql" => Self::Mysql,
            _ => Self::Unsupported,
        }
    }

    /// Selects the protocol of a Kubernetes service port.
    ///
    /// `transport` is the port's `protocol` (`TCP`, `UDP`, `SCTP`); `app_protocol` replaces the name
    /// where it is given.
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/config/kube/conversion.go` `ConvertProtocol`.
    pub fn of_service_port(
        number: u32,
        name: &str,
        transport: &str,
        app_protocol: Option<&str>,
    ) -> Self {
        if transport == "UDP" {
            return Self::Udp;
        }
        match app_protocol {
            Some("kubernetes.io/h2c") => return Self::Http2,
            Some("kubernetes.io/ws") => return Self::Http,
            Some("kubernetes.io/wss") => return Self::Https,
            Some(_) | None => {}
        }
        let text = app_protocol.unwrap_or(name);
        if text.get(..8).is_some_and(|prefix| prefix.eq_ignore_ascii_case("grpc-web")) {
            return Self::GrpcWeb;
        }
        let protocol = Self::parse(text.split('-').next().unwrap_or_default());
        // Servers of these protocols speak first, so they cannot be detected.
        if protocol.is_unsupported() && matches!(number, 25 | 53 | 3306 | 27017) {
            return Self::Tcp;
        }
        protocol
    }

    /// Returns whether requests are HTTP that the proxy can read.
    pub const fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::HttpProxy | Self::Http2 | Self::Grpc | Self::GrpcWeb)
    }

    /// Returns whether the protocol is carried as HTTP/2.
    pub const fn is_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Grpc | Self::GrpcWeb)
    }

    /// Returns whether the proxy forwards bytes without reading them as HTTP.
    pub const fn is_tcp(self) -> bool {
        matches!(
            self,
            Self::Tcp | Self::Https | Self::Tls | Self::Mongo | Self::Redis | Self::Mysql
        )
    }

    /// Returns whether the bytes are TLS.
    pub const fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::Tls)
    }

    /// Returns whether the proxy has to detect the protocol.
    pub const fn is_unsupported(self) -> bool {
        matches!(self, Self::Unsupported)
    }

    /// Returns the protocol inside TLS once it is terminated.
    #[must_use]
    pub const fn after_tls_termination(self) -> Self {
        match self {
            Self::Https => Self::Http,
            Self::Tls => Self::Tcp,
            Self::Grpc
            | Self::GrpcWeb
            | Self::Http
            | Self::HttpProxy
            | Self::Http2
            | Self::Tcp
            | Self::Udp
            | Self::Mongo
            | Self::Redis
            | Self::Mysql
            | Self::Unsupported => self,
        }
    }

    /// Returns the name as istiod prints it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "GRPC",
            Self::GrpcWeb => "GRPC-Web",
            Self::Http => "HTTP",
            Self::HttpProxy => "HTTP_PROXY",
            Self::Http2 => "HTTP2",
            Self::Https => "HTTPS",
            Self::Tls => "TLS",
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Mongo => "Mongo",
            Self::Redis => "Redis",
            Self::Mysql => "MySQL",
            Self::Unsupported => "UnsupportedProtocol",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
