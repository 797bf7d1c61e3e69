"""A kernel in ipykernel's place that keeps, synced to disk, the digest of each execution it gets, before it answers."""

import hashlib
import json
import os
import signal
import sys
from pathlib import Path

import zmq
from jupyter_client.session import Session


def main():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt ends a cell, and no cell of ours lasts
    info = json.loads(Path(sys.argv[sys.argv.index("-f") + 1]).read_text())
    session = Session(key=info["key"].encode(), signature_scheme=info["signature_scheme"])
    context, poller, sockets = zmq.Context(), zmq.Poller(), {}
    for channel, kind in (("shell", zmq.ROUTER), ("control", zmq.ROUTER), ("stdin", zmq.ROUTER), ("hb", zmq.REP), ("iopub", zmq.PUB)):
        sockets[channel] = context.socket(kind)
        sockets[channel].bind(f"ipc://{info['ip']}-{info[channel + '_port']}")
        if channel in {"shell", "control", "hb"}:
            poller.register(sockets[channel], zmq.POLLIN)
    kept = os.open("delivered", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    while True:
        for socket, _ in poller.poll():
            if socket is sockets["hb"]:
                socket.send(socket.recv())
                continue
            identities, parts = session.feed_identities(socket.recv_multipart())
            message = session.deserialize(parts)
            kind, content = message["header"]["msg_type"], {"status": "ok", "execution_count": 1, "user_expressions": {}, "payload": []}
            if kind == "execute_request":
                digest = hashlib.sha256(message["content"]["code"].encode()).hexdigest()
                os.write(kept, f"{message['header']['msg_id']} {digest}\n".encode())
                os.fsync(kept)
            elif kind == "kernel_info_request":
                content = {
                    "status": "ok",
                    "protocol_version": "5.4",
                    "implementation": "stub",
                    "language_info": {"name": "python"},
                    "banner": "",
                }
            session.send(sockets["iopub"], "status", {"execution_state": "busy"}, parent=message)
            session.send(socket, kind.replace("_request", "_reply"), content, parent=message, ident=identities)
            session.send(sockets["iopub"], "status", {"execution_state": "idle"}, parent=message)


main()
