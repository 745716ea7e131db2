"""gRPC servers on loopback addresses, and a client that finds them over xDS.

Arguments: the target, then the servers' addresses. One command a line on stdin, one line of JSON
on stdout as its answer:

call N         N requests in turn: how often each server answered, and the errors
stop A,B       ends the servers at these addresses
start A,B      starts them again
"""
import collections
import json
import sys
from concurrent import futures

import grpc

METHOD = "/mesh.Echo/Who"
# Names one server of a connection, not all that share its port.
OPTIONS = [("grpc.so_reuseport", 0)]


def serve(address):
    def who(request, context):
        return address.encode()

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2), options=OPTIONS)
    handler = grpc.unary_unary_rpc_method_handler(who)
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("mesh.Echo", {"Who": handler})]
    )
    server.add_insecure_port(address)
    server.start()
    return server


def call(method, count):
    answers = collections.Counter()
    errors = collections.Counter()
    for _ in range(count):
        try:
            answers[method(b"", timeout=10, wait_for_ready=True).decode()] += 1
        except grpc.RpcError as error:
            errors[f"{error.code().name}: {error.details()}"] += 1
    return {"answers": answers, "errors": errors}


def main():
    target, addresses = sys.argv[1], sys.argv[2:]
    servers = {address: serve(address) for address in addresses}
    channel = grpc.insecure_channel(target)
    method = channel.unary_unary(METHOD)
    print(json.dumps({"ready": len(servers)}), flush=True)
    for line in sys.stdin:
        name, _, argument = line.strip().partition(" ")
        if name == "call":
            answer = call(method, int(argument))
        elif name == "stop":
            for address in argument.split(","):
                servers.pop(address).stop(None).wait()
            answer = {"running": sorted(servers)}
        elif name == "start":
            servers.update({address: serve(address) for address in argument.split(",")})
            answer = {"running": sorted(servers)}
        else:
            answer = {"unknown": name}
        print(json.dumps(answer), flush=True)
    channel.close()
    for server in servers.values():
        server.stop(None)


main()
