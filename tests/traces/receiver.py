#!/usr/bin/env python3
"""A collector of traces that keeps nothing: what comes by OTLP/HTTP goes to standard output, a line of JSON for each batch.

Usage: receiver.py STATUS [CERTIFICATE KEY]    answers with STATUS, over TLS where it has a certificate; the first line
                                               is its port

It reads Protocol Buffers by itself, by the numbers of opentelemetry/proto/trace/v1/trace.proto, so that what the
server writes is checked by other code.
"""
import http.server, json, ssl, struct, sys

STATUS = int(sys.argv[1])


def varint(data, at):
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at


def fields(data):
    """Number and value of each field of a message."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = varint(data, at)
        elif wire == 1:
            value, at = struct.unpack_from("<Q", data, at)[0], at + 8
        elif wire == 5:
            value, at = struct.unpack_from("<I", data, at)[0], at + 4
        elif wire == 2:
            length, at = varint(data, at)
            if at + length > len(data):
                raise ValueError("a field is longer than its message")
            value, at = data[at : at + length], at + length
        else:
            raise ValueError(f"wire type {wire}")
        yield number, value


def attribute(data):
    pair = dict(fields(data))
    (kind, value), = fields(pair[2])
    if kind == 1:
        return pair[1].decode(), value.decode()
    if kind == 3:
        return pair[1].decode(), value - (1 << 64) if value >> 63 else value
    raise ValueError(f"a value of kind {kind}")


def span_of_protobuf(data):
    span = {"attributes": {}, "traceState": "", "parentSpanId": "", "status": 0}
    for number, value in fields(data):
        if number in (1, 2, 4):
            span[{1: "traceId", 2: "spanId", 4: "parentSpanId"}[number]] = value.hex()
        elif number in (3, 5):
            span[{3: "traceState", 5: "name"}[number]] = value.decode()
        elif number in (6, 7, 8, 16):
            span[{6: "kind", 7: "start", 8: "end", 16: "flags"}[number]] = value
        elif number == 9:
            key, of = attribute(value)
            span["attributes"][key] = of
        elif number == 15:
            span["status"] = dict(fields(value)).get(3, 0)
        else:
            raise ValueError(f"a span has no field {number} here")
    return span


def batch_of_protobuf(data):
    resource, spans, scope = {}, [], {}
    for number, resource_spans in fields(data):
        assert number == 1, number
        for number, value in fields(resource_spans):
            if number == 1:
                resource.update(attribute(pair) for n, pair in fields(value) if n == 1)
            elif number == 2:
                for number, part in fields(value):
                    if number == 1:
                        scope = {n: text.decode() for n, text in fields(part)}
                    elif number == 2:
                        spans.append(span_of_protobuf(part))
    return resource, scope.get(1), spans


def attributes_of_json(pairs):
    def value(of):
        (kind, value), = of.items()
        return int(value) if kind == "intValue" else {"stringValue": value}[kind]

    return {pair["key"]: value(pair["value"]) for pair in pairs}


def batch_of_json(data):
    resource_spans, = json.loads(data)["resourceSpans"]
    scope_spans, = resource_spans["scopeSpans"]
    spans = []
    for span in scope_spans["spans"]:
        spans.append({
            **{key: span[key] for key in ("traceId", "spanId", "parentSpanId", "traceState", "name", "kind", "flags")},
            "start": int(span["startTimeUnixNano"]),
            "end": int(span["endTimeUnixNano"]),
            "attributes": attributes_of_json(span["attributes"]),
            "status": span["status"].get("code", 0),
        })
    return attributes_of_json(resource_spans["resource"]["attributes"]), scope_spans["scope"]["name"], spans


class Collector(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        kind = self.headers["content-type"]
        read = {"application/x-protobuf": batch_of_protobuf, "application/json": batch_of_json}[kind]
        resource, scope, spans = read(body)
        said = {name.lower(): value for name, value in self.headers.items()}
        line = {"path": self.path, "headers": said, "resource": resource, "scope": scope, "spans": spans}
        print(json.dumps(line), flush=True)
        self.send_response(STATUS)
        self.send_header("content-type", kind)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
if sys.argv[2:]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*sys.argv[2:])
    server.socket = tls.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
