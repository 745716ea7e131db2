use proptest::prelude::*;

use super::*;

fn check_cluster(text: &str, expected: Option<ClusterName<'_>>) {
    let name = ClusterName::parse(text).ok();
    assert_eq!(name, expected, "{text}");
    if let Some(name) = name {
        assert_eq!(name.to_string(), text);
    }
}

fn check_route(text: &str, expected: RouteName<'_>) {
    assert_eq!(RouteName::parse(text), Ok(expected), "{text}");
    assert_eq!(expected.to_string(), text);
}

#[test]
fn a_cluster_name_says_direction_port_subset_and_host() {
    check_cluster("outbound|80|v1|a.b", Some(ClusterName::outbound(80, "v1", "a.b")));
    check_cluster("outbound_.80_.v1_.a.b", Some(ClusterName::outbound(80, "v1", "a.b").sni()));
    check_cluster("inbound|8080||", Some(ClusterName::inbound(8080)));
    check_cluster(
        "inbound-vip|80|http/v1|a.b",
        Some(ClusterName {
            direction: Direction::InboundVip,
            ..ClusterName::outbound(80, "http/v1", "a.b")
        }),
    );
}

#[test]
fn the_empty_subset_leaves_two_separators_in_a_server_name() {
    let name = ClusterName::outbound(5000, "", "helloworld.default.svc.cluster.local").sni();
    assert_eq!(name.to_string(), "outbound_.5000_._.helloworld.default.svc.cluster.local");
}

#[test]
fn what_would_not_print_back_is_no_cluster_name() {
    for text in [
        "PassthroughCluster",
        "outbound|80",
        "outbound|080||a.b",
        "outbound|+80||a.b",
        "outbound|99999||a.b",
        "outbound|80||a|b",
        "sideways|80||a.b",
        "",
    ] {
        check_cluster(text, None);
    }
}

#[test]
fn the_lenient_reading_takes_what_it_finds() {
    let key = SubsetKey::parse("outbound|80|v1|a|b");
    assert_eq!((key.direction, key.port, key.subset, key.host), ("outbound", 80, "v1", ""));
    assert_eq!(SubsetKey::parse("BlackHoleCluster"), SubsetKey::default());
    assert_eq!(SubsetKey::parse("outbound|80").port, 0); // No separator follows the port.
    assert_eq!(SubsetKey::parse("outbound|-5||h").port, -5);
    assert_eq!(SubsetKey::parse("outbound|99999999999999999999||h").port, i64::MAX);
    assert_eq!(SubsetKey::parse("outbound|1_000||h").port, 0);
    // The form is decided by the first word alone: this one has no `_.` at all.
    assert_eq!(SubsetKey::parse("outbound_|80||h"), SubsetKey::default());
}

#[test]
fn listeners_are_named_after_bind_port_and_transport() {
    for (text, bind, port, transport) in [
        ("0.0.0.0_80", "0.0.0.0", 80, Transport::Tcp),
        ("::_80", "::", 80, Transport::Tcp),
        ("udp_0.0.0.0_443", "0.0.0.0", 443, Transport::Quic),
        ("unix:///run/x_y.sock_0", "unix:///run/x_y.sock", 0, Transport::Tcp),
    ] {
        let name = ListenerName { bind, port, transport };
        assert_eq!(ListenerName::parse(text), Ok(name));
        assert_eq!(name.to_string(), text);
    }
    assert!(ListenerName::parse(VIRTUAL_OUTBOUND_LISTENER).is_err());
}

#[test]
fn route_names_tell_their_form() {
    check_route("80", RouteName::Port(80));
    check_route("http_proxy", RouteName::HttpProxy);
    check_route("unix:///run/x.sock", RouteName::UnixSocket("unix:///run/x.sock"));
    check_route("ext.com:9000", RouteName::Service { host: "ext.com", port: 9000 });
    check_route("http.8080", RouteName::GatewayHttp { port: 8080, bind: "" });
    check_route("http.8080.10.0.0.1", RouteName::GatewayHttp { port: 8080, bind: "10.0.0.1" });
    check_route("http.com:80", RouteName::Service { host: "http.com", port: 80 });
    check_route(
        "https.443.https.gw.istio-system.::1",
        RouteName::GatewayHttps {
            port: 443,
            port_name: "https",
            gateway: "gw",
            namespace: "istio-system",
            bind: "::1",
        },
    );
    assert!(RouteName::parse("cart").is_err());
    assert!(RouteName::parse("http.80.").is_err());
}

