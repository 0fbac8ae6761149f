"""What h11 reads: for each line of a method, 1 or 0 (does the connection end?) and hexadecimal digits the answer as JSON."""
import json
import sys

import h11


def answer(method, ended, octets):
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
    connection.send(h11.EndOfMessage())
    try:
        connection.receive_data(octets)
        if ended:
            connection.receive_data(b"")
        head = None
        body = b""
        while True:
            event = connection.next_event()
            if type(event) is h11.Response:
                head = event
            elif type(event) is h11.Data:
                body += bytes(event.data)
            elif type(event) is h11.EndOfMessage:
                break
            elif type(event) is not h11.InformationalResponse:
                return None
    except h11.RemoteProtocolError as error:
        return {"refused": str(error)}
    return {
        "status": head.status_code,
        "headers": [part.decode("latin1") for field in head.headers for part in field],
        "body": body.decode("latin1"),
        "end": len(octets) - len(connection.trailing_data[0]),
    }


for line in sys.stdin:
    method, ended, digits = line.split(" ")
    print(json.dumps(answer(method, ended == "1", bytes.fromhex(digits.strip()))), flush=False)
