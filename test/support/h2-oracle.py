"""Second opinions on HTTP/2: python-hyper's hpack, hyperframe and h2. Usage: h2-oracle.py hpack|frames|client SEED [PORT]"""
import json
import random
import socket
import sys

import h2.config
import h2.connection
import h2.events
import h2.settings
import hpack
import hyperframe.frame as frames

mode, seed = sys.argv[1], int(sys.argv[2])
rng = random.Random(seed)
NAMES = [b":path", b"cookie", b"x-a", b"content-type", b"accept", b"x-" + b"n" * 200, b"user-agent"]


def octets(most):
    kind = rng.randrange(3)
    if kind == 0:
        return bytes(rng.choices(b"abcdefghijklmnopqrstuvwxyz0123456789-/=;, ", k=rng.randrange(most)))
    if kind == 1:
        return bytes(rng.choices(range(256), k=rng.randrange(min(most, 40))))
    return rng.choice([b"", b"gzip, deflate", b"text/html", b"GET", b"/"])


def decoded(decoder, block):
    try:
        return [[bytes(n).decode("latin1"), bytes(v).decode("latin1")] for n, v in decoder.decode(block, raw=True)]
    except (hpack.HPACKError, IndexError, UnicodeError):
        return None


def blocks():
    """Connections of some blocks each; some have a damaged last block."""
    for _ in range(150):
        encoder, decoder = hpack.Encoder(), hpack.Decoder(max_header_list_size=1 << 30)
        connection = []
        for _ in range(rng.randrange(1, 12)):
            if rng.random() < 0.15:
                encoder.header_table_size = rng.choice([0, 64, 1000, 4096])
            fields = [(rng.choice(NAMES), octets(rng.choice([5, 60, 300, 5000]))) for _ in range(rng.randrange(8))]
            block = bytearray(encoder.encode(fields, huffman=rng.random() < 0.6))
            if rng.random() < 0.2:
                for _ in range(rng.randrange(1, 4)):
                    if block:
                        block[rng.randrange(len(block))] = rng.randrange(256)
                if rng.random() < 0.3:
                    del block[rng.randrange(len(block) + 1):]
            said = decoded(decoder, bytes(block))
            connection.append({"block": bytes(block).hex(), "fields": said})
            if said is None:
                break
        print(json.dumps(connection))


def framed():
    """One stream of frames, and what hyperframe makes of it."""
    octet_list, said = b"", []
    for _ in range(600):
        head = bytes([rng.choice([0, 0, 0, 1, 2, 3, 4, 6, 7, 8, 9, 0x42]), rng.choice([0, 0, 1, 4, 5, 0x20])])
        stream = rng.choice([0, 1, 3, 0x7FFFFFFF])
        body = rng.randbytes(rng.choice([0, 1, 4, 5, 6, 8, 100, 16384, rng.randrange(3000)]))
        raw = len(body).to_bytes(3, "big") + head + stream.to_bytes(4, "big") + body
        octet_list += raw
        try:
            parsed, length = frames.Frame.parse_frame_header(memoryview(raw[:9]))
            said.append([parsed.type if parsed.type is not None else head[0], parsed.stream_id, length, body.hex()])
        except frames.InvalidDataError:
            said.append([head[0], stream, len(body), body.hex()])
        except Exception as error:
            raise SystemExit(f"hyperframe: {error!r}")
    print(json.dumps({"octets": octet_list.hex(), "frames": said}))


def client(port):
    """Requests of all sizes at once; h2 refuses whatever a server may not do. Every body must come back."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=60)
    conn = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
    conn.initiate_connection()
    conn.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: rng.choice([100, 5000, 65535, 1 << 20])})
    sock.sendall(conn.data_to_send())
    sent, left, got, ended = {}, {}, {}, {}
    todo = [rng.randbytes(rng.choice([0, 1, 100, 20000, 200000])) for _ in range(120)]

    def begin():
        while todo and len(left) + len(got) - len(ended) < 40 and conn.open_outbound_streams < 50:
            body, stream = todo.pop(), conn.get_next_available_stream_id()
            conn.send_headers(
                stream,
                [(":method", "POST"), (":scheme", "http"), (":authority", "app.test"), (":path", "/"),
                 ("x-name", "v" * rng.randrange(300)), *([("content-length", str(len(body)))] if rng.random() < 0.5 else [])],
                **(dict(priority_weight=rng.randrange(1, 257)) if rng.random() < 0.3 else {}),
            )
            sent[stream], left[stream], got[stream] = body, body, b""

    def pump():
        for stream in list(left):
            while True:
                room = min(conn.local_flow_control_window(stream), conn.max_outbound_frame_size, rng.choice([10, 5000, 16384]))
                piece = left[stream][:room]
                padding = rng.randrange(100) if piece and rng.random() < 0.2 else None
                if padding is not None and len(piece) + padding + 1 > room:
                    padding = None
                last = len(piece) == len(left[stream])
                if not piece and not last:
                    break
                conn.send_data(stream, piece, end_stream=last, pad_length=padding)
                left[stream] = left[stream][len(piece):]
                if last:
                    del left[stream]
                    break

    begin()
    while len(ended) < 120:
        pump()
        if rng.random() < 0.1:
            conn.ping(rng.randbytes(8))
        sock.sendall(conn.data_to_send())
        received = sock.recv(rng.choice([9, 1000, 65536]))
        if not received:
            raise SystemExit("the server closed the connection")
        for event in conn.receive_data(received):
            if isinstance(event, h2.events.DataReceived):
                got[event.stream_id] += event.data
                conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.ResponseReceived):
                assert dict(event.headers)[":status"] == "200", event.headers
            elif isinstance(event, h2.events.StreamEnded):
                assert got[event.stream_id] == sent[event.stream_id], f"stream {event.stream_id}: another body"
                ended[event.stream_id] = True
            elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                raise SystemExit(f"{event}")
        begin()
    conn.close_connection()
    sock.sendall(conn.data_to_send())
    print("every body came back")


{"hpack": blocks, "frames": framed, "client": lambda: client(int(sys.argv[3]))}[mode]()