#[test]
fn only_servers_that_read_http_have_routes() {
    let server = GatewayServer {
        protocol: "HTTPS",
        port: 443,
        resolved_port: 8443,
        port_name: "tls",
        gateway: "gw",
        namespace: "ns",
        bind: "",
        tls: ServerTls::Terminated,
    };
    let name = |server: &GatewayServer<'_>| RouteName::of_server(server).map(|it| it.to_string());
    assert_eq!(name(&server).as_deref(), Some("https.443.tls.gw.ns"));
    assert_eq!(name(&GatewayServer { tls: ServerTls::PassedThrough, ..server }), None);
    assert_eq!(name(&GatewayServer { protocol: "MONGO", ..server }), None);
    let plain = GatewayServer { protocol: "grpc-web", ..server };
    assert_eq!(name(&plain).as_deref(), Some("http.8443"));
    let bound = GatewayServer { protocol: "HTTP2", bind: "1.2.3.4", ..server };
    assert_eq!(name(&bound).as_deref(), Some("http.8443.1.2.3.4"));
}

fn word() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9-]{0,8}"
}

fn host() -> impl Strategy<Value = String> {
    "(\\*\\.)?[a-z]{1,6}(\\.[a-z0-9-]{1,8}){0,3}"
}

proptest! {
    #[test]
    fn cluster_names_read_back(
        port: u16,
        subset in "[a-z0-9./-]{0,8}",
        host in host(),
        direction in prop::sample::select(vec![Direction::Outbound, Direction::Inbound]),
        form in prop::sample::select(vec![Form::Subset, Form::DnsSrv]),
    ) {
        let name = ClusterName { form, direction, port, subset: &subset, host: &host };
        let text = name.to_string();
        prop_assert_eq!(ClusterName::parse(&text), Ok(name));
        let key = SubsetKey::parse(&text);
        prop_assert_eq!((key.direction, key.port), (direction.as_str(), i64::from(port)));
        prop_assert_eq!((key.subset, key.host), (&*subset, &*host));
    }

    /// Whatever the strict reading accepts prints back byte by byte, and nothing panics.
    #[test]
    fn any_text_prints_back_or_is_refused(text in "(outbound|inbound|http|https|udp)?[_|.:]{0,2}[0-9a-z_.|:]{0,20}") {
        if let Ok(name) = ClusterName::parse(&text) {
            prop_assert_eq!(name.to_string(), &*text);
        }
        if let Ok(name) = ListenerName::parse(&text) {
            prop_assert_eq!(name.to_string(), &*text);
        }
        if let Ok(name) = RouteName::parse(&text) {
            prop_assert_eq!(name.to_string(), &*text);
        }
        let _ = SubsetKey::parse(&text);
    }

    #[test]
    fn route_names_read_back(
        port: u16, port_name in word(), gateway in word(), namespace in word(), bind in "|[0-9]{1,3}\\.[0-9]{1,3}",
    ) {
        let (port_name, gateway, namespace, bind) = (&*port_name, &*gateway, &*namespace, &*bind);
        for name in [
            RouteName::Port(port),
            RouteName::GatewayHttp { port, bind },
            RouteName::GatewayHttps { port, port_name, gateway, namespace, bind },
            RouteName::Service { host: gateway, port },
        ] {
            let text = name.to_string();
            prop_assert_eq!(RouteName::parse(&text), Ok(name));
        }
    }

    #[test]
    fn listener_names_read_back(bind in "[0-9a-f:.]{1,12}", port: u16, quic: bool) {
        let transport = if quic { Transport::Quic } else { Transport::Tcp };
        let name = ListenerName { bind: &bind, port, transport };
        let text = name.to_string();
        prop_assert_eq!(ListenerName::parse(&text), Ok(name));
    }
}
