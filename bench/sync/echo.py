"""Round trips through a service: `echo.py serve ADDRESS PORT`, `echo.py ask ADDRESS PORT SECONDS` (JSON: microseconds of each, how many were lost)."""
import json
import socket
import sys
import time


def serve(address, port):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, port))
    while True:
        data, peer = server.recvfrom(100)
        server.sendto(data, peer)


def ask(address, port, seconds):
    """One datagram every 2 ms; a hundred times each second from a new port, so that new flows are among them."""
    times, lost, number = [], 0, 0
    end = time.time() + seconds
    client = None
    while time.time() < end:
        if number % 5 == 0:
            if client:
                client.close()
            client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            client.settimeout(1)
            client.connect((address, port))
        number += 1
        begun = time.perf_counter()
        client.send(b"x")
        try:
            client.recv(100)
            times.append(round((time.perf_counter() - begun) * 1e6))
        except OSError:
            lost += 1
        time.sleep(0.002)
    print(json.dumps({"times": times, "lost": lost}))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], int(sys.argv[3]))
    else:
        ask(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
