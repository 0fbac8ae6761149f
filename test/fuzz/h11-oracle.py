"""What h11 reads: for each line of hexadecimal digits the first request of these bytes as JSON, or null."""
import json
import sys

import h11


def first(octets):
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    try:
        connection.receive_data(octets)
        head = connection.next_event()
        if type(head) is not h11.Request:
            return None
        body = b""
        while True:
            event = connection.next_event()
            if type(event) is h11.Data:
                body += bytes(event.data)
            elif type(event) is h11.EndOfMessage:
                break
            else:
                return None
    except h11.RemoteProtocolError as error:
        return {"refused": str(error)}
    return {
        "method": head.method.decode("latin1"),
        "target": head.target.decode("latin1"),
        "httpVersion": head.http_version.decode("latin1"),
        "headers": [part.decode("latin1") for field in head.headers for part in field],
        "body": body.decode("latin1"),
        "end": len(octets) - len(connection.trailing_data[0]),
    }


for line in sys.stdin:
    print(json.dumps(first(bytes.fromhex(line.strip()))), flush=False)
